// SPDX-License-Identifier: BSD-2-Clause
/* The network device: VIRTIO 1.4 5.1. */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/netio.h"

#define F(name)    VIRTIO_BIT(VIRTIO_NET_F_##name)
#define CTRL(name) VIRTIO_NET_CTRL_##name
#define FILTERS    (F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA))
#define TSO        (F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6))
#define SIZE       64u
#define RX         0u
#define TX         1u

static const uint8_t own[] = {0x52, 0x54, 0, 1, 2, 3}, stranger[] = {2, 0, 0, 0, 0, 2};
static const uint8_t group[] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const struct netio_packet plain = {.frame_bytes = 60, .fill = 5};
static const struct netio_packet segments = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                             .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                             .hdr_len = 54,
                                             .gso_size = 1448,
                                             .csum_start = 34,
                                             .csum_offset = 16,
                                             .frame_bytes = 3000,
                                             .fill = 6};

/* A buffer that the device has had since no frame came into it. */
static const uint8_t *posted;

static void begin(struct rig *rig, uint64_t features)
{
    posted = NULL;
    demand(netio_start(rig, features, 1, SIZE));
    heard(rig);
}

static uint32_t config_get(struct rig *rig, unsigned offset, unsigned bytes)
{
    uint8_t raw[4] = {0};
    vdrv_config_read(&rig->drv, offset, raw, bytes);
    return le32_get(raw);
}

/* Does the frame get out as it is? And the header with which it did. */
static bool goes(struct rig *rig, const struct netio_packet *packet, uint8_t *header)
{
    static uint8_t bytes[NET_PACKET_MAX];
    uint32_t len = netio_make(packet, bytes);
    netio_send(rig, 0, packet, false);
    demand(netio_take_all(rig, TX) == 1);
    struct fake_packet *sent = fake_net_take(&rig->ether, 0);
    if (sent == NULL)
        return false;
    bool same = sent->bytes == len && memcmp(sent->data + 12, bytes + 12, len - 12) == 0;
    if (header != NULL)
        memcpy(header, sent->data, NET_HEADER_BYTES);
    free(sent);
    return same;
}

/* Does the frame get in as it is, into a buffer that is large enough? */
static bool comes(struct rig *rig, const struct netio_packet *packet, uint8_t *header)
{
    static uint8_t bytes[NET_PACKET_MAX];
    uint32_t len, made = netio_make(packet, bytes);
    uint32_t short_by = rig->drv.features & (VIRTIO_BIT(VIRTIO_F_VERSION_1) | F(MRG_RXBUF)) ? 0 : 2;
    const uint8_t *at = posted = posted != NULL ? posted : netio_post(rig, 0, 4096);
    netio_arrive(rig, 0, packet);
    if (!netio_take(rig, RX, &len))
        return false;
    posted = NULL;
    if (header != NULL)
        memcpy(header, at, NET_HEADER_BYTES);
    return len == made - short_by && memcmp(at + 12 - short_by, bytes + 12, made - 12) == 0;
}

/* A field of the header with which the frame comes, or goes; UINT32_MAX: it does not. */
static uint32_t field_of(bool (*moves)(struct rig *, const struct netio_packet *, uint8_t *),
                         struct rig *rig, const struct netio_packet *packet, unsigned offset,
                         unsigned bytes)
{
    uint8_t header[NET_HEADER_BYTES];
    if (!moves(rig, packet, header))
        return UINT32_MAX;
    return (uint32_t)le_get(header + offset, bytes);
}

#define COMES_AS(packet, field) field_of(comes, rig, packet, VIRTIO_NET_HDR_##field, FIELD_##field)
#define GOES_AS(packet, field)  field_of(goes, rig, packet, VIRTIO_NET_HDR_##field, FIELD_##field)

enum { /* how many bytes they have */
       FIELD_flags = 1,
       FIELD_gso_type = 1,
       FIELD_hdr_len = 2,
       FIELD_gso_size = 2,
       FIELD_csum_start = 2,
       FIELD_csum_offset = 2,
       FIELD_num_buffers = 2,
};

static bool comes_to(struct rig *rig, const uint8_t *dst)
{
    return comes(rig, &(struct netio_packet){.frame_bytes = 60, .dst = dst}, NULL);
}

static bool comes_with(struct rig *rig, uint8_t gso_type)
{
    struct netio_packet packet = segments;
    packet.gso_type = gso_type;
    return comes(rig, &packet, NULL);
}

static bool comes_tagged(struct rig *rig, uint16_t vlan)
{
    struct netio_packet packet = plain;
    packet.tagged = true;
    packet.vlan = vlan;
    return comes(rig, &packet, NULL);
}

static void mode(struct rig *rig, uint8_t command)
{
    expect(netio_command(rig, CTRL(RX), command, "\1", 1) == VIRTIO_NET_OK);
}

static uint8_t command16(struct rig *rig, uint8_t class, uint8_t command, uint16_t value)
{
    uint8_t data[2];
    le16_put(data, value);
    return netio_command(rig, class, command, data, 2);
}

/* One address in each of the tables. */
static uint8_t set_table(struct rig *rig)
{
    uint8_t data[20] = {[0] = 1, [10] = 1};
    memcpy(data + 4, stranger, NET_MAC_BYTES);
    memcpy(data + 14, group, NET_MAC_BYTES);
    return netio_command(rig, CTRL(MAC), CTRL(MAC_TABLE_SET), data, sizeof(data));
}

/* ---- configuration layout ---- */

/* max_virtqueue_pairs is 1 to 0x8000. */
Requirement(net_config_1, NET, EVERYWHERE, .queues = 3)
{
    demand(vdrv_offered(&rig->drv) & F(MQ));
    expect(config_get(rig, VIRTIO_NET_CONFIG_max_virtqueue_pairs, 2) == 3);
}

/* mtu is 68 to 65535. */
Requirement(net_config_2, NET, EVERYWHERE)
{
    demand(vdrv_offered(&rig->drv) & F(MTU));
    expect(config_get(rig, VIRTIO_NET_CONFIG_mtu, 2) >= 68);
}

/* mtu is 1280 or more, unless somebody wants less. */
Requirement(net_config_3, NET, EVERYWHERE)
{
    expect(config_get(rig, VIRTIO_NET_CONFIG_mtu, 2) >= 1280);
}

/* mtu stays. */
Requirement(net_config_4, NET, EVERYWHERE)
{
    uint32_t mtu = config_get(rig, VIRTIO_NET_CONFIG_mtu, 2);
    vdrv_config_write(&rig->drv, VIRTIO_NET_CONFIG_mtu, "\1\1", 2);
    expect(config_get(rig, VIRTIO_NET_CONFIG_mtu, 2) == mtu);
    rig->ether.backend.info.mtu_bytes = 9000;
    fake_net_link(&rig->ether, false);
    begin(rig, F(MTU));
    expect(config_get(rig, VIRTIO_NET_CONFIG_mtu, 2) == mtu);
}

/* No frame that is longer than mtu and its link header comes, without GSO. */
Requirement(net_config_5, NET, EVERYWHERE)
{
    struct netio_packet packet = {.frame_bytes = 1514};
    begin(rig, F(MTU));
    expect(comes(rig, &packet, NULL));
    packet.frame_bytes++;
    expect(!comes(rig, &packet, NULL));
    packet.gso_type = VIRTIO_NET_HDR_GSO_ECN;
    expect(!comes(rig, &packet, NULL));
}

/* Frames up to mtu and the link header go out whole. */
Requirement(net_config_6, NET, EVERYWHERE)
{
    begin(rig, F(MTU));
    expect(goes(rig, &(struct netio_packet){.frame_bytes = 1514}, NULL));
    struct netio_packet ecn = {.frame_bytes = 1514, .gso_type = VIRTIO_NET_HDR_GSO_ECN};
    expect(goes(rig, &ecn, NULL));
}

/* speed is in Mbit/s. */
Requirement(net_config_10, NET, MODERN)
{
    demand(vdrv_offered(&rig->drv) & F(SPEED_DUPLEX));
    expect(config_get(rig, VIRTIO_NET_CONFIG_speed, 4) == 10000);
}

/* duplex is 0, 1 or 0xff. */
Requirement(net_config_11, NET, MODERN)
{
    uint32_t duplex = config_get(rig, VIRTIO_NET_CONFIG_duplex, 1);
    expect(duplex == 0 || duplex == 1 || duplex == 0xff);
}

/* While the link is up speed and duplex stay. */
Requirement(net_config_12, NET, MODERN)
{
    begin(rig, F(STATUS) | F(SPEED_DUPLEX));
    uint32_t duplex = config_get(rig, VIRTIO_NET_CONFIG_duplex, 1);
    rig->ether.backend.info.speed_mbps = 10;
    fake_net_link(&rig->ether, true);
    expect(config_get(rig, VIRTIO_NET_CONFIG_speed, 4) == 10000);
    expect(config_get(rig, VIRTIO_NET_CONFIG_duplex, 1) == duplex);
}

/* CTRL_RX_EXTRA is not offered without CTRL_VQ. */
Requirement(net_config_14, NET, EVERYWHERE, .features_off = F(CTRL_VQ))
{
    expect(!(vdrv_offered(&rig->drv) & (F(CTRL_VQ) | F(CTRL_RX_EXTRA))));
}

/* ---- packet transmission ---- */

/* Flags that are unknown do not count. */
Requirement(net_tx_1, NET, EVERYWHERE)
{
    struct netio_packet packet = plain;
    packet.flags = 0xfe;
    begin(rig, F(CSUM));
    expect(GOES_AS(&packet, flags) == 0);
}

/* Without NEEDS_CSUM csum_start and csum_offset do not count. */
Requirement(net_tx_2, NET, EVERYWHERE)
{
    struct netio_packet packet = plain;
    packet.csum_start = packet.csum_offset = 0xffff;
    begin(rig, F(CSUM));
    expect(GOES_AS(&packet, csum_start) == 0);
    expect(GOES_AS(&packet, csum_offset) == 0);
}

/* hdr_len may be wrong. */
Requirement(net_tx_7, NET, EVERYWHERE)
{
    static const uint16_t lens[] = {0, 1, 2999, 3001, 0xffff};
    begin(rig, F(CSUM) | F(HOST_TSO4));
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct netio_packet packet = segments;
        packet.hdr_len = lens[i];
        expect(GOES_AS(&packet, hdr_len) <= packet.frame_bytes);
    }
}

/* Without NEEDS_CSUM a checksum may be wrong: the frame goes out as it is. */
Requirement(net_tx_12, NET, EVERYWHERE)
{
    begin(rig, F(CSUM));
    for (unsigned fill = 0; fill < 256; fill += 51)
        expect(goes(rig, &(struct netio_packet){.frame_bytes = 90, .fill = (uint8_t)fill}, NULL));
}

/* ---- receive buffers, incoming packets ---- */

/* Of a frame of 100 bytes into buffers of 50: full all but the last, counted, shown at once. */
struct merged {
    unsigned count, num_buffers, interrupts;
    uint32_t len[4]; /* what each got */
};

static struct merged merged(struct rig *rig, uint64_t features)
{
    struct merged m = {0};
    begin(rig, features);
    const uint8_t *first = netio_post(rig, 0, 50);
    for (unsigned n = 0; n < 3; n++)
        netio_post(rig, 0, 50);
    heard(rig);
    rig_queue_irqs(rig, RX);
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 100});
    m.interrupts = rig_queue_irqs(rig, RX);
    while (m.count < 4 && netio_take(rig, RX, &m.len[m.count]))
        m.count++;
    m.num_buffers = le16_get(first + VIRTIO_NET_HDR_num_buffers);
    return m;
}

/* num_buffers says how many buffers have the frame. */
Requirement(net_rx_setup_1, NET, EVERYWHERE)
{
    struct merged m = merged(rig, F(MRG_RXBUF));
    expect(m.count == 3 && m.num_buffers == 3);
}

/* Without MRG_RXBUF a frame has one buffer, and is lost if that is too short. */
Requirement(net_rx_setup_2, NET, EVERYWHERE)
{
    expect(merged(rig, 0).count == 0);
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 30});
    expect(netio_take_all(rig, RX) == 1);
}

/* And num_buffers is 1. */
Requirement(net_rx_1, NET, MODERN)
{
    begin(rig, 0);
    expect(COMES_AS(&plain, num_buffers) == 1);
}

/* With MRG_RXBUF num_buffers counts them, the one of a frame that fits too. */
Requirement(net_rx_2, NET, EVERYWHERE)
{
    begin(rig, F(MRG_RXBUF));
    expect(COMES_AS(&plain, num_buffers) == 1);
    for (unsigned n = 0; n < 50; n++)
        netio_post(rig, 0, 30); /* a header, and one byte each of the others */
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 30 * 40 + 1});
    expect(netio_take_all(rig, RX) == 41);
}

/* All buffers of a frame but the last are full. */
Requirement(net_rx_3, NET, EVERYWHERE)
{
    struct merged m = merged(rig, F(MRG_RXBUF));
    expect(m.count == 3 && m.len[0] == 50 && m.len[1] == 50 && m.len[2] == 12);
}

/* The buffers of a frame become used together. */
Requirement(net_rx_4, NET, EVERYWHERE)
{
    struct merged m = merged(rig, F(MRG_RXBUF));
    expect(m.count == 3 && m.interrupts == 1);
}

/* Without GUEST_CSUM flags are 0. */
Requirement(net_rx_5, NET, EVERYWHERE)
{
    struct netio_packet packet = plain;
    packet.flags = VIRTIO_NET_HDR_F_DATA_VALID | 4;
    begin(rig, 0);
    expect(COMES_AS(&packet, flags) == 0);
}

/* ... and the network is told to give complete checksums; what has none does not come. */
Requirement(net_rx_6, NET, EVERYWHERE)
{
    struct netio_packet packet = plain;
    packet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    begin(rig, 0);
    expect(rig->ether.offloads == 0);
    expect(!comes(rig, &packet, NULL));
    begin(rig, F(GUEST_CSUM));
    expect(rig->ether.offloads == NET_CSUM);
    expect(comes(rig, &packet, NULL));
}

/* A type of segments comes to a driver that has negotiated it, and to no other. */
static void check_type(uint8_t gso_type, uint64_t needs, unsigned where)
{
    const uint64_t types =
        F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_UFO) | F(GUEST_USO4) | F(GUEST_USO6);
    FOR_EACH_RIG(rig, NET, where)
    {
        uint64_t others = types & vdrv_offered(&rig->drv);
        begin(rig, F(GUEST_CSUM) | needs);
        expect(comes_with(rig, gso_type));
        begin(rig, F(GUEST_CSUM) | (others & ~needs));
        expect(!comes_with(rig, gso_type));
    }
}

/* No TCPV4 without GUEST_TSO4. */
Test(conformance, net_rx_7)
{
    check_type(VIRTIO_NET_HDR_GSO_TCPV4, F(GUEST_TSO4), EVERYWHERE);
}

/* No UDP without GUEST_UFO. */
Test(conformance, net_rx_8)
{
    check_type(VIRTIO_NET_HDR_GSO_UDP, F(GUEST_UFO), EVERYWHERE);
}

/* No TCPV6 without GUEST_TSO6. */
Test(conformance, net_rx_9)
{
    check_type(VIRTIO_NET_HDR_GSO_TCPV6, F(GUEST_TSO6), EVERYWHERE);
}

/* No UDP_L4 without GUEST_USO4 and GUEST_USO6. */
Test(conformance, net_rx_10)
{
    check_type(VIRTIO_NET_HDR_GSO_UDP_L4, F(GUEST_USO4) | F(GUEST_USO6), MODERN);
}

/* Without GUEST_ECN no segments with ECN come. */
Requirement(net_rx_13, NET, EVERYWHERE)
{
    begin(rig, TSO);
    expect(!(rig->ether.offloads & NET_ECN));
    expect(!comes_with(rig, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN));
}

/* With it they come, and are marked. */
Requirement(net_rx_14, NET, EVERYWHERE)
{
    struct netio_packet packet = segments;
    packet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    begin(rig, TSO | F(GUEST_ECN));
    expect(COMES_AS(&packet, gso_type) == packet.gso_type);
}

/* With NEEDS_CSUM the frame is as the network made it, the sum of its pseudo-header too. */
Requirement(net_rx_19, NET, EVERYWHERE)
{
    begin(rig, TSO);
    expect(comes(rig, &segments, NULL));
}

/* ... and csum_start and csum_offset say what the network said. */
Requirement(net_rx_20, NET, EVERYWHERE)
{
    begin(rig, TSO);
    expect(COMES_AS(&segments, flags) == VIRTIO_NET_HDR_F_NEEDS_CSUM);
    expect(COMES_AS(&segments, csum_start) == segments.csum_start);
    expect(COMES_AS(&segments, csum_offset) == segments.csum_offset);
}

/* Without any offload of segments gso_type is NONE. */
Requirement(net_rx_26, NET, EVERYWHERE)
{
    begin(rig, F(GUEST_CSUM));
    for (unsigned type = 1; type < 128; type++)
        expect(!comes_with(rig, (uint8_t)type));
    struct netio_packet packet = plain;
    packet.gso_type = VIRTIO_NET_HDR_GSO_ECN;
    netio_take_all(rig, RX);
    begin(rig, F(GUEST_CSUM));
    expect(COMES_AS(&packet, gso_type) == VIRTIO_NET_HDR_GSO_NONE);
}

/* Segments have NEEDS_CSUM. */
Requirement(net_rx_27, NET, EVERYWHERE)
{
    struct netio_packet packet = segments;
    packet.flags = 0;
    begin(rig, TSO);
    expect(!comes(rig, &packet, NULL));
}

/* ... and their size. */
Requirement(net_rx_28, NET, EVERYWHERE)
{
    struct netio_packet packet = segments;
    begin(rig, TSO);
    expect(COMES_AS(&packet, gso_size) == packet.gso_size);
    packet.gso_size = 0;
    expect(!comes(rig, &packet, NULL));
}

/* hdr_len is what the network said. */
Requirement(net_rx_31, NET, EVERYWHERE)
{
    begin(rig, TSO);
    expect(COMES_AS(&segments, hdr_len) == segments.hdr_len);
}

/* DATA_VALID is said only if the network said it. */
Requirement(net_rx_33, NET, EVERYWHERE)
{
    struct netio_packet packet = plain;
    begin(rig, F(GUEST_CSUM));
    expect(COMES_AS(&packet, flags) == 0);
    packet.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    expect(COMES_AS(&packet, flags) == VIRTIO_NET_HDR_F_DATA_VALID);
}

/* ---- receive filtering ---- */

/* After these modes were set: which frames come? */
static void check_modes(const uint8_t *modes, unsigned count, const uint8_t *dst, bool come)
{
    FOR_EACH_RIG(rig, NET, EVERYWHERE)
    {
        begin(rig, FILTERS);
        for (unsigned i = 0; i < count; i++)
            mode(rig, modes[i]);
        expect(comes_to(rig, dst) == come);
    }
}

#define MODES(dst, come, ...) \
    check_modes((const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}), dst, come)

/* With CTRL_RX there are PROMISC and ALLMULTI. */
Requirement(net_rx_filter_1, NET, EVERYWHERE)
{
    begin(rig, F(CTRL_VQ) | F(CTRL_RX));
    for (unsigned command = CTRL(RX_PROMISC); command <= CTRL(RX_ALLMULTI); command++) {
        const uint8_t *dst = command == CTRL(RX_PROMISC) ? stranger : group;
        expect(!comes_to(rig, dst));
        mode(rig, (uint8_t)command);
        expect(comes_to(rig, dst));
        expect(netio_command(rig, CTRL(RX), (uint8_t)command, "\0", 1) == VIRTIO_NET_OK);
    }
}

/* PROMISC lets all in. */
Test(conformance, net_rx_filter_2)
{
    MODES(stranger, true, CTRL(RX_PROMISC));
    MODES(group, true, CTRL(RX_PROMISC));
}

/* ... whatever else is set. */
Test(conformance, net_rx_filter_3)
{
    MODES(own, true, CTRL(RX_PROMISC), CTRL(RX_NOUNI));
    MODES(group, true, CTRL(RX_PROMISC), CTRL(RX_NOMULTI));
    MODES(all, true, CTRL(RX_PROMISC), CTRL(RX_NOBCAST));
}

/* ALLMULTI lets all groups in. */
Test(conformance, net_rx_filter_4)
{
    MODES(group, true, CTRL(RX_ALLMULTI));
    MODES(stranger, false, CTRL(RX_ALLMULTI));
}

/* With CTRL_RX_EXTRA there are four more modes, and without it none. */
Test(conformance, net_rx_filter_5)
{
    FOR_EACH_RIG(rig, NET, EVERYWHERE)
    for (unsigned extra = 0; extra < 2; extra++) {
        begin(rig, F(CTRL_VQ) | F(CTRL_RX) | (extra ? F(CTRL_RX_EXTRA) : 0));
        for (unsigned command = CTRL(RX_ALLUNI); command <= CTRL(RX_NOBCAST); command++)
            expect(netio_command(rig, CTRL(RX), (uint8_t)command, "\1", 1) ==
                   (extra ? VIRTIO_NET_OK : VIRTIO_NET_ERR));
    }
}

/* ALLUNI lets all unicast in. */
Test(conformance, net_rx_filter_6)
{
    MODES(stranger, true, CTRL(RX_ALLUNI));
    MODES(group, false, CTRL(RX_ALLUNI));
}

/* NOMULTI keeps groups out, those of the table too. */
Requirement(net_rx_filter_7, NET, EVERYWHERE)
{
    begin(rig, FILTERS);
    expect(set_table(rig) == VIRTIO_NET_OK && comes_to(rig, group));
    mode(rig, CTRL(RX_NOMULTI));
    expect(!comes_to(rig, group));
}

/* ... in spite of ALLMULTI. */
Test(conformance, net_rx_filter_8)
{
    MODES(group, false, CTRL(RX_ALLMULTI), CTRL(RX_NOMULTI));
}

/* ... but not what is for everybody. */
Test(conformance, net_rx_filter_9)
{
    MODES(all, true, CTRL(RX_NOMULTI));
}

/* NOUNI keeps unicast out. */
Test(conformance, net_rx_filter_10)
{
    MODES(own, false, CTRL(RX_NOUNI));
}

/* ... in spite of ALLUNI. */
Test(conformance, net_rx_filter_11)
{
    MODES(stranger, false, CTRL(RX_NOUNI), CTRL(RX_ALLUNI));
}

/* NOBCAST keeps out what is for everybody. */
Test(conformance, net_rx_filter_12)
{
    MODES(all, false, CTRL(RX_NOBCAST));
}

/* ... in spite of ALLMULTI. */
Test(conformance, net_rx_filter_13)
{
    MODES(all, false, CTRL(RX_NOBCAST), CTRL(RX_ALLMULTI));
}

/* ---- MAC, VLAN ---- */

/* A reset empties the table. */
Requirement(net_mac_1, NET, EVERYWHERE)
{
    begin(rig, FILTERS);
    expect(set_table(rig) == VIRTIO_NET_OK);
    expect(comes_to(rig, stranger) && comes_to(rig, group));
    begin(rig, FILTERS);
    expect(!comes_to(rig, stranger) && !comes_to(rig, group));
}

/* The table holds when the command is given back. */
Requirement(net_mac_2, NET, EVERYWHERE)
{
    begin(rig, FILTERS);
    expect(!comes_to(rig, stranger));
    expect(set_table(rig) == VIRTIO_NET_OK);
    expect(comes_to(rig, stranger));
}

/* So does the address. */
Requirement(net_mac_3, NET, EVERYWHERE)
{
    uint8_t mac[NET_MAC_BYTES];
    begin(rig, FILTERS | F(CTRL_MAC_ADDR) | F(MAC));
    expect(netio_command(rig, CTRL(MAC), CTRL(MAC_ADDR_SET), stranger, 6) == VIRTIO_NET_OK);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_mac, mac, sizeof(mac));
    expect(memcmp(mac, stranger, sizeof(mac)) == 0);
}

/* What is for another address, and not in the table, does not come. */
Requirement(net_mac_4, NET, EVERYWHERE)
{
    begin(rig, FILTERS | F(CTRL_MAC_ADDR) | F(MAC));
    expect(comes_to(rig, own) && !comes_to(rig, stranger));
    netio_command(rig, CTRL(MAC), CTRL(MAC_ADDR_SET), stranger, 6);
    expect(!comes_to(rig, own) && comes_to(rig, stranger));
}

/* Without CTRL_VLAN all tags come. */
Requirement(net_vlan_1, NET, EVERYWHERE)
{
    begin(rig, FILTERS);
    expect(comes_tagged(rig, 0) && comes_tagged(rig, 1) && comes_tagged(rig, 4095));
}

/* With it those of the table do. */
Requirement(net_vlan_2, NET, EVERYWHERE)
{
    begin(rig, FILTERS | F(CTRL_VLAN));
    for (uint16_t id = 0; id < 4096; id += 63) {
        expect(command16(rig, CTRL(VLAN), CTRL(VLAN_ADD), id) == VIRTIO_NET_OK);
        demand(comes_tagged(rig, id));
    }
}

/* ... and no others. */
Requirement(net_vlan_3, NET, EVERYWHERE)
{
    begin(rig, FILTERS | F(CTRL_VLAN));
    expect(comes(rig, &plain, NULL) && !comes_tagged(rig, 7));
    command16(rig, CTRL(VLAN), CTRL(VLAN_ADD), 7);
    expect(comes_tagged(rig, 7) && !comes_tagged(rig, 8));
    command16(rig, CTRL(VLAN), CTRL(VLAN_DEL), 7);
    expect(!comes_tagged(rig, 7));
}

/* ---- announcing ---- */

/* The status bit is clear when the acknowledgement is given back. */
Requirement(net_announce_1, NET, EVERYWHERE)
{
    begin(rig, F(CTRL_VQ) | F(STATUS) | F(GUEST_ANNOUNCE));
    fake_net_link(&rig->ether, false);
    fake_net_link(&rig->ether, true);
    expect(config_get(rig, VIRTIO_NET_CONFIG_status, 2) ==
           (VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE));
    expect(netio_command(rig, CTRL(ANNOUNCE), CTRL(ANNOUNCE_ACK), NULL, 0) == VIRTIO_NET_OK);
    expect(config_get(rig, VIRTIO_NET_CONFIG_status, 2) == VIRTIO_NET_S_LINK_UP);
}

/* ---- several pairs ---- */

static void begin_pairs(struct rig *rig, uint64_t features)
{
    demand(netio_start(rig, F(CTRL_VQ) | F(MQ) | features, 3, SIZE));
    for (unsigned pair = 0; pair < 3; pair++)
        netio_post(rig, pair, 2048);
}

static uint8_t use_pairs(struct rig *rig, uint16_t pairs)
{
    return command16(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), pairs);
}

/* After a reset the first receive queue alone is used. */
Test(conformance, net_mq_1)
{
    FOR_EACH_RIG(rig, NET, EVERYWHERE, .queues = 3)
    for (unsigned round = 0; round < 2; round++) {
        begin_pairs(rig, 0);
        expect(rig->ether.pairs_used == 1);
        for (unsigned pair = 0; pair < 3; pair++) {
            netio_arrive(rig, pair, &plain);
            expect(netio_take_all(rig, 2 * pair) == (pair == 0));
        }
        expect(use_pairs(rig, 3) == VIRTIO_NET_OK);
    }
}

/* Queues above virtqueue_pairs get nothing. */
Requirement(net_mq_2, NET, EVERYWHERE, .queues = 3)
{
    begin_pairs(rig, 0);
    expect(use_pairs(rig, 3) == VIRTIO_NET_OK);
    expect(use_pairs(rig, 2) == VIRTIO_NET_OK);
    expect(rig->ether.pairs_used == 2);
    netio_arrive(rig, 2, &plain);
    expect(netio_take_all(rig, 4) == 0);
}

/* What comes while the receive queue is in reset is lost. */
Requirement(net_mq_4, NET, MODERN)
{
    begin(rig, RING_RESET);
    demand(vdrv_queue_reset(&rig->drv, RX));
    for (unsigned n = 0; n < 10; n++)
        netio_arrive(rig, 0, &plain);
    vdrv_queue_alloc(&rig->drv, RX, SIZE);
    vdrv_queue_write(&rig->drv, RX);
    netio_post(rig, 0, 2048);
    expect(netio_take_all(rig, RX) == 0);
    netio_arrive(rig, 0, &plain);
    expect(netio_take_all(rig, RX) == 1);
}

/* A flow comes by the queue to which the network steers it. */
Requirement(net_mq_prose_1, NET, EVERYWHERE, .queues = 3)
{
    begin_pairs(rig, 0);
    expect(use_pairs(rig, 3) == VIRTIO_NET_OK && rig->ether.pairs_used == 3);
    for (unsigned pair = 3; pair-- > 0;) {
        netio_arrive(rig, pair, &plain);
        for (unsigned other = 0; other < 3; other++)
            expect(netio_take_all(rig, 2 * other) == (pair == other));
    }
}

/* ---- legacy interface: the guest's byte order, which is ours ---- */

/* Of status and max_virtqueue_pairs. */
Requirement(net_config_legacy_1, NET, LEGACY, .queues = 3)
{
    uint16_t status, pairs;
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_status, &status, 2);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_max_virtqueue_pairs, &pairs, 2);
    expect(status == VIRTIO_NET_S_LINK_UP && pairs == 3);
}

/* Of the header, in both directions. */
Requirement(net_op_legacy_1, NET, LEGACY)
{
    uint8_t header[NET_HEADER_BYTES];
    uint16_t size;
    begin(rig, TSO | F(CSUM) | F(HOST_TSO4));
    demand(comes(rig, &segments, header));
    memcpy(&size, header + VIRTIO_NET_HDR_gso_size, 2);
    expect(size == segments.gso_size);
    demand(goes(rig, &segments, header));
    memcpy(&size, header + VIRTIO_NET_HDR_gso_size, 2);
    expect(size == segments.gso_size);
}

/* Of the counts of MAC tables. */
Requirement(net_mac_legacy_1, NET, LEGACY)
{
    uint8_t data[20] = {0};
    const uint32_t one = 1;
    memcpy(data, &one, 4);
    memcpy(data + 4, stranger, NET_MAC_BYTES);
    memcpy(data + 10, &one, 4);
    begin(rig, FILTERS);
    expect(netio_command(rig, CTRL(MAC), CTRL(MAC_TABLE_SET), data, 20) == VIRTIO_NET_OK);
    expect(comes_to(rig, stranger));
}

/* Of VLAN numbers. */
Requirement(net_vlan_legacy_1, NET, LEGACY)
{
    const uint16_t id = 0x102;
    begin(rig, FILTERS | F(CTRL_VLAN));
    netio_command(rig, CTRL(VLAN), CTRL(VLAN_ADD), &id, 2);
    expect(comes_tagged(rig, 0x102) && !comes_tagged(rig, 0x201));
}

/* Of virtqueue_pairs. */
Requirement(net_mq_legacy_1, NET, LEGACY, .queues = 3)
{
    const uint16_t pairs = 2;
    begin_pairs(rig, 0);
    expect(netio_command(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), &pairs, 2) == VIRTIO_NET_OK);
    expect(rig->ether.pairs_used == 2);
}

/* Of offloads. */
Requirement(net_offloads_legacy_1, NET, LEGACY)
{
    const uint64_t offloads = F(GUEST_CSUM) | F(GUEST_TSO6);
    begin(rig, TSO | F(CTRL_VQ) | F(CTRL_GUEST_OFFLOADS));
    expect(netio_command(rig, CTRL(GUEST_OFFLOADS), CTRL(GUEST_OFFLOADS_SET), &offloads, 8) ==
           VIRTIO_NET_OK);
    expect(rig->ether.offloads == (NET_CSUM | NET_TSO6));
}
