// SPDX-License-Identifier: BSD-2-Clause
/*
 * A user network in a process of its own, which is confined: what a guest's frames do to libslirp
 * costs the network, for a moment, and nothing else. The process is this program, started anew
 * (`minivet net-user`); it inherits one descriptor, the wire that frames come and go by.
 *
 * When it ends the guest's link goes down; after a while another one takes its place, and the link
 * comes up. After an early end the wait is longer: half a second, and twice as long each time, up
 * to half a minute.
 */
#ifndef MINIVET_DEVICES_NET_CHILD_H
#define MINIVET_DEVICES_NET_CHILD_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;
struct clock;
struct evloop;
struct net_backend;

#define NET_CHILD_FD 3 /* the wire, in the child */

struct net_child_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    const char *program;       /* NULL: this one */
    const char *option;        /* its only argument, what --net was given */
    uint32_t mtu;
    const struct cancel *cancel; /* the first process is waited for no longer; NULL: nothing does */
};

/* The first process is waited for. Errors are reported, those of the option by the process. */
int net_child_create(struct net_backend **out, const struct net_child_config *config);

/*
 * In the child: carries frames between the network and the wire until the other end has gone.
 * Owns the network. Returns an exit status.
 */
int net_child_run(struct evloop *loop, const struct clock *clock, struct net_backend *user);

#endif
