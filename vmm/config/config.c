// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/output/plot.h"
#include "core/ports/hv.h"
#include "vmm/config/config_words.h"
#include "vmm/report/timeline.h"

_Static_assert(CONFIG_MAX_MARKS <= TIMELINE_MARKS, "the timeline has room for every mark");

#define MIN_MEM_BYTES (32 * MIB)
#define MAX_MEM_BYTES (1024 * GIB)
#define MAX_POLL_US   10000
#define NS_PER_S      UINT64_C(1000000000)

struct unit {
    const char *name;
    uint64_t factor;
};

/* A decimal number and one of the units behind it; "" is among them if a bare number is allowed. */
static int parse_with_unit(const char *text, const struct unit *units, unsigned count,
                           uint64_t *out)
{
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (strcasecmp(end, units[i].name) == 0)
            return checked_mul_u64(number, units[i].factor, out) ? 0 : -EINVAL;
    }
    return -EINVAL;
}

int config_parse_size(const char *text, uint64_t unit_bytes, uint64_t *bytes)
{
    const struct unit units[] = {
        {"", unit_bytes}, {"B", 1},     {"K", KIB},        {"KiB", KIB},
        {"M", MIB},       {"MiB", MIB}, {"MB", MIB},       {"G", GIB},
        {"GiB", GIB},     {"GB", GIB},  {"T", 1024 * GIB}, {"TiB", 1024 * GIB},
    };
    return parse_with_unit(text, units, ARRAY_SIZE(units), bytes);
}

int config_parse_duration(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {
        {"", NS_PER_S},       {"s", NS_PER_S},        {"ms", 1000000},
        {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
    };
    return parse_with_unit(text, units, ARRAY_SIZE(units), ns);
}

static int set_kernel(struct vm_config *c, const char *value)
{
    c->kernel = value;
    return 0;
}

static int set_initrd(struct vm_config *c, const char *value)
{
    c->initrd = value;
    return 0;
}

static int set_append(struct vm_config *c, const char *value)
{
    c->append = value;
    return 0;
}

static int set_mem(struct vm_config *c, const char *value)
{
    uint64_t bytes;
    if (config_parse_size(value, MIB, &bytes) < 0)
        return fail_msg(-EINVAL, "--mem %s: not a size; say 512M or 2G, or a number of MiB", value);
    if (bytes < MIN_MEM_BYTES || bytes > MAX_MEM_BYTES)
        return fail_msg(-EINVAL, "--mem %s: give between 32M and 1T", value);
    if (!is_aligned(bytes, MIB))
        return fail_msg(-EINVAL, "--mem %s: give whole MiB", value);
    c->mem_bytes = bytes;
    return 0;
}

static int set_cpus(struct vm_config *c, const char *value)
{
    uint64_t n;
    if (config_parse_size(value, 1, &n) < 0 || !isdigit((unsigned char)value[strlen(value) - 1]) ||
        n < 1 || n > HV_MAX_VCPUS)
        return fail_msg(-EINVAL, "--cpus %s: give a number from 1 to %d", value, HV_MAX_VCPUS);
    c->cpus = (unsigned)n;
    return 0;
}

/* As in QEMU. */
char *config_next_item(char **rest)
{
    char *item = *rest;
    if (item == NULL)
        return NULL;
    char *to = item;
    char *from = item;
    while (*from != '\0' && (*from != ',' || from[1] == ',')) {
        if (*from == ',')
            from++;
        *to++ = *from++;
    }
    *rest = *from == ',' ? from + 1 : NULL;
    *to = '\0';
    return item;
}

static int set_console(struct vm_config *c, const char *value)
{
    static const char *const kinds[] = {
        [CONSOLE_SERIAL] = "serial", [CONSOLE_VIRTIO] = "virtio", [CONSOLE_OFF] = "off"};
    size_t length = strcspn(value, ",");
    unsigned i = 0;
    while (i < ARRAY_SIZE(kinds) &&
           (strlen(kinds[i]) != length || strncmp(value, kinds[i], length) != 0))
        i++;
    if (i == ARRAY_SIZE(kinds))
        return fail_msg(-EINVAL, "--console %s: give virtio, serial or off", value);
    c->console = (enum console_kind)i;
    if (value[length] == '\0')
        return 0;
    if (c->console != CONSOLE_VIRTIO)
        return fail_msg(-EINVAL, "--console %s: only virtio takes keys", value);
    return config_virtio_list(&c->console_virtio, NULL, NULL, value + length + 1,
                              "--console virtio");
}

static int set_timeout(struct vm_config *c, const char *value)
{
    if (config_parse_duration(value, &c->timeout_ns) < 0 || c->timeout_ns == 0)
        return fail_msg(-EINVAL, "--timeout %s: give a duration such as 30s, 500ms or 2m", value);
    return 0;
}

static int set_reboot(struct vm_config *c, const char *value)
{
    c->reboot_restart = strcmp(value, "restart") == 0;
    if (!c->reboot_restart && strcmp(value, "exit") != 0)
        return fail_msg(-EINVAL, "--reboot %s: give exit or restart", value);
    return 0;
}

static int set_unpack(struct vm_config *c, const char *value)
{
    static const char *const kinds[] = {"cached", "on", "off", NULL}; /* enum unpack_kind */
    int kind = config_word(kinds, value);
    if (kind < 0)
        return fail_msg(-EINVAL, "--unpack %s: give cached, on or off", value);
    c->unpack = (enum unpack_kind)kind;
    return 0;
}

static int set_kaslr(struct vm_config *c, const char *value)
{
    c->kaslr_off = strcmp(value, "off") == 0;
    if (!c->kaslr_off && strcmp(value, "on") != 0)
        return fail_msg(-EINVAL, "--kaslr %s: give on or off", value);
    return 0;
}

static int set_prefault(struct vm_config *c, const char *value)
{
    (void)value;
    c->prefault = true;
    return 0;
}

static int set_strict(struct vm_config *c, const char *value)
{
    (void)value;
    c->strict = true;
    return 0;
}

static int set_stats(struct vm_config *c, const char *value)
{
    c->stats = value != NULL && strcmp(value, "json") == 0 ? STATS_JSON : STATS_TABLE;
    if (value != NULL && c->stats == STATS_TABLE && strcmp(value, "table") != 0)
        return fail_msg(-EINVAL, "--stats=%s: give table or json", value);
    return 0;
}

static int set_timeline(struct vm_config *c, const char *value)
{
    if (timeline_format_of(value) == TIMELINE_UNKNOWN)
        return fail_msg(-EINVAL,
                        "--timeline=%s: give a file that ends in .json, .trace.json, " PLOT_ENDINGS,
                        value);
    c->timeline = true;
    c->timeline_path = value;
    return 0;
}

static int set_mark(struct vm_config *c, const char *value)
{
    unsigned count = 0;
    while (c->marks[count] != NULL)
        count++;
    if (count == CONFIG_MAX_MARKS)
        return fail_msg(-EINVAL, "--mark %s: %d of them are enough", value, CONFIG_MAX_MARKS);
    if (value[0] == '\0' || strlen(value) >= TIMELINE_MARK_BYTES)
        return fail_msg(-EINVAL, "--mark: give a text of 1 to %d bytes", TIMELINE_MARK_BYTES - 1);
    c->marks[count] = value;
    return 0;
}

static int set_poll(struct vm_config *c, const char *value)
{
    uint64_t us;
    if (config_parse_size(value, 1, &us) < 0 || us > MAX_POLL_US)
        return fail_msg(-EINVAL, "--poll %s: give microseconds, 0 (off) to %d", value, MAX_POLL_US);
    c->poll_given = true;
    c->poll_max_ns = us * 1000;
    return 0;
}

static int set_record(struct vm_config *c, const char *value)
{
    c->record = value;
    return 0;
}

static int set_verbose(struct vm_config *c, const char *value)
{
    (void)value;
    c->verbosity++;
    return 0;
}

static int set_help(struct vm_config *c, const char *value)
{
    (void)value;
    c->help = true;
    return 0;
}

#define VIRTIO_SWITCH(kind, usual)                                     \
    static int set_##kind(struct vm_config *c, const char *value)      \
    {                                                                  \
        return config_set_switch(&c->kind, kind##_keys, #kind, value); \
    }
#include "virtio/devices.def"

/* name, letter, argument, QEMU's word, help, completion, setter */
const struct option_row config_options[] = {
    {"kernel", 'k', "FILE", NULL, "Kernel to boot: vmlinuz or ELF vmlinux (or the bare argument)",
     VALUES_FILE, set_kernel},
    {"initrd", 'i', "FILE", NULL, "Initial RAM disk", VALUES_FILE, set_initrd},
    {"append", 'a', "TEXT", NULL, "The kernel's command line, after Minivet's own words",
     VALUES_NONE, set_append},
    {"unpack", 0, "cached|on|off", NULL,
     "Unpack it on the host and cache it [cached], on the host, or in the guest", VALUES_WORDS,
     set_unpack},
    {"kaslr", 0, "on|off", NULL, "Run the kernel at random addresses [on]", VALUES_WORDS,
     set_kaslr},
    {"mem", 'm', "SIZE", NULL, "Memory: 512M, 2G; a bare number is MiB [512M]", VALUES_NONE,
     set_mem},
    {"prefault", 0, NULL, NULL, "Take all of the memory from the host before the guest starts",
     VALUES_NONE, set_prefault},
    {"cpus", 'c', "N", "smp", "Virtual CPUs, 1 to 64 [1]", VALUES_NONE, set_cpus},
    {"disk", 'd', "FILE[,KEY...]", NULL,
     "Disk image or block device: vda, then vdb, ... KEYs: ro, serial=TEXT,\n"
     "type=blk|scsi, format=raw|qcow2|..., backing=on|off,\n"
     "cache=none|writeback|unsafe, sector=512|4096, snapshot=on|off, queues=N,\n"
     "iops=N, bw=SIZE, burst=TIME, fault=SPEC, and those of --virtio;\n"
     "vhost-user=SOCKET or null:SIZE instead of FILE",
     VALUES_FILE, config_set_disk},
    {"net", 'n', "KIND[,KEY...]", NULL,
     "Network card: none, user, tap=NAME, fd=N, socket=PATH, listen=HOST:PORT,\n"
     "connect=HOST:PORT, vhost-user=SOCKET, null or loopback. KEYs:\n"
     "mac=MAC, queues=N, rss=on|off, mtu=N, vhost=on|off,\n"
     "offloads=on|off|to-host|to-guest, pcap=FILE, pps=N, bw=SIZE, burst=TIME,\n"
     "fault=SPEC; of socket: peers=same|any; of user: hostfwd=RULE (such as\n"
     "tcp::2222-:22, on 127.0.0.1 unless an address is given), guestfwd=RULE,\n"
     "restrict=on|off, loopback=on|off, isolate=on|off, net=CIDR, host=ADDR, dns=ADDR,\n"
     "hostname=NAME, ipv6=on|off; and those of --virtio",
     VALUES_NONE, config_set_net},
    {"console", 0, "virtio|serial|off", NULL,
     "What the terminal is connected to [serial]; with virtio: [,KEY...]", VALUES_WORDS,
     set_console},
#define VIRTIO_SWITCH(kind, usual) \
    {#kind, 0, "on|off", NULL, kind##_help, VALUES_WORDS, set_##kind},
#include "virtio/devices.def"
    {"virtio", 0, "KEY[,KEY...]", NULL,
     "KEYs for all virtio devices: transport=mmio|pci, ring=split|packed,\n"
     "legacy=on|off, queue-size=N [mmio, split, off, 256], iothread=NAME[:NAME...]",
     VALUES_NONE, config_set_virtio},
    {"features", 0, "+NAME|-NAME[,...]", NULL,
     "Offer, or do not offer, on all virtio devices: indirect_desc, event_idx,\n"
     "ring_packed, in_order, notification_data, ring_reset",
     VALUES_NONE, config_set_features},
    {"strict", 0, NULL, NULL, "Report what drivers do that violates the virtio specification",
     VALUES_NONE, set_strict},
    {"stats", 0, "[=table|json]", NULL,
     "Print what queues, exits and threads did, at the end and on SIGUSR1 [table]", VALUES_WORDS,
     set_stats},
    {"timeline", 0, "[=FILE]", NULL,
     "Print when each phase of the boot finished, or write it to FILE, which ends in\n"
     ".json, .trace.json (for ui.perfetto.dev), .svg or .png (plots by gnuplot,\n"
     "whose numbers and script are kept in FILE.dat and FILE.gp)",
     VALUES_FILE, set_timeline},
    {"mark", 0, "TEXT", NULL, "Add to the timeline when the console first prints TEXT", VALUES_NONE,
     set_mark},
    {"poll", 0, "US", NULL,
     "Microseconds that virtio devices look for requests before they wait for\n"
     "the guest to notify them; 0: none [50]",
     VALUES_NONE, set_poll},
    {"record", 0, "FILE", NULL,
     "Record what virtio devices see and answer, for `minivet replay FILE`", VALUES_FILE,
     set_record},
    {"timeout", 0, "TIME", NULL, "End the run after TIME (30s, 500ms, 2m) with status 124",
     VALUES_NONE, set_timeout},
    {"reboot", 0, "exit|restart", NULL, "What a guest's reset does [exit]", VALUES_WORDS,
     set_reboot},
    {"verbose", 'v', NULL, NULL, "Say what Minivet does; twice: say more", VALUES_NONE,
     set_verbose},
    {"help", 'h', NULL, NULL, "Print this text", VALUES_NONE, set_help},
};

const unsigned config_option_count = ARRAY_SIZE(config_options);

bool config_value_is_optional(const struct option_row *row)
{
    return row->arg != NULL && row->arg[0] == '[';
}

/* getopt's tables, made from ours. Long options return their row's index plus LONG_BASE. */
enum { LONG_BASE = 256 };

static void make_getopt_tables(struct option *longs, char *shorts)
{
    *shorts++ = '-'; /* operands in place, as option 1 */
    *shorts++ = ':';
    for (unsigned i = 0; i < config_option_count; i++) {
        const struct option_row *row = &config_options[i];
        int has_arg = row->arg == NULL                ? no_argument
                      : config_value_is_optional(row) ? optional_argument
                                                      : required_argument;
        *longs++ = (struct option){row->name, has_arg, NULL, (int)(LONG_BASE + i)};
        if (row->alias != NULL)
            *longs++ = (struct option){row->alias, has_arg, NULL, (int)(LONG_BASE + i)};
        if (row->letter != 0) {
            *shorts++ = row->letter;
            if (row->arg != NULL)
                *shorts++ = ':';
        }
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

static const struct option_row *row_of(int opt)
{
    if (opt >= LONG_BASE)
        return &config_options[opt - LONG_BASE];
    for (unsigned i = 0; i < config_option_count; i++) {
        if (config_options[i].letter == opt)
            return &config_options[i];
    }
    return NULL;
}

static int set_operand(struct vm_config *c, const char *word)
{
    if (c->kernel != NULL)
        return fail_msg(-EINVAL,
                        "%s: one kernel is enough, %s was given before (an initrd is --initrd "
                        "FILE; a value with spaces is quoted; --stats=json, --timeline=FILE)",
                        word, c->kernel);
    c->kernel = word;
    return 0;
}

/* Words that have passed config_translate(). */
static int parse_words(struct vm_config *config, int argc, char **argv)
{
    struct option longs[2 * ARRAY_SIZE(config_options) + 1];
    char shorts[2 * ARRAY_SIZE(config_options) + 3];
    make_getopt_tables(longs, shorts);

    opterr = 0;
    optind = 0; /* glibc: start over */
    int opt, r = 0;
    while (r == 0 && (opt = getopt_long_only(argc, argv, shorts, longs, NULL)) != -1) {
        const char *word = argv[optind > 0 ? optind - 1 : 0];
        if (opt == 1)
            r = set_operand(config, optarg);
        else if (opt == ':')
            r = fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
        else if (row_of(opt) == NULL)
            r = fail_msg(-EINVAL, "%s: takes no value; see `minivet run --help`", word);
        else
            r = row_of(opt)->set(config, optarg);
    }
    for (int i = optind; r == 0 && i < argc; i++) /* behind "--" */
        r = set_operand(config, argv[i]);
    return r;
}

/* What tells two devices apart is different. */
static int check_names(const struct vm_config *c)
{
    for (unsigned i = 0; i < c->net_count; i++) {
        for (unsigned j = 0; j < i; j++)
            if (memcmp(c->nets[i].mac, c->nets[j].mac, NET_MAC_BYTES) == 0)
                return fail_msg(-EINVAL, "--net %s: has the address of --net %s; give another mac=",
                                c->nets[i].option, c->nets[j].option);
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        for (unsigned j = 0; j < i && c->disks[i].serial[0] != '\0'; j++)
            if (strcmp(c->disks[i].serial, c->disks[j].serial) == 0)
                return fail_msg(-EINVAL, "--disk %s: has the serial=%s of --disk %s; give another",
                                c->disks[i].path, c->disks[i].serial, c->disks[j].path);
    }
    return 0;
}

int config_parse(struct vm_config *config, int argc, char **argv)
{
    struct config_words words;
    *config = (struct vm_config){
        .mem_bytes = 512 * MIB,
        .cpus = 1,
        .console = CONSOLE_SERIAL,
#define VIRTIO_SWITCH(kind, usual) .kind = {.on = (usual)},
#include "virtio/devices.def"
    };
    int r = config_translate(&words, argc, argv);
    if (r == 0)
        r = parse_words(config, words.count, words.out);
    if (r == 0 && words.snapshot)
        r = config_snapshot_disks(config);
    config_words_free(&words);
    if (r == 0 && config->marks[0] != NULL && !config->timeline)
        r = fail_msg(-EINVAL, "--mark %s: is for --timeline", config->marks[0]);
    if (r == 0)
        r = check_names(config);
    if (r == 0)
        r = config_resolve_virtio(config);
    if (r == 0)
        r = config_check_record(config);
    if (r == 0 && words.ide != NULL)
        log_warn("%s: is a virtio disk: vda or the like in the guest, not sda", words.ide);
    return r;
}

void config_free(struct vm_config *config)
{
    for (unsigned i = 0; i < config->disk_count; i++)
        free(config->disks[i].path);
    config->disk_count = 0;
    for (unsigned i = 0; i < config->net_count; i++) {
        free(config->nets[i].text);
        free(config->nets[i].option);
    }
    config->net_count = 0;
}

void config_print_options(FILE *out)
{
    for (unsigned i = 0; i < config_option_count; i++) {
        const struct option_row *row = &config_options[i];
        char left[64];
        char letter[8] = "    ";
        if (row->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name,
                 row->arg && !config_value_is_optional(row) ? " " : "", row->arg ? row->arg : "");
        fprintf(out, strlen(left) > 28 ? "  %s\n%32s" : "  %-28s%s", left,
                strlen(left) > 28 ? "" : "  ");
        for (const char *p = row->help; *p != '\0'; p++) {
            putc(*p, out);
            if (*p == '\n')
                fprintf(out, "%32s", "");
        }
        putc('\n', out);
    }
}
