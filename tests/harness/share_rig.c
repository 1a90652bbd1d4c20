// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/share_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

struct share_rig rig;

unsigned share_rig_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

void share_rig_open(struct share_dir_config config)
{
    if (config.path == NULL)
        config.path = "shared";
    config.descriptors_max = config.descriptors_max != 0 ? config.descriptors_max : 256;
    config.nodes_max = config.nodes_max != 0 ? config.nodes_max : 65536;
    rig.fds = share_rig_fds();
    folder_enter();
    (void)mkdir("shared", 0755);
    cr_assert_eq(evloop_create(&rig.loop, "test", &clock_host), 0);
    cr_assert_eq(share_dir_create(&rig.share, &config), 0);
    fuse_client_open(&rig.client, rig.share, rig.loop);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
}

void share_rig_close(void)
{
    rig.share->ops->reset(rig.share);
    rig.share->ops->destroy(rig.share);
    evloop_destroy(rig.loop);
    fuse_client_close(&rig.client);
    folder_leave();
    for (unsigned i = 0; share_rig_fds() > rig.fds && i < 10000; i++)
        usleep(1000); /* a thread of the share's closes what may take long */
    cr_assert_eq(share_rig_fds(), rig.fds);
}

void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

bool has_text(const char *path, const char *text)
{
    char found[256] = "";
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    size_t n = fread(found, 1, sizeof(found) - 1, f);
    fclose(f);
    return n == strlen(text) && strcmp(found, text) == 0;
}

int call_name(uint32_t opcode, uint64_t node, const char *name)
{
    return fuse_call(&rig.client, opcode, node, name, strlen(name) + 1, "", 0);
}

uint64_t answered_node(void)
{
    struct fuse_entry_out out;
    memcpy(&out, rig.client.out, sizeof(out));
    return out.nodeid;
}

int lookup_error(uint64_t dir, const char *name)
{
    int err;
    (void)fuse_lookup(&rig.client, dir, name, &err);
    return err;
}

uint64_t make_file(uint64_t dir, const char *name)
{
    uint64_t fh, node = fuse_create(&rig.client, dir, name, O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    return node;
}
