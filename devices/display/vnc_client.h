// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client of the VNC server. The library would wait for a client in the middle of a message, and
 * all other clients with it. So it does not get the client's socket, but a file in memory, to which
 * only whole messages are written, and which takes all that the library writes:
 *
 *     socket --> in[]: is a message complete? --> file --> rfbProcessClientMessage()
 *     socket <-- out: what it does not take at once <-- file <-- that, and rfbUpdateClient()
 *
 * The next update is made when the last one is sent, so that no more than one is in memory.
 */
#ifndef MINIVET_DEVICES_VNC_CLIENT_H
#define MINIVET_DEVICES_VNC_CLIENT_H

#include <rfb/rfb.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/display/vnc_calls.h"

/* A client that does not finish its handshake or a message, or reads nothing, for so long is
 * disconnected. */
#define VNC_CLIENT_WAIT_NS UINT64_C(10000000000)
/* The longest: SetDesktopSize with 255 screens; 1023 encodings. */
#define VNC_CLIENT_IN_BYTES 4096u
/* A picture is sent in slices of so many bytes before they are encoded. */
#define VNC_CLIENT_SLICE     (4u << 20)
#define VNC_CLIENT_OUT_BYTES (2 * VNC_CLIENT_SLICE) /* above this no message is read */

struct vnc_client {
    rfbClientPtr rfb; /* NULL: the library has closed it, and its last words are being sent */
    int fd;           /* the socket; -1: free */
    int file;         /* what the library has in its place */
    bool is_unix;
    bool has_ended; /* nothing more is to be sent: close it */
    uint8_t in[VNC_CLIENT_IN_BYTES];
    size_t in_bytes;
    uint64_t skip; /* bytes of a clipboard that are still to come */
    uint8_t *out;
    size_t out_room, out_bytes, out_sent;
    uint64_t in_since_ns, out_since_ns; /* when what it waits for began */
};

/* Takes the socket fd, which is closed if this fails. Sets neither clientData nor the hooks. */
bool vnc_client_open(struct vnc_client *c, const struct vnc_calls *calls, rfbScreenInfoPtr screen,
                     int fd, bool is_unix, uint64_t now_ns);
void vnc_client_close(struct vnc_client *c, const struct vnc_calls *calls);

/* It has not shown the password, or is not as far as to be asked for one. */
bool vnc_client_is_new(const struct vnc_client *c);

/* What poll(2) is to wait for; and is there something that must not take too long? */
short vnc_client_events(const struct vnc_client *c);
bool vnc_client_is_timed(const struct vnc_client *c);

/* Reads, handles messages, sends; closes the client when that is due. Never waits. */
void vnc_client_turn(struct vnc_client *c, const struct vnc_calls *calls, uint64_t now_ns);

#endif
