// SPDX-License-Identifier: BSD-2-Clause
/* A slip for each rule of the driver monitor: the driver does everything right but this. */
#ifndef MINIVET_TESTS_UNIT_VIRTIO_STRICT_CASES_H
#define MINIVET_TESTS_UNIT_VIRTIO_STRICT_CASES_H

#include <stdbool.h>

#include "tests/harness/rig.h"
#include "virtio/blk/blk_rules.h"
#include "virtio/console/console.h"
#include "virtio/observe/strict.h"
#include "virtio/rng/rng.h"

enum strict_device {
    ON_ECHO,
    ON_BLK,
    ON_RNG,
    ON_CONSOLE,
    ON_SCSI,
    ON_NET,
};

struct strict_case {
    unsigned rule;
    void (*slip)(struct rig *rig);
    struct rig_config config; /* .strict is added */
    enum strict_device device;
    bool more; /* it cannot be broken alone */
};

void strict_open(struct rig *rig, enum strict_device device, const struct rig_config *config);

extern const struct strict_case strict_register_cases[], strict_ring_cases[], strict_type_cases[];
extern const unsigned strict_register_count, strict_ring_count, strict_type_count;

#endif
