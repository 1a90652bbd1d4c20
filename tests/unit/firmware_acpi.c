// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables as bytes, and as iasl of Debian's acpica-tools reads them: it must take every table
 * without a remark, and must compile the DSDT that it has disassembled to the same bytes again.
 */
#include "firmware/acpi/acpi.h"

#include "firmware/acpi/aml.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

#define HEADER_BYTES 36u

static const unsigned gsis[] = X86_VIRTIO_GSIS;
static struct gmem *memory;

static struct acpi_config small_machine(void)
{
    return (struct acpi_config){.vcpus = 1};
}

static struct acpi_config full_machine(void)
{
    cr_assert_eq(ARRAY_SIZE(gsis), X86_VIRTIO_GSI_COUNT);
    return (struct acpi_config){
        .vcpus = 64,
        .serial = true,
        .fw_cfg = true,
        .watchdog = true,
        .pci = true,
        .pci_window64 = {UINT64_C(0x8000000000), 64 * GIB},
        .virtio_windows = X86_VIRTIO_GSI_COUNT,
    };
}

static void setup(void)
{
    fx_capture_errors();
    memory = fx_memory(4 * MIB);
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_acpi, .init = setup, .fini = teardown);

static uint8_t sum(const uint8_t *p, size_t len)
{
    unsigned s = 0;

    for (size_t i = 0; i < len; i++)
        s += p[i];
    return (uint8_t)s;
}

/* A table that lies where it may and whose bytes add up. */
static const uint8_t *table_at(uint64_t gpa)
{
    const uint8_t *t = gmem_ptr(memory, gpa, HEADER_BYTES, 16);
    uint32_t len;

    cr_assert_not_null(t);
    len = le32_get(t + 4);
    cr_assert(range_within(gpa, len, X86_ACPI_GPA, X86_ACPI_BYTES), "%.4s", (const char *)t);
    cr_assert(sum(t, len) == 0 && memcmp(t + 10, "MINIVT", 6) == 0, "%.4s", (const char *)t);
    return t;
}

static const uint8_t *xsdt(void)
{
    const uint8_t *rsdp = gmem_ptr(memory, X86_ACPI_GPA, 36, 16);

    cr_assert(memcmp(rsdp, "RSD PTR ", 8) == 0 && rsdp[15] == 2);
    cr_assert(sum(rsdp, 20) == 0 && sum(rsdp, 36) == 0);
    return table_at(le64_get(rsdp + 24));
}

/* The DSDT hangs off the FADT; the others are listed. */
static const uint8_t *find(const char *signature)
{
    const uint8_t *list = xsdt();

    for (uint32_t at = HEADER_BYTES; at < le32_get(list + 4); at += 8) {
        const uint8_t *t = table_at(le64_get(list + at));

        if (memcmp(t, signature, 4) == 0)
            return t;
        if (memcmp(t, "FACP", 4) == 0 && memcmp(signature, "DSDT", 4) == 0)
            return table_at(le64_get(t + 140));
    }
    return NULL;
}

static bool contains(const uint8_t *table, const void *bytes, size_t len)
{
    return memmem(table, le32_get(table + 4), bytes, len) != NULL;
}

Test(firmware_acpi, every_table_is_there_and_adds_up)
{
    struct acpi_config config = full_machine();

    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_assert_arr_eq(xsdt(), "XSDT", 4);
    cr_assert_not_null(find("FACP"));
    cr_assert_not_null(find("APIC"));
    cr_assert_not_null(find("MCFG"));
    cr_assert_not_null(find("DSDT"));
}

Test(firmware_acpi, what_passes_files_is_named_if_it_is_there)
{
    struct acpi_config config = full_machine();
    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_expect(contains(find("DSDT"), "QEMU0002", 8));
    config.fw_cfg = false;
    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_expect_not(contains(find("DSDT"), "QEMU0002", 8));
}

Test(firmware_acpi, nothing_is_written_elsewhere)
{
    struct acpi_config config = full_machine();
    const uint8_t *p = gmem_ptr(memory, 0, 4 * MIB, 1);

    cr_assert_eq(acpi_write(memory, &config), 0);
    for (uint64_t gpa = 0; gpa < 4 * MIB; gpa++) {
        if (!range_within(gpa, 1, X86_ACPI_GPA, X86_ACPI_BYTES) &&
            !range_within(gpa, 1, X86_VMGENID_GPA, 16))
            cr_assert_eq(p[gpa], 0, "at 0x%lx", (unsigned long)gpa);
    }
}

Test(firmware_acpi, fadt_says_how_to_power_off_and_reset)
{
    struct acpi_config config = full_machine();
    const uint8_t *t;
    static const uint8_t reset[] = {1, 8, 0, 1, 0x02, 0x06, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t control[] = {1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0};
    static const uint8_t status[] = {1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0};

    cr_assert_eq(acpi_write(memory, &config), 0);
    t = find("FACP");
    cr_assert_eq(le32_get(t + 4), 276);
    cr_assert_eq(t[8], 6);
    cr_assert_arr_eq(t + 116, reset, sizeof(reset));
    cr_assert_arr_eq(t + 244, control, sizeof(control));
    cr_assert_arr_eq(t + 256, status, sizeof(status));
    cr_assert_eq(le32_get(t + 112) & (1u << 20), 1u << 20); /* hardware-reduced */
    cr_assert_eq(le32_get(t + 112) & (1u << 10), 1u << 10); /* the reset register counts */
    cr_assert_eq(le16_get(t + 109), 0x5);                   /* legacy devices, no VGA, no 8042 */
    cr_assert_eq(le64_get(t + 140), le32_get(t + 40));
}

Test(firmware_acpi, small_machine_has_no_pci_no_serial_no_virtio)
{
    struct acpi_config config = small_machine();

    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_assert_null(find("MCFG"));
    cr_assert_not(contains(find("DSDT"), "PCI0", 4));
    cr_assert_not(contains(find("DSDT"), "COM1", 4));
    cr_assert_not(contains(find("DSDT"), "LNRO0005", 8));
    cr_assert(contains(find("DSDT"), "RTC0", 4));
    cr_assert_eq(le16_get(find("FACP") + 109), 0x4);
}

Test(firmware_acpi, madt_lists_every_processor)
{
    struct acpi_config config = full_machine();
    const uint8_t *t;
    unsigned lapics = 0, ioapics = 0;

    cr_assert_eq(acpi_write(memory, &config), 0);
    t = find("APIC");
    cr_assert_eq(le32_get(t + 36), 0xfee00000);
    for (const uint8_t *e = t + 44; e < t + le32_get(t + 4); e += e[1]) {
        cr_assert_gt(e[1], 0);
        if (e[0] == 0) {
            cr_assert_eq(e[2], lapics);
            cr_assert_eq(e[3], lapics);
            cr_assert_eq(le32_get(e + 4), 1);
            lapics++;
        } else if (e[0] == 1) {
            cr_assert_eq(le32_get(e + 4), 0xfec00000);
            cr_assert_eq(le32_get(e + 8), 0);
            ioapics++;
        }
    }
    cr_assert_eq(lapics, 64);
    cr_assert_eq(ioapics, 1);
}

/* An APIC id of 255 and above does not fit into the old entry. */
Test(firmware_acpi, madt_uses_x2apic_entries_from_255_on)
{
    struct acpi_config config = {.vcpus = 257};
    const uint8_t *t;
    unsigned lapics = 0, x2apics = 0;

    cr_assert_eq(acpi_write(memory, &config), 0);
    t = find("APIC");
    for (const uint8_t *e = t + 44; e < t + le32_get(t + 4); e += e[1]) {
        cr_assert_gt(e[1], 0);
        lapics += e[0] == 0;
        if (e[0] == 9)
            cr_assert_eq(le32_get(e + 4), 255 + x2apics++);
    }
    cr_assert_eq(lapics, 255);
    cr_assert_eq(x2apics, 2);
}

Test(firmware_acpi, mcfg_covers_bus_0_only)
{
    struct acpi_config config = full_machine();
    const uint8_t *t;

    cr_assert_eq(acpi_write(memory, &config), 0);
    t = find("MCFG");
    cr_assert_eq(le32_get(t + 4), 60);
    cr_assert_eq(le64_get(t + 44), X86_ECAM_GPA);
    cr_assert_eq(le32_get(t + 52), 0);
}

Test(firmware_acpi, too_little_memory_is_refused)
{
    struct acpi_config config = small_machine();
    struct gmem *g = fx_memory(512 * KIB);

    cr_assert_lt(acpi_write(g, &config), 0);
    cr_assert_str_eq(fx_error(), "memory is too small for the ACPI tables, which end below 1 MiB");
    gmem_destroy(g);
}

Test(firmware_acpi, too_many_vcpus_are_refused)
{
    struct acpi_config config = {.vcpus = 1000000};

    cr_assert_lt(acpi_write(memory, &config), 0);
    cr_assert_str_eq(fx_error(), "1000000 vCPUs are more than the ACPI tables have room for");
}

/* {slot and all its functions, pin, no link device, GSI}, in the shortest encoding. */
Test(firmware_acpi, prt_spreads_the_pins_of_the_slots_over_four_gsis)
{
    static const uint8_t slot_0_a[] = {0x12, 0x09, 4, 0x0b, 0xff, 0xff, 0, 0, 0x0a, 16};
    static const uint8_t slot_1_d[] = {0x12, 0x0c, 4, 0x0c, 0xff, 0xff, 1, 0, 0x0a, 3, 0, 0x0a, 16};
    static const uint8_t slot_3_a[] = {0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 3, 0, 0, 0, 0x0a, 19};
    static const uint8_t slot_31_c[] = {0x12, 0x0c, 4, 0x0c, 0xff, 0xff, 31,
                                        0,    0x0a, 2, 0,    0x0a, 17};
    struct acpi_config config = full_machine();
    const uint8_t *dsdt;

    cr_assert_eq(acpi_write(memory, &config), 0);
    dsdt = find("DSDT");
    cr_expect(contains(dsdt, "_PRT\x12", 5));
    cr_expect(contains(dsdt, slot_0_a, sizeof(slot_0_a)));
    cr_expect(contains(dsdt, slot_1_d, sizeof(slot_1_d)));
    cr_expect(contains(dsdt, slot_3_a, sizeof(slot_3_a)));
    cr_expect(contains(dsdt, slot_31_c, sizeof(slot_31_c)));
}

/* Linux calls it with the GSI; one that takes no argument makes its interpreter complain. */
Test(firmware_acpi, a_press_is_an_event_of_its_gsi)
{
    static const uint8_t method[] = {
        0x14, 0x20, '_',  'E',  'V',  'T', 1,                                    /**/
        0xa0, 0x0c, 0x93, 0x68, 0x0a, 9,   0x86, 'P', 'W', 'R', 'B', 0x0a, 0x80, /**/
        0xa0, 0x0c, 0x93, 0x68, 0x0a, 3,   0x86, 'S', 'L', 'P', 'B', 0x0a, 0x80};
    struct acpi_config config = small_machine();

    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_expect(contains(find("DSDT"), method, sizeof(method)));
}

/* An edge-triggered line of a virtio-mmio window cannot be shared with PCI's level-triggered ones.
 */
Test(firmware_acpi, pci_shares_no_gsi_with_virtio_mmio)
{
    for (unsigned i = 0; i < ARRAY_SIZE(gsis); i++) {
        cr_expect(gsis[i] < X86_PCI_INTX_GSI || gsis[i] >= X86_PCI_INTX_GSI + X86_PCI_INTX_GSIS);
        cr_expect_lt(gsis[i], X86_GSI_COUNT);
    }
}

/* Linux moves BARs anywhere in what _CRS says, so it must be what the bridge decodes. */
Test(firmware_acpi, crs_hands_on_one_window_of_ports)
{
    static const uint8_t window[] = {0x88, 13,   0,    1,    0x0c, 3, 0, 0,
                                     0,    0xc0, 0xff, 0xff, 0,    0, 0, 0x40};
    static const uint8_t any_ports[] = {0x88, 13, 0, 1};
    struct acpi_config config = full_machine();
    const uint8_t *dsdt, *first;
    size_t left;

    cr_assert_eq(acpi_write(memory, &config), 0);
    dsdt = find("DSDT");
    first = memmem(dsdt, le32_get(dsdt + 4), window, sizeof(window));
    cr_assert_not_null(first);
    cr_expect_eq(memmem(dsdt, le32_get(dsdt + 4), any_ports, sizeof(any_ports)), first);
    left = le32_get(dsdt + 4) - (size_t)(first + 1 - dsdt);
    cr_expect_null(memmem(first + 1, left, any_ports, sizeof(any_ports)));
}

Test(firmware_acpi, the_generation_id_is_where_its_device_says)
{
    static const uint8_t address[] = {'A',  'D',  'D',  'R',  0x12, 0x08, 2,
                                      0x0c, 0x00, 0x10, 0x0f, 0,    0};
    struct acpi_config config = small_machine();

    for (unsigned i = 0; i < 16; i++)
        config.generation_id[i] = (uint8_t)(i + 1);
    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_expect(contains(find("DSDT"), address, sizeof(address)));
    cr_expect(contains(find("DSDT"), "_CID\x0dVM_Gen_Counter", 20));
    cr_expect_arr_eq(gmem_ptr(memory, 0xf1000, 16, 8), config.generation_id, 16);
}

/* ---- the watchdog ---- */
/* Linux: one register for each action, found by address and width. */
Test(firmware_acpi, the_watchdog_has_actions_if_it_is_there)
{
    struct acpi_config config = full_machine();
    cr_assert_eq(acpi_write(memory, &config), 0);
    const uint8_t *t = find("WDAT");
    cr_assert_not_null(t);
    uint32_t entries = le32_get(t + 64);
    cr_expect_eq(le32_get(t + 36), 32);
    cr_expect_eq(le32_get(t + 48), 100);
    cr_expect_eq(t[60], 1);
    cr_expect_eq(le32_get(t + 4), 68 + 24 * entries);
    for (uint32_t i = 0; i < entries; i++) {
        const uint8_t *e = t + 68 + 24 * i;
        uint64_t port = le64_get(e + 8);
        cr_expect(e[4] == 1 && e[5] == 32 && e[7] == 3, "action %u", e[0]);
        cr_expect(port >= 0x620 && port + 4 <= 0x620 + 0x14 && port % 4 == 0, "action %u", e[0]);
    }
    config.watchdog = false;
    cr_assert_eq(acpi_write(memory, &config), 0);
    cr_expect_null(find("WDAT"));
}

/* ---- iasl ---- */
static char dir[] = "/tmp/minivet-acpi-XXXXXX";

static void save(const char *name, const uint8_t *bytes, size_t len)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, len, f), len);
    cr_assert_eq(fclose(f), 0);
}

/* Runs a shell command in the directory; one that does not end with 0 fails the test. */
static void run(const char *command)
{
    char line[1024], output[8192] = "";
    FILE *f;

    snprintf(line, sizeof(line), "cd %s && { %s; } 2>&1", dir, command);
    f = popen(line, "r");
    cr_assert_not_null(f);
    output[fread(output, 1, sizeof(output) - 1, f)] = '\0';
    cr_assert_eq(pclose(f), 0, "%s:\n%s", command, output);
}

static bool have_iasl(void)
{
    return system("iasl -v >/dev/null 2>&1") == 0;
}

static void save_tables(void)
{
    static const char *const names[] = {"FACP", "APIC", "MCFG", "WDAT", "DSDT"};

    save("XSDT.dat", xsdt(), le32_get(xsdt() + 4));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        const uint8_t *t = find(names[i]);
        char name[16];

        snprintf(name, sizeof(name), "%s.dat", names[i]);
        if (t)
            save(name, t, le32_get(t + 4));
    }
}

/* But for the header (checksum, compiler), what iasl makes of its disassembly is what we wrote. */
static void check_with_iasl(const struct acpi_config *config)
{
    cr_assert_eq(acpi_write(memory, config), 0);
    cr_assert_not_null(mkdtemp(dir));
    save_tables();
    run("for t in *.dat; do iasl -d $t >$t.log 2>&1 || { cat $t.log; exit 1; };"
        " if grep -iE 'error|warning|invalid|unknown|incorrect' $t.log ${t%.dat}.dsl; then exit 1;"
        " fi; done");
    run("iasl -we -p DSDT-again DSDT.dsl >log &&"
        " grep -q '0 Errors, 0 Warnings, 0 Remarks' log || { cat log; exit 1; }");
    run("for t in FACP APIC MCFG WDAT; do if [ -e $t.dsl ]; then iasl -we -p $t-again $t.dsl "
        ">$t.log ||"
        " { cat $t.log; exit 1; }; fi; done");
    run("for t in *-again.aml; do cmp -i 36 ${t%-again.aml}.dat $t || exit 1; done");
    run("rm -f ./*.dat ./*.dsl ./*.log ./*.aml log");
    cr_assert_eq(rmdir(dir), 0);
}

Test(firmware_acpi, iasl_accepts_the_full_machine)
{
    struct acpi_config config = full_machine();

    if (!have_iasl())
        cr_skip_test("iasl is not installed (acpica-tools)");
    check_with_iasl(&config);
}

Test(firmware_acpi, iasl_accepts_the_small_machine)
{
    struct acpi_config config = small_machine();

    if (!have_iasl())
        cr_skip_test("iasl is not installed (acpica-tools)");
    check_with_iasl(&config);
}
