// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/vnc_tries.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/harness/test.h"

TestSuite(vnc_tries);

static struct vnc_address address(const char *text)
{
    struct sockaddr_storage from = {.ss_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    void *to = from.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&from)->sin_addr
                                         : (void *)&((struct sockaddr_in6 *)&from)->sin6_addr;
    cr_assert_eq(inet_pton(from.ss_family, text, to), 1);
    return vnc_address_of(&from);
}

static void fail_from(struct vnc_tries *t, const struct vnc_address *from, unsigned times,
                      uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++)
        (void)vnc_tries_wrong(t, from, now_ns);
}

Test(vnc_tries, wait_longer_each_time)
{
    struct vnc_tries t = {0};
    struct vnc_address from = address("10.0.0.1"), other = address("10.0.0.2");
    uint64_t now_ns = 5, wait_ns = VNC_TRIES_WAIT_NS;
    fail_from(&t, &from, VNC_TRIES_FREE - 1, now_ns);
    cr_expect(vnc_tries_may(&t, &from, now_ns));
    for (unsigned i = 0; i < 10; i++) {
        cr_expect_eq(vnc_tries_wrong(&t, &from, now_ns), i == 0, "%u", i);
        cr_expect_not(vnc_tries_may(&t, &from, now_ns + wait_ns - 1), "%u", i);
        cr_expect(vnc_tries_may(&t, &from, now_ns + wait_ns), "%u", i);
        cr_expect(vnc_tries_may(&t, &other, now_ns));
        now_ns += wait_ns;
        wait_ns *= i < 6 ? 2 : 1;
    }
    vnc_tries_right(&t, &from);
    fail_from(&t, &from, VNC_TRIES_FREE - 1, now_ns);
    cr_expect(vnc_tries_may(&t, &from, now_ns));
}

Test(vnc_tries, count_a_network_of_ipv6_as_one_address)
{
    static const struct {
        const char *one, *other;
        bool is_same;
    } cases[] = {
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"2001:db8::1", "2001:db8::2:0:0", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::1", "127.0.0.1", false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vnc_tries t = {0};
        struct vnc_address one = address(cases[i].one), other = address(cases[i].other);
        fail_from(&t, &one, VNC_TRIES_FREE, 0);
        cr_expect_eq(vnc_tries_may(&t, &other, 0), !cases[i].is_same, "%u", i);
    }
}

/* An address that waits is not forgotten for ones that have tried less. */
Test(vnc_tries, remember_who_waits)
{
    struct vnc_tries t = {0};
    struct vnc_address from = address("10.0.0.1");
    char text[16];
    fail_from(&t, &from, VNC_TRIES_FREE, 0);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
        struct vnc_address other = address(text);
        fail_from(&t, &other, VNC_TRIES_FREE - 1, 1);
    }
    cr_expect_not(vnc_tries_may(&t, &from, 1));
}
