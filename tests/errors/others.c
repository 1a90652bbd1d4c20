// SPDX-License-Identifier: BSD-2-Clause
/* A terminal, a storage daemon and what boards have, on a host that refuses. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/peers/confine.h"
#include "core/ports/bus.h"
#include "core/ports/chr.h"
#include "core/ports/display.h"
#include "core/ports/hv.h"
#include "devices/char/chr_stdio.h"
#include "devices/disk/image/storage_daemon.h"
#include "devices/display/turns.h"
#include "devices/input/hub.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/framebuffer.h"
#include "devices/platform/fw_cfg.h"
#include "devices/platform/i8042.h"
#include "devices/platform/pci_host.h"
#include "devices/platform/pvpanic_pci.h"
#include "devices/platform/rtc.h"
#include "devices/platform/serial.h"
#include "devices/platform/watchdog.h"
#include "tests/errors/refuse.h"
#include "tests/harness/fake.h"

/* ---- a terminal ---- */

static int terminal_fds(int *guest)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(unlockpt(fd), 0);
    *guest = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
    cr_assert_geq(*guest, 0);
    return fd;
}

static int terminal(void)
{
    struct chr_backend *chr = NULL;
    struct evloop *loop;
    int guest, fd = terminal_fds(&guest);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    refuse_begin();
    int err = chr_stdio_create(
        &chr, &(struct chr_stdio_config){.loop = loop, .in_fd = guest, .out_fd = guest});
    if (err == 0) {
        chr_stdio_begin(chr);
        chr->ops->rx_enable(chr, 64);
        chr->ops->write(chr, (const uint8_t *)"hello\n", 6);
        (void)!write(fd, "ab\x01\x01c", 5);
        evloop_drain(loop);
        chr_stdio_resized(chr);
        chr->ops->flush(chr);
        evloop_drain(loop);
        chr->ops->destroy(chr);
    }
    refuse_end();
    evloop_destroy(loop);
    close(guest);
    close(fd);
    return err;
}

static int pipes(void)
{
    struct chr_backend *chr = NULL;
    struct evloop *loop;
    int in[2], out[2];
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    refuse_begin();
    int err = chr_stdio_create(
        &chr, &(struct chr_stdio_config){.loop = loop, .in_fd = in[0], .out_fd = out[1]});
    if (err == 0) {
        chr->ops->rx_enable(chr, 64);
        chr->ops->write(chr, (const uint8_t *)"hello\n", 6);
        (void)!write(in[1], "hello", 5);
        evloop_drain(loop);
        chr->ops->flush(chr);
        chr->ops->destroy(chr);
    }
    refuse_end();
    evloop_destroy(loop);
    for (unsigned i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    return err;
}

Test(errors, terminal)
{
    signal(SIGPIPE, SIG_IGN);
    /* What cannot be polled says EPERM, and is a file. */
    refuse_each_but(terminal, EPERM);
    refuse_each_but(pipes, EPERM);
}

/* ---- a storage daemon ---- */

static char dir[] = "/tmp/minivet-errors-XXXXXX", script[64];

static int daemon_starts(void)
{
    struct storage_daemon *d = NULL;
    struct storage_daemon_config config = {
        .name = "vda",
        .path = script, /* a program that is open for writing could not be executed */
        .format = "raw",
        .program = script,
        .read_only = true,
        .direct = true,
        .unconfined = true,
    };
    refuse_begin();
    int err = storage_daemon_create(&d, &config);
    int fd = err == 0 ? storage_daemon_connect(d) : err;
    storage_daemon_destroy(d);
    refuse_end();
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

Test(errors, storage_daemon)
{
    cr_assert_not_null(mkdtemp(dir));
    setenv("TMPDIR", dir, 1);
    snprintf(script, sizeof(script), "%s/program", dir);
    FILE *f = fopen(script, "w");
    cr_assert_not_null(f);
    fputs("#!/bin/sh\necho 1 >\"$6\"\nexec sleep 100\n", f);
    fclose(f);
    chmod(script, 0700);
    refuse_each(daemon_starts);
    unlink(script);
    cr_expect_eq(rmdir(dir), 0, "something was left in %s", dir);
}

static int confinement_is_made(void)
{
    static const struct confine_call calls[] = {{.name = "read"}, {0}};
    struct confine_path path = {.path = "/", .rights = CONFINE_READ};
    struct confine *c = NULL;
    refuse_begin();
    int err = confine_prepare(
        &c, &(struct confine_policy){.name = "x", .calls = calls, .paths = &path, .path_count = 1});
    confine_destroy(c);
    refuse_end();
    return err;
}

Test(errors, confinement)
{
    refuse_each(confinement_is_made);
}

/* ---- keys and pointers ---- */

static int input_hub_scene(void)
{
    struct input_hub *made = NULL;
    struct evloop *loop;
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    refuse_begin();
    int err = input_hub_create(&made, loop);
    input_hub_destroy(made);
    refuse_end();
    evloop_destroy(loop);
    return err;
}

Test(errors, input_hub)
{
    refuse_each(input_hub_scene);
}

/* ---- a board ---- */

static struct bus *pio, *mmio;
static struct evloop *board_loop;

/* Makes a device, and unmakes it. */
#define SCENE(device, ...)                                                        \
    static int device##_scene(void)                                               \
    {                                                                             \
        struct device *made = NULL;                                               \
        cr_assert_eq(bus_create(&pio, "pio", 1 << 16), 0);                        \
        cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 40), 0);            \
        cr_assert_eq(evloop_create(&board_loop, "test", &clock_host), 0);         \
        refuse_begin();                                                           \
        int err = device##_create(&made, &(struct device##_config){__VA_ARGS__}); \
        device##_destroy(made);                                                   \
        refuse_end();                                                             \
        evloop_destroy(board_loop);                                               \
        bus_destroy(pio);                                                         \
        bus_destroy(mmio);                                                        \
        return err;                                                               \
    }

#define SMALL(device)                                                                            \
    static int device##_scene(void)                                                              \
    {                                                                                            \
        struct byte_device *made = NULL;                                                         \
        cr_assert_eq(bus_create(&pio, "pio", 1 << 16), 0);                                       \
        refuse_begin();                                                                          \
        int err =                                                                                \
            byte_device_create(&made, &device##_kind, &(struct byte_device_config){.bus = pio}); \
        byte_device_destroy(made);                                                               \
        refuse_end();                                                                            \
        bus_destroy(pio);                                                                        \
        return err;                                                                              \
    }

SMALL(acpi_pm)
SMALL(debug_exit)
SMALL(post_code)
SMALL(pvpanic)
SCENE(fw_cfg, .bus = pio)
SCENE(i8042, .pio = pio)
SCENE(pci_host, .pio = pio, .mmio = mmio, .ecam_gpa = 0xb0000000)
SCENE(pvpanic_pci, .mmio = mmio)
SCENE(rtc, .pio = pio, .clock = &clock_host, .loop = board_loop)

static int watchdog_scene(void)
{
    struct watchdog *made = NULL;
    cr_assert_eq(bus_create(&pio, "pio", 1 << 16), 0);
    cr_assert_eq(evloop_create(&board_loop, "test", &clock_host), 0);
    refuse_begin();
    int err = watchdog_create(
        &made, &wdat_kind,
        &(struct watchdog_config){.bus = pio, .clock = &clock_host, .loop = board_loop});
    watchdog_destroy(made);
    refuse_end();
    evloop_destroy(board_loop);
    bus_destroy(pio);
    return err;
}

Test(errors, board)
{
    refuse_each(acpi_pm_scene);
    refuse_each(debug_exit_scene);
    refuse_each(fw_cfg_scene);
    refuse_each(i8042_scene);
    refuse_each(pci_host_scene);
    refuse_each(post_code_scene);
    refuse_each(pvpanic_scene);
    refuse_each(pvpanic_pci_scene);
    refuse_each(rtc_scene);
    refuse_each(watchdog_scene);
}

/* ---- a framebuffer, on a display for two ---- */

static unsigned displays;

static void take_surface(struct display_backend *b, unsigned scanout,
                         const struct display_surface *surface)
{
    (void)b, (void)scanout, (void)surface;
}

static void drop_display(struct display_backend *b)
{
    (void)b;
    displays--;
}

static int take_memory(struct hv_vm *vm, uint64_t gpa, void *hva, uint64_t bytes)
{
    (void)vm, (void)gpa, (void)hva, (void)bytes;
    return 0;
}

/* The hypervisor has no log, so that there is a copy. */
static int framebuffer_on_turns(void)
{
    static const struct hv hv = {.memory_logged = take_memory};
    static const struct display_backend_ops ops = {.set_surface = take_surface,
                                                   .destroy = drop_display};
    struct display_backend display = {.ops = &ops}, *first = NULL, *second = NULL;
    struct framebuffer *fb = NULL;
    struct evloop *loop;
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    displays = 1;
    refuse_begin();
    int err = display_turns_create(&first, &second, &display);
    if (err == 0)
        err = framebuffer_create(&fb, &(struct framebuffer_config){.width = 64,
                                                                   .height = 64,
                                                                   .hv = &hv,
                                                                   .loop = loop,
                                                                   .clock = &clock_host,
                                                                   .display = first});
    framebuffer_destroy(fb);
    if (first != NULL) {
        first->ops->destroy(first);
        second->ops->destroy(second);
    }
    refuse_end();
    evloop_destroy(loop);
    cr_assert_eq(displays, 0);
    return err;
}

Test(errors, framebuffer)
{
    refuse_each(framebuffer_on_turns);
}
