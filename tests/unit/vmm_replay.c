// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm/replay/replay.c: what devices see and answer is recorded while a driver uses them, and played
 * to fresh ones. Every answer is compared: to change one on the tape is to be told so.
 */
#include "tests/unit/vmm_replay.h"

#include "tests/harness/test.h"
#include "vmm/replay/replay.h"

/* ---- tests ---- */

static void plays_without_a_difference(const char *ring)
{
    struct bench b;
    log_set_sink(replay_quiet, NULL);
    cr_expect_eq(replay_play(replay_record(&b, ring)), 0, "%s", said);
    cr_expect_not_null(strstr(said, "no difference"));
    cr_expect_null(strstr(said, "cut off"));
    unlink(b.path);
}

Test(replay, of_split_rings_is_the_same)
{
    plays_without_a_difference("ring=split");
}

OnTape(replay, shows_each_step_if_asked)
{
    char *shown = NULL;
    size_t len;
    FILE *out = open_memstream(&shown, &len);
    cr_expect_eq(replay_run(path, out, true), 0);
    fclose(out);
    cr_expect_not_null(strstr(shown, "registers: register written"));
    cr_expect_not_null(strstr(shown, "null:16M: gives a chain back, queue 0"));
    free(shown);
}

Test(replay, of_packed_rings_is_the_same)
{
    plays_without_a_difference("ring=packed");
}

/* Which members of a record are the device's own answer, beside its bytes. */
static bool answers_a(unsigned type)
{
    return type >= TAPE_VALUE || type == TAPE_SEND || type == TAPE_RECEIVE || type == TAPE_PRINT ||
           type == TAPE_RANDOM;
}

static bool answers_b(unsigned type)
{
    return type == TAPE_VALUE || type == TAPE_PUSH || type == TAPE_SUBMIT || type == TAPE_DEVICE ||
           type == TAPE_STATUS;
}

static bool answers_bytes(unsigned type)
{
    return type == TAPE_PUSH || type == TAPE_SUBMIT || type == TAPE_SEND || type == TAPE_PRINT;
}

static void is_told(const char *path, struct file f, size_t at, const struct tape_rec *rec,
                    const char *what)
{
    struct file other = changed(f, at, rec);
    replay_store(path, other);
    cr_expect_eq(replay_play(path), 1, "type %u: another %s goes unnoticed", rec->type, what);
    cr_expect_not_null(strstr(said, "recorded:"), "%s", said);
    free(other.bytes);
}

static void each_is_told(const char *path, struct file f, size_t at, struct tape_rec rec)
{
    struct tape_rec other = rec;
    other.a ^= 1;
    if (answers_a(rec.type))
        is_told(path, f, at, &other, "a");
    other = rec;
    other.b ^= 1;
    if (answers_b(rec.type))
        is_told(path, f, at, &other, "b");
    if (!answers_bytes(rec.type) || rec.len == 0)
        return;
    f.bytes[at + 8 + rec.len - 1] ^= 1;
    is_told(path, f, at, &rec, "byte");
    f.bytes[at + 8 + rec.len - 1] ^= 1;
}

OnTape(replay, tells_each_other_answer)
{
    bool seen[TAPE_TYPES] = {false};
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (seen[rec.type] && rec.type == TAPE_VALUE) /* there are hundreds */
            continue;
        seen[rec.type] = true;
        each_is_told(path, f, at, rec);
    }
    for (unsigned type = TAPE_PUSH; type < TAPE_TYPES; type++)
        cr_expect(seen[type], "the tape has nothing of type %u", type);
}

/* An answer that did not come, or one more. */
OnTape(replay, tells_what_is_missing)
{
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (rec.type != TAPE_INTERRUPT && rec.type != TAPE_PUSH)
            continue;
        struct file less = changed(f, at, NULL);
        replay_store(path, less);
        cr_expect_eq(replay_play(path), 1, "one more of type %u", rec.type);
        free(less.bytes);
    }
}

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)level;
    *(unsigned *)ctx += strstr(line, "the recording ends here") != NULL;
}

Test(replay, what_is_no_recording_is_not_written_over)
{
    static const char disk[] = "somebody's disk", old[] = "minivet tape 1\n";
    char *args[] = {"run"}, path[] = "/tmp/minivet-tape-XXXXXX";
    struct tape *tape;
    struct file is;
    log_set_sink(replay_quiet, NULL);
    close(mkstemp(path));
    replay_store(path, (struct file){(uint8_t *)disk, sizeof(disk)});
    cr_expect_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), -EEXIST);
    is = replay_load(path);
    cr_expect_eq(is.len, sizeof(disk));
    free(is.bytes);
    replay_store(path, (struct file){(uint8_t *)old, sizeof(old)});
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    is = replay_load(path);
    cr_expect_eq(memcmp(is.bytes, TAPE_MAGIC, sizeof(TAPE_MAGIC)), 0);
    free(is.bytes);
    unlink(path);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* It has what was typed. */
Test(replay, nobody_else_may_read_a_recording)
{
    static const char old[] = "minivet tape 1\n";
    char *args[] = {"run"}, path[] = "/tmp/minivet-tape-XXXXXX";
    struct tape *tape;
    log_set_sink(replay_quiet, NULL);
    umask(0);
    close(mkstemp(path));
    unlink(path);
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    cr_expect_eq(mode_of(path), 0600);
    replay_store(path, (struct file){(uint8_t *)old, sizeof(old)});
    chmod(path, 0644);
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    cr_expect_eq(mode_of(path), 0600);
    unlink(path);
}

/* Who has made a link, a FIFO or a file where it will be would read it. */
Test(replay, nothing_is_recorded_where_another_user_waits)
{
    char *args[] = {"run"}, path[] = "/tmp/minivet-tape-XXXXXX", link[64];
    struct tape *tape;
    if (geteuid() != 0)
        cr_skip_test("only root can make files of other users");
    log_set_sink(replay_quiet, NULL);
    close(mkstemp(path));
    snprintf(link, sizeof(link), "%s.link", path);
    cr_assert_eq(symlink(path, link), 0);
    cr_expect_eq(tape_record(&tape, link, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    cr_assert_eq(lchown(link, 1, 1), 0);
    cr_expect_eq(tape_record(&tape, link, &clock_host, ARRAY_SIZE(args), args), -EPERM);
    cr_assert_eq(chown(path, 1, 1), 0);
    cr_expect_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), -EPERM);
    unlink(path);
    cr_expect_eq(tape_record(&tape, link, &clock_host, ARRAY_SIZE(args), args), -EPERM);
    cr_expect_eq(access(path, F_OK), -1, "is made through the link");
    cr_assert_eq(lchown(link, 0, 0), 0);
    cr_expect_eq(tape_record(&tape, link, &clock_host, ARRAY_SIZE(args), args), -ENOENT);
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_assert_eq(chown(path, 1, 1), 0);
    cr_expect_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), -EPERM);
    unlink(link);
    unlink(path);
}

/* The loops would wait for its reader, if it has one. */
Test(replay, nothing_is_recorded_into_a_fifo)
{
    char *args[] = {"run"}, path[64];
    struct tape *tape;
    log_set_sink(replay_quiet, NULL);
    snprintf(path, sizeof(path), "/tmp/minivet-tape-fifo-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), -EINVAL);
    unlink(path);
}

/* It is said once, and the machine goes on. */
Test(replay, a_full_disk_ends_the_recording)
{
    char *args[] = {"run"};
    struct tape *tape;
    unsigned lines = 0;
    log_set_sink(count_line, &lines);
    cr_assert_eq(tape_record(&tape, "/dev/full", &clock_host, ARRAY_SIZE(args), args), 0);
    for (unsigned i = 0; i < 100000; i++)
        tape_note(tape, &(struct tape_rec){.type = TAPE_LOOK});
    tape_end(tape);
    tape_destroy(tape);
    cr_expect_eq(lines, 1);
}

/* Of a run that was killed: as far as it goes. */
OnTape(replay, of_a_tape_that_was_cut_off_ends_there)
{
    size_t begun;
    for (size_t at = sizeof(TAPE_MAGIC); rec_at(f, at, &begun).type != TAPE_READ; at = begun)
        ; /* what machine it was */
    for (struct file part = f; part.len > begun; part.len -= min_u64(part.len - begun, 97)) {
        replay_store(path, part);
        cr_expect_eq(replay_play(path), 0, "%s", said);
        cr_expect_eq(strstr(said, "cut off") == NULL, part.len == f.len, "%s", said);
    }
    replay_store(path, (struct file){f.bytes, 10});
    cr_expect_eq(replay_play(path), -EINVAL);
    cr_expect_eq(replay_play("/does/not/exist"), -ENOENT);
}

/* Nothing but a difference comes of it, or a line that says which record cannot be. */
Test(replay, survives_a_damaged_tape)
{
    struct bench b;
    log_set_sink(replay_hear, NULL);
    struct file f = replay_load(replay_record(&b, "ring=packed"));
    size_t first = sizeof(TAPE_MAGIC), after;
    while (rec_at(f, first, &after).type != TAPE_READ) /* what backends are is believed */
        first = after;
    for (unsigned n = 0; n < 300; n++) {
        size_t at = first + (n * (size_t)2654435761u) % (f.len - first);
        uint8_t was = f.bytes[at];
        f.bytes[at] ^= (uint8_t)(1 + n);
        replay_store(b.path, f);
        told.lines = 0;
        int result = replay_play(b.path);
        cr_expect(result == 0 || result == 1 || result == -EINVAL, "%d", result);
        cr_expect_eq(told.lines, result < 0, "%d: %u lines", result, told.lines);
        cr_expect(result >= 0 || said[0] == '\0', "%s", said);
        f.bytes[at] = was;
    }
    free(f.bytes);
    unlink(b.path);
}
