// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/fdt/dt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/fail.h"

#define NAME_BYTES 64

static void keep(struct dt *t, int err)
{
    if (t->err == 0)
        t->err = err;
}

void dt_start(struct dt *t, void *blob, size_t room)
{
    *t = (struct dt){.blob = blob};
    /* To seek each name among those before it takes longer than all the rest. */
    keep(t, fdt_create_with_flags(blob, (int)room, FDT_CREATE_FLAG_NO_NAME_DEDUP));
    keep(t, fdt_finish_reservemap(blob));
    dt_begin(t, "%s", "");
}

int dt_finish(struct dt *t)
{
    dt_end(t);
    keep(t, fdt_finish(t->blob));
    return t->err == 0 ? (int)fdt_totalsize(t->blob)
                       : fail_msg(-ENOSPC, "device tree: %s", fdt_strerror(t->err));
}

void dt_begin(struct dt *t, const char *fmt, ...)
{
    char name[NAME_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    keep(t, fdt_begin_node(t->blob, name));
}

void dt_end(struct dt *t)
{
    keep(t, fdt_end_node(t->blob));
}

void dt_bytes(struct dt *t, const char *name, const void *bytes, size_t len)
{
    keep(t, fdt_property(t->blob, name, bytes, (int)len));
}

void dt_cells_put(struct dt *t, const char *name, const uint32_t *cells, size_t count)
{
    void *room = NULL;
    keep(t, fdt_property_placeholder(t->blob, name, (int)(count * sizeof(*cells)), &room));
    for (size_t i = 0; t->err == 0 && i < count; i++)
        fdt32_st((fdt32_t *)room + i, cells[i]);
}
