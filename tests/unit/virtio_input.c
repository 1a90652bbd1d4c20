// SPDX-License-Identifier: BSD-2-Clause
#include <linux/input-event-codes.h>

#include "core/ports/input_queue.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"

#define EVENTS     VIRTIO_INPUT_EVENTS
#define STATUS     VIRTIO_INPUT_STATUS
#define QUEUE_SIZE 16u

static void open_started(struct rig *rig, struct rig_config *on, enum input_kind kind)
{
    on->input = kind;
    rig_open_input_on(rig, on);
    rig_start(rig, 0, 2, QUEUE_SIZE);
}

#define OnInput(suite, name, kind) OnEachRig(suite, name, open_started(rig, on, kind))

static void expect_events(struct rig *rig, const struct input_event *expected, unsigned count)
{
    struct input_event got[QUEUE_SIZE];
    rig_step(rig);
    unsigned n = inputio_take(rig, got, QUEUE_SIZE);
    cr_assert_eq(n, count, "%s: %u events", rig_config_name(&rig->cfg), n);
    for (unsigned i = 0; i < count; i++)
        cr_expect(inputio_same(&got[i], &expected[i]), "%s: event %u: %u %u %d",
                  rig_config_name(&rig->cfg), i, got[i].type, got[i].code, got[i].value);
}

static void expect_key(struct rig *rig, unsigned code, bool down)
{
    const struct input_event events[] = {{EV_KEY, (uint16_t)code, down}, {EV_SYN, SYN_REPORT, 0}};
    expect_events(rig, events, ARRAY_SIZE(events));
}

static void expect_nothing(struct rig *rig)
{
    expect_events(rig, NULL, 0);
}

/* ---- events ---- */

OnInput(virtio_input, a_key_goes_down_and_up, INPUT_KEYBOARD)
{
    inputio_give(rig, 8, INPUT_EVENT_BYTES);
    expect_nothing(rig);
    cr_expect_eq(rig_queue_irqs(rig, EVENTS), 0);
    fake_input_key(&rig->person, KEY_A, true);
    expect_key(rig, KEY_A, true);
    cr_expect_eq(rig_queue_irqs(rig, EVENTS), 1);
    fake_input_key(&rig->person, KEY_A, false);
    expect_key(rig, KEY_A, false);
}

OnInput(virtio_input, a_report_waits_for_all_of_its_buffers, INPUT_MOUSE)
{
    const struct input_event step[] = {
        {EV_REL, REL_X, -3}, {EV_REL, REL_Y, 4}, {EV_SYN, SYN_REPORT, 0}};
    fake_input_report(&rig->person, step, 2);
    for (unsigned i = 0; i < 2; i++) {
        inputio_give(rig, 1, INPUT_EVENT_BYTES);
        expect_nothing(rig);
        cr_expect_eq(rig_queue_irqs(rig, EVENTS), 0);
    }
    inputio_give(rig, 1, INPUT_EVENT_BYTES);
    expect_events(rig, step, 3);
    cr_expect_eq(rig_queue_irqs(rig, EVENTS), 1, "one for the report");
}

/* Nothing is lost while the guest is busy, and all comes in its order. */
OnInput(virtio_input, reports_wait_in_order, INPUT_KEYBOARD)
{
    for (unsigned i = 0; i < 100; i++)
        fake_input_key(&rig->person, KEY_1 + i / 2 % 9, i % 2 == 0);
    for (unsigned i = 0; i < 100; i++) {
        inputio_give(rig, 2, INPUT_EVENT_BYTES);
        expect_key(rig, KEY_1 + i / 2 % 9, i % 2 == 0);
    }
}

OnInput(virtio_input, what_was_pressed_is_released_after_a_flood, INPUT_KEYBOARD)
{
    struct input_event last[QUEUE_SIZE] = {{0}};
    bool down[KEY_CNT] = {false};
    fake_input_key(&rig->person, KEY_LEFTCTRL, true);
    for (unsigned i = 0; i < 3 * INPUT_QUEUE_EVENTS; i++)
        fake_input_key(&rig->person, KEY_B, i % 2 == 0);
    fake_input_key(&rig->person, KEY_LEFTCTRL, false);
    unsigned n, all = 0;
    do {
        inputio_give(rig, QUEUE_SIZE, INPUT_EVENT_BYTES);
        rig_step(rig);
        n = inputio_take(rig, last, QUEUE_SIZE);
        for (unsigned i = 0; i < n; i++)
            if (last[i].type == EV_KEY)
                down[last[i].code] = last[i].value != 0;
        all += n;
        cr_expect(n == 0 || last[n - 1].type == EV_SYN);
    } while (n == QUEUE_SIZE);
    cr_expect_eq(all, INPUT_QUEUE_EVENTS + 4, "the ring, and two keys");
    cr_expect(!down[KEY_LEFTCTRL] && !down[KEY_B]);
}

/* A driver with so short a queue gets a report piece by piece. */
OnEachRig(virtio_input, a_report_that_is_longer_than_the_queue,
          (on->input = INPUT_TOUCH, rig_open_input_on(rig, on)))
{
    const struct input_event touch[] = {
        {EV_ABS, ABS_MT_SLOT, 0},       {EV_ABS, ABS_MT_TRACKING_ID, 1},
        {EV_ABS, ABS_MT_POSITION_X, 2}, {EV_ABS, ABS_MT_POSITION_Y, 3},
        {EV_KEY, BTN_TOUCH, 1},         {EV_SYN, SYN_REPORT, 0}};
    rig_start(rig, 0, 2, 4);
    fake_input_report(&rig->person, touch, 5);
    inputio_give(rig, 3, INPUT_EVENT_BYTES);
    expect_nothing(rig);
    inputio_give(rig, 1, INPUT_EVENT_BYTES);
    expect_events(rig, touch, 4);
    fake_input_key(&rig->person, BTN_TOUCH, false);
    inputio_give(rig, 4, INPUT_EVENT_BYTES);
    const struct input_event rest[] = {
        touch[4], touch[5], {EV_KEY, BTN_TOUCH, 0}, {EV_SYN, SYN_REPORT, 0}};
    expect_events(rig, rest, 4);
}

OnInput(virtio_input, buffers_may_be_in_pieces_and_longer, INPUT_KEYBOARD)
{
    struct vdrv_queue *q = &rig->drv.q[EVENTS];
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 8);
    const struct vdrv_buf pieces[] = {{gpa, 1, true}, {gpa + 1, 6, true}, {gpa + 7, 30, true}};
    uint32_t id, len;
    cr_assert_geq(vdrv_send(q, pieces, ARRAY_SIZE(pieces)), 0);
    inputio_give(rig, 1, INPUT_EVENT_BYTES);
    fake_input_key(&rig->person, KEY_X, true);
    rig_step(rig);
    cr_assert(vdrv_used(q, &id, &len));
    cr_expect_eq(len, INPUT_EVENT_BYTES);
    struct input_event event = input_event_get(vdrv_ptr(&rig->drv, gpa, INPUT_EVENT_BYTES));
    cr_expect(inputio_same(&event, &(struct input_event){EV_KEY, KEY_X, 1}));
}

/* They go back, and no event with them. */
OnInput(virtio_input, buffers_that_are_too_short, INPUT_KEYBOARD)
{
    struct input_event event;
    uint32_t len;
    fake_input_key(&rig->person, KEY_X, true);
    inputio_give(rig, 1, INPUT_EVENT_BYTES);
    inputio_give(rig, 1, INPUT_EVENT_BYTES - 1);
    rig_step(rig);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(inputio_next(rig, &event, &len));
        cr_expect_eq(len, 0);
    }
    inputio_give(rig, 2, INPUT_EVENT_BYTES);
    expect_key(rig, KEY_X, true);
}

/* ---- when the driver does not run ---- */

OnEachRig(virtio_input, what_comes_before_the_driver_is_dropped, rig_open_input_on(rig, on))
{
    fake_input_key(&rig->person, KEY_X, true);
    rig_start(rig, 0, 2, QUEUE_SIZE);
    inputio_give(rig, 4, INPUT_EVENT_BYTES);
    expect_nothing(rig);
    fake_input_key(&rig->person, KEY_X, false);
    expect_key(rig, KEY_X, false);
}

/* A report of which the driver has half is no longer heard of. */
OnInput(virtio_input, a_reset_forgets_reports_and_the_selection, INPUT_TOUCH)
{
    const struct input_event touch[] = {{EV_ABS, ABS_MT_SLOT, 0},
                                        {EV_ABS, ABS_MT_TRACKING_ID, 1},
                                        {EV_ABS, ABS_MT_POSITION_X, 2},
                                        {EV_ABS, ABS_MT_POSITION_Y, 3}};
    uint8_t config[3] = {1, 1, 1};
    vdrv_reset(&rig->drv);
    rig_start(rig, 0, 2, 4);
    cr_expect_gt(inputio_query(rig, VIRTIO_INPUT_CFG_ID_NAME, 0, NULL), 0);
    for (unsigned i = 0; i < INPUT_QUEUE_EVENTS; i++)
        fake_input_report(&rig->person, touch, ARRAY_SIZE(touch));
    inputio_give(rig, 4, INPUT_EVENT_BYTES);
    expect_events(rig, touch, 4);
    inputio_give(rig, 2, INPUT_EVENT_BYTES);
    vdrv_reset(&rig->drv);
    vdrv_config_read(&rig->drv, VIRTIO_INPUT_CONFIG_select, config, sizeof(config));
    cr_expect(config[0] == 0 && config[1] == 0 && config[2] == 0);
    rig_start(rig, 0, 2, QUEUE_SIZE);
    inputio_give(rig, QUEUE_SIZE, INPUT_EVENT_BYTES);
    expect_nothing(rig);
    fake_input_key(&rig->person, BTN_TOUCH, true);
    expect_key(rig, BTN_TOUCH, true);
}

OnEachRig(virtio_input, a_queue_that_is_reset_gets_its_reports_later,
          (on->features_on |= VIRTIO_BIT(VIRTIO_F_RING_RESET), on->input = INPUT_MOUSE,
           rig_open_input_on(rig, on)))
{
    const struct input_event step[] = {
        {EV_REL, REL_X, 1}, {EV_REL, REL_Y, 2}, {EV_SYN, SYN_REPORT, 0}};
    rig_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, QUEUE_SIZE);
    inputio_give(rig, 2, INPUT_EVENT_BYTES);
    fake_input_report(&rig->person, step, 2);
    rig_step(rig);
    cr_assert(vdrv_queue_reset(&rig->drv, EVENTS));
    vdrv_queue_set_up(&rig->drv, EVENTS, 8);
    expect_nothing(rig);
    inputio_give(rig, 3, INPUT_EVENT_BYTES);
    expect_events(rig, step, 3);
}

/* ---- status ---- */

static void send_status(struct rig *rig, const uint8_t *bytes, uint32_t len)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, len + 1, 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, len + 1), bytes, len);
    cr_assert_geq(vdrv_send(&rig->drv.q[STATUS], &(struct vdrv_buf){gpa, len, false}, 1), 0);
    rig_step(rig);
}

OnInput(virtio_input, the_driver_switches_leds, INPUT_KEYBOARD)
{
    uint8_t bytes[16] = {0};
    uint32_t id, len;
    const struct input_event led = {EV_LED, LED_CAPSL, 1};
    input_event_put(bytes, &led);
    send_status(rig, bytes, 8);
    send_status(rig, bytes, 7);
    send_status(rig, bytes, 16);
    cr_expect_eq(rig->person.status_count, 2, "one is too short");
    cr_expect(inputio_same(&rig->person.status[0], &led));
    cr_expect(inputio_same(&rig->person.status[1], &led));
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(vdrv_used(&rig->drv.q[STATUS], &id, &len));
        cr_expect_eq(len, 0);
    }
}

/* ---- what it says of itself ---- */

static bool has_bit(const uint8_t *bits, unsigned bytes, unsigned bit)
{
    return bit / 8 < bytes && (bits[bit / 8] >> bit % 8 & 1) != 0;
}

/* Are these its codes of that type, and no others? */
static void expect_codes(struct rig *rig, unsigned type, const unsigned *codes, unsigned count)
{
    uint8_t bits[VIRTIO_INPUT_DATA_BYTES];
    unsigned size = inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, (uint8_t)type, bits), found = 0;
    for (unsigned i = 0; i < size * 8; i++)
        found += has_bit(bits, size, i);
    cr_expect_eq(found, count, "type %u: %u codes", type, found);
    for (unsigned i = 0; i < count; i++)
        cr_expect(has_bit(bits, size, codes[i]), "type %u: code %u", type, codes[i]);
    cr_expect(size == 0 || bits[size - 1] != 0 || type == EV_REP, "as few bytes as possible");
}

static void expect_axis(struct rig *rig, unsigned code, uint32_t max)
{
    uint8_t info[VIRTIO_INPUT_DATA_BYTES];
    cr_assert_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ABS_INFO, (uint8_t)code, info), 20);
    cr_expect_eq(le32_get(info), 0);
    cr_expect_eq(le32_get(info + 4), max, "axis %u", code);
    cr_expect(le32_get(info + 8) == 0 && le32_get(info + 12) == 0 && le32_get(info + 16) == 0);
}

OnInput(virtio_input, is_a_keyboard, INPUT_KEYBOARD)
{
    uint8_t bits[VIRTIO_INPUT_DATA_BYTES];
    const unsigned leds[] = {LED_NUML, LED_CAPSL, LED_SCROLLL};
    unsigned size = inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, bits);
    for (unsigned code = KEY_ESC; code <= KEY_KPDOT; code++)
        cr_expect(has_bit(bits, size, code), "%u", code);
    const unsigned more[] = {KEY_102ND,    KEY_F11,      KEY_F12,      KEY_RO,      KEY_HENKAN,
                             KEY_KPENTER,  KEY_RIGHTALT, KEY_SYSRQ,    KEY_UP,      KEY_DELETE,
                             KEY_PAUSE,    KEY_YEN,      KEY_LEFTMETA, KEY_COMPOSE, KEY_POWER,
                             KEY_VOLUMEUP, KEY_F13,      KEY_F24,      KEY_WAKEUP,  KEY_PLAYPAUSE};
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        cr_expect(has_bit(bits, size, more[i]), "%u", more[i]);
    cr_expect_not(has_bit(bits, size, KEY_RESERVED));
    cr_expect_not(has_bit(bits, size, BTN_LEFT));
    expect_codes(rig, EV_LED, leds, ARRAY_SIZE(leds));
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_REP, bits), 1, "it repeats");
    expect_codes(rig, EV_REL, NULL, 0);
    expect_codes(rig, EV_ABS, NULL, 0);
}

static const unsigned buttons[] = {BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA};

OnInput(virtio_input, is_a_mouse, INPUT_MOUSE)
{
    const unsigned axes[] = {REL_X, REL_Y, REL_HWHEEL, REL_WHEEL};
    expect_codes(rig, EV_KEY, buttons, ARRAY_SIZE(buttons));
    expect_codes(rig, EV_REL, axes, ARRAY_SIZE(axes));
    expect_codes(rig, EV_ABS, NULL, 0);
    expect_codes(rig, EV_LED, NULL, 0);
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_EV_BITS, EV_REP, NULL), 0);
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, NULL), 0);
}

OnInput(virtio_input, is_a_tablet, INPUT_TABLET)
{
    const unsigned axes[] = {ABS_X, ABS_Y}, wheels[] = {REL_HWHEEL, REL_WHEEL};
    expect_codes(rig, EV_KEY, buttons, ARRAY_SIZE(buttons));
    expect_codes(rig, EV_REL, wheels, ARRAY_SIZE(wheels));
    expect_codes(rig, EV_ABS, axes, ARRAY_SIZE(axes));
    expect_axis(rig, ABS_X, INPUT_AXIS_MAX);
    expect_axis(rig, ABS_Y, INPUT_AXIS_MAX);
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_PROP_BITS, 0, NULL), 0);
}

OnInput(virtio_input, is_a_touch_screen, INPUT_TOUCH)
{
    const unsigned axes[] = {ABS_MT_SLOT, ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_TRACKING_ID};
    const unsigned touches[] = {BTN_TOUCH};
    uint8_t bits[VIRTIO_INPUT_DATA_BYTES];
    expect_codes(rig, EV_KEY, touches, 1);
    expect_codes(rig, EV_ABS, axes, ARRAY_SIZE(axes));
    expect_axis(rig, ABS_MT_SLOT, INPUT_TOUCHES - 1);
    expect_axis(rig, ABS_MT_POSITION_X, INPUT_AXIS_MAX);
    expect_axis(rig, ABS_MT_POSITION_Y, INPUT_AXIS_MAX);
    expect_axis(rig, ABS_MT_TRACKING_ID, INPUT_TRACKING_MAX);
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_PROP_BITS, 0, bits), 1);
    cr_expect_eq(bits[0], 1u << INPUT_PROP_DIRECT);
}

OnInput(virtio_input, has_names_and_numbers, INPUT_TABLET)
{
    uint8_t data[VIRTIO_INPUT_DATA_BYTES];
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ID_NAME, 0, data), strlen("Minivet tablet"));
    cr_expect_arr_eq(data, "Minivet tablet", strlen("Minivet tablet"));
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ID_SERIAL, 0, data), strlen("input"));
    cr_expect_arr_eq(data, "input", strlen("input"), "the device's name");
    cr_assert_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, data), 8);
    cr_expect_eq(le16_get(data), 6, "BUS_VIRTUAL");
    cr_expect_eq(le16_get(data + 2), VIRTIO_PCI_VENDOR_ID);
    cr_expect_eq(le16_get(data + 4), 3);
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ID_NAME, 1, data), 0, "there is no other");
}

/* One access of 16 bits selects both; what else is written changes nothing. */
OnInput(virtio_input, both_are_selected_at_once, INPUT_TABLET)
{
    const uint8_t both[] = {VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y};
    uint8_t all[VIRTIO_INPUT_CONFIG_BYTES], junk[VIRTIO_INPUT_CONFIG_BYTES];
    vdrv_config_write(&rig->drv, 0, both, sizeof(both));
    vdrv_config_read(&rig->drv, 0, all, sizeof(all));
    cr_expect_eq(all[VIRTIO_INPUT_CONFIG_size], 20);
    cr_expect_eq(le32_get(all + VIRTIO_INPUT_CONFIG_data + 4), INPUT_AXIS_MAX);
    memset(junk, 0xff, sizeof(junk));
    vdrv_config_write(&rig->drv, 2, junk, sizeof(junk) - 2);
    vdrv_config_read(&rig->drv, 0, junk, sizeof(junk));
    cr_expect_arr_eq(junk, all, sizeof(all));
    cr_expect_eq(inputio_query(rig, VIRTIO_INPUT_CFG_ID_NAME, 0, NULL), strlen("Minivet tablet"),
                 "what a longer answer left behind does not stay");
    vdrv_config_read(&rig->drv, 0, all, sizeof(all));
    for (unsigned i = VIRTIO_INPUT_CONFIG_data + all[2]; i < sizeof(all); i++)
        cr_expect_eq(all[i], 0);
}
