// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/echo.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/state/state.h"
#include "virtio/spec.h"

static void echo_chain(struct echo *echo, unsigned queue, struct vq_chain *chain)
{
    uint8_t byte;
    while (chain->wr.left > 0 && iobuf_get(&chain->rd, &byte, 1) == 1)
        iobuf_put(&chain->wr, &byte, 1);
    echo->served++;
    virtio_queue_push(&echo->dev, queue, chain);
}

static void echo_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct echo *echo = container_of(dev, struct echo, dev);
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL) {
        if (echo->hold) {
            echo->held = chain;
            echo->held_queue = queue;
        } else {
            echo_chain(echo, queue, chain);
        }
    }
}

void echo_release(struct echo *echo)
{
    struct vq_chain *chain = echo->held;
    echo->hold = false;
    echo->held = NULL;
    if (chain != NULL)
        echo_chain(echo, echo->held_queue, chain);
}

static void echo_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct echo *echo = container_of(dev, struct echo, dev);
    if (echo->held_queue == queue)
        echo->held = NULL;
    echo->stops++;
}

static int echo_activate(struct virtio_device *dev)
{
    struct echo *echo = container_of(dev, struct echo, dev);
    echo->activations++;
    return echo->refuse;
}

static void echo_reset(struct virtio_device *dev)
{
    container_of(dev, struct echo, dev)->resets++;
}

static void echo_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                              unsigned len)
{
    memcpy(container_of(dev, struct echo, dev)->config + offset, src, len);
}

static void echo_state(struct virtio_device *dev, struct state *s)
{
    struct echo *echo = container_of(dev, struct echo, dev);
    state_bytes(s, "bytes", echo->config, sizeof(echo->config));
}

static const struct virtio_device_ops echo_ops = {
    .config_write = echo_config_write,
    .activate = echo_activate,
    .queue_ready = echo_queue_ready,
    .queue_stop = echo_queue_stop,
    .reset = echo_reset,
    .state = echo_state,
};

static const struct virtio_device_type echo_type = {
    .name = "echo",
    .id = ECHO_DEVICE_ID,
    .pci_class = 0x00ff00,
};

static const struct virtio_device_type transitional_type = {
    .name = "9p",
    .id = VIRTIO_ID_9P,
    .pci_class = 0x00ff00,
    .pci_transitional = 0x1009,
};

void echo_init(struct echo *echo, const struct echo_config *config)
{
    *echo = (struct echo){0};
    for (unsigned i = 0; i < sizeof(echo->config); i++)
        echo->config[i] = (uint8_t)(i + 1);
    if (config->shm_bytes > 0) {
        echo->shm = (struct virtio_shm){
            .id = ECHO_SHM_ID, .hva = calloc(1, config->shm_bytes), .bytes = config->shm_bytes};
        BUG_ON(echo->shm.hva == NULL);
    }
    struct virtio_setup setup = config->setup;
    if (setup.queue_size_max == 0)
        setup.queue_size_max = 1024;
    int err = virtio_device_init(&echo->dev, &setup,
                                 &(struct virtio_device_config){
                                     .type = config->transitional ? &transitional_type : &echo_type,
                                     .ops = &echo_ops,
                                     .features = VIRTIO_BIT(3),
                                     .config = echo->config,
                                     .config_bytes = sizeof(echo->config),
                                     .queue_count = config->queues != 0 ? config->queues : 2,
                                     .iov_max = 64,
                                     .shm = &echo->shm,
                                     .shm_count = config->shm_bytes > 0 ? 1 : 0,
                                 });
    BUG_ON(err != 0);
}

void echo_fini(struct echo *echo)
{
    virtio_device_fini(&echo->dev);
    free(echo->shm.hva);
    echo->shm.hva = NULL;
}
