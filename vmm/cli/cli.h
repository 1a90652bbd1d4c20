// SPDX-License-Identifier: BSD-2-Clause
/* The subcommands of `minivet`: argv[0] is the subcommand's name; they return the exit code. */
#ifndef MINIVET_VMM_CLI_CLI_H
#define MINIVET_VMM_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

struct vm_config;

struct cJSON;

int cli_run(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_ctl(int argc, char **argv);
int cli_console(int argc, char **argv);
int cli_vsock(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_net_user(int argc, char **argv);
int cli_options(int argc, char **argv);

/*
 * Sends a command to the control socket at the path. 0 and the answer, which is the caller's; or a
 * negative errno, which was reported unless `quiet`. A quiet one waits for two seconds at most.
 */
int ctl_ask(const char *path, char **words, int count, bool quiet, struct cJSON **answer);

/* The control socket of a run: the word itself, which is a path; or of the process of that number,
 * which was not told where to listen. */
#define CTL_SOCKET_BYTES 512
const char *ctl_find_socket(const char *word, char place[CTL_SOCKET_BYTES]);

/* The options of run, as a screenful of text. */
void cli_print_options(FILE *out);
/* What `minivet run --help` and --print-config say; the exit status. */
int cli_print_run_help(void);
int cli_print_config(const struct vm_config *vm);

#endif
