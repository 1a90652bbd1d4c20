// SPDX-License-Identifier: BSD-2-Clause
/* The console device: VIRTIO 1.4 5.3. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "core/ports/chr.h"
#include "tests/harness/portio.h"
#include "virtio/console/console.h"

#define MULTIPORT VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)

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

/* emerg_wr may be written to before the device is set up. */
Requirement(console_init_1, CONSOLE, EVERYWHERE, .ports = RIG_PORTS)
{
    const uint8_t last[4] = {'!'};
    demand((vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)) != 0);
    vdrv_config_write(&rig->drv, VIRTIO_CONSOLE_CONFIG_emerg_wr, last, sizeof(last));
    expect(rig->chr.out_bytes > 0 && !rig_is_broken(rig));
    start(rig, 0, 8);
}

/* The low byte of emerg_wr goes to an output. */
Requirement(console_init_2, CONSOLE, EVERYWHERE, .ports = RIG_PORTS)
{
    uint8_t bytes[4] = {0, 'x', 'y', 'z'};
    start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE), 8);
    for (const char *c = "dying"; *c != '\0'; c++) {
        bytes[0] = (uint8_t)*c;
        vdrv_config_write(&rig->drv, VIRTIO_CONSOLE_CONFIG_emerg_wr, bytes, 1);
    }
    expect(rig->chr.out_bytes == 5 && memcmp(rig->chr.out, "dying", 5) == 0);
}

static void meet(struct rig *rig)
{
    start(rig, MULTIPORT, 16);
    portio_give(rig, PORTIO_BUFFERS, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

/* DEVICE_ADD names each port once, and none from max_nr_ports on. */
Requirement(console_multiport_1, CONSOLE, EVERYWHERE, .ports = RIG_PORTS)
{
    uint8_t max[4];
    vdrv_config_read(&rig->drv, VIRTIO_CONSOLE_CONFIG_max_nr_ports, max, sizeof(max));
    expect(le32_get(max) == 1 + RIG_PORTS);
    meet(rig);
    expect(strcmp(portio_hear(rig), "0:add 1:add 2:add") == 0);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    expect(strcmp(portio_hear(rig), "") == 0);
}

/* DEVICE_REMOVE does not name a port that was never added: none is ever removed. */
Requirement(console_multiport_2, CONSOLE, EVERYWHERE, .ports = RIG_PORTS)
{
    meet(rig);
    for (unsigned id = 0; id < 4; id++)
        for (unsigned event = 0; event < 8; event++)
            portio_say(rig, id, (uint16_t)event, id % 2);
    expect(strstr(portio_hear(rig), "remove") == NULL);
}

/* For legacy drivers control messages are in the guest's byte order, which is ours. */
Requirement(console_op_legacy_1, CONSOLE, LEGACY, .ports = RIG_PORTS)
{
    uint8_t *heard;
    start(rig, MULTIPORT, 16);
    portio_give(rig, 1, 96);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    heard = vdrv_ptr(&rig->drv, rig->event_gpa[0], VIRTIO_CONSOLE_CONTROL_BYTES);
    struct {
        uint32_t id;
        uint16_t event, value;
    } message;
    memcpy(&message, heard, sizeof(message));
    expect(message.id == 0 && message.event == VIRTIO_CONSOLE_DEVICE_ADD && message.value == 1);
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
