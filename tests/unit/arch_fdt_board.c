// SPDX-License-Identifier: BSD-2-Clause
/* The board of machines with a device tree, with an architecture of this file's own. */
#include "arch/fdt_board.h"

#include <libfdt.h>

#include "core/ports/hv.h"
#include "devices/platform/mmio_rtc.h"
#include "devices/platform/watchdog.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/smbios/smbios.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define RAM_GPA    UINT64_C(0x40000000)
#define VIRTIO_GPA UINT64_C(0x5000)
#define ECAM_GPA   UINT64_C(0x10000000)

static struct gmem *memory;
static struct bus *mmio;
static struct evloop *loop;
static struct fake_chr chr;
static struct fake_irq irq, power_irq, sleep_irq;
static struct board *board;
static struct board_config config;
static unsigned lines, trees;
static int tree_error, end_status;
static enum power_event end_event;

static int irq_line(struct hv_vm *vm, unsigned number, enum irq_way way, struct irq_line *out)
{
    (void)vm;
    cr_expect_eq(trees, 1, "an interrupt controller of the board's is there before the lines");
    struct fake_irq *of = number == FDT_SERIAL_IRQ  ? &irq
                          : number == FDT_POWER_IRQ ? &power_irq
                                                    : &sleep_irq;
    cr_expect(of != &sleep_irq || number == FDT_SLEEP_IRQ);
    cr_expect_eq(way, of == &irq ? IRQ_BY_EVENTFD : IRQ_BY_CALL);
    lines++;
    *out = fake_irq_line(of);
    return 0;
}

static void irq_line_release(struct hv_vm *vm, struct irq_line *line)
{
    (void)vm, (void)line;
    lines--;
}

static const struct hv hv = {.irq_line = irq_line, .irq_line_release = irq_line_release};

static void one_cell(uint32_t *cells, unsigned number, bool is_level)
{
    cells[0] = number | (is_level ? 0x100 : 0);
}

static uint32_t cpu_reg(void *ctx, unsigned id)
{
    return *(const uint32_t *)ctx + id;
}

static void cpu(struct dt *t, void *ctx, unsigned id)
{
    (void)ctx;
    dt_cells(t, "own", id);
}

static void nodes(struct dt *t, void *ctx)
{
    (void)ctx;
    dt_begin(t, "controller");
    dt_end(t);
}

static int create_tree(const struct board_config *c, struct tree_arch *out)
{
    uint32_t *first = tree_error != -ENOMEM ? malloc(sizeof(*first)) : NULL;
    cr_expect_eq(c->vcpus, 2);
    *out = (struct tree_arch){.irq_cells = 1,
                              .irq = one_cell,
                              .timebase_hz = 1000,
                              .cpu_reg = cpu_reg,
                              .cpu = cpu,
                              .nodes = nodes,
                              .ctx = first};
    if (first != NULL) {
        *first = 7;
        trees++;
    }
    return tree_error;
}

static void destroy_tree(void *ctx)
{
    cr_expect_eq(lines, 0, "no line is left");
    trees--;
    free(ctx);
}

static const unsigned virtio_irqs[] = {30, 31};
static const struct arch arch = {.virtio = {VIRTIO_GPA, 0x1000, 2, virtio_irqs},
                                 .pci = {.ecam_gpa = ECAM_GPA, .ecam_bytes = MIB, .irq = 40}};
static const struct fdt_board_kind kind = {
    .arch = &arch,
    .image = {.wanted = {"a test's Image", "a test"}, .magic = "TEST", .cmdline_max_bytes = 100},
    .rtc = &pl031_kind,
    .create = create_tree,
    .destroy = destroy_tree,
};

static void on_end(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    end_event = event;
    end_status = status;
}

static void setup(void)
{
    cr_assert_eq(gmem_create(&memory, 32 * MIB, 0, RAM_GPA), 0);
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 32), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    fake_chr_init(&chr, 80, 25);
    config = (struct board_config){.hv = &hv,
                                   .gmem = memory,
                                   .mmio = mmio,
                                   .loop = loop,
                                   .power = {.request = on_end},
                                   .vcpus = 2,
                                   .serial = &chr.backend};
}

static void teardown(void)
{
    fdt_board_destroy(board);
    cr_expect_eq(lines + trees, 0);
    evloop_destroy(loop);
    bus_destroy(mmio);
    gmem_destroy(memory);
}

TestSuite(arch_fdt_board, .init = setup, .fini = teardown);

static void create(void)
{
    cr_assert_eq(fdt_board_create(&board, &config, &kind), 0);
}

/* Boots an Image of 4 KiB from a file without a name; the tree. */
static const void *boot(const struct board_devices *devices)
{
    uint8_t image[4096] = {0};
    char path[] = "/tmp/minivet-board-XXXXXX";
    int fd = mkstemp(path);
    memcpy(image + 56, "TEST", 4);
    cr_assert_eq(write(fd, image, sizeof(image)), (ssize_t)sizeof(image));
    close(fd);
    cr_assert_eq(fdt_board_describe(board, devices), 0);
    cr_assert_eq(fdt_board_load_kernel(
                     board, &(struct boot_request){.kernel_path = path, .cmdline = "quiet"}),
                 0);
    unlink(path);
    const struct linux_image *i = fdt_board_image(board);
    cr_expect_eq(i->entry_gpa, RAM_GPA);
    const void *tree = gmem_ptr(memory, i->tree_gpa, LINUX_TREE_BYTES, 8);
    cr_assert_not_null(tree);
    cr_assert_eq(fdt_check_full(tree, LINUX_TREE_BYTES), 0);
    return tree;
}

Test(arch_fdt_board, it_has_no_tables_of_a_pc)
{
    config.smbios = &(struct smbios_config){.product = "P"};
    cr_expect_eq(fdt_board_create(&board, &config, &kind), -EINVAL);
    board = NULL;
}

Test(arch_fdt_board, a_watchdog_is_the_architectures)
{
    static struct fdt_board_kind other; /* it outlives the board */
    other = kind;
    config.watchdog.on = true;
    cr_expect_eq(fdt_board_create(&board, &config, &other), -EINVAL, "it has none");
    other.watchdog = &sp805_kind;
    config.watchdog.boot_ns = UINT64_C(10000000000);
    cr_assert_eq(fdt_board_create(&board, &config, &other), 0);
    uint64_t value = 0;
    cr_expect(bus_read(mmio, FDT_WATCHDOG_GPA + 0xfe0, 4, &value) && value == 0x05);
    cr_expect(bus_read(mmio, FDT_WATCHDOG_GPA + 8, 4, &value) && value == 3, "it runs");
    fdt_board_hold(board, true);
    fdt_board_hold(board, false);
}

Test(arch_fdt_board, devices_are_where_it_says)
{
    uint64_t value = 0;
    create();
    cr_expect(bus_read(mmio, FDT_RTC_GPA + 0xfe0, 4, &value) && value == 0x31);
    cr_expect(bus_read(mmio, FDT_PVPANIC_GPA, 1, &value) && value == 3);
    bus_write(mmio, FDT_SERIAL_GPA, 1, 'x');
    fdt_board_flush(board);
    cr_expect(chr.out_bytes == 1 && chr.out[0] == 'x');
    bus_write(mmio, FDT_PVPANIC_GPA, 1, 1);
    cr_expect_eq(end_event, POWER_PANIC);
    bus_write(mmio, FDT_DEBUG_EXIT_GPA, 1, 9);
    cr_expect(end_event == POWER_EXIT && end_status == 9);
}

Test(arch_fdt_board, it_has_a_function_for_a_panic)
{
    create();
    struct pci_function *f = fdt_board_function(board);
    cr_expect_eq(f->ops->config_read(f, PCI_REG_VENDOR, 4), 0x00111b36);
}

Test(arch_fdt_board, the_tree_has_what_the_machine_has)
{
    static const struct pci_windows windows = {.memory32 = {0x20000000, 0x10000000}};
    create();
    const void *tree =
        boot(&(struct board_devices){.virtio_windows = 1, .pci = true, .windows = &windows});
    cr_expect_geq(fdt_path_offset(tree, "/serial@1000000"), 0);
    cr_expect_geq(fdt_path_offset(tree, "/pvpanic@1030000"), 0);
    cr_expect_lt(fdt_path_offset(tree, "/fw-cfg@1050000"), 0);
    cr_expect_geq(fdt_path_offset(tree, "/virtio_mmio@5000"), 0);
    cr_expect_lt(fdt_path_offset(tree, "/virtio_mmio@6000"), 0);
    cr_expect_geq(fdt_path_offset(tree, "/pcie@10000000"), 0);
    cr_expect_geq(fdt_path_offset(tree, "/controller"), 0);
    cr_expect_geq(fdt_path_offset(tree, "/memory@40000000"), 0);
    const fdt32_t *own = fdt_getprop(tree, fdt_path_offset(tree, "/cpus/cpu@8"), "own", NULL);
    cr_expect(own != NULL && fdt32_ld(own) == 1);
    own = fdt_getprop(tree, fdt_path_offset(tree, "/cpus"), "timebase-frequency", NULL);
    cr_expect(own != NULL && fdt32_ld(own) == 1000);
}

Test(arch_fdt_board, without_a_terminal_and_a_bus)
{
    config.serial = NULL;
    create();
    cr_expect_eq(lines, 2);
    const void *tree = boot(&(struct board_devices){0});
    cr_expect_lt(fdt_path_offset(tree, "/serial@1000000"), 0);
    cr_expect_lt(fdt_path_offset(tree, "/pcie@10000000"), 0);
}

static unsigned irq_of(const void *tree, const char *path)
{
    const fdt32_t *is = fdt_getprop(tree, fdt_path_offset(tree, path), "interrupts", NULL);
    return is != NULL ? fdt32_ld(is) : 0;
}

/* One edge: the guest's driver presses the key and lets it go. */
Test(arch_fdt_board, buttons_interrupt)
{
    create();
    const void *tree = boot(&(struct board_devices){0});
    cr_expect_eq(irq_of(tree, "/gpio-keys/key-power"), FDT_POWER_IRQ);
    cr_expect_eq(irq_of(tree, "/gpio-keys/key-sleep"), FDT_SLEEP_IRQ);
    fdt_board_press(board, POWER_BUTTON);
    cr_expect(power_irq.edges == 1 && !power_irq.level && sleep_irq.edges == 0);
    fdt_board_press(board, SLEEP_BUTTON);
    cr_expect(power_irq.edges == 1 && sleep_irq.edges == 1 && !sleep_irq.level);
}

Test(arch_fdt_board, files_are_passed)
{
    static const struct board_file file = {.name = "opt/a", .text = "its text"};
    uint64_t value = 0;
    config.files = &file;
    config.file_count = 1;
    create();
    bus_write(mmio, FDT_FW_CFG_GPA + 8, 2, 0x2000);
    cr_expect(bus_read(mmio, FDT_FW_CFG_GPA, 8, &value));
    cr_expect_arr_eq(&value, "its text", 8);
    const void *tree = boot(&(struct board_devices){0});
    cr_expect_geq(fdt_path_offset(tree, "/fw-cfg@1050000"), 0);
}

/* As where a vCPU has no number, and where there is no memory. */
Test(arch_fdt_board, a_tree_that_cannot_be_made)
{
    tree_error = -EIO;
    cr_expect_eq(fdt_board_create(&board, &config, &kind), -EIO);
    tree_error = -ENOMEM;
    cr_expect_eq(fdt_board_create(&board, &config, &kind), -ENOMEM);
}
