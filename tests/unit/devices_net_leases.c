// SPDX-License-Identifier: BSD-2-Clause
/* Which DHCP messages of libslirp count as addresses given, and which requests pass then. */
#include "devices/net/user/net_user_leases.h"

#include <criterion/criterion.h>

#define SERVER 67
#define CLIENT 68
#define BYTES  sizeof(frame)

static uint8_t frame[14 + 20 + 8 + 34];
static struct user_leases leases;

static const uint8_t *message(uint8_t from, uint8_t to, uint8_t addr, uint8_t mac)
{
    memset(frame, 0, sizeof(frame));
    frame[12] = 0x08;     /* IPv4 */
    frame[14 + 9] = 17;   /* UDP */
    frame[34 + 1] = from; /* ports */
    frame[34 + 3] = to;
    memset(frame + 42 + 16, 10, 3);
    frame[42 + 16 + 3] = addr;
    frame[42 + 28 + 5] = mac;
    return frame;
}

static bool may_ask(uint8_t mac)
{
    return user_leases_allow(&leases, message(CLIENT, SERVER, 0, mac), BYTES);
}

Test(net_leases, all_may_ask_until_the_addresses_are_given_away)
{
    for (uint8_t i = 0; i < USER_LEASES; i++) {
        cr_expect(may_ask(200));
        user_leases_answer(&leases, message(SERVER, CLIENT, i, i), BYTES);
        user_leases_answer(&leases, message(SERVER, CLIENT, i, i), BYTES); /* offered, then given */
    }
    cr_expect_eq(leases.count, USER_LEASES);
    cr_expect_not(may_ask(200));
    cr_expect(may_ask(3));
    user_leases_answer(&leases, message(SERVER, CLIENT, 100, 200), BYTES);
    cr_expect_not(may_ask(200), "there is no place for more");
    user_leases_answer(&leases, message(SERVER, CLIENT, 3, 200), BYTES);
    cr_expect(may_ask(200), "the address has another client now");
    cr_expect_not(may_ask(3));
}

Test(net_leases, other_frames_give_no_address)
{
    user_leases_answer(&leases, message(SERVER, CLIENT, 1, 1), BYTES - 1);
    user_leases_answer(&leases, message(SERVER, SERVER, 1, 1), BYTES);
    user_leases_answer(&leases, message(CLIENT, CLIENT, 1, 1), BYTES);
    message(SERVER, CLIENT, 1, 1);
    memset(frame + 42 + 16, 0xff, 4);
    user_leases_answer(&leases, frame, BYTES); /* a refusal */
    message(SERVER, CLIENT, 1, 1);
    frame[14 + 9] = 6;
    user_leases_answer(&leases, frame, BYTES);
    cr_expect_eq(leases.count, 0);
}
