// SPDX-License-Identifier: BSD-2-Clause
/* The guest's half of virtio-rtc: requests, and notifications of alarms. */
#ifndef MINIVET_TESTS_HARNESS_RTCREQ_H
#define MINIVET_TESTS_HARNESS_RTCREQ_H

#include "tests/harness/rig.h"
#include "virtio/rtc/rtc.h"

#define RTCREQ_FEATURES VIRTIO_BIT(VIRTIO_RTC_F_ALARM)
#define RTCREQ_NONE     0xeeu /* what a response has before */

struct rtcreq {
    uint16_t type, clock;
    uint8_t more;     /* the counter, or flags */
    uint64_t time_ns; /* of SET_ALARM */
    uint32_t room;    /* of the response; 0: as much as the longest has */
    uint32_t bytes;   /* of the request; 0: as many as its type has */

    /* What came: the response, and how many bytes of it were written. */
    uint8_t response[64];
    uint32_t used;
};

void rtcreq_start(struct rig *rig, uint64_t features);

/* Sends it and waits for its end. The status: the response's first byte. */
uint8_t rtcreq(struct rig *rig, struct rtcreq *r);

/* A request of those that are right, and its status; a number of the response, 0 after an error. */
uint64_t rtcreq_read(struct rig *rig, uint16_t clock);
uint8_t rtcreq_set_alarm(struct rig *rig, uint64_t time_ns, bool is_enabled);
uint8_t rtcreq_enable(struct rig *rig, bool is_enabled);

/* Gives a buffer for alarms of so many bytes. */
void rtcreq_listen(struct rig *rig, uint32_t bytes);

/* How many notifications have come; each is of clock 0, and right. */
unsigned rtcreq_alarms(struct rig *rig);

/* Lets time pass. */
void rtcreq_pass(struct rig *rig, uint64_t ns);

#endif
