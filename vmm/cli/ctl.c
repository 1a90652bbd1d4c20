// SPDX-License-Identifier: BSD-2-Clause
/* `minivet ctl`: sends a command to the control socket of a run, and prints what comes back. */
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/peer.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/control/control.h"
#include "vmm/control/folder.h"

/* A screenshot is written by the run, which may be in another folder. */
static const char *as_seen_there(char **words, int i, char path[CONTROL_PATH_BYTES])
{
    char here[CONTROL_PATH_BYTES / 2];
    if (i != 1 || strcmp(words[0], "screenshot") != 0 || words[1][0] == '/' ||
        getcwd(here, sizeof(here)) == NULL)
        return words[i];
    snprintf(path, CONTROL_PATH_BYTES, "%s/%s", here, words[1]);
    return path;
}

/* A line that was allocated, or NULL. */
static char *make_request(char **words, int count)
{
    char path[CONTROL_PATH_BYTES];
    cJSON *request = cJSON_CreateObject(), *args = cJSON_AddArrayToObject(request, "args");
    cJSON_AddStringToObject(request, "command", words[0]);
    for (int i = 1; i < count; i++)
        cJSON_AddItemToArray(args, cJSON_CreateString(as_seen_there(words, i, path)));
    char *line = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    return line;
}

static int converse(int fd, const char *line, cJSON **answer)
{
    char *reply = NULL;
    size_t room = 0;
    (void)fcntl(fd, F_SETFL, 0); /* it may wait */
    FILE *f = dprintf(fd, "%s\n", line) > 0 ? fdopen(fd, "re") : NULL;
    if (f == NULL) {
        int err = -errno;
        close(fd);
        return err;
    }
    *answer = getline(&reply, &room, f) > 0 ? cJSON_Parse(reply) : NULL;
    free(reply);
    fclose(f);
    return *answer != NULL ? 0 : -EPIPE;
}

int ctl_ask(const char *path, char **words, int count, bool quiet, cJSON **answer)
{
    const struct timeval patience = {.tv_sec = quiet ? 2 : 0};
    int fd = foreign_connect(path, -1);
    int err = fd < 0 ? fd : peer_check(fd, NULL);
    if (err < 0) {
        if (fd >= 0)
            close(fd);
        return quiet ? err : fail(err, "control socket %s: connect", path);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    char *line = make_request(words, count);
    err = line != NULL ? converse(fd, line, answer) : -ENOMEM;
    free(line);
    if (err == -EPIPE && !quiet)
        return fail_msg(err, "control socket %s: no answer came; has the run ended?", path);
    return err == 0 || quiet ? err : fail(err, "control socket %s", path);
}

/* Rows of the same keys are a table for people. */
static void print_rows(const cJSON *rows)
{
    const cJSON *row, *cell;
    cJSON_ArrayForEach(row, rows)
    {
        cJSON_ArrayForEach(cell, row)
        {
            char *text = cJSON_IsString(cell) ? NULL : cJSON_PrintUnformatted(cell);
            printf(cell->next == NULL         ? "%s\n"
                   : cell->prev->next != NULL ? "%-20s "
                                              : "%-10s ",
                   text != NULL ? text : cell->valuestring);
            free(text);
        }
    }
}

static int print_answer(const cJSON *answer, bool json)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(answer, "result");
    if (cJSON_IsString(error)) {
        fail_msg(-EINVAL, "%s", error->valuestring);
        return EXIT_FAILURE;
    }
    if (cJSON_IsArray(result) && !json) {
        print_rows(result);
    } else if (json || !cJSON_IsNull(result)) {
        char *text = cJSON_Print(result);
        puts(text != NULL ? text : "");
        free(text);
    }
    return 0;
}

static int print_help(void)
{
    puts("usage: minivet ctl [--json] PID|PATH COMMAND [ARG...]\n\n"
         "Tells the run of process PID (see `minivet ps`), or whose control socket is PATH\n"
         "(`minivet run --ctl PATH`), what to do:\n"
         "  minivet ctl vm.ctl help      what the commands are\n"
         "  minivet ctl vm.ctl power     press the power button\n"
         "--json prints a result as JSON. The exit status is 0, or 1 if the command was refused.");
    return 0;
}

const char *ctl_find_socket(const char *word, char place[CTL_SOCKET_BYTES])
{
    char folder[CONTROL_FOLDER_BYTES];
    size_t digits = strspn(word, "0123456789");
    if (digits == 0 || word[digits] != '\0' || access(word, F_OK) == 0 || !control_folder(folder))
        return word;
    snprintf(place, CTL_SOCKET_BYTES, "%s/%s.ctl", folder, word);
    return place;
}

int cli_ctl(int argc, char **argv)
{
    char place[CTL_SOCKET_BYTES];
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    char **words = argv + 1 + json;
    int count = argc - 1 - json;
    if (count > 0 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0))
        return print_help();
    if (count < 2 || count > 2 + (int)CONTROL_ARGS) {
        fail_msg(
            0,
            "ctl: give the control socket's path and a command, such as help; `minivet ps` lists "
            "runs, which may be named by their PID");
        return EXIT_USAGE;
    }
    cJSON *answer = NULL;
    (void)ctl_ask(ctl_find_socket(words[0], place), words + 1, count - 1, false, &answer);
    int status = answer != NULL ? print_answer(answer, json) : EXIT_FAILURE;
    cJSON_Delete(answer);
    return status;
}
