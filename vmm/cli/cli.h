// SPDX-License-Identifier: BSD-2-Clause
/* The subcommands of `minivet`: argv[0] is the subcommand's name; they return the exit code. */
#ifndef MINIVET_VMM_CLI_CLI_H
#define MINIVET_VMM_CLI_CLI_H

#include <stdio.h>

int cli_run(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_ctl(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_net_user(int argc, char **argv);
int cli_options(int argc, char **argv);

/* The options of run, as a screenful of text. */
void cli_print_options(FILE *out);

#endif
