// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel gets as its device tree: the machine's own, or a file's instead; with an overlay,
 * if there is one; and with the command line and the initrd in /chosen.
 */
#ifndef MINIVET_FIRMWARE_TREE_FILE_H
#define MINIVET_FIRMWARE_TREE_FILE_H

struct boot_request;
struct gmem;
struct linux_image;
struct machine_tree;

/*
 * Puts it into guest memory at image->tree_gpa, where LINUX_TREE_BYTES are free, and into the
 * request's file for it. A machine tree is asked for only if the request has no file instead. 0 or
 * a negative errno, reported.
 */
int tree_load(const struct gmem *g, const struct machine_tree *own,
              const struct boot_request *request, const struct linux_image *image);

#endif
