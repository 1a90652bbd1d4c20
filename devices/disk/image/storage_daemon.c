// SPDX-License-Identifier: BSD-2-Clause
/* From nothing to a connection, again and again: how often, and what is said about it. */
#include "devices/disk/image/storage_daemon.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/loop/may_block.h"
#include "core/peers/confine.h"
#include "core/peers/last_line.h"
#include "devices/disk/image/storage_daemon_impl.h"

#define NS_PER_S UINT64_C(1000000000)
#define REPORTS  3u  /* connections that are reported on at once */
#define REPORT_S 60u /* then one in so many seconds */

/* ---- a private socket ---- */

/*
 * The daemon wants a listening socket, which must be bound to a name. The name is in a folder of
 * ours, and is removed as soon as we are connected.
 */
static int make_sockets(struct storage_daemon *d, int *listener, int *connection)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int name_bytes = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", d->dir);
    BUG_ON(name_bytes < 0 || (size_t)name_bytes >= sizeof(addr.sun_path));
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l < 0 || c < 0 || bind(l, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(l, 1) != 0 || connect(c, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int err = -errno;
        if (l >= 0)
            close(l);
        if (c >= 0)
            close(c);
        unlink(addr.sun_path);
        return fail(err, "disk %s: a socket in %s", d->name, d->dir);
    }
    unlink(addr.sun_path);
    *listener = l;
    *connection = c;
    return 0;
}

/* ---- what it says ---- */

static void skip_prefix(const char **line, const char *prefix)
{
    if (strncmp(*line, prefix, strlen(prefix)) == 0)
        *line += strlen(prefix);
}

/* The last line that it said, without its own name and arguments; an empty string: nothing. */
static void last_words(const struct storage_daemon *d, char out[LAST_LINE_MAX])
{
    char said[LAST_LINE_MAX];
    const char *line = said;
    last_line_read(d->said_fd, said);
    skip_prefix(&line, STORAGE_DAEMON_PROGRAM ": ");
    skip_prefix(&line, "--blockdev ");
    skip_prefix(&line, d->blockdev);
    if (strncmp(line, "--export ", 9) == 0 && strstr(line, "}}: ") != NULL)
        line = strstr(line, "}}: ") + 2;
    skip_prefix(&line, ": ");
    strcpy(out, line);
}

/* Its own message names a descriptor, which means nothing to the user. */
static bool is_about_locks(const char *words)
{
    return strstr(words, "Is another process using the image") != NULL ||
           strstr(words, "Failed to lock byte") != NULL;
}

static int report_start(const struct storage_daemon *d, int err)
{
    char words[LAST_LINE_MAX];
    if (err == -ECANCELED || d->quiet)
        return err;
    last_words(d, words);
    if (err == -ETIMEDOUT)
        return fail_msg(err, "disk %s: %s does not get ready", d->name, d->program);
    if (is_about_locks(words))
        return fail_msg(-EBUSY, "disk %s: %s in use by another machine or program; stop that one",
                        d->name, d->chain.count > 1 ? "it, or a backing file of it, is" : "is");
    return fail_msg(err, "disk %s: %s: %s", d->name, d->program,
                    words[0] != '\0' ? words : "it ended without a word");
}

static void report_end(const struct storage_daemon *d)
{
    char words[LAST_LINE_MAX];
    last_words(d, words);
    if (words[0] != '\0' && !d->quiet)
        log_warn("disk %s: %s: %s", d->name, d->program, words);
}

/* ---- from nothing to a connection ---- */

static int make_dir(struct storage_daemon *d)
{
    const char *tmp = getenv("TMPDIR");
    int bytes = snprintf(d->dir, sizeof(d->dir), "%s/minivet-disk-XXXXXX",
                         tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (bytes < 0 || (size_t)bytes >= sizeof(d->dir)) {
        d->dir[0] = '\0';
        return fail(-ENAMETOOLONG, "disk %s: TMPDIR", d->name);
    }
    if (mkdtemp(d->dir) == NULL) {
        int err = fail(-errno, "disk %s: folder %s", d->name, d->dir);
        d->dir[0] = '\0';
        return err;
    }
    snprintf(d->pid_file, sizeof(d->pid_file), "%s/pid", d->dir);
    int fd = open(d->pid_file, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(-errno, "disk %s: %s", d->name, d->pid_file);
    close(fd); /* the daemon may write to it, and make none */
    return 0;
}

static int start(struct storage_daemon *d)
{
    int listener = -1, connection = -1;
    bool reported = false;
    int err = make_dir(d);
    if (err == 0)
        err = make_sockets(d, &listener, &connection);
    if (err != 0) {
        storage_daemon_end(d, false);
        return err;
    }
    err = storage_daemon_spawn(d, listener, &reported);
    close(listener); /* the daemon's alone: with it the connection ends */
    if (err == 0)
        return connection;
    if (!reported)
        err = report_start(d, err);
    close(connection);
    storage_daemon_end(d, false);
    return err;
}

static bool is_open(const struct bucket *b, unsigned burst, unsigned seconds, uint64_t now_ns)
{
    return bucket_opens_ns(b, (burst - 1) * seconds * NS_PER_S) <= now_ns;
}

static bool may_start(const struct storage_daemon *d, uint64_t now_ns)
{
    return is_open(&d->starts, STORAGE_DAEMON_STARTS, STORAGE_DAEMON_START_S, now_ns);
}

static bool may_report(struct storage_daemon *d, uint64_t now_ns)
{
    if (!is_open(&d->reports, REPORTS, REPORT_S, now_ns))
        return false;
    bucket_spend(&d->reports, REPORT_S, now_ns);
    return true;
}

static bool is_cancelled(const struct storage_daemon *d)
{
    struct pollfd p[2] = {
        {.fd = d->cancel_fd, .events = POLLIN},
        {.fd = d->until_fd, .events = POLLIN},
    };
    return poll(p, 2, 0) > 0;
}

int storage_daemon_connect_until(void *ctx, int cancel_fd)
{
    struct storage_daemon *d = ctx;
    may_block();
    d->until_fd = cancel_fd;
    uint64_t now = clock_now_ns(d->clock);
    if (is_cancelled(d))
        return -ECANCELED;
    if (d->pid == 0 && !may_start(d, now))
        return -EAGAIN;
    d->quiet = !may_report(d, now);
    report_end(d);
    int err = storage_daemon_end(d, true);
    if (err != 0)
        return err;
    if (!may_start(d, now))
        return -EAGAIN;
    bucket_spend(&d->starts, STORAGE_DAEMON_START_S, now);
    return start(d);
}

int storage_daemon_connect(void *ctx)
{
    return storage_daemon_connect_until(ctx, -1);
}

void storage_daemon_cancel(struct storage_daemon *d)
{
    uint64_t one = 1;
    (void)!write(d->cancel_fd, &one, sizeof(one));
}

/* ---- life ---- */

/* The program with its folder; NULL: it is not there, or there is no memory. */
static char *find_program(const char *program)
{
    char path[4096];
    if (strchr(program, '/') != NULL)
        return access(program, X_OK) == 0 ? strdup(program) : NULL;
    for (const char *at = getenv("PATH"); at != NULL && *at != '\0';) {
        size_t bytes = strcspn(at, ":");
        int n = snprintf(path, sizeof(path), "%.*s/%s", (int)bytes, at, program);
        if (n > 0 && (size_t)n < sizeof(path) && access(path, X_OK) == 0)
            return strdup(path);
        at += bytes + (at[bytes] == ':');
    }
    return NULL;
}

/* Numbers below 3 become the daemon's standard streams, and shall not be an image's. */
static int fill_stdio(const char *name)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return fail(-errno, "disk %s: open /dev/null", name);
    close(fd);
    return 0;
}

static int open_images(struct image_chain *chain, const struct storage_daemon_config *config)
{
    int err = fill_stdio(config->name);
    if (err != 0)
        return err;
    err = image_chain_open(chain, &(struct image_chain_config){
                                      .name = config->name,
                                      .path = config->path,
                                      .format = config->unchecked ? "raw" : config->format,
                                      .read_only = config->read_only,
                                      .backing = config->backing,
                                  });
    if (err == 0 && config->unchecked)
        snprintf(chain->links[0].format, sizeof(chain->links[0].format), "%s", config->format);
    return err;
}

int storage_daemon_create(struct storage_daemon **out, const struct storage_daemon_config *config)
{
    const char *program = config->program != NULL ? config->program : STORAGE_DAEMON_PROGRAM;
    char *path = find_program(program);
    if (path == NULL)
        return fail_msg(-ENOENT, "disk %s: format %s needs %s: apt-get install qemu-system-common",
                        config->name, config->format, program);
    struct storage_daemon *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        free(path);
        return fail(-ENOMEM, "disk %s", config->name);
    }
    *d = (struct storage_daemon){
        .name = strdup(config->name),
        .program = path,
        .clock = config->clock != NULL ? config->clock : &clock_host,
        .read_only = config->read_only,
        .unconfined = config->unconfined,
        .queues = config->queues,
        .guest_bytes = config->guest_bytes,
        .cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .until_fd = -1,
        .pid_fd = -1,
        .said_fd = -1,
        .starts = {.per_s = 1},
        .reports = {.per_s = 1},
    };
    int err = d->name == NULL || d->cancel_fd < 0 ? fail(-errno, "disk %s", config->name) : 0;
    if (err == 0)
        err = open_images(&d->chain, config);
    if (err == 0 && (d->blockdev = storage_daemon_blockdev(config, &d->chain)) == NULL)
        err = fail(-ENOMEM, "disk %s", config->name);
    if (err != 0) {
        storage_daemon_destroy(d);
        return err;
    }
    if (!config->unconfined && !confine_restricts_files())
        log_info("disk %s: this kernel has no Landlock: %s may open other files", d->name, program);
    *out = d;
    return 0;
}

void storage_daemon_destroy(struct storage_daemon *d)
{
    if (d == NULL)
        return;
    may_block();
    storage_daemon_end(d, false);
    image_chain_close(&d->chain);
    if (d->cancel_fd >= 0)
        close(d->cancel_fd);
    free(d->name);
    free(d->program);
    cJSON_free(d->blockdev);
    free(d);
}
