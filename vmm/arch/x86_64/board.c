// SPDX-License-Identifier: BSD-2-Clause
/*
 * The x86-64 machine: a PC without legacy interrupt controllers, described by ACPI tables. Its
 * numbers are in firmware/x86/x86_layout.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "arch/passed_files.h"
#include "arch/x86_64/power_on.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/ports/hv.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/framebuffer.h"
#include "devices/platform/fw_cfg.h"
#include "devices/platform/i8042.h"
#include "devices/platform/pci_host.h"
#include "devices/platform/rtc.h"
#include "devices/platform/serial.h"
#include "devices/platform/watchdog.h"
#include "firmware/acpi/acpi.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/smbios/smbios.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/linux_boot.h"
#include "firmware/x86/reset_vector.h"
#include "firmware/x86/x86_layout.h"

/* The devices and the tables that describe them live in layers that cannot see each other. */
_Static_assert(X86_PM_PORT + ACPI_PM_SLEEP_CONTROL == X86_SLEEP_CONTROL_PORT &&
                   X86_PM_PORT + ACPI_PM_SLEEP_STATUS == X86_SLEEP_STATUS_PORT &&
                   X86_PM_PORT + ACPI_PM_RESET == X86_RESET_PORT,
               "ports of the ACPI registers");
_Static_assert(ACPI_PM_RESET_VALUE == X86_RESET_VALUE && ACPI_PM_SLP_TYP_S5 == X86_S5_TYPE,
               "values of the ACPI registers");
_Static_assert(X86_FRAMEBUFFER_GPA >= X86_ECAM_GPA + X86_ECAM_BYTES &&
                   X86_FRAMEBUFFER_GPA + FRAMEBUFFER_BYTES_MAX <= X86_VIRTIO_GPA,
               "the framebuffer is clear of other devices");
_Static_assert(RTC_PORT == X86_RTC_PORT, "port of the clock");
_Static_assert(WDAT_PET == X86_WATCHDOG_PET && WDAT_RUNS == X86_WATCHDOG_RUNS &&
                   WDAT_PERIOD == X86_WATCHDOG_PERIOD && WDAT_LEFT == X86_WATCHDOG_LEFT &&
                   WDAT_BITTEN == X86_WATCHDOG_BITTEN && WDAT_BYTES == X86_WATCHDOG_PORTS &&
                   WDAT_UNIT_MS == X86_WATCHDOG_UNIT_MS && WDAT_MAX == X86_WATCHDOG_MAX,
               "registers of the watchdog");
_Static_assert(FW_CFG_PORTS == X86_FW_CFG_PORTS, "ports of fw_cfg");
_Static_assert(X86_PCI_INTX_GSIS == PCI_HOST_WIRES, "wires of PCI's INTx");

static const struct {
    const struct byte_device_kind *kind;
    uint16_t port;
} bytes[] = {{&debug_exit_kind, X86_DEBUG_EXIT_PORT},
             {&post_code_kind, X86_POST_PORT},
             {&acpi_pm_kind, X86_PM_PORT},
             {&pvpanic_kind, X86_PVPANIC_PORT}};

static const unsigned button_gsis[POWER_BUTTONS] = {
    [POWER_BUTTON] = X86_GSI_POWER, [SLEEP_BUTTON] = X86_GSI_SLEEP};

struct board {
    struct board_config config;
    struct byte_device *bytes[ARRAY_SIZE(bytes)];
    struct rtc *rtc;
    struct i8042 *i8042;
    struct serial *serial;
    struct passed_files *files; /* NULL: there are none */
    struct watchdog *watchdog;  /* likewise */
    struct irq_line serial_irq, rtc_irq, buttons[POWER_BUTTONS];
    struct boot_state state;
};

static int create_serial(struct board *b)
{
    const struct board_config *c = &b->config;
    int r = c->hv->irq_line(c->vm, X86_GSI_SERIAL, IRQ_BY_EVENTFD, &b->serial_irq);
    return r < 0 ? r
                 : serial_create(&b->serial, &(struct serial_config){.bus = c->pio,
                                                                     .base = X86_SERIAL_PORT,
                                                                     .irq = b->serial_irq,
                                                                     .loop = c->loop,
                                                                     .chr = c->serial});
}

static int create_rtc(struct board *b)
{
    const struct board_config *c = &b->config;
    const struct gmem_region *high = &c->gmem->regions[c->gmem->count - 1];
    int r = c->hv->irq_line(c->vm, X86_GSI_RTC, IRQ_BY_CALL, &b->rtc_irq);
    return r < 0 ? r
                 : rtc_create(&b->rtc, &(struct rtc_config){
                                           .pio = c->pio,
                                           .clock = &clock_host,
                                           .loop = c->loop,
                                           .irq = b->rtc_irq,
                                           .ahead_s = c->clock_ahead_s,
                                           .ram_below_4g_bytes = c->gmem->regions[0].bytes,
                                           .ram_above_4g_bytes =
                                               high->gpa == X86_HOLE_END_GPA ? high->bytes : 0,
                                       });
}

static int create_devices(struct board *b)
{
    const struct board_config *c = &b->config;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(bytes); i++)
        r = byte_device_create(&b->bytes[i], bytes[i].kind,
                               &(struct byte_device_config){.bus = c->pio,
                                                            .base = bytes[i].port,
                                                            .power = c->power,
                                                            .on_byte = c->on_post_code,
                                                            .ctx = c->ctx});
    if (r == 0)
        r = create_rtc(b);
    if (r == 0)
        r = i8042_create(&b->i8042, &(struct i8042_config){.pio = c->pio, .power = c->power});
    for (unsigned i = 0; r == 0 && i < POWER_BUTTONS; i++)
        r = c->hv->irq_line(c->vm, button_gsis[i], IRQ_BY_CALL, &b->buttons[i]);
    if (r == 0 && c->serial != NULL)
        r = create_serial(b);
    if (r == 0 && c->file_count > 0)
        r = passed_files_create(&b->files, c, BUS_PIO, X86_FW_CFG_PORT);
    if (r == 0 && c->watchdog.on)
        r = watchdog_create(&b->watchdog, &wdat_kind,
                            &(struct watchdog_config){.bus = c->pio,
                                                      .base = X86_WATCHDOG_PORT,
                                                      .clock = &clock_host,
                                                      .loop = c->loop,
                                                      .boot_ns = c->watchdog.boot_ns,
                                                      .has_bitten = c->watchdog.has_bitten,
                                                      .on_bite = c->watchdog.on_bite,
                                                      .ctx = c->ctx});
    return r;
}

static void board_destroy(struct board *b)
{
    if (b == NULL)
        return;
    watchdog_destroy(b->watchdog);
    passed_files_destroy(b->files);
    serial_destroy(b->serial);
    i8042_destroy(b->i8042);
    rtc_destroy(b->rtc);
    struct irq_line *const lines[] = {&b->serial_irq, &b->rtc_irq, &b->buttons[POWER_BUTTON],
                                      &b->buttons[SLEEP_BUTTON]};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        if (lines[i]->set != NULL)
            b->config.hv->irq_line_release(b->config.vm, lines[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++)
        byte_device_destroy(b->bytes[i]);
    free(b);
}

static int board_create(struct board **out, const struct board_config *config)
{
    struct board *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return fail(-ENOMEM, "board");
    b->config = *config;
    int r = create_devices(b);
    if (r < 0) {
        board_destroy(b);
        return r;
    }
    *out = b;
    return 0;
}

static void board_flush(struct board *b)
{
    if (b->serial != NULL)
        serial_flush(b->serial);
}

static int describe(struct board *b, const struct board_devices *devices)
{
    static const struct smbios_config usual;
    const struct board_config *c = &b->config;
    struct acpi_config acpi = {
        .vcpus = c->vcpus,
        .serial = b->serial != NULL,
        .fw_cfg = b->files != NULL,
        .watchdog = b->watchdog != NULL,
        .pci = devices->pci,
        .pci_window64 = devices->windows->memory64,
        .virtio_windows = devices->virtio_windows,
    };
    int r = reset_vector_write(c->gmem);
    if (r == 0)
        r = smbios_write(c->gmem, c->smbios != NULL ? c->smbios : &usual);
    if (r < 0)
        return r;
    r = entropy_host.fill(entropy_host.ctx, acpi.generation_id, sizeof(acpi.generation_id));
    return r < 0 ? fail(r, "VM generation id") : acpi_write(c->gmem, &acpi);
}

static int load_kernel(struct board *b, const struct boot_request *request)
{
    struct e820_map map;
    const char *tree = request->dtb != NULL           ? "--dtb"
                       : request->dtb_overlay != NULL ? "--dtb-overlay"
                       : request->dump_dtb != NULL    ? "--dump-dtb"
                                                      : NULL;
    if (tree != NULL)
        return fail_msg(-EINVAL,
                        "%s: this machine has no device tree but ACPI tables; leave it out", tree);
    uint64_t framebuffer_bytes = boot_framebuffer_bytes(&request->framebuffer);
    e820_build(&map, b->config.gmem, true, align_up(framebuffer_bytes, 4 * KIB));
    return linux_boot_load(
        b->config.gmem,
        &(struct linux_boot_config){.request = *request, .map = &map, .rsdp_gpa = X86_ACPI_GPA},
        &b->state);
}

static void board_describe(const struct board *b, struct facts *f)
{
    if (b->serial != NULL)
        serial_describe(b->serial, f);
    rtc_describe(b->rtc, f);
}

static void press(struct board *b, enum power_button button)
{
    irq_pulse(&b->buttons[button]);
}

static void hold(struct board *b, bool on)
{
    if (b->watchdog != NULL)
        watchdog_hold(b->watchdog, on);
}

static int power_on(struct board *b, struct hv_vcpu *vcpu, unsigned id)
{
    return x86_power_on(b->config.hv, b->config.vm, vcpu, id, b->config.vcpus, &b->state);
}

static const unsigned virtio_irqs[X86_VIRTIO_GSI_COUNT] = X86_VIRTIO_GSIS;

const struct arch arch_host = {
    .name = "x86_64",
    .serial_console = "ttyS0",
    .hole_gpa = X86_HOLE_GPA,
    .hole_end_gpa = X86_HOLE_END_GPA,
    .mmio_limit = UINT64_C(1) << 52,
    .pio_limit = 0x10000,
    .framebuffer_gpa = X86_FRAMEBUFFER_GPA,
    .virtio = {X86_VIRTIO_GPA, X86_VIRTIO_STRIDE, X86_VIRTIO_GSI_COUNT, virtio_irqs},
    .pci = {.ecam_gpa = X86_ECAM_GPA,
            .ecam_bytes = X86_ECAM_BYTES,
            .config_ports = {X86_PCI_ADDRESS_PORT, X86_PCI_CONFIG_PORTS},
            .windows = {.memory32 = {X86_PCI_WINDOW_GPA, X86_PCI_WINDOW_BYTES},
                        /* As far up as processors with 36 address bits reach. */
                        .memory64 = {X86_PCI_WINDOW64_BYTES, X86_PCI_WINDOW64_BYTES},
                        .ports = {X86_PCI_PORT_WINDOW, X86_PCI_PORT_WINDOW_PORTS}},
            .irq = X86_PCI_INTX_GSI},
    .board_create = board_create,
    .board_flush = board_flush,
    .board_describe = board_describe,
    .board_destroy = board_destroy,
    .describe = describe,
    .load_kernel = load_kernel,
    .press = press,
    .hold = hold,
    .power_on = power_on,
};
