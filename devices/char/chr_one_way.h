// SPDX-License-Identifier: BSD-2-Clause
/*
 * One direction of a descriptor that the process was given: its standard input for the guest to
 * read, or its standard output or error for the guest to write.
 *
 * Nothing is kept here: what the outside does not take is refused, and what the device does not ask
 * for is not read. Neither blocks the loop, and the descriptor's own flags are left alone. SIGPIPE
 * is ignored from create on.
 *
 * The device is not told of an end: it is the owner's, who counts the bytes.
 */
#ifndef MINIVET_DEVICES_CHR_ONE_WAY_H
#define MINIVET_DEVICES_CHR_ONE_WAY_H

#include <stdbool.h>
#include <stdint.h>

struct chr_backend;
struct evloop;

struct chr_one_way_config {
    struct evloop *loop;
    const char *name; /* for messages; outlives the backend */
    int fd;           /* the caller's; one that is closed is a stream of nothing */
    bool to_guest;
    /* So many bytes went to or came from the device, since the beginning; on the loop. */
    void (*on_moved)(void *ctx, uint64_t bytes);
    /* There is no more input, or output has no reader any more: what the device writes is dropped.
     */
    void (*on_end)(void *ctx);
    void *ctx;
};

/* Errors are reported. Destroyed through its ops. */
int chr_one_way_create(struct chr_backend **out, const struct chr_one_way_config *config);

#endif
