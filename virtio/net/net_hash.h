// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hash by which a card tells flows apart (VIRTIO 1.4 5.1.6.4: Toeplitz), of what a frame says
 * about where it comes from and where it goes.
 */
#ifndef MINIVET_VIRTIO_NET_HASH_H
#define MINIVET_VIRTIO_NET_HASH_H

#include <stddef.h>
#include <stdint.h>

#define NET_HASH_KEY_BYTES 40u   /* for the longest input: two IPv6 addresses and two ports */
#define NET_HASH_HEAD      256u  /* bytes of a frame in which headers are looked for */
#define NET_HASH_TYPES     0x3fu /* those that there are; nothing of IPv6's options */

/* What the driver has asked for. */
struct net_hash_config {
    uint32_t types;                  /* bits VIRTIO_NET_HASH_...; 0: no hash */
    uint8_t key[NET_HASH_KEY_BYTES]; /* a shorter one ends with zeros */
};

struct net_hash {
    uint32_t value;
    uint16_t report; /* 0: there is none */
};

/* Bytes in the order of the wire, at most 36. */
uint32_t net_toeplitz(const uint8_t key[NET_HASH_KEY_BYTES], const uint8_t *in, size_t bytes);

/* Of an Ethernet frame that begins so. What is cut off or makes no sense has less of a hash. */
struct net_hash net_hash_of(const struct net_hash_config *config, const uint8_t *head,
                            size_t bytes);

#endif
