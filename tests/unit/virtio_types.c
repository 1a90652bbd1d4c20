// SPDX-License-Identifier: BSD-2-Clause
/* The tables of virtio/devices.def: each is whole, and what is asked of it agrees with it. */
#include "tests/harness/test.h"
#include "tests/harness/types.h"
#include "virtio/blk/blk.h"
#include "virtio/console/console.h"
#include "virtio/fs/fs.h"
#include "virtio/gpu/gpu.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/input/input.h"
#include "virtio/net/net.h"
#include "virtio/scsi/scsi.h"
#include "virtio/spec.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): a name is no expression */
#define FOR_EACH_TYPE(type) \
    for (const struct virtio_device_type *const *type = virtio_types; *type != NULL; type++)
/* NOLINTEND(bugprone-macro-parentheses) */

Test(virtio_types, no_two_have_a_name_or_an_id)
{
    unsigned count = 0;
    FOR_EACH_TYPE(a)
    {
        count++;
        FOR_EACH_TYPE(b)
        if (a != b)
            cr_expect(strcmp((*a)->name, (*b)->name) != 0 && (*a)->id != (*b)->id &&
                          ((*a)->pci_transitional == 0 ||
                           (*a)->pci_transitional != (*b)->pci_transitional),
                      "%s and %s", (*a)->name, (*b)->name);
    }
    cr_expect_geq(count, 6);
}

/* Fields follow each other, inside of what a field's offset can be, each aligned to its width. */
Test(virtio_types, fields_lie_apart)
{
    FOR_EACH_TYPE(type)
    {
        unsigned end = 0;
        for (unsigned i = 0; i < (*type)->field_count; i++) {
            const struct virtio_field *f = &(*type)->fields[i];
            cr_expect_geq(f->offset, end, "%s, offset %u", (*type)->name, f->offset);
            cr_expect(is_pow2(f->bytes) && is_aligned(f->offset, min_u64(f->bytes, 4)),
                      "%s, offset %u", (*type)->name, f->offset);
            cr_expect_eq(virtio_type_field(*type, f->offset), f);
            end = f->offset + f->bytes * f->count;
            cr_expect_eq(virtio_type_field(*type, end - 1), f);
        }
        cr_expect_null(virtio_type_field(*type, end), "%s", (*type)->name);
    }
}

Test(virtio_types, features_have_one_name_each)
{
    FOR_EACH_TYPE(type)
    {
        const struct virtio_feature_name *f = (*type)->features;
        for (; f != NULL && f->name != NULL; f++)
            cr_expect_eq(virtio_type_feature(*type, f->bit), f->name, "%s: %s", (*type)->name,
                         f->name);
        cr_expect_null(virtio_type_feature(*type, VIRTIO_F_VERSION_1), "%s", (*type)->name);
    }
}

static void expect_role(const struct virtio_device_type *type, unsigned queues, unsigned queue,
                        const char *name)
{
    const char *is = virtio_type_role(type, queues, queue)->name;
    cr_expect_str_eq(is, name, "%s, queue %u of %u: %s", type->name, queue, queues, is);
}

Test(virtio_types, queues_have_their_roles)
{
    expect_role(&virtio_blk_type, 1, 0, "requestq");
    expect_role(&virtio_blk_type, 4, 3, "requestq");
    expect_role(&virtio_console_type, 2, 0, "receiveq");
    expect_role(&virtio_console_type, 2, 1, "transmitq");
    expect_role(&virtio_console_type, 8, 3, "control transmitq");
    expect_role(&virtio_console_type, 64, 63, "transmitq");
    expect_role(&virtio_fs_type, 2, 0, "hiprio");
    expect_role(&virtio_fs_type, 2, 1, "requestq");
    expect_role(&virtio_fs_type, 64, 63, "requestq");
    expect_role(&virtio_gpu_type, 2, 1, "cursorq");
    expect_role(&virtio_net_type, 3, 2, "controlq");
    expect_role(&virtio_net_type, 7, 0, "receiveq");
    expect_role(&virtio_net_type, 7, 2, "receiveq");
    expect_role(&virtio_net_type, 7, 5, "transmitq");
    expect_role(&virtio_net_type, 7, 6, "controlq");
    expect_role(&virtio_scsi_type, 4, 1, "eventq");
    expect_role(&virtio_input_type, 2, 0, "eventq");
    expect_role(&virtio_input_type, 2, 1, "statusq");
    expect_role(&virtio_scsi_type, 4, 2, "requestq");
    expect_role(&virtio_scsi_type, 4, 3, "requestq");
}

static void ignore(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

Test(virtio_types, groups_of_queues_are_counted)
{
    cr_expect_eq(virtio_type_queues(&virtio_blk_type, "test", 0), 1);
    cr_expect_eq(virtio_type_queues(&virtio_blk_type, "test", 64), 64);
    cr_expect_eq(virtio_type_queues(&virtio_scsi_type, "test", 62), 64);
    cr_expect_eq(virtio_type_queues(&virtio_net_type, "test", 31), 63);
    log_set_sink(ignore, NULL);
    FOR_EACH_TYPE(type)
    cr_expect_eq(virtio_type_queues(*type, "test", (*type)->groups_max + 1), -EINVAL);
    log_set_sink(NULL, NULL);
}

Test(virtio_types, drivers_write_what_is_writable)
{
    cr_expect(virtio_type_is_writable(&virtio_blk_type, VIRTIO_BLK_CONFIG_writeback));
    cr_expect_not(virtio_type_is_writable(&virtio_blk_type, VIRTIO_BLK_CONFIG_capacity));
    cr_expect(virtio_type_is_writable(&virtio_scsi_type, VIRTIO_SCSI_CONFIG_cdb_size + 3));
    cr_expect_not(virtio_type_is_writable(&virtio_scsi_type, VIRTIO_SCSI_CONFIG_max_channel));
    for (unsigned i = 0; i < VIRTIO_FS_CONFIG_BYTES; i++)
        cr_expect_not(virtio_type_is_writable(&virtio_fs_type, i));
    cr_expect(virtio_type_is_writable(&virtio_gpu_type, VIRTIO_GPU_CONFIG_events_clear));
    cr_expect_not(virtio_type_is_writable(&virtio_gpu_type, VIRTIO_GPU_CONFIG_events_read + 3));
    cr_expect(virtio_type_is_writable(&virtio_input_type, VIRTIO_INPUT_CONFIG_subsel));
    cr_expect_not(virtio_type_is_writable(&virtio_input_type, VIRTIO_INPUT_CONFIG_size));
    cr_expect(virtio_type_is_writable(&virtio_net_type, VIRTIO_NET_CONFIG_mac + 5));
    cr_expect_not(virtio_type_is_writable(&virtio_net_type, VIRTIO_NET_CONFIG_status));
    cr_expect_not(virtio_type_is_writable(&virtio_net_type, VIRTIO_NET_CONFIG_BYTES));
}
