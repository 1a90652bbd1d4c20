// SPDX-License-Identifier: BSD-2-Clause
/* What play.c, bend.c and revive.c share: the player. */
#ifndef MINIVET_TESTS_FUZZ_PLAY_IMPL_H
#define MINIVET_TESTS_FUZZ_PLAY_IMPL_H

#include "tests/fuzz/input_judge.h"
#include "tests/fuzz/play.h"
#include "tests/harness/rig.h"

/*
 * Guest memory: pages for nothing, the driver's heap (rings, indirect tables), and behind the hole
 * the arena, where buffers are.
 */
#define FUZZ_LOW_BYTES   UINT64_C(0x20000)
#define FUZZ_HEAP_GPA    UINT64_C(0x10000)
#define FUZZ_ARENA_GPA   RIG_HOLE_END_GPA
#define FUZZ_ARENA_BYTES UINT64_C(0x10000)
#define FUZZ_PAGE_BYTES  UINT64_C(0x1000)
#define FUZZ_DISK_BYTES  UINT64_C(0x10000)
#define FUZZ_GPU_BYTES   UINT64_C(0x40000)
#define FUZZ_BUFS_MAX    40u
#define FUZZ_BUF_MAX     20000u
#define FUZZ_QUEUE_SIZE  64u    /* at most */
#define FUZZ_LIVE_MS     20000u /* that a guest may take for one access, or an interrupt on its way */

/* The writable buffers of a chain. */
struct fuzz_given {
    unsigned count;
    struct vdrv_buf bufs[FUZZ_BUFS_MAX];
    bool beyond; /* a request for what is behind the end of the disk */
};

struct fuzz_player {
    struct rig rig;
    const struct fuzz_script *script;
    const struct fuzz_setting *on;
    struct fuzz_trace *trace;
    unsigned at; /* the step */

    struct vdrv_buf bufs[FUZZ_BUFS_MAX]; /* of the chain that is being built */
    unsigned buf_count;
    uint64_t arena_used, arena_max;     /* how far it is used, and was in this script */
    uint8_t shadow[FUZZ_ARENA_BYTES];   /* what the guest wrote */
    uint8_t writable[FUZZ_ARENA_BYTES]; /* was it ever the device's to write? */

    bool given_back[FUZZ_ARENA_BYTES / FUZZ_PAGE_BYTES]; /* pages that a balloon was given */

    bool wrapped; /* the arena is used for the second time */
    struct fuzz_given given[VDRV_QUEUES][FUZZ_QUEUE_SIZE]; /* chains in flight, by head */
    bool armed[VDRV_QUEUES];                               /* the driver asked for an interrupt */
    bool untold[VDRV_QUEUES]; /* it has published without a notification */
    bool odd;    /* a chain was one that a device may refuse, though no rule was broken */
    bool kept;   /* the device may have kept chains: the host held requests */
    bool edited; /* buffers changed after they were sent */
    struct vdrv_queue *torn; /* a chain whose table is not whole descriptors; NULL: none now */
    uint16_t torn_head;

    unsigned files; /* that are open when the device has not been started */

    bool bend; /* the next chain */
    enum fuzz_fault fault;
    uint64_t fault_value;

    bool wild; /* the driver broke the rules since it started: what comes back proves nothing */
    bool ever_wild;        /* in this script */
    bool lost;             /* the PCI function is not where it was */
    uint64_t heap_max_gpa; /* how far the heap has been used */
    uint64_t seen;
    struct fuzz_events events; /* of an input device */
};

_Noreturn void fuzz_finding(struct fuzz_player *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes what came back, and judges it. */
void fuzz_take_used(struct fuzz_player *p, unsigned queue);

/* The guest has written there by itself. */
void fuzz_guest_wrote(struct fuzz_player *p, uint64_t gpa, const void *bytes, uint32_t len);

/*
 * judge.c. What a device may write is marked, so that it is seen what it did write; chains are
 * noted before they are the device's, those that are bent when that has been done; the rest is for
 * after each step, before used buffers are taken.
 */
void fuzz_mark(struct fuzz_player *p, uint64_t gpa, uint32_t len);
void fuzz_note_given(struct fuzz_player *p, unsigned queue, unsigned head, unsigned count);
void fuzz_note_torn(struct fuzz_player *p, struct vdrv_queue *q, unsigned head);
/* Of the chain that is being built: which pages a balloon may empty. */
void fuzz_note_pages(struct fuzz_player *p, unsigned queue);
void fuzz_judge_len(struct fuzz_player *p, unsigned queue, unsigned head, uint32_t len);
void fuzz_judge_irqs(struct fuzz_player *p);
void fuzz_judge_waiting(struct fuzz_player *p);
void fuzz_judge_broken(struct fuzz_player *p);
void fuzz_judge_missing(struct fuzz_player *p);
void fuzz_judge_torn(struct fuzz_player *p);
struct vdrv_queue;
void fuzz_notify(struct fuzz_player *p, struct vdrv_queue *q);

/* bend.c: what no driver does. */
void fuzz_bend(struct fuzz_player *p, struct vdrv_queue *q, uint16_t head, uint32_t place,
               bool indirect);
void fuzz_raw_step(struct fuzz_player *p, const struct fuzz_step *step);

/* live.c: the one there is, for this player. */
struct rig_machine *fuzz_live_machine(struct fuzz_player *p);

/* revive.c: reset, and a real request of the device; says what went wrong, NULL: nothing. */
const char *fuzz_revive(struct fuzz_player *p);

#endif
