// SPDX-License-Identifier: BSD-2-Clause
/*
 * The file backend's inside: blk_file.c moves bytes, blk_file_open.c opens and measures,
 * blk_file_discard.c discards on block devices, blk_file_spare.c takes another file.
 */
#ifndef MINIVET_DEVICES_BLK_FILE_IMPL_H
#define MINIVET_DEVICES_BLK_FILE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/block.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/filter/blk_list.h"

#define FILE_SLOTS   256 /* requests that the host has at once; more wait in a list */
#define SLOT_IOV     64  /* vectors of a piece that is not the whole request */
#define BUFFERS      8
#define BUFFER_BYTES (256 * KIB) /* a multiple of any alignment that a host asks for */

/* A request on its way, piece by piece; one piece is out at a time. */
struct file_slot {
    struct ev_io io;
    struct blk_file *file;
    struct blk_req *req;          /* NULL: free, or a flush still out after a drain */
    struct iobuf data;            /* what is ahead of it */
    uint64_t done;                /* bytes of the request */
    uint64_t piece;               /* bytes that are out */
    uint8_t *buffer;              /* what the piece is copied through, or NULL */
    unsigned mode;                /* which way of zeroing is tried */
    bool page_cache;              /* the host has refused the request's direct I/O after all */
    STAILQ_ENTRY(file_slot) link; /* free, or starved */
    struct iovec iov[SLOT_IOV];
};

/*
 * Discards on a block device are an ioctl that blocks, one at a time on a helper. The helper's end
 * is seen in two places: by the loop, when the work comes back, and by a drain, which must not run
 * the loop and waits for `ran`.
 */
struct file_discard {
    struct ev_work work;
    struct blk_list waiting;
    struct blk_req *req; /* that a helper has; NULL: answered, or none */
    bool busy;           /* the work is not back yet */
    int fd;
    uint64_t offset_bytes, bytes; /* the helper's copy */
    int result;
    atomic_bool stop;
    pthread_mutex_t lock; /* ran */
    pthread_cond_t changed;
    bool ran;
};

struct blk_file {
    struct blk_backend b;
    struct evloop *loop;
    char *name;                           /* for messages */
    int fd;                               /* through the page cache; it has the lock */
    int direct_fd;                        /* the same file past it, or -1 */
    uint32_t direct_memory, direct_bytes; /* what direct I/O asks of vectors, and of ranges */
    bool is_device;
    bool in_memory; /* its file system keeps it there */
    bool unsafe;
    bool draining;
    struct blk_file *first;   /* itself, or what it is a view of */
    atomic_bool error_told;   /* the first's */
    atomic_bool flush_failed; /* the first's: the host may have dropped what it could not write */

    struct blk_list waiting; /* for a slot */
    struct blk_ended ended;
    STAILQ_HEAD(, file_slot) free;
    struct file_slot slots[FILE_SLOTS];
    unsigned busy;        /* slots with a request */
    uint64_t begun_bytes; /* what they have out at most */
    uint8_t *buffers;
    uint8_t *zeroes;                  /* BUFFER_BYTES of them */
    unsigned buffers_used;            /* a bit each */
    STAILQ_HEAD(, file_slot) starved; /* wait for a buffer */
    struct file_discard discard;
};

/* ---- blk_file.c ---- */

/* With no file yet; NULL: no memory. Nothing of it is out when it is freed. */
struct blk_file *blk_file_new(struct evloop *loop, const char *name);
void blk_file_free(struct blk_file *f);

/* Of a struct blk_file: has the host let go of all that was asked of it, drained or not? */
bool blk_file_is_home(void *ctx);

/* ---- blk_file_open.c ---- */

/* All of opening: f->fd, f->direct_fd, f->b.info. Reported; what was opened is left to the caller.
 */
int blk_file_open(struct blk_file *f, const struct blk_file_config *config);
int blk_file_open_scratch(struct blk_file *f, uint64_t bytes);
int blk_file_open_view(struct blk_file *f, struct blk_file *first);

/* Gives direct I/O up where it cannot take all that the guest may ask for. */
void blk_file_choose_way(struct blk_file *f);

/* ---- blk_file_discard.c ---- */
void file_discard_init(struct blk_file *f);
void file_discard_fini(struct blk_file *f);
void file_discard_submit(struct blk_file *f, struct blk_req *req);

/* Cancels what waits and waits for the helper; bounded by a piece of a discard. */
void file_discard_drain(struct blk_file *f);

#endif
