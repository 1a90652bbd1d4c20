// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "core/base/fail.h"
#include "virtio/base/device.h"

/* After spec.h, since it makes macros of the same names. */
#include <linux/vhost.h>

enum { RX, TX }; /* queues */

struct vhost_vsock {
    struct vhost_kernel kernel;
    uint64_t features;            /* that concern it */
    bool has[VHOST_KERNEL_RINGS]; /* that the kernel was given */
};

static int set_running(const struct vhost_vsock *v, int on)
{
    return vhost_kernel_ask(&v->kernel, VHOST_VSOCK_SET_RUNNING, &on);
}

/* What was published meanwhile is looked at. */
static int run(struct vhost_vsock *v, struct virtio_device *dev)
{
    if (!v->has[RX] || !v->has[TX])
        return 0;
    int err = set_running(v, 1);
    if (err == 0)
        (void)eventfd_write(dev->queues[TX].kick_fd, 1);
    return err;
}

void vhost_vsock_start(struct vhost_vsock *v, struct virtio_device *dev, unsigned queue)
{
    int err = vhost_kernel_prepare(&v->kernel, dev, queue, v->features);
    v->has[queue] = err == 0;
    if (err == 0)
        err = run(v, dev);
    vhost_kernel_ran(&v->kernel, dev, queue, err);
}

/* The call returns when the kernel has let go of both. */
void vhost_vsock_stop(struct vhost_vsock *v, unsigned queue)
{
    (void)set_running(v, 0);
    v->has[queue] = false;
    vhost_kernel_stopped(&v->kernel, queue);
}

uint64_t vhost_vsock_unknown_features(const struct vhost_vsock *v)
{
    return v->features & ~v->kernel.features;
}

int vhost_vsock_create(struct vhost_vsock **out, const struct vhost_vsock_config *config)
{
    struct vhost_vsock *v = calloc(1, sizeof(*v));
    uint64_t cid = config->cid;
    if (v == NULL)
        return fail(-ENOMEM, "virtio %s", config->name);
    v->features = VHOST_KERNEL_FEATURES | config->features;
    int err = vhost_kernel_create(&v->kernel, &(struct vhost_kernel_config){.name = config->name,
                                                                            .driver = "vhost-vsock",
                                                                            .module = "vhost_vsock",
                                                                            .instead = "path=PATH",
                                                                            .first = RX,
                                                                            .loop = config->loop,
                                                                            .gmem = config->gmem,
                                                                            .host = config->host});
    if (err == 0) {
        err = vhost_kernel_ask(&v->kernel, VHOST_VSOCK_SET_GUEST_CID, &cid);
        if (err == -EADDRINUSE)
            fail_msg(err, "virtio %s: another guest has CID %u; say another cid=N", config->name,
                     config->cid);
        else if (err != 0)
            fail(err, "virtio %s: vhost-vsock: cid=%u", config->name, config->cid);
    }
    if (err != 0) {
        vhost_vsock_destroy(v);
        return err;
    }
    *out = v;
    return 0;
}

void vhost_vsock_destroy(struct vhost_vsock *v)
{
    if (v == NULL)
        return;
    vhost_kernel_destroy(&v->kernel);
    free(v);
}
