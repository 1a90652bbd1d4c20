// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/ring/virtqueue.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/memory/lazy.h"
#include "virtio/ring/ring_spec.h"
#include "virtio/ring/vq_ops.h"

/* VIRTIO 1.4 2.7.5.2: no chain has more bytes than that. */
#define CHAIN_MAX_BYTES (UINT64_C(1) << 32)

int vq_error(struct virtqueue *vq, int err, const char *why)
{
    vq->error = why;
    return err;
}

static const char *const fault_texts[VQ_FAULTS] = {
    [VQ_IDX] = "available index ahead by more than the queue's size",
    [VQ_HEAD] = "head outside of the descriptor table",
    [VQ_HEAD_BUSY] = "head is in flight already",
    [VQ_NEXT] = "next outside of the descriptor table",
    [VQ_TABLE_NEXT] = "next outside of the indirect table",
    [VQ_LOOP] = "chain comes back to itself",
    [VQ_NESTED] = "INDIRECT inside an indirect table",
    [VQ_BUSY] = "chain runs into descriptors in flight",
    [VQ_PARTIAL] = "chain goes on where nothing is available",
    [VQ_ID] = "buffer id not below the queue's size",
    [VQ_ID_BUSY] = "buffer id is in flight already",
    [VQ_LONG] = "chain longer than the queue",
    [VQ_ORDER] = "readable buffer after a writable one",
    [VQ_BYTES] = "chain of more than 4 GiB",
    [VQ_EXCESSIVE] = "chain of more buffers than the device takes",
    [VQ_ADDRESS] = "buffer outside of guest memory",
    [VQ_INDIRECT] = "INDIRECT was not negotiated",
    [VQ_INDIRECT_NEXT] = "INDIRECT and NEXT together",
    [VQ_TABLE_BYTES] = "indirect table is not whole descriptors",
    [VQ_TABLE_ADDRESS] = "indirect table outside of guest memory",
};

int vq_fault(struct virtqueue *vq, enum vq_fault fault, uint64_t value)
{
    vq->fault = fault;
    vq->fault_value = value;
    return vq_error(vq, -EPROTO, fault_texts[fault]);
}

static int make_chains(struct virtqueue *vq)
{
    /* One more than can be in flight: for a pop that finds nothing, or a fault. */
    size_t chains = (size_t)vq->size + 1;
    vq->chains = lazy_alloc(chains, sizeof(*vq->chains));
    vq->iov = lazy_alloc(chains * vq->iov_max, sizeof(*vq->iov));
    vq->in_flight = calloc(vq->size, sizeof(*vq->in_flight));
    vq->order = calloc(vq->in_order ? vq->size : 1, sizeof(struct vq_chain *));
    if (vq->chains == NULL || vq->iov == NULL || vq->in_flight == NULL || vq->order == NULL)
        return vq_error(vq, -ENOMEM, "out of memory");
    return 0;
}

static bool has(const struct vq_setup *setup, unsigned feature)
{
    return (setup->features & VIRTIO_BIT(feature)) != 0;
}

int vq_activate(struct virtqueue *vq, const struct vq_setup *setup)
{
    BUG_ON(setup->iov_max == 0 || setup->iov_max > VQ_IOV_MAX || setup->size_max > VIRTQ_MAX_SIZE);
    const struct vq_ops *ring = has(setup, VIRTIO_F_RING_PACKED) ? &vq_packed_ops : &vq_split_ops;
    *vq = (struct virtqueue){
        .ops = setup->format != NULL ? setup->format : ring,
        .gmem = setup->gmem,
        .size = setup->config->size,
        .indirect = has(setup, VIRTIO_F_INDIRECT_DESC),
        .event_idx = has(setup, VIRTIO_F_EVENT_IDX),
        .in_order = has(setup, VIRTIO_F_IN_ORDER),
    };
    int err = 0;
    if (vq->size == 0 || vq->size > setup->size_max)
        err = vq_error(vq, -EINVAL, "size out of range");
    if (err == 0)
        err = vq->ops->activate(vq, setup->config);
    if (err == 0) {
        vq->iov_max = (unsigned)min_u64(setup->iov_max, vq->size);
        err = make_chains(vq);
    }
    if (err != 0)
        vq_deactivate(vq);
    return err;
}

void vq_deactivate(struct virtqueue *vq)
{
    size_t chains = (size_t)vq->size + 1;
    lazy_free(vq->chains, chains, sizeof(*vq->chains));
    lazy_free(vq->iov, chains * vq->iov_max, sizeof(*vq->iov));
    free(vq->in_flight);
    free(vq->order);
    *vq = (struct virtqueue){.error = vq->error};
}

int vq_chain_add(struct virtqueue *vq, struct vq_chain *chain, uint64_t addr, uint32_t len,
                 bool writable)
{
    /* VIRTIO 1.4 2.7.5.3.1: a chain is no longer than the queue, which also ends every cycle. */
    if (chain->descs == vq->size)
        return vq_fault(vq, VQ_LONG, vq->size);
    chain->descs++;
    /* VIRTIO 1.4 2.7.4.2: what the device reads comes before what it writes. */
    if (!writable && chain->iov_count > chain->rd_iov)
        return vq_fault(vq, VQ_ORDER, chain->descs);
    chain->bytes += len;
    if (chain->bytes > CHAIN_MAX_BYTES)
        return vq_fault(vq, VQ_BYTES, chain->bytes);
    if (len > 0) {
        /* A hole is between any two regions, so a range that is all RAM is one vector. */
        void *hva = gmem_ptr(vq->gmem, addr, len, 1);
        if (hva == NULL)
            return vq_fault(vq, VQ_ADDRESS, addr);
        if (chain->iov_count == vq->iov_max)
            return vq_fault(vq, VQ_EXCESSIVE, vq->iov_max);
        chain->iov[chain->iov_count++] = (struct iovec){.iov_base = hva, .iov_len = len};
    }
    if (!writable)
        chain->rd_iov = chain->iov_count;
    return 0;
}

/* The place in `order` of what was taken `after` chains later than the oldest; no division. */
static uint32_t order_place(const struct virtqueue *vq, uint32_t after)
{
    uint32_t at = vq->order_first + after;
    return at < vq->size ? at : at - vq->size;
}

int vq_pop(struct virtqueue *vq, struct vq_chain **next)
{
    if (vq->broken)
        return -EPROTO;
    struct vq_chain *chain = vq->free;
    if (chain == NULL) { /* the next slot: unused ones take no host memory */
        chain = vq->free = &vq->chains[vq->slots_used];
        chain->slot = vq->slots_used++;
        chain->iov = &vq->iov[(size_t)chain->slot * vq->iov_max];
    }
    chain->slots = 0;
    chain->descs = 0;
    chain->done = false;
    chain->rd_iov = 0;
    chain->iov_count = 0;
    chain->bytes = 0;
    int got = vq->ops->pop(vq, chain);
    if (got <= 0) {
        vq->broken = got < 0;
        return got;
    }
    vq->free = chain->next_free;
    vq->in_flight[chain->head] = true;
    if (vq->in_order)
        vq->order[order_place(vq, vq->order_count++)] = chain;
    chain->rd = iobuf_init(chain->iov, chain->rd_iov);
    chain->wr = iobuf_init(chain->iov + chain->rd_iov, chain->iov_count - chain->rd_iov);
    chain->tail = (struct iobuf){0};
    *next = chain;
    return 1;
}

uint32_t vq_chain_written(const struct vq_chain *chain)
{
    uint64_t bytes = chain->wr.done;
    if (chain->wr.left == 0)
        bytes += chain->tail.done;
    return (uint32_t)min_u64(bytes, UINT32_MAX);
}

/* IN_ORDER: the oldest chain in flight if it was pushed, else NULL. */
static struct vq_chain *order_take(struct virtqueue *vq)
{
    if (vq->order_count == 0 || !vq->order[vq->order_first]->done)
        return NULL;
    struct vq_chain *chain = vq->order[vq->order_first];
    vq->order_first = order_place(vq, 1);
    vq->order_count--;
    return chain;
}

void vq_push(struct virtqueue *vq, struct vq_chain *chain)
{
    BUG_ON(!vq->in_flight[chain->head] || chain->done);
    chain->done = true;
    for (chain = vq->in_order ? order_take(vq) : chain; chain != NULL;
         chain = vq->in_order ? order_take(vq) : NULL) {
        vq->in_flight[chain->head] = false;
        /* A broken queue is not touched again before the reset. */
        if (!vq->broken)
            vq->ops->push(vq, chain, vq_chain_written(chain));
        chain->next_free = vq->free;
        vq->free = chain;
    }
}

/* ---- saved and loaded ---- */

unsigned vq_in_flight(const struct virtqueue *vq)
{
    if (vq->in_order)
        return vq->order_count;
    unsigned count = 0;
    for (uint32_t head = 0; head < vq->size; head++)
        count += vq->in_flight[head];
    return count;
}

uint32_t vq_position(const struct virtqueue *vq)
{
    return vq->ops->position(vq);
}

bool vq_seek(struct virtqueue *vq, uint32_t position)
{
    return vq->ops->seek(vq, position);
}
