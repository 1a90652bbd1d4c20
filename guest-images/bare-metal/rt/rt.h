// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bare-metal test guests' runtime. A guest is a C file with main(), which runs on the first CPU
 * with all memory mapped to itself (x86-64: at privilege level 3, with interrupts on and every port
 * open). What main() returns is written to the debug-exit device and ends the run: 0 is a pass.
 *
 * A folder beside this header has what a processor needs. Its cpu.h defines, too:
 *   mmio_read8() to 64, mmio_write8() to 64   one access each, in order with those to memory
 *   serial_in(), serial_out()                 a register of the serial port, a 16550A
 *   stamp()                                   a byte that says how far the guest has come
 *   pause(), rt_ticks()                       waiting, and a clock that all CPUs share
 *   RAM_GPA, FRAMEBUFFER_GPA, VIRTIO_GPA      where memory begins, and devices are
 *   virtio_irq()                              the wired interrupt of a virtio-mmio window
 *   TRAP_VECTOR                               what __builtin_trap() raises
 */
#ifndef MINIVET_BARE_METAL_RT_H
#define MINIVET_BARE_METAL_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

/* ---- what the tests' machine has for the guests (tests/kvm/tvm.h) ---- */
#define LATCH_GPA    0xd0000000 /* 16 bytes of any width: reads give what was written last */
#define DOORBELL_GPA 0xd0001000
#define CPUS_GPA     0xd0002000           /* one byte: how many CPUs there are */
#define COUNTER_GPA  (RAM_GPA + 0xf00000) /* RAM that the host watches */
#define SENDER_DEVFN 8                    /* of messages: arm64 asks who sends them */

#define EXIT_FAILED    1
#define EXIT_EXCEPTION 2

int main(void);

_Noreturn void rt_exit(uint8_t status);
void rt_puts(const char *text);
void rt_put_hex(uint64_t value);
_Noreturn void rt_failed(const char *what, int line);

#define CHECK(condition)                     \
    do {                                     \
        if (!(condition))                    \
            rt_failed(#condition, __LINE__); \
    } while (0)

/* The words after the kernel's name. */
const char *rt_cmdline(void);

/* It may come back. */
void rt_power_off(void);

/* As bad an end as a CPU can make: a triple fault (x86-64), or power-off. */
void rt_break(void);

/* ---- interrupts, which the first CPU takes ---- */
/* Switches the interrupt controller on. */
void rt_irq_init(void);
bool rt_irq_has_messages(void);
/* The handler runs with interrupts masked; vector RT_VECTOR_MIN to RT_VECTORS - 1. The end of
 * interrupt follows it. A message's vector is its data (x86-64, riscv64) or event (arm64). */
void rt_irq_handler(unsigned vector, void (*handler)(unsigned vector));
/* Routes an edge of a wired interrupt to a vector. */
void rt_irq_route(unsigned irq, unsigned vector);
/* Waits until a handler has changed what it counts. */
void rt_irq_wait(const volatile uint32_t *count, uint32_t seen);

/* Starts CPU `cpu` (1 to RT_CPUS - 1), which runs entry(cpu); needs rt_irq_init(). */
void rt_cpu_start(unsigned cpu, void (*entry)(unsigned cpu));

/* ---- for the processors' parts ---- */
_Noreturn void rt_main(unsigned cpu);
_Noreturn void rt_unexpected(uint64_t vector, uint64_t error, uint64_t pc);
bool rt_irq_take(unsigned vector); /* calls its handler; false: there is none */
void rt_cpu_init(void);            /* the first CPU, before main() */
void rt_cpu_boot(unsigned cpu);    /* has it come to rt_main() */

#endif
