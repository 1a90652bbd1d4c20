// SPDX-License-Identifier: BSD-2-Clause
/* What guest-images/build takes from a folder of modules that came with a stranger's kernel. */
#include "tests/harness/test.h"

/* What depmod has listed becomes a link to another file of the user's. */
static const char script[] =
    "set -e; dir=$(mktemp -d); trap 'rm -rf \"$dir\"' EXIT; cd \"$dir\"\n"
    "PATH=$PATH:/usr/sbin:/sbin; tree=lib/modules/1.0; mkdir -p $tree/kernel; echo private "
    ">secret\n"
    "echo 'int x;' | ${CC:-cc} -x c -c -o $tree/kernel/virtio_blk.ko -\n"
    "depmod --basedir . 1.0 2>/dev/null\n"
    "ln -sf \"$dir/secret\" $tree/kernel/virtio_blk.ko\n"
    "export MINIVET_CACHE=$dir/cache\n"
    "! " MINIVET_SOURCE_DIR "/guest-images/build own --modules . --output made 2>said\n"
    "test ! -e made\n"
    "grep -q 'virtio_blk.ko: is no module in ' said || { cat said >&2; false; }\n";

Test(vmm_own_modules, that_are_links_to_other_files_are_refused)
{
    cr_expect_eq(system(script), 0);
}
