// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/net_guest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/base/le.h"
#include "core/loop/evloop.h"

static const uint8_t guest_mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static void on_rx(void *ctx, unsigned pair)
{
    struct guest *g = ctx;
    g->rx_pair = pair;
    g->rx_told++;
}

static void on_writable(void *ctx, unsigned pair)
{
    struct guest *g = ctx;
    (void)pair;
    g->tx_told++;
}

static void on_link(void *ctx)
{
    struct guest *g = ctx;
    g->link_told++;
}

void guest_init(struct guest *g, struct net_backend *net, struct evloop *loop)
{
    *g = (struct guest){.net = net, .loop = loop, .frame = g->packet + NET_HEADER_BYTES};
    net->handler = (struct net_handler){
        .on_rx = on_rx, .on_writable = on_writable, .on_link = on_link, .ctx = g};
}

int guest_send_packet(struct guest *g, const void *packet, size_t bytes)
{
    uint8_t *at = (uint8_t *)(uintptr_t)packet;
    const struct iovec iov[] = {{at, 5}, {at + 5, 20}, {at + 25, bytes - 25}};
    return g->net->ops->send(g->net, 0, iov, 3);
}

int guest_send(struct guest *g, const void *frame, size_t bytes)
{
    uint8_t header[NET_HEADER_BYTES] = {0};
    const struct iovec iov[] = {{header, sizeof(header)}, {(void *)(uintptr_t)frame, bytes}};
    return g->net->ops->send(g->net, 0, iov, 2);
}

ssize_t guest_receive(struct guest *g)
{
    const struct iovec iov[] = {{g->packet, 20}, {g->packet + 20, sizeof(g->packet) - 20}};
    ssize_t bytes = g->net->ops->receive(g->net, 0, iov, 2);
    g->bytes = bytes < 0 ? 0 : (size_t)bytes - NET_HEADER_BYTES;
    return bytes;
}

bool guest_wait(struct guest *g)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (guest_receive(g) >= 0)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        evloop_drain(g->loop);
    }
    return false;
}

/* ---- frames ---- */

unsigned guest_be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

uint32_t guest_be32(const uint8_t *p)
{
    return (uint32_t)guest_be16(p) << 16 | guest_be16(p + 2);
}

void guest_be16_put(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t v)
{
    guest_be16_put(p, v >> 16);
    guest_be16_put(p + 2, v & 0xffff);
}

static uint32_t sum(uint32_t start, const uint8_t *p, size_t bytes)
{
    uint64_t s = start;
    for (size_t i = 0; i < bytes; i++)
        s += i % 2 ? p[i] : (uint64_t)p[i] << 8;
    while (s >> 16 != 0)
        s = (s & 0xffff) + (s >> 16);
    return (uint32_t)s;
}

/* Addresses, protocol and length, as TCP and UDP sum them. */
static uint32_t pseudo(const uint8_t *ip, size_t bytes)
{
    return sum((uint32_t)(ip[9] + bytes), ip + 12, 8);
}

static uint8_t *make_ip(uint8_t *packet, uint8_t proto, uint32_t from, uint32_t to, size_t bytes)
{
    memset(packet, 0, NET_HEADER_BYTES + GUEST_ETH + GUEST_IP + GUEST_TCP + 4);
    uint8_t *eth = packet + NET_HEADER_BYTES, *ip = eth + GUEST_ETH;
    memcpy(eth, (const uint8_t[]){0x52, 0x55, 10, 0, 2, 2}, NET_MAC_BYTES);
    memcpy(eth + 6, guest_mac, NET_MAC_BYTES);
    guest_be16_put(eth + 12, 0x0800);
    ip[0] = 0x45;
    guest_be16_put(ip + 2, (unsigned)(GUEST_IP + bytes));
    ip[8] = 64;
    ip[9] = proto;
    put32(ip + 12, from);
    put32(ip + 16, to);
    guest_be16_put(ip + 10, ~sum(0, ip, GUEST_IP) & 0xffff);
    return ip + GUEST_IP;
}

/* As a driver does it: the sum of the pseudo-header is there, the rest is left to the device. */
static void leave_checksum(uint8_t *packet, unsigned offset, size_t bytes)
{
    uint8_t *ip = packet + NET_HEADER_BYTES + GUEST_ETH;
    packet[0] = 1;
    le16_put(packet + 6, GUEST_ETH + GUEST_IP);
    le16_put(packet + 8, (uint16_t)offset);
    guest_be16_put(ip + GUEST_IP + offset, pseudo(ip, bytes));
}

size_t guest_make_udp(uint8_t *packet, uint32_t to, uint16_t from_port, uint16_t to_port,
                      const void *data, size_t bytes)
{
    uint8_t *udp = make_ip(packet, 17, GUEST_IPV4, to, GUEST_UDP + bytes);
    guest_be16_put(udp, from_port);
    guest_be16_put(udp + 2, to_port);
    guest_be16_put(udp + 4, (unsigned)(GUEST_UDP + bytes));
    memcpy(udp + GUEST_UDP, data, bytes);
    leave_checksum(packet, 6, GUEST_UDP + bytes);
    return (size_t)(udp + GUEST_UDP + bytes - packet);
}

size_t guest_make_echo(uint8_t *packet, uint32_t from, size_t bytes)
{
    uint8_t *icmp = make_ip(packet, 1, from, HOST_IPV4, 8 + bytes);
    memset(icmp, 0, 8 + bytes);
    icmp[0] = 8;
    guest_be16_put(icmp + 2, ~sum(0, icmp, 8 + bytes) & 0xffff);
    return (size_t)(icmp + 8 + bytes - packet);
}

size_t guest_make_tcp(uint8_t *packet, const struct guest_tcp *t, const void *data, size_t bytes)
{
    size_t header = GUEST_TCP + (t->mss ? 4 : 0);
    uint8_t *tcp = make_ip(packet, 6, t->from, t->to, header + bytes);
    guest_be16_put(tcp, t->from_port);
    guest_be16_put(tcp + 2, t->to_port);
    put32(tcp + 4, t->seq);
    put32(tcp + 8, t->ack);
    tcp[12] = (uint8_t)(header / 4 << 4);
    tcp[13] = t->flags;
    guest_be16_put(tcp + 14, t->window ? t->window : 65535);
    if (t->mss) {
        tcp[20] = 2;
        tcp[21] = 4;
        guest_be16_put(tcp + 22, t->mss);
    }
    if (bytes > 0)
        memcpy(tcp + header, data, bytes);
    leave_checksum(packet, 16, header + bytes);
    return (size_t)(tcp + header + bytes - packet);
}

bool guest_arp(struct guest *g, uint32_t addr)
{
    uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    memcpy(arp + 6, guest_mac, NET_MAC_BYTES);
    memcpy(arp + 12, (const uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 10);
    memcpy(arp + 22, guest_mac, NET_MAC_BYTES);
    put32(arp + 28, GUEST_IPV4);
    put32(arp + 38, addr);
    guest_send(g, arp, sizeof(arp));
    evloop_drain(g->loop);
    while (guest_receive(g) >= 0)
        if (guest_be16(g->frame + 12) == 0x0806 && guest_be32(g->frame + 28) == addr)
            return true;
    return false;
}

bool guest_checksums_are_right(const uint8_t *frame, size_t bytes)
{
    const uint8_t *ip = frame + GUEST_ETH;
    size_t left = guest_be16(ip + 2) - GUEST_IP;
    return bytes >= GUEST_ETH + GUEST_IP + left && sum(0, ip, GUEST_IP) == 0xffff &&
           sum(pseudo(ip, left), ip + GUEST_IP, left) == 0xffff;
}
