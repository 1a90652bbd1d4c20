// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options as a tree: each that was given is a member of one object. A list (--disk FILE,KEY...) is
 * an object of its own, and what may be given again is an array.
 */
#include <cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "vmm/config/config_words.h"
#include "vmm/config/options.h"

/* Behind a list's first word. Each looks at all before it: a million would take hours. */
#define ITEMS_MAX 256u

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

const char *config_value_of(const char *key, const char *name)
{
    size_t length = strlen(name);
    return strncmp(key, name, length) == 0 && key[length] == '=' ? key + length + 1 : NULL;
}

static bool takes_number(const struct schema_key *key)
{
    return key->kind >= SCHEMA_NUMBER && key->kind <= SCHEMA_WORD;
}

const char *config_text_of(const struct schema_key *key, const cJSON *value, char number[32])
{
    if (cJSON_IsString(value))
        return value->valuestring;
    if (cJSON_IsBool(value) && (key->kind == SCHEMA_SWITCH || key->kind == SCHEMA_WORD))
        return cJSON_IsTrue(value) ? "on" : "off";
    if (!cJSON_IsNumber(value) || !takes_number(key))
        return NULL;
    snprintf(number, 32, "%.17g", value->valuedouble);
    return number;
}

static bool takes_switch(const struct schema_key *key)
{
    return key->kind == SCHEMA_SWITCH ||
           (key->kind == SCHEMA_WORD && strncmp(key->arg, "on|off", strlen("on|off")) == 0);
}

/* A text in the type that JSON has for such a key; NULL: there is none. */
static cJSON *make_value(const struct schema_key *key, const char *text)
{
    if (text == NULL)
        return key->arg == NULL || schema_is_optional(key) ? cJSON_CreateTrue()
                                                           : cJSON_CreateNull();
    if (takes_switch(key) && (strcmp(text, "on") == 0 || strcmp(text, "off") == 0))
        return cJSON_CreateBool(strcmp(text, "on") == 0);
    size_t digits = strspn(text, "0123456789");
    if (takes_number(key) && digits > 0 && digits <= 15 && text[digits] == '\0')
        return cJSON_CreateNumber(strtod(text, NULL));
    return cJSON_CreateString(text);
}

/* To an array of that name. */
static bool add_to_many(cJSON *object, const char *name, cJSON *value)
{
    cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);
    if (array == NULL)
        array = cJSON_AddArrayToObject(object, name);
    return cJSON_AddItemToArray(array, value);
}

static bool add(cJSON *object, const struct schema_key *key, cJSON *value)
{
    if (key->many ? add_to_many(object, key->name, value)
                  : cJSON_AddItemToObject(object, key->name, value))
        return true;
    cJSON_Delete(value);
    return false;
}

/* ---- lists ---- */

int config_first(const struct schema_key *option, const cJSON *list, const cJSON **first)
{
    const struct schema_key *keys = option->tables[0].keys, *found = NULL;
    const struct schema_table *table;
    const cJSON *member;
    bool found_is_key = false;
    *first = NULL;
    if (!option->tables[0].is_first)
        return 0;
    cJSON_ArrayForEach(member, list)
    {
        size_t len = strlen(member->string);
        const struct schema_key *key = schema_find(keys, member->string, len);
        bool is_key = config_find_key(option, member->string, len, &table) != NULL;
        if (key == NULL || (is_key && found != NULL))
            continue;
        if (found != NULL && !found_is_key)
            return -EINVAL;
        *first = member;
        found = key;
        found_is_key = is_key;
    }
    return found == NULL || cJSON_IsFalse(*first) ? -EINVAL : (int)(found - keys);
}

void config_name_list(const struct schema_key *option, const cJSON *list, char *name)
{
    const cJSON *first;
    int index = config_first(option, list, &first);
    const struct schema_key *key = &option->tables[0].keys[index < 0 ? 0 : index];
    int used = snprintf(name, CONFIG_NAME_BYTES, "--%s", option->name);
    if (index < 0 || first == NULL)
        return;
    char number[32];
    const char *text = key->arg != NULL ? config_text_of(key, first, number) : NULL;
    bool is_file = index == 0 && key->kind == SCHEMA_FILE;
    snprintf(name + used, CONFIG_NAME_BYTES - (size_t)used, " %s%s%s", is_file ? "" : key->name,
             is_file || text == NULL ? "" : schema_sign(key), text != NULL ? text : "");
}

/* What a list may begin with, in words. */
static int refuse_first(const struct schema_key *option, const char *item)
{
    const char *say = config_foreign_key(option, item);
    char *names = NULL;
    size_t bytes;
    if (say != NULL)
        return fail_msg(-EINVAL, "--%s %s: %s", option->name, item, say);
    FILE *out = open_memstream(&names, &bytes);
    if (out == NULL)
        return fail(-ENOMEM, "--%s", option->name);
    config_name_keys(out, option->tables[0].keys);
    fclose(out);
    int r = fail_msg(-EINVAL, "--%s %s: give %s", option->name, item, names);
    free(names);
    return r;
}

int config_add_first(const struct schema_key *option, cJSON *list, const char *item)
{
    const struct schema_key *keys = option->tables[0].keys, *key = keys;
    const char *value = NULL;
    for (; key->name != NULL; key++) {
        size_t length = strlen(key->name);
        if (strncmp(item, key->name, length) == 0 &&
            item[length] == (key->arg != NULL ? schema_sign(key)[0] : '\0'))
            break;
    }
    if (key->name != NULL && key->arg != NULL)
        value = item + strlen(key->name) + 1;
    if (key->name == NULL && keys->kind == SCHEMA_FILE && config_value_of(item, "path") != NULL) {
        key = keys;
        value = config_value_of(item, "path");
    }
    if (key == keys && value != NULL)
        return fail_msg(-EINVAL, "--%s %s: say --%s %s, the name comes first", option->name, item,
                        option->name, value);
    if (key->name == NULL && keys->kind == SCHEMA_FILE) {
        key = keys;
        value = item;
    }
    if (value != NULL && value[0] == '\0' && key->kind == SCHEMA_FILE)
        return fail_msg(-EINVAL, "--%s %s: no file name", option->name, item);
    if (key->name == NULL || (value != NULL && value[0] == '\0'))
        return refuse_first(option, item);
    return add(list, key, make_value(key, value)) ? 0 : fail(-ENOMEM, "--%s", option->name);
}

/* "fault=eio:1%,lat:5ms" comes in two items: a word with a colon goes on with it. */
static bool goes_on(cJSON *list, const char *item)
{
    const cJSON *fault = cJSON_GetObjectItemCaseSensitive(list, "fault");
    char *text = NULL;
    if (!cJSON_IsString(fault) || strchr(item, ':') == NULL ||
        asprintf(&text, "%s,%s", fault->valuestring, item) < 0)
        return false;
    cJSON_ReplaceItemInObjectCaseSensitive(list, "fault", cJSON_CreateString(text));
    free(text);
    return true;
}

static int add_key(const struct schema_key *option, cJSON *list, char *item)
{
    const struct schema_table *table;
    size_t length = strcspn(item, "=");
    const struct schema_key *key = config_find_key(option, item, length, &table);
    const char *value = item[length] == '=' ? item + length + 1 : NULL;
    char name[CONFIG_NAME_BYTES];
    if (key == NULL && goes_on(list, item))
        return 0;
    config_name_list(option, list, name);
    if (key == NULL)
        return config_unknown_key(option, name, item);
    return add(list, key, make_value(key, value)) ? 0 : fail(-ENOMEM, "%s", name);
}

static int too_many(const struct schema_key *option, const cJSON *list)
{
    char name[CONFIG_NAME_BYTES];
    config_name_list(option, list, name);
    return fail_msg(-EINVAL, "%s: has more than %u keys", name, ITEMS_MAX);
}

/* A list, as the command line has it. */
static int cut_list(const struct schema_key *option, const char *text, cJSON *list)
{
    unsigned items = 0;
    char *copy = strdup(text), *rest = copy;
    int r = copy == NULL ? fail(-ENOMEM, "--%s", option->name) : 0;
    if (r == 0 && option->tables[0].is_first)
        r = config_add_first(option, list, config_next_item(&rest));
    for (char *item; r == 0 && (item = config_next_item(&rest)) != NULL;)
        r = ++items <= ITEMS_MAX ? add_key(option, list, item) : too_many(option, list);
    free(copy);
    return r;
}

static int unknown_member(const struct schema_key *option, const char *name, const cJSON *member)
{
    char item[CONFIG_NAME_BYTES];
    const char *text = cJSON_GetStringValue(member);
    snprintf(item, sizeof(item), "%s%s%s", member->string, text != NULL ? "=" : "",
             text != NULL ? text : "");
    return config_unknown_key(option, name, item);
}

/* A member that is known is there once. */
static int check_list(const struct schema_key *option, const cJSON *list)
{
    const cJSON *member, *first;
    const struct schema_table *table;
    uint64_t seen[8] = {0}; /* of each table */
    char name[CONFIG_NAME_BYTES];
    if (config_first(option, list, &first) < 0)
        return refuse_first(option, "(object)");
    config_name_list(option, list, name);
    cJSON_ArrayForEach(member, list)
    {
        if (member == first)
            continue;
        const struct schema_key *key =
            config_find_key(option, member->string, strlen(member->string), &table);
        if (key == NULL)
            return unknown_member(option, name, member);
        uint64_t bit = UINT64_C(1) << (key - table->keys);
        if (seen[table - option->tables] & bit)
            return fail_msg(-EINVAL, "%s: %s is given twice", name, member->string);
        seen[table - option->tables] |= bit;
    }
    return 0;
}

/* ---- options ---- */

int config_put_list(struct config_words *w, const struct schema_key *option, cJSON *list)
{
    const char *name = option->name;
    if (list == NULL || check_list(option, list) < 0) {
        cJSON_Delete(list);
        return -EINVAL;
    }
    if (option->many)
        return add(w->tree, option, list) ? 0 : fail(-ENOMEM, "--%s", name);
    cJSON *old = cJSON_DetachItemFromObjectCaseSensitive(w->tree, name);
    if (old != NULL && !option->tables[0].is_first) { /* what the new one leaves unsaid stays */
        for (cJSON *member = list->child, *next; member != NULL; member = next) {
            next = member->next;
            cJSON_DeleteItemFromObjectCaseSensitive(old, member->string);
            cJSON_AddItemToArray(old, cJSON_DetachItemViaPointer(list, member));
        }
        cJSON_Delete(list);
        list = old;
        old = NULL;
    }
    cJSON_Delete(old);
    return add(w->tree, option, list) ? 0 : fail(-ENOMEM, "--%s", name);
}

static int put_value(struct config_words *w, const struct schema_key *option, cJSON *value)
{
    if (!option->many)
        cJSON_DeleteItemFromObjectCaseSensitive(w->tree, option->name);
    return add(w->tree, option, value) ? 0 : fail(-ENOMEM, "--%s", option->name);
}

int config_put(struct config_words *w, const struct schema_key *option, const char *text)
{
    int r = 0;
    if (option->kind == SCHEMA_LIST) {
        cJSON *list = cJSON_CreateObject();
        r = list == NULL ? fail(-ENOMEM, "--%s", option->name) : cut_list(option, text, list);
        if (r == 0)
            return config_put_list(w, option, list);
        cJSON_Delete(list);
        return r;
    }
    if (option->names != NULL) {
        char *copy = strdup(text), *rest = copy;
        r = copy == NULL ? fail(-ENOMEM, "--%s", option->name) : 0;
        for (char *item; r == 0 && (item = config_next_item(&rest)) != NULL;)
            r = put_value(w, option, cJSON_CreateString(item));
        free(copy);
        return r;
    }
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(w->tree, option->name);
    if (option->kind == SCHEMA_NUMBER && option->arg == NULL) /* once more */
        return put_value(
            w, option,
            cJSON_CreateNumber(cJSON_GetNumberValue(old) > 0 ? cJSON_GetNumberValue(old) + 1 : 1));
    return put_value(w, option, make_value(option, text));
}

/* A member's value, which is consumed. A text for a list is what the command line has. */
static int put_member(struct config_words *w, const struct schema_key *option, cJSON *value)
{
    bool is_list = option->kind == SCHEMA_LIST;
    int r = 0;
    if (cJSON_IsArray(value) && option->many) {
        for (cJSON *item; r == 0 && (item = cJSON_DetachItemFromArray(value, 0)) != NULL;) {
            if (!cJSON_IsArray(item)) {
                r = put_member(w, option, item);
                continue;
            }
            cJSON_Delete(item);
            r = fail_msg(-EINVAL, "--%s: an array in an array", option->name);
        }
    } else if (is_list && cJSON_IsObject(value)) {
        return config_put_list(w, option, value);
    } else if ((is_list || option->names != NULL) && cJSON_IsString(value)) {
        r = config_put(w, option, value->valuestring);
    } else if (is_list) {
        r = fail_msg(-EINVAL, "--%s: give an object, or a text as on the command line",
                     option->name);
    } else {
        return put_value(w, option, value);
    }
    cJSON_Delete(value);
    return r;
}

int config_put_members(struct config_words *w, cJSON *object)
{
    uint64_t seen = 0;
    int r = 0;
    for (cJSON *member; r == 0 && (member = cJSON_DetachItemViaPointer(object, object->child));) {
        const struct schema_key *option =
            config_find_option(member->string, strlen(member->string));
        if (option == NULL || option->is_act) {
            r = config_unknown_member(member->string);
            cJSON_Delete(member);
            return r;
        }
        uint64_t bit = UINT64_C(1) << (option - config_options);
        if (seen & bit) {
            cJSON_Delete(member);
            return fail_msg(-EINVAL, "--config: %s is given twice", option->name);
        }
        seen |= bit;
        r = put_member(w, option, member);
    }
    return r;
}
