// SPDX-License-Identifier: BSD-2-Clause
/* What VIRTIO 1.4 requires of drivers of a console: see observe/strict_rules.h. */
#ifndef MINIVET_VIRTIO_CONSOLE_RULES_H
#define MINIVET_VIRTIO_CONSOLE_RULES_H

#include "virtio/observe/strict_rules.h"

/* clang-format off */
#define CONSOLE_RULE_LIST(X) \
    X(CONSOLE_RX,           "5.3.6.1",   "a receive queue gets no device-readable buffer") \
    X(CONSOLE_TX,           "5.3.6.1",   "a transmit queue gets no device-writable buffer")
/* clang-format on */

enum {
    STRICT_CONSOLE_BASE = STRICT_RULES - 1, /* of the first is STRICT_RULES */
    CONSOLE_RULE_LIST(STRICT_TYPE_ENUM)
};

#endif
