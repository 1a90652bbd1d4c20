// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/inputio.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "core/base/fail.h"
#include "tests/harness/rig.h"
#include "virtio/input/input.h"

#define EVENTS VIRTIO_INPUT_EVENTS

static void on_status(struct input_backend *b, const struct input_event *event)
{
    struct fake_input *input = (struct fake_input *)(void *)b;
    if (input->status_count < FAKE_INPUT_STATUS)
        input->status[input->status_count] = *event;
    input->status_count++;
}

static const struct input_backend_ops ops = {.status = on_status};

void fake_input_init(struct fake_input *input, enum input_kind kind)
{
    *input = (struct fake_input){.backend = {.ops = &ops, .kind = kind}};
}

void fake_input_report(struct fake_input *input, const struct input_event *events, unsigned count)
{
    if (input->backend.handler.on_report != NULL)
        input->backend.handler.on_report(input->backend.handler.ctx, events, count);
}

void fake_input_key(struct fake_input *input, unsigned code, bool down)
{
    fake_input_report(input, &(struct input_event){EV_KEY, (uint16_t)code, down}, 1);
}

/* A buffer's descriptor tells its place to the driver that finds it used. */
void inputio_give(struct rig *rig, unsigned count, uint32_t bytes)
{
    struct vdrv_queue *q = &rig->drv.q[EVENTS];
    for (unsigned i = 0; i < count; i++) {
        uint64_t gpa = vdrv_alloc(&rig->drv, bytes, 8);
        int id = vdrv_add(q, &(struct vdrv_buf){gpa, bytes, true}, 1);
        BUG_ON(id < 0 || id >= (int)INPUTIO_IDS);
        rig->event_gpa[id] = gpa;
    }
    rig_kick(rig, EVENTS);
}

bool inputio_next(struct rig *rig, struct input_event *event, uint32_t *len)
{
    uint32_t id;
    if (!vdrv_used(&rig->drv.q[EVENTS], &id, len))
        return false;
    *event = (struct input_event){0};
    if (*len >= INPUT_EVENT_BYTES)
        *event = input_event_get(vdrv_ptr(&rig->drv, rig->event_gpa[id], INPUT_EVENT_BYTES));
    return true;
}

unsigned inputio_take(struct rig *rig, struct input_event *events, unsigned max)
{
    struct input_event event;
    uint32_t len;
    unsigned n = 0;
    while (inputio_next(rig, &event, &len)) {
        if (len != INPUT_EVENT_BYTES)
            continue;
        BUG_ON(n == max);
        events[n++] = event;
    }
    return n;
}

unsigned inputio_query(struct rig *rig, uint8_t select, uint8_t subsel, uint8_t *data)
{
    uint8_t size;
    vdrv_config_write(&rig->drv, VIRTIO_INPUT_CONFIG_select, &select, 1);
    vdrv_config_write(&rig->drv, VIRTIO_INPUT_CONFIG_subsel, &subsel, 1);
    vdrv_config_read(&rig->drv, VIRTIO_INPUT_CONFIG_size, &size, 1);
    if (data != NULL)
        vdrv_config_read(&rig->drv, VIRTIO_INPUT_CONFIG_data, data, size);
    return size;
}

bool inputio_same(const struct input_event *a, const struct input_event *b)
{
    return a->type == b->type && a->code == b->code && a->value == b->value;
}
