// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/hang.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/loop/evloop.h"

#define LOOKS 8u /* in the time */

struct watched {
    struct vcpu_look last;
    uint64_t since_ns; /* when it last did well */
};

struct hang {
    struct hang_config config;
    struct ev_timer timer;
    uint64_t alive_since_ns; /* when the last time was that any might wake up */
    struct watched vcpus[HV_MAX_VCPUS];
};

/* At each look since then, and it has used no device in between. */
static bool is_stuck(struct watched *w, const struct vcpu_look *now, uint64_t now_ns)
{
    bool stuck = now->doing == HV_RUNS_MASKED && now->looks != w->last.looks &&
                 now->accesses == w->last.accesses;
    if (!stuck)
        w->since_ns = now_ns;
    w->last = *now;
    return stuck;
}

static bool find(struct hang *h, uint64_t now_ns)
{
    struct vcpu_look looks[HV_MAX_VCPUS];
    unsigned dead = 0, off = 0;
    bool found = false;
    double time_s = (double)h->config.time_ns / 1e9;
    vcpus_look(h->config.vcpus, looks);
    for (unsigned i = 0; i < h->config.count; i++) {
        struct watched *w = &h->vcpus[i];
        bool is_new = looks[i].looks != w->last.looks;
        dead += is_new && looks[i].doing == HV_IS_DEAD;
        off += is_new && looks[i].doing == HV_IS_OFF;
        if (!is_stuck(w, &looks[i], now_ns) || now_ns - w->since_ns < h->config.time_ns || found)
            continue;
        log_error("the guest hangs: vCPU %u has run for %g s with interrupts disabled, and without "
                  "using a device",
                  i, time_s);
        found = true;
    }
    if (dead == 0 || dead + off < h->config.count)
        h->alive_since_ns = now_ns;
    if (found || now_ns - h->alive_since_ns < h->config.time_ns)
        return found;
    log_error("the guest hangs: for %g s all vCPUs have been halted with interrupts disabled",
              time_s);
    return true;
}

static void look(void *ctx)
{
    struct hang *h = ctx;
    uint64_t now_ns = clock_now_ns(h->config.clock);
    if (find(h, now_ns))
        h->config.on_hang(h->config.ctx);
    else
        evloop_timer_set(h->config.loop, &h->timer, now_ns + h->config.time_ns / LOOKS);
}

static int begin(void *arg)
{
    struct hang *h = arg;
    uint64_t now_ns = clock_now_ns(h->config.clock);
    h->alive_since_ns = now_ns;
    for (unsigned i = 0; i < h->config.count; i++)
        h->vcpus[i].since_ns = now_ns;
    evloop_timer_set(h->config.loop, &h->timer, now_ns + h->config.time_ns / LOOKS);
    return 0;
}

static int end(void *arg)
{
    struct hang *h = arg;
    evloop_timer_cancel(h->config.loop, &h->timer);
    return 0;
}

int hang_create(struct hang **out, const struct hang_config *config)
{
    struct hang *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return fail(-ENOMEM, "--hang");
    h->config = *config;
    h->timer = (struct ev_timer){.cb = look, .ctx = h};
    *out = h;
    return evloop_call(config->loop, begin, h);
}

void hang_destroy(struct hang *h)
{
    if (h == NULL)
        return;
    evloop_call(h->config.loop, end, h);
    free(h);
}
