// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers that all transports have, once: features, status, queues, notifications. A
 * transport's layout says where each of them lies, how wide it is and which way it goes; the
 * driver monitor is told of the same fields (virtio/base/observer.h).
 *
 *     mmio.c, pci_windows.c --> registers.c: access -> field -> register -> device.c
 *                                   |              (layouts.c)    +-> the transport's own
 *                                   +-> doorbells.c: which queue's doorbell is bound where
 *
 * A field takes accesses of its own width, and one of 64 bits its halves as well.
 */
#ifndef MINIVET_VIRTIO_REGISTERS_H
#define MINIVET_VIRTIO_REGISTERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ports/doorbell.h"
#include "virtio/base/device.h"

/* Bytes between the doorbells of queues on PCI: room for the 32 bits of NOTIFICATION_DATA. */
#define VIRTIO_PCI_NOTIFY_MULTIPLIER 4u

enum virtio_register {
    VREG_ZERO, /* reads as 0: what is not offered */
    VREG_DEVICE_FEATURES_SEL,
    VREG_DEVICE_FEATURES,
    VREG_DEVICE_FEATURES_LOW, /* word 0, whatever is selected */
    VREG_DRIVER_FEATURES_SEL,
    VREG_DRIVER_FEATURES,
    VREG_DRIVER_FEATURES_LOW,
    VREG_QUEUE_COUNT,
    VREG_STATUS,
    VREG_GENERATION,
    VREG_NOTIFY,
    VREG_LEGACY_NOTIFY,
    VREG_ISR,
    VREG_ISR_ACK,
    VREG_QUEUE_SEL,
    /* Of the selected queue: */
    VREG_QUEUE_SIZE_MAX,
    VREG_QUEUE_SIZE,
    VREG_QUEUE_READY,  /* 1 starts it, 0 stops it */
    VREG_QUEUE_ENABLE, /* 1 starts it */
    VREG_QUEUE_NOTIFY_OFF,
    VREG_QUEUE_DESC,
    VREG_QUEUE_DRIVER,
    VREG_QUEUE_DEVICE,
    VREG_QUEUE_RESET,
    VREG_QUEUE_PAGE, /* legacy: the first page of all of it; 0 stops it */
    VREG_QUEUE_ALIGN,
    VREG_PAGE_BYTES, /* of all queues */
    /* The transport's own; see virtio_registers_ops. */
    VREG_OWN,
    VREG_MAGIC = VREG_OWN,
    VREG_VERSION,
    VREG_DEVICE_ID,
    VREG_VENDOR_ID,
    VREG_ISR_TAKE, /* a read clears it */
    VREG_CONFIG_VECTOR,
    VREG_QUEUE_VECTOR,
    VREG_SHM_SEL,
    VREG_SHM_LEN,
    VREG_SHM_BASE,
};

enum virtio_field_access {
    VFIELD_R = 1,
    VFIELD_W = 2,
    VFIELD_FREE_R = 4, /* reads take no lock */
    VFIELD_FREE_W = 8,
};

/* Where a layout has a register. */
struct virtio_place {
    uint16_t offset;
    uint8_t bytes, access, reg;
};

struct virtio_layout {
    const struct virtio_place *fields; /* those come first that are accessed often */
    unsigned count;
    unsigned width_max; /* of an access */
    bool is_mmio, is_legacy;
    /* Kicks: a queue has an address of its own, every so many bytes, or (0) writes its number. */
    unsigned kick_stride;
    unsigned kick_bytes; /* 0: a write of any width */
    enum bus_space kick_space;
};

/* The modern layout and the legacy one. */
extern const struct virtio_layout virtio_mmio_layouts[2], virtio_pci_layouts[2];

struct virtio_registers;

/* All but virtio_registers_ops.get of VFIELD_FREE_R under the lock. */
struct virtio_registers_ops {
    uint64_t (*get)(struct virtio_registers *r, enum virtio_register reg);
    void (*set)(struct virtio_registers *r, enum virtio_register reg, uint64_t value);
    void (*reset)(struct virtio_registers *r); /* the device is: forget interrupts */
};

/* The doorbell of a queue, as the registers said last. */
struct virtio_bell {
    int fd; /* the queue's eventfd; -1: it does not run */
    bool legacy, with_data;
    int bound; /* the eventfd that is bound; -1: none */
    struct doorbell_addr at;
};

struct virtio_registers {
    struct virtio_device *dev;
    const struct virtio_layout *layouts; /* two of them */
    const struct virtio_registers_ops *ops;
    struct doorbell doorbell;
    bool settles;         /* drivers do not ask whether a reset is done */
    uint32_t queue_align; /* of a legacy queue after a reset; 0: the driver has to say it */

    _Atomic uint32_t isr;
    _Atomic uint32_t queue_sel; /* written under the lock */

    pthread_mutex_t lock; /* over all below, and the [registers] side of the device */
    uint32_t device_features_sel, driver_features_sel;
    uint32_t page_bytes; /* legacy; a reset leaves it */
    uint32_t align[VIRTIO_QUEUES_MAX];

    /* A leaf lock: BARs move under their function's lock, queues start and stop under ours. */
    pthread_mutex_t bell_lock;
    uint64_t bell_base[2]; /* of queue 0, by layout; VIRTIO_NOWHERE */
    struct virtio_bell bells[VIRTIO_QUEUES_MAX];
};

#define VIRTIO_NOWHERE UINT64_MAX

/* VREG_QUEUE_DESC, VREG_QUEUE_DRIVER or VREG_QUEUE_DEVICE. */
static inline uint64_t *virtio_queue_area(struct vq_config *config, enum virtio_register reg)
{
    if (reg == VREG_QUEUE_DESC)
        return &config->desc;
    return reg == VREG_QUEUE_DRIVER ? &config->driver : &config->device;
}

/* Its first fields, up to queue_align, and page_bytes are set. */
void virtio_registers_init(struct virtio_registers *r);
void virtio_registers_fini(struct virtio_registers *r);

/* Any thread. An access that no field takes reads as all ones and is dropped as a write; an aligned
 * one of 32 bits reads as 0 on virtio-mmio. */
uint64_t virtio_registers_read(struct virtio_registers *r, bool legacy, uint64_t offset,
                               unsigned width);
void virtio_registers_write(struct virtio_registers *r, bool legacy, uint64_t offset,
                            unsigned width, uint64_t value);

/* Any thread: the device's configuration space. */
uint64_t virtio_config_read(struct virtio_registers *r, bool legacy, uint64_t offset,
                            unsigned width);
void virtio_config_write(struct virtio_registers *r, bool legacy, uint64_t offset, unsigned width,
                         uint64_t value);

/* Saves or loads these and the device, see virtio_device_state(). The transport's own registers
 * come before, its interrupts included. */
void virtio_registers_state(struct virtio_registers *r, struct state *s);

/* Any thread that is no loop's and no vCPU's: names what they hold, and the device. */
void virtio_registers_describe(struct virtio_registers *r, struct facts *f);

/* ---- doorbells.c ---- */

void virtio_bells_init(struct virtio_registers *r);
void virtio_bells_fini(struct virtio_registers *r);

/* Under the lock: queues started or stopped. */
void virtio_bells_update(struct virtio_registers *r);

/* Any thread: notifications of that layout are at that address from now on; VIRTIO_NOWHERE. */
void virtio_bells_move(struct virtio_registers *r, bool legacy, uint64_t base);

#endif
