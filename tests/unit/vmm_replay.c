// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm/replay.c: what devices see and answer is recorded while a driver uses them, and played to
 * fresh ones. Every answer is compared: to change one on the tape is to be told so.
 */
#include "vmm/replay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/evloop.h"
#include "core/gmem.h"
#include "core/hv.h"
#include "core/le.h"
#include "core/log.h"
#include "core/tape.h"
#include "core/xmath.h"
#include "devices/pci_host.h"
#include "firmware/x86_layout.h"
#include "tests/harness/fake.h"
#include "tests/harness/vdrv.h"
#include "virtio/spec.h"
#include "vmm/config.h"
#include "vmm/machine.h"
#include "vmm/seam.h"
#include "vmm/virtio_devices.h"

#define TAPE_FILE "/tmp/minivet-test-replay"
#define DISK      0u
#define CARD      1u
#define CONSOLE   2u
#define RNG       3u
#define DEVICES   4u
#define TEXT      "typed by somebody"

/* ---- a machine whose guest is this test ---- */

struct bench {
    char path[64];
    struct vm_config vm;
    struct tape *tape;
    struct gmem *gmem;
    struct evloop *loop;
    struct bus *mmio, *pio;
    struct seam *seam;
    struct pci_host *pci_host;
    struct virtio_devices *virtio;
    struct fake_chr chr;
    struct vdrv drv[DEVICES];
};

static void set_line(void *ctx, unsigned gsi, bool level)
{
    (void)ctx;
    (void)gsi;
    (void)level;
}

static int irq_line(struct hv_vm *vm, unsigned gsi, struct irq_line *out)
{
    (void)vm;
    *out = (struct irq_line){.set = set_line, .gsi = gsi, .eventfd = -1};
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
    char *args[] = {"run",  "K",        "-m",         "64",     "-c",
                    "1",    "--virtio", (char *)ring, "-d",     "null:16M,queues=1",
                    "-n",   "loopback", "--console",  "virtio", "--record",
                    b->path};
    *b = (struct bench){0};
    snprintf(b->path, sizeof(b->path), TAPE_FILE "-%d", (int)getpid());
    int err = tape_record(&b->tape, b->path, &clock_host, ARRAY_SIZE(args), args);
    cr_assert_eq(err, 0);
    cr_assert_eq(config_parse(&b->vm, ARRAY_SIZE(args), args), 0);
    err = gmem_create(&b->gmem, b->vm.mem_bytes, X86_HOLE_GPA, X86_HOLE_END_GPA);
    cr_assert_eq(err, 0);
    cr_assert_eq(evloop_create(&b->loop, "test", &clock_host), 0);
    cr_assert_eq(bus_create(&b->mmio, "mmio", MACHINE_MMIO_LIMIT), 0);
    cr_assert_eq(bus_create(&b->pio, "pio", MACHINE_PIO_LIMIT), 0);
    tape_set_memory(b->tape, b->gmem);
    cr_assert_eq(seam_create(&b->seam, b->tape, b->loop, b->mmio, b->pio), 0);
    const struct pci_host_config host = {
        .pio = seam_pio(b->seam), .mmio = seam_mmio(b->seam), .ecam_gpa = X86_ECAM_GPA};
    cr_assert_eq(pci_host_create(&b->pci_host, &host), 0);
    fake_chr_init(&b->chr, 80, 25);
    const struct virtio_devices_config config = {.vm = &b->vm,
                                                 .hv = &hv,
                                                 .mmio = host.mmio,
                                                 .pio = host.pio,
                                                 .pci_host = b->pci_host,
                                                 .loop = b->loop,
                                                 .gmem = b->gmem,
                                                 .terminal = &b->chr.backend,
                                                 .tape = b->tape};
    cr_assert_eq(virtio_devices_create(&b->virtio, &config), 0);
    struct pci_windows windows = machine_pci_windows(b->gmem);
    cr_assert_eq(pci_host_assign(b->pci_host, &windows), 0);
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
    pci_host_destroy(b->pci_host);
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

static void use_pci(struct bench *b)
{
    uint64_t value;
    bus_write(b->pio, 0xcf8, 4, 0x80000000);
    bus_read(b->pio, 0xcfc, 4, &value);
    cr_expect_eq(value, (uint64_t)PCI_HOST_DEVICE_ID << 16 | PCI_HOST_VENDOR_ID);
    bus_read(b->mmio, X86_ECAM_GPA, 2, &value);
    cr_expect_eq(value, PCI_HOST_VENDOR_ID);
}

static void quiet(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

/* Returns the path, which is the caller's to remove. */
static const char *record(struct bench *b, const char *ring)
{
    open_bench(b, ring);
    use_disk(b);
    use_card(b);
    use_console(b);
    use_rng(b);
    use_pci(b);
    close_bench(b);
    return b->path;
}

static int play(const char *path, char *said, size_t size)
{
    FILE *out = fmemopen(said, size, "w");
    int result = replay_run(path, out, false);
    fclose(out);
    return result;
}

/* ---- tests ---- */

static void plays_without_a_difference(const char *ring)
{
    struct bench b;
    char said[4096];
    log_set_sink(quiet, NULL);
    cr_expect_eq(play(record(&b, ring), said, sizeof(said)), 0, "%s", said);
    cr_expect_not_null(strstr(said, "no difference"));
    cr_expect_null(strstr(said, "cut off"));
    unlink(b.path);
}

Test(replay, of_split_rings_is_the_same)
{
    plays_without_a_difference("ring=split");
}

Test(replay, shows_each_step_if_asked)
{
    struct bench b;
    char *said = NULL;
    size_t len;
    log_set_sink(quiet, NULL);
    record(&b, "ring=split");
    FILE *out = open_memstream(&said, &len);
    cr_expect_eq(replay_run(b.path, out, true), 0);
    fclose(out);
    cr_expect_not_null(strstr(said, "registers: register written"));
    cr_expect_not_null(strstr(said, "null:16M: gives a chain back, queue 0"));
    free(said);
    unlink(b.path);
}

Test(replay, of_packed_rings_is_the_same)
{
    plays_without_a_difference("ring=packed");
}

struct file {
    uint8_t *bytes;
    size_t len;
};

static struct file load(const char *path)
{
    struct file f = {malloc(1 << 20), 0};
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, f.bytes, 1 << 20);
    cr_assert(got > 0 && got < 1 << 20);
    f.len = (size_t)got;
    close(fd);
    return f;
}

static void store(const char *path, struct file f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, f.bytes, f.len), (ssize_t)f.len);
    close(fd);
}

/* docs/replay.md, "The file". */
static struct tape_rec rec_at(struct file f, size_t at, size_t *after)
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
static struct file changed(struct file f, size_t at, const struct tape_rec *rec)
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

/* Which members of a record are the device's own answer, beside its bytes. */
static bool answers_a(unsigned type)
{
    return type >= TAPE_VALUE || type == TAPE_SEND || type == TAPE_RECEIVE || type == TAPE_PRINT ||
           type == TAPE_RANDOM;
}

static bool answers_b(unsigned type)
{
    return type == TAPE_VALUE || type == TAPE_PUSH || type == TAPE_SUBMIT || type == TAPE_DEVICE;
}

static bool answers_bytes(unsigned type)
{
    return type == TAPE_PUSH || type == TAPE_SUBMIT || type == TAPE_SEND || type == TAPE_PRINT;
}

static void is_told(const char *path, struct file f, size_t at, const struct tape_rec *rec,
                    const char *what)
{
    char said[4096];
    struct file other = changed(f, at, rec);
    store(path, other);
    cr_expect_eq(play(path, said, sizeof(said)), 1, "type %u: another %s goes unnoticed", rec->type,
                 what);
    cr_expect_not_null(strstr(said, "recorded:"), "%s", said);
    free(other.bytes);
}

static void each_is_told(const char *path, struct file f, size_t at, struct tape_rec rec)
{
    struct tape_rec other = rec;
    other.a ^= 1;
    if (answers_a(rec.type))
        is_told(path, f, at, &other, "a");
    other = rec;
    other.b ^= 1;
    if (answers_b(rec.type))
        is_told(path, f, at, &other, "b");
    if (!answers_bytes(rec.type) || rec.len == 0)
        return;
    f.bytes[at + 8 + rec.len - 1] ^= 1;
    is_told(path, f, at, &rec, "byte");
    f.bytes[at + 8 + rec.len - 1] ^= 1;
}

Test(replay, tells_each_other_answer)
{
    struct bench b;
    bool seen[TAPE_TYPES] = {false};
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=split"));
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (seen[rec.type] && rec.type == TAPE_VALUE) /* there are hundreds */
            continue;
        seen[rec.type] = true;
        each_is_told(b.path, f, at, rec);
    }
    for (unsigned type = TAPE_PUSH; type < TAPE_TYPES; type++)
        cr_expect(seen[type], "the tape has nothing of type %u", type);
    free(f.bytes);
    unlink(b.path);
}

/* An answer that did not come, or one more. */
Test(replay, tells_what_is_missing)
{
    struct bench b;
    char said[4096];
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=split"));
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (rec.type != TAPE_INTERRUPT && rec.type != TAPE_PUSH)
            continue;
        struct file less = changed(f, at, NULL);
        store(b.path, less);
        cr_expect_eq(play(b.path, said, sizeof(said)), 1, "one more of type %u", rec.type);
        free(less.bytes);
    }
    free(f.bytes);
    unlink(b.path);
}

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)level;
    *(unsigned *)ctx += strstr(line, "the recording ends here") != NULL;
}

Test(replay, what_is_no_recording_is_not_written_over)
{
    static const char disk[] = "somebody's disk", old[] = "minivet tape 1\n";
    char *args[] = {"run"}, path[] = "/tmp/minivet-tape-XXXXXX";
    struct tape *tape;
    struct file is;
    log_set_sink(quiet, NULL);
    close(mkstemp(path));
    store(path, (struct file){(uint8_t *)disk, sizeof(disk)});
    cr_expect_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), -EEXIST);
    is = load(path);
    cr_expect_eq(is.len, sizeof(disk));
    free(is.bytes);
    store(path, (struct file){(uint8_t *)old, sizeof(old)});
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    is = load(path);
    cr_expect_eq(memcmp(is.bytes, TAPE_MAGIC, sizeof(TAPE_MAGIC)), 0);
    free(is.bytes);
    unlink(path);
}

/* It is said once, and the machine goes on. */
Test(replay, a_full_disk_ends_the_recording)
{
    char *args[] = {"run"};
    struct tape *tape;
    unsigned lines = 0;
    log_set_sink(count_line, &lines);
    cr_assert_eq(tape_record(&tape, "/dev/full", &clock_host, ARRAY_SIZE(args), args), 0);
    for (unsigned i = 0; i < 100000; i++)
        tape_note(tape, &(struct tape_rec){.type = TAPE_LOOK});
    tape_end(tape);
    tape_destroy(tape);
    cr_expect_eq(lines, 1);
}

/* Of a run that was killed: as far as it goes. */
Test(replay, of_a_tape_that_was_cut_off_ends_there)
{
    struct bench b;
    char said[4096];
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=split"));
    size_t begun;
    for (size_t at = sizeof(TAPE_MAGIC); rec_at(f, at, &begun).type != TAPE_READ; at = begun)
        ; /* what machine it was */
    for (struct file part = f; part.len > begun; part.len -= min_u64(part.len - begun, 97)) {
        store(b.path, part);
        cr_expect_eq(play(b.path, said, sizeof(said)), 0, "%s", said);
        cr_expect_eq(strstr(said, "cut off") == NULL, part.len == f.len, "%s", said);
    }
    store(b.path, (struct file){f.bytes, 10});
    cr_expect_eq(play(b.path, said, sizeof(said)), -EINVAL);
    cr_expect_eq(play("/does/not/exist", said, sizeof(said)), -ENOENT);
    free(f.bytes);
    unlink(b.path);
}

/* What is not the device's business to know may be anything: nothing but a difference comes of it.
 */
Test(replay, survives_a_damaged_tape)
{
    struct bench b;
    char said[4096];
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=packed"));
    size_t first = sizeof(TAPE_MAGIC), after;
    while (rec_at(f, first, &after).type != TAPE_READ) /* what backends are is believed */
        first = after;
    for (unsigned n = 0; n < 300; n++) {
        size_t at = first + (n * (size_t)2654435761u) % (f.len - first);
        uint8_t was = f.bytes[at];
        f.bytes[at] ^= (uint8_t)(1 + n);
        store(b.path, f);
        int result = play(b.path, said, sizeof(said));
        cr_expect(result == 0 || result == 1);
        f.bytes[at] = was;
    }
    free(f.bytes);
    unlink(b.path);
}

/* ---- tapes that somebody has made to do harm ---- */

/* Puts `count` records before the one at `at`. */
static struct file with(struct file f, size_t at, const struct tape_rec *recs, unsigned count)
{
    struct file new = {malloc(f.len + count * 24), at};
    memcpy(new.bytes, f.bytes, at);
    for (unsigned i = 0; i < count; i++) {
        const struct tape_rec *rec = &recs[i];
        uint64_t head = rec->type | (uint64_t)rec->source << 8 | (uint64_t)rec->queue << 16 |
                        UINT64_C(0x88) << 56;
        memcpy(new.bytes + new.len, &head, 8);
        memcpy(new.bytes + new.len + 8, &rec->a, 8);
        memcpy(new.bytes + new.len + 16, &rec->b, 8);
        new.len += 24;
    }
    memcpy(new.bytes + new.len, f.bytes + at, f.len - at);
    new.len += f.len - at;
    return new;
}

/* Where the first record of a type ends. */
static size_t behind_first(struct file f, enum tape_type type, struct tape_rec *rec)
{
    size_t at = sizeof(TAPE_MAGIC), after = at;
    do {
        at = after;
        cr_assert_lt(at, f.len);
        *rec = rec_at(f, at, &after);
    } while (rec->type != type);
    return after;
}

/* While a device waits for its disk no guest comes to it: else it would be reset in its reset. */
Test(replay, no_guest_comes_while_a_device_waits)
{
    static const struct {
        uint64_t offset, value;
    } writes[] = {
        {VIRTIO_MMIO_Status, 0}, {VIRTIO_MMIO_QueueReset, 1}, {VIRTIO_MMIO_QueueReady, 0}};
    struct bench b;
    struct tape_rec drain, write;
    char said[4096];
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=split"));
    size_t at = behind_first(f, TAPE_DRAIN, &drain);
    behind_first(f, TAPE_WRITE, &write);
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        write.a = X86_VIRTIO_GPA + writes[i].offset;
        write.b = writes[i].value;
        struct file other = with(f, at, (struct tape_rec[]){write, drain, write, drain}, 4);
        store(b.path, other);
        cr_expect_eq(play(b.path, said, sizeof(said)), 1);
        cr_expect_not_null(strstr(said, "recorded: registers: register written"), "%s", said);
        free(other.bytes);
    }
    free(f.bytes);
    unlink(b.path);
}

/* To play a tape starts nothing and asks nobody. */
Test(replay, of_a_command_line_that_does_not_record_is_refused)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char path[] = "/tmp/minivet-tape-XXXXXX", disk[128], said[4096];
    char *args[] = {"run", "K", "-d", disk};
    struct tape *tape;
    log_set_sink(quiet, NULL);
    close(mkstemp(path));
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.socket", path);
    snprintf(disk, sizeof(disk), "vhost-user=%s", addr.sun_path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    cr_expect_eq(play(path, said, sizeof(said)), -EINVAL);
    cr_expect_lt(accept(server, NULL, NULL), 0);
    close(server);
    unlink(addr.sun_path);
    unlink(path);
}

/* What is no disk and no network is not made one. */
Test(replay, of_backends_that_cannot_be_is_refused)
{
    struct bench b;
    char said[4096];
    log_set_sink(quiet, NULL);
    struct file f = load(record(&b, "ring=split"));
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (rec.type != TAPE_INFO || rec.len == 0)
            continue;
        for (uint32_t i = 0; i < rec.len; i++) {
            uint8_t *byte = f.bytes + at + 8 + i, was = *byte;
            *byte = 0x43;
            store(b.path, f);
            int result = play(b.path, said, sizeof(said));
            cr_expect(result == -EINVAL || result == 0 || result == 1, "%d", result);
            *byte = was;
        }
    }
    free(f.bytes);
    unlink(b.path);
}
