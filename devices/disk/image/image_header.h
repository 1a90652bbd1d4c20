// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the header of a disk image says about other files, read before a program that would follow
 * it gets the image. Nothing is opened here, and no more than a few windows of IMAGE_WINDOW bytes
 * are read, wherever an image says that its tables are.
 *
 *   format                      names other files by         here
 *   qcow2 qed                   a backing file               `backing`
 *   qcow2                       an external data file        refused
 *   qcow                        a backing file, unknown      refused
 *                               of what format
 *   vmdk                        extents, a parent            refused; all in one file is fine
 *   vdi vhdx vpc                a parent (differencing)      refused
 *   parallels bochs cloop dmg   nothing                      fine
 *   raw                         nothing: it has no header    fine
 */
#ifndef MINIVET_DEVICES_IMAGE_HEADER_H
#define MINIVET_DEVICES_IMAGE_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_WINDOW   16384u
#define IMAGE_NAME_MAX 1023u /* of a backing file, as qemu has it */
#define IMAGE_FORMATS  "raw, qcow2, qcow, qed, vmdk, vdi, vhdx, vpc, parallels, bochs, cloop, dmg"

struct image_facts {
    bool has_backing;
    char backing[IMAGE_NAME_MAX + 1]; /* as it is in the header: unchecked, may be a URL */
    char backing_format[16];          /* likewise; "": the header does not say */
    char why[160];                    /* of an error, for the user */
};

/* One of IMAGE_FORMATS; no protocol of qemu's is. */
bool image_format_is_known(const char *format);

/* What a file is by its first bytes, as far as they say; else raw. */
#define IMAGE_MAGIC_BYTES 512u
const char *image_format_guess(const char head[IMAGE_MAGIC_BYTES]);

/* Can an image of the format have a backing file? */
bool image_format_has_backing(const char *format);

/*
 * `fd` is only read, by pread(); `bytes` is the size of the file. 0, or with facts->why: -EINVAL,
 * it is no such image, or one that other files belong to in a way that is not followed; or an error
 * of the read. Silent. Any thread.
 */
int image_header_read(struct image_facts *facts, const char *format, int fd, uint64_t bytes);

#endif
