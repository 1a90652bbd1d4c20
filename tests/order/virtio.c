// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a device's loop and a vCPU tell each other by a device's status and its interrupts: the
 * atomics of virtio/base and virtio/transport.
 */
#include <criterion/criterion.h>

#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "core/ports/irq.h"
#include "core/ports/pci.h"
#include "tests/order/needed.h"
#include "tests/order/threads.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"
#include "virtio/transport/pci.h"
#include "virtio/transport/pci_impl.h"

#define RAM      0x4000u
#define WINDOW   0x10000u
#define MMIO_ISR (WINDOW + VIRTIO_MMIO_InterruptStatus)
#define MMIO_ACK (WINDOW + VIRTIO_MMIO_InterruptACK)

static uint8_t config[2];
static bool is_stopping;
static struct gmem *gmem;
static struct virtio_device dev;
static struct bus *mmio;
static struct virtio_pci *pci;
static bool saw, level;
static struct event interrupt;
static uint32_t used;

/* ---- a device with one queue, whose loop is thread 0 ---- */

static void stop_queue(struct virtio_device *d, unsigned queue)
{
    (void)d, (void)queue;
}

static bool queue_is_stopping_still(const struct virtio_device *d, unsigned queue)
{
    (void)d, (void)queue;
    return is_stopping;
}

static const struct virtio_device_type type = {.name = "order", .id = 42};
static const struct virtio_device_ops ops = {
    .queue_ready = stop_queue,
    .queue_stop = stop_queue,
    .queue_is_stopping = queue_is_stopping_still,
};

static void pulse(void *ctx, unsigned irq, bool up)
{
    (void)ctx, (void)irq;
    if (up)
        event_set(&interrupt);
}

static void set_level(void *ctx, unsigned devfn, unsigned pin, bool up)
{
    (void)ctx, (void)devfn, (void)pin;
    model_lock(&interrupt.lock);
    level = up;
    model_unlock(&interrupt.lock);
}

static void make_device(void)
{
    static const uint32_t all = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    if (dev.queues != NULL)
        vq_deactivate(&dev.queues[0].vq); /* the execution before may have left it running */
    forget_memory();
    if (gmem == NULL)
        cr_assert_eq(gmem_create(&gmem, RAM, RAM, RAM), 0);
    struct virtio_setup setup = {.name = "order", .gmem = gmem, .queue_size_max = 2};
    struct virtio_device_config c = {
        .type = &type, .ops = &ops, .config = config, .config_bytes = 2, .queue_count = 1};
    cr_assert_eq(virtio_device_init(&dev, &setup, &c), 0);
    cr_assert_eq(bus_create(&mmio, "bus", UINT64_C(1) << 46), 0);
    virtio_device_set_status(&dev, all);
    virtio_device_accept(&dev, 1, 1);
    memset(config, 0, sizeof(config));
    is_stopping = saw = level = false;
    interrupt = (struct event){0};
    used = 0;
}

static void run_device(void)
{
    virtio_device_set_status(&dev, VIRTIO_STATUS_FEATURES_OK);
    struct vq_config *q = virtio_device_queue_writable(&dev, 0);
    *q = (struct vq_config){.size = 2, .driver = 0x1000, .device = 0x2000};
    virtio_device_set_queue_ready(&dev, 0, true);
    virtio_device_set_status(&dev, VIRTIO_STATUS_DRIVER_OK);
    cr_assert(virtio_queue_runs(&dev.queues[0]));
}

static void prepare_mmio(void *ctx)
{
    static struct virtio_mmio *transport;
    (void)ctx;
    make_device();
    struct virtio_mmio_config c = {
        .bus = mmio, .base_gpa = WINDOW, .irq = {.set = pulse, .eventfd = -1}, .device = &dev};
    cr_assert_eq(virtio_mmio_create(&transport, &c), 0);
    run_device();
}

static void prepare_pci(void *ctx)
{
    (void)ctx;
    make_device();
    cr_assert_eq(virtio_pci_create(&pci, &(struct virtio_pci_config){.mmio = mmio, .device = &dev}),
                 0);
    pci->func.intx = (struct pci_intx){.set = set_level};
    run_device();
}

/* ---- the end of a reset that takes its time ---- */

static void prepare_reset(void *ctx)
{
    prepare_mmio(ctx);
    is_stopping = true;
    virtio_device_set_status(&dev, 0);
}

static void end_stopping(void *ctx)
{
    (void)ctx;
    is_stopping = false;
    loop_lock();
    virtio_queue_stopped(&dev, 0);
    loop_unlock();
}

static void begin_again(void *ctx)
{
    (void)ctx;
    saw = virtio_device_status(&dev) == 0;
    if (saw)
        virtio_device_set_status(&dev, VIRTIO_STATUS_ACKNOWLEDGE);
}

static const char *judge_reset(void *ctx)
{
    (void)ctx;
    if (virtio_device_status(&dev) != (saw ? VIRTIO_STATUS_ACKNOWLEDGE : 0))
        return "the first step after a reset is lost";
    return NULL;
}

/* ---- a device that fails while it is reset ---- */

static void fail_device(void *ctx)
{
    (void)ctx;
    loop_lock();
    if (virtio_queue_runs(&dev.queues[0]))
        virtio_device_fail(&dev, "a test");
    loop_unlock();
}

static void reset_device(void *ctx)
{
    (void)ctx;
    virtio_device_set_status(&dev, 0);
}

static const char *judge_failed(void *ctx)
{
    (void)ctx;
    return virtio_device_status(&dev) == 0 ? NULL : "a reset is not complete";
}

/* The driver hears of it, and then sees it. */
static void hear_of_failure(void *ctx)
{
    uint64_t isr;
    (void)ctx;
    event_wait(&interrupt);
    bus_read(mmio, MMIO_ISR, 4, &isr);
    if ((isr & VIRTIO_ISR_CONFIG) != 0 &&
        (virtio_device_status(&dev) & VIRTIO_STATUS_DEVICE_NEEDS_RESET) == 0)
        model_fail("a driver that is told of a failure does not see it");
}

/* ---- the configuration space ---- */

static void change_config(void *ctx)
{
    (void)ctx;
    loop_lock();
    model_touch(config, 2, true);
    config[0]++;
    config[1]++;
    virtio_device_config_changed(&dev);
    loop_unlock();
}

static void read_config(void *ctx)
{
    (void)ctx;
    uint32_t before = virtio_device_generation(&dev);
    uint64_t first = virtio_device_config_read(&dev, 0, 1);
    uint64_t second = virtio_device_config_read(&dev, 1, 1);
    if (virtio_device_generation(&dev) == before && first != second)
        model_fail("a driver sees half of a change");
}

static const char *no_more(void *ctx)
{
    (void)ctx;
    return NULL;
}

/* ---- interrupts: what the device did before one is seen by its handler ---- */

static void use_twice(void *ctx)
{
    (void)ctx;
    for (unsigned i = 1; i <= 2; i++) {
        model_store(&used, sizeof(used), i, __ATOMIC_RELAXED);
        dev.host.ops->notify_queue(dev.host.ctx, 0);
    }
}

/* As Linux's handlers: who finds no cause does not look. */
static void handle_mmio(void *ctx)
{
    uint64_t isr;
    (void)ctx;
    for (uint64_t seen = 0; seen < 2;) {
        event_wait(&interrupt);
        bus_read(mmio, MMIO_ISR, 4, &isr);
        if (isr == 0)
            continue;
        bus_write(mmio, MMIO_ACK, 4, isr);
        seen = model_load(&used, sizeof(used), __ATOMIC_RELAXED);
    }
}

static bool is_up(void *ctx)
{
    (void)ctx;
    return level;
}

static void handle_intx(void *ctx)
{
    (void)ctx;
    for (uint64_t seen = 0; seen < 2;) {
        model_wait(is_up, NULL);
        if (virtio_pci_take_isr(pci) != 0)
            seen = model_load(&used, sizeof(used), __ATOMIC_RELAXED);
    }
}

static const char *judge_level(void *ctx)
{
    (void)ctx;
    return level == (pci->regs.isr != 0) ? NULL : "the line is not as the ISR status says";
}

static bool virtio_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_reset, .threads = {end_stopping, begin_again}, .judge = judge_reset},
        {.prepare = prepare_mmio, .threads = {fail_device, reset_device}, .judge = judge_failed},
        {.prepare = prepare_mmio, .threads = {fail_device, hear_of_failure}, .judge = no_more},
        {.prepare = prepare_mmio, .threads = {change_config, read_config}, .judge = no_more},
        {.prepare = prepare_mmio, .threads = {use_twice, handle_mmio}, .judge = no_more},
        {.prepare = prepare_pci, .threads = {use_twice, handle_intx}, .judge = judge_level},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, drivers_see_what_they_are_told_of)
{
    /* The device's, and the driver's own acknowledgement. */
    check_relaxed_is_found(virtio_holds,
                           (const char *const[]){"interrupt", "set", "set_isr", NULL});
}
