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

/* "--stats[=table|json]" */
static void name_option(FILE *out, const struct schema_key *o)
{
    if (o->letter != 0)
        fprintf(out, "-%c, ", o->letter);
    fprintf(out, "--%s", o->name);
    if (o->arg != NULL)
        fprintf(out, "%s%s", schema_is_optional(o) ? "" : " ", o->arg);
}

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
        if (t->is_first && islower((unsigned char)o->arg[0]))
            continue; /* its arg has them */
        fputc('\n', out);
        if (t->is_first && keys->kind == SCHEMA_FILE) {
            fputs("instead of ", out);
            keys++;
        }
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
        char left[64], *text = NULL;
        size_t bytes;
        FILE *f = fmemopen(left, sizeof(left), "w"), *help = open_memstream(&text, &bytes);
        if (f != NULL && help != NULL) {
            fputs(o->letter == 0 ? "    " : "", f);
            name_option(f, o);
            fputc('\0', f);
            print_help(help, o);
        }
        if (f != NULL)
            fclose(f);
        if (help != NULL)
            fclose(help);
        fprintf(out, strlen(left) > HELP_COLUMN - 4 ? "  %s\n%*s" : "  %s%*s", left,
                strlen(left) > HELP_COLUMN - 4 ? HELP_COLUMN : HELP_COLUMN - 2 - (int)strlen(left),
                "");
        print_wrapped(out, text);
        free(text);
    }
}

/* ---- for mdoc(7) ---- */

static void print_man_keys(const struct schema_key *o, const struct schema_table *t)
{
    printf(".Pp\n");
    name_table(stdout, o, t);
    printf(is_shared(o, t) ? ": those of\n.Fl -virtio .\n" : ":\n.Bl -tag -width Ds -compact\n");
    for (const struct schema_key *k = t->keys; k->name != NULL && !is_shared(o, t); k++) {
        if (k->help == NULL)
            continue;
        printf(".It Cm ");
        config_name_key(stdout, k);
        printf("\n%s.\n", k->help);
        if (k->usual != NULL)
            printf("The default is %s.\n", k->usual);
    }
    if (!is_shared(o, t))
        printf(".El\n");
}

static void print_man(void)
{
    printf(".Bl -tag -width Ds\n");
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        const char *arg = o->arg;
        printf(".It ");
        if (o->letter != 0)
            printf("Fl %c , ", o->letter);
        printf("Fl -%s", o->name);
        if (arg != NULL)
            printf(schema_is_optional(o) ? " Ns Ar %s" : " Ar %s", arg);
        printf("\n%s.\n", o->help);
        if (o->usual != NULL)
            printf("The default is %s.\n", o->usual);
        for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++)
            print_man_keys(o, t);
    }
    printf(".El\n");
}

/* ---- for Markdown ---- */

/* In a cell of a table, where '|' ends it. */
static void print_cell(const char *text, bool is_code)
{
    printf(is_code ? "| `" : "| ");
    for (; text != NULL && *text != '\0'; text++)
        printf(*text == '|' ? "\\%c" : "%c", *text);
    printf(is_code ? "` " : " ");
}

static void print_row(const char *name, const struct schema_key *k)
{
    print_cell(name, true);
    print_cell(k->help, false);
    print_cell(k->usual != NULL ? k->usual : "", false);
    printf("|\n");
}

static void print_markdown_keys(const struct schema_key *o, const struct schema_table *t)
{
    printf("\n`--%s`, ", o->name);
    name_table(stdout, o, t);
    printf(is_shared(o, t) ? ": those of `--virtio`.\n"
                           : ":\n\n| | | default |\n| --- | --- | --- |\n");
    for (const struct schema_key *k = t->keys; k->name != NULL && !is_shared(o, t); k++) {
        char name[64] = "";
        FILE *f = fmemopen(name, sizeof(name) - 1, "w");
        if (f == NULL || k->help == NULL)
            continue;
        config_name_key(f, k);
        fclose(f);
        print_row(name, k);
    }
}

static void print_markdown(void)
{
    printf("| option | | default |\n| --- | --- | --- |\n");
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        char name[64] = "";
        FILE *f = fmemopen(name, sizeof(name) - 1, "w");
        if (f == NULL)
            continue;
        name_option(f, o);
        fclose(f);
        print_row(name, o);
    }
    for (const struct schema_key *o = config_options; o->name != NULL; o++)
        for (const struct schema_table *t = o->tables; t != NULL && t->keys != NULL; t++)
            print_markdown_keys(o, t);
}

int cli_options(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "man") == 0)
        print_man();
    else if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        print_markdown();
    else
        return fail_msg(EXIT_USAGE,
                        "options: give man or markdown; people want `minivet run --help`");
    return 0;
}
