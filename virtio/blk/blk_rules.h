// SPDX-License-Identifier: BSD-2-Clause
/* What VIRTIO 1.4 requires of drivers of a block device: see observe/strict_rules.h. */
#ifndef MINIVET_VIRTIO_BLK_RULES_H
#define MINIVET_VIRTIO_BLK_RULES_H

#include "virtio/observe/strict_rules.h"

/* clang-format off */
#define BLK_RULE_LIST(X) \
    X(BLK_CAPACITY,         "5.2.6.1",   "no request goes beyond the capacity") \
    X(BLK_LENGTH,           "5.2.6.1",   "data are whole sectors of 512 bytes") \
    X(BLK_READ_ONLY,        "5.2.5",     "a read-only disk is not written") \
    X(BLK_RO_REFUSED,       "5.2.6.1",   "RO is accepted where it is offered") \
    X(BLK_FLUSH_SECTOR,     "5.2.6.1",   "FLUSH has the sector 0") \
    X(BLK_FLUSH_DATA,       "5.2.6.1",   "FLUSH has no data") \
    X(BLK_ID_LENGTH,        "5.2.6.1",   "GET_ID has 20 bytes of data") \
    X(BLK_RANGES,           "5.2.6.1",   "DISCARD and WRITE_ZEROES have whole segments, no more and no longer than allowed") \
    X(BLK_RANGE_FLAGS,      "5.2.6.1",   "a segment has no flag but WRITE_ZEROES' unmap") \
    X(BLK_TYPE,             "5.2.6",     "a request is of a known type, whose feature was negotiated") \
    X(BLK_HEADER,           "5.2.6",     "a request begins with a header of 16 bytes") \
    X(BLK_STATUS,           "5.2.6",     "a request ends with a status byte for the device to write")
/* clang-format on */

enum {
    STRICT_BLK_BASE = STRICT_RULES - 1, /* of the first is STRICT_RULES */
    BLK_RULE_LIST(STRICT_TYPE_ENUM)
};

#endif
