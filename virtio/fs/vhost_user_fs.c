// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/fs/vhost_user_fs.h"

#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "virtio/fs/fs.h"
#include "virtio/spec.h"

static const struct vhost_user_type fs_type = {
    .bytes = sizeof(struct vhost_user_device),
    .device_type = &virtio_fs_type,
    .config_bytes = VIRTIO_FS_CONFIG_BYTES,
    .own_config = true,
};

int vhost_user_fs_create(struct vhost_user_device **out, const struct vhost_user_setup *config,
                         const char *tag)
{
    struct vhost_user_setup own = *config;
    int err;
    own.groups = VIRTIO_FS_REQUESTS + (config->groups != 0 ? config->groups : 1);
    own.setup.features_off |= VIRTIO_BIT(VIRTIO_F_IN_ORDER); /* see fs.h */
    struct vhost_user_device *v = vhost_user_device_create(&fs_type, &own, &err);
    if (v == NULL)
        return err;
    if (v->groups <= VIRTIO_FS_REQUESTS) {
        vhost_user_device_destroy(v);
        return fail_msg(-ENOTSUP, "virtio %s: the vhost-user server %s has no queue for requests",
                        config->setup.name, config->socket_path);
    }
    virtio_fs_fill_config(v->config, tag, v->groups - VIRTIO_FS_REQUESTS);
    *out = v;
    return 0;
}
