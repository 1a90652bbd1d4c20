// SPDX-License-Identifier: BSD-2-Clause
/* --config and --print-config: the tree of options as JSON. A file of it is not trusted. */
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/text.h"
#include "core/base/xmath.h"
#include "vmm/config/options.h"

#define JSON_BYTES_MAX MIB
#define JSON_DEPTH_MAX 5 /* an object, its array, a list, its array; and one for a message */

/* What cJSON takes and options cannot have. The text ends with a NUL. */
static const char *find_fault(const char *text, size_t bytes)
{
    unsigned depth = 0;
    bool quoted = false;
    if (strlen(text) != bytes)
        return "has a byte of zero";
    for (const char *at = text; *at != '\0';) {
        unsigned length = text_utf8_bytes(at);
        if (length == 0)
            return "is not UTF-8";
        if (quoted && strncmp(at, "\\u0000", 6) == 0)
            return "has a text with a character of zero";
        if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (*at == '{' || *at == '['))
            depth++;
        else if (!quoted && (*at == '}' || *at == ']'))
            depth--;
        if (depth > JSON_DEPTH_MAX && depth < JSON_BYTES_MAX)
            return "is nested too deeply";
        at += quoted && *at == '\\' && at[1] != '\0' ? 2 : length;
    }
    return NULL;
}

static int put_text(struct config_words *w, const char *name, const char *text, size_t bytes)
{
    const char *fault = find_fault(text, bytes), *end = text;
    if (fault != NULL)
        return fail_msg(-EINVAL, "--config %s: %s", name, fault);
    cJSON *object = cJSON_ParseWithOpts(text, &end, true);
    int r = 0;
    if (object == NULL)
        r = fail_msg(-EINVAL, "--config %s: no JSON at byte %zu", name, (size_t)(end - text));
    else if (!cJSON_IsObject(object))
        r = fail_msg(-EINVAL, "--config %s: give an object, such as {\"mem\":\"1G\"}", name);
    else
        r = config_put_members(w, object);
    cJSON_Delete(object);
    return r;
}

/* Up to the limit and one more. */
static int read_file(const char *name, char *text, size_t *bytes)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : 1;
    for (*bytes = 0; n > 0 && *bytes <= JSON_BYTES_MAX; *bytes += n > 0 ? (size_t)n : 0)
        n = TEMP_FAILURE_RETRY(read(fd, text + *bytes, JSON_BYTES_MAX + 1 - *bytes));
    int r = n < 0 ? fail(-errno, "--config %s", name) : 0;
    if (fd >= 0)
        close(fd);
    if (r == 0 && *bytes > JSON_BYTES_MAX)
        r = fail_msg(-EINVAL, "--config %s: is larger than 1 MiB", name);
    return r < 0 ? -EINVAL : 0;
}

int config_put_json(struct config_words *w, const char *value)
{
    size_t bytes = strlen(value);
    w->has_json = true;
    if (value[0] == '{' && bytes <= JSON_BYTES_MAX)
        return put_text(w, "JSON", value, bytes);
    if (!w->reads_files)
        return fail_msg(-EINVAL, "--config: files are read for `minivet run` alone");
    char *text = calloc(1, JSON_BYTES_MAX + 2);
    int r = text == NULL ? fail(-ENOMEM, "--config %s", value) : read_file(value, text, &bytes);
    if (r == 0)
        r = put_text(w, value, text, bytes);
    free(text);
    return r;
}

char *config_json(const struct vm_config *config)
{
    char *text = cJSON_Print(config->given);
    const char *fault = text != NULL ? find_fault(text, strlen(text)) : NULL;
    if (text == NULL)
        fail(-ENOMEM, "--print-config");
    else if (fault == NULL)
        return text;
    else
        fail_msg(0, "--print-config: an option %s", fault);
    free(text);
    return NULL;
}
