// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes what passes to a capture that tcpdump and Wireshark read (pcap, with nanoseconds): a
 * filter in front of another backend. Frames are captured as the guest sees them: whole, before
 * they are cut into segments, and with checksums that are not filled in yet.
 *
 * The file is written in the background. While it cannot keep up, packets pass without being
 * captured; how many is said at the end.
 */
#ifndef MINIVET_DEVICES_BACKEND_NET_PCAP_H
#define MINIVET_DEVICES_BACKEND_NET_PCAP_H

struct clock;
struct evloop;
struct net_backend;

struct net_pcap_config {
    struct evloop *loop;
    const struct clock *clock; /* whose wall clock stamps the packets */
    struct net_backend *base;  /* taken over if the call succeeds */
    const char *path;          /* of a file, which is replaced */
};

/* Errors are reported. */
int net_pcap_create(struct net_backend **out, const struct net_pcap_config *config);

#endif
