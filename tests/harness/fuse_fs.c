// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fuse_fs.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/silent.h"

#define FILE_ID       2u
#define FILE_BYTES    4096u
#define REQUEST_BYTES (1u << 18)

static struct fuse_attr attr_of(uint64_t node)
{
    bool is_root = node == FUSE_ROOT_ID;
    return (struct fuse_attr){.ino = node,
                              .mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0644,
                              .nlink = 1,
                              .size = is_root ? 0 : FILE_BYTES,
                              .blksize = FILE_BYTES};
}

/* The answer's bytes, or a negative errno. */
static int serve(const struct fuse_fs *fs, const struct fuse_in_header *in, uint8_t *out)
{
    const struct fuse_read_in *read_in = (const void *)(in + 1);
    size_t name_bytes = strlen(fs->listed);
    switch (in->opcode) {
    case FUSE_INIT: {
        const struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                           .minor = FUSE_KERNEL_MINOR_VERSION,
                                           .max_write = FILE_BYTES};
        memcpy(out, &init, sizeof(init));
        return sizeof(init);
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out entry = {.nodeid = FILE_ID, .attr = attr_of(FILE_ID)};
        memcpy(out, &entry, sizeof(entry));
        return strcmp((const char *)(in + 1), "file") == 0 ? (int)sizeof(entry) : -ENOENT;
    }
    case FUSE_GETATTR: {
        const struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
        memcpy(out, &attr, sizeof(attr));
        return sizeof(attr);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        memset(out, 0, sizeof(struct fuse_open_out));
        return sizeof(struct fuse_open_out);
    case FUSE_READ:
        memset(out, 'x', FILE_BYTES);
        return read_in->offset == 0 && read_in->size >= FILE_BYTES ? (int)FILE_BYTES : 0;
    case FUSE_READDIR: {
        const struct fuse_dirent entry = {
            .ino = FILE_ID, .off = 1, .namelen = (uint32_t)name_bytes, .type = DT_REG};
        memset(out, 0, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name_bytes));
        memcpy(out, &entry, sizeof(entry));
        memcpy(out + FUSE_NAME_OFFSET, fs->listed, name_bytes);
        return read_in->offset == 0 ? (int)FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name_bytes) : 0;
    }
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        return 0;
    default:
        return -ENOSYS;
    }
}

static void serve_all(const struct fuse_fs *fs, int fd)
{
    static uint8_t in[REQUEST_BYTES];
    uint8_t out[2 * FILE_BYTES];
    struct fuse_in_header head;
    for (;;) {
        ssize_t got = read(fd, in, sizeof(in));
        if (got < 0 && errno == ENODEV)
            return;
        if (got < (ssize_t)sizeof(head)) /* what was asked has been taken back */
            continue;
        memcpy(&head, in, sizeof(head));
        if (head.opcode == FUSE_FORGET || head.opcode == FUSE_BATCH_FORGET ||
            head.opcode == FUSE_INTERRUPT || head.opcode == fs->mute)
            continue;
        int bytes = serve(fs, (const void *)in, out);
        struct fuse_out_header answer = {.len = (uint32_t)sizeof(answer), .unique = head.unique};
        if (bytes < 0)
            answer.error = bytes;
        else
            answer.len += (uint32_t)bytes;
        const struct iovec iov[2] = {{&answer, sizeof(answer)}, {out, answer.len - sizeof(answer)}};
        (void)!writev(fd, iov, 2); /* that it is too late is no error */
    }
}

/* A process: one that waits for a thread of its own could not even be killed. */
bool fuse_fs_mount(struct fuse_fs *fs, const char *dir)
{
    int fd;
    if (!silent_mount_here(dir, &fd))
        return false;
    fs->server = fork();
    if (fs->server == 0) {
        alarm(FUSE_FS_SECONDS);
        serve_all(fs, fd);
        _exit(0);
    }
    close(fd);
    return fs->server > 0;
}

void fuse_fs_unmount(const struct fuse_fs *fs, const char *dir)
{
    kill(fs->server, SIGKILL);
    waitpid(fs->server, NULL, 0);
    (void)umount2(dir, MNT_DETACH);
}
