// SPDX-License-Identifier: BSD-2-Clause
#include "pci/msix.h"

#include "core/output/facts.h"
#include "core/ports/pci.h"
#include "pci/function.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define BAR_GPA   UINT64_C(0xc0000000)
#define PBA_GPA   (BAR_GPA + 2048)
#define BAR       1u
#define VECTORS   70u /* more than a word of pending bits */
#define MSI_ADDR  UINT64_C(0xfee01000)
#define ENABLE    0x8000u
#define MASK_ALL  0x4000u
#define BUSMASTER 4u
#define MEMORY    2u

static struct bus *mmio;
static struct pci_func func;
static struct msix *msix;
static struct fake_msi msi;
static struct msi_ops sink_ops; /* the fake's, which a test may change */
static unsigned cap;

static void on_cap_written(void *ctx, unsigned at, unsigned offset, unsigned width)
{
    (void)ctx;
    (void)offset;
    (void)width;
    if (at == msix_cap(msix))
        msix_control_changed(msix);
}

static const struct pci_func_ops ops = {.cap_written = on_cap_written};

static uint32_t cfg_rd(unsigned offset, unsigned width)
{
    return func.port.ops->config_read(&func.port, offset, width);
}

static void cfg_wr(unsigned offset, unsigned width, uint32_t value)
{
    func.port.ops->config_write(&func.port, offset, width, value);
}

static uint64_t rd(uint64_t gpa, unsigned width)
{
    uint64_t value = 0;
    bus_read(mmio, gpa, width, &value);
    return value;
}

static void control(uint32_t bits)
{
    cfg_wr(cap + 2, 2, bits);
}

static uint64_t entry(unsigned vector)
{
    return BAR_GPA + vector * 16;
}

static void set_message(unsigned vector, uint64_t addr, uint32_t data)
{
    bus_write(mmio, entry(vector), 8, addr);
    bus_write(mmio, entry(vector) + 8, 4, data);
}

static void mask(unsigned vector, bool masked)
{
    bus_write(mmio, entry(vector) + 12, 4, masked);
}

/* As a driver sets a vector up: its data is its number and 100. */
static void use(unsigned vector)
{
    set_message(vector, MSI_ADDR, vector + 100);
    mask(vector, false);
}

static unsigned taken(unsigned vector)
{
    return fake_msi_take(&msi, vector + 100);
}

static bool pending(unsigned vector)
{
    return rd(PBA_GPA + vector / 64 * 8, 8) >> vector % 64 & 1;
}

static void create(unsigned vectors)
{
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 46), 0);
    struct pci_func_config config = {.name = "fn", .mmio = mmio, .ops = &ops};
    cr_assert_eq(pci_func_init(&func, &config), 0);
    struct msi_sink sink = fake_msi_sink(&msi);
    sink_ops = *sink.ops;
    sink.ops = &sink_ops;
    struct msix_config mc = {
        .func = &func, .bar = BAR, .vectors = vectors, .sources = 2, .sink = sink};
    cr_assert_eq(msix_create(&msix, &mc), 0);
    cap = msix_cap(msix);
    cfg_wr(0x10 + 4 * BAR, 4, (uint32_t)BAR_GPA);
    cfg_wr(0x04, 2, MEMORY | BUSMASTER);
}

static void setup(void)
{
    create(VECTORS);
}

static void teardown(void)
{
    pci_func_fini(&func);
    msix_destroy(msix);
    bus_destroy(mmio);
    cr_expect_eq(fake_msi_routes(&msi), 0, "no route outlives it");
}

TestSuite(pci_msix, .init = setup, .fini = teardown);

/* ---- what it looks like ---- */

Test(pci_msix, capability_says_where_things_are)
{
    cr_expect_eq(cfg_rd(cap, 1), 0x11);
    cr_expect_eq(cfg_rd(cap + 2, 2), VECTORS - 1);
    cr_expect_eq(cfg_rd(cap + 4, 4), BAR);
    cr_expect_eq(cfg_rd(cap + 8, 4), 2048 | BAR);
    cfg_wr(cap, 4, 0xffffffff);
    cfg_wr(cap + 4, 4, 0xffffffff);
    cfg_wr(cap + 8, 4, 0xffffffff);
    cr_expect_eq(cfg_rd(cap + 2, 2), ENABLE | MASK_ALL | (VECTORS - 1));
    cr_expect_eq(cfg_rd(cap + 4, 4), BAR);
    cr_expect_eq(cfg_rd(cap + 8, 4), 2048 | BAR);
    cr_expect_eq(msix_vectors(msix), VECTORS);
}

/* The BAR is a power of two whose halves hold the table and the pending bits. */
Test(pci_msix_bar, grows_with_the_vectors)
{
    static const struct {
        unsigned vectors;
        uint32_t bytes;
    } sizes[] = {{1, 4096}, {128, 4096}, {129, 8192}, {2048, 65536}};
    for (unsigned i = 0; i < 4; i++) {
        create(sizes[i].vectors);
        cfg_wr(0x10 + 4 * BAR, 4, 0xffffffff);
        cr_expect_eq(cfg_rd(0x10 + 4 * BAR, 4), -sizes[i].bytes);
        cr_expect_eq(cfg_rd(cap + 8, 4), sizes[i].bytes / 2 | BAR);
        teardown();
    }
}

Test(pci_msix, every_vector_begins_masked)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        cr_expect_eq(rd(entry(i), 8), 0);
        cr_expect_eq(rd(entry(i) + 8, 8), UINT64_C(1) << 32);
    }
    cr_expect_not(msix_enabled(msix));
}

Test(pci_msix, table_takes_4_and_8_bytes_at_a_time)
{
    bus_write(mmio, entry(2), 8, UINT64_C(0x1122334455667788));
    bus_write(mmio, entry(2) + 8, 8, UINT64_C(0xffffffff99aabbcc));
    cr_expect_eq(rd(entry(2), 4), 0x55667788);
    cr_expect_eq(rd(entry(2) + 4, 4), 0x11223344);
    cr_expect_eq(rd(entry(2) + 8, 4), 0x99aabbcc);
    cr_expect_eq(rd(entry(2) + 12, 4), 1, "reserved bits stay 0");
    bus_write(mmio, entry(2), 1, 0);
    bus_write(mmio, entry(2), 2, 0);
    bus_write(mmio, entry(2) + 4, 8, 0); /* not aligned */
    bus_write(mmio, entry(2) + 2, 4, 0);
    cr_expect_eq(rd(entry(2), 8), UINT64_C(0x1122334455667788));
    cr_expect_eq(rd(entry(2) + 8, 4), 0x99aabbcc);
    cr_expect_eq(rd(entry(2) + 4, 8), UINT64_MAX);
    cr_expect_eq(rd(entry(2), 2), 0xffff);
}

Test(pci_msix, beyond_the_table_there_is_nothing)
{
    for (uint64_t gpa = entry(VECTORS); gpa < PBA_GPA; gpa += 4) {
        bus_write(mmio, gpa, 4, 0xffffffff);
        cr_expect_eq(rd(gpa, 4), 0);
    }
    for (uint64_t gpa = PBA_GPA; gpa < BAR_GPA + 4096; gpa += 8) {
        bus_write(mmio, gpa, 8, UINT64_MAX);
        cr_expect_eq(rd(gpa, 8), 0, "pending bits are read-only");
    }
}

/* ---- messages ---- */

Test(pci_msix, an_unmasked_vector_is_delivered)
{
    use(3);
    cr_expect_eq(msi.adds, 0, "no route before MSI-X is on");
    control(ENABLE);
    cr_expect(msix_enabled(msix));
    cr_expect_eq(fake_msi_routes(&msi), 1);
    msix_raise(msix, 3);
    cr_expect_eq(msi.routes[0].message.addr, MSI_ADDR);
    cr_expect_eq(taken(3), 1);
    cr_expect_eq(msi.sends, 0, "by the route");
    msix_raise(msix, 3);
    cr_expect_eq(taken(3), 1);
}

/* ---- eventfds of others ---- */

/* Somebody writes, and whoever polls hears of it. */
static void write_and_poll(int fd)
{
    cr_assert_eq(eventfd_write(fd, 1), 0);
    cr_expect(msix_raise_source(msix, 1));
}

Test(pci_msix, a_source_is_delivered_once)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_expect_not(msix_raise_source(msix, 1));
    msix_set_source(msix, 1, fd, 3);
    cr_expect_eq(fake_msi_routes(&msi), 0, "MSI-X is off");
    write_and_poll(fd);
    control(ENABLE);
    use(3);
    cr_expect_eq(taken(3), 0, "it was for the wire");
    cr_assert_eq(eventfd_write(fd, 1), 0);
    cr_expect_eq(taken(3), 1, "nobody has polled");
    cr_expect(msix_raise_source(msix, 1));
    cr_expect_eq(taken(3), 0, "not twice");
    set_message(3, MSI_ADDR, 3 + 100);
    write_and_poll(fd);
    cr_expect_eq(taken(3), 1);
    set_message(3, MSI_ADDR, 4 + 100);
    write_and_poll(fd);
    cr_expect_eq(taken(4), 1);
    use(5);
    msix_set_source(msix, 1, fd, 5);
    write_and_poll(fd);
    cr_expect_eq(taken(5), 1);
    msix_set_source(msix, 1, -1, 0);
    cr_assert_eq(eventfd_write(fd, 1), 0);
    cr_expect_not(msix_raise_source(msix, 1));
    cr_expect_eq(taken(5), 0);
    cr_expect_eq(msi.sends, 0);
    close(fd);
}

/* Masked in any way: it waits, whether somebody has polled meanwhile or not, and comes once. */
Test(pci_msix, a_source_waits_while_it_is_masked)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    msix_set_source(msix, 1, fd, 3);
    control(ENABLE);
    use(3);
    for (unsigned how = 0; how < 6; how++) {
        if (how / 2 == 0)
            mask(3, true);
        else if (how / 2 == 1)
            control(ENABLE | MASK_ALL);
        else
            cfg_wr(0x04, 2, MEMORY);
        cr_assert_eq(eventfd_write(fd, 1), 0);
        if (how % 2 == 0) {
            cr_expect(msix_raise_source(msix, 1));
            cr_expect(pending(3));
        }
        cr_expect_eq(taken(3), 0, "%u", how);
        mask(3, false);
        control(ENABLE);
        cfg_wr(0x04, 2, MEMORY | BUSMASTER);
        cr_expect(msix_raise_source(msix, 1));
        cr_expect_eq(taken(3), 1, "%u", how);
        cr_expect_not(pending(3));
    }
    msix_set_source(msix, 1, -1, 0);
    close(fd);
}

/* The guest masks the vector between the hypervisor's delivery and the poll that tells of it. */
Test(pci_msix, a_source_that_was_delivered_is_not_pending)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    msix_set_source(msix, 1, fd, 3);
    control(ENABLE);
    use(3);
    cr_assert_eq(eventfd_write(fd, 1), 0);
    mask(3, true);
    cr_expect_eq(taken(3), 1, "by the route, before it went");
    cr_expect(msix_raise_source(msix, 1));
    cr_expect_not(pending(3));
    mask(3, false);
    cr_expect_eq(taken(3), 0);
    msix_set_source(msix, 1, -1, 0);
    close(fd);
}

Test(pci_msix, a_source_without_route_is_sent)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    msi.refuse_routes = -ENOSPC;
    msix_set_source(msix, 1, fd, 3);
    control(ENABLE);
    use(3);
    write_and_poll(fd);
    cr_expect_eq(taken(3), 1);
    msi.refuse_routes = 0;
    msix_set_source(msix, 1, -1, 0);
    close(fd);
}

Test(pci_msix, without_routes_messages_are_sent)
{
    msi.refuse_routes = -ENOSYS;
    control(ENABLE);
    use(3);
    msix_raise(msix, 3);
    msix_raise(msix, 3);
    cr_expect_eq(taken(3), 2);
    cr_expect_eq(msi.sends, 2);
}

Test(pci_msix, disabled_it_sends_nothing)
{
    use(3);
    msix_raise(msix, 3);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    cr_expect_not(pending(3), "it is INTx's turn");
    control(ENABLE);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    control(0);
    cr_expect_not(msix_enabled(msix));
    cr_expect_eq(fake_msi_routes(&msi), 0);
    msix_raise(msix, 3);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
}

Test(pci_msix, a_masked_vector_waits_and_comes_once)
{
    control(ENABLE);
    use(3);
    use(65);
    mask(3, true);
    mask(65, true);
    for (unsigned i = 0; i < 5; i++)
        msix_raise(msix, 65);
    cr_expect(pending(65));
    cr_expect_eq(rd(PBA_GPA + 8, 4), 2);
    cr_expect_eq(rd(PBA_GPA + 12, 4), 0);
    cr_expect_not(pending(3));
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    mask(3, false);
    mask(65, false);
    cr_expect_eq(taken(65), 1);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    cr_expect_not(pending(65));
    mask(65, true);
    mask(65, false);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
}

Test(pci_msix, upper_half_of_a_pending_word)
{
    control(ENABLE);
    msix_raise(msix, 33);
    cr_expect_eq(rd(PBA_GPA + 4, 4), 2);
    cr_expect_eq(rd(PBA_GPA, 4), 0);
}

Test(pci_msix, the_function_mask_holds_all)
{
    control(ENABLE | MASK_ALL);
    use(3);
    use(4);
    cr_expect_eq(fake_msi_routes(&msi), 0);
    msix_raise(msix, 3);
    msix_raise(msix, 4);
    mask(4, true);
    cr_expect(pending(3) && pending(4));
    control(ENABLE);
    cr_expect_eq(taken(3), 1);
    cr_expect_eq(taken(4), 0);
    cr_expect(pending(4));
    mask(4, false);
    cr_expect_eq(taken(4), 1);
}

Test(pci_msix, without_bus_mastering_messages_wait)
{
    control(ENABLE);
    use(3);
    cfg_wr(0x04, 2, MEMORY);
    msix_raise(msix, 3);
    cr_expect(pending(3));
    mask(3, true);
    mask(3, false);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    cfg_wr(0x04, 2, MEMORY | BUSMASTER);
    cr_expect_eq(taken(3), 1);
    cr_expect_not(pending(3));
}

Test(pci_msix, a_route_follows_its_message)
{
    control(ENABLE);
    use(3);
    mask(3, true);
    set_message(3, MSI_ADDR + 0x1000, 7); /* as Linux moves an interrupt to another processor */
    cr_expect_eq(msi.sets, 0);
    mask(3, false);
    cr_expect_eq(msi.sets, 1);
    cr_expect_eq(msi.adds, 1);
    msix_raise(msix, 3);
    cr_expect_eq(msi.routes[0].message.addr, MSI_ADDR + 0x1000);
    cr_expect_eq(fake_msi_take(&msi, 7), 1);
    mask(3, true);
    mask(3, false);
    cr_expect_eq(msi.sets, 1, "the same message needs no change");
    bus_write(mmio, entry(3) + 8, 4, 8); /* while unmasked: not for a driver to do */
    msix_raise(msix, 3);
    cr_expect_eq(fake_msi_take(&msi, 8), 1);
    cr_expect_eq(msi.sends, 0);
}

static void *raise_65(void *arg)
{
    msix_raise(arg, 65);
    return NULL;
}

static int (*set_route)(void *ctx, int handle, uint64_t addr, uint32_t data);

/* A loop raises while a vCPU is in the hypervisor for a route. */
static int set_meanwhile(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    pthread_t loop;
    cr_assert_eq(pthread_create(&loop, NULL, raise_65, msix), 0);
    pthread_join(loop, NULL);
    return set_route(ctx, handle, addr, data);
}

/* That vCPU delivers it. */
Test(pci_msix, raising_does_not_wait_for_routes, .timeout = 20)
{
    control(ENABLE);
    use(3);
    use(65);
    set_route = sink_ops.route_set;
    sink_ops.route_set = set_meanwhile;
    bus_write(mmio, entry(3) + 8, 4, 7);
    cr_expect_eq(taken(65), 1);
    mask(65, true);
    bus_write(mmio, entry(3) + 8, 4, 8);
    cr_expect_eq(taken(65), 0);
    cr_expect(pending(65));
}

static void *look(void *arg)
{
    int err;
    struct facts f;
    facts_begin(&f);
    msix_describe(arg, &f);
    char *said = facts_finish(&f, &err);
    cr_assert_not_null(said);
    cr_expect_not_null(strstr(said, "\"busy\":true"), "%s", said);
    free(said);
    return NULL;
}

static int look_meanwhile(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    pthread_t asks;
    cr_assert_eq(pthread_create(&asks, NULL, look, msix), 0);
    pthread_join(asks, NULL);
    return set_route(ctx, handle, addr, data);
}

/* It may be the loop that hears signals (`minivet ctl info`). */
Test(pci_msix, a_look_does_not_wait_for_routes, .timeout = 20)
{
    control(ENABLE);
    use(3);
    set_route = sink_ops.route_set;
    sink_ops.route_set = look_meanwhile;
    bus_write(mmio, entry(3) + 8, 4, 7);
}

static void *raise_source(void *arg)
{
    cr_expect(msix_raise_source(arg, 1));
    return NULL;
}

static int raise_source_meanwhile(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    pthread_t loop;
    cr_assert_eq(pthread_create(&loop, NULL, raise_source, msix), 0);
    pthread_join(loop, NULL);
    return set_route(ctx, handle, addr, data);
}

/* That of a device whose eventfd is the loop's to look at, since its vector is masked. */
Test(pci_msix, raising_a_source_does_not_wait_for_routes, .timeout = 20)
{
    int fd = eventfd(1, EFD_NONBLOCK);
    control(ENABLE);
    use(3);
    use(65);
    mask(65, true);
    msix_set_source(msix, 1, fd, 65);
    set_route = sink_ops.route_set;
    sink_ops.route_set = raise_source_meanwhile;
    bus_write(mmio, entry(3) + 8, 4, 7);
    cr_expect(pending(65));
    msix_set_source(msix, 1, -1, 65);
    cr_expect_not(msix_raise_source(msix, 1));
    close(fd);
}

/* What the route still stands for is not what the guest wants any more. */
Test(pci_msix, a_route_that_cannot_follow_is_dropped)
{
    control(ENABLE);
    use(3);
    msi.refuse_routes = -EINVAL;
    mask(3, true);
    set_message(3, 0xdead0000, 7);
    mask(3, false);
    cr_expect_eq(fake_msi_routes(&msi), 0);
    msi.fail = -EINVAL;
    msix_raise(msix, 3);
    cr_expect_eq(msi.sends, 1);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
    msi.fail = msi.refuse_routes = 0;
    mask(3, true);
    set_message(3, MSI_ADDR, 103);
    mask(3, false);
    msix_raise(msix, 3);
    cr_expect_eq(taken(3), 1);
    cr_expect_eq(fake_msi_routes(&msi), 1);
}

Test(pci_msix, routes_run_out_and_messages_do_not)
{
    control(ENABLE);
    for (unsigned i = 0; i < VECTORS; i++)
        use(i);
    cr_assert_lt(FAKE_MSI_ROUTES, VECTORS);
    cr_expect_eq(fake_msi_routes(&msi), FAKE_MSI_ROUTES);
    for (unsigned i = 0; i < VECTORS; i++) {
        msix_raise(msix, i);
        cr_expect_eq(taken(i), 1);
    }
}

Test(pci_msix, pending_bits_can_be_forgotten)
{
    control(ENABLE);
    use(3);
    mask(3, true);
    msix_raise(msix, 3);
    msix_raise(msix, 69);
    msix_clear_pending(msix);
    cr_expect_not(pending(3) || pending(69));
    mask(3, false);
    cr_expect_eq(fake_msi_take_all(&msi), 0);
}

Test(pci_msix, destroy_takes_null)
{
    msix_destroy(NULL);
}

/* ---- threads ---- */

#define RAISES 20000

static atomic_bool raised_all;

static void *toggle(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&raised_all); i++) {
        mask(3, true);
        set_message(3, MSI_ADDR + (i % 2) * 0x1000, 103);
        mask(3, false);
        control(ENABLE | (i % 3 == 0 ? MASK_ALL : 0));
        cfg_wr(0x04, 2, MEMORY | (i % 5 == 0 ? 0 : BUSMASTER));
    }
    return NULL;
}

/* Whatever the guest does to the vector meanwhile: the last interrupt arrives. */
Test(pci_msix, nothing_is_lost_while_the_guest_masks)
{
    control(ENABLE);
    use(3);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, toggle, NULL), 0);
    for (unsigned i = 0; i < RAISES; i++)
        msix_raise(msix, 3);
    (void)fake_msi_take_all(&msi);
    msix_raise(msix, 3);
    atomic_store(&raised_all, true);
    pthread_join(thread, NULL);
    cfg_wr(0x04, 2, MEMORY | BUSMASTER);
    control(ENABLE);
    mask(3, false);
    cr_expect_geq(fake_msi_take_all(&msi), 1);
    cr_expect_not(pending(3));
}
