// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that means harm, for what it takes several real CPUs. The kernel's command line has its
 * orders, all of them numbers:
 *   mode=N       what it does, see `modes`      rounds=N     so many times [100]
 *   cpus=N       with so many CPUs [2]          packed=0|1   the disk's ring [0]
 *
 * It drives the first disk, and the source of entropy. Modes that come to an end then make one
 * request more, as a driver should, and fail if it does.
 */
#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/spec.h"

#define DATA_GPA    (RAM_GPA + 0x1000000ull) /* free RAM of a guest with 128 MiB */
#define RAM_END_GPA (RAM_GPA + 0x8000000ull)
#define QUEUE_SIZE  128u
#define PARTS       3u
#define IN_FLIGHT   100u

static struct {
    uint64_t mode, rounds, cpus, packed;
} orders = {.rounds = 100, .cpus = 2};

static struct ring_memory disk_memory, rng_memory;
static struct ring disk, rng;
static uint64_t disk_gpa, rng_gpa;
static uint32_t headers[QUEUE_SIZE][4]; /* struct virtio_blk_req: all zero reads sector 0 */
static volatile uint8_t statuses[QUEUE_SIZE];
static uint32_t stop, running;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13; /* Marsaglia's xorshift */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- devices ---- */

static void zero(volatile uint64_t *at, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes / 8; i++)
        at[i] = 0;
}

static void start(uint64_t gpa, struct ring *ring, struct ring_memory *memory, unsigned parts,
                  bool packed)
{
    uint64_t wanted = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
    if (packed)
        wanted |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    uint64_t features = transport_negotiate(gpa, wanted);
    zero((volatile uint64_t *)(void *)memory, sizeof(memory->descs) + sizeof(memory->driver));
    zero((volatile uint64_t *)(void *)memory->device, sizeof(memory->device) / 8 * 8);
    ring_init(ring, memory, QUEUE_SIZE, parts, features);
    transport_queue(gpa, 0, ring);
    transport_start(gpa);
}

static void start_disk(void)
{
    start(disk_gpa, &disk, &disk_memory, PARTS, orders.packed != 0);
}

static void send_read(unsigned slot)
{
    statuses[slot] = 0xff;
    ring_describe(&disk, slot,
                  (struct ring_part[PARTS]){
                      {headers[slot], VIRTIO_BLK_REQ_HEADER_BYTES, false},
                      {(void *)(DATA_GPA + slot * 4096ull), 512, true},
                      {(void *)&statuses[slot], 1, true},
                  });
    ring_add(&disk, slot);
    if (ring_publish(&disk))
        transport_kick(disk_gpa, 0);
}

/* As a driver should, from the reset on. */
static bool disk_works(void)
{
    start_disk();
    send_read(0);
    while (ring_take(&disk, NULL) != 0)
        pause();
    return statuses[0] == VIRTIO_BLK_S_OK;
}

/* ---- what the other CPUs do ---- */

static void begin(void (*on_cpu)(unsigned cpu))
{
    rt_irq_init();
    for (unsigned cpu = 1; cpu < orders.cpus; cpu++)
        rt_cpu_start(cpu, on_cpu);
    while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) < orders.cpus - 1)
        pause();
}

static bool goes_on(void)
{
    return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void end(void)
{
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) > 0)
        pause();
}

static void came(void)
{
    __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

static void left(void)
{
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

/* Halves of descriptors, at random: addresses and lengths that are good, and such as are not. */
static void edit(unsigned cpu)
{
    static const uint64_t addrs[] = {DATA_GPA,   DATA_GPA + 4096, RAM_END_GPA - 1, 0xd0000000,
                                     0xfee00000, RAM_END_GPA,     DATA_GPA + 8192, UINT64_MAX};
    static const uint32_t lens[] = {0, 1, 16, 512, 4096, 0x7fffffff, UINT32_MAX, 513};
    volatile uint64_t *descs = (volatile uint64_t *)(void *)disk_memory.descs;
    uint64_t state = rt_ticks() | cpu;
    for (came(); goes_on();) {
        uint64_t r = next_random(&state);
        uint64_t at = (r >> 32) % QUEUE_SIZE;
        if (r & 1)
            descs[2 * at] = addrs[r >> 8 & 7];
        else
            descs[2 * at + 1] = lens[r >> 8 & 7] | (r >> 12 & (r & 0xf00000 ? 3 : 7)) << 32 |
                                (r >> 16 & 0x8080) << 48 | (r >> 40) % QUEUE_SIZE << 48;
    }
    left();
}

/* Every queue that there is, and such as there are not, of both devices. */
static void storm(unsigned cpu)
{
    uint64_t state = rt_ticks() | cpu;
    for (came(); goes_on();) {
        uint64_t r = next_random(&state);
        transport_kick(r & 1 ? disk_gpa : rng_gpa, r & 6 ? 0 : (unsigned)(r >> 8));
    }
    left();
}

/* Gives the entropy device all its buffers again as soon as it has filled one. */
static void refill(unsigned cpu)
{
    (void)cpu;
    unsigned slots = ring_slots(&rng);
    for (unsigned slot = 0; slot < slots; slot++) {
        ring_describe(&rng, slot,
                      &(struct ring_part){(void *)(DATA_GPA + slot * 4096ull), 64, true});
        ring_add(&rng, slot);
    }
    for (came(); goes_on();) {
        if (ring_publish(&rng))
            transport_kick(rng_gpa, 0);
        for (int slot; (slot = ring_take(&rng, NULL)) >= 0;)
            ring_add(&rng, (unsigned)slot);
    }
    left();
}

static void break_it(unsigned cpu)
{
    (void)cpu;
    came();
    load_sleep(10000000);
    rt_break();
}

/* ---- modes ---- */

static void edits(void)
{
    start_disk();
    begin(edit);
    for (uint64_t i = 0; i < orders.rounds; i++) {
        if (mmio_read32(disk_gpa + VIRTIO_MMIO_Status) & VIRTIO_STATUS_DEVICE_NEEDS_RESET ||
            i % 512 == 0)
            start_disk();
        /* Again and again, in flight or not: a split ring's descriptors stay as they were edited.
         */
        unsigned slot = (unsigned)(i % ring_slots(&disk));
        if (disk.ring.packed)
            vdrv_ring_free(&disk.ring, ring_add(&disk, slot));
        else
            vdrv_ring_avail_put(&disk.ring, (uint16_t)(slot * PARTS));
        ring_publish(&disk);
        transport_kick(disk_gpa, 0);
    }
    end();
}

/* The disk is served meanwhile, and the device that has no rest can be reset. */
static void refills(void)
{
    start(rng_gpa, &rng, &rng_memory, 1, false);
    begin(refill);
    for (uint64_t i = 0; i < orders.rounds; i++)
        CHECK(disk_works());
    mmio_write32(rng_gpa + VIRTIO_MMIO_Status, 0);
    while (mmio_read32(rng_gpa + VIRTIO_MMIO_Status) != 0)
        pause();
    end();
}

/* Resets with requests in flight, and all other CPUs kick. */
static void storms(void)
{
    begin(storm);
    for (uint64_t i = 0; i < orders.rounds; i++) {
        start_disk();
        for (unsigned slot = 0; slot < i % 4; slot++)
            send_read(slot);
        start(rng_gpa, &rng, &rng_memory, 1, false);
    }
    end();
}

static void fill_disk(void)
{
    start_disk();
    for (unsigned slot = 0; slot < IN_FLIGHT && slot < ring_slots(&disk); slot++)
        send_read(slot);
}

static void power_off_busy(void)
{
    fill_disk();
    rt_power_off();
}

/* Another CPU breaks the machine while this one is inside of a device. */
static void break_busy(void)
{
    fill_disk();
    begin(break_it);
    for (;;)
        start_disk();
}

static void (*const modes[])(void) = {edits, refills, storms, power_off_busy, break_busy};

int main(void)
{
    const struct load_order words[] = {
        {"mode", &orders.mode},
        {"rounds", &orders.rounds},
        {"cpus", &orders.cpus},
        {"packed", &orders.packed},
    };
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(orders.mode < sizeof(modes) / sizeof(modes[0]) && orders.cpus <= RT_CPUS);
    disk_gpa = transport_find(VIRTIO_ID_BLOCK);
    rng_gpa = transport_find(VIRTIO_ID_ENTROPY);
    CHECK(disk_gpa != 0 && rng_gpa != 0);
    modes[orders.mode]();
    return disk_works() ? 0 : EXIT_FAILED;
}
