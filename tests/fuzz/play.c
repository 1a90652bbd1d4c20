// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/play.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/play_impl.h"
#include "tests/harness/late.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/base/device_impl.h"
#include "virtio/spec.h"

/* A queue of the largest size takes four turns, and every queue may have work. */
#define TURNS_MAX 600u
/* Tables of buses and loops, which outlive a device, may have grown. (What leaks in small pieces
 * AddressSanitizer's leak checker finds.) */
#define MEMORY_KEPT 32768u
#define LATE_BY     5u /* descriptors, before the ring's indices begin anew */
#define FEATURES_ON                                                    \
    (VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_F_IN_ORDER) | \
     VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))

/* For each engine of the loop, and a machine: memory, buses and the loop outlive a script. */
static struct fuzz_player players[3];

static struct fuzz_player *player_for(const struct fuzz_setting *on)
{
    return &players[on->live ? 2 : on->epoll];
}

void fuzz_finding(struct fuzz_player *p, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "finding: step %u (%s) on %s: ", p->at + 1,
            p->at < p->script->count ? fuzz_ops[p->script->steps[p->at].op].name : "end",
            rig_config_name(&p->rig.cfg));
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

static void see(struct fuzz_player *p, uint64_t what)
{
    p->seen = (p->seen ^ what) * UINT64_C(0x100000001b3);
    p->seen ^= p->seen >> 29;
}

/* ---- guest memory ---- */

static uint8_t *arena(struct fuzz_player *p)
{
    return vdrv_ptr(&p->rig.drv, FUZZ_ARENA_GPA, FUZZ_ARENA_BYTES);
}

void fuzz_guest_wrote(struct fuzz_player *p, uint64_t gpa, const void *bytes, uint32_t len)
{
    memcpy(p->shadow + (gpa - FUZZ_ARENA_GPA), bytes, len);
    memcpy(vdrv_ptr(&p->rig.drv, gpa, len), bytes, len);
    p->arena_max = max_u64(p->arena_max, gpa - FUZZ_ARENA_GPA + len);
}

/* A buffer of the chain; when the arena is full it begins again, over what is there. */
static uint64_t place_buffer(struct fuzz_player *p, uint32_t len)
{
    if (p->arena_used + len > FUZZ_ARENA_BYTES) {
        p->arena_used = 0;
        p->wrapped = true;
    }
    uint64_t gpa = FUZZ_ARENA_GPA + p->arena_used;
    p->arena_used = min_u64(align_up(p->arena_used + len, 8), FUZZ_ARENA_BYTES);
    p->arena_max = max_u64(p->arena_max, p->arena_used);
    return gpa;
}

static void add_buffer(struct fuzz_player *p, uint64_t gpa, uint32_t len, bool write)
{
    if (p->buf_count < FUZZ_BUFS_MAX)
        p->bufs[p->buf_count++] = (struct vdrv_buf){gpa, len, write};
}

static bool has_room(struct fuzz_player *p, uint64_t bytes)
{
    return p->rig.drv.heap_gpa + bytes <= p->rig.drv.heap_end_gpa;
}

/* ---- what the guest sees ---- */

/* The driver's parts of the rings, which the device only reads. */
static unsigned driver_parts(struct fuzz_player *p, uint8_t *out)
{
    unsigned len = 0;
    for (unsigned i = 0; i < VDRV_QUEUES; i++) {
        const struct vdrv_queue *q = &p->rig.drv.q[i];
        if (q->desc == NULL || q->size > FUZZ_QUEUE_SIZE)
            continue;
        unsigned bytes = q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_AVAIL_BYTES(q->size);
        memcpy(out + len, q->avail, bytes);
        len += bytes;
        if (!q->packed) {
            memcpy(out + len, q->desc, (size_t)q->size * VIRTQ_DESC_BYTES);
            len += q->size * VIRTQ_DESC_BYTES;
        }
    }
    return len;
}

void fuzz_take_used(struct fuzz_player *p, unsigned queue)
{
    struct vdrv_queue *q = &p->rig.drv.q[queue];
    uint32_t head, len;
    while (vdrv_has_used(q)) {
        if (!q->in_order && vdrv_ring_peek(&q->ring, &head, &len)) {
            if (head >= q->size || q->ring.descs[head] == 0)
                fuzz_finding(p, "queue %u: chain %u came back, and was not in flight", queue, head);
            if (len > q->room[head])
                fuzz_finding(p, "queue %u: %u bytes written where there was room for %u", queue,
                             len, q->room[head]);
            fuzz_judge_len(p, queue, head, len);
        }
        vdrv_used(q, &head, &len);
        see(p, len + 1 + ((uint64_t)queue << 32));
    }
}

/* How it came about, and a pixel of each row. */
static void see_screen(struct fuzz_player *p, const struct fake_screen *s)
{
    see(p, s->surfaces + ((uint64_t)s->damages << 32));
    see(p, s->cursors + ((uint64_t)s->moves << 32));
    see(p, s->cursor_x + ((uint64_t)s->cursor_y << 32));
    see(p, s->cursor != NULL ? le64_get(s->cursor->pixels) : 0);
    for (uint32_t y = 0; s->shows && y < s->surface.height; y++)
        see(p, fake_display_pixel(&p->rig.display, (unsigned)(s - p->rig.display.screens),
                                  y % s->surface.width, y));
}

static void see_state(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    uint8_t config[64] = {0};
    vdrv_config_read(d, 0, config, (unsigned)min_u64(p->rig.dev->cfg.config_bytes, sizeof(config)));
    for (unsigned i = 0; i < sizeof(config); i++)
        see(p, config[i]);
    const uint8_t *bytes = arena(p);
    for (uint64_t i = 0; i < p->arena_used; i++)
        see(p, bytes[i]);
    see(p, vdrv_status(d));
    see(p, p->rig.disk.submitted);
    for (unsigned i = 0; p->rig.gpu != NULL && i < DISPLAY_SCANOUTS_MAX; i++)
        see_screen(p, &p->rig.display.screens[i]);
    bool changed = rig_config_irqs(&p->rig) > 0;
    see(p, changed && !p->wild);
}

/* What happens while the guest waits. */
static void run(struct fuzz_player *p)
{
    static uint8_t before[VDRV_QUEUES * (18 * FUZZ_QUEUE_SIZE + 64)];
    static uint8_t after[sizeof(before)];
    struct evloop_stats stats;
    evloop_stats(p->rig.loop, &stats);
    uint64_t turns = stats.turns;
    unsigned len = p->wild ? 0 : driver_parts(p, before);
    rig_step(&p->rig);
    evloop_stats(p->rig.loop, &stats);
    if (stats.turns - turns > TURNS_MAX)
        fuzz_finding(p, "the loop turned %llu times for one step",
                     (unsigned long long)(stats.turns - turns));
    fuzz_judge_irqs(p);
    fuzz_judge_torn(p);
    if (p->wild)
        return;
    fuzz_judge_waiting(p);
    fuzz_judge_broken(p);
    if (len != driver_parts(p, after) || memcmp(before, after, len) != 0)
        fuzz_finding(p, "the device has written into the driver's part of a ring");
    for (unsigned i = 0; i < VDRV_QUEUES; i++)
        if (p->rig.drv.q[i].desc != NULL)
            fuzz_take_used(p, i);
    fuzz_judge_missing(p);
}

/* ---- steps that drivers take ---- */

static unsigned open_files(void)
{
    return fuzz_open_fds() + fuzz_kernel_files();
}

/* Rings are gone, with what came back before that. */
static void forget_queues(struct fuzz_player *p)
{
    for (unsigned i = 0; i < VDRV_QUEUES && !p->wild; i++)
        if (p->rig.drv.q[i].desc != NULL)
            fuzz_take_used(p, i);
    for (unsigned i = 0; i < VDRV_QUEUES; i++)
        vdrv_queue_fini(&p->rig.drv.q[i]);
    p->buf_count = 0;
    p->wild = p->odd = false;
    p->kept = p->rig.echo.hold;
    fuzz_events_begin(p);
}

static void find_function(struct fuzz_player *p)
{
    if (p->lost)
        rig_find_device(&p->rig);
    p->lost = false;
}

static unsigned queue_count(struct fuzz_player *p)
{
    return (unsigned)min_u64(p->rig.dev->cfg.queue_count, VDRV_QUEUES);
}

/* As late as the script says: once the queue runs, and before it has served anything. */
static void make_late(struct fuzz_player *p, unsigned queue)
{
    struct virtio_queue *q = &p->rig.dev->queues[queue];
    bool late = (p->script->head.options & FUZZ_LATE) != 0 && !p->rig.cfg.strict;
    if (late && !p->on->live && virtio_queue_runs(q))
        late_begin(&q->vq, &p->rig.drv.q[queue], LATE_BY);
}

static void set_up_queue(struct fuzz_player *p, unsigned queue, uint64_t size)
{
    struct vdrv *d = &p->rig.drv;
    size = size % (FUZZ_QUEUE_SIZE + 1);
    if (p->trace != NULL) /* what both rings allow */
        size = UINT64_C(1) << (size % 7);
    uint64_t to_page = align_up(d->heap_gpa, 4096) - d->heap_gpa;
    if (!has_room(p, d->t->legacy ? to_page + 2 * UINT64_C(4096) : 40 * size + 256))
        return;
    p->armed[queue] = true; /* as memory of zeroes says */
    p->untold[queue] = false;
    vdrv_queue_alloc(d, queue, size == 0 ? 8 : (uint32_t)size);
    vdrv_queue_write(d, queue);
}

static void add_queue(struct fuzz_player *p, unsigned queue, uint64_t size)
{
    set_up_queue(p, queue, size);
    make_late(p, queue);
}

static void start(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct vdrv *d = &p->rig.drv;
    find_function(p);
    vdrv_reset(d);
    forget_queues(p);
    if (!vdrv_negotiate(d, step->arg[0] & vdrv_offered(d) & ~VIRTIO_BIT(VIRTIO_F_RING_PACKED)))
        return;
    unsigned queues = 1 + (unsigned)(step->arg[1] % queue_count(p));
    for (unsigned i = 0; i < queues; i++)
        set_up_queue(p, i, step->arg[2]);
    vdrv_driver_ok(d);
    for (unsigned i = 0; i < queues; i++)
        make_late(p, i);
}

static struct vdrv_queue *queue_of(struct fuzz_player *p, uint64_t queue)
{
    struct vdrv_queue *q = &p->rig.drv.q[queue % VDRV_QUEUES];
    return q->desc != NULL ? q : NULL;
}

static void note_writable(struct fuzz_player *p)
{
    for (unsigned i = 0; i < p->buf_count; i++) {
        const struct vdrv_buf *b = &p->bufs[i];
        if (b->write && range_within(b->gpa, b->len, FUZZ_ARENA_GPA, FUZZ_ARENA_BYTES))
            memset(p->writable + (b->gpa - FUZZ_ARENA_GPA), 1, b->len);
    }
}

static void bend(struct fuzz_player *p, struct vdrv_queue *q, uint16_t head, uint32_t place,
                 bool indirect, unsigned how)
{
    bool lengthens = p->fault == FUZZ_TABLE_LEN || p->fault == FUZZ_TABLE_END;
    bool torn = indirect && lengthens && p->fault_value % VIRTQ_DESC_BYTES != 0;
    if (torn && !p->wild && !(how & FUZZ_SEND_HELD))
        fuzz_note_torn(p, q, head);
    fuzz_bend(p, q, head, place, indirect);
}

static void send_chain(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct vdrv_queue *q = queue_of(p, step->arg[0]);
    unsigned how = (unsigned)(step->arg[1] % FUZZ_SEND_HOW);
    bool indirect = p->on->indirect != ((how & FUZZ_SEND_INDIRECT) != 0);
    unsigned count = p->buf_count;
    p->buf_count = 0;
    if (q == NULL || count == 0)
        return;
    if (!(p->rig.drv.features & VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)) ||
        !has_room(p, VIRTQ_DESC_BYTES * (count + 1)))
        indirect = false;
    p->buf_count = count;
    note_writable(p);
    if (p->script->head.device == FUZZ_BALLOON)
        fuzz_note_pages(p, q->index);
    p->buf_count = 0;
    uint32_t place = vdrv_ring_place(&q->ring, q->ring.next_avail);
    int head = indirect ? vdrv_add_indirect(q, p->bufs, count) : vdrv_add(q, p->bufs, count);
    if (head < 0 && p->trace != NULL)
        p->trace->full = true;
    if (head >= 0 && head < (int)FUZZ_QUEUE_SIZE)
        fuzz_note_given(p, q->index, (unsigned)head, count);
    if (head >= 0 && p->bend)
        bend(p, q, (uint16_t)head, place, indirect, how);
    p->bend = false;
    if (how & FUZZ_SEND_HELD)
        return;
    vdrv_publish(q);
    if (how & FUZZ_SEND_SILENT)
        p->untold[q->index] = true;
    else
        fuzz_notify(p, q);
}

static void driver_step(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct vdrv *d = &p->rig.drv;
    struct vdrv_queue *q = queue_of(p, step->arg[0]);
    uint64_t gpa;
    uint32_t len;
    static uint8_t fill[UINT16_MAX];
    switch (step->op) {
    case FUZZ_START:
        start(p, step);
        break;
    case FUZZ_OUT:
    case FUZZ_FILL:
        len = step->op == FUZZ_OUT ? step->len : (uint32_t)step->arg[0] % FUZZ_BUF_MAX;
        gpa = place_buffer(p, len);
        if (step->op == FUZZ_FILL)
            memset(fill, (int)step->arg[1], len);
        if (len > 0)
            fuzz_guest_wrote(p, gpa, step->op == FUZZ_OUT ? step->bytes : fill, len);
        add_buffer(p, gpa, len, false);
        break;
    case FUZZ_IN:
        len = (uint32_t)step->arg[0] % FUZZ_BUF_MAX;
        gpa = place_buffer(p, len);
        fuzz_mark(p, gpa, len);
        add_buffer(p, gpa, len, true);
        break;
    case FUZZ_SEND:
        send_chain(p, step);
        break;
    case FUZZ_KICK:
        if (q == NULL)
            break;
        vdrv_kick(q);
        p->untold[q->index] = false;
        break;
    case FUZZ_RESET:
        find_function(p);
        vdrv_reset(d);
        forget_queues(p);
        if (!p->ever_wild && p->on->epoll && open_files() != p->files)
            fuzz_finding(p, "with a reset files stayed open, or others were opened");
        break;
    case FUZZ_QUEUE_RESET:
        if (q != NULL && (d->features & VIRTIO_BIT(VIRTIO_F_RING_RESET)) && !p->wild) {
            vdrv_queue_reset(d, q->index);
            fuzz_take_used(p, q->index);
            vdrv_queue_fini(q);
        }
        break;
    case FUZZ_QUEUE_SETUP:
        if (q == NULL && step->arg[0] % VDRV_QUEUES < queue_count(p) && !p->wild)
            add_queue(p, (unsigned)(step->arg[0] % VDRV_QUEUES), step->arg[1]);
        break;
    case FUZZ_CONFIG:
        vdrv_config_write(d, (unsigned)step->arg[0] % 128, step->bytes,
                          (unsigned)min_u64(step->len, 64));
        break;
    case FUZZ_IRQ:
        if (q == NULL)
            break;
        p->armed[q->index] = step->arg[1] % 2;
        (p->armed[q->index] ? vdrv_irq_on : vdrv_irq_off)(q);
        break;
    case FUZZ_STATUS:
        vdrv_set_status(d, (uint32_t)step->arg[0]);
        if (step->arg[0] == 0 && !p->lost) /* else it does not arrive */
            forget_queues(p);
        p->wild |= step->arg[0] != 0;
        break;
    default: /* FUZZ_EDIT */
        p->edited = true;
        p->wild |= p->rig.balloon != NULL; /* other pages may be meant */
        if (p->rig.balloon != NULL && p->trace != NULL)
            p->trace->full = true;
        len = (uint32_t)min_u64(step->len, FUZZ_ARENA_BYTES - step->arg[0] % FUZZ_ARENA_BYTES);
        if (len > 0)
            fuzz_guest_wrote(p, FUZZ_ARENA_GPA + step->arg[0] % FUZZ_ARENA_BYTES, step->bytes, len);
        break;
    }
}

/* ---- steps of the host ---- */

/* A process that is there, or NULL. */
static struct fake_stream *stream_of(struct rig *rig, uint64_t n)
{
    struct fake_stream *st =
        rig->vsock != NULL ? &rig->sockets.streams[n % FAKE_VSOCK_STREAMS] : NULL;
    return st != NULL && st->used ? st : NULL;
}

/* A process writes, or there is a new one. */
static void socket_packet(struct rig *rig, const struct fuzz_step *step)
{
    struct fake_stream *st = stream_of(rig, step->arg[0]);
    if (st != NULL)
        fake_vsock_write(st, step->bytes, step->len);
    else if (step->len % 2 == 0)
        fake_vsock_ask(&rig->sockets, (uint32_t)step->arg[0] % 32);
    else
        fake_vsock_ask_messages(&rig->sockets, (uint32_t)step->arg[0] % 32);
}

/* Of the console, or of one of its ports. */
static struct fake_chr *chr_of(struct rig *rig, uint64_t number)
{
    unsigned port = (unsigned)(number % (1 + rig->cfg.ports));
    return port == 0 ? &rig->chr : &rig->ports[port - 1];
}

/* Somebody comes to its other end, or leaves; or it comes and goes itself. */
static void change_port(struct rig *rig, unsigned i, bool itself, bool comes)
{
    if (itself && comes)
        (void)rig_add_port(rig, i);
    else if (itself)
        (void)rig_remove_port(rig, i);
    else
        (comes ? fake_chr_come : fake_chr_leave)(&rig->ports[i]);
}

static void host_packet(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct rig *rig = &p->rig;
    if (rig->net != NULL && step->len > NET_HEADER_BYTES)
        fake_net_arrive(&rig->ether, step->arg[0] % FAKE_NET_PAIRS, step->bytes, step->len);
    if (rig->console != NULL && step->len > 0)
        fake_chr_type(chr_of(rig, step->arg[0]), step->bytes, step->len);
    if (rig->vsock != NULL)
        socket_packet(rig, step);
    if (rig->input != NULL)
        fuzz_report(p, (unsigned)step->arg[0], step->bytes, step->len);
}

static void host_step(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct rig *rig = &p->rig;
    bool disk = rig->blk != NULL || rig->scsi != NULL;
    struct fake_stream *st = stream_of(rig, step->arg[0]);
    int err;
    switch (step->op) {
    case FUZZ_HOLD:
        rig->disk.hold = rig->echo.hold = rig->sockets.reads_nothing = p->kept = true;
        rig->files.hold = true;
        break;
    case FUZZ_RELEASE:
        if (disk)
            fake_blk_release(&rig->disk);
        if (p->script->head.device == FUZZ_ECHO)
            echo_release(&rig->echo);
        if (rig->fs != NULL)
            fake_share_release(&rig->files);
        rig->sockets.reads_nothing = false;
        break;
    case FUZZ_FAIL:
        err = (int)(step->arg[0] % 134);
        /* -ECANCELED is what a drain alone may answer. */
        rig->disk.fail = rig->random.fail = err == ECANCELED ? -EIO : -err;
        rig->disk.fail_from = (unsigned)step->arg[1];
        rig->files.fail = -err;
        break;
    case FUZZ_RESIZE:
        if (disk)
            fake_blk_resize(&rig->disk, (1 + step->arg[0] % (2 * FUZZ_DISK_BYTES / 512)) * 512);
        if (rig->gpu != NULL)
            display_tell_size(&rig->display.backend, step->arg[0] % 3, (uint32_t)step->arg[0] / 3,
                              (uint32_t)step->arg[0] / 5);
        break;
    case FUZZ_PACKET:
        host_packet(p, step);
        break;
    case FUZZ_ROOM:
        if (rig->net != NULL)
            fake_net_open(&rig->ether, step->arg[0] % FAKE_NET_PAIRS, (unsigned)step->arg[1]);
        if (rig->console != NULL)
            fake_chr_open(chr_of(rig, step->arg[0]), step->arg[1]);
        if (st != NULL)
            fake_vsock_read(st, step->arg[1]);
        break;
    case FUZZ_LINK:
        if (rig->net != NULL)
            fake_net_link(&rig->ether, step->arg[0] % 2);
        if (rig->ports != NULL)
            change_port(rig, step->arg[0] / 2 % RIG_PORTS, step->arg[0] / (2 * RIG_PORTS) % 3 == 2,
                        step->arg[0] % 2);
        if (st != NULL)
            (step->arg[0] / FAKE_VSOCK_STREAMS % 2 ? fake_vsock_leave : fake_vsock_end)(st);
        break;
    default: /* FUZZ_TIME */
        rig->time.now_ns += step->arg[0] * 1000;
        break;
    }
}

/* ---- a script ---- */

static void open_device(struct fuzz_player *p)
{
    const struct fuzz_head *head = &p->script->head;
    unsigned variant = p->on->variant;
    if (head->device == FUZZ_INPUT || head->device == FUZZ_GPU || head->device == FUZZ_VSOCK ||
        head->device == FUZZ_RTC || head->device == FUZZ_FS)
        variant %= RIG_VARIANTS; /* without a legacy interface */
    struct rig_config config = rig_all_variants[variant];
    config.keep_host = true;
    config.machine = p->on->live ? fuzz_live_machine(p) : NULL;
    config.ram_bytes = FUZZ_LOW_BYTES + FUZZ_ARENA_BYTES;
    config.hole_gpa = FUZZ_LOW_BYTES;
    config.disk_bytes = FUZZ_DISK_BYTES;
    config.gpu_bytes = FUZZ_GPU_BYTES;
    config.queue_size_max = FUZZ_QUEUE_SIZE;
    config.features_on |= FEATURES_ON;
    config.strict = (head->options & FUZZ_STRICT) != 0;
    config.read_only = (head->options & FUZZ_READ_ONLY) != 0;
    config.plain = (head->options & FUZZ_PLAIN) != 0;
    config.input = (enum input_kind)((head->options & (FUZZ_READ_ONLY | FUZZ_PLAIN)) /
                                     FUZZ_READ_ONLY % INPUT_KINDS);
    config.logical_bytes = head->options & FUZZ_4K ? 4096 : 0;
    if (head->options & FUZZ_MANY && !(config.plain && head->device == FUZZ_NET))
        config.queues = 3;
    if (head->options & FUZZ_MANY && head->device == FUZZ_CONSOLE)
        config.ports = RIG_PORTS;
    static void (*const open[FUZZ_DEVICES])(struct rig *, const struct rig_config *) = {
        [FUZZ_ECHO] = rig_open_echo_on,       [FUZZ_BLK] = rig_open_blk_on,
        [FUZZ_SCSI] = rig_open_scsi_on,       [FUZZ_NET] = rig_open_net_on,
        [FUZZ_RNG] = rig_open_rng_on,         [FUZZ_CONSOLE] = rig_open_console_on,
        [FUZZ_INPUT] = rig_open_input_on,     [FUZZ_GPU] = rig_open_gpu_on,
        [FUZZ_BALLOON] = rig_open_balloon_on, [FUZZ_VSOCK] = rig_open_vsock_on,
        [FUZZ_RTC] = rig_open_rtc_on,         [FUZZ_FS] = rig_open_fs_on,
    };
    if (p->on->epoll)
        setenv("MINIVET_NO_URING", "1", 1);
    else
        unsetenv("MINIVET_NO_URING");
    open[head->device](&p->rig, &config);
}

/* The first byte of [from, to) that is not as it should be; `to`: all are. */
static uint64_t first_changed(const uint8_t *bytes, const uint8_t *right, uint64_t from,
                              uint64_t to)
{
    enum { BLOCK = 4096 };
    for (uint64_t i = from; i < to; i += BLOCK) {
        uint64_t end = min_u64(i + BLOCK, to);
        if (memcmp(bytes + i, right + i, end - i) == 0)
            continue;
        while (bytes[i] == right[i])
            i++;
        return i;
    }
    return to;
}

static void check_memory(struct fuzz_player *p)
{
    static const uint8_t zeroes[FUZZ_LOW_BYTES];
    const uint8_t *bytes = arena(p);
    for (uint64_t i = 0;
         (i = first_changed(bytes, p->shadow, i, FUZZ_ARENA_BYTES)) < FUZZ_ARENA_BYTES; i++)
        if (!p->writable[i] && !(p->given_back[i / FUZZ_PAGE_BYTES] && bytes[i] == 0))
            fuzz_finding(p, "byte 0x%llx changed, which no buffer gave to the device",
                         (unsigned long long)(FUZZ_ARENA_GPA + i));
    const uint8_t *low = vdrv_ptr(&p->rig.drv, 0, FUZZ_LOW_BYTES);
    uint64_t at = first_changed(low, zeroes, 0, FUZZ_HEAP_GPA);
    if (at == FUZZ_HEAP_GPA)
        at = first_changed(low, zeroes, p->heap_max_gpa, FUZZ_LOW_BYTES);
    if (at < FUZZ_LOW_BYTES)
        fuzz_finding(p, "byte 0x%llx changed, where the guest has nothing", (unsigned long long)at);
}

/* Guest memory is as it was before the last script, which may have written anywhere. */
static void begin(struct fuzz_player *p)
{
    uint64_t used = p->ever_wild ? FUZZ_ARENA_BYTES : p->arena_max;
    memset(arena(p), 0, used);
    memset(p->shadow, 0, used);
    memset(p->writable, 0, used);
    memset(p->given_back, 0, sizeof(p->given_back));
    if (p->ever_wild)
        memset(vdrv_ptr(&p->rig.drv, 0, FUZZ_LOW_BYTES), 0, FUZZ_LOW_BYTES);
    else
        memset(vdrv_ptr(&p->rig.drv, FUZZ_HEAP_GPA, FUZZ_LOW_BYTES - FUZZ_HEAP_GPA), 0,
               p->heap_max_gpa - FUZZ_HEAP_GPA);
    p->buf_count = 0;
    p->arena_used = p->arena_max = 0;
    p->bend = p->wild = p->ever_wild = p->lost = p->wrapped = p->odd = p->edited = p->kept = false;
    p->torn = NULL;
    p->heap_max_gpa = FUZZ_HEAP_GPA;
}

/* What is still in the making does not. */
static bool device_notices(unsigned op)
{
    return op != FUZZ_OUT && op != FUZZ_FILL && op != FUZZ_IN && op != FUZZ_AT && op != FUZZ_BEND;
}

static void do_step(struct fuzz_player *p, const struct fuzz_step *step)
{
    for (unsigned i = 0; i < VDRV_QUEUES; i++)
        p->rig.drv.q[i].raw |= p->wild;
    if (step->op >= FUZZ_FIRST_RAW)
        fuzz_raw_step(p, step);
    else if (step->op >= FUZZ_HOLD)
        host_step(p, step);
    else
        driver_step(p, step);
    p->ever_wild |= p->wild;
    if (device_notices(step->op))
        run(p);
    p->heap_max_gpa = max_u64(p->heap_max_gpa, p->rig.drv.heap_gpa);
    if (p->trace != NULL) {
        see_state(p);
        p->trace->seen[p->at] = p->seen;
    }
}

static size_t memory_used(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
    return 0; /* its leak checker tells more */
#else
    return mallinfo2().uordblks;
#endif
}

void fuzz_play_on(const struct fuzz_script *s, const struct fuzz_setting *on,
                  struct fuzz_trace *trace, FILE *log)
{
    struct fuzz_player *p = player_for(on);
    bool first = p->rig.loop == NULL;
    if (first)
        p->heap_max_gpa = FUZZ_HEAP_GPA;
    fuzz_kernel(on->epoll && !on->live);
    unsigned files = open_files(); /* others open and close some between scripts */
    size_t memory = memory_used();
    p->script = s;
    p->on = on;
    p->trace = trace;
    p->seen = 1;
    open_device(p);
    p->files = open_files();
    begin(p);
    for (p->at = 0; p->at < s->count; p->at++) {
        if (log != NULL) {
            fprintf(log, "%4u ", p->at + 1);
            fuzz_step_show(&s->steps[p->at], log);
            fflush(log);
        }
        do_step(p, &s->steps[p->at]);
    }
    if (!p->ever_wild)
        check_memory(p);
    if (p->rig.input != NULL)
        fuzz_events_end(p);
    const char *broken = fuzz_revive(p);
    p->heap_max_gpa = max_u64(p->heap_max_gpa, p->rig.drv.heap_gpa);
    if (broken != NULL)
        fuzz_finding(p, "after a reset: %s", broken);
    rig_close(&p->rig);
    if (!first && open_files() != files)
        fuzz_finding(p, "a file was left open");
    fuzz_kernel(false);
    if (!first && memory_used() > memory + MEMORY_KEPT)
        fuzz_finding(p, "%zu bytes of memory were left behind", memory_used() - memory);
}

void fuzz_play(const struct fuzz_script *s, FILE *log)
{
    struct fuzz_setting on = {
        .variant = s->head.variant,
        .indirect = (s->head.options & FUZZ_INDIRECT) != 0,
        .epoll = true, /* the same each time, and quicker for what is so short */
    };
    fuzz_play_on(s, &on, NULL, log);
}

void fuzz_play_live(const struct fuzz_script *s, unsigned variant, FILE *log)
{
    struct fuzz_setting on = {
        .variant = variant,
        .indirect = (s->head.options & FUZZ_INDIRECT) != 0,
        .live = true,
    };
    fuzz_play_on(s, &on, NULL, log);
}

void fuzz_play_everywhere(const struct fuzz_script *s)
{
    static struct fuzz_trace traces[2];
    static struct fuzz_script plain;
    if (!fuzz_script_is_portable(s) || s->head.variant >= RIG_VARIANTS) {
        fuzz_play(s, NULL);
        return;
    }
    plain = *s;
    plain.head.options &= (uint8_t)~FUZZ_STRICT;
    struct fuzz_trace *first = &traces[0], *other = &traces[1];
    for (unsigned i = 0; i < 2 * RIG_VARIANTS + 1; i++) {
        struct fuzz_setting on = {.variant = i % RIG_VARIANTS,
                                  .indirect = (i / RIG_VARIANTS) % 2 != 0,
                                  .epoll = i < 2 * RIG_VARIANTS};
        struct fuzz_trace *trace = i == 0 ? first : other;
        trace->full = false;
        fuzz_play_on(&plain, &on, trace, NULL);
        if (first->full || other->full)
            return;
        for (unsigned k = 0; i > 0 && k < s->count; k++)
            if (first->seen[k] != other->seen[k]) {
                player_for(&on)->at = k;
                fuzz_finding(player_for(&on), "not as on %s%s%s", rig_config_name(&rig_variants[0]),
                             on.indirect ? ", with indirect chains" : "",
                             on.epoll ? "" : ", on io_uring");
            }
    }
}

void fuzz_play_end(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(players); i++)
        if (players[i].rig.loop != NULL)
            rig_end_host(&players[i].rig);
}
