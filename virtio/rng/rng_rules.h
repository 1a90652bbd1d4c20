// SPDX-License-Identifier: BSD-2-Clause
/* What VIRTIO 1.4 requires of drivers of a entropy device: see observe/strict_rules.h. */
#ifndef MINIVET_VIRTIO_RNG_RULES_H
#define MINIVET_VIRTIO_RNG_RULES_H

#include "virtio/observe/strict_rules.h"

/* clang-format off */
#define RNG_RULE_LIST(X) \
    X(RNG_READABLE,         "5.4.6.1",   "the queue gets no device-readable buffer")
/* clang-format on */

enum {
    STRICT_RNG_BASE = STRICT_RULES - 1, /* of the first is STRICT_RULES */
    RNG_RULE_LIST(STRICT_TYPE_ENUM)
};

#endif
