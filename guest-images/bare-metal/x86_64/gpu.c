// SPDX-License-Identifier: BSD-2-Clause
/*
 * A load for a virtio GPU and a virtio keyboard, for tools/bench display: shows a picture of
 * 1920x1080 pixels, draws in it and has it updated, polls for the ends of the updates, and prints
 * what came of it on the serial port.
 *
 * The kernel's command line has its orders, all of them numbers:
 *   side=PIXELS     of the square that an update draws and shows; 0: all of the picture is
 *                   shown, of which STRIPE_ROWS rows were drawn [0]
 *   depth=N         updates in flight [1]          keys=0|1      answer keys instead [0]
 *   ticks=N         to measure                     warm=TICKS    of the same, not measured [0]
 *   linger=TICKS    before the run ends [0]
 *
 * An update is a TRANSFER_TO_HOST_2D and a RESOURCE_FLUSH. The guest says "gpu: ready" when its
 * picture is shown, waits for a byte on the serial port, says "gpu: start", and ends with a line of
 * results. With keys=1 it writes a byte to the serial port for each key that goes down, for ever.
 * Ticks are those of the time stamp counter; a latency is from the update's being shown to the
 * device until it was found done, percentiles to within three percent.
 */
#include <linux/input-event-codes.h>

#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/spec.h"

#define WIDTH       1920u
#define HEIGHT      1080u
#define PICTURE_GPA 0x2000000ull /* free RAM of a guest with 128 MiB */
#define PIXEL_BYTES 4u
#define RESOURCE    1u
#define STRIPE_ROWS 64u
#define DEPTH_MAX   8u
#define RING_SIZE   64u
#define EVENTS      32u
#define QUEUE_PARTS 2u /* a command and its response */

#define UART_LSR  (PORT_SERIAL + 5)
#define LSR_READY 0x01

struct rect { /* struct virtio_gpu_rect */
    uint32_t x, y, width, height;
};

struct command { /* all that is needed of each, with a header before */
    uint32_t type, flags;
    uint64_t fence;
    uint32_t context, ring;
    uint32_t words[8];
};

struct event { /* struct virtio_input_event */
    uint16_t type, code;
    uint32_t value;
};

/* Two slots each. */
struct update {
    struct command transfer, flush;
    uint64_t started;
};

_Static_assert(__builtin_offsetof(struct command, words) == VIRTIO_GPU_HDR_BYTES, "header");
_Static_assert(sizeof(struct command) == VIRTIO_GPU_TRANSFER_BYTES, "the longest");

static struct {
    uint64_t side, depth, keys, ticks, warm, linger;
} orders = {.depth = 1, .ticks = LOAD_FOREVER};

static struct {
    uint64_t updates, kicks, errors, ticks;
    struct load_latencies latencies;
} results;

static struct ring_memory memory, event_memory;
static struct ring ring, events;
static uint64_t gpu_gpa, keyboard_gpa;
static struct update updates[DEPTH_MAX];
static volatile struct command answers[2 * DEPTH_MAX];
static volatile struct event event_buffers[EVENTS];
static uint32_t drawn; /* updates, ever */

/* ---- the device ---- */

static void describe(unsigned slot, const struct command *command, uint32_t bytes)
{
    ring_describe(&ring, slot,
                  (struct ring_part[QUEUE_PARTS]){
                      {command, bytes, false},
                      {(const void *)&answers[slot], VIRTIO_GPU_HDR_BYTES, true},
                  });
}

static void publish(void)
{
    if (!ring_publish(&ring))
        return;
    results.kicks++;
    transport_kick(gpu_gpa, VIRTIO_GPU_CONTROLQ);
}

/* Waits for the answer. */
static void carry_out(const struct command *command, uint32_t bytes)
{
    describe(0, command, bytes);
    ring_add(&ring, 0);
    publish();
    while (ring_take(&ring, NULL) < 0)
        pause();
    CHECK(answers[0].type == VIRTIO_GPU_RESP_OK_NODATA);
}

static void open_gpu(void)
{
    gpu_gpa = transport_find(VIRTIO_ID_GPU);
    CHECK(gpu_gpa != 0);
    uint64_t features = transport_negotiate(gpu_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                                                         VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
                                                         VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    uint32_t size = transport_queue_max(gpu_gpa, VIRTIO_GPU_CONTROLQ);
    ring_init(&ring, &memory, size < RING_SIZE ? size : RING_SIZE, QUEUE_PARTS, features);
    CHECK(2 * orders.depth <= ring_slots(&ring));
    transport_queue(gpu_gpa, VIRTIO_GPU_CONTROLQ, &ring);
    transport_start(gpu_gpa);
}

static void open_keyboard(void)
{
    keyboard_gpa = transport_find(VIRTIO_ID_INPUT);
    CHECK(keyboard_gpa != 0);
    uint64_t features = transport_negotiate(keyboard_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1));
    ring_init(&events, &event_memory, EVENTS, 1, features);
    transport_queue(keyboard_gpa, 0, &events);
    transport_start(keyboard_gpa);
    for (unsigned slot = 0; slot < EVENTS; slot++) {
        ring_describe(&events, slot,
                      &(struct ring_part){(const void *)&event_buffers[slot],
                                          sizeof(event_buffers[slot]), true});
        ring_add(&events, slot);
    }
    if (ring_publish(&events))
        transport_kick(keyboard_gpa, 0);
}

/* ---- the picture ---- */

static void draw(const struct rect *r, uint32_t pixel)
{
    for (uint32_t y = r->y; y < r->y + r->height; y++) {
        void *at = (void *)(PICTURE_GPA + ((uint64_t)y * WIDTH + r->x) * PIXEL_BYTES);
        uint64_t pixels = r->width;
        __asm__ volatile("rep stosl" : "+D"(at), "+c"(pixels) : "a"(pixel) : "memory");
    }
}

static void show(void)
{
    const struct rect all = {0, 0, WIDTH, HEIGHT};
    draw(&all, 0x203040);
    carry_out(
        &(struct command){.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
                          .words = {RESOURCE, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT}},
        VIRTIO_GPU_CREATE_2D_BYTES);
    carry_out(&(struct command){.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
                                .words = {RESOURCE, 1, (uint32_t)PICTURE_GPA, 0,
                                          WIDTH * HEIGHT * PIXEL_BYTES}},
              VIRTIO_GPU_ATTACH_BYTES + VIRTIO_GPU_MEM_ENTRY_BYTES);
    carry_out(&(struct command){.type = VIRTIO_GPU_CMD_SET_SCANOUT,
                                .words = {0, 0, WIDTH, HEIGHT, 0, RESOURCE}},
              VIRTIO_GPU_SET_SCANOUT_BYTES);
    for (unsigned i = 0; i < orders.depth; i++) {
        updates[i].transfer.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D;
        updates[i].transfer.words[6] = RESOURCE;
        updates[i].flush.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH;
        updates[i].flush.words[4] = RESOURCE;
        describe(2 * i, &updates[i].transfer, VIRTIO_GPU_TRANSFER_BYTES);
        describe(2 * i + 1, &updates[i].flush, VIRTIO_GPU_FLUSH_BYTES);
    }
}

/* ---- the load ---- */

/* Draws, and returns what is to be shown. */
static struct rect next_rect(void)
{
    uint32_t n = drawn++, side = (uint32_t)orders.side, pixel = n * 0x010305;
    struct rect r = {0, n % (HEIGHT / STRIPE_ROWS) * STRIPE_ROWS, WIDTH, STRIPE_ROWS};
    if (side != 0)
        r = (struct rect){n % (WIDTH / side) * side, n / (WIDTH / side) % (HEIGHT / side) * side,
                          side, side};
    draw(&r, pixel);
    return side != 0 ? r : (struct rect){0, 0, WIDTH, HEIGHT};
}

static void begin(unsigned i)
{
    struct update *u = &updates[i];
    struct rect r = next_rect();
    __builtin_memcpy(u->transfer.words, &r, sizeof(r));
    __builtin_memcpy(u->flush.words, &r, sizeof(r));
    u->transfer.words[4] = (r.y * WIDTH + r.x) * PIXEL_BYTES; /* the upper half stays 0 */
    answers[2 * i].type = answers[2 * i + 1].type = 0;
    u->started = rt_ticks();
    ring_add(&ring, 2 * i);
    ring_add(&ring, 2 * i + 1);
}

/* Until the time is over; then waits for what is in flight. */
static void run(uint64_t ticks)
{
    uint64_t from = rt_ticks();
    unsigned in_flight = 0;
    __builtin_memset(&results, 0, sizeof(results));
    results.latencies.min = UINT64_MAX;
    for (; in_flight < orders.depth; in_flight++)
        begin(in_flight);
    publish();
    while (in_flight > 0) {
        int slot = ring_take(&ring, NULL);
        if (slot < 0) {
            pause();
            continue;
        }
        results.errors += answers[slot].type != VIRTIO_GPU_RESP_OK_NODATA;
        if (slot % 2 == 0)
            continue;
        uint64_t now = rt_ticks();
        results.updates++;
        load_note(&results.latencies, now - updates[slot / 2].started);
        if (now - from < ticks) {
            begin((unsigned)slot / 2);
            publish();
        } else {
            in_flight--;
        }
    }
    results.ticks = rt_ticks() - from;
}

static _Noreturn void answer_keys(void)
{
    for (;;) {
        int slot = ring_take(&events, NULL);
        if (slot < 0) {
            pause();
            continue;
        }
        if (event_buffers[slot].type == EV_KEY && event_buffers[slot].value == 1)
            outb(PORT_SERIAL, 'k');
        ring_add(&events, (unsigned)slot);
        if (ring_publish(&events))
            transport_kick(keyboard_gpa, 0);
    }
}

static void take_orders(void)
{
    const struct load_order words[] = {
        {"side", &orders.side},   {"depth", &orders.depth}, {"keys", &orders.keys},
        {"ticks", &orders.ticks}, {"warm", &orders.warm},   {"linger", &orders.linger},
    };
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(orders.side <= HEIGHT);
    CHECK(orders.depth >= 1 && orders.depth <= DEPTH_MAX);
}

int main(void)
{
    rt_irq_init();
    take_orders();
    open_gpu();
    show();
    if (orders.keys)
        open_keyboard();
    rt_puts("gpu: ready\n");
    while (!(inb(UART_LSR) & LSR_READY))
        pause();
    if (orders.warm != 0)
        run(orders.warm);
    rt_puts("gpu: start\n");
    if (orders.keys)
        answer_keys();
    run(orders.ticks);

    rt_puts("gpu: end");
    load_say("updates", results.updates);
    load_say("ticks", results.ticks);
    load_say_latencies(&results.latencies);
    load_say("kicks", results.kicks);
    load_say("errors", results.errors);
    rt_puts("\n");
    load_sleep(orders.linger);
    return results.errors != 0;
}
