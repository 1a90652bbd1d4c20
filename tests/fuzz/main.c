// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_scripts: reads, writes and plays what the fuzzers find, without a fuzzer.
 *
 *     show FILE              a script's bytes as text
 *     asm FILE               text as bytes, to standard output
 *     play [-v] TARGET FILE...  each input once; -v shows a script's steps before they are done
 *     live [-v] FILE...      each script once in a real machine; needs /dev/kvm
 *     make TARGET COUNT [SEED]  plays so many inputs that the grammar makes, and says how fast
 *     min TARGET FILE OUT    makes an input smaller while it finds the same, and says what that is
 *     corpus [--tap=FILE] DIR...  every input of DIR/TARGET/, as a test each; TAP
 *     import TAPE DIR        what a recorded guest did (minivet run --record), as DIR/TARGET/...
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xmath.h"
#include "tests/fuzz/import.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/shrink.h"
#include "tests/fuzz/target.h"

#define PATH_BYTES 4096
#define NO_SCRIPT  "no script: it does not begin with " FUZZ_MAGIC

static uint8_t input[FUZZ_FILE_MAX];

/* What the host or a tape is to blame for, too. */
static void say_errors(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (level == LOG_ERROR)
        fprintf(stderr, "fuzz_scripts: %s\n", line);
}

static int complain(const char *what, const char *name)
{
    fprintf(stderr, "fuzz_scripts: %s: %s\n", name, what);
    return 1;
}

static int usage(void)
{
    fputs(
        "usage: fuzz_scripts show FILE | asm FILE | play [-v] TARGET FILE... |\n"
        "                    live [-v] FILE... | make TARGET COUNT [SEED] | min TARGET FILE OUT |\n"
        "                    corpus [--tap=FILE] DIR... | import TAPE DIR\n",
        stderr);
    return 2;
}

/* Either form; returns the bytes, or -1 and has said why. */
static long load(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return -complain(strerror(errno), path);
    size_t len = fread(input, 1, sizeof(input), f);
    if (ferror(f) || fgetc(f) != EOF) {
        complain(ferror(f) ? strerror(errno) : "longer than any input", path);
        fclose(f);
        return -1;
    }
    if (len >= 12 && memcmp(input, "minivet-fuzz", 12) == 0) {
        rewind(f);
        len = fuzz_script_assemble(f, path, input, sizeof(input), stderr);
        if (len == 0) {
            fclose(f);
            return -1;
        }
    }
    fclose(f);
    return (long)len;
}

static int show(const char *path)
{
    static struct fuzz_script s;
    long len = load(path);
    if (len < 0)
        return 1;
    if (!fuzz_script_decode(&s, input, (size_t)len))
        return complain(NO_SCRIPT, path);
    fuzz_script_show(&s, stdout);
    return 0;
}

static int assemble(const char *path)
{
    long len = load(path);
    if (len < 0)
        return 1;
    if (len < (long)strlen(FUZZ_MAGIC) || memcmp(input, FUZZ_MAGIC, strlen(FUZZ_MAGIC)) != 0)
        return complain("no script: its first line is not minivet-fuzz 1", path);
    return fwrite(input, 1, (size_t)len, stdout) == (size_t)len ? 0 : 1;
}

static int play(const struct fuzz_target *target, const char *path, bool verbose)
{
    static struct fuzz_script s;
    long len = load(path);
    if (len < 0)
        return 1;
    bool script = fuzz_script_decode(&s, input, (size_t)len);
    if (verbose && script)
        fuzz_play(&s, stderr);
    if (target->run(target, input, (size_t)len) == 0)
        return 0;
    return complain(
        script ? "it has raw steps, which are not the same on all transports" : NO_SCRIPT, path);
}

static int play_live(char **paths)
{
    static struct fuzz_script s;
    FILE *log = strcmp(*paths, "-v") == 0 ? stderr : NULL;
    paths += log != NULL;
    if (*paths == NULL)
        return usage();
    log_set_sink(say_errors, NULL);
    for (; *paths != NULL; paths++) {
        long len = load(*paths);
        if (len < 0)
            return 1;
        if (!fuzz_script_decode(&s, input, (size_t)len))
            return complain(NO_SCRIPT, *paths);
        fuzz_play_live(&s, s.head.variant, log);
    }
    fuzz_play_end();
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the last input was, for whoever finds the process dead. */
static void keep(const uint8_t *data, size_t len)
{
    const char *path = getenv("FUZZ_KEEP");
    FILE *f = path != NULL ? fopen(path, "wb") : NULL;
    if (f == NULL)
        return;
    fwrite(data, 1, len, f);
    fclose(f);
}

static int make(const struct fuzz_target *target, unsigned long count, unsigned seed)
{
    size_t len = 0;
    double begin = now();
    if (target->mutate == NULL)
        return complain("its inputs have no grammar", target->name);
    for (unsigned long i = 0; i < count; i++) {
        if (i % 8 == 0)
            len = 0;
        len = target->mutate(target, input, len, 4096, seed + (unsigned)i);
        keep(input, len);
        target->run(target, input, len);
    }
    double seconds = now() - begin;
    printf("%s: %lu inputs in %.1f s of CPU time: %.0f a second\n", target->name, count, seconds,
           (double)count / seconds);
    return 0;
}

static int shrink(const struct fuzz_target *target, const char *path, const char *to)
{
    char name[FUZZ_NAME_BYTES];
    long len = load(path);
    if (len < 0)
        return 1;
    if (!fuzz_finds(target, input, (size_t)len, name))
        return complain("it finds nothing", path);
    size_t smaller = fuzz_shrink(target, input, (size_t)len, name);
    FILE *f = fopen(to, "wb");
    if (f == NULL)
        return complain(strerror(errno), to);
    bool ok = fwrite(input, 1, smaller, f) == smaller;
    if (fclose(f) != 0 || !ok)
        return complain("it cannot be written", to);
    printf("%s\n", name);
    return 0;
}

/* ---- a corpus, as tests ---- */

static FILE *tap;
static unsigned tests, failed;

static void test_input(const struct fuzz_target *target, const char *path, const char *name)
{
    char finding[FUZZ_NAME_BYTES];
    long len = load(path);
    bool ok = len >= 0 && !fuzz_finds(target, input, (size_t)len, finding);
    failed += !ok;
    fprintf(tap, "%s %u - fuzz %s/%s\n", ok ? "ok" : "not ok", ++tests, target->name, name);
    if (!ok)
        fprintf(tap == stdout ? stdout : stderr, "# %s/%s: %s\n", target->name, name,
                len < 0 ? "it cannot be read" : finding);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void test_target(const struct fuzz_target *target, const char *dir)
{
    char folder[PATH_BYTES], path[PATH_BYTES + 256];
    struct dirent **list;
    snprintf(folder, sizeof(folder), "%s/%s", dir, target->name);
    int count = scandir(folder, &list, NULL, by_name);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
        if (list[i]->d_name[0] != '.')
            test_input(target, path, list[i]->d_name);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
}

static int corpus(char **dirs)
{
    tap = stdout;
    if (strncmp(dirs[0], "--tap=", 6) == 0) {
        tap = fopen(dirs[0] + 6, "w");
        if (tap == NULL)
            return complain(strerror(errno), dirs[0]);
        dirs++;
    }
    for (; *dirs != NULL; dirs++)
        for (unsigned i = 0; i < fuzz_target_count; i++)
            test_target(fuzz_targets[i], *dirs);
    fprintf(tap, "1..%u\n", tests);
    if (tests == 0)
        return complain("no folder there is named after a target", "corpus");
    return failed > 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    fuzz_count_lines(LOG_ERROR);
    if (argc < 3)
        return usage();
    if (strcmp(what, "show") == 0 && argc == 3)
        return show(argv[2]);
    if (strcmp(what, "asm") == 0 && argc == 3)
        return assemble(argv[2]);
    if (strcmp(what, "corpus") == 0)
        return corpus(argv + 2);
    if (strcmp(what, "import") == 0 && argc == 4) {
        log_set_sink(say_errors, NULL);
        return fuzz_import(argv[2], argv[3]);
    }
    if (strcmp(what, "live") == 0)
        return play_live(argv + 2);
    bool verbose = strcmp(argv[2], "-v") == 0;
    int first = 2 + verbose;
    if (argc < first + 2 || (strcmp(what, "play") != 0 && strcmp(what, "make") != 0 &&
                             (strcmp(what, "min") != 0 || argc != first + 3)))
        return usage();
    const struct fuzz_target *target = fuzz_target_find(argv[first]);
    if (target == NULL) {
        complain("no such target; tools/fuzz targets names them", argv[first]);
        return 2;
    }
    if (strcmp(what, "make") == 0)
        return make(target, strtoul(argv[first + 1], NULL, 0),
                    argc > first + 2 ? (unsigned)strtoul(argv[first + 2], NULL, 0) : 1);
    if (strcmp(what, "min") == 0)
        return shrink(target, argv[first + 1], argv[first + 2]);
    int result = 0;
    for (int i = first + 1; i < argc; i++)
        result |= play(target, argv[i], verbose);
    fuzz_play_end();
    return result;
}
