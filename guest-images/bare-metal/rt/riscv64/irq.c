// SPDX-License-Identifier: BSD-2-Clause
/* Interrupts: by a PLIC, or, where KVM has them, by an APLIC and the first CPU's IMSIC. */
#include "rt.h"

/* RISC-V Platform-Level Interrupt Controller 1.0; a context for each CPU. */
#define PLIC_GPA       UINT64_C(0x0c000000)
#define PLIC_ENABLES   (PLIC_GPA + 0x2000)
#define PLIC_THRESHOLD (PLIC_GPA + 0x200000)
#define PLIC_CLAIM     (PLIC_GPA + 0x200004)

/* RISC-V Advanced Interrupt Architecture 1.0, chapters 3 and 4. */
#define APLIC_GPA       UINT64_C(0x0d000000)
#define APLIC_SOURCECFG (APLIC_GPA + 4) /* of source 1; 4 bytes each, as the targets */
#define APLIC_SETIENUM  (APLIC_GPA + 0x1edc)
#define APLIC_TARGET    (APLIC_GPA + 0x3004)
#define DOMAIN_IS_ON    0x104u /* sends messages */
#define SOURCE_EDGE     4u
#define CSR_SISELECT    "0x150"
#define CSR_SIREG       "0x151"
#define CSR_STOPEI      "0x15c"
#define IMSIC_DELIVERY  0x70u
#define IMSIC_THRESHOLD 0x72u
#define IMSIC_ENABLES   0xc0u

#define SIE_EXTERNAL 0x200

static bool has_aia;
static uint8_t vectors[RT_VECTORS]; /* of the PLIC's sources */

static void imsic_write(uint64_t reg, uint64_t value)
{
    __asm__ volatile("csrw " CSR_SISELECT ", %0\n\tcsrw " CSR_SIREG ", %1"
                     :
                     : "r"(reg), "r"(value)
                     : "memory");
}

void rt_irq_init(void)
{
    has_aia = mmio_read32(APLIC_GPA) >> 24 == 0x80; /* all bits are set where no register is */
    if (has_aia) {
        mmio_write32(APLIC_GPA, DOMAIN_IS_ON);
        imsic_write(IMSIC_THRESHOLD, 0);
        imsic_write(IMSIC_ENABLES, UINT64_MAX);
        imsic_write(IMSIC_DELIVERY, 1);
    } else {
        mmio_write32(PLIC_THRESHOLD, 0);
    }
    __asm__ volatile("csrs sie, %0" : : "r"(SIE_EXTERNAL) : "memory");
    irq_unmask();
}

bool rt_irq_has_messages(void)
{
    return has_aia;
}

/*
 * With an IMSIC it does not sleep: where the host has several processors, KVM of Linux 6.12 now and
 * then does not wake a vCPU for a message, and this guest has no timer to end that.
 */
void irq_idle(void)
{
    if (has_aia)
        pause();
    else
        __asm__ volatile("wfi" : : : "memory");
}

void rt_irq_route(unsigned irq, unsigned vector)
{
    CHECK(irq > 0 && irq < RT_VECTORS);
    if (has_aia) {
        mmio_write32(APLIC_SOURCECFG + 4 * (irq - 1), SOURCE_EDGE);
        mmio_write32(APLIC_TARGET + 4 * (irq - 1), vector); /* of hart 0 */
        mmio_write32(APLIC_SETIENUM, irq);
        return;
    }
    uint64_t enables = PLIC_ENABLES + irq / 32 * 4;
    vectors[irq] = (uint8_t)vector;
    mmio_write32(PLIC_GPA + 4 * irq, 1);
    mmio_write32(enables, mmio_read32(enables) | 1u << irq % 32);
}

static void take(unsigned vector)
{
    if (!rt_irq_take(vector))
        rt_unexpected(vector, 0, 0);
}

void rt_interrupt(void);

void rt_interrupt(void)
{
    uint64_t top;
    if (has_aia) {
        __asm__ volatile("csrrw %0, " CSR_STOPEI ", zero" : "=r"(top) : : "memory");
        if (top != 0)
            take((unsigned)(top >> 16));
        return;
    }
    uint32_t source = mmio_read32(PLIC_CLAIM);
    if (source == 0)
        return;
    take(vectors[source]);
    mmio_write32(PLIC_CLAIM, source);
}
