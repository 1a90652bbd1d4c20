// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is not offered is not there: the proof for all requirements whose status is "not offered".
 * tools/spec-map looks for the names here.
 */
#include "conformance.h"

#include "core/base/xmath.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/vsockreq.h"
#include "virtio/rtc/rtc.h"

enum { /* in all of the device's types */
       ANY = 0,
};

static const struct {
    uint32_t device;
    unsigned feature;
    const char *name;
} absent[] = {
    {ANY, 24, "NOTIFY_ON_EMPTY"},
    {ANY, 30, "the unused bit of the legacy interface"},
    {ANY, 33, "ACCESS_PLATFORM"},
    {ANY, 36, "ORDER_PLATFORM"},
    {ANY, 37, "SR_IOV"},
    {ANY, 39, "NOTIF_CONFIG_DATA"},
    {ANY, 41, "ADMIN_VQ"},
    {ANY, 43, "SUSPEND"},
    {VIRTIO_ID_BLOCK, 0, "BARRIER"},
    {VIRTIO_ID_BLOCK, 1, "SIZE_MAX"},
    {VIRTIO_ID_BLOCK, 4, "GEOMETRY"},
    {VIRTIO_ID_BLOCK, 7, "SCSI"},
    {VIRTIO_ID_BLOCK, 12, "MQ"}, /* with one queue */
    {VIRTIO_ID_BLOCK, 15, "LIFETIME"},
    {VIRTIO_ID_BLOCK, 16, "SECURE_ERASE"},
    {VIRTIO_ID_BLOCK, 17, "ZONED"},
    {VIRTIO_ID_NET, 6, "GSO"}, /* legacy interface only */
    {VIRTIO_ID_NET, 50, "DEVICE_STATS"},
    {VIRTIO_ID_NET, 51, "HASH_TUNNEL"},
    {VIRTIO_ID_NET, 52, "VQ_NOTF_COAL"},
    {VIRTIO_ID_NET, 53, "NOTF_COAL"},
    {VIRTIO_ID_NET, 59, "GUEST_HDRLEN"},
    {VIRTIO_ID_NET, 61, "RSC_EXT"},
    {VIRTIO_ID_NET, 62, "STANDBY"},
    {VIRTIO_ID_NET, 64, "RSS_CONTEXT"},
    {VIRTIO_ID_NET, 65, "GUEST_UDP_TUNNEL_GSO"},
    {VIRTIO_ID_NET, 66, "GUEST_UDP_TUNNEL_GSO_CSUM"},
    {VIRTIO_ID_NET, 67, "HOST_UDP_TUNNEL_GSO"},
    {VIRTIO_ID_NET, 68, "HOST_UDP_TUNNEL_GSO_CSUM"},
    {VIRTIO_ID_NET, 69, "OUT_NET_HEADER"},
    {VIRTIO_ID_NET, 70, "IPSEC"},
    {VIRTIO_ID_BALLOON, 0, "MUST_TELL_HOST"},
    {VIRTIO_ID_SCSI, 0, "INOUT"},
    {VIRTIO_ID_SCSI, 3, "T10_PI"},
    {VIRTIO_ID_FS, 0, "NOTIFICATION"},
    {VIRTIO_ID_GPU, 0, "VIRGL"},
    {VIRTIO_ID_GPU, 4, "CONTEXT_INIT"},
    {VIRTIO_ID_GPU, 5, "BLOB_ALIGNMENT"},
};

/* All that may be offered, on the modern interface; the devices' own, and the common ones. */
static uint64_t allowed(enum walk_device device)
{
    uint64_t common = RING_FEATURES | RING_RESET | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                      VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER) |
                      VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA);
    uint64_t disk = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
                    VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) |
                    VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);
    const uint64_t net_low = 0xffffff & ~VIRTIO_BIT(4) & ~VIRTIO_BIT(6) & ~VIRTIO_BIT(22);
    const uint64_t net_high =
        VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6) |
        VIRTIO_BIT(VIRTIO_NET_F_HOST_USO) | VIRTIO_BIT(VIRTIO_NET_F_SPEED_DUPLEX);
    const uint64_t own[WALK_DEVICES] = {
        [ECHO] = VIRTIO_BIT(3),
        [BLK] = VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES),
        [BLK_RO] = VIRTIO_BIT(VIRTIO_BLK_F_RO),
        [CONSOLE] = VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE),
        [SCSI] = VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG) | VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE),
        [NET] = net_low | net_high, /* with one pair */
        [GPU] = GPUREQ_FEATURES,
        [VSOCK] = VSOCKREQ_FEATURES,
        [RTC] = VIRTIO_BIT(VIRTIO_RTC_F_ALARM),
        [BALLOON] = 0x3e, /* all but MUST_TELL_HOST */
    };
    return common | own[device] | (device == BLK || device == BLK_RO ? disk : 0);
}

static void check_words(struct rig *rig, enum walk_device device)
{
    uint64_t may = allowed(device);
    if (rig->drv.t->legacy)
        may = (may & UINT32_MAX) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
    expect((vdrv_offered(&rig->drv) & ~may) == 0);
    for (uint32_t word = 2; word < 40; word++)
        expect(vdrv_features(&rig->drv, word) == 0);
    expect(vdrv_features(&rig->drv, UINT32_MAX) == 0);
    if (rig->drv.t->legacy)
        expect(vdrv_features(&rig->drv, 1) == 0);
}

/* Bits that are undefined, reserved, not implemented or not for the device are not offered. */
Test(conformance, basic_features_4)
{
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, EVERYWHERE)
        {
            uint64_t offered = vdrv_offered(&rig->drv);
            check_words(rig, device);
            for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
                uint32_t word = vdrv_features(&rig->drv, absent[i].feature / 32);
                if (absent[i].device == ANY || absent[i].device == rig->dev->cfg.type->id)
                    cr_expect(!(word >> absent[i].feature % 32 & 1), "%s: %s is offered",
                              walk_place, absent[i].name);
            }
            for (unsigned bit = 44; bit <= 49; bit++) /* reserved */
                expect(!(offered & VIRTIO_BIT(bit)));
            /* And a device that is told to suspend goes on: the status bit is not there. */
            start(rig, 0, 8);
            vdrv_set_status(&rig->drv, vdrv_status(&rig->drv) | 16);
            expect(!(vdrv_status(&rig->drv) & 16));
        }
    }
}
