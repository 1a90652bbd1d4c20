// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/output/facts.h"
#include "core/ports/chr.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "vmm/command/command.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

struct console {
    struct virtio_console *console;
    struct chr_backend *taped; /* in front of the terminal, or NULL */
    struct virtio_console_port ports[CONFIG_MAX_PORTS];
    char names[CONFIG_MAX_PORTS][sizeof("port ") + VIRTIO_CONSOLE_NAME_BYTES]; /* for messages */
    unsigned port_count;                                                       /* that are made */
    struct chr_backend *nothing; /* at port 0 where the console is not this one, or NULL */
};

_Static_assert(CONFIG_COMMAND_PORTS == COMMAND_PORTS_MAX, "as many as it has");

static unsigned console_count(const struct vm_config *vm)
{
    return vm->console == CONSOLE_VIRTIO || vm->command != NULL ? 1 : 0;
}

static int create_ports(struct console *own, const struct virtio_devices_config *cfg)
{
    for (unsigned i = 0; i < cfg->vm->port_count; i++) {
        const struct port_config *port = &cfg->vm->ports[i];
        own->ports[i] =
            (struct virtio_console_port){.name = port->name, .is_console = port->is_console};
        snprintf(own->names[i], sizeof(own->names[i]), "port %s", port->name);
        int r =
            chr_path_create(&own->ports[i].backend,
                            &(struct chr_path_config){
                                .loop = cfg->loop,
                                .clock = &clock_host,
                                .name = own->names[i],
                                .kind = port->kind,
                                .path = port->kind != CHR_NULL ? port->paths[port->kind] : "null"});
        if (r < 0)
            return r;
        own->port_count++;
    }
    return 0;
}

/* Its backends, such as the terminal, are the main loop's. */
static int console_create(struct device_slot *s, unsigned index)
{
    struct console *own = s->own = calloc(1, sizeof(*own));
    struct chr_backend *terminal = s->cfg->terminal;
    (void)index;
    if (own == NULL)
        return fail(-ENOMEM, "console");
    int r = 0;
    s->keys = &s->cfg->vm->console_virtio;
    if (s->cfg->vm->console != CONSOLE_VIRTIO) {
        r = chr_path_create(&own->nothing, &(struct chr_path_config){.loop = s->cfg->loop,
                                                                     .clock = &clock_host,
                                                                     .name = "console",
                                                                     .kind = CHR_NULL,
                                                                     .path = "null"});
        terminal = own->nothing;
    }
    s->loop = s->cfg->loop;
    if (r == 0 && s->cfg->tape != NULL) {
        r = chr_taped_create(&own->taped, s->cfg->tape, "console", terminal);
        terminal = own->taped;
    }
    if (r == 0)
        r = create_ports(own, s->cfg);
    if (r < 0)
        return r;
    unsigned count = own->port_count;
    if (s->cfg->command != NULL)
        count += command_ports(s->cfg->command, own->ports + count);
    struct virtio_setup setup = device_slot_setup(s, "console");
    r = virtio_console_create(&own->console, &setup,
                              &(struct virtio_console_config){
                                  .backend = terminal, .ports = own->ports, .port_count = count});
    if (r == 0)
        s->dev = virtio_console_device(own->console);
    return r;
}

static void console_destroy(void *own)
{
    struct console *console = own;
    virtio_console_destroy(console->console);
    if (console->taped != NULL)
        console->taped->ops->destroy(console->taped);
    if (console->nothing != NULL)
        console->nothing->ops->destroy(console->nothing);
    for (unsigned i = 0; i < console->port_count; i++)
        console->ports[i].backend->ops->destroy(console->ports[i].backend);
    free(console);
}

static void console_describe(const struct device_slot *s, struct facts *f)
{
    static const char *const kinds[] = {
        [CHR_LISTEN] = "listen", [CHR_SOCKET] = "socket", [CHR_FILE] = "file",
        [CHR_PIPE] = "pipe",     [CHR_PTY] = "pty",       [CHR_NULL] = "null"};
    const struct vm_config *vm = s->cfg->vm;
    facts_list(f, "ports");
    for (unsigned i = 0; i < vm->port_count; i++) {
        const struct port_config *port = &vm->ports[i];
        facts_group(f, NULL);
        facts_word(f, "name", port->name);
        facts_word(f, "kind", kinds[port->kind]);
        facts_word(f, "path", port->kind != CHR_NULL ? port->paths[port->kind] : NULL);
        facts_end(f);
    }
    facts_end(f);
}

static int console_resize_port(const struct device_slot *s, unsigned port, uint16_t columns,
                               uint16_t rows)
{
    return virtio_console_resize_port(((struct console *)s->own)->console, 1 + port, columns, rows);
}

const struct device_kind console_kind = {
    .resize_port = console_resize_port,
    .count = console_count,
    .create = console_create,
    .destroy = console_destroy,
    .describe = console_describe,
};
