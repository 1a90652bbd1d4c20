// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/linux_image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/memory/gmem.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/kernel/initrd.h"
#include "firmware/kernel/packed.h"
#include "firmware/kernel/unpack.h"

#define ALIGN       (2 * MIB)
#define HEAD_BYTES  4096u
#define SIZE_BYTES  4u         /* behind packed bytes: how much they unpack to */
#define GZIP_MAGIC  "\x1f\x8b" /* gzip has that size itself, as its last bytes */
#define ZBOOT_MAGIC "zimg"

enum { /* fields of an Image's header */
       IMAGE_TEXT_OFFSET = 8,
       IMAGE_SIZE = 16,
       IMAGE_MAGIC = 56,
       IMAGE_HEADER_BYTES = 64,
};

enum { /* of a zboot file's, which has an Image packed within */
       ZBOOT_MAGIC_AT = 4,
       ZBOOT_OFFSET = 8,
       ZBOOT_BYTES = 12,
};

struct kernel_image {
    struct image file;
    struct packed packed; /* format NULL: it is not */
    uint8_t head[HEAD_BYTES];
    size_t head_bytes;
};

static const struct image *unpacked(const struct kernel_image *k)
{
    return k->packed.format ? &k->packed.image : &k->file;
}

static int read_head(struct kernel_image *k)
{
    k->head_bytes = min_u64(unpacked(k)->bytes, sizeof(k->head));
    memset(k->head, 0, sizeof(k->head));
    return image_read(unpacked(k), 0, k->head, k->head_bytes);
}

/* Where the packed bytes are; bytes is 0 if there are none. */
static int find_packed(struct kernel_image *k, uint64_t ram_bytes)
{
    struct packed *p = &k->packed;
    uint8_t magic[UNPACK_MAGIC_BYTES], size[SIZE_BYTES];

    if (memcmp(k->head + ZBOOT_MAGIC_AT, ZBOOT_MAGIC, 4) == 0) {
        p->offset = le32_get(k->head + ZBOOT_OFFSET);
        p->bytes = le32_get(k->head + ZBOOT_BYTES);
    } else if (memcmp(k->head, GZIP_MAGIC, 2) == 0) {
        p->bytes = (uint32_t)min_u64(k->file.bytes, UINT32_MAX);
    } else {
        return 0;
    }
    /* They are read into memory, of which a file with holes could make much out of nothing. */
    if (!range_within(p->offset, p->bytes, 0, min_u64(k->file.bytes, ram_bytes)) ||
        p->bytes < sizeof(magic))
        return image_bad(&k->file, "%" PRIu32 " packed bytes at %" PRIu64, p->bytes, p->offset);
    int err = image_read(&k->file, p->offset, magic, sizeof(magic));
    if (err)
        return err;
    p->format = unpack_format(magic);
    if (!p->format)
        return image_bad(&k->file, "what is packed in it begins %02x %02x %02x %02x", magic[0],
                         magic[1], magic[2], magic[3]);
    bool is_gzip = memcmp(magic, GZIP_MAGIC, 2) == 0;
    err = image_read(&k->file, p->offset + p->bytes - (is_gzip ? SIZE_BYTES : 0), size, SIZE_BYTES);
    p->unpacked_bytes = le32_get(size);
    if (!err && (p->unpacked_bytes == 0 || p->unpacked_bytes > ram_bytes))
        return image_bad(&k->file, "%" PRIu32 " unpacked bytes are to run in %" PRIu64,
                         p->unpacked_bytes, ram_bytes);
    return err;
}

static int open_kernel(struct kernel_image *k, const struct linux_image_kind *kind,
                       const struct boot_request *request, uint64_t ram_bytes)
{
    int err = image_open(&k->file, "kernel", request->kernel_path);

    k->file.cancel = request->cancel;
    if (!err)
        err = read_head(k);
    if (!err)
        err = find_packed(k, ram_bytes);
    if (!err && k->packed.format) {
        err = packed_open(&k->packed, &k->file, request->cache_dir);
        if (!err)
            err = read_head(k);
    }
    if (!err && (k->head_bytes < IMAGE_HEADER_BYTES ||
                 memcmp(k->head + IMAGE_MAGIC, kind->magic, sizeof(kind->magic)) != 0))
        err = image_refuse(&k->file, k->head, k->head_bytes, &kind->wanted);
    return err;
}

static void close_kernel(struct kernel_image *k)
{
    packed_close(&k->packed);
    image_close(&k->file);
}

/* What the header says of the memory that the kernel uses until it knows about its own. */
static int load_kernel(const struct kernel_image *k, const struct gmem *g,
                       const struct gmem_region *ram, struct linux_image *out)
{
    const struct image *img = unpacked(k);
    uint64_t start = le64_get(k->head + IMAGE_TEXT_OFFSET);
    uint64_t bytes = max_u64(le64_get(k->head + IMAGE_SIZE), img->bytes);
    uint64_t end;

    if (start >= ram->bytes || !checked_add_u64(start, bytes, &end) || end > UINT64_MAX / 2)
        return image_bad(img, "it asks for 0x%" PRIx64 " bytes at RAM's 0x%" PRIx64, bytes, start);
    end = align_up(end, ALIGN) + LINUX_TREE_BYTES;
    if (end > ram->bytes)
        return fail_msg(-ENOMEM,
                        "kernel %s: does not fit into %" PRIu64 " MiB of memory: it needs %" PRIu64
                        " MiB; give the guest more",
                        img->path, ram->bytes / MIB, image_mib(end));
    out->entry_gpa = ram->gpa + start;
    out->tree_gpa = ram->gpa + end - LINUX_TREE_BYTES;
    return image_load(img, 0, g, out->entry_gpa, img->bytes);
}

static int load_initrd(const struct boot_request *request, const struct gmem *g,
                       const struct gmem_region *ram, struct linux_image *out)
{
    struct initrd initrd;
    int err = initrd_open(&initrd, request);
    uint64_t at = out->tree_gpa + LINUX_TREE_BYTES - ram->gpa;

    if (!err && initrd.bytes > ram->bytes - at)
        err = fail_msg(-ENOMEM,
                       "initrd %s: its %" PRIu64 " MiB do not fit into %" PRIu64
                       " MiB of memory beside the kernel; give the guest at least %" PRIu64 " MiB",
                       initrd_name(&initrd), image_mib(initrd.bytes), ram->bytes / MIB,
                       image_mib(at) + image_mib(initrd.bytes));
    out->initrd_gpa = ram->gpa + at;
    out->initrd_bytes = initrd.bytes;
    if (!err && initrd.bytes > 0)
        err = initrd_load(&initrd, g, out->initrd_gpa);
    initrd_close(&initrd);
    return err;
}

int linux_image_load(const struct gmem *g, const struct linux_image_kind *kind,
                     const struct boot_request *request, struct linux_image *out)
{
    const struct gmem_region *ram = &g->regions[0];
    struct kernel_image k = {.file.fd = -1, .packed = {.image.fd = -1, .cache.dir_fd = -1}};
    size_t cmdline_bytes = strlen(request->cmdline);

    *out = (struct linux_image){0};
    if (cmdline_bytes > kind->cmdline_max_bytes)
        return fail_msg(-E2BIG,
                        "command line: has %zu bytes, but this kernel takes at most %" PRIu32
                        "; shorten it",
                        cmdline_bytes, kind->cmdline_max_bytes);
    int err = open_kernel(&k, kind, request, ram->bytes);
    if (!err)
        err = load_kernel(&k, g, ram, out);
    if (!err && k.packed.format)
        packed_keep(&k.packed, &k.file);
    if (!err)
        err = load_initrd(request, g, ram, out);
    close_kernel(&k);
    return err;
}
