// SPDX-License-Identifier: BSD-2-Clause
/* Where runs listen that were not told where: PID.ctl in a folder of the user's. */
#ifndef MINIVET_VMM_CONTROL_FOLDER_H
#define MINIVET_VMM_CONTROL_FOLDER_H

#include <stdbool.h>
#include <sys/un.h>

#define CONTROL_FOLDER_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - 16)

/*
 * $XDG_RUNTIME_DIR/minivet, which is made if it is not there. False: there is no such variable, or
 * others could write there.
 */
bool control_folder(char path[CONTROL_FOLDER_BYTES]);

#endif
