// SPDX-License-Identifier: BSD-2-Clause
#include "arch/fdt_board.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/mmio_rtc.h"
#include "devices/platform/serial.h"
#include "firmware/fdt/tree_file.h"

struct board {
    struct board_config config;
    const struct fdt_board_kind *kind;
    void *controller; /* NULL: there is none */
    struct byte_device *debug_exit, *pvpanic;
    struct mmio_rtc *rtc;
    struct serial *serial;
    struct irq_line serial_irq;
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
    int r = c->hv->irq_line(c->vm, b->kind->serial.irq, IRQ_BY_EVENTFD, &b->serial_irq);
    return r < 0 ? r
                 : serial_create(&b->serial, &(struct serial_config){.bus = c->mmio,
                                                                     .base = b->kind->serial.gpa,
                                                                     .irq = b->serial_irq,
                                                                     .loop = c->loop,
                                                                     .chr = c->serial});
}

static int create_devices(struct board *b)
{
    const struct fdt_board_kind *k = b->kind;
    int r = k->create_controller != NULL ? k->create_controller(&b->config, &b->controller) : 0;
    if (r == 0)
        r = create_byte(b, &b->debug_exit, &debug_exit_kind, k->debug_exit_gpa);
    if (r == 0)
        r = create_byte(b, &b->pvpanic, &pvpanic_kind, k->pvpanic_gpa);
    if (r == 0)
        r = mmio_rtc_create(&b->rtc, k->rtc.kind,
                            &(struct mmio_rtc_config){b->config.mmio, k->rtc.gpa, &clock_host});
    if (r == 0 && b->config.serial != NULL)
        r = create_serial(b);
    return r;
}

int fdt_board_create(struct board **out, const struct board_config *config,
                     const struct fdt_board_kind *kind)
{
    struct board *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return fail(-ENOMEM, "board");
    b->config = *config;
    b->kind = kind;
    int r = create_devices(b);
    if (r == 0)
        r = kind->tree(config, &b->tree);
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
    serial_destroy(b->serial);
    if (b->serial_irq.set != NULL)
        b->config.hv->irq_line_release(b->config.vm, &b->serial_irq);
    mmio_rtc_destroy(b->rtc);
    byte_device_destroy(b->pvpanic);
    byte_device_destroy(b->debug_exit);
    if (b->controller != NULL)
        b->kind->destroy_controller(b->controller);
    free(b->tree.ctx);
    free(b);
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
        .serial = {b->serial != NULL ? b->kind->serial.gpa : 0, b->kind->serial.irq},
        .pvpanic_gpa = b->kind->pvpanic_gpa,
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

/* What Linux has drivers for everywhere (gpio-keys is a module) would take a GPIO controller, too.
 */
void fdt_board_press_power(struct board *b)
{
    (void)b;
    log_warn("this machine has no power button; shut the guest down from within");
}

const struct linux_image *fdt_board_image(const struct board *b)
{
    return &b->image;
}

const struct board_config *fdt_board_config(const struct board *b)
{
    return &b->config;
}
