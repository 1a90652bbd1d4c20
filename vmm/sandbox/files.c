// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/sandbox/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/output/own_file.h"
#include "vmm/config/config.h"
#include "vmm/control/folder.h"
#include "vmm/sandbox/calls.h"

#define READ CONFINE_READ
#define BOTH (CONFINE_READ | CONFINE_WRITE)

static void add(struct sandbox_files *f, const char *path, unsigned rights)
{
    f->is_full |= f->count == SANDBOX_PATHS;
    if (path != NULL && path[0] != '\0' && !f->is_full)
        f->paths[f->count++] = (struct confine_path){.path = path, .rights = rights};
}

/* Takes the string; NULL: there is none. */
static void add_own(struct sandbox_files *f, char *path, unsigned rights)
{
    f->is_full |= f->own_count == SANDBOX_PATHS;
    if (path == NULL || f->is_full)
        return free(path);
    f->own[f->own_count++] = path;
    add(f, path, rights);
}

/* The folder that it is in, or will be. */
static void add_parent(struct sandbox_files *f, const char *path, unsigned rights)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    char *parent = path == NULL    ? NULL
                   : slash == NULL ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    add_own(f, parent, rights);
}

/* What is read at the start; in the next life another file may have its name. */
static void add_input(struct sandbox_files *f, const struct vm_config *vm, const char *path)
{
    if (vm->reboot_restart)
        add_parent(f, path, READ);
    else
        add(f, path, READ);
}

/* It has to be there: a right to make it would be one to make others. */
static void add_output(struct sandbox_files *f, const char *path, mode_t mode)
{
    if (path == NULL)
        return;
    int fd =
        access(path, F_OK) != 0 ? own_file_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, mode) : -1;
    if (fd >= 0)
        close(fd);
    add(f, path, BOTH);
}

/* A socket that is made here, and goes with the run. */
static void add_socket(struct sandbox_files *f, const char *path)
{
    add_parent(f, path, CONFINE_MAKE);
}

static void add_tmp(struct sandbox_files *f, const char *usual)
{
    const char *tmp = getenv("TMPDIR");
    add(f, tmp != NULL && tmp[0] != '\0' ? tmp : usual, BOTH | CONFINE_MAKE);
}

/* ---- by what was asked for ---- */

static void add_disk(struct sandbox_files *f, const struct disk_config *d)
{
    bool writes = !d->read_only && !d->snapshot;
    if (d->kind == DISK_FILE)
        add(f, d->path, (writes ? BOTH : READ) | CONFINE_CONTROL);
    if (d->kind == DISK_FILE && d->backing)
        add_parent(f, d->path, READ);
    if (d->snapshot)
        add_tmp(f, "/var/tmp");
}

static void add_net(struct sandbox_files *f, const struct net_config *n)
{
    static const char *const names[] = {
        "/etc/resolv.conf", "/etc/hosts",    "/etc/nsswitch.conf",   "/etc/host.conf",
        "/etc/gai.conf",    "/etc/services", "/run/systemd/resolve",
    };
    if (n->kind == NET_USER || n->kind == NET_LISTEN || n->kind == NET_CONNECT)
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
            add(f, names[i], READ);
    if (n->kind == NET_USER && n->user.forward_count > 0)
        add(f, "/tmp", CONFINE_MAKE);
    if (n->kind == NET_TAP)
        add(f, "/dev/net/tun", BOTH | CONFINE_CONTROL);
    if (n->kind == NET_SOCKET)
        add_socket(f, n->target);
    if (n->vhost)
        add(f, "/dev/vhost-net", BOTH | CONFINE_CONTROL);
    add_output(f, n->pcap, 0600);
}

static void add_port(struct sandbox_files *f, const struct port_config *p)
{
    if (p->kind == CHR_LISTEN || p->kind == CHR_PTY) /* which is a link */
        add_socket(f, p->paths[p->kind]);
    else if (p->kind == CHR_FILE)
        add_output(f, p->paths[p->kind], 0600);
    else if (p->kind == CHR_PIPE)
        add_parent(f, p->paths[p->kind], BOTH); /* two FIFOs, with endings */
    if (p->kind == CHR_PTY)
        add(f, "/dev", BOTH | CONFINE_CONTROL); /* ptmx, pts */
}

static void add_display(struct sandbox_files *f, const struct display_config *d)
{
    static const char *const system[] = {"/etc", "/run", "/sys", "/proc", "/var/cache/fontconfig"};
    add(f, d->password, READ);
    if (d->kind == DISPLAY_PNG) {
        (void)mkdir(d->target, 0777);
        add(f, d->target, BOTH | CONFINE_MAKE);
    }
    if (d->kind != DISPLAY_SDL)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(system); i++)
        add(f, system[i], READ);
    add(f, "/dev", BOTH | CONFINE_CONTROL);
    add(f, getenv("XDG_RUNTIME_DIR"), BOTH | CONFINE_MAKE);
    add(f, getenv("XAUTHORITY"), READ);
    add(f, getenv("HOME"), READ);
}

/* Of kernels that were unpacked, as vmm/machine/machine.c has it. It has to be there. */
static void add_kernel_cache(struct sandbox_files *f)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool is_said = base != NULL && base[0] == '/';
    char *dir = NULL;
    if (!is_said && (home == NULL || home[0] != '/'))
        return;
    if (asprintf(&dir, "%s%s/minivet", is_said ? base : home, is_said ? "" : "/.cache") < 0)
        return;
    char *last = strrchr(dir, '/');
    *last = '\0';
    (void)mkdir(dir, 0700);
    *last = '/';
    (void)mkdir(dir, 0700);
    add_own(f, dir, BOTH | CONFINE_MAKE);
}

static void add_control(struct sandbox_files *f, const struct vm_config *vm)
{
    char folder[CONTROL_FOLDER_BYTES];
    if (vm->control != NULL)
        return add_socket(f, vm->control);
    add_own(f, control_folder(folder) ? strdup(folder) : NULL, CONFINE_MAKE | READ);
}

/* ---- what each run has ---- */

static void add_system(struct sandbox_files *f, unsigned uses)
{
    static const char *const read[] = {
        "/usr",
        "/lib",
        "/lib64",
        "/nix/store",
        "/gnu/store",
        "/etc/ld.so.cache",
        "/etc/localtime",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/self/task",
        "/proc/sys/kernel/random/boot_id",
        "/sys/devices/system",
        "/sys/dev/block",
        "/sys/devices",
    };
    unsigned more = (uses & USE_PROCESS) != 0 ? CONFINE_EXEC : 0;
    for (unsigned i = 0; i < ARRAY_SIZE(read); i++)
        add(f, read[i], READ | (i < 5 ? more : 0));
    add(f, "/dev/kvm", BOTH | CONFINE_CONTROL);
    add(f, "/dev/null", BOTH);
    add(f, "/dev/urandom", READ);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && f->count < SANDBOX_PATHS; fd++)
        f->paths[f->count++] = (struct confine_path){.fd = fd, .rights = BOTH | CONFINE_CONTROL};
}

void sandbox_files_list(struct sandbox_files *f, const struct vm_config *vm, unsigned uses)
{
    f->count = f->own_count = 0;
    f->is_full = false;
    add_system(f, uses);
    add_input(f, vm, vm->kernel);
    add_input(f, vm, vm->initrd);
    add_input(f, vm, vm->dtb);
    add_input(f, vm, vm->dtb_overlay);
    add_output(f, vm->dump_dtb, 0666);
    add_output(f, vm->log, 0600);
    add_output(f, vm->timeline_path, 0666);
    if (vm->unpack == UNPACK_CACHED)
        add_kernel_cache(f);
    for (unsigned i = 0; i < vm->disk_count; i++)
        add_disk(f, &vm->disks[i]);
    for (unsigned i = 0; i < vm->net_count; i++)
        add_net(f, &vm->nets[i]);
    for (unsigned i = 0; i < vm->share_count; i++)
        if (vm->shares[i].kind == SHARE_DIR)
            add(f, vm->shares[i].path, vm->shares[i].read_only ? READ : BOTH | CONFINE_ALL);
    for (unsigned i = 0; i < vm->port_count; i++)
        add_port(f, &vm->ports[i]);
    for (unsigned i = 0; i < vm->file_count; i++)
        add_input(f, vm, vm->files[i].path);
    add_display(f, &vm->display);
    add(f, vm->root.module_folder, READ);
    add_control(f, vm);
    if (vm->vsock.on && vsock_config_of(vm)->path != NULL)
        add_socket(f, vsock_config_of(vm)->path);
    if (vm->vsock.on && vsock_config_of(vm)->vhost)
        add(f, "/dev/vhost-vsock", BOTH | CONFINE_CONTROL);
    if ((uses & USE_PROCESS) != 0) {
        add_tmp(f, "/tmp");
        add(f, "/proc/self/exe", READ | CONFINE_EXEC);
        add(f, "/etc/ld.so.preload", READ);
    }
    add(f, vm->sandbox.folder, BOTH | CONFINE_MAKE);
}

void sandbox_files_free(struct sandbox_files *f)
{
    while (f->own_count > 0)
        free(f->own[--f->own_count]);
}
