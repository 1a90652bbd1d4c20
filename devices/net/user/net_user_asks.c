// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user_asks.h"

#include <string.h>

#include "core/base/xmath.h"
#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"

#define ARP_REQUEST    1u
#define NDP_SOLICIT    135u
#define NDP_ADVERTISE  136u /* the answer, which comes from the address that was asked for */
#define NDP_TARGET     (USER_IPV6_BYTES + 8u)
#define IPV6_MULTICAST 0xffu

static const uint8_t none[16];

/* Where in the table it is; -1: nowhere. */
static int find(const struct user_asks *a, const uint8_t addr[16])
{
    for (unsigned i = 0; i < ARRAY_SIZE(a->known); i++)
        if (memcmp(a->known[i], addr, sizeof(a->known[i])) == 0)
            return (int)i;
    return -1;
}

static void set_known(struct user_asks *a, const uint8_t addr[16])
{
    if (!a->several && memcmp(a->asked, addr, sizeof(a->asked)) == 0)
        a->until_ns = 0;
    if (find(a, addr) >= 0)
        return;
    a->strict |= memcmp(a->known[a->victim], none, sizeof(none)) != 0;
    memcpy(a->known[a->victim], addr, sizeof(a->known[0]));
    a->victim = (a->victim + 1) % ARRAY_SIZE(a->known);
}

static void set_asked(struct user_asks *a, const uint8_t addr[16], uint64_t now_ns)
{
    int known = find(a, addr);
    a->several =
        a->until_ns > now_ns && (a->several || memcmp(a->asked, addr, sizeof(a->asked)) != 0);
    a->until_ns = now_ns + USER_ASK_NS;
    memcpy(a->asked, addr, sizeof(a->asked));
    a->strict |= known >= 0;
    if (known >= 0)
        memset(a->known[known], 0, sizeof(a->known[known]));
}

static void answer_v6(struct user_asks *a, const uint8_t *ip, size_t bytes, uint64_t now_ns)
{
    if (ip[24] != IPV6_MULTICAST)
        set_known(a, ip + 24);
    else if (ip[6] == USER_PROTO_ICMPV6 && bytes >= NDP_TARGET + 16 &&
             ip[USER_IPV6_BYTES] == NDP_SOLICIT)
        set_asked(a, ip + NDP_TARGET, now_ns);
}

void user_asks_answer(struct user_asks *a, const uint8_t *frame, size_t bytes, uint64_t now_ns)
{
    uint8_t addr[16] = {0};
    const uint8_t *at = frame + NET_FRAME_HEADER;
    if (bytes < NET_FRAME_HEADER + USER_ARP_BYTES)
        return;
    switch (be16_get(frame + 12)) {
    case USER_TYPE_ARP:
        memcpy(addr, at + 24, 4);
        if (be16_get(at + 6) == ARP_REQUEST)
            set_asked(a, addr, now_ns);
        else
            set_known(a, addr);
        break;
    case USER_TYPE_IPV4:
        memcpy(addr, at + 16, 4);
        set_known(a, addr);
        break;
    case USER_TYPE_IPV6:
        if (bytes >= NET_FRAME_HEADER + USER_IPV6_BYTES)
            answer_v6(a, at, bytes - NET_FRAME_HEADER, now_ns);
        break;
    default:
        break;
    }
}

static bool is_ndp_answer(const uint8_t *frame)
{
    const uint8_t *ip = frame + NET_FRAME_HEADER;
    return be16_get(frame + 12) == USER_TYPE_IPV6 && ip[6] == USER_PROTO_ICMPV6 &&
           be16_get(ip + 4) > 0 && ip[USER_IPV6_BYTES] == NDP_ADVERTISE;
}

/* To nowhere, 0.0.0.0, libslirp sends nothing; to a guest without an address, to all. */
bool user_asks_allow(const struct user_asks *a, const uint8_t *frame, uint64_t now_ns)
{
    uint8_t addr[16] = {0};
    const uint8_t *at = frame + NET_FRAME_HEADER;
    if (be16_get(frame + 12) == USER_TYPE_ARP || a->until_ns <= now_ns || is_ndp_answer(frame))
        return true;
    if (be16_get(frame + 12) == USER_TYPE_IPV6)
        memcpy(addr, at + 8, sizeof(addr));
    else
        memcpy(addr, at + 12, 4);
    if (memcmp(addr, none, sizeof(addr)) == 0)
        return true;
    return find(a, addr) >= 0;
}
