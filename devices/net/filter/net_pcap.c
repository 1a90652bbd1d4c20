// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/filter/net_pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/iobuf.h"
#include "core/output/own_file.h"
#include "devices/net/filter/net_filter.h"

#define BUFFER_BYTES (512 * KIB)
#define NS_PER_S     UINT64_C(1000000000)
#define MAGIC_NS     0xa1b23c4du /* in the host's byte order, as all numbers of the file */
#define ETHERNET     1u

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, snap_bytes, link_type;
};

struct packet_header {
    uint32_t seconds, ns, captured_bytes, bytes;
};

/* Two buffers: one takes packets while the other is written. */
struct net_pcap {
    struct net_filter f;
    const struct clock *clock;
    char *path;
    int fd;
    uint8_t *filling, *writing;
    size_t filled;
    uint64_t offset; /* in the file, of what is being written */
    uint64_t missed; /* packets that were not captured */
    int error;       /* of a write: nothing is written any more */
    bool busy;
    struct iovec iov; /* what is left to write */
    struct ev_io io;
    struct ev_defer write;
};

static struct net_pcap *pcap_of(struct net_backend *b)
{
    return container_of(b, struct net_pcap, f.b);
}

/* ---- the file ---- */

static void start_write(void *ctx)
{
    struct net_pcap *p = ctx;
    if (p->busy || p->filled == 0 || p->error != 0)
        return;
    uint8_t *full = p->filling;
    p->filling = p->writing;
    p->writing = full;
    p->iov = (struct iovec){full, p->filled};
    p->filled = 0;
    p->busy = true;
    p->io.offset_bytes = p->offset;
    evloop_io(p->f.loop, &p->io);
}

static void write_done(struct ev_io *io, int64_t result)
{
    struct net_pcap *p = container_of(io, struct net_pcap, io);
    p->busy = false;
    if (result <= 0) {
        p->error = fail(result < 0 ? (int)result : -EIO,
                        "capture %s: write; nothing more is captured", p->path);
        return;
    }
    p->offset += (uint64_t)result;
    p->iov.iov_base = (uint8_t *)p->iov.iov_base + result;
    p->iov.iov_len -= (size_t)result;
    if (p->iov.iov_len > 0) { /* a short write */
        p->busy = true;
        p->io.offset_bytes = p->offset;
        evloop_io(p->f.loop, &p->io);
        return;
    }
    start_write(p);
}

static bool is_idle(void *ctx)
{
    const struct net_pcap *p = ctx;
    return !p->busy;
}

/* The frame of a packet that has so many bytes. */
static void capture(struct net_pcap *p, const struct iovec *iov, unsigned count, size_t bytes)
{
    struct iobuf buf = iobuf_init(iov, count);
    uint64_t now_ns = clock_wall_ns(p->clock);
    iobuf_skip(&buf, NET_HEADER_BYTES);
    if (bytes > NET_PACKET_MAX || bytes < NET_HEADER_BYTES)
        return;
    const struct packet_header h = {
        .seconds = (uint32_t)(now_ns / NS_PER_S),
        .ns = (uint32_t)(now_ns % NS_PER_S),
        .captured_bytes = (uint32_t)(bytes - NET_HEADER_BYTES),
        .bytes = (uint32_t)(bytes - NET_HEADER_BYTES),
    };
    if (p->error != 0 || p->filled + sizeof(h) + h.bytes > BUFFER_BYTES) {
        p->missed++;
        return;
    }
    memcpy(p->filling + p->filled, &h, sizeof(h));
    iobuf_get(&buf, p->filling + p->filled + sizeof(h), h.bytes);
    p->filled += sizeof(h) + h.bytes;
    evloop_defer(p->f.loop, &p->write);
}

/* ---- packets ---- */

static int net_pcap_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                         unsigned count)
{
    struct net_pcap *p = pcap_of(b);
    int r = net_filter_send(b, pair, iov, count);
    if (r == 0)
        capture(p, iov, count, (size_t)iobuf_init(iov, count).left);
    return r;
}

static ssize_t net_pcap_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                unsigned count)
{
    ssize_t r = net_filter_receive(b, pair, iov, count);
    if (r >= 0)
        capture(pcap_of(b), iov, count, (size_t)r);
    return r;
}

static void net_pcap_destroy(struct net_backend *b)
{
    struct net_pcap *p = pcap_of(b);
    evloop_defer_cancel(p->f.loop, &p->write);
    do {
        start_write(p);
        if (p->busy)
            evloop_io_wait(p->f.loop, is_idle, p);
    } while (p->filled > 0 && p->error == 0);
    if (p->missed > 0)
        log_warn("capture %s: %llu packets were not captured", p->path,
                 (unsigned long long)p->missed);
    net_filter_fini(&p->f);
    close(p->fd);
    free(p->filling);
    free(p->writing);
    free(p->path);
    free(p);
}

static const struct net_backend_ops net_pcap_ops = {
    .send = net_pcap_send,
    .flush = net_filter_flush,
    .receive = net_pcap_receive,
    .set_offloads = net_filter_set_offloads,
    .set_pairs = net_filter_set_pairs,
    .destroy = net_pcap_destroy,
};

/* Passwords go over a network: a new file is its user's alone. */
static int open_file(const char *path)
{
    struct stat st;
    int fd = own_file_open(AT_FDCWD, path, O_WRONLY | O_TRUNC, 0600);
    if (fd == -EPERM)
        return fail_msg(fd, "capture %s: is there, and is another user's; give a new name", path);
    if (fd < 0)
        return fail(fd, "capture %s: open", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return fail_msg(-EINVAL, "capture %s: is no file; give the name of one", path);
}

static struct net_pcap *allocate(const char *path)
{
    struct net_pcap *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->filling = malloc(BUFFER_BYTES);
    p->writing = malloc(BUFFER_BYTES);
    p->path = strdup(path);
    if (p->filling && p->writing && p->path)
        return p;
    free(p->filling);
    free(p->writing);
    free(p->path);
    free(p);
    return NULL;
}

int net_pcap_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                    const char *path)
{
    const struct file_header header = {
        .magic = MAGIC_NS,
        .major = 2,
        .minor = 4,
        .snap_bytes = NET_PACKET_MAX,
        .link_type = ETHERNET,
    };
    int fd = open_file(path);
    if (fd < 0)
        return fd;
    struct net_pcap *p = allocate(path);
    if (!p) {
        close(fd);
        return fail(-ENOMEM, "capture %s", path);
    }
    net_filter_init(&p->f, *b, loop, &net_pcap_ops);
    p->clock = clock;
    p->fd = fd;
    p->io = (struct ev_io){
        .done = write_done, .op = EV_IO_WRITEV, .fd = fd, .iov = &p->iov, .iov_count = 1};
    p->write = (struct ev_defer){.cb = start_write, .ctx = p};
    memcpy(p->filling, &header, sizeof(header));
    p->filled = sizeof(header);
    evloop_defer(p->f.loop, &p->write);
    *b = &p->f.b;
    return 0;
}
