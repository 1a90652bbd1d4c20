// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/type.h"

#include <errno.h>
#include <stddef.h>

#include "core/base/fail.h"

const char *virtio_type_feature(const struct virtio_device_type *type, unsigned bit)
{
    for (const struct virtio_feature_name *f = type->features; f != NULL && f->name != NULL; f++) {
        if (f->bit == bit)
            return f->name;
    }
    return NULL;
}

const struct virtio_field *virtio_type_field(const struct virtio_device_type *type, uint64_t offset)
{
    for (unsigned i = 0; i < type->field_count; i++) {
        const struct virtio_field *f = &type->fields[i];
        if (offset >= f->offset && offset - f->offset < f->bytes * f->count)
            return f;
    }
    return NULL;
}

bool virtio_type_is_writable(const struct virtio_device_type *type, uint64_t offset)
{
    const struct virtio_field *f = virtio_type_field(type, offset);
    return type->fields == NULL || (f != NULL && f->writable);
}

const struct virtio_queue_role *virtio_type_role(const struct virtio_device_type *type,
                                                 unsigned queues, unsigned queue)
{
    static const struct virtio_queue_role unknown = {.name = "queue"};
    unsigned again = queues - type->role_count; /* queues of groups but the first */
    if (type->role_count == 0)
        return &unknown;
    if (queue < type->group_first + type->group_size)
        return &type->roles[queue];
    if (queue < type->group_first + type->group_size + again)
        return &type->roles[type->group_first + (queue - type->group_first) % type->group_size];
    return &type->roles[queue - again];
}

int virtio_type_queues(const struct virtio_device_type *type, const char *name, unsigned groups)
{
    if (groups > type->groups_max)
        return fail_msg(-EINVAL, "virtio %s: %u queues; there may be up to %u", name, groups,
                        type->groups_max);
    return (int)(type->role_count + (groups > 1 ? groups - 1 : 0) * type->group_size);
}
