// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tests' machine: KVM, memory, buses, vCPU threads, the board of this architecture, and the few
 * devices that the bare-metal guests know beside it (guest-images/bare-metal/rt/rt.h). Whatever
 * goes wrong on the host's side fails the test; how the run ended is for the test to judge.
 */
#ifndef MINIVET_TESTS_KVM_TVM_H
#define MINIVET_TESTS_KVM_TVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ports/bus.h"
#include "core/ports/hv.h"
#include "vmm/machine/vcpu.h"

#define TVM_LATCH_GPA     0xd0000000
#define TVM_DOORBELL_GPA  0xd0001000
#define TVM_OWN_GPA       0xd0002000
#define TVM_DOORBELL_PORT 0x530
#define TVM_SENDER_DEVFN  8        /* whose messages reach the guests */
#define TVM_COUNTER       0xf00000 /* from the start of RAM */

#define TVM_STAMPS 256
#define TVM_TEXT   8192
#define TVM_PATH   512

enum tvm_end {
    TVM_RUNS,
    TVM_STATUS, /* the guest wrote its exit status */
    TVM_OFF,    /* or switched itself off */
    TVM_RESET,
    TVM_PANIC,
    TVM_FAULT,
};

/* A few bytes that read as they were last written. */
struct tvm_latch {
    struct bus_region region;
    uint8_t bytes[16];
    unsigned writes;
};

struct tvm {
    struct gmem *gmem;
    struct hv_vm *vm;
    struct bus *mmio, *pio; /* no pio: NULL */
    struct evloop *loop;    /* nobody runs it */
    struct board *board;
    struct vcpus *vcpus;
    unsigned cpus;

    struct bus_region serial, own;
    struct tvm_latch mmio_latch, pio_latch, mmio_doorbell, pio_doorbell;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    enum tvm_end end;
    uint8_t exit_status;
    unsigned stamp_count;
    uint8_t stamps[TVM_STAMPS];
    unsigned text_bytes;
    char text[TVM_TEXT]; /* what the guest wrote to its serial port */
    unsigned log_bytes;
    char log[TVM_TEXT]; /* what the VMM logged */
};

struct tvm_config {
    const char *guest;   /* hello for hello.elf or hello.img */
    const char *cmdline; /* NULL: none */
    unsigned cpus;       /* 0: 1 */
    uint64_t ram_bytes;  /* 0: 16 MiB */
};

/* The file that the build made of a guest. */
void tvm_guest(char path[TVM_PATH], const char *name);

void tvm_create(struct tvm *t, const struct tvm_config *config);
void tvm_start(struct tvm *t);
/* Waits until the run has ended, then stops the vCPUs. */
enum tvm_end tvm_wait(struct tvm *t);
void tvm_destroy(struct tvm *t);

/* Runs a guest that must end with status 0: one that was created, or from first to last. */
void tvm_finish(struct tvm *t);
void tvm_run_ok(const struct tvm_config *config);

/* The same a few times, with pauses that fall into the midst of accesses. */
void tvm_run_paused(const char *guest);

/* Where messages to the first CPU go, if the host has a controller for them. */
uint64_t tvm_msi_gpa(void);

/* Does the processor itself say that KVM runs guests there, and need not emulate? */
bool tvm_has_virtualization(void);

/* A 64-bit counter a CPU, kept by the guest `spin`. */
_Atomic uint64_t *tvm_counters(const struct tvm *t);

/* Waits for the n-th stamp (from 0) and returns it; fails the test if the run ends before. */
uint8_t tvm_wait_stamp(struct tvm *t, unsigned n);

#endif
