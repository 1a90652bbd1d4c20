// SPDX-License-Identifier: BSD-2-Clause
/* --port NAME,KEY,...: streams beside the console's, and what is at their other end. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/console/console.h"
#include "vmm/config/options.h"

_Static_assert(CONFIG_MAX_PORTS == VIRTIO_CONSOLE_PORTS_MAX, "as many as the device has");

/* udev makes a file of it. */
static int set_name(void *into, const char *value)
{
    for (const char *c = value; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            return -EINVAL;
    ((struct port_config *)into)->name = value;
    bool good = isalnum((unsigned char)value[0]) && strlen(value) < VIRTIO_CONSOLE_NAME_BYTES;
    return good ? 0 : -EINVAL;
}

#define AT(member) SCHEMA_AT(struct port_config, member)

static const struct schema_key names[] = {
    {"name", "NAME", SCHEMA_FILE, .set = set_name,
     .expected = "up to 63 letters, digits and . _ - behind a letter or digit"},
    {0},
};

static const struct schema_key keys[] = {
    {"listen", "PATH", SCHEMA_FILE, AT(paths[CHR_LISTEN]), .min = 1, .expected = "a file name",
     .help = "The process that connects to the UNIX socket PATH, one at a time"},
    {"socket", "PATH", SCHEMA_FILE, AT(paths[CHR_SOCKET]), .min = 1, .expected = "a file name",
     .help = "The process that listens at the UNIX socket PATH, whenever there is one"},
    {"file", "PATH", SCHEMA_FILE, AT(paths[CHR_FILE]), .min = 1, .expected = "a file name",
     .help = "A file, to which is added what the guest writes"},
    {"pipe", "PATH", SCHEMA_FILE, AT(paths[CHR_PIPE]), .min = 1, .expected = "a file name",
     .help = "The FIFOs PATH.in, to the guest, and PATH.out, from it"},
    {"pty", "PATH", SCHEMA_FILE, AT(paths[CHR_PTY]), .min = 1, .expected = "a file name",
     .help = "A new terminal of the host, to which PATH becomes a link"},
    {"null", NULL, SCHEMA_SWITCH, AT(null), .help = "Nothing"},
    {"console", "on|off", SCHEMA_SWITCH, AT(is_console), .usual = "off",
     .help = "on: a terminal of the guest as well: hvc1 and so on"},
    {0},
};

const struct schema_table config_port_tables[] = {
    {.keys = names, .is_first = true}, {.keys = keys}, {0}};

/* One end, and no more. */
static int find_end(struct port_config *port)
{
    unsigned ends = port->null;
    port->kind = CHR_NULL;
    for (unsigned kind = 0; kind < ARRAY_SIZE(port->paths); kind++) {
        if (port->paths[kind] == NULL)
            continue;
        port->kind = (enum chr_path_kind)kind;
        ends++;
    }
    if (ends == 0)
        return fail_msg(-EINVAL,
                        "--port %s: ends nowhere; say one of listen, socket, file, pipe, pty, null "
                        "(a port of the network is --net user,hostfwd=tcp::2222-:22)",
                        port->name);
    if (ends > 1)
        return fail_msg(-EINVAL, "--port %s: has several ends; say one of them", port->name);
    return 0;
}

int config_apply_port(struct vm_config *c, const struct schema_key *option,
                      const struct cJSON *list)
{
    if (c->port_count == CONFIG_MAX_PORTS)
        return fail_msg(-EINVAL, "--port: at most %d of them", CONFIG_MAX_PORTS);
    struct port_config *port = &c->ports[c->port_count++];
    *port = (struct port_config){0};
    int r = config_take(option, port, list);
    return r < 0 ? r : find_end(port);
}

int config_check_ports(const struct vm_config *c)
{
    if (c->port_count > 0 && c->console != CONSOLE_VIRTIO && c->command == NULL)
        return fail_msg(-EINVAL, "--port %s: is a port of the virtio console; say --console virtio",
                        c->ports[0].name);
    for (unsigned i = 0; i < c->port_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(c->ports[i].name, c->ports[j].name) == 0)
                return fail_msg(-EINVAL, "--port %s: is there twice; give another name",
                                c->ports[i].name);
    return 0;
}
