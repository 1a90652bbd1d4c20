// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between virtqueue.c, which keeps chains, and the ring formats: for these files alone.
 */
#ifndef MINIVET_VIRTIO_VQ_OPS_H
#define MINIVET_VIRTIO_VQ_OPS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio/ring/virtqueue.h"

extern const struct vq_ops vq_split_ops;
extern const struct vq_ops vq_packed_ops;

/* Notes why, and returns err. */
int vq_error(struct virtqueue *vq, int err, const char *why);
/* The same of what the guest put into the ring. Returns -EPROTO. */
int vq_fault(struct virtqueue *vq, enum vq_fault fault, uint64_t value) __attribute__((cold));

/* Adds one buffer to a chain; 0 or -EPROTO. */
int vq_chain_add(struct virtqueue *vq, struct vq_chain *chain, uint64_t addr, uint32_t len,
                 bool writable);

/* ---- numbers that the guest reads and writes at the same time ---- */

/* A descriptor in host order: its two halves, and the fields of the second. */
struct ring_desc {
    uint64_t addr, rest;
    uint32_t len;
    uint16_t at12, at14; /* split: flags and next; packed: id and flags */
};

/*
 * The one read of a descriptor, as two numbers of 64 bits: what the guest does to it later is not
 * seen. It stays in registers: the way over the stack makes each field wait for a store.
 */
static inline struct ring_desc ring_load_desc(const uint8_t *at)
{
    uint64_t addr, rest;
    memcpy(&addr, at, sizeof(addr));
    memcpy(&rest, at + sizeof(addr), sizeof(rest));
    /* From here on they may be anything for all the compiler knows: it cannot read again. */
    __asm__ volatile("" : "+r"(addr), "+r"(rest));
    rest = le64toh(rest);
    return (struct ring_desc){
        .addr = le64toh(addr),
        .rest = rest,
        .len = (uint32_t)rest,
        .at12 = (uint16_t)(rest >> 32),
        .at14 = (uint16_t)(rest >> 48),
    };
}

static inline uint16_t ring_load16_acquire(const uint8_t *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE));
}

static inline uint16_t ring_load16_relaxed(const uint8_t *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED));
}

static inline void ring_store16_relaxed(uint8_t *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16(value), __ATOMIC_RELAXED);
}

static inline void ring_store32_relaxed(uint8_t *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)at, htole32(value), __ATOMIC_RELAXED);
}

/*
 * "I stored mine, have you stored yours?": both sides store, then load what the other stores. One
 * order of all four accesses (sequential consistency) lets at least one side see the other's.
 */
static inline void ring_store16_seq_cst(uint8_t *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static inline void ring_store32_seq_cst(uint8_t *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)at, htole32(value), __ATOMIC_SEQ_CST);
}

static inline uint16_t ring_load16_seq_cst(const uint8_t *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_SEQ_CST));
}

static inline uint32_t ring_load32_seq_cst(const uint8_t *at)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_SEQ_CST));
}

#endif
