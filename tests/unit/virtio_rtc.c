// SPDX-License-Identifier: BSD-2-Clause
/* What tests/conformance/rtc.c does not ask for. */
#include "core/base/le.h"
#include "core/state/state.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/rtcreq.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define SECOND UINT64_C(1000000000)

static void open_started(struct rig *rig)
{
    rig_open_rtc_on(rig, &(struct rig_config){.transport = RIG_MMIO});
    rig->time.wall_ahead_ns = 100 * SECOND;
    rtcreq_start(rig, RTCREQ_FEATURES);
}

OnRig(virtio_rtc, tells_the_time_of_both_clocks, open_started(rig))
{
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceID), VIRTIO_ID_RTC);
    rtcreq_pass(rig, 5 * SECOND);
    uint64_t now_ns = rig->time.now_ns;
    cr_expect_eq(rtcreq_read(rig, 0), now_ns + 100 * SECOND);
    uint64_t monotonic_ns = rtcreq_read(rig, 1);
    rtcreq_pass(rig, 3 * SECOND);
    cr_expect_eq(rtcreq_read(rig, 1), monotonic_ns + 3 * SECOND);
}

OnRig(virtio_rtc, an_alarm_comes_once, open_started(rig))
{
    uint64_t at_ns = rtcreq_read(rig, 0) + 10 * SECOND;
    for (unsigned i = 0; i < 4; i++)
        rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
    cr_expect_eq(rtcreq_set_alarm(rig, at_ns, true), VIRTIO_RTC_S_OK);
    for (unsigned i = 0; i < 9; i++)
        rtcreq_pass(rig, SECOND);
    cr_expect_eq(rtcreq_alarms(rig), 0);
    for (unsigned i = 0; i < 9; i++)
        rtcreq_pass(rig, SECOND);
    cr_expect_eq(rtcreq_alarms(rig), 1);
}

/* Between two looks, and back again: the time is reached anew. */
OnRig(virtio_rtc, an_alarm_follows_a_clock_that_is_set, open_started(rig))
{
    uint64_t at_ns = rtcreq_read(rig, 0) + 1000 * SECOND;
    for (unsigned i = 0; i < 4; i++)
        rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
    cr_expect_eq(rtcreq_set_alarm(rig, at_ns, true), VIRTIO_RTC_S_OK);
    rig->time.wall_ahead_ns += 1000 * SECOND;
    rtcreq_pass(rig, VIRTIO_RTC_LOOK_NS);
    cr_expect_eq(rtcreq_alarms(rig), 1);
    rig->time.wall_ahead_ns -= 500 * SECOND;
    rtcreq_pass(rig, VIRTIO_RTC_LOOK_NS);
    cr_expect_eq(rtcreq_alarms(rig), 0);
    rig->time.wall_ahead_ns += 500 * SECOND;
    rtcreq_pass(rig, VIRTIO_RTC_LOOK_NS);
    cr_expect_eq(rtcreq_alarms(rig), 1);
}

/* It waits for a buffer, and passes over those that are too short. */
OnRig(virtio_rtc, an_alarm_waits_for_a_buffer, open_started(rig))
{
    cr_expect_eq(rtcreq_set_alarm(rig, 0, true), VIRTIO_RTC_S_OK);
    rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES - 1);
    cr_expect_eq(rtcreq_alarms(rig), 0);
    rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
    rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
    cr_expect_eq(rtcreq_alarms(rig), 1);
}

static void save_and_load(struct rig *rig)
{
    struct state saved, s;
    state_save(&saved);
    rig_state(rig, &saved);
    cr_assert_eq(state_error(&saved), 0);
    rig_renew(rig);
    rig->time.now_ns += 7 * SECOND;
    state_load(&s, saved.bytes, saved.len);
    rig_state(rig, &s);
    cr_assert_eq(state_error(&s), 0);
    state_fini(&s);
    state_fini(&saved);
    rig_step(rig);
}

OnRig(virtio_rtc, a_loaded_one_goes_on, open_started(rig))
{
    uint64_t wall_ns = rtcreq_read(rig, 0), monotonic_ns = rtcreq_read(rig, 1);
    rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
    cr_expect_eq(rtcreq_set_alarm(rig, wall_ns + 9 * SECOND, true), VIRTIO_RTC_S_OK);
    save_and_load(rig);
    cr_expect_eq(rtcreq_read(rig, 0), wall_ns + 7 * SECOND);
    cr_expect_eq(rtcreq_read(rig, 1), monotonic_ns);
    cr_expect_eq(rtcreq_alarms(rig), 0);
    rtcreq_pass(rig, 2 * SECOND);
    cr_expect_eq(rtcreq_alarms(rig), 1);
}
