// SPDX-License-Identifier: BSD-2-Clause
/*
 * A doorbell is bound while its queue runs and its BAR is on the bus. A modern driver writes to an
 * address of the queue's own, 16 bits or (NOTIFICATION_DATA) 32, so any width rings. A legacy one
 * writes the queue's number to a port that all queues share.
 */
#include <errno.h>

#include "core/base/log.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

#define LEGACY_KICK_BYTES 2u

/* Where the queue's doorbell belongs now; false: nowhere. */
static bool place(const struct virtio_pci_bells *bells, unsigned queue, struct doorbell_addr *addr)
{
    const struct virtio_pci_bell *bell = &bells->queue[queue];
    uint64_t base = bell->legacy ? bells->notify_port : bells->notify_gpa;
    if (base == PCI_NO_ADDRESS || bell->fd < 0)
        return false;
    if (bell->legacy)
        *addr = (struct doorbell_addr){.space = BUS_PIO,
                                       .addr = base,
                                       .len = LEGACY_KICK_BYTES,
                                       .has_match = true,
                                       .match = queue};
    else
        *addr = (struct doorbell_addr){
            .space = BUS_MMIO,
            .addr = base + (uint64_t)queue * VIRTIO_PCI_NOTIFY_MULTIPLIER,
        };
    return true;
}

static void bind(struct virtio_pci *p, unsigned queue)
{
    struct virtio_pci_bell *bell = &p->bells.queue[queue];
    struct doorbell_addr addr;
    if (bell->bound || !place(&p->bells, queue, &addr))
        return;
    int err = doorbell_bind(&p->cfg.doorbell, &addr, bell->fd);
    bell->bound = err == 0;
    if (err != 0 && err != -ENOSYS)
        log_debug("virtio %s: queue %u is kicked without a doorbell", p->dev->setup.name, queue);
}

static void unbind(struct virtio_pci *p, unsigned queue)
{
    struct virtio_pci_bell *bell = &p->bells.queue[queue];
    struct doorbell_addr addr;
    if (bell->bound && place(&p->bells, queue, &addr))
        doorbell_unbind(&p->cfg.doorbell, &addr, bell->fd);
    bell->bound = false;
}

void virtio_pci_bells_update(struct virtio_pci *p)
{
    pthread_mutex_lock(&p->bells.lock);
    for (unsigned q = 0; q < p->dev->cfg.queue_count; q++) {
        struct virtio_pci_bell *bell = &p->bells.queue[q];
        int fd = virtio_device_kick_fd(p->dev, q);
        if (fd != bell->fd || p->dev->legacy != bell->legacy)
            unbind(p, q);
        bell->fd = fd;
        bell->legacy = p->dev->legacy;
        bind(p, q);
    }
    pthread_mutex_unlock(&p->bells.lock);
}

void virtio_pci_bells_move(struct virtio_pci *p, unsigned bar, uint64_t addr)
{
    bool legacy = bar == VIRTIO_PCI_BAR_LEGACY;
    if (!legacy && bar != VIRTIO_PCI_BAR_REGISTERS)
        return;
    uint64_t *base = legacy ? &p->bells.notify_port : &p->bells.notify_gpa;
    unsigned offset = legacy ? VIRTIO_PCI_LEGACY_queue_notify : VIRTIO_PCI_AT_NOTIFY;
    pthread_mutex_lock(&p->bells.lock);
    for (unsigned q = 0; q < p->dev->cfg.queue_count; q++)
        if (p->bells.queue[q].legacy == legacy)
            unbind(p, q);
    *base = addr == PCI_NO_ADDRESS ? addr : addr + offset;
    for (unsigned q = 0; q < p->dev->cfg.queue_count; q++)
        bind(p, q);
    pthread_mutex_unlock(&p->bells.lock);
}

void virtio_pci_bells_init(struct virtio_pci *p)
{
    pthread_mutex_init(&p->bells.lock, NULL);
    p->bells.notify_gpa = p->bells.notify_port = PCI_NO_ADDRESS;
    for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
        p->bells.queue[q].fd = -1;
}

void virtio_pci_bells_fini(struct virtio_pci *p)
{
    for (unsigned q = 0; q < p->dev->cfg.queue_count; q++)
        unbind(p, q);
    pthread_mutex_destroy(&p->bells.lock);
}
