// SPDX-License-Identifier: BSD-2-Clause
#include "core/tape/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/memory/iobuf.h"
#include "core/output/own_file.h"
#include "core/tape/tape_impl.h"

#define STAMP_NS UINT64_C(1000000) /* so often a TIME record at most */
/* So many are written at once: a processor's cache holds them, and the call is shared by hundreds.
 */
#define PIECE_BYTES (UINT32_C(64) << 10)

_Static_assert(sizeof(TAPE_MAGIC) == MAGIC_BYTES, "the magic begins the file");

/* ---- recording ---- */

static void write_out(struct tape *t)
{
    uint32_t done = 0;
    while (done < t->filled) {
        ssize_t n = write(t->fd, t->buffer + done, t->filled - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fail(n < 0 ? -errno : -EIO, "--record %s: write; the recording ends here", t->path);
            t->over = true;
            break;
        }
        done += (uint32_t)n;
    }
    t->filled = 0;
}

uint8_t *tape_room(struct tape *t, uint32_t len)
{
    BUG_ON(len > TAPE_BYTES_MAX);
    return tape_room_of(t);
}

static unsigned bytes_of(uint64_t value)
{
    return value != 0 ? 8 - (unsigned)__builtin_clzll(value) / 8 : 0;
}

/* Writes 8, of which the rest is written over by what follows. */
static uint8_t *put(uint8_t *to, uint64_t value, unsigned bytes)
{
    memcpy(to, &value, 8);
    return to + bytes;
}

/* The room has the record's bytes. */
static void append(struct tape *t, const struct tape_rec *rec)
{
    unsigned a = bytes_of(rec->a), b = bytes_of(rec->b);
    uint8_t *to = put(t->buffer + t->filled,
                      rec->type | (uint64_t)rec->source << 8 | (uint64_t)rec->queue << 16 |
                          (uint64_t)rec->len << 32 | (uint64_t)a << 56 | (uint64_t)b << 60,
                      HEAD_BYTES);
    put(put(to + rec->len, rec->a, a), rec->b, b);
    t->filled += HEAD_BYTES + rec->len + a + b;
}

static void stamp(struct tape *t)
{
    uint64_t now_ns = clock_now_ns(t->clock) - t->start_ns;
    if (now_ns < t->now_ns + STAMP_NS)
        return;
    t->now_ns = now_ns;
    append(t, &(struct tape_rec){.type = TAPE_TIME, .a = now_ns});
}

void tape_note(struct tape *t, const struct tape_rec *rec)
{
    if (t->replay || t->over)
        return;
    append(t, rec);
    if (tape_is_input(rec) && rec->type != TAPE_DONE) /* of those there are many */
        stamp(t);
    if (t->filled >= PIECE_BYTES)
        write_out(t);
}

void tape_end(struct tape *t)
{
    if (t->replay || t->over)
        return;
    tape_note(t, &(struct tape_rec){.type = TAPE_END});
    write_out(t);
    t->over = true;
}

/* ---- bytes ---- */

void tape_gather(uint8_t *to, const struct iovec *iov, unsigned count, uint64_t bytes,
                 struct tape_keep keep)
{
    uint32_t kept = tape_kept(bytes, keep);
    if (count == 1 && kept != bytes) { /* as most */
        const uint8_t *all = iov->iov_base;
        memcpy(to, all, keep.edge);
        memcpy(to + keep.edge, all + bytes - keep.edge, keep.edge);
        return;
    }
    struct iobuf from = iobuf_init(iov, count);
    if (kept == bytes) {
        iobuf_get(&from, to, kept);
        return;
    }
    iobuf_get(&from, to, keep.edge);
    iobuf_skip(&from, bytes - kept);
    iobuf_get(&from, to + keep.edge, keep.edge);
}

void tape_scatter(const uint8_t *from, const struct iovec *iov, unsigned count, uint64_t bytes,
                  struct tape_keep keep)
{
    struct iobuf to = iobuf_init(iov, count);
    uint32_t kept = tape_kept(bytes, keep);
    if (kept == bytes) {
        iobuf_put(&to, from, kept);
        return;
    }
    iobuf_put(&to, from, keep.edge);
    iobuf_skip(&to, bytes - kept);
    iobuf_put(&to, from + keep.edge, keep.edge);
}

uint8_t *tape_put_buffers(const struct tape *t, uint8_t *to, const struct iovec *iov,
                          unsigned count, bool writable)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t gpa = tape_gpa(t, iov[i].iov_base);
        unsigned place = bytes_of(gpa), len = bytes_of((uint32_t)iov[i].iov_len);
        *to++ = (uint8_t)(place | len << 4 | (unsigned)writable << 7);
        to = put(to, gpa, place);
        to = put(to, iov[i].iov_len, len);
    }
    return to;
}

/* ---- both ---- */

void tape_set_memory(struct tape *t, const struct gmem *gmem)
{
    t->gmem = gmem;
}

uint64_t tape_gpa(const struct tape *t, const void *hva)
{
    for (unsigned i = 0; t->gmem != NULL && i < t->gmem->count; i++) {
        const struct gmem_region *r = &t->gmem->regions[i];
        uint64_t offset = (uint64_t)((uintptr_t)hva - (uintptr_t)r->hva);
        if (offset < r->bytes)
            return r->gpa + offset;
    }
    return UINT64_MAX;
}

unsigned tape_add_source(struct tape *t, const struct tape_source *source)
{
    BUG_ON(t->source_count == TAPE_SOURCES_MAX);
    t->sources[t->source_count] = *source;
    return t->source_count++;
}

bool tape_is_replay(const struct tape *t)
{
    return t->replay;
}

double tape_seconds(const struct tape *t)
{
    return (double)t->now_ns / 1e9;
}

/* ---- life ---- */

static struct tape *allocate(const char *path)
{
    struct tape *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->fd = -1;
    t->path = strdup(path);
    t->buffer = malloc(PIECE_BYTES + 2 * REC_MAX); /* the last record may begin in the piece */
    if (t->path != NULL && t->buffer != NULL)
        return t;
    tape_destroy(t);
    return NULL;
}

static int note_args(struct tape *t, int argc, char **argv)
{
    uint32_t len = 0;
    for (int i = 0; i < argc; i++)
        len += (uint32_t)strnlen(argv[i], TAPE_BYTES_MAX) + 1;
    if (len > TAPE_BYTES_MAX)
        return fail_msg(-E2BIG, "--record %s: the command line is too long", t->path);
    char *to = (char *)tape_room(t, len);
    for (int i = 0; i < argc; i++)
        to = stpcpy(to, argv[i]) + 1;
    tape_note(t, &(struct tape_rec){.type = TAPE_ARGS, .len = len, .a = (uint64_t)argc});
    return 0;
}

/*
 * Over a recording, but over nothing else: a disk or a kernel may have been meant. Only its
 * owner may read it: it has what was typed, and the guest's randomness.
 */
static int create(struct tape *t)
{
    char magic[MAGIC_BYTES];
    struct stat st;
    t->fd = own_file_open(AT_FDCWD, t->path, O_RDWR, 0600);
    if (t->fd == -EPERM)
        return fail_msg(-EPERM, "--record %s: is there, and is another user's; give a new name",
                        t->path);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return fail(t->fd < 0 ? t->fd : -errno, "--record %s: open", t->path);
    if (S_ISFIFO(st.st_mode)) /* the loops would wait for its reader */
        return fail_msg(-EINVAL, "--record %s: is a FIFO; give the name of a file", t->path);
    if (!S_ISREG(st.st_mode))
        return 0;
    if (st.st_size != 0 && (pread(t->fd, magic, sizeof(magic), 0) != MAGIC_BYTES ||
                            memcmp(magic, TAPE_MAGIC, strcspn(TAPE_MAGIC, "0123456789")) != 0))
        return fail_msg(-EEXIST, "--record %s: is there, and is no recording; give a new name",
                        t->path);
    if (fchmod(t->fd, 0600) < 0 || ftruncate(t->fd, 0) < 0)
        return fail(-errno, "--record %s: truncate", t->path);
    return 0;
}

int tape_record(struct tape **out, const char *path, const struct clock *clock, int argc,
                char **argv)
{
    struct tape *t = allocate(path);
    if (t == NULL)
        return fail(-ENOMEM, "--record %s", path);
    t->clock = clock;
    t->start_ns = clock_now_ns(clock);
    int err = create(t);
    if (err == 0) {
        memcpy(t->buffer, TAPE_MAGIC, MAGIC_BYTES);
        t->filled = MAGIC_BYTES;
        err = note_args(t, argc, argv);
    }
    if (err != 0) {
        t->over = true;
        tape_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

static int open_file(struct tape *t)
{
    struct stat st;
    t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no FIFO is waited for */
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return fail(-errno, "%s: open", t->path);
    if (S_ISDIR(st.st_mode))
        return fail(-EISDIR, "%s: open", t->path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)MAGIC_BYTES)
        return fail_msg(-EINVAL, "%s: is no recording; minivet run --record FILE makes one",
                        t->path);
    t->left = (size_t)st.st_size;
    t->in = fdopen(t->fd, "r");
    return t->in != NULL ? 0 : fail(-errno, "%s: open", t->path);
}

/*
 * The file is read, and not mapped: it may be another user's, who changes or cuts it meanwhile. If
 * it grows, only its first size is read.
 */
bool tape_read(struct tape *t, void *to, size_t bytes)
{
    if (bytes > t->left || fread(to, 1, bytes, t->in) != bytes) {
        if (bytes <= t->left && ferror(t->in)) {
            fail(-errno, "%s: read", t->path);
            t->damaged = t->over = true;
        }
        t->left = 0;
        return false;
    }
    t->left -= bytes;
    return true;
}

static int read_first(struct tape *t)
{
    char magic[MAGIC_BYTES];
    if (!tape_read(t, magic, MAGIC_BYTES) || memcmp(magic, TAPE_MAGIC, MAGIC_BYTES) != 0)
        return fail_msg(-EINVAL, "%s: is no recording of this version of Minivet", t->path);
    t->at = MAGIC_BYTES;
    const struct tape_rec *first = tape_next(t);
    if (first == NULL || first->type != TAPE_ARGS)
        return t->damaged ? -EINVAL
                          : fail_msg(-EINVAL, "%s: the recording has no beginning", t->path);
    t->first = *first;
    t->args = t->taken_bytes;
    t->taken_bytes = NULL;
    return 0;
}

/* bytes: of a file that is not opened; NULL: it is. */
static int open_for_replay(struct tape **out, const char *path, const uint8_t *bytes, size_t len,
                           FILE *say)
{
    struct tape *t = allocate(path);
    if (t == NULL)
        return fail(-ENOMEM, "%s", path);
    t->replay = true;
    t->out = say;
    t->left = len;
    int err = 0;
    if (bytes == NULL)
        err = open_file(t);
    else if (len > 0 && (t->in = fmemopen((void *)(uintptr_t)bytes, len, "r")) == NULL)
        err = fail(-errno, "%s", path);
    if (err == 0)
        err = read_first(t);
    if (err != 0) {
        tape_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

int tape_open(struct tape **out, const char *path, FILE *say)
{
    return open_for_replay(out, path, NULL, 0, say);
}

int tape_open_bytes(struct tape **out, const uint8_t *bytes, size_t len, FILE *say)
{
    return open_for_replay(out, "tape", bytes, len, say);
}

int tape_args(struct tape *t, char **argv, int max)
{
    const char *at = (const char *)t->first.bytes, *end = at + t->first.len;
    int argc = 0;
    if (t->first.len == 0 || end[-1] != '\0')
        return tape_bad(t, "number of bytes", t->first.len);
    for (; at < end && argc < max - 1; at += strlen(at) + 1)
        argv[argc++] = (char *)at;
    argv[argc] = NULL;
    return at < end || t->first.a != (uint64_t)argc ? tape_bad(t, "number of words", t->first.a)
                                                    : argc;
}

void tape_destroy(struct tape *t)
{
    if (t == NULL)
        return;
    if (!t->replay && !t->over)
        write_out(t);
    free(t->buffer);
    free(t->taken_bytes);
    free(t->next_bytes);
    free(t->args);
    if (t->in != NULL)
        fclose(t->in);
    else if (t->fd >= 0)
        close(t->fd);
    free(t->path);
    free(t);
}
