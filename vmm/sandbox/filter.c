// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/sandbox/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/sandbox/calls.h"

#define NUMBER_MAX 0x3fffffffu /* where numbers of a second table begin, if there is one */

#define DATA(member)  ((uint32_t)offsetof(struct seccomp_data, member))
#define LOW(argument) (DATA(args) + 8u * (argument))

static void put(struct filter *f, struct sock_filter instruction)
{
    f->is_full |= f->len == FILTER_MAX;
    if (!f->is_full)
        f->code[f->len++] = instruction;
}

static void load(struct filter *f, uint32_t offset)
{
    put(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void answer(struct filter *f, uint32_t action)
{
    put(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Unless what is loaded is the value, so many instructions are skipped. */
static void unless_skip(struct filter *f, uint32_t value, uint8_t count)
{
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
}

void filter_begin(struct filter *f, uintptr_t gate)
{
    f->len = 0;
    f->is_full = false;
    load(f, DATA(arch));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0));
    answer(f, SECCOMP_RET_KILL_PROCESS);
    if (gate != 0) {
        load(f, DATA(instruction_pointer));
        unless_skip(f, (uint32_t)gate, 3);
        load(f, DATA(instruction_pointer) + 4);
        unless_skip(f, (uint32_t)((uint64_t)gate >> 32), 1);
        answer(f, SECCOMP_RET_ALLOW);
    }
    load(f, DATA(nr));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NUMBER_MAX, 0, 1));
    answer(f, SECCOMP_RET_KILL_PROCESS);
}

/* With an argument: half of it is looked at if the mask leaves the other out. */
static void add_argument(struct filter *f, const struct sandbox_call *c)
{
    uint32_t high = (uint32_t)(c->mask >> 32);
    uint64_t value = c->value == SANDBOX_SELF ? (uint64_t)getpid() : c->value;
    load(f, LOW(c->argument - 1));
    if ((uint32_t)c->mask != UINT32_MAX)
        put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)c->mask));
    unless_skip(f, (uint32_t)value, high != 0 ? 4 : 1);
    if (high != 0) {
        load(f, LOW(c->argument - 1) + 4);
        put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, high));
        unless_skip(f, (uint32_t)(value >> 32), 1);
    }
    answer(f, SECCOMP_RET_ALLOW);
}

/* Rows of one call stand together: its number is compared once. */
void filter_add(struct filter *f, const struct sandbox_call *calls, unsigned roles, unsigned uses)
{
    const struct sandbox_call *c = calls;
    while (c->name != NULL) {
        int number = c->number;
        unsigned short skip = 0;
        bool any = false;
        for (; c->name != NULL && c->number == number; c++) {
            /* A negative one: this architecture has no such call. */
            if (number < 0 || (c->roles & roles) == 0 || (c->uses != 0 && (c->uses & uses) == 0))
                continue;
            if (!any) {
                put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 1,
                                                    0));
                skip = f->len;
                put(f, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
                any = true;
            }
            if (c->argument != 0)
                add_argument(f, c);
            else
                answer(f, c->is_absent ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_ALLOW);
        }
        if (any && !f->is_full) {
            load(f, DATA(nr)); /* it comes here after an argument that did not fit, too */
            f->code[skip].k = f->len - skip - 1u;
        }
    }
}

void filter_end(struct filter *f)
{
    answer(f, SECCOMP_RET_TRAP);
}

int filter_enter(const struct filter *f, bool all)
{
    struct sock_fprog program = {.len = f->len, .filter = (struct sock_filter *)f->code};
    long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, all ? SECCOMP_FILTER_FLAG_TSYNC : 0,
                     &program);
    return r < 0 ? -errno : r > 0 ? -ESRCH : 0; /* a thread that cannot have it */
}
