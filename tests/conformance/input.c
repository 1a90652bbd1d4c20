// SPDX-License-Identifier: BSD-2-Clause
/* The input device: VIRTIO 1.4 5.8. */
#include "conformance.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "core/base/xmath.h"
#include "core/ports/input_queue.h"
#include "virtio/input/input.h"

/* ---- configuration ---- */

/* What a tablet answers, and how many bytes. */
static const struct {
    uint8_t select, subsel, size;
} answers[] = {
    {VIRTIO_INPUT_CFG_ID_NAME, 0, 14},      {VIRTIO_INPUT_CFG_ID_SERIAL, 0, 5},
    {VIRTIO_INPUT_CFG_ID_DEVIDS, 0, 8},     {VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, 0x115 / 8 + 1},
    {VIRTIO_INPUT_CFG_EV_BITS, EV_REL, 2},  {VIRTIO_INPUT_CFG_EV_BITS, EV_ABS, 1},
    {VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, 20}, {VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y, 20},
};

static unsigned answer_bytes(unsigned select, unsigned subsel)
{
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++)
        if (answers[i].select == select && answers[i].subsel == subsel)
            return answers[i].size;
    return 0;
}

/* All that can be selected, and no others are there. */
Requirement(input_init_1, INPUT, MODERN)
{
    start(rig, 0, 8);
    for (unsigned select = 0; select < 256; select++) {
        for (unsigned subsel = 0; subsel < 256; subsel++) {
            uint8_t both[] = {(uint8_t)select, (uint8_t)subsel}, size;
            vdrv_config_write(&rig->drv, VIRTIO_INPUT_CONFIG_select, both, sizeof(both));
            vdrv_config_read(&rig->drv, VIRTIO_INPUT_CONFIG_size, &size, 1);
            demand(size == answer_bytes(select, subsel));
        }
    }
}

/* In either order of writes, and nothing but zeroes behind the answer. */
Requirement(input_init_prose_1, INPUT, MODERN)
{
    start(rig, 0, 8);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(answers); i++) {
        uint8_t both[] = {answers[i / 2].select, answers[i / 2].subsel};
        uint8_t all[VIRTIO_INPUT_CONFIG_BYTES];
        unsigned first = i % 2;
        vdrv_config_write(&rig->drv, first, &both[first], 1);
        vdrv_config_write(&rig->drv, !first, &both[!first], 1);
        vdrv_config_read(&rig->drv, 0, all, sizeof(all));
        expect(all[0] == both[0] && all[1] == both[1] && all[2] == answers[i / 2].size);
        bool some = false, more = false;
        for (unsigned at = VIRTIO_INPUT_CONFIG_data; at < sizeof(all); at++) {
            bool inside = at - VIRTIO_INPUT_CONFIG_data < all[VIRTIO_INPUT_CONFIG_size];
            some |= inside && all[at] != 0;
            more |= !inside && all[at] != 0;
        }
        expect(some && !more);
    }
}

/* ---- events ---- */

static const struct input_event position[] = {{EV_ABS, ABS_X, 7}, {EV_ABS, ABS_Y, 9}};

/* Of a position either both axes and the end come, or nothing. */
Requirement(input_op_2, INPUT, MODERN)
{
    struct input_event got[8];
    start(rig, 0, 8);
    for (unsigned given = 1; given <= 3; given++) {
        fake_input_report(&rig->person, position, 2);
        for (unsigned i = 0; i < given; i++) {
            expect(!has_used(rig, VIRTIO_INPUT_EVENTS));
            inputio_give(rig, 1, INPUT_EVENT_BYTES);
        }
        inputio_give(rig, 3 - given, INPUT_EVENT_BYTES);
        rig_step(rig);
        demand(inputio_take(rig, got, ARRAY_SIZE(got)) == 3);
        expect(inputio_same(&got[0], &position[0]) && inputio_same(&got[1], &position[1]));
        expect(got[2].type == EV_SYN && got[2].code == SYN_REPORT);
    }
}

/* More than the device keeps for a driver that gives no buffers: what comes then is whole. */
Requirement(input_op_3, INPUT, MODERN)
{
    struct input_event got[8];
    int x = -1;
    unsigned n = 8; /* buffers that the driver has */
    start(rig, 0, 8);
    for (int i = 0; i < (int)INPUT_QUEUE_EVENTS; i++) {
        const struct input_event events[] = {
            {EV_ABS, ABS_X, i}, {EV_ABS, ABS_Y, i}, {EV_KEY, BTN_LEFT, i % 2}};
        fake_input_report(&rig->person, events, 3);
    }
    do {
        inputio_give(rig, n, INPUT_EVENT_BYTES);
        rig_step(rig);
        n = inputio_take(rig, got, ARRAY_SIZE(got));
        for (unsigned i = 0; i + 1 < n; i++) {
            if (got[i].type != EV_ABS || got[i].code != ABS_X)
                continue;
            expect(inputio_same(&got[i + 1], &(struct input_event){EV_ABS, ABS_Y, got[i].value}));
            expect(got[i].value > x);
            x = got[i].value;
        }
    } while (n > 0);
    expect(x == (int)INPUT_QUEUE_EVENTS - 1);
}
