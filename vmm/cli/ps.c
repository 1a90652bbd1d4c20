// SPDX-License-Identifier: BSD-2-Clause
/* `minivet ps`: which guests of this user run, by their control sockets. */
#include <cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/text.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/control/folder.h"

static int print_help(void)
{
    puts(
        "usage: minivet ps [--json]\n\n"
        "Lists the guests of this user that run, by the sockets in $XDG_RUNTIME_DIR/minivet. Runs\n"
        "with --ctl PATH listen there instead. `minivet ctl PID` is for the run of that process.");
    return 0;
}

static const char *text_of(const cJSON *status, const char *name)
{
    char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, name));
    if (text == NULL)
        return "?";
    text_neutralize(text);
    return text;
}

static void print_table(const cJSON *rows)
{
    const cJSON *row;
    printf("%-8s %-12s %s\n", "PID", "STATE", "KERNEL");
    cJSON_ArrayForEach(row, rows)
    {
        const cJSON *pid = cJSON_GetObjectItemCaseSensitive(row, "pid");
        printf("%-8.0f %-12s %s\n", cJSON_GetNumberValue(pid), text_of(row, "state"),
               text_of(row, "kernel"));
    }
}

/* Not one that has made its socket, and will listen in a moment. */
static bool has_ended(const char *name)
{
    char *end;
    long pid = strtol(name, &end, 10);
    return pid > 0 && strcmp(end, ".ctl") == 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* What each run says of itself; the socket of one that was killed is removed. */
static void ask_all(DIR *dir, const char *folder, cJSON *rows)
{
    char *words[] = {"status"};
    char path[CONTROL_FOLDER_BYTES + 260];
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        const char *end = strrchr(e->d_name, '.');
        cJSON *answer = NULL;
        if (end == NULL || strcmp(end, ".ctl") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        int err = ctl_ask(path, words, 1, true, &answer);
        cJSON *status = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
        if (err == -ECONNREFUSED && has_ended(e->d_name))
            unlink(path);
        if (cJSON_IsObject(status))
            cJSON_AddItemToArray(rows, status);
        else
            cJSON_Delete(status);
        cJSON_Delete(answer);
    }
}

int cli_ps(int argc, char **argv)
{
    char folder[CONTROL_FOLDER_BYTES];
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    if (argc > 1 && !json) {
        fail_msg(0, "ps: %s: no such option; see `minivet ps --help`", argv[1]);
        return EXIT_USAGE;
    }
    DIR *dir = control_folder(folder) ? opendir(folder) : NULL;
    if (dir == NULL) {
        fail_msg(0, "ps: this user has no folder for running programs: set XDG_RUNTIME_DIR to one "
                    "that nobody else can write to, for `minivet run`, too");
        return EXIT_FAILURE;
    }
    cJSON *rows = cJSON_CreateArray();
    ask_all(dir, folder, rows);
    closedir(dir);
    char *text = json ? cJSON_Print(rows) : NULL;
    if (json)
        text_print_json(stdout, text != NULL ? text : "[]");
    else
        print_table(rows);
    free(text);
    cJSON_Delete(rows);
    return 0;
}
