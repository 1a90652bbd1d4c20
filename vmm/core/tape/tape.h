// SPDX-License-Identifier: BSD-2-Clause
/*
 * A tape: all that a device model is told and all that it answers, in the order in which it
 * happened. Recording writes it, replaying feeds what it was told to a fresh device model and
 * compares the answers. docs/replay.md has the file's format.
 *
 *     source     what crosses the seam: the registers, a device's queues, a backend
 *     input      from outside, at any time: a kick, a completion. A replay makes it happen.
 *     question   asked by the device, and answered from outside: a chain, a packet. A replay
 *                answers with what is on the tape.
 *     answer     the device's own. A replay compares it.
 *
 * While a machine is recorded everything happens on one loop, so that there is one order. In a
 * replay that loop does not run: inputs come from the tape, and what the device has put off
 * (evloop_defer()) is done, oldest first, when the tape says something that no input explains.
 *
 * After the first difference, and after the tape's end, a tape compares nothing and has no answers.
 * Guests decide what is on a tape, but not how long a record is: TAPE_BYTES_MAX at most.
 *
 * A tape is not trusted. What it says passes the bounds of records.def when it is read, and
 * an input what its source has said of itself (tape_add_source()); what only the consumer can know
 * (does this request exist? is there so much room?) it checks before it uses it, and says
 * tape_bad(). Each of these ends the replay with a line that names the record's place and the
 * value.
 */
#ifndef MINIVET_CORE_TAPE_H
#define MINIVET_CORE_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

struct clock;
struct evloop;
struct gmem;
struct tape;

#define TAPE_MAGIC       "minivet tape 2\n" /* with its NUL 16 bytes, which begin the file */
#define TAPE_BYTES_MAX   (UINT32_C(128) << 10)
#define TAPE_SOURCES_MAX 192u
#define TAPE_BUFFERS_MAX 4096u /* vectors in a record */

/* What each is, and what a and b are, records.def says. */
enum tape_type {
#define TAPE_RECORD(name, ...) TAPE_##name,
#include "core/tape/records.def"
    TAPE_TYPES,
};

/* `len` bytes belong to it: those in the room, when it is recorded or compared. */
struct tape_rec {
    uint8_t type, source;
    uint16_t queue;
    uint32_t len;
    uint64_t a, b;
    const uint8_t *bytes; /* of one that was read: in the file, not aligned */
};

/* A vector of guest memory, in the bytes of TAPE_POP and TAPE_SUBMIT. */
struct tape_buffer {
    uint64_t gpa;
    uint32_t len;
    bool writable;
};
#define TAPE_BUFFER_MAX 16u /* bytes of one in a record */

/* b of TAPE_POP: what was found. A chain's head is in the lower bits. */
#define TAPE_NO_CHAIN     UINT64_C(0)
#define TAPE_A_CHAIN      (UINT64_C(1) << 16)
#define TAPE_BROKEN_CHAIN (UINT64_C(1) << 17)

static inline struct tape_rec tape_rec(enum tape_type type, unsigned source, unsigned queue)
{
    return (struct tape_rec){
        .type = (uint8_t)type, .source = (uint8_t)source, .queue = (uint16_t)queue};
}

/* ---- life ---- */

/* Writes to path; args are the command line's words. Errors are reported. */
int tape_record(struct tape **out, const char *path, const struct clock *clock, int argc,
                char **argv);
/* -EINVAL: it is no tape. Errors are reported; differences are said on `say`. */
int tape_open(struct tape **out, const char *path, FILE *say);
/* The same for a file's bytes, which stay the caller's and are not changed; for fuzzers. */
int tape_open_bytes(struct tape **out, const uint8_t *bytes, size_t len, FILE *say);
/* Says each record that is played, too. */
void tape_show_all(struct tape *t);
/* Passes over answers that differ, and over what nothing asks for: for fuzzers, whose tapes need
 * not have the right answers for what follows to be played. */
void tape_forgive(struct tape *t);
/* NULL is allowed. What was recorded is written out, up to tape_end() or to now. */
void tape_destroy(struct tape *t);

/* The command line of the recording, as argc and words that live as long as the tape. Or -EINVAL:
 * it is none; reported. */
int tape_args(struct tape *t, char **argv, int max);

/* Where guest memory is; before it is used. */
void tape_set_memory(struct tape *t, const struct gmem *gmem);
/* The guest-physical address; UINT64_MAX: it is not in guest memory. */
uint64_t tape_gpa(const struct tape *t, const void *hva);

/* What a source is, and thereby which inputs it has. */
enum tape_kind {
    TAPE_REGISTERS = 1,
    TAPE_QUEUES = 2, /* a device's */
    TAPE_DISK = 4,
    TAPE_WIRE = 8,
    TAPE_TERMINAL = 16,
    TAPE_ENTROPY = 32,
    TAPE_INPUT = 64,
};

struct tape_source {
    const char *name; /* outlives the tape */
    enum tape_kind kind;
    unsigned
        queues; /* the field `queue` of its inputs is less; of REGISTERS it is something else */
    /* Makes an input of a replay happen, one of its kind and with one of its queues. */
    void (*play)(void *ctx, const struct tape_rec *rec);
    void *ctx;
};

/* A source gets a number, the same in the replay because it is made in the same order. */
unsigned tape_add_source(struct tape *t, const struct tape_source *source);

bool tape_is_replay(const struct tape *t);
/* Recording: nothing is recorded from now on. */
void tape_end(struct tape *t);

/* ---- both ways ---- */

/* Room for a record's bytes, to be filled before the record is written or compared. */
uint8_t *tape_room(struct tape *t, uint32_t len);
/* An answer, with what is in the room: recorded, or compared. */
void tape_say(struct tape *t, const struct tape_rec *rec);

/*
 * A question, with its answer if it is recorded: then it is returned. In a replay, the answer as of
 * tape_ask(); a is compared, and what is in the room unless the bytes are the answer's.
 */
const struct tape_rec *tape_exchange(struct tape *t, const struct tape_rec *rec, bool own_bytes);
/* What the backend is: likewise, but nothing is compared; NULL is reported, with its name. */
const struct tape_rec *tape_info(struct tape *t, const struct tape_rec *rec);

/* ---- recording ---- */

/* An input, before the device hears of it; the answer to a question; with what is in the room. */
void tape_note(struct tape *t, const struct tape_rec *rec);

/* ---- replaying ---- */

/* The answer to a question, until the next record is taken; NULL: there was none, or another was
 * asked. */
const struct tape_rec *tape_ask(struct tape *t, unsigned source, enum tape_type type,
                                unsigned queue);
/* Does the next record answer it? Then it is the same as tape_ask(). */
const struct tape_rec *tape_ask_maybe(struct tape *t, unsigned source, enum tape_type type,
                                      unsigned queue);
/*
 * If the next record is an input from the host it is played: for a device that waits for one. What
 * a guest does waits for the device.
 */
bool tape_play_host(struct tape *t);
/* The last record that was taken cannot be: its `what` has this value. Ends the replay; reported
 * (once for a tape). Returns -EINVAL. */
int tape_bad(struct tape *t, const char *what, uint64_t value);
/* Was there a difference? */
bool tape_differs(const struct tape *t);
/* Plays to the end. 0: there was no difference; 1: there was; -EINVAL: a record cannot be. */
int tape_play(struct tape *t, struct evloop *loop);

/* ---- bytes ---- */

/*
 * Bytes are kept whole up to some number; of more only the first and the last, where no player
 * looks at those between.
 */
struct tape_keep {
    uint32_t whole, edge;
};

#define TAPE_KEEP_DATA ((struct tape_keep){256, 12}) /* what a disk's read brings */

static inline uint32_t tape_kept(uint64_t bytes, struct tape_keep keep)
{
    return bytes <= keep.whole ? (uint32_t)bytes : 2 * keep.edge;
}

/* Copies what is kept of the vectors' first `bytes` bytes; the other way round. */
void tape_gather(uint8_t *to, const struct iovec *iov, unsigned count, uint64_t bytes,
                 struct tape_keep keep);
void tape_scatter(const uint8_t *from, const struct iovec *iov, unsigned count, uint64_t bytes,
                  struct tape_keep keep);

/* Vectors of guest memory; returns what is behind them. There is room for TAPE_BUFFER_MAX of each.
 */
uint8_t *tape_put_buffers(const struct tape *t, uint8_t *to, const struct iovec *iov,
                          unsigned count, bool writable);
/* NULL: it does not end before `end`. */
const uint8_t *tape_get_buffer(const uint8_t *at, const uint8_t *end, struct tape_buffer *b);

/* ---- reading without playing: the next record of any type but TIME, or NULL ---- */
const struct tape_rec *tape_next(struct tape *t);
double tape_seconds(const struct tape *t); /* since the recording's start */

/* ---- tape_types.c ---- */
void tape_show(const struct tape_rec *rec, FILE *out);
const char *tape_type_text(unsigned type);

#endif
