// SPDX-License-Identifier: BSD-2-Clause
/* What a driver of a GPU device may try: H70 to H77, H95 to H97. */
#include "hostile.h"

#include "tests/harness/gpureq.h"

#define W         48u
#define H         32u
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_ID     VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define NO_SCREEN VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define WRONG     VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define MAX       UINT32_MAX

static const struct display_rect all = {0, 0, W, H};

static void open_gpu(struct rig *rig, const struct rig_config *config)
{
    rig_open_gpu_on(rig, config);
    gpureq_start(rig);
}

/* After whatever happened a reset shows nothing, and a picture can be shown. */
static void close_gpu(struct rig *rig)
{
    cr_expect(!rig_is_broken(rig));
    gpureq_start(rig);
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        cr_expect(!rig->display.screens[i].shows && rig->display.screens[i].cursor == NULL);
    gpureq_show(rig, 0, 1, W, H, 42);
    cr_expect(gpureq_sees(rig, 0, W, H, 42));
    rig_close(rig);
}

#define OnGpu(name) OnEachRig(hostile_gpu, name, open_gpu(rig, on), close_gpu(rig))
/* The same with 64 MiB of memory in one piece, and resets of queues. */
#define OnLargeGpu(name)                                                                    \
    OnEachRig(hostile_gpu, name, on->ram_bytes = 64 * MIB; on->hole_gpa = RIG_HOLE_END_GPA; \
              on->features_on |= VIRTIO_BIT(VIRTIO_F_RING_RESET);                           \
              open_gpu(rig, on), close_gpu(rig))

/* ---- sizes ---- */

OnGpu(h70_resources_of_absurd_sizes)
{
    static const uint32_t sizes[][3] = {
        {MAX, MAX, NO_MEMORY},
        {MAX, 1, NO_MEMORY},
        {1, MAX, NO_MEMORY},
        {0x80000000, 2, NO_MEMORY},
        {0x10000, 0x10000, NO_MEMORY},
        {0x40000000, 4, NO_MEMORY},
        {0x8000, 0x8000, NO_MEMORY},
        {0, 5, WRONG},
        {5, 0, WRONG},
        {0x80000001, 0x80000001, NO_MEMORY}, /* times 4 is 4 modulo 2^64, and 2^32 + 4 */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
        cr_expect_eq(gpureq_create(rig, i + 1, GPUREQ_FORMAT, sizes[i][0], sizes[i][1]),
                     sizes[i][2], "%#x times %#x", sizes[i][0], sizes[i][1]);
    /* One that is a line, which nothing can show whole. */
    cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 1000000, 1), GPUREQ_OK);
    cr_expect_eq(gpureq_scanout(rig, 0, 1, GPUREQ_RECT(0, 0, 1000000, 1)), WRONG);
    cr_expect_eq(gpureq_scanout(rig, 0, 1, GPUREQ_RECT(999000, 0, 1000, 1)), GPUREQ_OK);
}

OnGpu(h70_rectangles_that_wrap_around)
{
    static const struct display_rect rects[] = {
        {W, 0, 1, 1},          {0, H, 1, 1},          {1, 0, W, H},         {0, 1, W, H},
        {MAX, 0, 1, 1},        {0, MAX, 1, 1},        {MAX, MAX, MAX, MAX}, {1, 1, MAX, MAX},
        {2, 0, MAX - 1, 1},    {0, 2, 1, MAX - 1},    {0, 0, MAX, 1},       {0, 0, 1, MAX},
        {0x80000000, 0, W, H}, {0, 0, 0x40000001, 1},
    };
    static const uint64_t offsets[] = {4, UINT64_MAX, UINT64_MAX - W * H * 4 + 1, UINT64_C(1) << 63,
                                       UINT64_C(1) << 32};
    gpureq_show(rig, 0, 1, W, H, 3);
    for (unsigned i = 0; i < ARRAY_SIZE(rects); i++) {
        cr_expect_eq(gpureq_transfer(rig, 1, &rects[i], 0), WRONG, "rectangle %u", i);
        cr_expect_eq(gpureq_flush(rig, 1, &rects[i]), WRONG, "rectangle %u", i);
        cr_expect_eq(gpureq_scanout(rig, 0, 1, &rects[i]), WRONG, "rectangle %u", i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
        cr_expect_eq(gpureq_transfer(rig, 1, &all, offsets[i]), WRONG, "offset %u", i);
    cr_expect_eq(gpureq_transfer(rig, 1, GPUREQ_RECT(0, 0, 0, MAX), 0), WRONG);
    cr_expect_eq(gpureq_transfer(rig, 1, GPUREQ_RECT(W, H, 0, 0), UINT64_MAX), GPUREQ_OK);
    cr_expect_eq(gpureq_scanout(rig, 0, 1, GPUREQ_RECT(0, 0, 0, 0)), WRONG);
    cr_expect(gpureq_sees(rig, 0, W, H, 3), "what was seen stays");
}

OnGpu(h70_frames_of_blobs_that_wrap_around)
{
    static const struct gpureq_frame frames[] = {
        {W, H, GPUREQ_FORMAT, W * 4 - 1, 0},
        {W, H, GPUREQ_FORMAT, 0, 0},
        {W, H, GPUREQ_FORMAT, W * 4, 1},
        {W, H, GPUREQ_FORMAT, W * 4, MAX},
        {W, H, GPUREQ_FORMAT, MAX, 0},
        {W, H, GPUREQ_FORMAT, MAX, MAX},
        {MAX, H, GPUREQ_FORMAT, MAX, 0},
        {0x40000000, H, GPUREQ_FORMAT, 0, 0},
        {0x40000001, H, GPUREQ_FORMAT, 4, 0},
        {W, H, 0, W * 4, 0},
        {W, H, MAX, W * 4, 0},
        {W - 1, H, GPUREQ_FORMAT, W * 4, 0},
        {W, H - 1, GPUREQ_FORMAT, W * 4, 0},
        {W, H, GPUREQ_FORMAT, W * 4 + 4, 0},
        {W, H, GPUREQ_FORMAT, 0x80000000 + W * 4, 0},
        {0, 0, GPUREQ_FORMAT, W * 4, 0},
    };
    const struct gpureq_frame good = {W, H, GPUREQ_FORMAT, W * 4, 0},
                              huge = {MAX / 4, MAX, GPUREQ_FORMAT, MAX, 0};
    uint64_t gpa = gpureq_picture(rig, W, H, 8);
    struct gpureq_entry entry = {gpa, W * H * 4}, twice[] = {entry, entry};
    cr_assert_eq(gpureq_blob(rig, 1, W * H * 4, &entry, 1), GPUREQ_OK);
    /* One says that it is larger than its backing is, and one that it is smaller. */
    cr_assert_eq(gpureq_blob(rig, 2, UINT64_MAX, &entry, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_blob(rig, 3, W * H * 4, twice, 2), GPUREQ_OK);
    for (uint32_t id = 1; id <= 3; id++) {
        for (unsigned i = 0; i < ARRAY_SIZE(frames); i++)
            cr_expect_eq(gpureq_scanout_blob(rig, 0, id, &all, &frames[i]), WRONG, "frame %u of %u",
                         i, id);
        cr_expect_eq(
            gpureq_scanout_blob(rig, 0, id, GPUREQ_RECT(MAX / 4 - 1, MAX - 1, 1, 1), &huge), WRONG);
        cr_expect_eq(gpureq_scanout_blob(rig, 0, id, GPUREQ_RECT(1, 0, W, 1), &good), WRONG);
        cr_expect(!rig->display.screens[0].shows);
    }
    cr_expect_eq(gpureq_scanout_blob(rig, 0, 2, &all, &good), GPUREQ_OK);
    cr_expect_eq(gpureq_flush(rig, 2, GPUREQ_RECT(MAX, MAX, MAX, MAX)), GPUREQ_OK, "no size");
    cr_expect_eq(gpureq_flush(rig, 2, GPUREQ_RECT(W - 1, H - 1, MAX, MAX)), GPUREQ_OK);
    cr_expect_eq(rig->display.screens[0].damages, 1);
    cr_expect_eq(rig->display.screens[0].damage.width, 1, "cut to what is shown");
}

/* ---- backings ---- */

OnGpu(h71_backings_that_lie)
{
    static const struct gpureq_entry outside[] = {
        {RIG_RAM_END_GPA, 1},
        {RIG_RAM_END_GPA - 1, 2},
        {RIG_HOLE_GPA, 4},
        {RIG_HOLE_GPA - 4, 8},
        {RIG_HOLE_END_GPA - 1, 1},
        {RIG_WINDOW_GPA, 0x200},
        {UINT64_MAX, 1},
        {UINT64_MAX - 3, 8},
        {UINT64_C(1) << 63, 4096},
        {0, MAX},
        {RIG_HOLE_GPA - 4096, 0x200000},
        {RIG_RAM_END_GPA + 1, 0},
    };
    uint8_t request[VIRTIO_GPU_ATTACH_BYTES + VIRTIO_GPU_MEM_ENTRY_BYTES];
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
        struct gpureq_entry two[] = {{0x1000, 4096}, outside[i]};
        cr_expect_eq(gpureq_attach(rig, 1, two, 2), WRONG, "entry %u", i);
        cr_expect_eq(gpureq_blob(rig, 2, 4096, two, 2), WRONG, "entry %u", i);
        cr_expect_eq(gpureq_transfer(rig, 1, &all, 0), WRONG, "nothing is attached");
        cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, 2), NO_ID);
    }
    /* More entries than there are bytes. */
    static const uint32_t counts[] = {2, 3, 0x10000000, 0x10000001, MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, sizeof(request));
        le32_put(request + VIRTIO_GPU_ATTACH_resource_id, 1);
        le32_put(request + VIRTIO_GPU_ATTACH_nr_entries, counts[i]);
        cr_expect_eq(gpureq_call(rig, 0, request, sizeof(request), 24), WRONG, "%u", counts[i]);
    }
    /* Too short for the rectangle, by a byte. */
    struct gpureq_entry entry = {0x180000, W * H * 4 - 1};
    cr_expect_eq(gpureq_attach(rig, 1, &entry, 1), GPUREQ_OK);
    cr_expect_eq(gpureq_transfer(rig, 1, &all, 0), WRONG);
    cr_expect_eq(gpureq_transfer(rig, 1, GPUREQ_RECT(0, 0, W - 1, H), 0), GPUREQ_OK);
}

/* Rings, requests and other resources' memory are readable memory as any. */
OnGpu(h71_backings_that_overlap)
{
    struct gpureq_entry entries[] = {
        {0x180000, 4096}, {0x180800, 4096}, {0x180000, 8192}, {0, 4096}};
    const struct gpureq_frame frame = {W, H, GPUREQ_FORMAT, W * 4, 0};
    entries[3].gpa = rig->drv.q[0].desc_gpa & ~UINT64_C(4095);
    memset(vdrv_ptr(&rig->drv, 0x180000, 8192), 0x31, 8192);
    for (uint32_t id = 1; id <= 2; id++) {
        cr_expect_eq(gpureq_create(rig, id, GPUREQ_FORMAT, W, H), GPUREQ_OK);
        cr_expect_eq(gpureq_attach(rig, id, entries, ARRAY_SIZE(entries)), GPUREQ_OK);
        cr_expect_eq(gpureq_transfer(rig, id, &all, 0), GPUREQ_OK);
    }
    cr_expect_eq(gpureq_blob(rig, 3, W * H * 4, entries + 3, 1), GPUREQ_OK);
    cr_expect_eq(gpureq_scanout_blob(rig, 0, 3, &all, &frame), WRONG, "it is shorter");
    cr_expect_eq(gpureq_scanout(rig, 0, 1, &all), GPUREQ_OK);
    cr_expect_eq(fake_display_pixel(&rig->display, 0, 0, 0), 0x31313131);
}

/* ---- what is shown ---- */

OnGpu(h72_scanouts_of_other_resources)
{
    const struct gpureq_frame frame = {W, H, GPUREQ_FORMAT, W * 4, 0};
    uint64_t gpa = gpureq_show(rig, 0, 1, W, H, 1);
    struct gpureq_entry entry = {gpa, W * H * 4};
    cr_assert_eq(gpureq_blob(rig, 2, W * H * 4, &entry, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_blob(rig, 3, W * H * 4, NULL, 0), GPUREQ_OK);
    cr_expect_eq(gpureq_scanout_blob(rig, 0, 1, &all, &frame), WRONG, "it is no blob");
    cr_expect_eq(gpureq_scanout(rig, 0, 2, &all), WRONG, "it is a blob");
    cr_expect_eq(gpureq_scanout_blob(rig, 0, 3, &all, &frame), WRONG, "it has no memory");
    cr_expect_eq(gpureq_scanout_blob(rig, 0, 4, &all, &frame), NO_ID);
    cr_expect_eq(gpureq_scanout_blob(rig, 2, 2, &all, &frame), NO_SCREEN);
    cr_expect_eq(gpureq_scanout_blob(rig, MAX, 2, &all, &frame), NO_SCREEN);
    cr_expect(gpureq_sees(rig, 0, W, H, 1));
    cr_expect_eq(gpureq_scanout_blob(rig, 1, 2, &all, &frame), GPUREQ_OK);
    for (uint32_t id = 1; id <= 2; id++) {
        cr_expect_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, id), GPUREQ_OK);
        cr_expect(!rig->display.screens[id - 1].shows, "it went with its resource");
        cr_expect_eq(gpureq_flush(rig, id, &all), NO_ID);
        cr_expect_eq(gpureq_scanout(rig, 0, id, &all), NO_ID);
    }
    cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 8, 8), GPUREQ_OK, "the same id, smaller");
    cr_expect_eq(gpureq_flush(rig, 1, GPUREQ_RECT(0, 0, 8, 8)), GPUREQ_OK);
    cr_expect(!rig->display.screens[0].shows);
}

OnGpu(h73_cursors_out_of_bounds)
{
    const struct gpureq_pointer wrong[] = {
        {2, 0, 0, 1, 0, 0},  {MAX, 0, 0, 1, 0, 0}, {0, 0, 0, 9, 0, 0},   {0, 0, 0, MAX, 0, 0},
        {0, 0, 0, 1, 64, 0}, {0, 0, 0, 1, 0, 64},  {0, 0, 0, 1, MAX, 0}, {0, 0, 0, 1, 0, MAX},
        {0, 0, 0, 2, 0, 0},  {0, 0, 0, 3, 0, 0},   {0, 0, 0, 4, 0, 0},
    };
    struct gpureq_entry entry = {0x180000, 64 * 64 * 4 - 1};
    gpureq_show(rig, 0, 1, 64, 64, 1);
    cr_assert_eq(gpureq_create(rig, 2, GPUREQ_FORMAT, 63, 65), GPUREQ_OK);
    cr_assert_eq(gpureq_create(rig, 3, GPUREQ_FORMAT, 128, 128), GPUREQ_OK);
    cr_assert_eq(gpureq_blob(rig, 4, UINT64_MAX, &entry, 1), GPUREQ_OK);
    struct gpureq_pointer good = {1, MAX, MAX, 1, 63, 63};
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &good), GPUREQ_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        uint32_t answer = gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &wrong[i]);
        cr_expect(answer >= VIRTIO_GPU_RESP_ERR_UNSPEC, "pointer %u: %#x", i, answer);
    }
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_MOVE_CURSOR, &wrong[0]), NO_SCREEN);
    cr_expect(rig->display.screens[0].cursor == NULL);
    cr_expect(rig->display.screens[1].cursor != NULL);
    cr_expect_eq(rig->display.screens[1].cursor_x, MAX);
}

/* ---- floods ---- */

OnLargeGpu(h74_resources_without_end)
{
    static struct gpureq_entry pages[VIRTIO_GPU_ENTRIES_MAX + 1];
    uint32_t made = 0;
    while (made < 100000 && gpureq_create(rig, made + 1, GPUREQ_FORMAT, 1, 1) == GPUREQ_OK)
        made++;
    cr_expect(made >= 1000 && made < 100000, "%u resources", made);
    cr_expect_eq(gpureq_blob(rig, made + 1, 4096, NULL, 0), NO_MEMORY);
    for (uint32_t id = 1; id <= made; id++)
        cr_assert_eq(gpureq_simple(rig, VIRTIO_GPU_CMD_RESOURCE_UNREF, id), GPUREQ_OK);
    /* Empty ranges cost the host memory, too. */
    cr_expect_eq(gpureq_blob(rig, 1, 4096, pages, VIRTIO_GPU_ENTRIES_MAX + 1), NO_MEMORY);
    for (made = 0; made < 1000; made++)
        if (gpureq_blob(rig, made + 1, 4096, pages, VIRTIO_GPU_ENTRIES_MAX) != GPUREQ_OK)
            break;
    cr_expect(made > 0 && made <= RIG_GPU_BYTES / VIRTIO_GPU_ENTRIES_MAX / 16, "%u lists", made);
}

static unsigned come_back(struct rig *rig, unsigned queue)
{
    uint32_t head, len;
    unsigned back = 0;
    while (vdrv_used(&rig->drv.q[queue], &head, &len))
        back++;
    return back;
}

/* As many copies as fit, all published at once: the cursor queue has its turns between them. */
OnGpu(h74_flushes_without_end)
{
    const struct gpureq_frame frame = {512, 512, GPUREQ_FORMAT, 2048, 0};
    uint64_t half = 512 * 512 * 2;
    struct gpureq_entry halves[] = {{0x100000 + half, (uint32_t)half}, {0x100000, (uint32_t)half}};
    uint8_t request[VIRTIO_GPU_CURSOR_BYTES];
    const struct display_rect square = {0, 0, 512, 512};
    cr_assert_eq(gpureq_blob(rig, 1, 2 * half, halves, 2), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout_blob(rig, 0, 1, &square, &frame), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout_blob(rig, 1, 1, &square, &frame), GPUREQ_OK);
    for (unsigned i = 0; i < 8; i++)
        gpureq_send(rig, 0, request, gpureq_make_flush(request, 1, &square), 24);
    gpureq_make(request, VIRTIO_GPU_CMD_MOVE_CURSOR, sizeof(request));
    gpureq_send(rig, 1, request, sizeof(request), 24);
    virtio_queue_serve(rig->dev, 0); /* as a kick has it */
    virtio_queue_serve(rig->dev, 1);
    evloop_run_deferred(rig->loop);
    evloop_run_deferred(rig->loop);
    unsigned back = come_back(rig, 0);
    cr_expect(back < 8, "%u of 8 in the first turns", back);
    cr_expect_eq(rig->display.screens[0].moves, 1);
    rig_step(rig);
    cr_expect_eq(back + come_back(rig, 0), 8);
}

/* What is published all at once takes several turns. */
static void expect_turns(struct rig *rig, unsigned queue, unsigned requests)
{
    virtio_queue_serve(rig->dev, queue); /* as a kick has it */
    evloop_run_deferred(rig->loop);      /* what is used is published */
    unsigned back = come_back(rig, queue);
    cr_expect(back < requests, "%u of %u in the first turn", back, requests);
    rig_step(rig);
    cr_expect_eq(back + come_back(rig, queue), requests);
}

/* The C library zeroes the memory that the one before has had. */
OnGpu(h95_pictures_made_and_freed)
{
    uint8_t request[VIRTIO_GPU_CREATE_2D_BYTES];
    for (unsigned i = 0; i < 4; i++) {
        gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(request));
        le32_put(request + VIRTIO_GPU_CREATE_2D_resource_id, 1);
        le32_put(request + VIRTIO_GPU_CREATE_2D_format, GPUREQ_FORMAT);
        le32_put(request + VIRTIO_GPU_CREATE_2D_width, 1024);
        le32_put(request + VIRTIO_GPU_CREATE_2D_height, 1024);
        gpureq_send(rig, 0, request, sizeof(request), 24);
        gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_UNREF, VIRTIO_GPU_RESOURCE_BYTES);
        le32_put(request + VIRTIO_GPU_RESOURCE_resource_id, 1);
        gpureq_send(rig, 0, request, VIRTIO_GPU_RESOURCE_BYTES, 24);
    }
    expect_turns(rig, 0, 8);
    cr_expect_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, 1, 1), GPUREQ_OK, "each was freed");
}

/* Each byte of the picture lies elsewhere; then each pixel's row of 64, as it may. */
OnLargeGpu(h96_cursors_in_very_many_pieces)
{
    static struct gpureq_entry bytes[64 * 64 * 4], rows[64];
    struct gpureq_pointer p = {.id = 1};
    for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++)
        bytes[i] = (struct gpureq_entry){RIG_HOLE_END_GPA - 4096 - 2 * (i + 1), 1};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        rows[i] = (struct gpureq_entry){RIG_HOLE_END_GPA + 4096 * i, 64 * 4};
    cr_assert_eq(gpureq_blob(rig, 1, ARRAY_SIZE(bytes), bytes, ARRAY_SIZE(bytes)), GPUREQ_OK);
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &p), WRONG);
    cr_expect(rig->display.screens[0].cursor == NULL);
    cr_assert_eq(gpureq_blob(rig, 2, 64 * 64 * 4, rows, ARRAY_SIZE(rows)), GPUREQ_OK);
    p.id = 2;
    cr_expect_eq(gpureq_cursor(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR, &p), GPUREQ_OK);
    cr_expect(rig->display.screens[0].cursor != NULL);
}

OnLargeGpu(h97_lists_whose_last_range_is_wrong)
{
    static uint8_t
        request[VIRTIO_GPU_ATTACH_BYTES + VIRTIO_GPU_ENTRIES_MAX * VIRTIO_GPU_MEM_ENTRY_BYTES];
    uint8_t *last = request + sizeof(request) - VIRTIO_GPU_MEM_ENTRY_BYTES;
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, W, H), GPUREQ_OK);
    gpureq_make(request, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, sizeof(request));
    le32_put(request + VIRTIO_GPU_ATTACH_resource_id, 1);
    le32_put(request + VIRTIO_GPU_ATTACH_nr_entries, VIRTIO_GPU_ENTRIES_MAX);
    le64_put(last + VIRTIO_GPU_MEM_ENTRY_addr, UINT64_MAX);
    le32_put(last + VIRTIO_GPU_MEM_ENTRY_length, 1);
    for (unsigned i = 0; i < 8; i++)
        gpureq_send(rig, 0, request, sizeof(request), 24);
    expect_turns(rig, 0, 8);
    cr_expect_eq(le32_get(gpureq_response(rig)), WRONG);
}

/* A pixel of each page: the host may have to make them all. */
OnLargeGpu(h98_copies_from_very_many_pages)
{
    enum { WIDTH = 4096 / 4, ROWS = 2000 };
    static struct gpureq_entry pixels[ROWS];
    const struct gpureq_entry whole = {RIG_HOLE_END_GPA, ROWS * 4096};
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    for (unsigned i = 0; i < ROWS; i++)
        pixels[i] = (struct gpureq_entry){RIG_HOLE_END_GPA + 4096 * i, 4};
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, WIDTH, ROWS), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 1, &whole, 1), GPUREQ_OK);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, GPUREQ_RECT(0, 0, 1, ROWS), 0),
                24);
    expect_turns(rig, 0, 1);
    cr_assert_eq(gpureq_create(rig, 2, GPUREQ_FORMAT, ROWS, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 2, pixels, ROWS), GPUREQ_OK);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 2, GPUREQ_RECT(0, 0, ROWS, 1), 0),
                24);
    expect_turns(rig, 0, 1);
}

/* Of one page of its own, to rows that each lie in another page of the host's. */
OnLargeGpu(h98_copies_to_very_many_pages)
{
    enum { WIDTH = 4096 / 4, ROWS = 2000 };
    static struct gpureq_entry pages[ROWS];
    uint8_t request[VIRTIO_GPU_TRANSFER_BYTES];
    for (unsigned i = 0; i < ROWS; i++)
        pages[i] = (struct gpureq_entry){RIG_HOLE_END_GPA, 4096};
    cr_assert_eq(gpureq_create(rig, 1, GPUREQ_FORMAT, WIDTH, ROWS), GPUREQ_OK);
    cr_assert_eq(gpureq_attach(rig, 1, pages, ROWS), GPUREQ_OK);
    gpureq_send(rig, 0, request, gpureq_make_transfer(request, 1, GPUREQ_RECT(0, 0, 1, ROWS), 0),
                24);
    expect_turns(rig, 0, 1);
}

/* ---- resets ---- */

/* The set-up of a scattered frame, and a flush of it, are stopped in each of their turns. */
OnLargeGpu(h75_resets_in_the_middle_of_a_copy)
{
    const struct display_rect hd = {0, 0, 1920, 1080};
    uint32_t half = 1920 * 1080 * 2;
    uint8_t request[VIRTIO_GPU_SCANOUT_BLOB_BYTES];
    for (unsigned turns = 0; turns < 12; turns++) {
        bool whole = turns % 2 == 0;
        cr_assert(vdrv_start(&rig->drv, GPUREQ_FEATURES | VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, 16));
        rig_step(rig);
        uint64_t gpa = vdrv_alloc(&rig->drv, 2 * half, 4096);
        struct gpureq_entry halves[] = {{gpa + half, half}, {gpa, half}};
        cr_assert_eq(gpureq_blob(rig, 1, 2 * half, halves, 2), GPUREQ_OK);
        gpureq_make(request, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, sizeof(request));
        gpureq_put_rect(request + VIRTIO_GPU_SCANOUT_BLOB_r, &hd);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_resource_id, 1);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_width, 1920);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_height, 1080);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_format, GPUREQ_FORMAT);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_strides, 1920 * 4);
        gpureq_send(rig, 0, request, sizeof(request), 24);
        gpureq_send(rig, 0, request, gpureq_make_flush(request, 1, &hd), 24);
        virtio_queue_serve(rig->dev, 0);
        for (unsigned i = 0; i < turns; i++)
            evloop_run_deferred(rig->loop);
        if (whole) {
            vdrv_reset(&rig->drv);
        } else {
            cr_assert(vdrv_queue_reset(&rig->drv, 0));
            rig_step(rig);
            vdrv_queue_set_up(&rig->drv, 0, 16);
            /* The frame is shown, or it is not and there is no damage of it. */
            cr_expect_eq(gpureq_flush(rig, 1, &hd), GPUREQ_OK);
        }
        rig_step(rig);
    }
}

/* ---- the display ---- */

/* The driver reads byte by byte while the window changes: each value was there at some time. */
OnGpu(h76_configuration_reads_while_the_size_changes)
{
    uint8_t config[VIRTIO_GPU_CONFIG_BYTES];
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t before = vdrv_generation(&rig->drv);
        display_tell_size(&rig->display.backend, i % 3, i * 37 % 5000, i * 91 % 5000);
        vdrv_config_read(&rig->drv, 0, config, sizeof(config));
        cr_expect(le32_get(config + VIRTIO_GPU_CONFIG_events_read) <= VIRTIO_GPU_EVENT_DISPLAY);
        cr_expect_eq(le32_get(config + VIRTIO_GPU_CONFIG_num_scanouts), 2);
        if (vdrv_generation(&rig->drv) != before && i % 2 == 0)
            cr_expect_eq(le32_get(config), VIRTIO_GPU_EVENT_DISPLAY);
        memset(config, 0xff, sizeof(config));
        vdrv_config_write(&rig->drv, i % 8, config, 1 + i % 8);
        vdrv_config_write(&rig->drv, 0, config, sizeof(config));
        vdrv_config_read(&rig->drv, 0, config, sizeof(config));
        cr_expect_eq(le32_get(config + VIRTIO_GPU_CONFIG_events_read), 0);
        cr_expect_eq(le32_get(config + VIRTIO_GPU_CONFIG_events_clear), 0);
        cr_expect_eq(le32_get(config + VIRTIO_GPU_CONFIG_num_scanouts), 2);
    }
}

/* A response buffer in the picture that is shown, and in the request itself. */
OnGpu(h77_responses_over_pictures_and_requests)
{
    const struct gpureq_frame frame = {W, H, GPUREQ_FORMAT, W * 4, 0};
    uint64_t gpa = gpureq_picture(rig, W, H, 2);
    struct gpureq_entry entry = {gpa, W * H * 4};
    cr_assert_eq(gpureq_blob(rig, 1, W * H * 4, &entry, 1), GPUREQ_OK);
    cr_assert_eq(gpureq_scanout_blob(rig, 0, 1, &all, &frame), GPUREQ_OK);
    gpureq_make_flush(vdrv_ptr(&rig->drv, gpa, VIRTIO_GPU_FLUSH_BYTES), 1, &all);
    struct vdrv_buf bufs[] = {{gpa, VIRTIO_GPU_FLUSH_BYTES, false}, {gpa, 24, true}};
    uint32_t head, len;
    vdrv_send(&rig->drv.q[0], bufs, 2);
    rig_step(rig);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &len));
    cr_expect_eq(len, 24);
    cr_expect_eq(le32_get(vdrv_ptr(&rig->drv, gpa, 4)), GPUREQ_OK);
    cr_expect_eq(fake_display_pixel(&rig->display, 0, 0, 0), VIRTIO_GPU_CMD_RESOURCE_FLUSH,
                 "it was looked at before");
}
