// SPDX-License-Identifier: BSD-2-Clause
/* All types of virtio/devices.def, for what is true of each. */
#ifndef MINIVET_TESTS_HARNESS_TYPES_H
#define MINIVET_TESTS_HARNESS_TYPES_H

#include "virtio/base/type.h"

extern const struct virtio_device_type *const virtio_types[]; /* ends with NULL */

#endif
