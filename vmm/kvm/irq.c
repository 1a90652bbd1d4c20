// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts into the guest: wired lines and messages. KVM calls the number of either a GSI. It
 * knows one routing table, replaced whole at each change; the wired part of it never changes.
 */
#include "core/ports/irq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "kvm/impl.h"

unsigned kvm_routing_build(struct kvm_irq_routing *table, const struct kvm_msi_route *routes,
                           unsigned count)
{
    unsigned n = kvm_arch.line_routes;
    kvm_arch_route_lines(table->entries);
    for (unsigned i = 0; i < count; i++) {
        if (!routes[i].used)
            continue;
        struct kvm_irq_routing_entry e = {.gsi = kvm_arch.lines + i, .type = KVM_IRQ_ROUTING_MSI};
        e.u.msi.address_lo = (uint32_t)routes[i].addr;
        e.u.msi.address_hi = (uint32_t)(routes[i].addr >> 32);
        e.u.msi.data = routes[i].data;
        e.flags = kvm_arch.msi_flags;
        e.u.msi.devid = routes[i].devid;
        table->entries[n++] = e;
    }
    table->nr = n;
    table->flags = 0;
    return n;
}

static int routing_apply(struct hv_vm *vm)
{
    size_t room = kvm_arch.line_routes + vm->route_count;
    struct kvm_irq_routing *table = calloc(1, sizeof(*table) + room * sizeof(table->entries[0]));
    if (table == NULL)
        return -ENOMEM;
    kvm_routing_build(table, vm->routes, vm->route_count);
    int err = kvm_wire(vm, KVM_SET_GSI_ROUTING, table);
    free(table);
    return err;
}

int kvm_irq_init(struct hv_vm *vm)
{
    if (vm->has_no_irqchip)
        return 0;
    int err = routing_apply(vm);
    return err < 0 ? fail(err, "KVM_SET_GSI_ROUTING") : 0;
}

void kvm_irq_fini(struct hv_vm *vm)
{
    free(vm->routes);
}

static int irqfd(struct hv_vm *vm, unsigned gsi, int eventfd, uint32_t flags)
{
    struct kvm_irqfd arg = {.fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags};
    return kvm_wire(vm, KVM_IRQFD, &arg);
}

/* ---- wired ---- */
static void line_set(void *ctx, unsigned gsi, bool level)
{
    const struct hv_vm *vm = ctx;
    if (vm->has_no_irqchip) {
        vm->line_set(vm->line_ctx, gsi, level);
        return;
    }
    struct kvm_irq_level arg = {.irq = kvm_arch.line_base + gsi, .level = level};
    kvm_ioctl_ptr(vm->fd, KVM_IRQ_LINE, &arg);
}

/* An eventfd that raises and lowers the line, or a negative errno; reported. */
static int line_eventfd(struct hv_vm *vm, unsigned gsi)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return fail(-errno, "KVM: eventfd for GSI %u", gsi);
    int err = irqfd(vm, gsi, fd, 0);
    if (err < 0) {
        close(fd);
        return fail(err, "KVM_IRQFD: GSI %u", gsi);
    }
    return fd;
}

int kvm_irq_line(struct hv_vm *vm, unsigned gsi, enum irq_way way, struct irq_line *out)
{
    if (gsi >= kvm_arch.lines)
        return fail(-EINVAL, "KVM: GSI %u", gsi);
    bool by_eventfd = way == IRQ_BY_EVENTFD && !kvm_arch.has_no_line_irqfds;
    int fd = by_eventfd ? line_eventfd(vm, gsi) : -1;
    if (by_eventfd && fd < 0)
        return fd;
    *out = (struct irq_line){.set = line_set, .ctx = vm, .irq = gsi, .eventfd = fd};
    return 0;
}

void kvm_irq_line_release(struct hv_vm *vm, struct irq_line *line)
{
    if (line->eventfd < 0)
        return;
    irqfd(vm, line->irq, line->eventfd, KVM_IRQFD_FLAG_DEASSIGN);
    close(line->eventfd);
    line->eventfd = -1;
}

/* ---- messages: address and data are the guest's, so errors are only returned ---- */
static int msi_send(void *ctx, uint64_t addr, uint32_t data)
{
    const struct kvm_msi_sender *s = ctx;
    if (!kvm_arch_is_msi(addr))
        return -EINVAL;
    struct kvm_msi msi = {.address_lo = (uint32_t)addr,
                          .address_hi = (uint32_t)(addr >> 32),
                          .data = data,
                          .flags = kvm_arch.msi_flags,
                          .devid = s->devid};
    int r = kvm_ioctl_ptr(s->vm->fd, KVM_SIGNAL_MSI, &msi);
    return r < 0 ? r : 0; /* how many processors took it */
}

static int route_write(struct hv_vm *vm, unsigned handle, const struct kvm_msi_route *route)
{
    struct kvm_msi_route before = vm->routes[handle];
    vm->routes[handle] = *route;
    int err = routing_apply(vm);
    if (err < 0)
        vm->routes[handle] = before;
    return err;
}

/* A place that no route has, or a negative errno. */
static int route_place(struct hv_vm *vm)
{
    unsigned i = 0;
    while (i < vm->route_count && vm->routes[i].used)
        i++;
    if (i == KVM_MSI_ROUTES)
        return -ENOSPC;
    if (i == vm->route_count) {
        struct kvm_msi_route *more = realloc(vm->routes, (i + 1) * sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        more[i] = (struct kvm_msi_route){0};
        vm->routes = more;
        vm->route_count++;
    }
    return (int)i;
}

static int msi_route_add(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    const struct kvm_msi_sender *s = ctx;
    struct hv_vm *vm = s->vm;
    if (!kvm_arch_is_msi(addr))
        return -EINVAL;
    pthread_mutex_lock(&vm->routes_lock);
    int i = route_place(vm);
    int err = i;
    if (i >= 0)
        err = route_write(vm, (unsigned)i, &(struct kvm_msi_route){true, addr, data, s->devid});
    if (err >= 0) {
        err = irqfd(vm, kvm_arch.lines + (unsigned)i, eventfd, 0);
        if (err < 0)
            route_write(vm, (unsigned)i, &(struct kvm_msi_route){0});
    }
    pthread_mutex_unlock(&vm->routes_lock);
    return err < 0 ? err : i;
}

static int msi_route_set(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    const struct kvm_msi_sender *s = ctx;
    struct hv_vm *vm = s->vm;
    if (!kvm_arch_is_msi(addr))
        return -EINVAL;
    pthread_mutex_lock(&vm->routes_lock);
    BUG_ON(handle < 0 || (unsigned)handle >= vm->route_count || !vm->routes[handle].used);
    int err =
        route_write(vm, (unsigned)handle, &(struct kvm_msi_route){true, addr, data, s->devid});
    pthread_mutex_unlock(&vm->routes_lock);
    return err;
}

static void msi_route_del(void *ctx, int handle, int eventfd)
{
    struct hv_vm *vm = ((const struct kvm_msi_sender *)ctx)->vm;
    pthread_mutex_lock(&vm->routes_lock);
    BUG_ON(handle < 0 || (unsigned)handle >= vm->route_count);
    irqfd(vm, kvm_arch.lines + (unsigned)handle, eventfd, KVM_IRQFD_FLAG_DEASSIGN);
    route_write(vm, (unsigned)handle, &(struct kvm_msi_route){0});
    pthread_mutex_unlock(&vm->routes_lock);
}

static const struct msi_ops msi_ops = {
    .send = msi_send,
    .route_add = msi_route_add,
    .route_set = msi_route_set,
    .route_del = msi_route_del,
};

struct msi_sink kvm_msi_sink(struct hv_vm *vm, unsigned devfn)
{
    BUG_ON(devfn >= KVM_DEVFNS);
    vm->senders[devfn] = (struct kvm_msi_sender){vm, devfn};
    return (struct msi_sink){.ops = &msi_ops, .ctx = &vm->senders[devfn]};
}
