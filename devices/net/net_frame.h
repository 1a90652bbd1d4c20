// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets whose backend has to look into them: the header before the frame (VIRTIO 1.4 5.1.6), and
 * checksums that the sender left to the device.
 */
#ifndef MINIVET_DEVICES_NET_FRAME_H
#define MINIVET_DEVICES_NET_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NET_FRAME_HEADER 14u /* Ethernet's own */

/* The header's bytes, and what is in them. */
enum {
    NET_HDR_FLAGS = 0,
    NET_HDR_GSO_TYPE = 1,
    NET_HDR_CSUM_START = 6,
    NET_HDR_CSUM_OFFSET = 8,
};
#define NET_HDR_NEEDS_CSUM 1u
#define NET_HDR_DATA_VALID 2u
#define NET_GSO_NONE       0u
#define NET_GSO_TCPV4      1u
#define NET_GSO_TCPV6      4u
#define NET_GSO_ECN        0x80u /* beside the others */

/*
 * Copies a packet, header and all, into out, which has room for NET_PACKET_MAX. Its bytes, or
 * -EINVAL: it is longer, or has no whole Ethernet header.
 */
ssize_t net_frame_copy(uint8_t *out, const struct iovec *iov, unsigned count);

/* The Internet checksum's sum (RFC 1071), in the bytes' own order. */
uint16_t net_frame_sum(const uint8_t *p, size_t bytes);

/*
 * Fills in the checksum if the packet's header asks for it, and asks no more. -EINVAL: it would
 * not be inside of the packet. A packet that stands for many segments gets one for all of it.
 */
int net_frame_fill_csum(uint8_t *packet, size_t bytes);

#endif
