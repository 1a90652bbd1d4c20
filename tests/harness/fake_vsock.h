// SPDX-License-Identifier: BSD-2-Clause
/* Processes of the host for a socket device: what they write and read is in memory. */
#ifndef MINIVET_TESTS_HARNESS_FAKE_VSOCK_H
#define MINIVET_TESTS_HARNESS_FAKE_VSOCK_H

#include "core/loop/evloop.h"
#include "core/ports/vsock.h"

#define FAKE_VSOCK_STREAMS  8u
#define FAKE_VSOCK_BYTES    (512u * 1024)
#define FAKE_VSOCK_MESSAGES 1024u /* of a process, and those whose lengths are kept */
#define FAKE_VSOCK_NOBODY   99u   /* a port of the host at which no process listens */

struct fake_stream {
    struct vsock_stream s;
    struct fake_vsock *v;
    bool used; /* until it is closed, after which the rest stays for a look */
    uint32_t host_port;
    size_t in_bytes, in_done;
    bool in_end;        /* and then no more */
    int gone;           /* a negative errno of all that follows */
    uint64_t out_bytes; /* all that it has read */
    uint64_t room;      /* how much more it reads */
    uint64_t refused;   /* that much room is too little for the message that waits */
    bool shut, closed, accepted;
    bool polls_in, polls_out;
    unsigned in_count, in_taken, out_count; /* messages; 0 of a stream of bytes */
    uint8_t in[FAKE_VSOCK_BYTES];           /* what the process writes */
    uint8_t out[FAKE_VSOCK_BYTES];          /* the first of what it has read */
    uint32_t in_lengths[FAKE_VSOCK_MESSAGES], out_lengths[FAKE_VSOCK_MESSAGES];
};

struct fake_vsock {
    struct vsock_backend backend;
    struct evloop *loop;
    struct ev_defer turn;
    bool reads_nothing;          /* processes that come now have no room at first */
    struct fake_stream *streams; /* FAKE_VSOCK_STREAMS of them */
    unsigned opened, closed;     /* of all times */
    unsigned next;               /* in turns: what a closed one has is not gone at once */
};

void fake_vsock_init(struct fake_vsock *v, struct evloop *loop);
/* Zeroed is allowed. */
void fake_vsock_fini(struct fake_vsock *v);

/* A process asks for a port of the guest. NULL: refused. */
struct fake_stream *fake_vsock_ask(struct fake_vsock *v, uint32_t guest_port);
struct fake_stream *fake_vsock_ask_messages(struct fake_vsock *v, uint32_t guest_port);
/* The process writes; the bytes that had no room here are cut off. With messages, it is one. */
void fake_vsock_write(struct fake_stream *st, const void *bytes, size_t len);
/* No more; it is gone; it reads so much more. */
void fake_vsock_end(struct fake_stream *st);
void fake_vsock_leave(struct fake_stream *st);
void fake_vsock_read(struct fake_stream *st, uint64_t bytes);

#endif
