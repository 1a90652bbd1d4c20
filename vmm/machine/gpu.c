// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/gpu/gpu.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "virtio/gpu/gpu_codes.h"
#include "vmm/config/options.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"

#define MEMORY_MIN MIB
#define MEMORY_MAX (2 * GIB)

/* What its keys set; 0: the default. */
struct gpu_own {
    uint64_t memory_bytes;
    uint32_t outputs, width, height;
};

static bool parse_side(const char *text, char **end, uint32_t *pixels)
{
    unsigned long n = isdigit((unsigned char)text[0]) ? strtoul(text, end, 10) : 0;
    *pixels = (uint32_t)n;
    return n >= VIRTIO_GPU_SIDE_MIN && n <= VIRTIO_GPU_SIDE_MAX;
}

/* WxH */
static int set_size(void *into, const char *value)
{
    struct gpu_own *own = into;
    uint32_t width, height;
    char *end;
    if (!parse_side(value, &end, &width) || *end != 'x' || !parse_side(end + 1, &end, &height) ||
        *end != '\0')
        return -EINVAL;
    own->width = width;
    own->height = height;
    return 0;
}

#define AT(member) SCHEMA_AT(struct gpu_own, member)

const char gpu_help[] = "A display adapter: the guest's pictures";
const struct schema_key gpu_keys[] = {
    {"outputs", "N", SCHEMA_NUMBER, AT(outputs), .min = 1, .max = VIRTIO_GPU_MAX_SCANOUTS,
     .usual = "1", .help = "Monitors that can be connected, 1 to 16"},
    {"size", "WxH", SCHEMA_TEXT, .set = set_size, .usual = "1280x800",
     .expected = "a width and a height such as 1280x800, each from 64 to 4095",
     .help = "Pixels that the guest is asked for, on each output"},
    {"memory", "SIZE", SCHEMA_SIZE, AT(memory_bytes), .min = MEMORY_MIN, .max = MEMORY_MAX,
     .scale = MIB, .expected = "a size from 1M to 2G", .usual = "256M",
     .help = "Most host memory for the guest's pictures"},
    {0},
};

static unsigned gpu_count(const struct vm_config *vm)
{
    return vm->gpu.on;
}

/*
 * VIRTIO 1.4 5.7.7: a class that says that there is a picture without this device's driver. Linux's
 * driver takes the console from that framebuffer for this class alone.
 */
#define PCI_CLASS_VGA 0x030000u

/* The display is the main loop's, and so is the device. */
static int gpu_create(struct device_slot *s, unsigned index)
{
    const struct virtio_devices_config *cfg = s->cfg;
    const struct gpu_own *own = (const void *)cfg->vm->gpu.own;
    struct virtio_gpu_config config = {
        .display = cfg->display,
        .scanouts = own->outputs != 0 ? own->outputs : 1,
        .width = own->width != 0 ? own->width : VIRTIO_GPU_WIDTH_DEFAULT,
        .height = own->height != 0 ? own->height : VIRTIO_GPU_HEIGHT_DEFAULT,
        .memory_bytes = own->memory_bytes != 0 ? own->memory_bytes : VIRTIO_GPU_MEMORY_DEFAULT,
        .is_recorded = cfg->tape != NULL,
        .is_replayed = cfg->tape != NULL && tape_is_replay(cfg->tape),
    };
    struct virtio_gpu *gpu;
    (void)index;
    s->keys = &cfg->vm->gpu.virtio;
    s->loop = cfg->loop;
    if (cfg->vm->display.kind != DISPLAY_NOWHERE && cfg->arch->framebuffer_gpa != 0)
        s->pci_class = PCI_CLASS_VGA;
    struct virtio_setup setup = device_slot_setup(s, "gpu");
    int r = virtio_gpu_create(&gpu, &setup, &config);
    if (r < 0)
        return r;
    s->own = gpu;
    s->dev = virtio_gpu_device(gpu);
    return 0;
}

static void gpu_destroy(void *own)
{
    virtio_gpu_destroy(own);
}

const struct device_kind gpu_kind = {
    .count = gpu_count,
    .create = gpu_create,
    .destroy = gpu_destroy,
};
