// SPDX-License-Identifier: BSD-2-Clause
/* The file system device in front of a fake server. tests/conformance/fs.c has its requirements. */
#include <sched.h>

#include "core/base/le.h"
#include "core/state/state.h"
#include "tests/harness/fsreq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define SIZE   16u
#define FIRST  VIRTIO_FS_REQUESTS
#define SECOND (VIRTIO_FS_REQUESTS + 1)

static void open_two(struct rig *rig, const struct rig_config *config)
{
    struct rig_config two = *config;
    two.queues = 2;
    rig_open_fs_on(rig, &two);
    fsreq_start(rig, SIZE);
}

OnEachRig(virtio_fs, is_mounted_by_its_tag, open_two(rig, on))
{
    uint8_t config[VIRTIO_FS_CONFIG_BYTES], tag[VIRTIO_FS_TAG_BYTES] = FSREQ_TAG;
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    cr_expect_eq(rig->dev->cfg.type->id, VIRTIO_ID_FS);
    cr_expect_eq(memcmp(config + VIRTIO_FS_CONFIG_tag, tag, sizeof(tag)), 0);
    cr_expect_eq(le32_get(config + VIRTIO_FS_CONFIG_num_request_queues), 2);
}

OnEachRig(virtio_fs, carries_messages_and_answers, open_two(rig, on))
{
    for (unsigned queue = 0; queue < rig->dev->cfg.queue_count; queue++)
        cr_expect(fsreq_serves(rig, queue), "queue %u", queue);
    rig->files.fail = -ENOENT;
    cr_expect(fsreq_serves(rig, FIRST));
}

OnEachRig(virtio_fs, what_gets_no_answer_comes_back, open_two(rig, on))
{
    struct fsreq forget = {.queue = VIRTIO_FS_HIPRIO, .opcode = FUSE_FORGET, .bytes = 8};
    fsreq_send(rig, &forget);
    rig_step(rig);
    cr_expect(fsreq_is_returned(rig, &forget));
    cr_expect(fsreq_serves(rig, FIRST));
}

/* Chains that are no messages go to the server, too: what they are is for it to say. */
OnEachRig(virtio_fs, any_chain_goes_to_the_server, open_two(rig, on))
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 256, 16);
    const struct vdrv_buf all[][2] = {
        {{gpa, 1, false}},
        {{gpa, FSREQ_HEADER - 1, false}, {gpa + 64, 64, true}},
        {{gpa, FSREQ_HEADER, false}},
        {{gpa, FSREQ_HEADER, false}, {gpa + 64, FSREQ_ANSWER - 1, true}},
        {{gpa + 64, 64, true}},
    };
    const unsigned kinds = sizeof(all) / sizeof(all[0]);
    for (unsigned i = 0; i < kinds; i++) {
        uint32_t head, used;
        int sent = vdrv_send(&rig->drv.q[FIRST], all[i], all[i][1].len > 0 ? 2 : 1);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[FIRST], &head, &used), "chain %u", i);
        cr_expect(head == (uint32_t)sent && used == 0, "chain %u", i);
    }
    cr_expect_eq(rig->files.taken, kinds);
    cr_expect(fsreq_serves(rig, FIRST));
}

OnEachRig(virtio_fs, answers_come_in_any_order, open_two(rig, on))
{
    struct fsreq r[5];
    rig->files.hold = true;
    for (unsigned i = 0; i < 5; i++) {
        r[i] = (struct fsreq){.queue = FIRST, .unique = i + 1, .bytes = i, .room = 32};
        fsreq_send(rig, &r[i]);
    }
    rig_step(rig);
    cr_expect_eq(rig->files.out, 5);
    cr_expect_not(vdrv_has_used(&rig->drv.q[FIRST]));
    fake_share_release_one(&rig->files, 3);
    rig_step(rig);
    cr_expect(fsreq_is_answered(rig, &r[3]));
    fake_share_release_one(&rig->files, 1);
    fake_share_release_one(&rig->files, 2);
    rig_step(rig);
    cr_expect(fsreq_is_answered(rig, &r[1]));
    cr_expect(fsreq_is_answered(rig, &r[4]));
    fake_share_release(&rig->files);
    rig_step(rig);
    cr_expect(fsreq_is_answered(rig, &r[0]));
    cr_expect(fsreq_is_answered(rig, &r[2]));
    cr_expect_not(vdrv_has_used(&rig->drv.q[FIRST]));
}

/* A guest that polls need not wait for the end of the turn; one that sleeps is woken there. */
OnEachRig(virtio_fs, some_answers_are_shown_early, open_two(rig, on))
{
    enum { SOME = 4 };
    struct fsreq r[SOME];
    rig->files.hold = true;
    for (unsigned i = 0; i < SOME; i++) {
        r[i] = (struct fsreq){.queue = FIRST, .unique = i + 1, .room = 32};
        fsreq_send(rig, &r[i]);
    }
    rig_step(rig);
    (void)rig_queue_irqs(rig, FIRST);
    for (unsigned i = 0; i < SOME; i++) {
        cr_expect_not(vdrv_has_used(&rig->drv.q[FIRST]), "answer %u", i);
        fake_share_release_one(&rig->files, 0);
    }
    bool early = rig->dev->observed == 0; /* observers see turns as they were */
    cr_expect_eq(vdrv_has_used(&rig->drv.q[FIRST]), early);
    cr_expect_eq(rig_queue_irqs(rig, FIRST), 0);
    rig_step(rig);
    cr_expect_geq(rig_queue_irqs(rig, FIRST), 1);
    for (unsigned i = 0; i < SOME; i++)
        cr_expect(fsreq_is_answered(rig, &r[i]));
}

static void hold_some(struct rig *rig, unsigned queue, unsigned count)
{
    rig->files.hold = true;
    for (unsigned i = 0; i < count; i++)
        fsreq_send(rig, &(struct fsreq){.queue = queue, .room = 32});
    rig_step(rig);
}

OnEachRig(virtio_fs, a_reset_forgets_requests_that_are_out, open_two(rig, on))
{
    for (unsigned round = 1; round <= 3; round++) {
        hold_some(rig, FIRST, 3);
        hold_some(rig, SECOND, 2);
        cr_expect_eq(rig->files.out, 5);
        vdrv_reset(&rig->drv);
        cr_expect_eq(rig->files.out, 0);
        cr_expect_eq(rig->files.abandoned, 5 * round);
        cr_expect_eq(rig->files.resets, round);
        fsreq_start(rig, SIZE);
        fake_share_release(&rig->files);
        cr_expect(fsreq_serves(rig, FIRST));
        cr_expect(fsreq_serves(rig, SECOND));
    }
}

/* The server is told of the device's resets only: its nodes stay. */
OnEachRig(virtio_fs, a_queue_is_reset_beside_another, open_two(rig, on))
{
    struct fsreq kept = {.queue = SECOND, .unique = 9, .bytes = 4, .room = 64};
    vdrv_reset(&rig->drv);
    rig_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET), 3, SIZE);
    hold_some(rig, FIRST, 3);
    fsreq_send(rig, &kept);
    rig_step(rig);
    unsigned resets = rig->files.resets;
    cr_assert(vdrv_queue_reset(&rig->drv, FIRST));
    cr_expect_eq(rig->files.abandoned, 3);
    cr_expect_eq(rig->files.out, 1);
    fake_share_release(&rig->files);
    rig_step(rig);
    cr_expect(fsreq_is_answered(rig, &kept));
    vdrv_queue_set_up(&rig->drv, FIRST, SIZE);
    cr_expect(fsreq_serves(rig, FIRST));
    cr_expect_eq(rig->files.resets, resets);
}

/* As much as Linux sends at once: 256 pages, and what is in front of them. */
OnEachRig(virtio_fs, a_message_may_have_many_buffers, on->queue_size_max = VIRTIO_FS_QUEUE_SIZE,
          rig_open_fs_on(rig, on))
{
    enum { PAGES = 256, PAGE_BYTES = 256 };
    struct vdrv *d = &rig->drv;
    struct vdrv_buf bufs[2 + PAGES];
    uint32_t head, used;
    fsreq_start(rig, VIRTIO_FS_QUEUE_SIZE);
    cr_expect_eq(vdrv_queue_size_max(d, FIRST), VIRTIO_FS_QUEUE_SIZE);
    bufs[0] = (struct vdrv_buf){vdrv_alloc(d, FSREQ_HEADER, 8), FSREQ_HEADER, false};
    for (unsigned i = 1; i <= PAGES; i++) {
        bufs[i] = (struct vdrv_buf){vdrv_alloc(d, PAGE_BYTES, 8), PAGE_BYTES, false};
        memset(vdrv_ptr(d, bufs[i].gpa, PAGE_BYTES), (int)i, PAGE_BYTES);
    }
    uint32_t room = FSREQ_ANSWER + PAGES * PAGE_BYTES;
    bufs[1 + PAGES] = (struct vdrv_buf){vdrv_alloc(d, room, 8), room, true};
    uint8_t *message = vdrv_ptr(d, bufs[0].gpa, FSREQ_HEADER);
    const uint8_t *answer = vdrv_ptr(d, bufs[1 + PAGES].gpa, room);
    le32_put(message + offsetof(struct fuse_in_header, opcode), FUSE_LOOKUP);
    cr_assert_geq(vdrv_send(&d->q[FIRST], bufs, 2 + PAGES), 0);
    rig_step(rig);
    cr_assert(vdrv_used(&d->q[FIRST], &head, &used));
    cr_expect_eq(used, room);
    for (unsigned i = 1; i <= PAGES; i++) {
        const uint8_t *page = answer + FSREQ_ANSWER + (size_t)(i - 1) * PAGE_BYTES;
        cr_expect(page[0] == (uint8_t)i && page[PAGE_BYTES - 1] == (uint8_t)i, "page %u", i);
    }
}

OnRig(virtio_fs, does_not_keep_an_order,
      rig_open_fs_on(rig, &(struct rig_config){.features_on = VIRTIO_BIT(VIRTIO_F_IN_ORDER)}))
{
    cr_expect_not(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_F_IN_ORDER));
}

/* ---- saved ---- */

static int save(struct rig *rig)
{
    struct state s;
    state_save(&s);
    rig_state(rig, &s);
    int err = state_error(&s);
    state_fini(&s);
    return err;
}

static void ignore(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

OnRig(virtio_fs, is_saved_only_while_no_driver_uses_it, rig_open_fs_on(rig, &rig_variants[0]))
{
    cr_expect_eq(save(rig), 0);
    fsreq_start(rig, SIZE);
    log_set_sink(ignore, NULL);
    cr_expect_eq(save(rig), -EINVAL);
    log_set_sink(NULL, NULL);
}

/* ---- each queue on a loop of its own, beside the device's: for ThreadSanitizer ---- */

#define QUEUES 3u

static struct rig rig;
static struct evloop *loops[QUEUES];

static void set_up_threads(const struct rig_config *config)
{
    rig_open_host(&rig, config);
    fake_share_init(&rig.files);
    for (unsigned i = 0; i < QUEUES; i++)
        cr_assert_eq(evloop_create(&loops[i], "queue", &clock_host), 0);
    struct virtio_setup setup = rig_setup(&rig, "fs");
    cr_assert_eq(virtio_fs_create(&rig.fs, &setup,
                                  &(struct virtio_fs_config){.tag = FSREQ_TAG,
                                                             .share = &rig.files.share,
                                                             .queue_loops = loops,
                                                             .queues = QUEUES - 1}),
                 0);
    rig_plug(&rig, virtio_fs_device(rig.fs));
    cr_assert_eq(evloop_start_thread(rig.loop), 0);
    for (unsigned i = 0; i < QUEUES; i++)
        cr_assert_eq(evloop_start_thread(loops[i]), 0);
}

static void end_threads(void)
{
    evloop_stop_thread(rig.loop);
    for (unsigned i = 0; i < QUEUES; i++)
        evloop_stop_thread(loops[i]);
    rig_unplug(&rig);
    virtio_fs_destroy(rig.fs);
    rig.fs = NULL;
    for (unsigned i = 0; i < QUEUES; i++)
        evloop_destroy(loops[i]);
    rig_close(&rig);
}

static void send_all(struct fsreq *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        r[i] = (struct fsreq){.queue = i % QUEUES, .unique = i, .bytes = 16, .room = 32};
        fsreq_send(&rig, &r[i]);
    }
}

Test(virtio_fs, queues_work_side_by_side)
{
    static const struct rig_config configs[] = {{.transport = RIG_MMIO},
                                                {.transport = RIG_PCI, .packed = true}};
    for (unsigned c = 0; c < 2; c++) {
        struct fsreq r[4 * QUEUES];
        set_up_threads(&configs[c]);
        for (unsigned round = 0; round < 50; round++) {
            cr_assert(vdrv_start(&rig.drv, 0, QUEUES, SIZE));
            send_all(r, 4 * QUEUES);
            for (unsigned i = 0; i < 4 * QUEUES; i++) {
                while (!vdrv_has_used(&rig.drv.q[r[i].queue]))
                    sched_yield();
                cr_assert(fsreq_is_answered(&rig, &r[i]), "round %u, request %u", round, i);
            }
        }
        end_threads();
    }
}

Test(virtio_fs, a_reset_ends_the_requests_of_all_loops)
{
    struct fsreq r[4 * QUEUES];
    set_up_threads(&(struct rig_config){.transport = RIG_MMIO});
    rig.files.hold = true;
    for (unsigned round = 0; round < 200; round++) {
        cr_assert(vdrv_start(&rig.drv, 0, QUEUES, SIZE));
        send_all(r, 1 + round % (4 * QUEUES));
        vdrv_reset(&rig.drv);
        cr_assert_eq(rig.files.out, 0);
        cr_assert_eq(rig.files.taken, rig.files.abandoned);
    }
    cr_expect_gt(rig.files.abandoned, 0);
    end_threads();
}
