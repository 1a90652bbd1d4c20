// SPDX-License-Identifier: BSD-2-Clause
/* QEMU's devices in Minivet's words: -drive, -hda, -netdev, -nic, -device. */
#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/config/config_words.h"

#define DROPPED                                                                         \
    "if|id|index|media|aio|discard|bus|unit|script|downscript|model|drive|netdev|addr|" \
    "bootindex|mq|disable-legacy|disable-modern|vectors|romfile"

/* What a key is here; others are the same, or dropped. */
static const struct {
    const char *from, *to;
} key_map[] = {
    {"readonly", "ro"}, {"read-only", "ro"},      {"ifname", "tap"},   {"fds", "fd"},
    {"macaddr", "mac"}, {"num-queues", "queues"}, {"host_mtu", "mtu"},
};

/* A value's items as an object: those without a '=' are true. NULL: reported. */
static cJSON *cut(const char *value)
{
    char *copy = strdup(value), *rest = copy;
    cJSON *items = cJSON_CreateObject();
    if (copy == NULL || items == NULL) {
        fail(-ENOMEM, "%s", value);
        cJSON_Delete(items);
        items = NULL;
    }
    for (char *item; items != NULL && (item = config_next_item(&rest)) != NULL;) {
        char *text = strchr(item, '=');
        if (text != NULL)
            *text++ = '\0';
        cJSON_AddItemToObject(items, item,
                              text != NULL ? cJSON_CreateString(text) : cJSON_CreateTrue());
    }
    free(copy);
    return items;
}

/* NULL: there is none. */
static const char *text_of(const cJSON *items, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(items, key));
}

static bool has(const cJSON *items, const char *key, const char *text)
{
    const char *is = text_of(items, key);
    return is != NULL && text != NULL && strcmp(is, text) == 0;
}

/* All but the kind or model that items may begin with. */
static void take_keys(cJSON *list, const cJSON *items, bool after_first)
{
    const cJSON *item = items->child;
    if (after_first && item != NULL)
        item = item->next;
    for (; item != NULL; item = item->next) {
        const char *name = item->string;
        for (unsigned i = 0; i < ARRAY_SIZE(key_map); i++)
            if (strcmp(key_map[i].from, item->string) == 0)
                name = key_map[i].to;
        if (name[0] != '\0' && schema_word(DROPPED, name, strlen(name)) < 0)
            cJSON_AddItemToObject(list, name, cJSON_Duplicate(item, false));
    }
}

/* The value of an option of that name which has this key; NULL: there is none. To be deleted. */
static cJSON *find(const struct config_words *w, const char *option, const char *key,
                   const char *text)
{
    for (int i = 1; text != NULL && i + 1 < w->argc; i++) {
        const char *word = w->argv[i] + strspn(w->argv[i], "-");
        if (word == w->argv[i] || strcmp(word, option) != 0)
            continue;
        cJSON *items = cut(w->argv[i + 1]);
        if (items == NULL || has(items, key, text))
            return items;
        cJSON_Delete(items);
    }
    return NULL;
}

static bool is_used(const struct config_words *w, const cJSON *items, const char *key)
{
    cJSON *device = find(w, "device", key, text_of(items, "id"));
    cJSON_Delete(device);
    return device != NULL;
}

/* A list of what is in both; device: NULL for none. */
static int put(struct config_words *w, const char *name, const cJSON *items, const cJSON *device,
               const char *transport)
{
    const struct schema_key *option = config_find_option(name, strlen(name));
    bool is_disk = strcmp(name, "disk") == 0;
    cJSON *list = cJSON_CreateObject();
    int r = 0;
    if (!is_disk &&
        schema_word("tap|socket|stream", items->child->string, strlen(items->child->string)) < 0)
        r = config_add_first(option, list, items->child->string);
    take_keys(list, items, !is_disk);
    if (has(items, "media", "cdrom"))
        cJSON_AddTrueToObject(list, "ro");
    if (has(items, "if", "scsi") ||
        (device != NULL && strcmp(device->child->string, "scsi-hd") == 0))
        cJSON_AddStringToObject(list, "type", "scsi");
    if (device != NULL)
        take_keys(list, device, true);
    if (transport != NULL)
        cJSON_AddStringToObject(list, "transport", transport);
    if (r == 0)
        return config_put_list(w, option, list);
    cJSON_Delete(list);
    return r;
}

static int drive(struct config_words *w, const char *value, const cJSON *items)
{
    const char *file = text_of(items, "file"), *interface = text_of(items, "if");
    int kind =
        interface != NULL ? schema_word("ide|virtio|scsi|none", interface, strlen(interface)) : 0;
    if (file == NULL)
        return fail_msg(-EINVAL, "-drive %s: give file=NAME, or say --disk NAME", value);
    if (kind < 0)
        return fail_msg(-EINVAL, "-drive %s: disks are if=virtio or if=scsi; or say --disk %s",
                        value, file);
    if (kind == 3)
        return is_used(w, items, "drive") ? 0
                                          : fail_msg(-EINVAL,
                                                     "-drive %s: no -device has it; say --disk %s "
                                                     "instead",
                                                     value, file);
    if (kind == 0)
        w->ide = value;
    return put(w, "disk", items, NULL, NULL);
}

/* Its name may have commas. */
static int hd(struct config_words *w, const char *value, const cJSON *items)
{
    (void)items;
    cJSON *file = cJSON_CreateObject();
    cJSON_AddStringToObject(file, "file", value);
    w->ide = value;
    int r = put(w, "disk", file, NULL, NULL);
    cJSON_Delete(file);
    return r;
}

static int snapshot(struct config_words *w, const char *value, const cJSON *items)
{
    (void)value;
    (void)items;
    w->snapshot = true;
    return 0;
}

/* QEMU runs a script for each tap unless it is told not to. */
static int check_netdev(const char *option, const char *value, const cJSON *items)
{
    const char *script = text_of(items, "script");
    if (strcmp(items->child->string, "tap") != 0)
        return 0;
    if (script != NULL && strcmp(script, "no") != 0)
        return fail_msg(-EINVAL, "%s %s: no script is run; make the tap and give --net tap=NAME",
                        option, value);
    if (text_of(items, "ifname") == NULL && text_of(items, "fd") == NULL &&
        text_of(items, "fds") == NULL)
        return fail_msg(-EINVAL, "%s %s: give ifname=NAME, or say --net tap=NAME", option, value);
    return 0;
}

static int netdev(struct config_words *w, const char *value, const cJSON *items)
{
    if (is_used(w, items, "netdev"))
        return check_netdev("-netdev", value, items);
    return fail_msg(-EINVAL, "-netdev %s: no -device has it; say --net KIND[,KEY...] instead",
                    value);
}

static int nic(struct config_words *w, const char *value, const cJSON *items)
{
    const char *model = text_of(items, "model");
    int r = check_netdev("-nic", value, items);
    if (r == 0 && model != NULL && strncmp(model, "virtio", 6) != 0)
        r = fail_msg(-EINVAL, "-nic model=%s: cards are virtio-net: --net KIND[,KEY...]", model);
    return r < 0 ? r : put(w, "net", items, NULL, NULL);
}

/* ---- devices ---- */

static int put_by_id(struct config_words *w, const char *value, const cJSON *device,
                     const char *key, const char *transport)
{
    bool is_disk = strcmp(key, "drive") == 0;
    cJSON *items = find(w, key, "id", text_of(device, key));
    if (items == NULL)
        return fail_msg(-EINVAL, "-device %s: no -%s has the id that it names; say %s", value, key,
                        is_disk ? "--disk FILE" : "--net KIND");
    int r = put(w, is_disk ? "disk" : "net", items, device, transport);
    cJSON_Delete(items);
    return r;
}

/* A device that needs no other option. */
static int put_alone(struct config_words *w, const char *option, const char *first,
                     const char *transport)
{
    char text[160];
    snprintf(text, sizeof(text), "%s%s%s", first, transport != NULL ? ",transport=" : "",
             transport != NULL ? transport : "");
    return config_put(w, config_find_option(option, strlen(option)), text);
}

/* A GPU has QEMU's size and monitors, and no 3D. */
static int put_gpu(struct config_words *w, const char *value, const cJSON *items,
                   const char *transport)
{
    const char *width = text_of(items, "xres"), *height = text_of(items, "yres");
    const char *outputs = text_of(items, "max_outputs");
    char text[128];
    if (strstr(items->child->string, "-gl") != NULL || strstr(items->child->string, "rutabaga"))
        return fail_msg(-EINVAL, "-device %s: there is no 3D: say --gpu on", value);
    if ((width == NULL) != (height == NULL))
        return fail_msg(-EINVAL, "-device %s: give xres and yres, or say --gpu on,size=WxH", value);
    int len =
        snprintf(text, sizeof(text), "on%s%s%s%s%s%s", width != NULL ? ",size=" : "",
                 width != NULL ? width : "", width != NULL ? "x" : "", width != NULL ? height : "",
                 outputs != NULL ? ",outputs=" : "", outputs != NULL ? outputs : "");
    if (len >= (int)sizeof(text))
        return fail_msg(-EINVAL, "-device %s: say --gpu on,size=WxH,outputs=N", value);
    return put_alone(w, "gpu", text, transport);
}

static int uuid(struct config_words *w, const char *value, const cJSON *items)
{
    char text[160];
    (void)items;
    snprintf(text, sizeof(text), "uuid=%s", value);
    return put_alone(w, "smbios", text, NULL);
}

static int fw_cfg(struct config_words *w, const char *value, const cJSON *items)
{
    size_t prefix = strncmp(value, "name=", 5) == 0 ? 5 : 0;
    (void)items;
    return config_put(w, config_find_option("fw-cfg", strlen("fw-cfg")), value + prefix);
}

static int vga(struct config_words *w, const char *value, const cJSON *items)
{
    (void)items;
    return strcmp(value, "none") == 0 ? 0 : put_alone(w, "gpu", "on", NULL);
}

static int vnc(struct config_words *w, const char *value, const cJSON *items)
{
    char text[300];
    if (strcmp(value, "none") == 0)
        return 0;
    if (items->child->next != NULL || strlen(value) > 256)
        return fail_msg(-EINVAL, "-vnc %s: say --display vnc=ADDR[,password=FILE]", value);
    snprintf(text, sizeof(text), "vnc=%s", value);
    return config_put(w, config_find_option("display", 7), text);
}

/* What --input calls such a device; NULL: it is no input device. */
static const char *input_of(const char *model)
{
    static const struct {
        const char *begins, *input;
    } rows[] = {{"virtio-keyboard", "keyboard"},
                {"virtio-mouse", "mouse"},
                {"virtio-tablet", "tablet"},
                {"virtio-multitouch", "touch"}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (strncmp(model, rows[i].begins, strlen(rows[i].begins)) == 0)
            return rows[i].input;
    return NULL;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int device(struct config_words *w, const char *value, const cJSON *items)
{
    const char *model = items->child->string;
    const char *transport = strstr(model, "-pci") != NULL      ? "pci"
                            : strstr(model, "-device") != NULL ? "mmio"
                                                               : NULL;
    bool is_exit = strcmp(model, "isa-debug-exit") == 0;
    if (begins(model, "virtio-blk") || strcmp(model, "scsi-hd") == 0)
        return put_by_id(w, value, items, "drive", transport);
    if (begins(model, "virtio-net"))
        return put_by_id(w, value, items, "netdev", transport);
    if (begins(model, "virtio-rng"))
        return put_alone(w, "rng", "on", transport);
    if (begins(model, "virtio-gpu") || begins(model, "virtio-vga"))
        return put_gpu(w, value, items, begins(model, "virtio-vga") ? "pci" : transport);
    if (begins(model, "virtio-rtc"))
        return put_alone(w, "clock", "on", transport);
    if (begins(model, "virtio-balloon"))
        return put_alone(w, "balloon", "on", transport);
    if (begins(model, "vhost-vsock") || begins(model, "vhost-user-vsock"))
        return config_words_refuse("-device",
                                   "a socket device is --vsock on,path=PATH,cid=N, served by "
                                   "Minivet itself, or --vsock on,vhost=on,cid=N");
    if (begins(model, "vhost-user-fs") || begins(model, "virtio-9p"))
        return config_words_refuse("-device",
                                   "a directory is --share DIR,tag=NAME, a virtiofsd --share "
                                   "vhost-user=SOCKET,tag=NAME");
    if (input_of(model) != NULL)
        return put_alone(w, "input", input_of(model), transport);
    /* A scsi-hd has its host, and the others are there. */
    if (begins(model, "virtio-scsi") || begins(model, "pvpanic") ||
        (is_exit && has(items, "iobase", "0xf4")))
        return 0;
    if (strcmp(model, "virtserialport") == 0)
        return config_words_refuse(
            "-device", "a port is --port NAME,KEY, such as --console virtio --port a,listen=PATH");
    if (strcmp(model, "i6300esb") == 0 || strcmp(model, "ib700") == 0)
        return config_words_refuse("-device", "a watchdog is --watchdog on");
    if (begins(model, "virtio-serial") || strcmp(model, "virtconsole") == 0)
        return config_words_refuse("-device", "say --console virtio");
    if (is_exit)
        return config_words_refuse("-device", "the debug exit is at iobase=0xf4");
    return fail_msg(
        -EINVAL,
        "-device %s: no such device; there are --disk, --net, --share, --console, --gpu, --input, "
        "--balloon and --rng",
        value);
}

int config_qemu(struct config_words *w, const char *option, const char *value)
{
    static const struct {
        const char *option;
        int (*put)(struct config_words *w, const char *value, const cJSON *items);
    } rows[] = {{"drive", drive},  {"hda", hd},        {"netdev", netdev},
                {"nic", nic},      {"device", device}, {"snapshot", snapshot},
                {"vga", vga},      {"vnc", vnc},       {"uuid", uuid},
                {"fw_cfg", fw_cfg}};
    cJSON *items = cut(value != NULL ? value : "");
    int r = items == NULL ? -ENOMEM : 0;
    for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].option, option) == 0)
            r = rows[i].put(w, value, items);
    cJSON_Delete(items);
    return r;
}
