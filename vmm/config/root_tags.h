// SPDX-License-Identifier: BSD-2-Clause
/* The tags of the virtio-fs devices of --root, for Minivet and its program in the guest. */
#ifndef MINIVET_VMM_ROOT_TAGS_H
#define MINIVET_VMM_ROOT_TAGS_H

#define ROOT_TAG         "minivet-root"
#define ROOT_UPPER_TAG   "minivet-upper"   /* of what is kept in another directory */
#define ROOT_MODULES_TAG "minivet-modules" /* of all the kernel's modules */

#endif
