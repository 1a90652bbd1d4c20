// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the tests of requirements share: a walk over the transports and rings on which a
 * requirement must hold, and the driver's view of what a device does.
 */
#ifndef MINIVET_TESTS_CONFORMANCE_H
#define MINIVET_TESTS_CONFORMANCE_H

#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/rig.h"
#include "virtio/spec.h"

enum walk_device {
    ECHO,
    BLK,
    BLK_RO,
    RNG,
    CONSOLE,
    SCSI,
    NET,
    GPU, /* like INPUT, a tablet, it has no legacy interface */
    INPUT,
    BALLOON,
    VSOCK, /* without a legacy interface, too */
    RTC,   /* likewise */
    FS,    /* likewise */
    WALK_DEVICES,
};

/* Where a requirement holds. */
enum {
    MMIO_SPLIT = 1 << 0,
    MMIO_PACKED = 1 << 1,
    PCI_SPLIT = 1 << 2,
    PCI_PACKED = 1 << 3,
    PCI_INTX = 1 << 4,         /* the driver does without MSI-X */
    PCI_TRANSITIONAL = 1 << 5, /* through its modern interface */
    MMIO_LEGACY = 1 << 6,
    PCI_LEGACY = 1 << 7, /* a transitional device through its legacy interface */
    PCI_LEGACY_INTX = 1 << 8,

    MMIO = MMIO_SPLIT | MMIO_PACKED,
    PCI = PCI_SPLIT | PCI_PACKED | PCI_INTX | PCI_TRANSITIONAL,
    PACKED = MMIO_PACKED | PCI_PACKED,
    MODERN = MMIO | PCI,
    MODERN_SPLIT = MODERN & ~PACKED,
    LEGACY = MMIO_LEGACY | PCI_LEGACY | PCI_LEGACY_INTX,
    SPLIT = MODERN_SPLIT | LEGACY,
    EVERYWHERE = MODERN | LEGACY,
};

struct walk {
    enum walk_device device;
    unsigned where;
    struct rig_config config; /* what the place does not say */
    unsigned next;
    bool open;
    struct rig rig;
};

/* The place where a test is, for messages. */
extern const char *walk_place;

/* Closes the last rig and opens the next; NULL: that was all. */
struct rig *walk_next(struct walk *walk);

/* The rig's device is reset, nothing is negotiated. More arguments are of the configuration. */
#define FOR_EACH_RIG(rig, device_, where_, ...)                                                 \
    for (struct walk walk_ = {.device = (device_), .where = (where_), .config = {__VA_ARGS__}}, \
                     *once_ = &walk_;                                                           \
         once_ != NULL; once_ = NULL)                                                           \
        for (struct rig * rig; ((rig) = walk_next(&walk_)) != NULL;)

/* A test of a requirement whose body is run on each of those rigs. */
#define Requirement(name, device, where, ...)         \
    static void conformance_##name(struct rig *rig);  \
    Test(conformance, name)                           \
    {                                                 \
        FOR_EACH_RIG(rig, device, where, __VA_ARGS__) \
        conformance_##name(rig);                      \
    }                                                 \
    static void conformance_##name(struct rig *rig)

/* The same on every type of device. */
#define RequirementOfAll(name, where)                \
    static void conformance_##name(struct rig *rig); \
    Test(conformance, name)                          \
    {                                                \
        FOR_EACH_DEVICE(device)                      \
        FOR_EACH_RIG(rig, device, where)             \
        conformance_##name(rig);                     \
    }                                                \
    static void conformance_##name(struct rig *rig)

/* A requirement on rings or transports that has a twin: `body`, a function, is for both. */
#define RequirementBy(name, device, where, body) \
    Test(conformance, name)                      \
    {                                            \
        FOR_EACH_RIG(rig, device, where)         \
        body(rig);                               \
    }                                            \
    struct rig /* for the semicolon */

#define expect(condition) cr_expect(condition, "%s: %s", walk_place, #condition)
#define demand(condition) cr_assert(condition, "%s: %s", walk_place, #condition)

/* The devices that Minivet has, and the tests' own. */
#define FOR_EACH_DEVICE(device) \
    for (enum walk_device device = ECHO; (device) < WALK_DEVICES; (device)++)

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define RING_RESET    VIRTIO_BIT(VIRTIO_F_RING_RESET)

/* ---- the driver's view ---- */

/*
 * Which interrupts came since the last time it was asked, with all that belongs to them: the
 * bits of InterruptStatus and an edge, of the ISR and the level of INTx, or messages.
 */
unsigned heard(struct rig *rig);

/* Starts the device with all of its queues, of `size`, and forgets interrupts. */
void start(struct rig *rig, uint64_t features, uint32_t size);

/* Echo: sends a chain and takes it back; did it come as it should? */
bool serves(struct rig *rig, unsigned queue);

/* Echo: sends four bytes to read and four to write, which are 0xee, and lets the loop run. */
uint64_t send_one(struct rig *rig, unsigned queue);

/* Has the queue a used buffer that was not taken? Takes nothing. */
bool has_used(struct rig *rig, unsigned queue);

/* Takes one; BUG if there is none. Returns the chain's head or id. */
uint32_t take_one(struct rig *rig, unsigned queue, uint32_t *len);

/* Publishes a buffer outside of guest memory: the ring is broken. */
void break_ring(struct rig *rig, unsigned queue);

void fill(struct rig *rig, uint64_t gpa, uint32_t bytes, uint8_t value);
bool holds(struct rig *rig, uint64_t gpa, uint32_t bytes, uint8_t value); /* and nothing else */

/*
 * Disk: when it is waited for, another vCPU reads a register. That gives 1, or waits as well: what
 * it gives when the disk is done does not count.
 */
void watch_drain(struct rig *rig, uint64_t (*read)(struct rig *rig));
/* Ends it. Was the disk waited for, and 1 all that was read meanwhile? */
bool watched_all_ones(struct rig *rig);

/* ---- PCI ---- */
enum { /* capabilities */
       PCI_CAP_VENDOR = 0x09,
       PCI_CAP_MSIX = 0x11,
};

uint32_t pci_get(struct rig *rig, unsigned offset, unsigned width);
void pci_set(struct rig *rig, unsigned offset, unsigned width, uint32_t value);

/* The first virtio capability of that type behind `after` (0: from the start); 0: none. */
unsigned pci_virtio_cap(struct rig *rig, unsigned cfg_type, unsigned after);
unsigned pci_cap(struct rig *rig, unsigned id, unsigned after);

/* The common configuration structure. */
uint64_t common_get(struct rig *rig, unsigned offset, unsigned width);
void common_set(struct rig *rig, unsigned offset, unsigned width, uint64_t value);

/* Ports of the legacy interface. */
uint32_t port_get(struct rig *rig, unsigned offset, unsigned width);
void port_set(struct rig *rig, unsigned offset, unsigned width, uint32_t value);

#endif
