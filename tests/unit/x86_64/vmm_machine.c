// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm/machine/machine.c as a hostile guest has it: all devices, the I/O loop and real helpers, with
 * vCPUs that make whatever exits a test wants. However it ends, it ends, and nothing is left.
 */
#include "vmm/machine/machine.h"

#include <elf.h>
#include <sched.h>

#include "arch/arch.h"
#include "arch/x86_64/hv_x86.h"
#include "core/ports/hv.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/harness/vdrv.h"
#include "virtio/spec.h"

#define VCPUS     4
#define MEM_BYTES (16 * MIB)
#define LOAD_GPA  UINT64_C(0x100000)
#define HEAP_GPA  UINT64_C(0x200000) /* the guest's own; nothing of the boot is there */

/* Under ThreadSanitizer no queue runs: a guest that races with its own devices is no bug of ours.
 */
#if defined(__SANITIZE_THREAD__)
#define MAY_RUN_QUEUES false
#else
#define MAY_RUN_QUEUES true
#endif

/* ---- a hypervisor whose guest is a function ---- */

struct hv_vcpu {
    unsigned id;
    uint64_t made; /* exits so far */
    uint64_t random;
    uint8_t data[4096];
    _Atomic bool kicked;
};

struct hv_vm {
    const struct gmem *memory;
    bool ended;
    struct hv_vcpu vcpus[VCPUS];
};

/* Makes a vCPU's next exit; false: it has nothing more to do. */
typedef bool guest_fn(struct hv_vcpu *v, struct hv_exit *exit);

static struct hv_vm vm;
static guest_fn *guest;
static _Atomic unsigned resting; /* vCPUs that have nothing more to do */
static _Atomic unsigned edges, presses[POWER_BUTTONS];

static int fake_vm_create(struct hv_vm **out, const struct hv_vm_config *config)
{
    vm = (struct hv_vm){.memory = config->memory};
    *out = &vm;
    return 0;
}

static void fake_vm_end(struct hv_vm *v)
{
    v->ended = true;
}

static void fake_vm_destroy(struct hv_vm *v)
{
    v->memory = NULL;
}

static void set_line(void *ctx, unsigned irq, bool level)
{
    (void)ctx;
    edges += level;
    presses[POWER_BUTTON] += level && irq == X86_GSI_POWER;
    presses[SLEEP_BUTTON] += level && irq == X86_GSI_SLEEP;
}

static int fake_irq_line(struct hv_vm *v, unsigned irq, enum irq_way way, struct irq_line *out)
{
    if (irq == X86_GSI_POWER || irq == X86_GSI_SLEEP || irq == X86_GSI_RTC)
        cr_expect_eq(way, IRQ_BY_CALL);
    *out = (struct irq_line){.set = set_line, .ctx = v, .irq = irq, .eventfd = -1};
    return 0;
}

static void fake_irq_line_release(struct hv_vm *v, struct irq_line *line)
{
    cr_assert(v->ended, "GSI %u: one by one", line->irq);
    line->set = NULL;
}

static struct doorbell fake_doorbell(struct hv_vm *v)
{
    (void)v;
    return doorbell_none;
}

static int fake_vcpu_create(struct hv_vcpu **out, struct hv_vm *v, unsigned id)
{
    *out = &v->vcpus[id];
    (*out)->id = id;
    (*out)->random = id + 1;
    return 0;
}

static int fake_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
    exit->data = v->data;
    exit->count = 1;
    if (!atomic_load(&v->kicked) && guest(v, exit)) {
        v->made++;
        return 0;
    }
    atomic_fetch_add(&resting, 1);
    while (!atomic_exchange(&v->kicked, false))
        sched_yield();
    exit->reason = HV_EXIT_INTERRUPTED;
    return 0;
}

static void fake_vcpu_kick(struct hv_vcpu *v)
{
    atomic_store(&v->kicked, true);
}

static void fake_vcpu_nothing(struct hv_vcpu *v)
{
    (void)v;
}

static int fake_supported_cpuid(struct hv_vm *v, struct hv_x86_cpuid *entries, unsigned max)
{
    (void)v;
    (void)entries;
    (void)max;
    return 0;
}

static int fake_set_cpuid(struct hv_vcpu *v, const struct hv_x86_cpuid *entries, unsigned count)
{
    (void)v;
    (void)entries;
    (void)count;
    return 0;
}

static int fake_set_regs(struct hv_vcpu *v, const struct hv_x86_regs *regs)
{
    (void)v;
    (void)regs;
    return 0;
}

static int fake_set_msrs(struct hv_vcpu *v, const struct hv_x86_msr *msrs, unsigned count)
{
    (void)v;
    (void)msrs;
    (void)count;
    return 0;
}

static const struct hv_arch fake_arch = {
    .supported_cpuid = fake_supported_cpuid,
    .set_cpuid = fake_set_cpuid,
    .set_regs = fake_set_regs,
    .set_msrs = fake_set_msrs,
};

static const struct hv hv_fake = {
    .name = "fake",
    .vm_create = fake_vm_create,
    .vm_end = fake_vm_end,
    .vm_destroy = fake_vm_destroy,
    .irq_line = fake_irq_line,
    .irq_line_release = fake_irq_line_release,
    .doorbell = fake_doorbell,
    .vcpu_create = fake_vcpu_create,
    .vcpu_destroy = fake_vcpu_nothing,
    .vcpu_run = fake_vcpu_run,
    .vcpu_complete = fake_vcpu_nothing,
    .vcpu_kick = fake_vcpu_kick,
    .vcpu_bind_thread = fake_vcpu_nothing,
    .arch = &fake_arch,
};

/* ---- a machine ---- */

static char kernel_path[] = "/tmp/minivet-kernel-XXXXXX", disk_path[] = "/tmp/minivet-disk-XXXXXX";
static int saved_stdio[2];
static struct machine *machine;
static _Atomic unsigned ends;
static _Atomic int last_end;

static void on_end(void *ctx, enum power_event how, int status)
{
    (void)ctx;
    (void)status;
    atomic_store(&last_end, (int)how);
    atomic_fetch_add(&ends, 1);
}

/* The least that the loader takes for a kernel. */
static void write_kernel(int fd)
{
    struct {
        Elf64_Ehdr eh;
        Elf64_Phdr ph;
        uint8_t code[16];
    } k = {
        .eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_EXEC,
               .e_machine = EM_X86_64,
               .e_entry = LOAD_GPA,
               .e_phoff = sizeof(k.eh),
               .e_phentsize = sizeof(k.ph),
               .e_phnum = 1},
        .ph = {.p_type = PT_LOAD,
               .p_offset = sizeof(k.eh) + sizeof(k.ph),
               .p_paddr = LOAD_GPA,
               .p_filesz = sizeof(k.code),
               .p_memsz = sizeof(k.code)},
    };
    cr_assert_eq(write(fd, &k, sizeof(k)), (ssize_t)sizeof(k));
}

static void setup(void)
{
    int kernel = mkstemp(kernel_path), disk = mkstemp(disk_path), null = open("/dev/null", O_RDWR);
    cr_assert(kernel >= 0 && disk >= 0 && null >= 0);
    write_kernel(kernel);
    cr_assert_eq(ftruncate(disk, 1 << 30), 0);
    for (int i = 0; i < 2; i++) {
        saved_stdio[i] = dup(i);
        dup2(null, i);
    }
    close(kernel);
    close(disk);
    close(null);
    atomic_store(&ends, 0);
    atomic_store(&resting, 0);
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) {
        dup2(saved_stdio[i], i);
        close(saved_stdio[i]);
    }
    unlink(kernel_path);
    unlink(disk_path);
}

TestSuite(machine, .init = setup, .fini = teardown);

/* Runs until it says that it ends, or until no vCPU has anything more to do. */
static void run(guest_fn *fn, enum console_kind console)
{
    struct vm_config config = {.kernel = kernel_path,
                               .mem_bytes = MEM_BYTES,
                               .cpus = VCPUS,
                               .disks = {{.path = disk_path}},
                               .disk_count = 1,
                               .console = console,
                               .input = {.on = {true, true, true, true}}};
    guest = fn;
    cr_assert_eq(machine_create(&machine, &(struct machine_config){.vm = &config,
                                                                   .arch = &arch_host,
                                                                   .hv = &hv_fake,
                                                                   .power = {.request = on_end}}),
                 0);
    cr_assert_eq(machine_start(machine), 0);
    while (atomic_load(&ends) == 0 && atomic_load(&resting) < VCPUS)
        usleep(100);
    machine_stop(machine);
    machine_destroy(machine);
}

static bool write_port(struct hv_vcpu *v, struct hv_exit *exit, uint16_t port, uint8_t value)
{
    v->data[0] = value;
    exit->reason = HV_EXIT_PIO;
    exit->addr = port;
    exit->width = 1;
    exit->is_write = true;
    return true;
}

/* ---- what a driver would do, recorded to be played as exits ---- */

static struct {
    uint64_t addr;
    uint32_t value;
} tape[512];
static unsigned taped;
static uint64_t taped_status;

static uint64_t tape_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev;
    (void)width;
    return offset == VIRTIO_MMIO_Status ? taped_status : 0;
}

static void tape_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev;
    (void)width;
    cr_assert_lt(taped, ARRAY_SIZE(tape));
    if (offset == VIRTIO_MMIO_Status)
        taped_status = value;
    tape[taped].addr = X86_VIRTIO_GPA + offset;
    tape[taped++].value = (uint32_t)value;
}

static bool play(struct hv_vcpu *v, struct hv_exit *exit, uint64_t at)
{
    if (at >= taped)
        return false;
    le32_put(v->data, tape[at].value);
    exit->reason = HV_EXIT_MMIO;
    exit->addr = tape[at].addr;
    exit->width = 4;
    exit->is_write = true;
    return true;
}

/* A disk's start, and as many reads as there can be, of 50 segments each. */
static void tape_requests(uint32_t segment_bytes)
{
    enum { SIZE = 256, SEGMENTS = 50 };
    static const struct bus_ops ops = {.read = tape_read, .write = tape_write};
    const struct bus_region region = {.name = "tape", .size = 0x200, .widths = BUS_W4, .ops = &ops};
    struct bus *bus;
    struct vdrv drv;
    struct vdrv_buf bufs[SEGMENTS + 2];
    cr_assert_eq(bus_create(&bus, "tape", 0x200), 0);
    cr_assert_eq(bus_add(bus, &region), 0);
    taped = 0;
    vdrv_init(&drv, vm.memory, bus, 0);
    vdrv_start(&drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, SIZE);
    bufs[0] = (struct vdrv_buf){vdrv_alloc(&drv, 16, 16), 16, false};
    for (unsigned i = 1; i <= SEGMENTS; i++)
        bufs[i] = (struct vdrv_buf){MEM_BYTES - segment_bytes, segment_bytes, true};
    bufs[SEGMENTS + 1] = (struct vdrv_buf){vdrv_alloc(&drv, 1, 1), 1, true};
    while (vdrv_add_indirect(&drv.q[0], bufs, SEGMENTS + 2) >= 0)
        ;
    vdrv_kick(&drv.q[0]);
    vdrv_fini(&drv);
    bus_destroy(bus);
}

/* ---- H50: ends with everything under way ---- */

/* vCPU 0 starts the disk, asks for 50 GiB, and powers off. */
static bool requests_then_off(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->id != 0)
        return false;
    if (v->made == 0)
        tape_requests(4 << 20);
    return play(v, exit, v->made) || write_port(v, exit, X86_SLEEP_CONTROL_PORT, 5 << 2 | 1 << 5);
}

Test(machine, power_off_with_a_full_queue_in_flight)
{
    if (!MAY_RUN_QUEUES)
        cr_skip_test("all reads go to the same memory");
    run(requests_then_off, CONSOLE_SERIAL);
    cr_expect_eq(atomic_load(&ends), 1);
    cr_expect_eq(atomic_load(&last_end), POWER_OFF);
}

/* The same, and a reset of the disk on the way. */
static bool requests_then_reset(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->id != 0)
        return false;
    if (v->made == 0) {
        tape_requests(4 << 20);
        tape_write(NULL, VIRTIO_MMIO_Status, 4, 0);
    }
    return play(v, exit, v->made) || write_port(v, exit, X86_DEBUG_EXIT_PORT, 7);
}

Test(machine, device_reset_with_a_full_queue_in_flight)
{
    if (!MAY_RUN_QUEUES)
        cr_skip_test("all reads go to the same memory");
    run(requests_then_reset, CONSOLE_VIRTIO);
    cr_expect_eq(atomic_load(&last_end), POWER_EXIT);
}

/* ---- statistics, from a thread that is not the loop's ---- */

static unsigned long long requests_seen, open_seen;
static char thread_seen[16];
static unsigned rows_seen;

static void read_row(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    const char *after_name = strchr(line, ' ');
    if (strncmp(line, "/tmp/", 5) != 0 || after_name == NULL)
        return;
    char *rest;
    if (strtoull(after_name, &rest, 10) != 0) /* the queue */
        return;
    if (sscanf(rest, " %15s", thread_seen) != 1)
        return;
    rest = strchr(rest + 1, ' ');
    requests_seen = strtoull(rest, &rest, 10);
    open_seen = strtoull(rest, &rest, 10);
    rows_seen++;
}

static bool requests_then_rest(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->id != 0)
        return false;
    if (v->made == 0)
        tape_requests(4096);
    return play(v, exit, v->made);
}

static bool nothing(struct hv_vcpu *v, struct hv_exit *exit)
{
    (void)v, (void)exit;
    return false;
}

Test(machine, buttons_interrupt)
{
    struct vm_config config = {
        .kernel = kernel_path, .mem_bytes = MEM_BYTES, .cpus = VCPUS, .console = CONSOLE_OFF};
    struct machine_config machine_config = {
        .vm = &config, .arch = &arch_host, .hv = &hv_fake, .power = {.request = on_end}};
    guest = nothing;
    cr_assert_eq(machine_create(&machine, &machine_config), 0);
    cr_assert_eq(machine_start(machine), 0);
    cr_expect(presses[POWER_BUTTON] == 0 && presses[SLEEP_BUTTON] == 0);
    machine_press(machine, POWER_BUTTON);
    cr_expect(presses[POWER_BUTTON] == 1 && presses[SLEEP_BUTTON] == 0);
    machine_press(machine, SLEEP_BUTTON);
    cr_expect(presses[POWER_BUTTON] == 1 && presses[SLEEP_BUTTON] == 1);
    cr_expect_eq(ends, 0);
    machine_stop(machine);
    machine_destroy(machine);
}

/* ---- was a reset an emergency? ---- */

static const char *to_print;
static int clock_enabled;

static int fake_clock_enabled(struct hv_vcpu *v)
{
    return v->id == 0 || clock_enabled < 0 ? clock_enabled : 0;
}

static bool print_and_reset(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->id != 0)
        return false;
    if (v->made < strlen(to_print))
        return write_port(v, exit, X86_SERIAL_PORT, (uint8_t)to_print[v->made]);
    return v->made == strlen(to_print) && write_port(v, exit, X86_RESET_PORT, X86_RESET_VALUE);
}

static bool emergency(const char *text, int clock)
{
    struct vm_config config = {.kernel = kernel_path, .mem_bytes = MEM_BYTES, .cpus = VCPUS};
    struct hv hv = hv_fake;
    hv.vcpu_clock_enabled = fake_clock_enabled;
    clock_enabled = clock;
    to_print = text;
    guest = print_and_reset;
    atomic_store(&ends, 0);
    cr_assert_eq(machine_create(&machine, &(struct machine_config){.vm = &config,
                                                                   .arch = &arch_host,
                                                                   .hv = &hv,
                                                                   .power = {.request = on_end}}),
                 0);
    cr_assert_eq(machine_start(machine), 0);
    while (atomic_load(&ends) == 0)
        usleep(100);
    machine_stop(machine);
    bool was = machine_had_emergency(machine);
    machine_destroy(machine);
    return was;
}

Test(machine, an_emergency_leaves_the_clock_on)
{
    cr_expect(emergency("", 1));
    cr_expect_not(emergency("", 0));
    cr_expect_not(emergency("Kernel panic - not syncing: told by the clock alone", 0));
}

Test(machine, without_a_clock_the_console_tells_of_an_emergency)
{
    cr_expect(emergency("[1.2] KerKernel panic - not syncing: VFS\n", -ENOTSUP));
    cr_expect_not(emergency("Kernel panic - not yet\nsyncing: \n", -ENOTSUP));
}

/* `thread` serves the first queue. */
static void check_statistics(unsigned queues, const char *threads, const char *thread)
{
    if (!MAY_RUN_QUEUES)
        cr_skip_test("all reads go to the same memory");
    struct vm_config config = {.kernel = kernel_path,
                               .mem_bytes = MEM_BYTES,
                               .cpus = VCPUS,
                               .disks = {{.path = disk_path, .queues = queues}},
                               .disk_count = 1,
                               .console = CONSOLE_OFF,
                               .stats = STATS_TABLE};
    strcpy(config.disks[0].virtio.iothread, threads);
    struct machine_config machine_config = {
        .vm = &config, .arch = &arch_host, .hv = &hv_fake, .power = {.request = on_end}};
    guest = requests_then_rest;
    log_set_sink(read_row, NULL);
    cr_assert_eq(machine_create(&machine, &machine_config), 0);
    cr_assert_eq(machine_start(machine), 0);
    do {
        machine_print_stats(machine);
        cr_assert_leq(open_seen, requests_seen);
    } while (requests_seen < 256 || open_seen > 0);
    machine_stop(machine);
    rows_seen = 0;
    machine_print_stats(machine);
    log_set_sink(NULL, NULL);
    cr_expect_eq(rows_seen, 1);
    cr_expect_eq(requests_seen, 256);
    cr_expect_eq(open_seen, 0);
    cr_expect_str_eq(thread_seen, thread);
    machine_destroy(machine);
}

Test(machine, statistics_are_read_while_queues_run_and_afterwards)
{
    check_statistics(1, "", "io");
}

Test(machine, a_disk_is_served_by_a_thread_of_its_own)
{
    check_statistics(1, "mine", "mine");
}

Test(machine, the_queues_of_a_disk_are_served_by_several_threads)
{
    check_statistics(2, "a:b", "a");
}

/* vCPU 1 triple-faults, vCPU 2 powers off and keeps kicking, the others are inside devices. */
static bool fault_among_accesses(struct hv_vcpu *v, struct hv_exit *exit)
{
    static const uint64_t config_gpa = X86_VIRTIO_GPA + VIRTIO_MMIO_Config;
    if (v->id == 1 && v->made == 100) {
        exit->reason = HV_EXIT_SHUTDOWN;
        return true;
    }
    if (v->id == 2 && v->made == 120)
        return write_port(v, exit, X86_SLEEP_CONTROL_PORT, 5 << 2 | 1 << 5);
    le32_put(v->data, 0);
    exit->reason = HV_EXIT_MMIO;
    exit->addr = v->made % 2 == 0 ? config_gpa : X86_VIRTIO_GPA + VIRTIO_MMIO_Status;
    exit->width = 4;
    exit->is_write = v->made % 2 != 0;
    return true;
}

Test(machine, triple_fault_while_others_are_inside_devices)
{
    for (unsigned i = 0; i < 20; i++) {
        atomic_store(&ends, 0);
        atomic_store(&resting, 0);
        run(fault_among_accesses, i % 2 == 0 ? CONSOLE_SERIAL : CONSOLE_VIRTIO);
        cr_expect_eq(atomic_load(&ends), 1, "one end is told");
    }
}

/* ---- every register of every device, from all vCPUs at once ---- */

static uint64_t next_random(struct hv_vcpu *v)
{
    v->random = v->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return v->random >> 33;
}

static uint64_t poke_value(struct hv_vcpu *v)
{
    static const uint64_t odd[] = {0,  1,   2,    3,      7,        11,         15,
                                   16, 256, 0xff, 0x1000, HEAP_GPA, UINT32_MAX, UINT64_MAX};
    uint64_t r = next_random(v);
    return r % 4 == 0 ? next_random(v) << 20 : odd[r / 4 % ARRAY_SIZE(odd)];
}

static void poke_window(struct hv_vcpu *v, struct hv_exit *exit)
{
    static const uint16_t often[] = {
        VIRTIO_MMIO_Status,         VIRTIO_MMIO_DriverFeaturesSel, VIRTIO_MMIO_DriverFeatures,
        VIRTIO_MMIO_QueueSel,       VIRTIO_MMIO_QueueSize,         VIRTIO_MMIO_QueueDescLow,
        VIRTIO_MMIO_QueueReady,     VIRTIO_MMIO_QueueNotify,       VIRTIO_MMIO_QueueDriverLow,
        VIRTIO_MMIO_QueueDeviceLow, VIRTIO_MMIO_InterruptACK,      VIRTIO_MMIO_Config};
    uint64_t r = next_random(v);
    exit->reason = HV_EXIT_MMIO;
    exit->addr = X86_VIRTIO_GPA + r % 3 * X86_VIRTIO_STRIDE;
    exit->width = 4;
    if (r / 3 % 8 != 0) {
        exit->addr += often[r / 24 % ARRAY_SIZE(often)];
    } else {
        exit->addr += r / 24 % 0x204;
        exit->width = 1u << (r / 24 / 0x204 % 4);
    }
    if (!MAY_RUN_QUEUES && (exit->addr & 0xfff) == VIRTIO_MMIO_QueueReady)
        exit->addr -= 4;
}

static void poke_port(struct hv_vcpu *v, struct hv_exit *exit)
{
    static const uint16_t ports[] = {0x60,  0x64,  0x70,  0x71,  0x80,  0x3f8, 0x3f9, 0x3fa,
                                     0x3fb, 0x3fc, 0x3fd, 0x601, 0xcf8, 0xcf9, 0xcfc, 0xcff};
    static const uint8_t widths[] = {1, 1, 2, 4};
    uint64_t r = next_random(v);
    exit->reason = HV_EXIT_PIO;
    exit->addr = r % 16 == 0 ? 0x700 + next_random(v) % 0xf000 : ports[r / 16 % ARRAY_SIZE(ports)];
    exit->width = widths[r / 256 % ARRAY_SIZE(widths)];
    if (r / 1024 % 64 == 0) /* a string instruction */
        exit->count = (uint32_t)sizeof(v->data) / exit->width;
}

static bool poke(struct hv_vcpu *v, struct hv_exit *exit)
{
    if (v->made >= 20000)
        return false;
    if (MAY_RUN_QUEUES && v->id == 0) { /* one vCPU starts what the others disturb */
        if (v->made == 0)
            tape_requests(512);
        if (play(v, exit, v->made % 128)) {
            exit->addr += v->made / 128 % 3 * X86_VIRTIO_STRIDE;
            return true;
        }
    }
    uint64_t value = poke_value(v), r = next_random(v);
    if (MAY_RUN_QUEUES && r % 16 == 0) /* descriptors and rings, under the devices' eyes */
        gmem_write(vm.memory, HEAP_GPA + next_random(v) % 0x2000, &value, sizeof(value));
    if (r / 16 % 4 == 0)
        poke_port(v, exit);
    else
        poke_window(v, exit);
    exit->is_write = r / 64 % 4 != 0;
    if (exit->addr == 0x64) /* the way to a reset: for other tests */
        value = 0xaa;
    for (unsigned i = 0; i < sizeof(v->data); i += 8)
        le64_put(v->data + i, exit->addr == 0x64 ? 0xaaaaaaaaaaaaaaaa : value);
    return true;
}

Test(machine, every_register_from_every_vcpu, .timeout = 120)
{
    run(poke, CONSOLE_SERIAL);
    atomic_store(&resting, 0);
    run(poke, CONSOLE_VIRTIO);
    cr_expect_eq(atomic_load(&ends), 0);
    cr_expect(!MAY_RUN_QUEUES || atomic_load(&edges) > 100, "%u edges", atomic_load(&edges));
}

/* ---- when memory is taken from the host ---- */

static bool all_is_resident(bool prefault)
{
    static unsigned char pages[MEM_BYTES / 4096];
    struct vm_config config = {.kernel = kernel_path,
                               .mem_bytes = MEM_BYTES,
                               .cpus = 1,
                               .console = CONSOLE_OFF,
                               .prefault = prefault};
    size_t count = 0;

    cr_assert_eq(machine_create(&machine, &(struct machine_config){.vm = &config,
                                                                   .arch = &arch_host,
                                                                   .hv = &hv_fake,
                                                                   .power = {.request = on_end}}),
                 0);
    cr_assert_eq(mincore(vm.memory->regions[0].hva, MEM_BYTES, pages), 0);
    for (size_t i = 0; i < sizeof(pages); i++)
        count += pages[i] & 1;
    machine_destroy(machine);
    return count == sizeof(pages);
}

Test(machine, memory_is_taken_at_once_if_asked_for)
{
    cr_expect_not(all_is_resident(false));
    cr_expect(all_is_resident(true));
}
