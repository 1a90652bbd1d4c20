// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/packed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/loop/cancel.h"
#include "firmware/kernel/unpack.h"

static int unpack_to(const struct packed *p, const struct image *file, uint8_t *out)
{
    uint8_t *in = malloc(p->bytes);
    int err = in ? image_read(file, p->offset, in, p->bytes)
                 : fail(-ENOMEM, "%s %s", file->role, file->path);

    if (!err && !unpack(in, p->bytes, out, p->unpacked_bytes, file->cancel))
        err = cancel_asked(file->cancel)
                  ? fail(-ECANCELED, "%s %s: unpack", file->role, file->path)
                  : image_bad(file, "its %s data does not unpack to %" PRIu32 " bytes", p->format,
                              p->unpacked_bytes);
    free(in);
    return err;
}

int packed_open(struct packed *p, const struct image *file, const char *cache_dir)
{
    int err = kernel_cache_open(&p->cache, cache_dir, file, p->offset, p->bytes, p->unpacked_bytes);

    if (err)
        return err;
    p->image = (struct image){.role = file->role,
                              .path = file->path,
                              .fd = kernel_cache_find(&p->cache),
                              .bytes = p->unpacked_bytes};
    bool cached = p->image.fd >= 0;
    if (!cached)
        err = image_create(&p->image, file->role, file->path, p->unpacked_bytes);
    p->image.cancel = file->cancel;
    if (!cached && !err)
        err = unpack_to(p, file, p->image.map);
    if (!err)
        log_info("%s %s: %s data, unpacked %s", file->role, file->path, p->format,
                 cached ? "before" : "now");
    return err;
}

void packed_keep(const struct packed *p, const struct image *file)
{
    if (p->image.map && !cancel_asked(file->cancel))
        kernel_cache_keep(&p->cache, file, p->image.map, p->unpacked_bytes);
}

void packed_close(struct packed *p)
{
    kernel_cache_close(&p->cache);
    image_close(&p->image);
}
