// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/may_block.h"
#include "core/memory/gmem.h"
#include "core/peers/foreign_fd.h"
#include "virtio/vhost/vhost_user_wire.h"

/*
 * Addresses of rings are given as "user addresses", which only the memory table explains. Ours are
 * guest-physical ones moved up: no ring is at 0, and the server learns nothing of our own address
 * space.
 */
#define USER_BASE (UINT64_C(1) << 46)

/* Where the parts of a packed queue's in-flight memory are that tell its place. */
#define INFLIGHT_PACKED_USED_IDX 18u /* of the last batch that was ended */
#define INFLIGHT_PACKED_WRAP     21u

_Static_assert(GMEM_MAX_REGIONS <= VHOST_USER_MEM_REGIONS, "a slot for each region");

/* ---- errors ---- */

static int lost(struct vhost_user *vu, int err, const char *why)
{
    vu->dead = true;
    vu->why = why;
    return err;
}

/* ---- bytes, until a deadline ---- */

static uint64_t deadline_in(const struct vhost_user *vu, unsigned replies)
{
    uint64_t ns = clock_now_ns(&clock_host) + (uint64_t)vu->reply_ms * replies * 1000000;
    return vu->until_ns != 0 ? min_u64(ns, vu->until_ns) : ns;
}

void vhost_user_limit(struct vhost_user *vu)
{
    vu->until_ns = 0;
    vu->until_ns = deadline_in(vu, VHOST_USER_DRAIN_FACTOR);
}

static int wait_for(struct vhost_user *vu, short events, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = clock_now_ns(&clock_host);
        uint64_t left_ms = now < deadline_ns ? (deadline_ns - now + 999999) / 1000000 : 0;
        struct pollfd p[2] = {
            {.fd = vu->fd, .events = events},
            {.fd = vu->cancel_fd, .events = POLLIN},
        };
        int n = poll(p, 2, (int)min_u64(left_ms, INT32_MAX));
        if (n > 0 && p[1].revents != 0)
            return lost(vu, -ECANCELED, "it is not waited for any longer");
        if (n > 0)
            return 0;
        if (n == 0 && left_ms == 0)
            return lost(vu, -ETIMEDOUT, "no answer in time");
        if (n < 0 && errno != EINTR)
            return lost(vu, -errno, "poll");
    }
}

int vhost_user_pause(struct vhost_user *vu, unsigned ms)
{
    struct pollfd p = {.fd = vu->cancel_fd, .events = POLLIN};
    may_block();
    if (poll(&p, 1, (int)ms) > 0)
        return lost(vu, -ECANCELED, "it is not waited for any longer");
    if (vu->until_ns != 0 && clock_now_ns(&clock_host) >= vu->until_ns)
        return lost(vu, -ETIMEDOUT, "no answer in time");
    return 0;
}

union fd_space {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
};

/* The fds go with the first byte. */
static int send_all(struct vhost_user *vu, struct iovec *iov, unsigned iov_count, const int *fds,
                    unsigned fd_count, uint64_t deadline_ns)
{
    union fd_space space = {0};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = iov_count};
    if (fd_count > 0) {
        msg.msg_control = &space;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
            .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
        };
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    while (msg.msg_iovlen > 0) {
        ssize_t n = sendmsg(vu->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            int err = wait_for(vu, POLLOUT, deadline_ns);
            if (err != 0)
                return err;
            continue;
        }
        if (n < 0 && errno != EINTR)
            return lost(vu, -errno, "the connection broke");
        if (n <= 0)
            continue;
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
        size_t sent = (size_t)n;
        while (msg.msg_iovlen > 0 && sent >= msg.msg_iov->iov_len) {
            sent -= msg.msg_iov->iov_len;
            msg.msg_iov++;
            msg.msg_iovlen--;
        }
        if (msg.msg_iovlen > 0) {
            msg.msg_iov->iov_base = (uint8_t *)msg.msg_iov->iov_base + sent;
            msg.msg_iov->iov_len -= sent;
        }
    }
    return 0;
}

static int receive_all(struct vhost_user *vu, void *dst, size_t len, int *fd, uint64_t deadline_ns)
{
    for (size_t done = 0; done < len;) {
        int err = wait_for(vu, POLLIN, deadline_ns);
        if (err != 0)
            return err;
        uint8_t *to = (uint8_t *)dst + done;
        ssize_t n = foreign_socket_receive(vu->fd, to, len - done, fd);
        if (n == 0)
            return lost(vu, -ECONNRESET, "it closed the connection");
        if (n == -EPROTO)
            return lost(vu, -EPROTO, "it sent files that were not asked for");
        if (n < 0 && n != -EAGAIN && n != -EINTR)
            return lost(vu, (int)n, "the connection broke");
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

/* ---- messages ---- */

struct request {
    enum vhost_user_request type;
    const void *payload;
    uint32_t bytes;
    const int *fds;
    unsigned fd_count;

    /* The reply: its size must be this; fd: one that comes with it, -1 before. */
    void *reply;
    uint32_t reply_bytes;
    int *reply_fd;
    unsigned patience; /* deadlines that it may take; 0: one */
};

static int send_request(struct vhost_user *vu, const struct request *r, uint32_t flags,
                        uint64_t deadline_ns)
{
    struct vhost_user_header header = {
        .request = r->type,
        .flags = VHOST_USER_VERSION | flags,
        .size = r->bytes,
    };
    struct iovec iov[2] = {
        {.iov_base = &header, .iov_len = sizeof(header)},
        {.iov_base = (void *)(uintptr_t)r->payload, .iov_len = r->bytes},
    };
    return send_all(vu, iov, r->bytes > 0 ? 2 : 1, r->fds, r->fd_count, deadline_ns);
}

static int receive_reply(struct vhost_user *vu, const struct request *r, void *reply,
                         uint32_t reply_bytes, uint64_t deadline_ns)
{
    struct vhost_user_header header;
    int err = receive_all(vu, &header, sizeof(header), r->reply_fd, deadline_ns);
    if (err != 0)
        return err;
    uint32_t must = VHOST_USER_VERSION | VHOST_USER_REPLY;
    if (header.request != (uint32_t)r->type || (header.flags & VHOST_USER_FLAGS_MASK) != must)
        return lost(vu, -EPROTO, "it answered something else");
    /* "A zero-sized payload": how GET_CONFIG says no. */
    if (header.size == 0 && reply_bytes > 0) {
        vu->why = "it refused";
        return -EREMOTEIO;
    }
    if (header.size != reply_bytes)
        return lost(vu, -EPROTO, "its answer has a wrong size");
    return receive_all(vu, reply, reply_bytes, r->reply_fd, deadline_ns);
}

static int call(struct vhost_user *vu, const struct request *r)
{
    uint64_t deadline_ns = deadline_in(vu, r->patience > 0 ? r->patience : 1);
    may_block();
    if (vu->fd < 0 || vu->dead)
        return -ENOTCONN;
    if (r->reply != NULL) {
        int err = send_request(vu, r, 0, deadline_ns);
        return err != 0 ? err : receive_reply(vu, r, r->reply, r->reply_bytes, deadline_ns);
    }
    bool ack = vhost_user_has(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK);
    int err = send_request(vu, r, ack ? VHOST_USER_NEED_REPLY : 0, deadline_ns);
    if (err != 0 || !ack)
        return err;
    uint64_t status;
    err = receive_reply(vu, r, &status, sizeof(status), deadline_ns);
    if (err != 0 || status == 0)
        return err;
    vu->why = "it refused";
    return -EREMOTEIO;
}

static int get_u64(struct vhost_user *vu, enum vhost_user_request type, uint64_t *value)
{
    return call(vu, &(struct request){
                        .type = type,
                        .reply = value,
                        .reply_bytes = sizeof(*value),
                    });
}

static int put(struct vhost_user *vu, enum vhost_user_request type, const void *payload,
               uint32_t bytes)
{
    return call(vu, &(struct request){.type = type, .payload = payload, .bytes = bytes});
}

static int set_u64(struct vhost_user *vu, enum vhost_user_request type, uint64_t value)
{
    return put(vu, type, &value, sizeof(value));
}

static int set_fd(struct vhost_user *vu, enum vhost_user_request type, unsigned ring, int fd)
{
    uint64_t value = ring;
    return call(vu, &(struct request){
                        .type = type,
                        .payload = &value,
                        .bytes = sizeof(value),
                        .fds = &fd,
                        .fd_count = 1,
                    });
}

static int set_state(struct vhost_user *vu, enum vhost_user_request type, unsigned ring,
                     uint32_t value)
{
    struct vhost_user_vring_state state = {.index = ring, .num = value};
    return put(vu, type, &state, sizeof(state));
}

/* ---- the connection ---- */

void vhost_user_open(struct vhost_user *vu, int fd, unsigned reply_ms, int cancel_fd)
{
    *vu = (struct vhost_user){
        .fd = fd,
        .cancel_fd = cancel_fd,
        .reply_ms = reply_ms != 0 ? reply_ms : VHOST_USER_REPLY_MS,
    };
    foreign_socket_open(fd);
}

void vhost_user_close(struct vhost_user *vu)
{
    if (vu->fd >= 0)
        foreign_socket_close(vu->fd);
    vu->fd = -1;
    vu->dead = true;
}

bool vhost_user_has(const struct vhost_user *vu, enum vhost_user_protocol_feature feature)
{
    return (vu->protocol >> feature & 1) != 0;
}

int vhost_user_hello(struct vhost_user *vu, uint64_t protocol)
{
    const uint64_t bit = UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;
    uint64_t known;
    int err = get_u64(vu, VHOST_USER_GET_FEATURES, &vu->features);
    if (err == 0)
        err = call(vu, &(struct request){.type = VHOST_USER_SET_OWNER});
    if (err != 0)
        return err;
    vu->has_protocol = (vu->features & bit) != 0;
    vu->features &= ~bit;
    if (!vu->has_protocol)
        return 0;
    err = get_u64(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &known);
    if (err == 0)
        err = set_u64(vu, VHOST_USER_SET_PROTOCOL_FEATURES, known & protocol);
    if (err == 0)
        vu->protocol = known & protocol;
    return err;
}

int vhost_user_queue_count(struct vhost_user *vu, uint64_t *count)
{
    *count = 1;
    if (!vhost_user_has(vu, VHOST_USER_PROTOCOL_F_MQ))
        return 0;
    int err = get_u64(vu, VHOST_USER_GET_QUEUE_NUM, count);
    if (err == 0 && *count == 0)
        return lost(vu, -EPROTO, "it has no queues");
    return err;
}

int vhost_user_set_features(struct vhost_user *vu, uint64_t features)
{
    if (vu->has_protocol)
        features |= UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;
    return set_u64(vu, VHOST_USER_SET_FEATURES, features);
}

int vhost_user_set_memory(struct vhost_user *vu, const struct gmem *gmem)
{
    struct vhost_user_memory memory = {.count = gmem->count};
    int fds[VHOST_USER_MEM_REGIONS];
    for (unsigned i = 0; i < gmem->count; i++) {
        const struct gmem_region *r = &gmem->regions[i];
        fds[i] = gmem->fd;
        memory.regions[i] = (struct vhost_user_region){
            .gpa = r->gpa,
            .bytes = r->bytes,
            .user = USER_BASE + r->gpa,
            .mmap_offset = r->fd_bytes,
        };
    }
    size_t unused = (VHOST_USER_MEM_REGIONS - gmem->count) * sizeof(memory.regions[0]);
    return call(vu, &(struct request){
                        .type = VHOST_USER_SET_MEM_TABLE,
                        .payload = &memory,
                        .bytes = (uint32_t)(sizeof(memory) - unused),
                        .fds = fds,
                        .fd_count = gmem->count,
                    });
}

int vhost_user_set_backend_fd(struct vhost_user *vu, int fd)
{
    return call(vu, &(struct request){
                        .type = VHOST_USER_SET_BACKEND_REQ_FD,
                        .fds = &fd,
                        .fd_count = 1,
                    });
}

/* ---- configuration space ---- */

int vhost_user_get_config(struct vhost_user *vu, void *dst, uint32_t len)
{
    BUG_ON(len > VHOST_USER_CONFIG_MAX_BYTES);
    struct vhost_user_config config = {.size = len}, reply;
    uint32_t bytes = VHOST_USER_CONFIG_HEADER_BYTES + len;
    int err = call(vu, &(struct request){
                           .type = VHOST_USER_GET_CONFIG,
                           .payload = &config,
                           .bytes = bytes,
                           .reply = &reply,
                           .reply_bytes = bytes,
                       });
    if (err == 0 && (reply.offset != 0 || reply.size != len))
        err = lost(vu, -EPROTO, "its configuration has a wrong size");
    if (err == 0)
        memcpy(dst, reply.bytes, len);
    return err;
}

int vhost_user_set_config(struct vhost_user *vu, uint32_t offset, const void *src, uint32_t len)
{
    BUG_ON(len > VHOST_USER_CONFIG_MAX_BYTES);
    struct vhost_user_config config = {.offset = offset, .size = len};
    memcpy(config.bytes, src, len);
    return put(vu, VHOST_USER_SET_CONFIG, &config, VHOST_USER_CONFIG_HEADER_BYTES + len);
}

int vhost_user_net_set_mtu(struct vhost_user *vu, uint32_t mtu_bytes)
{
    return set_u64(vu, VHOST_USER_NET_SET_MTU, mtu_bytes);
}

/* ---- requests in flight ---- */

int vhost_user_get_inflight(struct vhost_user *vu, uint16_t queues, uint16_t queue_size,
                            struct vhost_user_inflight *inflight)
{
    struct vhost_user_inflight_message m = {.queues = queues, .queue_size = queue_size}, reply;
    int fd = -1;
    if (foreign_fds_left() >= FOREIGN_FDS_MAX)
        return lost(vu, -EAGAIN, "too many files that servers sent cannot be closed");
    int err = call(vu, &(struct request){
                           .type = VHOST_USER_GET_INFLIGHT_FD,
                           .payload = &m,
                           .bytes = sizeof(m),
                           .reply = &reply,
                           .reply_bytes = sizeof(reply),
                           .reply_fd = &fd,
                       });
    if (err == 0 && (fd < 0 || reply.mmap_size == 0 || !foreign_fd_is_memory(fd)))
        err = lost(vu, -EPROTO, "it has no memory for requests in flight");
    if (err != 0) {
        if (fd >= 0)
            foreign_fd_close(fd);
        return err;
    }
    *inflight = (struct vhost_user_inflight){
        .fd = fd,
        .bytes = reply.mmap_size,
        .offset = reply.mmap_offset,
        .queues = queues,
        .queue_size = queue_size,
    };
    return 0;
}

int vhost_user_set_inflight(struct vhost_user *vu, const struct vhost_user_inflight *inflight)
{
    struct vhost_user_inflight_message m = {
        .mmap_size = inflight->bytes,
        .mmap_offset = inflight->offset,
        .queues = inflight->queues,
        .queue_size = inflight->queue_size,
    };
    return call(vu, &(struct request){
                        .type = VHOST_USER_SET_INFLIGHT_FD,
                        .payload = &m,
                        .bytes = sizeof(m),
                        .fds = &inflight->fd,
                        .fd_count = 1,
                    });
}

void vhost_user_inflight_close(struct vhost_user_inflight *inflight)
{
    if (inflight->fd >= 0)
        foreign_fd_close(inflight->fd);
    inflight->fd = -1;
}

int vhost_user_inflight_packed_base(const struct vhost_user_inflight *inflight, unsigned ring,
                                    uint32_t size, uint32_t *base)
{
    /*
     * Read and not mapped: the server may cut its file short at any time. Only memory can be
     * sealed, and only memory answers at once: other files may keep a reader waiting as long as
     * they like.
     */
    uint8_t region[INFLIGHT_PACKED_WRAP + 1];
    uint64_t ring_bytes = inflight->bytes / inflight->queues, at;
    if (ring_bytes < sizeof(region) || fcntl(inflight->fd, F_GET_SEALS) < 0)
        return -EPROTO;
    if (!checked_add_u64(inflight->offset, ring * ring_bytes, &at) || at > INT64_MAX ||
        pread(inflight->fd, region, sizeof(region), (off_t)at) != (ssize_t)sizeof(region))
        return -EPROTO;
    uint32_t place = le16_get(region + INFLIGHT_PACKED_USED_IDX);
    if (place >= size)
        return -EPROTO;
    place |= region[INFLIGHT_PACKED_WRAP] != 0 ? VHOST_USER_BASE_WRAP : 0;
    *base = place | place << 16;
    return 0;
}

/* ---- rings ---- */

uint32_t vhost_user_first_base(bool packed)
{
    return packed ? VHOST_USER_BASE_WRAP | VHOST_USER_BASE_WRAP << 16 : 0;
}

static int ring_addresses(struct vhost_user *vu, const struct vhost_user_ring *ring)
{
    struct vhost_user_vring_addr addr = {
        .index = ring->index,
        .desc = USER_BASE + ring->desc_gpa,
        .used = USER_BASE + ring->device_gpa,
        .avail = USER_BASE + ring->driver_gpa,
    };
    return put(vu, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

int vhost_user_ring_start(struct vhost_user *vu, struct vhost_user_ring *ring)
{
    unsigned i = ring->index;
    BUG_ON(i >= VHOST_USER_RINGS_MAX);
    int err = set_state(vu, VHOST_USER_SET_VRING_NUM, i, ring->size);
    if (err == 0)
        err = set_state(vu, VHOST_USER_SET_VRING_BASE, i, ring->base);
    if (err == 0)
        err = ring_addresses(vu, ring);
    if (err == 0)
        err = set_fd(vu, VHOST_USER_SET_VRING_CALL, i, ring->call_fd);
    if (err == 0)
        err = set_fd(vu, VHOST_USER_SET_VRING_ERR, i, ring->err_fd);
    /* The kick starts the ring, so it comes when all else is known. */
    ring->begun = err == 0;
    if (err == 0)
        err = set_fd(vu, VHOST_USER_SET_VRING_KICK, i, ring->kick_fd);
    return err != 0 ? err : vhost_user_ring_enable(vu, i, !ring->disabled);
}

int vhost_user_ring_enable(struct vhost_user *vu, unsigned index, bool enable)
{
    return vu->has_protocol ? set_state(vu, VHOST_USER_SET_VRING_ENABLE, index, enable) : 0;
}

int vhost_user_ring_stop(struct vhost_user *vu, unsigned index, uint32_t *base)
{
    struct vhost_user_vring_state state = {.index = index}, reply = {0};
    int err = call(vu, &(struct request){
                           .type = VHOST_USER_GET_VRING_BASE,
                           .payload = &state,
                           .bytes = sizeof(state),
                           .reply = &reply,
                           .reply_bytes = sizeof(reply),
                           .patience = VHOST_USER_DRAIN_FACTOR,
                       });
    if (err == 0 && reply.index != index)
        err = lost(vu, -EPROTO, "it stopped another ring");
    *base = reply.num;
    return err;
}

/* ---- the server speaks ---- */

int vhost_user_backend_message(int fd, bool *changed)
{
    /* Such messages are short, and a socket takes and gives them whole. */
    struct vhost_user_header header;
    ssize_t n = recv(fd, &header, sizeof(header), MSG_DONTWAIT | MSG_PEEK);
    *changed = false;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    uint8_t payload[64];
    if (n != (ssize_t)sizeof(header) || header.size > sizeof(payload))
        return n == 0 ? -ECONNRESET : -EPROTO;
    size_t bytes = sizeof(header) + header.size;
    uint8_t whole[sizeof(header) + sizeof(payload)];
    if (foreign_socket_receive(fd, whole, bytes, NULL) != (ssize_t)bytes)
        return -EPROTO;
    *changed = header.request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
    if (!(header.flags & VHOST_USER_NEED_REPLY))
        return 1;
    struct {
        struct vhost_user_header header;
        uint64_t status;
    } __attribute__((packed)) reply = {
        .header = {header.request, VHOST_USER_VERSION | VHOST_USER_REPLY, sizeof(uint64_t)},
        .status = *changed ? 0 : 1,
    };
    if (send(fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
        return -EPROTO;
    return 1;
}
