// SPDX-License-Identifier: BSD-2-Clause
/*
 * For tests/boot/vsock.sh and ports.sh, at both ends: many streams at a time, each byte of which is
 * checked.
 *
 * vsock echo ADDRESS                   listens, and sends back what comes, for ever
 * vsock drain ADDRESS                  likewise reads, and sends back how much it was
 * vsock load ADDRESS COUNT BYTES       so many connections at once, each of which sends so much,
 *                                      ends its half, and must read the same; says how fast
 * vsock pour ADDRESS BYTES             sends so much to one that drains; says how fast
 * vsock messages ADDRESS COUNT ROUNDS  on so many connections at once, in turns, messages of many
 *                                      sizes, which must come back as they were sent
 * vsock turns ADDRESS COUNT            one byte there and back; says the median
 * vsock say ADDRESS TEXT               a line there, and one back, which it prints
 *
 * ADDRESS: vsock:PORT (of the host's CID, or any to listen), cid:CID:PORT, unix:PATH,
 * connect:PATH:PORT; with seq- before it, of SOCK_SEQPACKET; port:PATH, of a console's port: its
 * other end has no end to tell
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK   65536u
#define MESSAGE 131072u /* at most */

static void die(const char *what)
{
    fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

union address {
    struct sockaddr any;
    struct sockaddr_vm vm;
    struct sockaddr_un un;
};

static int type_of(const char *text)
{
    return strncmp(text, "seq-", 4) == 0 ? SOCK_SEQPACKET : SOCK_STREAM;
}

/* Returns the length, and the port that a path's process is to be asked for, or 0. */
static socklen_t parse(const char *text, bool listens, union address *out, unsigned *port)
{
    *port = 0;
    memset(out, 0, sizeof(*out));
    text += type_of(text) == SOCK_SEQPACKET ? 4 : 0;
    if (strncmp(text, "vsock:", 6) == 0 || strncmp(text, "cid:", 4) == 0) {
        const char *number = strrchr(text, ':') + 1;
        out->vm.svm_family = AF_VSOCK;
        out->vm.svm_cid = listens          ? VMADDR_CID_ANY
                          : text[0] == 'c' ? (unsigned)atoi(text + 4)
                                           : VMADDR_CID_HOST;
        out->vm.svm_port = (unsigned)atoi(number);
        return sizeof(out->vm);
    }
    const char *path = strchr(text, ':') + 1, *end = path + strlen(path);
    if (strncmp(text, "connect:", 8) == 0) {
        end = strchr(path, ':');
        *port = (unsigned)atoi(end + 1);
    }
    out->un.sun_family = AF_UNIX;
    snprintf(out->un.sun_path, sizeof(out->un.sun_path), "%.*s", (int)(end - path), path);
    return sizeof(out->un);
}

static int open_to(const char *text)
{
    union address address;
    unsigned port;
    char line[32];
    socklen_t bytes = parse(text, false, &address, &port);
    int fd = socket(address.any.sa_family, type_of(text), 0);
    if (fd < 0 || connect(fd, &address.any, bytes) < 0)
        die(text);
    if (port == 0)
        return fd;
    int len = snprintf(line, sizeof(line), "CONNECT %u\n", port);
    if (write(fd, line, (size_t)len) != len)
        die("CONNECT");
    size_t piece = type_of(text) == SOCK_SEQPACKET ? sizeof(line) : 1;
    ssize_t n;
    for (len = 0; len == 0 || line[len - 1] != '\n'; len += (int)n)
        if (len == sizeof(line) || (n = read(fd, line + len, piece)) <= 0)
            die("no OK");
    if (strncmp(line, "OK ", 3) != 0)
        die("not OK");
    return fd;
}

static void write_all(int fd, const uint8_t *bytes, size_t len)
{
    for (ssize_t n; len > 0; bytes += n, len -= (size_t)n)
        if ((n = write(fd, bytes, len)) <= 0)
            die("write");
}

/* Echoes or, for one that pours, counts. */
static void answer(const char *text, bool echoes)
{
    static uint8_t bytes[MESSAGE];
    union address address;
    unsigned port;
    socklen_t len = parse(text, true, &address, &port);
    int listener = socket(address.any.sa_family, type_of(text), 0);
    if (listener < 0 || bind(listener, &address.any, len) < 0 || listen(listener, 1024) < 0)
        die(text);
    signal(SIGCHLD, SIG_IGN);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        if (fork() == 0) {
            uint64_t sum = 0;
            for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0; sum += (uint64_t)n)
                if (echoes)
                    write_all(fd, bytes, (size_t)n);
            if (!echoes)
                write_all(fd, (const uint8_t *)&sum, sizeof(sum));
            shutdown(fd, SHUT_WR);
            _exit(0);
        }
        close(fd);
    }
}

static uint8_t pattern(unsigned stream, uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251 + stream * 13);
}

struct stream {
    int fd;
    uint64_t sent, read;
    bool has_end;
};

static void send_some(struct stream *s, unsigned number, uint64_t bytes)
{
    uint8_t chunk[CHUNK / 4];
    uint64_t n = bytes - s->sent < sizeof(chunk) ? bytes - s->sent : sizeof(chunk);
    for (uint64_t i = 0; i < n; i++)
        chunk[i] = pattern(number, s->sent + i);
    ssize_t taken = send(s->fd, chunk, n, MSG_DONTWAIT);
    if (taken < 0 && errno != EAGAIN)
        die("send");
    s->sent += taken > 0 ? (uint64_t)taken : 0;
    if (s->sent == bytes && s->has_end)
        shutdown(s->fd, SHUT_WR);
}

/* False: it has ended. */
static bool read_some(struct stream *s, unsigned number, uint64_t bytes)
{
    static uint8_t chunk[CHUNK];
    ssize_t n = recv(s->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        die("recv");
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] == pattern(number, s->read + (uint64_t)i))
            continue;
        fprintf(stderr, "vsock: byte %llu of stream %u is wrong\n",
                (unsigned long long)s->read + (unsigned long long)i, number);
        exit(1);
    }
    s->read += n > 0 ? (uint64_t)n : 0;
    return n != 0 && (s->has_end || s->read < bytes);
}

static void load(const char *text, unsigned count, uint64_t bytes)
{
    struct stream *streams = calloc(count, sizeof(*streams));
    struct pollfd *polls = calloc(count, sizeof(*polls));
    if (streams == NULL || polls == NULL)
        die("calloc");
    uint64_t begin = now_ns();
    for (unsigned i = 0; i < count; i++)
        streams[i] =
            (struct stream){.fd = open_to(text), .has_end = strncmp(text, "port:", 5) != 0};
    double opened = (double)(now_ns() - begin) / 1e9;
    for (unsigned open = count; open > 0;) {
        for (unsigned i = 0; i < count; i++)
            polls[i] =
                (struct pollfd){streams[i].fd, POLLIN | (streams[i].sent < bytes ? POLLOUT : 0), 0};
        if (poll(polls, count, -1) < 0)
            die("poll");
        for (unsigned i = 0; i < count; i++) {
            if (polls[i].revents & POLLOUT)
                send_some(&streams[i], i, bytes);
            if (!(polls[i].revents & (POLLIN | POLLHUP | POLLERR)) ||
                read_some(&streams[i], i, bytes))
                continue;
            if (streams[i].read != bytes) {
                fprintf(stderr, "vsock: stream %u ended after %llu bytes\n", i,
                        (unsigned long long)streams[i].read);
                exit(1);
            }
            close(streams[i].fd);
            streams[i].fd = -1;
            open--;
        }
    }
    double all = (double)(now_ns() - begin) / 1e9;
    printf("%u streams of %llu bytes: right; opened in %.2f s, %.1f MiB/s each way\n", count,
           (unsigned long long)bytes, opened, (double)bytes * count / 1048576 / all);
}

static void pour(const char *text, uint64_t bytes)
{
    static uint8_t chunk[CHUNK];
    uint64_t begin = now_ns(), read_there = 0;
    int fd = open_to(text);
    for (uint64_t left = bytes; left > 0; left -= left < CHUNK ? left : CHUNK)
        write_all(fd, chunk, left < CHUNK ? left : CHUNK);
    shutdown(fd, SHUT_WR);
    if (recv(fd, &read_there, sizeof(read_there), MSG_WAITALL) != sizeof(read_there))
        die("no answer");
    if (read_there != bytes) {
        fprintf(stderr, "vsock: %llu of %llu bytes were read\n", (unsigned long long)read_there,
                (unsigned long long)bytes);
        exit(1);
    }
    printf("poured %llu bytes: %.1f MiB/s\n", (unsigned long long)bytes,
           (double)bytes / 1048576 / ((double)(now_ns() - begin) / 1e9));
}

/* Each of its bytes tells its number and its connection. */
static size_t make_message(uint8_t *bytes, unsigned number, unsigned conn)
{
    static const size_t sizes[] = {1, 4096, 100000, 3, 65536, 65537, 2, MESSAGE, 100, 9999};
    size_t len = sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(conn + number, i);
    return len;
}

/* Three short ones are under way at once, which must not become one. */
static void messages(const char *text, unsigned count, unsigned rounds)
{
    static uint8_t sent[MESSAGE], got[MESSAGE + 1];
    int *fds = calloc(count, sizeof(*fds));
    uint64_t begin = now_ns(), bytes = 0;
    for (unsigned i = 0; i < count; i++)
        fds[i] = open_to(text);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            write_all(fds[i], sent, make_message(sent, round, i));
            for (unsigned k = 0; k < 2; k++)
                write_all(fds[i], (const uint8_t *)"short", 5 - k);
        }
        for (unsigned i = 0; i < count; i++) {
            size_t len = make_message(sent, round, i);
            ssize_t n = recv(fds[i], got, sizeof(got), 0);
            if (n != (ssize_t)len || memcmp(got, sent, len) != 0) {
                fprintf(stderr, "vsock: message %u of connection %u: %zd of %zu bytes\n", round, i,
                        n, len);
                exit(1);
            }
            for (ssize_t k = 0; k < 2; k++)
                if (recv(fds[i], got, sizeof(got), 0) != 5 - k || memcmp(got, "shor", 4) != 0)
                    die("a short message");
            bytes += len + 9;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        shutdown(fds[i], SHUT_WR);
        if (recv(fds[i], got, sizeof(got), 0) != 0)
            die("no end of messages");
        close(fds[i]);
    }
    printf("%u messages on each of %u connections: right, %.1f MiB/s each way\n", 3 * rounds, count,
           (double)bytes / 1048576 / ((double)(now_ns() - begin) / 1e9));
}

static int compare(const void *a, const void *b)
{
    return *(const uint64_t *)a < *(const uint64_t *)b ? -1 : 1;
}

static void turns(const char *text, unsigned count)
{
    uint64_t *ns = calloc(count, sizeof(*ns));
    uint8_t byte = 0;
    int fd = open_to(text);
    for (unsigned i = 0; i < count; i++) {
        uint64_t begin = now_ns();
        write_all(fd, &byte, 1);
        if (read(fd, &byte, 1) != 1)
            die("read");
        ns[i] = now_ns() - begin;
    }
    qsort(ns, count, sizeof(*ns), compare);
    printf("a byte there and back: median %.1f us\n", (double)ns[count / 2] / 1000);
}

static void say(const char *text, const char *line)
{
    char byte = 0;
    int fd = open_to(text);
    write_all(fd, (const uint8_t *)line, strlen(line));
    write_all(fd, (const uint8_t *)"\n", 1);
    while (byte != '\n') {
        if (read(fd, &byte, 1) != 1)
            die("read");
        putchar(byte);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        answer(argv[2], true);
    else if (argc == 3 && strcmp(argv[1], "drain") == 0)
        answer(argv[2], false);
    else if (argc == 4 && strcmp(argv[1], "pour") == 0)
        pour(argv[2], strtoull(argv[3], NULL, 0));
    else if (argc == 5 && strcmp(argv[1], "load") == 0)
        load(argv[2], (unsigned)atoi(argv[3]), strtoull(argv[4], NULL, 0));
    else if (argc == 5 && strcmp(argv[1], "messages") == 0)
        messages(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    else if (argc == 4 && strcmp(argv[1], "turns") == 0)
        turns(argv[2], (unsigned)atoi(argv[3]));
    else if (argc == 4 && strcmp(argv[1], "say") == 0)
        say(argv[2], argv[3]);
    else
        return 2;
    return 0;
}
