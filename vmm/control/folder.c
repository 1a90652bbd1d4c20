// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/control/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool control_folder(char path[CONTROL_FOLDER_BYTES])
{
    struct stat st;
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (base == NULL || base[0] != '/')
        return false;
    int bytes = snprintf(path, CONTROL_FOLDER_BYTES, "%s/minivet", base);
    if (bytes >= (int)CONTROL_FOLDER_BYTES)
        return false;
    (void)mkdir(path, 0700);
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 0022) == 0 && access(path, W_OK) == 0;
}
