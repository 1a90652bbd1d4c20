// SPDX-License-Identifier: BSD-2-Clause
/*
 * The vCPUs of a machine: a thread each, which runs guest code and carries register accesses to
 * the buses. No host I/O happens here.
 *
 *             start                stop
 *   STOPPED ---------> RUNNING ---------> STOPPED
 *                        | a vCPU cannot go on: it says so to power, and stays where it is
 *
 * All calls come from one controlling thread.
 */
#ifndef MINIVET_VMM_VCPU_H
#define MINIVET_VMM_VCPU_H

#include "core/ports/hv.h"
#include "core/ports/power.h"

struct bus;
struct clock;
struct exits;
struct facts;
struct timeline;
struct vcpus;

struct vcpus_config {
    const struct hv *hv;
    struct hv_vm *vm;
    unsigned count;
    struct bus *mmio;
    struct bus *pio;           /* NULL: no port I/O, and no HV_EXIT_PIO */
    struct timeline *timeline; /* NULL: none */
    const struct clock *clock; /* for counting exits; NULL: they are not counted */
    bool is_watched;           /* vcpus_look() will be called */
    struct power power;        /* asked on the thread of a vCPU that cannot go on */
};

int vcpus_create(struct vcpus **out, const struct vcpus_config *config);
void vcpus_destroy(struct vcpus *g); /* stops them first; NULL is allowed */

/* For setting power-on state, before vcpus_start(). */
struct hv_vcpu *vcpus_get(struct vcpus *g, unsigned id);

int vcpus_start(struct vcpus *g);

/*
 * Ends and joins the threads: no vCPU runs guest code, and none is inside a device. They may be
 * started again, and go on.
 */
void vcpus_stop(struct vcpus *g);

/* The same for a while, after which vcpus_start() comes. */
void vcpus_pause(struct vcpus *g);

/* Adds what all vCPUs have counted. Any time after creation. */
void vcpus_exits(const struct vcpus *g, struct exits *sum);

/* The controlling thread: names them, their threads and what they do. */
void vcpus_describe(const struct vcpus *g, struct facts *f);

/* What a vCPU did at the last look. */
struct vcpu_look {
    uint64_t looks;    /* so far: a look is over when there is one more */
    uint64_t accesses; /* to devices, before that look and after it */
    int doing;         /* enum hv_doing, or a negative errno */
};

/*
 * Any thread, from creation on: what all vCPUs did at the last look, and a new one, which a vCPU
 * has when it next runs. It costs each an exit.
 */
void vcpus_look(struct vcpus *g, struct vcpu_look *looks);

/*
 * After vcpus_stop(): where each vCPU is, at most `max` of them and those that cannot go on; but
 * not those that have said so already.
 */
void vcpus_print(struct vcpus *g, unsigned max, FILE *out);

/* Likewise: is that the reason why one cannot go on? */
bool vcpus_triple_faulted(const struct vcpus *g);

#endif
