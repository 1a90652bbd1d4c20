// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/console/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/may_block.h"
#include "core/output/facts.h"
#include "core/ports/chr.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "vmm/command/command.h"
#include "vmm/config/config.h"
#include "vmm/machine/console.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

#define SPARE_PORTS                                                              \
    4u /* places for those that are added: two queues each, which the guest sees \
        */

struct console_end {
    char name[VIRTIO_CONSOLE_NAME_BYTES];
    char shown[sizeof("port ") + VIRTIO_CONSOLE_NAME_BYTES]; /* for messages */
    char *path;
    struct port_config config; /* whose strings are those above */
    struct chr_backend *backend;
};

struct console {
    struct virtio_console *console;
    struct evloop *loop;
    struct chr_backend *taped;                  /* in front of the terminal, or NULL */
    struct console_end *ends[CONFIG_MAX_PORTS]; /* NULL: the place is free */
    struct chr_backend *nothing; /* at port 0 where the console is not this one, or NULL */
    bool is_recorded, has_ports;
};

_Static_assert(CONFIG_COMMAND_PORTS == COMMAND_PORTS_MAX, "as many as it has");

/* ---- the other ends of ports ---- */

int console_end_open(struct console_end **out, const struct port_config *port)
{
    may_block();
    struct console_end *e = calloc(1, sizeof(*e));
    const char *path = port->kind != CHR_NULL ? port->paths[port->kind] : "null";
    if (e == NULL || (e->path = strdup(path)) == NULL) {
        free(e);
        fail(-ENOMEM, "port %s", port->name);
        return -ENOMEM;
    }
    snprintf(e->name, sizeof(e->name), "%s", port->name);
    snprintf(e->shown, sizeof(e->shown), "port %s", e->name);
    e->config =
        (struct port_config){.name = e->name, .kind = port->kind, .is_console = port->is_console};
    if (port->kind != CHR_NULL)
        e->config.paths[port->kind] = e->path;
    int r = chr_path_open(&e->backend, &(struct chr_path_config){.clock = &clock_host,
                                                                 .name = e->shown,
                                                                 .kind = port->kind,
                                                                 .path = e->path});
    if (r < 0) {
        console_end_close(e);
        return r;
    }
    *out = e;
    return 0;
}

void console_end_close(struct console_end *e)
{
    if (e == NULL)
        return;
    may_block();
    if (e->backend != NULL)
        e->backend->ops->destroy(e->backend);
    free(e->path);
    free(e);
}

static struct virtio_console_port port_of(const struct console_end *e)
{
    return (struct virtio_console_port){
        .name = e->name, .is_console = e->config.is_console, .backend = e->backend};
}

/* ---- ports come and go ---- */

int console_add(struct console *c, struct console_end *end)
{
    struct virtio_console_port port = port_of(end);
    unsigned i = 0;
    if (!c->has_ports)
        return -ENODEV;
    if (c->is_recorded)
        return -EBUSY;
    while (i < CONFIG_MAX_PORTS && c->ends[i] != NULL)
        i++;
    if (i == CONFIG_MAX_PORTS)
        return -ENOSPC;
    chr_path_start(end->backend, c->loop);
    int r = virtio_console_add_port(c->console, &port);
    if (r == 0)
        c->ends[i] = end;
    else
        chr_path_stop(end->backend);
    return r;
}

int console_remove(struct console *c, const char *name, struct console_end **out)
{
    if (c->is_recorded)
        return -EBUSY;
    for (unsigned i = 0; i < CONFIG_MAX_PORTS; i++) {
        struct console_end *end = c->ends[i];
        if (end == NULL || strcmp(end->name, name) != 0)
            continue;
        (void)virtio_console_remove_port(c->console, name);
        chr_path_stop(end->backend);
        c->ends[i] = NULL;
        *out = end;
        return 0;
    }
    return -ENOENT;
}

int console_resize(struct console *c, const char *name, uint16_t columns, uint16_t rows)
{
    return virtio_console_resize_port(c->console, name, columns, rows);
}

void console_each_port(const struct console *c,
                       void (*each)(void *ctx, const struct port_config *port), void *ctx)
{
    for (unsigned i = 0; i < CONFIG_MAX_PORTS; i++)
        if (c->ends[i] != NULL)
            each(ctx, &c->ends[i]->config);
}

/* ---- the device ---- */

static unsigned console_count(const struct vm_config *vm)
{
    return vm->console == CONSOLE_VIRTIO || vm->command != NULL ? 1 : 0;
}

static int create_ports(struct console *own, const struct virtio_devices_config *cfg)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < cfg->vm->port_count; i++) {
        r = console_end_open(&own->ends[i], &cfg->vm->ports[i]);
        if (r == 0)
            chr_path_start(own->ends[i]->backend, cfg->loop);
    }
    return r;
}

/* A recording has no place that a replay would not know of. */
static int create_device(struct device_slot *s, struct chr_backend *terminal)
{
    struct console *own = s->own;
    unsigned count = s->cfg->vm->port_count;
    unsigned spare = count > 0 && !own->is_recorded ? SPARE_PORTS : 0;
    struct virtio_console_port ports[CONFIG_MAX_PORTS];
    for (unsigned i = 0; i < count; i++)
        ports[i] = port_of(own->ends[i]);
    own->has_ports = count > 0;
    if (s->cfg->command != NULL)
        count += command_ports(s->cfg->command, ports + count);
    struct virtio_setup setup = device_slot_setup(s, "console");
    return virtio_console_create(
        &own->console, &setup,
        &(struct virtio_console_config){
            .backend = terminal,
            .ports = ports,
            .port_count = count,
            .ports_max = (unsigned)min_u64(count + spare, CONFIG_MAX_PORTS),
        });
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
    own->loop = s->loop = s->cfg->loop;
    own->is_recorded = s->cfg->tape != NULL;
    if (r == 0 && own->is_recorded) {
        r = chr_taped_create(&own->taped, s->cfg->tape, "console", terminal);
        terminal = own->taped;
    }
    if (r == 0)
        r = create_ports(own, s->cfg);
    if (r == 0)
        r = create_device(s, terminal);
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
    for (unsigned i = 0; i < CONFIG_MAX_PORTS; i++)
        console_end_close(console->ends[i]);
    free(console);
}

static void describe_port(void *ctx, const struct port_config *port)
{
    static const char *const kinds[] = {
        [CHR_LISTEN] = "listen", [CHR_SOCKET] = "socket", [CHR_FILE] = "file",
        [CHR_PIPE] = "pipe",     [CHR_PTY] = "pty",       [CHR_NULL] = "null"};
    struct facts *f = ctx;
    facts_group(f, NULL);
    facts_word(f, "name", port->name);
    facts_word(f, "kind", kinds[port->kind]);
    facts_word(f, "path", port->kind != CHR_NULL ? port->paths[port->kind] : NULL);
    facts_end(f);
}

/* They change while the thread that asks waits for that, and at no other time. */
static void console_describe(const struct device_slot *s, struct facts *f)
{
    facts_list(f, "ports");
    console_each_port(s->own, describe_port, f);
    facts_end(f);
}

const struct device_kind console_kind = {
    .count = console_count,
    .create = console_create,
    .destroy = console_destroy,
    .describe = console_describe,
};
