// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/observer.h"

void virtio_observer_add(struct virtio_device *dev, struct virtio_observer *o)
{
    struct virtio_observer **at = &dev->observers;
    while (*at != NULL)
        at = &(*at)->next;
    *at = o;
    dev->observed |= o->sees;
}

struct virtio_observer *virtio_observer_find(const struct virtio_device *dev,
                                             void (*event)(struct virtio_observer *o,
                                                           const struct virtio_event *e))
{
    struct virtio_observer *o = dev->observers;
    while (o != NULL && o->event != event)
        o = o->next;
    return o;
}

void virtio_observers_tell(const struct virtio_device *dev, const struct virtio_event *e)
{
    for (struct virtio_observer *o = dev->observers; o != NULL; o = o->next)
        o->event(o, e);
}
