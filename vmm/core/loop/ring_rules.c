// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/ring_rules.h"

#include <liburing.h>

#include "core/base/xmath.h"

int ring_restrict(struct io_uring *ring, uint8_t flags)
{
    static const uint8_t ops[] = {IORING_OP_READ,     IORING_OP_READV,       IORING_OP_WRITE,
                                  IORING_OP_WRITEV,   IORING_OP_FSYNC,       IORING_OP_FALLOCATE,
                                  IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    struct io_uring_restriction rules[ARRAY_SIZE(ops) + 2] = {
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = flags},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_FILES},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        rules[i + 2] =
            (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = ops[i]};
    return io_uring_register_restrictions(ring, rules, ARRAY_SIZE(rules));
}
