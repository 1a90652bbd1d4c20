// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/rig.h"

#include <string.h>

#include "core/bus.h"
#include "core/fail.h"
#include "core/gmem.h"
#include "core/xmath.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/mmio.h"
#include "virtio/rng.h"
#include "virtio/spec.h"

/* ---- the echo device ---- */

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
        if (echo->hold)
            echo->held = chain;
        else
            echo_chain(echo, queue, chain);
    }
}

static void echo_queue_stop(struct virtio_device *dev, unsigned queue)
{
    (void)queue;
    container_of(dev, struct echo, dev)->stops++;
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

static const struct virtio_device_ops echo_ops = {
    .config_write = echo_config_write,
    .activate = echo_activate,
    .queue_ready = echo_queue_ready,
    .queue_stop = echo_queue_stop,
    .reset = echo_reset,
};

/* ---- the bench ---- */

static void open_host(struct rig *rig)
{
    *rig = (struct rig){0};
    rig->clock = fake_clock_port(&rig->time);
    int err = gmem_create(&rig->gmem, RIG_RAM_BYTES, RIG_HOLE_GPA, RIG_HOLE_END_GPA);
    BUG_ON(err != 0);
    err = bus_create(&rig->bus, "test", UINT64_C(1) << 40);
    BUG_ON(err != 0);
    err = evloop_create(&rig->loop, "test", &rig->clock);
    BUG_ON(err != 0);
}

static void plug(struct rig *rig, struct virtio_device *dev)
{
    rig->dev = dev;
    int err = virtio_mmio_create(&rig->mmio, &(struct virtio_mmio_config){
                                                 .bus = rig->bus,
                                                 .base_gpa = RIG_WINDOW_GPA,
                                                 .irq = fake_irq_line(&rig->irq),
                                                 .doorbell = fake_doorbell_port(&rig->bell),
                                                 .device = dev,
                                             });
    BUG_ON(err != 0);
    vdrv_init(&rig->drv, rig->gmem, rig->bus, RIG_WINDOW_GPA);
}

void rig_open_echo(struct rig *rig)
{
    open_host(rig);
    for (unsigned i = 0; i < sizeof(rig->echo.config); i++)
        rig->echo.config[i] = (uint8_t)(i + 1);
    int err = virtio_device_init(&rig->echo.dev, &(struct virtio_device_config){
                                                     .name = "echo",
                                                     .device_id = 42,
                                                     .ops = &echo_ops,
                                                     .features = VIRTIO_BIT(3),
                                                     .config = rig->echo.config,
                                                     .config_bytes = sizeof(rig->echo.config),
                                                     .queue_count = 2,
                                                     .queue_size_max = 1024,
                                                     .iov_max = 64,
                                                     .loop = rig->loop,
                                                     .gmem = rig->gmem,
                                                 });
    BUG_ON(err != 0);
    plug(rig, &rig->echo.dev);
}

void rig_open_blk(struct rig *rig, bool read_only)
{
    open_host(rig);
    fake_blk_init(&rig->disk, rig->loop, RIG_DISK_BYTES);
    rig->disk.backend.info.read_only = read_only;
    int err = virtio_blk_create(&rig->blk, &(struct virtio_blk_config){
                                               .name = "disk",
                                               .serial = "serial-0123456789abcdef",
                                               .loop = rig->loop,
                                               .gmem = rig->gmem,
                                               .backend = &rig->disk.backend,
                                           });
    BUG_ON(err != 0);
    plug(rig, virtio_blk_device(rig->blk));
}

void rig_open_rng(struct rig *rig)
{
    open_host(rig);
    rig->entropy = fake_entropy_port(&rig->random);
    int err = virtio_rng_create(&rig->rng, &(struct virtio_rng_config){
                                               .name = "rng",
                                               .loop = rig->loop,
                                               .gmem = rig->gmem,
                                               .entropy = &rig->entropy,
                                           });
    BUG_ON(err != 0);
    plug(rig, virtio_rng_device(rig->rng));
}

void rig_open_console(struct rig *rig)
{
    open_host(rig);
    fake_chr_init(&rig->chr, 80, 25);
    int err = virtio_console_create(&rig->console, &(struct virtio_console_config){
                                                       .name = "console",
                                                       .loop = rig->loop,
                                                       .gmem = rig->gmem,
                                                       .backend = &rig->chr.backend,
                                                   });
    BUG_ON(err != 0);
    plug(rig, virtio_console_device(rig->console));
}

void rig_close(struct rig *rig)
{
    virtio_mmio_destroy(rig->mmio);
    virtio_device_fini(&rig->echo.dev);
    virtio_blk_destroy(rig->blk);
    virtio_rng_destroy(rig->rng);
    virtio_console_destroy(rig->console);
    rig_step(rig); /* nothing of the device may be left in the loop */
    fake_blk_fini(&rig->disk);
    evloop_destroy(rig->loop);
    bus_destroy(rig->bus);
    gmem_destroy(rig->gmem);
}

void rig_step(struct rig *rig)
{
    evloop_drain(rig->loop);
}

bool rig_is_broken(struct rig *rig)
{
    return (virtio_device_status(rig->dev) & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0;
}
