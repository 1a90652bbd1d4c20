// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/scsi/scsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/scsi/scsi_impl.h"

#define MAX_SECTORS 0xffffu /* a hint: 32 MiB in a request */

static struct virtio_scsi *scsi_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_scsi, dev);
}

/* ---- what a LUN names ---- */

bool scsi_find(struct virtio_scsi *scsi, const uint8_t lun[VIRTIO_SCSI_LUN_BYTES],
               struct scsi_target **target, enum scsi_unit *unit)
{
    static const uint8_t well_known[VIRTIO_SCSI_LUN_BYTES] = {0xc1, 0x01};
    *target = NULL;
    *unit = SCSI_UNIT_WELL_KNOWN;
    if (memcmp(lun, well_known, sizeof(well_known)) == 0)
        return true;
    if (lun[0] != 1 || lun[1] >= scsi->target_count)
        return false;
    *target = &scsi->targets[lun[1]];
    /* Unit 0, by either of the methods that have one level: peripheral and flat addressing. */
    bool is_unit_0 = (lun[2] == 0x00 || lun[2] == 0x40) && lun[3] == 0 && le32_get(lun + 4) == 0;
    *unit = is_unit_0 ? SCSI_UNIT_DISK : SCSI_UNIT_ABSENT;
    return (*target)->disk.backend != NULL;
}

/* ---- the queues come and go ---- */

static int scsi_queue_start(struct virtio_device *dev, unsigned queue)
{
    if (queue < VIRTIO_SCSI_REQUESTQ)
        return 0;
    return blk_slots_alloc(&scsi_of(dev)->queues[queue].slots, &dev->queues[queue].vq,
                           sizeof(struct scsi_request));
}

static void scsi_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    struct scsi_queue *q = &scsi->queues[queue];
    struct vq_chain *chain;
    if (queue == VIRTIO_SCSI_CONTROLQ)
        scsi_control_ready(scsi);
    else if (queue == VIRTIO_SCSI_EVENTQ)
        scsi_event_ready(scsi);
    else
        while ((chain = virtio_queue_next(dev, queue)) != NULL)
            scsi_request_start(q, chain);
}

static void drain_all(struct virtio_scsi *scsi)
{
    for (unsigned i = 0; i < scsi->target_count; i++) {
        struct blk_backend *backend = scsi->targets[i].disk.backend;
        if (backend != NULL)
            backend->ops->drain(backend);
    }
}

static void scsi_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    if (queue == VIRTIO_SCSI_CONTROLQ)
        scsi_control_stop(scsi);
    if (queue < VIRTIO_SCSI_REQUESTQ)
        return;
    /* All queues' requests end; those of queues that go on come again. */
    drain_all(scsi);
    scsi_requests_forget(&scsi->queues[queue]);
    blk_slots_free(&scsi->queues[queue].slots);
}

/* ---- configuration space ---- */

uint32_t scsi_cdb_size(const struct virtio_scsi *scsi)
{
    return le32_get(scsi->config + VIRTIO_SCSI_CONFIG_cdb_size);
}

uint32_t scsi_sense_size(const struct virtio_scsi *scsi)
{
    return le32_get(scsi->config + VIRTIO_SCSI_CONFIG_sense_size);
}

static void set_sizes(struct virtio_scsi *scsi, uint32_t cdb, uint32_t sense)
{
    le32_put(scsi->config + VIRTIO_SCSI_CONFIG_sense_size, sense);
    le32_put(scsi->config + VIRTIO_SCSI_CONFIG_cdb_size, cdb);
}

static void default_sizes(struct virtio_scsi *scsi)
{
    set_sizes(scsi, VIRTIO_SCSI_CDB_DEFAULT_SIZE, VIRTIO_SCSI_SENSE_DEFAULT_SIZE);
}

/*
 * The driver may set the sizes before DRIVER_OK: requests are read by them. What is out of bounds
 * is not taken.
 */
static void scsi_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                              unsigned len)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    uint8_t old[VIRTIO_SCSI_CONFIG_BYTES];
    if (dev->active || (virtio_device_status(dev) & VIRTIO_STATUS_DRIVER) == 0)
        return;
    memcpy(old, scsi->config, sizeof(old));
    memcpy(scsi->config + offset, src, len);
    uint32_t cdb = scsi_cdb_size(scsi), sense = scsi_sense_size(scsi);
    if (cdb == 0 || cdb > SCSI_CDB_SIZE_MAX || sense > SCSI_SENSE_SIZE_MAX)
        memcpy(scsi->config, old, sizeof(old));
}

static void scsi_reset(struct virtio_device *dev)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    default_sizes(scsi);
    scsi->has_event = false;
    scsi->events_missed = false;
    for (unsigned i = 0; i < scsi->target_count; i++)
        scsi->targets[i].disk.attention = 0;
}

static unsigned scsi_queue_hold(struct virtio_device *dev, unsigned queue)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    return queue == VIRTIO_SCSI_CONTROLQ && scsi_control_waits(scsi);
}

static void target_state(struct scsi_target *target, struct state *s)
{
    struct scsi_disk *disk = &target->disk;
    if (!state_begin(s, "target", target->index, 1))
        return;
    disk->attention =
        (unsigned)state_number(s, "attention", disk->attention, SCSI_SENSE(0xf, 0xff, 0xff));
    state_end(s);
}

static void scsi_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_scsi *scsi = scsi_of(dev);
    uint32_t cdb = (uint32_t)state_number(s, "cdb", scsi_cdb_size(scsi), SCSI_CDB_SIZE_MAX);
    uint32_t sense = (uint32_t)state_number(s, "sense", scsi_sense_size(scsi), SCSI_SENSE_SIZE_MAX);
    if (cdb == 0)
        state_refuse(s, "commands of no bytes");
    else
        set_sizes(scsi, cdb, sense);
    scsi->events_missed = state_number(s, "events_missed", scsi->events_missed, true);
    for (unsigned i = 0; i < scsi->target_count; i++)
        target_state(&scsi->targets[i], s);
}

static void scsi_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_scsi *scsi = scsi_of(dev);
    facts_list(f, "disks");
    for (unsigned i = 0; i < scsi->target_count; i++) {
        const struct scsi_disk *disk = &scsi->targets[i].disk;
        if (disk->backend == NULL)
            continue;
        facts_group(f, NULL);
        facts_number(f, "target", i);
        facts_number(f, "capacity_bytes", disk->backend->info.capacity_bytes);
        facts_flag(f, "read_only", disk->backend->info.read_only);
        if (disk->attention != 0)
            facts_hex(f, "unit_attention", disk->attention);
        facts_end(f);
    }
    facts_end(f);
    facts_flag(f, "events_missed", scsi->events_missed);
}

static const struct virtio_device_ops scsi_ops = {
    .config_write = scsi_config_write,
    .queue_start = scsi_queue_start,
    .queue_ready = scsi_queue_ready,
    .queue_stop = scsi_queue_stop,
    .queue_hold = scsi_queue_hold,
    .reset = scsi_reset,
    .state = scsi_state,
    .describe = scsi_describe,
};

/* ---- targets ---- */

static void on_resize(void *ctx)
{
    struct scsi_target *target = ctx;
    struct virtio_scsi *scsi = target->scsi;
    if (!scsi->dev.running)
        return;
    target->disk.attention = SCSI_CAPACITY_CHANGED;
    if (virtio_device_has(&scsi->dev, VIRTIO_SCSI_F_CHANGE)) /* ASC, and its qualifier above it */
        scsi_event_send(scsi, VIRTIO_SCSI_T_PARAM_CHANGE, target->index,
                        (SCSI_CAPACITY_CHANGED >> 8 & 0xff) | (SCSI_CAPACITY_CHANGED & 0xff) << 8);
}

static void put_disk(struct scsi_target *target, struct blk_backend *backend, const char *serial)
{
    struct scsi_disk *disk = &target->disk;
    *disk = (struct scsi_disk){.backend = backend};
    if (serial != NULL)
        memcpy(disk->serial, serial, strnlen(serial, SCSI_SERIAL_BYTES));
    (void)snprintf(disk->id, sizeof(disk->id), "%.24s-%u", target->scsi->dev.setup.name,
                   target->index);
    backend->handler = (struct blk_handler){.on_resize = on_resize, .ctx = target};
}

static void tell_transport(struct virtio_scsi *scsi, unsigned target, uint32_t reason)
{
    if (virtio_device_has(&scsi->dev, VIRTIO_SCSI_F_HOTPLUG))
        scsi_event_send(scsi, VIRTIO_SCSI_T_TRANSPORT_RESET, target, reason);
}

int virtio_scsi_plug(struct virtio_scsi *scsi, unsigned target, struct blk_backend *backend,
                     const char *serial)
{
    if (target >= scsi->target_count)
        return -EINVAL;
    if (scsi->targets[target].disk.backend != NULL)
        return -EBUSY;
    put_disk(&scsi->targets[target], backend, serial);
    tell_transport(scsi, target, VIRTIO_SCSI_EVT_RESET_RESCAN);
    return 0;
}

int virtio_scsi_unplug(struct virtio_scsi *scsi, unsigned target)
{
    if (target >= scsi->target_count)
        return -EINVAL;
    struct scsi_target *t = &scsi->targets[target];
    if (t->disk.backend == NULL)
        return -ENOENT;
    scsi_target_abort(t, VIRTIO_SCSI_S_FAILURE);
    t->disk.backend->handler = (struct blk_handler){0};
    t->disk.backend = NULL;
    tell_transport(scsi, target, VIRTIO_SCSI_EVT_RESET_REMOVED);
    return 0;
}

/* Of another capacity the event has told. */
void virtio_scsi_medium_changed(struct virtio_scsi *scsi, unsigned target)
{
    if (scsi->dev.running)
        scsi->targets[target].disk.attention = SCSI_MEDIUM_CHANGED;
}

/* ---- life ---- */

static void show(struct virtio_scsi *scsi)
{
    uint8_t *config = scsi->config;
    le32_put(config + VIRTIO_SCSI_CONFIG_num_queues,
             scsi->dev.cfg.queue_count - VIRTIO_SCSI_REQUESTQ);
    le32_put(config + VIRTIO_SCSI_CONFIG_seg_max, virtio_device_seg_max(&scsi->dev));
    le32_put(config + VIRTIO_SCSI_CONFIG_max_sectors, MAX_SECTORS);
    le32_put(config + VIRTIO_SCSI_CONFIG_cmd_per_lun, scsi->dev.setup.queue_size_max);
    le32_put(config + VIRTIO_SCSI_CONFIG_event_info_size, VIRTIO_SCSI_EVENT_BYTES);
    le16_put(config + VIRTIO_SCSI_CONFIG_max_target, (uint16_t)(scsi->target_count - 1));
    default_sizes(scsi);
}

static int init_device(struct virtio_scsi *scsi, const struct virtio_setup *setup, unsigned queues)
{
    struct virtio_setup own = *setup;
    own.features_off |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    return virtio_device_init(
        &scsi->dev, &own,
        &(struct virtio_device_config){
            .type = &virtio_scsi_type,
            .ops = &scsi_ops,
            .features = VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG) | VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE),
            .config = scsi->config,
            .config_bytes = sizeof(scsi->config),
            .queue_count = queues,
        });
}

static void free_device(struct virtio_scsi *scsi)
{
    free(scsi->queues);
    free(scsi->targets);
    free(scsi);
}

static void init_targets(struct virtio_scsi *scsi, const struct virtio_scsi_config *config)
{
    for (unsigned i = 0; i < config->count; i++) {
        scsi->targets[i] = (struct scsi_target){.scsi = scsi, .index = i};
        if (config->backends[i] != NULL)
            put_disk(&scsi->targets[i], config->backends[i],
                     config->serials != NULL ? config->serials[i] : NULL);
    }
}

int virtio_scsi_create(struct virtio_scsi **out, const struct virtio_setup *setup,
                       const struct virtio_scsi_config *config)
{
    int queues = virtio_type_queues(&virtio_scsi_type, setup->name, config->queues);
    if (queues < 0)
        return queues;
    if (config->count == 0 || config->count > SCSI_TARGETS_MAX)
        return fail_msg(-EINVAL, "virtio %s: %u disks; there may be 1 to %u", setup->name,
                        config->count, SCSI_TARGETS_MAX);
    struct virtio_scsi *scsi = calloc(1, sizeof(*scsi));
    if (scsi == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    scsi->target_count = config->count;
    scsi->queues = calloc((unsigned)queues, sizeof(*scsi->queues));
    scsi->targets = calloc(config->count, sizeof(*scsi->targets));
    if (scsi->queues == NULL || scsi->targets == NULL) {
        free_device(scsi);
        return fail(-ENOMEM, "virtio %s", setup->name);
    }
    int err = init_device(scsi, setup, (unsigned)queues);
    if (err != 0) {
        free_device(scsi);
        return err;
    }
    for (unsigned i = 0; i < (unsigned)queues; i++)
        scsi->queues[i] = (struct scsi_queue){.scsi = scsi, .index = i};
    init_targets(scsi, config);
    blk_again_init(&scsi->again, setup->loop);
    scsi_control_init(scsi);
    show(scsi);
    *out = scsi;
    return 0;
}

void virtio_scsi_destroy(struct virtio_scsi *scsi)
{
    if (scsi == NULL)
        return;
    for (unsigned i = 0; i < scsi->target_count; i++) {
        struct blk_backend *backend = scsi->targets[i].disk.backend;
        if (backend != NULL)
            backend->handler = (struct blk_handler){0};
    }
    virtio_device_fini(&scsi->dev);
    free_device(scsi);
}

struct virtio_device *virtio_scsi_device(struct virtio_scsi *scsi)
{
    return &scsi->dev;
}
