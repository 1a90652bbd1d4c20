// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of disk images, and the chains of backing files that they name. The input: a byte for the
 * format, one of flags (bit 0: backing files are wanted; bit 1: read-only; bit 2: magic numbers are
 * put in), one for how many files there are (1 to 4). Then each file: how many pieces it has, and
 * each piece: where it goes (PLACES, or an offset of three bytes), its length (two), its bytes.
 * What a name opens is chosen by its last letter.
 *
 * Nothing is opened without backing=on but the image, and nothing for writing but that; what is
 * accepted then names no other file, by rules that are written down here once more. An error is
 * told in one line, and leaves nothing open.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "devices/disk/image/image_chain.h"
#include "devices/disk/image/image_header.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

#define FILES  4u
#define PIECES 8u
#define LOW    12288u /* what the rules look at, of the start of a file */

static const uint32_t places[] = {0, 512, 192 * KIB, 256 * KIB, 320 * KIB, 384 * KIB};

static const struct kind {
    const char *name, *magic;
    unsigned bytes, at;
} kinds[] = {
    {"qcow2", "QFI\xfb\0\0\0\3", 8, 0},
    {"qcow", "QFI\xfb\0\0\0\1", 8, 0},
    {"qed", "QED", 4, 0},
    {"vmdk", "KDMV", 4, 0},
    {"vdi", "\x7f\x10\xda\xbe", 4, 64},
    {"vhdx", "vhdxfile", 8, 0},
    {"vpc", "conectix", 8, 0},
    {"parallels", "WithoutFreeSpace", 16, 0},
    {"bochs", "Bochs Virtual HD Image", 22, 0},
    {"cloop", "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 37, 0},
    {"dmg", "koly", 4, 0},
    {"raw", "", 0, 0},
    {"nbd", "", 0, 0},
};

static struct bench {
    int files[FILES];
    unsigned count, opened;
    bool backing, read_only;
} bench;

static int open_fake(void *ctx, const char *path, bool writable)
{
    struct bench *b = ctx;
    size_t len = strlen(path);
    unsigned which = len > 0 ? (uint8_t)path[len - 1] % (FILES + 2) : 0;
    if (b->opened == 0)
        which = 0;
    fuzz_check(b->opened == 0 || b->backing, "%s is opened without backing=on", path);
    fuzz_check(writable == (b->opened == 0 && !b->read_only), "%s for writing", path);
    fuzz_check(b->opened++ <= IMAGE_CHAIN_MAX, "a chain without an end");
    if (which > FILES)
        return -EMEDIUMTYPE;
    return which < b->count ? fcntl(b->files[which], F_DUPFD_CLOEXEC, 3) : -ENOENT;
}

/* ---- a file ---- */

static void make_file(struct fuzz_input *in, int fd, const struct kind *kind)
{
    size_t bytes;
    int err = ftruncate(fd, 0);
    unsigned pieces = (unsigned)fuzz_take(in, 1) % (PIECES + 1);
    if (kind != NULL)
        err |= pwrite(fd, kind->magic, kind->bytes, kind->at) < 0;
    for (unsigned i = 0; i < pieces && in->left > 0; i++) {
        unsigned where = (unsigned)fuzz_take(in, 1);
        uint64_t at = where < ARRAY_SIZE(places) ? places[where] : fuzz_take(in, 3) % (512 * KIB);
        size_t max = fuzz_take(in, 2);
        const uint8_t *data = fuzz_take_bytes(in, max, &bytes);
        err |= pwrite(fd, data, bytes, (off_t)at) < 0;
    }
    BUG_ON(err != 0);
}

/* ---- what names no other file ---- */

static uint8_t low[LOW + 1];

static uint32_t be32(size_t at)
{
    uint32_t v;
    memcpy(&v, low + at, sizeof(v));
    return be32toh(v);
}

static bool is_zero(size_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (low[at + i] != 0)
            return false;
    return true;
}

static bool is_alone(const char *format, int fd)
{
    memset(low, 0, sizeof(low));
    ssize_t n = pread(fd, low, LOW, 0);
    if (strcmp(format, "qcow2") == 0)
        return is_zero(8, 8) && (be32(4) == 2 || (be32(4) == 3 && (low[79] & 4) == 0));
    if (strcmp(format, "qcow") == 0)
        return is_zero(8, 8) && be32(4) == 1;
    if (strcmp(format, "qed") == 0)
        return (low[16] & 1) == 0;
    if (strcmp(format, "vmdk") == 0) {
        low[512 + 10240] = 0;
        return !is_zero(12, 8) && strstr((char *)low + 512, "parentFileNameHint") == NULL;
    }
    if (strcmp(format, "vdi") == 0)
        return low[76] == 1 || low[76] == 2;
    if (strcmp(format, "vpc") == 0)
        return memcmp(low, "conectix", 8) != 0 || be32(60) == 2 || be32(60) == 3;
    return n >= 0 && strcmp(format, "nbd") != 0;
}

static void check_accepted(const struct image_chain *chain)
{
    fuzz_check(chain->count >= 1 && chain->count <= IMAGE_CHAIN_MAX, "%u images", chain->count);
    fuzz_check(fuzz_lines() == 0, "%u lines about nothing", fuzz_lines());
    for (unsigned i = 0; i < chain->count; i++) {
        const struct image_link *link = &chain->links[i];
        bool last = i + 1 == chain->count;
        fuzz_check(!last || is_alone(link->format, link->fd), "%s: it names another file",
                   link->format);
        for (unsigned j = 0; j < i; j++)
            fuzz_check(chain->links[j].ino != link->ino, "images %u and %u are one", i, j);
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    struct image_chain chain;
    for (unsigned i = 0; i < FILES && b->files[FILES - 1] == 0; i++)
        b->files[i] = memfd_create("fuzz", MFD_CLOEXEC);
    unsigned files = fuzz_open_fds();
    const struct kind *kind = &kinds[fuzz_take(in, 1) % ARRAY_SIZE(kinds)];
    unsigned flags = (unsigned)fuzz_take(in, 1);
    b->backing = flags & 1;
    b->read_only = flags & 2;
    b->count = 1 + (unsigned)fuzz_take(in, 1) % FILES;
    b->opened = 0;
    for (unsigned i = 0; i < b->count; i++)
        make_file(in, b->files[i], flags & 4 ? kind : NULL);
    fuzz_count_lines(LOG_WARN);
    int err = image_chain_open(&chain, &(struct image_chain_config){.name = "fuzz",
                                                                    .path = "folder/image",
                                                                    .format = kind->name,
                                                                    .backing = b->backing,
                                                                    .read_only = b->read_only,
                                                                    .open = open_fake,
                                                                    .open_ctx = b});
    if (err == 0)
        check_accepted(&chain);
    else
        fuzz_check(err < 0 && fuzz_lines() == 1, "error %d was told in %u lines", err,
                   fuzz_lines());
    image_chain_close(&chain);
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
}

const struct fuzz_target fuzz_target_image = {.name = "image", .run = fuzz_run_bytes, .bytes = run};
