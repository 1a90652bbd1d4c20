// SPDX-License-Identifier: BSD-2-Clause
/* Guests against the input device. */
#include "tests/hostile/hostile.h"

#include <linux/input-event-codes.h>

#include "core/ports/input_queue.h"
#include "virtio/input/input.h"

#define EVENTS VIRTIO_INPUT_EVENTS
#define STATUS VIRTIO_INPUT_STATUS
#define SIZE   16u

static void open_input(struct rig *rig, const struct rig_config *on, enum input_kind kind)
{
    struct rig_config config = *on;
    config.input = kind;
    rig_open_input_on(rig, &config);
    cr_assert(vdrv_start(&rig->drv, 0, 2, SIZE));
    rig_step(rig);
}

/* A key that is pressed after a reset is heard of, alone. */
static void close_input(struct rig *rig)
{
    struct input_event got[SIZE];
    cr_assert(vdrv_start(&rig->drv, 0, 2, SIZE));
    inputio_give(rig, SIZE, INPUT_EVENT_BYTES);
    fake_input_key(&rig->person, KEY_OK, true);
    rig_step(rig);
    cr_expect_eq(inputio_take(rig, got, SIZE), 2, "%s", rig_config_name(&rig->cfg));
    cr_expect(inputio_same(&got[0], &(struct input_event){EV_KEY, KEY_OK, 1}));
    rig_close(rig);
}

#define OnInput(suite, name, kind) \
    OnEachRig(suite, name, open_input(rig, on, kind), close_input(rig))

/* ---- buffers ---- */

/* They come back with nothing in them, and no event is lost to them. */
OnInput(hostile_input, h80_buffers_that_no_event_fits_in, INPUT_KEYBOARD)
{
    struct input_event event, got[SIZE];
    uint32_t len;
    fake_input_key(&rig->person, KEY_A, true);
    for (uint32_t bytes = 0; bytes < INPUT_EVENT_BYTES; bytes++) {
        for (unsigned i = 0; i < 50; i++) {
            inputio_give(rig, 1, bytes);
            rig_step(rig);
            cr_assert(inputio_next(rig, &event, &len));
            cr_expect_eq(len, 0);
        }
    }
    inputio_give(rig, SIZE, INPUT_EVENT_BYTES - 1);
    rig_step(rig);
    cr_expect_eq(inputio_take(rig, got, SIZE), 0);
    inputio_give(rig, 2, INPUT_EVENT_BYTES);
    rig_step(rig);
    cr_expect_eq(inputio_take(rig, got, SIZE), 2);
}

OnInput(hostile_input, h80_buffers_to_read_and_bytes_one_by_one, INPUT_KEYBOARD)
{
    struct vdrv_queue *q = &rig->drv.q[EVENTS];
    struct vdrv_buf bytes[SIZE];
    uint64_t gpa = vdrv_alloc(&rig->drv, 256, 8);
    uint32_t id, len;
    fake_input_key(&rig->person, KEY_A, true);
    memset(vdrv_ptr(&rig->drv, gpa, 256), 0xee, 256);
    vdrv_send(q, &(struct vdrv_buf){gpa, 64, false}, 1);
    rig_step(rig);
    cr_assert(vdrv_used(q, &id, &len));
    cr_expect_eq(len, 0);
    /* The event's bytes from back to front in memory, the last one in a buffer of its own. */
    for (unsigned i = 0; i < INPUT_EVENT_BYTES; i++)
        bytes[i] = (struct vdrv_buf){gpa + 128 - i, 1, true};
    vdrv_send(q, bytes, INPUT_EVENT_BYTES);
    vdrv_send(q, &(struct vdrv_buf){gpa, 8, true}, 1);
    rig_step(rig);
    cr_assert(vdrv_used(q, &id, &len));
    cr_expect_eq(len, INPUT_EVENT_BYTES);
    const uint8_t *at = vdrv_ptr(&rig->drv, gpa, 256);
    cr_expect(at[128] == EV_KEY && at[126] == KEY_A && at[124] == 1 && at[120] == 0xee);
}

/* A queue that no report of a finger fits in, whose buffers come one at a time. */
OnEachRig(hostile_input, h80_a_queue_of_two, open_input(rig, on, INPUT_TOUCH), close_input(rig))
{
    const struct input_event finger[] = {{EV_ABS, ABS_MT_SLOT, 1},
                                         {EV_ABS, ABS_MT_TRACKING_ID, 2},
                                         {EV_ABS, ABS_MT_POSITION_X, 3},
                                         {EV_ABS, ABS_MT_POSITION_Y, 4},
                                         {EV_SYN, SYN_REPORT, 0}};
    struct input_event got[2];
    unsigned seen = 0;
    cr_assert(vdrv_start(&rig->drv, 0, 2, 2));
    for (unsigned i = 0; i < 3; i++)
        fake_input_report(&rig->person, finger, 4);
    for (unsigned i = 0; i < 16; i++) {
        inputio_give(rig, 1, INPUT_EVENT_BYTES);
        rig_step(rig);
        for (unsigned n = inputio_take(rig, got, 2), k = 0; k < n; k++, seen++)
            cr_expect(inputio_same(&got[k], &finger[seen % 5]), "%s: event %u",
                      rig_config_name(&rig->cfg), seen);
    }
    cr_expect_eq(seen, 15);
}

/* ---- the status queue ---- */

OnInput(hostile_input, h81_statuses_of_any_bytes_and_length, INPUT_KEYBOARD)
{
    uint32_t random = 1, id, len;
    unsigned whole = 0;
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t bytes = i % 20;
        uint64_t gpa = vdrv_alloc(&rig->drv, 32, 8);
        uint8_t *at = vdrv_ptr(&rig->drv, gpa, 32);
        for (unsigned k = 0; k < bytes; k++)
            at[k] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
        const struct vdrv_buf bufs[] = {{gpa, bytes, false}, {gpa + 24, 8, true}};
        cr_assert_geq(vdrv_send(&rig->drv.q[STATUS], bufs, 1 + i % 2), 0);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[STATUS], &id, &len));
        cr_expect_eq(len, 0);
        whole += bytes >= INPUT_EVENT_BYTES;
        if (i % 500 == 499) { /* memory for more */
            cr_assert(vdrv_start(&rig->drv, 0, 2, SIZE));
            rig_step(rig);
        }
    }
    cr_expect_eq(rig->person.status_count, whole);
}

/* ---- configuration ---- */

/* Any selection by accesses of any width, across all ends; what is read is what was selected. */
OnInput(hostile_input, h82_selections_out_of_range_at_all_widths, INPUT_TABLET)
{
    static const uint64_t values[] = {UINT64_MAX, UINT64_C(0x1201120112011201), 0x0112, 0x4012,
                                      0xff11,     UINT64_C(0x8000000000000011)};
    const uint64_t base = vdrv_config_gpa(&rig->drv);
    uint8_t all[VIRTIO_INPUT_CONFIG_BYTES], data[VIRTIO_INPUT_DATA_BYTES];
    for (unsigned v = 0; v < ARRAY_SIZE(values); v++)
        for (uint64_t gpa = base; gpa < base + VIRTIO_INPUT_CONFIG_BYTES + 8; gpa++)
            for (unsigned width = 1; width <= 8; width *= 2) {
                uint64_t value;
                bus_write(rig->bus, gpa, width, values[v]);
                bus_read(rig->bus, gpa, width, &value);
            }
    for (unsigned select = 0; select < 256; select += 17)
        for (unsigned subsel = 0; subsel < 256; subsel++) {
            unsigned size = inputio_query(rig, (uint8_t)select, (uint8_t)subsel, NULL);
            vdrv_config_read(&rig->drv, 0, all, sizeof(all));
            cr_assert_leq(size, VIRTIO_INPUT_DATA_BYTES);
            cr_expect(all[0] == select && all[1] == subsel && all[2] == size);
            cr_expect_eq(
                virtio_input_query(INPUT_TABLET, "input", (uint8_t)select, (uint8_t)subsel, data),
                size);
            cr_expect_arr_eq(all + VIRTIO_INPUT_CONFIG_data, data, sizeof(data));
        }
}

/* ---- a guest that does not take what is typed ---- */

OnInput(hostile_input, h83_no_buffers_while_a_person_types, INPUT_KEYBOARD)
{
    struct input_event got[SIZE];
    bool down[2] = {false};
    uint32_t id, len;
    unsigned n, all = 0;
    for (unsigned i = 0; i < 100000; i++)
        fake_input_key(&rig->person, KEY_1 + i / 2 % 2, i % 2 == 0);
    rig_step(rig);
    /* The other queue is served. */
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    vdrv_send(&rig->drv.q[STATUS], &(struct vdrv_buf){gpa, 8, false}, 1);
    rig_step(rig);
    cr_expect(vdrv_used(&rig->drv.q[STATUS], &id, &len));
    do {
        inputio_give(rig, SIZE, INPUT_EVENT_BYTES);
        rig_step(rig);
        n = inputio_take(rig, got, SIZE);
        for (unsigned i = 0; i < n; i++)
            if (got[i].type == EV_KEY)
                down[got[i].code - KEY_1] = got[i].value != 0;
        all += n;
    } while (n == SIZE);
    cr_expect(!down[0] && !down[1] && all >= INPUT_QUEUE_EVENTS && all < 2 * INPUT_QUEUE_EVENTS);
}

/* ---- resets ---- */

/* Of the device, and of the queue alone, with every number of buffers that a report waits for. */
OnInput(hostile_input, h84_resets_in_the_middle_of_a_report, INPUT_TABLET)
{
    const struct input_event move[] = {
        {EV_ABS, ABS_X, 1}, {EV_ABS, ABS_Y, 2}, {EV_KEY, BTN_LEFT, 1}};
    const uint64_t features = VIRTIO_BIT(VIRTIO_F_RING_RESET);
    struct input_event got[SIZE];
    for (unsigned buffers = 0; buffers < 2 * ARRAY_SIZE(move); buffers++) {
        cr_assert(vdrv_start(&rig->drv, features, 2, 2));
        fake_input_report(&rig->person, move, ARRAY_SIZE(move));
        for (unsigned i = 0; i < buffers; i++) {
            inputio_give(rig, i < 2 || inputio_take(rig, got, SIZE) > 0, INPUT_EVENT_BYTES);
            rig_step(rig);
        }
        if (buffers % 2 != 0) {
            cr_assert(vdrv_queue_reset(&rig->drv, EVENTS));
            vdrv_queue_set_up(&rig->drv, EVENTS, 4);
            inputio_give(rig, 4, INPUT_EVENT_BYTES);
            rig_step(rig);
            cr_expect_leq(inputio_take(rig, got, SIZE), 4);
        }
        vdrv_set_status(&rig->drv, 0);
        rig_queue_irqs(rig, EVENTS);
        fake_input_key(&rig->person, BTN_LEFT, false);
        rig_step(rig);
        cr_expect_eq(rig_queue_irqs(rig, EVENTS), 0);
    }
}
