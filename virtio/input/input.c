// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/input/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/input_queue.h"
#include "core/state/state.h"
#include "virtio/base/device.h"

#define QUEUES 2u

struct virtio_input {
    struct virtio_device dev;
    struct input_backend *backend;
    struct input_queue pending;
    unsigned sent; /* events of the oldest report that the driver has already */
    /* Buffers for the next ones, in the order of the ring, until there is one for each. */
    struct vq_chain *held[INPUT_REPORT_EVENTS + 1];
    unsigned held_count;
    uint8_t config[VIRTIO_INPUT_CONFIG_BYTES];
};

static struct virtio_input *input_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_input, dev);
}

/* ---- outside to guest ---- */

static void push_held(struct virtio_input *in, const struct input_event *events)
{
    for (unsigned i = 0; i < in->held_count; i++) {
        uint8_t bytes[INPUT_EVENT_BYTES];
        if (events != NULL) {
            input_event_put(bytes, &events[i]);
            iobuf_put(&in->held[i]->wr, bytes, sizeof(bytes));
        }
        virtio_queue_push(&in->dev, VIRTIO_INPUT_EVENTS, in->held[i]);
    }
    in->held_count = 0;
}

/* Holds so many buffers? One that an event does not fit in goes back empty, and so do those before
 * it: buffers are given back in the order of the ring, as a device that is saved relies on. */
static bool collect(struct virtio_input *in, unsigned wanted)
{
    while (in->held_count < wanted) {
        struct vq_chain *chain = virtio_queue_next(&in->dev, VIRTIO_INPUT_EVENTS);
        if (chain == NULL)
            return false;
        in->held[in->held_count++] = chain;
        if (chain->wr.left < INPUT_EVENT_BYTES)
            push_held(in, NULL);
    }
    return true;
}

static void events_ready(struct virtio_input *in)
{
    const struct virtqueue *vq = &in->dev.queues[VIRTIO_INPUT_EVENTS].vq;
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    unsigned count;
    while ((count = input_queue_peek(&in->pending, report)) > 0) {
        unsigned piece = (unsigned)min_u64(count - in->sent, vq->size);
        if (!collect(in, piece))
            return;
        push_held(in, report + in->sent);
        in->sent += piece;
        if (in->sent == count) {
            input_queue_take(&in->pending);
            in->sent = 0;
        }
    }
}

static void on_report(void *ctx, const struct input_event *events, unsigned count)
{
    struct virtio_input *in = ctx;
    if (!in->dev.active)
        return;
    input_queue_put(&in->pending, events, count);
    virtio_queue_serve(&in->dev, VIRTIO_INPUT_EVENTS);
}

/* ---- guest to outside ---- */

static void status_ready(struct virtio_input *in)
{
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(&in->dev, VIRTIO_INPUT_STATUS)) != NULL) {
        uint8_t bytes[INPUT_EVENT_BYTES];
        if (iobuf_get(&chain->rd, bytes, sizeof(bytes)) == sizeof(bytes)) {
            struct input_event event = input_event_get(bytes);
            in->backend->ops->status(in->backend, &event);
        }
        virtio_queue_push(&in->dev, VIRTIO_INPUT_STATUS, chain);
    }
}

/* ---- the device's half ---- */

static void answer(struct virtio_input *in)
{
    uint8_t *c = in->config;
    c[VIRTIO_INPUT_CONFIG_size] = (uint8_t)virtio_input_query(
        in->backend->kind, in->dev.setup.name, c[VIRTIO_INPUT_CONFIG_select],
        c[VIRTIO_INPUT_CONFIG_subsel], c + VIRTIO_INPUT_CONFIG_data);
}

/* Only these two are writable. */
static void input_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                               unsigned len)
{
    struct virtio_input *in = input_of(dev);
    memcpy(in->config + offset, src, len);
    answer(in);
}

static void input_ready(struct virtio_device *dev, unsigned queue)
{
    if (queue == VIRTIO_INPUT_EVENTS)
        events_ready(input_of(dev));
    else
        status_ready(input_of(dev));
}

static void input_stop(struct virtio_device *dev, unsigned queue)
{
    if (queue == VIRTIO_INPUT_EVENTS)
        input_of(dev)->held_count = 0;
}

static unsigned input_hold(struct virtio_device *dev, unsigned queue)
{
    return queue == VIRTIO_INPUT_EVENTS ? input_of(dev)->held_count : 0;
}

static void input_reset(struct virtio_device *dev)
{
    struct virtio_input *in = input_of(dev);
    input_queue_clear(&in->pending);
    in->sent = 0;
    memset(in->config, 0, sizeof(in->config));
}

static void input_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_input *in = input_of(dev);
    uint8_t *c = in->config;
    c[VIRTIO_INPUT_CONFIG_select] =
        (uint8_t)state_number(s, "select", c[VIRTIO_INPUT_CONFIG_select], UINT8_MAX);
    c[VIRTIO_INPUT_CONFIG_subsel] =
        (uint8_t)state_number(s, "subsel", c[VIRTIO_INPUT_CONFIG_subsel], UINT8_MAX);
    if (s->loads)
        answer(in);
    in->sent = (unsigned)state_number(s, "sent", in->sent, INPUT_REPORT_EVENTS);
    input_queue_state(&in->pending, s);
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    if (s->loads && in->sent > 0 && in->sent >= input_queue_peek(&in->pending, report))
        state_refuse(s, "more of a report was sent than there is of it");
}

static const struct virtio_device_ops input_ops = {
    .config_write = input_config_write,
    .queue_ready = input_ready,
    .queue_stop = input_stop,
    .queue_hold = input_hold,
    .reset = input_reset,
    .state = input_state,
};

/* ---- life ---- */

int virtio_input_create(struct virtio_input **out, const struct virtio_setup *setup,
                        struct input_backend *backend)
{
    struct virtio_input *in = calloc(1, sizeof(*in));
    if (in == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    int err = virtio_device_init(&in->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_input_type,
                                     .ops = &input_ops,
                                     .config = in->config,
                                     .config_bytes = sizeof(in->config),
                                     .queue_count = QUEUES,
                                     .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
                                 });
    if (err != 0) {
        free(in);
        return err;
    }
    input_queue_clear(&in->pending);
    in->backend = backend;
    backend->handler = (struct input_handler){.on_report = on_report, .ctx = in};
    *out = in;
    return 0;
}

void virtio_input_destroy(struct virtio_input *in)
{
    if (in == NULL)
        return;
    in->backend->handler = (struct input_handler){0};
    virtio_device_fini(&in->dev);
    free(in);
}

struct virtio_device *virtio_input_device(struct virtio_input *input)
{
    return &input->dev;
}
