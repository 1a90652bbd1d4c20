// SPDX-License-Identifier: BSD-2-Clause
/* The console device: VIRTIO 1.4 5.3. */
#include "conformance.h"

/* For legacy drivers the configuration is in the guest's byte order, which is ours. */
Test(conformance, console_config_legacy_1)
{
    FOR_EACH_RIG(rig, CONSOLE, LEGACY)
    {
        uint16_t cols, rows;
        start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 8);
        rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 0x102, 0x304);
        vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_cols, &cols, 2);
        vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_rows, &rows, 2);
        expect(cols == 0x102 && rows == 0x304);
    }
}
