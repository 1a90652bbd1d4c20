// SPDX-License-Identifier: BSD-2-Clause
/* The console device: VIRTIO 1.4 5.3. */
#include "conformance.h"

#include "core/base/le.h"
#include "core/ports/chr.h"

/* cols and rows are the console's size. */
Requirement(console_size_prose_1, CONSOLE, MODERN)
{
    uint8_t size[4];
    expect((vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE)) != 0);
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, size, sizeof(size));
    expect(le16_get(size) == 80 && le16_get(size + 2) == 25);
}

/* The driver is notified of a new size, which it can read then. */
Requirement(console_size_prose_2, CONSOLE, EVERYWHERE)
{
    uint8_t size[4];
    const struct chr_handler *handler = rig->chr.backend.handler;
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
    demand(rig_config_irqs(rig) == 0);
    handler->on_resize(handler->ctx, 132, 50);
    expect(rig_config_irqs(rig) == 1);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, size, sizeof(size));
    expect(le16_get(size) == 132 && le16_get(size + 2) == 50);
}

/* For legacy drivers the configuration is in the guest's byte order, which is ours. */
Requirement(console_config_legacy_1, CONSOLE, LEGACY)
{
    uint16_t cols, rows;
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 0x102, 0x304);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, &cols, 2);
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_rows, &rows, 2);
    expect(cols == 0x102 && rows == 0x304);
}
