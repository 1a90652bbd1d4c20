// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of `minivet run`'s options and their keys, and how a command line and JSON become one
 * tree of them: an object with a member for each option that was given. config_parse() applies it.
 */
#ifndef MINIVET_VMM_CONFIG_OPTIONS_H
#define MINIVET_VMM_CONFIG_OPTIONS_H

#include <stdio.h>

#include "core/base/schema.h"
#include "vmm/config/config.h"

#define CONFIG_NAME_BYTES 512
#define CONFIG_KEY_BYTES  64

extern const struct schema_key config_options[]; /* of a struct vm_config */
extern const struct schema_table config_disk_tables[], config_net_tables[], config_console_tables[],
    config_display_tables[], config_port_tables[], config_fw_cfg_tables[], config_virtio_tables[],
    config_input_tables[], config_share_tables[], config_root_tables[], config_rtc_tables[],
    config_smbios_tables[], config_watchdog_tables[], config_sandbox_tables[];

extern const struct schema_key config_virtio_keys[]; /* of a struct virtio_keys */

/* Of a switch, in vmm/machine/KIND.c: its help, and keys of its own, of switch_config.own. */
#define VIRTIO_SWITCH(kind, usual)                \
    extern const char kind##_help[];              \
    extern const struct schema_key kind##_keys[]; \
    extern const struct schema_table config_##kind##_tables[];
#include "virtio/devices.def"

extern const struct schema_key config_switch_words[];
#define CONFIG_SWITCH_TABLES(own_keys)                                                            \
    {                                                                                             \
        {.keys = config_switch_words, .is_first = true},                                          \
            {.keys = config_virtio_keys,                                                          \
             .base = offsetof(struct switch_config, virtio),                                      \
             .only = "on"},                                                                       \
            {.keys = (own_keys), .base = offsetof(struct switch_config, own), .only = "on"}, {0}, \
    }

/* The option of that name or alias (its first len bytes), or NULL. */
const struct schema_key *config_find_option(const char *name, size_t len);
/* The key of a list, not what it begins with, and the table that has it; NULL: none. */
const struct schema_key *config_find_key(const struct schema_key *option, const char *name,
                                         size_t len, const struct schema_table **table);

/* ---- the tree; errors are reported ---- */

/* What was said so far, of a command line. */
struct config_words {
    int argc;
    char **argv;
    struct cJSON *tree;
    const char *kernel; /* the last one on it */
    const char *ide;    /* a disk that would be one of IDE; NULL: there is none */
    bool snapshot;      /* of all disks */
    bool reads_files, has_json;
};

/* A value as the command line has it; NULL: there is none. */
int config_put(struct config_words *w, const struct schema_key *option, const char *text);
/* Likewise, of a list; it is consumed. */
int config_put_list(struct config_words *w, const struct schema_key *option, struct cJSON *list);
/* What a list begins with, as the command line has it. */
int config_add_first(const struct schema_key *option, struct cJSON *list, const char *item);
/* All members of an object, which are taken from it. */
int config_put_members(struct config_words *w, struct cJSON *object);
/* What --config is followed by: JSON, or the name of a file of it. */
int config_put_json(struct config_words *w, const char *value);
/* The command line. */
int config_put_words(struct config_words *w);

/* A value as the command line has it; NULL: it has another type. */
const char *config_text_of(const struct schema_key *key, const struct cJSON *value,
                           char number[32]);
/* A list as messages call it: "--disk a.img". */
void config_name_list(const struct schema_key *option, const struct cJSON *list, char *name);
/*
 * What the list begins with: its place in the table. -EINVAL unless there is one. It comes before a
 * member that may be a key as well (loopback).
 */
int config_first(const struct schema_key *option, const struct cJSON *list,
                 const struct cJSON **first);

/* Gives all members of the list to `into`. Returns what it begins with, as config_first(). */
int config_take(const struct schema_key *option, void *into, const struct cJSON *list);
/* Gives a value to its key. before: what the line begins with, up to the key's name. */
int config_take_value(const struct schema_key *key, void *into, const struct cJSON *value,
                      const char *before);

/* Of lists. */
int config_apply_display(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list);
/* What --display turns on, unless the user has said otherwise. */
void config_resolve_display(struct vm_config *c);
int config_apply_console(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list);
int config_apply_disk(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list);
int config_apply_net(struct vm_config *c, const struct schema_key *option,
                     const struct cJSON *list);
int config_apply_share(struct vm_config *c, const struct schema_key *option,
                       const struct cJSON *list);
int config_apply_port(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list);
int config_apply_root(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list);
int config_apply_watchdog(struct vm_config *c, const struct schema_key *option,
                          const struct cJSON *list);
int config_apply_sandbox(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list);
int config_apply_fw_cfg(struct vm_config *c, const struct schema_key *option,
                        const struct cJSON *list);
int config_apply_switch(struct switch_config *c, const struct schema_key *option,
                        const struct cJSON *list);
int config_set_feature(void *into, const char *value);
/* Of "+NAME" or "-NAME", with the bit of that name: 0 if there is none, which is -EINVAL. */
int config_switch(const char *value, uint64_t bit, uint64_t *on, uint64_t *off);

/* What a list begins with, as the command line has it; it lives as long as the configuration. */
const char *config_list_name(struct vm_config *c, const struct schema_key *option,
                             const struct cJSON *list);
/* A text that lives as long as the configuration; NULL: reported. */
const char *config_keep(struct vm_config *config, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A shell is the command: of a root, where there is no other. */
int config_add_shell(struct vm_config *config);

/* ---- checks; errors are reported ---- */

/* Fills in what is unset, and refuses what does not go together. */
int config_resolve_virtio(struct vm_config *config);
/* Gives a tag to each that has none, and refuses two of a kind. */
int config_resolve_shares(struct vm_config *config);
/* Are they different, and is there a device that has them? */
int config_check_ports(const struct vm_config *config);
/* Is the command what it may be, and does the rest go with it? */
int config_check_command(const struct vm_config *config);
/* Can all of it be recorded, with --record? */
int config_check_record(const struct vm_config *config);
/* Can it be served by as many threads as it has names and queues for? */
int config_check_disk_threads(const struct disk_config *disk);

/* ---- texts ---- */

/* Cuts the next item off a comma-separated list in place; ",," stands for a comma. NULL: none. */
char *config_next_item(char **rest);
/* What follows "name=" in key, or NULL. */
const char *config_value_of(const char *key, const char *name);

/* "-m, --mem SIZE" or "serial=TEXT"; and "ro, serial=TEXT, ..." of one table. */
void config_name_key(const struct schema_key *key, char *name);
void config_name_keys(FILE *out, const struct schema_key *keys);

#endif
