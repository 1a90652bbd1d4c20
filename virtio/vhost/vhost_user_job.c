// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_user_job.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/loop/may_block.h"
#include "core/memory/gmem.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

#define WANTED_PROTOCOL                                                                         \
    (VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |       \
     VIRTIO_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_CONFIG) | \
     VIRTIO_BIT(VHOST_USER_PROTOCOL_F_NET_MTU) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))

unsigned vhost_user_group(const struct vhost_user_type *type)
{
    return type->group != 0 ? type->group : 1;
}

unsigned vhost_user_ring_count(const struct vhost_user_device *v)
{
    return v->groups * vhost_user_group(v->type);
}

static int refuse(struct vhost_user_device *v, int err, const char *why)
{
    v->vu.why = why;
    return err;
}

/* ---- the connection begins ---- */

int vhost_user_job_connect(const struct vhost_user_setup *setup, int cancel_fd)
{
    if (foreign_fds_left() >= FOREIGN_FDS_MAX)
        return -EAGAIN;
    return setup->connect != NULL ? setup->connect(setup->connect_ctx, cancel_fd)
                                  : foreign_connect(setup->socket_path, cancel_fd);
}

static int open_backend(struct vhost_user_device *v)
{
    int fds[2];
    if (!vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return refuse(v, -errno, "socketpair");
    v->backend_fd = fds[0];
    foreign_socket_open(fds[0]);
    int err = vhost_user_set_backend_fd(&v->vu, fds[1]);
    close(fds[1]);
    return err;
}

static int get_config(struct vhost_user_device *v)
{
    if (v->type->own_config)
        return 0;
    return vhost_user_get_config(&v->vu, v->job->config, v->type->config_bytes);
}

/* A server that is not what the device was made from cannot go on with it. */
int vhost_user_job_open(struct vhost_user_device *v, int fd, int cancel_fd)
{
    vhost_user_open(&v->vu, fd, v->cfg.reply_ms, cancel_fd);
    vhost_user_limit(&v->vu);
    int err = vhost_user_hello(&v->vu, WANTED_PROTOCOL);
    if (err == 0)
        err = vhost_user_queue_count(&v->vu, &v->job->queues);
    if (err != 0)
        return err;
    if (!(v->vu.features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
        return refuse(v, -ENOTSUP, "it is older than VIRTIO 1.0");
    if (!v->type->own_config && !vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_CONFIG))
        return refuse(v, -ENOTSUP, "it cannot tell its configuration (CONFIG)");
    err = open_backend(v);
    if (err == 0 && (v->needed & ~v->vu.features) != 0)
        err = refuse(v, -ENOTSUP, "it offers less than before");
    return err != 0 ? err : get_config(v);
}

/* ---- an activation ---- */

static int prepare_inflight(struct vhost_user_device *v)
{
    bool can = vhost_user_has(&v->vu, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    int err = 0;
    v->job->recorded = can && v->inflight.fd >= 0;
    if (!can) { /* what this server does, the record will not have */
        vhost_user_inflight_close(&v->inflight);
        return 0;
    }
    if (v->inflight.fd < 0)
        err = vhost_user_get_inflight(&v->vu, (uint16_t)vhost_user_ring_count(v),
                                      (uint16_t)v->dev.setup.queue_size_max, &v->inflight);
    return err != 0 ? err : vhost_user_set_inflight(&v->vu, &v->inflight);
}

static int hand_over(struct vhost_user_device *v)
{
    int err = vhost_user_set_features(&v->vu, v->job->features);
    if (err == 0)
        err = vhost_user_set_memory(&v->vu, v->cfg.setup.gmem);
    return err != 0 ? err : prepare_inflight(v);
}

/* A server that refuses goes on as it is. */
static int tell(struct vhost_user_device *v)
{
    int err = v->type->tell != NULL ? v->type->tell(&v->vu, v->job->setting) : 0;
    return err == -EREMOTEIO ? 0 : err;
}

/* ---- rings ---- */

/* Where the server shall begin; false: what was in flight cannot be known. */
static bool find_base(const struct vhost_user_device *v, struct vhost_user_job_ring *r)
{
    bool recorded = v->job->recorded;
    if (!r->known) {
        r->ring.base = vhost_user_first_base(r->packed);
        return true;
    }
    if (r->packed)
        return recorded && vhost_user_inflight_packed_base(&v->inflight, r->ring.index,
                                                           r->ring.size, &r->ring.base) == 0;
    return recorded || v->type->repeatable || r->idle || v->job->in_order;
}

static int start_ring(struct vhost_user_device *v, struct vhost_user_job_ring *r)
{
    r->unknown = !find_base(v, r);
    if (r->unknown)
        return 0;
    int err = vhost_user_ring_start(&v->vu, &r->ring);
    r->done = err == 0;
    r->refused = err == -EREMOTEIO;
    return r->refused ? 0 : err;
}

/*
 * Not every server waits for its I/O before it answers to GET_VRING_BASE, as the protocol wants it.
 * Its answer is how many chains it took, and the ring says how many came back.
 */
static int wait_drained(struct vhost_user_device *v, const struct vhost_user_job_ring *r,
                        uint32_t base)
{
    uint64_t end_ns = clock_now_ns(&clock_host) + v->vu.reply_ms * UINT64_C(1000000);
    const uint8_t *used =
        gmem_ptr(v->cfg.setup.gmem, r->ring.device_gpa + VIRTQ_USED_IDX, sizeof(uint16_t), 2);
    while (!r->packed && ring_load16_acquire(used) != (uint16_t)base) {
        if (clock_now_ns(&clock_host) >= end_ns)
            return refuse(v, -ETIMEDOUT, "it does not finish what it has taken");
        int err = vhost_user_pause(&v->vu, 1);
        if (err != 0)
            return err;
    }
    return 0;
}

static int stop_ring(struct vhost_user_device *v, struct vhost_user_job_ring *r)
{
    uint32_t base;
    int err = vhost_user_ring_stop(&v->vu, r->ring.index, &base);
    if (err == 0)
        err = wait_drained(v, r, base);
    r->done = err == 0;
    return err;
}

static int switch_ring(struct vhost_user_device *v, struct vhost_user_job_ring *r)
{
    int err = vhost_user_ring_enable(&v->vu, r->ring.index, !r->ring.disabled);
    r->done = err == 0;
    return err;
}

static int each_ring(struct vhost_user_device *v, enum vhost_user_ring_work work,
                     int (*fn)(struct vhost_user_device *v, struct vhost_user_job_ring *r))
{
    int err = 0;
    for (unsigned i = 0; err == 0 && i < vhost_user_ring_count(v); i++)
        if (v->job->rings[i].work == work)
            err = fn(v, &v->job->rings[i]);
    return err;
}

/* ---- the job ---- */

static int run_commands(struct vhost_user_device *v)
{
    const struct vhost_user_job *job = v->job;
    vhost_user_limit(&v->vu);
    int err = each_ring(v, VHOST_USER_RING_STOP, stop_ring);
    if (err == 0 && job->hand_over)
        err = hand_over(v);
    if (err == 0 && (job->hand_over || job->tell))
        err = tell(v);
    if (err == 0)
        err = each_ring(v, VHOST_USER_RING_START, start_ring);
    if (err == 0)
        err = each_ring(v, VHOST_USER_RING_SWITCH, switch_ring);
    return err == 0 && job->get_config ? get_config(v) : err;
}

void vhost_user_job_run(void *ctx)
{
    struct vhost_user_device *v = ctx;
    struct vhost_user_job *job = v->job;
    if (!job->connect) {
        job->err = run_commands(v);
        return;
    }
    int fd = vhost_user_job_connect(&v->cfg, v->cancel_fd);
    job->found = fd >= 0;
    job->err = job->found ? vhost_user_job_open(v, fd, v->cancel_fd) : fd;
    if (job->err == 0 && job->queues < v->groups)
        job->err = refuse(v, -ENOTSUP, "it offers less than before");
}
