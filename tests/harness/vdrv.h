// SPDX-License-Identifier: BSD-2-Clause
/*
 * A driver as a guest has one: finds a virtio device through bus accesses, lays rings into guest
 * memory, publishes chains and reads what comes back. It speaks both ring formats, and four
 * transports behind one table. It keeps to the specification where it is left alone, and hands out
 * the raw parts for tests that do not.
 *
 *     vdrv.c          guest memory, the way from reset to DRIVER_OK
 *     vdrv_ring.c     a ring, split or packed
 *     vdrv_chain.c    chains: what is in flight, in which order; a ring's raw parts
 *     vdrv_regs.c     registers: virtio-mmio of versions 2 and 1, virtio-pci modern and legacy
 *     vdrv_pci.c      finding a PCI function's registers
 *     vdrv_watch.c    what a reset must leave alone
 *
 * One thread at a time. Ring memory is accessed as a guest CPU would, so that the device's loop
 * may run in another thread.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_H
#define MINIVET_TESTS_HARNESS_VDRV_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/vdrv_ring.h"
#include "tests/harness/vdrv_watch.h"

struct bus;
struct gmem;
struct pci_function;
struct vdrv;
struct vdrv_queue;

#define VDRV_QUEUES   8
#define VDRV_BARS     6
#define VDRV_MAX_SIZE 32768

/* Where the MSI-X messages of vector n go, with n as their data. */
#define VDRV_MSI_GPA UINT32_C(0xfee00000)

/* A register's place, and how wide it is; 0: the transport does not have it. */
struct vdrv_reg {
    uint16_t at;
    uint8_t bytes;
};

/* A transport is where its registers are. The driver does the same on all of them. */
struct vdrv_transport {
    const char *name;
    bool legacy;     /* no FEATURES_OK, 32 features, a queue is one area of memory */
    bool fixed_size; /* the queue's size is its queue_size_max */
    bool late_reset; /* one has ended when the status reads 0 */
    struct vdrv_reg status, device_sel, device_features, driver_sel, driver_features;
    struct vdrv_reg page_bytes, config_vector, isr, isr_ack, generation;
    struct vdrv_reg queue_sel, queue_size_max, queue_size, queue_align, queue_vector, desc, driver,
        device, queue_ready, queue_reset, notify, shm_sel, shm_bytes, shm_base;
    uint16_t config; /* the device's configuration space; 0: somewhere else */
};

/* Of a chain in flight: what is writable, and the largest buffer of that. */
struct vdrv_given {
    struct vdrv_range all, largest;
};

/* desc, avail, used: the descriptor area, the driver area, the device area. */
struct vdrv_queue {
    struct vdrv *drv;
    unsigned index;
    uint32_t size;
    bool packed, in_order;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    uint8_t *desc, *avail, *used;

    struct vdrv_ring ring;
    uint32_t *room; /* writable bytes of a chain in flight */
    struct vdrv_given *given;
    bool raw; /* a test has put something into the ring by itself */

    uint32_t order_at, order_end; /* a ring of chains in flight, oldest first */
    uint16_t *order;
    bool batch; /* IN_ORDER: buffers up to batch_id are used */
    uint32_t batch_id, batch_len;

    uint64_t notify_gpa; /* PCI */
    uint16_t notify_id;  /* what a notification calls the queue */
};

struct vdrv_pci {
    struct pci_function *func;
    struct bus *pio;
    bool msix;                   /* a vector for each queue, vector 0 for configuration changes */
    uint64_t bar_gpa[VDRV_BARS]; /* or port; 0: none */
    uint64_t bar_bytes[VDRV_BARS];
    bool bar_is_pio[VDRV_BARS];
    uint64_t common, notify, isr, config; /* where the structures are */
    uint32_t notify_multiplier;
    unsigned msix_cap; /* its offset in configuration space; 0: none */
};

struct vdrv {
    const struct vdrv_transport *t;
    struct bus *bus, *regs;
    uint64_t base_gpa; /* of a virtio-mmio window */
    const struct gmem *gmem;
    uint64_t heap_gpa, heap_start_gpa, heap_end_gpa;
    uint64_t always;         /* features that vdrv_negotiate() adds */
    uint64_t features;       /* negotiated */
    void (*wait)(void *ctx); /* while a reset is under way; NULL: nothing */
    void *wait_ctx;
    struct vdrv_pci pci;
    struct vdrv_watch watch;
    struct vdrv_queue q[VDRV_QUEUES];
};

/* A virtio-mmio window of version 2. bus is NULL for a driver that has rings only. */
void vdrv_init(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa);
/* Of version 1. */
void vdrv_init_mmio_legacy(struct vdrv *d, const struct gmem *gmem, struct bus *bus,
                           uint64_t base_gpa);

struct vdrv_pci_config {
    const struct gmem *gmem;
    struct bus *mmio, *pio;
    struct pci_function *func;
    uint64_t bar_gpa, bar_end_gpa; /* where BARs may be put */
    uint16_t bar_port;
    bool legacy; /* use the I/O BAR of a transitional device */
    bool intx;   /* and not MSI-X */
};

/* Gives the function's BARs addresses, finds its capabilities, switches MSI-X on. */
void vdrv_init_pci(struct vdrv *d, const struct vdrv_pci_config *config);

void vdrv_fini(struct vdrv *d);

/* ---- guest memory ---- */
/* Zeroed; all of it is taken back by vdrv_reset(). */
uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t align);
void *vdrv_ptr(struct vdrv *d, uint64_t gpa, uint64_t len);

/* ---- registers of a virtio-mmio window ---- */
uint32_t vdrv_get(struct vdrv *d, uint64_t reg);
void vdrv_set(struct vdrv *d, uint64_t reg, uint32_t value);

/* ---- registers of any transport ---- */
uint64_t vdrv_read(struct vdrv *d, struct vdrv_reg reg); /* one of d->t */
void vdrv_write(struct vdrv *d, struct vdrv_reg reg, uint64_t value);
uint32_t vdrv_status(struct vdrv *d);
void vdrv_set_status(struct vdrv *d, uint32_t value);
void vdrv_write_status(struct vdrv *d, uint32_t value); /* likewise, and nothing is watched */
uint64_t vdrv_offered(struct vdrv *d);                  /* features 0 to 63 */
uint32_t vdrv_features(struct vdrv *d, uint32_t word);  /* 32 of them */
void vdrv_accept(struct vdrv *d, uint32_t word, uint32_t value);
uint32_t vdrv_queue_size_max(struct vdrv *d, uint32_t queue);
bool vdrv_queue_ready(struct vdrv *d, uint32_t queue);
void vdrv_notify(struct vdrv_queue *q);                   /* as the specification says */
void vdrv_notify_value(struct vdrv_queue *q, uint32_t v); /* anything */
uint32_t vdrv_take_isr(struct vdrv *d);
uint32_t vdrv_generation(struct vdrv *d);
uint64_t vdrv_config_gpa(const struct vdrv *d); /* of the configuration space; or port */
/* By bytes: any offset, any length. */
void vdrv_config_read(struct vdrv *d, unsigned offset, void *dst, unsigned len);
void vdrv_config_write(struct vdrv *d, unsigned offset, const void *src, unsigned len);
/* The shared memory region of that id; false: there is none. */
bool vdrv_shm(struct vdrv *d, uint8_t id, uint64_t *gpa, uint64_t *bytes);

/* ---- initialisation, VIRTIO 1.4 3.1.1 ---- */
void vdrv_reset(struct vdrv *d);
/*
 * Reset to FEATURES_OK; the features always include VERSION_1 and what `always` says; a legacy
 * driver's are the lower 32. Returns whether the device agreed.
 */
bool vdrv_negotiate(struct vdrv *d, uint64_t features);
/* The ring's format is what was negotiated. Some transports fix the size: q->size tells. */
void vdrv_queue_alloc(struct vdrv *d, unsigned queue, uint32_t size);
/* The pointers to where the queue's addresses are. */
void vdrv_queue_map(struct vdrv_queue *q);
void vdrv_queue_write(struct vdrv *d, unsigned queue); /* registers, and makes it ready */
/* Both of these. */
void vdrv_queue_set_up(struct vdrv *d, unsigned queue, uint32_t size);
void vdrv_driver_ok(struct vdrv *d);
/* All of these, with the first `queues` queues. Returns whether the device runs. */
bool vdrv_start(struct vdrv *d, uint64_t features, unsigned queues, uint32_t size);
/* RING_RESET; the queue may be set up again after it. Returns whether the device did it. */
bool vdrv_queue_reset(struct vdrv *d, unsigned queue);

/* ---- chains ---- */
/* Fills descriptors and a ring entry, returns the head, or a packed ring's buffer id; -1 if there
 * are too few descriptors. */
int vdrv_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
int vdrv_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
/* The same, and lets the device see it and kicks. */
int vdrv_send(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);

void vdrv_publish(struct vdrv_queue *q);
bool vdrv_kick_wanted(struct vdrv_queue *q); /* after vdrv_publish() */
void vdrv_kick(struct vdrv_queue *q);        /* publishes, and notifies always */

/* The next chain that came back, whose descriptors are free again. */
bool vdrv_used(struct vdrv_queue *q, uint32_t *head, uint32_t *len);
/* Is there one? */
bool vdrv_has_used(struct vdrv_queue *q);

/* Interrupts: for none, or for the next chain that comes back. Look again by vdrv_used() then. */
void vdrv_irq_off(struct vdrv_queue *q);
void vdrv_irq_on(struct vdrv_queue *q);

/* ---- raw, split ring ---- */
void vdrv_desc_put(uint8_t *table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                   unsigned next);
void vdrv_avail_put(struct vdrv_queue *q, uint16_t head); /* at avail_idx, which it moves */
uint16_t vdrv_used_idx(const struct vdrv_queue *q);
void vdrv_used_event(struct vdrv_queue *q, uint16_t value);
uint16_t vdrv_avail_event(const struct vdrv_queue *q);
void vdrv_avail_flags(struct vdrv_queue *q, uint16_t value);
uint16_t vdrv_used_flags(const struct vdrv_queue *q);

/* ---- raw, packed ring ---- */
/* A descriptor, its flags last: as they are, with no AVAIL or USED added. */
void vdrv_pdesc_put(struct vdrv_queue *q, unsigned i, uint64_t addr, uint32_t len, uint16_t id,
                    uint16_t flags);
uint16_t vdrv_pdesc_flags(const struct vdrv_queue *q, unsigned i);
uint16_t vdrv_pdesc_id(const struct vdrv_queue *q, unsigned i);
uint32_t vdrv_pdesc_len(const struct vdrv_queue *q, unsigned i);
/* AVAIL and USED of a descriptor that the driver makes available with this wrap counter. */
uint16_t vdrv_pavail_flags(bool wrap);
/* Event suppression: the driver's own, and what the device wrote. */
void vdrv_driver_event(struct vdrv_queue *q, uint16_t off_wrap, uint16_t flags);
uint16_t vdrv_driver_event_off(const struct vdrv_queue *q);
uint16_t vdrv_driver_event_flags(const struct vdrv_queue *q);
uint16_t vdrv_device_event_off(const struct vdrv_queue *q);
uint16_t vdrv_device_event_flags(const struct vdrv_queue *q);

#endif
