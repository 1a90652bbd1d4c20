// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/initrd.h"

#include "core/memory/gmem.h"
#include "firmware/kernel/boot_request.h"

int initrd_open(struct initrd *i, const struct boot_request *request)
{
    int err = 0;

    *i = (struct initrd){.request = request, .file.fd = -1, .bytes = request->initrd_before_bytes};
    if (request->initrd_path)
        err = image_open(&i->file, "initrd", request->initrd_path);
    i->file.cancel = request->cancel;
    i->bytes += i->file.bytes;
    return err;
}

int initrd_load(const struct initrd *i, const struct gmem *g, uint64_t gpa)
{
    const struct boot_request *r = i->request;
    int err = r->initrd_before_bytes > 0
                  ? gmem_write(g, gpa, r->initrd_before, r->initrd_before_bytes)
                  : 0;

    return err || i->file.bytes == 0
               ? err
               : image_load(&i->file, 0, g, gpa + r->initrd_before_bytes, i->file.bytes);
}

void initrd_close(struct initrd *i)
{
    image_close(&i->file);
}

const char *initrd_name(const struct initrd *i)
{
    return i->file.path ? i->file.path : "of Minivet's";
}
