// SPDX-License-Identifier: BSD-2-Clause
/*
 * `minivet bench WHAT`: becomes the program minivet-bench-WHAT. Those are no part of this one, and
 * lie in libexec/minivet, beside it in a build tree or above when installed.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

#define MOST_WORDS 64

static int print_help(FILE *out)
{
    fputs("usage: minivet bench WHAT [OPTIONS]\n\n"
          "Measures this program beside other VMMs, in interleaved runs:\n"
          "  boot      from exec to the guest's first words, and to the end\n"
          "  exit      the cost of an exit from the guest to the host\n"
          "  console   bytes a second, and the time from a key to its echo\n"
          "  memory    beyond the guest's own, and the cost of idle guests\n"
          "  balloon   how soon the host has the memory that a guest gives back\n"
          "  blk, net  throughput and latency of a disk and a network card\n"
          "  share     the same of a directory of the host's, and of its files\n"
          "  display   updates a second, and the time from a key to its answer\n"
          "\n`minivet bench WHAT --help` has the options, docs/benchmarks.md the methods.\n",
          out);
    return out == stderr ? EXIT_USAGE : 0;
}

/* Does the help list it? */
static bool is_known(const char *word)
{
    static const char *const known[] = {"boot", "exit", "console", "memory", "balloon",
                                        "blk",  "net",  "share",   "display"};
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(word, known[i]) == 0)
            return true;
    return false;
}

static bool is_word(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
    return len > 0 && len < 32 && text[len] == '\0' && isalpha((unsigned char)text[0]);
}

int cli_bench(int argc, char **argv)
{
    static const char *const folders[] = {"libexec/minivet", "../libexec/minivet"};
    char self[PATH_MAX], program[PATH_MAX + 80];
    char *words[MOST_WORDS + 1] = {NULL};
    if (argc < 2 || argc > MOST_WORDS - 2)
        return print_help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help(stdout);
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len < 0) {
        fail(-errno, "/proc/self/exe");
        return EXIT_SETUP;
    }
    self[len] = '\0';

    int n = 0;
    words[n++] = program;
    words[n++] = "--minivet";
    words[n++] = self;
    for (int i = 2; i < argc; i++)
        words[n++] = argv[i];
    int folder_len = (int)(strrchr(self, '/') - self);
    for (unsigned i = 0; i < ARRAY_SIZE(folders) && is_word(argv[1]); i++) {
        snprintf(program, sizeof(program), "%.*s/%s/minivet-bench-%s", folder_len, self, folders[i],
                 argv[1]);
        execv(program, words);
    }
    if (is_known(argv[1]))
        fail_msg(0, "bench %s: the benchmarks are not built: cmake --build build/release", argv[1]);
    else
        fail_msg(0, "bench %s: no such benchmark; `minivet bench --help` has their names", argv[1]);
    return EXIT_USAGE;
}
