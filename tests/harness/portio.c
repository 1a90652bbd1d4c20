// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/portio.h"

#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "tests/harness/rig.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

#define MESSAGE_BYTES 96u

struct rig_config portio_config(const struct rig_config *on)
{
    struct rig_config config = *on;
    config.ports = RIG_PORTS;
    return config;
}

void portio_give(struct rig *rig, unsigned count, uint32_t bytes)
{
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_CONSOLE_CONTROL_RX];
    for (unsigned i = 0; i < count; i++) {
        uint64_t gpa = vdrv_alloc(&rig->drv, bytes, 8);
        int id = vdrv_add(q, &(struct vdrv_buf){gpa, bytes, true}, 1);
        BUG_ON(id < 0 || id >= (int)INPUTIO_IDS);
        rig->event_gpa[id] = gpa;
    }
    rig_kick(rig, VIRTIO_CONSOLE_CONTROL_RX);
}

void portio_say(struct rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, VIRTIO_CONSOLE_CONTROL_BYTES, 8);
    uint8_t *message = vdrv_ptr(&rig->drv, gpa, VIRTIO_CONSOLE_CONTROL_BYTES);
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_CONSOLE_CONTROL_TX];
    uint32_t head, len;
    le32_put(message + VIRTIO_CONSOLE_CONTROL_id, id);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_event, event);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_value, value);
    vdrv_send(q, &(struct vdrv_buf){gpa, VIRTIO_CONSOLE_CONTROL_BYTES, false}, 1);
    rig_step(rig);
    while (vdrv_used(q, &head, &len))
        ;
}

static void put_text(char *text, const uint8_t *m, uint32_t len)
{
    static const char *const names[] = {
        [VIRTIO_CONSOLE_DEVICE_ADD] = "add",       [VIRTIO_CONSOLE_DEVICE_REMOVE] = "remove",
        [VIRTIO_CONSOLE_CONSOLE_PORT] = "console", [VIRTIO_CONSOLE_RESIZE] = "size",
        [VIRTIO_CONSOLE_PORT_OPEN] = "open",       [VIRTIO_CONSOLE_PORT_NAME] = "name",
    };
    size_t at = strlen(text);
    unsigned id = le32_get(m), event = le16_get(m + 4), value = le16_get(m + 6);
    const uint8_t *more = m + VIRTIO_CONSOLE_CONTROL_BYTES;
    int bytes = (int)len - (int)VIRTIO_CONSOLE_CONTROL_BYTES;
    const char *name = event < 8 && names[event] != NULL ? names[event] : "what";
    if (event == VIRTIO_CONSOLE_PORT_OPEN && value == 0)
        name = "closed";
    at += (size_t)snprintf(text + at, PORTIO_TEXT - at, "%s%u:%s", at > 0 ? " " : "", id, name);
    if (event == VIRTIO_CONSOLE_PORT_NAME)
        (void)snprintf(text + at, PORTIO_TEXT - at, "(%.*s)", bytes, (const char *)more);
    else if (event == VIRTIO_CONSOLE_RESIZE && bytes == 4)
        (void)snprintf(text + at, PORTIO_TEXT - at, "(%ux%u)", le16_get(more), le16_get(more + 2));
    else if (bytes != 0)
        (void)snprintf(text + at, PORTIO_TEXT - at, "(%d bytes)", bytes);
}

const char *portio_hear(struct rig *rig)
{
    static char text[PORTIO_TEXT];
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_CONSOLE_CONTROL_RX];
    uint32_t id, len;
    text[0] = '\0';
    rig_step(rig);
    while (vdrv_used(q, &id, &len)) {
        put_text(text, vdrv_ptr(&rig->drv, rig->event_gpa[id], MESSAGE_BYTES), len);
        portio_give(rig, 1, MESSAGE_BYTES);
    }
    return text;
}

void portio_start(struct rig *rig, uint64_t features)
{
    rig_start(rig, features | VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT), PORTIO_QUEUES, 16);
    portio_give(rig, PORTIO_BUFFERS, MESSAGE_BYTES);
    portio_say(rig, 0xffffffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
    portio_hear(rig);
    for (unsigned id = 0; id <= RIG_PORTS; id++) {
        portio_say(rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
        portio_hear(rig);
        portio_say(rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
    }
    portio_hear(rig);
}
