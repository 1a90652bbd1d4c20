// SPDX-License-Identifier: BSD-2-Clause
/* What a network device is (VIRTIO 1.4 5.1). */
#include "core/base/xmath.h"
#include "virtio/base/type.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"

#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
#define HASHES       (BIT(RSS) | BIT(HASH_REPORT))

/* Of what is received: packets are on the tape already, where they come from. */
#define KEEP_FRAMES \
    {               \
        32, 16      \
    }

static const struct virtio_feature_name features[] = {
    {"csum", VIRTIO_NET_F_CSUM},
    {"guest_csum", VIRTIO_NET_F_GUEST_CSUM},
    {"ctrl_guest_offloads", VIRTIO_NET_F_CTRL_GUEST_OFFLOADS},
    {"mtu", VIRTIO_NET_F_MTU},
    {"mac", VIRTIO_NET_F_MAC},
    {"guest_tso4", VIRTIO_NET_F_GUEST_TSO4},
    {"guest_tso6", VIRTIO_NET_F_GUEST_TSO6},
    {"guest_ecn", VIRTIO_NET_F_GUEST_ECN},
    {"guest_ufo", VIRTIO_NET_F_GUEST_UFO},
    {"host_tso4", VIRTIO_NET_F_HOST_TSO4},
    {"host_tso6", VIRTIO_NET_F_HOST_TSO6},
    {"host_ecn", VIRTIO_NET_F_HOST_ECN},
    {"host_ufo", VIRTIO_NET_F_HOST_UFO},
    {"mrg_rxbuf", VIRTIO_NET_F_MRG_RXBUF},
    {"status", VIRTIO_NET_F_STATUS},
    {"ctrl_vq", VIRTIO_NET_F_CTRL_VQ},
    {"ctrl_rx", VIRTIO_NET_F_CTRL_RX},
    {"ctrl_vlan", VIRTIO_NET_F_CTRL_VLAN},
    {"ctrl_rx_extra", VIRTIO_NET_F_CTRL_RX_EXTRA},
    {"guest_announce", VIRTIO_NET_F_GUEST_ANNOUNCE},
    {"mq", VIRTIO_NET_F_MQ},
    {"ctrl_mac_addr", VIRTIO_NET_F_CTRL_MAC_ADDR},
    {"guest_uso4", VIRTIO_NET_F_GUEST_USO4},
    {"guest_uso6", VIRTIO_NET_F_GUEST_USO6},
    {"host_uso", VIRTIO_NET_F_HOST_USO},
    {"speed_duplex", VIRTIO_NET_F_SPEED_DUPLEX},
    {"hash_report", VIRTIO_NET_F_HASH_REPORT},
    {"rss", VIRTIO_NET_F_RSS},
    {NULL, 0},
};

static const struct virtio_field fields[] = {
    /* Bytes; only legacy drivers write them: 5.1.4.3. */
    {VIRTIO_NET_CONFIG_mac, 1, NET_MAC_BYTES, BIT(MAC), true},
    {VIRTIO_NET_CONFIG_status, 2, 1, BIT(STATUS), false},
    {VIRTIO_NET_CONFIG_max_virtqueue_pairs, 2, 1, BIT(MQ) | BIT(RSS), false},
    {VIRTIO_NET_CONFIG_mtu, 2, 1, BIT(MTU), false},
    {VIRTIO_NET_CONFIG_speed, 4, 1, BIT(SPEED_DUPLEX), false},
    {VIRTIO_NET_CONFIG_duplex, 1, 1, BIT(SPEED_DUPLEX), false},
    {VIRTIO_NET_CONFIG_rss_max_key_size, 1, 1, HASHES, false},
    {VIRTIO_NET_CONFIG_rss_max_indirection_table_length, 2, 1, BIT(RSS), false},
    {VIRTIO_NET_CONFIG_supported_hash_types, 4, 1, HASHES, false},
};

/* Without MQ and RSS a driver finds the control queue behind the first pair. */
static const struct virtio_queue_role roles[] = {
    {.name = "receiveq", .kept_written = KEEP_FRAMES},
    {.name = "transmitq", .kept_read = {256, 64}, .kept_written = KEEP_FRAMES},
    {.name = "controlq", .kept_written = KEEP_FRAMES},
};

const struct virtio_device_type virtio_net_type = {
    .name = "net",
    .id = VIRTIO_ID_NET,
    .pci_class = 0x020000, /* network, Ethernet */
    .pci_transitional = 0x1000,
    .features = features,
    .fields = fields,
    .field_count = ARRAY_SIZE(fields),
    .roles = roles,
    .role_count = ARRAY_SIZE(roles),
    .group_size = 2,
    .groups_max = VIRTIO_NET_PAIRS_MAX,
};
