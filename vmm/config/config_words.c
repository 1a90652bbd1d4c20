// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/config_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define WORD_MAX 32u /* longer ones are near to nothing */

int config_words_refuse(const char *word, const char *remedy)
{
    return fail_msg(-EINVAL, "%s: no such option: %s", word, remedy);
}

/* ---- words of others ---- */

/*
 * Words of QEMU, kvmtool, Firecracker, cloud-hypervisor, virtme-ng, and what else is guessed.
 * takes: "": they have no value. Others: their value begins with one of these items, or `say` is
 * said. It is put in other words, or left out if it says what is so anyway.
 */
static const struct foreign {
    const char *words, *takes, *say, *becomes; /* "-...": config_qemu() */
} taken[] = {
    {"drive", "*", NULL, "-drive"},
    {"hda|hdb|hdc|hdd", "*", NULL, "-hda"},
    {"netdev", "*", NULL, "-netdev"},
    {"nic", "*", NULL, "-nic"},
    {"device", "*", NULL, "-device"},
    {"snapshot", "", NULL, "-snapshot"},
    {"mem-prealloc", "", NULL, "prefault"},
    {"serial", "stdio|mon:stdio|tty",
     "--console serial connects it to the terminal, --console off to nothing", "console"},
    {"nographic|enable-kvm|kvm|nodefaults|no-user-config|no-fd-bootchk|no-hpet|no-reboot|no-api",
     "", NULL, NULL},
    {"cpu", "&host|max", "the guest sees the host's processor; how many is --cpus N", NULL},
    {"machine|M", "&pc|q35|microvm|type=pc|type=q35|accel=kvm|accel=kvm:tcg",
     "there is one kind of machine", NULL},
    {"accel", "&kvm", "KVM is always used", NULL},
    {"display|vga", "none", "there is no display; --console chooses what the terminal is", NULL},
    {"monitor", "none", "there is no monitor; Ctrl-A h lists what can be typed", NULL},
    {"parallel", "none", "there is no parallel port; the console is --console", NULL},
    {"object", "rng-random|rng-builtin",
     "memory is --mem SIZE, a thread is iothread=NAME of --disk, randomness --rng on", NULL},
    {"rtc", "base=utc", "the clock shows the host's time, in UTC", NULL},
};

/* And those that are refused. */
static const struct {
    const char *words, *say;
} refused[] = {
    {"blockdev|sd|pmem|rwdisk|image|hd", "disks are --disk FILE[,KEY...]"},
    {"cdrom", "an image of a CD is --disk FILE,ro"},
    {"fda", "there are no floppies; disks are --disk FILE[,KEY...]"},
    {"chardev", "the terminal is --console serial or --console virtio"},
    {"bios|pflash|boot|option-rom|firmware",
     "there is no firmware; give a kernel: minivet run KERNEL"},
    {"virtfs|fsdev|9p|fs|cwd|rw|rwdir|rodir|pwd|share|volume",
     "folders are not shared; put files into an image: --disk FILE"},
    {"vnc|spice|curses|full-screen|sdl|gtk|graphics|tty",
     "there is no display; --console chooses what the terminal is"},
    {"config-file|vm-config", "a file of options is --config FILE"},
    {"qmp|mon|api-sock|api-socket|event-monitor",
     "there is no API; options say it all, see minivet run --help"},
    {"no-shutdown", "a guest's power-off ends the run"},
    {"no-acpi", "ACPI is the guest's to use or not: --append acpi=off"},
    {"name|id", "a machine has no name; leave it out"},
    {"uuid", "a machine has no UUID; disks have serial=TEXT"},
    {"daemonize", "a run stays in the foreground; --console off and the shell's & let it go"},
    {"pidfile", "a run stays in the foreground; the shell's $! has its process"},
    {"mem-path|hugetlbfs|hugepages|overcommit", "memory is the host's ordinary memory: --mem SIZE"},
    {"dtb", "the guest finds its devices by ACPI; the kernel's command line is --append TEXT"},
    {"numa", "memory is in one piece: --mem SIZE"},
    {"gdb|s|S|D|trace",
     "there is no debugger's port; --timeline, --stats and -v show what happens"},
    {"usb|usbdevice", "there is no USB; devices are --disk, --net, --console and --rng"},
    {"audio|audiodev", "there is no sound; devices are --disk, --net, --console and --rng"},
    {"watchdog", "there is no watchdog; --timeout TIME ends a run"},
    {"loadvm", "a machine's state is not kept; snapshot=on of --disk is for disks"},
    {"incoming", "a machine does not move; minivet run KERNEL starts one"},
    {"global", "keys for all virtio devices are --virtio KEY[,KEY...]"},
    {"smbios", "there are ACPI tables only; the kernel's command line is --append TEXT"},
    {"acpitable", "ACPI tables are Minivet's; the kernel's command line is --append TEXT"},
    {"icount", "the guest runs on the host's processors: --cpus N"},
    {"fw_cfg", "a guest is told things by --append TEXT or an initrd"},
    {"tpmdev|tpm", "there is no TPM; randomness is --rng on"},
    {"version", "say minivet --version"},
    {"p|params|cmdline|bootargs|boot-args|args|kernel-args",
     "the kernel's command line is --append TEXT"},
    {"network|socket|host-ip|interface|nics", "network cards are --net KIND[,KEY...]"},
    {"balloon", "there is no balloon: --mem SIZE is all"},
    {"debug|level|loglevel|log", "-v says more, -v -v all"},
    {"kernel-image-path|run|r", "the kernel is --kernel FILE, or the bare argument"},
    {"boot-timer", "how long a boot takes --timeline says"},
    {"metrics-path|statistics", "figures are --stats"},
    {"log-path|log-file", "messages go to standard error; -v says more"},
    {"memory|ram", "memory is --mem SIZE"},
    {"initramfs|ramdisk", "the initial RAM disk is --initrd FILE"},
    {"vsock|cid", "there is no vsock; network cards are --net KIND[,KEY...]"},
    {"platform", "there is one kind of machine; its devices' keys are --virtio"},
    {"seccomp", "see isolate=on of --net user"},
    {"rootdisk|root|rootfs", "say --disk FILE --append root=/dev/vda"},
    {"tap-name|tap", "say --net tap=NAME"},
    {"ssh|port|publish", "say --net user,hostfwd=tcp::2222-:22"},
    {"sandbox|landlock|jailer|runas",
     "Minivet runs with the rights of its user; see docs/security.md"},
    {"exec|e|script",
     "what runs in the guest its initrd says; tools/run-linux -- COMMAND makes one"},
    {"init", "the guest's first program is a word of the kernel's: --append init=FILE"},
    {"user", "say --net user"},
    {"readonly", "say --disk FILE,ro"},
    {"vcpus|cores", "processors are --cpus N"},
    {"nokaslr", "say --kaslr off"},
    {"quiet|q", "Minivet says little unless -v is given; the kernel: --append quiet"},
};

static const struct foreign *find_taken(const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(taken); i++) {
        if (schema_word(taken[i].words, word, strcspn(word, "=")) >= 0)
            return &taken[i];
    }
    return NULL;
}

static const char *find_refused(const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        if (schema_word(refused[i].words, word, strcspn(word, "=")) >= 0)
            return refused[i].say;
    }
    return NULL;
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
    for (is = schema_word(items + each, value, length) >= 0; is && each && value[length] != '\0';) {
        value += length + 1;
        length = strcspn(value, ",");
        is = schema_word(items + each, value, length) >= 0 || is_switch(value, length);
    }
    return is;
}

static const char *word_behind(const struct config_words *w, int i)
{
    return i + 1 < w->argc ? w->argv[i + 1] : NULL;
}

/* argv[i], and maybe the word behind it. Returns how many these are. */
static int translate(struct config_words *w, int i, const struct foreign *f)
{
    const char *word = w->argv[i], *equals = strchr(word, '=');
    bool has_value = f->takes[0] != '\0';
    const char *value = equals != NULL ? equals + 1 : has_value ? word_behind(w, i) : NULL;
    if (!has_value && equals != NULL)
        return config_words_refuse(word, "it takes no value");
    if (has_value && value == NULL)
        return fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
    if (has_value && !takes(f->takes, value))
        return fail_msg(-EINVAL, "%.*s %s: no such option: %s", (int)strcspn(word, "="), word,
                        value, f->say);
    int r = 0;
    if (f->becomes != NULL && f->becomes[0] == '-')
        r = config_qemu(w, f->becomes + 1, value);
    else if (f->becomes != NULL)
        r = config_put(w, config_find_option(f->becomes, strlen(f->becomes)),
                       has_value ? "serial" : NULL);
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

/* The option that it is a key of, as the command line has that; NULL: none. */
static const char *key_of(const char *name)
{
    static const struct {
        const char *option, *only, *say;
    } lists[] = {{"virtio", NULL, "--virtio "},
                 {"disk", NULL, "--disk FILE,"},
                 {"net", "user", "--net user,"},
                 {"net", NULL, "--net KIND,"}};
    const struct schema_table *table;
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
        const struct schema_key *o = config_find_option(lists[i].option, strlen(lists[i].option));
        const struct schema_key *key = config_find_key(o, name, strlen(name), &table);
        if (key != NULL && (table->only != NULL) == (lists[i].only != NULL))
            return lists[i].say;
    }
    return NULL;
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
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        const char *other = o->name;
        bool is_start = strncmp(other, positive, strlen(positive)) == 0 && positive[0] != '\0';
        size_t used = strlen(may_be);
        if (((is_start && !o->is_whole) || config_is_near(positive, other)) &&
            used + strlen(other) + 8 < sizeof(may_be))
            snprintf(may_be + used, sizeof(may_be) - used, "%s--%s", count++ > 0 ? " or " : "",
                     other);
    }
    if (count == 0)
        return fail_msg(-EINVAL, "%s: no such option; see `minivet run --help`", word);
    return fail_msg(-EINVAL, "%s: no such option; is %s meant?", word, may_be);
}

/* ---- Minivet's own options ---- */

/* By its name, or a beginning that only one has; NULL: none. */
static const struct schema_key *find_long(const char *word)
{
    size_t length = strcspn(word, "=");
    const struct schema_key *found = config_find_option(word, length), *other = NULL;
    for (const struct schema_key *o = config_options;
         found == NULL && length > 0 && o->name != NULL; o++) {
        if (o->is_whole || strncmp(o->name, word, length) != 0)
            continue;
        if (other != NULL)
            return NULL;
        other = o;
    }
    return found != NULL ? found : other;
}

static const struct schema_key *find_letter(char letter)
{
    const struct schema_key *o = config_options;
    while (o->name != NULL && (o->letter != letter || letter == '\0'))
        o++;
    return o->name != NULL ? o : NULL;
}

/*
 * "-m1G" and "-vd": letters in one word. But "-kvmlinuz" would as well be an option of another
 * program, and -name a network card of the kind ame. Returns the last, which takes the value.
 */
static int take_letters(struct config_words *w, const char *word, const struct schema_key **option,
                        const char **value)
{
    const char *at = word + 1;
    int r = 0;
    while ((*option = find_letter(*at)) != NULL && (*option)->arg == NULL && at[1] != '\0') {
        r = r < 0 ? r : config_put(w, *option, NULL);
        at++;
    }
    if (*option == NULL)
        return unknown_option(word);
    *value = at[1] != '\0' ? at + 1 : NULL;
    if (*value == NULL || strchr("mc", *at) != NULL
            ? *value == NULL || isdigit((unsigned char)at[1])
            : at[1 + strspn(at + 1, "abcdefghijklmnopqrstuvwxyz-")] != '\0')
        return r;
    return fail_msg(-EINVAL, "%s: no such option; for --%s put a space behind -%c", word,
                    (*option)->name, *at);
}

/* As translate(). */
static int put_own(struct config_words *w, int i)
{
    const char *word = w->argv[i], *value = strchr(word, '=');
    bool is_long = word[1] == '-', takes_next = false;
    const struct schema_key *option =
        is_long || word[2] != '\0' ? find_long(word + 1 + is_long) : NULL;
    int r = 0;
    if (option != NULL && value != NULL)
        value++;
    else if (option == NULL)
        r = is_long ? unknown_option(word) : take_letters(w, word, &option, &value);
    if (r < 0 || option == NULL)
        return -EINVAL;
    if (option->arg == NULL && value != NULL)
        return fail_msg(-EINVAL, "%s: takes no value; see `minivet run --help`", word);
    if (value == NULL && option->arg != NULL && !schema_is_optional(option)) {
        takes_next = true;
        value = word_behind(w, i);
        if (value == NULL)
            return fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
    }
    if (strcmp(option->name, "kernel") == 0)
        w->kernel = value;
    r = strcmp(option->name, "config") == 0 ? config_put_json(w, value)
                                            : config_put(w, option, value);
    return r < 0 ? r : takes_next ? 2 : 1;
}

static int put_operand(struct config_words *w, const char *word)
{
    if (w->kernel != NULL)
        return fail_msg(-EINVAL,
                        "%s: one kernel is enough, %s was given before (an initrd is --initrd "
                        "FILE; a value with spaces is quoted; --stats=json, --timeline=FILE)",
                        word, w->kernel);
    w->kernel = word;
    return config_put(w, config_find_option("kernel", strlen("kernel")), word);
}

int config_put_words(struct config_words *w)
{
    bool only_operands = false;
    for (int i = 1, r; i < w->argc; i += r) {
        const char *word = w->argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
            r = 1;
        } else if (only_operands || word[0] != '-' || word[1] == '\0') {
            r = put_operand(w, word) < 0 ? -EINVAL : 1;
        } else {
            const char *name = word + strspn(word, "-"), *say = find_refused(name);
            const struct foreign *f = find_taken(name);
            r = say != NULL ? config_words_refuse(word, say)
                : f != NULL ? translate(w, i, f)
                            : put_own(w, i);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- keys of lists ---- */

/* Keys of others, and what is said instead. */
static const struct {
    const char *option, *keys, *say;
} foreign_keys[] = {
    {"disk", "readonly|read-only", "say ro"},
    {"disk", "rw", "disks are written to unless ro is given"},
    {"disk", "if", "disks are virtio disks; type=scsi is another kind"},
    {"disk", "media", "say ro for what is not to be written to"},
    {"disk", "aio", "leave it out, all I/O is on io_uring"},
    {"disk", "discard", "leave it out, discards are passed on"},
    {"disk", "direct", "say cache=none"},
    {"disk", "image_type", "say format=raw or format=qcow2"},
    {"disk", "id", "leave it out, or say serial=TEXT"},
    {"disk", "index", "leave it out, disks are in the order of their options"},
    {"disk", "path", "say file, or the name first on a command line"},
    {"net", "nic", "a card comes with what it is connected to: say --net user or --net tap=NAME"},
    {"net", "bridge", "put a tap into the bridge, and say --net tap=NAME"},
    {"net", "off|no", "say --net none"},
    {"net", "mode|type", "say --net user"},
    {"net", "id", "leave it out"},
    {"net", "ifname", "say --net tap=NAME"},
    {"net", "model", "leave it out, cards are virtio cards"},
    {"net", "macaddr|guest_mac", "say mac=MAC"},
    {"net", "script", "leave it out, no script is run"},
    {"net", "ip", "the guest sets its own; of user: host=ADDR and net=CIDR"},
    {"net", "mask", "the guest sets its own; of user: net=CIDR"},
    {"net", "port|tcp", "say hostfwd=tcp::2222-:22"},
    {NULL, "num-queues|num_queues", "say queues=N"},
    {NULL, "packed", "say ring=packed"},
    {NULL, "queue_size", "say queue-size=N"},
    {NULL, "disable-legacy", "say legacy=off"},
    {NULL, "bus", "say transport=pci or transport=mmio"},
    {NULL, "pci", "say transport=pci"},
};

const char *config_foreign_key(const struct schema_key *option, const char *item)
{
    for (unsigned i = 0; i < ARRAY_SIZE(foreign_keys); i++) {
        if (schema_word(foreign_keys[i].keys, item, strcspn(item, "=")) >= 0 &&
            (foreign_keys[i].option == NULL || strcmp(foreign_keys[i].option, option->name) == 0))
            return foreign_keys[i].say;
    }
    return NULL;
}

/* All keys of a list: "ro, serial=TEXT, ..."; to be freed. NULL: no memory. */
static char *name_all(const struct schema_key *option)
{
    char *names = NULL;
    size_t bytes;
    FILE *out = open_memstream(&names, &bytes);
    if (out == NULL)
        return NULL;
    for (const struct schema_table *t = option->tables; t->keys != NULL; t++) {
        if (t->is_first)
            continue;
        fputs(t > option->tables && !t[-1].is_first ? ", " : "", out);
        config_name_keys(out, t->keys);
    }
    fclose(out);
    return names;
}

int config_unknown_key(const struct schema_key *option, const char *what, const char *item)
{
    char name[WORD_MAX + 1];
    const char *say = config_foreign_key(option, item);
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(item, "="), item);
    if (say != NULL)
        return fail_msg(-EINVAL, "%s: unknown key \"%s\": %s", what, item, say);
    for (const struct schema_table *t = option->tables; t->keys != NULL; t++) {
        for (const struct schema_key *k = t->keys; k->name != NULL && !t->is_first; k++)
            if (k->help != NULL && config_is_near(name, k->name))
                return fail_msg(-EINVAL, "%s: unknown key \"%s\": is %s meant?", what, item,
                                k->name);
    }
    char *names = name_all(option);
    int r = fail_msg(-EINVAL, "%s: unknown key \"%s\"; keys are: %s", what, item,
                     names != NULL ? names : "");
    free(names);
    return r;
}

int config_unknown_member(const char *name)
{
    char names[1024] = "";
    size_t used = 0;
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        if (!o->is_act && config_is_near(name, o->name))
            return fail_msg(-EINVAL, "--config: unknown option \"%s\": is %s meant?", name,
                            o->name);
        if (!o->is_act)
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     used > 0 ? ", " : "", o->name);
    }
    return fail_msg(-EINVAL, "--config: unknown option \"%s\"; options are: %s", name, names);
}
