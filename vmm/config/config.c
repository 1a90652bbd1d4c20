// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/config.h"

#include <cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "vmm/config/options.h"

const char *config_keep(struct vm_config *config, const char *fmt, ...)
{
    char *text = NULL;
    cJSON *item = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) >= 0) {
        item = cJSON_CreateString(text);
        free(text);
    }
    va_end(args);
    if (item != NULL && cJSON_AddItemToArray(config->texts, item))
        return item->valuestring;
    cJSON_Delete(item);
    fail(-ENOMEM, "options");
    return NULL;
}

const char *config_list_name(struct vm_config *c, const struct schema_key *option,
                             const struct cJSON *list)
{
    char name[CONFIG_NAME_BYTES];
    config_name_list(option, list, name);
    return config_keep(c, "%s", name + strlen("-- ") + strlen(option->name));
}

/* ---- values ---- */

int config_take_value(const struct schema_key *key, void *into, const cJSON *value,
                      const char *before)
{
    char number[32], expected[256];
    bool left_out = schema_is_optional(key) && cJSON_IsTrue(value);
    const char *text = left_out ? NULL : config_text_of(key, value, number);
    int r = text == NULL && !left_out ? -EINVAL : schema_set(key, into, text);
    if (r == 0)
        return 0;
    bool is_option = strcmp(before, "--") == 0 && !schema_is_optional(key);
    const char *sign = is_option ? " " : schema_sign(key);
    if (r == -E2BIG)
        return fail_msg(-EINVAL, "%s%s%s%s: at most %u of them", before, key->name, sign, text,
                        (unsigned)key->max);
    schema_expected(key, expected, sizeof(expected));
    return fail_msg(-EINVAL, "%s%s%s%s: give %s", before, key->name, text != NULL ? sign : "",
                    text != NULL ? text : "", expected);
}

static int take_values(const struct schema_key *key, void *into, const cJSON *value,
                       const char *before)
{
    const cJSON *item;
    int r = 0;
    if (!key->many || !cJSON_IsArray(value))
        return config_take_value(key, into, value, before);
    cJSON_ArrayForEach(item, value)
    {
        if (r == 0)
            r = config_take_value(key, into, item, before);
    }
    return r;
}

int config_take(const struct schema_key *option, void *into, const cJSON *list)
{
    const cJSON *member, *first;
    const struct schema_table *table = option->tables;
    char before[CONFIG_NAME_BYTES + 2];
    int index = config_first(option, list, &first), r = 0;
    config_name_list(option, list, before);
    strcat(before, ": ");
    if (first != NULL)
        r = config_take_value(&table->keys[index], into, first, before);
    cJSON_ArrayForEach(member, list)
    {
        if (r < 0 || member == first)
            continue;
        const struct schema_key *key =
            config_find_key(option, member->string, strlen(member->string), &table);
        if (table->only != NULL && (first == NULL || strcmp(first->string, table->only) != 0))
            return fail_msg(-EINVAL, "%s%s is for --%s %s", before, key->name, option->name,
                            table->only);
        r = take_values(key, (char *)into + table->base, member, before);
    }
    return r < 0 ? r : index;
}

static int apply_list(struct vm_config *c, const struct schema_key *option, const cJSON *list)
{
    static const struct {
        const struct schema_table *tables;
        int (*apply)(struct vm_config *c, const struct schema_key *option, const cJSON *list);
    } rows[] = {{config_disk_tables, config_apply_disk},
                {config_net_tables, config_apply_net},
                {config_share_tables, config_apply_share},
                {config_console_tables, config_apply_console},
                {config_port_tables, config_apply_port},
                {config_fw_cfg_tables, config_apply_fw_cfg},
                {config_watchdog_tables, config_apply_watchdog},
                {config_sandbox_tables, config_apply_sandbox},
                {config_root_tables, config_apply_root},
                {config_display_tables, config_apply_display}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].tables == option->tables)
            return rows[i].apply(c, option, list);
    }
    if (option->bytes == sizeof(struct switch_config))
        return config_apply_switch((void *)((char *)c + option->offset), option, list);
    return config_take(option, (char *)c + option->offset, list);
}

static int apply(struct vm_config *c, const struct schema_key *option, const cJSON *value)
{
    const cJSON *list;
    int r = 0;
    if (option->kind != SCHEMA_LIST)
        return take_values(option, c, value, "--");
    if (!cJSON_IsArray(value))
        return apply_list(c, option, value);
    cJSON_ArrayForEach(list, value)
    {
        if (r == 0)
            r = apply_list(c, option, list);
    }
    return r;
}

/* Writes go to files that are thrown away, whatever is said of a disk. */
static void snapshot_disks(cJSON *tree)
{
    cJSON *disk;
    cJSON_ArrayForEach(disk, cJSON_GetObjectItemCaseSensitive(tree, "disk"))
    {
        cJSON_DeleteItemFromObjectCaseSensitive(disk, "snapshot");
        cJSON_AddTrueToObject(disk, "snapshot");
    }
}

/* What tells two devices apart is different. */
static int check_names(const struct vm_config *c)
{
    for (unsigned i = 0; i < c->net_count; i++) {
        for (unsigned j = 0; j < i; j++)
            if (memcmp(c->nets[i].mac, c->nets[j].mac, NET_MAC_BYTES) == 0)
                return fail_msg(-EINVAL, "--net %s: has the address of --net %s; give another mac=",
                                c->nets[i].text, c->nets[j].text);
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        for (unsigned j = 0; j < i && c->disks[i].serial[0] != '\0'; j++)
            if (strcmp(c->disks[i].serial, c->disks[j].serial) == 0)
                return fail_msg(-EINVAL, "--disk %s: has the serial=%s of --disk %s; give another",
                                c->disks[i].path, c->disks[i].serial, c->disks[j].path);
    }
    return 0;
}

/* Not the room for disks and network cards: pages of it that are not used cost nothing. */
static void clear(struct vm_config *c)
{
    memset(c, 0, offsetof(struct vm_config, disks));
}

static int parse(struct vm_config *config, struct config_words *w)
{
    const cJSON *member;
    clear(config);
    config->given = cJSON_CreateObject();
    config->texts = cJSON_CreateArray();
    config->mem_bytes = 512 * MIB;
    config->cpus = 1;
#define VIRTIO_SWITCH(kind, usual) config->kind.on = (usual);
#include "virtio/devices.def"
    if (config->given == NULL || config->texts == NULL)
        return fail(-ENOMEM, "options");
    w->tree = config->given;
    int r = config_put_words(w);
    if (w->snapshot)
        snapshot_disks(w->tree);
    cJSON_ArrayForEach(member, w->tree)
    {
        if (r == 0)
            r = apply(config, config_find_option(member->string, strlen(member->string)), member);
    }
    for (const struct schema_key *o = config_options; o->name != NULL; o++)
        if (o->is_act)
            cJSON_DeleteItemFromObjectCaseSensitive(w->tree, o->name);
    config->has_json = w->has_json;
    config->has_smbios = cJSON_HasObjectItem(config->given, "smbios");
    if (r == 0 && config->marks[0] != NULL && !config->timeline)
        r = fail_msg(-EINVAL, "--mark %s: is for --timeline", config->marks[0]);
    if (r == 0 && config->log != NULL && config->console == CONSOLE_OFF)
        r = fail_msg(-EINVAL, "--log %s: there is no console; leave --console off out",
                     config->log);
    if (r == 0)
        r = check_names(config);
    config->command = cJSON_GetObjectItemCaseSensitive(config->given, "command");
    config->env = cJSON_GetObjectItemCaseSensitive(config->given, "env");
    if (r == 0 && config->root.path != NULL && config->command == NULL)
        r = config_add_shell(config);
    if (r == 0)
        r = config_check_command(config);
    if (r == 0)
        r = config_check_ports(config);
    config_resolve_display(config);
    if (r == 0)
        r = config_resolve_shares(config);
    if (r == 0)
        r = config_resolve_virtio(config);
    if (r == 0)
        r = config_check_record(config);
    if (r == 0 && w->ide != NULL)
        log_warn("%s: is a virtio disk: vda or the like in the guest, not sda", w->ide);
    return r;
}

int config_parse(struct vm_config *config, int argc, char **argv)
{
    return parse(config, &(struct config_words){.argc = argc, .argv = argv});
}

int config_parse_with_files(struct vm_config *config, int argc, char **argv)
{
    return parse(config, &(struct config_words){.argc = argc, .argv = argv, .reads_files = true});
}

void config_free(struct vm_config *config)
{
    cJSON_Delete(config->given);
    cJSON_Delete(config->texts);
    clear(config);
}
