// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes what passes to a capture that tcpdump and Wireshark read (pcap, with nanoseconds): a
 * filter in front of another backend. Frames are captured as the guest sees them: whole, before
 * they are cut into segments, and with checksums that are not filled in yet.
 *
 * The file is written in the background. While it cannot keep up, packets pass without being
 * captured; how many is said at the end.
 */
#ifndef MINIVET_DEVICES_NET_PCAP_H
#define MINIVET_DEVICES_NET_PCAP_H

struct clock;
struct evloop;
struct net_backend;

/* In front of *b, which it owns then and whose place it takes. The clock's wall time stamps
 * packets; a file of that path is replaced. Errors are reported. */
int net_pcap_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                    const char *path);

#endif
