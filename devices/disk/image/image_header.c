// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/image/image_header.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/be.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"

struct image {
    int fd;
    uint64_t bytes;
    struct image_facts *facts;
    char window[IMAGE_WINDOW + 1]; /* zeroes where the file has ended, and one more */
};

struct format {
    const char *name;
    const char *magic;
    size_t magic_bytes;
    size_t magic_at;
    bool magic_at_end; /* in the last 512 bytes */
    bool has_backing;
    int (*read)(struct image *m); /* with the window at the start; NULL: it names nothing */
};

/* ---- bytes ---- */

static int refuse(struct image *m, const char *why)
{
    snprintf(m->facts->why, sizeof(m->facts->why), "%s", why);
    return -EINVAL;
}

static int refuse_parent(struct image *m)
{
    return refuse(m, "it keeps only what differs from another image, which is not followed: "
                     "qemu-img convert makes one of both");
}

static int damaged(struct image *m)
{
    return refuse(m, "its header is damaged");
}

/* Moves the window. */
static int look(struct image *m, uint64_t at)
{
    memset(m->window, 0, sizeof(m->window));
    if (at >= m->bytes)
        return 0;
    size_t want = (size_t)min_u64(IMAGE_WINDOW, m->bytes - at);
    for (size_t got = 0; got < want;) {
        ssize_t n = pread(m->fd, m->window + got, want - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            snprintf(m->facts->why, sizeof(m->facts->why), "%s", strerror(errno));
            return -errno;
        }
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return 0;
}

static const char *in_window(const struct image *m, uint64_t at, uint64_t bytes)
{
    BUG_ON(!range_within(at, bytes, 0, IMAGE_WINDOW));
    return m->window + at;
}

static uint32_t be32(const struct image *m, uint64_t at)
{
    return be32_get(in_window(m, at, 4));
}

static uint64_t be64(const struct image *m, uint64_t at)
{
    return be64_get(in_window(m, at, 8));
}

static uint16_t le16(const struct image *m, uint64_t at)
{
    return le16_get(in_window(m, at, 2));
}

static uint32_t le32(const struct image *m, uint64_t at)
{
    return le32_get(in_window(m, at, 4));
}

static uint64_t le64(const struct image *m, uint64_t at)
{
    return le64_get(in_window(m, at, 8));
}

static bool is_there(const struct image *m, uint64_t at, const void *bytes, size_t n)
{
    return memcmp(in_window(m, at, n), bytes, n) == 0;
}

/* ---- qcow2, qcow, qed ---- */

static int take_backing(struct image *m, uint64_t at, uint64_t bytes)
{
    if (bytes == 0 || bytes > IMAGE_NAME_MAX || !range_within(at, bytes, 0, IMAGE_WINDOW))
        return damaged(m);
    const char *name = in_window(m, at, bytes);
    if (memchr(name, '\0', bytes) != NULL)
        return damaged(m);
    memcpy(m->facts->backing, name, bytes);
    m->facts->has_backing = true;
    return 0;
}

#define QCOW2_DATA_FILE        (UINT64_C(1) << 2) /* an incompatible feature */
#define QCOW2_EXT_END          0u
#define QCOW2_EXT_FORMAT       0xe2792acau
#define QCOW2_EXT_DATA_FILE    0x44415441u
#define QCOW2_V2_HEADER        72u
#define QCOW2_V3_HEADER        104u
#define QCOW2_CLUSTER_BITS_MIN 9u
#define QCOW2_CLUSTER_BITS_MAX 21u

static int refuse_data_file(struct image *m)
{
    return refuse(m, "its data is in another file, which is not followed: "
                     "qemu-img convert -O qcow2 makes one of both");
}

static int qcow2_extensions(struct image *m, uint64_t at, uint64_t end)
{
    while (end - at >= 8) {
        uint32_t type = be32(m, at);
        uint64_t bytes = be32(m, at + 4);
        at += 8;
        if (type == QCOW2_EXT_END)
            return 0;
        if (type == QCOW2_EXT_DATA_FILE)
            return refuse_data_file(m);
        if (bytes > end - at)
            return damaged(m);
        if (type == QCOW2_EXT_FORMAT) {
            if (bytes >= sizeof(m->facts->backing_format))
                return damaged(m);
            memset(m->facts->backing_format, 0, sizeof(m->facts->backing_format));
            memcpy(m->facts->backing_format, in_window(m, at, bytes), bytes);
        }
        at = min_u64(align_up(at + bytes, 8), end);
    }
    return 0;
}

static int read_qcow2(struct image *m)
{
    uint32_t version = be32(m, 4), bits = be32(m, 20);
    uint64_t backing = be64(m, 8), header = QCOW2_V2_HEADER;
    if (version != 2 && version != 3)
        return refuse(m, version == 1 ? "the file is not a qcow2 image; is it qcow?"
                                      : "its version of qcow2 is not known");
    if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
        return damaged(m);
    uint64_t end = min_u64(UINT64_C(1) << bits, IMAGE_WINDOW);
    if (version == 3) {
        header = be32(m, 100);
        if (be64(m, 72) & QCOW2_DATA_FILE)
            return refuse_data_file(m);
        if (header < QCOW2_V3_HEADER)
            return damaged(m);
    }
    if (backing != 0)
        end = min_u64(end, backing);
    if (header > end)
        return damaged(m);
    int err = qcow2_extensions(m, header, end);
    return err == 0 && backing != 0 ? take_backing(m, backing, be32(m, 16)) : err;
}

/* It has no place for the format of a backing file. */
static int read_qcow(struct image *m)
{
    if (be32(m, 4) != 1)
        return refuse(m, "the file is not a qcow image; is it qcow2?");
    return be64(m, 8) != 0 ? refuse_parent(m) : 0;
}

#define QED_BACKING 1u /* features */
#define QED_RAW     4u /* the backing file is raw */

static int read_qed(struct image *m)
{
    uint64_t features = le64(m, 16);
    if ((features & QED_BACKING) == 0)
        return 0;
    if (features & QED_RAW)
        strcpy(m->facts->backing_format, "raw");
    return take_backing(m, le32(m, 56), le32(m, 60));
}

/* ---- vmdk ---- */

#define VMDK_SECTOR     512u
#define VMDK_DESCRIPTOR 10240u /* so much of it is read by qemu */
#define EXTENTS_ELSEWHERE                                                                        \
    "it has extents in other files, which are not followed: qemu-img convert -O vmdk makes one " \
    "of "                                                                                        \
    "them"

static bool vmdk_extent_is_sparse(const char *line)
{
    char access[16], kind[16];
    return sscanf(line, "%15s %*s %15s", access, kind) == 2 && strcmp(kind, "SPARSE") == 0;
}

static int vmdk_line(struct image *m, const char *line, unsigned *extents)
{
    static const char type[] = "createType=", parent[] = "parentCID=";
    if (strncmp(line, type, strlen(type)) == 0 &&
        strncmp(line + strlen(type), "\"monolithicSparse\"", 18) != 0 &&
        strncmp(line + strlen(type), "\"streamOptimized\"", 17) != 0)
        return refuse(m, "only monolithicSparse and streamOptimized keep their data in this file");
    if (strncmp(line, parent, strlen(parent)) == 0 &&
        strncasecmp(line + strlen(parent), "ffffffff", 8) != 0)
        return refuse_parent(m);
    bool extent = strncmp(line, "RW ", 3) == 0 || strncmp(line, "RDONLY ", 7) == 0 ||
                  strncmp(line, "NOACCESS ", 9) == 0;
    if (extent && (++*extents > 1 || !vmdk_extent_is_sparse(line)))
        return refuse(m, EXTENTS_ELSEWHERE);
    return 0;
}

/* The text inside of an image, which describes all of the disk. */
static int vmdk_descriptor(struct image *m, uint64_t at)
{
    unsigned extents = 0;
    int err = look(m, at);
    if (err != 0)
        return err;
    m->window[VMDK_DESCRIPTOR] = '\0';
    if (strcasestr(m->window, "parentFileNameHint") != NULL)
        return refuse_parent(m);
    for (char *next, *line = m->window; line != NULL && err == 0; line = next) {
        next = strpbrk(line, "\r\n");
        if (next != NULL)
            *next++ = '\0';
        err = vmdk_line(m, line + strspn(line, " \t"), &extents);
    }
    return err;
}

static int read_vmdk(struct image *m)
{
    uint64_t capacity = le64(m, 12), at = le64(m, 28);
    if (capacity == 0)
        return refuse(m, EXTENTS_ELSEWHERE);
    int err = vmdk_descriptor(m, VMDK_SECTOR); /* where qemu looks for a parent, whatever `at` is */
    if (err == 0 && at > 1 && at < m->bytes / VMDK_SECTOR)
        err = vmdk_descriptor(m, at * VMDK_SECTOR);
    return err;
}

/* ---- vdi, vpc ---- */

static int read_vdi(struct image *m)
{
    static const uint8_t none[32];
    uint32_t type = le32(m, 76);
    /* 1: dynamic, 2: fixed; and the identities of a link and of a parent. */
    if ((type != 1 && type != 2) || !is_there(m, 424, none, sizeof(none)))
        return refuse_parent(m);
    return 0;
}

#define VPC_MAGIC  "conectix"
#define VPC_FOOTER 512u

static int read_vpc(struct image *m)
{
    bool dynamic = is_there(m, 0, VPC_MAGIC, 8); /* its footer is at the start, too */
    int err = dynamic || m->bytes < VPC_FOOTER ? 0 : look(m, m->bytes - VPC_FOOTER);
    if (err != 0)
        return err;
    uint32_t type = be32(m, 60);
    if (!is_there(m, 0, VPC_MAGIC, 8))
        return refuse(m, "the file is not a vpc image; is it raw?");
    return type == 2 || (type == 3 && dynamic) ? 0 : refuse_parent(m);
}

/* ---- vhdx ---- */

#define VHDX_ENTRY   32u
#define VHDX_TABLE_1 (192 * KIB)
#define VHDX_TABLE_2 (256 * KIB)
#define VHDX_PARENT  2u /* of the file's parameters */

/* GUIDs, as they are in the file. */
static const char vhdx_metadata[] =
    "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
static const char vhdx_params[] =
    "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
static const char vhdx_locator[] =
    "\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c";

/* The table of what is known about the disk. */
static int vhdx_read_metadata(struct image *m, uint64_t region)
{
    uint64_t params = 0;
    int err = look(m, region);
    if (err != 0)
        return err;
    unsigned count = le16(m, 10);
    if (!is_there(m, 0, "metadata", 8) || (count + 1) * VHDX_ENTRY > IMAGE_WINDOW)
        return damaged(m);
    for (unsigned i = 1; i <= count; i++) {
        if (is_there(m, i * VHDX_ENTRY, vhdx_locator, 16))
            return refuse_parent(m);
        if (is_there(m, i * VHDX_ENTRY, vhdx_params, 16))
            params = le32(m, i * VHDX_ENTRY + 16);
    }
    if (params == 0)
        return damaged(m);
    err = look(m, region + params);
    return err == 0 && (le32(m, 4) & VHDX_PARENT) != 0 ? refuse_parent(m) : err;
}

/* Where metadata is, by the table of regions at `at`; 0: nowhere. */
static int vhdx_find_metadata(struct image *m, uint64_t at, uint64_t *region)
{
    int err = look(m, at);
    *region = 0;
    if (err != 0 || !is_there(m, 0, "regi", 4))
        return err;
    uint32_t count = le32(m, 8);
    if (count >= IMAGE_WINDOW / VHDX_ENTRY)
        return damaged(m);
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry = 16 + i * VHDX_ENTRY;
        if (is_there(m, entry, vhdx_metadata, 16))
            *region = le64(m, entry + 16);
    }
    return *region >= m->bytes ? damaged(m) : 0;
}

static int read_vhdx(struct image *m)
{
    uint64_t regions[2];
    int err = vhdx_find_metadata(m, VHDX_TABLE_1, &regions[0]);
    if (err == 0)
        err = vhdx_find_metadata(m, VHDX_TABLE_2, &regions[1]);
    if (err == 0 && regions[0] == 0 && regions[1] == 0)
        err = damaged(m);
    for (unsigned i = 0; i < 2 && err == 0; i++)
        if (regions[i] != 0)
            err = vhdx_read_metadata(m, regions[i]);
    return err;
}

/* ---- all ---- */

#define MAGIC(text) .magic = (text), .magic_bytes = sizeof(text) - 1

/* clang-format off */
static const struct format formats[] = {
    {.name = "raw"},
    {.name = "qcow2", MAGIC("QFI\xfb"), .has_backing = true, .read = read_qcow2},
    {.name = "qcow", MAGIC("QFI\xfb"), .has_backing = true, .read = read_qcow},
    {.name = "qed", MAGIC("QED\0"), .has_backing = true, .read = read_qed},
    {.name = "vmdk", MAGIC("KDMV"), .has_backing = true, .read = read_vmdk},
    {.name = "vdi", MAGIC("\x7f\x10\xda\xbe"), .magic_at = 64, .read = read_vdi},
    {.name = "vhdx", MAGIC("vhdxfile"), .read = read_vhdx},
    {.name = "vpc", .read = read_vpc},
    {.name = "parallels", MAGIC("Withou")},
    {.name = "bochs", MAGIC("Bochs Virtual HD Image")},
    {.name = "cloop", MAGIC("#!/bin/sh\n#V2.0 Format\nmodprobe cloop")},
    {.name = "dmg", MAGIC("koly"), .magic_at_end = true},
    /* To be guessed, of formats above that need not begin so. */
    {.name = "vmdk", MAGIC("# Disk DescriptorFile")},
    {.name = "vpc", MAGIC(VPC_MAGIC)},
};
/* clang-format on */

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

bool image_format_is_known(const char *format)
{
    return find_format(format) != NULL;
}

bool image_format_has_backing(const char *format)
{
    const struct format *f = find_format(format);
    return f != NULL && f->has_backing;
}

static bool begins(const char *head, const struct format *f)
{
    return f->magic != NULL && memcmp(head + f->magic_at, f->magic, f->magic_bytes) == 0;
}

const char *image_format_guess(const char head[IMAGE_MAGIC_BYTES])
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (!formats[i].magic_at_end && begins(head, &formats[i]))
            return formats[i].name;
    return "raw";
}

static int check_magic(struct image *m, const struct format *f)
{
    if (f->magic == NULL || begins(m->window, f))
        return 0;
    if (strcmp(f->name, "vmdk") == 0 &&
        (is_there(m, 0, "COWD", 4) || strcasestr(m->window, "# Disk DescriptorFile") != NULL))
        return refuse(m, EXTENTS_ELSEWHERE);
    snprintf(m->facts->why, sizeof(m->facts->why), "the file is not a %s image; is it %s?", f->name,
             image_format_guess(m->window));
    return -EINVAL;
}

int image_header_read(struct image_facts *facts, const char *format, int fd, uint64_t bytes)
{
    struct image m = {.fd = fd, .bytes = min_u64(bytes, INT64_MAX), .facts = facts};
    const struct format *f = find_format(format);
    *facts = (struct image_facts){0};
    if (f == NULL)
        return refuse(&m, "the formats are " IMAGE_FORMATS);
    int err = look(&m, f->magic_at_end && bytes >= 512 ? bytes - 512 : 0);
    if (err == 0)
        err = check_magic(&m, f);
    return err == 0 && f->read != NULL ? f->read(&m) : err;
}
