// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/lookup.h"

#include <arpa/inet.h>
#include <semaphore.h>

#include "core/loop/cancel.h"
#include "tests/harness/test.h"

static sem_t asked, answers;

/* A name server that answers when it is told to. */
static int slow(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    sem_post(&asked);
    sem_wait(&answers);
    int r = getaddrinfo(host, port, hints, found);
    sem_post(&asked);
    return r;
}

static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

Test(core_lookup, a_name_becomes_an_address)
{
    for (int with = 0; with <= 1; with++) {
        struct cancel cancel;
        struct addrinfo *found = NULL;
        char text[INET_ADDRSTRLEN] = "";
        cr_assert_eq(cancel_init(&cancel), 0);
        cr_assert_eq(lookup(&found, "x", "192.0.2.7", "80", &hints, with ? &cancel : NULL), 0);
        const struct sockaddr_in *in = (const struct sockaddr_in *)found->ai_addr;
        cr_expect_str_eq(inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)), "192.0.2.7");
        freeaddrinfo(found);
        cr_expect_eq(lookup(&found, "x", "no number", "80", &hints, with ? &cancel : NULL),
                     -EINVAL);
        cancel_fini(&cancel);
    }
}

static void *cancels(void *arg)
{
    sem_wait(&asked);
    cancel_ask(arg);
    return NULL;
}

/* The answer comes when nobody waits for it any more. */
Test(core_lookup, a_silent_name_server_is_not_waited_for)
{
    struct cancel cancel;
    struct addrinfo *found = NULL;
    pthread_t thread;
    sem_init(&asked, 0, 0);
    sem_init(&answers, 0, 0);
    cr_assert_eq(cancel_init(&cancel), 0);
    cr_assert_eq(pthread_create(&thread, NULL, cancels, &cancel), 0);
    cr_expect_eq(lookup_by(slow, &found, "x", "192.0.2.7", "80", &hints, &cancel), -ECANCELED);
    cr_expect_null(found);
    pthread_join(thread, NULL);
    sem_post(&answers);
    sem_wait(&asked);
    cancel_fini(&cancel);
}
