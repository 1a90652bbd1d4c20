// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the tests of hostile guests share. Each test is named after what the guest tries; in each
 * nothing crashes, hangs or grows, and the device works again after a reset.
 *
 * What is not about one ring's layout or one transport's registers runs on each of rig_variants,
 * and the guest shall see the same: OnEach(), or with a disk that runs OnRunning(). OnSplit(),
 * OnPacked(), OnRunningSplit() and OnRunningPacked() are about one ring.
 */
#ifndef MINIVET_TESTS_HOSTILE_H
#define MINIVET_TESTS_HOSTILE_H

#include <criterion/criterion.h>

#include <dirent.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/rig.h"
#include "virtio/spec.h"

#define HOSTILE_FEATURES                                                   \
    (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | \
     VIRTIO_BIT(VIRTIO_BLK_F_FLUSH))
#define HOSTILE_SIZE UINT32_C(16)

/* Where a guest edits what it has published, ThreadSanitizer sees what is there: a race. */
#if defined(__SANITIZE_THREAD__)
#define RACES_ON_PURPOSE true
#else
#define RACES_ON_PURPOSE false
#endif

static inline unsigned hostile_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_neq(dir, NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* No case leaves a file open; what memory it leaves the leak sanitizer finds. */
#define ON_VARIANTS(suite, name, condition, does)       \
    Test(suite, name)                                   \
    {                                                   \
        const unsigned fds = hostile_fds();             \
        for (unsigned v = 0; v < RIG_VARIANTS; v++) {   \
            struct rig_config on[] = {rig_variants[v]}; \
            if (condition) {                            \
                does                                    \
            }                                           \
        }                                               \
        cr_expect_eq(hostile_fds(), fds);               \
    }
#define BARE(suite, name, condition)                         \
    static void suite##_##name(const struct rig_config *on); \
    ON_VARIANTS(suite, name, condition, suite##_##name(on);) \
    static void suite##_##name(const struct rig_config *on)

#define OnEach(suite, name)   BARE(suite, name, true)
#define OnSplit(suite, name)  BARE(suite, name, !on->packed)
#define OnPacked(suite, name) BARE(suite, name, on->packed)

/* The same with a rig that `open` has made; both are expressions of `rig`, and `open` of `on`. */
#define ON_OPEN(suite, name, condition, open, close)                                      \
    static void suite##_##name(struct rig *rig);                                          \
    ON_VARIANTS(suite, name, condition, struct rig bench; struct rig *rig = &bench; open; \
                suite##_##name(rig); close;)                                              \
    static void suite##_##name(struct rig *rig)
#define OnEachRig(suite, name, open, close) ON_OPEN(suite, name, true, open, close)
/* A disk that `open` has made. */
#define OnEachDisk(suite, name, ...) ON_OPEN(suite, name, true, (__VA_ARGS__), hostile_close(rig))

/* A disk whose queue runs, with a page of guest memory. */
#define ON_RUNNING(suite, name, condition)                                                     \
    static void suite##_##name(struct rig *rig, uint64_t gpa);                                 \
    ON_VARIANTS(suite, name, condition, struct rig rig; uint64_t gpa = 0;                      \
                hostile_open(&rig, on, &gpa); suite##_##name(&rig, gpa); hostile_close(&rig);) \
    static void suite##_##name(struct rig *rig, __attribute__((unused)) uint64_t gpa)
#define OnRunning(suite, name)       ON_RUNNING(suite, name, true)
#define OnRunningMmio(suite, name)   ON_RUNNING(suite, name, v == 0)
#define OnRunningSplit(suite, name)  ON_RUNNING(suite, name, !on->packed)
#define OnRunningPacked(suite, name) ON_RUNNING(suite, name, on->packed)

/* A disk whose queue runs, with a page of guest memory in *gpa if it is asked for. */
static inline void hostile_open(struct rig *rig, const struct rig_config *on, uint64_t *gpa)
{
    rig_open_blk_on(rig, on);
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    rig_step(rig);
    if (gpa != NULL)
        *gpa = vdrv_alloc(&rig->drv, 4096, 4096);
}

/* The same anew, after whatever the last attempt left. */
static inline void hostile_restart(struct rig *rig, uint64_t *gpa)
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    rig_step(rig);
    *gpa = vdrv_alloc(&rig->drv, 4096, 4096);
}

/* A read of the first sector: under way, three descriptors; or from first to last, its status. */
static inline struct blkreq hostile_read(struct rig *rig)
{
    struct blkreq req = {.bytes = 512, .data_write = true};
    cr_assert(blkreq_send(rig, &req));
    rig_step(rig);
    return req;
}

static inline uint8_t hostile_reads(struct rig *rig)
{
    struct blkreq req = {.bytes = 512, .data_write = true};
    return blkreq_do(rig, &req, NULL);
}

/* After whatever happened a reset and a plain request work. */
static inline bool hostile_recovers(struct rig *rig)
{
    rig->disk.hold = false;
    rig->disk.fail = 0;
    if (!vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE))
        return false;
    struct blkreq req = {.sector = 1, .bytes = 512, .data_write = true};
    memset(rig->disk.bytes + 512, 0x42, 512);
    return blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK &&
           memcmp(blkreq_data(rig, &req), rig->disk.bytes + 512, 512) == 0 && rig->disk.out == 0;
}

static inline void hostile_close(struct rig *rig)
{
    cr_assert(hostile_recovers(rig));
    rig_close(rig);
}

/* The ring is broken: the device says so, once, and does nothing more. */
static inline void hostile_expect_broken(struct rig *rig, const char *what)
{
    const char *name = rig_config_name(&rig->cfg);
    cr_expect(rig_is_broken(rig), "%s: %s: no DEVICE_NEEDS_RESET", name, what);
    cr_expect_geq(rig_config_irqs(rig), 1, "%s: %s", name, what);
    rig_queue_irqs(rig, 0);
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
    cr_expect_eq(rig_config_irqs(rig) + rig_queue_irqs(rig, 0), 0,
                 "%s: %s: a broken device is silent", name, what);
}

/* The ring is not broken, and the chain came back. */
static inline void hostile_expect_served(struct rig *rig, const char *what)
{
    cr_expect(!rig_is_broken(rig), "%s: %s", rig_config_name(&rig->cfg), what);
    cr_expect(vdrv_has_used(&rig->drv.q[0]), "%s: %s", rig_config_name(&rig->cfg), what);
}

/* ---- raw descriptors: the same chain on either ring ---- */

#define NEXT     VIRTQ_DESC_F_NEXT
#define WRITE    VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT
#define AVAIL    VIRTQ_DESC_F_AVAIL
#define USED     VIRTQ_DESC_F_USED

/* The queue's descriptor i, in a packed ring's first lap. */
static inline void hostile_desc(struct rig *rig, unsigned i, uint64_t addr, uint32_t len,
                                unsigned flags, unsigned next_or_id)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    if (q->packed)
        vdrv_pdesc_put(q, i, addr, len, (uint16_t)next_or_id, (uint16_t)(flags | AVAIL));
    else
        vdrv_desc_put(q->desc, i, addr, len, flags, next_or_id);
}

/* Entry i of an indirect table; a packed ring's has its flags elsewhere, and no `next`. */
static inline void hostile_entry(struct rig *rig, uint64_t table_gpa, unsigned i, uint64_t addr,
                                 uint32_t len, unsigned flags, unsigned next)
{
    bool packed = rig->drv.q[0].packed;
    uint8_t *table = vdrv_ptr(&rig->drv, table_gpa, 16 * ((uint64_t)i + 1));
    vdrv_desc_put(table, i, addr, len, packed ? 0xdead : flags, packed ? flags : next);
}

/* The chain that begins at descriptor `head`; a packed ring's begins at the first. */
static inline void hostile_publish(struct rig *rig, uint16_t head)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    if (q->packed) {
        vdrv_notify(q);
    } else {
        vdrv_avail_put(q, head);
        vdrv_kick(q);
    }
    rig_step(rig);
}

/* It breaks the ring; then all begins anew. */
static inline void hostile_break(struct rig *rig, uint64_t *gpa, uint16_t head, const char *what)
{
    hostile_publish(rig, head);
    hostile_expect_broken(rig, what);
    hostile_restart(rig, gpa);
}

#endif
