// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

#define RX VIRTIO_CONSOLE_RX
#define TX VIRTIO_CONSOLE_TX

static void open_started(struct rig *rig)
{
    rig_open_console(rig);
    rig_start(rig, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 16);
}

static void print(struct rig *rig, const char *text, uint32_t len)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 1);
    memcpy(vdrv_ptr(&rig->drv, gpa, len), text, len);
    cr_assert_geq(vdrv_send(&rig->drv.q[TX], &(struct vdrv_buf){gpa, len, false}, 1), 0);
    rig_step(rig);
}

/* Gives the device a buffer for input. */
static const char *listen(struct rig *rig, uint32_t len)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 1);
    cr_assert_geq(vdrv_send(&rig->drv.q[RX], &(struct vdrv_buf){gpa, len, true}, 1), 0);
    rig_step(rig);
    return vdrv_ptr(&rig->drv, gpa, len);
}

/* How many chains came back, and how much was written into the last. */
static unsigned take(struct rig *rig, unsigned queue, uint32_t *len)
{
    uint32_t head;
    unsigned n = 0;
    while (vdrv_used(&rig->drv.q[queue], &head, len))
        n++;
    return n;
}

OnRig(virtio_console, prints, open_started(rig))
{
    uint32_t len;
    print(rig, "hello ", 6);
    print(rig, "world", 5);
    cr_expect_eq(rig->chr.out_bytes, 11);
    cr_expect_arr_eq(rig->chr.out, "hello world", 11);
    cr_expect_eq(take(rig, TX, &len), 2);
    cr_expect_eq(len, 0);
}

OnRig(virtio_console, waits_for_a_slow_reader, open_started(rig))
{
    uint32_t len;
    rig->chr.room = 4;
    print(rig, "hello ", 6);
    print(rig, "world", 5);
    cr_expect_eq(rig->chr.out_bytes, 4);
    cr_expect_eq(take(rig, TX, &len), 0, "the chain waits");
    fake_chr_open(&rig->chr, 3);
    rig_step(rig);
    cr_expect_eq(rig->chr.out_bytes, 7);
    cr_expect_eq(take(rig, TX, &len), 1);
    fake_chr_open(&rig->chr, 100);
    rig_step(rig);
    cr_expect_eq(take(rig, TX, &len), 1);
    cr_expect_eq(rig->chr.out_bytes, 11);
    cr_expect_arr_eq(rig->chr.out, "hello world", 11);
}

OnRig(virtio_console, prints_long_texts_in_turns, open_started(rig))
{
    uint32_t len;
    uint32_t bytes = 3 * VIRTIO_CONSOLE_TURN_BYTES + 1;
    uint64_t gpa = vdrv_alloc(&rig->drv, bytes, 1);
    memset(vdrv_ptr(&rig->drv, gpa, bytes), 'x', bytes);
    vdrv_send(&rig->drv.q[TX], &(struct vdrv_buf){gpa, bytes, false}, 1);
    rig_step(rig);
    cr_expect_eq(rig->chr.out_bytes, bytes);
    cr_expect_eq(take(rig, TX, &len), 1);
}

OnRig(virtio_console, asks_for_input_while_there_are_buffers, open_started(rig))
{
    uint32_t len;
    cr_expect_eq(rig->chr.rx_max, 0);
    cr_expect_eq(fake_chr_type(&rig->chr, "a", 1), 0, "no buffer, no input");
    const char *first = listen(rig, 4), *second = listen(rig, 8);
    cr_expect_eq(rig->chr.rx_max, 4);
    cr_expect_eq(fake_chr_type(&rig->chr, "abcdefgh", 8), 8);
    rig_step(rig);
    cr_expect_eq(take(rig, RX, &len), 2);
    cr_expect_eq(len, 4, "given back without waiting for more");
    cr_expect_arr_eq(first, "abcd", 4);
    cr_expect_arr_eq(second, "efgh", 4);
    cr_expect_eq(rig->chr.rx_max, 0);
    cr_expect_geq(fake_irq_take(&rig->irq), 1);
    listen(rig, 2);
    cr_expect_eq(rig->chr.rx_max, 2);
}

OnRig(virtio_console, passes_over_buffers_without_room, open_started(rig))
{
    uint32_t len;
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    vdrv_add(&rig->drv.q[RX], &(struct vdrv_buf){gpa, 0, true}, 1);
    vdrv_add(&rig->drv.q[RX], &(struct vdrv_buf){gpa, 8, false}, 1);
    const char *buffer = listen(rig, 4);
    cr_expect_eq(take(rig, RX, &len), 2);
    cr_expect_eq(fake_chr_type(&rig->chr, "ok", 2), 2);
    cr_expect_arr_eq(buffer, "ok", 2);
}

OnRig(virtio_console, tells_its_size_and_when_it_changes, open_started(rig))
{
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Config), 80 | 25 << 16);
    uint32_t generation = vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration);
    cr_expect_geq(rig_config_irqs(rig), 1);
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 132, 43);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Config), 132 | 43 << 16);
    cr_expect_neq(vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration), generation);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
}

/* Linux 6.1 looks at it then, and not before. */
OnEachRig(virtio_console, tells_its_size_when_the_driver_is_ready, rig_open_console_on(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    cr_expect_eq(rig_config_irqs(rig), 0, "%s", name);
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 16), "%s", name);
    cr_expect_eq(rig_config_irqs(rig), 1, "%s", name);
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 16), "%s", name);
    cr_expect_eq(rig_config_irqs(rig), 0, "%s: a driver that does not ask", name);
}

OnRig(virtio_console, a_backend_without_a_size_offers_none, rig_open_console(rig))
{
    struct virtio_console *console;
    struct fake_chr pipe;
    cr_expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE));
    fake_chr_init(&pipe, 0, 0);
    struct virtio_setup setup = {.name = "pipe", .loop = rig->loop, .gmem = rig->gmem};
    cr_assert_eq(virtio_console_create(&console, &setup,
                                       &(struct virtio_console_config){.backend = &pipe.backend}),
                 0);
    cr_expect_eq(virtio_device_features(virtio_console_device(console), 0) & 1, 0);
    virtio_console_destroy(console);
    cr_expect_null(pipe.backend.handler);
}

OnRig(virtio_console, a_stopped_queue_is_out_of_reach_of_the_outside, open_started(rig))
{
    rig->chr.room = 0;
    print(rig, "lost", 4);
    listen(rig, 4);
    for (unsigned queue = 0; queue < 2; queue++) {
        vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, queue);
        vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    }
    fake_chr_open(&rig->chr, 100);
    rig_step(rig);
    cr_expect_eq(rig->chr.out_bytes, 0);
    cr_expect_eq(fake_chr_type(&rig->chr, "x", 1), 0);
}

OnRig(virtio_console, reset_forgets_what_was_under_way, open_started(rig))
{
    uint32_t len;
    rig->chr.room = 0;
    print(rig, "lost", 4);
    listen(rig, 4);
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->chr.rx_max, 0);
    fake_chr_open(&rig->chr, 100);
    cr_expect_eq(rig->chr.out_bytes, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 16));
    print(rig, "new", 3);
    cr_expect_arr_eq(rig->chr.out, "new", 3);
    cr_expect_eq(take(rig, TX, &len), 1);
}
