// SPDX-License-Identifier: BSD-2-Clause
/* Clients of a VNC server that send what they like, while the guest's picture changes its size. */
#include "tests/harness/vnc.h"

#ifdef HAVE_LIBVNCSERVER

#include <sys/socket.h>

#include "core/base/be.h"

#define CLIENTS  100u
#define MESSAGES 60u

static uint32_t seed = 1, width = VNC_WIDTH, height = VNC_HEIGHT;

static uint32_t any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)(seed ^ seed >> 15) * below) >> 32);
}

static void any_bytes(uint8_t *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)any(256);
}

/* Numbers, of which those at the ends of ranges are more frequent. */
static size_t any_numbers(uint8_t *m, size_t at, unsigned count)
{
    static const uint16_t ends[] = {0,  1,   2,   47,  48,     63,     64,
                                    65, 127, 255, 256, 0x7fff, 0x8000, 0xffff};
    for (; count > 0; count--, at += 2)
        be16_put(m + at, any(2) != 0 ? ends[any(ARRAY_SIZE(ends))] : (uint16_t)any(0x10000));
    return at;
}

static uint32_t any_encoding(void)
{
    static const int32_t known[] = {RFB_RAW,         RFB_HEXTILE,
                                    RFB_ZLIB,        RFB_TIGHT,
                                    RFB_ZRLE,        RFB_NEW_FB_SIZE,
                                    RFB_RICH_CURSOR, RFB_TIGHT_PNG,
                                    RFB_POINTER_POS, RFB_EXTENDED_DESKTOP_SIZE};
    switch (any(4)) {
    case 0:
        return any(0x10000) << 16 | any(0x10000);
    case 1:
        return 0u - any(512); /* levels of quality and compression, too */
    default:
        return any(2) != 0 ? any(24) : (uint32_t)known[any(ARRAY_SIZE(known))];
    }
}

static size_t any_format(uint8_t *m)
{
    static const uint8_t bits[] = {8, 16, 24, 32, 0, 1, 64, 255};
    any_bytes(m + 1, 19);
    m[4] = bits[any(ARRAY_SIZE(bits))];
    m[5] = any(2) != 0 ? m[4] : bits[any(ARRAY_SIZE(bits))];
    m[7] = (uint8_t)any(2);
    for (unsigned i = 0; any(4) != 0 && i < 3; i++) {
        be16_put(m + 8 + 2 * (size_t)i, (uint16_t)((1u << any(9)) - 1));
        m[14 + i] = (uint8_t)any(33);
    }
    return 20;
}

/* Writes a message, which is mostly as long as it has to be. */
static size_t any_message(uint8_t *m)
{
    memset(m, 0, 64);
    m[0] = (uint8_t)(any(60) == 0 ? any(256) : any(7));
    switch (m[0]) {
    case 0:
        return any_format(m);
    case 2:
        m[3] = (uint8_t)any(40);
        for (unsigned i = 0; i < m[3]; i++)
            be32_put(m + 4 + 4 * (size_t)i, any_encoding());
        return 4 + 4 * (size_t)m[3];
    case 3:
        m[1] = (uint8_t)any(2);
        return any_numbers(m, 2, 4);
    case 4:
        m[1] = (uint8_t)any(3);
        be32_put(m + 4, any(2) != 0 ? 0xff00 + any(256) : any(UINT32_MAX));
        return 8;
    case 5:
        m[1] = (uint8_t)any(256);
        return any_numbers(m, 2, 2);
    case 6:
        m[6] = (uint8_t)any(2);
        m[7] = (uint8_t)any(256);
        any_bytes(m + 8, be16_get(m + 6));
        return 8 + (size_t)be16_get(m + 6);
    case 251:
        m[6] = (uint8_t)any(3);
        return any_numbers(m, 8, 8u * m[6]);
    default:
        any_bytes(m + 1, 63);
        return 1 + any(63);
    }
}

static void read_some(int fd)
{
    static uint8_t bytes[1 << 16];
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void attack(struct vnc_scene *s)
{
    uint8_t m[1024] = "RFB 003.008\n\1\1";
    bool is_reader = any(2) != 0;
    int fd = vnc_connect(s);
    if (any(8) == 0)
        any_bytes(m + any(14), 2);
    vnc_put(fd, m, 14);
    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t bytes = any_message(m);
        if (send(fd, m, any(400) != 0 ? bytes : bytes / 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        if (is_reader)
            read_some(fd);
        if (any(40) == 0) {
            width = 1 + any(300);
            height = 1 + any(200);
            vnc_show(s, width, height);
        }
    }
    if (any(2) != 0)
        shutdown(fd, SHUT_WR);
    if (any(2) != 0)
        read_some(fd);
    close(fd);
}

OnVnc(viewer_vnc_random, clients_leave_the_server_as_it_was, false)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        attack(s);
    struct vnc_caller c = vnc_join(s);
    vnc_expect_picture(s, &c, width, height);
    vnc_leave(&c);
}

#endif
