// SPDX-License-Identifier: BSD-2-Clause
/* Ports of the virtio console that come and go while the guest runs. */
#ifndef MINIVET_VMM_CONSOLE_H
#define MINIVET_VMM_CONSOLE_H

#include <stdint.h>

struct console;
struct console_end;
struct port_config;

/*
 * What is at the other end of a port. Any thread that is no loop's: a path may take its time. The
 * port's words are copied. Errors are reported.
 */
int console_end_open(struct console_end **out, const struct port_config *port);
void console_end_close(struct console_end *end); /* NULL is allowed */

/*
 * On the main loop. The end is the console's until it is removed. -ENODEV: the console has no ports
 * (--port); -EBUSY: it is recorded; -ENOSPC: there is no place for more; -EEXIST: there is a port
 * of that name.
 */
int console_add(struct console *c, struct console_end *end);
/* Likewise; the end is the caller's. -EBUSY; -ENOENT: there is no such port. */
int console_remove(struct console *c, const char *name, struct console_end **out);
/* Likewise: virtio_console_resize_port(). */
int console_resize(struct console *c, const char *name, uint16_t columns, uint16_t rows);
void console_each_port(const struct console *c,
                       void (*each)(void *ctx, const struct port_config *port), void *ctx);

#endif
