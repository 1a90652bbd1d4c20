// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/acpi/acpi.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/acpi/aml.h"
#include "firmware/x86/x86_layout.h"

#define RSDP_BYTES    36u
#define HEADER_BYTES  36u
#define FADT_BYTES    276u
#define TABLE_ALIGN   16u
#define MAX_TABLES    4u /* that the XSDT names: FADT, MADT, MCFG, WDAT */
#define OFFSET_LENGTH 4u
#define OFFSET_SUM    9u

/* FADT, ACPI 6.5 table 5.9 */
enum {
    FADT_DSDT = 40,
    FADT_P_LVL2_LAT = 96,
    FADT_P_LVL3_LAT = 98,
    FADT_IAPC_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_MINOR_VERSION = 131,
    FADT_X_DSDT = 140,
    FADT_SLEEP_CONTROL_REG = 244,
    FADT_SLEEP_STATUS_REG = 256,
};

#define FADT_WBINVD           (1u << 0)
#define FADT_PWR_BUTTON       (1u << 4) /* 1: not among the fixed events */
#define FADT_SLP_BUTTON       (1u << 5)
#define FADT_FIX_RTC          (1u << 6)
#define FADT_RESET_REG_SUP    (1u << 10)
#define FADT_HW_REDUCED_ACPI  (1u << 20)
#define BOOT_ARCH_LEGACY      (1u << 0)
#define BOOT_ARCH_NO_VGA      (1u << 2)
#define LATENCY_NO_SUCH_STATE 0xffffu /* above 1000 us: no C2, no C3 */

/* MADT, ACPI 6.5 5.2.12 */
enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_LAPIC_NMI = 4,
    MADT_X2APIC = 9,
    MADT_X2APIC_NMI = 10,
};
#define MADT_ENABLED       1u
#define FIRST_X2APIC_ONLY  255u /* an 8-bit APIC id of 255 means all of them */
#define LINT_FOR_NMI       1u
#define GAS_SYSTEM_IO      1u
#define GAS_ACCESS_BY_BYTE 1u
#define GAS_ACCESS_BY_4    3u

/* WDAT ("Hardware Watchdog Timers Design Specification", Microsoft 2006) */
enum wdat_action {
    WDAT_PETS = 0x01,
    WDAT_TELLS_LEFT = 0x04,
    WDAT_TELLS_PERIOD = 0x05,
    WDAT_SETS_PERIOD = 0x06,
    WDAT_TELLS_RUNNING = 0x08,
    WDAT_STARTS = 0x09,
    WDAT_TELLS_STOPPED = 0x0a,
    WDAT_STOPS = 0x0b,
    WDAT_TELLS_BITTEN = 0x20,
    WDAT_CLEARS_BITTEN = 0x21,
};

enum wdat_instruction {
    WDAT_IS_VALUE, /* reads: is it the entry's value? */
    WDAT_READS,
    WDAT_WRITES_VALUE, /* the entry's */
    WDAT_WRITES,
};

#define WDAT_ENABLED 1u
#define WDAT_NOT_PCI 0xffu
#define WDAT_OWN     32u /* of the header, behind that of every table */
#define WDAT_ENTRY   24u

static const char rsdp_signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
static const char oem_id[6] = {'M', 'I', 'N', 'I', 'V', 'T'};
static const char oem_table_id[8] = {'M', 'I', 'N', 'I', 'V', 'E', 'T', ' '};
static const char creator_id[4] = {'M', 'N', 'V', 'T'};

static void put_u32(struct aml *a, uint32_t v)
{
    uint8_t b[4];

    le32_put(b, v);
    aml_bytes(a, b, sizeof(b));
}

static uint8_t checksum(const uint8_t *p, size_t len)
{
    unsigned sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += p[i];
    return (uint8_t)(0x100 - (sum & 0xff));
}

/* Starts a table on its boundary; returns where it is in the buffer. ACPI 6.5 5.2.6 */
static size_t table_open(struct aml *a, const char *signature, uint8_t revision)
{
    static const uint8_t padding[TABLE_ALIGN];
    uint8_t header[HEADER_BYTES] = {0};
    size_t open;

    aml_bytes(a, padding, align_up(a->len, TABLE_ALIGN) - a->len);
    open = a->len;
    memcpy(header, signature, 4);
    header[8] = revision;
    memcpy(header + 10, oem_id, sizeof(oem_id));
    memcpy(header + 16, oem_table_id, sizeof(oem_table_id));
    le32_put(header + 24, 1); /* OEM revision */
    memcpy(header + 28, creator_id, sizeof(creator_id));
    le32_put(header + 32, 1); /* creator revision */
    aml_bytes(a, header, sizeof(header));
    return open;
}

static uint64_t table_close(struct aml *a, size_t open)
{
    if (!a->overflow) {
        uint8_t *table = a->buf + open;

        le32_put(table + OFFSET_LENGTH, (uint32_t)(a->len - open));
        table[OFFSET_SUM] = 0;
        table[OFFSET_SUM] = checksum(table, a->len - open);
    }
    return X86_ACPI_GPA + open;
}

static uint64_t write_dsdt(struct aml *a, const struct acpi_config *config)
{
    size_t open = table_open(a, "DSDT", 2); /* 2: integers have 64 bits */

    acpi_write_devices(a, config);
    return table_close(a, open);
}

/* Generic address structure of a byte-wide port. ACPI 6.5 5.2.3.2 */
static void put_port_register(uint8_t *gas, uint16_t port)
{
    gas[0] = GAS_SYSTEM_IO;
    gas[1] = 8; /* bits */
    gas[3] = GAS_ACCESS_BY_BYTE;
    le64_put(gas + 4, port);
}

static uint64_t write_fadt(struct aml *a, const struct acpi_config *config, uint64_t dsdt_gpa)
{
    uint8_t t[FADT_BYTES] = {0};
    size_t open = table_open(a, "FACP", 6);

    le32_put(t + FADT_DSDT, (uint32_t)dsdt_gpa);
    le64_put(t + FADT_X_DSDT, dsdt_gpa);
    le16_put(t + FADT_P_LVL2_LAT, LATENCY_NO_SUCH_STATE);
    le16_put(t + FADT_P_LVL3_LAT, LATENCY_NO_SUCH_STATE);
    /* No keyboard controller is claimed: port 0x64 only takes the reset command here. */
    le16_put(t + FADT_IAPC_BOOT_ARCH,
             (uint16_t)(BOOT_ARCH_NO_VGA | (config->serial ? BOOT_ARCH_LEGACY : 0)));
    le32_put(t + FADT_FLAGS, FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_FIX_RTC |
                                 FADT_RESET_REG_SUP | FADT_HW_REDUCED_ACPI);
    put_port_register(t + FADT_RESET_REG, X86_RESET_PORT);
    t[FADT_RESET_VALUE] = X86_RESET_VALUE;
    t[FADT_MINOR_VERSION] = 3;
    put_port_register(t + FADT_SLEEP_CONTROL_REG, X86_SLEEP_CONTROL_PORT);
    put_port_register(t + FADT_SLEEP_STATUS_REG, X86_SLEEP_STATUS_PORT);
    aml_bytes(a, t + HEADER_BYTES, sizeof(t) - HEADER_BYTES);
    return table_close(a, open);
}

static void put_lapic(struct aml *a, unsigned id)
{
    if (id < FIRST_X2APIC_ONLY) {
        uint8_t e[8] = {MADT_LAPIC, sizeof(e), (uint8_t)id, (uint8_t)id, MADT_ENABLED};

        aml_bytes(a, e, sizeof(e));
    } else {
        uint8_t e[16] = {MADT_X2APIC, sizeof(e)};

        le32_put(e + 4, id);
        le32_put(e + 8, MADT_ENABLED);
        le32_put(e + 12, id); /* _UID */
        aml_bytes(a, e, sizeof(e));
    }
}

/*
 * No interrupt source overrides: in a hardware-reduced machine every device names its GSI itself,
 * and neither the 8259s nor the timer's detour to pin 2 exist for the guest.
 */
static uint64_t write_madt(struct aml *a, const struct acpi_config *config)
{
    static const uint8_t lapic_nmi[6] = {MADT_LAPIC_NMI, sizeof(lapic_nmi), 0xff, 0, 0,
                                         LINT_FOR_NMI};
    static const uint8_t x2apic_nmi[12] = {
        MADT_X2APIC_NMI, sizeof(x2apic_nmi), 0, 0, 0xff, 0xff, 0xff, 0xff, LINT_FOR_NMI};
    uint8_t ioapic[12] = {MADT_IOAPIC, sizeof(ioapic)};
    size_t open = table_open(a, "APIC", 5);

    put_u32(a, X86_LAPIC_GPA);
    put_u32(a, 0);
    for (unsigned id = 0; id < config->vcpus && !a->overflow; id++)
        put_lapic(a, id);
    le32_put(ioapic + 4, X86_IOAPIC_GPA);
    aml_bytes(a, ioapic, sizeof(ioapic));
    aml_bytes(a, lapic_nmi, sizeof(lapic_nmi));
    if (config->vcpus > FIRST_X2APIC_ONLY)
        aml_bytes(a, x2apic_nmi, sizeof(x2apic_nmi));
    return table_close(a, open);
}

/* PCI Firmware 3.3 4.1.2: segment 0, bus 0 and no other. */
static uint64_t write_mcfg(struct aml *a)
{
    uint8_t body[8 + 16] = {0};
    size_t open = table_open(a, "MCFG", 1);

    le64_put(body + 8, X86_ECAM_GPA);
    aml_bytes(a, body, sizeof(body));
    return table_close(a, open);
}

/* Actions of one instruction each, on registers of four bytes. */
static uint64_t write_wdat(struct aml *a)
{
    static const struct {
        uint8_t action, instruction, reg, value;
    } rows[] = {{WDAT_PETS, WDAT_WRITES_VALUE, X86_WATCHDOG_PET, 1},
                {WDAT_TELLS_LEFT, WDAT_READS, X86_WATCHDOG_LEFT, 0},
                {WDAT_TELLS_PERIOD, WDAT_READS, X86_WATCHDOG_PERIOD, 0},
                {WDAT_SETS_PERIOD, WDAT_WRITES, X86_WATCHDOG_PERIOD, 0},
                {WDAT_TELLS_RUNNING, WDAT_IS_VALUE, X86_WATCHDOG_RUNS, 1},
                {WDAT_STARTS, WDAT_WRITES_VALUE, X86_WATCHDOG_RUNS, 1},
                {WDAT_TELLS_STOPPED, WDAT_IS_VALUE, X86_WATCHDOG_RUNS, 0},
                {WDAT_STOPS, WDAT_WRITES_VALUE, X86_WATCHDOG_RUNS, 0},
                {WDAT_TELLS_BITTEN, WDAT_IS_VALUE, X86_WATCHDOG_BITTEN, 1},
                {WDAT_CLEARS_BITTEN, WDAT_WRITES_VALUE, X86_WATCHDOG_BITTEN, 1}};
    uint8_t own[WDAT_OWN] = {0};
    size_t open = table_open(a, "WDAT", 1);

    le32_put(own, WDAT_OWN);
    own[4] = own[6] = own[7] = own[8] = WDAT_NOT_PCI; /* segment, bus, device, function */
    le32_put(own + 12, X86_WATCHDOG_UNIT_MS);
    le32_put(own + 16, X86_WATCHDOG_MAX);
    le32_put(own + 20, 1); /* unit at least */
    own[24] = WDAT_ENABLED;
    le32_put(own + 28, ARRAY_SIZE(rows));
    aml_bytes(a, own, sizeof(own));
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t e[WDAT_ENTRY] = {rows[i].action, rows[i].instruction};

        e[4] = GAS_SYSTEM_IO;
        e[5] = 32; /* bits */
        e[7] = GAS_ACCESS_BY_4;
        le64_put(e + 8, X86_WATCHDOG_PORT + rows[i].reg);
        le32_put(e + 16, rows[i].value);
        le32_put(e + 20, UINT32_MAX); /* all of its bits */
        aml_bytes(a, e, sizeof(e));
    }
    return table_close(a, open);
}

/* ACPI 6.5 5.2.5.3: the first checksum covers 20 bytes, as in revision 0, the second all 36. */
static void write_rsdp(uint8_t *p, uint64_t xsdt_gpa)
{
    memset(p, 0, RSDP_BYTES);
    memcpy(p, rsdp_signature, sizeof(rsdp_signature));
    memcpy(p + 9, oem_id, sizeof(oem_id));
    p[15] = 2;
    le32_put(p + 20, RSDP_BYTES);
    le64_put(p + 24, xsdt_gpa);
    p[8] = checksum(p, 20);
    p[32] = checksum(p, RSDP_BYTES);
}

static uint64_t write_xsdt(struct aml *a, const uint64_t *tables, unsigned count)
{
    size_t open = table_open(a, "XSDT", 1);

    for (unsigned i = 0; i < count; i++) {
        uint8_t b[8];

        le64_put(b, tables[i]);
        aml_bytes(a, b, sizeof(b));
    }
    return table_close(a, open);
}

int acpi_write(const struct gmem *g, const struct acpi_config *config)
{
    static const uint8_t room_for_rsdp[RSDP_BYTES];
    uint8_t *room = gmem_ptr(g, X86_ACPI_GPA, X86_ACPI_BYTES, TABLE_ALIGN);
    uint8_t *id = gmem_ptr(g, X86_VMGENID_GPA, ACPI_GENERATION_ID_BYTES, 8);
    uint64_t tables[MAX_TABLES];
    unsigned count = 0;
    uint64_t dsdt_gpa, xsdt_gpa;
    struct aml a;

    if (!room || !id)
        return fail_msg(-ENOMEM, "memory is too small for the ACPI tables, which end below 1 MiB");
    aml_init(&a, room, X86_ACPI_BYTES);
    aml_bytes(&a, room_for_rsdp, sizeof(room_for_rsdp));
    dsdt_gpa = write_dsdt(&a, config);
    tables[count++] = write_fadt(&a, config, dsdt_gpa);
    tables[count++] = write_madt(&a, config);
    if (config->pci)
        tables[count++] = write_mcfg(&a);
    if (config->watchdog)
        tables[count++] = write_wdat(&a);
    xsdt_gpa = write_xsdt(&a, tables, count);
    if (a.overflow)
        return fail_msg(-ENOSPC, "%u vCPUs are more than the ACPI tables have room for",
                        config->vcpus);
    write_rsdp(room, xsdt_gpa);
    memcpy(id, config->generation_id, ACPI_GENERATION_ID_BYTES);
    return 0;
}
