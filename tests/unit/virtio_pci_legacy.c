// SPDX-License-Identifier: BSD-2-Clause
/* A transitional virtio-pci function through the ports of VIRTIO 0.9.5. */
#include "core/ports/bus.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_pci_util.h"

static uint32_t port_get(struct rig *rig, unsigned reg, unsigned width)
{
    uint64_t value;
    bus_read(rig->pio, rig->drv.pci.bar_gpa[0] + reg, width, &value);
    return (uint32_t)value;
}

static void port_set(struct rig *rig, unsigned reg, unsigned width, uint32_t value)
{
    bus_write(rig->pio, rig->drv.pci.bar_gpa[0] + reg, width, value);
}

static void open_legacy(struct rig *rig, bool intx)
{
    rig_open_echo_on(rig, &(struct rig_config){.transport = RIG_PCI_LEGACY, .intx = intx});
}

/* ACKNOWLEDGE and DRIVER, from 0. */
static void find_driver(struct rig *rig)
{
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1, 0);
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1,
             VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
}

OnRig(virtio_pci_legacy, has_ports_in_bar_0, open_legacy(rig, true))
{
    cr_expect_eq(config_get(rig, PCI_REG_DEVICE, 2), 0x1009);
    cr_expect_eq(config_get(rig, PCI_REG_REVISION, 1), 0);
    cr_expect_eq(config_get(rig, PCI_REG_SUBSYSTEM, 2), VIRTIO_ID_9P);
    cr_expect(rig->drv.pci.bar_is_pio[0]);
    cr_expect_eq(rig->drv.pci.bar_bytes[0], 64);
    cr_expect_neq(find_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG), 0, "the modern interface is there too");
}

OnRig(virtio_pci_legacy, shows_the_low_features, open_legacy(rig, true))
{
    uint32_t features = port_get(rig, VIRTIO_PCI_LEGACY_device_features, 4);
    cr_expect_eq(features, (uint32_t)rig->dev->offered[0] | 1u << VIRTIO_F_ANY_LAYOUT);
    find_driver(rig);
    port_set(rig, VIRTIO_PCI_LEGACY_driver_features, 4, 1u << 3);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_driver_features, 4), 1u << 3);
    port_set(rig, VIRTIO_PCI_LEGACY_device_features, 4, 0);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_device_features, 4), features);
}

Test(virtio_pci_legacy, works_end_to_end)
{
    for (unsigned intx = 0; intx < 2; intx++) {
        struct rig rig;
        open_legacy(&rig, intx);
        cr_assert(vdrv_start(&rig.drv, 0, 2, 0));
        cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_device_status, 1), 7, "no FEATURES_OK");
        cr_expect(echoes(&rig, 1));
        cr_expect(echoes(&rig, 1));
        cr_expect(echoes(&rig, 0));
        if (intx) {
            cr_expect(rig.irq.level);
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_isr_status, 1), VIRTIO_ISR_QUEUE);
            cr_expect(!rig.irq.level);
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_isr_status, 1), 0);
        } else {
            cr_expect_eq(fake_msi_take(&rig.msi, 2), 1, "an eventfd counts once");
            cr_expect_eq(fake_msi_take(&rig.msi, 1), 1);
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_queue_msix_vector, 2), 2);
        }
        cr_expect(!rig_is_broken(&rig));
        rig_close(&rig);
    }
}

OnRig(virtio_pci_legacy, a_queue_is_one_area, open_legacy(rig, true))
{
    find_driver(rig);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_select, 2, 1);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_select, 2), 1);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_size, 2), 1024);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_size, 2, 8);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_size, 2), 1024, "the device's choice");
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_address, 4), 0);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, 0x12);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_address, 4), 0x12);
    const struct vq_config *config = virtio_device_queue_config(rig->dev, 1);
    cr_expect_eq(config->size, 1024);
    cr_expect_eq(config->desc, 0x12000);
    cr_expect_eq(config->driver, 0x12000 + 16 * 1024);
    cr_expect_eq(config->device, 0x17000); /* 16 KiB, 2054 bytes, then the next page */
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, 0x20);
    cr_expect_eq(config->desc, 0x12000, "it is in use");
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, 0);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_address, 4), 0);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, UINT32_MAX);
    cr_expect_eq(config->desc, UINT64_C(0xffffffff000));
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_address, 4), UINT32_MAX);

    port_set(rig, VIRTIO_PCI_LEGACY_queue_select, 2, 2);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, 0x12);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_size, 2), 0, "there is none");
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_address, 4), 0);
}

OnRig(virtio_pci_legacy, a_queue_stops_and_starts_again, open_legacy(rig, true))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 0));
    cr_assert(echoes(rig, 0));
    cr_expect_eq(rig->bell.count, 2);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_select, 2, 0);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_address, 4, 0);
    cr_expect_eq(rig->bell.count, 1);
    cr_expect_eq(rig->echo.stops, 1);
    cr_expect(echoes(rig, 1));
    vdrv_queue_set_up(&rig->drv, 0, 0);
    cr_expect_eq(rig->bell.count, 2);
    cr_expect(echoes(rig, 0));
}

OnRig(virtio_pci_legacy, the_notification_port_has_a_doorbell_for_each_queue,
      open_legacy(rig, true))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 0));
    uint64_t port = rig->drv.pci.bar_gpa[0] + VIRTIO_PCI_LEGACY_queue_notify;
    cr_assert_eq(rig->bell.count, 2);
    for (unsigned i = 0; i < 2; i++)
        cr_expect_eq(rig->bell.addr[i].space, BUS_PIO);
    rig_step(rig); /* a queue that has just started is looked at once anyway */
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    uint32_t head, len;
    vdrv_add(&rig->drv.q[1], &buf, 1);
    vdrv_publish(&rig->drv.q[1]);
    cr_expect(!fake_doorbell_store(&rig->bell, port, 2, 2));
    cr_expect(!fake_doorbell_store(&rig->bell, port, 4, 1));
    cr_expect(fake_doorbell_store(&rig->bell, port, 2, 1));
    rig_step(rig);
    cr_expect(vdrv_used(&rig->drv.q[1], &head, &len));

    config_set(rig, PCI_REG_BAR, 4, 0x2000);
    cr_expect(!fake_doorbell_store(&rig->bell, port, 2, 1));
    cr_expect(fake_doorbell_store(&rig->bell, 0x2000 + VIRTIO_PCI_LEGACY_queue_notify, 2, 1));
    rig->drv.pci.bar_gpa[0] = 0x2000;
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->bell.count, 0);
}

OnRig(virtio_pci_legacy, may_be_used_before_driver_ok, open_legacy(rig, true))
{
    find_driver(rig);
    port_set(rig, VIRTIO_PCI_LEGACY_driver_features, 4, 0);
    vdrv_queue_set_up(&rig->drv, 0, 0);
    cr_expect_eq(rig->bell.count, 0);
    cr_expect(echoes(rig, 0));
    cr_expect_eq(rig->bell.count, 1, "from the first notification on");
    vdrv_driver_ok(&rig->drv);
    cr_expect(echoes(rig, 0));
    cr_expect_eq(rig->echo.activations, 1);
}

Test(virtio_pci_legacy, vectors_move_the_configuration)
{
    for (unsigned intx = 0; intx < 2; intx++) {
        struct rig rig;
        open_legacy(&rig, intx);
        unsigned config = intx ? 20 : 24;
        cr_expect_eq(port_get(&rig, config, 1), 1);
        cr_expect_eq(port_get(&rig, config, 2), 0x0201);
        cr_expect_eq(port_get(&rig, config, 4), 0x04030201);
        cr_expect_eq(port_get(&rig, config + 3, 4), 0x07060504, "any offset");
        cr_expect_eq(port_get(&rig, config + 10, 4), 0);
        port_set(&rig, config + 1, 2, 0xbbaa);
        cr_expect_eq(rig.echo.config[1], 0xaa);
        cr_expect_eq(rig.echo.config[2], 0xbb);
        if (!intx) {
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2), 0xffff);
            port_set(&rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2, 2);
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2), 2);
            port_set(&rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2, 3);
            cr_expect_eq(port_get(&rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2), 0xffff);
        }
        rig_close(&rig);
    }
}

OnRig(virtio_pci_legacy, registers_take_their_own_width_only, open_legacy(rig, false))
{
    static const uint8_t bytes[24] = {
        [0] = 4, [4] = 4, [8] = 4, [12] = 2, [14] = 2, [18] = 1, [19] = 1, [20] = 2, [22] = 2,
    };
    port_set(rig, VIRTIO_PCI_LEGACY_config_msix_vector, 2, 0);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_msix_vector, 2, 0);
    for (unsigned at = 0; at < sizeof(bytes); at++)
        for (unsigned width = 1; width <= 4; width *= 2) {
            bool none = port_get(rig, at, width) == width_mask(width);
            cr_expect_eq(!none, (bytes[at] & width) != 0, "%u bytes at %u", width, at);
            if (none)
                port_set(rig, at, width, 0x01010101);
        }
    cr_expect_eq(virtio_device_status(rig->dev), 0);
    cr_expect_eq(port_get(rig, VIRTIO_PCI_LEGACY_queue_select, 2), 0);
}

OnEcho(virtio_pci_legacy, a_driver_of_today_finds_the_modern_interface,
       .transport = RIG_PCI_TRANSITIONAL)
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    cr_expect_eq(vdrv_status(&rig->drv), 15);
    cr_expect(echoes(rig, 1));
    cr_expect(!rig->dev->legacy);
    for (unsigned i = 0; i < rig->bell.count; i++)
        cr_expect_eq(rig->bell.addr[i].space, BUS_MMIO);
}

/* Firmware speaks the old language and the kernel the new one, or the other way round. */
OnEcho(virtio_pci_legacy, each_driver_chooses_anew, .transport = RIG_PCI_TRANSITIONAL)
{
    find_driver(rig);
    cr_expect(rig->dev->legacy);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_device_status, 1), 3);
    cr_expect(rig->dev->legacy, "looking changes nothing");
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_expect(!rig->dev->legacy);
    cr_expect(echoes(rig, 0));
    find_driver(rig);
    cr_expect(rig->dev->legacy);
}

OnEcho(virtio_pci_legacy, a_modern_driver_is_not_started_by_the_old_port,
       .transport = RIG_PCI_TRANSITIONAL)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1,
               VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_notify, 2, 0);
    rig_step(rig);
    cr_expect_eq(rig->echo.activations, 0);
}
