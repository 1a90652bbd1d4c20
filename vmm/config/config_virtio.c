// SPDX-License-Identifier: BSD-2-Clause
/* Options of virtio devices: the keys that all of them take, and --features. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/base/features.h"
#include "virtio/fs/fs.h"
#include "virtio/spec.h"
#include "vmm/config/options.h"

#define QUEUE_SIZE_MIN 4u /* header, data and status of a disk's request, in a power of two */

/* A list of names that a thread may have. */
static int set_iothread(void *into, const char *value)
{
    struct virtio_keys *keys = into;
    size_t run = 0;
    for (const char *c = value; *c != '\0'; c++) {
        bool good = isalnum((unsigned char)*c) || *c == '-' || *c == '_';
        if (*c == ':' ? run == 0 : !good || run == CONFIG_THREAD_NAME_MAX)
            return -EINVAL;
        run = *c == ':' ? 0 : run + 1;
    }
    if (run == 0 || strlen(value) >= sizeof(keys->iothread))
        return -EINVAL;
    memcpy(keys->iothread, value, strlen(value) + 1);
    return 0;
}

#define AT(member) SCHEMA_AT(struct virtio_keys, member)

const struct schema_key config_virtio_keys[] = {
    {"transport", "mmio|pci", SCHEMA_WORD, AT(transport), .min = TRANSPORT_MMIO, .usual = "mmio",
     .help = "A virtio-mmio window, of which there are twelve, or a PCI function, as --gpu is by "
             "default"},
    {"ring", "split|packed", SCHEMA_WORD, AT(ring), .min = RING_SPLIT, .usual = "split",
     .help = "packed: offer packed rings; the driver chooses"},
    {"legacy", "on|off", SCHEMA_WORD, AT(legacy), .min = ON_OFF_ON, .usual = "off",
     .help = "on: old drivers find the interface from before VIRTIO 1.0"},
    {"queue-size", "N", SCHEMA_NUMBER, AT(queue_size), .min = QUEUE_SIZE_MIN, .max = VIRTQ_MAX_SIZE,
     .usual = "256",
     .help = "Most descriptors in a queue, 4 to 32768; a power of two for split rings"},
    {"iothread", "NAME[:NAME...]", SCHEMA_TEXT, .set = set_iothread,
     .expected = "names such as a:b, each of up to 15 letters, digits, - and _",
     .help = "Serve the device, or each queue of a disk, by a thread of that name"},
    {0},
};

static const struct schema_key consoles[] = {
    /* enum console_kind */
    {"serial", NULL, SCHEMA_SWITCH, .help = "The 16550A serial port, ttyS0"},
    {"virtio", NULL, SCHEMA_SWITCH, .help = "A virtio console, hvc0, of the terminal's size"},
    {"off", NULL, SCHEMA_SWITCH, .help = "Nothing"},
    {0},
};

const struct schema_key config_switch_words[] = {
    {"on", NULL, SCHEMA_SWITCH, .help = "There is one"},
    {"off", NULL, SCHEMA_SWITCH, .help = "There is none"},
    {0},
};

#define INPUT_AT(member) SCHEMA_AT(struct input_config, member)

static const struct schema_key inputs[] = {
    {"keyboard", NULL, SCHEMA_SWITCH, INPUT_AT(on[INPUT_KEYBOARD]), .help = "A PC's keyboard"},
    {"mouse", NULL, SCHEMA_SWITCH, INPUT_AT(on[INPUT_MOUSE]),
     .help = "A mouse of five buttons, whose pointer the guest moves by steps"},
    {"tablet", NULL, SCHEMA_SWITCH, INPUT_AT(on[INPUT_TABLET]),
     .help = "The same buttons, and a pointer that is where the host's is"},
    {"touch", NULL, SCHEMA_SWITCH, INPUT_AT(on[INPUT_TOUCH]), .help = "A screen for ten fingers"},
    {"none", NULL, SCHEMA_SWITCH, INPUT_AT(none), .help = "No input device"},
    {0},
};

const struct schema_table config_input_tables[] = {
    {.keys = inputs},
    {.keys = config_virtio_keys, .base = offsetof(struct input_config, virtio)},
    {0},
};

const struct schema_table config_virtio_tables[] = {{.keys = config_virtio_keys}, {0}};
const struct schema_table config_console_tables[] = {
    {.keys = consoles, .is_first = true}, {.keys = config_virtio_keys, .only = "virtio"}, {0}};
#define VIRTIO_SWITCH(kind, usual) \
    const struct schema_table config_##kind##_tables[] = CONFIG_SWITCH_TABLES(kind##_keys);
#include "virtio/devices.def"

int config_apply_console(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list)
{
    int kind = config_take(option, &c->console_virtio, list);
    c->console = kind < 0 ? CONSOLE_SERIAL : (enum console_kind)kind;
    return kind < 0 ? kind : 0;
}

int config_apply_switch(struct switch_config *c, const struct schema_key *option,
                        const struct cJSON *list)
{
    int off = config_take(option, c, list);
    c->on = off == 0;
    return off < 0 ? off : 0;
}

/* Their backend is the main thread's. */
static int check_input(const struct input_config *input)
{
    if (input->virtio.iothread[0] != '\0')
        return fail_msg(-EINVAL, "--input: iothread: the main thread serves input devices; give "
                                 "iothread to disks or --rng on");
    for (unsigned i = 0; input->none && i < INPUT_KINDS; i++)
        if (input->on[i])
            return fail_msg(-EINVAL, "--input none: and a kind of input device is given, too");
    return 0;
}

int config_switch(const char *value, uint64_t bit, uint64_t *on, uint64_t *off)
{
    if (bit == 0 || (value[0] != '+' && value[0] != '-'))
        return -EINVAL;
    *(value[0] == '+' ? on : off) |= bit;
    *(value[0] == '+' ? off : on) &= ~bit;
    return 0;
}

int config_set_feature(void *into, const char *value)
{
    struct vm_config *c = into;
    int bit = virtio_feature_by_name(value + (value[0] != '\0'));
    return config_switch(value, bit >= 0 ? VIRTIO_BIT(bit) : 0, &c->features_on, &c->features_off);
}

/* The ring as a key has it, against the same as a feature. */
static int check_ring(const struct vm_config *c, const struct virtio_keys *keys, const char *what)
{
    uint64_t packed = VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    if (keys->ring == RING_SPLIT && (c->features_on & packed))
        return fail_msg(-EINVAL, "%s: ring=split: and --features has +ring_packed", what);
    if (keys->ring == RING_PACKED && (c->features_off & packed))
        return fail_msg(-EINVAL, "%s: ring=packed: and --features has -ring_packed", what);
    return 0;
}

static int check_keys(const struct vm_config *c, const struct virtio_keys *keys, const char *what)
{
    bool packed = keys->ring == RING_PACKED || (c->features_on & VIRTIO_BIT(VIRTIO_F_RING_PACKED));
    if (packed && keys->legacy == ON_OFF_ON && keys->transport == TRANSPORT_MMIO)
        return fail_msg(-EINVAL,
                        "%s: legacy=on of mmio has no packed rings; say ring=split or "
                        "transport=pci",
                        what);
    if (!is_pow2(keys->queue_size) && (!packed || keys->legacy == ON_OFF_ON))
        return fail_msg(-EINVAL,
                        "%s: queue-size=%u: split rings need a power of two, such as %u; "
                        "ring=packed takes any number",
                        what, keys->queue_size, 1u << (31 - __builtin_clz(keys->queue_size)));
    return 0;
}

/* Keys that the device does not have itself are from --virtio, and blamed on it. */
static int resolve_by(struct vm_config *c, struct virtio_keys *keys, const char *what,
                      const struct virtio_keys *defaults)
{
    const struct virtio_keys *from[] = {&c->virtio, defaults};
    const struct virtio_keys unset = {0};
    if (memcmp(keys, &unset, sizeof(unset)) == 0)
        what = "--virtio";
    if (keys->ring == RING_UNSET)
        keys->ring = c->virtio.ring;
    if (keys->iothread[0] == '\0')
        memcpy(keys->iothread, c->virtio.iothread, sizeof(keys->iothread));
    int r = check_ring(c, keys, what);
    for (unsigned i = 0; i < ARRAY_SIZE(from); i++) {
        if (keys->transport == TRANSPORT_UNSET)
            keys->transport = from[i]->transport;
        if (keys->ring == RING_UNSET)
            keys->ring = from[i]->ring;
        if (keys->legacy == ON_OFF_UNSET)
            keys->legacy = from[i]->legacy;
        if (keys->queue_size == 0)
            keys->queue_size = from[i]->queue_size;
    }
    return r < 0 ? r : check_keys(c, keys, what);
}

static int resolve(struct vm_config *c, struct virtio_keys *keys, const char *what)
{
    /* Only on PCI does Linux let a display adapter take over from a framebuffer. */
    bool is_gpu = keys == &c->gpu.virtio;
    const struct virtio_keys defaults = {is_gpu ? TRANSPORT_PCI : TRANSPORT_MMIO, RING_SPLIT,
                                         ON_OFF_OFF, VIRTIO_QUEUE_SIZE_DEFAULT, ""};
    return resolve_by(c, keys, what, &defaults);
}

/*
 * What the server does takes milliseconds now and then, for which no other device waits: unless the
 * user says otherwise a share has a thread of its own.
 */
static int resolve_share(struct vm_config *c, unsigned index)
{
    static const struct virtio_keys defaults = {TRANSPORT_MMIO, RING_SPLIT, ON_OFF_OFF,
                                                VIRTIO_FS_QUEUE_SIZE, ""};
    struct share_config *share = &c->shares[index];
    char what[512];
    snprintf(what, sizeof(what), "--share %s", share->path);
    int r = resolve_by(c, &share->virtio, what, &defaults);
    if (share->kind == SHARE_DIR && share->virtio.iothread[0] == '\0')
        snprintf(share->virtio.iothread, sizeof(share->virtio.iothread), "share%u", index);
    return r;
}

static int check_vsock(const struct vm_config *c)
{
    const struct vsock_config *vsock = vsock_config_of(c);
    if (c->vsock.on && vsock->path == NULL && !vsock->vhost)
        return fail_msg(-EINVAL,
                        "--vsock on: has no path; say --vsock on,path=PATH (or vhost=on,cid=N, "
                        "for AF_VSOCK sockets of the host's kernel)");
    if (vsock->path != NULL && vsock->vhost)
        return fail_msg(-EINVAL,
                        "--vsock on: path=%s and vhost=on: with vhost=on processes of the "
                        "host have AF_VSOCK sockets, and no path",
                        vsock->path);
    return 0;
}

int config_resolve_virtio(struct vm_config *c)
{
    if (c->console_virtio.iothread[0] != '\0')
        return fail_msg(-EINVAL, "--console virtio: iothread: the terminal is the main thread's; "
                                 "give iothread to disks or --rng on");
    if (c->gpu.virtio.iothread[0] != '\0')
        return fail_msg(-EINVAL, "--gpu on: iothread: the display is the main thread's; give "
                                 "iothread to disks or --rng on");
    if (c->balloon.virtio.iothread[0] != '\0')
        return fail_msg(-EINVAL, "--balloon on: iothread: the balloon is the main thread's; give "
                                 "iothread to disks or --rng on");
    int r = check_vsock(c);
    if (r == 0)
        r = check_input(&c->input);
    if (r == 0)
        r = resolve(c, &c->input.virtio, "--input");
    if (r == 0)
        r = resolve(c, &c->console_virtio, "--console");
#define VIRTIO_SWITCH(kind, usual) \
    if (r == 0)                    \
        r = resolve(c, &c->kind.virtio, "--" #kind);
#include "virtio/devices.def"
    for (unsigned i = 0; r == 0 && i < c->net_count; i++) {
        char what[512];
        snprintf(what, sizeof(what), "--net %s", c->nets[i].text);
        r = resolve(c, &c->nets[i].virtio, what);
        if (c->nets[i].pairs == 0)
            c->nets[i].pairs = 1;
    }
    for (unsigned i = 0; r == 0 && i < c->share_count; i++)
        r = resolve_share(c, i);
    for (unsigned i = 0; r == 0 && i < c->disk_count; i++) {
        char what[512];
        snprintf(what, sizeof(what), "--disk %s", c->disks[i].path);
        r = resolve(c, &c->disks[i].virtio, what);
        if (c->disks[i].queues == 0)
            c->disks[i].queues = c->cpus;
        if (r == 0)
            r = config_check_disk_threads(&c->disks[i]);
    }
    return r;
}

/* A recording is what one thread has seen, in its order. */
int config_check_record(const struct vm_config *c)
{
    const char *why = NULL;
    if (c->record == NULL)
        return 0;
    if (c->reboot_restart)
        why = "--reboot restart: a recording is of one run";
    if (c->vsock.on)
        why = "--vsock: what its processes do is not recorded";
    if (c->share_count > 0)
        why = "--share: what is in its files is not recorded; leave one of them out";
    if (c->port_count > 0)
        why = "--port: what comes from there is not recorded";
    if (c->command != NULL)
        why = "a command: its streams are not recorded";
    if (c->clock.on)
        why = "--clock: the host's time is not recorded";
#define VIRTIO_SWITCH(kind, usual)          \
    if (c->kind.virtio.iothread[0] != '\0') \
        why = "iothread: all devices are served by one thread";
#include "virtio/devices.def"
    for (unsigned i = 0; i < c->net_count; i++) {
        if (c->nets[i].virtio.iothread[0] != '\0')
            why = "iothread: all devices are served by one thread";
        if (c->nets[i].vhost || c->nets[i].kind == NET_VHOST_USER)
            why = "vhost: such a network card is served elsewhere";
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        const struct disk_config *d = &c->disks[i];
        if (d->virtio.iothread[0] != '\0')
            why = "iothread: all devices are served by one thread";
        if (d->kind == DISK_VHOST_USER || (d->format != NULL && strcmp(d->format, "raw") != 0))
            why = "vhost-user, format: such a disk is served elsewhere";
    }
    return why == NULL ? 0 : fail_msg(-EINVAL, "--record does not go with %s", why);
}
