// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hostile vhost-user server, and a device in front of it.
 *
 *     byte 0   bit 0: a network, else a disk; 1: two groups of queues; 2 and up: the transport
 *     byte 1   a feature that the server lacks (64 and up: none)
 *     byte 2   a protocol feature, likewise
 *     then     steps, mixed with answers: a request of the device takes a byte. An even one says
 *              that the server answers well, and so for half as many requests more; after an odd
 *              one follows how it does not (see spoil()). At the input's end all is well.
 *
 * The server answers within the device's own sendmsg(), which is wrapped, and the device's lane is
 * run by hand: no thread, no waiting, the same each time. After some of the steps the lane is not
 * run, so that the driver goes on while a job is out.
 *
 * When a reset is complete the server has been told to stop each ring that it was given, or cut
 * off.
 *
 * After the last step a good server comes, and the device is connected to it, starts, and gives it
 * its rings. No file is left open, and a creation that fails says so in one line.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/shared_event.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/rig.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/blk/vhost_user_blk.h"
#include "virtio/net/vhost_user_net.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_user_wire.h"

#define LOW_BYTES      UINT64_C(0x20000)
#define HEAP_GPA       UINT64_C(0x10000)
#define LONG_RETRY     UINT64_C(40000000000) /* longer than any pause between two tries */
#define REPLY_MS       1000u
#define NS_PER_S       UINT64_C(1000000000)
#define QUEUES         16u
#define RINGS          8u
#define RING_SIZE      8u
#define QUEUES_USED    5u /* two pairs, and the one for control */
#define INFLIGHT_BYTES 0x10000u
#define PAYLOAD_MAX    512u
#define STEPS_MAX      64u

struct server {
    int fd, front_fd, backend_fd; /* -1: none */
    uint64_t features, protocol;
    bool good, down;
    unsigned good_for; /* so many requests */
    struct fuzz_input in;
    int inflight_fd;
    unsigned inflight_rings;
    int kick_fd[RINGS], call_fd[RINGS], err_fd[RINGS];
    struct vhost_user_vring_addr addr[RINGS];
    uint64_t user_base; /* what those are more than the guest's */
    unsigned kicks;     /* rings that were given one, a bit each */
    unsigned running;   /* of those, not told to stop */
};

static struct bench {
    struct rig rig;
    struct server server;
    struct vhost_user_device *v;
    bool is_net;
    bool runs;
    uint64_t waited_ns; /* in this input */
} bench;

struct message {
    struct vhost_user_header header;
    uint8_t payload[PAYLOAD_MAX];
};

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);
int __real_shared_event_signal_open(struct shared_event_signal *s);
int __wrap_shared_event_signal_open(struct shared_event_signal *s);
void __wrap_shared_event_signal_close(struct shared_event_signal *s);
int __real_clock_gettime(clockid_t id, struct timespec *time);
int __wrap_clock_gettime(clockid_t id, struct timespec *time);

static uint64_t all_but(uint64_t bit)
{
    return bit < 64 ? ~(UINT64_C(1) << bit) : UINT64_MAX;
}

/* ---- the server ---- */

static void replace_fd(int *to, int fd)
{
    if (*to >= 0)
        close(*to);
    *to = fd;
}

static void hang_up(struct server *s)
{
    replace_fd(&s->fd, -1);
    replace_fd(&s->backend_fd, -1);
    for (unsigned i = 0; i < RINGS; i++) {
        replace_fd(&s->kick_fd[i], -1);
        replace_fd(&s->call_fd[i], -1);
        replace_fd(&s->err_fd[i], -1);
    }
    s->front_fd = -1;
    s->kicks = s->running = 0;
}

static int connect_server(void *ctx, int cancel_fd)
{
    struct server *s = ctx;
    int fds[2];
    (void)cancel_fd;
    if (s->down)
        return -ECONNREFUSED;
    hang_up(s);
    int err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    BUG_ON(err != 0);
    s->fd = fds[1];
    s->front_fd = fds[0];
    return fds[0];
}

static void keep_fd(struct server *s, const struct message *asked, int fd)
{
    unsigned ring = asked->payload[0] % RINGS;
    switch (asked->header.request) {
    case VHOST_USER_SET_VRING_CALL:
        replace_fd(&s->call_fd[ring], fd);
        break;
    case VHOST_USER_SET_VRING_ERR:
        replace_fd(&s->err_fd[ring], fd);
        break;
    case VHOST_USER_SET_BACKEND_REQ_FD:
        replace_fd(&s->backend_fd, fd);
        break;
    case VHOST_USER_SET_VRING_KICK:
        s->kicks |= 1u << ring;
        s->running |= 1u << ring;
        replace_fd(&s->kick_fd[ring], fd);
        break;
    default:
        close(fd);
        break;
    }
}

/* A packed ring begins at a place that it has. */
static void check_base(const struct message *asked)
{
    const struct vdrv_queue *q = &bench.rig.drv.q[asked->payload[0] % VDRV_QUEUES];
    uint32_t base = le32_get(asked->payload + offsetof(struct vhost_user_vring_state, num));
    fuzz_check(!q->packed || ((base & 0x7fff) < q->size && (base >> 16 & 0x7fff) < q->size),
               "a ring of %u begins at 0x%x", q->size, base);
}

static void receive(struct server *s, struct message *asked)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
    } space;
    struct iovec iov = {asked, sizeof(*asked)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    memset(asked, 0, sizeof(*asked));
    ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    fuzz_check(n >= (ssize_t)sizeof(asked->header) &&
                   (size_t)n == sizeof(asked->header) + asked->header.size,
               "a request of %zd bytes", n);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        int fds[VHOST_USER_FDS_MAX];
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            keep_fd(s, asked, fds[i]);
    }
    if (asked->header.request == VHOST_USER_SET_VRING_BASE)
        check_base(asked);
    if (asked->header.request == VHOST_USER_GET_VRING_BASE)
        s->running &= ~(1u << asked->payload[0] % RINGS);
    if (asked->header.request == VHOST_USER_SET_VRING_ADDR)
        memcpy(&s->addr[asked->payload[0] % RINGS], asked->payload, sizeof(s->addr[0]));
    if (asked->header.request == VHOST_USER_SET_MEM_TABLE) {
        struct vhost_user_region first;
        memcpy(&first, asked->payload + offsetof(struct vhost_user_memory, regions), sizeof(first));
        s->user_base = first.user - first.gpa;
    }
}

/* How far a server is that took no more than came back; of a packed ring it does not matter. */
static uint32_t place_of(const struct server *s, unsigned ring)
{
    const uint8_t *used =
        gmem_ptr(bench.rig.gmem, s->addr[ring].used - s->user_base, VIRTQ_USED_BYTES(0), 2);
    return used != NULL ? vdrv_load16(used + VIRTQ_USED_IDX) : 0;
}

/* Fills the payload in; its bytes, or 0: no answer is wanted. */
static uint32_t good_answer(const struct server *s, const struct message *asked, uint8_t *payload)
{
    struct vhost_user_inflight_message inflight = {.mmap_size = INFLIGHT_BYTES};
    switch (asked->header.request) {
    case VHOST_USER_GET_FEATURES:
        le64_put(payload, s->features);
        return 8;
    case VHOST_USER_GET_PROTOCOL_FEATURES:
        le64_put(payload, s->protocol);
        return 8;
    case VHOST_USER_GET_QUEUE_NUM:
        le64_put(payload, QUEUES);
        return 8;
    case VHOST_USER_GET_CONFIG:
        memcpy(payload, asked->payload, VHOST_USER_CONFIG_HEADER_BYTES);
        payload[VHOST_USER_CONFIG_HEADER_BYTES + 1] = 8; /* a disk's capacity: 1 MiB */
        return asked->header.size;
    case VHOST_USER_GET_VRING_BASE:
        memcpy(payload, asked->payload, sizeof(struct vhost_user_vring_state));
        le32_put(payload + offsetof(struct vhost_user_vring_state, num),
                 place_of(s, asked->payload[0] % RINGS));
        return sizeof(struct vhost_user_vring_state);
    case VHOST_USER_GET_INFLIGHT_FD:
        memcpy(payload, &inflight, sizeof(inflight));
        return sizeof(inflight);
    default:
        return asked->header.flags & VHOST_USER_NEED_REPLY ? 8 : 0;
    }
}

struct reply {
    struct message message;
    size_t bytes; /* of it that are sent */
    int fds[VHOST_USER_FDS_MAX];
    unsigned fd_count;
    int flags; /* of sendmsg() */
    bool then_closes;
};

static void spoil(struct server *s, struct reply *r)
{
    unsigned how = (unsigned)fuzz_take(&s->in, 1);
    size_t len;
    const uint8_t *bytes;
    switch (how & 15) {
    case 0: /* refuses */
        le64_put(r->message.payload, 1);
        break;
    case 1: /* refuses, as GET_CONFIG is */
        r->message.header.size = 0;
        r->bytes = sizeof(r->message.header);
        break;
    case 2: /* says nothing */
        r->bytes = 0;
        break;
    case 3:
        r->bytes = fuzz_take(&s->in, 1) % (r->bytes + 1);
        r->then_closes = true;
        break;
    case 4: /* another header */
        bytes = fuzz_take_bytes(&s->in, sizeof(r->message.header), &len);
        memcpy(&r->message.header, bytes, len);
        break;
    case 5: /* another payload */
        bytes = fuzz_take_bytes(&s->in, fuzz_take(&s->in, 1), &len);
        memcpy(r->message.payload, bytes, len);
        break;
    case 6: /* another byte in it */
        r->message.payload[fuzz_take(&s->in, 1) % 80] = (uint8_t)fuzz_take(&s->in, 1);
        break;
    case 7: /* fds that nobody asked for, or more of them */
        for (; r->fd_count < 1 + (how >> 4) % VHOST_USER_FDS_MAX; r->fd_count++)
            r->fds[r->fd_count] = s->inflight_fd;
        break;
    case 8:
        r->fd_count = 0;
        break;
    case 9: /* an answer twice, or one that nobody waits for */
        r->bytes = sizeof(r->message.header) + fuzz_take(&s->in, 1);
        break;
    case 10: /* a length that is not what follows */
        r->message.header.size = (uint32_t)fuzz_take(&s->in, 4);
        break;
    case 11: /* its last byte out of band, with the fds if it is the only one */
        r->flags = MSG_OOB;
        r->bytes = how >> 4 & 1 ? 1 : r->bytes;
        break;
    default:
        break;
    }
}

static bool is_spoiled(struct server *s)
{
    if (s->good_for > 0) {
        s->good_for--;
        return false;
    }
    unsigned byte = (unsigned)fuzz_take(&s->in, 1);
    s->good_for = byte & 1 ? 0 : byte / 2;
    return byte & 1;
}

static void send_reply(struct server *s, const struct reply *r)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
    } space = {0};
    struct iovec iov = {(void *)(uintptr_t)&r->message, r->bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (r->fd_count > 0) {
        msg.msg_control = &space;
        msg.msg_controllen = CMSG_SPACE(r->fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(r->fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), r->fds, r->fd_count * sizeof(int));
    }
    if (r->bytes > 0)
        (void)__real_sendmsg(s->fd, &msg, r->flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    if (r->then_closes)
        hang_up(s);
}

static void serve(struct server *s)
{
    struct message asked;
    struct reply r = {0};
    receive(s, &asked);
    uint32_t bytes = good_answer(s, &asked, r.message.payload);
    r.message.header = (struct vhost_user_header){
        .request = asked.header.request,
        .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
        .size = bytes,
    };
    r.bytes = bytes > 0 ? sizeof(r.message.header) + bytes : 0;
    if (asked.header.request == VHOST_USER_GET_INFLIGHT_FD) {
        r.fds[r.fd_count++] = s->inflight_fd;
        s->inflight_rings =
            le16_get(asked.payload + offsetof(struct vhost_user_inflight_message, queues));
    }
    if (!s->good && is_spoiled(s))
        spoil(s, &r);
    send_reply(s, &r);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct server *s = &bench.server;
    ssize_t n = __real_sendmsg(fd, msg, flags);
    if (n > 0 && s->fd >= 0 && fd == s->front_fd)
        serve(s);
    return n;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
    int n = __real_poll(fds, count, bench.runs ? 0 : ms);
    bench.waited_ns += bench.runs && n == 0 ? (uint64_t)ms * 1000000 : 0;
    return n;
}

/* One for all inputs: its end takes the kernel tens of milliseconds. */
int __wrap_shared_event_signal_open(struct shared_event_signal *s)
{
    static struct shared_event_signal kept;
    int err = kept.ready_fd == 0 ? __real_shared_event_signal_open(&kept) : 0;
    *s = kept;
    return err;
}

void __wrap_shared_event_signal_close(struct shared_event_signal *s)
{
    *s = (struct shared_event_signal){0};
}

int __wrap_clock_gettime(clockid_t id, struct timespec *time)
{
    int err = __real_clock_gettime(id, time);
    if (bench.runs) {
        uint64_t ns = (uint64_t)time->tv_nsec + bench.waited_ns;
        time->tv_sec += (time_t)(ns / NS_PER_S);
        time->tv_nsec = (long)(ns % NS_PER_S);
    }
    return err;
}

/* ---- steps ---- */

static void server_speaks(struct server *s)
{
    unsigned how = (unsigned)fuzz_take(&s->in, 1);
    struct message m = {.header = {VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, how, 0}};
    size_t len, bytes = sizeof(m.header);
    int fd = how & 0x80 ? s->fd : s->backend_fd;
    if (how & 0x40) {
        m.header.size = (uint32_t)fuzz_take(&s->in, 1);
        bytes += fuzz_take(&s->in, 1) % 128;
    }
    if (how & 0x20) {
        const uint8_t *from = fuzz_take_bytes(&s->in, 16, &len);
        memcpy(&m, from, len);
    }
    if (fd >= 0)
        (void)send(fd, &m, bytes, MSG_NOSIGNAL | MSG_DONTWAIT | (how & 0x10 ? MSG_OOB : 0));
}

static void server_signals(struct server *s)
{
    unsigned how = (unsigned)fuzz_take(&s->in, 1);
    int fd = how & 0x80 ? s->err_fd[how % RINGS] : s->call_fd[how % RINGS];
    fd = how & 0x40 ? s->kick_fd[how % RINGS] : fd;
    if (fd < 0)
        return;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    eventfd_t count = 1;
    if (how & 0x20) /* full: one more write would wait */
        count = UINT64_MAX - 1;
    if (how & 0x10) /* empty: a read would wait */
        (void)eventfd_read(fd, &count);
    else
        (void)eventfd_write(fd, count);
    if (how & 0x08)
        (void)fcntl(fd, F_SETFL, 0);
}

/* The server has all of guest memory, and what the device asked it to keep. */
static void server_writes(struct bench *b)
{
    struct server *s = &b->server;
    uint64_t at = fuzz_take(&s->in, 2), value = fuzz_take(&s->in, 2);
    if (at & 1)
        BUG_ON(pwrite(s->inflight_fd, &value, 2, (off_t)at) != 2);
    else
        memcpy(vdrv_ptr(&b->rig.drv, HEAP_GPA + at, 2), &value, 2);
}

/* Where the rings are as the driver thinks, the driver takes it back. */
static void take_back(struct vdrv_queue *q)
{
    uint32_t head, len;
    if (!q->in_order && vdrv_ring_peek(&q->ring, &head, &len) && head < q->size &&
        q->ring.descs[head] != 0)
        vdrv_used(q, &head, &len);
}

/* What a server keeps of a packed ring for the next one: a place and its wrap counter. */
static void note_place(struct server *s, const struct vdrv_queue *q, bool lies)
{
    enum { PLACE = 18, WRAP = 21 };
    uint8_t place[WRAP - PLACE + 1] = {0};
    le16_put(place, (uint16_t)(lies ? fuzz_take(&s->in, 2)
                                    : vdrv_ring_place(&q->ring, q->ring.next_used)));
    place[WRAP - PLACE] =
        lies ? (uint8_t)fuzz_take(&s->in, 1) : vdrv_ring_wrap(&q->ring, q->ring.next_used);
    off_t at = s->inflight_rings > 0 ? q->index * (INFLIGHT_BYTES / s->inflight_rings) : 0;
    ssize_t n = pwrite(s->inflight_fd, place, sizeof(place), at + PLACE);
    BUG_ON(n != (ssize_t)sizeof(place));
}

/* One chain is done: the first of those in flight, or whatever the input says of it. */
static void server_serves(struct bench *b)
{
    struct server *s = &b->server;
    unsigned byte = (unsigned)fuzz_take(&s->in, 1);
    struct vdrv_queue *q = &b->rig.drv.q[byte % QUEUES_USED];
    bool lies = byte & 0x80;
    uint32_t head = 0, len = 0, more = 1;
    if (q->desc == NULL)
        return;
    while (head < q->size && q->ring.descs[head] == 0)
        head++;
    if (lies) {
        head = (uint32_t)fuzz_take(&s->in, 2);
        len = (uint32_t)fuzz_take(&s->in, 4);
        more = (uint32_t)fuzz_take(&s->in, 1);
    } else if (head == q->size) {
        return;
    }
    if (q->packed) {
        uint16_t used = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
        vdrv_pdesc_put(q, vdrv_ring_place(&q->ring, q->ring.next_used), 0, len, (uint16_t)head,
                       vdrv_ring_wrap(&q->ring, q->ring.next_used) ? used : 0);
    } else {
        uint8_t *at = q->used + VIRTQ_USED_RING + 8 * (size_t)(q->ring.next_used % q->size);
        le32_put(at, head);
        le32_put(at + 4, len);
        vdrv_store16(q->used + VIRTQ_USED_IDX, (uint16_t)(q->ring.next_used + more));
    }
    take_back(q);
    if (q->packed && !(byte & 0x40))
        note_place(s, q, lies);
    if (!(byte & 0x20) && s->call_fd[q->index] >= 0) {
        (void)fcntl(s->call_fd[q->index], F_SETFL, O_NONBLOCK);
        (void)eventfd_write(s->call_fd[q->index], 1);
    }
}

/* One queue ends, which its server has to stop, and begins anew. */
static void reset_queue(struct bench *b)
{
    struct vdrv *d = &b->rig.drv;
    unsigned queue = (unsigned)fuzz_take(&b->server.in, 1) % QUEUES_USED;
    if (d->q[queue].desc == NULL || !(d->features & VIRTIO_BIT(VIRTIO_F_RING_RESET)) ||
        !vdrv_queue_reset(d, queue))
        return;
    vdrv_queue_alloc(d, queue, RING_SIZE);
    vdrv_queue_write(d, queue);
}

static void send_chain(struct bench *b)
{
    unsigned byte = (unsigned)fuzz_take(&b->server.in, 1);
    struct vdrv_queue *q = &b->rig.drv.q[byte % QUEUES_USED];
    struct vdrv_buf bufs[2] = {{LOW_BYTES - 512, 16, false}, {LOW_BYTES - 256, 16, true}};
    uint64_t what = VIRTIO_NET_CTRL_MQ | byte % 3 << 16; /* a number of pairs */
    if (byte & 0x80)
        what = fuzz_take(&b->server.in, 8);
    memcpy(vdrv_ptr(&b->rig.drv, bufs[0].gpa, sizeof(what)), &what, sizeof(what));
    if (q->desc != NULL)
        vdrv_send(q, bufs, 2);
}

static void access_config(struct bench *b)
{
    unsigned byte = (unsigned)fuzz_take(&b->server.in, 1);
    uint8_t value = (uint8_t)fuzz_take(&b->server.in, 1);
    if (byte & 0x80)
        vdrv_config_write(&b->rig.drv, byte % 64, &value, 1);
    else
        vdrv_config_read(&b->rig.drv, byte % 64, &value, 1);
}

/* After a reset that is complete. A connection has ended, or was reset with an answer unread. */
static void check_stopped(const struct server *s)
{
    uint8_t byte;
    ssize_t n = s->fd >= 0 ? recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
    bool connected = n > 0 || (n < 0 && errno == EAGAIN);
    fuzz_check(!connected || s->running == 0, "rings 0x%x run after a reset", s->running);
}

static void start_driver(struct bench *b)
{
    unsigned drop = (unsigned)fuzz_take(&b->server.in, 1);
    if (b->rig.pci != NULL)
        rig_find_device(&b->rig);
    unsigned queues = (unsigned)min_u64(1 + drop % QUEUES_USED, b->v->dev.cfg.queue_count);
    uint64_t features = vdrv_offered(&b->rig.drv) & all_but(drop % 128);
    vdrv_start(&b->rig.drv, features, queues, RING_SIZE);
}

static void do_step(struct bench *b)
{
    struct server *s = &b->server;
    unsigned byte = (unsigned)fuzz_take(&s->in, 1);
    switch (byte % 16) {
    case 0:
    case 1:
        start_driver(b);
        break;
    case 2:
        vdrv_reset(&b->rig.drv);
        check_stopped(s);
        break;
    case 3:
        send_chain(b);
        break;
    case 4:
        hang_up(s);
        break;
    case 5:
        s->features &= all_but(fuzz_take(&s->in, 1));
        break;
    case 6:
        s->features = s->protocol = UINT64_MAX;
        s->down = false;
        break;
    case 7:
        s->down = !s->down;
        break;
    case 8:
        server_speaks(s);
        break;
    case 9:
        server_signals(s);
        break;
    case 10:
        server_writes(b);
        break;
    case 11:
        access_config(b);
        break;
    case 12:
        s->protocol &= all_but(fuzz_take(&s->in, 1));
        break;
    case 13:
        b->rig.time.now_ns += LONG_RETRY;
        break;
    case 14:
        server_serves(b);
        break;
    default:
        reset_queue(b);
        break;
    }
    if (!(byte & 0x80))
        rig_step(&b->rig);
}

/* ---- from the first to the last ---- */

static void open_rig(struct bench *b, unsigned variant)
{
    struct rig_config config = variant < RIG_VARIANTS ? rig_variants[variant]
                                                      : rig_legacy_variants[variant - RIG_VARIANTS];
    config.keep_host = true;
    config.ram_bytes = config.hole_gpa = LOW_BYTES;
    config.queue_size_max = 64;
    config.features_on |= VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    if (b->rig.loop == NULL) { /* the first time */
        struct shared_event_signal kept;
        BUG_ON(shared_event_signal_open(&kept) != 0);
        setenv("MINIVET_NO_URING", "1", 1);
        b->server = (struct server){.fd = -1, .backend_fd = -1};
        memset(b->server.kick_fd, -1, sizeof(b->server.kick_fd));
        memset(b->server.call_fd, -1, sizeof(b->server.call_fd));
        memset(b->server.err_fd, -1, sizeof(b->server.err_fd));
        b->server.inflight_fd = memfd_create("fuzz", MFD_CLOEXEC);
        BUG_ON(b->server.inflight_fd < 0);
    }
    rig_open_host(&b->rig, &config);
    evloop_lanes_by_hand(b->rig.loop);
    memset(gmem_ptr(b->rig.gmem, 0, LOW_BYTES, 1), 0, LOW_BYTES);
    int err = ftruncate(b->server.inflight_fd, 0);
    err = err != 0 ? err : ftruncate(b->server.inflight_fd, INFLIGHT_BYTES + 8);
    BUG_ON(err != 0);
}

static int create(struct bench *b, unsigned groups)
{
    struct vhost_user_setup setup = {
        .setup = rig_setup(&b->rig, "fuzz"),
        .socket_path = "a function",
        .connect = connect_server,
        .connect_ctx = &b->server,
        .groups = groups,
        .reply_ms = REPLY_MS,
        .clock = &b->rig.clock,
    };
    static const uint8_t mac[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 1};
    b->v = NULL;
    fuzz_count_lines(LOG_ERROR);
    return b->is_net ? vhost_user_net_create(&b->v, &setup, mac, 1500)
                     : vhost_user_blk_create(&b->v, &setup);
}

/* What other threads still close. */
static void wait_for_closes(void)
{
    while (foreign_fds_left() > 0)
        sched_yield();
}

/* A good server, and a driver that begins anew. */
static void revive(struct bench *b)
{
    struct server *s = &b->server;
    wait_for_closes();
    s->good = true;
    s->down = false;
    s->features = s->protocol = UINT64_MAX;
    for (unsigned i = 0; i < 3; i++) {
        rig_step(&b->rig);
        b->rig.time.now_ns += LONG_RETRY;
    }
    rig_step(&b->rig);
    fuzz_check(b->v->connected, "the device does not find its server");
    if (b->rig.pci != NULL)
        rig_find_device(&b->rig);
    s->kicks = 0;
    unsigned rings = b->is_net ? 2 : 1;
    fuzz_check(vdrv_start(&b->rig.drv, 0, rings, RING_SIZE), "the device does not start");
    rig_step(&b->rig);
    fuzz_check(b->v->connected && !rig_is_broken(&b->rig), "the device does not run");
    fuzz_check(s->kicks == (1u << rings) - 1, "rings 0x%x were started", s->kicks);
    for (unsigned i = 0; i < rings; i++) {
        const struct vdrv_queue *q = &b->rig.drv.q[i];
        uint64_t base = s->addr[i].desc - q->desc_gpa;
        fuzz_check(s->addr[i].avail == base + q->avail_gpa && s->addr[i].used == base + q->used_gpa,
                   "ring %u is elsewhere", i);
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    struct server *s = &b->server;
    unsigned how = (unsigned)fuzz_take(in, 1);
    open_rig(b, (how >> 2) % (RIG_VARIANTS + RIG_LEGACY_VARIANTS));
    unsigned files = fuzz_open_fds();
    b->runs = true;
    b->waited_ns = 0;
    b->is_net = how & 1;
    s->good = s->down = false;
    s->good_for = 0;
    s->features = all_but(fuzz_take(in, 1));
    s->protocol = all_but(fuzz_take(in, 1));
    s->in = *in;
    int err = create(b, how & 2 ? 2 : 1);
    fuzz_check(fuzz_lines() == (err != 0), "error %d was told in %u lines", err, fuzz_lines());
    if (err == 0) {
        b->rig.cfg.always &= b->v->dev.offered[0]; /* packed rings are the server's to have */
        rig_plug(&b->rig, &b->v->dev);
        for (unsigned i = 0; i < STEPS_MAX && s->in.left > 0; i++)
            do_step(b);
        revive(b);
        rig_unplug(&b->rig);
        vhost_user_device_destroy(b->v);
    }
    hang_up(s);
    rig_close(&b->rig);
    b->runs = false;
    wait_for_closes();
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
}

const struct fuzz_target fuzz_target_vhost_user = {
    .name = "vhost-user", .run = fuzz_run_bytes, .bytes = run};
