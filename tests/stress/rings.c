// SPDX-License-Identifier: BSD-2-Clause
/*
 * A driver and a device in two threads, on one ring, as fast as they can. Both sides sleep on an
 * eventfd when they have nothing to do and suppress notifications as they please, so that a barrier
 * which is missing, or a notification which was owed and not sent, ends in two threads that sleep:
 * a watchdog tells then what each of them last saw. Every byte that crosses the ring is checked.
 *
 * A mode is a case, in a process of its own. It is played in rounds: each has a ring of its own, of
 * random size, and within a round the number of chains in flight, what a chain looks like, batches,
 * delays and suppression change all the time. The seed is printed; threads are not repeatable.
 */
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/memory/gmem.h"
#include "tests/harness/vdrv_ring.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/spec.h"

/* Rings lie below the hole, every second chain's buffers above it. */
#define HOLE_GPA     UINT64_C(0x400000)
#define HOLE_END_GPA UINT64_C(0x600000)
#define RAM_BYTES    UINT64_C(0x800000)
#define AREA_BYTES   UINT64_C(0x10000)
#define DATA_GPA     UINT64_C(0x100000)

/* A chain's own memory: what the device reads, what it writes, an indirect table. */
#define SLOT_BYTES   1024u
#define WRITE_OFFSET 256u
#define WRITE_BYTES  240u
#define TABLE_OFFSET 512u

/* What the device reads: a number, its hash, how much to write. */
#define HEADER_BYTES 20u

/* Two threads that sleep for so long have lost a notification; a slow host has not. */
#define WATCHDOG_S 60

enum layout { DIRECT, INDIRECT, MIXED, LAYOUTS };

static const char *const layout_names[LAYOUTS] = {"direct", "indirect", "mixed"};

struct mode {
    bool packed, event_idx, in_order;
    enum layout layout;
    char name[64];
};

#define MAX_SIZE  1024u /* of a ring */
#define MAX_DESCS 8u    /* in a chain */

#define MODES (2 * 2 * 2 * LAYOUTS)

/* xorshift64*: each thread has its own. */
struct rng {
    uint64_t state;
};

static uint32_t rnd(struct rng *r, uint32_t below)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static bool one_in(struct rng *r, uint32_t n)
{
    return rnd(r, n) == 0;
}

/* Small numbers often, large ones too. */
static uint32_t rnd_skewed(struct rng *r, uint32_t below)
{
    uint32_t most = 1u << rnd(r, 12);
    return rnd(r, most < below ? most : below);
}

static void spin(uint32_t turns)
{
    while (turns-- > 0)
        __asm__ volatile("" ::: "memory");
}

struct stress {
    const struct mode *mode;
    struct gmem *gmem;
    int kick_fd, irq_fd;
    uint32_t size;

    /* The device's thread. */
    struct virtqueue vq;
    struct vq_chain *held[MAX_SIZE];
    uint32_t held_count;
    uint64_t next_order; /* IN_ORDER: the number that the next chain has */
    struct rng device_rng;

    /* The driver's. */
    struct vdrv_ring ring;
    uint16_t ids[MAX_SIZE], next[MAX_SIZE], descs[MAX_SIZE];
    uint64_t sent, taken;
    uint64_t numbers[MAX_SIZE]; /* of the chain in flight with that id */
    uint32_t wants[MAX_SIZE];   /* how much it shall write */
    struct rng driver_rng;

    /* For the watchdog. */
    _Atomic bool stop, device_sleeps;
    _Atomic uint64_t popped, pushed, kicks, irqs;
};

static void say_state(struct stress *s)
{
    fprintf(stderr,
            "# %s, ring of %u: sent %llu, taken %llu, popped %llu, pushed %llu, %llu kicks, "
            "%llu interrupts\n"
            "# the driver sleeps: %s; the device %s\n",
            s->mode->name, s->size, (unsigned long long)s->sent, (unsigned long long)s->taken,
            (unsigned long long)s->popped, (unsigned long long)s->pushed,
            (unsigned long long)s->kicks, (unsigned long long)s->irqs,
            vdrv_ring_has_used(&s->ring) ? "though chains are back: an interrupt was lost"
                                         : "and nothing is back",
            !s->device_sleeps       ? "runs: it loops or is slow"
            : s->popped < s->sent   ? "sleeps though it has not seen all: a kick was lost"
            : s->pushed < s->popped ? "sleeps on chains that it has taken"
                                    : "sleeps and has given everything back");
}

static _Noreturn void wrong(struct stress *s, const char *what)
{
    fprintf(stderr, "# wrong: %s\n", what);
    say_state(s);
    _exit(1);
}

static void wake(int fd)
{
    uint64_t one = 1;
    BUG_ON(write(fd, &one, sizeof(one)) != sizeof(one));
}

/* False after `timeout_ms` (-1: never). */
static bool sleep_on(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t count;
    int n = poll(&p, 1, timeout_ms);
    BUG_ON(n < 0);
    return n > 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

/* ---- what a chain says ---- */

static uint64_t hash(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

static uint8_t answer_byte(uint64_t number, uint32_t i)
{
    return (uint8_t)((number + i) * 37);
}

/* ---- the device ---- */

static void device_answer(struct stress *s, struct vq_chain *c)
{
    uint8_t header[HEADER_BYTES], out[WRITE_BYTES];
    if (c->rd.left != HEADER_BYTES || iobuf_get(&c->rd, header, sizeof(header)) != sizeof(header))
        wrong(s, "the device reads fewer bytes than the driver sent");
    uint64_t number = le64_get(header);
    uint32_t want = le32_get(header + 16);
    if (le64_get(header + 8) != hash(number) || want > c->wr.left || want > sizeof(out))
        wrong(s, "the device reads what the driver did not write");
    if (s->mode->in_order && number != s->next_order++)
        wrong(s, "the device takes chains in another order than the driver gave them");
    for (uint32_t i = 0; i < want; i++)
        out[i] = answer_byte(number, i);
    iobuf_put(&c->wr, out, want);
}

static void device_flush(struct stress *s)
{
    if (!vq_flush(&s->vq))
        return;
    atomic_fetch_add_explicit(&s->irqs, 1, memory_order_relaxed);
    wake(s->irq_fd);
}

/* Gives back some of what is held, in any order, in batches of any size. */
static void device_give(struct stress *s, uint32_t count)
{
    struct rng *r = &s->device_rng;
    for (; count > 0; count--) {
        uint32_t i = one_in(r, 2) ? s->held_count - 1 : rnd(r, s->held_count);
        vq_push(&s->vq, s->held[i]);
        s->held[i] = s->held[--s->held_count];
        atomic_fetch_add_explicit(&s->pushed, 1, memory_order_relaxed);
        if (one_in(r, 16))
            device_flush(s);
    }
}

static void device_serve(struct stress *s)
{
    struct rng *r = &s->device_rng;
    struct vq_chain *c;
    int got;
    while ((got = vq_pop(&s->vq, &c)) > 0) {
        atomic_fetch_add_explicit(&s->popped, 1, memory_order_relaxed);
        device_answer(s, c);
        s->held[s->held_count++] = c;
        if (one_in(r, 8)) {
            device_give(s, 1 + rnd(r, s->held_count));
            device_flush(s);
        }
        if (one_in(r, 64))
            (one_in(r, 2) ? (void)vq_notify_on(&s->vq) : vq_notify_off(&s->vq));
        if (one_in(r, 128))
            spin(rnd_skewed(r, 1000));
    }
    if (got < 0)
        wrong(s, s->vq.error);
    device_give(s, s->held_count);
    device_flush(s);
}

/* Goes on looking for a while before it sleeps: then both sides are awake when it decides to. */
static void device_poll(struct stress *s)
{
    struct rng *r = &s->device_rng;
    if (one_in(r, 2))
        vq_notify_off(&s->vq);
    do {
        device_serve(s);
        spin(rnd_skewed(r, 300));
    } while (!one_in(r, 4));
}

static void *device_main(void *arg)
{
    struct stress *s = arg;
    for (;;) {
        atomic_store_explicit(&s->device_sleeps, true, memory_order_relaxed);
        sleep_on(s->kick_fd, -1);
        if (atomic_load(&s->stop))
            return NULL;
        atomic_store_explicit(&s->device_sleeps, false, memory_order_relaxed);
        do
            device_poll(s);
        while (vq_notify_on(&s->vq));
    }
}

/* ---- the driver ---- */

static uint64_t slot_gpa(unsigned id)
{
    uint64_t base = id % 2 ? HOLE_END_GPA : DATA_GPA;
    return base + (uint64_t)id * SLOT_BYTES;
}

/* Cuts [gpa, gpa + len) into `count` buffers of random lengths, none empty. */
static void cut(struct stress *s, struct vdrv_buf *bufs, uint64_t gpa, uint32_t len, unsigned count,
                bool write)
{
    for (; count > 0; count--) {
        uint32_t part = count == 1 ? len : 1 + rnd(&s->driver_rng, len - (count - 1));
        *bufs++ = (struct vdrv_buf){gpa, part, write};
        gpa += part;
        len -= part;
    }
}

/* How many of its descriptors go into the ring; VIRTIO 1.4 2.8.8: packed, all or the table's. */
static unsigned choose_direct(struct stress *s, unsigned count)
{
    struct rng *r = &s->driver_rng;
    if (s->mode->layout == DIRECT || (s->mode->layout == MIXED && one_in(r, 2)))
        return count;
    return s->mode->layout == MIXED && !s->mode->packed ? rnd(r, count) : 0;
}

/* A chain of any shape that the ring has room for; false if it has none. */
static bool driver_add(struct stress *s)
{
    struct rng *r = &s->driver_rng;
    struct vdrv_buf bufs[MAX_DESCS];
    uint32_t most = s->size < MAX_DESCS ? s->size : MAX_DESCS;
    unsigned count = 1 + rnd(r, most), reads = 1 + rnd(r, count);
    unsigned direct = choose_direct(s, count);
    if (s->ring.free_descs < direct + (direct < count))
        return false;

    unsigned id = vdrv_ring_next_id(&s->ring);
    uint64_t gpa = slot_gpa(id);
    uint8_t *at = gmem_ptr(s->gmem, gpa, SLOT_BYTES, 1);
    uint32_t room = count > reads ? MAX_DESCS + rnd(r, WRITE_BYTES - MAX_DESCS) : 0;
    s->numbers[id] = s->sent;
    s->wants[id] = one_in(r, 4) ? rnd(r, room + 1) : room;
    le64_put(at, s->sent);
    le64_put(at + 8, hash(s->sent));
    le32_put(at + 16, s->wants[id]);
    memset(at + WRITE_OFFSET, 0, WRITE_BYTES);
    cut(s, bufs, gpa, HEADER_BYTES, reads, false);
    if (room > 0)
        cut(s, bufs + reads, gpa + WRITE_OFFSET, room, count - reads, true);
    struct vdrv_chain c = {bufs, count, direct, gpa + TABLE_OFFSET, at + TABLE_OFFSET};
    if (vdrv_ring_add(&s->ring, &c) != id)
        wrong(s, "the driver's own list of free descriptors");
    s->sent++;
    return true;
}

static void driver_check(struct stress *s, unsigned id, uint32_t len)
{
    const uint8_t *at = gmem_ptr(s->gmem, slot_gpa(id) + WRITE_OFFSET, WRITE_BYTES, 1);
    if (len != s->wants[id])
        wrong(s, "the length is not what the device wrote");
    if (s->mode->in_order && s->numbers[id] != s->taken)
        wrong(s, "chains come back in another order");
    for (uint32_t i = 0; i < WRITE_BYTES; i++)
        if (at[i] != (i < len ? answer_byte(s->numbers[id], i) : 0))
            wrong(s, "the driver reads what the device did not write");
    s->taken++;
}

/* Takes what is there, at most that many. */
static void driver_take(struct stress *s, uint32_t most)
{
    uint32_t len;
    int id;
    while (most-- > 0 && (id = vdrv_ring_used(&s->ring, &len)) >= 0)
        driver_check(s, (unsigned)id, len);
}

/*
 * Until something is back, at first without sleep. The device pushes all it has before it sleeps,
 * so an interrupt for the last of what it has is enough: `skip` is below that.
 */
static void driver_wait(struct stress *s, uint32_t skip)
{
    for (uint32_t n = rnd_skewed(&s->driver_rng, 2048); n > 0 && !vdrv_ring_has_used(&s->ring); n--)
        spin(1);
    if (!vdrv_ring_irq_on(&s->ring, skip))
        return;
    while (!vdrv_ring_has_used(&s->ring))
        if (!sleep_on(s->irq_fd, WATCHDOG_S * 1000))
            wrong(s, "a lost notification");
}

static void driver_publish(struct stress *s)
{
    if (!vdrv_ring_publish(&s->ring) || !vdrv_ring_kick_wanted(&s->ring))
        return;
    atomic_fetch_add_explicit(&s->kicks, 1, memory_order_relaxed);
    wake(s->kick_fd);
}

/*
 * One chain at a time, the next one ready to be shown when it comes back: the device, which finds
 * nothing, asks for a kick just when the driver decides whether it owes one.
 */
static void driver_duel(struct stress *s, uint64_t end)
{
    while (s->taken < end) {
        uint64_t before = s->sent - s->taken;
        bool ready = s->sent < end && driver_add(s);
        if (before > 0) {
            driver_wait(s, 0);
            driver_take(s, 1);
        }
        spin(rnd_skewed(&s->driver_rng, 512));
        if (ready)
            driver_publish(s);
    }
}

/* As many as `window` at a time, in batches. */
static void driver_stream(struct stress *s, uint64_t end, uint32_t window)
{
    struct rng *r = &s->driver_rng;
    bool off_while_taking = one_in(r, 2);
    while (s->taken < end) {
        bool full = false;
        for (uint32_t batch = 1 + rnd(r, window); batch > 0 && !full; batch--) {
            full = s->sent == end || s->sent - s->taken == window || !driver_add(s);
            if (one_in(r, 16))
                driver_publish(s);
        }
        driver_publish(s);
        if (off_while_taking)
            vdrv_ring_irq_off(&s->ring);
        driver_take(s, 1 + rnd_skewed(r, window));
        uint32_t outstanding = s->mode->packed ? s->size - s->ring.free_descs : s->ring.in_flight;
        if (outstanding > 0 && (full || one_in(r, 16)))
            driver_wait(s, one_in(r, 2) ? 0 : rnd(r, outstanding));
    }
}

static void driver_main(struct stress *s, uint64_t chains)
{
    struct rng *r = &s->driver_rng;
    while (s->taken < chains) {
        bool duel = one_in(r, 4);
        uint32_t window = 1 + (one_in(r, 2) ? rnd_skewed(r, s->size) : rnd(r, s->size));
        uint64_t end = s->taken + (duel ? 2000 : 50 * (uint64_t)window);
        if (end > chains)
            end = chains;
        if (duel)
            driver_duel(s, end);
        else
            driver_stream(s, end, window);
    }
}

/* ---- rounds and modes ---- */

static uint32_t round_size(const struct mode *m, struct rng *r)
{
    if (!m->packed)
        return 1u << rnd(r, 11);
    return one_in(r, 2) ? 1 + rnd(r, 12) : 1 + rnd(r, MAX_SIZE);
}

static void stress_round(struct stress *s, uint64_t chains)
{
    const struct mode *m = s->mode;
    struct vq_config config = {
        .size = s->size, .desc = 0, .driver = AREA_BYTES, .device = 2 * AREA_BYTES};
    uint64_t features = VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
    features |= m->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
    features |= m->event_idx ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0;
    features |= m->in_order ? VIRTIO_BIT(VIRTIO_F_IN_ORDER) : 0;
    struct vq_setup setup = {.config = &config,
                             .gmem = s->gmem,
                             .features = features,
                             .size_max = MAX_SIZE,
                             .iov_max = MAX_DESCS};
    memset(gmem_ptr(s->gmem, 0, 3 * AREA_BYTES, 1), 0, 3 * AREA_BYTES);
    s->ring = (struct vdrv_ring){.size = s->size,
                                 .packed = m->packed,
                                 .event_idx = m->event_idx,
                                 .latest_first = !m->in_order,
                                 .desc = gmem_ptr(s->gmem, 0, AREA_BYTES, 1),
                                 .driver = gmem_ptr(s->gmem, AREA_BYTES, AREA_BYTES, 1),
                                 .device = gmem_ptr(s->gmem, 2 * AREA_BYTES, AREA_BYTES, 1),
                                 .ids = s->ids,
                                 .next = s->next,
                                 .descs = s->descs};
    vdrv_ring_init(&s->ring);
    vdrv_ring_irq_off(&s->ring);
    s->sent = s->taken = s->next_order = 0;
    s->popped = s->pushed = s->kicks = s->irqs = 0;
    s->stop = false;
    if (vq_activate(&s->vq, &setup) < 0)
        wrong(s, s->vq.error);
    vq_notify_on(&s->vq);
    pthread_t device;
    BUG_ON(pthread_create(&device, NULL, device_main, s) != 0);
    driver_main(s, chains);
    atomic_store(&s->stop, true);
    wake(s->kick_fd);
    pthread_join(device, NULL);
    vq_deactivate(&s->vq);
}

static void say_progress(const struct mode *m, uint64_t done, uint64_t chains, double seconds)
{
    fprintf(stderr, "# %-32s %10llu of %llu chains, %.2f million a second\n", m->name,
            (unsigned long long)done, (unsigned long long)chains, (double)done / seconds / 1e6);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The first round goes round the indices of 16 bits, if there are chains enough. */
static void stress_mode(const struct mode *m, uint64_t chains, uint64_t seed, bool progress)
{
    static struct stress s;
    s.mode = m;
    s.driver_rng.state = hash(seed * 2 + 1);
    s.device_rng.state = hash(seed * 2 + 2);
    s.kick_fd = eventfd(0, EFD_CLOEXEC);
    s.irq_fd = eventfd(0, EFD_CLOEXEC);
    BUG_ON(s.kick_fd < 0 || s.irq_fd < 0);
    if (gmem_create(&s.gmem, RAM_BYTES, HOLE_GPA, HOLE_END_GPA) < 0)
        _exit(1);
    double begin = now_s(), said = begin;
    for (uint64_t done = 0; done < chains;) {
        s.size = done == 0 ? 256 : round_size(m, &s.driver_rng);
        uint64_t count = done == 0 ? chains - chains / 4 : 1 + rnd(&s.driver_rng, s.size * 2000);
        if (count > chains - done)
            count = chains - done;
        stress_round(&s, count);
        done += count;
        if (progress && (now_s() - said > 10 || done == chains)) {
            said = now_s();
            say_progress(m, done, chains, said - begin);
        }
    }
    gmem_destroy(s.gmem);
    close(s.kick_fd);
    close(s.irq_fd);
}

/* In a child: what breaks one mode leaves the others. */
static bool run_mode(const struct mode *m, uint64_t chains, uint64_t seed, bool progress)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        stress_mode(m, chains, seed, progress);
        exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void make_modes(struct mode *modes)
{
    for (unsigned i = 0; i < MODES; i++) {
        struct mode *m = &modes[i];
        *m = (struct mode){.packed = i / (4 * LAYOUTS) != 0,
                           .layout = (enum layout)(i / 4 % LAYOUTS),
                           .event_idx = (i & 1) != 0,
                           .in_order = (i & 2) != 0};
        snprintf(m->name, sizeof(m->name), "%s_%s_%s%s", m->packed ? "packed" : "split",
                 layout_names[m->layout], m->event_idx ? "event_idx" : "flags",
                 m->in_order ? "_in_order" : "");
    }
}

static int usage(FILE *out)
{
    fputs("usage: test_stress [--chains N] [--seed N] [--only WORD] [--progress] [--tap=FILE]\n"
          "  --chains N    in all (2500000), the same number through each mode\n"
          "  --only WORD   modes whose name holds this: packed_direct\n"
          "  --progress    say how far it is\n",
          out);
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"chains", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"progress", no_argument, NULL, 'p'},
                                            {"tap", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    static struct mode modes[MODES];
    uint64_t chains = 2500000, seed = (uint64_t)time(NULL);
    const char *only = "", *tap = NULL;
    bool progress = false;
    unsigned failed = 0, count = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            chains = strtoull(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'o' && optarg != NULL)
            only = optarg;
        else if (c == 'p')
            progress = true;
        else if (c == 't')
            tap = optarg;
        else
            return usage(c == 'h' ? stdout : stderr);
    }
    if (argc != optind || chains == 0)
        return usage(stderr);
    FILE *out = tap != NULL ? fopen(tap, "we") : stdout;
    if (out == NULL) {
        perror("test_stress: --tap");
        return 1;
    }
    make_modes(modes);
    for (unsigned i = 0; i < MODES; i++)
        count += strstr(modes[i].name, only) != NULL;
    if (count == 0)
        return usage(stderr);
    chains = (chains + count - 1) / count;
    fprintf(out, "# seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < MODES; i++) {
        if (strstr(modes[i].name, only) == NULL)
            continue;
        bool good = run_mode(&modes[i], chains, seed, progress);
        fprintf(out, "%s - stress::%s\n", good ? "ok" : "not ok", modes[i].name);
        fflush(out);
        failed += !good;
    }
    fprintf(out, "1..%u\n", count);
    fclose(out);
    return failed > 0;
}
