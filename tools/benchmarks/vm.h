// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bare-metal guest under a VMM that says on the serial port when its load begins and what came of
 * it. The guest polls, so its vCPU's thread is busy all the time; what the VMM pays is the CPU time
 * of all other threads, between the guest's first line and its last.
 */
#ifndef MINIVET_BENCH_VM_H
#define MINIVET_BENCH_VM_H

#include <stddef.h>
#include <sys/types.h>

#define VM_TEXT_BYTES 16384
#define VM_LINGER_MS  500 /* the guest stays, so that the threads' times can be read */

struct vm_run {
    const char *name;
    pid_t pid;
    int fd;
    char text[VM_TEXT_BYTES]; /* what the guest printed */
    size_t len;
};

struct vm_moment {
    double ms, cpu_us; /* CPU of all threads but the vCPU's */
};

/* Ticks of the time stamp counter in a microsecond, over at least 50 ms. */
double vm_ticks_per_us(void);

struct vm_moment vm_now(const struct vm_run *r);

/* Ends the VMM and the benchmark. */
_Noreturn void vm_give_up(struct vm_run *r, const char *why);

/* Reads up to the end of the line that begins with `words`, and returns it. */
const char *vm_await_line(struct vm_run *r, const char *words);

/* Reads until the guest has said that, whatever else it says. */
void vm_await(struct vm_run *r, const char *words);

/* What the line says after ` KEY=`. */
double vm_number(struct vm_run *r, const char *line, const char *key);

/* How long the load ran: the line's ticks, which must be about the time that has passed. */
double vm_us(struct vm_run *r, const char *line, const struct vm_moment *from,
             const struct vm_moment *to);

void vm_end(struct vm_run *r);

#endif
