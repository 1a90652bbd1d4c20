// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/replay/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/loop/evloop.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "core/ports/hv.h"
#include "core/tape/tape.h"
#include "vmm/config/config.h"
#include "vmm/machine/seam.h"
#include "vmm/machine/virtio_devices.h"

#define ARGS_MAX 4096

struct replay {
    struct tape *tape;
    char *args[ARGS_MAX];
    struct vm_config vm;
    struct gmem *gmem;
    struct evloop *loop; /* is never run */
    struct seam *seam;
    struct virtio_devices *virtio;
};

/* ---- a hypervisor without vCPUs ---- */

static void nobody(void *ctx, unsigned irq, bool level)
{
    (void)ctx;
    (void)irq;
    (void)level;
}

static int no_line(struct hv_vm *vm, unsigned irq, enum irq_way way, struct irq_line *out)
{
    (void)vm;
    (void)way;
    *out = (struct irq_line){.set = nobody, .irq = irq, .eventfd = -1};
    return 0;
}

static void no_release(struct hv_vm *vm, struct irq_line *line)
{
    (void)vm;
    (void)line;
}

static int no_send(void *ctx, uint64_t addr, uint32_t data)
{
    (void)ctx;
    (void)addr;
    (void)data;
    return 0;
}

static int no_route(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    (void)eventfd;
    no_send(ctx, addr, data);
    return -ENOSYS;
}

static void no_route_del(void *ctx, int handle, int eventfd)
{
    (void)ctx;
    (void)handle;
    (void)eventfd;
}

static const struct msi_ops no_msi = {
    .send = no_send, .route_add = no_route, .route_set = no_route, .route_del = no_route_del};

static struct msi_sink no_sink(struct hv_vm *vm, unsigned devfn)
{
    (void)vm;
    (void)devfn;
    return (struct msi_sink){.ops = &no_msi};
}

static struct doorbell no_doorbell(struct hv_vm *vm)
{
    (void)vm;
    return doorbell_none;
}

static const struct hv hv_none = {.name = "replay",
                                  .irq_line = no_line,
                                  .irq_line_release = no_release,
                                  .msi_sink = no_sink,
                                  .doorbell = no_doorbell};

/* ---- the devices, as machine.c makes them ---- */

static int create_devices(struct replay *r)
{
    int err = gmem_create(&r->gmem, r->vm.mem_bytes, arch_host.hole_gpa, arch_host.hole_end_gpa);
    if (err == 0)
        err = evloop_create(&r->loop, "replay", &clock_host);
    if (err < 0)
        return err;
    gmem_save(r->gmem);
    evloop_poll_limit(r->loop, 0);
    tape_set_memory(r->tape, r->gmem);
    err = seam_create(&r->seam, &arch_host, r->tape, r->loop, NULL, NULL);
    if (err < 0)
        return err;
    return virtio_devices_create(&r->virtio,
                                 &(struct virtio_devices_config){.arch = &arch_host,
                                                                 .vm = &r->vm,
                                                                 .hv = &hv_none,
                                                                 .mmio = seam_mmio(r->seam),
                                                                 .pio = seam_pio(r->seam),
                                                                 .loop = r->loop,
                                                                 .gmem = r->gmem,
                                                                 .tape = r->tape});
}

static void destroy(struct replay *r)
{
    virtio_devices_destroy(r->virtio);
    seam_destroy(r->seam);
    evloop_destroy(r->loop);
    gmem_destroy(r->gmem);
    config_free(&r->vm);
    tape_destroy(r->tape);
    free(r);
}

/*
 * What only watches is of no interest: it watched the driver. A command line that does not record
 * is no recording's, and was not checked for devices that others serve: those would be started.
 */
static int configure(struct replay *r)
{
    int argc = tape_args(r->tape, r->args, ARGS_MAX);
    int err = argc < 0 ? argc : config_parse(&r->vm, argc, r->args);
    if (err == 0 && r->vm.record == NULL)
        err = tape_bad(r->tape, "number of --record", 0);
    r->vm.strict = false;
    r->vm.stats = STATS_OFF;
    return err;
}

int replay_tape(struct tape *tape)
{
    struct replay *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        tape_destroy(tape);
        return fail(-ENOMEM, "replay");
    }
    r->tape = tape;
    int result = configure(r);
    if (result == 0)
        result = create_devices(r);
    if (result == 0)
        result = tape_play(tape, r->loop);
    else if (tape_differs(tape)) /* other devices are made of it now */
        result = 1;
    destroy(r);
    return result;
}

int replay_run(const char *path, FILE *out, bool each)
{
    struct tape *tape;
    int err = tape_open(&tape, path, out);
    if (err != 0)
        return err;
    if (each)
        tape_show_all(tape);
    return replay_tape(tape);
}
