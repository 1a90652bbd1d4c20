// SPDX-License-Identifier: BSD-2-Clause
/*
 * What backends that fail on purpose have in common: the words that say what fails and when, and
 * dice that fall the same way for the same seed.
 *
 * Words come in a row, "eio:1%,lat:5ms". WHEN is a chance (0.5%) or a number: 10 is every tenth of
 * what it concerns.
 */
#ifndef MINIVET_DEVICES_BACKEND_FAULT_H
#define MINIVET_DEVICES_BACKEND_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_ALWAYS_PPM 1000000u

struct fault_when {
    uint32_t chance_ppm; /* FAULT_ALWAYS_PPM is always */
    uint32_t every;      /* 0: not so */
};

struct fault_word {
    const char *name; /* NULL: the table's end */
    enum {
        FAULT_WHEN,  /* a struct fault_when */
        FAULT_TIME,  /* uint64_t, in nanoseconds: up to a minute */
        FAULT_COUNT, /* uint64_t */
    } kind;
    void *out;
};

/* Reads the words. What is wrong is reported, behind `what` ("disk foo.img"): -EINVAL. */
int fault_parse(const struct fault_word *words, const char *what, const char *text);

/* One cause of faults, and what it has seen. */
struct fault_cause {
    struct fault_when when;
    uint64_t seen;
};

uint64_t fault_random_init(uint64_t seed);
uint64_t fault_random(uint64_t *state); /* 48 bits */

/* Whether it happens now. */
bool fault_happens(struct fault_cause *cause, uint64_t *random);

#endif
