// SPDX-License-Identifier: BSD-2-Clause
//
// The ports of the virtio console that lead to Minivet. They come one by one, a while after their
// driver, and are found by their names. Their files are made here: there may be no devtmpfs.
#include "init.h"

#define CLASS     "/sys/class/virtio-ports"
#define S_IFCHR   0020000
#define RETRY_MS  5
#define NAME_ROOM 64

struct search {
    struct port *ports;
    unsigned count, missing;
};

long make_node(const char *path, const char *numbers, unsigned kind)
{
    unsigned long major = number(&numbers);

    numbers += *numbers == ':';
    unsigned long minor = number(&numbers);
    long r = CALL(mknodat, AT_FDCWD, path, kind | 0600,
                  (minor & 0xff) | major << 8 | (minor & ~0xffUL) << 12);
    return r == -EEXIST ? 0 : r;
}

static void open_port(struct search *s, struct port *p, const char *folder)
{
    char path[PATH_BYTES], device[NAME_ROOM];

    join(path, sizeof(path), CLASS "/", folder, "/dev", NULL);
    if (read_text(path, device, sizeof(device)) <= 0) {
        return;
    }
    join(path, sizeof(path), "/" COMMAND_FOLDER "/", folder, NULL, NULL);
    if (make_node(path, device, S_IFCHR) == 0) {
        p->fd = (int)open_file(path, O_RDWR | O_NONBLOCK);
        s->missing -= p->fd >= 0;
    }
}

static bool look_at(void *ctx, const char *folder)
{
    struct search *s = ctx;
    char path[PATH_BYTES], name[NAME_ROOM];

    join(path, sizeof(path), CLASS "/", folder, "/name", NULL);
    if (read_text(path, name, sizeof(name)) <= 0) {
        return false;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (s->ports[i].name != NULL && s->ports[i].fd < 0 && equal(s->ports[i].name, name)) {
            open_port(s, &s->ports[i], folder);
        }
    }
    return s->missing == 0;
}

static bool is_console(void *ctx, const char *folder)
{
    char path[PATH_BYTES], type[NAME_ROOM];

    (void)ctx;
    join(path, sizeof(path), "/sys/bus/virtio/devices/", folder, "/device", NULL);
    return read_text(path, type, sizeof(type)) > 0 && equal(type, "0x0003");
}

// Says what is missing.
__attribute__((noreturn)) static void no_ports(void)
{
    long fd = open_file(CLASS, O_RDONLY);

    if (!each_name("/sys/bus/virtio/devices", is_console, NULL)) {
        give_up(
            "the kernel has no driver for virtio devices (virtio_mmio, or virtio_pci), nor is it "
            "a module in the initrd's ",
            module_folder(), "/modules.dep");
    }
    if (fd < 0) {
        give_up("the kernel has no driver for the virtio console (virtio_console), nor is it a "
                "module in the initrd's ",
                module_folder(), "/modules.dep");
    }
    give_up("the virtio console's ports to Minivet have not come", NULL, NULL);
}

// Before that a port has no other end: what is written is refused, what is read ends.
static void wait_for_other_end(const struct search *s, long end_ms)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct poll_fd fd = {.fd = s->ports[i].fd, .events = POLLOUT};

        while (fd.fd >= 0 && poll_for(&fd, 1, 0) >= 0 && (fd.seen & POLLHUP)) {
            if (now_ms() > end_ms) {
                no_ports();
            }
            sleep_ms(1);
        }
    }
}

void find_ports(struct port *ports, unsigned count)
{
    struct search s = {ports, count, 0};
    long end_ms = now_ms() + WAIT_MS;

    for (unsigned i = 0; i < count; i++) {
        s.missing += ports[i].name != NULL;
    }
    while (!each_name(CLASS, look_at, &s)) {
        if (now_ms() > end_ms) {
            no_ports();
        }
        sleep_ms(RETRY_MS);
    }
    wait_for_other_end(&s, end_ms);
}
