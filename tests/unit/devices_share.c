// SPDX-License-Identifier: BSD-2-Clause
#include "devices/share/share_dir.h"

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
