// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/netio.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/rig.h"
#include "virtio/spec.h"

#define BUFS_MAX 256u

uint32_t netio_make(const struct netio_packet *p, uint8_t *out)
{
    memset(out, 0, NET_HEADER_BYTES);
    out[VIRTIO_NET_HDR_flags] = p->flags;
    out[VIRTIO_NET_HDR_gso_type] = p->gso_type;
    le16_put(out + VIRTIO_NET_HDR_hdr_len, p->hdr_len);
    le16_put(out + VIRTIO_NET_HDR_gso_size, p->gso_size);
    le16_put(out + VIRTIO_NET_HDR_csum_start, p->csum_start);
    le16_put(out + VIRTIO_NET_HDR_csum_offset, p->csum_offset);
    uint8_t *frame = out + NET_HEADER_BYTES;
    memset(frame, p->fill, p->frame_bytes);
    uint8_t head[18] = {[12] = 0x08};
    memcpy(head, p->dst != NULL ? p->dst : NETIO_MAC, NET_MAC_BYTES);
    if (p->tagged) {
        head[12] = 0x81;
        head[14] = (uint8_t)(p->vlan >> 8);
        head[15] = (uint8_t)p->vlan;
        head[16] = 0x08;
    }
    memcpy(frame, head, min_u64(p->tagged ? 18 : 14, p->frame_bytes));
    if (p->udp != 0) {
        uint8_t *ip = frame + (p->tagged ? 18 : 14);
        BUG_ON(p->frame_bytes < 60);
        memset(ip, 0, 28);
        ip[0] = 0x45;
        ip[9] = 17;
        ip[20] = (uint8_t)(p->udp >> 8);
        ip[21] = (uint8_t)p->udp;
    }
    return NET_HEADER_BYTES + p->frame_bytes;
}

uint32_t netio_make_rss(const struct netio_rss *rss, uint8_t out[2048])
{
    uint8_t *at = out + 8;
    le32_put(out, rss->types);
    le16_put(out + 4, (uint16_t)(rss->entries - 1));
    le16_put(out + 6, rss->unclassified);
    for (unsigned i = 0; i < rss->entries; i++, at += 2)
        le16_put(at, rss->pairs[i]);
    le16_put(at, rss->tx_pairs);
    at[2] = rss->key_bytes;
    at += 3;
    for (unsigned i = 0; i < rss->key_bytes; i++)
        *at++ = NETIO_RSS_KEY(i);
    return (uint32_t)(at - out);
}

/* A driver without MQ has its control queue behind the first pair, VIRTIO 1.4 5.1.2. */
static unsigned control_queue(const struct rig *rig)
{
    bool mq = rig->drv.features & (VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_RSS));
    return mq ? rig->dev->cfg.queue_count - 1 : 2;
}

bool netio_start(struct rig *rig, uint64_t features, unsigned pairs, uint32_t size)
{
    if (!vdrv_negotiate(&rig->drv, features))
        return false;
    for (unsigned i = 0; i <= 2 * pairs; i++) {
        bool last = i == 2 * pairs;
        if (last && !(rig->drv.features & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ)))
            break;
        unsigned queue = last ? control_queue(rig) : i;
        vdrv_queue_alloc(&rig->drv, queue, size);
        vdrv_queue_write(&rig->drv, queue);
    }
    vdrv_driver_ok(&rig->drv);
    rig_step(rig);
    return (vdrv_status(&rig->drv) & VIRTIO_STATUS_DRIVER_OK) && !rig_is_broken(rig);
}

void netio_send_raw(struct rig *rig, unsigned pair, const void *bytes, uint32_t len, uint32_t cut)
{
    struct vdrv_buf bufs[BUFS_MAX];
    unsigned count = 0;
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, len), bytes, len);
    for (uint32_t at = 0; at < len; at += cut) {
        BUG_ON(count == BUFS_MAX);
        bufs[count++] = (struct vdrv_buf){gpa + at, (uint32_t)min_u64(cut, len - at), false};
    }
    int head = vdrv_send(&rig->drv.q[2 * pair + 1], bufs, count);
    BUG_ON(head < 0);
    rig_step(rig);
}

static uint32_t header_bytes(const struct rig *rig)
{
    uint64_t long_one = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
    if (rig->drv.features & VIRTIO_BIT(VIRTIO_NET_F_HASH_REPORT))
        return VIRTIO_NET_HDR_HASH_BYTES;
    return rig->drv.features & long_one ? VIRTIO_NET_HDR_BYTES : VIRTIO_NET_HDR_LEGACY_BYTES;
}

void netio_send(struct rig *rig, unsigned pair, const struct netio_packet *packet, bool joined)
{
    static uint8_t bytes[NET_PACKET_MAX + 4096];
    uint32_t header = header_bytes(rig), len = header + packet->frame_bytes;
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 8);
    uint8_t *at = vdrv_ptr(&rig->drv, gpa, len);
    netio_make(packet, bytes);
    memset(at, 0, header);
    memcpy(at, bytes, min_u64(header, NET_HEADER_BYTES));
    memcpy(at + header, bytes + NET_HEADER_BYTES, packet->frame_bytes);
    struct vdrv_buf bufs[] = {{gpa, joined ? len : header, false},
                              {gpa + header, packet->frame_bytes, false}};
    int head = vdrv_send(&rig->drv.q[2 * pair + 1], bufs, joined ? 1 : 2);
    BUG_ON(head < 0);
    rig_step(rig);
}

uint8_t *netio_post(struct rig *rig, unsigned pair, uint32_t bytes)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, bytes, 8);
    uint8_t *at = vdrv_ptr(&rig->drv, gpa, bytes);
    memset(at, 0xee, bytes);
    int head = vdrv_send(&rig->drv.q[2 * pair], &(struct vdrv_buf){gpa, bytes, true}, 1);
    BUG_ON(head < 0);
    rig_step(rig);
    return at;
}

void netio_arrive(struct rig *rig, unsigned pair, const struct netio_packet *packet)
{
    static uint8_t bytes[NET_PACKET_MAX + 4096];
    uint32_t len = netio_make(packet, bytes);
    fake_net_arrive(&rig->ether, pair, bytes, len);
    rig_step(rig);
}

bool netio_take(struct rig *rig, unsigned queue, uint32_t *len)
{
    uint32_t head;
    return vdrv_used(&rig->drv.q[queue], &head, len);
}

unsigned netio_take_all(struct rig *rig, unsigned queue)
{
    uint32_t len;
    unsigned count = 0;
    while (netio_take(rig, queue, &len))
        count++;
    return count;
}

uint8_t netio_command(struct rig *rig, uint8_t class, uint8_t command, const void *data,
                      uint32_t len)
{
    struct vdrv *d = &rig->drv;
    struct vdrv_queue *q = &d->q[control_queue(rig)];
    uint64_t gpa = vdrv_alloc(d, 2 + len + 1, 8);
    uint8_t *at = vdrv_ptr(d, gpa, 2 + len + 1);
    at[0] = class;
    at[1] = command;
    if (len > 0)
        memcpy(at + 2, data, len);
    at[2 + len] = NETIO_NO_ACK;
    struct vdrv_buf bufs[] = {{gpa, 2, false}, {gpa + 2, len, false}, {gpa + 2 + len, 1, true}};
    if (len == 0)
        bufs[1] = bufs[2];
    int head = vdrv_send(q, bufs, len == 0 ? 2 : 3);
    BUG_ON(head < 0);
    rig_step(rig);
    netio_take_all(rig, q->index);
    return at[2 + len];
}
