// SPDX-License-Identifier: BSD-2-Clause
/* `minivet completion`: a completion script for bash or zsh, made from the option table. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/features.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/config.h"

#define COMMANDS   "run replay check bench completion"
#define BENCH_VMMS "qemu-microvm qemu-q35 kvmtool firecracker cloud-hypervisor none"

/* Options whose value is a list of keys, from its beginning or behind a first item. */
static const struct list {
    const char *name, *keys;
    bool behind_item;
    const char *items; /* what the first may be, if it is no file or word */
    const struct config_key *own;
} lists[] = {
    {"virtio", CONFIG_VIRTIO_KEYS, false, NULL, NULL},
    {"console", CONFIG_VIRTIO_KEYS, true, NULL, NULL},
#define VIRTIO_SWITCH(kind, usual) {#kind, CONFIG_VIRTIO_KEYS, true, NULL, kind##_keys},
#include "virtio/devices.def"
    {"disk", CONFIG_DISK_KEYS, true, NULL, NULL},
    {"d", CONFIG_DISK_KEYS, true, NULL, NULL},
    {"net", CONFIG_NET_KEYS ", " CONFIG_NET_USER_KEYS, true, CONFIG_NET_KINDS, NULL},
    {"n", CONFIG_NET_KEYS ", " CONFIG_NET_USER_KEYS, true, CONFIG_NET_KINDS, NULL},
    {"features", NULL, false, NULL, NULL},
};

static void print_features(void)
{
    for (const struct virtio_feature_name *f = virtio_feature_names; f->name != NULL; f++)
        printf("+%s -%s ", f->name, f->name);
}

/* "ring=split|packed, queue-size=N" becomes "ring=split ring=packed queue-size=". */
static void print_keys(const char *keys)
{
    if (keys == NULL)
        print_features();
    for (const char *at = keys; at != NULL && *at != '\0'; at += strspn(at, ", ")) {
        int name = (int)strcspn(at, "=,");
        bool has_value = at[name] == '=';
        const char *value = at + name + has_value;
        if (!has_value || isupper((unsigned char)*value))
            printf("%.*s ", name + has_value, at);
        for (at = value; has_value && *at != ',' && *at != '\0'; at += *at == '|') {
            int length = (int)strcspn(at, "|,");
            if (islower((unsigned char)*at) || isdigit((unsigned char)*at))
                printf("%.*s%.*s ", name + 1, value - name - 1, length, at);
            at += length;
        }
    }
}

/* Those of a device itself. */
static void print_own_keys(const struct config_key *own)
{
    for (; own != NULL && own->name != NULL; own++) {
        if (own->words == NULL)
            printf("%s= ", own->name);
        for (const char *const *word = own->words; word != NULL && *word != NULL; word++)
            printf("%s=%s ", own->name, *word);
    }
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
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
        printf("    --%s|-%s) %skeys=\"", lists[i].name, lists[i].name,
               lists[i].behind_item ? "[[ $value == *,* ]] && " : "");
        print_keys(lists[i].keys);
        print_own_keys(lists[i].own);
        if (lists[i].items != NULL) {
            printf("\" || keys=\"");
            print_keys(lists[i].items);
        }
        printf("\";;\n");
    }
    printf("  esac\n"
           "  if [[ $option =~ ^(-n|--?net)$ && $value == tap=* && $value != *,* ]]; then\n"
           "    mapfile -t keys < <(compgen -G '/sys/class/net/*/tun_flags')\n"
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

/* The words of option_row.arg. */
static void print_words(const char *arg)
{
    for (const char *p = arg; *p != '\0'; p++) {
        if (strchr("[=]", *p) == NULL)
            putchar(*p == '|' ? ' ' : *p);
    }
}

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
    print_words(row->arg);
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
           "  replay) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames; "
           "return;;\n"
           "  help) COMPREPLY=($(compgen -W '" COMMANDS "' -- \"$cur\")); return;;\n"
           "  check) COMPREPLY=($(compgen -W '--json --help' -- \"$cur\")); return;;\n"
           "  completion) COMPREPLY=($(compgen -W 'bash zsh --help' -- \"$cur\")); return;;\n"
           "  esac\n"
           "  if [[ ${COMP_WORDS[1]} == bench ]]; then\n"
           "    local words='--runs --vs --only --json --plot --tight --help'\n"
           "    ((COMP_CWORD == 2)) && words='boot exit console memory blk net --help'\n"
           "    case ${COMP_WORDS[2]} in\n"
           "    boot|memory) words+=' --kernel --initrd';;\n"
           "    blk) words+=' --seconds --with --file';;\n"
           "    net) words+=' --seconds --with';;\n"
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
           "  [[ ${COMP_WORDS[1]} == run ]] || return\n");
    print_list_cases();
    printf("  case $prev in\n");
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

/* ---- zsh ---- */

/* In a word between quotes, where brackets and colons have a meaning: the first line of a help. */
static void print_zsh_help(const char *text)
{
    for (; *text != '\0' && *text != '\n'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:", *text) != NULL)
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void print_zsh_action(const struct option_row *row)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
        if (strcmp(lists[i].name, row->name) != 0)
            continue;
        printf("{_minivet_list \"");
        if (lists[i].items != NULL || !lists[i].behind_item)
            print_keys(lists[i].behind_item ? lists[i].items : lists[i].keys);
        else if (row->values == VALUES_WORDS)
            print_words(row->arg);
        printf("\" ");
        print_keys(lists[i].keys);
        print_own_keys(lists[i].own);
        putchar('}');
        return;
    }
    if (row->values == VALUES_FILE) {
        printf("_files");
    } else if (row->values == VALUES_WORDS) {
        putchar('(');
        print_words(row->arg);
        putchar(')');
    }
}

/* As _arguments takes it; `name` ends with how the value is given. */
static void print_zsh_option(const struct option_row *row, const char *name)
{
    printf("    '*%s[", name);
    print_zsh_help(row->help);
    putchar(']');
    if (row->arg != NULL) {
        printf("%s%s:", config_value_is_optional(row) ? "::" : ":", row->name);
        print_zsh_action(row);
    }
    puts("' \\");
}

static void print_zsh_options(const struct option_row *row)
{
    char name[64];
    const char *behind = row->arg == NULL ? "" : config_value_is_optional(row) ? "=-" : "=";
    snprintf(name, sizeof(name), "--%s%s", row->name, behind);
    print_zsh_option(row, name);
    snprintf(name, sizeof(name), "-%c%s", row->letter, row->arg != NULL ? "+" : "");
    if (row->letter != 0)
        print_zsh_option(row, name);
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
    for (unsigned i = 0; i < config_option_count; i++)
        print_zsh_options(&config_options[i]);
    printf(
        "    '*:kernel:_files';;\n"
        "  replay) _arguments '(-v --verbose)'{-v,--verbose} '*:recording:_files';;\n"
        "  check) _arguments --json --help;;\n"
        "  bench) compadd -- boot exit console memory blk net;;\n"
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
