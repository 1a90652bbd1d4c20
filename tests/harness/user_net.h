// SPDX-License-Identifier: BSD-2-Clause
/*
 * A user network with its guest, for the tests of libslirp: there is one at a time, so its parts
 * have no owner.
 */
#ifndef MINIVET_TESTS_HARNESS_USER_NET_H
#define MINIVET_TESTS_HARNESS_USER_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "devices/net/user/net_user_impl.h"
#include "tests/harness/fake.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/net_option.h"

extern struct evloop *loop;
extern struct net_backend *net;
extern struct guest vm;
extern struct net_user_config config;
extern uint8_t packet[NET_PACKET_MAX], data[65536];

/* For a suite's .init and .fini. */
void user_net_set_up(void);
void user_net_tear_down(void);
/* From now on the loop and the network go by that clock; before start(). */
void use_clock(const struct clock *clock);

void option(const char *key, const char *value);
void optionf(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Creates the network; each side learns of the other. */
void start(void);

/* ---- the host's side ---- */
struct sockaddr_in loopback(uint16_t port);
/* A socket on a port of the loopback address that was free; a stream's listens. */
int host_socket(int family, int type, uint16_t *port);
uint16_t free_port(int type);
/* A server in a folder of its own, to which the guest's 10.0.2.100:7 leads. */
int unix_server(struct sockaddr_un *un);
void unix_server_end(const struct sockaddr_un *un, int listener);
/* Without waiting. */
int host_connect(uint16_t port);

/* ---- the guest's ---- */
/* From 10.0.2.15 port 4000. */
struct guest_tcp tcp_to(uint32_t addr, uint16_t port);
void send_tcp(const struct guest_tcp *tcp, const void *bytes, size_t count);
void send_udp(uint32_t addr, uint16_t from_port, uint16_t to_port, const void *bytes, size_t count);
/* The next TCP frame to that port with those flags; its payload's offset. */
size_t wait_tcp(uint16_t port, uint8_t flags);
extern uint32_t first_seq; /* of connections that the guest makes */
/* The guest connects. */
void shake_hands(struct guest_tcp *tcp);
/* ... and the host's end. */
int connect_guest(struct guest_tcp *tcp, int listener);
size_t read_all(int fd, uint8_t *out, size_t bytes);
/* Takes all that is there. */
void drop_frames(void);

#endif
