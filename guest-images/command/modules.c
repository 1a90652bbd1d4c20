// SPDX-License-Identifier: BSD-2-Clause
//
// Drivers that the initramfs has as modules, where every distribution puts them:
// /lib/modules/VERSION, with depmod's list of what each needs. A line of it is
// "PATH: PATH...": the module's, and those to be loaded before it, the last one first.
#include "init.h"

#define COMPRESSED_FILE 4 // of finit_module(): the kernel unpacks it

struct names { // of uname()
    char system[65], node[65], release[65], version[65], machine[65], domain[65];
};

static const char *list;
static size_t list_bytes;

const char *module_folder(void)
{
    static char folder[PATH_BYTES];
    struct names names;

    if (folder[0] == '\0' && CALL(uname, &names, 0, 0, 0) == 0) {
        join(folder, sizeof(folder), "/lib/modules/", names.release, NULL, NULL);
    }
    return folder;
}

// Is the path [from, to) that of module `name`? The kernel takes - and _ for the same.
static bool is_module(const char *from, const char *to, const char *name)
{
    const char *at = to;

    while (at > from && at[-1] != '/') {
        at--;
    }
    for (; at < to && *name != '\0'; at++, name++) {
        if (*at != *name && !((*at == '-' || *at == '_') && (*name == '-' || *name == '_'))) {
            return false;
        }
    }
    return *name == '\0' && to - at >= 3 && begins(at, ".ko");
}

void load_module_file(const char *path)
{
    char error[24];
    long fd = open_file(path, O_RDONLY);
    bool is_packed = !equal(path + length(path) - 3, ".ko");
    long r = fd < 0 ? fd : CALL(finit_module, fd, "", is_packed ? COMPRESSED_FILE : 0, 0);

    if (fd >= 0) {
        close_file((int)fd);
    }
    if (r < 0 && r != -EEXIST && r != -ENODEV) {
        number_text(error, -r);
        say(path, is_packed ? ": this kernel cannot load it packed: error " : ": error ", error);
    }
}

static void load_file(const char *from, const char *to)
{
    char path[PATH_BYTES], name[PATH_BYTES];
    size_t bytes = (size_t)(to - from);

    if (bytes >= sizeof(name)) {
        return;
    }
    memcpy(name, from, bytes);
    name[bytes] = '\0';
    join(path, sizeof(path), name[0] == '/' ? "" : module_folder(), name[0] == '/' ? "" : "/", name,
         NULL);
    load_module_file(path);
}

// The words of [from, to), the last one first.
static void load_backwards(const char *from, const char *to)
{
    while (to > from) {
        const char *end = to;

        while (to > from && to[-1] != ' ') {
            to--;
        }
        if (to < end) {
            load_file(to, end);
        }
        to -= to > from;
    }
}

void load_module(const char *name)
{
    char path[PATH_BYTES];

    if (list == NULL && list_bytes == 0) {
        join(path, sizeof(path), module_folder(), "/modules.dep", NULL, NULL);
        list = map_file(path, &list_bytes);
        list_bytes = list == NULL ? 1 : list_bytes; // it is looked for once
    }
    for (const char *at = list, *end = list + list_bytes; list != NULL && at < end;) {
        const char *colon = at, *newline;

        while (colon < end && *colon != ':' && *colon != '\n') {
            colon++;
        }
        for (newline = colon; newline < end && *newline != '\n'; newline++) {
        }
        if (colon < newline && is_module(at, colon, name)) {
            load_backwards(colon + 1, newline);
            load_file(at, colon);
            return;
        }
        at = newline + 1;
    }
}
