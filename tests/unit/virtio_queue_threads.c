// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk whose two queues are served by a thread each, beside the device's own. What these tests
 * prove, they prove under ThreadSanitizer.
 */
#include <sched.h>

#include "core/ports/block.h"
#include "devices/disk/blk_file.h"
#include "tests/harness/rig.h"
#include "tests/harness/test.h"
#include "virtio/blk/blk.h"
#include "virtio/observe/stats.h"
#include "virtio/spec.h"

#define QUEUES     2u
#define DISK_BYTES 65536u
#define DATA_BYTES 4096u
#define FEATURES                                                             \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |   \
     VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | \
     VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_MQ))

static struct rig rig;
static struct evloop *loops[QUEUES];
static struct blk_backend *disk;

static void start(void)
{
    cr_assert_eq(evloop_start_thread(rig.loop), 0);
    for (unsigned i = 0; i < QUEUES; i++)
        cr_assert_eq(evloop_start_thread(loops[i]), 0);
}

static void stop(void)
{
    evloop_stop_thread(rig.loop);
    for (unsigned i = 0; i < QUEUES; i++)
        evloop_stop_thread(loops[i]);
}

static void setup(const struct rig_config *config)
{
    rig_open_host(&rig, config);
    for (unsigned i = 0; i < QUEUES; i++)
        cr_assert_eq(evloop_create(&loops[i], "queue", &clock_host), 0);
    cr_assert_eq(blk_file_create_scratch(&disk, rig.loop, DISK_BYTES), 0);
    struct virtio_blk_config blk = {
        .queue_loops = loops,
        .backend = disk,
        .queues = QUEUES,
    };
    struct virtio_setup setup = rig_setup(&rig, "disk");
    cr_assert_eq(virtio_blk_create(&rig.blk, &setup, &blk), 0);
    cr_assert_eq(virtio_device_measure(virtio_blk_device(rig.blk), &clock_host), 0);
    rig_plug(&rig, virtio_blk_device(rig.blk));
    start();
}

static void teardown(void)
{
    stop();
    rig_unplug(&rig);
    virtio_blk_destroy(rig.blk);
    rig.blk = NULL;
    disk->ops->destroy(disk);
    for (unsigned i = 0; i < QUEUES; i++)
        evloop_destroy(loops[i]);
    rig_close(&rig);
}

/* ---- a vCPU that uses a queue of its own ---- */

struct user {
    unsigned queue;
    uint64_t header_gpa, data_gpa, status_gpa;
    pthread_t thread;
    _Atomic bool stop;
    unsigned rounds, wrong;
};

static void user_init(struct user *u, unsigned queue)
{
    *u = (struct user){.queue = queue};
    u->header_gpa = vdrv_alloc(&rig.drv, VIRTIO_BLK_REQ_HEADER_BYTES, 16);
    u->data_gpa = vdrv_alloc(&rig.drv, DATA_BYTES, 16);
    u->status_gpa = vdrv_alloc(&rig.drv, 1, 1);
}

static bool send(struct user *u, uint32_t type, uint64_t sector, uint32_t bytes)
{
    uint8_t *header = vdrv_ptr(&rig.drv, u->header_gpa, VIRTIO_BLK_REQ_HEADER_BYTES);
    le32_put(header + VIRTIO_BLK_REQ_type, type);
    le64_put(header + VIRTIO_BLK_REQ_sector, sector);
    struct vdrv_buf bufs[] = {
        {u->header_gpa, VIRTIO_BLK_REQ_HEADER_BYTES, false},
        {u->data_gpa, bytes, type == VIRTIO_BLK_T_IN},
        {u->status_gpa, 1, true},
    };
    if (bytes == 0)
        bufs[1] = bufs[2];
    bool sent = vdrv_add(&rig.drv.q[u->queue], bufs, bytes == 0 ? 2 : 3) >= 0;
    vdrv_kick(&rig.drv.q[u->queue]);
    return sent;
}

/* Requests that are not waited for, each with memory of its own. */
static void flood(unsigned queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct user u;
        user_init(&u, queue);
        send(&u, i % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_FLUSH, 0, i % 3 ? DATA_BYTES : 0);
    }
}

static void wait_for_used(unsigned queue, unsigned count)
{
    while (vdrv_used_idx(&rig.drv.q[queue]) < count)
        sched_yield();
}

/* Returns the status byte. */
static uint8_t request(struct user *u, uint32_t type, uint64_t sector, uint32_t bytes)
{
    uint32_t head, len;
    if (!send(u, type, sector, bytes))
        return 0xff;
    while (!vdrv_used(&rig.drv.q[u->queue], &head, &len))
        sched_yield();
    return *(uint8_t *)vdrv_ptr(&rig.drv, u->status_gpa, 1);
}

/* Each has sectors of its own: what it reads is what it wrote. */
static void *use(void *arg)
{
    struct user *u = arg;
    uint8_t *data = vdrv_ptr(&rig.drv, u->data_gpa, DATA_BYTES);
    uint64_t sector = u->queue * (DATA_BYTES / BLK_SECTOR_BYTES);
    for (; !atomic_load(&u->stop) || u->rounds == 0; u->rounds++) {
        uint8_t pattern = (uint8_t)(u->rounds + 1);
        memset(data, pattern, DATA_BYTES);
        u->wrong += request(u, VIRTIO_BLK_T_OUT, sector, DATA_BYTES) != VIRTIO_BLK_S_OK;
        u->wrong += request(u, VIRTIO_BLK_T_FLUSH, 0, 0) != VIRTIO_BLK_S_OK;
        memset(data, 0, DATA_BYTES);
        u->wrong += request(u, VIRTIO_BLK_T_IN, sector, DATA_BYTES) != VIRTIO_BLK_S_OK;
        for (unsigned i = 0; i < DATA_BYTES; i++)
            u->wrong += data[i] != pattern;
    }
    return NULL;
}

static void user_start(struct user *u, unsigned queue)
{
    user_init(u, queue);
    cr_assert_eq(pthread_create(&u->thread, NULL, use, u), 0);
}

static void user_stop(struct user *u)
{
    atomic_store(&u->stop, true);
    pthread_join(u->thread, NULL);
    cr_expect_gt(u->rounds, 0);
    cr_expect_eq(u->wrong, 0);
}

/* ---- tests ---- */

Test(virtio_queue_threads, queues_work_side_by_side)
{
    static const struct rig_config configs[] = {
        {.queues = QUEUES},
        {.transport = RIG_PCI, .packed = true, .queues = QUEUES},
        {.transport = RIG_PCI, .intx = true, .strict = true, .queues = QUEUES},
    };
    for (unsigned c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
        struct user users[QUEUES];
        struct virtio_stats stats;
        setup(&configs[c]);
        cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 16));
        for (unsigned i = 0; i < QUEUES; i++)
            user_start(&users[i], i);
        for (unsigned i = 0; i < 1000; i++) { /* both cache modes, while requests end */
            uint8_t on = i % 2;
            vdrv_config_write(&rig.drv, VIRTIO_BLK_CONFIG_writeback, &on, 1);
            cr_assert(virtio_device_stats(rig.dev, i % QUEUES, &stats));
        }
        for (unsigned i = 0; i < QUEUES; i++) {
            user_stop(&users[i]);
            cr_assert(virtio_device_stats(rig.dev, i, &stats));
            cr_expect_eq(stats.requests, 3 * users[i].rounds);
        }
        cr_expect_not(rig_is_broken(&rig));
        teardown();
    }
}

Test(virtio_queue_threads, a_reset_ends_all_queues)
{
    setup(&(struct rig_config){.queues = QUEUES});
    for (unsigned round = 0; round < 200; round++) {
        cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 64));
        for (unsigned i = 0; i < QUEUES; i++)
            flood(i, 1 + (round + i) % 16);
        wait_for_used(round % QUEUES, round % 3 == 0);
        vdrv_reset(&rig.drv);
        cr_assert_eq(vdrv_status(&rig.drv), 0);
        uint16_t before[QUEUES] = {vdrv_used_idx(&rig.drv.q[0]), vdrv_used_idx(&rig.drv.q[1])};
        for (unsigned i = 0; i < QUEUES; i++) {
            vdrv_kick(&rig.drv.q[i]);
            cr_assert_eq(vdrv_used_idx(&rig.drv.q[i]), before[i], "nothing moves after a reset");
        }
    }
    teardown();
}

/* One queue comes and goes, with requests in flight, while the other goes on. */
Test(virtio_queue_threads, a_queue_is_reset_beside_another)
{
    struct user other, reset;
    setup(&(struct rig_config){.queues = QUEUES});
    cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 16));
    user_start(&other, 1);
    for (unsigned round = 0; round < 100; round++) {
        flood(0, round % 5);
        cr_assert(vdrv_queue_reset(&rig.drv, 0));
        vdrv_queue_set_up(&rig.drv, 0, 16);
    }
    user_init(&reset, 0);
    cr_expect_eq(request(&reset, VIRTIO_BLK_T_IN, 0, DATA_BYTES), VIRTIO_BLK_S_OK);
    user_stop(&other);
    teardown();
}

Test(virtio_queue_threads, each_queue_sees_a_new_size)
{
    const uint64_t behind = DISK_BYTES / BLK_SECTOR_BYTES;
    struct user users[QUEUES], other;
    uint8_t capacity[8];
    setup(&(struct rig_config){.queues = QUEUES, .strict = true});
    cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 16));
    for (unsigned i = 0; i < QUEUES; i++) {
        user_init(&users[i], i);
        cr_expect_eq(request(&users[i], VIRTIO_BLK_T_IN, behind, DATA_BYTES), VIRTIO_BLK_S_IOERR);
    }
    user_start(&other, 1);
    for (unsigned round = 0; round < 50; round++)
        cr_assert_eq(blk_file_resize(disk, DISK_BYTES * (1 + round % 2)), 0);
    user_stop(&other);
    vdrv_config_read(&rig.drv, VIRTIO_BLK_CONFIG_capacity, capacity, sizeof(capacity));
    cr_expect_eq(le64_get(capacity), 2 * behind);
    for (unsigned i = 0; i < QUEUES; i++)
        cr_expect_eq(request(&users[i], VIRTIO_BLK_T_IN, behind, DATA_BYTES), VIRTIO_BLK_S_OK);
    teardown();
}

/* A ring that is broken stops the device, not only its own queue. */
Test(virtio_queue_threads, a_broken_queue_stops_all)
{
    struct user other;
    setup(&(struct rig_config){.queues = QUEUES});
    for (unsigned round = 0; round < 20; round++) {
        cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 16));
        user_init(&other, 1);
        send(&other, VIRTIO_BLK_T_IN, 0, DATA_BYTES);
        vdrv_avail_put(&rig.drv.q[0], 999); /* no such descriptor */
        vdrv_kick(&rig.drv.q[0]);
        while (!rig_is_broken(&rig))
            sched_yield();
        vdrv_reset(&rig.drv);
        cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 16));
        user_init(&other, 1);
        cr_assert_eq(request(&other, VIRTIO_BLK_T_IN, 0, DATA_BYTES), VIRTIO_BLK_S_OK);
    }
    teardown();
}

Test(virtio_queue_threads, a_transport_goes_with_requests_in_flight)
{
    setup(&(struct rig_config){.transport = RIG_PCI, .queues = QUEUES});
    cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 64));
    for (unsigned i = 0; i < QUEUES; i++)
        flood(i, 20);
    rig_unplug(&rig);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct virtio_stats stats;
        cr_assert(virtio_device_stats(virtio_blk_device(rig.blk), i, &stats));
        cr_expect_eq(stats.in_flight, 0);
    }
    teardown();
}

/* As at a machine's end; what the backend has dropped would go on with the threads. */
Test(virtio_queue_threads, requests_are_drained_after_the_threads)
{
    setup(&(struct rig_config){.queues = QUEUES});
    for (unsigned round = 0; round < 50; round++) {
        cr_assert(vdrv_start(&rig.drv, FEATURES, QUEUES, 64));
        for (unsigned i = 0; i < QUEUES; i++)
            flood(i, 10);
        for (unsigned i = 0; i < QUEUES; i++)
            wait_for_used(i, 1);
        stop();
        virtio_blk_drain(rig.blk);
        start();
        for (unsigned i = 0; i < QUEUES; i++)
            wait_for_used(i, 10);
    }
    teardown();
}

/* ---- what cannot be shared ---- */

Test(virtio_queue_threads, a_backend_without_views_is_refused)
{
    struct virtio_blk *blk = NULL;
    rig_open_host(&rig, &(struct rig_config){0});
    fake_blk_init(&rig.disk, rig.loop, RIG_DISK_BYTES);
    struct virtio_blk_config config = {
        .queue_loops = (struct evloop *[]){rig.loop, rig.loop},
        .backend = &rig.disk.backend,
        .queues = QUEUES,
    };
    struct virtio_setup setup = rig_setup(&rig, "disk");
    cr_expect_eq(virtio_blk_create(&blk, &setup, &config), -ENOTSUP);
    rig_close(&rig);
}
