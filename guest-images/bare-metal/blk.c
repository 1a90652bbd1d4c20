// SPDX-License-Identifier: BSD-2-Clause
/*
 * A load for a virtio block device, for tools/bench blk: keeps `depth` requests in flight, polls
 * for their ends (or, with irq=1, waits for the interrupts of them), and prints what came of it on
 * the serial port.
 *
 * The kernel's command line has its orders, all of them numbers:
 *   write=0|1       read or write [0]              seq=0|1       random or in sequence [0]
 *   size=BYTES      of a request [4096]            depth=N       requests in flight [1]
 *   requests=N      to measure at most [no end]    ticks=N       to measure at most [no end]
 *   warm=TICKS      of the same, not measured [0]  gap=TICKS     between requests; depth=1 [0]
 *   packed=0|1 event_idx=0|1 indirect=0|1          take this feature if offered [0 1 1]
 *   irq=0|1         wait for interrupts [0]
 *   device=GPA      its registers [the first]      linger=TICKS  before the run ends [0]
 *
 * It says "blk: start" when measuring begins and ends with a line of results. Ticks are those of
 * the clock; a latency is from the request's being shown to the device until it was
 * found done, percentiles to within three percent.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define DATA_GPA      (RAM_GPA + 0x1000000ull) /* free RAM of a guest with 128 MiB */
#define DATA_BYTES    0x6000000ull
#define QUEUE_SIZE    256u
#define REQUEST_PARTS 3u
#define IRQ_VECTOR    0x30

struct orders {
    uint64_t write, seq, size, depth, requests, ticks, warm, gap;
    uint64_t packed, event_idx, indirect, irq, device, linger;
};

struct request_header { /* struct virtio_blk_req */
    uint32_t type, reserved;
    uint64_t sector;
};

struct results {
    uint64_t requests, ticks, kicks, errors;
    struct load_latencies latencies;
};

static struct orders orders = {.size = 4096,
                               .depth = 1,
                               .requests = LOAD_FOREVER,
                               .ticks = LOAD_FOREVER,
                               .event_idx = 1,
                               .indirect = 1};
static struct results results;
static struct ring_memory ring_memory;
static struct ring ring;
static uint64_t device_gpa, places, place; /* places: how many requests the disk has room for */
static struct request_header headers[RING_SLOTS_MAX];
static volatile uint8_t statuses[RING_SLOTS_MAX];
static uint64_t started[RING_SLOTS_MAX];
static uint8_t idle[RING_SLOTS_MAX]; /* a stack of slots */
static unsigned idle_count;
static volatile uint32_t interrupts;

/* ---- orders ---- */

static void take_orders(void)
{
    const struct load_order words[] = {
        {"write", &orders.write},       {"seq", &orders.seq},
        {"size", &orders.size},         {"depth", &orders.depth},
        {"requests", &orders.requests}, {"ticks", &orders.ticks},
        {"warm", &orders.warm},         {"gap", &orders.gap},
        {"packed", &orders.packed},     {"event_idx", &orders.event_idx},
        {"indirect", &orders.indirect}, {"device", &orders.device},
        {"irq", &orders.irq},           {"linger", &orders.linger},
    };
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(orders.size >= 512 && orders.size % 512 == 0);
    CHECK(orders.depth >= 1 && orders.depth <= RING_SLOTS_MAX);
    CHECK(orders.size <= DATA_BYTES / orders.depth);
}

/* ---- the device ---- */

static void on_irq(unsigned vector)
{
    (void)vector;
    transport_irq_ack(device_gpa);
    interrupts++;
}

static void open_device(void)
{
    uint64_t wanted = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
    if (orders.packed)
        wanted |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    if (orders.event_idx)
        wanted |= VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    if (orders.indirect)
        wanted |= VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    device_gpa = orders.device != 0 ? orders.device : transport_find(VIRTIO_ID_BLOCK);
    CHECK(device_gpa != 0);
    uint64_t features = transport_negotiate(device_gpa, wanted);
    CHECK(!orders.packed || features & VIRTIO_BIT(VIRTIO_F_RING_PACKED));

    uint32_t size = transport_queue_max(device_gpa, 0);
    ring_init(&ring, &ring_memory, size < QUEUE_SIZE ? size : QUEUE_SIZE, REQUEST_PARTS, features);
    CHECK(orders.depth <= ring_slots(&ring));
    transport_queue(device_gpa, 0, &ring);
    if (orders.irq) {
        rt_irq_handler(IRQ_VECTOR, on_irq);
        rt_irq_route(transport_irq(device_gpa), IRQ_VECTOR);
    }
    transport_start(device_gpa);
    places = transport_config64(device_gpa, VIRTIO_BLK_CONFIG_capacity) / (orders.size / 512);
    CHECK(places > 0);
}

static void describe_requests(void)
{
    for (unsigned slot = 0; slot < orders.depth; slot++) {
        headers[slot].type = orders.write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
        ring_describe(
            &ring, slot,
            (struct ring_part[REQUEST_PARTS]){
                {&headers[slot], VIRTIO_BLK_REQ_HEADER_BYTES, false},
                {(void *)(DATA_GPA + slot * orders.size), (uint32_t)orders.size, !orders.write},
                {(void *)&statuses[slot], 1, true},
            });
        idle[idle_count++] = (uint8_t)slot;
    }
}

/* ---- the load ---- */

static uint64_t next_place(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    if (orders.seq)
        return place + 1 < places ? ++place : (place = 0);
    return load_random(&state, places);
}

static void note(unsigned slot, uint64_t now)
{
    results.requests++;
    results.errors += statuses[slot] != VIRTIO_BLK_S_OK;
    load_note(&results.latencies, now - started[slot]);
}

/* Until something may be done. */
static void await(void)
{
    uint32_t seen = interrupts;
    if (!orders.irq)
        pause();
    else if (vdrv_ring_irq_on(&ring.ring, 0)) /* nothing came back meanwhile */
        rt_irq_wait(&interrupts, seen);
}

/* Everything that is done; true if there was anything. */
static bool reap(void)
{
    int slot = ring_take(&ring, NULL);
    if (slot < 0)
        return false;
    for (uint64_t now = rt_ticks(); slot >= 0; slot = ring_take(&ring, NULL)) {
        note((unsigned)slot, now);
        idle[idle_count++] = (uint8_t)slot;
    }
    return true;
}

static void submit(uint64_t count)
{
    uint64_t now = rt_ticks();
    for (; count > 0 && idle_count > 0; count--) {
        unsigned slot = idle[--idle_count];
        headers[slot].sector = next_place() * (orders.size / 512);
        statuses[slot] = 0xff;
        started[slot] = now;
        ring_add(&ring, slot);
    }
    if (ring_publish(&ring)) {
        results.kicks++;
        transport_kick(device_gpa, 0);
    }
}

/* Until so many requests or ticks; then waits for what is in flight. */
static void run(uint64_t requests, uint64_t ticks)
{
    results = (struct results){.latencies.min = UINT64_MAX};
    uint64_t begin = rt_ticks(), issued = 0;
    do {
        if (orders.gap != 0)
            load_sleep(orders.gap);
        unsigned before = idle_count;
        submit(requests - issued);
        issued += before - idle_count;
        while (!reap())
            await();
    } while (issued < requests && rt_ticks() - begin < ticks);
    while (idle_count < orders.depth)
        if (!reap())
            await();
    results.ticks = rt_ticks() - begin;
}

/* ---- the end ---- */

int main(void)
{
    rt_irq_init(); /* some servers of vhost-user interrupt a driver that asked for none */
    take_orders();
    open_device();
    describe_requests();
    if (orders.warm != 0)
        run(LOAD_FOREVER, orders.warm);
    rt_puts("blk: start\n");
    run(orders.requests, orders.ticks);

    rt_puts("blk: end");
    load_say("requests", results.requests);
    load_say("bytes", results.requests * orders.size);
    load_say("ticks", results.ticks);
    load_say_latencies(&results.latencies);
    load_say("kicks", results.kicks);
    load_say("errors", results.errors);
    rt_puts("\n");
    load_sleep(orders.linger);
    return results.errors != 0;
}
