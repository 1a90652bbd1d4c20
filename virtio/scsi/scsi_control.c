// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/scsi/scsi_impl.h"

/* ---- task management, VIRTIO 1.4 5.6.6.2 ---- */

void scsi_target_abort(struct scsi_target *target, uint8_t response)
{
    for (struct scsi_request *r = LIST_FIRST(&target->requests); r != NULL;
         r = LIST_NEXT(r, link)) {
        r->aborted = true;
        r->aborted_response = response;
    }
    if (!LIST_EMPTY(&target->requests))
        scsi_target_drain(target);
}

static struct scsi_request *find_request(const struct scsi_target *target, uint64_t id)
{
    struct scsi_request *r = LIST_FIRST(&target->requests);
    while (r != NULL && r->id != id)
        r = LIST_NEXT(r, link);
    return r;
}

static void abort_task(struct scsi_target *target, uint64_t id)
{
    struct scsi_request *r = find_request(target, id);
    if (r == NULL)
        return;
    r->aborted = true;
    r->aborted_response = VIRTIO_SCSI_S_ABORTED;
    scsi_target_drain(target);
}

static void reset_target(struct scsi_target *target, unsigned attention)
{
    scsi_target_abort(target, VIRTIO_SCSI_S_RESET);
    target->disk.attention = attention;
}

static uint8_t do_function(struct scsi_target *target, uint32_t subtype, uint64_t id)
{
    switch (subtype) {
    case VIRTIO_SCSI_T_TMF_ABORT_TASK:
        abort_task(target, id);
        break;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
    case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET: /* the same: there is one initiator */
        scsi_target_abort(target, VIRTIO_SCSI_S_ABORTED);
        break;
    case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
        reset_target(target, SCSI_UNIT_WAS_RESET);
        break;
    case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
        reset_target(target, SCSI_NEXUS_LOST);
        break;
    case VIRTIO_SCSI_T_TMF_QUERY_TASK:
        if (find_request(target, id) != NULL)
            return VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
        break;
    case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
        if (!LIST_EMPTY(&target->requests))
            return VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
        break;
    default: /* CLEAR ACA: there is none */
        return VIRTIO_SCSI_S_FUNCTION_REJECTED;
    }
    return VIRTIO_SCSI_S_FUNCTION_COMPLETE;
}

/*
 * What was sent before the function is meant by it, though the queues have not been looked at:
 * takes a turn's chains from each. Whether one of them has more.
 */
static bool take_requests(struct virtio_scsi *scsi)
{
    bool more = false;
    for (unsigned q = VIRTIO_SCSI_REQUESTQ; q < scsi->dev.cfg.queue_count; q++) {
        virtio_queue_serve(&scsi->dev, q);
        more |= virtio_queue_runs(&scsi->dev.queues[q]) && virtio_queue_has_next(&scsi->dev, q);
    }
    return more;
}

static uint8_t manage(struct virtio_scsi *scsi, const uint8_t *request)
{
    uint32_t subtype = le32_get(request + VIRTIO_SCSI_TMF_subtype);
    struct scsi_target *target;
    enum scsi_unit unit;
    if (!scsi_find(scsi, request + VIRTIO_SCSI_TMF_lun, &target, &unit))
        return VIRTIO_SCSI_S_BAD_TARGET;
    /* A nexus is with the target, whatever its units. */
    if (unit == SCSI_UNIT_WELL_KNOWN ||
        (unit == SCSI_UNIT_ABSENT && subtype != VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET))
        return VIRTIO_SCSI_S_INCORRECT_LUN;
    return do_function(target, subtype, le64_get(request + VIRTIO_SCSI_TMF_id));
}

/* No event is asynchronous here: event_actual is 0. */
static uint8_t notify(struct virtio_scsi *scsi, const uint8_t *request)
{
    struct scsi_target *target;
    enum scsi_unit unit;
    if (!scsi_find(scsi, request + VIRTIO_SCSI_AN_lun, &target, &unit))
        return VIRTIO_SCSI_S_BAD_TARGET;
    return unit == SCSI_UNIT_ABSENT ? VIRTIO_SCSI_S_INCORRECT_LUN : VIRTIO_SCSI_S_OK;
}

/* ---- the control queue ---- */

/* A request of a kind that is not known, or that is too short, is answered by one byte. */
static void do_control(struct virtio_scsi *scsi, struct vq_chain *chain)
{
    uint8_t request[VIRTIO_SCSI_TMF_BYTES] = {0};
    size_t got = iobuf_get(&chain->rd, request, sizeof(request));
    uint32_t type = le32_get(request);
    uint8_t *answer = scsi->control_answer;
    memset(answer, 0, sizeof(scsi->control_answer));
    scsi->control_bytes = 1;
    if (got >= VIRTIO_SCSI_TMF_BYTES && type == VIRTIO_SCSI_T_TMF) {
        answer[0] = manage(scsi, request);
    } else if (got >= VIRTIO_SCSI_AN_BYTES &&
               (type == VIRTIO_SCSI_T_AN_QUERY || type == VIRTIO_SCSI_T_AN_SUBSCRIBE)) {
        answer[VIRTIO_SCSI_AN_RESP_response] = notify(scsi, request);
        scsi->control_bytes = VIRTIO_SCSI_AN_RESP_BYTES;
    } else {
        answer[0] = VIRTIO_SCSI_S_FAILURE;
    }
}

/*
 * The driver has to see the commands that a function ended before it sees the function end (VIRTIO
 * 1.4 5.6.6.2). Their queues are shown to it by calls that have been deferred by now, so the answer
 * is deferred behind them; hence one control request a turn.
 *
 * Before that the queues are emptied, which a guest can make long, and whose driver may add to them
 * meanwhile: in as many turns as it takes, but not in more than full queues need.
 */
static void go_on(void *ctx)
{
    struct virtio_scsi *scsi = ctx;
    if (!virtio_queue_runs(&scsi->dev.queues[VIRTIO_SCSI_CONTROLQ]))
        return;
    if (take_requests(scsi) && scsi->control_turns-- > 0) {
        evloop_defer(scsi->dev.setup.loop, &scsi->control_more);
        return;
    }
    do_control(scsi, scsi->control);
    evloop_defer(scsi->dev.setup.loop, &scsi->answer);
}

bool scsi_control_waits(const struct virtio_scsi *scsi)
{
    return scsi->control != NULL && scsi->control_bytes == 0;
}

void scsi_control_ready(struct virtio_scsi *scsi)
{
    if (scsi->control == NULL) {
        scsi->control = virtio_queue_next(&scsi->dev, VIRTIO_SCSI_CONTROLQ);
        scsi->control_turns = scsi->dev.setup.queue_size_max / VIRTIO_TURN_CHAINS *
                              (1 + scsi->dev.cfg.iov_max / VIRTIO_TURN_BUFFERS);
        scsi->control_bytes = 0;
    }
    evloop_defer_cancel(scsi->dev.setup.loop, &scsi->control_more);
    if (scsi_control_waits(scsi))
        go_on(scsi);
}

static void answer(void *ctx)
{
    struct virtio_scsi *scsi = ctx;
    iobuf_put(&scsi->control->wr, scsi->control_answer, scsi->control_bytes);
    virtio_queue_push(&scsi->dev, VIRTIO_SCSI_CONTROLQ, scsi->control);
    scsi->control = NULL;
    virtio_queue_serve_later(&scsi->dev, VIRTIO_SCSI_CONTROLQ);
}

void scsi_control_init(struct virtio_scsi *scsi)
{
    scsi->answer = (struct ev_defer){.cb = answer, .ctx = scsi};
    scsi->control_more = (struct ev_defer){.cb = go_on, .ctx = scsi};
}

void scsi_control_stop(struct virtio_scsi *scsi)
{
    evloop_defer_cancel(scsi->dev.setup.loop, &scsi->answer);
    evloop_defer_cancel(scsi->dev.setup.loop, &scsi->control_more);
    scsi->control = NULL;
}

/* ---- events, VIRTIO 1.4 5.6.6.3 ---- */

/*
 * The unit is 0, by the addressing of REPORT LUNS: Linux, which asks by the other one, takes both
 * bytes of an event for the unit's number.
 */
static void put_event(struct virtio_scsi *scsi, struct vq_chain *chain)
{
    uint8_t raw[VIRTIO_SCSI_EVENT_BYTES] = {0};
    uint32_t event = VIRTIO_SCSI_T_NO_EVENT;
    /* A buffer that is too short carries no event. */
    bool fits = chain->wr.left >= sizeof(raw);
    if (fits && scsi->has_event) {
        event = scsi->event.event;
        raw[VIRTIO_SCSI_EVENT_lun] = 1;
        raw[VIRTIO_SCSI_EVENT_lun + 1] = (uint8_t)scsi->event.target;
        le32_put(raw + VIRTIO_SCSI_EVENT_reason, scsi->event.reason);
        scsi->has_event = false;
    }
    if (fits && scsi->events_missed) {
        event |= VIRTIO_SCSI_T_EVENTS_MISSED;
        scsi->events_missed = false;
    }
    le32_put(raw + VIRTIO_SCSI_EVENT_event, event);
    iobuf_put(&chain->wr, raw, sizeof(raw));
    virtio_queue_push(&scsi->dev, VIRTIO_SCSI_EVENTQ, chain);
}

/* Buffers stay in the ring until there is something to tell. */
void scsi_event_ready(struct virtio_scsi *scsi)
{
    struct vq_chain *chain;
    while ((scsi->has_event || scsi->events_missed) &&
           (chain = virtio_queue_next(&scsi->dev, VIRTIO_SCSI_EVENTQ)) != NULL)
        put_event(scsi, chain);
}

void scsi_event_send(struct virtio_scsi *scsi, uint32_t event, unsigned target, uint32_t reason)
{
    if (!scsi->dev.running)
        return;
    scsi->event = (struct scsi_event){.event = event, .target = target, .reason = reason};
    scsi->has_event = true;
    virtio_queue_serve(&scsi->dev, VIRTIO_SCSI_EVENTQ);
    if (scsi->has_event)
        scsi->events_missed = true;
    scsi->has_event = false;
}
