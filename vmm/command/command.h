// SPDX-License-Identifier: BSD-2-Clause
/*
 * A command of the user's that runs in the guest: its streams are ports of the virtio console, and
 * a program of Minivet's (guest-images/command), in an archive before the user's initrd, runs it.
 * protocol.h is what the two tell each other.
 *
 * If standard input and output are a terminal the command gets one of its own, and Minivet's is
 * raw. Else each stream is carried for itself, with its end. What the kernel prints is kept apart.
 *
 * The guest may say what it likes: a message changes a few numbers here, and how the run ends.
 */
#ifndef MINIVET_VMM_COMMAND_H
#define MINIVET_VMM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chr_backend;
struct command;
struct cpio;
struct evloop;
struct virtio_console_port;
struct vm_config;

#define COMMAND_PORTS_MAX 4u

struct command_config {
    struct evloop *loop;
    const struct vm_config *vm;                         /* which has a command */
    void (*on_end)(void *ctx, int status);              /* all of its output is written */
    void (*on_quit)(void *ctx), (*on_power)(void *ctx); /* as chr_stdio.h has them */
    void (*on_console)(void *ctx, const uint8_t *data, size_t len); /* what the kernel prints */
    void *ctx;
};

/* Errors are reported. Before the loop runs. */
int command_create(struct command **out, const struct command_config *config);
/* After the devices. NULL is allowed. */
void command_destroy(struct command *c);

/* Its ports, at most COMMAND_PORTS_MAX, whose backends stay the command's; how many. */
unsigned command_ports(const struct command *c, struct virtio_console_port *ports);
/* What the kernel prints goes there. */
struct chr_backend *command_console(struct command *c);
/* What the kernel gets before the user's initrd; the command's. */
const void *command_archive(const struct command *c, size_t *bytes);
/* The kernel's command line, with the user's words in it; to be freed. NULL: no memory. */
char *command_cmdline(const struct command *c, const char *user);

/* The guest runs from now on: see chr_stdio_begin(). */
void command_begin(struct command *c);

/* On the loop. */
void command_signal(struct command *c, int signo);
void command_resized(struct command *c);
void command_flush(struct command *c);

/* Any thread. */
bool command_has_begun(const struct command *c);

/* ---- between its files ---- */

/* What the guest's half is told of the command: records of protocol.h. To be freed; NULL: reported.
 * columns 0: it has no terminal. Drivers that they name are added to the archive. */
char *command_records(const struct vm_config *vm, struct cpio *archive, uint16_t columns,
                      uint16_t rows, bool is_joined, size_t *bytes);

/* The guest's half. */
extern const uint8_t command_program[], command_program_end[];

#endif
