// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xmath.h"
#include "devices/net/user/net_user.h"

static int parse_number(const char **at, unsigned max, unsigned *out)
{
    uint64_t n = 0;
    const char *p = *at;
    for (; isdigit((unsigned char)*p) && n <= max; p++)
        n = n * 10 + (unsigned)(*p - '0');
    if (p == *at || n > max)
        return -EINVAL;
    *at = p;
    *out = (unsigned)n;
    return 0;
}

/* What comes before `end`, which must be there, as an address; nothing is 0. */
static int parse_addr(const char **at, char end, struct in_addr *out)
{
    char text[INET_ADDRSTRLEN];
    const char *stop = strchr(*at, end);
    if (!stop || (size_t)(stop - *at) >= sizeof(text))
        return -EINVAL;
    memcpy(text, *at, (size_t)(stop - *at));
    text[stop - *at] = '\0';
    *out = (struct in_addr){0};
    if (text[0] != '\0' && inet_pton(AF_INET, text, out) != 1)
        return -EINVAL;
    *at = stop + (end != '\0');
    return 0;
}

/* "[ADDRESS]:" */
static int parse_addr6(const char **at, struct in6_addr *out)
{
    char text[INET6_ADDRSTRLEN];
    const char *stop = strstr(*at, "]:");
    if (**at != '[' || !stop || (size_t)(stop - *at) > sizeof(text))
        return -EINVAL;
    memcpy(text, *at + 1, (size_t)(stop - *at - 1));
    text[stop - *at - 1] = '\0';
    *at = stop + 2;
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -EINVAL;
}

/*
 * A guest's IPv6 address cannot be guessed: it has to be given. Both ends are of one kind. Without
 * the host's address only the host itself gets to the guest.
 */
static int parse_hosts_addr(const char **at, struct net_user_forward *f)
{
    bool is_said = **at != ':';
    f->ipv6 = **at == '[';
    int r = f->ipv6 ? parse_addr6(at, &f->host6) : parse_addr(at, ':', &f->host);
    if (!is_said)
        f->host.s_addr = htonl(INADDR_LOOPBACK);
    return r;
}

static int parse_guests_addr(const char **at, struct net_user_forward *f)
{
    int r = f->ipv6 ? parse_addr6(at, &f->guest6) : parse_addr(at, ':', &f->guest);
    return r == 0 && f->ipv6 && IN6_IS_ADDR_UNSPECIFIED(&f->guest6) ? -EINVAL : r;
}

static int parse_port(const char **at, char end, uint16_t *out)
{
    unsigned port;
    if (parse_number(at, UINT16_MAX, &port) < 0 || port == 0 || **at != end)
        return -EINVAL;
    *at += end != '\0';
    *out = (uint16_t)port;
    return 0;
}

static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static int add_forward(struct net_user_config *c, const struct net_user_forward *f)
{
    if (c->forward_count == NET_USER_FORWARDS)
        return -E2BIG;
    c->forwards[c->forward_count++] = *f;
    return 0;
}

static int set_hostfwd(void *c, const char *value)
{
    struct net_user_forward f = {.text = value, .kind = NET_USER_HOST_TCP};
    if (take_word(&value, "udp:"))
        f.kind = NET_USER_HOST_UDP;
    else if (!take_word(&value, "tcp:") && !take_word(&value, ":"))
        return -EINVAL;
    if (parse_hosts_addr(&value, &f) < 0 || parse_port(&value, '-', &f.host_port) < 0 ||
        parse_guests_addr(&value, &f) < 0 || parse_port(&value, '\0', &f.guest_port) < 0)
        return -EINVAL;
    return add_forward(c, &f);
}

static bool ends_with_port(const char *host)
{
    const char *colon = strrchr(host, ':');
    uint16_t port;
    if (colon == NULL || colon == host)
        return false;
    colon++;
    return parse_port(&colon, '\0', &port) == 0;
}

static int set_guestfwd(void *c, const char *value)
{
    struct net_user_forward f = {.text = value, .kind = NET_USER_COMMAND};
    if (!take_word(&value, "tcp:") || parse_addr(&value, ':', &f.guest) < 0 ||
        f.guest.s_addr == 0 || parse_port(&value, '-', &f.guest_port) < 0)
        return -EINVAL;
    if (take_word(&value, "unix:"))
        f.kind = NET_USER_UNIX;
    else if (take_word(&value, "tcp:"))
        f.kind = NET_USER_TCP;
    else if (!take_word(&value, "cmd:"))
        return -EINVAL;
    f.target = value;
    if (value[0] == '\0' || (f.kind == NET_USER_TCP && !ends_with_port(value)))
        return -EINVAL;
    return add_forward(c, &f);
}

static int set_net(void *into, const char *value)
{
    struct net_user_config *c = into;
    unsigned bits;
    if (parse_addr(&value, '/', &c->net) < 0 || parse_number(&value, 27, &bits) < 0 ||
        *value != '\0' || bits < 8)
        return -EINVAL;
    c->mask.s_addr = htonl(UINT32_MAX << (32 - bits));
    return c->net.s_addr != 0 && (c->net.s_addr & ~c->mask.s_addr) == 0 ? 0 : -EINVAL;
}

static int set_addr(struct in_addr *out, const char *value)
{
    return parse_addr(&value, '\0', out) == 0 && out->s_addr != 0 ? 0 : -EINVAL;
}

static int set_host(void *into, const char *value)
{
    return set_addr(&((struct net_user_config *)into)->host, value);
}

static int set_dns(void *into, const char *value)
{
    return set_addr(&((struct net_user_config *)into)->dns, value);
}

static int set_hostname(void *into, const char *value)
{
    ((struct net_user_config *)into)->hostname = value;
    size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
    return len > 0 && len <= 32 && value[len] == '\0' ? 0 : -EINVAL;
}

#define AT(member) SCHEMA_AT(struct net_user_config, member)

const struct schema_key net_user_keys[] = {
    {"hostfwd", "RULE", SCHEMA_TEXT, .set = set_hostfwd, .many = true, .max = NET_USER_FORWARDS,
     .expected = "tcp or udp, the host's address and port, and the guest's, such as "
                 "tcp::2222-:22 or tcp:[::1]:2222-[fec0::15]:22",
     .help = "A port of the host leads to one of the guest: tcp::2222-:22, on 127.0.0.1 unless "
             "an address is given, or udp:127.0.0.1:5353-:53"},
    {"guestfwd", "RULE", SCHEMA_TEXT, .set = set_guestfwd, .many = true, .max = NET_USER_FORWARDS,
     .expected = "tcp:ADDRESS:PORT- and cmd:COMMAND, unix:PATH or tcp:HOST:PORT",
     .help = "An address of the guest's network leads to a program, a socket or a server: "
             "tcp:10.0.2.100:80-cmd:COMMAND, -unix:PATH or -tcp:HOST:PORT"},
    {"restrict", "on|off", SCHEMA_SWITCH, AT(restricted), .usual = "off",
     .help = "on: the guest reaches nothing but what is forwarded"},
    {"loopback", "on|off", SCHEMA_WORD, AT(no_loopback), .usual = "on",
     .help = "off: the guest does not reach what listens on the host's loopback interface"},
    {"isolate", "on|off", SCHEMA_SWITCH, AT(isolated), .usual = "off",
     .help = "on: TCP/IP runs in a confined process of its own, which is slower"},
    {"net", "CIDR", SCHEMA_TEXT, .set = set_net, .usual = "10.0.2.0/24",
     .expected = "a network with 8 to 27 bits, such as 10.0.2.0/24", .help = "The network"},
    {"host", "ADDR", SCHEMA_TEXT, .set = set_host, .usual = "the second of net",
     .expected = "an address such as 10.0.2.2", .help = "The host's address in it"},
    {"dns", "ADDR", SCHEMA_TEXT, .set = set_dns, .usual = "the third of net",
     .expected = "an address such as 10.0.2.3", .help = "The name server's address in it"},
    {"hostname", "NAME", SCHEMA_TEXT, .set = set_hostname,
     .expected = "letters, digits, dots and dashes, 32 at most",
     .help = "What DHCP calls the guest"},
    {"ipv6", "on|off", SCHEMA_WORD, AT(no_ipv6), .usual = "on", .help = "IPv6 beside IPv4"},
    /* Of --net it is a key of all kinds. */
    {"mtu", "N", SCHEMA_NUMBER, AT(mtu), .min = 1280, .max = NET_USER_MTU, .expected = "bytes"},
    {0},
};
