// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/rtcreq.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/base/le.h"
#include "virtio/spec.h"

#define SIZE 8u /* of the queues */

static uint64_t alarm_gpa[SIZE];

void rtcreq_start(struct rig *rig, uint64_t features)
{
    cr_assert(vdrv_start(&rig->drv, features, VIRTIO_RTC_QUEUES, SIZE));
    rig_step(rig);
}

static uint32_t bytes_of(uint16_t type)
{
    return type == VIRTIO_RTC_REQ_CFG         ? VIRTIO_RTC_HEAD_BYTES
           : type == VIRTIO_RTC_REQ_SET_ALARM ? VIRTIO_RTC_SET_ALARM_BYTES
                                              : VIRTIO_RTC_REQUEST_BYTES;
}

uint8_t rtcreq(struct rig *rig, struct rtcreq *r)
{
    struct vdrv *d = &rig->drv;
    uint32_t bytes = r->bytes != 0 ? r->bytes : bytes_of(r->type);
    uint32_t room = r->room != 0 ? r->room : VIRTIO_RTC_MESSAGE_BYTES, head;
    const struct vdrv_buf bufs[] = {{vdrv_alloc(d, 64, 8), bytes, false},
                                    {vdrv_alloc(d, 64, 8), room, true}};
    uint8_t *request = vdrv_ptr(d, bufs[0].gpa, 64), *response = vdrv_ptr(d, bufs[1].gpa, 64);
    unsigned at = r->type == VIRTIO_RTC_REQ_SET_ALARM ? 16 : 8;
    memset(request, 0, 64);
    memset(response, RTCREQ_NONE, 64);
    if (at == 16)
        le64_put(request + 8, r->time_ns);
    le16_put(request, r->type);
    le16_put(request + at, r->clock);
    request[at + 2] = r->more;
    cr_assert_geq(vdrv_send(&d->q[VIRTIO_RTC_REQUESTS], bufs, 2), 0);
    rig_step(rig);
    cr_assert(vdrv_used(&d->q[VIRTIO_RTC_REQUESTS], &head, &r->used));
    memcpy(r->response, response, sizeof(r->response));
    return r->response[0];
}

uint64_t rtcreq_read(struct rig *rig, uint16_t clock)
{
    struct rtcreq r = {.type = VIRTIO_RTC_REQ_READ, .clock = clock};
    return rtcreq(rig, &r) == VIRTIO_RTC_S_OK ? le64_get(r.response + 8) : 0;
}

uint8_t rtcreq_set_alarm(struct rig *rig, uint64_t time_ns, bool is_enabled)
{
    return rtcreq(
        rig,
        &(struct rtcreq){.type = VIRTIO_RTC_REQ_SET_ALARM, .time_ns = time_ns, .more = is_enabled});
}

uint8_t rtcreq_enable(struct rig *rig, bool is_enabled)
{
    return rtcreq(rig,
                  &(struct rtcreq){.type = VIRTIO_RTC_REQ_SET_ALARM_ENABLED, .more = is_enabled});
}

void rtcreq_listen(struct rig *rig, uint32_t bytes)
{
    struct vdrv *d = &rig->drv;
    struct vdrv_buf buf = {vdrv_alloc(d, 64, 8), bytes, true};
    memset(vdrv_ptr(d, buf.gpa, 64), RTCREQ_NONE, 64);
    int head = vdrv_send(&d->q[VIRTIO_RTC_ALARMS], &buf, 1);
    cr_assert_geq(head, 0);
    alarm_gpa[head] = buf.gpa;
    rig_step(rig);
}

unsigned rtcreq_alarms(struct rig *rig)
{
    static const uint8_t right[VIRTIO_RTC_NOTIF_BYTES] = {0, VIRTIO_RTC_NOTIF_ALARM >> 8};
    struct vdrv *d = &rig->drv;
    unsigned count = 0;
    uint32_t head, used;
    rig_step(rig);
    while (vdrv_used(&d->q[VIRTIO_RTC_ALARMS], &head, &used)) {
        if (used == 0) /* it was too short */
            continue;
        const uint8_t *bytes = vdrv_ptr(d, alarm_gpa[head], 64);
        cr_expect_eq(used, sizeof(right));
        cr_expect(memcmp(bytes, right, sizeof(right)) == 0);
        cr_expect_eq(bytes[sizeof(right)], RTCREQ_NONE);
        count++;
    }
    return count;
}

void rtcreq_pass(struct rig *rig, uint64_t ns)
{
    rig->time.now_ns += ns;
    rig_step(rig);
}
