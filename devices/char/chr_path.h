// SPDX-License-Identifier: BSD-2-Clause
/*
 * The other end of a port on the host, at a path: a UNIX socket, a file, a pair of FIFOs, a new
 * pseudo-terminal; or nothing.
 *
 * A socket has one process at its other end at a time, of this user or of root, which may go and
 * come back; in between the backend is away. The other kinds are always there.
 *
 * Nothing is kept here: what the outside does not take is refused, and what the device does not ask
 * for stays with the kernel.
 */
#ifndef MINIVET_DEVICES_CHR_PATH_H
#define MINIVET_DEVICES_CHR_PATH_H

struct chr_backend;
struct clock;
struct evloop;

enum chr_path_kind {
    CHR_LISTEN, /* a socket to which a process connects; others wait for it to leave */
    CHR_SOCKET, /* a socket at which a process listens, tried again until one does */
    CHR_FILE,   /* what the guest writes is added to it */
    CHR_PIPE,   /* FIFOs: PATH.in to the guest, PATH.out from it */
    CHR_PTY,    /* PATH becomes a link to the terminal */
    CHR_NULL,   /* takes all, and gives nothing */
};

struct chr_path_config {
    struct evloop *loop;
    const struct clock *clock; /* the loop's */
    const char *name;          /* for messages */
    enum chr_path_kind kind;
    const char *path; /* outlives the backend, as the name does */
};

/* Errors are reported. Destroyed through its ops. */
int chr_path_create(struct chr_backend **out, const struct chr_path_config *config);

/*
 * The same in two steps, for a loop that runs: to open a path may take its time, and is for a
 * thread that is no loop's; the loop is not touched, and may be NULL. Then it is the loop's, until
 * it stops; before and after that it may be destroyed on any thread.
 */
int chr_path_open(struct chr_backend **out, const struct chr_path_config *config);
void chr_path_start(struct chr_backend *b, struct evloop *loop);
void chr_path_stop(struct chr_backend *b); /* on the loop; the device has let go of it */

#endif
