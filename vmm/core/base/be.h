// SPDX-License-Identifier: BSD-2-Clause
/* Big-endian numbers at any address, of networks and of SCSI. */
#ifndef MINIVET_CORE_BE_H
#define MINIVET_CORE_BE_H

#include "core/base/le.h"

/* be16_get(), be16_put() and the like. */
BYTE_ORDER_CALLS(be, 16)
BYTE_ORDER_CALLS(be, 32)
BYTE_ORDER_CALLS(be, 64)

#endif
