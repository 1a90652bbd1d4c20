// SPDX-License-Identifier: BSD-2-Clause
/*
 * Several vCPUs at one virtio-pci function, and its loop. What these tests prove, they prove under
 * ThreadSanitizer, and by coming to an end.
 */

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_pci_util.h"

#define ROUNDS     300u
#define MSIX_CTRL  2u
#define MSIX_ON    0x8000u
#define RING_SIZE  8u
#define BAR_4_MOVE 0x8000u
#define GIFTS      5000u

/* A second vCPU, until told to stop. */
struct vcpu {
    struct rig *rig;
    pthread_t thread;
    _Atomic bool stop;
};

static void vcpu_start(struct vcpu *v, struct rig *rig, void *(*run)(void *))
{
    *v = (struct vcpu){.rig = rig};
    cr_assert_eq(pthread_create(&v->thread, NULL, run, v), 0);
}

static void vcpu_stop(struct vcpu *v)
{
    atomic_store(&v->stop, true);
    pthread_join(v->thread, NULL);
}

/* Everything that harms no one: the access window, MSI-X, the BAR that the driver does not use. */
static void *meddle(void *arg)
{
    struct vcpu *v = arg;
    struct rig *rig = v->rig;
    uint32_t common = structure(rig, VIRTIO_PCI_CAP_COMMON_CFG);
    uint32_t notify = structure(rig, VIRTIO_PCI_CAP_NOTIFY_CFG);
    uint32_t isr = structure(rig, VIRTIO_PCI_CAP_ISR_CFG);
    uint32_t config = structure(rig, VIRTIO_PCI_CAP_DEVICE_CFG);
    for (uint32_t i = 0; !atomic_load(&v->stop); i++) {
        (void)window_get(rig, common + VIRTIO_PCI_COMMON_device_status, 1);
        (void)window_get(rig, isr, 1);
        window_set(rig, notify + 4 * (i % 3), 2, i % 3);
        window_set(rig, config + i % 12, 1, i);
        config_set(rig, rig->drv.pci.msix_cap + MSIX_CTRL, 2, i % 7 ? MSIX_ON : 0);
        config_set(rig, PCI_REG_BAR, 4, i % 2 ? 0x2000 : 0x3000);
        (void)config_get(rig, PCI_REG_STATUS, 2);
    }
    return NULL;
}

OnEcho(virtio_pci_threads, registers_kicks_and_resets_at_once, .transport = RIG_PCI_TRANSITIONAL)
{
    struct vcpu v;
    cr_assert_eq(evloop_start_thread(rig->loop), 0);
    vcpu_start(&v, rig, meddle);
    for (unsigned i = 0; i < ROUNDS; i++) {
        cr_assert(vdrv_start(&rig->drv, 0, 2, 16));
        struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 64, 8), 64, true};
        for (unsigned n = 0; n < i % 16; n++)
            vdrv_send(&rig->drv.q[n % 2], &buf, 1);
        vdrv_reset(&rig->drv);
        uint16_t idx = vdrv_used_idx(&rig->drv.q[0]);
        cr_assert_eq(vdrv_status(&rig->drv), 0);
        cr_assert_eq(vdrv_used_idx(&rig->drv.q[0]), idx, "nothing moves after a reset");
    }
    vcpu_stop(&v);
    evloop_stop_thread(rig->loop);
}

/* Takes BAR 4 from place to place, and off the bus between. */
static void *move_bar(void *arg)
{
    struct vcpu *v = arg;
    uint32_t here = (uint32_t)v->rig->drv.pci.bar_gpa[4];
    for (uint32_t i = 0; !atomic_load(&v->stop); i++) {
        config_set(v->rig, PCI_REG_BAR + 16, 4, here + (i % 2 ? BAR_4_MOVE : 0));
        config_set(v->rig, PCI_REG_COMMAND, 2, PCI_CMD_MASTER);
        config_set(v->rig, PCI_REG_COMMAND, 2, PCI_CMD_MASTER | PCI_CMD_MEMORY);
    }
    config_set(v->rig, PCI_REG_BAR + 16, 4, here);
    return NULL;
}

/* From reset to DRIVER_OK with queue 0, through the access window: the BAR is on its way. */
static void start_through_window(struct rig *rig, uint64_t ring_gpa)
{
    uint32_t common = structure(rig, VIRTIO_PCI_CAP_COMMON_CFG);
    window_set(rig, common + VIRTIO_PCI_COMMON_device_status, 1, 3);
    window_set(rig, common + VIRTIO_PCI_COMMON_driver_feature_select, 4, 1);
    window_set(rig, common + VIRTIO_PCI_COMMON_driver_feature, 4, 1); /* VERSION_1 */
    window_set(rig, common + VIRTIO_PCI_COMMON_device_status, 1, 11);
    window_set(rig, common + VIRTIO_PCI_COMMON_queue_size, 2, RING_SIZE);
    window_set(rig, common + VIRTIO_PCI_COMMON_queue_desc, 4, (uint32_t)ring_gpa);
    window_set(rig, common + VIRTIO_PCI_COMMON_queue_driver, 4, (uint32_t)ring_gpa + 0x1000);
    window_set(rig, common + VIRTIO_PCI_COMMON_queue_device, 4, (uint32_t)ring_gpa + 0x2000);
    window_set(rig, common + VIRTIO_PCI_COMMON_queue_enable, 2, 1);
    window_set(rig, common + VIRTIO_PCI_COMMON_device_status, 1, 15);
}

OnEcho(virtio_pci_threads, doorbells_move_while_queues_come_and_go, .transport = RIG_PCI)
{
    struct vcpu v;
    uint64_t ring_gpa = vdrv_alloc(&rig->drv, 0x3000, 0x1000);
    uint32_t status = structure(rig, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_COMMON_device_status;
    cr_assert_eq(evloop_start_thread(rig->loop), 0);
    vcpu_start(&v, rig, move_bar);
    for (unsigned i = 0; i < ROUNDS; i++) {
        start_through_window(rig, ring_gpa);
        cr_assert_eq(window_get(rig, status, 1), 15);
        window_set(rig, status, 1, 0);
    }
    start_through_window(rig, ring_gpa);
    vcpu_stop(&v);
    evloop_stop_thread(rig->loop);
    cr_expect_eq(rig->bell.count, 1);
    cr_expect(fake_doorbell_store(&rig->bell, rig->drv.pci.notify, 2, 0), "where the BAR is");
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->bell.count, 0);
}

/* Gives an eventfd to queue 0 once in each round, which the main thread counts in `round`. */
struct giver {
    struct rig *rig;
    int eventfd;
    _Atomic unsigned round, given;
};

static void *give(void *arg)
{
    struct giver *g = arg;
    const struct virtio_host *host = &g->rig->dev->host;
    for (unsigned round = 1; round <= GIFTS; round++) {
        while (atomic_load(&g->round) != round)
            ;
        host->ops->notify_by(host->ctx, 0, g->eventfd);
        atomic_store(&g->given, round);
    }
    return NULL;
}

/* A server that comes back gives its eventfd while the driver may be choosing another vector. */
OnEcho(virtio_pci_threads, vectors_change_while_an_eventfd_comes, .transport = RIG_PCI)
{
    pthread_t thread;
    cr_assert(vdrv_start(&rig->drv, 0, 2, RING_SIZE));
    const struct virtio_host *host = &rig->dev->host;
    struct giver g = {.rig = rig, .eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    cr_assert_eq(pthread_create(&thread, NULL, give, &g), 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 0);
    for (unsigned round = 1; round <= GIFTS; round++) {
        common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 2);
        host->ops->notify_by(host->ctx, 0, -1);
        (void)fake_msi_take_all(&rig->msi);
        atomic_store(&g.round, round);
        common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 1);
        while (atomic_load(&g.given) != round)
            ;
        cr_assert_eq(eventfd_write(g.eventfd, 1), 0);
        cr_assert_eq(rig_queue_irqs(rig, 0), 1, "round %u", round);
    }
    pthread_join(thread, NULL);
    host->ops->notify_by(host->ctx, 0, -1);
    close(g.eventfd);
}
