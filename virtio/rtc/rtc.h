// SPDX-License-Identifier: BSD-2-Clause
/*
 * Real-time clock (VIRTIO 1.4 5.23): the host's time for the guest, and alarms at such a time.
 *
 *     clock 0   the host's wall clock: UTC, smeared around leap seconds if the host's is; alarms
 *     clock 1   monotonic, since the device was made
 *
 * A reading is taken when the device serves the request. With READ_CROSS it comes with the counter
 * of the guest's processors, where the machine can tell what that is.
 */
#ifndef MINIVET_VIRTIO_RTC_H
#define MINIVET_VIRTIO_RTC_H

#include <stdint.h>

#include "virtio/observe/strict_rules.h"

struct clock;
struct virtio_device;
struct virtio_device_type;
struct virtio_rtc;
struct virtio_setup;

extern const struct virtio_device_type virtio_rtc_type;

/* ---- the specification's numbers ---- */

enum {
    VIRTIO_RTC_F_ALARM,
};

enum {
    VIRTIO_RTC_REQUESTS,
    VIRTIO_RTC_ALARMS, /* has notifications of alarms */
    VIRTIO_RTC_QUEUES,
};

enum {
    VIRTIO_RTC_REQ_READ = 1,
    VIRTIO_RTC_REQ_READ_CROSS,
    VIRTIO_RTC_REQ_CFG = 0x1000,
    VIRTIO_RTC_REQ_CLOCK_CAP,
    VIRTIO_RTC_REQ_CROSS_CAP,
    VIRTIO_RTC_REQ_READ_ALARM,
    VIRTIO_RTC_REQ_SET_ALARM,
    VIRTIO_RTC_REQ_SET_ALARM_ENABLED,
    VIRTIO_RTC_NOTIF_ALARM = 0x2000,
};

/*
 * le16 msg_type at 0 of a request and a notification, u8 status at 0 of a response; the head has 8
 * bytes. After it: le16 clock_id, then u8 hw_counter or flags; but of SET_ALARM le64 time first.
 */
enum {
    VIRTIO_RTC_HEAD_BYTES = 8,
    VIRTIO_RTC_REQUEST_BYTES = 16, /* of most; of CFG the head alone */
    VIRTIO_RTC_SET_ALARM_BYTES = 24,
    VIRTIO_RTC_NOTIF_BYTES = 16,
    VIRTIO_RTC_MESSAGE_BYTES = 24, /* at most */
};

enum {
    VIRTIO_RTC_S_OK = 0,
    VIRTIO_RTC_S_EOPNOTSUPP = 2,
    VIRTIO_RTC_S_ENODEV = 3,
    VIRTIO_RTC_S_EINVAL = 4,
    VIRTIO_RTC_S_EIO = 5,
};

enum {
    VIRTIO_RTC_CLOCK_UTC,
    VIRTIO_RTC_CLOCK_TAI,
    VIRTIO_RTC_CLOCK_MONOTONIC,
    VIRTIO_RTC_CLOCK_UTC_SMEARED,
    VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED,
};

enum {
    VIRTIO_RTC_COUNTER_ARM_VCT,
    VIRTIO_RTC_COUNTER_X86_TSC,
};

#define VIRTIO_RTC_FLAG_ALARM_CAP     0x01u /* CLOCK_CAP */
#define VIRTIO_RTC_FLAG_CROSS_CAP     0x01u /* CROSS_CAP */
#define VIRTIO_RTC_FLAG_ALARM_ENABLED 0x01u /* alarms */

/* Rules of the driver monitor. */
enum {
    STRICT_RTC_READABLE = STRICT_RULES,
};

/* ---- the device ---- */

#define VIRTIO_RTC_CLOCKS  2u
#define VIRTIO_RTC_LOOK_NS UINT64_C(1000000000) /* so often: has the host's clock been set? */

/* The counters of the guest's processors. */
struct virtio_rtc_counters {
    /*
     * What that one (VIRTIO_RTC_COUNTER_) of the first processor is now. -ENOTSUP: it can never be
     * told; another negative errno: not now. On the device's loop.
     */
    int (*read)(void *ctx, uint8_t counter, uint64_t *cycles);
    void *ctx;
};

/* The clock outlives the device. counters may be NULL: there are none. Errors are reported. */
int virtio_rtc_create(struct virtio_rtc **out, const struct virtio_setup *setup,
                      const struct clock *clock, const struct virtio_rtc_counters *counters);
void virtio_rtc_destroy(struct virtio_rtc *rtc); /* after its transport */

struct virtio_device *virtio_rtc_device(struct virtio_rtc *rtc);

#endif
