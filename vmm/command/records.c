// SPDX-License-Identifier: BSD-2-Clause
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/command/command.h"
#include "vmm/command/protocol.h"
#include "vmm/config/config.h"

static void put(FILE *out, int letter, const char *text)
{
    fputc(letter, out);
    fputs(text, out);
    fputc('\0', out);
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* Does one behind `after` (NULL: any) set the same variable? */
static bool is_set(const cJSON *list, const cJSON *after, const char *variable)
{
    size_t len = name_length(variable) + 1;
    const cJSON *v = after != NULL ? after->next : list != NULL ? list->child : NULL;
    while (v != NULL && strncmp(v->valuestring, variable, len) != 0)
        v = v->next;
    return v != NULL;
}

/* A few that programs expect, where the user has said nothing of them; and of the user's the last.
 */
static void put_variables(FILE *out, const cJSON *list, bool has_terminal)
{
    char term[64];
    const char *own = getenv("TERM");
    snprintf(term, sizeof(term), "TERM=%s", own != NULL && own[0] != '\0' ? own : "linux");
    const char *const usual[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        has_terminal ? term : NULL};
    for (unsigned i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (usual[i] != NULL && !is_set(list, NULL, usual[i]))
            put(out, COMMAND_IS_VARIABLE, usual[i]);
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        if (!is_set(list, v, v->valuestring))
            put(out, COMMAND_IS_VARIABLE, v->valuestring);
    }
}

char *command_records(const struct vm_config *vm, uint16_t columns, uint16_t rows, bool is_joined,
                      size_t *bytes)
{
    char *text = NULL, size[16];
    const cJSON *word;
    FILE *out = open_memstream(&text, bytes);
    if (out == NULL)
        return NULL;
    snprintf(size, sizeof(size), "%ux%u", columns, rows);
    if (columns != 0)
        put(out, COMMAND_IS_TERMINAL, size);
    if (is_joined)
        put(out, COMMAND_IS_JOINED, "");
    if (vm->cwd != NULL)
        put(out, COMMAND_IS_FOLDER, vm->cwd);
    put_variables(out, vm->env, columns != 0);
    cJSON_ArrayForEach(word, vm->command)
    {
        put(out, COMMAND_IS_WORD, word->valuestring);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
