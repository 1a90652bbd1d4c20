// SPDX-License-Identifier: BSD-2-Clause
/* -- COMMAND, --env, --cwd: what runs in the guest. */
#include <cJSON.h>
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "firmware/kernel/cmdline.h"
#include "vmm/config/options.h"

/* Those of vmm/command. */
#define OWN_PORTS "minivet."

/* In what was given as JSON anything may be. */
static int check_strings(const char *option, const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return fail_msg(-EINVAL, "--%s: give texts", option);
    }
    return 0;
}

static int check_ports(const struct vm_config *c)
{
    for (unsigned i = 0; i < c->port_count; i++)
        if (strncmp(c->ports[i].name, OWN_PORTS, strlen(OWN_PORTS)) == 0)
            return fail_msg(-EINVAL, "--port %s: is a name of the command's ports; give another",
                            c->ports[i].name);
    if (c->port_count + CONFIG_COMMAND_PORTS > CONFIG_MAX_PORTS)
        return fail_msg(-EINVAL, "--port: at most %d of them beside a command",
                        CONFIG_MAX_PORTS - CONFIG_COMMAND_PORTS);
    return 0;
}

int config_check_command(const struct vm_config *c)
{
    if (c->command == NULL && (c->env != NULL || c->cwd != NULL))
        return fail_msg(-EINVAL, "--%s: is for a command in the guest; say it last: -- CMD ARGS",
                        c->env != NULL ? "env" : "cwd");
    if (c->command == NULL)
        return 0;
    int r = check_strings("command", c->command);
    if (r == 0)
        r = check_strings("env", c->env);
    if (r == 0 && c->reboot_restart)
        r = fail_msg(-EINVAL, "--reboot restart: does not go with a command, which ends the run");
    if (r == 0 && c->append != NULL && linux_cmdline_has(c->append, "rdinit="))
        r = fail_msg(-EINVAL, "--append: rdinit= is Minivet's where a command runs in the guest");
    return r < 0 ? r : check_ports(c);
}
