// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/vmm_replay.h"

#include <linux/input-event-codes.h>

#include "arch/arch.h"
#include "core/ports/hv.h"
#include "devices/input/hub.h"
#include "devices/platform/pci_host.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/gpureq.h"
#include "tests/harness/test.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"
#include "vmm/machine/seam.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/replay/replay.h"

#define TAPE_FILE "/tmp/minivet-test-replay"
#define TEXT      "typed by somebody"

/* ---- a machine whose guest is this test ---- */

static void set_line(void *ctx, unsigned irq, bool level)
{
    (void)ctx;
    (void)irq;
    (void)level;
}

static int irq_line(struct hv_vm *vm, unsigned irq, enum irq_way way, struct irq_line *out)
{
    (void)vm;
    (void)way;
    *out = (struct irq_line){.set = set_line, .irq = irq, .eventfd = -1};
    return 0;
}

static void irq_line_release(struct hv_vm *vm, struct irq_line *line)
{
    (void)vm;
    (void)line;
}

static struct doorbell doorbell(struct hv_vm *vm)
{
    (void)vm;
    return doorbell_none;
}

static const struct hv hv = {
    .irq_line = irq_line, .irq_line_release = irq_line_release, .doorbell = doorbell};

static void open_bench(struct bench *b, const char *ring)
{
    char *args[] = {"run",       "K",
                    "-m",        "64",
                    "-c",        "1",
                    "--virtio",  (char *)ring,
                    "-d",        "null:16M,queues=1",
                    "-n",        "loopback",
                    "--console", "virtio",
                    "--input",   "keyboard",
                    "--gpu",     "on,size=640x480,transport=mmio",
                    "--record",  b->path};
    *b = (struct bench){0};
    snprintf(b->path, sizeof(b->path), TAPE_FILE "-%d", (int)getpid());
    b->clock = fake_clock_port(&b->time);
    int err = tape_record(&b->tape, b->path, &b->clock, ARRAY_SIZE(args), args);
    cr_assert_eq(err, 0);
    cr_assert_eq(config_parse(&b->vm, ARRAY_SIZE(args), args), 0);
    err = gmem_create(&b->gmem, b->vm.mem_bytes, X86_HOLE_GPA, X86_HOLE_END_GPA);
    cr_assert_eq(err, 0);
    cr_assert_eq(evloop_create(&b->loop, "test", &clock_host), 0);
    cr_assert_eq(bus_create(&b->mmio, "mmio", arch_host.mmio_limit), 0);
    cr_assert_eq(bus_create(&b->pio, "pio", arch_host.pio_limit), 0);
    tape_set_memory(b->tape, b->gmem);
    cr_assert_eq(seam_create(&b->seam, &arch_host, b->tape, b->loop, b->mmio, b->pio), 0);
    fake_chr_init(&b->chr, 80, 25);
    cr_assert_eq(input_hub_create(&b->input, b->loop), 0);
    const struct virtio_devices_config config = {.arch = &arch_host,
                                                 .vm = &b->vm,
                                                 .hv = &hv,
                                                 .mmio = seam_mmio(b->seam),
                                                 .pio = seam_pio(b->seam),
                                                 .loop = b->loop,
                                                 .gmem = b->gmem,
                                                 .terminal = &b->chr.backend,
                                                 .input = b->input,
                                                 .tape = b->tape};
    cr_assert_eq(virtio_devices_create(&b->virtio, &config), 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        vdrv_init(&b->drv[i], b->gmem, b->mmio, X86_VIRTIO_GPA + i * X86_VIRTIO_STRIDE);
        b->drv[i].heap_gpa = b->drv[i].heap_start_gpa = (1 + i) * MIB;
        b->drv[i].heap_end_gpa = (2 + i) * MIB;
        if (b->vm.virtio.ring == RING_PACKED)
            b->drv[i].always = VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    }
}

/* Nothing of what happens at the end is on the tape. */
static void close_bench(struct bench *b)
{
    tape_end(b->tape);
    for (unsigned i = 0; i < DEVICES; i++)
        vdrv_fini(&b->drv[i]);
    virtio_devices_destroy(b->virtio);
    input_hub_destroy(b->input);
    seam_destroy(b->seam);
    bus_destroy(b->mmio);
    bus_destroy(b->pio);
    evloop_destroy(b->loop);
    gmem_destroy(b->gmem);
    config_free(&b->vm);
    tape_destroy(b->tape);
}

/* ---- the guest ---- */

/* Readable bytes, then room for others, in a chain; and what the host does about it. */
static void *give(struct bench *b, unsigned device, unsigned queue, const void *bytes, uint32_t len,
                  uint32_t room)
{
    struct vdrv *d = &b->drv[device];
    uint64_t gpa = vdrv_alloc(d, len + room + 1, 16);
    const struct vdrv_buf bufs[] = {{gpa, len, false}, {gpa + len, room, true}};
    if (len > 0)
        memcpy(vdrv_ptr(d, gpa, len), bytes, len);
    vdrv_send(&d->q[queue], bufs + (len == 0), (len > 0) + (room > 0));
    evloop_drain(b->loop);
    return vdrv_ptr(d, gpa + len, room);
}

static uint8_t request(struct bench *b, uint32_t type, uint64_t sector, uint32_t data)
{
    static uint8_t out[16 + 8192];
    bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    le32_put(out, type);
    le64_put(out + 8, sector);
    uint32_t room = reads ? data : 0;
    const uint8_t *in = give(b, DISK, 0, out, 16 + data - room, room + 1);
    return in[room];
}

static void use_disk(struct bench *b)
{
    cr_assert(vdrv_start(&b->drv[DISK], VIRTIO_BIT(VIRTIO_F_RING_RESET), 1, 16));
    cr_expect_eq(request(b, VIRTIO_BLK_T_OUT, 3, 8192), VIRTIO_BLK_S_OK);
    cr_expect_eq(request(b, VIRTIO_BLK_T_IN, 3, 4096), VIRTIO_BLK_S_OK);
    cr_expect_eq(request(b, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    cr_expect_eq(request(b, VIRTIO_BLK_T_IN, 1 << 30, 512), VIRTIO_BLK_S_IOERR);
    cr_expect_eq(request(b, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    cr_assert(vdrv_queue_reset(&b->drv[DISK], 0));
    vdrv_queue_alloc(&b->drv[DISK], 0, 8);
    vdrv_queue_write(&b->drv[DISK], 0);
    cr_expect_eq(request(b, 77, 0, 0), VIRTIO_BLK_S_UNSUPP);
}

static void use_card(struct bench *b)
{
    uint8_t packet[12 + 60] = {[12] = 2, [18] = 2, [24] = 8};
    cr_assert(vdrv_start(&b->drv[CARD], 0, 2, 16));
    evloop_drain(b->loop);
    const uint8_t *room = give(b, CARD, 0, NULL, 0, 1600);
    vdrv_config_read(&b->drv[CARD], 0, packet + 12, 6); /* to itself: the loop brings it back */
    give(b, CARD, 1, packet, sizeof(packet), 0);
    cr_expect_eq(room[12 + 12], 8);
}

static void use_console(struct bench *b)
{
    cr_assert(vdrv_start(&b->drv[CONSOLE], VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, 16));
    evloop_drain(b->loop);
    const uint8_t *room = give(b, CONSOLE, 0, NULL, 0, 64);
    cr_expect_eq(fake_chr_type(&b->chr, TEXT, sizeof(TEXT)), sizeof(TEXT));
    evloop_drain(b->loop);
    cr_expect_str_eq((const char *)room, TEXT);
    b->chr.room = 3;
    give(b, CONSOLE, 1, "hello", 5, 0);
    fake_chr_open(&b->chr, 100);
    evloop_drain(b->loop);
    cr_expect_eq(b->chr.out_bytes, 5);
    b->chr.backend.handler->on_resize(b->chr.backend.handler->ctx, 132, 50);
    uint8_t columns;
    vdrv_config_read(&b->drv[CONSOLE], 0, &columns, 1);
    cr_expect_eq(columns, 132);
}

static void use_rng(struct bench *b)
{
    cr_assert(vdrv_start(&b->drv[RNG], 0, 1, 16));
    give(b, RNG, 0, NULL, 0, 100);
    vdrv_take_isr(&b->drv[RNG]);
    /* A ring that makes no sense: its descriptor is nowhere. */
    const struct vdrv_buf bad = {UINT64_C(1) << 40, 16, true};
    vdrv_send(&b->drv[RNG].q[0], &bad, 1);
    evloop_drain(b->loop);
    cr_expect_neq(vdrv_status(&b->drv[RNG]) & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
    vdrv_reset(&b->drv[RNG]);
}

static void use_keyboard(struct bench *b)
{
    struct input_sink *sink = input_hub_sink(b->input);
    uint8_t led[INPUT_EVENT_BYTES], *room = NULL;
    cr_assert(vdrv_start(&b->drv[KEYS], 0, 2, 16));
    sink->ops->key(sink, KEY_A, true);
    for (unsigned i = 0; i < 2; i++)
        room = give(b, KEYS, VIRTIO_INPUT_EVENTS, NULL, 0, INPUT_EVENT_BYTES);
    cr_expect_eq(le16_get(room), EV_SYN);
    input_event_put(led, &(struct input_event){EV_LED, LED_NUML, 1});
    give(b, KEYS, VIRTIO_INPUT_STATUS, led, sizeof(led), 0);
    cr_expect_eq(input_hub_leds(b->input), 1u << LED_NUML);
    sink->ops->release(sink);
    evloop_drain(b->loop);
}

/* A picture in pages of memory that no chain has: commands and answers are on the tape. */
static void use_gpu(struct bench *b)
{
    enum {
        PAGES = 600,
        ATTACH_BYTES = VIRTIO_GPU_ATTACH_BYTES + PAGES * VIRTIO_GPU_MEM_ENTRY_BYTES
    };
    static uint8_t request[ATTACH_BYTES];
    const struct display_rect all = {0, 0, 640, 480};
    cr_assert(vdrv_start(&b->drv[GPU], GPUREQ_FEATURES, VIRTIO_GPU_QUEUES, 16));
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, VIRTIO_GPU_CREATE_2D_BYTES);
    le32_put(request + VIRTIO_GPU_CREATE_2D_resource_id, 1);
    le32_put(request + VIRTIO_GPU_CREATE_2D_format, GPUREQ_FORMAT);
    le32_put(request + VIRTIO_GPU_CREATE_2D_width, 1024);
    le32_put(request + VIRTIO_GPU_CREATE_2D_height, 600);
    give(b, GPU, 0, request, VIRTIO_GPU_CREATE_2D_BYTES, VIRTIO_GPU_HDR_BYTES);
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, ATTACH_BYTES);
    le32_put(request + VIRTIO_GPU_ATTACH_resource_id, 1);
    le32_put(request + VIRTIO_GPU_ATTACH_nr_entries, PAGES);
    for (uint64_t i = 0; i < PAGES; i++) {
        uint8_t *entry = request + VIRTIO_GPU_ATTACH_BYTES + i * VIRTIO_GPU_MEM_ENTRY_BYTES;
        le64_put(entry + VIRTIO_GPU_MEM_ENTRY_addr, 40 * MIB - i * 4096);
        le32_put(entry + VIRTIO_GPU_MEM_ENTRY_length, 4096);
    }
    give(b, GPU, 0, request, ATTACH_BYTES, VIRTIO_GPU_HDR_BYTES);
    const uint8_t *room = give(b, GPU, 0, request, gpureq_make_transfer(request, 1, &all, 0), 24);
    cr_expect_eq(le32_get(room), GPUREQ_OK);
    gpureq_make(request, VIRTIO_GPU_CMD_GET_EDID, VIRTIO_GPU_GET_EDID_BYTES);
    room = give(b, GPU, 0, request, VIRTIO_GPU_GET_EDID_BYTES, VIRTIO_GPU_RESP_EDID_BYTES);
    cr_expect_eq(le32_get(room), VIRTIO_GPU_RESP_OK_EDID);
}

static void use_pci(struct bench *b)
{
    uint64_t value;
    bus_write(b->pio, 0xcf8, 4, 0x80000000);
    bus_read(b->pio, 0xcfc, 4, &value);
    cr_expect_eq(value, (uint64_t)PCI_HOST_DEVICE_ID << 16 | PCI_HOST_VENDOR_ID);
    bus_read(b->mmio, X86_ECAM_GPA, 2, &value);
    cr_expect_eq(value, PCI_HOST_VENDOR_ID);
}

/* Statistics of exits ask for them. */
static void expect_names(const struct bench *b)
{
    static const struct {
        uint64_t gpa;
        const char *name;
    } windows[] = {{X86_VIRTIO_GPA + DISK * X86_VIRTIO_STRIDE, "null:16M"},
                   {X86_VIRTIO_GPA + CONSOLE * X86_VIRTIO_STRIDE, "console"},
                   {X86_ECAM_GPA + 1, "pci-ecam"}};
    for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
        cr_expect_str_eq(bus_name_at(b->mmio, windows[i].gpa), windows[i].name);
    cr_expect_str_eq(bus_name_at(b->pio, 0xcfd), "pci-data");
    cr_expect_null(bus_name_at(b->mmio, X86_VIRTIO_GPA + DEVICES * X86_VIRTIO_STRIDE));
}

void replay_quiet(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

/* Returns the path, which is the caller's to remove. */
const char *replay_record(struct bench *b, const char *ring)
{
    open_bench(b, ring);
    expect_names(b);
    use_disk(b);
    b->time.now_ns += 1000000;
    use_card(b);
    use_console(b);
    use_rng(b);
    use_keyboard(b);
    use_gpu(b);
    use_pci(b);
    close_bench(b);
    return b->path;
}

char said[4096];

int replay_play(const char *path)
{
    said[0] = '\0';
    FILE *out = fmemopen(said, sizeof(said), "w");
    int result = replay_run(path, out, false);
    fclose(out);
    return result;
}

struct file replay_load(const char *path)
{
    struct file f = {malloc(1 << 20), 0};
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, f.bytes, 1 << 20);
    cr_assert(got > 0 && got < 1 << 20);
    f.len = (size_t)got;
    close(fd);
    return f;
}

void replay_store(const char *path, struct file f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, f.bytes, f.len), (ssize_t)f.len);
    close(fd);
}

/* docs/replay.md, "The file". */
struct tape_rec rec_at(struct file f, size_t at, size_t *after)
{
    uint64_t head, a = 0, b = 0;
    memcpy(&head, f.bytes + at, sizeof(head));
    struct tape_rec rec = {.type = (uint8_t)head,
                           .source = (uint8_t)(head >> 8),
                           .queue = (uint16_t)(head >> 16),
                           .len = head >> 32 & 0xffffff,
                           .bytes = f.bytes + at + sizeof(head)};
    const uint8_t *end = rec.bytes + rec.len;
    memcpy(&a, end, head >> 56 & 15);
    end += head >> 56 & 15;
    memcpy(&b, end, head >> 60);
    rec.a = a;
    rec.b = b;
    *after = (size_t)(end + (head >> 60) - f.bytes);
    return rec;
}

/* Puts a record in the place of the one at `at`; NULL: nothing. a and b need not be short. */
struct file changed(struct file f, size_t at, const struct tape_rec *rec)
{
    size_t after, len = at;
    struct tape_rec was = rec_at(f, at, &after);
    struct file new = {malloc(f.len + 64), 0};
    memcpy(new.bytes, f.bytes, at);
    if (rec != NULL) {
        uint64_t head = was.type | (uint64_t)was.source << 8 | (uint64_t)was.queue << 16 |
                        (uint64_t)was.len << 32 | UINT64_C(0x88) << 56;
        memcpy(new.bytes + len, &head, 8);
        memcpy(new.bytes + len + 8, rec->bytes, rec->len);
        len += 8 + rec->len;
        memcpy(new.bytes + len, &rec->a, 8);
        memcpy(new.bytes + len + 8, &rec->b, 8);
        len += 16;
    }
    memcpy(new.bytes + len, f.bytes + after, f.len - after);
    new.len = len + f.len - after;
    return new;
}

struct replay_told told;

/* What is said of tapes. */
void replay_hear(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (level != LOG_ERROR)
        return;
    told.lines++;
    snprintf(told.last, sizeof(told.last), "%s", line);
}
