// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm/machine on an architecture that is none: RAM from 1 GiB up, no port I/O, other windows and
 * other interrupts than any host has. What its guest reads is what this architecture says.
 */
#include "arch/arch.h"

#include "core/ports/hv.h"
#include "core/tape/tape.h"
#include "devices/platform/byte_device.h"
#include "devices/platform/pci_host.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/fake_display.h"
#include "tests/harness/test.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/spec.h"
#include "vmm/machine/machine.h"

#define RAM_GPA    UINT64_C(0x40000000)
#define EXIT_GPA   UINT64_C(0x09000000)
#define VIRTIO_GPA UINT64_C(0x0a000000)
#define STRIDE     UINT64_C(0x2000)
#define BARS_GPA   UINT64_C(0x10000000)
#define BARS_BYTES UINT64_C(0x10000000)
#define BARS64_GPA UINT64_C(0x8000000000)
#define ECAM_GPA   UINT64_C(0x30000000)
#define FUNCTION   (ECAM_GPA + 0x8000) /* slot 1 */
#define WIRE       60u
#define SCREEN_GPA UINT64_C(0x20000000)

/* ---- the architecture ---- */

struct board {
    struct board_config config;
    struct byte_device *exit;
};

/* What the machine has told it. */
static struct {
    struct board_config config;
    struct board_devices devices;
    struct pci_windows windows;
    uint64_t ram_gpa;
    char cmdline[64];
    struct boot_framebuffer framebuffer;
    bool screen_is_ram;
    unsigned flushed, destroyed, powered;
    struct hv_vcpu *powered_on[2];
} told;

static int board_create(struct board **out, const struct board_config *config)
{
    struct board *b = *out = calloc(1, sizeof(*b));
    told.config = b->config = *config;
    told.ram_gpa = config->gmem->regions[0].gpa;
    return byte_device_create(&b->exit, &debug_exit_kind,
                              &(struct byte_device_config){
                                  .bus = config->mmio, .base = EXIT_GPA, .power = config->power});
}

static void board_flush(struct board *b)
{
    (void)b;
    told.flushed++;
}

static void board_destroy(struct board *b)
{
    byte_device_destroy(b->exit);
    free(b);
    told.destroyed++;
}

static int describe(struct board *b, const struct board_devices *devices)
{
    (void)b;
    told.devices = *devices;
    told.windows = *devices->windows;
    return 0;
}

static int load_kernel(struct board *b, const struct boot_request *request)
{
    told.framebuffer = request->framebuffer;
    told.screen_is_ram = gmem_find(b->config.gmem, request->framebuffer.gpa, 1) != NULL;
    snprintf(told.cmdline, sizeof(told.cmdline), "%s", request->cmdline);
    return strcmp(request->kernel_path, "K") == 0 ? 0 : -ENOEXEC;
}

static int power_on(struct board *b, struct hv_vcpu *vcpu, unsigned id)
{
    (void)b;
    told.powered_on[id] = vcpu;
    told.powered++;
    return 0;
}

static const unsigned irqs[] = {40, 42, 44};

static const struct arch arch_fake = {
    .name = "fake",
    .serial_console = "ttyFAKE7",
    .hole_gpa = 0,
    .hole_end_gpa = RAM_GPA,
    .mmio_limit = UINT64_C(1) << 40,
    .framebuffer_gpa = SCREEN_GPA,
    .virtio = {VIRTIO_GPA, STRIDE, ARRAY_SIZE(irqs), irqs},
    .pci = {.ecam_gpa = ECAM_GPA,
            .ecam_bytes = 0x100000,
            .windows = {.memory32 = {BARS_GPA, BARS_BYTES}, .memory64 = {BARS64_GPA, BARS_BYTES}},
            .irq = WIRE},
    .board_create = board_create,
    .board_flush = board_flush,
    .board_destroy = board_destroy,
    .describe = describe,
    .load_kernel = load_kernel,
    .power_on = power_on,
};

/* ---- the hypervisor: vCPU 0 reads what the script names, and then ends the run ---- */

struct hv_vcpu {
    unsigned id, at;
    uint8_t data[8];
    _Atomic bool kicked;
};

struct hv_vm {
    struct hv_vcpu vcpus[2];
};

static struct {
    uint64_t addr;
    uint32_t value;
} reads[32];
static unsigned read_count;
static struct hv_vm vm;
static struct hv_vm_config asked;
static struct {
    uint64_t gpa, bytes;
    uint8_t *hva;
    _Atomic unsigned looks;
} screen; /* the framebuffer's memory */
static unsigned lines[16], line_count, lines_held, eventfds;

static int vm_create(struct hv_vm **out, const struct hv_vm_config *config)
{
    asked = *config;
    vm = (struct hv_vm){0};
    *out = &vm;
    return 0;
}

static void vm_nothing(struct hv_vm *v)
{
    (void)v;
}

static int memory_logged(struct hv_vm *v, uint64_t gpa, void *hva, uint64_t bytes)
{
    (void)v;
    screen.gpa = gpa;
    screen.hva = hva;
    screen.bytes = bytes;
    return 0;
}

/* The guest has drawn a pixel each time. */
static int memory_log_take(struct hv_vm *v, uint64_t *pages)
{
    (void)v;
    pages[0] = 1;
    le32_put(screen.hva, 0x123456);
    atomic_fetch_add(&screen.looks, 1);
    return 0;
}

static void set_line(void *ctx, unsigned irq, bool level)
{
    (void)ctx, (void)irq, (void)level;
}

static int irq_line(struct hv_vm *v, unsigned irq, enum irq_way way, struct irq_line *out)
{
    cr_assert_lt(line_count, ARRAY_SIZE(lines));
    eventfds += way == IRQ_BY_EVENTFD;
    lines[line_count++] = irq;
    lines_held++;
    *out = (struct irq_line){.set = set_line, .ctx = v, .irq = irq, .eventfd = -1};
    return 0;
}

static void irq_line_release(struct hv_vm *v, struct irq_line *line)
{
    (void)v, (void)line;
    lines_held--;
}

static int msi_refused(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    (void)ctx, (void)eventfd, (void)addr, (void)data;
    return -ENOSYS;
}

static unsigned last_sender;

static struct msi_sink msi_sink(struct hv_vm *v, unsigned devfn)
{
    last_sender = devfn;
    static const struct msi_ops ops = {.route_add = msi_refused};
    return (struct msi_sink){.ops = &ops, .ctx = v};
}

static struct doorbell doorbell(struct hv_vm *v)
{
    (void)v;
    return doorbell_none;
}

static int vcpu_create(struct hv_vcpu **out, struct hv_vm *v, unsigned id)
{
    *out = &v->vcpus[id];
    (*out)->id = id;
    return 0;
}

static void vcpu_nothing(struct hv_vcpu *v)
{
    (void)v;
}

static int vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->id == 0 && v->at > 0 && v->at <= read_count)
        reads[v->at - 1].value = le32_get(v->data);
    if (v->id != 0 || v->at > read_count) {
        while (!atomic_exchange(&v->kicked, false))
            usleep(100);
        exit->reason = HV_EXIT_INTERRUPTED;
        return 0;
    }
    bool last = v->at++ == read_count;
    while (last && screen.hva != NULL && atomic_load(&screen.looks) < 2)
        usleep(100);
    *exit = (struct hv_exit){.reason = HV_EXIT_MMIO,
                             .addr = last ? EXIT_GPA : reads[v->at - 1].addr,
                             .data = v->data,
                             .width = last ? 1 : 4,
                             .count = 1,
                             .is_write = last};
    v->data[0] = 7;
    return 0;
}

static void vcpu_kick(struct hv_vcpu *v)
{
    atomic_store(&v->kicked, true);
}

static const struct hv hv = {.name = "fake",
                             .vm_create = vm_create,
                             .vm_end = vm_nothing,
                             .vm_destroy = vm_nothing,
                             .memory_logged = memory_logged,
                             .memory_log_take = memory_log_take,
                             .irq_line = irq_line,
                             .irq_line_release = irq_line_release,
                             .msi_sink = msi_sink,
                             .doorbell = doorbell,
                             .vcpu_create = vcpu_create,
                             .vcpu_destroy = vcpu_nothing,
                             .vcpu_run = vcpu_run,
                             .vcpu_complete = vcpu_nothing,
                             .vcpu_kick = vcpu_kick,
                             .vcpu_bind_thread = vcpu_nothing};

/* ---- a machine ---- */

static _Atomic int end_status = -1;

static void on_end(void *ctx, enum power_event how, int status)
{
    (void)ctx;
    atomic_store(&end_status, how == POWER_EXIT ? status : 256);
}

static unsigned ask(uint64_t addr)
{
    cr_assert_lt(read_count, ARRAY_SIZE(reads));
    reads[read_count].addr = addr;
    return read_count++;
}

static struct tape *tape; /* NULL: it is not recorded */
static struct display_backend *display;
static char *display_option = "none";

static void run(char *console, char *gpu)
{
    char *args[] = {"run",
                    "K",
                    "-m",
                    "64",
                    "-c",
                    "2",
                    "-d",
                    "null:16M",
                    "-d",
                    "null:16M,transport=pci",
                    "-a",
                    "user=yes",
                    "--console",
                    console,
                    "--gpu",
                    gpu,
                    "--display",
                    display_option,
                    "--cpu-features",
                    "+pmu,-sve"};
    struct vm_config config;
    struct machine *m = NULL;
    int out = dup(STDOUT_FILENO), null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    cr_assert_eq(config_parse(&config, ARRAY_SIZE(args), args), 0);
    cr_assert_eq(machine_create(&m, &(struct machine_config){.arch = &arch_fake,
                                                             .vm = &config,
                                                             .hv = &hv,
                                                             .tape = tape,
                                                             .clock_ahead_s = -7,
                                                             .display = display,
                                                             .framebuffer_width = 800,
                                                             .framebuffer_height = 600,
                                                             .power = {.request = on_end}}),
                 0);
    cr_assert_eq(machine_start(m), 0);
    while (atomic_load(&end_status) < 0)
        usleep(100);
    machine_stop(m);
    machine_destroy(m);
    config_free(&config);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(null);
    cr_expect_eq(atomic_load(&end_status), 7, "the board's register ends the run");
}

Test(arch, virtio_windows_are_where_it_says)
{
    unsigned magic = ask(VIRTIO_GPA), disk = ask(VIRTIO_GPA + VIRTIO_MMIO_DeviceID),
             rng = ask(VIRTIO_GPA + STRIDE + VIRTIO_MMIO_DeviceID),
             free_window = ask(VIRTIO_GPA + 2 * STRIDE), pc = ask(X86_VIRTIO_GPA);
    run("off", "off");
    cr_expect_eq(reads[magic].value, 0x74726976);
    cr_expect_eq(reads[disk].value, 2);
    cr_expect_eq(reads[rng].value, 4);
    cr_expect_eq(reads[free_window].value, UINT32_MAX);
    cr_expect_eq(reads[pc].value, UINT32_MAX);
}

Test(arch, pci_is_where_it_says)
{
    unsigned bridge = ask(ECAM_GPA), function = ask(FUNCTION), line = ask(FUNCTION + 0x3c),
             pc = ask(X86_ECAM_GPA), bars[PCI_BARS], placed = 0;
    for (unsigned i = 0; i < PCI_BARS; i++)
        bars[i] = ask(FUNCTION + PCI_REG_BAR + 4 * i);
    run("off", "off");
    cr_expect_eq(reads[bridge].value, PCI_HOST_DEVICE_ID << 16 | PCI_HOST_VENDOR_ID);
    cr_expect_eq(reads[function].value & 0xffff, 0x1af4);
    cr_expect_eq(last_sender, 8, "slot 1");
    cr_expect_eq(reads[line].value & 0xff, WIRE + 1, "pin A of slot 1");
    cr_expect_eq(reads[pc].value, UINT32_MAX);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint32_t low = reads[bars[i]].value;
        if (low == 0)
            continue;
        cr_expect_eq(low & PCI_BAR_IS_IO, 0);
        bool is_64 = (low & PCI_BAR_IS_64) != 0;
        uint64_t addr = low & ~(uint32_t)PCI_BAR_MEM_FLAGS;
        if (is_64)
            addr |= (uint64_t)reads[bars[++i]].value << 32;
        cr_expect(range_within(addr, 1, is_64 ? BARS64_GPA : BARS_GPA, BARS_BYTES));
        placed++;
    }
    cr_expect_gt(placed, 0);
}

static char last_error[160];

static void keep_error(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (level == LOG_ERROR)
        snprintf(last_error, sizeof(last_error), "%s", line);
}

Test(arch, without_ports_pci_has_no_legacy_devices)
{
    char *args[] = {"run", "K", "-d", "null:16M,transport=pci,legacy=on", "--console", "off"};
    struct vm_config config;
    struct machine *m = NULL;
    cr_assert_eq(config_parse(&config, ARRAY_SIZE(args), args), 0);
    log_set_sink(keep_error, NULL);
    cr_expect_eq(machine_create(&m, &(struct machine_config){.arch = &arch_fake,
                                                             .vm = &config,
                                                             .hv = &hv,
                                                             .power = {.request = on_end}}),
                 -ENOTSUP);
    cr_expect_not_null(strstr(last_error, "legacy=on of transport=pci needs ports"), "%s",
                       last_error);
    config_free(&config);
}

Test(arch, it_is_told_what_the_machine_has)
{
    static const unsigned wanted[] = {WIRE, WIRE + 1, WIRE + 2, WIRE + 3, 40, 42};
    run("serial", "off");
    cr_expect_eq(told.ram_gpa, RAM_GPA);
    cr_expect_null(told.config.pio);
    cr_expect_not_null(told.config.serial);
    cr_expect_eq(told.config.vcpus, 2);
    cr_expect_eq(told.config.clock_ahead_s, -7);
    cr_expect_null(told.config.smbios);
    cr_expect_eq(told.devices.virtio_windows, 2);
    cr_expect(told.devices.pci);
    cr_expect_eq(told.windows.memory64.base, BARS64_GPA);
    cr_expect_eq(line_count, ARRAY_SIZE(wanted));
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        cr_expect_eq(lines[i], wanted[i]);
    cr_expect_not_null(strstr(told.cmdline, "console=ttyFAKE7 "));
    cr_expect_not_null(strstr(told.cmdline, "user=yes"));
    cr_expect(asked.cpu_on == HV_CPU_PMU && asked.cpu_off == HV_CPU_SVE);
    cr_expect_eq(told.powered, 2);
    cr_expect(told.powered_on[0] == &vm.vcpus[0] && told.powered_on[1] == &vm.vcpus[1]);
    cr_expect_eq(eventfds, 2); /* the windows have one each, the wires none */
    cr_expect_eq(told.flushed, 1);
    cr_expect_eq(told.destroyed, 1);
    cr_expect_eq(lines_held, 0);
}

/* The devices are on buses of the recording's own: a vCPU reaches them by its windows alone. */
Test(arch, a_recorded_machine_has_the_same_places)
{
    char path[] = "/tmp/minivet-arch-XXXXXX", *args[] = {"run"};
    cr_assert_geq(close(mkstemp(path)), 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(tape_record(&tape, path, &clock_host, 1, args), 0);
    unsigned disk = ask(VIRTIO_GPA + VIRTIO_MMIO_DeviceID), function = ask(FUNCTION),
             free_window = ask(VIRTIO_GPA + 2 * STRIDE);
    run("off", "off");
    cr_expect_eq(reads[disk].value, 2);
    cr_expect_eq(reads[function].value & 0xffff, 0x1af4);
    cr_expect_eq(reads[free_window].value, UINT32_MAX);
    tape_destroy(tape);
    unlink(path);
}

Test(arch, a_display_adapter_is_as_its_option_says)
{
    uint64_t window = VIRTIO_GPA + 2 * STRIDE;
    unsigned gpu = ask(window + VIRTIO_MMIO_DeviceID),
             outputs = ask(window + VIRTIO_MMIO_Config + VIRTIO_GPU_CONFIG_num_scanouts);
    run("off", "on,outputs=3,transport=mmio");
    cr_expect_eq(reads[gpu].value, 16);
    cr_expect_eq(reads[outputs].value, 3);
}

/* The command line's names, and no serial port for the board, if the console is another. */
Test(arch, another_console)
{
    run("virtio", "off");
    cr_expect_null(told.config.serial);
    cr_expect_not_null(strstr(told.cmdline, "console=hvc0 "));
    cr_expect_eq(told.devices.virtio_windows, 3);
}

/* ---- a picture before any driver ---- */

static unsigned displays_destroyed;
static uint32_t seen_last;

/* What it shows is gone when the machine is. */
static void destroy_display(struct display_backend *b)
{
    (void)b;
    displays_destroyed++;
}

static void note_damage(struct display_backend *b, unsigned scanout, const struct display_rect *r)
{
    const struct fake_display *d = container_of(b, struct fake_display, backend);
    cr_assert(scanout == 0 && r->y == 0);
    seen_last = le32_get(d->screens[0].surface.pixels);
}

/* Class VGA is for an adapter that has a framebuffer before it. */
static uint64_t class_of_adapter(char *shown_by)
{
    unsigned class = ask(ECAM_GPA + (2 << 15) + 8);
    struct fake_display shown;
    fake_display_init(&shown);
    struct display_backend_ops ops = *shown.backend.ops;
    ops.destroy = destroy_display;
    shown.backend.ops = &ops;
    display = &shown.backend;
    display_option = shown_by;
    run("off", "on");
    fake_display_fini(&shown);
    return reads[class].value >> 8;
}

Test(arch, a_display_adapter_is_the_first_to_show_a_picture)
{
    cr_expect_eq(class_of_adapter("none"), 0x038000);
}

Test(arch, a_display_adapter_comes_after_a_framebuffer)
{
    cr_expect_eq(class_of_adapter("png=nowhere"), 0x030000);
}

static void run_with_display(void)
{
    struct fake_display shown;
    fake_display_init(&shown);
    struct display_backend_ops ops = *shown.backend.ops;
    ops.damage = note_damage;
    ops.destroy = destroy_display;
    shown.backend.ops = &ops;
    display = &shown.backend;
    run("serial", "on,transport=mmio");
    cr_expect_not(shown.screens[0].shows);
    cr_expect_eq(displays_destroyed, 1);
    fake_display_fini(&shown);
}

Test(arch, a_display_has_a_framebuffer)
{
    run_with_display();
    cr_expect_eq(screen.gpa, SCREEN_GPA);
    cr_expect_eq(screen.bytes, align_up(800 * 600 * 4, (uint64_t)sysconf(_SC_PAGESIZE)));
    cr_expect_eq(told.framebuffer.gpa, SCREEN_GPA);
    cr_expect_eq(told.framebuffer.width, 800);
    cr_expect_eq(told.framebuffer.height, 600);
    cr_expect(strncmp(told.cmdline, "console=tty0 console=ttyFAKE7 ", 30) == 0, "%s", told.cmdline);
    cr_expect_eq(seen_last, 0x123456);
}

Test(arch, without_a_display_there_is_no_framebuffer)
{
    run("serial", "off");
    cr_expect_null(screen.hva);
    cr_expect_eq(told.framebuffer.width, 0);
    cr_expect(strncmp(told.cmdline, "console=ttyFAKE7 ", 17) == 0, "%s", told.cmdline);
}

/* Devices and processes that serve them reach the guest's RAM, and this is none. */
Test(arch, h92_the_framebuffer_is_no_memory_of_devices)
{
    run_with_display();
    cr_expect_not(told.screen_is_ram);
}
