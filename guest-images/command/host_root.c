// SPDX-License-Identifier: BSD-2-Clause
//
// A root file system that is a directory of the host's, and what programs expect to find there:
// fresh file systems of the kernel's, and a network card with an address.
#include "init.h"

#define MS_RDONLY    1
#define MS_NOSUID    2
#define MS_NODEV     4
#define MS_NOEXEC    8
#define MS_BIND      4096
#define KERNELS      (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define IFF_UP       1
#define AF_INET      2
#define SOCK_DGRAM   2
#define SIOCADDRT    0x890b
#define SIOCGIFFLAGS 0x8913
#define SIOCSIFFLAGS 0x8914
#define SIOCSIFADDR  0x8916
#define SIOCSIFMASK  0x891c
#define RTF_UP       1
#define RTF_GATEWAY  2
#define RETRY_MS     10

#define LOWER  "/" COMMAND_FOLDER "/lower"
#define WRITES "/" COMMAND_FOLDER "/writes"

static void make_folder(const char *path, unsigned mode)
{
    CALL(mkdirat, AT_FDCWD, path, mode, 0);
}

static void make_parents(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            make_folder(path, 0755);
            *at = '/';
        }
    }
}

// ---- the directory

// The device may come after its driver.
static void mount_share(const struct command *c, const char *tag, const char *at,
                        unsigned long flags)
{
    char error[24], why[PATH_BYTES];
    long end_ms = now_ms() + WAIT_MS, r;

    make_folder(at, 0755);
    while ((r = CALL5(mount, tag, at, "virtiofs", flags, NULL)) == -EINVAL && now_ms() < end_ms) {
        sleep_ms(RETRY_MS);
    }
    if (r == -ENODEV) {
        join(why, sizeof(why), c->note != NULL ? "; " : "", c->note, NULL, NULL);
        give_up("the kernel has no virtio-fs (CONFIG_VIRTIO_FS=y, or =m and its module): boot one "
                "that has",
                why, NULL);
    }
    if (r < 0) {
        number_text(error, -r);
        give_up("--root: the virtio-fs device cannot be mounted: error ", error, NULL);
    }
}

// What is written lies above the directory.
static void mount_layers(const struct command *c, bool is_kept)
{
    char error[24];

    if (is_kept) {
        mount_share(c, ROOT_UPPER_TAG, WRITES, 0);
    } else {
        make_folder(WRITES, 0755);
        CALL5(mount, "minivet", WRITES, "tmpfs", 0, "mode=0755");
    }
    make_folder(WRITES "/upper", 0755);
    make_folder(WRITES "/work", 0755);
    long r = CALL5(mount, "minivet", NEW_ROOT, "overlay", 0,
                   is_kept ? "lowerdir=" LOWER ",upperdir=" WRITES "/upper,workdir=" WRITES
                             "/work,userxattr"
                           : "lowerdir=" LOWER ",upperdir=" WRITES "/upper,workdir=" WRITES
                             "/work,redirect_dir=on");
    if (r == -ENODEV) {
        give_up("the kernel has no overlayfs (CONFIG_OVERLAY_FS=y, or =m and its module): boot one "
                "that has, or say --root DIR,rw or --root DIR,ro",
                c->note != NULL ? "; " : NULL, c->note);
    }
    if (r < 0) {
        number_text(error, -r);
        give_up("--root: the overlay cannot be mounted (-v shows why): error ", error, NULL);
    }
}

// ---- what the guest has of its own

// A list of root's own programs' and of the kernel's; where one is not known, or there is no such
// folder, nothing is lost.
static void mount_fresh(bool is_refused)
{
    static const struct {
        const char *type, *at;
        unsigned long flags;
        const char *options;
    } fresh[] = {{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
                 {"debugfs", "/sys/kernel/debug", KERNELS, NULL},
                 {"tracefs", "/sys/kernel/tracing", KERNELS, NULL},
                 {"securityfs", "/sys/kernel/security", KERNELS, NULL},
                 {"configfs", "/sys/kernel/config", KERNELS, NULL},
                 {"cgroup2", "/sys/fs/cgroup", KERNELS, NULL},
                 {"bpf", "/sys/fs/bpf", KERNELS, NULL},
                 {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"}};
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"}};
    unsigned count = sizeof(fresh) / sizeof(fresh[0]);

    for (unsigned i = 0; i < count - !is_refused; i++) { // without writes /tmp is fresh, too
        make_folder(fresh[i].at, 0755);
        CALL5(mount, fresh[i].type, fresh[i].at, fresh[i].type, fresh[i].flags, fresh[i].options);
    }
    make_folder("/run/lock", 01777);
    for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        CALL(symlinkat, links[i][0], AT_FDCWD, links[i][1], 0);
    }
}

// ---- the network

struct address { // struct sockaddr_in
    unsigned short family, port;
    unsigned char ip[4], room[8];
};

// The next of "A.B.C.D A.B.C.D...".
static struct address next_address(const char **text)
{
    struct address a = {.family = AF_INET};

    for (unsigned i = 0; i < 4; i++) {
        a.ip[i] = (unsigned char)number(text);
        *text += **text == '.' || **text == ' ';
    }
    return a;
}

static void set_up_card(struct address own, struct address mask, struct address gateway)
{
    struct {
        char name[16];
        union {
            struct address address;
            short flags;
            char room[24];
        } u;
    } card = {.name = "eth0", .u.address = own};
    struct { // struct rtentry
        unsigned long room;
        struct address to, gateway, mask;
        unsigned short flags, room2;
        unsigned long room3[7];
    } route = {.to.family = AF_INET,
               .mask.family = AF_INET,
               .gateway = gateway,
               .flags = RTF_UP | RTF_GATEWAY};
    long fd = CALL(socket, AF_INET, SOCK_DGRAM, 0, 0);

    if (fd < 0) {
        return;
    }
    CALL(ioctl, fd, SIOCSIFADDR, &card, 0);
    card.u.address = mask;
    CALL(ioctl, fd, SIOCSIFMASK, &card, 0);
    if (CALL(ioctl, fd, SIOCGIFFLAGS, &card, 0) == 0) {
        card.u.flags |= IFF_UP;
        CALL(ioctl, fd, SIOCSIFFLAGS, &card, 0);
    }
    CALL(ioctl, fd, SIOCADDRT, &route, 0);
    close_file((int)fd);
}

// In its own file, under the name by which programs know it: where that is a link to a file that a
// daemon would make in /run, as this file; else there is a mount on it, or a link of ours.
static void set_name_server(const char *server)
{
    static const char file[] = "/run/minivet.resolv.conf", known[] = "/etc/resolv.conf";
    char text[64], link[PATH_BYTES] = "", path[PATH_BYTES];
    const char *at = link;
    long fd = CALL(openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    join(text, sizeof(text), "nameserver ", server, "\n", NULL);
    if (fd < 0) {
        return;
    }
    CALL(write, fd, text, length(text), 0);
    close_file((int)fd);
    if (CALL5(mount, file, known, NULL, MS_BIND, NULL) == 0) {
        return;
    }
    CALL(readlinkat, AT_FDCWD, known, link, sizeof(link) - 1);
    while (begins(at, "../")) {
        at += 3;
    }
    at += *at == '/';
    join(path, sizeof(path), "/", at, NULL, NULL);
    if (begins(path, "/run/")) {
        make_parents(path);
    }
    CALL(symlinkat, file, AT_FDCWD, begins(path, "/run/") ? path : known, 0);
}

static void set_up_network(const char *text)
{
    struct address own = next_address(&text), mask = next_address(&text);

    set_up_card(own, mask, next_address(&text));
    set_name_server(text);
}

// ---- all of it

void enter_host_root(const struct command *c)
{
    bool is_kept = equal(c->root, COMMAND_ROOT_KEPT);
    bool is_refused = equal(c->root, COMMAND_ROOT_REFUSED);
    char library[PATH_BYTES];
    bool has_layers = is_kept || equal(c->root, COMMAND_ROOT_MEMORY);

    make_folder(NEW_ROOT, 0755);
    mount_share(c, ROOT_TAG, has_layers ? LOWER : NEW_ROOT,
                has_layers || is_refused ? MS_RDONLY : 0);
    if (has_layers) {
        mount_layers(c, is_kept);
    }
    enter_root();
    mount_fresh(is_refused);
    if (c->has_library) {
        join(library, sizeof(library), module_folder(), NULL, NULL, NULL);
        make_parents(library);
        mount_share(c, ROOT_MODULES_TAG, library, MS_RDONLY);
    }
    if (c->address != NULL) {
        set_up_network(c->address);
    }
}
