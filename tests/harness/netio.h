// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a network driver does, for tests on a rig with a network device: sends frames, gives buffers
 * for others, reads what came, says commands.
 */
#ifndef MINIVET_TESTS_HARNESS_NETIO_H
#define MINIVET_TESTS_HARNESS_NETIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/net.h"

struct rig;

#define NETIO_MAC    ((const uint8_t[NET_MAC_BYTES]){0x52, 0x54, 0, 1, 2, 3}) /* the rig's device */
#define NETIO_NO_ACK 0xee

/* Of a packet: what is not 0 in its header, and its frame. */
struct netio_packet {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    uint32_t frame_bytes;
    const uint8_t *dst; /* NULL: the device's own */
    uint16_t vlan;      /* if tagged */
    bool tagged;
    uint16_t udp; /* not 0: an IPv4 datagram from that port */
    uint8_t fill; /* behind the addresses and the type */
};

/* Header (12 bytes) and frame; returns the bytes. */
uint32_t netio_make(const struct netio_packet *packet, uint8_t *out);

/* Starts the device with its first `pairs` pairs and the control queue. */
bool netio_start(struct rig *rig, uint64_t features, unsigned pairs, uint32_t size);

/* Sends a packet, header in a buffer of its own unless it is `joined`, and lets the loop run. */
void netio_send(struct rig *rig, unsigned pair, const struct netio_packet *packet, bool joined);
/* Any bytes in buffers of up to `cut`. */
void netio_send_raw(struct rig *rig, unsigned pair, const void *bytes, uint32_t len, uint32_t cut);

/* Gives the device a buffer, filled with 0xee, and kicks. Returns where it is. */
uint8_t *netio_post(struct rig *rig, unsigned pair, uint32_t bytes);

/* A packet arrives from outside, and the loop runs. */
void netio_arrive(struct rig *rig, unsigned pair, const struct netio_packet *packet);

/* Takes back one chain of a queue; false: none. And all: how many. */
bool netio_take(struct rig *rig, unsigned queue, uint32_t *len);
unsigned netio_take_all(struct rig *rig, unsigned queue);

/* What VIRTIO_NET_CTRL_MQ_RSS_CONFIG says. */
struct netio_rss {
    uint32_t types;
    uint16_t entries, pairs[512]; /* the table, of indices of pairs */
    uint16_t unclassified, tx_pairs;
    uint8_t key_bytes; /* of NETIO_RSS_KEY */
};

/* The command's data, and how long it is. */
uint32_t netio_make_rss(const struct netio_rss *rss, uint8_t out[2048]);

/* A key's byte. */
#define NETIO_RSS_KEY(i) ((uint8_t)(0x6d + 41 * (i)))

/* Says a command on the control queue: VIRTIO_NET_OK, _ERR, or NETIO_NO_ACK. */
uint8_t netio_command(struct rig *rig, uint8_t class, uint8_t command, const void *data,
                      uint32_t len);

#endif
