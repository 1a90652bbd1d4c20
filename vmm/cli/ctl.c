// SPDX-License-Identifier: BSD-2-Clause
/* `minivet ctl`: sends a command to the control socket of a run, and prints what comes back. */
#include <cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/text.h"
#include "core/base/xmath.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/peer.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/control/control.h"
#include "vmm/control/folder.h"

#define NS_PER_MS    UINT64_C(1000000)
#define PATIENCE_NS  (2000 * NS_PER_MS)
#define INDENT_MAX   40
#define ANSWER_BYTES (4 * MIB) /* more than all statistics of a run */

/* Files are opened by the run, which may be in another folder. NULL: the path there is too long. */
static const char *as_seen_there(char **words, int i, char path[CONTROL_PATH_BYTES])
{
    char here[CONTROL_PATH_BYTES];
    bool is_file = (i == 1 && strcmp(words[0], "screenshot") == 0) ||
                   (i == 2 && strcmp(words[0], "disk-swap") == 0);
    if (!is_file || words[i][0] == '/' || words[i][0] == '\0')
        return words[i];
    bool fits =
        getcwd(here, sizeof(here)) != NULL &&
        snprintf(path, CONTROL_PATH_BYTES, "%s/%s", here, words[i]) < (int)CONTROL_PATH_BYTES;
    return fits ? path : NULL;
}

/* With its newline, and allocated. */
static int make_request(char **words, int count, char **line)
{
    char path[CONTROL_PATH_BYTES];
    int err = 0;
    cJSON *request = cJSON_CreateObject(), *args = cJSON_AddArrayToObject(request, "args");
    cJSON_AddStringToObject(request, "command", words[0]);
    for (int i = 1; i < count && err == 0; i++) {
        const char *word = as_seen_there(words, i, path);
        err = word == NULL ? -ENAMETOOLONG : 0;
        cJSON_AddItemToArray(args, cJSON_CreateString(word != NULL ? word : ""));
    }
    char *text = cJSON_PrintUnformatted(request);
    if (err == 0 && (text == NULL || asprintf(line, "%s\n", text) < 0))
        err = -ENOMEM;
    free(text);
    cJSON_Delete(request);
    return err;
}

/* until_ns: 0: for ever. */
static int wait_for(int fd, short events, uint64_t until_ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now_ns = clock_now_ns(&clock_host);
    if (until_ns != 0 && now_ns >= until_ns)
        return -ETIMEDOUT;
    int wait_ms = until_ns == 0 ? -1 : (int)((until_ns - now_ns) / NS_PER_MS) + 1;
    return poll(&p, 1, wait_ms) < 0 && errno != EINTR ? -errno : 0;
}

static int send_all(int fd, const char *line, uint64_t until_ns)
{
    int err = 0;
    for (size_t left = strlen(line); err == 0 && left > 0;) {
        ssize_t n = send(fd, line, left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        line += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
        if (n < 0)
            err = wait_for(fd, POLLOUT, until_ns);
    }
    return err;
}

/* The line: what listens there may send for ever, and as slowly as it likes. */
static int receive_line(int fd, char *line, size_t room, uint64_t until_ns)
{
    size_t bytes = 0;
    int err = 0;
    while (err == 0 && bytes < room - 1) {
        ssize_t n = foreign_socket_receive(fd, line + bytes, room - 1 - bytes, NULL);
        bool is_whole = n > 0 && memchr(line + bytes, '\n', (size_t)n) != NULL;
        bytes += n > 0 ? (size_t)n : 0;
        line[bytes] = '\0';
        if (is_whole)
            return 0;
        if (n <= 0 && n != -EAGAIN && n != -EINTR)
            return n == 0 ? -EPIPE : (int)n;
        err = wait_for(fd, POLLIN, until_ns);
    }
    return err < 0 ? err : -EMSGSIZE;
}

static int converse(int fd, const char *request, uint64_t until_ns, cJSON **answer)
{
    char *line = malloc(ANSWER_BYTES);
    int err = line == NULL ? -ENOMEM : send_all(fd, request, until_ns);
    if (err == 0)
        err = receive_line(fd, line, ANSWER_BYTES, until_ns);
    if (err == 0 && (*answer = cJSON_Parse(line)) == NULL)
        err = -EPROTO;
    free(line);
    return err;
}

int ctl_ask(const char *path, char **words, int count, bool quiet, cJSON **answer)
{
    uint64_t until_ns = quiet ? clock_now_ns(&clock_host) + PATIENCE_NS : 0;
    int fd = foreign_connect(path, -1);
    int err = fd < 0 ? fd : peer_check(fd, NULL);
    if (err < 0) {
        if (fd >= 0)
            foreign_socket_close(fd);
        if (!quiet && (err == -ENOENT || err == -ECONNREFUSED))
            return fail_msg(err,
                            "control socket %s: no run listens there; `minivet ps` lists runs, and "
                            "`minivet run --ctl PATH` names the socket of one",
                            path);
        return quiet ? err : fail(err, "control socket %s: connect", path);
    }
    foreign_socket_open(fd);
    char *request = NULL;
    err = make_request(words, count, &request);
    if (err == 0)
        err = converse(fd, request, until_ns, answer);
    free(request);
    foreign_socket_close(fd);
    if ((err == -EPIPE || err == -ECONNRESET) && !quiet)
        return fail_msg(err, "control socket %s: no answer came; has the run ended?", path);
    if ((err == -EMSGSIZE || err == -EPROTO) && !quiet)
        return fail_msg(err, "control socket %s: what answers there is no run of Minivet's", path);
    return err == 0 || quiet ? err : fail(err, "control socket %s", path);
}

/* Rows of the same keys are a table for people, and what is true is named. */
static void print_rows(const cJSON *rows)
{
    const cJSON *row, *cell;
    cJSON_ArrayForEach(row, rows)
    {
        cJSON_ArrayForEach(cell, row)
        {
            bool is_named = cJSON_IsBool(cell) && cell->string != NULL;
            char *text = cJSON_IsString(cell) ? strdup(cell->valuestring)
                         : is_named           ? strdup(cJSON_IsTrue(cell) ? cell->string : "")
                                              : cJSON_PrintUnformatted(cell);
            if (text != NULL)
                text_neutralize(text);
            printf(cell->next == NULL         ? "%s\n"
                   : cell->prev->next != NULL ? "%-20s "
                                              : "%-12s ",
                   text != NULL ? text : "");
            free(text);
        }
    }
}

static void print_value(const cJSON *value)
{
    char *text = cJSON_IsString(value) ? strdup(value->valuestring) : cJSON_PrintUnformatted(value);
    if (text != NULL)
        text_neutralize(text);
    fputs(text != NULL ? text : "", stdout);
    free(text);
}

static bool is_flat(const cJSON *tree)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        if (cJSON_IsObject(item) || cJSON_IsArray(item))
            return false;
    }
    return true;
}

/* A group of values on one line. */
static void print_line(const cJSON *flat)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, flat)
    {
        if (item->string != NULL) {
            text_print(stdout, item->string);
            putchar(' ');
        }
        print_value(item);
        fputs(item->next != NULL ? (item->string != NULL ? ", " : " ") : "\n", stdout);
    }
}

/*
 * A tree for people: what is in something is further right, and each row of a list begins with "-".
 * begun: the first line has that already.
 */
static void print_tree(const cJSON *tree, int indent, bool begun)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        bool is_row = item->string == NULL;
        printf("%*s", begun ? 0 : (int)min_u64((uint64_t)indent, INDENT_MAX), "");
        text_print(stdout, is_row ? "-" : item->string);
        begun = false;
        fputs(is_row ? "" : ":", stdout);
        if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
            putchar(' ');
            print_value(item);
            putchar('\n');
        } else if (item->child == NULL) {
            puts(" none");
        } else if (is_flat(item) && (is_row || cJSON_IsArray(item))) {
            putchar(' ');
            print_line(item);
        } else {
            putchar(is_row ? ' ' : '\n');
            print_tree(item, indent + 2, is_row);
        }
    }
}

/* A report of several. */
static void print_lines(char *text)
{
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        text_neutralize(line);
        printf("%s%s", line, text != NULL ? "\n" : "");
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
    } else if (cJSON_IsObject(result) && !json) {
        print_tree(result, 0, false);
    } else if (cJSON_IsString(result) && !json) {
        print_lines(result->valuestring);
    } else if (json || !cJSON_IsNull(result)) {
        char *text = cJSON_Print(result);
        text_print_json(stdout, text != NULL ? text : "");
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
         "  minivet ctl vm.ctl info      how the machine and its devices stand\n"
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
    if (count > 2 && strcmp(words[count - 1], "--json") == 0 && strcmp(words[1], "type") != 0) {
        json = true;
        count--;
    }
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
