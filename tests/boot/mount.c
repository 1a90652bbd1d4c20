// SPDX-License-Identifier: BSD-2-Clause
/*
 * mount DIR MOUNTPOINT [KEY[=VALUE]]...: a share of DIR, mounted on this host itself: its kernel
 * sends the messages that a guest's would send, by /dev/fuse. Runs until the directory is
 * unmounted. For programs that a guest in an emulated host would take hours for. Root's.
 *
 * KEY=VALUE: uid=map|none|xattr, cache=auto|always|never, ro, writeback, xattr, locks, and
 * user=UID: serves with that user's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/share.h"
#include "devices/share/share_dir.h"

#define SLOTS      64
#define SLOT_BYTES (size_t)(MIB + 64 * KIB)

struct slot {
    struct share_req *req; /* with what is the server's behind it */
    struct iovec in, out;
    struct slot *next;
};

static struct evloop *loop;
static struct share *share;
static struct ev_fd source;
static struct slot slots[SLOTS], *idle;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "mount: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_done(struct share_req *req)
{
    struct slot *s = slots;
    while (s->req != req)
        s++;
    /* ENOENT: who asked has been interrupted. */
    if (req->wr.done > 0 && write(source.fd, s->out.iov_base, req->wr.done) < 0 &&
        errno != ENOENT && errno != ENODEV)
        fprintf(stderr, "mount: answer of %lu bytes: %s\n", (unsigned long)req->wr.done,
                strerror(errno));
    if (idle == NULL)
        (void)evloop_fd_set(loop, &source, EPOLLIN);
    s->next = idle;
    idle = s;
}

static void serve(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
    while (idle != NULL) {
        struct slot *s = idle;
        ssize_t n = read(source.fd, s->in.iov_base, SLOT_BYTES);
        if (n < 0 && errno == ENODEV) /* unmounted */
            evloop_stop(loop);
        if (n < 0)
            return;
        idle = s->next;
        s->in.iov_len = (size_t)n;
        s->req->rd = iobuf_init(&s->in, 1);
        s->req->wr = iobuf_init(&s->out, 1);
        s->req->loop = loop;
        s->req->done = on_done;
        share->ops->submit(share, s->req);
    }
    (void)evloop_fd_set(loop, &source, 0);
}

static unsigned choice(const char *value, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    errno = EINVAL;
    die(value);
}

static uid_t parse(struct share_dir_config *config, char **keys)
{
    static const char *const uids[] = {"map", "none", "xattr"};
    static const char *const caches[] = {"auto", "always", "never"};
    uid_t user = 0;
    for (; *keys != NULL; keys++) {
        const char *equals = strchr(*keys, '='), *value = equals != NULL ? equals + 1 : "";
        if (strncmp(*keys, "uid=", 4) == 0)
            config->uid = choice(value, uids, ARRAY_SIZE(uids));
        else if (strncmp(*keys, "cache=", 6) == 0)
            config->cache = choice(value, caches, ARRAY_SIZE(caches));
        else if (strncmp(*keys, "user=", 5) == 0)
            user = (uid_t)strtoul(value, NULL, 10);
        else {
            static const char *const flags[] = {"ro", "writeback", "xattr", "locks"};
            bool *const set[] = {&config->read_only, &config->writeback, &config->xattr,
                                 &config->locks};
            *set[choice(*keys, flags, ARRAY_SIZE(flags))] = true;
        }
    }
    return user;
}

/* The set-up of another user's process. */
static void become(uid_t user)
{
    if (user != 0 && (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
                      setresuid(user, user, user) < 0))
        die("user");
    if (prctl(PR_SET_DUMPABLE, 1) < 0) /* /proc/self/fd */
        die("prctl");
}

int main(int argc, char **argv)
{
    struct share_dir_config config = {.descriptors_max = 16384, .nodes_max = 4 << 20};
    char options[128];
    if (argc < 3) {
        fprintf(stderr, "usage: mount DIR MOUNTPOINT [KEY[=VALUE]]...\n");
        return 2;
    }
    config.path = argv[1];
    uid_t user = parse(&config, argv + 3);
    source.fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (source.fd < 0)
        die("/dev/fuse");
    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
             source.fd);
    if (mount("share", argv[2], "fuse.share", 0, options) < 0)
        die(argv[2]);
    become(user);
    if (evloop_create(&loop, "mount", &clock_host) != 0 || share_dir_create(&share, &config) != 0)
        return 1;
    for (struct slot *s = slots; s < slots + SLOTS; s++) {
        s->req = calloc(1, share->req_bytes);
        s->in.iov_base = malloc(SLOT_BYTES);
        s->out = (struct iovec){.iov_base = malloc(SLOT_BYTES), .iov_len = SLOT_BYTES};
        if (s->req == NULL || s->in.iov_base == NULL || s->out.iov_base == NULL)
            die("memory");
        s->next = idle;
        idle = s;
    }
    source.cb = serve;
    if (evloop_fd_add(loop, &source, source.fd, EPOLLIN) != 0)
        die("loop");
    return evloop_run(loop) == 0 ? 0 : 1;
}
