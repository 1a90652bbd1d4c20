// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot loader of machines with a device tree: the Image's header, gzip and zboot around it.
 *
 *     byte 0       bits 0, 1: the file is what follows; an Image; that packed by gzip, or in a
 * zboot file; 2: there is an initrd; 3 - 5: the format in a zboot file bytes 1, 2   RAM, in units
 * of 64 KiB beyond the first 4 MiB then         the file; or changes of the Image (bit 6: of what
 * is packed, afterwards): offset (a byte), width (a byte, two bits), value
 *
 * What is loaded must be the Image, inside of RAM and apart from the tree and the initrd; nothing
 * else is written; and an error is told in one line.
 */
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/kernel/linux_image.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/kernel_file.h"

#define RAM_GPA      UINT64_C(0x80000000)
#define IMAGE_BYTES  0x1200u
#define FILE_MAX     (1u << 16)
#define CHANGES_MAX  32u
#define HEADER_BYTES 64u
#define INITRD_BYTES 0x1001u
#define FORMATS      6u

static struct bench {
    int kernel_fd, initrd_fd; /* files without a name */
    char kernel_path[32], initrd_path[32];
    uint8_t image[IMAGE_BYTES], file[FILE_MAX], initrd[INITRD_BYTES];
    size_t file_bytes;
    bool is_known; /* the Image is what is loaded, if anything is */
} bench;

static void change(struct fuzz_input *in, uint8_t *bytes)
{
    for (unsigned i = 0; in->left > 0 && i < CHANGES_MAX; i++) {
        uint8_t value[8];
        uint64_t at = fuzz_take(in, 1) % HEADER_BYTES;
        unsigned width = 1u << fuzz_take(in, 1) % 4;
        le64_put(value, fuzz_take(in, width));
        memcpy(bytes + at, value, width);
    }
}

/* As Linux has it: the size of what is unpacked is behind the packed bytes, with gzip their end. */
static void make_zboot(struct bench *b, unsigned format)
{
    bool is_gzip = strcmp(fx_formats[format], "gzip") == 0;
    size_t len = fx_pack(fx_formats[format], b->image, sizeof(b->image), b->file + HEADER_BYTES,
                         FILE_MAX - HEADER_BYTES);
    BUG_ON(len < 4);
    memset(b->file, 0, HEADER_BYTES);
    memcpy(b->file, "MZ\0\0zimg", 8);
    le32_put(b->file + 8, HEADER_BYTES);
    le32_put(b->file + 12, (uint32_t)len - (is_gzip ? 0 : 4));
    b->file_bytes = HEADER_BYTES + len;
}

static void make_kernel(struct bench *b, struct fuzz_input *in, unsigned how)
{
    bool late = (how & 0x40) != 0;
    memset(b->image, 0x3c, sizeof(b->image));
    memset(b->image, 0, HEADER_BYTES);
    le64_put(b->image + 16, 0x2000);
    memcpy(b->image + 56, "ARM\x64", 4);
    b->is_known = (how & 3) != 0 && !late;
    if (!late && (how & 3) != 0)
        change(in, b->image);
    switch (how & 3) {
    case 0:
        memcpy(b->file, fuzz_take_bytes(in, FILE_MAX, &b->file_bytes), b->file_bytes);
        break;
    case 1:
        memcpy(b->file, b->image, sizeof(b->image));
        b->file_bytes = sizeof(b->image);
        break;
    case 2:
        b->file_bytes = fx_pack("gzip", b->image, sizeof(b->image), b->file, FILE_MAX);
        break;
    default:
        make_zboot(b, (how >> 3 & 7) % FORMATS);
        break;
    }
    if (late)
        change(in, b->file);
}

static void write_file(int fd, const void *bytes, size_t len)
{
    BUG_ON(ftruncate(fd, 0) != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len);
}

static bool is_zero(const struct gmem *g, uint64_t from, uint64_t to)
{
    const uint8_t *at = from < to ? gmem_ptr(g, from, to - from, 1) : NULL;
    return at == NULL || (at[0] == 0 && memcmp(at, at + 1, to - from - 1) == 0);
}

static void check_loaded(const struct bench *b, const struct gmem *g, const struct linux_image *i,
                         bool has_initrd)
{
    uint64_t behind = i->tree_gpa + LINUX_TREE_BYTES;
    fuzz_check(i->tree_gpa % 8 == 0 && gmem_find(g, i->tree_gpa, LINUX_TREE_BYTES) != NULL,
               "the tree is at 0x%llx", (unsigned long long)i->tree_gpa);
    fuzz_check(gmem_find(g, i->entry_gpa, 1) != NULL && i->entry_gpa < i->tree_gpa,
               "the kernel is at 0x%llx", (unsigned long long)i->entry_gpa);
    fuzz_check(i->initrd_bytes == (has_initrd ? INITRD_BYTES : 0), "the initrd has %llu bytes",
               (unsigned long long)i->initrd_bytes);
    if (has_initrd) {
        const void *initrd = gmem_ptr(g, i->initrd_gpa, INITRD_BYTES, 1);
        fuzz_check(initrd != NULL && i->initrd_gpa >= behind &&
                       memcmp(initrd, b->initrd, INITRD_BYTES) == 0,
                   "the initrd is at 0x%llx", (unsigned long long)i->initrd_gpa);
        behind = i->initrd_gpa + INITRD_BYTES;
    }
    if (b->is_known)
        fuzz_check(i->entry_gpa + IMAGE_BYTES <= i->tree_gpa &&
                       memcmp(gmem_ptr(g, i->entry_gpa, IMAGE_BYTES, 1), b->image, IMAGE_BYTES) ==
                           0,
                   "something else was loaded");
    fuzz_check(is_zero(g, RAM_GPA, i->entry_gpa) &&
                   is_zero(g, behind, min_u64(behind + 4096, RAM_GPA + g->regions[0].bytes)),
               "something was written elsewhere");
}

static void run(struct fuzz_input *in)
{
    static const struct linux_image_kind arm64 = {
        .wanted = {"an arm64 Image", "arm64"}, .magic = "ARM\x64", .cmdline_max_bytes = 2047};
    struct bench *b = &bench;
    struct linux_image image;
    struct gmem *g;
    if (b->kernel_path[0] == '\0') {
        b->kernel_fd = fuzz_make_file(b->kernel_path);
        b->initrd_fd = fuzz_make_file(b->initrd_path);
        memset(b->initrd, 0xa7, sizeof(b->initrd));
        write_file(b->initrd_fd, b->initrd, sizeof(b->initrd));
    }
    unsigned how = (unsigned)fuzz_take(in, 1);
    uint64_t ram_bytes = 4 * MIB + fuzz_take(in, 2) % 256 * 64 * KIB;
    make_kernel(b, in, how);
    write_file(b->kernel_fd, b->file, b->file_bytes);
    int err = gmem_create_shared(&g, ram_bytes, 0, RAM_GPA);
    BUG_ON(err != 0);
    unsigned files = fuzz_open_fds();
    fuzz_count_lines(LOG_ERROR);
    err = linux_image_load(g, &arm64,
                           &(struct boot_request){.kernel_path = b->kernel_path,
                                                  .initrd_path = how & 4 ? b->initrd_path : NULL,
                                                  .cmdline = "quiet"},
                           &image);
    fuzz_check(fuzz_lines() == (err != 0), "error %d was told in %u lines", err, fuzz_lines());
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
    if (err == 0)
        check_loaded(b, g, &image, (how & 4) != 0);
    gmem_destroy(g);
}

const struct fuzz_target fuzz_target_linux_image = {
    .name = "linux-image", .run = fuzz_run_bytes, .bytes = run};
