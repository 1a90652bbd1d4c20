// SPDX-License-Identifier: BSD-2-Clause
/* --net KIND,KEY,...: what carries the packets, and how the guest sees it. */
#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/net/filter/net_fault.h"
#include "vmm/config/options.h"

#define MTU_MIN 68u /* RFC 791 */
#define MTU_MAX 65535u

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
    /* A group's address is no interface's, and drivers take zero for none. */
    static const uint8_t zero[NET_MAC_BYTES];
    bool is_own = (net->mac[0] & 1) == 0 && memcmp(net->mac, zero, sizeof(zero)) != 0;
    return is_own ? 0 : -EINVAL;
}

static int set_offloads(void *into, const char *value)
{
    struct net_config *net = into;
    int word = schema_word("on|to-host|to-guest|off", value, strlen(value));
    net->whole_to_guest = word & 1;
    net->whole_to_host = word & 2;
    return word >= 0 ? 0 : -EINVAL;
}

#define AT(member) SCHEMA_AT(struct net_config, member)

static const struct schema_key kinds[] = {
    /* none, then enum net_kind */
    {"none", NULL, SCHEMA_SWITCH, .help = "No card, as without the option"},
    {"user", NULL, SCHEMA_SWITCH,
     .help = "The host's network by TCP/IP in this process (libslirp), without privileges"},
    {"tap", "NAME", SCHEMA_TEXT, AT(target), .min = 1,
     .help = "A tap interface of the host, which is made if it is not there"},
    {"fd", "N[:N...]", SCHEMA_TEXT, AT(target), .min = 1,
     .help = "Descriptors of tap interfaces, one for each queue pair"},
    {"socket", "PATH", SCHEMA_FILE, AT(target), .min = 1,
     .help = "Another machine on this host that names the same path"},
    {"listen", "HOST:PORT", SCHEMA_TEXT, AT(target), .min = 1,
     .help = "Another machine, by TCP: it connects to this one"},
    {"connect", "HOST:PORT", SCHEMA_TEXT, AT(target), .min = 1,
     .help = "Another machine, by TCP: this one connects to it"},
    {"vhost-user", "SOCKET", SCHEMA_FILE, AT(target), .min = 1,
     .help = "A vhost-user-net server, such as Open vSwitch with DPDK"},
    {"null", NULL, SCHEMA_SWITCH, .help = "Drops all packets"},
    {"loopback", NULL, SCHEMA_SWITCH, .help = "Returns all packets to the guest"},
    {0},
};

static const struct schema_key keys[] = {
    {"mac", "MAC", SCHEMA_TEXT, .set = set_mac, .usual = "from KIND, the same in every run",
     .expected = "six bytes such as 52:54:00:12:34:56, unicast and not zero",
     .help = "The card's address, which no other card has"},
    {"queues", "N", SCHEMA_NUMBER, AT(pairs), .min = 1, .max = CONFIG_MAX_PAIRS, .usual = "1",
     .expected = "queue pairs", .help = "Queue pairs, 1 to 16, that the guest may use"},
    {"rss", "on|off", SCHEMA_SWITCH, AT(rss), .usual = "off",
     .help = "on: the guest may choose queues by a hash of addresses and ports"},
    {"mtu", "N", SCHEMA_NUMBER, AT(mtu_bytes), .min = MTU_MIN, .max = MTU_MAX, .expected = "bytes",
     .help = "The largest IP packet that the guest is told to send"},
    {"vhost", "on|off", SCHEMA_SWITCH, AT(vhost), .usual = "off",
     .help = "on: the host's kernel moves the packets of a tap (/dev/vhost-net)"},
    {"offloads", "on|off|to-host|to-guest", SCHEMA_WORD, .set = set_offloads, .usual = "on",
     .help = "Whether checksums may be left open and TCP segments be larger than the MTU"},
    {"peers", "same|any", SCHEMA_WORD, AT(any_peer), .usual = "same",
     .help = "Of socket: any: the machine at the other end may be another user's"},
    {"pcap", "FILE", SCHEMA_FILE, AT(pcap), .min = 1, .expected = "a file name",
     .help = "Write all packets to a file for tcpdump"},
    {"pps", "N", SCHEMA_NUMBER, AT(limits.count_per_s), .min = 1, .max = UINT32_MAX,
     .expected = "packets a second", .help = "Packets a second each way, at most"},
    {"bw", "SIZE", SCHEMA_SIZE, AT(limits.bytes_per_s), .min = 1, .max = INT64_MAX,
     .expected = "bytes a second, such as 100M", .help = "Bytes a second each way, at most"},
    {"burst", "TIME", SCHEMA_TIME, AT(limits.burst_ns), .usual = "100ms",
     .expected = "a time, such as 500ms", .help = "For how long unused ones of these are kept"},
    {"fault", "SPEC", SCHEMA_CHARS, AT(fault), .expected = "words such as drop:1%,delay:5ms",
     .help = "Lose, double, damage, delay or swap packets: drop:1%,dup:1%,corrupt:1%,delay:5ms,"
             "reorder:1%,seed:7"},
    {0},
};

const struct schema_table config_net_tables[] = {
    {.keys = kinds, .is_first = true},
    {.keys = keys},
    {.keys = net_user_keys, .base = offsetof(struct net_config, user), .only = "user"},
    {.keys = config_virtio_keys, .base = offsetof(struct net_config, virtio)},
    {0},
};

/* Conflicting options are reported before anything is opened. */
static int check(const struct net_config *net)
{
    if (net->kind == NET_VHOST_USER && (net->whole_to_host || net->whole_to_guest))
        return fail_msg(-EINVAL, "--net %s: offloads are the server's to say", net->text);
    if (net->any_peer && net->kind != NET_SOCKET)
        return fail_msg(-EINVAL, "--net %s: peers=any is for socket=PATH", net->text);
    bool elsewhere = net->vhost || net->kind == NET_VHOST_USER;
    if (net->vhost && net->kind != NET_TAP && net->kind != NET_FD)
        return fail_msg(-EINVAL, "--net %s: vhost=on is for tap=NAME and fd=N", net->text);
    if (elsewhere &&
        (net->pcap != NULL || net->fault[0] != '\0' || budget_is_limited(&net->limits) || net->rss))
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

/* The process's options, without those of filters in this process. */
static int keep_option(struct vm_config *c, struct net_config *net, const struct cJSON *list)
{
    cJSON *top = cJSON_CreateObject(), *copy = cJSON_Duplicate(list, true);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "pcap");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "fault");
    char *text = NULL;
    if (cJSON_AddItemToObject(top, "net", copy))
        text = cJSON_PrintUnformatted(top);
    net->option = text != NULL ? config_keep(c, "%s", text) : NULL;
    free(text);
    cJSON_Delete(top);
    return net->option != NULL ? 0 : -ENOMEM;
}

int config_apply_net(struct vm_config *c, const struct schema_key *option, const struct cJSON *list)
{
    const cJSON *first;
    int kind = config_first(option, list, &first);
    if (kind == 0)
        return 0;
    if (c->net_count == CONFIG_MAX_NETS)
        return fail_msg(-EINVAL, "--net: at most %d of them", CONFIG_MAX_NETS);
    struct net_config *net = &c->nets[c->net_count++];
    *net = (struct net_config){
        .kind = (enum net_kind)(kind - 1), .text = config_list_name(c, option, list), .target = ""};
    if (net->text == NULL)
        return -ENOMEM;
    choose_mac(net, net->text, c->net_count - 1);
    int r = config_take(option, net, list);
    if (r >= 0)
        r = check(net);
    if (net->limits.burst_ns == 0)
        net->limits.burst_ns = BUDGET_BURST_NS;
    return r == 0 && net->user.isolated ? keep_option(c, net, list) : r;
}
