// SPDX-License-Identifier: BSD-2-Clause
/* What the console's files share. */
#ifndef MINIVET_VIRTIO_CONSOLE_IMPL_H
#define MINIVET_VIRTIO_CONSOLE_IMPL_H

#include "core/base/xmath.h"
#include "core/ports/chr.h"
#include "virtio/base/device.h"
#include "virtio/console/console.h"
#include "virtio/spec.h"

/* What the driver has yet to be told of a port, as bits, in their order. */
enum console_news {
    NEWS_REMOVE, /* of the port that was there before */
    NEWS_ADD,
    NEWS_CONSOLE,
    NEWS_SIZE,
    NEWS_NAME,
    NEWS_GONE, /* nobody is at the other end any more; what follows may be that somebody is */
    NEWS_HERE,
    NEWS_COUNT,
};

/* What driver and device have said of a port. */
enum {
    PORT_IS_ADDED = 1,
    PORT_IS_READY = 2, /* the driver knows it */
    PORT_IS_OPEN = 4,  /* somebody in the guest wants its input */
    PORT_IS_ALL = 7,
};

struct console_port {
    struct virtio_console *con;
    unsigned id;
    const char *name; /* NULL: it has none */
    bool is_console;
    struct chr_backend *backend; /* NULL: the place is free */
    struct chr_handler handler;
    struct vq_chain *tx; /* being written out, or NULL */
    uint64_t tx_done;    /* bytes of the next one that were written before it was loaded */
    struct vq_chain *rx; /* waits for bytes from outside, or NULL: the guest asked for none */
    unsigned is;         /* PORT_IS_... */
    unsigned news;       /* 1 << NEWS_... */
};

struct virtio_console {
    struct virtio_device dev;
    unsigned next; /* the port whose news are next */
    uint8_t config[VIRTIO_CONSOLE_CONFIG_BYTES];
    unsigned port_count; /* places, of which some are free */
    struct console_port ports[];
};

static inline bool console_has_control(const struct virtio_console *con)
{
    return virtio_device_has(&con->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- console_control.c ---- */

/* Chains of the control queues. */
void console_hear(struct virtio_console *con);
void console_tell(struct virtio_console *con);

/* The place has a port, or has one no more. */
void console_port_added(struct console_port *p);
void console_port_removed(struct console_port *p);

/* The port's backend has another size, or another one or nobody at its other end. */
void console_news(struct console_port *p, enum console_news news);
/* Its size, if it has one that the driver wants to hear. */
void console_size_news(struct console_port *p);

/* ---- console.c ---- */

/* The driver wants the port's input, or does so no more. */
void console_port_changed(struct console_port *p);

#endif
