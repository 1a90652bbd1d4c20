// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_frame.h"

#include <errno.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "core/ports/net.h"

ssize_t net_frame_copy(uint8_t *out, const struct iovec *iov, unsigned count)
{
    struct iobuf buf = iobuf_init(iov, count);
    if (buf.left > NET_PACKET_MAX || buf.left < NET_HEADER_BYTES + NET_FRAME_HEADER)
        return -EINVAL;
    return (ssize_t)iobuf_get(&buf, out, NET_PACKET_MAX);
}

/* It depends neither on the byte order nor on the width, as long as carries come back in. */
uint16_t net_frame_sum(const uint8_t *p, size_t bytes)
{
    uint64_t sum = 0, word = 0;
    for (; bytes >= sizeof(word); p += sizeof(word), bytes -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        sum += word;
        sum += sum < word;
    }
    word = 0;
    memcpy(&word, p, bytes);
    sum += word;
    sum += sum < word;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

int net_frame_fill_csum(uint8_t *packet, size_t bytes)
{
    if ((packet[NET_HDR_FLAGS] & NET_HDR_NEEDS_CSUM) == 0)
        return 0;
    uint8_t *frame = packet + NET_HEADER_BYTES;
    size_t left = bytes - NET_HEADER_BYTES;
    size_t start = le16_get(packet + NET_HDR_CSUM_START);
    size_t offset = le16_get(packet + NET_HDR_CSUM_OFFSET);
    if (start > left || offset + 2 > left - start)
        return -EINVAL;
    uint16_t sum = (uint16_t)~net_frame_sum(frame + start, left - start);
    if (sum == 0)
        sum = 0xffff; /* in UDP, 0 means none */
    memcpy(frame + start + offset, &sum, sizeof(sum));
    packet[NET_HDR_FLAGS] &= (uint8_t)~NET_HDR_NEEDS_CSUM;
    return 0;
}
