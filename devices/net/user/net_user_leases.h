// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses that libslirp has given away by DHCP: 16, for ever. A buffer is lost with each request
 * of one more MAC address, so that such requests do not pass.
 */
#ifndef MINIVET_DEVICES_NET_USER_LEASES_H
#define MINIVET_DEVICES_NET_USER_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USER_LEASES 16u

/* Zeroed, it is empty. */
struct user_leases {
    unsigned count;
    struct {
        uint8_t addr[4], mac[6];
    } lease[USER_LEASES];
};

/* A frame of libslirp's. */
void user_leases_answer(struct user_leases *l, const uint8_t *frame, size_t bytes);

/* May a frame of the guest's pass, which libslirp may have otherwise? */
bool user_leases_allow(const struct user_leases *l, const uint8_t *frame, size_t bytes);

#endif
