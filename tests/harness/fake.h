// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stand-ins for what a host gives to devices: interrupts that are counted, doorbells that a test
 * rings, a clock that stands still, randomness that repeats, a disk and a terminal in memory.
 */
#ifndef MINIVET_TESTS_HARNESS_FAKE_H
#define MINIVET_TESTS_HARNESS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/loop/evloop.h"
#include "core/ports/block.h"
#include "core/ports/chr.h"
#include "core/ports/doorbell.h"
#include "core/ports/irq.h"

/* ---- interrupts ---- */
struct fake_irq {
    _Atomic unsigned edges; /* how often the line rose */
    _Atomic bool level;
};

struct irq_line fake_irq_line(struct fake_irq *irq);

/* Edges since the last time it was asked. */
unsigned fake_irq_take(struct fake_irq *irq);

/* ---- messages (MSI) ---- */
#define FAKE_MSI_ROUTES 64
#define FAKE_MSI_SENT   256

struct fake_msi_message {
    uint64_t addr;
    uint32_t data;
};

struct fake_msi {
    pthread_mutex_t lock;
    struct fake_msi_route {
        bool used;
        int eventfd;
        struct fake_msi_message message;
    } routes[FAKE_MSI_ROUTES];
    unsigned route_end;                          /* none was ever used from here on */
    struct fake_msi_message sent[FAKE_MSI_SENT]; /* the first of them, by send() and by routes */
    unsigned count;                              /* all of them */
    unsigned total;                              /* those that were taken, too */
    unsigned sends, adds, sets, dels;            /* calls that were made */
    int refuse_routes;                           /* a negative errno of route_add() and _set() */
    int fail;                                    /* a negative errno of send() */
};

/* Zeroes and prepares it: once. */
struct msi_sink fake_msi_sink(struct fake_msi *msi);

/* Routes in use. */
unsigned fake_msi_routes(struct fake_msi *msi);

/*
 * Delivers what was written to the routes' eventfds, as a kernel does at once; then forgets the
 * messages with that data and says how many there were.
 */
unsigned fake_msi_take(struct fake_msi *msi, uint32_t data);
/* The same for all of them, whatever their data. */
unsigned fake_msi_take_all(struct fake_msi *msi);
/* Delivers them, too; says how many messages there ever were. */
unsigned fake_msi_sent(struct fake_msi *msi);

/* ---- doorbells ---- */
#define FAKE_BELLS 128

struct fake_doorbell {
    struct doorbell_addr addr[FAKE_BELLS];
    int fd[FAKE_BELLS];
    unsigned count;
    int refuse; /* a negative errno that every bind() answers */
};

struct doorbell fake_doorbell_port(struct fake_doorbell *bell);

/* What the kernel does at a guest's store: true if a bell took it. */
bool fake_doorbell_store(struct fake_doorbell *bell, uint64_t addr, unsigned len, uint64_t value);

/* ---- time and randomness ---- */
struct fake_clock {
    uint64_t now_ns;
    uint64_t wall_ahead_ns; /* so far the wall clock is ahead */
};

struct clock fake_clock_port(struct fake_clock *clock);

/* Byte number n of the stream is fake_entropy_byte(n). */
struct fake_entropy {
    uint64_t given;
    int fail; /* a negative errno that every fill() answers */
};

struct entropy fake_entropy_port(struct fake_entropy *entropy);
uint8_t fake_entropy_byte(uint64_t n);

/* ---- a disk: it can do all that a disk can ---- */
#define FAKE_BLK_DISCARDED 0xdd /* what a discarded byte reads as */

struct fake_blk {
    struct blk_backend backend;
    struct evloop *loop;
    uint8_t *bytes;
    bool hold;          /* requests wait for fake_blk_release() */
    bool drop;          /* drain() does nothing that is out: it ends with -ECANCELED */
    int fail;           /* a negative errno that every request ends with, */
    unsigned fail_from; /* but not the first ones that are submitted, so many */
    unsigned submitted; /* requests, by kind */
    unsigned flushes, discards, zeroes;
    unsigned unmaps; /* zeroes that may give up storage */
    unsigned dropped;
    unsigned out; /* now */
    STAILQ_HEAD(, blk_req) queue;
    struct ev_defer complete;
};

void fake_blk_init(struct fake_blk *blk, struct evloop *loop, uint64_t capacity_bytes);
void fake_blk_fini(struct fake_blk *blk);

/* Lets what was held complete, and holds no more. */
void fake_blk_release(struct fake_blk *blk);

/* The disk gets another size, and says so; what is new is zeroes. */
void fake_blk_resize(struct fake_blk *blk, uint64_t capacity_bytes);

/* ---- a terminal ---- */
#define FAKE_CHR_OUT 65536

struct fake_chr {
    struct chr_backend backend;
    size_t room;               /* how much more it takes */
    uint8_t out[FAKE_CHR_OUT]; /* the first of what it took */
    uint64_t out_bytes;        /* all of what it took */
    size_t rx_max;
    unsigned writes;
};

void fake_chr_init(struct fake_chr *chr, uint16_t columns, uint16_t rows);

/* Takes `bytes` more, and says so. */
void fake_chr_open(struct fake_chr *chr, size_t bytes);

/* Whoever was at the other end leaves, or comes back. */
void fake_chr_leave(struct fake_chr *chr);
void fake_chr_come(struct fake_chr *chr);

/* Types; returns how much the device took. */
size_t fake_chr_type(struct fake_chr *chr, const void *data, size_t len);

#endif
