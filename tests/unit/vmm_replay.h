// SPDX-License-Identifier: BSD-2-Clause
/* What tests of replays share: a machine whose guest is the test, its tape, and other tapes of it.
 */
#ifndef MINIVET_TESTS_UNIT_VMM_REPLAY_H
#define MINIVET_TESTS_UNIT_VMM_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/log.h"
#include "core/tape/tape.h"
#include "tests/harness/fake.h"
#include "tests/harness/vdrv.h"
#include "vmm/config/config.h"

#define DISK    0u
#define CARD    1u
#define CONSOLE 2u
#define RNG     3u
#define GPU     4u
#define KEYS    5u
#define DEVICES 6u

struct bench {
    char path[64];
    struct vm_config vm;
    struct fake_clock time; /* the tape's: of a real one, a quick test records nothing */
    struct clock clock;
    struct tape *tape;
    struct gmem *gmem;
    struct evloop *loop;
    struct bus *mmio, *pio;
    struct seam *seam;
    struct virtio_devices *virtio;
    struct fake_chr chr;
    struct input_hub *input;
    struct vdrv drv[DEVICES];
};

/* Records what all of its devices do. Returns the path, which is the caller's to remove. */
const char *replay_record(struct bench *b, const char *ring);
/* replay_run(); what it says is kept. */
int replay_play(const char *path);
extern char said[4096];

/* Sinks of the log: nothing is kept; the errors are. */
void replay_quiet(void *ctx, enum log_level level, const char *line);
void replay_hear(void *ctx, enum log_level level, const char *line);
struct replay_told {
    unsigned lines;
    char last[1024];
};
extern struct replay_told told;

/* ---- files ---- */

struct file {
    uint8_t *bytes; /* to be freed */
    size_t len;
};

struct file replay_load(const char *path);
void replay_store(const char *path, struct file f);
/* The record at `at`, and where it ends. */
struct tape_rec rec_at(struct file f, size_t at, size_t *after);
/* A copy with a record in the place of the one at `at`; NULL: nothing. a and b need not be short.
 */
struct file changed(struct file f, size_t at, const struct tape_rec *rec);

/* With a tape of split rings, in `f` and at `path`. */
#define OnTape(suite, name)                                                  \
    static void suite##_##name(struct file f, const char *path);             \
    Test(suite, name)                                                        \
    {                                                                        \
        struct bench bench;                                                  \
        log_set_sink(replay_quiet, NULL);                                    \
        struct file tape = replay_load(replay_record(&bench, "ring=split")); \
        suite##_##name(tape, bench.path);                                    \
        free(tape.bytes);                                                    \
        unlink(bench.path);                                                  \
    }                                                                        \
    static void suite##_##name(__attribute__((unused)) struct file f,        \
                               __attribute__((unused)) const char *path)

#endif
