// SPDX-License-Identifier: BSD-2-Clause
/*
 * Character port: a stream of bytes both ways, such as a terminal. Everything is called on the loop
 * that the backend was created for. (Implementations: devices/char.)
 */
#ifndef MINIVET_CORE_CHR_H
#define MINIVET_CORE_CHR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chr_backend;

/* The device's half. */
struct chr_handler {
    /* Bytes from outside. Called only while the device has asked for them by rx_enable(). */
    void (*on_rx)(void *ctx, const uint8_t *data, size_t len);
    /* write() can take bytes again, after it took fewer than it was offered. */
    void (*on_writable)(void *ctx);
    /* The outside's window size changed. May be NULL. */
    void (*on_resize)(void *ctx, uint16_t columns, uint16_t rows);
    /* is_away has changed. May be NULL. */
    void (*on_away)(void *ctx, bool is_away);
    void *ctx;
};

struct chr_backend_ops {
    /* Takes up to len bytes without blocking and returns how many. */
    size_t (*write)(struct chr_backend *b, const uint8_t *data, size_t len);
    /* How many bytes on_rx may bring at once from now on; 0 stops it. */
    void (*rx_enable)(struct chr_backend *b, size_t max);
    /* Writes out what it holds, for a bounded time: called when the machine ends. */
    void (*flush)(struct chr_backend *b);
    void (*destroy)(struct chr_backend *b);
};

/* handler is set by the device that takes the backend (one device a backend). */
struct chr_backend {
    const struct chr_backend_ops *ops;
    const struct chr_handler *handler;
    uint16_t columns, rows; /* 0 if it has no size */
    bool is_away;           /* nobody is at its other end: it is not to be written to */
};

#endif
