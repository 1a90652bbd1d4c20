// SPDX-License-Identifier: BSD-2-Clause
/*
 * Little-endian numbers at any address. Everything that a guest sees in memory goes through these,
 * so that neither the host's byte order nor alignment matters. le_get()/le_put() take a width of
 * 1, 2, 4 or 8 bytes.
 */
#ifndef MINIVET_CORE_LE_H
#define MINIVET_CORE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* le16_get(), le16_put() and the like; be.h has them in the other order. */
#define BYTE_ORDER_CALLS(order, bits)                               \
    static inline uint##bits##_t order##bits##_get(const void *p)   \
    {                                                               \
        uint##bits##_t v;                                           \
        memcpy(&v, p, sizeof(v));                                   \
        return order##bits##toh(v);                                 \
    }                                                               \
                                                                    \
    static inline void order##bits##_put(void *p, uint##bits##_t v) \
    {                                                               \
        v = hto##order##bits(v);                                    \
        memcpy(p, &v, sizeof(v));                                   \
    }

BYTE_ORDER_CALLS(le, 16)
BYTE_ORDER_CALLS(le, 32)
BYTE_ORDER_CALLS(le, 64)

static inline uint64_t le_get(const void *p, unsigned width)
{
    uint64_t v = 0;
    memcpy(&v, p, width <= sizeof(v) ? width : sizeof(v));
    return le64toh(v);
}

static inline void le_put(void *p, uint64_t v, unsigned width)
{
    v = htole64(v);
    memcpy(p, &v, width <= sizeof(v) ? width : sizeof(v));
}

#endif
