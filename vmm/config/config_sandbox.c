// SPDX-License-Identifier: BSD-2-Clause
/* --sandbox: what Minivet gives up before the guest runs. */
#include "vmm/config/options.h"

static const struct schema_key modes[] = {
    {"off", NULL, SCHEMA_SWITCH, .help = "Nothing: it keeps the rights of its user"},
    {"on", NULL, SCHEMA_SWITCH,
     .help = "Files that the command line does not name, and system calls that it does not need; "
             "one that it asks for after all ends the run with status 122"},
    {"report", NULL, SCHEMA_SWITCH,
     .help = "Nothing, but it says which system calls `on` would not have let pass"},
    {0},
};

static const struct schema_key keys[] = {
    {"allow", "DIR", SCHEMA_FILE, SCHEMA_AT(struct sandbox_choice, folder), .min = 1,
     .expected = "a folder",
     .help = "Control commands may open and make files in DIR: screenshots, disks, sockets"},
    {0},
};

const struct schema_table config_sandbox_tables[] = {
    {.keys = modes, .is_first = true}, {.keys = keys, .only = "on"}, {0}};

int config_apply_sandbox(struct vm_config *c, const struct schema_key *option,
                         const struct cJSON *list)
{
    int mode = config_take(option, &c->sandbox, list);
    if (mode >= 0)
        c->sandbox.mode = (enum sandbox_mode)mode;
    return mode < 0 ? mode : 0;
}
