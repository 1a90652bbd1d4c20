// SPDX-License-Identifier: BSD-2-Clause
/*
 * To enter the kernel costs as much as a small packet does there. An io_uring takes the packets of
 * a turn of the device's at once; what it is given is done, in order, when the call returns.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/memory/iobuf.h"
#include "devices/net/tap/net_tap_impl.h"

#define BATCH_VECTORS 320u

/* To copy so much costs less than to have the kernel take two vectors. */
#define SHORT_BYTES 256u

#define TUN_MAJOR 10u
#define TUN_MINOR 200u

struct net_tap_batch {
    struct io_uring ring;
    const struct net_tap_pair *pair; /* of the packets in the list */
    unsigned count, vectors;
    struct {
        uint8_t start[SHORT_BYTES]; /* the header, or all of it */
        unsigned first, count;      /* vectors */
    } packets[NET_TAP_BATCH_PACKETS];
    struct iovec iov[BATCH_VECTORS];
};

/*
 * Other kinds of taps would be written to by several of the kernel's threads, in any order; and one
 * that is ever full could not say so in time.
 */
static bool is_suitable(const struct net_tap *tap)
{
    for (unsigned i = 0; i < tap->b.info.pairs; i++) {
        struct stat st;
        int room;
        int fd = tap->pairs[i].fd;
        if (fstat(fd, &st) != 0 || st.st_rdev != makedev(TUN_MAJOR, TUN_MINOR) ||
            ioctl(fd, TUNGETSNDBUF, &room) != 0 || room != INT_MAX)
            return false;
    }
    return strcmp(evloop_engine(tap->loop), "io_uring") == 0;
}

struct net_tap_batch *net_tap_batch_create(const struct net_tap *tap)
{
    struct net_tap_batch *batch = is_suitable(tap) ? calloc(1, sizeof(*batch)) : NULL;
    if (batch == NULL)
        return NULL;
    int fds[NET_TAP_PAIRS_MAX];
    for (unsigned i = 0; i < tap->b.info.pairs; i++)
        fds[i] = tap->pairs[i].fd;
    if (io_uring_queue_init(NET_TAP_BATCH_PACKETS, &batch->ring, IORING_SETUP_SUBMIT_ALL) != 0) {
        free(batch);
        return NULL;
    }
    if (io_uring_register_files(&batch->ring, fds, tap->b.info.pairs) != 0) {
        net_tap_batch_destroy(batch);
        return NULL;
    }
    return batch;
}

void net_tap_batch_destroy(struct net_tap_batch *batch)
{
    if (batch == NULL)
        return;
    (void)io_uring_unregister_files(&batch->ring); /* a ring ends later than this call */
    io_uring_queue_exit(&batch->ring);
    free(batch);
}

bool net_tap_batch_add(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                       const struct iovec *iov, unsigned count)
{
    bool fits = count > 0 && count <= BATCH_VECTORS && iov[0].iov_len == NET_HEADER_BYTES;
    if (!fits || batch->pair != pair || batch->count == NET_TAP_BATCH_PACKETS ||
        batch->vectors + count > BATCH_VECTORS)
        net_tap_batch_flush(batch);
    if (!fits)
        return false;
    unsigned i = batch->count++;
    struct iovec *at = batch->iov + batch->vectors;
    struct iobuf packet = iobuf_init(iov, count);
    memcpy(at, iov, count * sizeof(*iov));
    at[0].iov_base = batch->packets[i].start;
    if (packet.left <= SHORT_BYTES) {
        at[0].iov_len = packet.left;
        count = 1;
    }
    iobuf_get(&packet, at[0].iov_base, at[0].iov_len);
    batch->packets[i].first = batch->vectors;
    batch->packets[i].count = count;
    batch->vectors += count;
    batch->pair = pair;
    return true;
}

/* Hands in what is in the ring, and waits for it. A caller that wants results has numbered them
 * from 1. */
static void run(struct net_tap_batch *batch, unsigned left, int *results)
{
    while (left > 0) {
        int n = io_uring_submit_and_wait(&batch->ring, left);
        struct io_uring_cqe *cqe;
        unsigned head, done = 0;
        io_uring_for_each_cqe(&batch->ring, head, cqe)
        {
            done++;
            if (results != NULL && cqe->user_data > 0)
                results[cqe->user_data - 1] = cqe->res;
        }
        io_uring_cq_advance(&batch->ring, done);
        left -= done < left ? done : left;
        if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY)
            break;
    }
}

/* What the kernel refuses is lost, as it is by tap_send(). */
void net_tap_batch_flush(struct net_tap_batch *batch)
{
    bool worth = batch->count >= NET_TAP_BATCH_WORTH;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct iovec *iov = batch->iov + batch->packets[i].first;
        unsigned count = batch->packets[i].count;
        struct io_uring_sqe *sqe = worth ? io_uring_get_sqe(&batch->ring) : NULL;
        if (sqe == NULL) {
            (void)!writev(batch->pair->fd, iov, (int)count);
            continue;
        }
        if (count == 1)
            io_uring_prep_write(sqe, (int)batch->pair->index, iov->iov_base, (unsigned)iov->iov_len,
                                0);
        else
            io_uring_prep_writev(sqe, (int)batch->pair->index, iov, count, 0);
        sqe->flags = IOSQE_FIXED_FILE;
    }
    if (worth)
        run(batch, batch->count, NULL);
    batch->count = batch->vectors = 0;
}

void net_tap_batch_read(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                        uint8_t *places, unsigned place_bytes, int *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
        bytes[i] = -EAGAIN;
        if (sqe == NULL)
            continue;
        io_uring_prep_read(sqe, (int)pair->index, places + (size_t)i * place_bytes, place_bytes, 0);
        sqe->flags = IOSQE_FIXED_FILE;
        sqe->rw_flags = RWF_NOWAIT; /* O_NONBLOCK alone would not do */
        io_uring_sqe_set_data64(sqe, i + 1);
    }
    run(batch, count, bytes);
}
