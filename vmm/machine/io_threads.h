// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event loops that serve devices: the main one, called "io", and one for each other name that a
 * device asks for (iothread=), made when it is first asked for.
 */
#ifndef MINIVET_VMM_IO_THREADS_H
#define MINIVET_VMM_IO_THREADS_H

#include <stddef.h>

#define IO_THREADS_MAIN "io"

struct evloop;
struct facts;
struct io_threads;
struct stats;
struct vm_config;

/* Both outlive the threads. Errors are reported, here and below. */
int io_threads_create(struct io_threads **out, struct evloop *main_loop,
                      const struct vm_config *vm);
void io_threads_destroy(struct io_threads *t); /* NULL is allowed */

/* The loop of that name: its first len bytes. */
int io_threads_get(struct io_threads *t, const char *name, size_t len, struct evloop **out);

/* All but the main loop's, which the machine runs. */
int io_threads_start(struct io_threads *t);
void io_threads_stop(struct io_threads *t);

/* On the main loop. Adds all of them. */
int io_threads_stats(struct io_threads *t, struct stats *s);

/* Any thread that is no loop's: names them, with their threads. */
void io_threads_describe(struct io_threads *t, struct facts *f);

#endif
