// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/shrink.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "tests/fuzz/script.h"

#define SECONDS_MAX  20u
#define OUTPUT_BYTES (1u << 18)

struct shrink {
    const struct fuzz_target *target;
    const char *name;
    struct fuzz_script *script; /* NULL: bytes */
    uint8_t *data;
    size_t len;
};

/* ---- what an input finds ---- */

/* Numbers differ from run to run, but those of lines of source tell findings apart. */
static void copy_name(char name[FUZZ_NAME_BYTES], const char *line)
{
    size_t len = strcspn(line, "\n"), to = 0;
    bool source = memmem(line, len, ".c:", 3) != NULL;
    for (size_t i = 0; i < len && to < FUZZ_NAME_BYTES - 1; i++) {
        bool digit = isdigit((unsigned char)line[i]) && !source;
        if (!digit || to == 0 || name[to - 1] != 'N')
            name[to++] = (char)(digit ? 'N' : line[i]);
    }
    name[to] = '\0';
}

static void name_finding(char name[FUZZ_NAME_BYTES], const char *output, int status)
{
    static const char *const marks[] = {"finding: ", "bug: ", "runtime error: ", "SUMMARY: "};
    snprintf(name, FUZZ_NAME_BYTES, WIFSIGNALED(status) ? "signal %d" : "exit status %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
        const char *line = strstr(output, marks[i]);
        if (line == NULL)
            continue;
        if (i == 0) { /* without the step, and the transport */
            const char *what = strstr(line, " on ");
            what = what != NULL ? strstr(what, ": ") : NULL;
            line = what != NULL ? what + 2 : line;
        }
        while (line > output && line[-1] != '\n' && i == 2) /* where, before it */
            line--;
        copy_name(name, line);
        return;
    }
}

bool fuzz_finds(const struct fuzz_target *target, const uint8_t *data, size_t len,
                char name[FUZZ_NAME_BYTES])
{
    static char output[OUTPUT_BYTES];
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(SECONDS_MAX);
        target->run(target, data, len);
        exit(0); /* not _exit(): leaks are looked for then */
    }
    close(ends[1]);
    size_t used = 0;
    char rest[4096]; /* it may say more than there is room for */
    for (ssize_t n = 1; n > 0; used += used < sizeof(output) - 1 ? (size_t)n : 0)
        n = used < sizeof(output) - 1 ? read(ends[0], output + used, sizeof(output) - 1 - used)
                                      : read(ends[0], rest, sizeof(rest));
    output[used] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (pid < 0 || status == 0)
        return false;
    name_finding(name, output, status);
    return true;
}

/* ---- smaller ---- */

static bool still(struct shrink *s)
{
    static uint8_t bytes[FUZZ_FILE_MAX];
    char name[FUZZ_NAME_BYTES];
    const uint8_t *data = s->data;
    size_t len = s->len;
    if (s->script != NULL) {
        data = bytes;
        len = fuzz_script_encode(s->script, bytes, sizeof(bytes));
    }
    return fuzz_finds(s->target, data, len, name) && strcmp(name, s->name) == 0;
}

static size_t parts(const struct shrink *s)
{
    return s->script != NULL ? s->script->count : s->len;
}

/* Without `count` steps or bytes, if it is still found then. */
static bool drop(struct shrink *s, size_t from, size_t count)
{
    static struct fuzz_script was;
    static uint8_t kept[FUZZ_FILE_MAX];
    size_t after = parts(s) - from - count;
    if (s->script != NULL) {
        was = *s->script;
        memmove(&s->script->steps[from], &s->script->steps[from + count],
                after * sizeof(struct fuzz_step));
        s->script->count -= (unsigned)count;
    } else {
        memcpy(kept, s->data, s->len);
        memmove(s->data + from, s->data + from + count, after);
        s->len -= count;
    }
    if (still(s))
        return true;
    if (s->script != NULL) {
        *s->script = was;
    } else {
        s->len += count;
        memcpy(s->data, kept, s->len);
    }
    return false;
}

/* Ever smaller pieces, from the end: what comes last is needed least. */
static void drop_pieces(struct shrink *s)
{
    for (size_t piece = (parts(s) + 1) / 2; piece > 0; piece /= 2)
        for (size_t end = parts(s); end > 0;) {
            size_t count = end < piece ? end : piece;
            end -= count;
            drop(s, end, count);
        }
}

static void try_byte(struct shrink *s, uint8_t *number)
{
    uint8_t was = *number;
    *number = 0;
    if (was != 0 && !still(s))
        *number = was;
}

static void plainer_step(struct shrink *s, struct fuzz_step *step)
{
    for (unsigned i = 0; i < FUZZ_ARGS; i++)
        for (unsigned shift = 64; shift > 0; shift -= 16) {
            uint64_t was = step->arg[i];
            step->arg[i] &= shift == 64 ? 0 : (UINT64_C(1) << shift) - 1;
            if (step->arg[i] != was && !still(s))
                step->arg[i] = was;
        }
    for (uint32_t piece = step->len; piece > 0; piece /= 2)
        while (step->len >= piece) {
            step->len -= piece;
            if (still(s))
                continue;
            step->len += piece;
            break;
        }
}

size_t fuzz_shrink(const struct fuzz_target *target, uint8_t *data, size_t len, const char *name)
{
    static struct fuzz_script script;
    static uint8_t copy[FUZZ_FILE_MAX];
    struct shrink s = {.target = target, .name = name, .data = data, .len = len};
    memcpy(copy, data, len);
    if (target->mutate != NULL && fuzz_script_decode(&script, copy, len))
        s.script = &script;
    drop_pieces(&s);
    if (s.script == NULL)
        return s.len;
    try_byte(&s, &script.head.options);
    try_byte(&s, &script.head.variant);
    for (unsigned i = 0; i < script.count; i++)
        plainer_step(&s, &script.steps[i]);
    drop_pieces(&s);
    return fuzz_script_encode(&script, data, FUZZ_FILE_MAX);
}
