// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/cpio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 110u
#define ALIGN        4u
#define TRAILER      "TRAILER!!!"

static void put(struct cpio *c, const void *data, size_t bytes)
{
    size_t end = c->bytes + bytes, room = c->room;
    c->failed |= end < bytes;
    if (!c->failed && end > room) {
        room = end > 2 * room ? end : 2 * room;
        uint8_t *larger = realloc(c->data, room);
        c->failed = !larger;
        c->data = larger ? larger : c->data;
        c->room = larger ? room : c->room;
    }
    if (c->failed)
        return;
    if (bytes > 0)
        memcpy(c->data + c->bytes, data, bytes);
    c->bytes = end;
}

static void pad(struct cpio *c)
{
    static const uint8_t zeros[ALIGN];
    put(c, zeros, (ALIGN - c->bytes % ALIGN) % ALIGN);
}

/* Of one owner, root, and one time, so that the same files give the same bytes. */
void cpio_add(struct cpio *c, const char *path, uint32_t mode, const void *data, size_t bytes)
{
    char header[HEADER_BYTES + 1];
    size_t name_bytes = strlen(path) + 1;
    c->failed |= bytes > UINT32_MAX;
    c->entries++;
    /* inode, mode, owner, group, links, time, size, device, device of a node, name, checksum */
    snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
             c->entries, mode, 0, 0, 1, 0, (unsigned)bytes, 0, 0, 0, 0, (unsigned)name_bytes, 0);
    put(c, header, HEADER_BYTES);
    put(c, path, name_bytes);
    pad(c);
    put(c, data, bytes);
    pad(c);
}

int cpio_end(struct cpio *c)
{
    cpio_add(c, TRAILER, 0, NULL, 0);
    return c->failed ? -ENOMEM : 0;
}
