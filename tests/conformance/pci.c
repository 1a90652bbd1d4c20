// SPDX-License-Identifier: BSD-2-Clause
/* The virtio-pci transport: what is found in configuration space. VIRTIO 1.4 4.1.2 to 4.1.4. */
#include "conformance.h"

#include <string.h>

#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "pci/function.h"
#include "virtio/transport/pci.h"

#define NOTIFICATION_DATA VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)

static uint32_t cap_field(struct rig *rig, unsigned cap, unsigned field, unsigned width)
{
    return pci_get(rig, cap + field, width);
}

/* Where a structure is, or 0: it does not fit into its BAR. */
static bool structure_fits(struct rig *rig, unsigned cap)
{
    uint32_t bar = cap_field(rig, cap, VIRTIO_PCI_CAP_bar, 1);
    uint64_t offset = cap_field(rig, cap, VIRTIO_PCI_CAP_offset, 4);
    uint64_t length = cap_field(rig, cap, VIRTIO_PCI_CAP_length, 4);
    return bar < VDRV_BARS && length > 0 && offset + length <= rig->drv.pci.bar_bytes[bar];
}

/* ---- a PCI function ---- */

/* Capabilities are a chain of whole doublewords behind the header, and it ends. */
static void check_capabilities(struct rig *rig)
{
    unsigned count = 0;
    expect(pci_get(rig, PCI_REG_STATUS, 2) & PCI_STATUS_CAP_LIST);
    for (unsigned at = pci_get(rig, PCI_REG_CAPABILITIES, 1); at != 0;
         at = pci_get(rig, at + 1, 1)) {
        demand(at >= 0x40 && at <= 0xfc && at % 4 == 0);
        demand(++count < 48);
    }
    expect(count > 0);
}

/* A memory BAR decodes where it was put, and only while memory decoding is on. */
static void check_decoding(struct rig *rig)
{
    uint64_t value;
    uint32_t bar =
        cap_field(rig, pci_virtio_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG, 0), VIRTIO_PCI_CAP_bar, 1);
    unsigned reg = PCI_REG_BAR + 4 * bar;
    uint64_t old_gpa = rig->drv.pci.common, new_gpa = old_gpa + 0x80000;
    uint32_t low = pci_get(rig, reg, 4);
    demand(common_get(rig, VIRTIO_PCI_COMMON_num_queues, 2) == rig->dev->cfg.queue_count);
    uint32_t command = pci_get(rig, PCI_REG_COMMAND, 2);
    pci_set(rig, PCI_REG_COMMAND, 2, command & ~(uint32_t)PCI_CMD_MEMORY);
    bus_read(rig->bus, old_gpa + VIRTIO_PCI_COMMON_num_queues, 2, &value);
    expect(value == 0xffff);
    pci_set(rig, reg, 4, (low & ~15u) + 0x80000);
    pci_set(rig, PCI_REG_COMMAND, 2, command);
    bus_read(rig->bus, new_gpa + VIRTIO_PCI_COMMON_num_queues, 2, &value);
    expect(value == rig->dev->cfg.queue_count);
    bus_read(rig->bus, old_gpa + VIRTIO_PCI_COMMON_num_queues, 2, &value);
    expect(value == 0xffff);
    pci_set(rig, reg, 4, low);
}

/* The function is what PCI says of one: header, BARs, capabilities, decoding. */
RequirementOfAll(pci_bus_1, PCI)
{
    expect((pci_get(rig, PCI_REG_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) == 0);
    expect(pci_get(rig, PCI_REG_INTERRUPT_PIN, 1) <= 4);
    pci_set(rig, PCI_REG_VENDOR, 4, 0);
    expect(pci_get(rig, PCI_REG_VENDOR, 2) == 0x1af4);
    for (unsigned bar = 0; bar < VDRV_BARS; bar++)
        expect((rig->drv.pci.bar_bytes[bar] & (rig->drv.pci.bar_bytes[bar] - 1)) == 0);
    check_capabilities(rig);
    check_decoding(rig);
}

/* ---- discovery ---- */

/* The vendor ID is 0x1af4. */
RequirementOfAll(pci_discovery_1, PCI)
{
    expect(pci_get(rig, PCI_REG_VENDOR, 2) == 0x1af4);
}

/* The device ID is 0x1040 and the type, or the transitional one. */
Test(conformance, pci_discovery_2)
{
    static const struct {
        uint32_t type, id;
    } transitional[] = {{1, 0x1000}, {2, 0x1001}, {3, 0x1003}, {4, 0x1005},
                        {5, 0x1002}, {8, 0x1004}, {9, 0x1009}};
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, PCI & ~PCI_TRANSITIONAL)
        expect(pci_get(rig, PCI_REG_DEVICE, 2) == 0x1040 + rig->dev->cfg.type->id);
        FOR_EACH_RIG(rig, device, PCI_TRANSITIONAL)
        {
            bool known = false;
            for (unsigned i = 0; i < ARRAY_SIZE(transitional); i++) {
                if (transitional[i].type != rig->dev->cfg.type->id)
                    continue;
                known = true;
                expect(pci_get(rig, PCI_REG_DEVICE, 2) == transitional[i].id);
            }
            expect(known);
        }
    }
}

/* A device that is not transitional has a device ID from 0x1040 to 0x107f. */
RequirementOfAll(pci_discovery_4, PCI & ~PCI_TRANSITIONAL)
{
    uint32_t id = pci_get(rig, PCI_REG_DEVICE, 2);
    expect(id >= 0x1040 && id <= 0x107f);
}

/* A device that is not transitional has revision 1 or later. */
RequirementOfAll(pci_discovery_5, PCI & ~PCI_TRANSITIONAL)
{
    expect(pci_get(rig, PCI_REG_REVISION, 1) >= 1);
}

/* A device that is not transitional has a subsystem device ID of 0x40 or more. */
RequirementOfAll(pci_discovery_6, PCI & ~PCI_TRANSITIONAL)
{
    expect(pci_get(rig, PCI_REG_SUBSYSTEM, 2) >= 0x40);
}

/* ---- capabilities ---- */

/* The halves of a 64-bit field of the configuration can be accessed alone. */
Test(conformance, pci_layout_1)
{
    FOR_EACH_RIG(rig, BLK, PCI)
    {
        uint64_t low = 0, high = 0, gpa = rig->drv.pci.config;
        bus_read(rig->bus, gpa, 4, &low);
        bus_read(rig->bus, gpa + 4, 4, &high);
        expect((low | high << 32) == RIG_DISK_BYTES / 512);
    }
    FOR_EACH_RIG(rig, ECHO, PCI)
    {
        static const unsigned fields[] = {VIRTIO_PCI_COMMON_queue_desc,
                                          VIRTIO_PCI_COMMON_queue_driver,
                                          VIRTIO_PCI_COMMON_queue_device};
        demand(vdrv_negotiate(&rig->drv, 0));
        common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 1);
        for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
            common_set(rig, fields[i] + 4, 4, 0x12345678 + i);
            common_set(rig, fields[i], 4, 0x9abcdef0 + i);
            expect(common_get(rig, fields[i] + 4, 4) == 0x12345678 + i);
            expect(common_get(rig, fields[i], 4) == 0x9abcdef0 + i);
        }
        uint64_t bytes = 0;
        bus_write(rig->bus, rig->drv.pci.config, 4, 0x44332211);
        bus_write(rig->bus, rig->drv.pci.config + 4, 4, 0x88776655);
        bus_read(rig->bus, rig->drv.pci.config + 4, 4, &bytes);
        expect(bytes == 0x88776655 && memcmp(rig->echo.config, "\x11\x22\x33\x44", 4) == 0);
    }
}

/* cap_len has room for all of the capability's fields, and does not reach into the next. */
Test(conformance, pci_caps_1)
{
    static const unsigned bytes[] = {
        [VIRTIO_PCI_CAP_COMMON_CFG] = 16,
        [VIRTIO_PCI_CAP_NOTIFY_CFG] = 20,
        [VIRTIO_PCI_CAP_ISR_CFG] = 16,
        [VIRTIO_PCI_CAP_DEVICE_CFG] = 16,
        [VIRTIO_PCI_CAP_PCI_CFG] = 20,
        [6] = UINT32_MAX,
        [7] = UINT32_MAX,
        [VIRTIO_PCI_CAP_SHARED_MEMORY_CFG] = 24,
    };
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, PCI, .shm_bytes = 0x4000)
        {
            for (unsigned at = pci_cap(rig, PCI_CAP_VENDOR, 0); at != 0;
                 at = pci_cap(rig, PCI_CAP_VENDOR, at)) {
                unsigned type = cap_field(rig, at, VIRTIO_PCI_CAP_cfg_type, 1);
                unsigned len = cap_field(rig, at, VIRTIO_PCI_CAP_cap_len, 1);
                demand(type >= 1 && type < ARRAY_SIZE(bytes));
                expect(len >= bytes[type] && at + len <= 256);
                for (unsigned other = pci_get(rig, PCI_REG_CAPABILITIES, 1); other != 0;
                     other = pci_get(rig, other + 1, 1))
                    expect(other <= at || other >= at + len);
            }
        }
    }
}

/* The common configuration is at a multiple of 4. */
RequirementOfAll(pci_common_1, PCI)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG, 0);
    demand(cap != 0);
    expect(cap_field(rig, cap, VIRTIO_PCI_CAP_offset, 4) % 4 == 0);
}

/* There is a common configuration. */
RequirementOfAll(pci_common_2, PCI)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG, 0);
    demand(cap != 0);
    expect(structure_fits(rig, cap));
    expect(cap_field(rig, cap, VIRTIO_PCI_CAP_length, 4) >= 56);
}

/* There is a notification structure. */
RequirementOfAll(pci_notify_1, PCI)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_NOTIFY_CFG, 0);
    demand(cap != 0);
    expect(structure_fits(rig, cap));
}

/* What the rules for notification structures have in common. */
struct notify {
    uint32_t offset, length, multiplier;
    bool data; /* NOTIFICATION_DATA is offered */
};

static struct notify notify_of(struct rig *rig)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_NOTIFY_CFG, 0);
    demand(cap != 0);
    return (struct notify){
        .offset = cap_field(rig, cap, VIRTIO_PCI_CAP_offset, 4),
        .length = cap_field(rig, cap, VIRTIO_PCI_CAP_length, 4),
        .multiplier = cap_field(rig, cap, VIRTIO_PCI_NOTIFY_CAP_multiplier, 4),
        .data = (vdrv_offered(&rig->drv) & NOTIFICATION_DATA) != 0,
    };
}

/* Each device and place, with NOTIFICATION_DATA and without. */
#define FOR_EACH_NOTIFY(rig, n, with_data)                                               \
    FOR_EACH_DEVICE(device_)                                                             \
    FOR_EACH_RIG(rig, device_, PCI, .features_off = (with_data) ? 0 : NOTIFICATION_DATA) \
    for (struct notify n = notify_of(rig), *n_once = &(n); n_once != NULL; n_once = NULL)

static uint64_t queue_end(struct rig *rig, const struct notify *n, unsigned queue, unsigned bytes)
{
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, queue);
    return common_get(rig, VIRTIO_PCI_COMMON_queue_notify_off, 2) * n->multiplier + bytes;
}

static void check_room(struct rig *rig, const struct notify *n, unsigned bytes)
{
    for (unsigned queue = 0; queue < rig->dev->cfg.queue_count; queue++)
        expect(n->length >= queue_end(rig, n, queue, bytes));
}

/* Without NOTIFICATION_DATA: the offset is a multiple of 2. */
Test(conformance, pci_notify_2)
{
    FOR_EACH_NOTIFY(rig, n, false)
    expect(!n.data && n.offset % 2 == 0);
}

/* Without NOTIFICATION_DATA: the multiplier is 0 or an even power of two. */
Test(conformance, pci_notify_3)
{
    FOR_EACH_NOTIFY(rig, n, false)
    expect(!n.data && n.multiplier % 2 == 0 && (n.multiplier & (n.multiplier - 1)) == 0);
}

/* Without NOTIFICATION_DATA: the length is 2 or more. */
Test(conformance, pci_notify_4)
{
    FOR_EACH_NOTIFY(rig, n, false)
    expect(!n.data && n.length >= 2);
}

/* Without NOTIFICATION_DATA: there is room for the queues in all configurations. */
Requirement(pci_notify_5, ECHO, PCI, .queues = 8, .features_off = NOTIFICATION_DATA)
{
    struct notify n = notify_of(rig);
    expect(!n.data);
    check_room(rig, &n, 2);
    demand(vdrv_start(&rig->drv, 0, 8, 8));
    check_room(rig, &n, 2);
    expect(serves(rig, 7));
}

/* Without NOTIFICATION_DATA: each queue's two bytes are inside. */
Test(conformance, pci_notify_6)
{
    FOR_EACH_NOTIFY(rig, n, false)
    check_room(rig, &n, 2);
}

/* With NOTIFICATION_DATA: the multiplier is 0 or a power of two from 4 on. */
Test(conformance, pci_notify_7)
{
    FOR_EACH_NOTIFY(rig, n, true)
    expect(n.data && n.multiplier % 4 == 0 && (n.multiplier & (n.multiplier - 1)) == 0);
}

/* With NOTIFICATION_DATA: the offset is a multiple of 4. */
Test(conformance, pci_notify_8)
{
    FOR_EACH_NOTIFY(rig, n, true)
    expect(n.data && n.offset % 4 == 0);
}

/* With NOTIFICATION_DATA: the length is 4 or more. */
Test(conformance, pci_notify_9)
{
    FOR_EACH_NOTIFY(rig, n, true)
    expect(n.data && n.length >= 4);
}

/* With NOTIFICATION_DATA: there is room for the queues in all configurations. */
Requirement(pci_notify_10, ECHO, PCI, .queues = 8)
{
    struct notify n = notify_of(rig);
    expect(n.data);
    check_room(rig, &n, 4);
    demand(vdrv_start(&rig->drv, NOTIFICATION_DATA, 8, 8));
    check_room(rig, &n, 4);
    expect(serves(rig, 7));
}

/* With NOTIFICATION_DATA: each queue's four bytes are inside. */
Test(conformance, pci_notify_11)
{
    FOR_EACH_NOTIFY(rig, n, true)
    check_room(rig, &n, 4);
}

/* There is an ISR structure. */
RequirementOfAll(pci_isr_1, PCI)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_ISR_CFG, 0);
    demand(cap != 0);
    expect(structure_fits(rig, cap));
}

/* The device configuration is at a multiple of 4. */
RequirementOfAll(pci_devcfg_1, PCI)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_DEVICE_CFG, 0);
    expect(cap == 0 || cap_field(rig, cap, VIRTIO_PCI_CAP_offset, 4) % 4 == 0);
    expect(cap != 0 || rig->dev->cfg.config_bytes == 0);
}

/* A device with a configuration has the structure, and the whole of it is inside. */
RequirementOfAll(pci_devcfg_prose_1, PCI)
{
    if (rig->dev->cfg.config_bytes == 0)
        return;
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_DEVICE_CFG, 0);
    demand(cap != 0);
    expect(structure_fits(rig, cap));
    expect(cap_field(rig, cap, VIRTIO_PCI_CAP_length, 4) >= rig->dev->cfg.config_bytes);
}

/* ---- shared memory ---- */

/* A region is inside of its BAR. */
Requirement(pci_shm_1, ECHO, PCI, .shm_bytes = 0x3000)
{
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, 0);
    demand(cap != 0);
    uint64_t offset = cap_field(rig, cap, VIRTIO_PCI_CAP_offset, 4) |
                      (uint64_t)cap_field(rig, cap, VIRTIO_PCI_CAP64_offset_hi, 4) << 32;
    uint64_t length = cap_field(rig, cap, VIRTIO_PCI_CAP_length, 4) |
                      (uint64_t)cap_field(rig, cap, VIRTIO_PCI_CAP64_length_hi, 4) << 32;
    uint32_t bar = cap_field(rig, cap, VIRTIO_PCI_CAP_bar, 1);
    demand(bar < VDRV_BARS);
    expect(length >= 0x3000);
    expect(offset <= rig->drv.pci.bar_bytes[bar] && length <= rig->drv.pci.bar_bytes[bar] - offset);
}

/* Each region of a device has an id of its own. */
Test(conformance, pci_shm_2)
{
    static uint8_t memory[2][0x1000];
    FOR_EACH_RIG(rig, ECHO, PCI_SPLIT)
    {
        const struct virtio_shm regions[] = {{.id = 1, .hva = memory[0], .bytes = 0x1000},
                                             {.id = 2, .hva = memory[1], .bytes = 0x1000}};
        struct echo two;
        struct virtio_pci *pci;
        unsigned seen[256] = {0}, count = 0;
        echo_init(&two, &(struct echo_config){
                            .setup = {.name = "echo", .loop = rig->loop, .gmem = rig->gmem}});
        two.dev.cfg.shm = regions;
        two.dev.cfg.shm_count = 2;
        demand(virtio_pci_create(&pci, &(struct virtio_pci_config){
                                           .mmio = rig->bus,
                                           .pio = rig->pio,
                                           .msi = {0},
                                           .doorbell = fake_doorbell_port(&rig->bell),
                                           .device = &two.dev,
                                       }) == 0);
        struct pci_function *first = rig->drv.pci.func;
        rig->drv.pci.func = &virtio_pci_func(pci)->port;
        for (unsigned at = 0; (at = pci_virtio_cap(rig, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, at)) != 0;
             count++)
            expect(seen[cap_field(rig, at, VIRTIO_PCI_CAP_id, 1)]++ == 0);
        expect(count == 2 && seen[1] == 1 && seen[2] == 1);
        rig->drv.pci.func = first;
        virtio_pci_destroy(pci);
        echo_fini(&two);
    }
}

/* ---- the window in configuration space ---- */

/* Points the window somewhere in the common configuration. */
static unsigned aim(struct rig *rig, unsigned field, unsigned width)
{
    unsigned common = pci_virtio_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG, 0);
    unsigned cap = pci_virtio_cap(rig, VIRTIO_PCI_CAP_PCI_CFG, 0);
    demand(common != 0 && cap != 0);
    pci_set(rig, cap + VIRTIO_PCI_CAP_bar, 1, cap_field(rig, common, VIRTIO_PCI_CAP_bar, 1));
    pci_set(rig, cap + VIRTIO_PCI_CAP_offset, 4,
            cap_field(rig, common, VIRTIO_PCI_CAP_offset, 4) + field);
    pci_set(rig, cap + VIRTIO_PCI_CAP_length, 4, width);
    return cap + VIRTIO_PCI_CFG_CAP_data;
}

/* There is such a window. */
RequirementOfAll(pci_pci_cfg_1, PCI)
{
    expect(pci_virtio_cap(rig, VIRTIO_PCI_CAP_PCI_CFG, 0) != 0);
}

/* A write to its data is a write of cap.length bytes to where it points. */
Requirement(pci_pci_cfg_2, ECHO, PCI)
{
    static const struct {
        unsigned field, width;
        uint32_t value;
    } writes[] = {
        {VIRTIO_PCI_COMMON_device_feature_select, 4, 0x12345678},
        {VIRTIO_PCI_COMMON_queue_select, 2, 0x1234},
        {VIRTIO_PCI_COMMON_device_status, 1, 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        pci_set(rig, aim(rig, writes[i].field, writes[i].width), writes[i].width, writes[i].value);
        expect(common_get(rig, writes[i].field, writes[i].width) == writes[i].value);
    }
}

/* A read of its data is a read of cap.length bytes from where it points. */
Requirement(pci_pci_cfg_3, ECHO, PCI)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_feature_select, 4, 1);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 1);
    uint64_t features = common_get(rig, VIRTIO_PCI_COMMON_device_feature, 4);
    demand(features != 0);
    expect(pci_get(rig, aim(rig, VIRTIO_PCI_COMMON_device_feature, 4), 4) == features);
    expect(pci_get(rig, aim(rig, VIRTIO_PCI_COMMON_num_queues, 2), 2) == 2);
    expect(pci_get(rig, aim(rig, VIRTIO_PCI_COMMON_device_status, 1), 1) == 1);
}
