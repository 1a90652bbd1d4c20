// SPDX-License-Identifier: BSD-2-Clause
/* The virtio-pci transport at work: common configuration, interrupts. VIRTIO 1.4 4.1.4, 4.1.5. */
#include "conformance.h"

#include "core/base/xmath.h"

#define NO_VECTOR VIRTIO_MSI_NO_VECTOR
#define WITH_MSIX (PCI_SPLIT | PCI_PACKED | PCI_TRANSITIONAL)

static void select_queue(struct rig *rig, unsigned queue)
{
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, queue);
}

static uint64_t queue_get(struct rig *rig, unsigned queue, unsigned field)
{
    select_queue(rig, queue);
    return common_get(rig, field, 2);
}

/* ---- common configuration ---- */

static uint64_t features_at(struct rig *rig, uint32_t select)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_feature_select, 4, select);
    return common_get(rig, VIRTIO_PCI_COMMON_device_feature, 4);
}

/* device_feature shows the 32 features that device_feature_select says; beyond the last 0. */
RequirementOfAll(pci_common_3, PCI)
{
    uint64_t low = features_at(rig, 0), high = features_at(rig, 1);
    expect((low & RING_FEATURES) == RING_FEATURES);
    expect(high & 1); /* VERSION_1 */
    expect(features_at(rig, 0) == low);
    for (uint32_t select = 2; select < 8; select++)
        expect(features_at(rig, select) == 0);
    expect(features_at(rig, UINT32_MAX) == 0);
    expect(features_at(rig, UINT32_C(1) << 31) == 0);
}

/* driver_feature shows what the driver wrote there. */
Requirement(pci_common_4, ECHO, PCI)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 1);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 3);
    uint64_t words[] = {RING_FEATURES, 1 | 1u << (VIRTIO_F_RING_RESET - 32)};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, i);
            common_set(rig, VIRTIO_PCI_COMMON_driver_feature, 4, words[i]);
        }
        for (unsigned i = 0; i < 2; i++) {
            common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, i);
            expect(common_get(rig, VIRTIO_PCI_COMMON_driver_feature, 4) == words[i]);
        }
        words[0] = VIRTIO_BIT(3); /* what is taken back is gone */
    }
}

/* config_generation is another one when something has changed that was read. */
Requirement(pci_common_6, CONSOLE, PCI)
{
    const struct chr_handler *handler = rig->chr.backend.handler;
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
    for (uint16_t i = 0; i < 300; i++) { /* more than an 8-bit counter holds */
        uint16_t before, after;
        uint64_t generation = common_get(rig, VIRTIO_PCI_COMMON_config_generation, 1);
        vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, &before, 2);
        handler->on_resize(handler->ctx, (uint16_t)(100 + i), 50);
        vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, &after, 2);
        demand(before != after);
        expect(common_get(rig, VIRTIO_PCI_COMMON_config_generation, 1) != generation);
        rig_config_irqs(rig);
    }
}

/* Writing 0 to device_status resets the device; it reads 0 then. */
Requirement(pci_common_7, ECHO, PCI)
{
    start(rig, 0, 8);
    unsigned resets = rig->echo.resets;
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 0);
    expect(common_get(rig, VIRTIO_PCI_COMMON_device_status, 1) == 0);
    expect(rig->echo.resets == resets + 1);
    send_one(rig, 0);
    expect(!has_used(rig, 0));
}

/* queue_enable is 0 after a reset. */
Requirement(pci_common_8, ECHO, PCI)
{
    expect(queue_get(rig, 0, VIRTIO_PCI_COMMON_queue_enable) == 0);
    start(rig, 0, 8);
    demand(queue_get(rig, 0, VIRTIO_PCI_COMMON_queue_enable) == 1);
    demand(queue_get(rig, 1, VIRTIO_PCI_COMMON_queue_enable) == 1);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 0);
    expect(queue_get(rig, 0, VIRTIO_PCI_COMMON_queue_enable) == 0);
    expect(queue_get(rig, 1, VIRTIO_PCI_COMMON_queue_enable) == 0);
}

/* queue_size is 0 where there is no queue. */
RequirementOfAll(pci_common_14, PCI)
{
    unsigned queues = (unsigned)common_get(rig, VIRTIO_PCI_COMMON_num_queues, 2);
    expect(queues > 0);
    expect(queue_get(rig, queues - 1, VIRTIO_PCI_COMMON_queue_size) != 0);
    expect(queue_get(rig, queues, VIRTIO_PCI_COMMON_queue_size) == 0);
    expect(queue_get(rig, 0x8000, VIRTIO_PCI_COMMON_queue_size) == 0);
    expect(queue_get(rig, 0xffff, VIRTIO_PCI_COMMON_queue_size) == 0);
}

/* queue_size is 0 or a power of two, without RING_PACKED. */
RequirementOfAll(pci_common_15, PCI & ~PCI_PACKED)
{
    demand(vdrv_negotiate(&rig->drv, 0));
    for (unsigned queue = 0; queue < 4; queue++) {
        uint64_t size = queue_get(rig, queue, VIRTIO_PCI_COMMON_queue_size);
        expect((size & (size - 1)) == 0);
    }
}

/* ---- ISR, INTx ---- */

static uint32_t isr_of(struct rig *rig)
{
    return vdrv_take_isr(&rig->drv);
}

/* The configuration bit of the ISR is set when the notification comes. */
Requirement(pci_isr_2, ECHO, PCI)
{
    start(rig, 0, 8);
    isr_of(rig);
    virtio_device_config_changed(rig->dev);
    rig_step(rig);
    expect(rig->cfg.intx ? atomic_load(&rig->irq.level) : rig_config_irqs(rig) == 1);
    expect(isr_of(rig) & VIRTIO_ISR_CONFIG);
}

/* Without MSI-X the queue bit of the ISR is set when the notification comes. */
Requirement(pci_isr_3, ECHO, PCI_INTX)
{
    start(rig, 0, 8);
    send_one(rig, 0);
    expect(atomic_load(&rig->irq.level));
    expect(isr_of(rig) == VIRTIO_ISR_QUEUE);
}

/* Without MSI-X the interrupt status of the function is set while a bit of the ISR is. */
Requirement(pci_isr_4, ECHO, PCI_INTX)
{
    start(rig, 0, 8);
    expect(!(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX));
    for (unsigned masked = 0; masked < 2; masked++) {
        uint32_t command = pci_get(rig, PCI_REG_COMMAND, 2) & ~(uint32_t)PCI_CMD_INTX_DISABLE;
        pci_set(rig, PCI_REG_COMMAND, 2, command | (masked ? PCI_CMD_INTX_DISABLE : 0));
        send_one(rig, 0);
        expect(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX);
        expect(atomic_load(&rig->irq.level) == !masked);
        isr_of(rig);
        expect(!(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX));
        virtio_device_config_changed(rig->dev);
        expect(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX);
        isr_of(rig);
        expect(!(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX));
        expect(!atomic_load(&rig->irq.level));
    }
}

/* Reading the ISR clears it. */
Requirement(pci_isr_5, ECHO, PCI_INTX)
{
    start(rig, 0, 8);
    expect(isr_of(rig) == 0);
    send_one(rig, 0);
    virtio_device_config_changed(rig->dev);
    expect(isr_of(rig) == (VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG));
    expect(isr_of(rig) == 0);
    expect(!atomic_load(&rig->irq.level));
}

/* ---- MSI-X ---- */

static unsigned table_size(struct rig *rig)
{
    unsigned cap = pci_cap(rig, PCI_CAP_MSIX, 0);
    demand(cap != 0);
    return (pci_get(rig, cap + 2, 2) & 0x7ff) + 1;
}

/* The configuration's vector, or a queue's: what it is then. */
static uint64_t map(struct rig *rig, int queue, unsigned vector)
{
    unsigned field =
        queue < 0 ? VIRTIO_PCI_COMMON_config_msix_vector : VIRTIO_PCI_COMMON_queue_msix_vector;
    if (queue >= 0)
        select_queue(rig, (unsigned)queue);
    common_set(rig, field, 2, vector);
    return common_get(rig, field, 2);
}

static void cause(struct rig *rig, int queue)
{
    if (queue < 0) {
        virtio_device_config_changed(rig->dev);
    } else {
        send_one(rig, (unsigned)queue);
        take_one(rig, (unsigned)queue, NULL);
    }
    rig_step(rig);
}

/* There are at least two vectors, and no more than the table can have. */
RequirementOfAll(pci_msix_1, WITH_MSIX)
{
    expect(table_size(rig) >= 2 && table_size(rig) <= 0x800);
}

/* Table Size is the number of vectors: these can be used, no others. */
Requirement(pci_msix_2, ECHO, WITH_MSIX)
{
    unsigned vectors = table_size(rig);
    start(rig, 0, 8);
    for (unsigned vector = 0; vector < vectors; vector++) {
        demand(map(rig, -1, vector) == vector);
        cause(rig, -1);
        expect(fake_msi_take(&rig->msi, vector) == 1);
    }
    expect(map(rig, -1, vectors) == NO_VECTOR);
}

/* The table is no larger than is of use: a vector for each queue, one for the configuration. */
RequirementOfAll(pci_msix_3, WITH_MSIX)
{
    expect(table_size(rig) <= rig->dev->cfg.queue_count + 1);
}

/* Each event can have each vector. */
Requirement(pci_msix_4, ECHO, WITH_MSIX)
{
    start(rig, 0, 8);
    for (int event = -1; event < 2; event++) {
        for (unsigned vector = 0; vector < table_size(rig); vector++) {
            demand(map(rig, event, vector) == vector);
            cause(rig, event);
            expect(fake_msi_take(&rig->msi, vector) == 1);
            expect(fake_msi_take_all(&rig->msi) == 0);
        }
    }
}

/* Each event can be left without a vector. */
Requirement(pci_msix_5, ECHO, WITH_MSIX)
{
    start(rig, 0, 8);
    for (int event = -1; event < 2; event++) {
        cause(rig, event);
        expect(fake_msi_take_all(&rig->msi) == 1);
        expect(map(rig, event, NO_VECTOR) == NO_VECTOR);
        cause(rig, event);
        expect(fake_msi_take_all(&rig->msi) == 0);
    }
}

/* The vector registers show what is mapped, or NO_VECTOR. */
Requirement(pci_msix_6, ECHO, WITH_MSIX)
{
    static const unsigned vectors[] = {2, 0, 1, NO_VECTOR, 1};
    demand(vdrv_negotiate(&rig->drv, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        expect(map(rig, -1, vectors[i]) == vectors[i]);
        expect(map(rig, 0, vectors[(i + 1) % 5]) == vectors[(i + 1) % 5]);
        expect(map(rig, 1, vectors[(i + 2) % 5]) == vectors[(i + 2) % 5]);
        expect(common_get(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2) == vectors[i]);
        expect(queue_get(rig, 0, VIRTIO_PCI_COMMON_queue_msix_vector) == vectors[(i + 1) % 5]);
    }
}

/* After a reset no event has a vector. */
Requirement(pci_msix_7, ECHO, WITH_MSIX)
{
    for (unsigned i = 0; i < 2; i++) {
        expect(common_get(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2) == NO_VECTOR);
        expect(queue_get(rig, 0, VIRTIO_PCI_COMMON_queue_msix_vector) == NO_VECTOR);
        expect(queue_get(rig, 1, VIRTIO_PCI_COMMON_queue_msix_vector) == NO_VECTOR);
        start(rig, 0, 8);
        demand(queue_get(rig, 1, VIRTIO_PCI_COMMON_queue_msix_vector) == 2);
        common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 0);
    }
}

/* No mapping is refused that is possible: all events have one vector, in any state. */
RequirementOfAll(pci_msix_8, WITH_MSIX)
{
    for (unsigned running = 0; running < 2; running++) {
        for (int event = -1; event < (int)rig->dev->cfg.queue_count; event++)
            expect(map(rig, event, table_size(rig) - 1) == table_size(rig) - 1);
        start(rig, 0, 8);
    }
}

/* A mapping that is refused reads as NO_VECTOR, and is none. */
Requirement(pci_msix_9, ECHO, WITH_MSIX)
{
    const unsigned bad[] = {table_size(rig), 0x7ff, 0x800, 0xfffe};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start(rig, 0, 8);
        for (int event = -1; event < 2; event++) {
            expect(map(rig, event, bad[i]) == NO_VECTOR);
            cause(rig, event);
            expect(fake_msi_take_all(&rig->msi) == 0);
        }
    }
}

/* A queue without a vector raises no interrupt, neither a message nor INTx. */
Requirement(pci_used_irq_1, ECHO, WITH_MSIX)
{
    start(rig, 0, 8);
    demand(map(rig, 0, NO_VECTOR) == NO_VECTOR);
    cause(rig, 0);
    expect(fake_msi_take_all(&rig->msi) == 0 && fake_irq_take(&rig->irq) == 0);
    cause(rig, 1);
    expect(fake_msi_take_all(&rig->msi) == 1);
}

/* A configuration change without a vector raises no interrupt, neither a message nor INTx. */
Requirement(pci_config_irq_1, ECHO, WITH_MSIX)
{
    start(rig, 0, 8);
    demand(map(rig, -1, NO_VECTOR) == NO_VECTOR);
    cause(rig, -1);
    expect(fake_msi_take_all(&rig->msi) == 0 && fake_irq_take(&rig->irq) == 0);
    cause(rig, 0);
    expect(fake_msi_take_all(&rig->msi) == 1);
}
