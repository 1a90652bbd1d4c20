// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/net/vhost_user_net.h"

#include <string.h>

#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "virtio/net/net_impl.h"
#include "virtio/spec.h"

#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)

#define PASSED_FEATURES                                                                            \
    (BIT(CSUM) | BIT(GUEST_CSUM) | BIT(MTU) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_ECN) | \
     BIT(GUEST_UFO) | BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_ECN) | BIT(HOST_UFO) |            \
     BIT(MRG_RXBUF) | BIT(MQ) | BIT(GUEST_USO4) | BIT(GUEST_USO6) | BIT(HOST_USO))

#define LOCAL_FEATURES \
    (BIT(MAC) | BIT(MTU) | BIT(STATUS) | BIT(CTRL_VQ) | BIT(GUEST_ANNOUNCE) | BIT(CTRL_MAC_ADDR))

/* Up to the MTU. */
#define CONFIG_BYTES 12u

struct vhost_user_net {
    struct vhost_user_device v;
    uint8_t mac[NET_MAC_BYTES]; /* after a reset */
    uint32_t mtu_bytes;
    unsigned pairs_used;
};

static struct vhost_user_net *of(struct vhost_user_device *v)
{
    return container_of(v, struct vhost_user_net, v);
}

/* ---- the link ---- */

static void set_status(struct vhost_user_net *net, uint16_t status)
{
    le16_put(net->v.config + VIRTIO_NET_CONFIG_status, status);
}

/* Behind a server that is back is a switch that has not seen the driver's address yet. */
static void on_connection(struct vhost_user_device *v)
{
    bool announces = virtio_device_has(&v->dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
    unsigned up = VIRTIO_NET_S_LINK_UP | (announces ? VIRTIO_NET_S_ANNOUNCE : 0);
    set_status(of(v), v->connected ? (uint16_t)up : 0);
    if (v->active)
        virtio_device_config_changed(&v->dev);
}

/* ---- the control queue, VIRTIO 1.4 5.1.6.5 ---- */

static bool is_control(const struct vhost_user_device *v, unsigned queue)
{
    return queue == 2 * (virtio_device_has(&v->dev, VIRTIO_NET_F_MQ) ? v->groups : 1);
}

/* A server is given all pairs when the driver starts, and uses one. */
static bool is_disabled(const struct vhost_user_device *v, unsigned queue)
{
    return queue / 2 >= container_of(v, const struct vhost_user_net, v)->pairs_used;
}

static bool set_pairs(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct vhost_user_net *net = container_of(dev, struct vhost_user_net, v.dev);
    uint16_t pairs;
    (void)command;
    if (!net_ctrl_get_le16(data, &pairs) || pairs == 0 || pairs > net->v.groups)
        return false;
    net->pairs_used = pairs;
    vhost_user_device_changed(&net->v);
    return true;
}

static const struct net_command commands[] = {
    NET_CTRL(MAC, MAC_ADDR_SET, MAC_ADDR_SET, CTRL_MAC_ADDR, net_ctrl_set_mac),
    NET_CTRL(ANNOUNCE, ANNOUNCE_ACK, ANNOUNCE_ACK, GUEST_ANNOUNCE, net_ctrl_acknowledge),
    NET_CTRL(MQ, MQ_VQ_PAIRS_SET, MQ_VQ_PAIRS_SET, MQ, set_pairs),
};

static void serve_control(struct vhost_user_device *v, unsigned queue)
{
    net_ctrl_serve_by(&v->dev, queue, commands, ARRAY_SIZE(commands));
}

/* ---- what the driver sees, and the server is told ---- */

static void on_reset(struct vhost_user_device *v)
{
    struct vhost_user_net *net = of(v);
    net->pairs_used = 1;
    memcpy(net->v.config + VIRTIO_NET_CONFIG_mac, net->mac, NET_MAC_BYTES);
    le16_put(net->v.config + VIRTIO_NET_CONFIG_mtu, (uint16_t)net->mtu_bytes);
    set_status(net, v->connected ? VIRTIO_NET_S_LINK_UP : 0);
}

/* A legacy driver sets its MAC address so (5.1.4.3). */
static void write_config(struct vhost_user_device *v, unsigned offset, const void *src,
                         unsigned len)
{
    if (v->dev.legacy)
        memcpy(v->config + offset, src, len);
}

/* The setting is the MTU that the driver knows; 0: none. */
static void activate(struct vhost_user_device *v)
{
    v->setting = virtio_device_has(&v->dev, VIRTIO_NET_F_MTU) ? of(v)->mtu_bytes : 0;
}

static int tell(struct vhost_user *vu, uint32_t setting)
{
    if (setting == 0 || !vhost_user_has(vu, VHOST_USER_PROTOCOL_F_NET_MTU))
        return 0;
    return vhost_user_net_set_mtu(vu, setting);
}

static const struct vhost_user_type net_type = {
    .bytes = sizeof(struct vhost_user_net),
    .device_type = &virtio_net_type,
    .features = PASSED_FEATURES,
    .local_features = LOCAL_FEATURES,
    .consistent = net_features_consistent,
    .config_bytes = CONFIG_BYTES,
    .own_config = true,
    .group = 2,
    .repeatable = true,
    .is_local = is_control,
    .serve = serve_control,
    .is_disabled = is_disabled,
    .connection = on_connection,
    .config_write = write_config,
    .activate = activate,
    .reset = on_reset,
    .tell = tell,
};

int vhost_user_net_create(struct vhost_user_device **out, const struct vhost_user_setup *config,
                          const uint8_t mac[NET_MAC_BYTES], uint32_t mtu_bytes)
{
    struct vhost_user_setup own = *config;
    int err;
    own.setup.features_off |= mtu_bytes == 0 ? BIT(MTU) : 0;
    own.setup.features_off |= config->groups > 1 ? 0 : BIT(MQ);
    struct vhost_user_device *v = vhost_user_device_create(&net_type, &own, &err);
    if (v == NULL)
        return err;
    memcpy(of(v)->mac, mac, NET_MAC_BYTES);
    of(v)->mtu_bytes = mtu_bytes;
    if (v->groups > 1 && (v->vu.features & BIT(MQ)) == 0)
        log_warn("virtio %s: the vhost-user server %s has queues, and not the feature mq: one "
                 "pair is used",
                 config->setup.name, config->socket_path);
    le16_put(v->config + VIRTIO_NET_CONFIG_max_virtqueue_pairs, (uint16_t)v->groups);
    on_reset(v);
    *out = v;
    return 0;
}
