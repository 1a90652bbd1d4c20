// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_CORE_DESCRIPTORS_H
#define MINIVET_CORE_DESCRIPTORS_H

#include <stdbool.h>

/* The most that a process of this program's has; their numbers are below. */
#define DESCRIPTORS_MAX 8192u

/* A process begins with a thousand: lets it have as many as the user may, up to DESCRIPTORS_MAX.
 * Returns how many. */
unsigned descriptors_allow(void);

/* Is the newest descriptor so far below the limit that others, which are needed more, have room? */
#define DESCRIPTORS_SPARE 256u
bool descriptors_spare(int fd);

#endif
