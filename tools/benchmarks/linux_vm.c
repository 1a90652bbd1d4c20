// SPDX-License-Identifier: BSD-2-Clause
#include "linux_vm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"

#define MAX_WORDS 96

static const char *value_of(const struct linux_value *values, const char *name, size_t len)
{
    for (; values->name != NULL; values++) {
        if (strlen(values->name) == len && memcmp(values->name, name, len) == 0)
            return values->value;
    }
    return NULL;
}

/* A value with spaces stays within its word. */
static char *fill_in(const char *vmm, const char *word, size_t len,
                     const struct linux_value *values)
{
    char *text;
    size_t size;
    const char *end = word + len;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        runs_die("command line of", vmm);
    while (word < end) {
        const char *value = NULL;
        size_t name = strcspn(word, "} ");
        if (*word == '{')
            value = value_of(values, word + 1, name - 1);
        if (value == NULL) {
            fputc(*word++, out);
        } else {
            fputs(value, out);
            word += name + 1;
        }
    }
    fclose(out);
    return text;
}

pid_t linux_vm_start(const char *name, const char *line, const struct linux_value *values,
                     int in_fd, int out_fd, int *fd)
{
    char *argv[MAX_WORDS + 1];
    int n = 0;
    for (size_t len; *line != '\0'; line += len) {
        line += strspn(line, " ");
        len = strcspn(line, " ");
        errno = E2BIG;
        if (n == MAX_WORDS)
            runs_die("command line of", name);
        if (len > 0)
            argv[n++] = fill_in(name, line, len, values);
    }
    argv[n] = NULL;
    pid_t pid =
        out_fd > 0 ? runs_start_with(argv, in_fd, out_fd) : runs_start(name, argv, in_fd, fd);
    while (n > 0)
        free(argv[--n]);
    return pid;
}
