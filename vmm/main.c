// SPDX-License-Identifier: BSD-2-Clause
/* From argv to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fail.h"
#include "core/xmath.h"
#include "vmm/cli/cli.h"
#include "vmm/exit_code.h"

struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"run", cli_run, "Boot a guest"},
    {"replay", cli_replay, "Play what a run has recorded to the devices, and compare"},
    {"check", cli_check, "Say whether this host can run guests, and what to do if not"},
    {"bench", cli_bench, "Measure this program beside other VMMs"},
    {"completion", cli_completion, "Print a completion script for bash"},
    {"net-user", cli_net_user, NULL}, /* not for users */
};

static int print_help(FILE *out)
{
    fputs("minivet " MINIVET_VERSION ", a small virtual machine monitor for Linux KVM\n\n"
          "usage: minivet COMMAND [OPTIONS]\n\ncommands:\n",
          out);
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (commands[i].help != NULL)
            fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    fputs("\n`minivet COMMAND --help` says more. Manual: man minivet\n", out);
    return 0;
}

/* What is opened first would take a closed one's number, and the console or a message go there. */
static int open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return fail(-errno, "/dev/null: open");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_streams() < 0)
        return EXIT_SETUP;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return print_help(stdout);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return puts("minivet " MINIVET_VERSION) < 0;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    }
    fail_msg(0, "%s: unknown command; commands are: run, replay, check, bench, completion", word);
    return EXIT_USAGE;
}
