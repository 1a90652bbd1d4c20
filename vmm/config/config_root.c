// SPDX-License-Identifier: BSD-2-Clause
/* --root DIR,KEY,...: a directory of the host's as the guest's root. */
#include <cJSON.h>
#include <errno.h>

#include "core/base/fail.h"
#include "vmm/config/options.h"
#include "vmm/config/root_tags.h"

#define AT(member) SCHEMA_AT(struct root_config, member)

static const struct schema_key folders[] = {
    {"path", "DIR", SCHEMA_FILE, AT(path), .min = 1, .expected = "a directory"},
    {0},
};

static const struct schema_key keys[] = {
    {"rw", NULL, SCHEMA_SWITCH, AT(live),
     .help = "What the guest writes changes DIR; without, it is kept in the guest's memory"},
    {"ro", NULL, SCHEMA_SWITCH, AT(read_only), .help = "The guest writes nothing"},
    {"overlay", "DIR", SCHEMA_FILE, AT(upper), .min = 1, .expected = "a directory",
     .help = "What the guest writes is kept in this directory, and is there in the next run"},
    {"modules", "DIR", SCHEMA_FILE, AT(modules), .min = 1, .expected = "a directory",
     .help = "The kernel's modules: lib/modules/VERSION, or what has that"},
    {0},
};

const struct schema_table config_root_tables[] = {
    {.keys = folders, .is_first = true}, {.keys = keys}, {0}};

/* The guest's root is a device like those of --share. */
static int add_share(struct vm_config *c, const struct share_config *share)
{
    if (c->share_count == CONFIG_MAX_SHARES)
        return fail_msg(-EINVAL, "--share: at most %d of them, with those of --root",
                        CONFIG_MAX_SHARES);
    c->shares[c->share_count++] = *share;
    return 0;
}

int config_apply_root(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list)
{
    struct root_config *root = &c->root;
    int r = config_take(option, root, list);
    if (r < 0)
        return r;
    if (root->live + root->read_only + (root->upper != NULL) > 1)
        return fail_msg(-EINVAL, "--root %s: rw, ro and overlay=DIR: one of them is enough",
                        root->path);
    root->writes = root->live            ? ROOT_LIVE
                   : root->read_only     ? ROOT_REFUSED
                   : root->upper != NULL ? ROOT_KEPT
                                         : ROOT_MEMORY;
    r = add_share(c, &(struct share_config){.path = root->path,
                                            .tag = ROOT_TAG,
                                            .read_only = !root->live,
                                            .flat = !root->live && !root->read_only,
                                            .uid = SHARE_IDS_MAP,
                                            .queues = 1});
    if (r == 0 && root->upper != NULL) /* owners as the guest sets them, and one run has it */
        r = add_share(c, &(struct share_config){.path = root->upper,
                                                .tag = ROOT_UPPER_TAG,
                                                .uid = SHARE_IDS_XATTR,
                                                .cache = SHARE_CACHES_ALWAYS,
                                                .xattr = true,
                                                .queues = 1});
    return r;
}

int config_add_shell(struct vm_config *c)
{
    const char *const words[] = {"/bin/sh"};
    cJSON *list = cJSON_CreateStringArray(words, 1);
    c->root.is_shell = true;
    c->command = list;
    if (list != NULL && cJSON_AddItemToArray(c->texts, list))
        return 0;
    cJSON_Delete(list);
    c->command = NULL;
    return fail(-ENOMEM, "options");
}
