// SPDX-License-Identifier: BSD-2-Clause
#include "vmms.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux_vm.h"
#include "runs.h"

#define QEMU_WORDS                                                              \
    "-cpu " RUNS_QEMU_CPU " -m {mem}M -smp {cpus} -no-user-config -nodefaults " \
    "-display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 "     \
    "-name bench,debug-threads=on -kernel {kernel} -append {append} "
#define QEMU_DEVICES                                                       \
    {                                                                      \
        "",                                                                \
            "-blockdev null-co,node-name=disk,size=1073741824 -device "    \
            "virtio-blk-{bus},drive=disk ",                                \
            "-netdev user,id=net -device virtio-net-{bus},netdev=net ",    \
            "-device virtio-rng-{bus} ",                                   \
            "-chardev stdio,id=con,signal=off -device virtio-serial-{bus}" \
            " -device virtconsole,chardev=con ",                           \
    }

/* In the ways that start fastest, with nothing that was not asked for. */
static const struct vmm table[] = {
    {.name = "minivet",
     .family = "minivet",
     .program = "minivet",
     .line = "{vmm} run {kernel} -m {mem}M -c {cpus} -a {append} ",
     .initrd = "-i {initrd} ",
     .devices = {"--rng off ", "--rng off -d null:1G ", "--rng off -n user ", "",
                 "--rng off --console virtio "}},
    {.name = "qemu-microvm",
     .family = "qemu",
     .program = "qemu-system-x86_64",
     .line = "{vmm} -M microvm,accel=kvm -global "
             "virtio-mmio.force-legacy=false " QEMU_WORDS,
     .initrd = "-initrd {initrd} ",
     .serial = "-serial stdio ",
     .devices = QEMU_DEVICES,
     .bus = "device"},
    {.name = "qemu-q35",
     .family = "qemu",
     .program = "qemu-system-x86_64",
     .line = "{vmm} -M q35,accel=kvm " QEMU_WORDS,
     .initrd = "-initrd {initrd} ",
     .serial = "-serial stdio ",
     .devices = QEMU_DEVICES,
     .bus = "pci"},
    {.name = "kvmtool",
     .program = "lkvm",
     .line = "{vmm} run --console serial -n mode=none -k {kernel} -m {mem} -c {cpus} -p {append} ",
     .initrd = "-i {initrd} ",
     .devices = {""},
     .no_elf = true},
    {.name = "firecracker",
     .program = "firecracker",
     .line = "{vmm} --no-api --config-file {config} ",
     .devices = {""}},
    {.name = "cloud-hypervisor",
     .program = "cloud-hypervisor",
     .line = "{vmm} --kernel {kernel} --cmdline {append} --memory size={mem}M "
             "--cpus boot={cpus} --serial tty --console off ",
     .initrd = "--initramfs {initrd} ",
     .devices = {""}},
    {.name = "fio", .family = "fio", .program = "fio"},
    {.name = "host", .family = "host", .program = "sh"}, /* the benchmark's own process */
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *vmm_program(const char *program)
{
    static const char *const other_places = ":/usr/local/bin:/usr/bin:/bin";
    const char *path = getenv("PATH");
    char file[4096];
    for (int i = 0; i < 2; i++, path = other_places) {
        for (; path != NULL && *path != '\0'; path += *path == ':') {
            int len = (int)strcspn(path, ":");
            snprintf(file, sizeof(file), "%.*s/%s", len, path, program);
            if (access(file, X_OK) == 0)
                return strdup(file);
            path += len;
        }
    }
    return NULL;
}

bool vmm_is_known(const char *name)
{
    for (size_t i = 0; i < COUNT(table); i++) {
        if (strcmp(table[i].name, name) == 0)
            return true;
    }
    return strpbrk(name, " /") != NULL;
}

bool vmm_find(const char *name, struct vmm *v)
{
    *v = table[0];
    v->name = name;
    v->program = name;
    if (strchr(name, ' ') != NULL) {
        *v = (struct vmm){.name = "other", .program = "", .line = name, .devices = {""}};
        return true;
    }
    for (size_t i = 0; strchr(name, '/') == NULL && i < COUNT(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            *v = table[i];
            v->program = vmm_program(table[i].program);
        }
    }
    if (v->program != NULL && access(v->program, X_OK) == 0)
        return true;
    fprintf(stderr, "bench: %s is not installed: left out\n", name);
    return false;
}

bool vmm_has(const struct vmm *v, enum vmm_device device)
{
    return v->devices[device] != NULL;
}

/* Firecracker's only way but for its API. The file is memory, and ends with this process. */
static const char *write_config(const struct vmm_guest *g)
{
    static char file[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    snprintf(file, sizeof(file), "/proc/%d/fd/%d", (int)getpid(), fd);
    cJSON *root = cJSON_CreateObject(), *o = cJSON_AddObjectToObject(root, "boot-source");
    cJSON_AddStringToObject(o, "kernel_image_path", g->kernel);
    cJSON_AddStringToObject(o, "boot_args", g->append);
    if (g->initrd != NULL)
        cJSON_AddStringToObject(o, "initrd_path", g->initrd);
    cJSON_AddArrayToObject(root, "drives");
    o = cJSON_AddObjectToObject(root, "machine-config");
    cJSON_AddNumberToObject(o, "vcpu_count", g->cpus);
    cJSON_AddNumberToObject(o, "mem_size_mib", g->mem_mib);
    char *text = cJSON_Print(root);
    if (dprintf(fd, "%s", text) < 0)
        runs_die("write", "Firecracker's configuration");
    free(text);
    cJSON_Delete(root);
    return file;
}

static const char *or_nothing(bool wanted, const char *words)
{
    return wanted && words != NULL ? words : "";
}

pid_t vmm_start(const struct vmm *v, const struct vmm_guest *g, int in_fd, int *fd)
{
    char line[4096], mem[16], cpus[16];
    const char *end = strrchr(g->kernel, '.');
    errno = 0;
    if (v->no_elf && end != NULL && strcmp(end, ".elf") == 0)
        runs_die("no ELF file is loaded by", v->name);
    snprintf(mem, sizeof(mem), "%d", g->mem_mib);
    snprintf(cpus, sizeof(cpus), "%d", g->cpus);
    snprintf(line, sizeof(line), "%s%s%s%s%s%s", v->line, or_nothing(g->initrd != NULL, v->initrd),
             or_nothing(g->device != VMM_CONSOLE, v->serial), v->devices[g->device],
             or_nothing(v->way != NULL, v->way != NULL ? v->way->words : NULL),
             or_nothing(true, g->words));
    bool needs_config = strstr(line, "{config}") != NULL;
    const struct linux_value values[] = {
        {"vmm", v->program},
        {"kernel", g->kernel},
        {"append", g->append},
        {"initrd", g->initrd},
        {"mem", mem},
        {"cpus", cpus},
        {"bus", v->bus},
        {"file", g->file},
        {"cache", g->direct ? "none" : "writeback"},
        {"behind", g->direct ? "" : ",cache=writeback"},
        {"config", needs_config ? write_config(g) : ""},
        {NULL, NULL},
    };
    return linux_vm_start(v->name, line, values, in_fd, g->out_fd, fd);
}
