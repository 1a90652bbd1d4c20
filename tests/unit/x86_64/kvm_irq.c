// SPDX-License-Identifier: BSD-2-Clause
/* The routing table, without a KVM. */
#include "kvm/impl.h"
#include "tests/harness/test.h"

static struct kvm_irq_routing *table;
static struct kvm_msi_route routes[KVM_MSI_ROUTES];

static void make_table(void)
{
    table = calloc(1, sizeof(*table) + (40 + KVM_MSI_ROUTES) * sizeof(table->entries[0]));
    cr_assert(table);
}

static void free_table(void)
{
    free(table);
}

TestSuite(kvm_irq, .init = make_table, .fini = free_table);

static unsigned pins(uint32_t chip, uint32_t gsi, uint32_t pin)
{
    unsigned n = 0;
    for (unsigned i = 0; i < table->nr; i++) {
        const struct kvm_irq_routing_entry *e = &table->entries[i];
        n += e->type == KVM_IRQ_ROUTING_IRQCHIP && e->gsi == gsi && e->u.irqchip.irqchip == chip &&
             e->u.irqchip.pin == pin;
    }
    return n;
}

Test(kvm_irq, wired_interrupts_keep_their_default_pins)
{
    cr_expect_eq(kvm_routing_build(table, routes, KVM_MSI_ROUTES), 40);
    cr_expect_eq(table->nr, 40);
    for (unsigned gsi = 0; gsi < 24; gsi++)
        cr_expect_eq(pins(KVM_IRQCHIP_IOAPIC, gsi, gsi), 1, "GSI %u", gsi);
    cr_expect_eq(pins(KVM_IRQCHIP_PIC_MASTER, 4, 4), 1);
    cr_expect_eq(pins(KVM_IRQCHIP_PIC_SLAVE, 8, 0), 1);
    cr_expect_eq(pins(KVM_IRQCHIP_PIC_SLAVE, 15, 7), 1);
    cr_expect_eq(pins(KVM_IRQCHIP_PIC_SLAVE, 16, 0), 0);
}

Test(kvm_irq, a_message_has_the_gsi_of_its_slot)
{
    routes[2] = (struct kvm_msi_route){true, 0xfee01000, 0x41, 8};
    routes[KVM_MSI_ROUTES - 1] = (struct kvm_msi_route){true, 0x1fee02000, 0x42, 16};
    cr_expect_eq(kvm_routing_build(table, routes, KVM_MSI_ROUTES), 42);
    const struct kvm_irq_routing_entry *first = &table->entries[40], *last = &table->entries[41];
    cr_expect(first->type == KVM_IRQ_ROUTING_MSI && first->gsi == 26);
    cr_expect(first->u.msi.address_lo == 0xfee01000 && first->u.msi.data == 0x41);
    cr_expect_eq(first->flags, 0, "of every message, of any sender");
    cr_expect(last->gsi == 24 + KVM_MSI_ROUTES - 1 && last->u.msi.address_hi == 1);
}

Test(kvm_irq, a_full_table_fits)
{
    for (unsigned i = 0; i < KVM_MSI_ROUTES; i++)
        routes[i].used = true;
    cr_expect_eq(kvm_routing_build(table, routes, KVM_MSI_ROUTES), 40 + KVM_MSI_ROUTES);
    cr_expect_lt(24 + KVM_MSI_ROUTES, 4096, "KVM's limit of GSIs");
}
