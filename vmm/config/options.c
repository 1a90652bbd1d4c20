// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/options.h"

#include <errno.h>
#include <string.h>

#include "core/base/xmath.h"
#include "core/output/outputs.h"
#include "core/output/plot.h"
#include "core/ports/hv.h"

#define FEATURES     "indirect_desc, event_idx, ring_packed, in_order, notification_data, ring_reset"
#define CPU_FEATURES "pmu, sve"
#define AT(member)   SCHEMA_AT(struct vm_config, member)

static int set_timeline(void *into, const char *value)
{
    struct vm_config *c = into;
    c->timeline = true;
    c->timeline_path = value;
    return timeline_format_of(value) != TIMELINE_UNKNOWN ? 0 : -EINVAL;
}

static int set_mark(void *into, const char *value)
{
    struct vm_config *c = into;
    unsigned count = 0;
    while (c->marks[count] != NULL)
        count++;
    if (count == CONFIG_MAX_MARKS)
        return -E2BIG;
    c->marks[count] = value;
    return value[0] != '\0' && strlen(value) < CONFIG_MARK_BYTES ? 0 : -EINVAL;
}

/* These stay in the tree. */
static int set_word(void *into, const char *value)
{
    (void)into;
    (void)value;
    return 0;
}

static int set_variable(void *into, const char *value)
{
    (void)into;
    return strchr(value, '=') != NULL && value[0] != '=' ? 0 : -EINVAL;
}

static int set_cpu_feature(void *into, const char *value)
{
    struct vm_config *c = into;
    const char *name = value + (value[0] != '\0');
    uint64_t feature = strcmp(name, "pmu") == 0 ? HV_CPU_PMU : 0;
    if (strcmp(name, "sve") == 0)
        feature = HV_CPU_SVE;
    return config_switch(value, feature, &c->cpu_on, &c->cpu_off);
}

static int set_poll(void *into, const char *value)
{
    struct vm_config *c = into;
    uint64_t us;
    if (schema_parse_size(value, 1, &us) < 0 || us > 10000)
        return -EINVAL;
    c->poll_given = true;
    c->poll_max_ns = us * 1000;
    return 0;
}

const struct schema_key config_options[] = {
    {"kernel", "FILE", SCHEMA_FILE, AT(kernel), .letter = 'k',
     .help = "Kernel to boot: vmlinuz or ELF vmlinux (or the bare argument)"},
    {"initrd", "FILE", SCHEMA_FILE, AT(initrd), .letter = 'i', .help = "Initial RAM disk"},
    {"append", "TEXT", SCHEMA_TEXT, AT(append), .letter = 'a',
     .help = "The kernel's command line, after Minivet's own words"},
    {"root", "DIR[,KEY...]", SCHEMA_LIST, AT(root), .is_whole = true, .tables = config_root_tables,
     .help = "Run a command, or a shell, in a guest whose root is the directory DIR of the host"},
    {"command", "WORD", SCHEMA_TEXT, .set = set_word, .is_whole = true, .many = true,
     .help = "A word of the command that runs in the guest; what is behind -- are such words"},
    {"env", "NAME=VALUE", SCHEMA_TEXT, .set = set_variable, .many = true, .expected = "NAME=VALUE",
     .help = "A variable of the command's environment"},
    {"cwd", "DIR", SCHEMA_TEXT, AT(cwd), .min = 1, .expected = "a folder of the guest",
     .usual = "/",
     .help =
         "Where in the guest the command begins; with --root the current directory, if not given"},
    {"dtb", "FILE", SCHEMA_FILE, AT(dtb),
     .help = "Device tree for the kernel, if the machine has one: instead of that"},
    {"dtb-overlay", "FILE", SCHEMA_FILE, AT(dtb_overlay),
     .help = "Overlay to apply to the device tree, if the machine has one"},
    {"dump-dtb", "FILE", SCHEMA_FILE, AT(dump_dtb),
     .help = "Write the device tree that the kernel gets to FILE, if the machine has one"},
    {"unpack", "cached|on|off", SCHEMA_WORD, AT(unpack), .usual = "cached",
     .help = "Unpack it on the host and cache it (cached), on the host, or in the guest"},
    {"kaslr", "on|off", SCHEMA_WORD, AT(kaslr_off), .usual = "on",
     .help = "Run the kernel at random addresses"},
    {"mem", "SIZE", SCHEMA_SIZE, AT(mem_bytes), .letter = 'm', .alias = "memory", .usual = "512M",
     .min = 32 * MIB, .max = 1024 * GIB, .scale = MIB,
     .expected = "a size from 32M to 1T in whole MiB, such as 512M; a bare number is MiB",
     .help = "Memory: 512M, 2G; a bare number is MiB"},
    {"prefault", NULL, SCHEMA_SWITCH, AT(prefault),
     .help = "Take all of the memory from the host before the guest starts"},
    {"cpus", "N", SCHEMA_NUMBER, AT(cpus), .letter = 'c', .alias = "smp", .usual = "1", .min = 1,
     .max = HV_MAX_VCPUS, .help = "Virtual CPUs, 1 to 64"},
    {"cpu-features", "+NAME|-NAME[,...]", SCHEMA_TEXT, .set = set_cpu_feature, .many = true,
     .names = CPU_FEATURES,
     .help = "Let virtual CPUs have a feature, or not: pmu (performance counters, off), sve "
             "(scalable vectors, on where the host has them), both of arm64"},
    {"rtc", "KEY[,KEY...]", SCHEMA_LIST, AT(rtc), .tables = config_rtc_tables,
     .help = "What the guest's real-time clock shows"},
    {"smbios", "KEY[,KEY...]", SCHEMA_LIST, AT(smbios), .tables = config_smbios_tables,
     .help = "What the machine is called in its SMBIOS (DMI) tables, if it has those"},
    {"fw-cfg", "NAME,KEY", SCHEMA_LIST, .many = true, .tables = config_fw_cfg_tables,
     .help = "Something for the guest by a name, at most 32: a file in "
             "/sys/firmware/qemu_fw_cfg/by_name"},
    {"watchdog", "on[,KEY...]|off", SCHEMA_LIST, AT(watchdog), .tables = config_watchdog_tables,
     .usual = "off",
     .help = "A watchdog that the guest starts and pets; when it has not been petted, Minivet says "
             "where the guest is"},
    {"disk", "FILE[,KEY...]", SCHEMA_LIST, .letter = 'd', .many = true,
     .tables = config_disk_tables,
     .help = "Disk image or block device, at most 64: vda, then vdb and so on"},
    {"net", "KIND[,KEY...]", SCHEMA_LIST, .letter = 'n', .many = true, .tables = config_net_tables,
     .help = "Network card, at most 8"},
    {"share", "DIR[,KEY...]", SCHEMA_LIST, .many = true, .tables = config_share_tables,
     .help = "Directory of the host in the guest, at most 16: mount -t virtiofs TAG /mnt"},
    {"console", "serial|virtio[,KEY...]|off", SCHEMA_LIST, .tables = config_console_tables,
     .usual = "serial", .help = "What the terminal is connected to"},
    {"log", "FILE", SCHEMA_FILE, AT(log),
     .help = "Add what the guest prints on the console to FILE, too"},
    {"port", "NAME,KEY[,KEY...]", SCHEMA_LIST, .many = true, .tables = config_port_tables,
     .help = "Port of --console virtio, at most 30: a stream between the guest's "
             "/dev/virtio-ports/NAME and the host"},
    {"display", "KIND[,KEY...]", SCHEMA_LIST, .tables = config_display_tables, .usual = "none",
     .help = "Where the guest's pictures are seen; turns on --gpu and --input keyboard,tablet"},
    {"input", "KIND[,KIND...][,KEY...]", SCHEMA_LIST, AT(input), .tables = config_input_tables,
     .usual = "none", .help = "Input devices, one of a kind: keyboard, mouse, tablet, touch"},
#define VIRTIO_SWITCH(kind, is_usual)    \
    {#kind,                              \
     "on[,KEY...]|off",                  \
     SCHEMA_LIST,                        \
     AT(kind),                           \
     .tables = config_##kind##_tables,   \
     .usual = (is_usual) ? "on" : "off", \
     .help = kind##_help},
#include "virtio/devices.def"
    {"virtio", "KEY[,KEY...]", SCHEMA_LIST, AT(virtio), .tables = config_virtio_tables,
     .help = "Keys for all virtio devices that do not have them of their own"},
    {"features", "+NAME|-NAME[,...]", SCHEMA_TEXT, .set = config_set_feature, .many = true,
     .names = FEATURES, .help = "Offer, or do not offer, on all virtio devices: " FEATURES},
    {"strict", NULL, SCHEMA_SWITCH, AT(strict),
     .help = "Report what drivers do that violates the virtio specification"},
    {"stats", "[=table|json]", SCHEMA_WORD, AT(stats), .min = STATS_TABLE, .usual = "table",
     .help = "Print what queues, exits and threads did, at the end and on SIGUSR1"},
    {"timeline", "[=FILE]", SCHEMA_FILE, .set = set_timeline,
     .expected = "a file that ends in .json, .trace.json, " PLOT_ENDINGS,
     .help =
         "Print when each phase of the boot finished, or write it to FILE, which ends in .json, "
         ".trace.json (for ui.perfetto.dev), " PLOT_ENDINGS " (plots by gnuplot, whose "
         "numbers and script are kept in FILE.dat and FILE.gp)"},
    {"mark", "TEXT", SCHEMA_TEXT, .set = set_mark, .max = CONFIG_MAX_MARKS, .many = true,
     .expected = "a text of 1 to 127 bytes",
     .help = "Add to the timeline when the console first prints TEXT; at most 16 of them"},
    {"poll", "US", SCHEMA_NUMBER, .set = set_poll, .usual = "50",
     .expected = "microseconds, 0 (off) to 10000",
     .help = "Microseconds, up to 10000, that virtio devices look for requests before they wait "
             "for the guest to notify them, and twice as long for I/O in flight; 0: none"},
    {"record", "FILE", SCHEMA_FILE, AT(record),
     .help = "Record what virtio devices see and answer, for `minivet replay FILE`"},
    {"ctl", "PATH", SCHEMA_FILE, AT(control),
     .help = "Listen on the UNIX socket PATH for commands: see `minivet ctl`"},
    {"timeout", "TIME", SCHEMA_TIME, AT(timeout_ns), .min = 1,
     .expected = "a duration such as 30s, 500ms or 2m",
     .help = "End the run after TIME (30s, 500ms, 2m) with status 124"},
    {"hang", "TIME", SCHEMA_TIME, AT(hang_ns), .min = UINT64_C(1000000000),
     .expected = "a duration of at least a second, such as 30s or 2m",
     .help = "End the run with status 121 when a virtual CPU has run for TIME with interrupts "
             "disabled and without using a device, and say where the guest is"},
    {"grace", "TIME", SCHEMA_TIME, AT(grace_ns), .min = 1,
     .expected = "a duration such as 30s, 500ms or 2m",
     .help = "Let SIGTERM press the power button, and end the run if the guest has not shut down "
             "after TIME, or at a second SIGTERM; without, SIGTERM ends the run"},
    {"reboot", "exit|restart", SCHEMA_WORD, AT(reboot_restart), .usual = "exit",
     .help = "What a guest's reset does"},
    {"sandbox", "on[,KEY...]|off|report", SCHEMA_LIST, .tables = config_sandbox_tables,
     .usual = "off", .help = "Give up what the run does not need before the guest starts"},
    {"config", "FILE", SCHEMA_FILE, .is_whole = true, .is_act = true,
     .help = "Take options from a JSON file, or from JSON itself, such as {\"mem\":\"1G\"}"},
    {"print-config", NULL, SCHEMA_SWITCH, AT(print_config), .is_whole = true, .is_act = true,
     .help = "Print the options as JSON for --config, and run nothing"},
    {"verbose", NULL, SCHEMA_NUMBER, AT(verbosity), .letter = 'v', .max = 1000,
     .help = "Say what Minivet does; twice: say more"},
    {"help", NULL, SCHEMA_SWITCH, AT(help), .letter = 'h', .is_act = true,
     .help = "Print this text"},
    {0},
};

const struct schema_key *config_find_option(const char *name, size_t len)
{
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        if ((strlen(o->name) == len && strncmp(o->name, name, len) == 0) ||
            (o->alias != NULL && strlen(o->alias) == len && strncmp(o->alias, name, len) == 0))
            return o;
    }
    return NULL;
}

const struct schema_key *config_find_key(const struct schema_key *option, const char *name,
                                         size_t len, const struct schema_table **table)
{
    for (*table = option->tables; (*table)->keys != NULL; (*table)++) {
        const struct schema_key *key = schema_find((*table)->keys, name, len);
        if (key != NULL && !(*table)->is_first)
            return key;
    }
    return NULL;
}

void config_name_key(const struct schema_key *key, char *name)
{
    bool is_option = config_find_option(key->name, strlen(key->name)) == key;
    const char letter[] = {'-', key->letter, ',', ' ', '\0'};
    const char *sign = key->arg == NULL || schema_is_optional(key) ? ""
                       : is_option                                 ? " "
                                                                   : schema_sign(key);
    snprintf(name, CONFIG_KEY_BYTES, "%s%s%s%s%s", key->letter != 0 ? letter : "",
             is_option ? "--" : "", key->name, sign, key->arg != NULL ? key->arg : "");
}

void config_name_keys(FILE *out, const struct schema_key *keys)
{
    char name[CONFIG_KEY_BYTES];
    for (const struct schema_key *k = keys; k->name != NULL; k++) {
        config_name_key(k, name);
        if (k->help != NULL)
            fprintf(out, "%s%s", k != keys ? ", " : "", name);
    }
}
