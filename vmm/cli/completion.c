// SPDX-License-Identifier: BSD-2-Clause
/* `minivet completion`: a bash completion script, made from the option table. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli/cli.h"
#include "vmm/config.h"

static void print_value_case(const struct option_row *row)
{
    if (row->values == VALUES_NONE)
        return;
    printf("    --%s", row->name);
    if (row->letter != 0)
        printf("|-%c", row->letter);
    if (row->values == VALUES_FILE) {
        printf(
            ") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames; return;;\n");
        return;
    }
    bool optional = config_value_is_optional(row);
    printf(") %sCOMPREPLY=($(compgen -W \"", optional ? "[[ $equals ]] && " : "");
    for (const char *p = row->arg; *p != '\0'; p++) {
        if (strchr("[=]", *p) == NULL)
            putchar(*p == '|' ? ' ' : *p);
    }
    printf("\" -- \"$cur\"))%s return;;\n", optional ? " &&" : ";");
}

int cli_completion(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        printf("usage: minivet completion\n\nPrints a bash completion script:\n"
               "  source <(minivet completion)\n");
        return strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? 0 : 2;
    }
    printf("# bash completion for minivet\n"
           "_minivet() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "  # --name=value comes as three words.\n"
           "  local equals=\n"
           "  [[ $cur == = ]] && equals=1 cur=\n"
           "  [[ $prev == = ]] && equals=1 prev=${COMP_WORDS[COMP_CWORD-2]}\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    COMPREPLY=($(compgen -W \"run check completion --help --version\" -- \"$cur\"))\n"
           "    return\n"
           "  fi\n"
           "  [[ ${COMP_WORDS[1]} == run ]] || return\n"
           "  case $prev in\n");
    for (unsigned i = 0; i < config_option_count; i++)
        print_value_case(&config_options[i]);
    printf("  esac\n"
           "  if [[ $cur == -* ]]; then\n"
           "    COMPREPLY=($(compgen -W \"");
    for (unsigned i = 0; i < config_option_count; i++)
        printf("%s--%s", i ? " " : "", config_options[i].name);
    printf("\" -- \"$cur\"))\n"
           "  else\n"
           "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames\n"
           "  fi\n"
           "}\n"
           "complete -F _minivet minivet\n");
    return 0;
}
