// SPDX-License-Identifier: BSD-2-Clause
/* Clients of a VNC server that do not know its password. */
#include "tests/harness/vnc.h"

#ifdef HAVE_LIBVNCSERVER

#include <sys/socket.h>

#include "devices/display/vnc_tries.h"
#include "tests/harness/lingering.h"

#define PLACES 8u

static int dial_from(const struct vnc_scene *s, uint8_t n)
{
    int fd = vnc_connect_from(s, n);
    vnc_greet(fd, 2);
    return fd;
}

static uint32_t try(const struct vnc_scene *s, uint8_t n, const char *password)
{
    int fd = dial_from(s, n);
    uint32_t result = vnc_log_in(fd, password);
    close(fd);
    return result;
}

OnVncTcp(viewer_vnc_strangers, try_a_few_passwords)
{
    vnc_freeze(s);
    int early = dial_from(s, 1);
    for (unsigned i = 0; i < VNC_TRIES_FREE; i++)
        cr_expect_eq(try(s, 1, "wrong"), 1);
    cr_expect_eq(vnc_log_in(early, "secret"), 1, "would tell that it is right");
    int late = vnc_connect_from(s, 1);
    vnc_expect_closed(late);
    cr_expect_eq(try(s, 2, "secret"), 0, "of another address");
    s->ahead_ns += VNC_TRIES_WAIT_NS;
    cr_expect_eq(try(s, 1, "secret"), 0);
    cr_expect_eq(try(s, 1, "wrong"), 1);
    cr_expect_eq(try(s, 1, "secret"), 0);
    close(early);
    close(late);
}

/* Whose socket it is could read the password as well. */
OnVnc(viewer_vnc_strangers, at_a_unix_socket_try_many_passwords, true)
{
    for (unsigned i = 0; i <= VNC_TRIES_FREE; i++) {
        int fd = vnc_dial(s, 2);
        cr_expect_eq(vnc_log_in(fd, i < VNC_TRIES_FREE ? "wrong" : "secret"), i < VNC_TRIES_FREE);
        close(fd);
    }
}

OnVncTcp(viewer_vnc_strangers, that_are_silent_do_not_hold_all_places)
{
    int member = dial_from(s, 1), silent[PLACES];
    vnc_freeze(s);
    cr_assert_eq(vnc_log_in(member, "secret"), 0);
    for (unsigned i = 0; i + 1 < PLACES; i++) {
        silent[i] = dial_from(s, 1);
        s->ahead_ns++;
    }
    for (unsigned i = 0; i + 1 < PLACES; i++) {
        cr_expect_eq(try(s, 1, "secret"), 0);
        silent[PLACES - 1] = dial_from(s, 1); /* takes the place that is free now */
        vnc_expect_closed(silent[i]);
        close(silent[i]);
        silent[i] = silent[PLACES - 1];
    }
    vnc_put(member, "\1", 1);
    cr_expect(vnc_get(member, &(uint8_t[24]){0}, 24));
    close(member);
    for (unsigned i = 0; i + 1 < PLACES; i++)
        close(silent[i]);
}

OnVncTcp(viewer_vnc_strangers, of_one_address_do_not_displace_others)
{
    int slow = dial_from(s, 1), silent[PLACES];
    vnc_freeze(s);
    for (unsigned i = 0; i < PLACES; i++) {
        s->ahead_ns++;
        silent[i] = dial_from(s, 2);
    }
    vnc_expect_closed(silent[0]);
    cr_expect_eq(vnc_log_in(slow, "secret"), 0);
    close(slow);
    for (unsigned i = 0; i < PLACES; i++)
        close(silent[i]);
}

#endif
