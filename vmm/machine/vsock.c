// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vsock/vsock.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/output/facts.h"
#include "core/ports/vsock.h"
#include "devices/vsock/vsock_unix.h"
#include "virtio/spec.h"
#include "virtio/vhost/vhost_vsock.h"
#include "vmm/config/options.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

#define AT(member) SCHEMA_AT(struct vsock_config, member)

const char vsock_help[] = "Sockets between processes of the guest and of the host (AF_VSOCK)";
const struct schema_key vsock_keys[] = {
    {"path", "PATH", SCHEMA_FILE, AT(path), .min = 1, .expected = "a socket's name",
     .help = "Where the host connects and says `CONNECT PORT`; the guest's port N leads to PATH_N"},
    {"cid", "N", SCHEMA_NUMBER, AT(cid), .min = VIRTIO_VSOCK_CID_MIN, .max = VIRTIO_VSOCK_CID_MAX,
     .usual = "3", .help = "The guest's address"},
    {"vhost", "on|off", SCHEMA_SWITCH, AT(vhost), .usual = "off",
     .help =
         "on: without a path; processes of the host have AF_VSOCK sockets, too, which its kernel "
         "connects with the guest's (/dev/vhost-vsock)"},
    {0},
};

struct vsock {
    struct virtio_vsock *vsock;
    struct vsock_backend *backend;
    struct vhost_vsock *vhost;
};

static unsigned vsock_count(const struct vm_config *vm)
{
    return vm->vsock.on;
}

static int vsock_create(struct device_slot *s, unsigned index)
{
    const struct vsock_config *config = vsock_config_of(s->cfg->vm);
    struct vsock *own = s->own = calloc(1, sizeof(*own));
    struct evloop *queue_loop;
    (void)index;
    if (own == NULL)
        return fail(-ENOMEM, "vsock");
    uint32_t cid = config->cid != 0 ? config->cid : VIRTIO_VSOCK_CID_MIN;
    int r = device_slot_loops(s, &s->cfg->vm->vsock.virtio, &queue_loop, 1);
    if (r < 0)
        return r;
    struct virtio_setup setup = device_slot_setup(s, "vsock");
    if (config->vhost)
        r = vhost_vsock_create(&own->vhost,
                               &(struct vhost_vsock_config){.name = setup.name,
                                                            .cid = cid,
                                                            .features = VIRTIO_VSOCK_VHOST_FEATURES,
                                                            .loop = s->loop,
                                                            .gmem = s->cfg->gmem});
    else
        r = vsock_unix_create(&own->backend, s->loop, &clock_host, config->path);
    if (r < 0)
        return r;
    r = virtio_vsock_create(&own->vsock, &setup,
                            &(struct virtio_vsock_config){
                                .guest_cid = cid, .backend = own->backend, .vhost = own->vhost});
    if (r == 0)
        s->dev = virtio_vsock_device(own->vsock);
    return r;
}

static void vsock_destroy(void *own)
{
    struct vsock *vsock = own;
    virtio_vsock_destroy(vsock->vsock);
    vhost_vsock_destroy(vsock->vhost);
    if (vsock->backend != NULL)
        vsock->backend->ops->destroy(vsock->backend);
    free(vsock);
}

static void vsock_describe(const struct device_slot *s, struct facts *f)
{
    facts_word(f, "path", vsock_config_of(s->cfg->vm)->path);
}

const struct device_kind vsock_kind = {
    .count = vsock_count,
    .create = vsock_create,
    .destroy = vsock_destroy,
    .describe = vsock_describe,
};
