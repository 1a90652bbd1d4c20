// SPDX-License-Identifier: BSD-2-Clause
/* From argv to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"run", cli_run, "Boot a guest"},
    {"replay", cli_replay, "Play what a run has recorded to the devices, and compare"},
    {"ctl", cli_ctl, "Tell a running guest's Minivet what to do"},
    {"console", cli_console, "Connect the terminal to a port of a running guest"},
    {"vsock", cli_vsock, "Connect standard input and output to a port of a guest (AF_VSOCK)"},
    {"ps", cli_ps, "List the guests that run"},
    {"check", cli_check, "Say whether this host can run guests, and what to do if not"},
    {"bench", cli_bench, "Measure this program beside other VMMs"},
    {"completion", cli_completion, "Print a completion script for bash or zsh"},
    {"net-user", cli_net_user, NULL}, /* not for users */
    {"options", cli_options, NULL},   /* for the documentation */
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

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

static int no_such_command(const char *word)
{
    fail_msg(0,
             "%s: no such command; `minivet run KERNEL` boots a guest; others are replay, ctl, "
             "console, vsock, ps, check, bench, completion and help",
             word);
    return EXIT_USAGE;
}

static int run_command(int argc, char **argv)
{
    static char help[] = "--help";
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (is_one_of(word, "--help", "-h", "help")) {
        if (argc == 2 || is_one_of(argv[2], "--help", "-h", "help"))
            return print_help(stdout);
        argv[1] = argv[2]; /* "help run" is "run --help" */
        argv[2] = help;
        argc = 3;
    }
    if (is_one_of(word, "--version", "-V", "version") ||
        (argc == 3 && strcmp(argv[2], "--version") == 0))
        return puts("minivet " MINIVET_VERSION) < 0 ? EXIT_SETUP : 0;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    }
    return no_such_command(argv[1]);
}

/* What could not be written to standard output is an error, too: help or a script was cut. */
int main(int argc, char **argv)
{
    if (open_standard_streams() < 0)
        return EXIT_SETUP;
    int status = run_command(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
        fail(-errno, "standard output");
        return EXIT_SETUP;
    }
    return status;
}
