// SPDX-License-Identifier: BSD-2-Clause
/*
 * Doorbells as ioeventfds. Nothing is reported here: a doorbell that cannot be bound is answered by
 * the register write instead, and only its owner knows whether that is worth a word.
 */
#include "core/ports/doorbell.h"

#include <errno.h>

#include "kvm/impl.h"

static int ioeventfd(struct hv_vm *vm, const struct doorbell_addr *a, int eventfd, uint32_t flags)
{
    if (a->len == 0 && a->has_match)
        return -EINVAL;
    struct kvm_ioeventfd io = {
        .addr = a->addr,
        .len = a->len,
        .fd = eventfd,
        .datamatch = a->has_match ? a->match : 0,
        .flags = flags | (a->space == BUS_PIO ? KVM_IOEVENTFD_FLAG_PIO : 0) |
                 (a->has_match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
    };
    return kvm_wire(vm, KVM_IOEVENTFD, &io);
}

static int bind(void *ctx, const struct doorbell_addr *addr, int eventfd)
{
    return ioeventfd(ctx, addr, eventfd, 0);
}

static int unbind(void *ctx, const struct doorbell_addr *addr, int eventfd)
{
    return ioeventfd(ctx, addr, eventfd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

struct doorbell kvm_doorbell(struct hv_vm *vm)
{
    return (struct doorbell){.bind = bind, .unbind = unbind, .ctx = vm};
}
