// SPDX-License-Identifier: BSD-2-Clause
/*
 * A load for a virtio file system, for tools/bench share: FUSE messages as Linux's driver sends
 * them (a descriptor for each header, for all arguments, for each page of data), one after the
 * other or, for data, `depth` of them in flight. It polls for answers, and prints what came of it
 * on the serial port.
 *
 * The kernel's command line has its orders, all of them numbers:
 *   op=0  read the file "data"     1  write it         size=BYTES depth=N seq=0|1 ticks=N warm=N
 *      2  LOOKUP, CREATE, FLUSH and RELEASE of each of files=N: f000000, f000001, ...
 *      3  LOOKUP and GETATTR of each        4  READDIRPLUS of all
 *      5  LOOKUP, UNLINK and FORGET of each
 *      6  in each of dirs=N, d000000 and so on: LOOKUP of each file, and READDIRPLUS
 *   linger=TICKS                   before the run ends [0]
 *
 * It says "fs: start" when measuring begins and ends with a line of results: requests are files,
 * but for data. A latency is that of all messages about a file, or of a READDIRPLUS.
 */
#include <fcntl.h>
#include <linux/fuse.h>

#include "driver/load.h"
#include "driver/ring.h"
#include "driver/transport.h"
#include "rt.h"
#include "virtio/fs/fs.h"
#include "virtio/spec.h"

#define DATA_GPA   (RAM_GPA + 0x1000000ull) /* free RAM of a guest with 128 MiB */
#define PAGE       4096u
#define SLOTS      64u
#define PAGES_MAX  256u
#define PARTS_MAX  (4 + PAGES_MAX)
#define NAME_BYTES 8u /* with its zero */
#define ENOSYS     38

enum { READ, WRITE, CREATE, STAT, LIST, UNLINK, TREE };

struct orders {
    uint64_t op, size, depth, seq, files, dirs, ticks, warm, linger;
};

/* What is in flight in a slot. */
struct message {
    struct fuse_in_header in;
    _Alignas(8) uint8_t args[64];
    struct fuse_out_header out;
    _Alignas(8) uint8_t reply[160];
    struct vdrv_buf bufs[PARTS_MAX];
    _Alignas(16) uint8_t table[PARTS_MAX * VIRTQ_DESC_BYTES];
    uint64_t started;
};

/* Of its parts, in bytes: `data` is for the device to read if it is `given`. */
struct shape {
    uint32_t args, reply, data;
    bool given;
};

static struct orders orders = {.size = PAGE, .depth = 1, .dirs = 1};
static struct ring_memory memories[2];
static struct ring rings[2];
static struct message messages[SLOTS], forget;
static bool forgetting, flushes = true;
static uint64_t device_gpa, unique;
static struct {
    uint64_t requests, ticks, kicks, errors;
    struct load_latencies latencies;
} results;

/* ---- messages ---- */

static void add_part(struct message *m, unsigned *n, const void *at, uint32_t bytes, bool write)
{
    if (bytes > 0)
        m->bufs[(*n)++] = (struct vdrv_buf){(uintptr_t)at, bytes, write};
}

static void add_data(struct message *m, unsigned *n, unsigned slot, const struct shape *s)
{
    for (uint32_t at = 0; at < s->data; at += PAGE)
        add_part(m, n, (void *)(DATA_GPA + slot * orders.size + at),
                 s->data - at < PAGE ? s->data - at : PAGE, !s->given);
}

/* The device sees it when publish() comes. */
static void add(unsigned queue, struct message *m, unsigned slot, uint32_t opcode, uint64_t node,
                const struct shape *s)
{
    unsigned n = 0;
    m->in =
        (struct fuse_in_header){.len = (uint32_t)sizeof(m->in) + s->args + (s->given ? s->data : 0),
                                .opcode = opcode,
                                .unique = unique += 2,
                                .nodeid = node,
                                .pid = 1};
    add_part(m, &n, &m->in, sizeof(m->in), false);
    add_part(m, &n, m->args, s->args, false);
    if (s->given)
        add_data(m, &n, slot, s);
    if (opcode != FUSE_FORGET)
        add_part(m, &n, &m->out, sizeof(m->out), true);
    add_part(m, &n, m->reply, s->reply, true);
    if (!s->given)
        add_data(m, &n, slot, s);
    ring_add_chain(&rings[queue], slot,
                   &(struct vdrv_chain){.bufs = m->bufs,
                                        .count = n,
                                        .direct = rings[queue].indirect ? 0 : n,
                                        .table_gpa = (uintptr_t)m->table,
                                        .table = m->table});
}

static void publish(unsigned queue)
{
    if (ring_publish(&rings[queue])) {
        results.kicks++;
        transport_kick(device_gpa, queue);
    }
}

/* Returns the answer's error: 0 or a negative errno. Its other half is in messages[0].reply. */
static int call(uint32_t opcode, uint64_t node, struct shape s)
{
    add(VIRTIO_FS_REQUESTS, &messages[0], 0, opcode, node, &s);
    publish(VIRTIO_FS_REQUESTS);
    while (ring_take(&rings[VIRTIO_FS_REQUESTS], NULL) < 0)
        pause();
    return messages[0].out.error;
}

static void must(uint32_t opcode, uint64_t node, struct shape s)
{
    results.errors += call(opcode, node, s) != 0;
}

/* ---- the device ---- */

static void open_queue(unsigned queue, uint64_t features)
{
    uint32_t size = transport_queue_max(device_gpa, queue);
    ring_init(&rings[queue], &memories[queue], size < RING_SIZE_MAX ? size : RING_SIZE_MAX, 1,
              features);
    transport_queue(device_gpa, queue, &rings[queue]);
}

static void open_device(void)
{
    device_gpa = transport_find(VIRTIO_ID_FS);
    CHECK(device_gpa != 0);
    uint64_t features = transport_negotiate(device_gpa, VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                                                            VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
                                                            VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
    open_queue(VIRTIO_FS_HIPRIO, features);
    open_queue(VIRTIO_FS_REQUESTS, features);
    transport_start(device_gpa);
    struct fuse_init_in *in = (void *)messages[0].args;
    in->major = FUSE_KERNEL_VERSION;
    in->minor = 36;
    in->max_readahead = PAGES_MAX * PAGE;
    in->flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |
                FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
                FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES;
    CHECK(call(FUSE_INIT, 0,
               (struct shape){.args = sizeof(*in), .reply = sizeof(struct fuse_init_out)}) == 0);
    const struct fuse_init_out *out = (const void *)messages[0].reply;
    CHECK(out->max_write >= orders.size);
}

/* ---- data ---- */

static uint64_t places, place;
static unsigned idle[SLOTS], idle_count;

static uint64_t next_place(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    if (orders.seq)
        return place + 1 < places ? ++place : (place = 0);
    return load_random(&state, places);
}

static void submit(uint64_t node, uint64_t handle)
{
    uint64_t now = rt_ticks();
    bool writes = orders.op == WRITE;
    struct shape shape = {writes ? sizeof(struct fuse_write_in) : sizeof(struct fuse_read_in),
                          writes ? sizeof(struct fuse_write_out) : 0, (uint32_t)orders.size,
                          writes};
    while (idle_count > 0) {
        unsigned slot = idle[--idle_count];
        struct message *m = &messages[slot];
        uint64_t offset = next_place() * orders.size;
        if (writes)
            *(struct fuse_write_in *)(void *)m->args =
                (struct fuse_write_in){.fh = handle, .offset = offset, .size = shape.data};
        else
            *(struct fuse_read_in *)(void *)m->args =
                (struct fuse_read_in){.fh = handle, .offset = offset, .size = shape.data};
        m->started = now;
        add(VIRTIO_FS_REQUESTS, m, slot, writes ? FUSE_WRITE : FUSE_READ, node, &shape);
    }
    publish(VIRTIO_FS_REQUESTS);
}

static void note(const struct message *m, uint64_t now)
{
    uint32_t bytes = orders.op == WRITE
                         ? ((const struct fuse_write_out *)(const void *)m->reply)->size
                         : m->out.len - (uint32_t)sizeof(m->out);
    results.requests++;
    results.errors += m->out.error != 0 || bytes != orders.size;
    load_note(&results.latencies, now - m->started);
}

/* Everything that is done; true if there was anything. */
static bool reap(void)
{
    int slot = ring_take(&rings[VIRTIO_FS_REQUESTS], NULL);
    if (slot < 0)
        return false;
    for (uint64_t now = rt_ticks(); slot >= 0; slot = ring_take(&rings[VIRTIO_FS_REQUESTS], NULL)) {
        note(&messages[slot], now);
        idle[idle_count++] = (unsigned)slot;
    }
    return true;
}

static void begin(void)
{
    results.requests = results.kicks = results.errors = 0;
    results.latencies.count = results.latencies.max = 0;
    results.latencies.min = UINT64_MAX;
    for (unsigned i = 0; i < LOAD_STEPS; i++)
        results.latencies.counts[i] = 0;
    results.ticks = rt_ticks();
}

static void move(uint64_t node, uint64_t handle, uint64_t ticks)
{
    begin();
    do {
        submit(node, handle);
        while (!reap())
            pause();
    } while (rt_ticks() - results.ticks < ticks);
    while (idle_count < orders.depth)
        if (!reap())
            pause();
    results.ticks = rt_ticks() - results.ticks;
}

/* ---- names ---- */

static void put_name(uint8_t *at, char letter, uint64_t number)
{
    at[0] = (uint8_t)letter;
    for (unsigned i = NAME_BYTES - 2; i > 0; i--, number /= 10)
        at[i] = (uint8_t)('0' + number % 10);
    at[NAME_BYTES - 1] = '\0';
}

/* The entry's number; 0: there is none. */
static uint64_t lookup(uint64_t dir, char letter, uint64_t number)
{
    const struct fuse_entry_out *out = (const void *)messages[0].reply;
    put_name(messages[0].args, letter, number);
    int err = call(FUSE_LOOKUP, dir, (struct shape){.args = NAME_BYTES, .reply = sizeof(*out)});
    return err == 0 ? out->nodeid : 0;
}

static uint64_t lookup_there(uint64_t dir, char letter, uint64_t number)
{
    uint64_t node = lookup(dir, letter, number);
    results.errors += node == 0;
    return node;
}

static void release(uint32_t opcode, uint64_t node, uint64_t handle)
{
    struct fuse_release_in *in = (void *)messages[0].args;
    *in = (struct fuse_release_in){.fh = handle};
    must(opcode, node, (struct shape){.args = sizeof(*in)});
}

static void create(uint64_t number)
{
    struct {
        struct fuse_create_in in;
        uint8_t name[NAME_BYTES];
    } *args = (void *)messages[0].args;
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } *out = (void *)messages[0].reply;
    results.errors += lookup(FUSE_ROOT_ID, 'f', number) != 0;
    args->in = (struct fuse_create_in){
        .flags = O_CREAT | O_EXCL | O_WRONLY, .mode = 0100644, .umask = 022};
    put_name(args->name, 'f', number);
    must(FUSE_CREATE, FUSE_ROOT_ID, (struct shape){.args = sizeof(*args), .reply = sizeof(*out)});
    uint64_t node = out->entry.nodeid, handle = out->open.fh;
    if (flushes) {
        struct fuse_flush_in *in = (void *)messages[0].args;
        *in = (struct fuse_flush_in){.fh = handle};
        flushes = call(FUSE_FLUSH, node, (struct shape){.args = sizeof(*in)}) != -ENOSYS;
    }
    release(FUSE_RELEASE, node, handle);
}

static void stat(uint64_t number)
{
    uint64_t node = lookup_there(FUSE_ROOT_ID, 'f', number);
    struct fuse_getattr_in *in = (void *)messages[0].args;
    *in = (struct fuse_getattr_in){0};
    must(FUSE_GETATTR, node,
         (struct shape){.args = sizeof(*in), .reply = sizeof(struct fuse_attr_out)});
}

/* Linux does not wait for that. */
static void send_forget(uint64_t node)
{
    struct fuse_forget_in *in = (void *)forget.args;
    while (forgetting && ring_take(&rings[VIRTIO_FS_HIPRIO], NULL) < 0)
        pause();
    in->nlookup = 1;
    forgetting = true;
    add(VIRTIO_FS_HIPRIO, &forget, 0, FUSE_FORGET, node, &(struct shape){.args = sizeof(*in)});
    publish(VIRTIO_FS_HIPRIO);
}

static void unlink(uint64_t number)
{
    uint64_t node = lookup_there(FUSE_ROOT_ID, 'f', number);
    put_name(messages[0].args, 'f', number);
    must(FUSE_UNLINK, FUSE_ROOT_ID, (struct shape){.args = NAME_BYTES});
    send_forget(node);
}

static uint64_t open_node(uint32_t opcode, uint64_t node, uint32_t flags)
{
    struct fuse_open_in *in = (void *)messages[0].args;
    const struct fuse_open_out *out = (const void *)messages[0].reply;
    *in = (struct fuse_open_in){.flags = flags};
    must(opcode, node, (struct shape){.args = sizeof(*in), .reply = sizeof(*out)});
    return out->fh;
}

/* The files of a page of a directory, behind *offset; 0: that is all. */
static uint64_t list_page(uint64_t node, uint64_t handle, uint64_t *offset)
{
    struct fuse_read_in *in = (void *)messages[0].args;
    const uint8_t *data = (const void *)DATA_GPA;
    uint64_t files = 0;
    *in = (struct fuse_read_in){.fh = handle, .offset = *offset, .size = PAGE};
    must(FUSE_READDIRPLUS, node, (struct shape){.args = sizeof(*in), .data = PAGE});
    const uint8_t *end = data + messages[0].out.len - sizeof(struct fuse_out_header);
    while (data < end) {
        const struct fuse_direntplus *d = (const void *)data;
        *offset = d->dirent.off;
        files += d->dirent.name[0] != '.';
        data += FUSE_DIRENTPLUS_SIZE(d);
    }
    return messages[0].out.len > sizeof(struct fuse_out_header) ? files : 0;
}

static uint64_t list(uint64_t node)
{
    uint64_t handle = open_node(FUSE_OPENDIR, node, O_RDONLY), files = 0, offset = 0, more;
    do {
        uint64_t now = rt_ticks();
        files += more = list_page(node, handle, &offset);
        if (orders.op == LIST)
            load_note(&results.latencies, rt_ticks() - now);
    } while (more > 0);
    release(FUSE_RELEASEDIR, node, handle);
    return files;
}

static void each_file(void (*about)(uint64_t number))
{
    for (uint64_t i = 0; i < orders.files; i++) {
        uint64_t now = rt_ticks();
        about(i);
        load_note(&results.latencies, rt_ticks() - now);
        results.requests++;
    }
}

static void walk_tree(void)
{
    for (uint64_t d = 0; d < orders.dirs; d++) {
        uint64_t dir = lookup_there(FUSE_ROOT_ID, 'd', d);
        for (uint64_t i = 0; i < orders.files; i++) {
            uint64_t now = rt_ticks();
            lookup_there(dir, 'f', i);
            load_note(&results.latencies, rt_ticks() - now);
        }
        results.requests += orders.files;
        results.errors += list(dir) != orders.files;
    }
}

static void name_files(void)
{
    begin();
    if (orders.op == CREATE)
        each_file(create);
    else if (orders.op == STAT)
        each_file(stat);
    else if (orders.op == UNLINK)
        each_file(unlink);
    else if (orders.op == TREE)
        walk_tree();
    else
        results.requests = list(FUSE_ROOT_ID);
    results.errors += orders.op == LIST && results.requests != orders.files;
    results.ticks = rt_ticks() - results.ticks;
}

/* ---- the whole ---- */

static void move_data(void)
{
    static const char name[] = "data";
    const struct fuse_entry_out *out = (const void *)messages[0].reply;
    for (unsigned i = 0; i < sizeof(name); i++)
        messages[0].args[i] = (uint8_t)name[i];
    CHECK(call(FUSE_LOOKUP, FUSE_ROOT_ID,
               (struct shape){.args = sizeof(name), .reply = sizeof(*out)}) == 0);
    uint64_t node = out->nodeid;
    places = out->attr.size / orders.size;
    CHECK(places > 0);
    uint64_t handle = open_node(FUSE_OPEN, node, O_RDWR);
    while (idle_count < orders.depth) {
        idle[idle_count] = idle_count;
        idle_count++;
    }
    move(node, handle, orders.warm);
    rt_puts("fs: start\n");
    move(node, handle, orders.ticks);
}

int main(void)
{
    const struct load_order words[] = {
        {"op", &orders.op},       {"size", &orders.size},   {"depth", &orders.depth},
        {"seq", &orders.seq},     {"files", &orders.files}, {"dirs", &orders.dirs},
        {"ticks", &orders.ticks}, {"warm", &orders.warm},   {"linger", &orders.linger},
    };
    rt_irq_init(); /* some servers of vhost-user interrupt a driver that asked for none */
    load_take_orders(words, sizeof(words) / sizeof(words[0]));
    CHECK(orders.size > 0 && orders.size <= PAGES_MAX * PAGE);
    CHECK(orders.depth >= 1 && orders.depth <= SLOTS);
    open_device();
    if (orders.op > WRITE) {
        rt_puts("fs: start\n");
        name_files();
    } else {
        move_data();
    }
    rt_puts("fs: end");
    load_say("requests", results.requests);
    load_say("bytes", orders.op > WRITE ? 0 : results.requests * orders.size);
    load_say("ticks", results.ticks);
    load_say_latencies(&results.latencies);
    load_say("kicks", results.kicks);
    load_say("errors", results.errors);
    rt_puts("\n");
    load_sleep(orders.linger);
    return results.errors != 0;
}
