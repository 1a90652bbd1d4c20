// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's side of a network backend, for the tests of those: it sends and receives packets,
 * counts what the backend says, and knows enough of ARP, UDP and TCP to talk to a host.
 */
#ifndef MINIVET_TESTS_HARNESS_NET_GUEST_H
#define MINIVET_TESTS_HARNESS_NET_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/ports/net.h"

struct evloop;

#define GUEST_ETH  14u
#define GUEST_IP   20u
#define GUEST_TCP  20u
#define GUEST_UDP  8u
#define GUEST_IPV4 0x0a00020fu /* 10.0.2.15 */
#define HOST_IPV4  0x0a000202u /* 10.0.2.2 */

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_URG 0x20u

struct guest {
    struct net_backend *net;
    struct evloop *loop;
    unsigned rx_told, tx_told, link_told;
    unsigned rx_pair;               /* the last one of which it was told */
    uint8_t packet[NET_PACKET_MAX]; /* the last one that was received */
    uint8_t *frame;                 /* inside of it */
    size_t bytes;                   /* of the frame */
};

/* Becomes the backend's handler. */
void guest_init(struct guest *g, struct net_backend *net, struct evloop *loop);

/* A frame, with a header of zeroes, in two pieces. send()'s result. */
int guest_send(struct guest *g, const void *frame, size_t bytes);

/* A packet with its header. */
int guest_send_packet(struct guest *g, const void *packet, size_t bytes);

/* receive()'s result; the frame is in the guest then. */
ssize_t guest_receive(struct guest *g);

/* Lets the loop run for a moment until there is a frame, real time. False: there came none. */
bool guest_wait(struct guest *g);

/* ---- frames ---- */
struct guest_tcp {
    uint32_t from, to;
    uint16_t from_port, to_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t mss;    /* 0: no option */
    uint16_t window; /* 0: as large as can be */
};

/* Write packets with their headers, whose checksums are left to the backend; their bytes. */
size_t guest_make_udp(uint8_t *packet, uint32_t to, uint16_t from_port, uint16_t to_port,
                      const void *data, size_t bytes);
/* To the host, its checksums filled in. */
size_t guest_make_echo(uint8_t *packet, uint32_t from, size_t bytes);
size_t guest_make_tcp(uint8_t *packet, const struct guest_tcp *tcp, const void *data, size_t bytes);

/* Who has that address? Sends it; the answer is waited for. */
bool guest_arp(struct guest *g, uint32_t addr);

unsigned guest_be16(const uint8_t *p);
void guest_be16_put(uint8_t *p, unsigned value);
uint32_t guest_be32(const uint8_t *p);

/* Whether both checksums of an IPv4 frame of TCP or UDP are right. */
bool guest_checksums_are_right(const uint8_t *frame, size_t bytes);

#endif
