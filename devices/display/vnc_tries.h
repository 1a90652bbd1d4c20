// SPDX-License-Identifier: BSD-2-Clause
/*
 * Wrong passwords, by the address that they came from. After a few, an address waits before it may
 * try again: 10 seconds, and twice as long after each further wrong one, up to 10 minutes.
 */
#ifndef MINIVET_DEVICES_VNC_TRIES_H
#define MINIVET_DEVICES_VNC_TRIES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define VNC_TRIES_FREE    5u
#define VNC_TRIES_WAIT_NS UINT64_C(10000000000)

/* Of IPv6, the network (/64): its hosts have as many addresses as they like. */
struct vnc_address {
    uint8_t bytes[16];
};

struct vnc_address vnc_address_of(const struct sockaddr_storage *from);

struct vnc_tries {
    struct {
        struct vnc_address from;
        unsigned wrong;
        uint64_t until_ns; /* the address waits, or has waited */
    } list[64];
};

bool vnc_tries_may(const struct vnc_tries *t, const struct vnc_address *from, uint64_t now_ns);
/* True: from now on the address waits, as it did not before. */
bool vnc_tries_wrong(struct vnc_tries *t, const struct vnc_address *from, uint64_t now_ns);
void vnc_tries_right(struct vnc_tries *t, const struct vnc_address *from);

#endif
