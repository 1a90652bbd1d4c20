// SPDX-License-Identifier: BSD-2-Clause
/* The real-time clock: VIRTIO 1.4 5.23. */
#include "conformance.h"

#include <errno.h>
#include <string.h>

#include "core/base/le.h"
#include "tests/harness/rtcreq.h"

#define SECOND     UINT64_C(1000000000)
#define REQ(name)  VIRTIO_RTC_REQ_##name
#define IS(name)   (VIRTIO_RTC_S_##name)
#define CLOCKS_MAX 0x10000u

static const uint16_t types[] = {REQ(READ),      REQ(READ_CROSS),       REQ(CFG),
                                 REQ(CLOCK_CAP), REQ(CROSS_CAP),        REQ(READ_ALARM),
                                 REQ(SET_ALARM), REQ(SET_ALARM_ENABLED)};
#define TYPES (sizeof(types) / sizeof(types[0]))

static uint8_t ask(struct rig *rig, uint16_t type, uint16_t clock, uint8_t more)
{
    return rtcreq(rig, &(struct rtcreq){.type = type, .clock = clock, .more = more});
}

/* READ_CROSS asks for ARM's counter, which the guest does not have. */
static bool is_carried_out(uint16_t type)
{
    return type != REQ(READ_CROSS);
}

static uint16_t clocks(struct rig *rig)
{
    struct rtcreq r = {.type = REQ(CFG)};
    demand(rtcreq(rig, &r) == IS(OK));
    return le16_get(r.response + 8);
}

static uint8_t kind_of(struct rig *rig, uint16_t clock, bool *has_alarm)
{
    struct rtcreq r = {.type = REQ(CLOCK_CAP), .clock = clock};
    demand(rtcreq(rig, &r) == IS(OK));
    if (has_alarm != NULL)
        *has_alarm = r.response[10] == VIRTIO_RTC_FLAG_ALARM_CAP;
    expect(r.response[9] == 0); /* smearing is unspecified */
    return r.response[8];
}

static uint64_t alarm_time(struct rig *rig, bool *is_enabled)
{
    struct rtcreq r = {.type = REQ(READ_ALARM)};
    demand(rtcreq(rig, &r) == IS(OK));
    expect(r.response[16] <= 1);
    *is_enabled = r.response[16] == VIRTIO_RTC_FLAG_ALARM_ENABLED;
    return le64_get(r.response + 8);
}

static void begin(struct rig *rig)
{
    rig->time.wall_ahead_ns = 1000 * SECOND;
    rtcreq_start(rig, RTCREQ_FEATURES);
}

static void listen_to(struct rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        rtcreq_listen(rig, VIRTIO_RTC_NOTIF_BYTES);
}

Requirement(rtc_features_1, RTC, MODERN)
{
    expect(vdrv_offered(&rig->drv) & RTCREQ_FEATURES);
}

Requirement(rtc_op_1, RTC, MODERN)
{
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++)
        expect((ask(rig, types[i], 0, 0) == IS(OK)) == is_carried_out(types[i]));
}

/* An alarm that is not set is as it was. */
Requirement(rtc_op_2, RTC, MODERN)
{
    bool is_enabled;
    begin(rig);
    demand(rtcreq_set_alarm(rig, 77 * SECOND, false) == IS(OK));
    struct rtcreq r = {.type = REQ(SET_ALARM), .time_ns = 5, .more = 2};
    expect(rtcreq(rig, &r) != IS(OK));
    r = (struct rtcreq){.type = REQ(SET_ALARM), .time_ns = 5, .clock = 1};
    expect(rtcreq(rig, &r) != IS(OK));
    expect(alarm_time(rig, &is_enabled) == 77 * SECOND && !is_enabled);
}

Requirement(rtc_op_3, RTC, MODERN)
{
    begin(rig);
    for (unsigned counter = 0; counter < 256; counter++)
        expect((ask(rig, REQ(READ_CROSS), 0, (uint8_t)counter) == IS(EOPNOTSUPP)) ==
               (counter != VIRTIO_RTC_COUNTER_X86_TSC));
}

Requirement(rtc_op_4, RTC, MODERN)
{
    static const uint16_t unknown[] = {0, 3, 0xfff, 0x1006, 0x2000, 0xffff};
    begin(rig);
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        expect(ask(rig, unknown[i], 0, 0) == IS(EOPNOTSUPP));
}

Requirement(rtc_op_5, RTC, MODERN)
{
    begin(rig);
    for (unsigned counter = 2; counter < 256; counter++)
        expect(ask(rig, REQ(CROSS_CAP), 0, (uint8_t)counter) == IS(EOPNOTSUPP));
}

Requirement(rtc_op_6, RTC, MODERN)
{
    static const uint16_t unknown[] = {0, 1, 0xff, 0x7fff, 0xffff};
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++)
        for (unsigned n = 0; n < sizeof(unknown) / sizeof(unknown[0]); n++) {
            uint32_t clock = unknown[n] + clocks(rig);
            if (types[i] != REQ(CFG) && clock < CLOCKS_MAX)
                expect(ask(rig, types[i], (uint16_t)clock, 0) == IS(ENODEV));
        }
}

Requirement(rtc_op_7, RTC, MODERN)
{
    begin(rig);
    for (unsigned flags = 2; flags < 256; flags++) {
        expect(ask(rig, REQ(SET_ALARM), 0, (uint8_t)flags) == IS(EINVAL));
        expect(ask(rig, REQ(SET_ALARM_ENABLED), 0, (uint8_t)flags) == IS(EINVAL));
    }
}

Requirement(rtc_op_8, RTC, MODERN)
{
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++)
        for (uint32_t bytes = 1; bytes < VIRTIO_RTC_SET_ALARM_BYTES; bytes++) {
            struct rtcreq r = {.type = types[i], .bytes = bytes};
            uint32_t whole = types[i] == REQ(CFG)         ? VIRTIO_RTC_HEAD_BYTES
                             : types[i] == REQ(SET_ALARM) ? VIRTIO_RTC_SET_ALARM_BYTES
                                                          : VIRTIO_RTC_REQUEST_BYTES;
            expect((rtcreq(rig, &r) == IS(EINVAL)) == (bytes < whole));
        }
}

static uint32_t response_bytes(uint16_t type)
{
    return type == REQ(READ_CROSS) || type == REQ(READ_ALARM)         ? 24
           : type == REQ(SET_ALARM) || type == REQ(SET_ALARM_ENABLED) ? 8
                                                                      : 16;
}

Requirement(rtc_op_9, RTC, MODERN)
{
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++)
        for (uint32_t room = 1; room < response_bytes(types[i]); room++) {
            struct rtcreq r = {.type = types[i], .room = room};
            expect(rtcreq(rig, &r) == IS(EINVAL));
        }
}

/* A request without a response: nothing is written anywhere. */
Requirement(rtc_op_10, RTC, MODERN)
{
    begin(rig);
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 8);
    uint8_t *bytes = vdrv_ptr(&rig->drv, gpa, 64), before[64];
    uint32_t used;
    memset(bytes, 0, 64);
    bytes[0] = REQ(READ);
    memcpy(before, bytes, sizeof(before));
    demand(vdrv_send(&rig->drv.q[0], &(struct vdrv_buf){gpa, 16, false}, 1) >= 0);
    rig_step(rig);
    take_one(rig, 0, &used);
    expect(used == 0 && memcmp(before, bytes, sizeof(before)) == 0);
}

Requirement(rtc_op_12, RTC, MODERN)
{
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++) {
        struct rtcreq r = {.type = types[i], .bytes = 64};
        expect((rtcreq(rig, &r) == IS(OK)) == is_carried_out(types[i]));
    }
}

Requirement(rtc_op_13, RTC, MODERN)
{
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++) {
        struct rtcreq r = {.type = types[i], .room = 64};
        expect((rtcreq(rig, &r) == IS(OK)) == is_carried_out(types[i]));
        expect(r.used == response_bytes(types[i]));
        for (uint32_t at = r.used; at < sizeof(r.response); at++)
            expect(r.response[at] == RTCREQ_NONE);
    }
}

/* Where the numbers and flags of a response end, by its type. */
Requirement(rtc_op_14, RTC, MODERN)
{
    static const struct {
        uint8_t from, to;
    } fields[TYPES] = {{8, 16}, {8, 24}, {8, 10}, {8, 11}, {8, 9}, {8, 17}, {8, 8}, {8, 8}};
    begin(rig);
    for (unsigned i = 0; i < TYPES; i++) {
        struct rtcreq r = {.type = types[i], .room = 64};
        rtcreq(rig, &r);
        for (uint32_t at = 1; at < r.used; at++)
            expect((at >= fields[i].from && at < fields[i].to) || r.response[at] == 0);
    }
}

Requirement(rtc_op_15, RTC, MODERN)
{
    bool has_alarm;
    rtcreq_start(rig, 0);
    for (uint16_t clock = 0; clock < clocks(rig); clock++) {
        kind_of(rig, clock, &has_alarm);
        expect(!has_alarm);
    }
}

struct answers {
    uint8_t bytes[2 + 2 * 2 + 4 * 2][64];
};

static void get_answers(struct rig *rig, struct answers *a)
{
    unsigned n = 0;
    memset(a, 0, sizeof(*a));
    for (uint16_t clock = 0; clock < 2; clock++)
        for (uint8_t counter = 0; counter < 2; counter++)
            for (unsigned i = 0; i < 3; i++) {
                static const uint16_t asked[] = {REQ(CFG), REQ(CLOCK_CAP), REQ(CROSS_CAP)};
                struct rtcreq r = {.type = asked[i], .clock = clock, .more = counter};
                rtcreq(rig, &r);
                memcpy(a->bytes[n++], r.response, sizeof(r.response));
            }
}

Requirement(rtc_op_16, RTC, MODERN)
{
    struct answers before, after;
    begin(rig);
    get_answers(rig, &before);
    demand(rtcreq_set_alarm(rig, 1, true) == IS(OK));
    rtcreq_pass(rig, 100 * SECOND);
    get_answers(rig, &after);
    expect(memcmp(&before, &after, sizeof(before)) == 0);
}

Requirement(rtc_op_17, RTC, MODERN)
{
    struct answers before, after;
    begin(rig);
    get_answers(rig, &before);
    rtcreq_pass(rig, 100 * SECOND);
    rtcreq_start(rig, RTCREQ_FEATURES);
    get_answers(rig, &after);
    expect(memcmp(&before, &after, sizeof(before)) == 0);
}

Requirement(rtc_op_18, RTC, MODERN)
{
    begin(rig);
    unsigned count = clocks(rig);
    expect(count > 0);
    for (uint32_t clock = 0; clock < 100; clock++)
        expect((ask(rig, REQ(READ), (uint16_t)clock, 0) == IS(OK)) == (clock < count));
}

static void follows_the_host(struct rig *rig)
{
    begin(rig);
    expect(kind_of(rig, 0, NULL) == VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED);
    expect(rtcreq_read(rig, 0) == rig->time.now_ns + rig->time.wall_ahead_ns);
    rtcreq_pass(rig, 12345678901);
    expect(rtcreq_read(rig, 0) == rig->time.now_ns + rig->time.wall_ahead_ns);
    rig->time.wall_ahead_ns -= SECOND;
    expect(rtcreq_read(rig, 0) == rig->time.now_ns + rig->time.wall_ahead_ns);
}

/* The host's clock is UTC since 1970, in seconds as POSIX counts them. */
RequirementBy(rtc_clocks_2, RTC, MODERN, follows_the_host);
RequirementBy(rtc_clocks_3, RTC, MODERN, follows_the_host);
RequirementBy(rtc_clocks_4, RTC, MODERN, follows_the_host);

/* Whatever the host's wall clock does. */
static void only_goes_on(struct rig *rig)
{
    begin(rig);
    expect(kind_of(rig, 1, NULL) == VIRTIO_RTC_CLOCK_MONOTONIC);
    uint64_t before = rtcreq_read(rig, 1);
    rig->time.wall_ahead_ns = 0;
    expect(rtcreq_read(rig, 1) == before);
    rtcreq_pass(rig, 3 * SECOND);
    expect(rtcreq_read(rig, 1) == before + 3 * SECOND);
}

RequirementBy(rtc_clocks_19, RTC, MODERN, only_goes_on);
RequirementBy(rtc_read_4, RTC, MODERN, only_goes_on);

Requirement(rtc_clocks_20, RTC, MODERN)
{
    begin(rig);
    rtcreq_pass(rig, 4 * SECOND);
    rtcreq_start(rig, RTCREQ_FEATURES);
    expect(rtcreq_read(rig, 1) >= 4 * SECOND);
}

Requirement(rtc_clocks_21, RTC, MODERN)
{
    begin(rig);
    for (uint16_t clock = 0; clock < clocks(rig); clock++)
        expect(kind_of(rig, clock, NULL) != VIRTIO_RTC_CLOCK_UTC_SMEARED); /* asks for the rest */
}

Requirement(rtc_clocks_23, RTC, MODERN)
{
    begin(rig);
    for (uint16_t clock = 0; clock < clocks(rig); clock++)
        for (uint8_t counter = 0; counter < 2; counter++) {
            struct rtcreq r = {.type = REQ(CROSS_CAP), .clock = clock, .more = counter};
            expect(rtcreq(rig, &r) == IS(OK));
            expect((r.response[8] == VIRTIO_RTC_FLAG_CROSS_CAP) ==
                   (ask(rig, REQ(READ_CROSS), clock, counter) == IS(OK)));
        }
}

static void all_are_read(struct rig *rig)
{
    begin(rig);
    for (unsigned turn = 0; turn < 3; turn++, rtcreq_pass(rig, SECOND))
        for (uint16_t clock = 0; clock < clocks(rig); clock++)
            expect(ask(rig, REQ(READ), clock, 0) == IS(OK));
}

RequirementBy(rtc_read_1, RTC, MODERN, all_are_read);
RequirementBy(rtc_read_5, RTC, MODERN, all_are_read);

/* Several at a time: they come back in their order, none earlier than the one before. */
static void are_in_order(struct rig *rig)
{
    uint64_t gpa[4], last = 0;
    begin(rig);
    for (unsigned i = 0; i < 4; i++) {
        gpa[i] = vdrv_alloc(&rig->drv, 32, 8);
        uint8_t *request = vdrv_ptr(&rig->drv, gpa[i], 32);
        memset(request, 0, 32);
        request[0] = REQ(READ);
        const struct vdrv_buf bufs[] = {{gpa[i], 16, false}, {gpa[i] + 16, 16, true}};
        demand(vdrv_send(&rig->drv.q[0], bufs, 2) >= 0);
    }
    rig_step(rig);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t used;
        take_one(rig, 0, &used);
        uint64_t read = le64_get((uint8_t *)vdrv_ptr(&rig->drv, gpa[i], 32) + 24);
        expect(used == 16 && read >= last);
        last = read;
    }
}

RequirementBy(rtc_read_2, RTC, MODERN, are_in_order);
RequirementBy(rtc_read_3, RTC, MODERN, are_in_order);

Requirement(rtc_read_6, RTC, MODERN)
{
    begin(rig);
    for (uint16_t clock = 0; clock < clocks(rig); clock++) {
        uint64_t before = rtcreq_read(rig, clock);
        rig->time.now_ns += 1;
        expect(rtcreq_read(rig, clock) == before + 1);
    }
}

/* What is not served yet has not been read. */
Requirement(rtc_read_7, RTC, MODERN)
{
    begin(rig);
    uint64_t before = rtcreq_read(rig, 0);
    rig->time.now_ns += SECOND;
    expect(rtcreq_read(rig, 0) == before + SECOND);
}

static struct cross {
    uint64_t time_ns, cycles;
} read_cross(struct rig *rig, uint16_t clock)
{
    struct rtcreq r = {.type = REQ(READ_CROSS), .clock = clock, .more = VIRTIO_RTC_COUNTER_X86_TSC};
    demand(rtcreq(rig, &r) == IS(OK) && r.used == 24);
    return (struct cross){le64_get(r.response + 8), le64_get(r.response + 16)};
}

/* Three cycles a nanosecond, and one a look. */
static void comes_with_the_counter(struct rig *rig)
{
    begin(rig);
    for (uint16_t clock = 0; clock < clocks(rig); clock++) {
        struct cross first = read_cross(rig, clock);
        expect(first.time_ns == rtcreq_read(rig, clock));
        expect(first.cycles >= 3 * rig->time.now_ns && first.cycles < 3 * rig->time.now_ns + 100);
        struct cross second = read_cross(rig, clock);
        expect(second.time_ns == first.time_ns && second.cycles >= first.cycles);
        rig->time.now_ns += 1000;
        struct cross third = read_cross(rig, clock);
        expect(third.time_ns == first.time_ns + 1000);
        expect(third.cycles - second.cycles >= 3000 && third.cycles - second.cycles < 3100);
    }
}

RequirementBy(rtc_read_8, RTC, MODERN, comes_with_the_counter);
RequirementBy(rtc_read_11, RTC, MODERN, comes_with_the_counter);
RequirementBy(rtc_read_12, RTC, MODERN, comes_with_the_counter);

Requirement(rtc_read_10, RTC, MODERN)
{
    begin(rig);
    expect(ask(rig, REQ(READ_CROSS), 1, VIRTIO_RTC_COUNTER_ARM_VCT) == IS(EOPNOTSUPP));
    rig->counter_error = -ESTALE;
    expect(ask(rig, REQ(READ_CROSS), 0, VIRTIO_RTC_COUNTER_X86_TSC) == IS(EIO));
    rig->counter_error = -ENOTSUP;
    expect(ask(rig, REQ(READ_CROSS), 0, VIRTIO_RTC_COUNTER_X86_TSC) == IS(EOPNOTSUPP));
    rig->counter_error = 0;
    expect(ask(rig, REQ(READ_CROSS), 0, VIRTIO_RTC_COUNTER_X86_TSC) == IS(OK));
}

Requirement(rtc_read_13, RTC, MODERN)
{
    begin(rig);
    uint64_t at_ns = rtcreq_read(rig, 0) + 2500000;
    listen_to(rig, 1);
    demand(rtcreq_set_alarm(rig, at_ns, true) == IS(OK));
    for (unsigned i = 0; i < 50; i++, rtcreq_pass(rig, 100000))
        if (rtcreq_alarms(rig) > 0) {
            expect(rtcreq_read(rig, 0) >= at_ns);
            return;
        }
    expect(!"it comes");
}

static void is_off_at_first(struct rig *rig)
{
    bool is_enabled;
    begin(rig);
    expect(alarm_time(rig, &is_enabled) == 0 && !is_enabled);
    demand(rtcreq_set_alarm(rig, 5, true) == IS(OK));
    rtcreq_start(rig, RTCREQ_FEATURES);
    expect(alarm_time(rig, &is_enabled) == 0 && !is_enabled);
}

RequirementBy(rtc_alarm_2, RTC, MODERN, is_off_at_first);
RequirementBy(rtc_alarm_3, RTC, MODERN, is_off_at_first);

Requirement(rtc_alarm_4, RTC, MODERN)
{
    begin(rig);
    expect(ask(rig, REQ(READ_ALARM), 0, 0) == IS(OK));
    expect(ask(rig, REQ(SET_ALARM), 0, 0) == IS(OK));
    expect(ask(rig, REQ(SET_ALARM_ENABLED), 0, 0) == IS(OK));
}

static void has_none_without_the_feature(struct rig *rig)
{
    rtcreq_start(rig, 0);
    for (uint16_t clock = 0; clock < 3; clock++)
        for (unsigned type = REQ(READ_ALARM); type <= REQ(SET_ALARM_ENABLED); type++)
            expect(ask(rig, (uint16_t)type, clock, 0) == IS(ENODEV));
}

RequirementBy(rtc_alarm_5, RTC, MODERN, has_none_without_the_feature);
RequirementBy(rtc_alarm_ctrl_1, RTC, MODERN, has_none_without_the_feature);

static void says_which_have_alarms(struct rig *rig)
{
    begin(rig);
    for (uint16_t clock = 0; clock < clocks(rig); clock++) {
        bool has_alarm;
        kind_of(rig, clock, &has_alarm);
        for (unsigned type = REQ(READ_ALARM); type <= REQ(SET_ALARM_ENABLED); type++)
            expect(ask(rig, (uint16_t)type, clock, 0) == (has_alarm ? IS(OK) : IS(ENODEV)));
    }
}

RequirementBy(rtc_alarm_6, RTC, MODERN, says_which_have_alarms);
RequirementBy(rtc_alarm_ctrl_2, RTC, MODERN, says_which_have_alarms);

/* By time that passes, and by a clock that is set. */
Requirement(rtc_alarm_7, RTC, MODERN)
{
    begin(rig);
    listen_to(rig, 2);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0) + 5 * SECOND, true) == IS(OK));
    expect(rtcreq_alarms(rig) == 0);
    rtcreq_pass(rig, 5 * SECOND);
    expect(rtcreq_alarms(rig) == 1);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0) + 500 * SECOND, true) == IS(OK));
    rig->time.wall_ahead_ns += 600 * SECOND;
    rtcreq_pass(rig, SECOND);
    expect(rtcreq_alarms(rig) == 1);
}

Requirement(rtc_alarm_8, RTC, MODERN)
{
    begin(rig);
    listen_to(rig, 3);
    demand(rtcreq_set_alarm(rig, 0, true) == IS(OK));
    expect(rtcreq_alarms(rig) == 1);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0), true) == IS(OK));
    expect(rtcreq_alarms(rig) == 1);
    demand(rtcreq_set_alarm(rig, 0, false) == IS(OK));
    expect(rtcreq_alarms(rig) == 0);
}

Requirement(rtc_alarm_9, RTC, MODERN)
{
    begin(rig);
    listen_to(rig, 1);
    demand(rtcreq_set_alarm(rig, 1, false) == IS(OK));
    expect(rtcreq_alarms(rig) == 0);
    demand(rtcreq_enable(rig, true) == IS(OK));
    expect(rtcreq_alarms(rig) == 1);
}

/* One for each, as soon as there is a buffer. */
static void each_is_told_once(struct rig *rig)
{
    begin(rig);
    for (unsigned i = 0; i < 3; i++) {
        demand(rtcreq_set_alarm(rig, 1, true) == IS(OK));
        rtcreq_pass(rig, 3 * SECOND);
        expect(rtcreq_alarms(rig) == 0);
        listen_to(rig, 2);
        expect(rtcreq_alarms(rig) == 1);
        rtcreq_pass(rig, 3 * SECOND);
        expect(rtcreq_alarms(rig) == 0);
        demand(rtcreq_enable(rig, true) == IS(OK)); /* takes the second */
        expect(rtcreq_alarms(rig) == 1);
    }
}

RequirementBy(rtc_alarm_11, RTC, MODERN, each_is_told_once);
RequirementBy(rtc_alarm_12, RTC, MODERN, each_is_told_once);

Requirement(rtc_alarm_16, RTC, MODERN)
{
    for (unsigned how = 0; how < 2; how++) {
        begin(rig);
        demand(rtcreq_set_alarm(rig, 1, true) == IS(OK));
        demand((how == 0 ? rtcreq_enable(rig, false) : rtcreq_set_alarm(rig, 1, false)) == IS(OK));
        listen_to(rig, 1);
        rtcreq_pass(rig, 2 * SECOND);
        expect(rtcreq_alarms(rig) == 0);
    }
}

/* All that SET_ALARM and SET_ALARM_ENABLED say is what READ_ALARM says. */
static void is_what_was_set(struct rig *rig)
{
    static const uint64_t times[] = {0, 1, 5 * SECOND, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    begin(rig);
    for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        for (unsigned on = 0; on < 2; on++) {
            bool is_enabled;
            expect(rtcreq_set_alarm(rig, times[i], on) == IS(OK));
            expect(alarm_time(rig, &is_enabled) == times[i] && is_enabled == on);
            expect(rtcreq_enable(rig, !on) == IS(OK));
            expect(alarm_time(rig, &is_enabled) == times[i] && is_enabled == !on);
        }
}

RequirementBy(rtc_alarm_ctrl_3, RTC, MODERN, is_what_was_set);
RequirementBy(rtc_alarm_ctrl_4, RTC, MODERN, is_what_was_set);
RequirementBy(rtc_alarm_ctrl_6, RTC, MODERN, is_what_was_set);
RequirementBy(rtc_alarm_ctrl_7, RTC, MODERN, is_what_was_set);
RequirementBy(rtc_alarm_ctrl_12, RTC, MODERN, is_what_was_set);

/* In nanoseconds: not one before. */
Requirement(rtc_alarm_ctrl_5, RTC, MODERN)
{
    bool is_enabled;
    begin(rig);
    uint64_t at_ns = rtcreq_read(rig, 0) + 3;
    listen_to(rig, 1);
    demand(rtcreq_set_alarm(rig, at_ns, true) == IS(OK));
    rtcreq_pass(rig, 2);
    expect(rtcreq_alarms(rig) == 0);
    rtcreq_pass(rig, 1);
    expect(rtcreq_alarms(rig) == 1);
    expect(alarm_time(rig, &is_enabled) == at_ns);
}

/* With the flag it comes, without it does not. */
static void comes_if_it_is_enabled(struct rig *rig)
{
    begin(rig);
    listen_to(rig, 2);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0) + SECOND, true) == IS(OK));
    rtcreq_pass(rig, SECOND);
    expect(rtcreq_alarms(rig) == 1);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0) + SECOND, false) == IS(OK));
    rtcreq_pass(rig, 2 * SECOND);
    expect(rtcreq_alarms(rig) == 0);
    demand(rtcreq_enable(rig, true) == IS(OK));
    expect(rtcreq_alarms(rig) == 1);
    demand(rtcreq_set_alarm(rig, rtcreq_read(rig, 0) + SECOND, true) == IS(OK));
    demand(rtcreq_enable(rig, false) == IS(OK));
    listen_to(rig, 1);
    rtcreq_pass(rig, 2 * SECOND);
    expect(rtcreq_alarms(rig) == 0);
}

RequirementBy(rtc_alarm_ctrl_8, RTC, MODERN, comes_if_it_is_enabled);
RequirementBy(rtc_alarm_ctrl_9, RTC, MODERN, comes_if_it_is_enabled);
RequirementBy(rtc_alarm_ctrl_10, RTC, MODERN, comes_if_it_is_enabled);
RequirementBy(rtc_alarm_ctrl_11, RTC, MODERN, comes_if_it_is_enabled);

/* The monotonic clock has none, whatever the driver asks of it. */
Requirement(rtc_alarm_notif_1, RTC, MODERN)
{
    begin(rig);
    listen_to(rig, 1);
    struct rtcreq r = {.type = REQ(SET_ALARM), .clock = 1, .time_ns = 1, .more = 1};
    expect(rtcreq(rig, &r) == IS(ENODEV));
    rtcreq_pass(rig, 2 * SECOND);
    expect(rtcreq_alarms(rig) == 0);
}
