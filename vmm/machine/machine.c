// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/machine.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/loop/evloop.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "core/ports/chr.h"
#include "core/ports/display.h"
#include "core/ports/hv.h"
#include "core/ports/power.h"
#include "core/tape/tape.h"
#include "devices/char/chr_path.h"
#include "devices/char/chr_stdio.h"
#include "devices/display/turns.h"
#include "devices/input/hub.h"
#include "devices/platform/framebuffer.h"
#include "firmware/kernel/boot_request.h"
#include "firmware/kernel/cmdline.h"
#include "vmm/command/command.h"
#include "vmm/machine/display.h"
#include "vmm/machine/hang.h"
#include "vmm/machine/machine_impl.h"
#include "vmm/machine/seam.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/report/timeline.h"

/* ---- how it ends ---- */

static void on_power(void *ctx, enum power_event event, int status)
{
    struct machine *m = ctx;
    if (!atomic_exchange(&m->ended, true))
        power_request(&m->config.power, event, status);
}

static void on_resized(void *ctx)
{
    struct machine *m = ctx;
    if (m->command != NULL)
        command_resized(m->command);
    else
        chr_stdio_resized(m->terminal);
}

static void on_command_end(void *ctx, int status)
{
    on_power(ctx, POWER_EXIT, status);
}

static void on_signals(void *ctx)
{
    struct machine *m = ctx;
    for (uint64_t left = atomic_exchange(&m->signals, 0); left != 0; left &= left - 1)
        command_signal(m->command, __builtin_ctzll(left));
}

/* What the guest's console is connected to; NULL: there is none. */
static struct chr_backend *console_of(const struct machine *m)
{
    return m->command != NULL ? command_console(m->command) : m->terminal;
}

static void on_quit(void *ctx)
{
    on_power(ctx, POWER_QUIT, 0);
}

static void on_power_button(void *ctx)
{
    machine_press(ctx, POWER_BUTTON);
}

static void reached(struct machine *m, int err, const char *what)
{
    if (err == 0)
        timeline_add(m->config.timeline, TIMELINE_SETUP, what);
}

static void on_bite(void *ctx)
{
    const struct machine *m = ctx;
    m->config.on_bite(m->config.power.ctx);
}

static void on_hang(void *ctx)
{
    const struct machine *m = ctx;
    m->config.on_hang(m->config.power.ctx);
}

static void on_post_code(void *ctx, uint8_t code)
{
    timeline_code(((struct machine *)ctx)->config.timeline, code);
}

/* The guest does not wait for its log, which may be a FIFO. */
static void add_to_log(struct machine *m, const uint8_t *data, size_t len)
{
    bool is_short = m->log->ops->write(m->log, data, len) < len;
    if (is_short && !m->log_is_short)
        log_warn("--log %s: takes no more for now; it misses some of the console's output",
                 m->config.vm->log);
    m->log_is_short |= is_short;
}

static void on_output(void *ctx, const uint8_t *data, size_t len)
{
    struct machine *m = ctx;
    if (m->log != NULL)
        add_to_log(m, data, len);
    timeline_console(m->config.timeline, data, len);
    tail_add(&m->tail, data, len);
}

/* ---- devices ---- */

static int create_log(struct machine *m)
{
    const char *path = m->config.vm->log;
    return path == NULL ? 0
                        : chr_path_create(&m->log, &(struct chr_path_config){.loop = m->loop,
                                                                             .clock = &clock_host,
                                                                             .name = "--log",
                                                                             .kind = CHR_FILE,
                                                                             .path = path});
}

static int create_terminal(struct machine *m)
{
    if (m->config.vm->command != NULL)
        return command_create(&m->command, &(struct command_config){.loop = m->loop,
                                                                    .vm = m->config.vm,
                                                                    .on_end = on_command_end,
                                                                    .on_quit = on_quit,
                                                                    .on_power = on_power_button,
                                                                    .on_console = on_output,
                                                                    .ctx = m});
    if (m->config.vm->console == CONSOLE_OFF)
        return 0;
    return chr_stdio_create(&m->terminal, &(struct chr_stdio_config){.in_fd = STDIN_FILENO,
                                                                     .out_fd = STDOUT_FILENO,
                                                                     .loop = m->loop,
                                                                     .on_quit = on_quit,
                                                                     .on_power = on_power_button,
                                                                     .on_output = on_output,
                                                                     .ctx = m});
}

static int create_input(struct machine *m)
{
    bool any = false;
    for (unsigned i = 0; i < INPUT_KINDS; i++)
        any |= m->config.vm->input.on[i];
    return any ? input_hub_create(&m->input, m->loop) : 0;
}

/* The first time as the power button, the second time at once. */
static void on_close(void *ctx)
{
    struct machine *m = ctx;
    if (atomic_exchange(&m->closed, true))
        on_power(m, POWER_QUIT, 0);
    else
        machine_press(m, POWER_BUTTON);
}

static int create_display(struct machine *m)
{
    const struct vm_config *vm = m->config.vm;
    const char *name = strrchr(vm->kernel, '/');
    return machine_display_create(
        &m->display, vm,
        &(struct viewer_config){.loop = m->loop,
                                .input = m->input != NULL ? input_hub_sink(m->input) : NULL,
                                .is_absolute = vm->input.on[INPUT_TABLET],
                                .has_touch = vm->input.on[INPUT_TOUCH],
                                .name = name != NULL ? name + 1 : vm->kernel,
                                .cancel = m->config.cancel,
                                .on_close = on_close,
                                .ctx = m});
}

/* Of what the guest has before it has a driver. */
static struct boot_framebuffer framebuffer_place(const struct machine *m)
{
    const struct machine_config *c = &m->config;
    if (m->first_picture == NULL || !m->is_seen || c->arch->framebuffer_gpa == 0)
        return (struct boot_framebuffer){0};
    return (struct boot_framebuffer){
        .gpa = c->arch->framebuffer_gpa,
        .width = c->framebuffer_width != 0 ? c->framebuffer_width : FRAMEBUFFER_WIDTH_DEFAULT,
        .height = c->framebuffer_height != 0 ? c->framebuffer_height : FRAMEBUFFER_HEIGHT_DEFAULT,
    };
}

static int create_pictures(struct machine *m)
{
    int r = create_display(m);
    m->is_seen = m->config.display != NULL || m->config.vm->display.kind != DISPLAY_NOWHERE;
    struct display_backend *display =
        m->config.display != NULL ? m->config.display : machine_display_backend(m->display);
    if (r < 0 || display == NULL)
        return r;
    m->config.display = NULL;
    r = display_turns_create(&m->first_picture, &m->adapter_picture, display);
    struct boot_framebuffer place = framebuffer_place(m);
    if (r < 0 || place.width == 0)
        return r;
    return framebuffer_create(&m->framebuffer,
                              &(struct framebuffer_config){.gpa = place.gpa,
                                                           .width = place.width,
                                                           .height = place.height,
                                                           .hv = m->config.hv,
                                                           .vm = m->vm,
                                                           .loop = m->loop,
                                                           .clock = &clock_host,
                                                           .display = m->first_picture});
}

static void destroy_pictures(struct machine *m)
{
    framebuffer_destroy(m->framebuffer);
    struct display_backend *const all[] = {m->first_picture, m->adapter_picture, m->config.display};
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i] != NULL)
            all[i]->ops->destroy(all[i]);
}

static int create_board(struct machine *m)
{
    const struct vm_config *vm = m->config.vm;
    return m->config.arch->board_create(
        &m->board, &(struct board_config){
                       .hv = m->config.hv,
                       .vm = m->vm,
                       .gmem = m->gmem,
                       .mmio = m->mmio,
                       .pio = m->pio,
                       .loop = m->loop,
                       .power = {on_power, m},
                       .vcpus = vm->cpus,
                       .clock_ahead_s = m->config.clock_ahead_s,
                       .smbios = vm->has_smbios ? &vm->smbios : NULL,
                       .files = vm->files,
                       .file_count = vm->file_count,
                       .watchdog = {.on = vm->watchdog.on,
                                    .boot_ns = vm->watchdog.boot_ns,
                                    .has_bitten = m->config.has_bitten,
                                    .on_bite = on_bite},
                       .serial = vm->console == CONSOLE_SERIAL ? console_of(m) : NULL,
                       .on_post_code = on_post_code,
                       .ctx = m,
                   });
}

/* A tape has virtio devices alone, and a replay no board. */
static struct pci_function *board_function(const struct machine *m)
{
    const struct arch *arch = m->config.arch;
    return m->seam == NULL && arch->board_function != NULL ? arch->board_function(m->board) : NULL;
}

static int create_virtio(struct machine *m)
{
    return virtio_devices_create(&m->virtio,
                                 &(struct virtio_devices_config){
                                     .arch = m->config.arch,
                                     .vm = m->config.vm,
                                     .hv = m->config.hv,
                                     .hv_vm = m->vm,
                                     .mmio = m->seam != NULL ? seam_mmio(m->seam) : m->mmio,
                                     .pio = m->seam != NULL ? seam_pio(m->seam) : m->pio,
                                     .loop = m->loop,
                                     .gmem = m->gmem,
                                     .terminal = console_of(m),
                                     .command = m->command,
                                     .display = m->adapter_picture,
                                     .input = m->input,
                                     .tape = m->config.tape,
                                     .function = board_function(m),
                                     .cancel = m->config.cancel,
                                 });
}

/* ---- what the guest finds at power-on ---- */

static int describe(struct machine *m)
{
    struct board_devices devices = virtio_devices_places(m->virtio);
    return m->config.arch->describe(m->board, &devices);
}

/* In the user's folder for such (XDG Base Directory); NULL: there is none. */
static char *kernel_cache_dir(void)
{
    const char *home = getenv("HOME"), *base = getenv("XDG_CACHE_HOME");
    char *dir = NULL;
    int r = -1;
    if (base != NULL && base[0] == '/')
        r = asprintf(&dir, "%s/minivet/kernels", base);
    else if (home != NULL && home[0] == '/')
        r = asprintf(&dir, "%s/.cache/minivet/kernels", home);
    return r < 0 ? NULL : dir;
}

/* To be freed. */
static char *make_cmdline(const struct machine *m)
{
    const struct vm_config *vm = m->config.vm;
    const char *const consoles[] = {[CONSOLE_SERIAL] = m->config.arch->serial_console,
                                    [CONSOLE_VIRTIO] = "hvc0",
                                    [CONSOLE_OFF] = NULL};
    const char *user = vm->append != NULL ? vm->append : "";
    char *words = m->command != NULL ? command_cmdline(m->command, user) : strdup(user);
    char *line = words != NULL ? linux_cmdline_make(consoles[vm->console], m->first_picture != NULL,
                                                    vm->kaslr_off, words)
                               : NULL;
    free(words);
    return line;
}

static int load_kernel(struct machine *m)
{
    const struct vm_config *vm = m->config.vm;
    size_t archive_bytes = 0;
    const void *archive = m->command != NULL ? command_archive(m->command, &archive_bytes) : NULL;
    m->cmdline = make_cmdline(m);
    if (m->cmdline == NULL)
        return fail(-ENOMEM, "kernel command line");
    char *cache_dir = vm->unpack == UNPACK_CACHED ? kernel_cache_dir() : NULL;
    log_info("kernel %s, command line: %s", vm->kernel, m->cmdline);
    int r = m->config.arch->load_kernel(m->board,
                                        &(struct boot_request){.kernel_path = vm->kernel,
                                                               .initrd_path = vm->initrd,
                                                               .initrd_before = archive,
                                                               .initrd_before_bytes = archive_bytes,
                                                               .cmdline = m->cmdline,
                                                               .framebuffer = framebuffer_place(m),
                                                               .dtb = vm->dtb,
                                                               .dtb_overlay = vm->dtb_overlay,
                                                               .dump_dtb = vm->dump_dtb,
                                                               .unpack = vm->unpack != UNPACK_OFF,
                                                               .cache_dir = cache_dir,
                                                               .entropy = &entropy_host,
                                                               .cancel = m->config.cancel});
    free(cache_dir);
    return r;
}

static int create_vcpus(struct machine *m)
{
    unsigned count = m->config.vm->cpus;
    int r = vcpus_create(
        &m->vcpus, &(struct vcpus_config){.hv = m->config.hv,
                                          .vm = m->vm,
                                          .count = count,
                                          .mmio = m->mmio,
                                          .pio = m->pio,
                                          .timeline = m->config.timeline,
                                          .clock = machine_is_measured(m) ? &clock_host : NULL,
                                          .is_watched = m->config.vm->hang_ns != 0,
                                          .power = {on_power, m}});
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = m->config.arch->power_on(m->board, vcpus_get(m->vcpus, i), i);
    return r;
}

/* ---- life ---- */

/* Does another process serve a device, from the guest's memory? */
static bool shares_memory(const struct vm_config *vm)
{
    bool shares = false;
    for (unsigned i = 0; i < vm->disk_count; i++)
        shares |= config_disk_is_served_elsewhere(&vm->disks[i]);
    for (unsigned i = 0; i < vm->net_count; i++)
        shares |= vm->nets[i].kind == NET_VHOST_USER;
    for (unsigned i = 0; i < vm->share_count; i++)
        shares |= vm->shares[i].kind == SHARE_VHOST_USER;
    return shares;
}

static int create_base(struct machine *m)
{
    const struct vm_config *vm = m->config.vm;
    const struct arch *arch = m->config.arch;
    int r = (shares_memory(vm) ? gmem_create_shared : gmem_create)(
        &m->gmem, vm->mem_bytes, arch->hole_gpa, arch->hole_end_gpa);
    reached(m, r, "guest memory mapped");
    if (r == 0 && vm->prefault) {
        r = gmem_populate(m->gmem, m->config.cancel);
        reached(m, r, "guest memory populated");
    }
    if (r == 0)
        r = m->config.hv->vm_create(
            &m->vm, &(struct hv_vm_config){.memory = m->gmem,
                                           .vcpus = vm->cpus,
                                           .stats = machine_is_measured(m) || vm->hang_ns != 0,
                                           .cpu_on = vm->cpu_on,
                                           .cpu_off = vm->cpu_off});
    reached(m, r, "KVM ready");
    if (r == 0)
        r = bus_create(&m->mmio, "mmio", arch->mmio_limit);
    if (r == 0 && arch->pio_limit != 0)
        r = bus_create(&m->pio, "pio", arch->pio_limit);
    if (r == 0)
        r = evloop_create(&m->loop, "io", &clock_host);
    if (r == 0 && vm->poll_given)
        evloop_poll_limit(m->loop, vm->poll_max_ns);
    if (r == 0 && m->config.tape != NULL) {
        tape_set_memory(m->config.tape, m->gmem);
        r = seam_create(&m->seam, arch, m->config.tape, m->loop, m->mmio, m->pio);
    }
    return r;
}

int machine_create(struct machine **out, const struct machine_config *config)
{
    struct machine *m = ALLOC_BEFORE(struct machine, usage);
    if (m == NULL) {
        if (config->display != NULL)
            config->display->ops->destroy(config->display);
        return fail(-ENOMEM, "machine");
    }
    m->config = *config;
    m->resized = (struct ev_post){.cb = on_resized, .ctx = m};
    m->signalled = (struct ev_post){.cb = on_signals, .ctx = m};

    int r = create_base(m);
    if (r == 0)
        r = create_log(m);
    if (r == 0)
        r = create_terminal(m);
    if (r == 0)
        r = create_input(m);
    if (r == 0)
        r = create_board(m);
    if (r == 0)
        r = create_pictures(m); /* whose viewer may press the board's power button */
    if (r == 0)
        r = create_virtio(m);
    if (r == 0)
        r = describe(m);
    reached(m, r, "devices ready");
    if (r == 0)
        r = load_kernel(m);
    reached(m, r, "kernel loaded");
    if (r == 0)
        r = create_vcpus(m);
    reached(m, r, "vCPUs ready");
    if (r < 0) {
        machine_destroy(m);
        return r;
    }
    *out = m;
    return 0;
}

int machine_start(struct machine *m)
{
    m->started_ns = clock_now_ns(&clock_host);
    if (m->terminal != NULL)
        chr_stdio_begin(m->terminal);
    if (m->command != NULL)
        command_begin(m->command);
    int r = evloop_start_thread(m->loop);
    if (r == 0)
        r = virtio_devices_start(m->virtio);
    if (r == 0 && m->config.before_guest != NULL)
        m->config.before_guest();
    if (r == 0)
        r = vcpus_start(m->vcpus);
    return r < 0 || m->config.vm->hang_ns == 0
               ? r
               : hang_create(&m->hang, &(struct hang_config){.loop = m->loop,
                                                             .clock = &clock_host,
                                                             .vcpus = m->vcpus,
                                                             .count = m->config.vm->cpus,
                                                             .time_ns = m->config.vm->hang_ns,
                                                             .on_hang = on_hang,
                                                             .ctx = m});
}

/* On the loop: until the last helper has gone home, it may be the one who owns the loop. */
static int finish_devices(void *arg)
{
    struct machine *m = arg;
    virtio_devices_drain(m->virtio);
    m->config.arch->board_flush(m->board);
    if (m->terminal != NULL)
        m->terminal->ops->flush(m->terminal);
    if (m->command != NULL)
        command_flush(m->command);
    return 0;
}

void machine_stop(struct machine *m)
{
    if (machine_is_measured(m))
        usage_take(&m->usage);
    m->stopped = true;
    vcpus_stop(m->vcpus);
    machine_display_stop(m->display);
    evloop_stop_thread(m->loop);
    if (m->config.tape != NULL)
        tape_end(m->config.tape);
    virtio_devices_stop(m->virtio);
    evloop_call(m->loop, finish_devices, m);
    virtio_devices_report(m->virtio);
}

bool machine_had_emergency(struct machine *m)
{
    int r = 0;
    for (unsigned i = 0; r <= 0 && i < m->config.vm->cpus; i++)
        r = m->config.hv->vcpu_clock_enabled(vcpus_get(m->vcpus, i));
    return r == -ENOTSUP ? m->tail.printed_panic : r > 0;
}

void machine_destroy(struct machine *m)
{
    if (m == NULL)
        return;
    hang_destroy(m->hang);
    vcpus_destroy(m->vcpus);
    machine_display_stop(m->display);
    if (m->loop != NULL)
        evloop_stop_thread(m->loop);
    if (m->vm != NULL)
        m->config.hv->vm_end(m->vm);
    virtio_devices_destroy(m->virtio);
    input_hub_destroy(m->input);
    m->config.arch->board_destroy(m->board);
    if (m->terminal != NULL)
        m->terminal->ops->destroy(m->terminal);
    if (m->log != NULL)
        m->log->ops->destroy(m->log);
    command_destroy(m->command);
    destroy_pictures(m);
    machine_display_destroy(m->display);
    seam_destroy(m->seam);
    evloop_destroy(m->loop);
    bus_destroy(m->pio);
    bus_destroy(m->mmio);
    timeline_add(m->config.timeline, TIMELINE_TEARDOWN, "devices gone");
    if (m->vm != NULL)
        m->config.hv->vm_destroy(m->vm);
    timeline_add(m->config.timeline, TIMELINE_TEARDOWN, "KVM gone");
    gmem_destroy(m->gmem);
    free(m->cmdline);
    free(m);
}
