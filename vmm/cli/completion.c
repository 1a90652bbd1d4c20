// SPDX-License-Identifier: BSD-2-Clause
/* `minivet completion`: a bash completion script, made from the option table. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/xmath.h"
#include "vmm/cli/cli.h"
#include "vmm/config.h"

#define BENCH_VMMS "qemu-microvm qemu-q35 kvmtool firecracker cloud-hypervisor none"

/* Options whose value is a list of keys, from its beginning or behind a first item. */
static const struct {
    const char *name, *keys;
    bool behind_item;
    const char *items; /* what the first may be, if it is no file or word */
} lists[] = {
    {"virtio", CONFIG_VIRTIO_KEYS, false, NULL},
    {"console", CONFIG_VIRTIO_KEYS, true, NULL},
    {"rng", CONFIG_VIRTIO_KEYS, true, NULL},
    {"disk", CONFIG_DISK_KEYS, true, NULL},
    {"d", CONFIG_DISK_KEYS, true, NULL},
    {"net", CONFIG_NET_KEYS ", " CONFIG_NET_USER_KEYS, true, CONFIG_NET_KINDS},
    {"n", CONFIG_NET_KEYS ", " CONFIG_NET_USER_KEYS, true, CONFIG_NET_KINDS},
};

/* "ring=split|packed, queue-size=N" becomes "ring=split ring=packed queue-size=". */
static void print_keys(const char *keys)
{
    for (const char *at = keys; *at != '\0'; at += strspn(at, ", ")) {
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
        if (lists[i].items != NULL) {
            printf("\" || keys=\"");
            print_keys(lists[i].items);
        }
        printf("\";;\n");
    }
    printf("  esac\n"
           "  if [[ $keys ]]; then\n"
           "    local last=${value##*,}\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$keys\" -P \"${value%%\"$last\"}\" -- "
           "\"$last\")\n"
           "    COMPREPLY=(\"${COMPREPLY[@]#\"${value%%\"$cur\"}\"}\")\n"
           "    compopt -o nospace\n"
           "    return\n"
           "  fi\n");
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
           "    COMPREPLY=($(compgen -W \"run replay check bench completion --help --version\" -- "
           "\"$cur\"))\n"
           "    return\n"
           "  fi\n"
           "  if [[ ${COMP_WORDS[1]} == replay ]]; then\n"
           "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames; return\n"
           "  fi\n"
           "  if [[ ${COMP_WORDS[1]} == bench ]]; then\n"
           "    local words='--runs --vs --only --json --plot --tight --help'\n"
           "    ((COMP_CWORD == 2)) && words='boot exit console memory blk net --help'\n"
           "    case ${COMP_WORDS[2]} in\n"
           "    boot|memory) words+=' --kernel --initrd';;\n"
           "    blk) words+=' --seconds --with --file';;\n"
           "    net) words+=' --seconds --with';;\n"
           "    esac\n"
           "    [[ $prev == --vs ]] && words='" BENCH_VMMS "'\n"
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
