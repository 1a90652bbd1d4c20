// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/sandbox/gate.h"

#include <ucontext.h>

/* long gate_call(const uint64_t call[7]): the number, six arguments. */
long gate_call(const uint64_t call[7]);

#if defined(__x86_64__)
__asm__(".text\n.globl gate_call\n.globl gate_end\n"
        "gate_call:\n"
        "  mov %rdi, %r11\n  mov (%r11), %rax\n  mov 8(%r11), %rdi\n  mov 16(%r11), %rsi\n"
        "  mov 24(%r11), %rdx\n  mov 32(%r11), %r10\n  mov 40(%r11), %r8\n  mov 48(%r11), %r9\n"
        "  syscall\n"
        "gate_end:\n  ret\n");
#define REGISTER(c, n) ((uint64_t)(c)->uc_mcontext.gregs[n])
#define NUMBER(c)      REGISTER(c, REG_RAX)
#define ANSWER(c)      (c)->uc_mcontext.gregs[REG_RAX]
static const int arguments[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
#elif defined(__aarch64__)
__asm__(".text\n.globl gate_call\n.globl gate_end\n"
        "gate_call:\n"
        "  mov x9, x0\n  ldr x8, [x9]\n  ldp x0, x1, [x9, #8]\n  ldp x2, x3, [x9, #24]\n"
        "  ldp x4, x5, [x9, #40]\n"
        "  svc #0\n"
        "gate_end:\n  ret\n");
#define REGISTER(c, n) ((uint64_t)(c)->uc_mcontext.regs[n])
#define NUMBER(c)      REGISTER(c, 8)
#define ANSWER(c)      (c)->uc_mcontext.regs[0]
static const int arguments[] = {0, 1, 2, 3, 4, 5};
#elif defined(__riscv)
__asm__(".text\n.globl gate_call\n.globl gate_end\n"
        "gate_call:\n"
        "  mv t0, a0\n  ld a7, 0(t0)\n  ld a0, 8(t0)\n  ld a1, 16(t0)\n  ld a2, 24(t0)\n"
        "  ld a3, 32(t0)\n  ld a4, 40(t0)\n  ld a5, 48(t0)\n"
        "  ecall\n"
        "gate_end:\n  ret\n");
#define REGISTER(c, n) ((uint64_t)(c)->uc_mcontext.__gregs[n])
#define NUMBER(c)      REGISTER(c, 17)
#define ANSWER(c)      (c)->uc_mcontext.__gregs[10]
static const int arguments[] = {10, 11, 12, 13, 14, 15};
#endif

long gate_number(const void *context)
{
    const ucontext_t *c = context;
    return (long)NUMBER(c);
}

uint64_t gate_argument(const void *context, unsigned which)
{
    const ucontext_t *c = context;
    return REGISTER(c, arguments[which]);
}

void gate_pass(void *context)
{
    ucontext_t *c = context;
    uint64_t call[7] = {NUMBER(c)};
    for (unsigned i = 0; i < 6; i++)
        call[i + 1] = gate_argument(c, i);
    long answer = gate_call(call);
    ANSWER(c) = answer;
}
