// SPDX-License-Identifier: BSD-2-Clause
/*
 * What may take long is not done on the loop: a FUSE file system in the share, whose server does
 * not answer a FLUSH (which each close() waits for) until it is told to; and files that are large
 * when they are freed.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

#define FILE_INO     2u
#define SET_UP(bits) (S_IFREG | (bits) | 0755)

/* A child, with which its file system goes whatever becomes of the test. */
static struct server {
    pid_t pid;
    int fd;
    _Atomic uint32_t mode;
    _Atomic bool holds; /* FLUSHes are not answered */
    atomic_uint flushes, writes;
} * server;

static void reply(const struct fuse_in_header *in, int err, const void *body, size_t bytes)
{
    uint8_t out[256];
    const struct fuse_out_header head = {
        .len = (uint32_t)(sizeof(head) + bytes), .error = err, .unique = in->unique};
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), body, bytes);
    (void)!write(server->fd, out, head.len);
}

static struct fuse_attr attr_of(uint64_t ino)
{
    return (struct fuse_attr){.ino = ino,
                              .mode = ino == FILE_INO ? server->mode : S_IFDIR | 0755,
                              .nlink = 1,
                              .uid = geteuid(),
                              .gid = getegid()};
}

static void on_flush(void)
{
    server->flushes++;
    while (server->holds)
        usleep(1000);
}

static void serve(const struct fuse_in_header *in, const void *args)
{
    const struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 4096};
    const struct fuse_entry_out entry = {.nodeid = FILE_INO, .attr = attr_of(FILE_INO)};
    struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
    const struct fuse_setattr_in *set = args;
    const struct fuse_write_in *wr = args;
    const struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO};
    const struct fuse_statfs_out statfs = {.st = {.bsize = 4096}};
    const struct fuse_write_out written = {.size = in->opcode == FUSE_WRITE ? wr->size : 0};
    switch (in->opcode) {
    case FUSE_INIT:
        reply(in, 0, &init, sizeof(init));
        break;
    case FUSE_LOOKUP:
        reply(in, 0, &entry, sizeof(entry));
        break;
    case FUSE_SETATTR:
        if ((set->valid & FATTR_MODE) != 0)
            server->mode = set->mode;
        attr.attr = attr_of(in->nodeid);
        reply(in, 0, &attr, sizeof(attr));
        break;
    case FUSE_GETATTR:
        reply(in, 0, &attr, sizeof(attr));
        break;
    case FUSE_OPEN:
        reply(in, 0, &open, sizeof(open));
        break;
    case FUSE_STATFS:
        reply(in, 0, &statfs, sizeof(statfs));
        break;
    case FUSE_WRITE:
        server->writes++;
        reply(in, 0, &written, sizeof(written));
        break;
    case FUSE_FLUSH:
        on_flush();
        reply(in, 0, "", 0);
        break;
    case FUSE_FORGET:
        break;
    default:
        reply(in, in->opcode == FUSE_RELEASE ? 0 : -ENOSYS, "", 0);
    }
}

static _Noreturn void serve_all(void)
{
    static uint64_t message[16384];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(server->fd, message, sizeof(message)) > 0)
        serve((const void *)message, (const struct fuse_in_header *)message + 1);
    _exit(0);
}

static void hold(void)
{
    server->flushes = 0;
    server->holds = true;
}

static void await_flush(void)
{
    while (server->flushes == 0)
        usleep(1000);
}

static void begin(void)
{
    char options[128];
    server = mmap(NULL, sizeof(*server), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(server, MAP_FAILED);
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    server->mode = SET_UP(0);
    server->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other",
             server->fd, geteuid(), getegid());
    cr_assert_eq(mkdir("shared/m", 0755), 0);
    if (server->fd < 0 || mount("test", "shared/m", "fuse", MS_NOSUID, options) < 0)
        cr_skip_test("no FUSE file system can be mounted");
    pid_t pid = fork();
    if (pid == 0)
        serve_all();
    server->pid = pid;
    close(server->fd);
}

/* The share may have descriptors on it for a while. */
static void end(void)
{
    rig.share->ops->reset(rig.share);
    while (umount("shared/m") < 0)
        usleep(1000);
    cr_assert_eq(waitpid(server->pid, NULL, 0), server->pid);
    share_rig_close();
}

static uint64_t open_it(uint64_t *fh)
{
    uint64_t dir = fuse_lookup(&rig.client, ROOT, "m", NULL);
    uint64_t node = fuse_lookup(&rig.client, dir, "f", NULL);
    cr_assert(dir != 0 && node != 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDWR, fh), 0);
    return node;
}

static void release_by_another_node(uint64_t fh)
{
    cr_assert_eq(fuse_release(&rig.client, ROOT, fh), 0);
}

static void init(uint64_t fh)
{
    (void)fh;
    cr_assert_eq(fuse_client_init(&rig.client), 0);
}

static void destroy(uint64_t fh)
{
    (void)fh;
    cr_assert_eq(fuse_call(&rig.client, FUSE_DESTROY, 0, "", 0, "", 0), 0);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
}

static void reset(uint64_t fh)
{
    (void)fh;
    rig.share->ops->reset(rig.share);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
}

/* If one of them waited for the server, which waits for it to be over, the test would not end. */
Test(devices_share_waits, no_loop_waits_for_a_file_to_be_closed)
{
    static void (*const ways[])(uint64_t fh) = {release_by_another_node, init, destroy, reset};
    uint64_t fh;
    begin();
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        (void)open_it(&fh);
        hold();
        ways[i](fh);
        await_flush();
        cr_assert_eq(lookup_error(ROOT, "none"), -ENOENT); /* others are served */
        server->holds = false;
    }
    end();
}

/* Minivet's root strips what the guest's user may not keep: on a helper, and then writes. */
Test(devices_share_waits, a_write_that_strips_bits_waits_elsewhere)
{
    uint64_t fh;
    begin();
    if (geteuid() != 0)
        cr_skip_test("the host's kernel does it");
    server->mode = SET_UP(S_ISUID);
    uint64_t node = open_it(&fh);
    struct {
        struct fuse_write_in in;
        char text[4];
    } message = {{.fh = fh, .size = 4, .write_flags = FUSE_WRITE_KILL_SUIDGID}, "text"};
    cr_assert_eq(fuse_call(&rig.client, FUSE_WRITE, node, &message, sizeof(message.in) + 4, "", 0),
                 0);
    cr_assert_eq(server->writes, 1);
    cr_assert_eq(server->mode, SET_UP(0));
    fuse_send(&rig.client, FUSE_WRITE, node, &message, sizeof(message.in) + 4, "", 0);
    rig.share->ops->abandon(rig.share, rig.client.req);
    evloop_drain(rig.loop);
    cr_assert(!rig.client.is_done);
    end();
}

/* ---- large files ---- */

#define LARGE_BYTES (32 << 20)

static bool is_elsewhere(uint32_t opcode, uint64_t node, const void *in, size_t bytes,
                         const void *names, size_t names_bytes)
{
    fuse_send(&rig.client, opcode, node, in, bytes, names, names_bytes);
    bool elsewhere = !rig.client.is_done;
    cr_assert_eq(fuse_answer(&rig.client), 0);
    return elsewhere;
}

static uint64_t make_large(const char *name, uint64_t *fh)
{
    uint64_t node = fuse_create(&rig.client, ROOT, name, O_RDWR, 0644, fh, NULL);
    const struct fuse_fallocate_in in = {.fh = *fh, .length = LARGE_BYTES};
    cr_assert_eq(CALL(FUSE_FALLOCATE, node, in), 0);
    return node;
}

Test(devices_share_waits, a_large_file_is_freed_elsewhere)
{
    uint64_t fh;
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    const struct fuse_rename_in over = {.newdir = ROOT};
    uint64_t node = make_large("a", &fh);
    const struct fuse_setattr_in size = {.valid = FATTR_SIZE | FATTR_FH, .fh = fh};
    cr_assert(is_elsewhere(FUSE_SETATTR, node, &size, sizeof(size), "", 0));
    cr_assert(!is_elsewhere(FUSE_SETATTR, node, &size, sizeof(size), "", 0));
    const struct fuse_open_in trunc = {.flags = O_WRONLY | O_TRUNC};
    node = make_large("b", &fh);
    cr_assert(is_elsewhere(FUSE_OPEN, node, &trunc, sizeof(trunc), "", 0));
    cr_assert(!is_elsewhere(FUSE_OPEN, node, &trunc, sizeof(trunc), "", 0));
    node = make_large("c", &fh);
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    cr_assert(is_elsewhere(FUSE_RENAME, ROOT, &over, sizeof(over), "b\0c", 4));
    cr_assert(!is_elsewhere(FUSE_RENAME, ROOT, &over, sizeof(over), "a\0c", 4));
    node = make_large("d", &fh);
    cr_assert(is_elsewhere(FUSE_UNLINK, ROOT, "", 0, "d", 2));
    cr_assert(!is_elsewhere(FUSE_UNLINK, ROOT, "", 0, "c", 2));
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0); /* its last close */
    share_rig_close();
}

/* More than there are threads for at a time. */
Test(devices_share_waits, all_that_was_large_is_closed)
{
    uint64_t fh;
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    for (unsigned i = 0; i < 40; i++) {
        (void)make_large("a", &fh);
        cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "a"), 0);
    }
    rig.share->ops->reset(rig.share);
    for (unsigned i = 0; share_rig_fds() > rig.fds + 8 && i < 10000; i++)
        usleep(1000);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
    share_rig_close();
}
