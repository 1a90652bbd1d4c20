// SPDX-License-Identifier: BSD-2-Clause
/*
 * The options of `minivet run` as texts: of `minivet run --help`, and of `minivet options FORMAT`,
 * which prints the tables of the manual page and of the documentation (tools/docs-tables).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/options.h"

#define HELP_COLUMN 32
#define HELP_WIDTH  100

/* ---- what all formats say ---- */

static bool is_shared(const struct schema_key *o, const struct schema_table *t)
{
    return t->keys == config_virtio_keys && o->tables != config_virtio_tables;
}

/* What a table of a list's holds: "KEY of user". */
static void name_table(FILE *out, const struct schema_key *o, const struct schema_table *t)
{
    if (t->is_first && islower((unsigned char)o->arg[0]))
        fputs("one of", out);
    else if (t->is_first)
        fprintf(out, "%.*s", (int)strcspn(o->arg, "["), o->arg);
    else
        fprintf(out, "KEY%s%s", t->only != NULL ? " of " : "", t->only != NULL ? t->only : "");
}

/* ---- for people ---- */

/* Breaks lines at spaces; the first begins in the column. */
static void print_wrapped(FILE *out, const char *text)
{
    for (int room = HELP_WIDTH - HELP_COLUMN, left = room; *text != '\0';) {
        int length = (int)strcspn(text, " \n");
        if (length + 1 > left && left < room) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            left = room;
        }
        fprintf(out, "%s%.*s", left < room ? " " : "", length, text);
        left -= length + (left < room);
        text += length;
        if (*text == '\n') {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            left = room;
        }
        text += *text != '\0';
    }
    fputc('\n', out);
}

static void print_help(FILE *out, const struct schema_key *o)
{
    fputs(o->help, out);
    if (o->usual != NULL)
        fprintf(out, " [%s]", o->usual);
    for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++) {
        const struct schema_key *keys = t->keys;
        if (keys->name == NULL || (t->is_first && islower((unsigned char)o->arg[0])))
            continue; /* its arg has them */
        bool is_file = t->is_first && keys->kind == SCHEMA_FILE;
        if (is_file && (++keys)->name == NULL)
            continue;
        fputs(is_file ? "\ninstead of " : "\n", out);
        name_table(out, o, t);
        fputs(": ", out);
        if (is_shared(o, t))
            fputs("those of --virtio", out);
        else
            config_name_keys(out, keys);
    }
}

void cli_print_options(FILE *out)
{
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        char left[CONFIG_KEY_BYTES], *text = NULL;
        size_t bytes;
        FILE *help = open_memstream(&text, &bytes);
        if (help == NULL)
            return;
        print_help(help, o);
        fclose(help);
        config_name_key(o, left);
        int width = HELP_COLUMN - (o->letter != 0 ? 2 : 6), used = (int)strlen(left);
        fprintf(out, used > width - 2 ? "%*s%s\n%*s" : "%*s%s%*s", HELP_COLUMN - width, "", left,
                used > width - 2 ? HELP_COLUMN : width - used, "");
        print_wrapped(out, text);
        free(text);
    }
}

/* ---- for documents: Markdown, or mdoc(7) ---- */

/* In a cell of a table of Markdown '|' ends it. */
static void print_text(const char *text, bool markdown)
{
    for (; *text != '\0'; text++)
        printf(markdown && *text == '|' ? "\\%c" : "%c", *text);
}

static void print_table(const struct schema_key *keys, bool markdown)
{
    printf(markdown ? "| | | default |\n| --- | --- | --- |\n" : ".Bl -tag -width Ds\n");
    for (const struct schema_key *k = keys; k->name != NULL; k++) {
        char name[CONFIG_KEY_BYTES];
        if (k->help == NULL)
            continue;
        config_name_key(k, name);
        printf(markdown ? "| `" : ".It Cm ");
        print_text(name, markdown);
        printf(markdown ? "` | " : "\n");
        print_text(k->help, markdown);
        printf(markdown ? " | " : ".\n");
        if (k->usual != NULL)
            printf(markdown ? "%s" : "The default is %s.\n", k->usual);
        printf(markdown ? " |\n" : "");
    }
    printf(markdown ? "" : ".El\n");
}

/* A key without help is none of the user's. */
static bool has_rows(const struct schema_key *keys)
{
    while (keys->name != NULL && keys->help == NULL)
        keys++;
    return keys->name != NULL;
}

static void print_tables(bool markdown)
{
    print_table(config_options, markdown);
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++) {
            if (!has_rows(t->keys))
                continue;
            printf(markdown ? "\n`--%s`, " : ".Pp\n.Fl -%s ,\n", o->name);
            name_table(stdout, o, t);
            if (is_shared(o, t)) {
                printf(markdown ? ": those of `--virtio`.\n" : ": those of\n.Fl -virtio .\n");
                continue;
            }
            printf(markdown ? ":\n\n" : ":\n");
            print_table(t->keys, markdown);
        }
    }
}

int cli_options(int argc, char **argv)
{
    bool markdown = argc == 2 && strcmp(argv[1], "markdown") == 0;
    if (argc != 2 || (!markdown && strcmp(argv[1], "man") != 0))
        return fail_msg(EXIT_USAGE, "options: give man or markdown; people want `minivet run "
                                    "--help`");
    print_tables(markdown);
    return 0;
}

int cli_print_run_help(void)
{
    puts("usage: minivet run [OPTIONS] [KERNEL] [-- COMMAND [ARG...]]\n\n"
         "Boots KERNEL in a virtual machine with the terminal as its console; without one, the\n"
         "kernel that tools/run-linux has fetched. Ctrl-A x ends it, Ctrl-A h lists what else can\n"
         "be typed. COMMAND runs in the guest, with Minivet's standard input, output and error;\n"
         "its exit status is Minivet's. QEMU's words (-kernel -append -smp -drive -netdev ...) "
         "work.\n\n"
         "options:");
    cli_print_options(stdout);
    puts(
        "\nexit status:\n"
        "    0  the guest powered off or reset     123  the guest panicked or triple-faulted\n"
        "    2  wrong command line                 124  --timeout ran out\n"
        "  121  the guest hangs                  125  the machine could not be set up\n"
        "  122  Minivet or a device failed       128+N  ended by signal N\n"
        "  any byte that the guest writes to port 0xf4\n"
        "With COMMAND its own status; 126: it cannot be executed, 127: it is not there, 128+N: it\n"
        "was ended by signal N. Where Minivet fails itself it says so on standard error.");
    return 0;
}

int cli_print_config(const struct vm_config *vm)
{
    char *json = config_json(vm);
    if (json == NULL)
        return EXIT_USAGE;
    puts(json);
    free(json);
    return 0;
}
