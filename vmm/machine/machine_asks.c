// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/memory/gmem.h"
#include "core/output/facts.h"
#include "core/ports/bus.h"
#include "core/ports/hv.h"
#include "devices/char/chr_stdio.h"
#include "devices/input/hub.h"
#include "vmm/command/command.h"
#include "vmm/machine/console.h"
#include "vmm/machine/display.h"
#include "vmm/machine/machine_impl.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/report/stats.h"

struct stats_call {
    struct machine *m;
    struct stats stats;
};

/* On the loop. */
static int take_stats(void *arg)
{
    struct stats_call *call = arg;
    struct machine *m = call->m;
    call->stats = (struct stats){
        .run_ns = clock_now_ns(&clock_host) - m->started_ns,
    };
    return virtio_devices_stats(m->virtio, &call->stats);
}

/* ---- what it says of itself ---- */

struct describe_call {
    struct machine *m;
    struct facts *f;
};

static void describe_memory(const struct machine *m, struct facts *f)
{
    facts_number(f, "memory_bytes", m->config.vm->mem_bytes);
    facts_list(f, "memory");
    for (unsigned i = 0; i < m->gmem->count; i++) {
        const struct gmem_region *r = &m->gmem->regions[i];
        facts_group(f, NULL);
        facts_hex(f, "at", r->gpa);
        facts_hex(f, "bytes", r->bytes);
        facts_end(f);
    }
    facts_end(f);
}

static void describe_machine(const struct machine *m, struct facts *f)
{
    facts_group(f, "machine");
    facts_word(f, "architecture", m->config.arch->name);
    facts_word(f, "kernel", m->config.vm->kernel);
    facts_word(f, "initrd", m->config.vm->initrd);
    facts_word(f, "command_line", m->cmdline);
    facts_word(f, "state", m->paused ? "paused" : "running");
    facts_text(f, "uptime", "%.3f s", (double)(clock_now_ns(&clock_host) - m->started_ns) / 1e9);
    describe_memory(m, f);
    facts_end(f);
}

static int describe_board(void *arg)
{
    const struct describe_call *call = arg;
    call->m->config.arch->board_describe(call->m->board, call->f);
    return 0;
}

int machine_describe(struct machine *m, const char *device, struct facts *f)
{
    if (device != NULL)
        return virtio_devices_describe(m->virtio, device, f);
    describe_machine(m, f);
    vcpus_describe(m->vcpus, f);
    bus_describe(m->mmio, f);
    if (m->pio != NULL)
        bus_describe(m->pio, f);
    facts_group(f, "platform");
    evloop_call(m->loop, describe_board, &(struct describe_call){m, f});
    facts_end(f);
    return virtio_devices_describe(m->virtio, NULL, f);
}

/* The VM's figures, and the sums of the vCPUs'. */
static void take_hv_stats(struct machine *m, struct stats *s)
{
    const struct hv *hv = m->config.hv;
    int n = hv->stats != NULL ? hv->stats(m->vm, NULL, s->hv, STATS_MAX_HV) : 0;
    s->hv_count = n > 0 ? (unsigned)n : 0;
    for (unsigned i = 0; hv->stats != NULL && i < m->config.vm->cpus; i++) {
        struct hv_stat own[STATS_MAX_HV];
        unsigned room = STATS_MAX_HV - s->hv_count;
        n = hv->stats(m->vm, vcpus_get(m->vcpus, i), own, room);
        for (int k = 0; k < n; k++) {
            struct hv_stat *sum = &s->hv[s->hv_count + (unsigned)k];
            own[k].value += i > 0 ? sum->value : 0;
            *sum = own[k];
        }
        if (n > 0 && i + 1 == m->config.vm->cpus)
            s->hv_count += (unsigned)n;
    }
}

/* stats_free() ends them, whatever it returns. */
static int take_all_stats(struct machine *m, struct stats_call *call)
{
    *call = (struct stats_call){.m = m};
    if (!m->stopped)
        usage_take(&m->usage);
    int r = evloop_call(m->loop, take_stats, call);
    if (r < 0)
        return r;
    call->stats.usage = m->usage;
    vcpus_exits(m->vcpus, &call->stats.exits);
    take_hv_stats(m, &call->stats);
    return 0;
}

void machine_print_stats(struct machine *m)
{
    struct stats_call call;
    if (take_all_stats(m, &call) == 0)
        stats_print(&call.stats, m->config.vm->stats == STATS_JSON);
    stats_free(&call.stats);
}

int machine_stats_json(struct machine *m, FILE *out)
{
    struct stats_call call;
    if (!machine_is_measured(m))
        return -ENODATA;
    int r = take_all_stats(m, &call);
    if (r == 0)
        r = stats_print_json(&call.stats, out);
    stats_free(&call.stats);
    return r;
}

void machine_pause(struct machine *m)
{
    if (m->paused)
        return;
    vcpus_pause(m->vcpus);
    m->config.arch->hold(m->board, true);
    m->paused = true;
}

int machine_resume(struct machine *m)
{
    if (!m->paused)
        return 0;
    m->paused = false;
    m->config.arch->hold(m->board, false);
    return vcpus_start(m->vcpus);
}

void machine_terminal_resized(struct machine *m)
{
    if (m->terminal != NULL || m->command != NULL)
        evloop_post(m->loop, &m->resized);
}

bool machine_signal(struct machine *m, int signo)
{
    if (!machine_ran_command(m))
        return false;
    atomic_fetch_or(&m->signals, UINT64_C(1) << signo);
    evloop_post(m->loop, &m->signalled);
    return true;
}

bool machine_ran_command(const struct machine *m)
{
    return m->command != NULL && command_has_begun(m->command);
}

void machine_press(struct machine *m, enum power_button button)
{
    m->config.arch->press(m->board, button);
}

struct input_sink *machine_input(const struct machine *m, enum input_kind kind)
{
    return m->config.vm->input.on[kind] ? input_hub_sink(m->input) : NULL;
}

struct copy_call {
    const struct machine *m;
    unsigned scanout;
    struct display_picture *out;
};

static int copy_picture(void *arg)
{
    const struct copy_call *call = arg;
    return machine_display_copy(call->m->display, call->scanout, call->out);
}

int machine_picture(struct machine *m, unsigned scanout, struct display_picture *out)
{
    return evloop_call(m->loop, copy_picture, &(struct copy_call){m, scanout, out});
}

struct balloon_call {
    struct machine *m;
    const uint64_t *size_bytes;
    struct machine_balloon *out;
};

static int ask_balloon(void *arg)
{
    const struct balloon_call *call = arg;
    uint64_t memory = call->m->config.vm->mem_bytes;
    struct virtio_balloon *balloon = virtio_devices_balloon(call->m->virtio);
    if (balloon == NULL)
        return -ENODEV;
    if (call->m->config.tape != NULL)
        return -EBUSY;
    if (call->size_bytes != NULL && *call->size_bytes > memory)
        return -ERANGE;
    if (call->size_bytes != NULL)
        virtio_balloon_set_target(balloon, memory - *call->size_bytes);
    call->out->memory_bytes = memory;
    virtio_balloon_status(balloon, &call->out->status);
    call->out->stats_age_ns = clock_now_ns(&clock_host) - call->out->status.stats_ns;
    return 0;
}

int machine_balloon(struct machine *m, const uint64_t *size_bytes, struct machine_balloon *out)
{
    return evloop_call(m->loop, ask_balloon, &(struct balloon_call){m, size_bytes, out});
}

struct link_call {
    struct machine *m;
    unsigned card;
    bool up;
};

static int set_link(void *arg)
{
    const struct link_call *call = arg;
    return call->m->config.tape != NULL
               ? -EBUSY
               : virtio_devices_set_link(call->m->virtio, call->card, call->up);
}

int machine_set_link(struct machine *m, unsigned card, bool up)
{
    return evloop_call(m->loop, set_link, &(struct link_call){m, card, up});
}

struct resize_call {
    struct machine *m;
    unsigned disk;
    uint64_t bytes;
    bool is_done;
};

static int resize_disk(void *arg)
{
    const struct resize_call *call = arg;
    return call->m->config.tape != NULL
               ? -EBUSY
               : virtio_devices_resize(call->m->virtio, call->disk, call->bytes, call->is_done);
}

int machine_begin_resize(struct machine *m, unsigned disk, uint64_t bytes)
{
    return evloop_call(m->loop, resize_disk, &(struct resize_call){m, disk, bytes, false});
}

void machine_end_resize(struct machine *m, unsigned disk, uint64_t bytes)
{
    evloop_call(m->loop, resize_disk, &(struct resize_call){m, disk, bytes, true});
}

struct swap_call {
    struct machine *m;
    unsigned disk;
    struct blk_file_config *out; /* NULL: it has begun */
    struct blk_file *spare;
};

static int swap_disk(void *arg)
{
    const struct swap_call *call = arg;
    const struct virtio_devices *devices = call->m->virtio;
    if (call->m->config.tape != NULL)
        return -EBUSY;
    return call->out != NULL ? virtio_devices_begin_swap(devices, call->disk, call->out)
                             : virtio_devices_swap(devices, call->disk, call->spare);
}

int machine_begin_swap(struct machine *m, unsigned disk, struct blk_file_config *out)
{
    return evloop_call(m->loop, swap_disk, &(struct swap_call){m, disk, out, NULL});
}

int machine_swap(struct machine *m, unsigned disk, struct blk_file *spare)
{
    return evloop_call(m->loop, swap_disk, &(struct swap_call){m, disk, NULL, spare});
}

struct explain_call {
    struct explain explain;
    FILE *out;
};

static int explain_now(void *arg)
{
    const struct explain_call *call = arg;
    explain(&call->explain, call->out);
    return 0;
}

int machine_explain(struct machine *m, enum machine_end end, FILE *out)
{
    bool runs = !m->stopped && !m->paused;
    /* Beside a command it is seen with -v alone. */
    bool is_seen_anyway =
        m->command != NULL ? log_enabled(LOG_INFO) : isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
    struct explain_call call = {.explain = {.end = end,
                                            .vcpus = m->vcpus,
                                            .virtio = m->virtio,
                                            .tail = is_seen_anyway ? NULL : &m->tail,
                                            .all = log_enabled(LOG_INFO)},
                                .out = out};
    if (runs)
        vcpus_pause(m->vcpus);
    evloop_call(m->loop, explain_now, &call);
    return runs ? vcpus_start(m->vcpus) : 0;
}

struct port_call {
    struct machine *m;
    const char *name;
    uint16_t columns, rows;
    struct console_end *end;
    void (*each)(void *ctx, const struct port_config *port);
    void *ctx;
};

static int add_port(void *arg)
{
    const struct port_call *call = arg;
    struct console *console = virtio_devices_console(call->m->virtio);
    return console != NULL ? console_add(console, call->end) : -ENODEV;
}

static int remove_port(void *arg)
{
    struct port_call *call = arg;
    struct console *console = virtio_devices_console(call->m->virtio);
    return console != NULL ? console_remove(console, call->name, &call->end) : -ENODEV;
}

static int resize_port(void *arg)
{
    const struct port_call *call = arg;
    struct console *console = virtio_devices_console(call->m->virtio);
    return console != NULL ? console_resize(console, call->name, call->columns, call->rows)
                           : -ENODEV;
}

static int each_port(void *arg)
{
    const struct port_call *call = arg;
    const struct console *console = virtio_devices_console(call->m->virtio);
    if (console != NULL)
        console_each_port(console, call->each, call->ctx);
    return 0;
}

int machine_add_port(struct machine *m, struct console_end *end)
{
    return evloop_call(m->loop, add_port, &(struct port_call){.m = m, .end = end});
}

int machine_remove_port(struct machine *m, const char *name, struct console_end **out)
{
    struct port_call call = {.m = m, .name = name};
    int r = evloop_call(m->loop, remove_port, &call);
    *out = call.end;
    return r;
}

int machine_resize_port(struct machine *m, const char *name, uint16_t columns, uint16_t rows)
{
    return evloop_call(m->loop, resize_port,
                       &(struct port_call){.m = m, .name = name, .columns = columns, .rows = rows});
}

void machine_each_port(struct machine *m, void (*each)(void *ctx, const struct port_config *port),
                       void *ctx)
{
    evloop_call(m->loop, each_port, &(struct port_call){.m = m, .each = each, .ctx = ctx});
}
