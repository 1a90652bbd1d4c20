// SPDX-License-Identifier: BSD-2-Clause
#include "core/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fail.h"
#include "core/gmem.h"
#include "core/iobuf.h"
#include "core/tape_impl.h"
#include "core/xmath.h"

#define MAGIC_BYTES 16u
#define STAMP_NS    UINT64_C(1000000) /* so often a TIME record at most */
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

unsigned tape_add_source(struct tape *t, const char *name,
                         void (*play)(void *ctx, const struct tape_rec *rec), void *ctx)
{
    BUG_ON(t->source_count == TAPE_SOURCES_MAX);
    t->sources[t->source_count] = (struct tape_source){name, play, ctx};
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

/* Over a recording, but over nothing else: a disk or a kernel may have been meant. */
static int create(struct tape *t)
{
    char magic[MAGIC_BYTES];
    struct stat st;
    t->fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return fail(-errno, "--record %s: open", t->path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    if (pread(t->fd, magic, sizeof(magic), 0) != MAGIC_BYTES ||
        memcmp(magic, TAPE_MAGIC, strcspn(TAPE_MAGIC, "0123456789")) != 0)
        return fail_msg(-EEXIST, "--record %s: is there, and is no recording; give a new name",
                        t->path);
    return ftruncate(t->fd, 0) < 0 ? fail(-errno, "--record %s: truncate", t->path) : 0;
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

static int map(struct tape *t)
{
    struct stat st;
    t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return fail(-errno, "%s: open", t->path);
    if (S_ISDIR(st.st_mode))
        return fail(-EISDIR, "%s: open", t->path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)MAGIC_BYTES)
        return fail_msg(-EINVAL, "%s: is no recording; minivet run --record FILE makes one",
                        t->path);
    t->file_bytes = (size_t)st.st_size;
    void *file = mmap(NULL, t->file_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, t->fd, 0);
    if (file == MAP_FAILED)
        return fail(-errno, "%s: mmap", t->path);
    t->file = file;
    if (memcmp(t->file, TAPE_MAGIC, MAGIC_BYTES) != 0)
        return fail_msg(-EINVAL, "%s: is no recording of this version of Minivet", t->path);
    t->at = MAGIC_BYTES;
    return 0;
}

int tape_open(struct tape **out, const char *path, FILE *say)
{
    struct tape *t = allocate(path);
    if (t == NULL)
        return fail(-ENOMEM, "%s", path);
    t->replay = true;
    t->out = say;
    int err = map(t);
    const struct tape_rec *first = err == 0 ? tape_next(t) : NULL;
    if (err == 0 && (first == NULL || first->type != TAPE_ARGS))
        err = fail_msg(-EINVAL, "%s: the recording has no beginning", path);
    t->first = t->taken;
    if (err != 0) {
        tape_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

int tape_args(const struct tape *t, char **argv, int max)
{
    const char *at = (const char *)t->first.bytes, *end = at + t->first.len;
    int argc = 0;
    while (at < end && argc < max - 1) {
        size_t len = strnlen(at, (size_t)(end - at));
        if (at + len == end)
            break;
        argv[argc++] = (char *)at;
        at += len + 1;
    }
    argv[argc] = NULL;
    return argc;
}

void tape_destroy(struct tape *t)
{
    if (t == NULL)
        return;
    if (!t->replay && !t->over)
        write_out(t);
    free(t->buffer);
    if (t->file != NULL)
        munmap((void *)t->file, t->file_bytes);
    if (t->fd >= 0)
        close(t->fd);
    free(t->path);
    free(t);
}
