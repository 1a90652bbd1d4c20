// SPDX-License-Identifier: BSD-2-Clause
/* The routing table, without a KVM. */
#include "kvm/impl.h"
#include "tests/harness/test.h"

#define DOORBELL UINT64_C(0x8090040) /* of the ITS */

static struct kvm_irq_routing *table;
static struct kvm_msi_route routes[KVM_MSI_ROUTES];

static void make_table(void)
{
    table =
        calloc(1, sizeof(*table) + (kvm_arch.lines + KVM_MSI_ROUTES) * sizeof(table->entries[0]));
    cr_assert_not_null(table);
}

static void free_table(void)
{
    free(table);
}

TestSuite(kvm_irq, .init = make_table, .fini = free_table);

Test(kvm_irq, a_wired_interrupt_is_the_pin_of_its_number)
{
    cr_assert_eq(kvm_routing_build(table, routes, KVM_MSI_ROUTES), kvm_arch.lines);
    for (unsigned i = 0; i < kvm_arch.lines; i++) {
        const struct kvm_irq_routing_entry *e = &table->entries[i];
        cr_expect(e->type == KVM_IRQ_ROUTING_IRQCHIP && e->gsi == i && e->flags == 0);
        cr_expect(e->u.irqchip.irqchip == 0 && e->u.irqchip.pin == i);
    }
    cr_expect_eq(kvm_arch.line_base, 1 << 24 | 32, "shared interrupts, the first of which is 32");
}

/* Without its sender KVM takes a message, and never delivers it. */
Test(kvm_irq, a_message_has_its_sender)
{
    routes[3] = (struct kvm_msi_route){true, DOORBELL, 5, 0x18};
    cr_assert_eq(kvm_routing_build(table, routes, KVM_MSI_ROUTES), kvm_arch.lines + 1);
    const struct kvm_irq_routing_entry *e = &table->entries[kvm_arch.lines];
    cr_expect(e->type == KVM_IRQ_ROUTING_MSI && e->gsi == kvm_arch.lines + 3);
    cr_expect_eq(e->flags, KVM_MSI_VALID_DEVID);
    cr_expect(e->u.msi.devid == 0x18 && e->u.msi.address_lo == DOORBELL && e->u.msi.data == 5);
}

Test(kvm_irq, only_the_doorbell_takes_messages)
{
    cr_expect(kvm_arch_is_msi(DOORBELL));
    cr_expect_not(kvm_arch_is_msi(DOORBELL + 4));
    cr_expect_not(kvm_arch_is_msi(0xfee00000));
}
