// SPDX-License-Identifier: BSD-2-Clause
/* Interrupts: by a GICv3, with an ITS for messages, or by a GICv2 (Arm IHI 0069, IHI 0048). */
#include "rt.h"

#define FIRST_SPI 32u
#define FIRST_LPI 8192u
#define NONE      1020u /* and above: no interrupt's number */

#define GICD_GPA       UINT64_C(0x08000000)
#define GICD_IGROUPR   (GICD_GPA + 0x80)
#define GICD_ISENABLER (GICD_GPA + 0x100)
#define GICD_ITARGETSR (GICD_GPA + 0x800)
#define GICD_ICFGR     (GICD_GPA + 0xc00)
#define GICD_IROUTER   (GICD_GPA + 0x6000)
#define GICD_PIDR2     (GICD_GPA + 0xffe8)

#define GICC_GPA  UINT64_C(0x08010000)
#define GICC_PMR  (GICC_GPA + 4)
#define GICC_IAR  (GICC_GPA + 0xc)
#define GICC_EOIR (GICC_GPA + 0x10)

#define GICR_GPA       UINT64_C(0x08100000)
#define GICR_PROPBASER (GICR_GPA + 0x70)
#define GICR_PENDBASER (GICR_GPA + 0x78)

#define GITS_GPA     UINT64_C(0x08080000)
#define GITS_CBASER  (GITS_GPA + 0x80)
#define GITS_CWRITER (GITS_GPA + 0x88)
#define GITS_BASER   (GITS_GPA + 0x100)
#define VALID        (UINT64_C(1) << 63)
#define EVENT_BITS   6u /* RT_VECTORS */
#define LPI_BITS     14u

enum { ITS_MAPD = 8, ITS_MAPC = 9, ITS_MAPTI = 10 };

/* Devices and collections have a page each, by their numbers. */
static _Alignas(65536) uint8_t pending[65536], tables[2][65536];
static _Alignas(65536) uint64_t commands[512][4];
static _Alignas(4096) uint8_t lpi_settings[RT_VECTORS];
static _Alignas(256) uint8_t events[RT_VECTORS * 16];
static unsigned command_count;
static uint8_t vectors[RT_VECTORS]; /* of SPIs */
static bool is_v3;

static void add_command(uint64_t code, uint64_t event, uint64_t target)
{
    uint64_t *c = commands[command_count++];
    c[0] = code | (uint64_t)SENDER_DEVFN << 32;
    c[1] = event;
    c[2] = target;
}

/* Message n of the sender is LPI 8192 + n of this CPU. */
static void init_messages(void)
{
    for (unsigned i = 0; i < RT_VECTORS; i++)
        lpi_settings[i] = 0xa1; /* some priority, enabled */
    mmio_write64(GICR_PROPBASER, (uintptr_t)lpi_settings | (LPI_BITS - 1));
    mmio_write64(GICR_PENDBASER, (uintptr_t)pending);
    mmio_write32(GICR_GPA, 1);
    for (unsigned i = 0; i < 2; i++)
        mmio_write64(GITS_BASER + 8 * i, VALID | (uintptr_t)tables[i]);
    mmio_write64(GITS_CBASER, VALID | (uintptr_t)commands | 3); /* pages of 4 KiB, less one */
    mmio_write32(GITS_GPA, 1);
    add_command(ITS_MAPD, EVENT_BITS - 1, VALID | (uintptr_t)events);
    add_command(ITS_MAPC, 0, VALID);
    for (uint64_t i = 0; i < RT_VECTORS; i++)
        add_command(ITS_MAPTI, i | (FIRST_LPI + i) << 32, 0);
    mmio_write64(GITS_CWRITER, command_count * sizeof(commands[0]));
}

void rt_irq_init(void)
{
    is_v3 = (mmio_read32(GICD_PIDR2) >> 4 & 15) == 3; /* a GICv2 ends before it */
    mmio_write32(GICD_GPA, is_v3 ? 2 : 1);
    if (is_v3) {
        __asm__ volatile("msr s3_0_c4_c6_0, %0\n\t"      /* ICC_PMR_EL1 */
                         "msr s3_0_c12_c12_7, %1\n\tisb" /* ICC_IGRPEN1_EL1 */
                         :
                         : "r"(UINT64_C(0xff)), "r"(UINT64_C(1)));
        init_messages();
    } else {
        mmio_write32(GICC_PMR, 0xff);
        mmio_write32(GICC_GPA, 1);
    }
    irq_unmask();
}

bool rt_irq_has_messages(void)
{
    return is_v3;
}

static void set_bits(uint64_t gpa, uint32_t mask)
{
    mmio_write32(gpa, mmio_read32(gpa) | mask);
}

void rt_irq_route(unsigned irq, unsigned vector)
{
    unsigned id = FIRST_SPI + irq;
    CHECK(irq < RT_VECTORS);
    vectors[irq] = (uint8_t)vector;
    set_bits(GICD_ICFGR + id / 16 * 4, 2u << id % 16 * 2);
    if (is_v3) {
        set_bits(GICD_IGROUPR + id / 32 * 4, 1u << id % 32);
        mmio_write64(GICD_IROUTER + id * 8ul, 0);
    } else {
        mmio_write8(GICD_ITARGETSR + id, 1);
    }
    mmio_write32(GICD_ISENABLER + id / 32 * 4, 1u << id % 32);
}

void rt_interrupt(void);

void rt_interrupt(void)
{
    uint64_t id;
    if (is_v3)
        __asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(id) : : "memory"); /* ICC_IAR1 */
    else
        id = mmio_read32(GICC_IAR);
    if (id >= NONE && id < FIRST_LPI)
        return;
    unsigned vector = (unsigned)(id - FIRST_LPI);
    if (id < FIRST_LPI)
        vector = id >= FIRST_SPI && id - FIRST_SPI < RT_VECTORS ? vectors[id - FIRST_SPI] : 0;
    if (!rt_irq_take(vector))
        rt_unexpected(id, 0, 0);
    if (is_v3)
        __asm__ volatile("msr s3_0_c12_c12_1, %0\n\tisb" : : "r"(id) : "memory"); /* ICC_EOIR1 */
    else
        mmio_write32(GICC_EOIR, (uint32_t)id);
}
