// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gives memory back, for tools/bench balloon: touches mib=N MiB, says "bal: ready", and puts as
 * many of its pages into the balloon as it is asked for, one after the other or, with stride=N,
 * every N-th; or, with reports=N for the number of the queue, it reports them all as free after a
 * key. Then it says "bal: done" with the ticks that this took. It polls.
 */
#include "virtio/balloon/balloon.h"
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define UART_LSR  5
#define LSR_READY 0x01
#define UART_FCR  2

#define MIB        (UINT64_C(1) << 20)
#define PAGE       (UINT64_C(1) << VIRTIO_BALLOON_PAGE_BITS)
#define FIRST_GPA  (RAM_GPA + 128 * MIB)
#define NUMBERS    256u /* in a request, as Linux has */
#define PIECE      (2 * MIB)
#define PIECES     RING_PARTS_MAX /* in a report */
#define INFLATE    VIRTIO_BALLOON_INFLATE
#define CONFIG_GPA (device_gpa + VIRTIO_MMIO_Config)

static uint64_t mib = 64, stride = 1, reports;
static uint64_t device_gpa;
static struct ring_memory memories[VIRTIO_BALLOON_QUEUES];
static struct ring rings[VIRTIO_BALLOON_QUEUES];
static uint32_t numbers[NUMBERS];

static void open_queue(unsigned queue, unsigned parts, uint64_t features)
{
    ring_init(&rings[queue], &memories[queue], 16, parts, features);
    transport_queue(device_gpa, queue, &rings[queue]);
}

static void open_device(void)
{
    device_gpa = transport_find(VIRTIO_ID_BALLOON);
    CHECK(device_gpa != 0 && reports < VIRTIO_BALLOON_QUEUES);
    uint64_t features = transport_negotiate(
        device_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING));
    open_queue(INFLATE, 1, features);
    if (reports)
        open_queue((unsigned)reports, PIECES, features);
    transport_start(device_gpa);
}

static void request(unsigned queue, const struct ring_part *parts)
{
    ring_describe(&rings[queue], 0, parts);
    ring_add(&rings[queue], 0);
    if (ring_publish(&rings[queue]))
        transport_kick(device_gpa, queue);
    while (ring_take(&rings[queue], NULL) < 0)
        pause();
}

static void inflate(uint64_t wanted)
{
    uint64_t all = mib * MIB / PAGE, page = 0;
    CHECK(wanted <= all);
    for (uint64_t done = 0; done < wanted;) {
        unsigned n = 0;
        for (; n < NUMBERS && done < wanted; n++, done++) {
            numbers[n] = (uint32_t)(FIRST_GPA / PAGE + page);
            page += stride;
            if (page >= all)
                page = page % stride + 1;
        }
        request(INFLATE, &(struct ring_part){numbers, 4 * n, false});
    }
    mmio_write32(CONFIG_GPA + VIRTIO_BALLOON_CONFIG_actual, (uint32_t)wanted);
}

static void report(void)
{
    struct ring_part parts[PIECES];
    for (uint64_t gpa = FIRST_GPA; gpa < FIRST_GPA + mib * MIB;
         gpa += sizeof(parts) / sizeof(parts[0]) * PIECE) {
        for (unsigned i = 0; i < PIECES; i++)
            parts[i] = (struct ring_part){(void *)(gpa + i * PIECE), PIECE, true};
        request((unsigned)reports, parts);
    }
}

int main(void)
{
    const struct load_order words[] = {{"mib", &mib}, {"stride", &stride}, {"reports", &reports}};
    rt_irq_init();
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    serial_out(UART_FCR, 1);
    open_device();
    for (uint64_t gpa = FIRST_GPA; gpa < FIRST_GPA + mib * MIB; gpa += PAGE)
        *(volatile uint64_t *)gpa = gpa;
    rt_puts("bal: ready\n");
    uint64_t wanted = 0, begin;
    if (reports) {
        while (!(serial_in(UART_LSR) & LSR_READY))
            pause();
        begin = rt_ticks();
        report();
    } else {
        while ((wanted = mmio_read32(CONFIG_GPA + VIRTIO_BALLOON_CONFIG_num_pages)) == 0)
            load_sleep(100000);
        begin = rt_ticks();
        inflate(wanted);
    }
    uint64_t ticks = rt_ticks() - begin;
    rt_puts("bal: done");
    load_say("ticks", ticks);
    rt_puts("\n");
    for (;;)
        load_sleep(100000000);
}
