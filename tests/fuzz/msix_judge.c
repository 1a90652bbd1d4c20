// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/msix_judge.h"

#include "core/base/xmath.h"
#include "core/ports/pci.h"
#include "pci/function.h"
#include "pci/msix.h"
#include "tests/fuzz/input.h"
#include "tests/harness/fake.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

enum {
    CAP_CONTROL = 2,
    CAP_PBA = 8,
    CONTROL_MASK_ALL = 0x4000,
    CONTROL_ENABLE = 0x8000,
    ENTRY_CONTROL = 12,
    VECTORS_MAX = 64, /* that are judged: as many as a word of pending bits has */
};

/* ---- what the guest could read ---- */

static uint32_t config(const struct msix_judge *j, unsigned offset, unsigned width)
{
    return pci_func_get(&j->pci->func, msix_cap(j->pci->msix) + offset, width);
}

/* From the table or the pending bits, wherever the BAR is. */
static uint64_t read_bar(const struct msix_judge *j, uint64_t offset, unsigned width)
{
    const struct pci_bar_config *bar = &j->pci->func.bars[VIRTIO_PCI_BAR_MSIX].cfg;
    return bar->ops->read(bar->dev, offset, width);
}

static unsigned vectors(const struct msix_judge *j)
{
    return (unsigned)min_u64(msix_vectors(j->pci->msix), VECTORS_MAX);
}

static uint64_t pending(const struct msix_judge *j)
{
    return read_bar(j, config(j, CAP_PBA, 4) & ~7u, 8);
}

static bool is_enabled(const struct msix_judge *j)
{
    return (config(j, CAP_CONTROL, 2) & CONTROL_ENABLE) != 0;
}

/* The vectors whose messages may not be sent now. */
static uint64_t held(const struct msix_judge *j)
{
    uint64_t all = UINT64_MAX, some = 0;
    if (!is_enabled(j) || (config(j, CAP_CONTROL, 2) & CONTROL_MASK_ALL) != 0 ||
        (pci_func_get(&j->pci->func, PCI_REG_COMMAND, 2) & PCI_CMD_MASTER) == 0)
        return all;
    for (unsigned v = 0; v < vectors(j); v++)
        some |= (read_bar(j, (uint64_t)v * MSIX_ENTRY_BYTES + ENTRY_CONTROL, 4) & 1) << v;
    return some;
}

/* ---- the device interrupts ---- */

static void judge_raise(struct msix_judge *j, unsigned vector, unsigned sent, unsigned tries,
                        uint64_t were)
{
    uint64_t bit = vector < vectors(j) ? UINT64_C(1) << vector : 0;
    unsigned now = fake_msi_sent(j->msi) - sent;
    j->heard += now;
    if (bit == 0 || (held(j) & bit) != 0) {
        fuzz_check(now == 0 && j->msi->sends == tries, "a message of vector %u, which is held back",
                   vector);
        fuzz_check(bit == 0 || !is_enabled(j) || (pending(j) & bit) != 0,
                   "vector %u is held back, and not pending", vector);
        j->put_off += (pending(j) & ~were) != 0;
        return;
    }
    fuzz_check(j->msi->fail != 0 || now == 1, "%u messages of vector %u for one interrupt", now,
               vector);
}

static void on_queue(void *ctx, unsigned queue)
{
    struct msix_judge *j = ctx;
    unsigned sent = fake_msi_sent(j->msi), tries = j->msi->sends;
    uint64_t were = pending(j);
    j->host.ops->notify_queue(j->host.ctx, queue);
    judge_raise(j, j->pci->queue_vector[queue], sent, tries, were);
}

static void on_config(void *ctx)
{
    struct msix_judge *j = ctx;
    unsigned sent = fake_msi_sent(j->msi), tries = j->msi->sends;
    uint64_t were = pending(j);
    j->host.ops->notify_config(j->host.ctx);
    judge_raise(j, j->pci->config_vector, sent, tries, were);
}

void msix_judge_init(struct msix_judge *j, struct virtio_pci *pci, struct fake_msi *msi)
{
    static const struct virtio_host_ops ops = {.notify_queue = on_queue,
                                               .notify_config = on_config};
    *j = (struct msix_judge){.pci = pci, .msi = msi, .host = pci->dev->host};
    pci->dev->host = (struct virtio_host){.ops = &ops, .ctx = j};
}

/* ---- the guest's steps ---- */

void msix_judge_begin(struct msix_judge *j)
{
    j->sent = fake_msi_sent(j->msi);
    j->enabled = is_enabled(j);
    j->status = virtio_device_status(j->pci->dev);
    j->pending = pending(j);
    j->held = held(j);
    j->heard = j->put_off = 0;
}

static unsigned count(uint64_t bits)
{
    return (unsigned)__builtin_popcountll(bits);
}

void msix_judge_end(struct msix_judge *j, bool single)
{
    unsigned more = fake_msi_sent(j->msi) - j->sent - j->heard;
    uint64_t now = pending(j), holds = held(j), mine = UINT64_MAX >> (64 - vectors(j));
    fuzz_check(more <= count(j->pending) + j->put_off, "%u messages, and only %u were pending",
               more, count(j->pending) + j->put_off);
    fuzz_check((now & ~holds & mine) == 0, "vectors 0x%llx are pending, and nothing holds them",
               (unsigned long long)(now & ~holds & mine));
    /* A reset of the device forgets what is pending. */
    uint32_t status = virtio_device_status(j->pci->dev);
    if (!single || status == 0 || status != j->status || !j->enabled || !is_enabled(j))
        return;
    uint64_t let_go = j->pending & ~holds & mine;
    fuzz_check(j->msi->fail != 0 || more == count(let_go),
               "%u messages when %u pending vectors were unmasked", more, count(let_go));
    fuzz_check((j->pending & holds & mine & ~now) == 0, "vectors 0x%llx are pending no more",
               (unsigned long long)(j->pending & holds & mine & ~now));
}
