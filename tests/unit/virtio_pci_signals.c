// SPDX-License-Identifier: BSD-2-Clause
/*
 * What goes between a virtio-pci function and its guest: vectors and INTx, the access window,
 * doorbells that follow the BARs.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/ports/irq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_pci_util.h"
#include "virtio/transport/pci.h"

/* ---- chains ---- */

/* Shows the device a chain and does not notify it. */
static void publish_one(struct rig *rig, unsigned queue)
{
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    rig_step(rig); /* a queue that has just started is looked at once anyway */
    vdrv_add(&rig->drv.q[queue], &buf, 1);
    vdrv_publish(&rig->drv.q[queue]);
}

static bool came_back(struct rig *rig, unsigned queue)
{
    uint32_t head, len;
    rig_step(rig);
    return vdrv_used(&rig->drv.q[queue], &head, &len);
}

/* ---- MSI-X ---- */

OnEcho(virtio_pci, vectors_read_back_or_are_refused, .transport = RIG_PCI)
{
    static const unsigned regs[] = {VIRTIO_PCI_COMMON_config_msix_vector,
                                    VIRTIO_PCI_COMMON_queue_msix_vector};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned vector = 0; vector < 3; vector++) {
            common_set(rig, regs[i], 2, vector);
            cr_expect_eq(common_get(rig, regs[i], 2), vector);
        }
        common_set(rig, regs[i], 2, 3);
        cr_expect_eq(common_get(rig, regs[i], 2), 0xffff);
        common_set(rig, regs[i], 2, 0);
        common_set(rig, regs[i], 2, 0xffff);
        cr_expect_eq(common_get(rig, regs[i], 2), 0xffff);
    }
}

OnEcho(virtio_pci, events_go_to_their_vectors, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    cr_assert(echoes(rig, 0));
    cr_expect_eq(fake_msi_take(&rig->msi, 1), 1);
    cr_assert(echoes(rig, 1));
    cr_expect_eq(fake_msi_take(&rig->msi, 2), 1);
    cr_expect_eq(vdrv_take_isr(&rig->drv), 0, "with MSI-X used buffers leave no mark");
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(fake_msi_take(&rig->msi, 0), 1);
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_CONFIG);

    /* All of them on one, and none at all. */
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 0);
    cr_assert(echoes(rig, 0));
    cr_expect_eq(fake_msi_take(&rig->msi, 0), 1);
    common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 0xffff);
    common_set(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2, 0xffff);
    cr_assert(echoes(rig, 0));
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(fake_msi_take_all(&rig->msi), 0);
    cr_expect_eq(rig->irq.edges, 0);
}

OnEcho(virtio_pci, a_masked_vector_waits, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    uint64_t control = rig->drv.pci.bar_gpa[1] + 16 * 1 + 12;
    bus_write(rig->bus, control, 4, 1);
    cr_assert(echoes(rig, 0));
    cr_assert(echoes(rig, 0));
    cr_expect_eq(fake_msi_take_all(&rig->msi), 0);
    bus_write(rig->bus, control, 4, 0);
    cr_expect_eq(fake_msi_take(&rig->msi, 1), 1);

    bus_write(rig->bus, control, 4, 1);
    cr_assert(echoes(rig, 0));
    vdrv_reset(&rig->drv);
    bus_write(rig->bus, control, 4, 0);
    cr_expect_eq(fake_msi_take_all(&rig->msi), 0, "a reset forgets what waits");
}

static const struct msi_ops *sink_ops;
static struct virtio_device *told;

static void *tell_config(void *arg)
{
    const struct virtio_host *host = arg;
    host->ops->notify_config(host->ctx);
    return NULL;
}

/* While a vCPU waits for a route the loop tells the driver of a change. */
static int add_meanwhile(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    pthread_t loop;
    if (told != NULL) {
        cr_assert_eq(pthread_create(&loop, NULL, tell_config, &told->host), 0);
        pthread_join(loop, NULL);
    }
    return sink_ops->route_add(ctx, eventfd, addr, data);
}

OnEcho(virtio_pci, configuration_interrupts_do_not_wait_for_routes, .transport = RIG_PCI)
{
    struct virtio_device *dev = rig->dev;
    int fd = eventfd(0, EFD_NONBLOCK);
    sink_ops = rig->sink.ops;
    struct msi_ops ops = *sink_ops;
    ops.route_add = add_meanwhile;
    rig_unplug(rig);
    rig->sink.ops = &ops;
    rig_plug(rig, dev);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    dev->host.ops->notify_by(dev->host.ctx, 0, fd);
    told = dev;
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 2);
    told = NULL;
    cr_expect_eq(fake_msi_take(&rig->msi, 0), 1);
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_CONFIG);
    dev->host.ops->notify_by(dev->host.ctx, 0, -1);
    rig_unplug(rig);
    close(fd);
}

/* ---- INTx ---- */

OnEcho(virtio_pci, the_line_follows_the_interrupt_status, .transport = RIG_PCI, .intx = true)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_expect(!rig->irq.level);
    cr_assert(echoes(rig, 0));
    cr_expect(rig->irq.level);
    cr_expect(config_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX);
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
    cr_expect(!rig->irq.level);
    cr_expect(!(config_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_INTX));
    cr_expect_eq(vdrv_take_isr(&rig->drv), 0);
    cr_assert(echoes(rig, 0));
    bus_write(rig->bus, rig->drv.pci.isr, 1, 0);
    cr_expect(rig->irq.level, "only a read takes it back");
    vdrv_reset(&rig->drv);
    cr_expect(!rig->irq.level, "or a reset");
    cr_expect_eq(fake_msi_take_all(&rig->msi), 0);
}

OnEcho(virtio_pci, msix_takes_over_from_the_line, .transport = RIG_PCI, .intx = true)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_assert(echoes(rig, 0));
    cr_expect(rig->irq.level);
    config_set(rig, rig->drv.pci.msix_cap + 2, 2, 0x8000);
    cr_expect(!rig->irq.level);
    cr_assert(echoes(rig, 0));
    cr_expect(!rig->irq.level);
    config_set(rig, rig->drv.pci.msix_cap + 2, 2, 0);
    cr_expect(rig->irq.level, "what the status says shows again");
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_QUEUE);
    cr_expect(!rig->irq.level);
}

/* ---- the access window ---- */

OnEcho(virtio_pci, the_window_reaches_registers_without_decoding, .transport = RIG_PCI,
       .intx = true)
{
    config_set(rig, PCI_REG_COMMAND, 2, PCI_CMD_MASTER);
    uint32_t common = structure(rig, VIRTIO_PCI_CAP_COMMON_CFG);
    cr_expect_eq(window_get(rig, common + VIRTIO_PCI_COMMON_num_queues, 2), 2);
    window_set(rig, common + VIRTIO_PCI_COMMON_device_feature_select, 4, 1);
    cr_expect_eq(window_get(rig, common + VIRTIO_PCI_COMMON_device_feature, 4),
                 (uint32_t)(rig->dev->offered[0] >> 32));
    window_set(rig, common + VIRTIO_PCI_COMMON_device_status, 1, 1);
    cr_expect_eq(window_get(rig, common + VIRTIO_PCI_COMMON_device_status, 1), 1);
    window_set(rig, common + VIRTIO_PCI_COMMON_device_status, 1, 0);
    cr_expect_eq(virtio_device_status(rig->dev), 0);
    cr_expect_eq(window_get(rig, structure(rig, VIRTIO_PCI_CAP_DEVICE_CFG) + 4, 4), 0x08070605);
}

OnEcho(virtio_pci, the_window_has_the_side_effects, .transport = RIG_PCI, .intx = true)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    publish_one(rig, 0);
    window_set(rig, structure(rig, VIRTIO_PCI_CAP_NOTIFY_CFG), 2, 0);
    cr_expect(came_back(rig, 0));
    cr_expect(rig->irq.level);
    window_to(rig, 4, structure(rig, VIRTIO_PCI_CAP_ISR_CFG), 1);
    cr_expect(rig->irq.level, "setting it up reads nothing");
    cr_expect_eq(window_get(rig, structure(rig, VIRTIO_PCI_CAP_ISR_CFG), 1), VIRTIO_ISR_QUEUE);
    cr_expect(!rig->irq.level);
}

OnEcho(virtio_pci, the_window_shows_nothing_where_nothing_is, .transport = RIG_PCI)
{
    static const struct {
        uint32_t bar, offset, bytes;
    } bad[] = {
        {3, 0, 4},          {5, 0, 4},          {6, 0, 4},      {255, 0, 4},         {4, 0, 0},
        {4, 0, 3},          {4, 0, 8},          {4, 0x4000, 4}, {4, 0xfffffffc, 4},  {4, 2, 4},
        {4, UINT32_MAX, 1}, {4, 0, UINT32_MAX}, {1, 0, 2},      {4, 0x80000000u, 4},
    };
    unsigned data = find_cap(rig, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CFG_CAP_data;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        unsigned width = bad[i].bytes == 1 || bad[i].bytes == 2 ? bad[i].bytes : 4;
        window_to(rig, bad[i].bar, bad[i].offset, bad[i].bytes);
        config_set(rig, data, 4, 0x11111111);
        cr_expect_eq(config_get(rig, data, width), width_mask(width), "%u", i);
    }
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_device_feature_select, 4), 0);
    window_to(rig, 4, structure(rig, VIRTIO_PCI_CAP_DEVICE_CFG) + 2, 4); /* not aligned */
    cr_expect_eq(config_get(rig, data, 4), UINT32_MAX);
    window_to(rig, 1, 8, 4); /* the data of vector 0's message */
    cr_expect_eq(config_get(rig, data, 4), 0);
    config_set(rig, data, 4, 0x1234);
    cr_expect_eq(config_get(rig, data, 4), 0x1234);
}

/* ---- notifications ---- */

OnEcho(virtio_pci, each_queue_has_its_doorbell, .transport = RIG_PCI)
{
    cr_expect_eq(rig->bell.count, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    cr_assert_eq(rig->bell.count, 2);
    for (unsigned q = 0; q < 2; q++)
        for (unsigned width = 2; width <= 4; width *= 2) {
            publish_one(rig, q);
            cr_expect(fake_doorbell_store(&rig->bell, rig->drv.pci.notify + 4 * q, width, q));
            cr_expect(came_back(rig, q));
        }
    cr_expect(!fake_doorbell_store(&rig->bell, rig->drv.pci.notify + 8, 2, 2));
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->bell.count, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_expect_eq(rig->bell.count, 1);
    virtio_pci_destroy(rig->pci);
    rig->pci = NULL;
    cr_expect_eq(rig->bell.count, 0);
    uint64_t value;
    cr_expect(!bus_read(rig->bus, rig->drv.pci.common, 4, &value), "its BARs are gone too");
}

OnEcho(virtio_pci, works_where_doorbells_are_refused, .transport = RIG_PCI)
{
    static const int refusals[] = {-ENOSYS, -ENOSPC};
    for (unsigned i = 0; i < 2; i++) {
        rig->bell.refuse = refusals[i];
        cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
        cr_expect_eq(rig->bell.count, 0);
        cr_expect(echoes(rig, 1));
    }
}

OnEcho(virtio_pci, doorbells_follow_the_bar, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    uint64_t old = rig->drv.pci.notify, moved = RIG_HOLE_END_GPA - 0x10000;
    uint64_t offset = old - rig->drv.pci.bar_gpa[4];
    config_set(rig, PCI_REG_BAR + 16, 4, (uint32_t)moved);
    cr_assert_eq(rig->bell.count, 2);
    cr_expect(!fake_doorbell_store(&rig->bell, old + 4, 2, 1));
    publish_one(rig, 1);
    cr_expect(fake_doorbell_store(&rig->bell, moved + offset + 4, 2, 1));
    cr_expect(came_back(rig, 1));

    config_set(rig, PCI_REG_COMMAND, 2, PCI_CMD_MASTER);
    cr_expect_eq(rig->bell.count, 0, "no decoding, no doorbells");
    config_set(rig, PCI_REG_COMMAND, 2, PCI_CMD_MASTER | PCI_CMD_MEMORY);
    cr_expect_eq(rig->bell.count, 2);
    publish_one(rig, 0);
    bus_write(rig->bus, moved + offset, 2, 0);
    cr_expect(came_back(rig, 0), "the register moved too");

    /* Started while the BAR is nowhere: bound when it comes. */
    rig->drv.pci.common += moved - rig->drv.pci.bar_gpa[4];
    rig->drv.pci.notify = moved + offset;
    vdrv_reset(&rig->drv);
    config_set(rig, PCI_REG_BAR + 20, 4, 0xff); /* beyond the bus */
    cr_expect_eq(rig->bell.count, 0);
    config_set(rig, PCI_REG_BAR + 20, 4, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_expect_eq(rig->bell.count, 1);
}

OnEcho(virtio_pci, the_address_says_which_queue, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    publish_one(rig, 1);
    bus_write(rig->bus, rig->drv.pci.notify, 2, 1);     /* queue 0's */
    bus_write(rig->bus, rig->drv.pci.notify + 5, 1, 1); /* nobody's */
    bus_write(rig->bus, rig->drv.pci.notify + 8, 2, 1); /* of a queue that is not there */
    bus_write(rig->bus, rig->drv.pci.notify + 0xffe, 2, 1);
    cr_expect(!came_back(rig, 1));
    uint64_t value;
    cr_expect(bus_read(rig->bus, rig->drv.pci.notify + 4, 4, &value));
    cr_expect_eq(value, 0);
    bus_write(rig->bus, rig->drv.pci.notify + 4, 2, 1);
    cr_expect(came_back(rig, 1));
}

OnEcho(virtio_pci, notification_data_is_taken, .transport = RIG_PCI,
       .features_on = VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))
{
    rig->bell.refuse = -ENOSYS;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA), 2, 8));
    publish_one(rig, 1);
    bus_write(rig->bus, rig->drv.pci.notify + 4, 4, 0x00010001);
    cr_expect(came_back(rig, 1));
}
