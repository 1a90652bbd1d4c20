// SPDX-License-Identifier: BSD-2-Clause
/*
 * To enter the kernel costs as much as a small packet does there. An io_uring takes the packets of
 * a turn of the device's at once; its writes are done, in order, when the call returns.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "devices/backend/net_tap_impl.h"

#define BATCH_PACKETS 16u /* see VIRTIO_TURN_CHAINS */
#define BATCH_VECTORS 320u

/* Fewer are as fast without the ring. */
#define BATCH_WORTH 4u

#define TUN_MAJOR 10u
#define TUN_MINOR 200u

struct net_tap_batch {
    struct io_uring ring;
    int fd; /* of the packets in the list */
    unsigned count, vectors;
    struct {
        uint8_t header[NET_HEADER_BYTES];
        unsigned first, count; /* vectors */
    } packets[BATCH_PACKETS];
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
    if (io_uring_queue_init(BATCH_PACKETS, &batch->ring, IORING_SETUP_SUBMIT_ALL) != 0) {
        free(batch);
        return NULL;
    }
    return batch;
}

void net_tap_batch_destroy(struct net_tap_batch *batch)
{
    if (batch == NULL)
        return;
    io_uring_queue_exit(&batch->ring);
    free(batch);
}

bool net_tap_batch_add(struct net_tap_batch *batch, const struct net_tap_pair *pair,
                       const struct iovec *iov, unsigned count)
{
    bool fits = count > 0 && count <= BATCH_VECTORS && iov[0].iov_len == NET_HEADER_BYTES;
    if (!fits || batch->fd != pair->fd || batch->count == BATCH_PACKETS ||
        batch->vectors + count > BATCH_VECTORS)
        net_tap_batch_flush(batch);
    if (!fits)
        return false;
    unsigned i = batch->count++;
    struct iovec *at = batch->iov + batch->vectors;
    memcpy(batch->packets[i].header, iov[0].iov_base, NET_HEADER_BYTES);
    memcpy(at, iov, count * sizeof(*iov));
    at[0].iov_base = batch->packets[i].header;
    batch->packets[i].first = batch->vectors;
    batch->packets[i].count = count;
    batch->vectors += count;
    batch->fd = pair->fd;
    return true;
}

/* What the kernel refuses is lost, as it is by tap_send(). */
void net_tap_batch_flush(struct net_tap_batch *batch)
{
    bool worth = batch->count >= BATCH_WORTH;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct iovec *iov = batch->iov + batch->packets[i].first;
        unsigned count = batch->packets[i].count;
        struct io_uring_sqe *sqe = worth ? io_uring_get_sqe(&batch->ring) : NULL;
        if (sqe != NULL)
            io_uring_prep_writev(sqe, batch->fd, iov, count, 0);
        else
            (void)!writev(batch->fd, iov, (int)count);
    }
    if (worth) {
        unsigned left = batch->count;
        while (left > 0) {
            int n = io_uring_submit_and_wait(&batch->ring, left);
            unsigned done = io_uring_cq_ready(&batch->ring);
            io_uring_cq_advance(&batch->ring, done);
            left -= done < left ? done : left;
            if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY)
                break;
        }
    }
    batch->count = batch->vectors = 0;
}
