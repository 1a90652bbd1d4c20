// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vsock/vsock.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_vsock.h"
#include "virtio/vsock/vsock_impl.h"

static struct virtio_vsock *vsock_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_vsock, dev);
}

/* ---- packets ---- */

static void parse(struct vsock_packet *p, const uint8_t *header)
{
    *p = (struct vsock_packet){
        .src_cid = le64_get(header + VIRTIO_VSOCK_HDR_src_cid),
        .dst_cid = le64_get(header + VIRTIO_VSOCK_HDR_dst_cid),
        .src_port = le32_get(header + VIRTIO_VSOCK_HDR_src_port),
        .dst_port = le32_get(header + VIRTIO_VSOCK_HDR_dst_port),
        .len = le32_get(header + VIRTIO_VSOCK_HDR_len),
        .type = le16_get(header + VIRTIO_VSOCK_HDR_type),
        .op = le16_get(header + VIRTIO_VSOCK_HDR_op),
        .flags = le32_get(header + VIRTIO_VSOCK_HDR_flags),
        .buf_alloc = le32_get(header + VIRTIO_VSOCK_HDR_buf_alloc),
        .fwd_cnt = le32_get(header + VIRTIO_VSOCK_HDR_fwd_cnt),
    };
}

static void put(struct virtio_vsock *vs, const struct vsock_packet *p, const uint8_t *payload)
{
    uint8_t header[VIRTIO_VSOCK_HDR_BYTES];
    le64_put(header + VIRTIO_VSOCK_HDR_src_cid, VIRTIO_VSOCK_CID_HOST);
    le64_put(header + VIRTIO_VSOCK_HDR_dst_cid, vs->cid);
    le32_put(header + VIRTIO_VSOCK_HDR_src_port, p->src_port);
    le32_put(header + VIRTIO_VSOCK_HDR_dst_port, p->dst_port);
    le32_put(header + VIRTIO_VSOCK_HDR_len, p->len);
    le16_put(header + VIRTIO_VSOCK_HDR_type, p->type);
    le16_put(header + VIRTIO_VSOCK_HDR_op, p->op);
    le32_put(header + VIRTIO_VSOCK_HDR_flags, p->flags);
    le32_put(header + VIRTIO_VSOCK_HDR_buf_alloc, p->buf_alloc);
    le32_put(header + VIRTIO_VSOCK_HDR_fwd_cnt, p->fwd_cnt);
    iobuf_put(&vs->rx->wr, header, sizeof(header));
    iobuf_put(&vs->rx->wr, payload, p->len);
    virtio_queue_push(&vs->dev, VIRTIO_VSOCK_RX, vs->rx);
    vs->rx = NULL;
}

/* ---- to the guest ---- */

/* Has a buffer with room for more than a header at hand. False: the guest kicks, or the next turn
 * goes on. */
static bool get_room(struct virtio_vsock *vs)
{
    while (vs->rx == NULL) {
        vs->rx = virtio_queue_next(&vs->dev, VIRTIO_VSOCK_RX);
        if (vs->rx == NULL)
            return false;
        if (vs->rx->wr.left > VIRTIO_VSOCK_HDR_BYTES)
            break;
        log_guest(&vs->guest_errors, "virtio %s: a receive buffer of %llu bytes is too short",
                  vs->dev.setup.name, (unsigned long long)vs->rx->wr.left);
        virtio_queue_push(&vs->dev, VIRTIO_VSOCK_RX, vs->rx);
        vs->rx = NULL;
    }
    return true;
}

static void send_reset(struct virtio_vsock *vs)
{
    const struct vsock_reset *r = &vs->resets[vs->reset_from];
    put(vs,
        &(struct vsock_packet){.src_port = r->host_port,
                               .dst_port = r->guest_port,
                               .type = r->type,
                               .op = VIRTIO_VSOCK_OP_RST},
        NULL);
    vs->reset_from = (vs->reset_from + 1) % VSOCK_RESETS_MAX;
    vs->reset_count--;
    if (vs->tx_waits)
        virtio_queue_serve_later(&vs->dev, VIRTIO_VSOCK_TX);
    vs->tx_waits = false;
}

/* Each packet says how much the guest may send (5.10.6.3). */
static void send_packet(struct vsock_conn *c, unsigned op, uint32_t flags, const uint8_t *payload,
                        uint32_t len)
{
    c->due &= ~(unsigned)VSOCK_DUE_CREDIT;
    c->fwd_told = c->fwd_cnt;
    c->sent += len;
    put(c->vs,
        &(struct vsock_packet){.src_port = c->host_port,
                               .dst_port = c->guest_port,
                               .len = len,
                               .type = c->type,
                               .op = (uint16_t)op,
                               .flags = flags,
                               .buf_alloc = c->buf_alloc,
                               .fwd_cnt = c->fwd_cnt},
        payload);
}

/* No more was read than the guest had room for. A message ends with the last of its pieces. */
static void send_staged(struct virtio_vsock *vs)
{
    struct vsock_conn *c = vs->staged_for;
    uint64_t left = vs->staged_bytes - vs->staged_from;
    uint32_t len = (uint32_t)min_u64(left, vs->rx->wr.left - VIRTIO_VSOCK_HDR_BYTES);
    uint32_t flags = vsock_has_messages(c) && len == left ? VIRTIO_VSOCK_SEQ_EOM : 0;
    send_packet(c, VIRTIO_VSOCK_OP_RW, flags, vs->staged + vs->staged_from, len);
    vs->staged_from += len;
    if (vs->staged_from == vs->staged_bytes)
        vs->staged_for = NULL;
}

/* One packet of the connection that is due the longest, or a look at what its process has. */
static void send_next(struct vsock_conn *c)
{
    static const struct {
        unsigned due, op;
    } packets[] = {
        {VSOCK_DUE_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
        {VSOCK_DUE_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
        {VSOCK_DUE_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
        {VSOCK_DUE_ASK, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
        {VSOCK_DUE_DATA, 0},
        {VSOCK_DUE_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
        {VSOCK_DUE_RST, VIRTIO_VSOCK_OP_RST},
    };
    unsigned i = 0;
    while ((c->due & packets[i].due) == 0)
        i++;
    if (packets[i].due == VSOCK_DUE_DATA) {
        vsock_stage(c);
        return;
    }
    c->due &= ~packets[i].due;
    if (c->due != 0)
        vsock_make_due(c, 0);
    send_packet(c, packets[i].op, packets[i].due == VSOCK_DUE_SHUTDOWN ? c->host_shut : 0, NULL, 0);
    if (packets[i].due == VSOCK_DUE_RST)
        vsock_bury(c);
}

static void rx_ready(struct virtio_vsock *vs)
{
    while (vs->reset_count > 0 || vs->staged_for != NULL || !TAILQ_EMPTY(&vs->ready)) {
        struct vsock_conn *c = TAILQ_FIRST(&vs->ready);
        if (!get_room(vs))
            return;
        if (vs->reset_count > 0) {
            send_reset(vs);
        } else if (vs->staged_for != NULL) {
            send_staged(vs);
        } else {
            TAILQ_REMOVE(&vs->ready, c, ready);
            c->is_ready = false;
            if (c->due != 0)
                send_next(c);
        }
    }
}

void vsock_send_due(struct virtio_vsock *vs)
{
    virtio_queue_serve(&vs->dev, VIRTIO_VSOCK_RX);
}

/* ---- from the guest ---- */

static void answer_reset(struct virtio_vsock *vs, const struct vsock_packet *p)
{
    if (p->op == VIRTIO_VSOCK_OP_RST)
        return;
    unsigned at = (vs->reset_from + vs->reset_count++) % VSOCK_RESETS_MAX;
    vs->resets[at] = (struct vsock_reset){p->src_port, p->dst_port, p->type};
}

bool vsock_knows_type(const struct virtio_vsock *vs, uint16_t type)
{
    if (type == VIRTIO_VSOCK_TYPE_SEQPACKET)
        return virtio_device_has(&vs->dev, VIRTIO_VSOCK_F_SEQPACKET);
    return type == VIRTIO_VSOCK_TYPE_STREAM &&
           (virtio_device_has(&vs->dev, VIRTIO_VSOCK_F_STREAM) ||
            !virtio_device_has(&vs->dev, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM));
}

static void receive(struct virtio_vsock *vs, struct iobuf *rd)
{
    uint8_t header[VIRTIO_VSOCK_HDR_BYTES];
    struct vsock_packet p;
    if (iobuf_get(rd, header, sizeof(header)) < sizeof(header)) {
        log_guest(&vs->guest_errors, "virtio %s: a packet is shorter than its header",
                  vs->dev.setup.name);
        return;
    }
    parse(&p, header);
    if (p.src_cid != vs->cid || p.dst_cid != VIRTIO_VSOCK_CID_HOST) {
        log_guest(&vs->guest_errors, "virtio %s: a packet from CID %llu to CID %llu is dropped",
                  vs->dev.setup.name, (unsigned long long)p.src_cid, (unsigned long long)p.dst_cid);
        return;
    }
    struct vsock_conn *c = vsock_find(vs, p.src_port, p.dst_port);
    bool is_new = c == NULL && p.op == VIRTIO_VSOCK_OP_REQUEST && vsock_knows_type(vs, p.type);
    if (c != NULL && c->type == p.type)
        vsock_receive(c, &p, rd);
    else if (!is_new || !vsock_accept(vs, &p))
        answer_reset(vs, &p);
}

/*
 * Whether or not the guest has room for answers (5.10.6.1): those of connections are noted there,
 * and only when there are too many others the guest has to wait.
 */
static void tx_ready(struct virtio_vsock *vs)
{
    struct vq_chain *chain = NULL;
    while (vs->reset_count < VSOCK_RESETS_MAX &&
           (chain = virtio_queue_next(&vs->dev, VIRTIO_VSOCK_TX)) != NULL) {
        receive(vs, &chain->rd);
        virtio_queue_push(&vs->dev, VIRTIO_VSOCK_TX, chain);
        if (virtio_queue_turn_is_over(&vs->dev, VIRTIO_VSOCK_TX))
            break;
    }
    vs->tx_waits = vs->reset_count == VSOCK_RESETS_MAX;
    vsock_send_due(vs);
}

/* ---- the event queue ---- */

/* Connections did not come along: 5.10.6.7. */
static void send_event(struct virtio_vsock *vs)
{
    struct vq_chain *chain = vs->event_due ? virtio_queue_next(&vs->dev, VIRTIO_VSOCK_EVENT) : NULL;
    if (chain == NULL)
        return;
    uint8_t event[VIRTIO_VSOCK_EVENT_BYTES] = {VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
    vs->event_due = iobuf_put(&chain->wr, event, sizeof(event)) < sizeof(event);
    virtio_queue_push(&vs->dev, VIRTIO_VSOCK_EVENT, chain);
    if (vs->event_due)
        virtio_queue_serve_later(&vs->dev, VIRTIO_VSOCK_EVENT);
}

/* ---- the device's half ---- */

static void queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_vsock *vs = vsock_of(dev);
    if (queue == VIRTIO_VSOCK_RX)
        rx_ready(vs);
    else if (queue == VIRTIO_VSOCK_TX)
        tx_ready(vs);
    else
        send_event(vs);
}

static bool is_external(const struct virtio_device *dev, unsigned queue)
{
    return container_of(dev, const struct virtio_vsock, dev)->vhost != NULL &&
           queue != VIRTIO_VSOCK_EVENT;
}

static int queue_start(struct virtio_device *dev, unsigned queue)
{
    if (is_external(dev, queue))
        vhost_vsock_start(vsock_of(dev)->vhost, dev, queue);
    return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
    if (is_external(dev, queue))
        vhost_vsock_stop(vsock_of(dev)->vhost, queue);
    else if (queue == VIRTIO_VSOCK_RX)
        vsock_of(dev)->rx = NULL;
}

static unsigned queue_hold(struct virtio_device *dev, unsigned queue)
{
    return queue == VIRTIO_VSOCK_RX && vsock_of(dev)->rx != NULL;
}

static void vsock_reset(struct virtio_device *dev)
{
    struct virtio_vsock *vs = vsock_of(dev);
    vsock_free_all(vs);
    vs->reset_count = 0;
    vs->tx_waits = vs->event_due = false;
}

/* The guest asks for its CID then, too: it may be another. */
static void vsock_state(struct virtio_device *dev, struct state *s)
{
    if (!s->loads)
        return;
    vsock_of(dev)->event_due = true;
    virtio_queue_serve_later(dev, VIRTIO_VSOCK_EVENT);
}

static void vsock_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_vsock *vs = vsock_of(dev);
    facts_number(f, "cid", vs->cid);
    facts_number(f, "connections", vs->conn_count);
}

static const struct virtio_device_ops vsock_ops = {
    .queue_ready = queue_ready,
    .queue_is_external = is_external,
    .queue_start = queue_start,
    .queue_stop = queue_stop,
    .queue_hold = queue_hold,
    .reset = vsock_reset,
    .state = vsock_state,
    .describe = vsock_describe,
};

/* ---- life ---- */

static int init_device(struct virtio_vsock *vs, const struct virtio_setup *setup,
                       const struct virtio_vsock_config *config)
{
    bool has_messages = config->backend == NULL || config->backend->has_messages;
    uint64_t unknown = config->vhost != NULL ? vhost_vsock_unknown_features(config->vhost) : 0;
    struct virtio_setup own = *setup;
    if (unknown & setup->features_on & VIRTIO_BIT(VIRTIO_F_RING_PACKED))
        return fail_msg(-EINVAL, "virtio %s: vhost=on needs ring=split", setup->name);
    own.features_off |= unknown;
    return virtio_device_init(
        &vs->dev, &own,
        &(struct virtio_device_config){
            .type = &virtio_vsock_type,
            .ops = &vsock_ops,
            .features = VIRTIO_BIT(VIRTIO_VSOCK_F_STREAM) |
                        VIRTIO_BIT(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM) |
                        (has_messages ? VIRTIO_BIT(VIRTIO_VSOCK_F_SEQPACKET) : 0),
            .config = vs->config,
            .config_bytes = sizeof(vs->config),
            .queue_count = VIRTIO_VSOCK_QUEUES,
            .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
        });
}

int virtio_vsock_create(struct virtio_vsock **out, const struct virtio_setup *setup,
                        const struct virtio_vsock_config *config)
{
    struct virtio_vsock *vs = calloc(1, sizeof(*vs));
    uint8_t *staged = malloc(VIRTIO_VSOCK_MESSAGE_MAX);
    int err = -ENOMEM;
    if (vs == NULL || staged == NULL)
        fail(err, "virtio %s", setup->name);
    else
        err = init_device(vs, setup, config);
    if (err != 0) {
        free(staged);
        free(vs);
        return err;
    }
    le64_put(vs->config, config->guest_cid);
    vs->cid = config->guest_cid;
    vs->staged = staged;
    TAILQ_INIT(&vs->ready);
    vs->vhost = config->vhost;
    vs->backend = config->backend;
    vs->handler = vsock_handler_ops;
    vs->handler.ctx = vs;
    if (vs->backend != NULL)
        vs->backend->handler = &vs->handler;
    *out = vs;
    return 0;
}

void virtio_vsock_destroy(struct virtio_vsock *vs)
{
    if (vs == NULL)
        return;
    vsock_free_all(vs);
    if (vs->backend != NULL)
        vs->backend->handler = NULL;
    virtio_device_fini(&vs->dev);
    free(vs->staged);
    free(vs);
}

struct virtio_device *virtio_vsock_device(struct virtio_vsock *vs)
{
    return &vs->dev;
}
