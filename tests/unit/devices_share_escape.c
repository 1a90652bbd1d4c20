// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ways out of the share: symbolic links, magic links, and a process of the host that exchanges a
 * directory with a link to one outside while messages name what is in it. Outside lie a secret that
 * must not be read, and files that must stay as they are.
 */
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

#define SECRET "no guest may read this"

static void begin(struct share_dir_config config)
{
    share_rig_open(config);
    cr_assert_eq(mkdir("outside", 0755), 0);
    write_file("outside/f", SECRET);
    cr_assert_eq(chmod("outside/f", 0640), 0);
}

static void end(void)
{
    struct stat st;
    cr_assert(has_text("outside/f", SECRET));
    cr_assert(stat("outside/f", &st) == 0 && st.st_mode == (S_IFREG | 0640) && st.st_nlink == 1 &&
              st.st_mtim.tv_sec > 1000000);
    cr_assert_eq(unlink("outside/f"), 0);
    cr_assert_eq(rmdir("outside"), 0); /* nothing else was made there */
    share_rig_close();
}

/* All that a name in a directory, or a node, lets one ask for. */
static void try_all(uint64_t dir, const char *name)
{
    static const struct fuse_setattr_in mode = {
        .valid = FATTR_MODE | FATTR_SIZE | FATTR_MTIME | FATTR_UID, .mode = 0777, .mtime = 1};
    const struct fuse_open_in open = {.flags = O_RDONLY};
    char text[64];
    uint64_t fh;
    int err;
    uint64_t node = fuse_create(&rig.client, dir, name, O_RDWR, 0666, &fh, &err);
    if (node != 0) {
        int64_t n = fuse_read(&rig.client, node, fh, 0, text, sizeof(text));
        cr_assert(n < 4 || memcmp(text, SECRET, 4) != 0);
        (void)fuse_release(&rig.client, node, fh);
    }
    node = fuse_lookup(&rig.client, dir, name, &err);
    if (node == 0)
        return;
    if (fuse_open(&rig.client, node, O_RDWR, &fh) == 0) {
        int64_t n = fuse_read(&rig.client, node, fh, 0, text, sizeof(text));
        cr_assert(n < 4 || memcmp(text, SECRET, 4) != 0);
        (void)fuse_write(&rig.client, node, fh, 0, "x", 1);
        (void)fuse_release(&rig.client, node, fh);
    }
    (void)CALL(FUSE_SETATTR, node, mode);
    (void)CALL(FUSE_OPENDIR, node, open);
    (void)fuse_lookup(&rig.client, node, "f", NULL);
    (void)fuse_lookup(&rig.client, node, "passwd", NULL);
    (void)call_name(FUSE_UNLINK, node, "f");
    fuse_forget(&rig.client, node, UINT64_MAX);
}

Test(devices_share_escape, symbolic_links_are_never_followed)
{
    begin((struct share_dir_config){.uid = SHARE_UID_MAP});
    char absolute[512];
    cr_assert_not_null(getcwd(absolute, sizeof(absolute) - 16));
    strcat(absolute, "/outside");
    cr_assert_eq(symlink("../outside", "shared/dir"), 0);
    cr_assert_eq(symlink("../outside/f", "shared/file"), 0);
    cr_assert_eq(symlink("../outside/new", "shared/dangling"), 0);
    cr_assert_eq(symlink(absolute, "shared/absolute"), 0);
    cr_assert_eq(symlink("/proc/self/cwd/outside", "shared/magic"), 0);
    cr_assert_eq(symlink("..", "shared/up"), 0);
    static const char *const names[] = {"dir", "file", "dangling", "absolute", "magic", "up"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int err;
        uint64_t fh;
        try_all(ROOT, names[i]);
        uint64_t node = fuse_lookup(&rig.client, ROOT, names[i], &err);
        cr_assert_neq(node, 0);
        cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), -ENXIO);
        cr_assert_eq(lookup_error(node, "f"), -ENOTDIR);
        cr_assert_eq(fuse_create(&rig.client, node, "new", O_RDWR, 0644, &fh, &err), 0);
        cr_assert_eq(err, -ENOTDIR);
        cr_assert_eq(fuse_create(&rig.client, ROOT, names[i], O_RDWR | O_TRUNC, 0644, &fh, &err),
                     0);
        cr_assert_eq(err, -ENXIO);
    }
    end();
}

/* Neither of a FIFO, which would wait, nor of a socket or device, which would do things. */
Test(devices_share_escape, what_is_no_file_is_never_opened)
{
    const struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 5};
    static const uint32_t flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC};
    static const char *const names[] = {"fifo", "socket", "null"};
    uint64_t fh;
    begin((struct share_dir_config){.uid = SHARE_UID_MAP});
    cr_assert_eq(mkfifo("shared/fifo", 0666), 0);
    const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "shared/socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    (void)mknod("shared/null", S_IFCHR | 0666, makedev(1, 3)); /* of root's alone */
    for (unsigned i = 0; i < 3; i++) {
        uint64_t node = fuse_lookup(&rig.client, ROOT, names[i], NULL);
        if (node == 0)
            continue;
        for (unsigned j = 0; j < 4; j++) {
            int err;
            cr_assert_eq(fuse_open(&rig.client, node, flags[j], &fh), -ENXIO);
            cr_assert_eq(fuse_create(&rig.client, ROOT, names[i], flags[j], 0644, &fh, &err), 0);
            cr_assert_eq(err, -ENXIO);
        }
        cr_assert_eq(CALL(FUSE_SETATTR, node, size), -EINVAL);
    }
    close(fd);
    end();
}

/* /proc/self/root and /proc/self/cwd lead anywhere; they are links that only their own file system
 * follows. */
Test(devices_share_escape, magic_links_lead_nowhere)
{
    int err;
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    (void)mkdir("shared/proc", 0755);
    if (mount("/proc", "shared/proc", NULL, MS_BIND | MS_REC, NULL) != 0) {
        share_rig_close();
        cr_skip_test("only root can bind /proc");
    }
    uint64_t proc = fuse_lookup(&rig.client, ROOT, "proc", &err);
    uint64_t self = fuse_lookup(&rig.client, proc, "self", NULL);
    cr_assert_neq(self, 0);
    cr_assert_eq(lookup_error(self, "root"), -ENOTDIR);
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    uint64_t process = fuse_lookup(&rig.client, proc, pid, &err);
    cr_assert_neq(process, 0);
    static const char *const names[] = {"root", "cwd", "exe"};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t fh, node = fuse_lookup(&rig.client, process, names[i], NULL);
        cr_assert_neq(node, 0);
        cr_assert_eq(lookup_error(node, "etc"), -ENOTDIR);
        cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), -ENXIO);
    }
    rig.share->ops->reset(rig.share);
    cr_assert_eq(umount2("shared/proc", MNT_DETACH), 0);
    share_rig_close();
}

/* ---- races ---- */

static atomic_bool racing;

/* "d" is in turn a directory and a link to the one outside; "f" there a file and a link. */
static void *exchange(void *ctx)
{
    (void)ctx;
    while (atomic_load(&racing)) {
        (void)renameat2(AT_FDCWD, "shared/d", AT_FDCWD, "shared/link", RENAME_EXCHANGE);
        (void)renameat2(AT_FDCWD, "inside/f", AT_FDCWD, "inside/link", RENAME_EXCHANGE);
    }
    return NULL;
}

/* The rounds of a stress test; few where it is one test of many. */
static unsigned rounds(void)
{
    const char *text = getenv("MINIVET_TEST_ROUNDS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 2000;
}

static void race(struct share_dir_config config)
{
    pthread_t thread;
    config.descriptors_max = 32;
    begin(config);
    cr_assert_eq(mkdir("shared/d", 0755), 0);
    cr_assert_eq(symlink("../outside", "shared/link"), 0);
    cr_assert_eq(symlink("d", "inside"), 0);
    cr_assert_eq(symlink("../../outside/f", "shared/d/link"), 0);
    write_file("shared/d/f", "yes");
    int dir = open("shared/d", O_PATH | O_DIRECTORY);
    cr_assert_eq(unlink("inside"), 0);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
    cr_assert_eq(symlink(path, "inside"), 0); /* whatever its name is now */
    atomic_store(&racing, true);
    cr_assert_eq(pthread_create(&thread, NULL, exchange, NULL), 0);
    for (unsigned i = rounds(); i > 0; i--) {
        static const struct fuse_open_in in = {.flags = O_RDONLY};
        try_all(ROOT, "d");
        uint64_t node = fuse_lookup(&rig.client, ROOT, "d", NULL);
        if (node != 0) {
            try_all(node, "f");
            try_all(node, "new");
            (void)call_name(FUSE_UNLINK, node, "new");
            if (CALL(FUSE_OPENDIR, node, in) == 0) {
                struct fuse_open_out out;
                memcpy(&out, rig.client.out, sizeof(out));
                (void)fuse_release(&rig.client, node, out.fh);
            }
        }
        if (i % 64 == 0) { /* descriptors must not help */
            rig.share->ops->reset(rig.share);
            cr_assert_eq(fuse_client_init(&rig.client), 0);
        }
    }
    atomic_store(&racing, false);
    pthread_join(thread, NULL);
    close(dir);
    end();
}

Test(devices_share_escape, a_link_in_place_of_a_directory_is_no_way_out)
{
    race((struct share_dir_config){.uid = SHARE_UID_MAP});
}

Test(devices_share_escape, nor_where_attributes_say_whose_a_file_is)
{
    race((struct share_dir_config){.uid = SHARE_UID_XATTR, .xattr = true});
}
