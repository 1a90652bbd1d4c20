// SPDX-License-Identifier: BSD-2-Clause
/* Control messages (VIRTIO 1.4 5.3.6.2): what driver and device tell each other of ports. */
#include <string.h>

#include "core/base/le.h"
#include "virtio/console/console_impl.h"

/* ---- to the driver ---- */

/* The port whose turn it is among those with news; NULL: there are none. */
static struct console_port *next_port(struct virtio_console *con)
{
    for (unsigned i = 0; i < con->port_count; i++) {
        struct console_port *p = &con->ports[(con->next + i) % con->port_count];
        if (p->news != 0)
            return p;
    }
    return NULL;
}

/* False: the buffer is too short. */
static bool put_news(const struct console_port *p, enum console_news news, struct iobuf *wr)
{
    static const struct {
        uint16_t event, value;
    } as[NEWS_COUNT] = {
        [NEWS_REMOVE] = {VIRTIO_CONSOLE_DEVICE_REMOVE, 1},
        [NEWS_ADD] = {VIRTIO_CONSOLE_DEVICE_ADD, 1},
        [NEWS_CONSOLE] = {VIRTIO_CONSOLE_CONSOLE_PORT, 1},
        [NEWS_SIZE] = {VIRTIO_CONSOLE_RESIZE, 0},
        [NEWS_NAME] = {VIRTIO_CONSOLE_PORT_NAME, 1},
        [NEWS_GONE] = {VIRTIO_CONSOLE_PORT_OPEN, 0},
        [NEWS_HERE] = {VIRTIO_CONSOLE_PORT_OPEN, 1},
    };
    uint8_t message[VIRTIO_CONSOLE_CONTROL_BYTES + VIRTIO_CONSOLE_NAME_BYTES];
    size_t len = VIRTIO_CONSOLE_CONTROL_BYTES;
    le32_put(message + VIRTIO_CONSOLE_CONTROL_id, p->id);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_event, as[news].event);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_value, as[news].value);
    if (news == NEWS_SIZE) {
        le16_put(message + len, p->backend->columns);
        le16_put(message + len + 2, p->backend->rows);
        len += 4;
    } else if (news == NEWS_NAME) {
        size_t bytes = strlen(p->name);
        memcpy(message + len, p->name, bytes);
        len += bytes;
    }
    if (wr->left < len)
        return false;
    iobuf_put(wr, message, len);
    return true;
}

void console_tell(struct virtio_console *con)
{
    struct console_port *p;
    while ((p = next_port(con)) != NULL) {
        struct vq_chain *chain = virtio_queue_next(&con->dev, VIRTIO_CONSOLE_CONTROL_RX);
        if (chain == NULL)
            return;
        con->next = p->id + 1;
        enum console_news news = (enum console_news)__builtin_ctz(p->news);
        if (put_news(p, news, &chain->wr)) {
            p->news &= ~(1u << news);
            p->is |= news == NEWS_ADD ? PORT_IS_ADDED : 0;
        } else {
            log_guest(&con->dev.guest_errors, "virtio %s: a control buffer of %llu bytes",
                      con->dev.setup.name, (unsigned long long)chain->wr.left);
        }
        virtio_queue_push(&con->dev, VIRTIO_CONSOLE_CONTROL_RX, chain);
    }
}

void console_news(struct console_port *p, enum console_news news)
{
    if ((p->is & PORT_IS_READY) == 0)
        return;
    if (news == NEWS_GONE)
        p->news &= ~(1u << NEWS_HERE);
    p->news |= 1u << news;
    virtio_queue_serve_later(&p->con->dev, VIRTIO_CONSOLE_CONTROL_RX);
}

void console_size_news(struct console_port *p)
{
    if (p->is_console && p->backend->columns != 0 &&
        virtio_device_has(&p->con->dev, VIRTIO_CONSOLE_F_SIZE))
        console_news(p, NEWS_SIZE);
}

/* Before the driver asks which ports there are, which it does once, it is told of none. */
void console_port_added(struct console_port *p)
{
    const struct console_port *first = &p->con->ports[0];
    if ((first->is & PORT_IS_ADDED) == 0 && (first->news & 1u << NEWS_ADD) == 0)
        return;
    p->news |= 1u << NEWS_ADD;
    virtio_queue_serve_later(&p->con->dev, VIRTIO_CONSOLE_CONTROL_RX);
}

/* News of a port that has gone are none. */
void console_port_removed(struct console_port *p)
{
    unsigned told = (p->is & PORT_IS_ADDED) != 0 ? 1u << NEWS_REMOVE : p->news & 1u << NEWS_REMOVE;
    p->is = 0;
    p->news = told;
    virtio_queue_serve_later(&p->con->dev, VIRTIO_CONSOLE_CONTROL_RX);
}

/* ---- from the driver ---- */

/* It has heard of the port: now it is told what the port is. */
static void ready(struct console_port *p)
{
    p->is |= PORT_IS_READY;
    if (p->is_console)
        console_news(p, NEWS_CONSOLE);
    console_size_news(p);
    if (p->name != NULL)
        console_news(p, NEWS_NAME);
    if (!p->backend->is_away)
        console_news(p, NEWS_HERE);
}

static void hear(struct virtio_console *con, uint32_t id, uint16_t event, uint16_t value)
{
    struct console_port *p = id < con->port_count ? &con->ports[id] : NULL;
    bool is_known = p != NULL && p->backend != NULL && (p->is & PORT_IS_ADDED) != 0;
    if (event == VIRTIO_CONSOLE_DEVICE_READY && value != 0) {
        for (p = con->ports; p < con->ports + con->port_count; p++)
            if (p->backend != NULL && (p->is & PORT_IS_ADDED) == 0)
                p->news |= 1u << NEWS_ADD;
        virtio_queue_serve_later(&con->dev, VIRTIO_CONSOLE_CONTROL_RX);
    } else if (event == VIRTIO_CONSOLE_PORT_READY && is_known && value != 0) {
        ready(p);
    } else if (event == VIRTIO_CONSOLE_PORT_OPEN && is_known) {
        p->is = (p->is & ~(unsigned)PORT_IS_OPEN) | (value != 0 ? PORT_IS_OPEN : 0);
        console_port_changed(p);
    } else {
        log_guest(&con->dev.guest_errors, "virtio %s: control message %u, value %u, of port %u",
                  con->dev.setup.name, event, value, id);
    }
}

void console_hear(struct virtio_console *con)
{
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(&con->dev, VIRTIO_CONSOLE_CONTROL_TX)) != NULL) {
        uint8_t m[VIRTIO_CONSOLE_CONTROL_BYTES];
        if (iobuf_get(&chain->rd, m, sizeof(m)) == sizeof(m))
            hear(con, le32_get(m + VIRTIO_CONSOLE_CONTROL_id),
                 le16_get(m + VIRTIO_CONSOLE_CONTROL_event),
                 le16_get(m + VIRTIO_CONSOLE_CONTROL_value));
        else
            log_guest(&con->dev.guest_errors, "virtio %s: a control message without an end",
                      con->dev.setup.name);
        virtio_queue_push(&con->dev, VIRTIO_CONSOLE_CONTROL_TX, chain);
    }
}
