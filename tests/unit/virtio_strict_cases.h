// SPDX-License-Identifier: BSD-2-Clause
/* A slip for each rule of the driver monitor: the driver does everything right but this. */
#ifndef MINIVET_TESTS_UNIT_VIRTIO_STRICT_CASES_H
#define MINIVET_TESTS_UNIT_VIRTIO_STRICT_CASES_H

#include <stdbool.h>

#include "tests/harness/blkreq.h"
#include "tests/harness/rig_test.h"
#include "virtio/blk/blk_rules.h"
#include "virtio/console/console.h"
#include "virtio/input/input.h"
#include "virtio/observe/strict.h"
#include "virtio/rng/rng.h"

enum strict_device {
    ON_ECHO,
    ON_BLK,
    ON_RNG,
    ON_CONSOLE,
    ON_INPUT,
    ON_SCSI,
    ON_NET,
    ON_GPU,
    ON_BALLOON,
    ON_VSOCK,
    ON_RTC,
    ON_FS,
};

/* What a driver does, one step after the other; see strict_slip() for the arguments. */
enum strict_op {
    NO_STEP,
    RESET,       /* and waits for it */
    STATUS,      /* writes it */
    STATUS_MORE, /* reads it, and writes it with these bits */
    TO_DRIVER,   /* to the status DRIVER */
    NEGOTIATE,   /* to FEATURES_OK, with these features */
    SET_UP,      /* to there without features, and queue 0 is ready */
    START,       /* to DRIVER_OK, with these features and queue 0 */
    START_ALL,   /* the same with all queues */
    DRIVER_OK,
    ACCEPT, /* features: word, value */
    ALLOC,  /* memory for queue 0 */
    READY,  /* makes queue 0 ready */
    GET,    /* a register of virtio-mmio */
    SET,    /* a register of virtio-mmio: value */
    COMMON, /* a register of virtio-pci: width, value */
    CONFIG, /* reads the configuration space: offset, width */
    NOTIFY, /* queue 0 */
    /* Rings: an address of 0 is that of a buffer, one of TABLE that of the last table. */
    AVAIL_FLAGS, /* the flags of the available ring */
    AVAIL_AHEAD, /* adds that to its index */
    AVAIL,       /* the next entry of it */
    DESC,        /* a descriptor: place, address, length, flags, next */
    PDESC,       /* of a packed ring: place, address, length, flags, id */
    SPLIT_TABLE, /* of three descriptors: flags and next of the first */
    EVENT,       /* the driver event suppression: offset, flags */
    KICK,
    REQUEST, /* the case's request, with these features */
};

/* A row of a table says what is not zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define STRICT_SIZE 8u  /* of a ring */
#define LEN         16u /* of a buffer */
#define TABLE       1u

struct strict_step {
    enum strict_op op;
    uint64_t a, b, c, d, e;
};

struct strict_case {
    unsigned rule;
    struct strict_step steps[6];
    void (*slip)(struct rig *rig); /* after the steps */
    struct rig_config config;      /* .strict is added */
    enum strict_device device;
    bool more; /* it cannot be broken alone */
    struct blkreq request;
};

/* The case's driver does what it does. */
void strict_slip(struct rig *rig, const struct strict_case *c);

void strict_open(struct rig *rig, enum strict_device device, const struct rig_config *config);

extern const struct strict_case strict_register_cases[], strict_ring_cases[], strict_type_cases[];
extern const unsigned strict_register_count, strict_ring_count, strict_type_count;

#endif
