// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/harness/folder.h"
#include "tests/harness/fusereq.h"
#include "tests/harness/test.h"

#define ROOT FUSE_ROOT_ID

static struct evloop *loop;
static struct share *share;
static struct fuse_client client;

static void begin_with(struct share_dir_config config)
{
    config.path = "shared";
    config.descriptors_max = config.descriptors_max != 0 ? config.descriptors_max : 256;
    config.nodes_max = config.nodes_max != 0 ? config.nodes_max : 65536;
    folder_enter();
    (void)mkdir("shared", 0755);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(share_dir_create(&share, &config), 0);
    fuse_client_open(&client, share, loop);
    cr_assert_eq(fuse_client_init(&client), 0);
}

static void begin(void)
{
    begin_with((struct share_dir_config){.uid = SHARE_UID_MAP});
}

static void end(void)
{
    share->ops->reset(share);
    share->ops->destroy(share);
    evloop_destroy(loop);
    fuse_client_close(&client);
    folder_leave();
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(devices_share, a_file_is_made_written_read_and_forgotten)
{
    begin();
    uint64_t fh;
    char text[16] = "";
    uint64_t node = fuse_create(&client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
    cr_assert_eq(fuse_write(&client, node, fh, 0, "hello", 5), 5);
    cr_assert_eq(fuse_read(&client, node, fh, 1, text, sizeof(text)), 4);
    cr_assert_str_eq(text, "ello");
    cr_assert_eq(fuse_release(&client, node, fh), 0);
    cr_assert_eq(fuse_read(&client, node, fh, 0, text, sizeof(text)), -EBADF);
    cr_assert_eq(fuse_lookup(&client, ROOT, "a", NULL), node);
    fuse_forget(&client, node, 2);
    cr_assert_eq(fuse_open(&client, node, O_RDONLY, &fh), -ESTALE);
    end();
}

Test(devices_share, a_symbolic_link_is_no_way_out)
{
    begin();
    write_file("secret", "s");
    cr_assert_eq(symlink("../secret", "shared/link"), 0);
    cr_assert_eq(symlink("..", "shared/up"), 0);
    uint64_t fh, node = fuse_lookup(&client, ROOT, "link", NULL);
    cr_assert_neq(node, 0);
    cr_assert_neq(fuse_open(&client, node, O_RDONLY, &fh), 0);
    node = fuse_lookup(&client, ROOT, "up", NULL);
    int err;
    cr_assert_eq(fuse_lookup(&client, node, "secret", &err), 0);
    cr_assert_eq(err, -ENOTDIR);
    cr_assert_eq(fuse_lookup(&client, ROOT, "..", &err), 0);
    cr_assert_eq(err, -EINVAL);
    cr_assert_eq(fuse_lookup(&client, ROOT, "../secret", &err), 0);
    cr_assert_eq(err, -EINVAL);
    end();
}

/* Where a file stands for a device, a list says so as well: an overlay looks there for what it has
 * removed. */
Test(devices_share, a_list_has_the_types_that_the_guest_sees)
{
    begin_with((struct share_dir_config){.uid = SHARE_UID_XATTR, .xattr = true});
    const struct fuse_mknod_in node = {.mode = S_IFCHR};
    cr_assert_eq(fuse_call(&client, FUSE_MKNOD, ROOT, &node, sizeof(node), "gone", 5), 0);
    write_file("shared/file", "");
    const struct fuse_open_in how = {0};
    cr_assert_eq(fuse_call(&client, FUSE_OPENDIR, ROOT, &how, sizeof(how), NULL, 0), 0);
    const struct fuse_open_out *opened = (const void *)client.out;
    const struct fuse_read_in list = {.fh = opened->fh, .size = 4096};
    cr_assert_eq(fuse_call(&client, FUSE_READDIR, ROOT, &list, sizeof(list), NULL, 0), 0);
    unsigned seen = 0;
    for (size_t at = 0; at < client.out_bytes;) {
        const struct fuse_dirent *d = (const void *)(client.out + at);
        if (d->namelen == 4 && memcmp(d->name, "gone", 4) == 0 && d->type == DT_CHR)
            seen |= 1;
        if (d->namelen == 4 && memcmp(d->name, "file", 4) == 0 && d->type == DT_REG)
            seen |= 2;
        at += FUSE_DIRENT_SIZE(d);
    }
    cr_expect_eq(seen, 3);
    end();
}

Test(devices_share, a_flat_one_has_no_mounts)
{
    for (unsigned flat = 0; flat < 2; flat++) {
        begin_with((struct share_dir_config){.flat = flat});
        const struct fuse_init_out *init = (const void *)client.out;
        cr_expect_eq((init->flags & FUSE_SUBMOUNTS) == 0, flat);
        end();
    }
}
