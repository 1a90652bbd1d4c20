// SPDX-License-Identifier: BSD-2-Clause
/* Options of virtio devices: the keys that all of them take, and --features. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"
#include "virtio/base/features.h"
#include "virtio/spec.h"
#include "vmm/config/config.h"
#include "vmm/config/config_words.h"

int config_word(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
    }
    return -1;
}

static const char *const transports[] = {"mmio", "pci", NULL};
static const char *const rings[] = {"split", "packed", NULL};
static const char *const on_off[] = {"on", "off", NULL};
const char *const config_switches[] = {"off", "on", NULL};

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

static const struct config_key key_rows[] = {
    CONFIG_KEY("transport", "mmio or pci", struct virtio_keys, transport, transports,
               TRANSPORT_MMIO, 0),
    CONFIG_KEY("ring", "split or packed", struct virtio_keys, ring, rings, RING_SPLIT, 0),
    CONFIG_KEY("legacy", "on or off", struct virtio_keys, legacy, on_off, ON_OFF_ON, 0),
    CONFIG_KEY("queue-size", "a number from 4 to 32768", struct virtio_keys, queue_size, NULL,
               QUEUE_SIZE_MIN, VIRTQ_MAX_SIZE),
    {"iothread", "names such as a:b, each of up to 15 letters, digits, - and _",
     .set = set_iothread},
};

/* What follows "name=" in key, or NULL. */
const char *config_value_of(const char *key, const char *name)
{
    size_t length = strlen(name);
    return strncmp(key, name, length) == 0 && key[length] == '=' ? key + length + 1 : NULL;
}

static int set_member(const struct config_key *key, void *into, const char *value)
{
    uint64_t number;
    if (key->set != NULL)
        return key->set(into, value);
    if (key->words != NULL) {
        int word = config_word(key->words, value);
        if (word < 0)
            return -EINVAL;
        number = key->min + (unsigned)word;
    } else if (key->max == 0) {
        if (config_parse_duration(value, &number) < 0)
            return -EINVAL;
    } else if (config_parse_size(value, 1, &number) < 0 || number < key->min || number > key->max) {
        return -EINVAL;
    }
    void *at = (char *)into + key->offset;
    if (key->bytes == sizeof(uint64_t))
        *(uint64_t *)at = number;
    else if (key->bytes == sizeof(uint32_t))
        *(uint32_t *)at = (uint32_t)number;
    else
        *(bool *)at = number != 0;
    return 0;
}

int config_key(const struct config_key *keys, unsigned count, void *into, const char *key,
               const char *what)
{
    for (unsigned i = 0; i < count; i++) {
        const char *value = config_value_of(key, keys[i].name);
        if (value == NULL && strcmp(key, keys[i].name) != 0)
            continue;
        if (value == NULL || set_member(&keys[i], into, value) < 0)
            return fail_msg(-EINVAL, "%s: %s: %s= takes %s", what, key, keys[i].name,
                            keys[i].expected);
        return 1;
    }
    return 0;
}

int config_add_words(char *list, size_t size, const char *words)
{
    size_t used = strlen(list);
    if (used + strlen(words) + 2 > size)
        return -EINVAL;
    if (used > 0)
        list[used++] = ',';
    memcpy(list + used, words, strlen(words) + 1);
    return 0;
}

int config_virtio_key(struct virtio_keys *keys, const char *key, const char *what)
{
    return config_key(key_rows, ARRAY_SIZE(key_rows), keys, key, what);
}

static int refuse_key(const struct config_key *own, const char *key, const char *what)
{
    char known[512];
    int used = 0;
    for (; own != NULL && own->name != NULL && used < (int)sizeof(known) / 2; own++)
        used += snprintf(known + used, sizeof(known) - (size_t)used, "%s=%s, ", own->name,
                         own->expected);
    snprintf(known + used, sizeof(known) - (size_t)used, "%s", CONFIG_VIRTIO_KEYS);
    return config_unknown_key(what, key, known);
}

int config_virtio_list(struct virtio_keys *keys, const struct config_key *own, void *into,
                       const char *list, const char *what)
{
    unsigned own_count = 0;
    while (own != NULL && own[own_count].name != NULL)
        own_count++;
    char *copy = strdup(list);
    if (copy == NULL)
        return fail(-ENOMEM, "%s", what);
    int r = config_check_twice(what, list) < 0 ? -EINVAL : 1;
    char *rest = copy;
    for (const char *key = config_next_item(&rest); key != NULL && r > 0;
         key = config_next_item(&rest)) {
        r = config_virtio_key(keys, key, what);
        if (r == 0)
            r = config_key(own, own_count, into, key, what);
        if (r == 0)
            r = refuse_key(own, key, what);
    }
    free(copy);
    return r > 0 ? 0 : r;
}

int config_set_virtio(struct vm_config *c, const char *value)
{
    return config_virtio_list(&c->virtio, NULL, NULL, value, "--virtio");
}

int config_set_switch(struct switch_config *c, const struct config_key *own, const char *name,
                      const char *value)
{
    char what[64];
    c->on = strcmp(value, "off") != 0;
    if (!c->on || strcmp(value, "on") == 0)
        return 0;
    if (strncmp(value, "on,", 3) != 0)
        return fail_msg(-EINVAL, "--%s %s: give on, on,KEY... or off", name, value);
    snprintf(what, sizeof(what), "--%s on", name);
    return config_virtio_list(&c->virtio, own, c->own, value + 3, what);
}

static int set_feature(struct vm_config *c, const char *item)
{
    int bit = item[0] == '+' || item[0] == '-' ? virtio_feature_by_name(item + 1) : -1;
    if (bit < 0) {
        char names[256] = "";
        for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++) {
            strcat(names, f == virtio_feature_names ? "" : ", ");
            strcat(names, f->name);
        }
        return fail_msg(-EINVAL, "--features %s: give + or - and one of: %s", item, names);
    }
    uint64_t mask = VIRTIO_BIT(bit);
    uint64_t *to = item[0] == '+' ? &c->features_on : &c->features_off;
    uint64_t *from = item[0] == '+' ? &c->features_off : &c->features_on;
    *to |= mask;
    *from &= ~mask;
    return 0;
}

int config_set_features(struct vm_config *c, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return fail(-ENOMEM, "--features");
    int r = 0;
    char *rest = copy;
    for (const char *item = config_next_item(&rest); item != NULL && r == 0;
         item = config_next_item(&rest))
        r = set_feature(c, item);
    free(copy);
    return r;
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
static int resolve(struct vm_config *c, struct virtio_keys *keys, const char *what)
{
    static const struct virtio_keys defaults = {TRANSPORT_MMIO, RING_SPLIT, ON_OFF_OFF,
                                                VIRTIO_QUEUE_SIZE_DEFAULT, ""};
    const struct virtio_keys *from[] = {&c->virtio, &defaults};
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

int config_resolve_virtio(struct vm_config *c)
{
    if (c->console_virtio.iothread[0] != '\0')
        return fail_msg(-EINVAL, "--console virtio: iothread: the terminal is the main thread's; "
                                 "give iothread to disks or --rng on");
    int r = resolve(c, &c->console_virtio, "--console");
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
