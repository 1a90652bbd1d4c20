// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/balloon/balloon.h"

#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/base/device.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"

#define PAGE      4096u
#define REPORTING (VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING))
#define POISON    (VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON))

/* Pages of the test: where no ring is. */
#define FIRST (RIG_HOLE_END_GPA / PAGE)
#define PAGES 64u

static uint8_t *page_at(struct rig *rig, unsigned i)
{
    return vdrv_ptr(&rig->drv, (uint64_t)(FIRST + i) * PAGE, PAGE);
}

static void fill_pages(struct rig *rig)
{
    for (unsigned i = 0; i < PAGES; i++)
        memset(page_at(rig, i), (int)(i | 0x80), PAGE);
}

static bool is_empty(struct rig *rig, unsigned i)
{
    const uint8_t *page = page_at(rig, i);
    bool differs = false;
    for (unsigned at = 0; at < PAGE; at++) {
        differs |= page[at] != page[0];
        cr_assert(page[at] == 0 || page[at] == (i | 0x80), "page %u, byte %u", i, at);
    }
    cr_expect(!differs, "page %u has gone in part", i);
    return page[0] == 0;
}

static void start(struct rig *rig, uint64_t features)
{
    rig_start(rig, features, VIRTIO_BALLOON_QUEUES, 64);
    fill_pages(rig);
}

static uint32_t send(struct rig *rig, unsigned queue, const struct vdrv_buf *bufs, unsigned count)
{
    uint32_t head, len = UINT32_MAX;
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, count), 0);
    rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[queue], &head, &len), "queue %u", queue);
    return len;
}

static void send_numbers(struct rig *rig, unsigned queue, const uint32_t *numbers, unsigned count)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 4 * (uint64_t)count, 4);
    memcpy(vdrv_ptr(&rig->drv, gpa, 4 * (uint64_t)count), numbers, 4 * (size_t)count);
    cr_expect_eq(send(rig, queue, &(struct vdrv_buf){gpa, 4 * count, false}, 1), 0);
}

static uint32_t read_field(struct rig *rig, unsigned offset)
{
    uint32_t value;
    vdrv_config_read(&rig->drv, offset, &value, 4);
    return value;
}

OnEveryRig(virtio_balloon, pages_go_back_to_the_host, rig_open_balloon_on(rig, on))
{
    /* Runs up and down, pages alone, one twice, and what is no memory. */
    static const uint32_t numbers[] = {FIRST + 3,  FIRST + 4, FIRST + 5,  FIRST + 9, FIRST + 8,
                                       FIRST + 20, FIRST + 3, UINT32_MAX, 0xfffffff, FIRST + 22,
                                       FIRST - 1,  FIRST,     FIRST + 1};
    static const bool gone[PAGES] = {[0] = true, [1] = true, [3] = true,  [4] = true, [5] = true,
                                     [8] = true, [9] = true, [20] = true, [22] = true};
    start(rig, 0);
    send_numbers(rig, VIRTIO_BALLOON_INFLATE, numbers, ARRAY_SIZE(numbers));
    for (unsigned i = 0; i < PAGES; i++)
        cr_expect_eq(is_empty(rig, i), gone[i], "%s: page %u", rig_config_name(&rig->cfg), i);
    memset(page_at(rig, 3), 0x83, PAGE);
    send_numbers(rig, VIRTIO_BALLOON_DEFLATE, numbers, ARRAY_SIZE(numbers));
    cr_expect(!is_empty(rig, 3), "it is the guest's again");
    cr_expect(!rig_is_broken(rig));
}

OnRig(virtio_balloon, a_number_may_be_cut, rig_open_balloon_on(rig, &rig_variants[0]))
{
    uint32_t number[2] = {FIRST + 7, FIRST + 8};
    start(rig, 0);
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 1);
    memcpy(vdrv_ptr(&rig->drv, gpa, 8), number, 8);
    struct vdrv_buf bufs[] = {{gpa, 1, false}, {gpa + 1, 5, false}, {gpa + 6, 1, false}};
    send(rig, VIRTIO_BALLOON_INFLATE, bufs, ARRAY_SIZE(bufs));
    cr_expect(is_empty(rig, 7));
    cr_expect(!is_empty(rig, 8), "three bytes are no number");
}

OnEachRig(virtio_balloon, reported_pages_go_back_to_the_host, rig_open_balloon_on(rig, on))
{
    start(rig, REPORTING | POISON);
    struct vdrv_buf bufs[] = {{(uint64_t)FIRST * PAGE, 4 * PAGE, true},
                              {(uint64_t)(FIRST + 8) * PAGE + 1, 3 * PAGE - 2, true}};
    cr_expect_eq(send(rig, VIRTIO_BALLOON_REPORTS, bufs, 2), 0);
    for (unsigned i = 0; i < PAGES; i++)
        cr_expect_eq(is_empty(rig, i), i < 4 || i == 9, "page %u: whole pages alone", i);
}

/* VIRTIO 1.4 5.5.6.7.2: a page that is reported reads as poison_val afterwards, if at all. */
OnEachRig(virtio_balloon, poisoned_pages_stay, rig_open_balloon_on(rig, on))
{
    uint32_t poison = 0xaaaaaaaa;
    struct vdrv_buf buf = {(uint64_t)FIRST * PAGE, 4 * PAGE, true};
    start(rig, REPORTING | POISON);
    vdrv_config_write(&rig->drv, VIRTIO_BALLOON_CONFIG_poison_val, &poison, 4);
    cr_expect_eq(send(rig, VIRTIO_BALLOON_REPORTS, &buf, 1), 0);
    cr_expect(!is_empty(rig, 0));
    vdrv_reset(&rig->drv);
    start(rig, REPORTING | POISON);
    cr_expect_eq(send(rig, VIRTIO_BALLOON_REPORTS, &buf, 1), 0);
    cr_expect(is_empty(rig, 0), "a new driver has said nothing of poison");
}

OnEveryRig(virtio_balloon, its_size_is_asked_for, rig_open_balloon_on(rig, on))
{
    struct virtio_balloon_status status;
    uint32_t actual = 200;
    start(rig, 0);
    cr_expect_eq(rig_config_irqs(rig), 0);
    virtio_balloon_set_target(rig->balloon, 300 * PAGE + 1);
    cr_expect_eq(rig_config_irqs(rig), 1);
    cr_expect_eq(read_field(rig, VIRTIO_BALLOON_CONFIG_num_pages), 300);
    virtio_balloon_set_target(rig->balloon, 300 * PAGE);
    cr_expect_eq(rig_config_irqs(rig), 0, "nothing new");
    vdrv_config_write(&rig->drv, VIRTIO_BALLOON_CONFIG_actual, &actual, 4);
    vdrv_config_write(&rig->drv, VIRTIO_BALLOON_CONFIG_num_pages, &actual, 4);
    virtio_balloon_status(rig->balloon, &status);
    cr_expect(status.driver_runs);
    cr_expect_eq(status.target_bytes, 300 * PAGE, "the driver cannot change it");
    cr_expect_eq(status.actual_bytes, 200 * PAGE);
    vdrv_reset(&rig->drv);
    virtio_balloon_status(rig->balloon, &status);
    cr_expect(!status.driver_runs);
    cr_expect_eq(status.actual_bytes, 0, "a new driver has none");
    cr_expect_eq(status.target_bytes, 300 * PAGE);
    virtio_balloon_set_target(rig->balloon, UINT64_MAX);
    virtio_balloon_status(rig->balloon, &status);
    cr_expect_eq(status.target_bytes, (uint64_t)UINT32_MAX * PAGE);
}

static void put_entry(uint8_t *at, uint16_t tag, uint64_t value)
{
    memcpy(at, &tag, 2);
    memcpy(at + 2, &value, 8);
}

OnEachRig(virtio_balloon, statistics_are_asked_for, rig_open_balloon_on(rig, on))
{
    struct virtio_balloon_status status;
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_STATS];
    start(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
    virtio_balloon_status(rig->balloon, &status);
    cr_expect_eq(status.known, 0);
    uint64_t gpa = vdrv_alloc(&rig->drv, 35, 1);
    uint8_t *entries = vdrv_ptr(&rig->drv, gpa, 35);
    put_entry(entries, 5, 777);
    put_entry(entries + 10, 4, UINT64_MAX);
    put_entry(entries + 20, 1234, 5); /* an unknown tag; and five bytes more */
    struct vdrv_buf buf = {gpa, 35, false};
    cr_assert_geq(vdrv_send(q, &buf, 1), 0);
    rig_step(rig);
    cr_expect(!vdrv_has_used(q), "the device keeps the buffer");
    rig->time.now_ns += 5;
    virtio_balloon_status(rig->balloon, &status);
    cr_expect_eq(status.known, 1u << 4 | 1u << 5);
    cr_expect_eq(status.stats[4], UINT64_MAX);
    cr_expect_eq(status.stats[5], 777);
    cr_expect_eq(rig->time.now_ns - status.stats_ns, 5);
    rig_step(rig);
    cr_assert(vdrv_used(q, &head, &len), "the driver is asked for more");
    virtio_balloon_status(rig->balloon, &status);
    put_entry(entries, 4, 1);
    cr_assert_geq(vdrv_send(q, &buf, 1), 0);
    rig_step(rig);
    virtio_balloon_status(rig->balloon, &status);
    cr_expect_eq(status.stats[4], UINT64_MAX, "the later of two entries counts");
}

/* What the driver monitor says of page numbers that are none. */
OnRig(virtio_balloon, the_monitor_reports_pages_outside_memory,
      rig_open_balloon_on(rig, &(struct rig_config){.strict = true}))
{
    listen_to_log(LOG_ERROR);
    start(rig, 0);
    send_numbers(rig, VIRTIO_BALLOON_INFLATE, (const uint32_t[]){FIRST, 0xfffff}, 2);
    cr_expect_eq(virtio_strict_count(rig->dev, STRICT_BALLOON_PAGE), 1);
    uint64_t gpa = vdrv_alloc(&rig->drv, 4, 4);
    send(rig, VIRTIO_BALLOON_STATS + 1, &(struct vdrv_buf){gpa, 4, false}, 1);
    cr_expect_eq(virtio_strict_total(rig->dev), 1);
}

/* A little in each turn, however much the driver gives at once. */
OnEachRig(virtio_balloon, a_turn_is_bounded, rig_open_balloon_on(rig, on))
{
    static uint32_t numbers[2 * VIRTIO_BALLOON_TURN_BYTES / VIRTIO_BALLOON_PIECE_BYTES];
    const unsigned last = 33;
    start(rig, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) /* no two of them are neighbours */
        numbers[i] = FIRST + 2 * (i % (PAGES / 2));
    numbers[ARRAY_SIZE(numbers) - 1] = FIRST + last;
    uint64_t gpa = vdrv_alloc(&rig->drv, sizeof(numbers), 4);
    memcpy(vdrv_ptr(&rig->drv, gpa, sizeof(numbers)), numbers, sizeof(numbers));
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_INFLATE];
    cr_assert_geq(vdrv_add(q, &(struct vdrv_buf){gpa, sizeof(numbers), false}, 1), 0);
    vdrv_publish(q);
    virtio_queue_serve(rig->dev, VIRTIO_BALLOON_INFLATE);
    cr_expect(is_empty(rig, 0));
    cr_expect(!is_empty(rig, last), "it is for another turn");
    rig_step(rig);
    cr_expect(is_empty(rig, last));
    cr_expect(vdrv_has_used(q));
}

/* To find that a page is no memory takes time as well: apart from each other, or in a row. */
OnEachRig(virtio_balloon, pages_that_are_no_memory_count, rig_open_balloon_on(rig, on))
{
    static uint32_t numbers[2 * VIRTIO_BALLOON_TURN_BYTES / VIRTIO_BALLOON_PIECE_BYTES];
    start(rig, 0);
    uint64_t gpa = vdrv_alloc(&rig->drv, sizeof(numbers), 4);
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_INFLATE];
    for (unsigned step = 0; step < 2; step++) {
        for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
            numbers[i] = 0xf0000000 + i * step;
        numbers[ARRAY_SIZE(numbers) - 1] = FIRST + step;
        memcpy(vdrv_ptr(&rig->drv, gpa, sizeof(numbers)), numbers, sizeof(numbers));
        cr_assert_geq(vdrv_add(q, &(struct vdrv_buf){gpa, sizeof(numbers), false}, 1), 0);
        vdrv_publish(q);
        virtio_queue_serve(rig->dev, VIRTIO_BALLOON_INFLATE);
        cr_expect(!is_empty(rig, step), "it is for another turn");
        rig_step(rig);
        cr_expect(is_empty(rig, step));
    }
}

Test(virtio_balloon, what_is_switched_off_is_not_offered)
{
    const uint64_t always = VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
                            VIRTIO_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
                            VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON);
    for (unsigned i = 0; i < 4; i++) {
        struct rig rig;
        struct virtio_balloon *balloon;
        rig_open_host(&rig, &rig_variants[0]);
        struct virtio_setup setup = rig_setup(&rig, "balloon");
        cr_assert_eq(virtio_balloon_create(&balloon, &setup,
                                           &(struct virtio_balloon_config){.deflate_on_oom = i & 1,
                                                                           .reporting = i >> 1,
                                                                           .clock = &rig.clock}),
                     0);
        rig_plug(&rig, virtio_balloon_device(balloon));
        cr_expect_eq(vdrv_offered(&rig.drv) & 0x3f,
                     always | (i & 1 ? VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) : 0) |
                         (i >> 1 ? REPORTING : 0));
        rig_unplug(&rig);
        virtio_balloon_destroy(balloon);
        rig_close(&rig);
    }
}

/* While it is held the driver is asked for nothing. */
OnEachRig(virtio_balloon, a_held_device_keeps_the_statistics, rig_open_balloon_on(rig, on))
{
    struct virtio_balloon_status status;
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_BALLOON_STATS];
    start(rig, VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ));
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 10, 2), 10, false};
    cr_assert_geq(vdrv_send(q, &buf, 1), 0);
    rig_step(rig);
    virtio_device_hold(rig->dev);
    virtio_balloon_status(rig->balloon, &status);
    rig_step(rig);
    cr_expect(!vdrv_has_used(q));
    virtio_device_release(rig->dev);
    rig_step(rig);
    virtio_balloon_status(rig->balloon, &status);
    rig_step(rig);
    cr_expect(vdrv_has_used(q));
}
