// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/host_port.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/peers/lookup.h"

int host_port(struct sockaddr_storage *addr, socklen_t *bytes, const char *text,
              const struct cancel *cancel)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    const char *colon = strrchr(text, ':');
    char host[256];
    size_t len = colon ? (size_t)(colon - text) : sizeof(host);
    if (len >= sizeof(host) || colon[1] == '\0')
        return fail_msg(-EINVAL, "network %s: give HOST:PORT", text);
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    len -= brackets ? 2 : 0;
    memcpy(host, text + (brackets ? 1 : 0), len);
    host[len] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10); /* getaddrinfo takes any number */
    if (!isdigit((unsigned char)colon[1]) || *end != '\0' || port == 0 || port > UINT16_MAX)
        return fail_msg(-EINVAL, "network %s: the port is a number, 1 to 65535", text);
    char what[sizeof(host) + 32];
    snprintf(what, sizeof(what), "network %s", text);
    int err = lookup(&found, what, len > 0 ? host : "127.0.0.1", colon + 1, &hints, cancel);
    if (err < 0)
        return err;
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    *bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}
