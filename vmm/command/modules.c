// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/command/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "firmware/kernel/cpio.h"
#include "vmm/command/protocol.h"

#define LIST             "modules.dep"
#define LIST_BYTES_MAX   (16 * MIB)
#define MODULE_BYTES_MAX (64 * MIB)

struct modules {
    struct cpio *archive;
    FILE *records;
    const char *folder; /* without links */
    char *list;
    const char *added[256]; /* paths in the list, which end at a blank, a colon or a newline */
    unsigned count;
};

/* All of a file, with a NUL behind it; NULL: reported. */
static char *read_all(const char *path, uint64_t max, size_t *bytes)
{
    struct stat st;
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = fd < 0 ? -errno : 0;
    if (err == 0 && fstat(fd, &st) < 0)
        err = -errno;
    if (err == 0 && !S_ISREG(st.st_mode))
        err = -EINVAL;
    if (err == 0 && (uint64_t)st.st_size > max)
        err = -EFBIG;
    if (err == 0 && (data = malloc((size_t)st.st_size + 1)) == NULL)
        err = -ENOMEM;
    size_t used = 0;
    while (err == 0 && used < (size_t)st.st_size) {
        ssize_t n = read(fd, data + used, (size_t)st.st_size - used);
        err = n < 0 ? -errno : n == 0 ? -EIO : 0;
        used += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    if (data == NULL || err < 0) {
        fail(err, "%s", path);
        free(data);
        return NULL;
    }
    data[used] = '\0';
    *bytes = used;
    return data;
}

static size_t path_length(const char *path)
{
    return strcspn(path, " :\n");
}

/* Its path, without the folders. */
static const char *name_of(const char *path, size_t *len)
{
    const char *end = path + path_length(path), *name = end;
    while (name > path && name[-1] != '/')
        name--;
    *len = (size_t)(end - name);
    return name;
}

/* Is it the file of the module `name`? The kernel takes - and _ for the same. */
static bool is_module(const char *path, const char *name)
{
    size_t len, i = 0;
    const char *file = name_of(path, &len);
    while (i < len && name[i] != '\0' &&
           (file[i] == name[i] || (strchr("-_", file[i]) != NULL && strchr("-_", name[i]) != NULL)))
        i++;
    return name[i] == '\0' && len - i >= 3 && strncmp(file + i, ".ko", 3) == 0;
}

static bool is_added(const struct modules *m, const char *path)
{
    size_t len, other_len;
    const char *name = name_of(path, &len);
    for (unsigned i = 0; i < m->count; i++) {
        const char *other = name_of(m->added[i], &other_len);
        if (other_len == len && memcmp(other, name, len) == 0)
            return true;
    }
    return false;
}

/* The folder may be another's, and is not to lead to files of the user's. Reported. */
static int find_file(const struct modules *m, const char *path, char file[PATH_MAX])
{
    char named[2 * PATH_MAX];
    size_t len = strlen(m->folder);
    snprintf(named, sizeof(named), "%s%s%.*s", path[0] == '/' ? "" : m->folder,
             path[0] == '/' ? "" : "/", (int)path_length(path), path);
    if (realpath(named, file) == NULL)
        return fail(-errno, "%s", named);
    if (strncmp(file, m->folder, len) != 0 || file[len] != '/')
        return fail_msg(-EINVAL, "%s: leads out of %s", named, m->folder);
    return 0;
}

static int add_file(struct modules *m, const char *path)
{
    char from[PATH_MAX], to[NAME_MAX + sizeof(COMMAND_MODULES) + 1];
    size_t len, bytes;
    const char *name = name_of(path, &len);
    if (is_added(m, path))
        return 0;
    if (m->count == ARRAY_SIZE(m->added) || len > NAME_MAX)
        return fail(-E2BIG, "%s/%s", m->folder, LIST);
    int r = find_file(m, path, from);
    if (r < 0)
        return r;
    snprintf(to, sizeof(to), COMMAND_MODULES "/%.*s", (int)len, name);
    char *data = read_all(from, MODULE_BYTES_MAX, &bytes);
    if (data == NULL)
        return -EINVAL;
    cpio_add(m->archive, to, S_IFREG | 0600, data, bytes);
    free(data);
    m->added[m->count++] = path;
    fprintf(m->records, "%c/%s%c", COMMAND_IS_MODULE, to, '\0');
    return 0;
}

/* A line is "PATH: PATH...": a module, and what is to be loaded before it, the last one first. */
static int add_line(struct modules *m, const char *line)
{
    const char *colon = line + path_length(line), *end = colon + strcspn(colon, "\n");
    int r = 0;
    for (const char *at = end; r == 0 && at > colon + 1; at--)
        if (at[-1] == ' ' && *at != ' ' && at < end)
            r = add_file(m, at);
    return r == 0 ? add_file(m, line) : r;
}

static int add_module(struct modules *m, const char *name)
{
    for (const char *line = m->list; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        if (line[path_length(line)] == ':' && is_module(line, name))
            return add_line(m, line);
        line = end + (*end != '\0');
    }
    return 0;
}

int modules_add(struct cpio *archive, FILE *records, const char *folder, const char *const *names)
{
    char real[PATH_MAX], path[PATH_MAX + sizeof(LIST)];
    struct modules m = {.archive = archive, .records = records, .folder = real};
    size_t bytes;
    int r = 0;
    if (realpath(folder, real) == NULL)
        return fail(-errno, "%s", folder);
    snprintf(path, sizeof(path), "%s/" LIST, real);
    m.list = read_all(path, LIST_BYTES_MAX, &bytes);
    if (m.list == NULL)
        return -EINVAL;
    cpio_add(archive, COMMAND_MODULES, S_IFDIR | 0755, NULL, 0);
    for (; r == 0 && *names != NULL; names++)
        r = add_module(&m, *names);
    free(m.list);
    return r;
}
