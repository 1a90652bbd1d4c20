// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/rtc/rtc.h"

#include "core/base/clock.h"
#include "core/ports/hv.h"
#include "vmm/config/options.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

const char clock_help[] = "A virtio clock: the host's time, and alarms";
const struct schema_key clock_keys[] = {{0}};

static unsigned clock_count(const struct vm_config *vm)
{
    return vm->clock.on;
}

static int read_counter(void *ctx, uint8_t counter, uint64_t *cycles)
{
    const struct device_slot *s = ctx;
    return s->cfg->hv->guest_counter(s->cfg->hv_vm, (enum hv_counter)counter, cycles);
}

static int clock_create(struct device_slot *s, unsigned index)
{
    struct virtio_rtc *rtc;
    struct evloop *queue_loop;
    (void)index;
    int r = device_slot_loops(s, &s->cfg->vm->clock.virtio, &queue_loop, 1);
    if (r < 0)
        return r;
    struct virtio_setup setup = device_slot_setup(s, "clock");
    const struct virtio_rtc_counters counters = {read_counter, s};
    r = virtio_rtc_create(&rtc, &setup, &clock_host,
                          s->cfg->hv->guest_counter != NULL ? &counters : NULL);
    if (r < 0)
        return r;
    s->own = rtc;
    s->dev = virtio_rtc_device(rtc);
    return 0;
}

static void clock_destroy(void *own)
{
    virtio_rtc_destroy(own);
}

const struct device_kind clock_kind = {
    .count = clock_count,
    .create = clock_create,
    .destroy = clock_destroy,
};
