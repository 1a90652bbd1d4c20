// SPDX-License-Identifier: BSD-2-Clause
/* A pattern under a VMM, driven by the bare-metal guest net.c. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "net.h"
#include "runs.h"
#include "vm.h"

#define START_LINE "net: start\n"
#define END_WORDS  "net: end "

static void order_guest(const struct load *l, const struct contender *c, const struct pattern *p,
                        char orders[VM_TEXT_BYTES])
{
    double second = vm_ticks_per_us() * 1e6;
    snprintf(orders, VM_TEXT_BYTES,
             "kind=%d size=%u depth=%u answers=%d port=%d room=%u packed=%d ticks=%.0f warm=%.0f "
             "linger=%.0f",
             (int)p->kind, p->bytes, p->from_host ? 0 : p->depth, p->answers, NET_UDP_PORT,
             p->bytes > 2000 ? 4096 : 2048, c->packed, l->seconds * second, l->seconds * second / 5,
             VM_LINGER_MS * second / 1e3);
}

static pid_t start_minivet(const struct load *l, const struct contender *c, const struct pattern *p,
                           const char *orders, int *fd)
{
    static const char *const networks[] = {
        [TAP] = ("tap=" NET_TAP_NAME), [USER] = "user", [NONE] = "null"};
    char net[64];
    snprintf(net, sizeof(net), "%s,ring=%s%s", networks[p->network], c->packed ? "packed" : "split",
             c->vhost ? ",vhost=on" : "");
    return vm_start_minivet(c->name, l->minivet, l->guest, orders,
                            (const char *const[]){"--net", net, NULL}, fd);
}

/* QEMU's card takes and drops everything where it has no network, if not without a warning. */
static pid_t start_qemu(const struct load *l, const struct contender *c, const struct pattern *p,
                        const char *orders, int *fd)
{
    const char *net = "user,id=net", *packed = c->packed ? "packed=on" : "packed=off";
    if (p->network == TAP && c->vhost)
        net = "tap,id=net,ifname=" NET_TAP_NAME ",script=no,downscript=no,vhost=on";
    else if (p->network == TAP)
        net = "tap,id=net,ifname=" NET_TAP_NAME ",script=no,downscript=no,vnet_hdr=on";
    char device[64];
    snprintf(device, sizeof(device), "virtio-net-device,%s%s", packed,
             p->network == NONE ? "" : ",netdev=net");
    const char *const words[] = {"-device", device, p->network == NONE ? NULL : "-netdev", net,
                                 NULL};
    return vm_start_qemu(c->name, l->qemu, l->guest, orders, words, fd);
}

static void figure_out(struct vm_run *r, const struct pattern *p, const char *line, double us,
                       double cpu_us, double figures[FIGURES])
{
    double frames = vm_number(r, line,
                              p->answers     ? "answered"
                              : p->from_host ? "received"
                                             : "sent");
    double bytes = p->from_host ? vm_number(r, line, "bytes") : frames * p->bytes;
    bool latency = p->answers && p->depth == 1;
    errno = 0;
    if (!(frames > 0))
        vm_give_up(r, "no frame came through under");
    figures[FRAMES] = frames / us * 1e6;
    figures[MB_S] = bytes / us;
    figures[P50_US] = latency ? vm_number(r, line, "p50") / vm_ticks_per_us() : NAN;
    figures[P99_US] = latency ? vm_number(r, line, "p99") / vm_ticks_per_us() : NAN;
    figures[CPU_US] = cpu_us / frames;
    figures[KICKS] = vm_number(r, line, "kicks") / frames;
}

/* What the guest says that it has sent must have come out at the other end: all but a tenth. */
static void check_sent(struct vm_run *r, const struct pattern *p, const char *line, double came)
{
    double sent = vm_number(r, line, "sent");
    errno = 0;
    if (p->network == NONE || p->answers || p->from_host || came > sent * 0.9)
        return;
    fprintf(stderr, "bench: of %.0f frames %.0f arrived\n", sent, came);
    vm_give_up(r, "frames were lost under");
}

void net_run_vm(const struct load *l, const struct contender *c, const struct pattern *p,
                double figures[FIGURES])
{
    char orders[VM_TEXT_BYTES];
    struct vm_run r = {.name = c->name};
    order_guest(l, c, p, orders);
    net_host_begin(p);
    double before = net_host_frames(p);
    r.pid = (c->qemu ? start_qemu : start_minivet)(l, c, p, orders, &r.fd);
    vm_await_line(&r, START_LINE);
    struct vm_moment from = vm_now(&r);
    const char *line = vm_await_line(&r, END_WORDS);
    struct vm_moment to = vm_now(&r);
    figure_out(&r, p, line, vm_us(&r, line, &from, &to), to.cpu_us - from.cpu_us, figures);
    check_sent(&r, p, line, net_host_frames(p) - before);
    vm_end(&r);
    net_host_end();
}
