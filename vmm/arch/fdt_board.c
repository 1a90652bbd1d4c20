// SPDX-License-Identifier: BSD-2-Clause
#include "arch/fdt_board.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/passed_files.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/mmio_rtc.h"
#include "devices/platform/pvpanic_pci.h"
#include "devices/platform/serial.h"
#include "devices/platform/watchdog.h"
#include "firmware/fdt/tree_file.h"

const unsigned fdt_board_virtio_irqs[FDT_VIRTIO_WINDOWS] = {
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47};

static const unsigned button_irqs[POWER_BUTTONS] = {
    [POWER_BUTTON] = FDT_POWER_IRQ, [SLEEP_BUTTON] = FDT_SLEEP_IRQ};

struct board {
    struct board_config config;
    const struct fdt_board_kind *kind;
    struct byte_device *debug_exit, *pvpanic;
    struct pvpanic_pci *pvpanic_pci; /* on the bus if anything else is */
    struct mmio_rtc *rtc;
    struct serial *serial;
    struct watchdog *watchdog;  /* NULL: there is none */
    struct passed_files *files; /* likewise */
    struct irq_line serial_irq, buttons[POWER_BUTTONS];
    struct board_devices devices;
    struct tree_arch tree;
    struct linux_image image;
};

static int create_byte(const struct board *b, struct byte_device **out,
                       const struct byte_device_kind *kind, uint64_t gpa)
{
    struct byte_device_config config = {
        .bus = b->config.mmio, .base = gpa, .power = b->config.power};
    return byte_device_create(out, kind, &config);
}

static int create_serial(struct board *b)
{
    const struct board_config *c = &b->config;
    int r = c->hv->irq_line(c->vm, FDT_SERIAL_IRQ, IRQ_BY_EVENTFD, &b->serial_irq);
    return r < 0 ? r
                 : serial_create(&b->serial, &(struct serial_config){.bus = c->mmio,
                                                                     .base = FDT_SERIAL_GPA,
                                                                     .irq = b->serial_irq,
                                                                     .loop = c->loop,
                                                                     .chr = c->serial});
}

static int create_devices(struct board *b)
{
    const struct board_config *c = &b->config;
    int r = create_byte(b, &b->debug_exit, &debug_exit_kind, FDT_DEBUG_EXIT_GPA);
    if (r == 0)
        r = create_byte(b, &b->pvpanic, &pvpanic_kind, FDT_PVPANIC_GPA);
    if (r == 0)
        r = pvpanic_pci_create(&b->pvpanic_pci, &(struct pvpanic_pci_config){c->mmio, c->power});
    if (r == 0)
        r = mmio_rtc_create(
            &b->rtc, b->kind->rtc,
            &(struct mmio_rtc_config){c->mmio, FDT_RTC_GPA, &clock_host, c->clock_ahead_s});
    for (unsigned i = 0; r == 0 && i < POWER_BUTTONS; i++)
        r = c->hv->irq_line(c->vm, button_irqs[i], IRQ_BY_CALL, &b->buttons[i]);
    if (r == 0 && c->serial != NULL)
        r = create_serial(b);
    if (r == 0 && c->file_count > 0)
        r = passed_files_create(&b->files, c, BUS_MMIO, FDT_FW_CFG_GPA);
    if (r == 0 && c->watchdog.on)
        r = watchdog_create(&b->watchdog, b->kind->watchdog,
                            &(struct watchdog_config){.bus = c->mmio,
                                                      .base = FDT_WATCHDOG_GPA,
                                                      .clock = &clock_host,
                                                      .loop = c->loop,
                                                      .boot_ns = c->watchdog.boot_ns,
                                                      .has_bitten = c->watchdog.has_bitten,
                                                      .on_bite = c->watchdog.on_bite,
                                                      .ctx = c->ctx});
    return r;
}

/* What only other machines have. */
static int check(const struct board_config *config, const struct fdt_board_kind *kind)
{
    if (config->watchdog.on && kind->watchdog == NULL)
        return fail_msg(-EINVAL, "--watchdog: stock kernels have no driver for one of this "
                                 "machine; leave it out");
    if (config->smbios != NULL)
        return fail_msg(-EINVAL, "--smbios: only an x86-64 machine has it; leave it out");
    return 0;
}

int fdt_board_create(struct board **out, const struct board_config *config,
                     const struct fdt_board_kind *kind)
{
    struct board *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return fail(-ENOMEM, "board");
    b->config = *config;
    b->kind = kind;
    int r = check(config, kind);
    if (r == 0)
        r = kind->create(config, &b->tree);
    if (r == 0)
        r = create_devices(b);
    if (r < 0) {
        fdt_board_destroy(b);
        return r;
    }
    *out = b;
    return 0;
}

void fdt_board_flush(struct board *b)
{
    if (b->serial != NULL)
        serial_flush(b->serial);
}

void fdt_board_destroy(struct board *b)
{
    if (b == NULL)
        return;
    watchdog_destroy(b->watchdog);
    passed_files_destroy(b->files);
    serial_destroy(b->serial);
    struct irq_line *const lines[] = {&b->serial_irq, &b->buttons[POWER_BUTTON],
                                      &b->buttons[SLEEP_BUTTON]};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        if (lines[i]->set != NULL)
            b->config.hv->irq_line_release(b->config.vm, lines[i]);
    mmio_rtc_destroy(b->rtc);
    pvpanic_pci_destroy(b->pvpanic_pci);
    byte_device_destroy(b->pvpanic);
    byte_device_destroy(b->debug_exit);
    if (b->tree.ctx != NULL)
        b->kind->destroy(b->tree.ctx);
    free(b);
}

struct pci_function *fdt_board_function(struct board *b)
{
    return pvpanic_pci_function(b->pvpanic_pci);
}

/* The tree is written when it is known where the initrd is. */
int fdt_board_describe(struct board *b, const struct board_devices *devices)
{
    b->devices = *devices;
    return 0;
}

int fdt_board_load_kernel(struct board *b, const struct boot_request *request)
{
    const struct arch *arch = b->kind->arch;
    struct machine_tree tree = {
        .arch = b->tree,
        .gmem = b->config.gmem,
        .vcpus = b->config.vcpus,
        .serial = {b->serial != NULL ? FDT_SERIAL_GPA : 0, FDT_SERIAL_IRQ},
        .pvpanic_gpa = FDT_PVPANIC_GPA,
        .fw_cfg_gpa = b->files != NULL ? FDT_FW_CFG_GPA : 0,
        .power_irq = FDT_POWER_IRQ,
        .sleep_irq = FDT_SLEEP_IRQ,
        .virtio = {arch->virtio.gpa, arch->virtio.stride, b->devices.virtio_windows,
                   arch->virtio.irqs},
        .pci = {arch->pci.ecam_gpa, b->devices.pci ? arch->pci.ecam_bytes : 0, b->devices.windows,
                arch->pci.irq},
        .framebuffer = request->framebuffer,
        .entropy = request->entropy,
    };
    int r = linux_image_load(b->config.gmem, &b->kind->image, request, &b->image);
    return r < 0 ? r : tree_load(b->config.gmem, &tree, request, &b->image);
}

void fdt_board_devices(const struct board *b, struct facts *f)
{
    if (b->serial != NULL)
        serial_describe(b->serial, f);
    mmio_rtc_describe(b->rtc, f);
}

void fdt_board_press(struct board *b, enum power_button button)
{
    irq_pulse(&b->buttons[button]);
}

void fdt_board_hold(struct board *b, bool on)
{
    if (b->watchdog != NULL)
        watchdog_hold(b->watchdog, on);
}

const struct linux_image *fdt_board_image(const struct board *b)
{
    return &b->image;
}

const struct board_config *fdt_board_config(const struct board *b)
{
    return &b->config;
}
