// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/storage_daemon.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fail.h"
#include "core/log.h"
#include "core/xmath.h"

#define PROGRAM    "qemu-storage-daemon"
#define START_MS   30000u /* hosts may be slow */
#define STOP_MS    10000u
#define DEATHS_MAX 5u
#define STABLE_NS  UINT64_C(60000000000) /* one that lived as long did not die young */
#define DIR_MAX    96u                   /* with a name in it, it fits into a socket's address */
#define SAID_MAX   1024u
#define LISTEN_FD  3 /* in the daemon */

struct storage_daemon {
    char *name, *program;
    char *blockdev, *export; /* arguments, JSON: no name of a file needs escaping */
    pid_t pid;               /* 0: none */
    int pid_fd;
    int said_fd; /* what it writes to stderr; it never waits for us to read that */
    uint64_t since_ns;
    unsigned deaths;
    char dir[DIR_MAX]; /* of the one that runs; empty: none */
};

/* ---- arguments ---- */

static bool is_block_device(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* The daemon does not fall back by itself where a file system refuses it. */
static bool can_be_direct(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static char *blockdev_json(const struct storage_daemon_config *c)
{
    cJSON *top = cJSON_CreateObject();
    cJSON_AddStringToObject(top, "driver", c->format);
    cJSON_AddStringToObject(top, "node-name", "disk");
    cJSON_AddBoolToObject(top, "read-only", c->read_only);
    if (!c->read_only)
        cJSON_AddStringToObject(top, "discard", "unmap");
    cJSON *file = cJSON_AddObjectToObject(top, "file");
    cJSON_AddStringToObject(file, "driver", is_block_device(c->path) ? "host_device" : "file");
    cJSON_AddStringToObject(file, "filename", c->path);
    cJSON_AddBoolToObject(file, "read-only", c->read_only);
    if (!c->read_only)
        cJSON_AddStringToObject(file, "discard", "unmap");
    cJSON *cache = cJSON_AddObjectToObject(file, "cache");
    cJSON_AddBoolToObject(cache, "direct", c->direct && can_be_direct(c->path));
    char *text = cJSON_PrintUnformatted(top);
    cJSON_Delete(top);
    return text;
}

static char *export_json(const struct storage_daemon_config *c)
{
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", LISTEN_FD);
    cJSON *top = cJSON_CreateObject();
    cJSON_AddStringToObject(top, "type", "vhost-user-blk");
    cJSON_AddStringToObject(top, "id", "disk");
    cJSON_AddStringToObject(top, "node-name", "disk");
    cJSON_AddBoolToObject(top, "writable", !c->read_only);
    cJSON_AddNumberToObject(top, "num-queues", c->queues != 0 ? c->queues : 1);
    cJSON *addr = cJSON_AddObjectToObject(top, "addr");
    cJSON_AddStringToObject(addr, "type", "fd");
    cJSON_AddStringToObject(addr, "str", fd);
    char *text = cJSON_PrintUnformatted(top);
    cJSON_Delete(top);
    return text;
}

/* ---- a private socket ---- */

/*
 * The daemon wants one that listens, which must be bound to a name. The name is in a folder of
 * ours, and gone as soon as we are connected.
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

/* ---- the process ---- */

/* Runs between fork and exec: calls that are safe there, and no return. */
static _Noreturn void become(char *const argv[], int listener, int said, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* what is typed at the terminal is not for it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    /* Out of the way of the numbers that are wanted. */
    listener = fcntl(listener, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
    said = fcntl(said, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
    if (null < 0 || listener < 0 || said < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(said, 2) < 0 || dup2(listener, LISTEN_FD) < 0)
        _exit(1);
    execvp(argv[0], argv);
    static const char no[] = "it cannot be run; apt-get install qemu-utils\n";
    (void)!write(2, no, sizeof(no) - 1);
    _exit(127);
}

static int spawn(struct storage_daemon *d, int listener)
{
    int said[2];
    char pid_file[sizeof(d->dir) + 8];
    snprintf(pid_file, sizeof(pid_file), "%s/pid", d->dir);
    char *argv[] = {d->program, "--blockdev", d->blockdev, "--export",
                    d->export,  "--pidfile",  pid_file,    NULL};
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail(-errno, "disk %s: pipe", d->name);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(argv, listener, said[1], parent);
    int err = pid < 0 ? -errno : 0;
    close(said[1]);
    if (err == 0) {
        d->pid = pid;
        d->said_fd = said[0];
        d->pid_fd = pidfd_open(pid, 0);
        err = d->pid_fd < 0 ? -errno : 0;
    } else {
        close(said[0]);
    }
    return err != 0 ? fail(err, "disk %s: start %s", d->name, d->program) : 0;
}

static bool wait_dead(const struct storage_daemon *d, int ms)
{
    struct pollfd p = {.fd = d->pid_fd, .events = POLLIN};
    return d->pid_fd < 0 || poll(&p, 1, ms) > 0;
}

static void skip_prefix(const char **line, const char *prefix)
{
    if (strncmp(*line, prefix, strlen(prefix)) == 0)
        *line += strlen(prefix);
}

/* The last line that it said, without its own name and arguments; an empty string: nothing. */
static void last_words(const struct storage_daemon *d, char *out, size_t bytes)
{
    char said[SAID_MAX];
    ssize_t n = d->said_fd >= 0 ? read(d->said_fd, said, sizeof(said) - 1) : 0;
    said[n > 0 ? n : 0] = '\0';
    const char *line = "";
    for (const char *next = strtok(said, "\n"); next != NULL; next = strtok(NULL, "\n"))
        line = next;
    skip_prefix(&line, PROGRAM ": ");
    skip_prefix(&line, "--blockdev ");
    skip_prefix(&line, d->blockdev);
    skip_prefix(&line, ": ");
    snprintf(out, bytes, "%s", line);
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = '?';
}

/* The daemon needs the folder after it has written its pid file, too: it looks up where that is. */
static void remove_dir(struct storage_daemon *d)
{
    char pid_file[sizeof(d->dir) + 8];
    snprintf(pid_file, sizeof(pid_file), "%s/pid", d->dir);
    if (d->dir[0] == '\0')
        return;
    unlink(pid_file);
    rmdir(d->dir);
    d->dir[0] = '\0';
}

/* It writes all that it has been given, and closes the image. */
static void end_process(struct storage_daemon *d)
{
    if (d->pid == 0) {
        remove_dir(d);
        return;
    }
    kill(d->pid, SIGTERM);
    if (!wait_dead(d, STOP_MS)) {
        log_warn("disk %s: %s does not end: killed", d->name, d->program);
        kill(d->pid, SIGKILL);
    }
    while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (d->pid_fd >= 0)
        close(d->pid_fd);
    if (d->said_fd >= 0)
        close(d->said_fd);
    d->pid = 0;
    d->pid_fd = d->said_fd = -1;
    remove_dir(d);
}

/*
 * It writes its pid file when the image is open and served. 0, or -EIO: it died; -ETIMEDOUT.
 */
static int wait_ready(struct storage_daemon *d, int watch)
{
    uint64_t end_ns = clock_now_ns(&clock_host) + START_MS * UINT64_C(1000000);
    char pid_file[sizeof(d->dir) + 8];
    snprintf(pid_file, sizeof(pid_file), "%s/pid", d->dir);
    for (;;) {
        uint64_t now = clock_now_ns(&clock_host);
        struct pollfd p[2] = {
            {.fd = d->pid_fd, .events = POLLIN},
            {.fd = watch, .events = POLLIN},
        };
        struct stat st;
        if (stat(pid_file, &st) == 0 && st.st_size > 0)
            return 0;
        if (now >= end_ns)
            return -ETIMEDOUT;
        int n = poll(p, 2, (int)((end_ns - now) / 1000000 + 1));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && p[0].revents != 0)
            return -EIO;
        char events[4096];
        if (n > 0)
            (void)!read(watch, events, sizeof(events));
    }
}

/* ---- from nothing to a connection ---- */

static int report_start(struct storage_daemon *d, int err)
{
    char words[SAID_MAX];
    last_words(d, words, sizeof(words));
    if (err == -ETIMEDOUT)
        return fail_msg(err, "disk %s: %s does not get ready", d->name, d->program);
    return fail_msg(err, "disk %s: %s: %s", d->name, d->program,
                    words[0] != '\0' ? words : "it ended without a word");
}

static int start_watched(struct storage_daemon *d, int watch)
{
    int listener = -1, connection = -1;
    int err = make_sockets(d, &listener, &connection);
    if (err != 0)
        return err;
    err = spawn(d, listener);
    close(listener); /* the daemon's alone: with it the connection ends */
    if (err == 0) {
        err = wait_ready(d, watch);
        if (err != 0)
            err = report_start(d, err);
    }
    if (err != 0) {
        close(connection);
        return err;
    }
    return connection;
}

static int start(struct storage_daemon *d)
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
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int err = watch < 0 || inotify_add_watch(watch, d->dir, IN_CREATE | IN_MODIFY) < 0 ? -errno : 0;
    int connection =
        err != 0 ? fail(err, "disk %s: watch %s", d->name, d->dir) : start_watched(d, watch);
    if (watch >= 0)
        close(watch);
    if (connection < 0)
        end_process(d);
    d->since_ns = clock_now_ns(&clock_host);
    return connection;
}

int storage_daemon_connect(void *ctx)
{
    struct storage_daemon *d = ctx;
    bool again = d->since_ns != 0;
    if (again && clock_now_ns(&clock_host) - d->since_ns >= STABLE_NS)
        d->deaths = 0;
    if (d->deaths >= DEATHS_MAX)
        return -ENODEV;
    if (again && ++d->deaths == DEATHS_MAX)
        log_error("disk %s: %s fails again and again: this is its last start", d->name, d->program);
    if (d->pid != 0) {
        char words[SAID_MAX];
        last_words(d, words, sizeof(words));
        if (words[0] != '\0')
            log_warn("disk %s: %s: %s", d->name, d->program, words);
    }
    end_process(d);
    return start(d);
}

/* ---- life ---- */

static bool is_program(const char *dir, size_t dir_bytes, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%.*s/%s", (int)dir_bytes, dir, name);
    return n > 0 && (size_t)n < sizeof(path) && access(path, X_OK) == 0;
}

static bool is_there(const char *program)
{
    if (strchr(program, '/') != NULL)
        return access(program, X_OK) == 0;
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t bytes = strcspn(at, ":");
        if (is_program(at, bytes, program))
            return true;
        at += bytes + (at[bytes] == ':');
    }
    return false;
}

int storage_daemon_create(struct storage_daemon **out, const struct storage_daemon_config *config)
{
    const char *program = config->program != NULL ? config->program : PROGRAM;
    if (!is_there(program))
        return fail_msg(-ENOENT, "disk %s: format %s needs %s: apt-get install qemu-utils",
                        config->name, config->format, program);
    if (access(config->path, config->read_only ? R_OK : R_OK | W_OK) != 0)
        return fail(-errno, "disk %s: open", config->path);
    struct storage_daemon *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "disk %s", config->name);
    d->pid_fd = d->said_fd = -1;
    d->name = strdup(config->name);
    d->program = strdup(program);
    d->blockdev = blockdev_json(config);
    d->export = export_json(config);
    if (d->name == NULL || d->program == NULL || d->blockdev == NULL || d->export == NULL) {
        storage_daemon_destroy(d);
        return fail(-ENOMEM, "disk %s", config->name);
    }
    *out = d;
    return 0;
}

void storage_daemon_destroy(struct storage_daemon *d)
{
    if (d == NULL)
        return;
    end_process(d);
    free(d->name);
    free(d->program);
    cJSON_free(d->blockdev);
    cJSON_free(d->export);
    free(d);
}
