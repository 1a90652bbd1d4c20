// SPDX-License-Identifier: BSD-2-Clause
/* --net KIND,KEY,...: what carries the packets, and how the guest sees it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/net/filter/net_fault.h"
#include "vmm/config/config.h"
#include "vmm/config/config_words.h"

#define MTU_MIN 68u /* RFC 791 */
#define MTU_MAX 65535u

/* The first item: a word alone, or one with the name of what it connects to. */
static const struct {
    const char *word;
    enum net_kind kind;
    bool has_target;
} kinds[] = {
    {"user", NET_USER, false},
    {"tap", NET_TAP, true},
    {"fd", NET_FD, true},
    {"vhost-user", NET_VHOST_USER, true},
    {"socket", NET_SOCKET, true},
    {"listen", NET_LISTEN, true},
    {"connect", NET_CONNECT, true},
    {"null", NET_NULL, false},
    {"loopback", NET_LOOPBACK, false},
};

/* Kinds of others. */
static const struct {
    const char *word, *say;
} foreign_kinds[] = {
    {"nic", "a card comes with what it is connected to: say --net user or --net tap=NAME"},
    {"bridge", "put a tap into the bridge, and say --net tap=NAME"},
    {"off", "say --net none"},
    {"no", "say --net none"},
    {"mode=user", "say --net user"},
    {"type=user", "say --net user"},
};

static int set_kind(struct net_config *net, char *item)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        net->kind = kinds[i].kind;
        net->target = kinds[i].has_target ? config_value_of(item, kinds[i].word) : "";
        if (net->target != NULL && net->target[0] != '\0')
            return 0;
        if (!kinds[i].has_target && strcmp(item, kinds[i].word) == 0)
            return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(foreign_kinds); i++) {
        if (strcmp(item, foreign_kinds[i].word) == 0)
            return fail_msg(-EINVAL, "--net %s: %s", item, foreign_kinds[i].say);
    }
    return fail_msg(-EINVAL, "--net %s: give one of " CONFIG_NET_KINDS, item);
}

static int set_mac(void *into, const char *value)
{
    struct net_config *net = into;
    for (unsigned i = 0; i < NET_MAC_BYTES; i++) {
        char *end;
        unsigned long byte = strtoul(value, &end, 16);
        if (end != value + 2 || byte > 0xff || *end != (i + 1 < NET_MAC_BYTES ? ':' : '\0'))
            return -EINVAL;
        net->mac[i] = (uint8_t)byte;
        value = end + 1;
    }
    /* A group's address is nobody's own, and drivers take zero for none. */
    static const uint8_t zero[NET_MAC_BYTES];
    bool is_own = (net->mac[0] & 1) == 0 && memcmp(net->mac, zero, sizeof(zero)) != 0;
    return is_own ? 0 : -EINVAL;
}

static int set_offloads(void *into, const char *value)
{
    static const char *const words[] = {"on", "to-host", "to-guest", "off", NULL};
    struct net_config *net = into;
    int word = config_word(words, value);
    net->whole_to_guest = word & 1;
    net->whole_to_host = word & 2;
    return word >= 0 ? 0 : -EINVAL;
}

static int set_peers(void *into, const char *value)
{
    static const char *const words[] = {"same", "any", NULL};
    int word = config_word(words, value);
    ((struct net_config *)into)->any_peer = word == 1;
    return word >= 0 ? 0 : -EINVAL;
}

static int set_pcap(void *into, const char *value)
{
    ((struct net_config *)into)->pcap = value;
    return value[0] != '\0' ? 0 : -EINVAL;
}

static int set_fault(void *into, const char *value)
{
    struct net_config *net = into;
    return config_add_words(net->fault, sizeof(net->fault), value);
}

#define NUMBER(name, expected, member, min, max) \
    CONFIG_KEY(name, expected, struct net_config, member, NULL, min, max)

static const struct config_key keys[] = {
    {"mac", "six bytes such as 52:54:00:12:34:56, unicast and not zero", .set = set_mac},
    NUMBER("queues", "queue pairs, 1 to 16", pairs, 1, CONFIG_MAX_PAIRS),
    NUMBER("mtu", "bytes, 68 to 65535", mtu_bytes, MTU_MIN, MTU_MAX),
    CONFIG_SWITCH("vhost", struct net_config, vhost),
    {"offloads", "on, off, to-host or to-guest", .set = set_offloads},
    CONFIG_SWITCH("rss", struct net_config, rss),
    {"peers", "same or any", .set = set_peers},
    {"pcap", "a file name", .set = set_pcap},
    NUMBER("pps", "packets a second", packets_per_s, 1, UINT32_MAX),
    NUMBER("bw", "bytes a second, such as 100M", bytes_per_s, 1, INT64_MAX),
    NUMBER("burst", "a time, such as 500ms", burst_ns, 0, 0),
    {"fault", "words such as drop:1%,delay:5ms", .set = set_fault},
};

/* A key that user networking has of its own: as config_key(). */
static int set_user_key(struct net_config *net, char *key, const char *what)
{
    char *value = strchr(key, '=');
    if (value == NULL)
        return 0;
    *value = '\0';
    int r = net_user_option(&net->user, what, key, value + 1);
    *value = '=';
    if (r == 0 && net->kind != NET_USER)
        return fail_msg(-EINVAL, "%s: %s is for --net user", what, key);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int set_key(struct net_config *net, char *key)
{
    char what[512];
    snprintf(what, sizeof(what), "--net %s", net->text);
    int r = config_key(keys, ARRAY_SIZE(keys), net, key, what);
    if (r == 0)
        r = config_virtio_key(&net->virtio, key, what);
    if (r == 0)
        r = set_user_key(net, key, what);
    if (r == 0 && net->fault[0] != '\0' && strchr(key, ':') != NULL)
        r = set_fault(net, key) == 0;
    if (r == 0)
        return config_unknown_key(what, key, CONFIG_NET_KEYS ", " CONFIG_NET_USER_KEYS);
    return r < 0 ? r : 0;
}

/* What does not go together is told before anything is opened. */
static int check(const struct net_config *net)
{
    if (net->kind == NET_VHOST_USER && (net->whole_to_host || net->whole_to_guest))
        return fail_msg(-EINVAL, "--net %s: offloads are the server's to say", net->text);
    if (net->any_peer && net->kind != NET_SOCKET)
        return fail_msg(-EINVAL, "--net %s: peers=any is for socket=PATH", net->text);
    bool elsewhere = net->vhost || net->kind == NET_VHOST_USER;
    if (net->vhost && net->kind != NET_TAP && net->kind != NET_FD)
        return fail_msg(-EINVAL, "--net %s: vhost=on is for tap=NAME and fd=N", net->text);
    if (elsewhere && (net->pcap != NULL || net->fault[0] != '\0' || net->packets_per_s != 0 ||
                      net->bytes_per_s != 0 || net->rss))
        return fail_msg(-EINVAL,
                        "--net %s: pcap, fault, pps, bw and rss cannot be: the packets do not pass "
                        "through Minivet",
                        net->text);
    for (unsigned i = 0; net->user.isolated && i < net->user.forward_count; i++)
        if (net->user.forwards[i].kind != NET_USER_HOST_TCP &&
            net->user.forwards[i].kind != NET_USER_HOST_UDP)
            return fail_msg(-EINVAL,
                            "--net %s: guestfwd needs isolate=off: a process that is confined "
                            "starts no programs and makes no files",
                            net->text);
    struct net_fault_spec spec;
    char what[512];
    snprintf(what, sizeof(what), "--net %s", net->text);
    return net->fault[0] != '\0' ? net_fault_parse(&spec, what, net->fault) : 0;
}

/*
 * The same option gives the same address in every run, and another one another: from the text's
 * hash (FNV-1a) and its place, in the range that QEMU uses. But both ends of a socket may have the
 * same option.
 */
static void choose_mac(struct net_config *net, const char *value, unsigned index)
{
    uint32_t hash = 2166136261u;
    for (const char *c = value; *c != '\0' && *c != ','; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    if (strncmp(value, "socket=", strlen("socket=")) == 0)
        index += (unsigned)getpid() * CONFIG_MAX_NETS;
    hash = (hash ^ index) * 16777619u;
    const uint8_t mac[NET_MAC_BYTES] = {
        0x52, 0x54, 0x00, (uint8_t)(hash >> 24), (uint8_t)(hash >> 16), (uint8_t)(hash >> 8),
    };
    memcpy(net->mac, mac, sizeof(mac));
}

int config_set_net(struct vm_config *c, const char *value)
{
    if (strcmp(value, "none") == 0)
        return 0;
    if (c->net_count == CONFIG_MAX_NETS)
        return fail_msg(-EINVAL, "--net %s: at most %d of them", value, CONFIG_MAX_NETS);
    struct net_config *net = &c->nets[c->net_count];
    *net = (struct net_config){.text = strdup(value), .option = strdup(value)};
    c->net_count++;
    if (net->text == NULL || net->option == NULL)
        return fail(-ENOMEM, "--net %s", value);
    choose_mac(net, value, c->net_count - 1);
    char *rest = net->text;
    int r = set_kind(net, config_next_item(&rest));
    if (r == 0 && rest != NULL)
        r = config_check_twice("--net", rest);
    for (char *key = config_next_item(&rest); key != NULL && r == 0; key = config_next_item(&rest))
        r = set_key(net, key);
    return r == 0 ? check(net) : r;
}
