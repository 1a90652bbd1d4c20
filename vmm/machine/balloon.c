// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/balloon/balloon.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "vmm/config/options.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

/* What its keys set. */
struct balloon_own {
    uint64_t size_bytes;               /* memory that is left to the guest; 0: all */
    bool oom_is_off, reporting_is_off; /* as words: on, off */
};

#define AT(member) SCHEMA_AT(struct balloon_own, member)

const char balloon_help[] = "A balloon: memory that the guest does without is the host's again";
const struct schema_key balloon_keys[] = {
    {"size", "SIZE", SCHEMA_SIZE, AT(size_bytes), .min = MIB, .scale = MIB, .usual = "all of it",
     .expected = "a size such as 256M, at least 1M",
     .help = "Memory that the guest is asked to make do with from the start"},
    {"oom", "on|off", SCHEMA_WORD, AT(oom_is_off), .usual = "on",
     .help = "A guest that runs out of memory takes some out of the balloon"},
    {"reporting", "on|off", SCHEMA_WORD, AT(reporting_is_off), .usual = "on",
     .help = "The guest says which of its pages are free, and the host takes them back"},
    {0},
};

static unsigned balloon_count(const struct vm_config *vm)
{
    return vm->balloon.on;
}

/* The control socket's commands reach it on the main loop. */
static int balloon_create(struct device_slot *s, unsigned index)
{
    const struct vm_config *vm = s->cfg->vm;
    const struct balloon_own *own = (const void *)vm->balloon.own;
    struct virtio_balloon *balloon;
    (void)index;
    if (own->size_bytes > vm->mem_bytes)
        return fail_msg(-EINVAL, "--balloon on: size: is more than --mem, which is %llu MiB",
                        (unsigned long long)(vm->mem_bytes / MIB));
    s->keys = &vm->balloon.virtio;
    s->loop = s->cfg->loop;
    struct virtio_setup setup = device_slot_setup(s, "balloon");
    struct virtio_balloon_config config = {
        .target_bytes = own->size_bytes != 0 ? vm->mem_bytes - own->size_bytes : 0,
        .deflate_on_oom = !own->oom_is_off,
        .reporting = !own->reporting_is_off,
        .clock = &clock_host,
    };
    int r = virtio_balloon_create(&balloon, &setup, &config);
    if (r < 0)
        return r;
    s->own = balloon;
    s->dev = virtio_balloon_device(balloon);
    return 0;
}

static void balloon_destroy(void *own)
{
    virtio_balloon_destroy(own);
}

const struct device_kind balloon_kind = {
    .count = balloon_count,
    .create = balloon_create,
    .destroy = balloon_destroy,
};
