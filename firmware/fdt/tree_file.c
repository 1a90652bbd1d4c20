// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/fdt/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/output/own_file.h"
#include "firmware/fdt/machine_tree.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/kernel/linux_image.h"

/* libfdt seeks each node of an overlay in the whole overlay and in the whole tree: limit both. */
#define OVERLAY_BYTES  (64 * KIB)
#define OVERLAID_BYTES (256 * KIB) /* a tree that gets an overlay */

/* libfdt seeks a property's name by its bytes, in each property and at each byte of all names. */
#define NAME_MAX_BYTES 127u
#define VERSION_MIN    16u /* libfdt takes older ones, but for changes */

/* 0, or what libfdt calls that; the names are within the file. */
static int check_header(const void *blob, uint64_t bytes)
{
    int bad = bytes < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : fdt_check_header(blob);
    if (bad != 0)
        return bad;
    if (fdt_totalsize(blob) > bytes)
        return -FDT_ERR_TRUNCATED;
    return fdt_version(blob) < VERSION_MIN ? -FDT_ERR_BADVERSION : 0;
}

static bool has_long_name(const void *blob)
{
    const char *at = (const char *)blob + fdt_off_dt_strings(blob);
    for (size_t left = fdt_size_dt_strings(blob), bytes; left > 0; left -= bytes, at += bytes) {
        bytes = strnlen(at, left);
        if (bytes > NAME_MAX_BYTES)
            return true;
        bytes += bytes < left; /* the NUL */
    }
    return false;
}

/* The whole of a file, which is a tree of at most `most` bytes. */
static int read_file(const char *role, const char *path, void *blob, uint64_t most)
{
    struct image img;
    int err = image_open(&img, role, path);
    if (err == 0 && img.bytes > most)
        err = fail_msg(-E2BIG, "%s %s: is larger than %" PRIu64 " KiB", role, path, most / KIB);
    if (err == 0)
        err = image_read(&img, 0, blob, img.bytes);
    int bad = err == 0 ? check_header(blob, img.bytes) : 0;
    if (err == 0 && bad == 0 && has_long_name(blob))
        err = fail_msg(-E2BIG, "%s %s: a property's name has more than %u bytes", role, path,
                       NAME_MAX_BYTES);
    if (err == 0 && bad == 0)
        bad = fdt_check_full(blob, img.bytes);
    if (bad != 0)
        err = fail_msg(-EINVAL, "%s %s: is no device tree: %s", role, path, fdt_strerror(bad));
    image_close(&img);
    return err;
}

#define FIXUPS_DEPTH 64 /* of nodes within each other */

/* Are the numbers of a node of fixups offsets of words in the same properties of the other node? */
static bool node_has_words(const void *overlay, int fixups, int node)
{
    int property;
    fdt_for_each_property_offset(property, overlay, fixups)
    {
        const char *name = "";
        int bytes = 0, room = 0;
        const fdt32_t *offsets = fdt_getprop_by_offset(overlay, property, &name, &bytes);
        if (fdt_getprop(overlay, node, name, &room) == NULL)
            return false;
        for (int i = 0; i < bytes / (int)sizeof(*offsets); i++)
            if (!range_within(fdt32_ld(offsets + i), sizeof(*offsets), 0, (uint64_t)room))
                return false;
    }
    return true;
}

/* libfdt reads at the offsets in /__local_fixups__ before it checks them. */
static bool overlay_has_words(const void *overlay)
{
    int nodes[FIXUPS_DEPTH] = {0}, depth = 0; /* the root, and one in each other */
    for (int at = fdt_path_offset(overlay, "/__local_fixups__"); at >= 0 && depth >= 0;
         at = fdt_next_node(overlay, at, &depth)) {
        if (depth == FIXUPS_DEPTH)
            return false;
        if (depth > 0)
            nodes[depth] =
                fdt_subnode_offset(overlay, nodes[depth - 1], fdt_get_name(overlay, at, NULL));
        if (nodes[depth] < 0 || !node_has_words(overlay, at, nodes[depth]))
            return false;
    }
    return true;
}

static int add_overlay(void *tree, const char *path)
{
    void *overlay = malloc(OVERLAY_BYTES);
    if (overlay == NULL)
        return fail(-ENOMEM, "device tree");
    int err = read_file("--dtb-overlay", path, overlay, OVERLAY_BYTES);
    int bad = 0;
    if (err == 0)
        bad = overlay_has_words(overlay) ? fdt_overlay_apply(tree, overlay) : -FDT_ERR_BADOVERLAY;
    free(overlay);
    return bad != 0
               ? fail_msg(-EINVAL, "--dtb-overlay %s: does not apply: %s", path, fdt_strerror(bad))
               : err;
}

static int add_chosen(void *tree, const struct boot_request *r, const struct linux_image *image)
{
    int node = fdt_path_offset(tree, "/chosen");
    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(tree, 0, "chosen");
    int bad = node < 0
                  ? node
                  : fdt_setprop(tree, node, "bootargs", r->cmdline, (int)strlen(r->cmdline) + 1);
    if (bad == 0 && image->initrd_bytes > 0)
        bad = fdt_setprop_u64(tree, node, "linux,initrd-start", image->initrd_gpa);
    if (bad == 0 && image->initrd_bytes > 0)
        bad = fdt_setprop_u64(tree, node, "linux,initrd-end",
                              image->initrd_gpa + image->initrd_bytes);
    return bad == 0 ? 0 : fail_msg(-ENOSPC, "device tree: /chosen: %s", fdt_strerror(bad));
}

static int dump(const void *tree, const char *path)
{
    int fd = own_file_open(AT_FDCWD, path, O_WRONLY | O_TRUNC, 0666);
    ssize_t bytes = (ssize_t)fdt_totalsize(tree);
    if (fd < 0)
        return fail(fd, "--dump-dtb %s: open", path);
    ssize_t n = write(fd, tree, (size_t)bytes);
    int err = n == bytes ? 0 : fail(n < 0 ? -errno : -ENOSPC, "--dump-dtb %s: write", path);
    close(fd);
    return err;
}

int tree_load(const struct gmem *g, const struct machine_tree *own, const struct boot_request *r,
              const struct linux_image *image)
{
    void *tree = malloc(LINUX_TREE_BYTES);
    if (tree == NULL)
        return fail(-ENOMEM, "device tree");
    uint64_t most = r->dtb_overlay != NULL ? OVERLAID_BYTES : LINUX_TREE_BYTES;
    int err = r->dtb != NULL ? read_file("--dtb", r->dtb, tree, most)
                             : machine_tree_write(own, tree, MACHINE_TREE_BYTES(own->vcpus));
    if (err >= 0) /* which moves it: twice its room is needed */
        err = fdt_open_into(tree, tree, LINUX_TREE_BYTES) == 0
                  ? 0
                  : fail_msg(-E2BIG, "device tree: is too large");
    if (err == 0 && r->dtb_overlay != NULL)
        err = add_overlay(tree, r->dtb_overlay);
    if (err == 0)
        err = add_chosen(tree, r, image);
    if (err == 0)
        BUG_ON(fdt_pack(tree) != 0);
    if (err == 0 && r->dump_dtb != NULL)
        err = dump(tree, r->dump_dtb);
    if (err == 0)
        err = gmem_write(g, image->tree_gpa, tree, fdt_totalsize(tree));
    free(tree);
    return err;
}
