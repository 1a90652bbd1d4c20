// SPDX-License-Identifier: BSD-2-Clause
/*
 * The console as a pair of descriptors, normally standard input and output: a terminal, a pipe, a
 * file, a socket, or nothing.
 *
 * A terminal that is read is made raw, so that every key reaches the guest, but for the escape
 * sequences: Ctrl-A x quits, Ctrl-A p presses the power button, Ctrl-A h prints help, Ctrl-A Ctrl-A
 * or Ctrl-A a sends a Ctrl-A. They work even while the guest takes no input, and has the terminal
 * answer questions without end: of what is typed 64 KiB wait for the guest, then the terminal
 * waits, and the user who pastes into it; when the guest has taken next to nothing for five seconds
 * the rest is lost. In a pipe or a file every byte is the guest's.
 *
 * Neither direction ever blocks the loop. The descriptors' own flags are left alone, since the
 * shell and others share them: terminals and pipes are opened anew. Output that no reader takes is
 * held up to a bound and then refused; when the other end is gone it is dropped. SIGPIPE is
 * ignored from create on. The end of the input ends nothing else.
 */
#ifndef MINIVET_DEVICES_CHR_STDIO_H
#define MINIVET_DEVICES_CHR_STDIO_H

#include <stddef.h>
#include <stdint.h>

struct chr_backend;
struct clock;
struct evloop;

struct chr_stdio_config {
    struct evloop *loop;
    int in_fd, out_fd;           /* the caller's; one that is closed is a stream of nothing */
    void (*on_quit)(void *ctx);  /* Ctrl-A x was typed; on the loop */
    void (*on_power)(void *ctx); /* Ctrl-A p, likewise */
    /* What was taken of the guest's output; on the loop. NULL: it is not reported. */
    void (*on_output)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
    const struct clock *clock; /* the loop's; NULL: the host's */
};

/*
 * Errors are reported. Destroyed through its ops, which restores the terminal. A process has one
 * terminal: only the first backend that finds one makes it raw. While the process is in the
 * terminal's background it is left alone, with a warning, and there is no input.
 */
int chr_stdio_create(struct chr_backend **out, const struct chr_stdio_config *config);

/*
 * The guest runs from now on, and every key is its. Before, Ctrl-C is a signal as ever: nothing
 * reads what is typed while a machine is set up. Before the loop runs.
 */
void chr_stdio_begin(struct chr_backend *b);

/* The terminal's size may have changed (SIGWINCH). On the loop. */
void chr_stdio_resized(struct chr_backend *b);

/*
 * Makes the terminal what it was before. For every way out of the process: async-signal-safe, on
 * any thread, any number of times.
 */
void chr_stdio_restore_terminal(void);

#endif
