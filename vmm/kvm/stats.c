// SPDX-License-Identifier: BSD-2-Clause
/* KVM's own figures: KVM_GET_STATS_FD, the KVM API's 4.133. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "kvm/impl.h"

#define MAX_STATS 1024 /* no more than that, whatever the header says */

/* On a vCPU it would wait for the vCPU to come out: it is opened before that ever runs. */
int kvm_stats_open(int fd)
{
    int stats = kvm_ioctl(fd, KVM_GET_STATS_FD, 0);
    return stats < 0 ? -1 : stats; /* a kernel before 5.14 */
}

/* Sums, and what is now the case; no peaks and no histograms, which do not add up. */
static bool adds_up(const struct kvm_stats_desc *d)
{
    unsigned type = d->flags & KVM_STATS_TYPE_MASK;
    return d->size == 1 && (type == KVM_STATS_TYPE_CUMULATIVE || type == KVM_STATS_TYPE_INSTANT);
}

static int read_stats(int fd, const struct kvm_stats_header *h, struct hv_stat *out, unsigned max)
{
    size_t desc_bytes = sizeof(struct kvm_stats_desc) + h->name_size;
    char *descs = malloc(h->num_desc * desc_bytes);
    if (descs == NULL)
        return -ENOMEM;
    ssize_t got = pread(fd, descs, h->num_desc * desc_bytes, h->desc_offset);
    unsigned count = 0, whole = got < 0 ? 0 : (unsigned)((size_t)got / desc_bytes);
    for (unsigned i = 0; i < whole && count < max; i++) {
        const struct kvm_stats_desc *d = (const void *)(descs + i * desc_bytes);
        uint64_t value;
        if (!adds_up(d) ||
            pread(fd, &value, sizeof(value), h->data_offset + d->offset) != sizeof(value))
            continue;
        snprintf(out[count].name, sizeof(out->name), "%.*s", (int)h->name_size, d->name);
        out[count++].value = value;
    }
    free(descs);
    return (int)count;
}

int kvm_stats(struct hv_vm *vm, struct hv_vcpu *vcpu, struct hv_stat *out, unsigned max)
{
    struct kvm_stats_header h;
    int fd = vcpu != NULL ? vcpu->stats_fd : vm->stats_fd;
    if (fd < 0 || pread(fd, &h, sizeof(h), 0) != sizeof(h))
        return 0;
    h.num_desc = (uint32_t)min_u64(h.num_desc, MAX_STATS);
    h.name_size = (uint32_t)min_u64(h.name_size, MAX_STATS);
    return read_stats(fd, &h, out, max);
}

uint64_t kvm_vcpu_stat(struct hv_vcpu *vcpu, const char *name)
{
    struct hv_stat all[64];
    int count = kvm_stats(vcpu->vm, vcpu, all, ARRAY_SIZE(all));
    for (int i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].value;
    return 0;
}
