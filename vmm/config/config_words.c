// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/config_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/config/config.h"

#define WORD_MAX 32u /* longer ones are near to nothing */

/* ---- Minivet's words ---- */

int config_words_put(struct config_words *w, char *option, char *value)
{
    if (value == NULL)
        return fail(-ENOMEM, "%s", option);
    w->out[w->count++] = option;
    w->out[w->count++] = w->owned[w->owned_count++] = value;
    return 0;
}

int config_words_refuse(const char *word, const char *remedy)
{
    return fail_msg(-EINVAL, "%s: no such option: %s", word, remedy);
}

static int put_serial(struct config_words *w, const char *value)
{
    (void)value;
    return config_words_put(w, "--console", strdup("serial"));
}

static int put_snapshot(struct config_words *w, const char *value)
{
    (void)value;
    w->snapshot = true;
    return 0;
}

static int put_prefault(struct config_words *w, const char *value)
{
    (void)value;
    w->out[w->count++] = "--prefault";
    return 0;
}

/* ---- words of others ---- */

#define NO_FOLDERS  "folders are not shared; put files into an image: --disk FILE"
#define NO_DISPLAY  "there is no display; --console chooses what the terminal is"
#define NO_FIRMWARE "there is no firmware; give a kernel: minivet run KERNEL"
#define NO_SANDBOX  "Minivet runs with the rights of its user; see docs/security.md"
#define MACHINES    "&pc|q35|microvm|type=pc|type=q35|accel=kvm|accel=kvm:tcg"
#define NO_API      "there is no API; options say it all, see minivet run --help"
#define NO_DEBUGGER "there is no debugger's port; --timeline, --stats and -v show what happens"
#define DISKS       "disks are --disk FILE[,KEY...]"
#define CARDS       "network cards are --net KIND[,KEY...]"
#define APPEND      "the kernel's command line is --append TEXT"
#define KERNEL      "the kernel is --kernel FILE, or the bare argument"
#define IN_GUEST    "what runs in the guest its initrd says; tools/run-linux -- COMMAND makes one"

/*
 * takes: NULL: the word is refused. "": it has no value. Others: its value begins with one of these
 * items. What is taken is put in other words, or left out if it says what is so anyway.
 */
static const struct foreign {
    const char *word, *takes, *say;
    int (*put)(struct config_words *w, const char *value);
} foreigns[] = {
    /* QEMU's */
    {"drive", "*", NULL, config_qemu_drive},
    {"hda", "*", NULL, config_qemu_hd},
    {"hdb", "*", NULL, config_qemu_hd},
    {"hdc", "*", NULL, config_qemu_hd},
    {"hdd", "*", NULL, config_qemu_hd},
    {"netdev", "*", NULL, config_qemu_netdev},
    {"nic", "*", NULL, config_qemu_nic},
    {"device", "*", NULL, config_qemu_device},
    {"snapshot", "", NULL, put_snapshot},
    {"mem-prealloc", "", NULL, put_prefault},
    {"serial", "stdio|mon:stdio|tty",
     "--console serial connects it to the terminal, --console off to nothing", put_serial},
    {"nographic", "", NULL, NULL},
    {"enable-kvm", "", NULL, NULL},
    {"kvm", "", NULL, NULL},
    {"nodefaults", "", NULL, NULL},
    {"no-user-config", "", NULL, NULL},
    {"no-fd-bootchk", "", NULL, NULL},
    {"no-hpet", "", NULL, NULL},
    {"no-reboot", "", NULL, NULL},
    {"cpu", "&host|max", "the guest sees the host's processor; how many is --cpus N", NULL},
    {"machine", MACHINES, "there is one kind of machine", NULL},
    {"M", MACHINES, "there is one kind of machine", NULL},
    {"accel", "&kvm", "KVM is always used", NULL},
    {"display", "none", NO_DISPLAY, NULL},
    {"vga", "none", NO_DISPLAY, NULL},
    {"monitor", "none", "there is no monitor; Ctrl-A h lists what can be typed", NULL},
    {"parallel", "none", "there is no parallel port; the console is --console", NULL},
    {"object", "rng-random|rng-builtin",
     "memory is --mem SIZE, a thread is iothread=NAME of --disk, randomness --rng on", NULL},
    {"rtc", "base=utc", "the clock shows the host's time, in UTC", NULL},
    {"blockdev", NULL, DISKS, NULL},
    {"cdrom", NULL, "an image of a CD is --disk FILE,ro", NULL},
    {"fda", NULL, "there are no floppies; " DISKS, NULL},
    {"sd", NULL, DISKS, NULL},
    {"chardev", NULL, "the terminal is --console serial or --console virtio", NULL},
    {"bios", NULL, NO_FIRMWARE, NULL},
    {"pflash", NULL, NO_FIRMWARE, NULL},
    {"boot", NULL, NO_FIRMWARE, NULL},
    {"option-rom", NULL, NO_FIRMWARE, NULL},
    {"virtfs", NULL, NO_FOLDERS, NULL},
    {"fsdev", NULL, NO_FOLDERS, NULL},
    {"vnc", NULL, NO_DISPLAY, NULL},
    {"spice", NULL, NO_DISPLAY, NULL},
    {"curses", NULL, NO_DISPLAY, NULL},
    {"full-screen", NULL, NO_DISPLAY, NULL},
    {"qmp", NULL, NO_API, NULL},
    {"mon", NULL, NO_API, NULL},
    {"no-shutdown", NULL, "a guest's power-off ends the run", NULL},
    {"no-acpi", NULL, "ACPI is the guest's to use or not: --append acpi=off", NULL},
    {"name", NULL, "a machine has no name; leave it out", NULL},
    {"uuid", NULL, "a machine has no UUID; disks have serial=TEXT", NULL},
    {"daemonize", NULL, "a run stays in the foreground; --console off and the shell's & let it go",
     NULL},
    {"pidfile", NULL, "a run stays in the foreground; the shell's $! has its process", NULL},
    {"mem-path", NULL, "memory is the host's ordinary memory: --mem SIZE", NULL},
    {"dtb", NULL, "the guest finds its devices by ACPI; " APPEND, NULL},
    {"numa", NULL, "memory is in one piece: --mem SIZE", NULL},
    {"gdb", NULL, NO_DEBUGGER, NULL},
    {"s", NULL, NO_DEBUGGER, NULL},
    {"S", NULL, NO_DEBUGGER, NULL},
    {"D", NULL, NO_DEBUGGER, NULL},
    {"trace", NULL, NO_DEBUGGER, NULL},
    {"usb", NULL, "there is no USB; devices are --disk, --net, --console and --rng", NULL},
    {"usbdevice", NULL, "there is no USB; devices are --disk, --net, --console and --rng", NULL},
    {"audio", NULL, "there is no sound; devices are --disk, --net, --console and --rng", NULL},
    {"audiodev", NULL, "there is no sound; devices are --disk, --net, --console and --rng", NULL},
    {"watchdog", NULL, "there is no watchdog; --timeout TIME ends a run", NULL},
    {"loadvm", NULL, "a machine's state is not kept; snapshot=on of --disk is for disks", NULL},
    {"incoming", NULL, "a machine does not move; minivet run KERNEL starts one", NULL},
    {"global", NULL, "keys for all virtio devices are --virtio KEY[,KEY...]", NULL},
    {"smbios", NULL, "there are ACPI tables only; " APPEND, NULL},
    {"acpitable", NULL, "ACPI tables are Minivet's; " APPEND, NULL},
    {"icount", NULL, "the guest runs on the host's processors: --cpus N", NULL},
    {"fw_cfg", NULL, "a guest is told things by --append TEXT or an initrd", NULL},
    {"tpmdev", NULL, "there is no TPM; randomness is --rng on", NULL},
    {"version", NULL, "say minivet --version", NULL},
    /* kvmtool's */
    {"p", NULL, APPEND, NULL},
    {"params", NULL, APPEND, NULL},
    {"network", NULL, CARDS, NULL},
    {"9p", NULL, NO_FOLDERS, NULL},
    {"balloon", NULL, "there is no balloon: --mem SIZE is all", NULL},
    {"hugetlbfs", NULL, "memory is the host's ordinary memory: --mem SIZE", NULL},
    {"tty", NULL, "--console chooses what the terminal is", NULL},
    {"sdl", NULL, NO_DISPLAY, NULL},
    {"gtk", NULL, NO_DISPLAY, NULL},
    {"debug", NULL, "-v says more, -v -v all", NULL},
    /* Firecracker's */
    {"no-api", "", NULL, NULL},
    {"kernel-image-path", NULL, KERNEL, NULL},
    {"config-file", NULL, NO_API, NULL},
    {"api-sock", NULL, NO_API, NULL},
    {"boot-timer", NULL, "how long a boot takes --timeline says", NULL},
    {"metrics-path", NULL, "figures are --stats", NULL},
    {"id", NULL, "a machine has no name; leave it out", NULL},
    {"log-path", NULL, "messages go to standard error; -v says more", NULL},
    {"log-file", NULL, "messages go to standard error; -v says more", NULL},
    {"level", NULL, "-v says more, -v -v all", NULL},
    /* cloud-hypervisor's */
    {"api-socket", NULL, NO_API, NULL},
    {"event-monitor", NULL, NO_API, NULL},
    {"memory", NULL, "memory is --mem SIZE", NULL},
    {"cmdline", NULL, APPEND, NULL},
    {"fs", NULL, NO_FOLDERS, NULL},
    {"pmem", NULL, DISKS, NULL},
    {"initramfs", NULL, "the initial RAM disk is --initrd FILE", NULL},
    {"ramdisk", NULL, "the initial RAM disk is --initrd FILE", NULL},
    {"vsock", NULL, "there is no vsock; " CARDS, NULL},
    {"firmware", NULL, NO_FIRMWARE, NULL},
    {"platform", NULL, "there is one kind of machine; its devices' keys are --virtio", NULL},
    {"seccomp", NULL, "see isolate=on of --net user", NULL},
    /* virtme-ng's, and what else is guessed */
    {"bootargs", NULL, APPEND, NULL},
    {"boot-args", NULL, APPEND, NULL},
    {"args", NULL, APPEND, NULL},
    {"kernel-args", NULL, APPEND, NULL},
    {"hugepages", NULL, "memory is the host's ordinary memory: --mem SIZE", NULL},
    {"overcommit", NULL, "memory is the host's ordinary memory: --mem SIZE", NULL},
    {"statistics", NULL, "figures are --stats", NULL},
    {"loglevel", NULL, "-v says more, -v -v all", NULL},
    {"rootdisk", NULL, "say --disk FILE --append root=/dev/vda", NULL},
    {"rwdisk", NULL, DISKS, NULL},
    {"cid", NULL, "there is no vsock; " CARDS, NULL},
    {"socket", NULL, CARDS, NULL},
    {"host-ip", NULL, CARDS, NULL},
    {"tap-name", NULL, "say --net tap=NAME", NULL},
    {"ssh", NULL, "say --net user,hostfwd=tcp::2222-:22", NULL},
    {"sandbox", NULL, NO_SANDBOX, NULL},
    {"landlock", NULL, NO_SANDBOX, NULL},
    {"jailer", NULL, NO_SANDBOX, NULL},
    {"runas", NULL, NO_SANDBOX, NULL},
    {"graphics", NULL, NO_DISPLAY, NULL},
    {"tpm", NULL, "there is no TPM; randomness is --rng on", NULL},
    {"vm-config", NULL, NO_API, NULL},
    {"cwd", NULL, NO_FOLDERS, NULL},
    {"run", NULL, KERNEL, NULL},
    {"r", NULL, KERNEL, NULL},
    {"exec", NULL, IN_GUEST, NULL},
    {"e", NULL, IN_GUEST, NULL},
    {"script", NULL, IN_GUEST, NULL},
    {"init", NULL, "the guest's first program is a word of the kernel's: --append init=FILE", NULL},
    {"rw", NULL, NO_FOLDERS, NULL},
    {"rwdir", NULL, NO_FOLDERS, NULL},
    {"rodir", NULL, NO_FOLDERS, NULL},
    {"pwd", NULL, NO_FOLDERS, NULL},
    {"root", NULL, "say --disk FILE --append root=/dev/vda", NULL},
    {"rootfs", NULL, "say --disk FILE --append root=/dev/vda", NULL},
    {"share", NULL, NO_FOLDERS, NULL},
    {"volume", NULL, NO_FOLDERS, NULL},
    {"user", NULL, "say --net user", NULL},
    {"tap", NULL, "say --net tap=NAME", NULL},
    {"port", NULL, "say --net user,hostfwd=tcp::2222-:22", NULL},
    {"publish", NULL, "say --net user,hostfwd=tcp::2222-:22", NULL},
    {"interface", NULL, CARDS, NULL},
    {"nics", NULL, CARDS, NULL},
    {"image", NULL, DISKS, NULL},
    {"hd", NULL, DISKS, NULL},
    {"readonly", NULL, "say --disk FILE,ro", NULL},
    {"ram", NULL, "memory is --mem SIZE", NULL},
    {"vcpus", NULL, "processors are --cpus N", NULL},
    {"cores", NULL, "processors are --cpus N", NULL},
    {"nokaslr", NULL, "say --kaslr off", NULL},
    {"quiet", NULL, "Minivet says little unless -v is given; the kernel: --append quiet", NULL},
    {"q", NULL, "Minivet says little unless -v is given; the kernel: --append quiet", NULL},
    {"log", NULL, "-v says more, -v -v all", NULL},
};

static const struct foreign *find_foreign(const char *word)
{
    size_t length = strcspn(word, "=");
    for (unsigned i = 0; i < ARRAY_SIZE(foreigns); i++) {
        if (strlen(foreigns[i].word) == length && strncmp(foreigns[i].word, word, length) == 0)
            return &foreigns[i];
    }
    return NULL;
}

static bool is_listed(const char *items, const char *value, size_t length)
{
    for (const char *at = items; *at != '\0'; at += *at == '|') {
        size_t n = strcspn(at, "|");
        if (n == length && strncmp(at, value, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static bool is_switch(const char *value, size_t length)
{
    return (length > 3 && strncmp(value + length - 3, "=on", 3) == 0) ||
           (length > 4 && strncmp(value + length - 4, "=off", 4) == 0);
}

/* Is the value's first item one of these? Behind '&': is each, but for what is switched on or off?
 */
static bool takes(const char *items, const char *value)
{
    bool each = items[0] == '&', is = strcmp(items, "*") == 0;
    size_t length = strcspn(value, ",");
    if (is)
        return true;
    for (is = is_listed(items + each, value, length); is && each && value[length] != '\0';) {
        value += length + 1;
        length = strcspn(value, ",");
        is = is_listed(items + each, value, length) || is_switch(value, length);
    }
    return is;
}

/* argv[i], and maybe the word behind it. Returns how many these are. */
static int translate(struct config_words *w, int i, const struct foreign *f)
{
    const char *word = w->argv[i], *equals = strchr(word, '=');
    bool has_value = f->takes != NULL && f->takes[0] != '\0';
    const char *value = equals != NULL ? equals + 1 : has_value ? w->argv[i + 1] : NULL;
    if (f->takes == NULL || (!has_value && equals != NULL))
        return config_words_refuse(word, f->say != NULL ? f->say : "it takes no value");
    if (has_value && value == NULL)
        return fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
    if (has_value && !takes(f->takes, value))
        return fail_msg(-EINVAL, "%.*s %s: no such option: %s", (int)strcspn(word, "="), word,
                        value, f->say);
    int r = f->put != NULL ? f->put(w, value) : 0;
    return r < 0 ? r : has_value && equals == NULL ? 2 : 1;
}

/* ---- what is near ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters are more, fewer, others, or in each other's place. */
static unsigned distance(const char *a, const char *b)
{
    unsigned char d[WORD_MAX + 1][WORD_MAX + 1];
    size_t na = strlen(a), nb = strlen(b);
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned char)(i + j);
                continue;
            }
            unsigned n = least(d[i - 1][j] + 1u, d[i][j - 1] + 1u);
            n = least(n, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                n = least(n, d[i - 2][j - 2] + 1u);
            d[i][j] = (unsigned char)n;
        }
    }
    return d[na][nb];
}

bool config_is_near(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX || la < 2)
        return false;
    return distance(a, b) <= (lb < 6 ? 1 : 2) || (lb > 2 && strncmp(a, b, lb) == 0) ||
           (la > 2 && strncmp(a, b, la) == 0);
}

/* Is it among the keys, of a text such as "ro, serial=TEXT"? */
static bool is_key(const char *name, const char *keys)
{
    size_t length = strlen(name);
    for (const char *at = keys; *at != '\0'; at += strspn(at, ", ")) {
        if (strncmp(at, name, length) == 0 && length > 0 && strchr("=,", at[length]) != NULL)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

/* The option that it is a key of, or NULL. */
static const char *key_of(const char *name)
{
    return is_key(name, CONFIG_VIRTIO_KEYS)     ? "--virtio "
           : is_key(name, CONFIG_DISK_KEYS)     ? "--disk FILE,"
           : is_key(name, CONFIG_NET_USER_KEYS) ? "--net user,"
           : is_key(name, CONFIG_NET_KEYS)      ? "--net KIND,"
                                                : NULL;
}

static int unknown_option(const char *word)
{
    char name[WORD_MAX + 1], may_be[128] = "";
    const char *start = word + strspn(word, "-");
    unsigned count = 0;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "="), start);
    if (key_of(name) != NULL)
        return fail_msg(-EINVAL, "%s: no such option: it is a key, say %s%s", word, key_of(name),
                        name);
    const char *positive = strncmp(name, "no-", 3) == 0 ? name + 3 : name;
    for (unsigned i = 0; i < config_option_count; i++) {
        const char *other = config_options[i].name;
        bool is_start = strncmp(other, positive, strlen(positive)) == 0 && positive[0] != '\0';
        size_t used = strlen(may_be);
        if ((is_start || config_is_near(positive, other)) &&
            used + strlen(other) + 8 < sizeof(may_be))
            snprintf(may_be + used, sizeof(may_be) - used, "%s--%s", count++ > 0 ? " or " : "",
                     other);
    }
    if (count == 0)
        return fail_msg(-EINVAL, "%s: no such option; see `minivet run --help`", word);
    return fail_msg(-EINVAL, "%s: no such option; is %s meant?", word, may_be);
}

/* ---- Minivet's own options, in front of getopt ---- */

/* By its name, or a beginning that only one has; NULL: none. */
static const struct option_row *find_long(const char *word)
{
    const struct option_row *found = NULL;
    size_t length = strcspn(word, "=");
    for (unsigned i = 0; i < config_option_count && length > 0; i++) {
        const struct option_row *row = &config_options[i];
        if (row->alias != NULL && strlen(row->alias) == length &&
            strncmp(row->alias, word, length) == 0)
            return row;
        if (strncmp(row->name, word, length) != 0)
            continue;
        if (row->name[length] == '\0')
            return row;
        if (found != NULL)
            return NULL;
        found = row;
    }
    return found;
}

static const struct option_row *find_letter(char letter)
{
    for (unsigned i = 0; i < config_option_count; i++) {
        if (config_options[i].letter == letter && letter != '\0')
            return &config_options[i];
    }
    return NULL;
}

/*
 * "-m1G" and "-vd": letters in one word. But "-kvmlinuz" would as well be an option of another
 * program, and -name a network card of the kind ame.
 */
static int check_letters(const char *word, bool *value_follows)
{
    const char *at = word + 1;
    const struct option_row *row = find_letter(*at);
    while (row != NULL && row->arg == NULL)
        row = find_letter(*++at);
    *value_follows = row != NULL && at[1] == '\0';
    if (*value_follows || (row == NULL && *at == '\0'))
        return 0;
    if (row == NULL)
        return unknown_option(word);
    bool is_number = strchr("mc", *at) != NULL;
    if (is_number ? isdigit((unsigned char)at[1])
                  : at[1 + strspn(at + 1, "abcdefghijklmnopqrstuvwxyz-")] != '\0')
        return 0;
    return fail_msg(-EINVAL, "%s: no such option; for --%s put a space behind -%c", word, row->name,
                    *at);
}

/* As translate(). */
static int copy_own(struct config_words *w, int i)
{
    char *word = w->argv[i];
    bool is_long = word[1] == '-', value_follows = false;
    const struct option_row *row = find_long(word + 1 + is_long);
    int r = 0;
    if (!is_long && word[2] == '\0')
        row = NULL; /* a letter, whatever begins with it */
    if (row != NULL)
        value_follows =
            row->arg != NULL && !config_value_is_optional(row) && strchr(word, '=') == NULL;
    else
        r = is_long ? unknown_option(word) : check_letters(word, &value_follows);
    if (r < 0)
        return r;
    w->out[w->count++] = word;
    if (!value_follows || w->argv[i + 1] == NULL)
        return 1;
    w->out[w->count++] = w->argv[i + 1];
    return 2;
}

int config_translate(struct config_words *w, int argc, char **argv)
{
    *w = (struct config_words){.argc = argc, .argv = argv};
    w->out = calloc(2 * (size_t)argc + 3, sizeof(w->out[0]));
    w->owned = calloc((size_t)argc + 1, sizeof(w->owned[0]));
    if (w->out == NULL || w->owned == NULL)
        return fail(-ENOMEM, "command line");
    if (argc > 0)
        w->out[w->count++] = argv[0];
    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0) {
            int words = word[0] == '-' && word[1] == '-' ? argc - i : 1;
            for (; words > 0; words--)
                w->out[w->count++] = argv[i++];
            continue;
        }
        const struct foreign *f = find_foreign(word + strspn(word, "-"));
        int r = f != NULL ? translate(w, i, f) : copy_own(w, i);
        if (r < 0)
            return r;
        i += r;
    }
    return 0;
}

void config_words_free(struct config_words *w)
{
    for (int i = 0; i < w->owned_count; i++)
        free(w->owned[i]);
    free(w->owned);
    free(w->out);
}

/* ---- keys of lists ---- */

/* Keys of others, and what is said instead. */
static const struct {
    const char *option, *key, *say;
} foreign_keys[] = {
    {"--disk", "readonly", "say ro"},
    {"--disk", "read-only", "say ro"},
    {"--disk", "rw", "disks are written to unless ro is given"},
    {"--disk", "if", "disks are virtio disks; type=scsi is another kind"},
    {"--disk", "media", "say ro for what is not to be written to"},
    {"--disk", "aio", "leave it out, all I/O is on io_uring"},
    {"--disk", "discard", "leave it out, discards are passed on"},
    {"--disk", "direct", "say cache=none"},
    {"--disk", "image_type", "say format=raw or format=qcow2"},
    {"--disk", "num-queues", "say queues=N"},
    {"--disk", "num_queues", "say queues=N"},
    {"--disk", "id", "leave it out, or say serial=TEXT"},
    {"--disk", "index", "leave it out, disks are in the order of their options"},
    {"--net", "id", "leave it out"},
    {"--net", "ifname", "say --net tap=NAME"},
    {"--net", "model", "leave it out, cards are virtio cards"},
    {"--net", "macaddr", "say mac=MAC"},
    {"--net", "guest_mac", "say mac=MAC"},
    {"--net", "script", "leave it out, no script is run"},
    {"--net", "num_queues", "say queues=N"},
    {"--net", "ip", "the guest sets its own; of user: host=ADDR and net=CIDR"},
    {"--net", "mask", "the guest sets its own; of user: net=CIDR"},
    {"--net", "port", "say hostfwd=tcp::2222-:22"},
    {"--net", "tcp", "say hostfwd=tcp::2222-:22"},
    {"--", "packed", "say ring=packed"},
    {"--", "queue_size", "say queue-size=N"},
    {"--", "disable-legacy", "say legacy=off"},
    {"--", "bus", "say transport=pci or transport=mmio"},
    {"--", "pci", "say transport=pci"},
};

int config_unknown_key(const char *what, const char *key, const char *keys)
{
    char name[WORD_MAX + 1], other[WORD_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, "="), key);
    for (unsigned i = 0; i < ARRAY_SIZE(foreign_keys); i++) {
        if (strcmp(foreign_keys[i].key, name) == 0 &&
            strncmp(what, foreign_keys[i].option, strlen(foreign_keys[i].option)) == 0)
            return fail_msg(-EINVAL, "%s: unknown key \"%s\": %s", what, key, foreign_keys[i].say);
    }
    for (const char *at = keys; *at != '\0'; at += strspn(at, ",; ")) {
        snprintf(other, sizeof(other), "%.*s", (int)strcspn(at, "=, "), at);
        at += strcspn(at, ",");
        if (config_is_near(name, other))
            return fail_msg(-EINVAL, "%s: unknown key \"%s\": is %s meant?", what, key, other);
    }
    return fail_msg(-EINVAL, "%s: unknown key \"%s\"; keys are: %s", what, key, keys);
}

int config_check_twice(const char *what, const char *list)
{
    static const char *const often[] = {"hostfwd", "guestfwd", NULL};
    char *copy = strdup(list), *rest = copy;
    int r = copy == NULL ? fail(-ENOMEM, "%s", what) : 0;
    for (const char *item; r == 0 && (item = config_next_item(&rest)) != NULL;) {
        char key[WORD_MAX + 1], *others = rest != NULL ? strdup(rest) : NULL, *left = others;
        snprintf(key, sizeof(key), "%.*s", (int)strcspn(item, "="), item);
        bool is_once = strlen(key) < WORD_MAX && key[0] != '\0' && config_word(often, key) < 0;
        for (const char *other; r == 0 && (other = config_next_item(&left)) != NULL;) {
            if (is_once && strncmp(other, key, strlen(key)) == 0 &&
                strchr("=", other[strlen(key)]) != NULL)
                r = fail_msg(-EINVAL, "%s: %s is given twice", what, key);
        }
        free(others);
    }
    free(copy);
    return r;
}
