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

static inline uint16_t le16_get(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static inline uint32_t le32_get(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t le64_get(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline void le16_put(void *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void le32_put(void *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void le64_put(void *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

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
