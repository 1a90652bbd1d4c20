// SPDX-License-Identifier: BSD-2-Clause
#include "init.h"

#define PROT_READ     1
#define PROT_WRITE    2
#define MAP_PRIVATE   2
#define MAP_ANONYMOUS 0x20
#define SEEK_END      2
#define MONOTONIC     1

void *memcpy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        ((volatile char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        ((volatile char *)to)[i] = (char)value;
    }
    return to;
}

// ---- the kernel

long open_file(const char *path, int flags)
{
    return CALL(openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

void close_file(int fd)
{
    CALL(close, fd, 0, 0, 0);
}

long read_text(const char *path, char *text, size_t room)
{
    long fd = open_file(path, O_RDONLY), n = fd;
    size_t used = 0;

    while (fd >= 0 && used < room - 1 &&
           (n = CALL(read, fd, text + used, room - 1 - used, 0)) > 0) {
        used += (size_t)n;
    }
    if (fd >= 0) {
        close_file((int)fd);
    }
    if (used > 0 && text[used - 1] == '\n') {
        used--;
    }
    text[used] = '\0';
    return n < 0 ? n : (long)used;
}

const char *map_file(const char *path, size_t *bytes)
{
    long fd = open_file(path, O_RDONLY);
    long size = fd < 0 ? fd : CALL(lseek, fd, 0, SEEK_END, 0);
    long at = size <= 0 ? -ENODATA : CALL6(mmap, 0, size, PROT_READ, MAP_PRIVATE, fd, 0);

    if (fd >= 0) {
        close_file((int)fd);
    }
    *bytes = (size_t)size;
    return at < 0 && at > -4096 ? NULL : (const char *)at;
}

void *get_memory(size_t bytes)
{
    long at = CALL6(mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at < 0 && at > -4096) {
        give_up("there is no memory for the command", NULL, NULL);
    }
    return (void *)at;
}

long poll_for(struct poll_fd *fds, unsigned count, long timeout_ms)
{
    long time[2] = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};

    return CALL5(ppoll, fds, count, timeout_ms < 0 ? NULL : time, NULL, 0);
}

void sleep_ms(long ms)
{
    poll_for(NULL, 0, ms);
}

long now_ms(void)
{
    long time[2] = {0, 0};

    CALL(clock_gettime, MONOTONIC, time, 0, 0);
    return time[0] * 1000 + time[1] / 1000000;
}

bool each_name(const char *folder, bool (*visit)(void *ctx, const char *name), void *ctx)
{
    struct {
        uint64_t inode, next;
        unsigned short bytes;
        unsigned char type;
        char name[];
    } * entry;
    char room[2048] __attribute__((aligned(8)));
    long fd = open_file(folder, O_RDONLY | O_DIRECTORY), n = 0;
    bool stops = false;

    while (fd >= 0 && !stops && (n = CALL(getdents64, fd, room, sizeof(room), 0)) > 0) {
        for (long at = 0; at < n && !stops; at += entry->bytes) {
            entry = (void *)(room + at);
            stops = entry->name[0] != '.' && visit(ctx, entry->name);
        }
    }
    if (fd >= 0) {
        close_file((int)fd);
    }
    return stops;
}

// ---- texts

size_t length(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0') {
        n++;
    }
    return n;
}

bool begins(const char *text, const char *with)
{
    while (*with != '\0' && *text == *with) {
        text++;
        with++;
    }
    return *with == '\0';
}

bool equal(const char *a, const char *b)
{
    return begins(a, b) && length(a) == length(b);
}

void join(char *out, size_t room, const char *a, const char *b, const char *c, const char *d)
{
    const char *texts[] = {a, b, c, d};
    size_t used = 0;

    for (unsigned i = 0; i < 4; i++) {
        for (const char *from = texts[i]; from != NULL && *from != '\0' && used < room - 1;
             from++) {
            out[used++] = *from;
        }
    }
    out[used] = '\0';
}

unsigned long number(const char **text)
{
    unsigned long n = 0;

    for (; **text >= '0' && **text <= '9'; (*text)++) {
        n = n * 10 + (unsigned long)(**text - '0');
    }
    return n;
}

void number_text(char out[24], long value)
{
    char digits[24];
    unsigned n = 0, used = 0;
    unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;

    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        out[used++] = '-';
    }
    while (n > 0) {
        out[used++] = digits[--n];
    }
    out[used] = '\0';
}

// ---- messages

void say_to(int fd, const char *a, const char *b, const char *c)
{
    char line[1024];

    join(line, sizeof(line) - 1, "minivet: ", a, b, c);
    join(line, sizeof(line), line, "\n", NULL, NULL);
    CALL(write, fd, line, length(line), 0);
}

void say(const char *a, const char *b, const char *c)
{
    long fd = open_file("/dev/console", O_WRONLY | O_NOCTTY);

    if (fd < 0) {
        fd = open_file("/dev/kmsg", O_WRONLY);
    }
    if (fd >= 0) {
        say_to((int)fd, a, b, c);
        CALL(ioctl, fd, 0x5409 /* TCSBRK: wait until it is out */, 1, 0);
        close_file((int)fd);
    }
}

// Not by power-off, which needs ACPI or the like.
void give_up(const char *a, const char *b, const char *c)
{
    say(a, b, c);
    for (;;) {
        CALL(reboot, 0xfee1dead, 672274793, 0x01234567 /* restart */, 0);
        sleep_ms(1000);
    }
}
