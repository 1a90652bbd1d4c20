// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vhost_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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
#include "virtio/spec.h"

#define INFLIGHT_HEADER    32u /* of a queue; the packed ring's is the larger one */
#define INFLIGHT_USED      18u /* packed: place and wrap counter of the used ring */
#define INFLIGHT_USED_WRAP 21u
#define STATUS_BYTES       1u

union payload {
    uint64_t u64;
    struct vhost_user_vring_state state;
    struct vhost_user_vring_addr addr;
    struct vhost_user_memory memory;
    struct vhost_user_config config;
    struct vhost_user_inflight_message inflight;
};

struct message {
    struct vhost_user_header header;
    union payload payload;
    int fds[VHOST_USER_FDS_MAX];
    unsigned fd_count;
};

static bool is_packed(const struct vhost_server *s)
{
    return (atomic_load(&s->acked) & VIRTIO_BIT(VIRTIO_F_RING_PACKED)) != 0;
}

/* ---- requests in flight: a byte for each head of a split ring, a position for a packed one ----
 */

static uint8_t *inflight_of(struct vhost_server *s, unsigned ring)
{
    return s->inflight != NULL ? s->inflight + ring * (s->inflight_bytes / s->inflight_queues)
                               : NULL;
}

static void note_taken(struct vhost_server *s, unsigned ring, const struct vq_chain *chain)
{
    uint8_t *at = inflight_of(s, ring);
    if (at != NULL && !is_packed(s))
        at[INFLIGHT_HEADER + chain->head] = 1;
}

static void note_done(struct vhost_server *s, unsigned ring, unsigned head)
{
    uint8_t *at = inflight_of(s, ring);
    const struct virtqueue *vq = &s->rings[ring].vq;
    if (at == NULL)
        return;
    if (!is_packed(s)) {
        at[INFLIGHT_HEADER + head] = 0;
        return;
    }
    uint32_t place = vq->packed.next_used;
    le16_put(at + INFLIGHT_USED, (uint16_t)(place % vq->size));
    at[INFLIGHT_USED_WRAP] = place < vq->size;
}

/* ---- requests ---- */

static uint8_t transfer(struct vhost_server *s, uint32_t type, uint64_t sector,
                        struct vq_chain *chain)
{
    uint64_t offset = sector * 512;
    uint64_t bytes = type == VIRTIO_BLK_T_IN ? chain->wr.left : chain->rd.left;
    if (!range_within(offset, bytes, 0, VHOST_SERVER_DISK_BYTES))
        return VIRTIO_BLK_S_IOERR;
    if (type == VIRTIO_BLK_T_IN)
        iobuf_put(&chain->wr, s->disk + offset, bytes);
    else if (type == VIRTIO_BLK_T_OUT)
        iobuf_get(&chain->rd, s->disk + offset, bytes);
    else
        return VIRTIO_BLK_S_UNSUPP;
    return VIRTIO_BLK_S_OK;
}

static uint64_t read_header(struct vq_chain *chain, uint32_t *type)
{
    struct iobuf rd = chain->rd;
    uint8_t header[VIRTIO_BLK_REQ_HEADER_BYTES] = {0};
    iobuf_get(&rd, header, sizeof(header));
    *type = le32_get(header + VIRTIO_BLK_REQ_type);
    return le64_get(header + VIRTIO_BLK_REQ_sector);
}

static void finish(struct vhost_server *s, unsigned ring, struct vq_chain *chain)
{
    uint32_t type;
    unsigned head = chain->head;
    uint64_t sector = read_header(chain, &type);
    if (iobuf_split_tail(&chain->wr, STATUS_BYTES, &chain->tail)) {
        iobuf_skip(&chain->rd, VIRTIO_BLK_REQ_HEADER_BYTES);
        uint8_t status = transfer(s, type, sector, chain);
        iobuf_put(&chain->tail, &status, sizeof(status));
    }
    vq_push(&s->rings[ring].vq, chain);
    atomic_fetch_add(&s->done, 1);
    note_done(s, ring, head);
}

static void take(struct vhost_server *s, unsigned ring, struct vq_chain *chain)
{
    struct vhost_server_ring *r = &s->rings[ring];
    uint32_t type;
    uint64_t sector = read_header(chain, &type);
    note_taken(s, ring, chain);
    if (sector == atomic_load(&s->hold_sector) && r->held_count < VHOST_SERVER_HELD)
        r->held[r->held_count++] = chain;
    else
        finish(s, ring, chain);
    atomic_fetch_add(&s->taken, 1);
}

static void flush(const struct vhost_server *s, struct vhost_server_ring *r)
{
    if (vq_flush(&r->vq) && !atomic_load(&s->mute))
        (void)eventfd_write(r->call_fd, 1);
}

/* From the transmit queue back into the receive queue before it; what does not fit there is lost.
 */
static void send_back(struct vhost_server *s, unsigned ring, struct vq_chain *chain)
{
    struct vhost_server_ring *rx = &s->rings[ring - 1];
    struct vq_chain *into;
    uint8_t packet[2048];
    size_t bytes = iobuf_get(&chain->rd, packet, sizeof(packet));
    if (rx->running && rx->enabled && vq_pop(&rx->vq, &into) > 0) {
        iobuf_put(&into->wr, packet, bytes);
        vq_push(&rx->vq, into);
        flush(s, rx);
    }
    vq_push(&s->rings[ring].vq, chain);
    atomic_fetch_add(&s->done, 1);
}

static void serve(struct vhost_server *s, unsigned ring)
{
    struct vhost_server_ring *r = &s->rings[ring];
    struct vq_chain *chain;
    if (s->is_net && ring % 2 == 0)
        return;
    int got;
    do {
        vq_notify_off(&r->vq);
        while ((got = vq_pop(&r->vq, &chain)) > 0) {
            if (s->is_net)
                send_back(s, ring, chain);
            else
                take(s, ring, chain);
        }
    } while (got == 0 && vq_notify_on(&r->vq));
    if (got < 0)
        (void)eventfd_write(r->err_fd, 1);
    flush(s, r);
}

static void finish_held(struct vhost_server *s, unsigned ring)
{
    struct vhost_server_ring *r = &s->rings[ring];
    for (unsigned i = 0; i < r->held_count; i++)
        finish(s, ring, r->held[i]);
    r->held_count = 0;
    if (r->running)
        flush(s, r);
}

/* ---- rings ---- */

static uint64_t gpa_of(const struct vhost_server *s, uint64_t user)
{
    for (unsigned i = 0; i < s->memory.count; i++)
        if (range_within(user, 1, s->user[i], s->memory.regions[i].bytes))
            return user - s->user[i] + s->memory.regions[i].gpa;
    return UINT64_MAX;
}

/*
 * What the life before took from a split ring and did not give back comes first: each head is
 * looked for among the last entries of the available ring.
 */
static void repeat(struct vhost_server *s, unsigned ring)
{
    struct vhost_server_ring *r = &s->rings[ring];
    uint8_t *at = inflight_of(s, ring);
    uint16_t avail, used;
    if (at == NULL || is_packed(s))
        return;
    vq_split_indices(&r->vq, &avail, &used);
    uint16_t taken = used;
    bool *seen = calloc(r->size, sizeof(*seen));
    BUG_ON(seen == NULL);
    for (unsigned back = r->size; back > 0; back--) {
        uint16_t index = (uint16_t)(avail - back);
        uint16_t head = le16_get(r->vq.split.avail + VIRTQ_AVAIL_RING + 2 * (index % r->size));
        if (head >= r->size || at[INFLIGHT_HEADER + head] == 0 || seen[head])
            continue;
        struct vq_chain *chain;
        r->vq.split.next_avail = index;
        r->vq.split.avail_seen = avail;
        seen[head] = true;
        if (vq_pop(&r->vq, &chain) == 1)
            take(s, ring, chain);
        atomic_fetch_add(&s->repeated, 1);
        taken++;
    }
    free(seen);
    r->vq.split.next_avail = r->vq.split.avail_seen = taken;
}

static void start_ring(struct vhost_server *s, unsigned ring)
{
    struct vhost_server_ring *r = &s->rings[ring];
    r->config = (struct vq_config){
        .size = r->size,
        .desc = gpa_of(s, r->desc),
        .driver = gpa_of(s, r->driver),
        .device = gpa_of(s, r->device),
    };
    int err = vq_activate(&r->vq, &(struct vq_setup){
                                      .config = &r->config,
                                      .gmem = &s->memory,
                                      .features = atomic_load(&s->acked),
                                      .size_max = r->size,
                                      .iov_max = 128,
                                  });
    BUG_ON(err != 0);
    if (is_packed(s)) {
        struct vq_packed *p = &r->vq.packed;
        p->next_avail = (r->base & 0x7fff) + (r->base & VHOST_USER_BASE_WRAP ? 0 : r->size);
        p->next_used = p->published =
            (r->base >> 16 & 0x7fff) + (r->base >> 16 & VHOST_USER_BASE_WRAP ? 0 : r->size);
    } else {
        struct vq_split *p = &r->vq.split;
        p->next_avail = p->avail_seen = p->next_used = p->published = (uint16_t)r->base;
        repeat(s, ring);
    }
    r->running = true; /* and waits for a kick */
}

static void enable_ring(struct vhost_server *s, unsigned ring, bool on)
{
    if (!s->rings[ring].running)
        start_ring(s, ring);
    s->rings[ring].enabled = on;
    if (on)
        atomic_fetch_or(&s->rings_on, 1u << ring);
    else
        atomic_fetch_and(&s->rings_on, ~(1u << ring));
}

static uint32_t base_of(const struct vhost_server *s, const struct vhost_server_ring *r)
{
    if (!is_packed(s))
        return r->vq.split.next_avail;
    uint32_t avail = r->vq.packed.next_avail, used = r->vq.packed.next_used;
    avail = avail % r->size | (avail < r->size ? VHOST_USER_BASE_WRAP : 0);
    used = used % r->size | (used < r->size ? VHOST_USER_BASE_WRAP : 0);
    return avail | used << 16;
}

static void end_ring(struct vhost_server_ring *r)
{
    int *fds[] = {&r->kick_fd, &r->call_fd, &r->err_fd};
    if (r->running)
        vq_deactivate(&r->vq);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    *r = (struct vhost_server_ring){.kick_fd = -1, .call_fd = -1, .err_fd = -1};
}

/* ---- messages ---- */

static bool receive(struct vhost_server *s, struct message *m)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(m->fds))];
    } space;
    struct iovec iov = {.iov_base = &m->header, .iov_len = sizeof(m->header)};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &space,
        .msg_controllen = sizeof(space),
    };
    *m = (struct message){0};
    if (recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof(m->header))
        return false;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c != NULL) {
        m->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(m->fds, CMSG_DATA(c), m->fd_count * sizeof(int));
    }
    BUG_ON(m->header.size > sizeof(m->payload));
    return m->header.size == 0 ||
           recv(s->fd, &m->payload, m->header.size, MSG_WAITALL) == (ssize_t)m->header.size;
}

static void send_with_fds(struct vhost_server *s, const void *data, size_t bytes, const int *fds,
                          unsigned fd_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
    } space = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        msg.msg_control = &space;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    if (sendmsg(s->fd, &msg, MSG_NOSIGNAL) >= 0 || errno != EPERM)
        return;
    msg.msg_control = NULL; /* they are not let in */
    msg.msg_controllen = 0;
    (void)!sendmsg(s->fd, &msg, MSG_NOSIGNAL);
}

static void trickle(struct vhost_server *s, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes; i++) {
        struct pollfd p = {.fd = s->stop_fd, .events = POLLIN};
        (void)!send(s->fd, data + i, 1, MSG_NOSIGNAL);
        if (poll(&p, 1, 20) > 0)
            return;
    }
}

/* Sends a reply, or what the fault makes of it. False: the connection ends. */
static bool reply(struct vhost_server *s, const struct message *m, uint32_t bytes, int fd)
{
    struct {
        struct vhost_user_header header;
        uint8_t payload[sizeof(union payload)];
    } out = {.header = {m->header.request, VHOST_USER_VERSION | VHOST_USER_REPLY, bytes}};
    int many[] = {s->stop_fd, s->stop_fd, s->stop_fd};
    size_t all = sizeof(out.header) + bytes;
    unsigned fd_count = fd >= 0 ? 1 : 0;
    memcpy(out.payload, &m->payload, bytes);
    bool faulty = s->fault_at == m->header.request;
    if (faulty)
        atomic_fetch_add(&s->faults, 1);
    switch (faulty ? s->fault : VHOST_SERVER_GOOD) {
    case VHOST_SERVER_SILENT:
        return true;
    case VHOST_SERVER_CLOSES:
        return false;
    case VHOST_SERVER_SHORT:
        send_with_fds(s, &out, sizeof(out.header) + bytes / 2, &fd, fd_count);
        return false;
    case VHOST_SERVER_TRICKLES:
        trickle(s, (const uint8_t *)&out, all);
        return true;
    case VHOST_SERVER_OTHER:
        out.header.request ^= 1;
        break;
    case VHOST_SERVER_NO_REPLY:
        out.header.flags = VHOST_USER_VERSION;
        break;
    case VHOST_SERVER_HUGE:
        out.header.size = UINT32_MAX;
        break;
    case VHOST_SERVER_TOO_SMALL:
        out.header.size = 1;
        break;
    case VHOST_SERVER_REFUSES:
        out.header.size = 0;
        all = sizeof(out.header);
        break;
    case VHOST_SERVER_FDS:
        many[0] = fd >= 0 ? fd : many[0];
        send_with_fds(s, &out, all, many, ARRAY_SIZE(many));
        return true;
    case VHOST_SERVER_NO_FD:
        fd_count = 0;
        break;
    default:
        break;
    }
    send_with_fds(s, &out, all, &fd, fd_count);
    return true;
}

static bool reply_u64(struct vhost_server *s, struct message *m, uint64_t value)
{
    m->payload.u64 = value;
    return reply(s, m, sizeof(value), -1);
}

/*
 * ThreadSanitizer tells places by address: it would not see that an atomic in one mapping of the
 * memory orders what is read through another. So there the server uses the front end's.
 */
#if defined(__SANITIZE_THREAD__)
static void *map_region(const struct vhost_server *s, const struct vhost_user_region *r, int fd)
{
    (void)fd;
    return gmem_ptr(s->front, r->gpa, r->bytes, 1);
}

static void unmap_region(const struct gmem_region *r)
{
    (void)r;
}
#else
static void *map_region(const struct vhost_server *s, const struct vhost_user_region *r, int fd)
{
    (void)s;
    return mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)r->mmap_offset);
}

static void unmap_region(const struct gmem_region *r)
{
    munmap(r->hva, r->bytes);
}
#endif

static bool set_memory(struct vhost_server *s, struct message *m)
{
    BUG_ON(m->payload.memory.count != m->fd_count || m->fd_count > GMEM_MAX_REGIONS);
    for (unsigned i = 0; i < s->memory.count; i++)
        unmap_region(&s->memory.regions[i]);
    s->memory.count = m->fd_count;
    for (unsigned i = 0; i < m->fd_count; i++) {
        const struct vhost_user_region *r = &m->payload.memory.regions[i];
        void *hva = map_region(s, r, m->fds[i]);
        BUG_ON(hva == MAP_FAILED || hva == NULL);
        s->user[i] = r->user;
        s->memory.regions[i] = (struct gmem_region){.gpa = r->gpa, .bytes = r->bytes, .hva = hva};
    }
    return true;
}

static void map_inflight(struct vhost_server *s, const struct message *m, int fd)
{
    if (s->inflight != NULL)
        munmap(s->inflight, s->inflight_bytes);
    s->inflight_bytes = m->payload.inflight.mmap_size;
    s->inflight_queues = m->payload.inflight.queues;
    s->inflight = mmap(NULL, s->inflight_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    BUG_ON(s->inflight == MAP_FAILED);
}

static bool get_inflight(struct vhost_server *s, struct message *m)
{
    struct vhost_user_inflight_message *i = &m->payload.inflight;
    int fd = memfd_create("inflight", MFD_CLOEXEC);
    i->mmap_offset = 0;
    i->mmap_size = i->queues * align_up(INFLIGHT_HEADER + i->queue_size, 64);
    BUG_ON(fd < 0 || ftruncate(fd, (off_t)i->mmap_size) != 0);
    int other = atomic_exchange(&s->record_fd, -1);
    if (other >= 0) {
        dup2(other, fd);
        close(other);
    }
    bool on = reply(s, m, sizeof(*i), fd);
    close(fd);
    return on;
}

static bool get_config(struct vhost_server *s, struct message *m)
{
    struct vhost_user_config *c = &m->payload.config;
    memset(c->bytes, 0, sizeof(c->bytes));
    le64_put(c->bytes + VIRTIO_BLK_CONFIG_capacity, atomic_load(&s->capacity_bytes) / 512);
    le32_put(c->bytes + VIRTIO_BLK_CONFIG_seg_max, 126);
    le32_put(c->bytes + VIRTIO_BLK_CONFIG_blk_size, 512);
    le16_put(c->bytes + VIRTIO_BLK_CONFIG_num_queues, (uint16_t)s->queues);
    return reply(s, m, m->header.size, -1);
}

static void take_fd(struct message *m, int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = m->fds[0];
    m->fd_count = 0;
}

static bool get_base(struct vhost_server *s, struct message *m)
{
    unsigned ring = m->payload.state.index;
    struct vhost_server_ring *r = &s->rings[ring];
    uint32_t base = r->running ? base_of(s, r) : r->base;
    if (!s->answers_early)
        finish_held(s, ring);
    m->payload.state.num = s->answers_early ? base : r->running ? base_of(s, r) : base;
    bool on = reply(s, m, sizeof(m->payload.state), -1);
    if (s->answers_early) {
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
        finish_held(s, ring);
    }
    end_ring(r);
    atomic_fetch_and(&s->rings_on, ~(1u << ring));
    return on;
}

/* What has no answer but the one that REPLY_ACK asks for. */
static void set(struct vhost_server *s, struct message *m)
{
    struct vhost_server_ring *r = &s->rings[m->payload.u64 % VHOST_SERVER_RINGS];
    const struct vhost_user_vring_state *state = &m->payload.state;
    switch (m->header.request) {
    case VHOST_USER_SET_FEATURES:
        atomic_store(&s->acked, m->payload.u64);
        break;
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        s->used_protocol = m->payload.u64;
        break;
    case VHOST_USER_SET_MEM_TABLE:
        set_memory(s, m);
        break;
    case VHOST_USER_SET_INFLIGHT_FD:
        map_inflight(s, m, m->fds[0]);
        break;
    case VHOST_USER_SET_VRING_NUM:
        s->rings[state->index].size = state->num;
        break;
    case VHOST_USER_SET_VRING_BASE:
        s->rings[state->index].base = state->num;
        break;
    case VHOST_USER_SET_VRING_ADDR:
        r = &s->rings[m->payload.addr.index];
        r->desc = m->payload.addr.desc;
        r->driver = m->payload.addr.avail;
        r->device = m->payload.addr.used;
        break;
    case VHOST_USER_SET_VRING_KICK:
        take_fd(m, &r->kick_fd);
        break;
    case VHOST_USER_SET_VRING_CALL:
        take_fd(m, &r->call_fd);
        break;
    case VHOST_USER_SET_VRING_ERR:
        take_fd(m, &r->err_fd);
        break;
    case VHOST_USER_SET_VRING_ENABLE:
        enable_ring(s, state->index, state->num != 0);
        break;
    case VHOST_USER_NET_SET_MTU:
        atomic_store(&s->mtu, m->payload.u64);
        break;
    case VHOST_USER_SET_CONFIG:
        if (m->payload.config.offset == VIRTIO_BLK_CONFIG_writeback)
            atomic_store(&s->writeback, m->payload.config.bytes[0]);
        break;
    case VHOST_USER_SET_BACKEND_REQ_FD:
        atomic_store(&s->backend_fd, m->fds[0]);
        m->fd_count = 0;
        break;
    default:
        break;
    }
}

static bool handle(struct vhost_server *s, struct message *m)
{
    switch (m->header.request) {
    case VHOST_USER_GET_FEATURES:
        return reply_u64(s, m, s->features | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
    case VHOST_USER_GET_PROTOCOL_FEATURES:
        return reply_u64(s, m, s->protocol);
    case VHOST_USER_GET_QUEUE_NUM:
        return reply_u64(s, m, s->queues);
    case VHOST_USER_GET_CONFIG:
        return get_config(s, m);
    case VHOST_USER_GET_INFLIGHT_FD:
        return get_inflight(s, m);
    case VHOST_USER_GET_VRING_BASE:
        return get_base(s, m);
    default:
        break;
    }
    bool refuses = s->fault == VHOST_SERVER_REFUSES && s->fault_at == m->header.request;
    if (!refuses)
        set(s, m);
    if (!(m->header.flags & VHOST_USER_NEED_REPLY))
        return true;
    if (!refuses)
        return reply_u64(s, m, 0);
    s->fault = VHOST_SERVER_GOOD; /* a refusal is an answer like others */
    bool on = reply_u64(s, m, 1);
    s->fault = VHOST_SERVER_REFUSES;
    return on;
}

static bool handle_one(struct vhost_server *s)
{
    struct message m;
    if (!receive(s, &m))
        return false;
    bool on = handle(s, &m);
    for (unsigned i = 0; i < m.fd_count; i++)
        close(m.fds[i]);
    return on;
}

/* ---- life ---- */

static void end_life(struct vhost_server *s)
{
    for (unsigned i = 0; i < VHOST_SERVER_RINGS; i++)
        end_ring(&s->rings[i]);
    atomic_store(&s->rings_on, 0);
    for (unsigned i = 0; i < s->memory.count; i++)
        unmap_region(&s->memory.regions[i]);
    s->memory.count = 0;
    if (s->inflight != NULL)
        munmap(s->inflight, s->inflight_bytes);
    s->inflight = NULL;
    pthread_mutex_lock(&s->lock);
    int backend = atomic_exchange(&s->backend_fd, -1);
    if (backend >= 0)
        close(backend);
    pthread_mutex_unlock(&s->lock);
    close(s->fd); /* last: who sees it finds nothing of this life any more */
}

static bool is_on(const struct vhost_server *s, const struct vhost_server_ring *r)
{
    return r->running && r->enabled && !atomic_load(&s->deaf);
}

static void *live(void *arg)
{
    struct vhost_server *s = arg;
    for (bool on = true; on;) {
        struct pollfd p[2 + VHOST_SERVER_RINGS] = {
            {.fd = s->stop_fd, .events = POLLIN},
            {.fd = s->fd, .events = POLLIN},
        };
        bool hears = false;
        atomic_store(&s->hears, true); /* perhaps: before it looks whether it is deaf */
        for (unsigned i = 0; i < VHOST_SERVER_RINGS; i++) {
            p[2 + i] = (struct pollfd){
                .fd = is_on(s, &s->rings[i]) ? s->rings[i].kick_fd : -1,
                .events = POLLIN,
            };
            hears |= p[2 + i].fd >= 0;
        }
        atomic_store(&s->hears, hears);
        poll(p, ARRAY_SIZE(p), -1);
        if (p[0].revents != 0)
            break;
        for (unsigned i = 0; i < VHOST_SERVER_RINGS; i++) {
            eventfd_t kicks;
            if (p[2 + i].revents != 0 && eventfd_read(s->rings[i].kick_fd, &kicks) == 0)
                serve(s, i);
        }
        if (p[1].revents != 0)
            on = handle_one(s);
    }
    end_life(s);
    return NULL;
}

void vhost_server_init(struct vhost_server *s)
{
    *s = (struct vhost_server){
        .features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |
                    VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |
                    VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
                    VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) |
                    VIRTIO_BIT(VIRTIO_BLK_F_MQ),
        .protocol = VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) |
                    VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                    VIRTIO_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
                    VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
                    VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
        .queues = 2,
        .hold_sector = VHOST_SERVER_NO_SECTOR,
        .writeback = -1,
        .backend_fd = -1,
        .record_fd = -1,
        .capacity_bytes = VHOST_SERVER_DISK_BYTES,
        .disk = calloc(1, VHOST_SERVER_DISK_BYTES),
        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    BUG_ON(s->disk == NULL || s->stop_fd < 0);
    pthread_mutex_init(&s->lock, NULL);
    for (unsigned i = 0; i < VHOST_SERVER_RINGS; i++)
        s->rings[i] = (struct vhost_server_ring){.kick_fd = -1, .call_fd = -1, .err_fd = -1};
}

void vhost_server_init_net(struct vhost_server *s)
{
    vhost_server_init(s);
    s->is_net = true;
    s->features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |
                  VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |
                  VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
                  VIRTIO_BIT(VIRTIO_NET_F_MTU) | VIRTIO_BIT(VIRTIO_NET_F_MQ);
    s->protocol = VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) |
                  VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                  VIRTIO_BIT(VHOST_USER_PROTOCOL_F_NET_MTU);
}

void vhost_server_fini(struct vhost_server *s)
{
    vhost_server_kill(s);
    close(s->stop_fd);
    pthread_mutex_destroy(&s->lock);
    free(s->disk);
}

void vhost_server_kill(struct vhost_server *s)
{
    eventfd_t value;
    if (!s->has_thread)
        return;
    (void)eventfd_write(s->stop_fd, 1);
    pthread_join(s->thread, NULL);
    (void)eventfd_read(s->stop_fd, &value);
    s->has_thread = false;
}

void vhost_server_deafen(struct vhost_server *s, int kick_fd)
{
    atomic_store(&s->deaf, true);
    while (atomic_load(&s->hears)) {
        (void)eventfd_write(kick_fd, 1);
        sched_yield();
    }
}

int vhost_server_connect(void *ctx, int cancel_fd)
{
    struct vhost_server *s = ctx;
    int fds[2];
    (void)cancel_fd;
    vhost_server_kill(s);
    if (s->down)
        return -ECONNREFUSED;
    int err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    BUG_ON(err != 0);
    s->fd = fds[1];
    atomic_fetch_add(&s->connections, 1);
    err = pthread_create(&s->thread, NULL, live, s);
    BUG_ON(err != 0);
    s->has_thread = true;
    return fds[0];
}

int vhost_server_socket(struct vhost_server *s, bool backend)
{
    pthread_mutex_lock(&s->lock); /* before the thread has it last: then it closes them */
    int fd = dup(backend ? atomic_load(&s->backend_fd) : s->fd);
    pthread_mutex_unlock(&s->lock);
    BUG_ON(fd < 0);
    return fd;
}

uint64_t vhost_server_resize(struct vhost_server *s, uint64_t bytes)
{
    struct vhost_user_header out = {
        .request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
        .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
    };
    atomic_store(&s->capacity_bytes, bytes);
    pthread_mutex_lock(&s->lock);
    ssize_t n = send(atomic_load(&s->backend_fd), &out, sizeof(out), MSG_NOSIGNAL);
    pthread_mutex_unlock(&s->lock);
    return n == (ssize_t)sizeof(out) ? 0 : 1;
}
