// SPDX-License-Identifier: BSD-2-Clause
#include "init.h"

#define IFF_UP       1
#define AF_INET      2
#define SOCK_DGRAM   2
#define SIOCGIFFLAGS 0x8913
#define SIOCSIFFLAGS 0x8914

// What the guest's initramfs, or another program before this one, has mounted stays.
static void mount_usual(void)
{
    static const struct {
        const char *type, *at;
    } usual[] = {{"proc", "/proc"},
                 {"sysfs", "/sys"},
                 {"devtmpfs", "/dev"},
                 {"devpts", "/dev/pts"},
                 {"tmpfs", "/dev/shm"}};

    for (unsigned i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        CALL(mkdirat, AT_FDCWD, usual[i].at, 0755, 0);
        CALL5(mount, usual[i].type, usual[i].at, usual[i].type, 0, NULL);
    }
    CALL(mkdirat, AT_FDCWD, "/tmp", 01777, 0);
}

// A machine that calls itself "(none)" gets a name; programs talk to themselves by the loopback.
static void name_and_loopback(void)
{
    char name[65];
    struct {
        char name[16];
        short flags;
        char room[22];
    } lo = {.name = "lo"};

    if (read_text("/proc/sys/kernel/hostname", name, sizeof(name)) > 0 && equal(name, "(none)")) {
        CALL(sethostname, "minivet", 7, 0, 0);
    }
    long fd = CALL(socket, AF_INET, SOCK_DGRAM, 0, 0);
    if (fd >= 0 && CALL(ioctl, fd, SIOCGIFFLAGS, &lo, 0) == 0) {
        lo.flags |= IFF_UP;
        CALL(ioctl, fd, SIOCSIFFLAGS, &lo, 0);
    }
    if (fd >= 0) {
        close_file((int)fd);
    }
}

static void load_drivers(void)
{
    static const char *const drivers[] = {
#define DRIVER(name) name,
#include "vmm/command/drivers.def"
    };

    for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        load_module(drivers[i]);
    }
}

// A terminal is both ways, and what is joined has no port of its own.
static void name_ports(const struct command *c, struct port ports[PORTS])
{
    const char *const names[PORTS] = {
        [PORT_CONTROL] = COMMAND_PORT_CONTROL,
        [PORT_OUTPUT] = c->has_terminal ? COMMAND_PORT_TTY : COMMAND_PORT_STDOUT,
        [PORT_INPUT] = c->has_terminal ? NULL : COMMAND_PORT_STDIN,
        [PORT_ERROR] = c->is_joined ? NULL : COMMAND_PORT_STDERR,
    };
    for (unsigned i = 0; i < PORTS; i++) {
        ports[i] = (struct port){names[i], -1};
    }
}

__attribute__((noreturn, used)) static void begin(void)
{
    static struct command command;
    static struct port ports[PORTS];

    mount_usual();
    read_command(&command);
    load_drivers();
    name_ports(&command, ports);
    find_ports(ports, PORTS);
    name_and_loopback();
    if (command.root != NULL) {
        enter_host_root(&command);
    } else {
        change_root();
    }
    serve(&command, ports);
    for (;;) {
    }
}

START;
