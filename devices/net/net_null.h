// SPDX-License-Identifier: BSD-2-Clause
/* A network with nothing in it: it takes every packet. For measuring it may send without an end. */
#ifndef MINIVET_DEVICES_BACKEND_NET_NULL_H
#define MINIVET_DEVICES_BACKEND_NET_NULL_H

#include <stdint.h>

struct net_backend;

struct net_null_config {
    uint32_t source_bytes; /* of the frames that never end; 0: none come */
    unsigned pairs;        /* 0: one */
};

/* Errors are reported. */
int net_null_create(struct net_backend **out, const struct net_null_config *config);

#endif
