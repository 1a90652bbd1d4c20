// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user_leases.h"

#include <string.h>

#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"

#define UDP_BYTES   8u
#define PORT_SERVER 67u
#define PORT_CLIENT 68u

/* Of a message (RFC 2131): the address that is given, the client's MAC address, and what follows.
 */
#define DHCP_ADDR    16u
#define DHCP_MAC     28u
#define DHCP_MAC_END 34u

/* The message in a frame to that port, or NULL. */
static const uint8_t *message_of(const uint8_t *frame, size_t bytes, unsigned port)
{
    const uint8_t *ip = frame + NET_FRAME_HEADER, *udp = ip + USER_IPV4_BYTES;
    if (bytes < NET_FRAME_HEADER + USER_IPV4_BYTES + UDP_BYTES + DHCP_MAC_END ||
        be16_get(frame + 12) != USER_TYPE_IPV4 || ip[9] != USER_PROTO_UDP ||
        be16_get(udp + 2) != port)
        return NULL;
    return udp + UDP_BYTES;
}

/* A refusal gives the address of all. */
void user_leases_answer(struct user_leases *l, const uint8_t *frame, size_t bytes)
{
    static const uint8_t all[4] = {0xff, 0xff, 0xff, 0xff};
    const uint8_t *dhcp = message_of(frame, bytes, PORT_CLIENT);
    unsigned i = 0;
    if (dhcp == NULL || be16_get(frame + NET_FRAME_HEADER + USER_IPV4_BYTES) != PORT_SERVER ||
        memcmp(dhcp + DHCP_ADDR, all, sizeof(all)) == 0)
        return;
    while (i < l->count && memcmp(l->lease[i].addr, dhcp + DHCP_ADDR, 4) != 0)
        i++;
    if (i == USER_LEASES)
        return;
    l->count = i == l->count ? i + 1 : l->count;
    memcpy(l->lease[i].addr, dhcp + DHCP_ADDR, sizeof(l->lease[i].addr));
    memcpy(l->lease[i].mac, dhcp + DHCP_MAC, sizeof(l->lease[i].mac));
}

bool user_leases_allow(const struct user_leases *l, const uint8_t *frame, size_t bytes)
{
    const uint8_t *dhcp = message_of(frame, bytes, PORT_SERVER);
    if (dhcp == NULL || l->count < USER_LEASES)
        return true;
    for (unsigned i = 0; i < l->count; i++)
        if (memcmp(l->lease[i].mac, dhcp + DHCP_MAC, sizeof(l->lease[i].mac)) == 0)
            return true;
    return false;
}
