// SPDX-License-Identifier: BSD-2-Clause
/*
 * Threads of Minivet's own: what they tell each other without a lock, or beside one. Each case runs
 * the code that docs/memory-order.md names for its pairing; then each order in that code is made
 * weaker.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "core/loop/cancel.h"
#include "core/loop/evloop.h"
#include "core/ports/bus.h"
#include "core/ports/hv.h"
#include "core/ports/irq.h"
#include "devices/display/pixels.h"
#include "devices/display/screen.h"
#include "kvm/impl.h"
#include "pci/function.h"
#include "pci/msix.h"
#include "tests/order/threads.h"
#include "vmm/machine/vcpu.h"
#include "vmm/report/exits.h"

static const char *no_complaint(void *ctx)
{
    (void)ctx;
    return NULL;
}

/* ---- the table of a bus: a sequence lock ---- */

static struct bus *bus;
static uint64_t address, was_read;
static bool found, mixed;

static uint64_t read_region(void *dev, uint64_t offset, unsigned width)
{
    const struct bus_region *r = dev;
    mixed |= offset != address - r->base || width != 4;
    return r->base;
}

static void write_nothing(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev, (void)offset, (void)width, (void)value;
}

static const struct bus_ops region_ops = {.read = read_region, .write = write_nothing};
static struct bus_region low = {"low", 0x1000, 0x10, BUS_W4, &region_ops, &low},
                         next = {"next", 0x1800, 0x10, BUS_W4, &region_ops, &next},
                         far = {"far", 0x2000, 0x10, BUS_W4, &region_ops, &far};

static void prepare_bus(void *ctx)
{
    (void)ctx;
    forget_memory();
    cr_assert_eq(bus_create(&bus, "bus", 0x10000), 0);
    bus_add(bus, &low);
    bus_add(bus, &next);
    bus_add(bus, &far);
    mixed = false;
}

static void prepare_two(void *ctx)
{
    prepare_bus(ctx);
    bus_remove(bus, &far);
}

static void prepare_without_low(void *ctx)
{
    prepare_bus(ctx);
    bus_remove(bus, &low);
}

static void remove_low(void *ctx)
{
    (void)ctx;
    bus_remove(bus, &low);
}

static void add_low(void *ctx)
{
    (void)ctx;
    bus_add(bus, &low);
}

static void read_low(void *ctx)
{
    (void)ctx;
    address = low.base + 8;
    found = bus_read(bus, address, 4, &was_read);
}

static void read_next(void *ctx)
{
    (void)ctx;
    address = next.base + 4;
    found = bus_read(bus, address, 4, &was_read);
}

static const char *judge_low(void *ctx)
{
    (void)ctx;
    bool good = found ? was_read == low.base : was_read == UINT32_MAX;
    return good && !mixed ? NULL : "an access goes to a region that is none";
}

static const char *judge_next(void *ctx)
{
    (void)ctx;
    bool good = found && was_read == next.base && !mixed;
    return good ? NULL : "an access misses a region that stays";
}

static bool bus_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_bus, .threads = {remove_low, read_low}, .judge = judge_low},
        {.prepare = prepare_bus, .threads = {remove_low, read_next}, .judge = judge_next},
        {.prepare = prepare_two, .threads = {remove_low, read_next}, .judge = judge_next},
        {.prepare = prepare_without_low, .threads = {add_low, read_low}, .judge = judge_low},
        {.prepare = prepare_without_low, .threads = {add_low, read_next}, .judge = judge_next},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, readers_of_a_bus_see_whole_regions)
{
    check_orders_are_needed(bus_holds, (const struct stronger[]){{NULL, NULL}});
}

/* ---- MSI-X: interrupts while another thread has the lock ---- */

#define VECTORS 2u

static struct pci_func func;
static struct msix *msix;
static unsigned sent[VECTORS];
static uint8_t sent_lock;
static int source = -1; /* an eventfd */
static bool has_source; /* the hypervisor has it */

static int send_message(void *ctx, uint64_t addr, uint32_t data)
{
    (void)ctx, (void)addr;
    model_lock(&sent_lock);
    sent[data]++;
    model_unlock(&sent_lock);
    return 0;
}

/* Of sources alone, so that other messages are sent. */
static int add_route(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    (void)ctx, (void)addr, (void)data;
    has_source |= eventfd == source;
    return eventfd == source ? 0 : -ENOSYS;
}

static void drop_route(void *ctx, int route, int eventfd)
{
    (void)ctx, (void)route;
    has_source &= eventfd != source;
}

static const struct msi_ops msi_ops = {
    .send = send_message, .route_add = add_route, .route_del = drop_route};

static void set_control(uint32_t bits)
{
    pci_func_put(&func, msix_cap(msix) + 2, 2, bits | (VECTORS - 1));
    msix_control_changed(msix);
}

static void prepare_msix(void *ctx)
{
    (void)ctx;
    forget_memory();
    func = (struct pci_func){0};
    cr_assert_eq(bus_create(&bus, "mmio", UINT64_C(1) << 46), 0);
    cr_assert_eq(pci_func_init(&func, &(struct pci_func_config){.name = "fn", .mmio = bus}), 0);
    struct msix_config config = {
        .func = &func, .vectors = VECTORS, .sources = 1, .sink = {.ops = &msi_ops}};
    cr_assert_eq(msix_create(&msix, &config), 0);
    func.port.ops->config_write(&func.port, 0x10, 4, 0x1000);
    func.port.ops->config_write(&func.port, 0x04, 2, 6); /* memory, bus master */
    for (unsigned i = 0; i < VECTORS; i++) {
        bus_write(bus, 0x1000 + i * MSIX_ENTRY_BYTES + 8, 4, i);
        bus_write(bus, 0x1000 + i * MSIX_ENTRY_BYTES + 12, 4, 0);
        sent[i] = 0;
    }
    set_control(0x8000);
}

static void prepare_masked(void *ctx)
{
    prepare_msix(ctx);
    set_control(0xc000);
}

static void prepare_source(void *ctx)
{
    eventfd_t count;
    if (source < 0)
        source = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)eventfd_read(source, &count);
    prepare_masked(ctx);
    msix_set_source(msix, 0, source, 0);
}

static void raise_first(void *ctx)
{
    (void)ctx;
    msix_raise(msix, 0);
}

static void raise_second(void *ctx)
{
    (void)ctx;
    msix_raise(msix, 1);
}

static void raise_both(void *ctx)
{
    raise_first(ctx);
    raise_second(ctx);
}

static void raise_source(void *ctx)
{
    (void)ctx;
    (void)eventfd_write(source, 1);
    msix_raise_source(msix, 0);
}

static void unmask(void *ctx)
{
    (void)ctx;
    set_control(0x8000);
}

static const char *judge_first(void *ctx)
{
    (void)ctx;
    return sent[0] == 1 ? NULL : "an interrupt is lost, or comes twice";
}

static const char *judge_both(void *ctx)
{
    return sent[1] == 1 ? judge_first(ctx) : "an interrupt is lost, or comes twice";
}

/* What is in the eventfd when the hypervisor gets it is delivered. */
static const char *judge_source(void *ctx)
{
    eventfd_t count = 0;
    if (has_source && eventfd_read(source, &count) == 0)
        sent[0]++;
    return judge_first(ctx);
}

static bool msix_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_masked, .threads = {raise_first, unmask}, .judge = judge_first},
        {.prepare = prepare_msix,
         .threads = {raise_first, raise_second},
         .judge = judge_both,
         .interrupts = 3},
        {.prepare = prepare_masked,
         .threads = {raise_both, unmask},
         .judge = judge_both,
         .interrupts = 3},
        {.prepare = prepare_source, .threads = {raise_source, unmask}, .judge = judge_source},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, interrupts_are_not_lost_to_a_lock)
{
    /* `asked` and what is wanted each do for both, and the lock does for what it guards. */
    check_orders_are_needed(msix_holds,
                            (const struct stronger[]){{"ask", "relaxed"},
                                                      {"catch_up", "relaxed"},
                                                      {"raise_wanted", "relaxed"},
                                                      {"msix_raise", "relaxed"},
                                                      {"msix_raise_source", "relaxed"},
                                                      {"msix_control_changed", "relaxed"},
                                                      {NULL, NULL}});
}

/* ---- a vCPU is stopped wherever it is ---- */

static struct kvm_run run;
static struct hv_vm vm;
static struct hv_vcpu vcpu;
static struct vcpus *vcpus;
static struct event kick_signal;

int order_ioctl(int fd, unsigned long request, ...);
long order_syscall(long number, ...);

/* KVM_RUN: KVM reads immediate_exit once, and then the guest runs until a signal comes. */
int order_ioctl(int fd, unsigned long request, ...)
{
    (void)fd, (void)request;
    if (model_choose(2) == 1)
        event_take(&kick_signal); /* its handler has run before the call */
    if (model_load(&run.immediate_exit, 1, __ATOMIC_RELAXED) == 0)
        event_wait(&kick_signal);
    errno = EINTR;
    return -1;
}

long order_syscall(long number, ...)
{
    if (number == SYS_tgkill)
        event_set(&kick_signal);
    return 1;
}

static int vcpu_create(struct hv_vcpu **out, struct hv_vm *of, unsigned id)
{
    (void)of, (void)id;
    *out = &vcpu;
    return 0;
}

static void vcpu_destroy(struct hv_vcpu *v)
{
    (void)v;
}

static const struct hv hv = {.vcpu_create = vcpu_create,
                             .vcpu_destroy = vcpu_destroy,
                             .vcpu_run = kvm_vcpu_run,
                             .vcpu_complete = kvm_vcpu_complete,
                             .vcpu_kick = kvm_vcpu_kick,
                             .vcpu_bind_thread = kvm_vcpu_bind_thread};

static void prepare_vcpu(void *ctx)
{
    (void)ctx;
    memset(&run, 0, sizeof(run));
    vcpu = (struct hv_vcpu){.vm = &vm, .run = &run};
    kick_signal = thread_started = (struct event){0};
    forget_memory();
    struct vcpus_config config = {.hv = &hv, .vm = &vm, .count = 1};
    cr_assert_eq(vcpus_create(&vcpus, &config), 0);
}

static void start_and_stop(void *ctx)
{
    (void)ctx;
    vcpus_start(vcpus);
    vcpus_stop(vcpus);
}

/* What a kick is for is there when it has its effect, also if the thread was just leaving. */
static unsigned reason;

static void kick(void *ctx)
{
    (void)ctx;
    model_touch(&reason, sizeof(reason), true);
    kvm_vcpu_kick(&vcpu);
}

static void run_until_kicked(void *ctx)
{
    struct hv_exit exit;
    (void)ctx;
    kvm_vcpu_bind_thread(&vcpu);
    kvm_vcpu_complete(&vcpu);
    kvm_vcpu_run(&vcpu, &exit);
    model_touch(&reason, sizeof(reason), false);
}

static bool vcpu_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_vcpu, .threads = {kick, run_until_kicked}, .judge = no_complaint},
        {.prepare = prepare_vcpu,
         .threads = {start_and_stop, run_started_thread},
         .judge = no_complaint},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, a_kick_is_not_lost)
{
    /* What starts a thread orders that, too. */
    check_orders_are_needed(vcpu_holds,
                            (const struct stronger[]){{"vcpus_start", "relaxed"}, {NULL, NULL}});
}

/* ---- a picture goes to the viewer and back ---- */

static struct screen *screen;
static struct ev_post *again;
static struct event posted, woken;
static uint8_t picture[4], shown;

void order_evloop_post(struct evloop *loop, struct ev_post *post);
void order_pixels_copy(uint8_t *to, const struct display_surface *from,
                       const struct display_rect *rect);

void order_evloop_post(struct evloop *loop, struct ev_post *post)
{
    (void)loop;
    again = post;
    event_set(&posted);
}

void order_pixels_copy(uint8_t *to, const struct display_surface *from,
                       const struct display_rect *rect)
{
    model_touch(to, 4, true);
    pixels_copy(to, from, rect);
}

static void wake_viewer(void *ctx)
{
    (void)ctx;
    event_set(&woken);
}

static void draw(uint8_t value)
{
    struct display_surface surface = {
        .pixels = picture, .width = 1, .height = 1, .stride_bytes = 4};
    struct display_backend *b = screen_backend(screen);
    picture[0] = value;
    b->ops->set_surface(b, 0, &surface);
}

static void prepare_screen(void *ctx)
{
    (void)ctx;
    forget_memory();
    cr_assert_eq(screen_create(&screen, &(struct screen_config){.wake = wake_viewer}), 0);
    posted = woken = (struct event){0};
    shown = 0;
}

static void draw_twice(void *ctx)
{
    (void)ctx;
    draw(1);
    draw(2);
    event_wait(&posted);
    again->cb(again->ctx);
}

static void view(void *ctx)
{
    struct screen_frame frame;
    (void)ctx;
    for (bool looks = true; shown < 2; looks = false) { /* once without being woken */
        if (!looks)
            event_wait(&woken);
        if (!screen_take(screen, 0, &frame))
            continue;
        model_touch(frame.pixels, 4, false);
        shown = frame.pixels[0];
        screen_done(screen, 0);
    }
}

static bool screen_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_screen, .threads = {draw_twice, view}, .judge = no_complaint},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, a_picture_is_whole_and_the_last_is_shown)
{
    check_orders_are_needed(screen_holds, (const struct stronger[]){{NULL, NULL}});
}

/* ---- figures of a vCPU that runs ---- */

static struct exits counted, sum;

static void prepare_exits(void *ctx)
{
    (void)ctx;
    memset(&counted, 0, sizeof(counted));
    memset(&sum, 0, sizeof(sum));
}

static void count_exits(void *ctx)
{
    (void)ctx;
    exits_count(&counted, &(struct hv_exit){.reason = HV_EXIT_PIO}, "a", 1, 1);
    exits_count(&counted, &(struct hv_exit){.reason = HV_EXIT_MMIO}, "b", 1, 1);
}

static void add_exits(void *ctx)
{
    (void)ctx;
    exits_add(&sum, &counted);
}

static bool exits_hold(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_exits, .threads = {count_exits, add_exits}, .judge = no_complaint},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, figures_have_their_names)
{
    check_orders_are_needed(exits_hold, (const struct stronger[]){{NULL, NULL}});
}

/* ---- a request to give up, and why ---- */

static struct cancel cancel;
static unsigned why;

static void prepare_cancel(void *ctx)
{
    (void)ctx;
    atomic_init(&cancel.asked, false);
    cancel.fd = -1;
}

static void ask(void *ctx)
{
    (void)ctx;
    model_touch(&why, sizeof(why), true);
    cancel_ask(&cancel);
}

static void give_up(void *ctx)
{
    (void)ctx;
    if (cancel_poll(&cancel, -1, 0, 0) == -ECANCELED)
        model_touch(&why, sizeof(why), false);
}

static bool cancel_holds(bool says)
{
    static const struct model_case cases[] = {
        {.prepare = prepare_cancel, .threads = {ask, give_up}, .judge = no_complaint},
        {.prepare = NULL},
    };
    return cases_hold(cases, says);
}

Test(order, who_gives_up_knows_why)
{
    check_orders_are_needed(cancel_holds, (const struct stronger[]){{NULL, NULL}});
}
