// SPDX-License-Identifier: BSD-2-Clause
/* QEMU's disks and network cards in Minivet's words: -drive, -hda, -netdev, -nic, -device. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/config/config_words.h"

/* What a key is here: "" is what comes first, NULL is for nothing; others are the same. */
struct key_map {
    const char *from, *to;
};

static const struct key_map drive_keys[] = {
    {"file", ""},      {"readonly", "ro"}, {"read-only", "ro"}, {"if", NULL},
    {"id", NULL},      {"index", NULL},    {"media", NULL},     {"aio", NULL},
    {"discard", NULL}, {"bus", NULL},      {"unit", NULL},      {NULL, NULL},
};
static const struct key_map net_keys[] = {
    {"id", NULL},       {"ifname", "tap="}, {"script", NULL},      {"downscript", NULL},
    {"fd", "fd="},      {"fds", "fd="},     {"listen", "listen="}, {"connect", "connect="},
    {"macaddr", "mac"}, {"model", NULL},    {NULL, NULL},
};
static const struct key_map device_keys[] = {
    {"drive", NULL},          {"netdev", NULL},    {"id", NULL},      {"bus", NULL},
    {"addr", NULL},           {"bootindex", NULL}, {"mq", NULL},      {"disable-legacy", NULL},
    {"disable-modern", NULL}, {"vectors", NULL},   {"romfile", NULL}, {"num-queues", "queues"},
    {"host_mtu", "mtu"},      {NULL, NULL},
};

static const struct key_map *find_key(const struct key_map *map, const char *item)
{
    size_t length = strcspn(item, "=");
    while (map->from != NULL &&
           (strlen(map->from) != length || strncmp(map->from, item, length) != 0))
        map++;
    return map->from != NULL ? map : NULL;
}

/* The value of a key in a list, to be freed; NULL: it has none. */
static char *value_of(const char *list, const char *key)
{
    char *copy = strdup(list), *rest = copy, *found = NULL;
    for (const char *item; found == NULL && (item = config_next_item(&rest)) != NULL;) {
        const char *value = config_value_of(item, key);
        found = value != NULL ? strdup(value) : NULL;
    }
    free(copy);
    return found;
}

static bool has(const char *list, const char *key, const char *expected)
{
    char *value = value_of(list, key);
    bool is = value != NULL && strcmp(value, expected) == 0;
    free(value);
    return is;
}

static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fputs(*text == ',' ? ",," : (const char[]){*text, '\0'}, out);
}

/* The first item, which a key that maps to one beginning with it names: "" or "tap=". */
static void put_first(FILE *out, const struct key_map *map, const char *list)
{
    char *copy = strdup(list), *rest = copy;
    for (const char *item; (item = config_next_item(&rest)) != NULL;) {
        const struct key_map *key = find_key(map, item);
        const char *value = strchr(item, '=');
        if (key == NULL || key->to == NULL || value == NULL ||
            (key->to[0] != '\0' && strchr(key->to, '=') == NULL))
            continue;
        fputs(key->to, out);
        put_text(out, value + 1);
        break;
    }
    free(copy);
}

/* All other items. */
static void put_rest(FILE *out, const struct key_map *map, const char *list)
{
    char *copy = strdup(list), *rest = copy;
    for (const char *item; (item = config_next_item(&rest)) != NULL;) {
        const struct key_map *key = find_key(map, item);
        const char *value = strchrnul(item, '=');
        bool has_gone =
            key != NULL && (key->to == NULL || key->to[0] == '\0' || strchr(key->to, '=') != NULL);
        if (has_gone || item[0] == '\0')
            continue;
        fprintf(out, ",%.*s", (int)(key != NULL ? strlen(key->to) : (size_t)(value - item)),
                key != NULL ? key->to : item);
        put_text(out, value);
    }
    free(copy);
}

/* The value of another option of that name whose id is this; NULL: there is none. */
static const char *by_id(const struct config_words *w, const char *option, const char *key,
                         const char *id)
{
    for (int i = 1; i + 1 < w->argc; i++) {
        const char *word = w->argv[i];
        word += strspn(word, "-");
        if (word != w->argv[i] && strcmp(word, option) == 0 && has(w->argv[i + 1], key, id))
            return w->argv[i + 1];
    }
    return NULL;
}

/* ---- disks ---- */

static int put_disk(struct config_words *w, const char *drive, const char *device, const char *more)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return fail(-ENOMEM, "-drive %s", drive);
    put_first(out, drive_keys, drive);
    put_rest(out, drive_keys, drive);
    fputs(has(drive, "media", "cdrom") ? ",ro" : "", out);
    fputs(has(drive, "if", "scsi") ? ",type=scsi" : "", out);
    put_rest(out, device_keys, device);
    fputs(more, out);
    fclose(out);
    return config_words_put(w, "disk", text);
}

int config_qemu_drive(struct config_words *w, const char *value)
{
    char *file = value_of(value, "file"), *id = value_of(value, "id"),
         *interface = value_of(value, "if");
    int kind = interface != NULL ? schema_word("ide|virtio|scsi|none", interface) : 0;
    int r = 0;
    if (file == NULL)
        r = fail_msg(-EINVAL, "-drive %s: give file=NAME, or say --disk NAME", value);
    else if (kind < 0)
        r = fail_msg(-EINVAL, "-drive %s: disks are if=virtio or if=scsi; or say --disk %s", value,
                     file);
    else if (kind == 3 && (id == NULL || by_id(w, "device", "drive", id) == NULL))
        r = fail_msg(-EINVAL, "-drive %s: no -device has it; say --disk %s instead", value, file);
    else if (kind == 0)
        w->ide = value;
    free(file);
    free(id);
    free(interface);
    return r < 0 || kind == 3 ? r : put_disk(w, value, "", "");
}

int config_qemu_hd(struct config_words *w, const char *value)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return fail(-ENOMEM, "-hda %s", value);
    w->ide = value;
    put_text(out, value);
    fclose(out);
    return config_words_put(w, "disk", text);
}

/* ---- network cards ---- */

static int put_net(struct config_words *w, const char *netdev, const char *device, const char *more)
{
    char *copy = strdup(netdev), *rest = copy, *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (copy == NULL || out == NULL) {
        free(copy);
        return fail(-ENOMEM, "-netdev %s", netdev);
    }
    const char *kind = config_next_item(&rest);
    const char *keys = rest != NULL ? rest : "";
    if (schema_word("tap|socket|stream", kind) < 0)
        put_text(out, kind);
    else
        put_first(out, net_keys, keys);
    put_rest(out, net_keys, keys);
    put_rest(out, device_keys, device);
    fputs(more, out);
    fclose(out);
    free(copy);
    return config_words_put(w, "net", text);
}

/* QEMU runs a script for each tap unless it is told not to. */
static int check_netdev(const char *option, const char *value)
{
    bool is_tap = strncmp(value, "tap", 3) == 0;
    char *script = value_of(value, "script"), *name = value_of(value, "ifname"),
         *fd = value_of(value, "fd"), *fds = value_of(value, "fds");
    int r = 0;
    if (is_tap && script != NULL && strcmp(script, "no") != 0)
        r = fail_msg(-EINVAL, "%s %s: no script is run; make the tap and give --net tap=NAME",
                     option, value);
    else if (is_tap && name == NULL && fd == NULL && fds == NULL)
        r = fail_msg(-EINVAL, "%s %s: give ifname=NAME, or say --net tap=NAME", option, value);
    free(script);
    free(name);
    free(fd);
    free(fds);
    return r;
}

int config_qemu_netdev(struct config_words *w, const char *value)
{
    char *id = value_of(value, "id");
    bool used = id != NULL && by_id(w, "device", "netdev", id) != NULL;
    free(id);
    if (used)
        return check_netdev("-netdev", value);
    return fail_msg(-EINVAL, "-netdev %s: no -device has it; say --net KIND[,KEY...] instead",
                    value);
}

int config_qemu_nic(struct config_words *w, const char *value)
{
    char *model = value_of(value, "model");
    int r = check_netdev("-nic", value);
    if (r == 0 && model != NULL && strncmp(model, "virtio", 6) != 0)
        r = fail_msg(-EINVAL, "-nic model=%s: cards are virtio-net: --net KIND[,KEY...]", model);
    free(model);
    return r < 0 ? r : put_net(w, value, "", "");
}

/* ---- devices ---- */

static int put_by_id(struct config_words *w, const char *list, const char *key, const char *more)
{
    bool is_disk = strcmp(key, "drive") == 0;
    char *id = value_of(list, key);
    const char *found = id != NULL ? by_id(w, is_disk ? "drive" : "netdev", "id", id) : NULL;
    free(id);
    if (found == NULL)
        return fail_msg(-EINVAL, "-device %s: no -%s has the id that it names; say %s", list,
                        is_disk ? "drive" : "netdev", is_disk ? "--disk FILE" : "--net KIND");
    const char *keys = strchrnul(list, ',');
    keys += *keys == ',';
    return is_disk ? put_disk(w, found, keys, more) : put_net(w, found, keys, more);
}

int config_qemu_device(struct config_words *w, const char *value)
{
    char model[32];
    snprintf(model, sizeof(model), "%.*s", (int)strcspn(value, ","), value);
    const char *transport = strstr(model, "-pci") != NULL      ? ",transport=pci"
                            : strstr(model, "-device") != NULL ? ",transport=mmio"
                                                               : "";
    if (strncmp(model, "virtio-blk", 10) == 0)
        return put_by_id(w, value, "drive", transport);
    if (strcmp(model, "scsi-hd") == 0)
        return put_by_id(w, value, "drive", ",type=scsi");
    if (strncmp(model, "virtio-net", 10) == 0)
        return put_by_id(w, value, "netdev", transport);
    if (strncmp(model, "virtio-rng", 10) == 0) {
        char *text = NULL;
        return config_words_put(w, "rng", asprintf(&text, "on%s", transport) < 0 ? NULL : text);
    }
    /* A scsi-hd has its host, and the others are there. */
    if (strncmp(model, "virtio-scsi", 11) == 0 || strncmp(model, "pvpanic", 7) == 0 ||
        (strcmp(model, "isa-debug-exit") == 0 && has(value, "iobase", "0xf4")))
        return 0;
    if (strncmp(model, "virtio-serial", 13) == 0 || strcmp(model, "virtconsole") == 0)
        return config_words_refuse("-device", "say --console virtio");
    if (strcmp(model, "isa-debug-exit") == 0)
        return config_words_refuse("-device", "the debug exit is at iobase=0xf4");
    return fail_msg(
        -EINVAL, "-device %s: no such device; there are --disk, --net, --console and --rng", value);
}
