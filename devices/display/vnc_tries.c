// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/vnc_tries.h"

#include <netinet/in.h>
#include <string.h>

#include "core/base/xmath.h"

#define DOUBLINGS 6u
#define V6_BYTES  8u

struct vnc_address vnc_address_of(const struct sockaddr_storage *from)
{
    struct vnc_address out = {{0}};
    if (from->ss_family == AF_INET) {
        memcpy(out.bytes + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
        out.bytes[10] = out.bytes[11] = 0xff; /* as IPv6 has it */
    } else if (from->ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
        memcpy(out.bytes, v6, IN6_IS_ADDR_V4MAPPED(v6) ? sizeof(*v6) : V6_BYTES);
    }
    return out;
}

static bool is_of(const struct vnc_tries *t, unsigned i, const struct vnc_address *from)
{
    return t->list[i].wrong > 0 && memcmp(&t->list[i].from, from, sizeof(*from)) == 0;
}

bool vnc_tries_may(const struct vnc_tries *t, const struct vnc_address *from, uint64_t now_ns)
{
    for (unsigned i = 0; i < ARRAY_SIZE(t->list); i++)
        if (is_of(t, i, from))
            return now_ns >= t->list[i].until_ns;
    return true;
}

/* Its place, or that of the address that may have been forgotten first. */
static unsigned place_of(const struct vnc_tries *t, const struct vnc_address *from)
{
    unsigned oldest = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(t->list); i++) {
        if (is_of(t, i, from))
            return i;
        if (t->list[i].until_ns < t->list[oldest].until_ns)
            oldest = i;
    }
    return oldest;
}

bool vnc_tries_wrong(struct vnc_tries *t, const struct vnc_address *from, uint64_t now_ns)
{
    unsigned i = place_of(t, from);
    unsigned wrong = is_of(t, i, from) ? t->list[i].wrong + 1 : 1;
    t->list[i].from = *from;
    t->list[i].wrong = (unsigned)min_u64(wrong, VNC_TRIES_FREE + DOUBLINGS);
    t->list[i].until_ns = now_ns;
    if (wrong >= VNC_TRIES_FREE)
        t->list[i].until_ns += VNC_TRIES_WAIT_NS << (t->list[i].wrong - VNC_TRIES_FREE);
    return wrong == VNC_TRIES_FREE;
}

void vnc_tries_right(struct vnc_tries *t, const struct vnc_address *from)
{
    for (unsigned i = 0; i < ARRAY_SIZE(t->list); i++)
        if (is_of(t, i, from))
            memset(&t->list[i], 0, sizeof(t->list[i]));
}
