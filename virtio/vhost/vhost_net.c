// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vhost/vhost_net.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_kernel.h"

/* After spec.h, since they make macros of the same names. */
#include <linux/if_tun.h>
#include <linux/vhost.h>

#define RINGS VHOST_KERNEL_RINGS /* of a pair: receive, transmit */

/* The rest is the tap's or the device's. */
#define RING_FEATURES (VHOST_KERNEL_FEATURES | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF))

struct vhost_net {
    struct vhost_net_config cfg;
    struct vhost_kernel *pairs;
};

/* The tap's headers are the driver's, and as long as those; a test's kernel has taps, too. */
static int set_header(const struct vhost_net *v, const struct virtio_device *dev, unsigned pair)
{
    const struct vhost_kernel_host *host = v->pairs[pair].cfg.host;
    bool merges = virtio_device_has(dev, VIRTIO_NET_F_MRG_RXBUF);
    bool modern = virtio_device_has(dev, VIRTIO_F_VERSION_1);
    int bytes = merges || modern ? VIRTIO_NET_HDR_BYTES : VIRTIO_NET_HDR_LEGACY_BYTES;
    return host->ioctl(host->ctx, v->cfg.taps[pair], TUNSETVNETHDRSZ, &bytes) < 0 ? -errno : 0;
}

static int set_tap(const struct vhost_net *v, unsigned queue, int tap)
{
    struct vhost_vring_file file = {.index = queue % RINGS, .fd = tap};
    return vhost_kernel_ask(&v->pairs[queue / RINGS], VHOST_NET_SET_BACKEND, &file);
}

void vhost_net_start(struct vhost_net *v, struct virtio_device *dev, unsigned queue)
{
    unsigned pair = queue / RINGS;
    int err = set_header(v, dev, pair);
    if (err == 0)
        err = vhost_kernel_prepare(&v->pairs[pair], dev, queue, RING_FEATURES);
    if (err == 0) /* The tap comes last: with it the ring runs, and what is there is looked at. */
        err = set_tap(v, queue, v->cfg.taps[pair]);
    vhost_kernel_ran(&v->pairs[pair], dev, queue, err);
}

/* Without a tap the kernel lets go of all that it has in flight, before the call returns. */
void vhost_net_stop(struct vhost_net *v, unsigned queue)
{
    struct vhost_kernel *pair = &v->pairs[queue / RINGS];
    if (vhost_kernel_ring(pair, queue)->dev != NULL)
        (void)set_tap(v, queue, VHOST_FILE_UNBIND);
    vhost_kernel_stopped(pair, queue);
}

/* ---- life ---- */

uint64_t vhost_net_unknown_features(const struct vhost_net *v)
{
    return RING_FEATURES & ~v->pairs[0].features;
}

int vhost_net_create(struct vhost_net **out, const struct vhost_net_config *config)
{
    struct vhost_net *v = calloc(1, sizeof(*v));
    if (v != NULL) {
        v->cfg = *config;
        v->pairs = calloc(config->pairs, sizeof(*v->pairs));
    }
    if (v == NULL || v->pairs == NULL) {
        vhost_net_destroy(v);
        return fail(-ENOMEM, "virtio %s", config->name);
    }
    int err = 0;
    for (unsigned i = 0; err == 0 && i < config->pairs; i++)
        err =
            vhost_kernel_create(&v->pairs[i], &(struct vhost_kernel_config){.name = config->name,
                                                                            .driver = "vhost-net",
                                                                            .module = "vhost_net",
                                                                            .instead = "vhost=off",
                                                                            .first = i * RINGS,
                                                                            .loop = config->loop,
                                                                            .gmem = config->gmem,
                                                                            .host = config->host});
    if (err != 0) {
        vhost_net_destroy(v);
        return err;
    }
    *out = v;
    return 0;
}

void vhost_net_destroy(struct vhost_net *v)
{
    if (v == NULL)
        return;
    for (unsigned i = 0; v->pairs != NULL && i < v->cfg.pairs; i++)
        vhost_kernel_destroy(&v->pairs[i]);
    free(v->pairs);
    free(v);
}
