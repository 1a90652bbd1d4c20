// SPDX-License-Identifier: BSD-2-Clause
/* A pattern under a VMM, driven by the bare-metal guest blk.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "blk.h"
#include "runs.h"
#include "vm.h"

#define NULL_SIZE "1G"

#define START_LINE "blk: start\n"
#define END_WORDS  "blk: end "

/* ---- command lines ---- */

static void order_guest(const struct load *l, const struct contender *c, const struct pattern *p,
                        char orders[VM_TEXT_BYTES])
{
    double second = vm_ticks_per_us() * 1e6;
    snprintf(orders, VM_TEXT_BYTES,
             "write=%d seq=%d size=%u depth=%u packed=%d gap=%.0f ticks=%.0f warm=%.0f "
             "linger=%.0f requests=%" PRIu64,
             p->write, p->sequential, p->bytes, p->depth, c->packed, p->gap_us * vm_ticks_per_us(),
             l->seconds * second, l->seconds * second / 5, VM_LINGER_MS * second / 1e3,
             l->requests);
}

static pid_t start_minivet(const struct load *l, const struct contender *c, const char *orders,
                           int *fd)
{
    char disk[VM_TEXT_BYTES];
    if (c->null)
        snprintf(disk, sizeof(disk), "null:" NULL_SIZE);
    else
        snprintf(disk, sizeof(disk), "%s%s", l->file, l->direct ? "" : ",cache=writeback");
    return vm_start_minivet(c->name, l->minivet, l->guest, orders,
                            (const char *const[]){"--disk", disk, "--virtio",
                                                  c->packed ? "ring=packed" : "ring=split", NULL},
                            fd);
}

static pid_t start_qemu(const struct load *l, const struct contender *c, const char *orders,
                        int *fd)
{
    char drive[VM_TEXT_BYTES], device[VM_TEXT_BYTES];
    if (c->null)
        snprintf(drive, sizeof(drive),
                 "if=none,id=disk,driver=null-co,size=" NULL_SIZE ",read-zeroes=off");
    else
        snprintf(drive, sizeof(drive), "if=none,id=disk,format=raw,file=%s,aio=%s,cache=%s",
                 l->file, c->aio, l->direct ? "none" : "writeback");
    snprintf(device, sizeof(device), "virtio-blk-device,drive=disk,iothread=io,packed=%s",
             c->packed ? "on" : "off");
    return vm_start_qemu(c->name, l->qemu, l->guest, orders,
                         (const char *const[]){"-object", "iothread,id=io", "-drive", drive,
                                               "-device", device, NULL},
                         fd);
}

static void figure_out(struct vm_run *r, const char *line, const struct vm_moment *from,
                       const struct vm_moment *to, double figures[FIGURES])
{
    double requests = vm_number(r, line, "requests"), us = vm_us(r, line, from, to);
    errno = 0;
    if (vm_number(r, line, "errors") > 0)
        vm_give_up(r, "requests failed in the guest of");
    figures[IOPS] = requests / us * 1e6;
    figures[MB_S] = vm_number(r, line, "bytes") / us;
    figures[P50_US] = vm_number(r, line, "p50") / vm_ticks_per_us();
    figures[P99_US] = vm_number(r, line, "p99") / vm_ticks_per_us();
    figures[CPU_US] = (to->cpu_us - from->cpu_us) / requests;
    figures[KICKS] = vm_number(r, line, "kicks") / requests;
}

void blk_run_vm(const struct load *l, const struct contender *c, const struct pattern *p,
                double figures[FIGURES])
{
    char orders[VM_TEXT_BYTES];
    struct vm_run r = {.name = c->name};
    order_guest(l, c, p, orders);
    r.pid = c->vmm == QEMU ? start_qemu(l, c, orders, &r.fd) : start_minivet(l, c, orders, &r.fd);
    vm_await_line(&r, START_LINE);
    struct vm_moment from = vm_now(&r);
    const char *line = vm_await_line(&r, END_WORDS);
    struct vm_moment to = vm_now(&r);
    figure_out(&r, line, &from, &to, figures);
    vm_end(&r);
}
