// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fuse_fs.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

static void *server_main(void *arg)
{
    const struct fuse_fs *fs = arg;
    uint8_t *in = malloc(REQUEST_BYTES), out[2 * FILE_BYTES];
    struct fuse_in_header head;
    while (in != NULL) {
        if (read(fs->fd, in, REQUEST_BYTES) < 0) {
            if (errno == ENODEV)
                break;
            continue;
        }
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
        (void)!writev(fs->fd, iov, 2); /* that it is too late is no error */
    }
    free(in);
    return NULL;
}

bool fuse_fs_mount(struct fuse_fs *fs, const char *dir)
{
    if (!silent_mount_here(dir, &fs->fd))
        return false;
    if (pthread_create(&fs->thread, NULL, server_main, fs) == 0)
        return true;
    close(fs->fd);
    return false;
}

void fuse_fs_unmount(struct fuse_fs *fs, const char *dir)
{
    (void)umount2(dir, MNT_FORCE);
    (void)umount2(dir, MNT_DETACH);
    pthread_join(fs->thread, NULL);
    close(fs->fd);
}
