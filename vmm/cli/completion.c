// SPDX-License-Identifier: BSD-2-Clause
/* `minivet completion`: a completion script for bash or zsh, made from the option table. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/options.h"

#define COMMANDS   "run replay ctl console vsock ps check bench completion"
#define BENCH_VMMS "qemu-microvm qemu-q35 kvmtool firecracker cloud-hypervisor none"

/* Those of an arg, each behind "before=". */
static void print_words(const char *before, const char *arg)
{
    size_t len;
    for (; (arg = schema_next_word(arg, &len)) != NULL; arg += len) {
        if (islower((unsigned char)*arg) || isdigit((unsigned char)*arg))
            printf("%s%.*s ", before, (int)len, arg);
    }
}

/* "ring=split ring=packed", "queue-size=" or "ro" */
static void print_key(const struct schema_key *key)
{
    char before[64];
    snprintf(before, sizeof(before), "%s%s", key->name, schema_sign(key));
    if (key->arg == NULL)
        printf("%s ", key->name);
    else if (isupper((unsigned char)key->arg[0]))
        printf("%s ", before);
    else
        print_words(before, key->arg);
}

/* What a list begins with, or its keys. */
static void print_keys(const struct schema_key *o, bool first)
{
    for (const char *name = o->names; name != NULL && *name != '\0';) {
        int len = (int)strcspn(name, ", ");
        printf("+%.*s -%.*s ", len, name, len, name);
        name += len;
        name += strspn(name, ", ");
    }
    for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++) {
        for (const struct schema_key *k = t->keys; k->name != NULL; k++)
            if (k->help != NULL && t->is_first == first)
                print_key(k);
    }
}

static bool begins_with_file(const struct schema_key *o)
{
    return o->kind == SCHEMA_FILE ||
           (o->tables != NULL && o->tables[0].keys[0].kind == SCHEMA_FILE);
}

static bool has_first(const struct schema_key *o)
{
    return o->tables != NULL && o->tables[0].is_first;
}

static bool has_words(const struct schema_key *o)
{
    return o->kind == SCHEMA_WORD || (o->kind == SCHEMA_SWITCH && o->arg != NULL);
}

/* ---- bash ---- */

/* What the shell takes for words is no help here: it cuts at '=' as well. */
static void print_list_cases(void)
{
    printf("  local line=${COMP_LINE:0:COMP_POINT} keys=\n"
           "  local value=${line##*[[:space:]]}\n"
           "  local option=${line%%\"$value\"}\n"
           "  option=${option%%\"${option##*[![:space:]]}\"}\n"
           "  option=${option##*[[:space:]]}\n"
           "  [[ $value == --*=* ]] && option=${value%%%%=*} value=${value#*=}\n"
           "  case $option in\n");
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        if (o->tables == NULL && o->names == NULL)
            continue;
        printf("    --%s|-%s%s%.1s) %skeys=\"", o->name, o->name, o->letter != 0 ? "|-" : "",
               &o->letter, has_first(o) ? "[[ $value == *,* ]] && " : "");
        print_keys(o, false);
        if (has_first(o) && !begins_with_file(o)) {
            printf("\" || keys=\"");
            print_keys(o, true);
        }
        printf("\";;\n");
    }
    printf("  esac\n"
           "  if [[ $option =~ ^(-n|--?net)$ && $value == tap=* && $value != *,* ]]; then\n"
           "    mapfile -t keys < <(compgen -G '/sys/class/net/*/tun_flags' |\n"
           "      grep -x '[a-zA-Z0-9/._-]*')\n"
           "    keys=(\"${keys[@]#/sys/class/net/}\") keys=(\"${keys[@]%%/tun_flags}\")\n"
           "    keys=\"${keys[*]/#/tap=}\"\n"
           "  fi\n"
           "  if [[ $keys ]]; then\n"
           "    local last=${value##*,}\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$keys\" -P \"${value%%\"$last\"}\" -- "
           "\"$last\")\n"
           "    COMPREPLY=(\"${COMPREPLY[@]#\"${value%%\"$cur\"}\"}\")\n"
           "    compopt -o nospace\n"
           "    return\n"
           "  fi\n");
}

static void print_value_case(const struct schema_key *o)
{
    if (!begins_with_file(o) && !has_words(o))
        return;
    printf("    --%s", o->name);
    if (o->letter != 0)
        printf("|-%c", o->letter);
    if (begins_with_file(o)) {
        printf(
            ") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames; return;;\n");
        return;
    }
    bool optional = schema_is_optional(o);
    printf(") %sCOMPREPLY=($(compgen -W \"", optional ? "[[ $equals ]] && " : "");
    print_words("", o->arg);
    printf("\" -- \"$cur\"))%s return;;\n", optional ? " &&" : ";");
}

static int print_bash(void)
{
    printf("# bash completion for minivet\n"
           "_minivet() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "  # --name=value comes as three words.\n"
           "  local equals=\n"
           "  [[ $cur == = ]] && equals=1 cur=\n"
           "  [[ $prev == = ]] && equals=1 prev=${COMP_WORDS[COMP_CWORD-2]}\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    COMPREPLY=($(compgen -W \"" COMMANDS " help --help --version\" -- \"$cur\"))\n"
           "    return\n"
           "  fi\n"
           "  case ${COMP_WORDS[1]} in\n"
           "  replay|vsock) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "    compopt -o filenames; return;;\n"
           "  help) COMPREPLY=($(compgen -W '" COMMANDS "' -- \"$cur\")); return;;\n"
           "  check) COMPREPLY=($(compgen -W '--json --help' -- \"$cur\")); return;;\n"
           "  ctl|console)\n"
           "    local program=${COMP_WORDS[0]} list=help run=2\n"
           "    [[ ${COMP_WORDS[1]} == console ]] && list=console\n"
           "    [[ ${COMP_WORDS[2]} == --json ]] && run=3\n"
           "    if ((COMP_CWORD > run + 1)); then\n"
           "      [[ $list == help ]] || return\n"
           "      local of=${COMP_WORDS[run+1]},$((COMP_CWORD - run - 1)) find=\n"
           "      case $of in\n"
           "      disk-swap,2|screenshot,1) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "        compopt -o filenames; return;;\n"
           "      click,1) COMPREPLY=($(compgen -W 'left right middle' -- \"$cur\")); return;;\n"
           "      link,2) COMPREPLY=($(compgen -W 'up down' -- \"$cur\")); return;;\n"
           "      info,1) find='device: \\([a-z0-9]*\\)$';;\n"
           "      disk-*,1) find='device: disk\\([0-9]*\\)$';;\n"
           "      link,1) find='device: net\\([0-9]*\\)$';;\n"
           "      port-remove,1|console-size,1)\n"
           "        find='port [0-9]*, name \\([A-Za-z0-9._-]*\\),.*';;\n"
           "      *) return;;\n"
           "      esac\n"
           "      COMPREPLY=($(compgen -W \"$(\"$program\" ctl \"${COMP_WORDS[run]}\" info "
           "2>/dev/null |\n"
           "        sed -n \"s/^ *- $find/\\1/p\")\" -- \"$cur\"))\n"
           "      return\n"
           "    fi\n"
           "    if [[ $cur == -* ]]; then\n"
           "      COMPREPLY=($(compgen -W '--json --help' -- \"$cur\")); return\n"
           "    fi\n"
           /* Bash runs what is in $() there: no more is taken than what names are made of. */
           "    if [[ -S $prev || $prev =~ ^[0-9]+$ ]]; then\n"
           "      COMPREPLY=($(compgen -W \"$(\"$program\" ctl \"$prev\" $list 2>/dev/null |\n"
           "        grep -o '^[A-Za-z0-9._-]* ')\" -- \"$cur\"))\n"
           "    else\n"
           "      mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"\n"
           "        \"$program\" ps 2>/dev/null | grep -o \"^$cur[0-9]*\" | grep .)\n"
           "      compopt -o filenames\n"
           "    fi\n"
           "    return;;\n"
           "  ps) COMPREPLY=($(compgen -W '--json --help' -- \"$cur\")); return;;\n"
           "  completion) COMPREPLY=($(compgen -W 'bash zsh --help' -- \"$cur\")); return;;\n"
           "  esac\n"
           "  if [[ ${COMP_WORDS[1]} == bench ]]; then\n"
           "    local words='--runs --vs --only --json --plot --tight --help'\n"
           "    ((COMP_CWORD == 2)) && words='boot exit console memory balloon blk net share "
           "display --help'\n"
           "    case ${COMP_WORDS[2]} in\n"
           "    boot|memory) words+=' --kernel --initrd';;\n"
           "    blk) words+=' --seconds --with --file';;\n"
           "    net) words+=' --seconds --with';;\n"
           "    share) words+=' --seconds --file';;\n"
           "    display) words+=' --seconds';;\n"
           "    esac\n"
           "    [[ $prev == --vs ]] && words='" BENCH_VMMS "'\n"
           "    [[ $prev == --only ]] && words=$(\"${COMP_WORDS[0]}\" bench \"${COMP_WORDS[2]}\" "
           "--help 2>/dev/null | sed -n 's/^patterns://p')\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    [[ $prev$equals =~ ^--(vs|plot|kernel|initrd|file|json1)$ ]] &&\n"
           "      mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\") &&\n"
           "      compopt -o filenames\n"
           "    return\n"
           "  fi\n"
           "  [[ ${COMP_WORDS[1]} == run ]] || return\n"
           "  # A command of the guest's.\n"
           "  [[ \" ${COMP_WORDS[*]:2:COMP_CWORD-2} \" == *' -- '* ]] && return\n");
    print_list_cases();
    printf("  case $prev in\n");
    for (const struct schema_key *o = config_options; o->name != NULL; o++)
        print_value_case(o);
    printf("  esac\n"
           "  if [[ $cur == -* ]]; then\n"
           "    COMPREPLY=($(compgen -W \"");
    for (const struct schema_key *o = config_options; o->name != NULL; o++)
        printf("--%s ", o->name);
    printf("\" -- \"$cur\"))\n"
           "  else\n"
           "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames\n"
           "  fi\n"
           "}\n"
           "complete -F _minivet minivet\n");
    return 0;
}

/* ---- zsh ---- */

/* In a word between quotes, where brackets and colons have a meaning. */
static void print_zsh_help(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:", *text) != NULL)
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void print_zsh_action(const struct schema_key *o)
{
    if (o->tables != NULL || o->names != NULL) {
        printf("{_minivet_list \"");
        if (!begins_with_file(o))
            print_keys(o, has_first(o));
        printf("\" ");
        print_keys(o, false);
        putchar('}');
    } else if (begins_with_file(o)) {
        printf("_files");
    } else if (has_words(o)) {
        putchar('(');
        print_words("", o->arg);
        putchar(')');
    }
}

/* As _arguments takes it: the name, and how the value is given. */
static void print_zsh_option(const struct schema_key *o, const char *dashes, const char *name,
                             const char *behind)
{
    printf("    '*%s%s%s[", dashes, name, behind);
    print_zsh_help(o->help);
    if (o->usual != NULL)
        printf(" \\[%s\\]", o->usual);
    putchar(']');
    if (o->arg != NULL) {
        printf("%s%s:", schema_is_optional(o) ? "::" : ":", o->name);
        print_zsh_action(o);
    }
    puts("' \\");
}

static void print_zsh_options(const struct schema_key *o)
{
    const char *arg = o->arg;
    print_zsh_option(o, "--", o->name, arg == NULL ? "" : schema_is_optional(o) ? "=-" : "=");
    if (o->letter != 0)
        print_zsh_option(o, "-", (const char[]){o->letter, '\0'}, arg != NULL ? "+" : "");
}

static int print_zsh(void)
{
    printf("#compdef minivet\n"
           "# _minivet_list FIRST KEY...: the last item of a list; FIRST: the words for the first "
           "one, or files\n"
           "_minivet_list() {\n"
           "  local first=$1\n"
           "  shift\n"
           "  if compset -P '*,'; then compadd -S '' -- \"$@\"\n"
           "  elif [[ -n $first ]]; then compadd -S '' -- ${=first}\n"
           "  else _files -S ''; fi\n"
           "}\n"
           "_minivet() {\n"
           "  if ((CURRENT == 2)); then compadd -- " COMMANDS " help; return; fi\n"
           "  local command=$words[2]\n"
           "  shift words\n"
           "  ((CURRENT--))\n"
           "  case $command in\n"
           "  run) _arguments \\\n");
    for (const struct schema_key *o = config_options; o->name != NULL; o++)
        print_zsh_options(o);
    printf(
        "    '*:kernel:_files';;\n"
        "  replay) _arguments '(-v --verbose)'{-v,--verbose} '*:recording:_files';;\n"
        "  check) _arguments --json --help;;\n"
        "  ctl|console)\n"
        "    local run=$words[CURRENT-1] list=help\n"
        "    [[ $command == console ]] && list=console\n"
        "    if [[ $run == screenshot || $words[CURRENT-2] == disk-swap ]]; then _files\n"
        "    elif [[ -S $run || $run == <-> ]]; then\n"
        "      compadd -- ${(f)\"$(minivet ctl $run $list 2>/dev/null |\n"
        "        grep -o '^[A-Za-z0-9._-][A-Za-z0-9._-]*')\"}\n"
        "    else\n"
        "      compadd -- ${(f)\"$(minivet ps 2>/dev/null | grep -o '^[0-9][0-9]*')\"}\n"
        "      _files\n"
        "    fi;;\n"
        "  ps) compadd -- --json --help;;\n"
        "  vsock) _arguments --help '1:path of --vsock:_files' '2:port:';;\n"
        "  bench) compadd -- boot exit console memory balloon blk net share display;;\n"
        "  completion) compadd -- bash zsh;;\n"
        "  help) compadd -- " COMMANDS ";;\n"
        "  esac\n"
        "}\n"
        "if [[ $funcstack[1] == _minivet ]]; then _minivet \"$@\"; else compdef _minivet minivet; "
        "fi\n");
    return 0;
}

int cli_completion(int argc, char **argv)
{
    const char *shell = argc > 1 ? argv[1] : "bash";
    if (argc <= 2 && strcmp(shell, "bash") == 0)
        return print_bash();
    if (argc == 2 && strcmp(shell, "zsh") == 0)
        return print_zsh();
    bool is_help = strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0;
    if (!is_help) {
        fail_msg(0, "completion %s: give bash, the default, or zsh", shell);
        return EXIT_USAGE;
    }
    puts("usage: minivet completion [bash|zsh]\n\n"
         "Prints a completion script for bash, or for zsh behind its compinit:\n"
         "  source <(minivet completion)\n"
         "  source <(minivet completion zsh)");
    return 0;
}
