// SPDX-License-Identifier: BSD-2-Clause
/* Device trees, read back by libfdt and judged by dtc. */
#include <libfdt.h>
#include <sys/resource.h>

#include "core/ports/hv.h"
#include "firmware/arm64/arm64_tree.h"
#include "firmware/fdt/tree_file.h"
#include "firmware/kernel/linux_image.h"
#include "firmware/riscv64/riscv64_tree.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define RAM_GPA   UINT64_C(0x80000000)
#define RAM_BYTES (64 * MIB)
#define TREE_GPA  (RAM_GPA + 8 * MIB)

static const uint32_t cpu_ids[] = {0, 1, 0x100};
static const unsigned virtio_irqs[] = {16, 17, 18};
static const struct pci_windows windows = {
    .memory32 = {0x50000000, 0x30000000},
    .memory64 = {UINT64_C(0x800000000), UINT64_C(0x800000000)},
};
static const struct arm64_tree arm64 = {
    .distributor = {0x8000000, 0x10000},
    .redistributors = {0x8100000, 0x60000},
    .its = {0x8080000, 0x20000},
    .rtc_gpa = 0x1010000,
    .watchdog_gpa = 0x1040000,
    .cpus = ARRAY_SIZE(cpu_ids),
    .cpu_ids = cpu_ids,
};

static const struct riscv64_tree riscv64 = {
    .cpu = {.extensions = "i\0m\0zicsr\0zicbom",
            .extensions_bytes = sizeof("i\0m\0zicsr\0zicbom"),
            .address_bits = 48,
            .cbom_bytes = 64,
            .timebase_hz = 10000000},
    .cpus = 2,
    .wires = {0xc000000, 0x400000, 63},
    .rtc = {0x1010000, 2},
};

static struct gmem *memory;
static struct machine_tree machine;
static struct boot_request request;
static struct linux_image image;
static void *tree; /* in guest memory */

static int fill(void *ctx, void *dst, size_t len)
{
    (void)ctx;
    memset(dst, 0x5e, len);
    return 0;
}

static const struct entropy chance = {.fill = fill};

static void setup(void)
{
    fx_capture_errors();
    cr_assert_eq(gmem_create_shared(&memory, RAM_BYTES, 0, RAM_GPA), 0);
    tree = gmem_ptr(memory, TREE_GPA, LINUX_TREE_BYTES, 8);
    machine = (struct machine_tree){
        .arch = arm64_tree_arch(&arm64),
        .gmem = memory,
        .vcpus = ARRAY_SIZE(cpu_ids),
        .serial = {0x1000000, 1},
        .pvpanic_gpa = 0x1030000,
        .fw_cfg_gpa = 0x1050000,
        .power_irq = 3,
        .sleep_irq = 8,
        .virtio = {0x3000000, 0x1000, ARRAY_SIZE(virtio_irqs), virtio_irqs},
        .pci = {0x40000000, MIB, &windows, 4},
        .entropy = &chance,
    };
    request = (struct boot_request){.cmdline = "quiet root=/dev/vda"};
    image = (struct linux_image){.tree_gpa = TREE_GPA};
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_tree, .init = setup, .fini = teardown);

static void load(void)
{
    cr_assert_eq(tree_load(memory, &machine, &request, &image), 0, "%s", fx_error());
    cr_assert_eq(fdt_check_full(tree, LINUX_TREE_BYTES), 0);
}

static int node(const char *path)
{
    int at = fdt_path_offset(tree, path);
    cr_assert_geq(at, 0, "%s: %s", path, fdt_strerror(at));
    return at;
}

static void expect_text(const char *path, const char *name, const char *text)
{
    int len = 0;
    const char *is = fdt_getprop(tree, node(path), name, &len);
    cr_assert_not_null(is, "%s has no %s", path, name);
    cr_expect_eq(len, (int)strlen(text) + 1);
    cr_expect_str_eq(is, text);
}

#define CELLS(...)                   \
    (const uint32_t[]){__VA_ARGS__}, \
        (int)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void expect_cells(const char *path, const char *name, const uint32_t *cells, int count)
{
    int len = 0;
    const fdt32_t *is = fdt_getprop(tree, node(path), name, &len);
    cr_assert_not_null(is, "%s has no %s", path, name);
    cr_assert_eq(len, 4 * count, "%s %s has %d bytes", path, name, len);
    for (int i = 0; i < count; i++)
        cr_expect_eq(fdt32_ld(is + i), cells[i], "%s %s: cell %d is %#x", path, name, i,
                     fdt32_ld(is + i));
}

Test(firmware_tree, what_every_machine_has)
{
    load();
    expect_cells("/memory@80000000", "reg", CELLS(0, 0x80000000, 0, RAM_BYTES));
    expect_text("/chosen", "stdout-path", "/serial@1000000");
    expect_cells("/chosen", "kaslr-seed", CELLS(0x5e5e5e5e, 0x5e5e5e5e));
    cr_expect_not_null(fdt_getprop(tree, node("/chosen"), "rng-seed", NULL));
    expect_text("/chosen", "bootargs", request.cmdline);
    cr_expect_null(fdt_getprop(tree, node("/chosen"), "linux,initrd-start", NULL));
    cr_expect_lt(fdt_path_offset(tree, "/chosen/framebuffer@20000000"), 0);
    expect_text("/serial@1000000", "compatible", "ns16550a");
    expect_cells("/serial@1000000", "interrupts", CELLS(0, 1, 1));
    cr_expect_not_null(fdt_getprop(tree, node("/serial@1000000"), "clock-frequency", NULL));
    expect_cells("/virtio_mmio@3002000", "reg", CELLS(0, 0x3002000, 0, 0x200));
    expect_cells("/virtio_mmio@3002000", "interrupts", CELLS(0, 18, 1));
    cr_expect_lt(fdt_path_offset(tree, "/virtio_mmio@3003000"), 0);
    node("/pvpanic@1030000");
    expect_text("/fw-cfg@1050000", "compatible", "qemu,fw-cfg-mmio");
    expect_cells("/fw-cfg@1050000", "reg", CELLS(0, 0x1050000, 0, 10));
    expect_text("/gpio-keys", "compatible", "gpio-keys");
    expect_cells("/gpio-keys/key-power", "linux,code", CELLS(116));
    expect_cells("/gpio-keys/key-power", "interrupts", CELLS(0, 3, 1));
    cr_expect_not_null(fdt_getprop(tree, node("/gpio-keys/key-power"), "wakeup-source", NULL));
    expect_cells("/gpio-keys/key-sleep", "linux,code", CELLS(142));
    expect_cells("/gpio-keys/key-sleep", "interrupts", CELLS(0, 8, 1));
}

Test(firmware_tree, of_arm64)
{
    load();
    expect_text("/psci", "method", "hvc");
    expect_cells("/cpus/cpu@100", "reg", CELLS(0x100));
    expect_text("/cpus/cpu@1", "enable-method", "psci");
    expect_cells("/timer", "interrupts", CELLS(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
    expect_cells("/interrupt-controller@8000000", "reg",
                 CELLS(0, 0x8000000, 0, 0x10000, 0, 0x8100000, 0, 0x60000));
    expect_cells("/interrupt-controller@8000000/msi-controller@8080000", "#msi-cells", CELLS(1));
    cr_expect_eq(fdt_node_check_compatible(tree, node("/rtc@1010000"), "arm,primecell"), 0);
    cr_expect_eq(fdt_node_check_compatible(tree, node("/watchdog@1040000"), "arm,sp805"), 0);
    cr_expect_eq(fdt_node_check_compatible(tree, node("/watchdog@1040000"), "arm,primecell"), 0);
    expect_cells("/watchdog@1040000", "clocks", CELLS(3, 3));
    expect_cells("/apb-clock", "clock-frequency", CELLS(24000000));
}

static struct arm64_tree with_gicv2(void)
{
    struct arm64_tree t = arm64;
    t.has_gicv2 = true;
    t.cpu_interface = (struct arm64_range){0x8010000, 0x2000};
    t.pmu_ppi = 7;
    return t;
}

/* It knows no messages, and a processor's own interrupt says of which processors. */
Test(firmware_tree, of_arm64_with_a_gicv2)
{
    const struct arm64_tree t = with_gicv2();
    load();
    cr_expect_lt(fdt_path_offset(tree, "/pmu"), 0);
    machine.arch = arm64_tree_arch(&t);
    load();
    const char *gic = "/interrupt-controller@8000000";
    expect_text(gic, "compatible", "arm,cortex-a15-gic");
    expect_cells(gic, "reg", CELLS(0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x2000));
    cr_expect_lt(fdt_first_subnode(tree, node(gic)), 0);
    expect_cells("/timer", "interrupts",
                 CELLS(1, 13, 0x704, 1, 14, 0x704, 1, 11, 0x704, 1, 10, 0x704));
    expect_cells("/pmu", "interrupts", CELLS(1, 7, 0x704));
    expect_text("/pmu", "compatible", "arm,armv8-pmuv3");
    expect_cells("/serial@1000000", "interrupts", CELLS(0, 1, 1));
    cr_expect_null(fdt_getprop(tree, node("/pcie@40000000"), "msi-map", NULL));
    int len;
    const fdt32_t *map = fdt_getprop(tree, node("/pcie@40000000"), "interrupt-map", &len);
    cr_assert_eq(len, 16 * 8 * 4);
    cr_expect_eq(fdt32_ld(map + 7 * 8 + 6), 4); /* as in the test of PCI */
}

static void become_riscv64(const struct riscv64_tree *t)
{
    machine.arch = riscv64_tree_arch(t);
    machine.vcpus = t->cpus;
}

Test(firmware_tree, of_riscv64)
{
    become_riscv64(&riscv64);
    load();
    expect_cells("/cpus", "timebase-frequency", CELLS(10000000));
    expect_text("/cpus/cpu@1", "riscv,isa-base", "rv64i");
    expect_text("/cpus/cpu@1", "riscv,isa", "rv64im_zicsr_zicbom");
    cr_expect_eq(fdt_stringlist_search(tree, node("/cpus/cpu@0"), "riscv,isa-extensions", "zicbom"),
                 3);
    expect_text("/cpus/cpu@0", "mmu-type", "riscv,sv48");
    expect_cells("/cpus/cpu@0", "riscv,cbom-block-size", CELLS(64));
    cr_expect_null(fdt_getprop(tree, node("/cpus/cpu@0"), "riscv,cboz-block-size", NULL));
    /* The processors' own controllers are the roots of all interrupts: Linux looks for them so. */
    expect_cells("/cpus/cpu@1/interrupt-controller", "phandle", CELLS(TREE_OWN + 1));
    expect_cells("/cpus/cpu@1/interrupt-controller", "interrupt-parent", CELLS(TREE_OWN + 1));
    expect_cells("/interrupt-controller@c000000", "interrupts-extended",
                 CELLS(TREE_OWN, 9, TREE_OWN + 1, 9));
    expect_cells("/interrupt-controller@c000000", "riscv,ndev", CELLS(63));
    expect_cells("/serial@1000000", "interrupts", CELLS(1));
    expect_cells("/rtc@1010000", "interrupts", CELLS(2));
    cr_expect_null(fdt_getprop(tree, node("/pcie@40000000"), "msi-map", NULL));
    int len;
    const fdt32_t *map = fdt_getprop(tree, node("/pcie@40000000"), "interrupt-map", &len);
    cr_assert_eq(len, 16 * 6 * 4);
    cr_expect_eq(fdt32_ld(map + 7 * 6 + 5), 4); /* as in the test for arm64 */
}

static struct riscv64_tree with_aia(void)
{
    struct riscv64_tree t = riscv64;
    t.wires.gpa = 0xd000000;
    t.imsic.gpa = 0x28000000;
    t.imsic.bytes = 0x1000;
    t.imsic.ids = 255;
    return t;
}

Test(firmware_tree, of_riscv64_with_messages)
{
    const struct riscv64_tree t = with_aia();
    become_riscv64(&t);
    load();
    cr_expect_lt(fdt_path_offset(tree, "/interrupt-controller@c000000"), 0);
    expect_cells("/interrupt-controller@28000000", "reg", CELLS(0, 0x28000000, 0, 0x2000));
    expect_cells("/interrupt-controller@28000000", "interrupts-extended",
                 CELLS(TREE_OWN, 9, TREE_OWN + 1, 9));
    expect_cells("/interrupt-controller@d000000", "msi-parent", CELLS(TREE_MSI));
    expect_cells("/serial@1000000", "interrupts", CELLS(1, 1));
    expect_cells("/rtc@1010000", "interrupts", CELLS(2, 4));
    expect_cells("/pcie@40000000", "msi-parent", CELLS(TREE_MSI));
}

Test(firmware_tree, pci)
{
    load();
    expect_cells("/pcie@40000000", "bus-range", CELLS(0, 0));
    expect_cells("/pcie@40000000", "ranges",
                 CELLS(0x02000000, 0, 0x50000000, 0, 0x50000000, 0, 0x30000000, 0x03000000, 8, 0, 8,
                       0, 8, 0));
    expect_cells("/pcie@40000000", "msi-map", CELLS(0, TREE_MSI, 0, 0x10000));
    /* Slot 1's pin D is on the wire of slot 0's pin A. */
    int len;
    const fdt32_t *map = fdt_getprop(tree, node("/pcie@40000000"), "interrupt-map", &len);
    cr_assert_eq(len, 16 * 10 * 4);
    const uint32_t wanted[] = {1 << 11, 0, 0, 4, TREE_IRQS, 0, 0, 0, 4, 4};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        cr_expect_eq(fdt32_ld(map + 7 * 10 + i), wanted[i], "cell %u", i);
}

Test(firmware_tree, less_of_everything)
{
    static const struct pci_windows low = {.memory32 = {0x50000000, 0x30000000}};
    machine.serial.gpa = machine.pvpanic_gpa = machine.fw_cfg_gpa = machine.power_irq = 0;
    machine.virtio.count = 0;
    machine.entropy = NULL;
    machine.pci.windows = &low;
    load();
    expect_cells("/pcie@40000000", "ranges",
                 CELLS(0x02000000, 0, 0x50000000, 0, 0x50000000, 0, 0x30000000));
    cr_expect_lt(fdt_path_offset(tree, "/gpio-keys"), 0);
    cr_expect_lt(fdt_path_offset(tree, "/fw-cfg@1050000"), 0);
    cr_expect_null(fdt_getprop(tree, node("/chosen"), "stdout-path", NULL));
    cr_expect_null(fdt_getprop(tree, node("/chosen"), "kaslr-seed", NULL));
    machine.pci.ecam_bytes = 0;
    load();
    cr_expect_lt(fdt_path_offset(tree, "/pcie@40000000"), 0);
}

Test(firmware_tree, a_framebuffer_and_an_initrd)
{
    machine.framebuffer = (struct boot_framebuffer){0x20000000, 800, 600};
    image.initrd_gpa = TREE_GPA + LINUX_TREE_BYTES;
    image.initrd_bytes = 0x1234;
    load();
    expect_cells("/chosen/framebuffer@20000000", "reg", CELLS(0, 0x20000000, 0, 800 * 600 * 4));
    expect_cells("/chosen/framebuffer@20000000", "stride", CELLS(3200));
    expect_cells("/chosen", "linux,initrd-start", CELLS(0, 0x80a00000));
    expect_cells("/chosen", "linux,initrd-end", CELLS(0, 0x80a01234));
}

/* Where dtc is installed: it knows what nodes have to have. */
static void expect_dtc_silent(void)
{
    char path[] = "/tmp/minivet-tree-XXXXXX";
    cr_assert_geq(close(mkstemp(path)), 0);
    request.dump_dtb = path;
    machine.framebuffer = (struct boot_framebuffer){0x20000000, 800, 600};
    load();
    char command[200], said[200] = "";
    snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null %s 2>&1", path);
    FILE *out = popen(command, "r");
    cr_assert_not_null(out);
    bool any = fgets(said, sizeof(said), out) != NULL;
    int status = pclose(out);
    unlink(path);
    if (WEXITSTATUS(status) != 127)
        cr_expect(!any && status == 0, "%s", said);
}

Test(firmware_tree, dtc_has_nothing_to_say)
{
    const struct riscv64_tree t = with_aia();
    const struct arm64_tree old = with_gicv2();
    expect_dtc_silent();
    machine.arch = arm64_tree_arch(&old);
    expect_dtc_silent();
    become_riscv64(&riscv64);
    expect_dtc_silent();
    become_riscv64(&t);
    expect_dtc_silent();
}

Test(firmware_tree, one_that_does_not_fit)
{
    char blob[1024];
    cr_expect_eq(machine_tree_write(&machine, blob, sizeof(blob)), -ENOSPC);
    fx_expect_error("device tree: FDT_ERR_NOSPACE");
}

static void expect_room(unsigned vcpus)
{
    static char blob[MACHINE_TREE_BYTES(HV_MAX_VCPUS)];
    machine.vcpus = vcpus;
    int bytes = machine_tree_write(&machine, blob, MACHINE_TREE_BYTES(vcpus));
    cr_expect_gt(bytes, 0, "%u vCPUs: %s", vcpus, fx_error());
}

/* A processor of riscv64 tells its extensions twice, by up to 767 bytes each. */
Test(firmware_tree, that_of_a_large_machine_fits)
{
    static char extensions[767];
    static uint32_t ids[HV_MAX_VCPUS];
    static unsigned irqs[64]; /* more than any architecture has */
    struct arm64_tree many = arm64;
    struct riscv64_tree many_riscv64 = with_aia();
    many.cpu_ids = ids;
    many_riscv64.cpus = HV_MAX_VCPUS;
    many_riscv64.cpu.extensions = memset(extensions, 'z', sizeof(extensions) - 1);
    many_riscv64.cpu.extensions_bytes = sizeof(extensions);
    machine.virtio.irqs = irqs;
    machine.virtio.count = ARRAY_SIZE(irqs);
    machine.framebuffer = (struct boot_framebuffer){0x20000000, 800, 600};
    for (unsigned vcpus = 1; vcpus <= HV_MAX_VCPUS; vcpus *= 2) {
        machine.arch = arm64_tree_arch(&many);
        expect_room(vcpus);
        machine.arch = riscv64_tree_arch(&many_riscv64);
        expect_room(vcpus);
    }
}

/* Each page of it costs the boot a page fault. */
Test(firmware_tree, its_room_is_not_touched)
{
    struct rusage before, after;
#if defined(__SANITIZE_THREAD__)
    cr_skip_test("ThreadSanitizer has pages of its own for each");
#endif
    getrusage(RUSAGE_SELF, &before);
    load();
    getrusage(RUSAGE_SELF, &after);
    cr_expect_lt(after.ru_minflt - before.ru_minflt, (long)(LINUX_TREE_BYTES / 4096 / 2));
}

/* ---- files ---- */

static void small_tree(void *blob, size_t room)
{
    struct dt t;
    dt_start(&t, blob, room);
    dt_text(&t, "model", "another");
    cr_assert_gt(dt_finish(&t), 0);
}

Test(firmware_tree, one_of_a_file_instead)
{
    char blob[1024];
    small_tree(blob, sizeof(blob));
    request.dtb = fx_file(blob, fdt_totalsize(blob), sizeof(blob));
    load();
    expect_text("/", "model", "another");
    expect_text("/chosen", "bootargs", request.cmdline);
    cr_expect_lt(fdt_path_offset(tree, "/cpus"), 0);
}

static void overlay(void *blob, size_t room, const char *path)
{
    struct dt t;
    dt_start(&t, blob, room);
    dt_begin(&t, "fragment@0");
    dt_text(&t, "target-path", path);
    dt_begin(&t, "__overlay__");
    dt_text(&t, "label", "added");
    dt_end(&t);
    dt_end(&t);
    cr_assert_gt(dt_finish(&t), 0);
}

Test(firmware_tree, an_overlay)
{
    char blob[1024];
    overlay(blob, sizeof(blob), "/serial@1000000");
    request.dtb_overlay = fx_file(blob, sizeof(blob), sizeof(blob));
    load();
    expect_text("/serial@1000000", "label", "added");
}

Test(firmware_tree, files_that_are_refused)
{
    char blob[1024] = "no tree";
    request.dtb = fx_file(blob, sizeof(blob), sizeof(blob));
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -EINVAL);
    fx_expect_error("--dtb %: is no device tree: FDT_ERR_BADMAGIC");
    fx_capture_errors();
    request.dtb = fx_file(blob, sizeof(blob), LINUX_TREE_BYTES + 1);
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -E2BIG);
    fx_expect_error("--dtb %: is larger than 2048 KiB");
    fx_capture_errors();
    request.dtb = NULL;
    overlay(blob, sizeof(blob), "/nothing");
    request.dtb_overlay = fx_file(blob, sizeof(blob), sizeof(blob));
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -EINVAL);
    fx_expect_error("--dtb-overlay %: does not apply: FDT_ERR_NOTFOUND");
    fx_expect_untouched(memory);
}

/* One of 240 KiB, whose nodes are within each other, took 4.6 s; one of 1.2 MiB over 20 s. */
Test(firmware_tree, an_overlay_and_its_tree_are_small)
{
    char blob[1024], base[1024];
    overlay(blob, sizeof(blob), "/");
    small_tree(base, sizeof(base));
    request.dtb_overlay = fx_file(blob, sizeof(blob), 64 * KIB + 1);
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -E2BIG);
    fx_expect_error("--dtb-overlay %: is larger than 64 KiB");
    fx_capture_errors();
    request.dtb_overlay = fx_file(blob, sizeof(blob), 64 * KIB);
    request.dtb = fx_file(base, sizeof(base), 256 * KIB + 1);
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -E2BIG);
    fx_expect_error("--dtb %: is larger than 256 KiB");
    fx_expect_untouched(memory);
    request.dtb_overlay = NULL;
    load();
}

/* 64 KiB whose names are the ends of one long name took 8 s, and minutes over a tree of such. */
Test(firmware_tree, names_of_properties_are_short)
{
    char blob[1024], name[129] = "";
    memset(name, 'a', 127);
    for (unsigned i = 0; i < 2; i++) {
        struct dt t;
        dt_start(&t, blob, sizeof(blob));
        dt_text(&t, name, "text");
        cr_assert_gt(dt_finish(&t), 0);
        request.dtb = fx_file(blob, sizeof(blob), sizeof(blob));
        name[127] = 'a';
        if (i == 0)
            load();
    }
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -E2BIG);
    fx_expect_error("--dtb %: a property's name has more than 127 bytes");
    fx_capture_errors();
    request.dtb_overlay = request.dtb;
    request.dtb = NULL;
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -E2BIG);
    fx_expect_error("--dtb-overlay %: a property's name has more than 127 bytes");
}

static void begin_nodes(struct dt *t, const char *name, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        dt_begin(t, "%s", name);
}

static void end_nodes(struct dt *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        dt_end(t);
}

/* A word at `offset` of a property is a phandle; the fixups name the property so. */
static void overlay_with_fixup(void *blob, size_t room, uint32_t offset, const char *name,
                               const char *node, unsigned more)
{
    struct dt t;
    dt_start(&t, blob, room);
    dt_begin(&t, "fragment@0");
    dt_text(&t, "target-path", "/");
    dt_begin(&t, "__overlay__");
    begin_nodes(&t, "in", more);
    dt_cells(&t, "label", 1, 2);
    end_nodes(&t, 2 + more);
    dt_begin(&t, "__local_fixups__");
    dt_begin(&t, "fragment@0");
    dt_begin(&t, "%s", node);
    begin_nodes(&t, "in", more);
    dt_cells(&t, name, 0, offset);
    end_nodes(&t, 3 + more);
    cr_assert_gt(dt_finish(&t), 0);
}

/* libfdt crashed: it read up to 4 GiB behind the property. */
Test(firmware_tree, an_overlay_fixes_up_words_of_its_own)
{
    static const struct {
        uint32_t offset;
        const char *name, *node;
        unsigned more;
    } cases[] = {{4, "label", "__overlay__", 61},
                 {5, "label", "__overlay__", 0},
                 {UINT32_C(0xf0000000), "label", "__overlay__", 0},
                 {UINT32_MAX, "label", "__overlay__", 0},
                 {0, "other", "__overlay__", 0},
                 {0, "label", "other", 0},
                 {0, "label", "__overlay__", 62}};
    static char blob[8192];
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        overlay_with_fixup(blob, sizeof(blob), cases[i].offset, cases[i].name, cases[i].node,
                           cases[i].more);
        request.dtb_overlay = fx_file(blob, sizeof(blob), sizeof(blob));
        if (i == 0) {
            load();
            continue;
        }
        fx_capture_errors();
        cr_expect_eq(tree_load(memory, &machine, &request, &image), -EINVAL);
        fx_expect_error("--dtb-overlay %: does not apply: FDT_ERR_BADOVERLAY");
    }
}

/* Names are where the header says, which is checked before they are. */
Test(firmware_tree, a_header_that_lies_is_refused)
{
    static const struct {
        unsigned at;
        uint32_t value;
        const char *why;
    } lies[] = {
        {offsetof(struct fdt_header, totalsize), 1025, "FDT_ERR_TRUNCATED"},
        {offsetof(struct fdt_header, off_dt_strings), 1024, "FDT_ERR_TRUNCATED"},
        {offsetof(struct fdt_header, size_dt_strings), UINT32_MAX, "FDT_ERR_TRUNCATED"},
        {offsetof(struct fdt_header, version), 3, "FDT_ERR_BADVERSION"},
    };
    char blob[1024], error[80];
    for (unsigned i = 0; i <= ARRAY_SIZE(lies); i++) {
        size_t bytes = i < ARRAY_SIZE(lies) ? sizeof(blob) : 39; /* a byte less than the header */
        small_tree(blob, sizeof(blob));
        if (i < ARRAY_SIZE(lies))
            fdt32_st(blob + lies[i].at, lies[i].value);
        if (i == 3)
            fdt32_st(blob + offsetof(struct fdt_header, last_comp_version), 2);
        fx_capture_errors();
        request.dtb = fx_file(blob, bytes, bytes);
        cr_expect_eq(tree_load(memory, &machine, &request, &image), -EINVAL);
        snprintf(error, sizeof(error), "--dtb %%: is no device tree: %s",
                 i < ARRAY_SIZE(lies) ? lies[i].why : "FDT_ERR_TRUNCATED");
        fx_expect_error(error);
    }
}

Test(firmware_tree, what_the_kernel_gets_is_written_to_a_file)
{
    char path[] = "/tmp/minivet-tree-XXXXXX";
    static char is[LINUX_TREE_BYTES];
    int fd = mkstemp(path);
    request.dump_dtb = path;
    load();
    cr_expect_eq(read(fd, is, sizeof(is)), (ssize_t)fdt_totalsize(tree));
    cr_expect_eq(memcmp(is, tree, fdt_totalsize(tree)), 0);
    close(fd);
    unlink(path);
    fx_capture_errors();
    request.dump_dtb = "/dev/full";
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -ENOSPC);
    fx_expect_error("--dump-dtb /dev/full: write: No space left on device");
    /* Another user may have made it, and not read it: nothing waits for that. */
    cr_assert_eq(mkfifo(path, 0600), 0);
    fx_capture_errors();
    request.dump_dtb = path;
    cr_expect_eq(tree_load(memory, &machine, &request, &image), -ENXIO);
    cr_expect_not_null(strstr(fx_error(), "open: No such device or address"), "%s", fx_error());
    unlink(path);
}
