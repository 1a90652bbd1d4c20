// SPDX-License-Identifier: BSD-2-Clause
//
// The first program of a guest in which a command of Minivet's user runs: what its files share. It
// has no C library, so that it is small, static, and the same on every host.
//
// The steps, in their order: init.c mounts what programs expect and has the drivers loaded
// (modules.c), finds the ports that lead to Minivet (ports.c), changes to the root file system if
// there is one (root.c, host_root.c), runs the command (command.c), moves bytes until it has ended
// (serve.c), and says how it has ended.
#ifndef MINIVET_COMMAND_INIT_H
#define MINIVET_COMMAND_INIT_H

#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syscall.h"
#include "vmm/command/protocol.h"

#define PATH_BYTES 512
#define WAIT_MS    10000 // for devices, and for what drivers make of them

// ---- calls.c: of the kernel; negative is an errno

#define AT_FDCWD (-100)

#define CALL6(name, a, b, c, d, e, f) \
    syscall6(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(name, a, b, c, d)     CALL6(name, a, b, c, d, 0, 0)
#define CALL5(name, a, b, c, d, e) CALL6(name, a, b, c, d, e, 0)

struct poll_fd {
    int fd; // negative: it is not looked at
    short events, seen;
};

long open_file(const char *path, int flags);
void close_file(int fd);
// All of a small file, with a NUL behind it; how many bytes, without a newline at the end.
long read_text(const char *path, char *text, size_t room);
// A whole file, and its size; NULL: it cannot be read, or is empty.
const char *map_file(const char *path, size_t *bytes);
void *get_memory(size_t bytes); // zero; ends the guest where there is none
long poll_for(struct poll_fd *fds, unsigned count, long timeout_ms); // negative: no end
void sleep_ms(long ms);
long now_ms(void);
// Of each name in a folder, until visit() returns true.
bool each_name(const char *folder, bool (*visit)(void *ctx, const char *name), void *ctx);

// ---- texts and bytes

void *memcpy(void *to, const void *from, size_t bytes); // the compiler calls these, too
void *memset(void *to, int value, size_t bytes);
size_t length(const char *text);
bool equal(const char *a, const char *b);
bool begins(const char *text, const char *with);
// Up to four texts behind each other, cut where `room` ends.
void join(char *out, size_t room, const char *a, const char *b, const char *c, const char *d);
unsigned long number(const char **text); // decimal; the text goes on behind it
void number_text(char out[24], long value);

// A line to the file descriptor: "minivet: ", then the texts; NULL is none.
void say_to(int fd, const char *a, const char *b, const char *c);
// Such a line on the kernel's console.
void say(const char *a, const char *b, const char *c);
// There, and the guest ends, which Minivet takes for an error.
__attribute__((noreturn)) void give_up(const char *a, const char *b, const char *c);

// ---- modules.c

// With those that it needs; one that is not there may be built into the kernel.
void load_module(const char *name);
void load_module_file(const char *path);
// The folder of this kernel's modules, for messages.
const char *module_folder(void);

// ---- ports.c

struct port {
    const char *name; // NULL: it is not wanted
    int fd;           // -1
};

// Waits for all of them, and opens them; they do not block.
void find_ports(struct port *ports, unsigned count);
// A file for a device, whose numbers are as /sys has them, "MAJOR:MINOR".
long make_node(const char *path, const char *numbers, unsigned kind);

// ---- root.c

#define NEW_ROOT "/" COMMAND_FOLDER "/root"

// What is mounted at NEW_ROOT becomes /, with the kernel's file systems of this one.
void enter_root(void);
// What root= names becomes /, if it is there.
void change_root(void);
// Nothing is left to be written, of any file system.
void end_file_systems(void);

// ---- host_root.c

struct command;
// The directory of the host's becomes /.
void enter_host_root(const struct command *c);

// ---- command.c

struct command {
    char **words, **variables; // each ends with NULL
    const char *folder;
    bool has_terminal, is_joined;
    uint16_t columns, rows;
    bool has_library;
    const char *root, *address, *note; // as COMMAND_IS_... say them; NULL: not said

    long process;
    int input, output, error; // the other ends of its streams; error: -1 if it is joined
};

// What the file of Minivet's says.
void read_command(struct command *c);
void start_command(struct command *c);
void set_size(const struct command *c, uint16_t columns, uint16_t rows);

// ---- serve.c

enum { PORT_CONTROL, PORT_OUTPUT, PORT_INPUT, PORT_ERROR, PORTS };

// Until the command has ended and all that it wrote is on its way to Minivet, which is told.
void serve(struct command *c, const struct port ports[PORTS]);

#endif
