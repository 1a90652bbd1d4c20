// SPDX-License-Identifier: BSD-2-Clause
/*
 * `minivet run`: build a machine, run it, say how it ended.
 *
 * A loop with a thread of its own waits for what ends a run: the machine, a signal, the timeout,
 * the person at the terminal. So it hears them while the main thread makes the machine, too: then
 * they cancel that (core/loop/cancel.h), and interrupt the system call in which the main thread may
 * be.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/reopen.h"
#include "core/loop/cancel.h"
#include "core/loop/evloop.h"
#include "core/tape/tape.h"
#include "devices/backend/bucket.h"
#include "devices/char/chr_stdio.h"
#include "kvm/kvm.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/cli/root.h"
#include "vmm/cli/stock_kernel.h"
#include "vmm/config/config.h"
#include "vmm/control/control.h"
#include "vmm/control/folder.h"
#include "vmm/machine/machine.h"
#include "vmm/report/timeline.h"
#include "vmm/sandbox/sandbox.h"

_Static_assert(CONFIG_MAX_MARKS <= TIMELINE_MARKS && CONFIG_MARK_BYTES <= TIMELINE_MARK_BYTES,
               "the timeline has room for every mark");

/* A smaller kernel is a bare-metal guest, for which KVM's emulation may do. */
#define LINUX_BYTES_MIN  (1 << 20)
#define INTERRUPT_SIGNAL (SIGRTMIN + 1) /* does nothing but to end a system call */
#define INTERRUPT_NS     UINT64_C(20000000)
#define LIVES_PER_S      1
#define LIVES_BURST_NS   UINT64_C(10000000000)

struct medium {
    struct medium *next;
    char path[];
};

struct run {
    struct stock_kernel stock;
    struct evloop *loop;
    struct tape *tape; /* NULL: nothing is recorded */
    pthread_t main_thread;
    sem_t end;             /* of a life, for the main thread */
    struct bucket lives;   /* after a reset */
    int64_t clock_ahead_s; /* in all of them */

    /* The user wants no more of it. */
    struct cancel cancel;
    int cancel_code; /* before the request is made */

    /* The loop's; the main thread changes them by calls to it, and reads them after `end`. */
    struct machine *machine;   /* NULL: there is none that can be asked */
    struct timeline *timeline; /* NULL: not asked for */
    struct ev_fd signals;
    struct ev_timer timeout, interrupt, grace;
    int signal_fd;
    int exit_code;
    bool making; /* the machine: the main thread is to be interrupted */
    bool signalled;
    bool pressed; /* the power button, by SIGTERM; or the command has it */
    bool resized; /* the terminal, while there was no machine */
    bool ended;
    bool reset;
    bool forced;     /* the reset, by a user: the guest could not prepare for it */
    bool reported;   /* that it hangs */
    bool bitten;     /* likewise, by the guest's watchdog; in this life and ... */
    bool has_bitten; /* ... in the last one */
    bool paused;
    bool resizing;         /* or swapping a disk, on a helper of the control socket's */
    struct medium *media;  /* that disks got while the guest ran */
    bool looked, emulated; /* for hardware virtualization: the host has none */
    struct ev_post look;
    _Atomic enum power_event machine_end;
    _Atomic int machine_status;
    struct ev_post machine_ended, bite, hang;
    struct control *control;
    char control_path[CONTROL_FOLDER_BYTES + 16]; /* where it was not told */

    struct vm_config vm; /* config_parse() clears it, but for what is not used */
};

static void finish(struct run *run, int exit_code)
{
    if (run->ended)
        return;
    run->ended = true;
    run->exit_code = exit_code;
    sem_post(&run->end);
}

/* Again and again: what was interrupted may be between two system calls, or begin it anew. */
static void interrupt_main(void *ctx)
{
    struct run *run = ctx;
    if (!run->making)
        return;
    pthread_kill(run->main_thread, INTERRUPT_SIGNAL);
    evloop_timer_set(run->loop, &run->interrupt, clock_now_ns(&clock_host) + INTERRUPT_NS);
}

/* Ends the run, whether its machine is there already or not. */
static void cancel(struct run *run, const char *why, int exit_code)
{
    if (cancel_asked(&run->cancel))
        return;
    timeline_add(run->timeline, TIMELINE_GUEST, why);
    run->cancel_code = exit_code;
    cancel_ask(&run->cancel);
    interrupt_main(run);
    finish(run, exit_code);
}

/* Any thread; the first end only. */
static void on_machine_end(void *ctx, enum power_event end, int status)
{
    static const char *const names[] = {
        [POWER_OFF] = "power-off", [POWER_RESET] = "reset",           [POWER_EXIT] = "exit status",
        [POWER_PANIC] = "panic",   [POWER_FAULT] = "Minivet's fault", [POWER_QUIT] = "quit"};
    struct run *run = ctx;
    timeline_add(run->timeline, TIMELINE_GUEST, names[end]);
    atomic_store(&run->machine_end, end);
    atomic_store(&run->machine_status, status);
    evloop_post(run->loop, &run->machine_ended);
}

/* The shell's prompt gets a line of its own, where the terminal has room. */
static void end_line(void)
{
    int own = isatty(STDOUT_FILENO) ? reopen_nonblocking(STDOUT_FILENO, O_WRONLY) : -1;
    if (own < 0)
        return;
    (void)!write(own, "\r\n", 2);
    close(own);
}

static void machine_ended(void *ctx)
{
    static const int codes[] = {
        [POWER_OFF] = EXIT_GUEST_OFF,   [POWER_RESET] = EXIT_GUEST_OFF,
        [POWER_QUIT] = EXIT_GUEST_OFF,  [POWER_PANIC] = EXIT_GUEST_PANIC,
        [POWER_FAULT] = EXIT_VMM_FAULT,
    };
    struct run *run = ctx;
    enum power_event end = atomic_load(&run->machine_end);
    if (end == POWER_RESET && !run->ended) /* else the main thread reads it already */
        run->reset = true;
    if (end == POWER_QUIT)
        end_line();
    finish(run, end == POWER_EXIT ? atomic_load(&run->machine_status) : codes[end]);
}

static void on_timeout(void *ctx)
{
    struct run *run = ctx;
    if (!run->ended || (run->reset && run->vm.reboot_restart))
        log_error("timeout: the %s after %g s",
                  run->making ? "machine was still being set up" : "guest was still running",
                  (double)run->vm.timeout_ns / 1e9);
    cancel(run, "timeout", EXIT_TIMEOUT);
}

static void on_grace_end(void *ctx)
{
    struct run *run = ctx;
    log_error("SIGTERM: the guest has not shut down within %g s", (double)run->vm.grace_ns / 1e9);
    cancel(run, "signal", EXIT_SIGNAL_BASE + SIGTERM);
}

/* Once, and only a guest that runs. */
static bool asks_guest(struct run *run, int signo)
{
    if (signo != SIGTERM || run->vm.grace_ns == 0 || run->pressed || run->machine == NULL ||
        run->paused || run->ended)
        return false;
    run->pressed = true;
    log_info("SIGTERM: the power button is pressed; the guest has %g s to shut down",
             (double)run->vm.grace_ns / 1e9);
    evloop_timer_set(run->loop, &run->grace, clock_now_ns(&clock_host) + run->vm.grace_ns);
    machine_press(run->machine, POWER_BUTTON);
    return true;
}

/* To the command in the guest, while it runs: SIGTERM once. */
static bool passes_on(struct run *run, int signo)
{
    if (run->machine == NULL || run->paused || run->ended || (signo == SIGTERM && run->pressed) ||
        !machine_signal(run->machine, signo))
        return false;
    run->pressed |= signo == SIGTERM;
    if (signo == SIGTERM && run->vm.grace_ns != 0)
        evloop_timer_set(run->loop, &run->grace, clock_now_ns(&clock_host) + run->vm.grace_ns);
    return true;
}

/* The second time it is meant at once, whatever is under way. */
static void on_end_signal(struct run *run, int signo)
{
    if (passes_on(run, signo) || asks_guest(run, signo))
        return;
    if (run->signalled && signo != SIGHUP) {
        chr_stdio_restore_terminal();
        _exit(EXIT_SIGNAL_BASE + signo);
    }
    run->signalled |= signo != SIGHUP; /* which may come together with another */
    cancel(run, "signal", EXIT_SIGNAL_BASE + signo);
}

static void resize(struct run *run)
{
    run->resized = run->machine == NULL;
    if (run->machine != NULL)
        machine_terminal_resized(run->machine);
}

/* While the main thread makes the machine: before Linux 5.18 opening /proc/cpuinfo takes 10 ms. */
static void look_for_virtualization(void *ctx)
{
    struct run *run = ctx;
    run->emulated = hv_kvm.virtualization() == NULL;
}

/* On standard error; a negative errno: the guest cannot go on. */
static int report(struct machine *machine, enum machine_end end)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return 0;
    int r = machine_explain(machine, end, out);
    fclose(out);
    log_lines(LOG_ERROR, text);
    free(text);
    return r;
}

/* Of an end that needs one; while the devices still have what they had. */
static void report_end(struct run *run, struct machine *machine)
{
    int code = run->exit_code;
    bool waits = run->vm.command != NULL && !machine_ran_command(machine);
    if (code != EXIT_GUEST_PANIC && code != EXIT_VMM_FAULT &&
        (code != EXIT_TIMEOUT || !(waits || log_enabled(LOG_INFO))))
        return;
    machine_pause(machine);
    (void)report(machine, code == EXIT_GUEST_PANIC ? MACHINE_PANICKED
                          : code == EXIT_TIMEOUT   ? MACHINE_TIMED_OUT
                                                   : MACHINE_FAILED);
}

static void print_stats(const struct run *run)
{
    if (run->vm.stats == STATS_OFF)
        log_warn("SIGUSR1: there are no statistics to print without --stats");
    else if (run->machine == NULL)
        log_warn("SIGUSR1: there are no statistics to print while no guest runs");
    else
        machine_print_stats(run->machine);
}

static void on_signal(void *ctx, uint32_t events)
{
    struct run *run = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGWINCH)
            resize(run);
        else if (info.ssi_signo == SIGUSR1)
            print_stats(run);
        else
            on_end_signal(run, (int)info.ssi_signo);
    }
}

/* A crash of ours must not leave the terminal raw. */
static void on_crash(int signo)
{
    chr_stdio_restore_terminal();
    raise(signo); /* SA_RESETHAND: the default action now */
}

static void on_interrupt(int signo)
{
    (void)signo;
}

static int catch_signals(struct run *run)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};
    for (unsigned i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
        sigaction(crashes[i], &sa, NULL);
    }
    sigaction(INTERRUPT_SIGNAL, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the guest chooses how long files get: EFBIG is its answer */

    sigset_t set;
    sigemptyset(&set);
    static const int heard[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGUSR1};
    for (unsigned i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
        sigaddset(&set, heard[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    run->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (run->signal_fd < 0)
        return fail(-errno, "signalfd");
    run->signals = (struct ev_fd){.cb = on_signal, .ctx = run};
    return evloop_fd_add(run->loop, &run->signals, run->signal_fd, EPOLLIN);
}

/* ---- what clients of the control socket ask for ---- */

static bool guest_runs(void *ctx)
{
    return ((struct run *)ctx)->machine != NULL;
}

static void press(void *ctx, enum power_button button)
{
    machine_press(((struct run *)ctx)->machine, button);
}

static struct input_sink *input_for(void *ctx, enum input_kind kind)
{
    return machine_input(((struct run *)ctx)->machine, kind);
}

static int picture(void *ctx, unsigned scanout, struct display_picture *out)
{
    return machine_picture(((struct run *)ctx)->machine, scanout, out);
}

static int balloon(void *ctx, const uint64_t *size_bytes, struct machine_balloon *out)
{
    return machine_balloon(((struct run *)ctx)->machine, size_bytes, out);
}

static int pause_guest(void *ctx, bool on)
{
    struct run *run = ctx;
    if (on)
        machine_pause(run->machine);
    int r = on ? 0 : machine_resume(run->machine);
    if (r < 0)
        finish(run, EXIT_VMM_FAULT);
    run->paused = on;
    return r;
}

static bool is_paused(void *ctx)
{
    return ((struct run *)ctx)->paused;
}

static int reset_guest(void *ctx)
{
    struct run *run = ctx;
    if (!run->vm.reboot_restart)
        return -EPERM;
    if (!run->forced) /* else it is under way */
        on_machine_end(run, POWER_RESET, 0);
    run->forced = true;
    return 0;
}

/* Any thread. */
static void on_bite(void *ctx)
{
    struct run *run = ctx;
    evloop_post(run->loop, &run->bite);
}

static void bite(void *ctx)
{
    struct run *run = ctx;
    enum watchdog_action action = run->vm.watchdog.action;
    if (run->machine == NULL || run->ended)
        return;
    /* In each life once: a guest may want no more of it than lines. */
    if (!run->reported || action != WATCHDOG_NONE)
        log_error("the guest's watchdog bites: it has not been petted in time");
    if (!run->reported && report(run->machine, MACHINE_HANGS) < 0)
        finish(run, EXIT_VMM_FAULT);
    run->reported = true;
    if (action == WATCHDOG_RESET && reset_guest(run) == 0)
        run->bitten = true;
    else if (action == WATCHDOG_RESET || action == WATCHDOG_EXIT)
        finish(run, EXIT_GUEST_HANGS);
    else if (action == WATCHDOG_PAUSE && !run->paused)
        (void)pause_guest(run, true);
}

/* Any thread. */
static void on_hang(void *ctx)
{
    struct run *run = ctx;
    evloop_post(run->loop, &run->hang);
}

static void hang(void *ctx)
{
    struct run *run = ctx;
    if (run->machine == NULL || run->ended)
        return;
    (void)report(run->machine, MACHINE_HANGS);
    finish(run, EXIT_GUEST_HANGS);
}

static int stats(void *ctx, FILE *out)
{
    return machine_stats_json(((struct run *)ctx)->machine, out);
}

static int describe(void *ctx, const char *device, struct facts *f)
{
    return machine_describe(((struct run *)ctx)->machine, device, f);
}

static int explain_guest(void *ctx, FILE *out)
{
    struct run *run = ctx;
    int r = machine_explain(run->machine, MACHINE_ASKED, out);
    if (r < 0)
        finish(run, EXIT_VMM_FAULT);
    return r;
}

static int set_link(void *ctx, unsigned card, bool up)
{
    return machine_set_link(((struct run *)ctx)->machine, card, up);
}

/* One at a time: the file has the size of the last one, and never a smaller one. */
static int begin_resize(void *ctx, unsigned disk, uint64_t bytes)
{
    struct run *run = ctx;
    int fd = run->resizing ? -EALREADY : machine_begin_resize(run->machine, disk, bytes);
    run->resizing |= fd >= 0;
    return fd;
}

static void end_resize(void *ctx, unsigned disk, uint64_t bytes)
{
    struct run *run = ctx;
    run->resizing = false;
    if (run->machine != NULL && bytes > 0)
        machine_end_resize(run->machine, disk, bytes);
}

/* Likewise: they would be about two files. */
static int begin_swap(void *ctx, unsigned disk, struct blk_file_config *out)
{
    struct run *run = ctx;
    int err = run->resizing ? -EALREADY : machine_begin_swap(run->machine, disk, out);
    run->resizing |= err == 0;
    return err;
}

/* After a reset the guest finds what it had last. The names of old ones may be in use till then. */
static int swap(void *ctx, unsigned disk, struct blk_file *spare, const char *path)
{
    struct run *run = ctx;
    struct medium *medium = spare != NULL ? malloc(sizeof(*medium) + strlen(path) + 1) : NULL;
    int err = run->machine == NULL              ? -ENXIO
              : spare != NULL && medium == NULL ? -ENOMEM
                                                : machine_swap(run->machine, disk, spare);
    if (err < 0 || medium == NULL) {
        free(medium);
        return err;
    }
    strcpy(medium->path, path);
    medium->next = run->media;
    run->media = medium;
    run->vm.disks[disk].path = medium->path;
    return 0;
}

static void end_swap(void *ctx)
{
    ((struct run *)ctx)->resizing = false;
}

static void forget_media(struct run *run)
{
    for (struct medium *m; (m = run->media) != NULL; free(m))
        run->media = m->next;
}

static int resize_port(void *ctx, const char *name, uint16_t columns, uint16_t rows)
{
    return machine_resize_port(((struct run *)ctx)->machine, name, columns, rows);
}

static int add_port(void *ctx, struct console_end *end)
{
    return machine_add_port(((struct run *)ctx)->machine, end);
}

static int remove_port(void *ctx, const char *name, struct console_end **out)
{
    return machine_remove_port(((struct run *)ctx)->machine, name, out);
}

static void each_port(void *ctx, void (*each)(void *arg, const struct port_config *port), void *arg)
{
    const struct run *run = ctx;
    if (run->machine != NULL)
        machine_each_port(run->machine, each, arg);
    for (unsigned i = 0; run->machine == NULL && i < run->vm.port_count; i++)
        each(arg, &run->vm.ports[i]);
}

static void stop(void *ctx)
{
    cancel(ctx, "control socket", EXIT_GUEST_OFF);
}

static int create_control(struct run *run)
{
    return control_create(&run->control,
                          &(struct control_config){.loop = run->loop,
                                                   .clock = &clock_host,
                                                   .path = run->vm.control,
                                                   .target = {.kernel = run->vm.kernel,
                                                              .runs = guest_runs,
                                                              .press = press,
                                                              .input = input_for,
                                                              .picture = picture,
                                                              .balloon = balloon,
                                                              .pause = pause_guest,
                                                              .is_paused = is_paused,
                                                              .reset = reset_guest,
                                                              .stats = stats,
                                                              .explain = explain_guest,
                                                              .describe = describe,
                                                              .set_link = set_link,
                                                              .begin_resize = begin_resize,
                                                              .end_resize = end_resize,
                                                              .begin_swap = begin_swap,
                                                              .swap = swap,
                                                              .end_swap = end_swap,
                                                              .resize_port = resize_port,
                                                              .add_port = add_port,
                                                              .remove_port = remove_port,
                                                              .each_port = each_port,
                                                              .stop = stop,
                                                              .ctx = run}});
}

static int set_up(struct run *run)
{
    char folder[CONTROL_FOLDER_BYTES];
    run->main_thread = pthread_self();
    sem_init(&run->end, 0, 0);
    int r = cancel_init(&run->cancel);
    if (r == 0)
        r = evloop_create(&run->loop, "signals", &clock_host);
    if (r == 0)
        r = catch_signals(run);
    if (r == 0 && run->vm.control != NULL) {
        r = create_control(run);
    } else if (r == 0 && run->vm.record == NULL && control_folder(folder)) {
        snprintf(run->control_path, sizeof(run->control_path), "%s/%d.ctl", folder, (int)getpid());
        run->vm.control = run->control_path;
        (void)create_control(run); /* the guest runs without, too */
    }
    if (r < 0)
        return r;
    run->machine_ended = (struct ev_post){.cb = machine_ended, .ctx = run};
    run->bite = (struct ev_post){.cb = bite, .ctx = run};
    run->hang = (struct ev_post){.cb = hang, .ctx = run};
    run->interrupt = (struct ev_timer){.cb = interrupt_main, .ctx = run};
    run->look = (struct ev_post){.cb = look_for_virtualization, .ctx = run};
    run->timeout = (struct ev_timer){.cb = on_timeout, .ctx = run};
    run->grace = (struct ev_timer){.cb = on_grace_end, .ctx = run};
    if (run->vm.timeout_ns != 0)
        evloop_timer_set(run->loop, &run->timeout, clock_now_ns(&clock_host) + run->vm.timeout_ns);
    return evloop_start_thread(run->loop);
}

static void tear_down(struct run *run)
{
    if (run->loop != NULL) {
        evloop_stop_thread(run->loop);
        control_destroy(run->control);
        evloop_timer_cancel(run->loop, &run->interrupt);
        evloop_timer_cancel(run->loop, &run->timeout);
        evloop_timer_cancel(run->loop, &run->grace);
        evloop_fd_del(run->loop, &run->signals);
        evloop_destroy(run->loop);
    }
    cancel_fini(&run->cancel);
    if (run->signal_fd >= 0)
        close(run->signal_fd);
}

/* ---- a life, on the loop ---- */

struct making {
    struct run *run;
    bool boots_linux;
};

static int begin_making(void *arg)
{
    const struct making *making = arg;
    struct run *run = making->run;
    run->ended = cancel_asked(&run->cancel);
    run->reset = run->forced = run->paused = run->reported = false;
    run->has_bitten = run->bitten;
    run->bitten = false;
    run->exit_code = EXIT_VMM_FAULT;
    run->making = true;
    if (!run->looked && making->boots_linux)
        evloop_post(run->loop, &run->look);
    run->looked = true;
    return 0;
}

static int end_making(void *arg)
{
    struct run *run = arg;
    run->making = false;
    return 0;
}

struct machine_call {
    struct run *run;
    struct machine *machine; /* NULL: it is about to go */
};

static int show_machine(void *arg)
{
    const struct machine_call *call = arg;
    call->run->machine = call->machine;
    if (call->machine != NULL && call->run->resized)
        resize(call->run);
    return 0;
}

static int forget_timeline(void *arg)
{
    struct run *run = arg;
    run->timeline = NULL;
    return 0;
}

/* ---- a life, on the main thread ---- */

/* By its kernel's size; not on the loop: the kernel's file system may not answer. */
static bool boots_linux(const struct run *run)
{
    struct stat st;
    return stat(run->vm.kernel, &st) == 0 && st.st_size >= LINUX_BYTES_MIN;
}

static int make_machine(struct run *run, struct machine **out)
{
    evloop_call(run->loop, begin_making, &(struct making){run, boots_linux(run)});
    int r = machine_create(out, &(struct machine_config){.vm = &run->vm,
                                                         .arch = &arch_host,
                                                         .hv = &hv_kvm,
                                                         .clock_ahead_s = run->clock_ahead_s,
                                                         .tape = run->tape,
                                                         .timeline = run->timeline,
                                                         .cancel = &run->cancel,
                                                         .has_bitten = run->has_bitten,
                                                         .power = {on_machine_end, run},
                                                         .on_bite = on_bite,
                                                         .on_hang = on_hang,
                                                         .before_guest = sandbox_seal});
    evloop_call(run->loop, end_making, run);
    if (r == 0 && cancel_asked(&run->cancel)) {
        machine_destroy(*out);
        r = -ECANCELED;
    }
    return r;
}

/* In the first life. */
static void warn_of_emulation(struct run *run)
{
    if (run->emulated)
        log_warn("this host has neither VT-x nor AMD-V: KVM emulates the guest's code, slowly, and "
                 "stock Linux does not boot; see `minivet check`");
    run->emulated = false;
}

/* Until it ends. */
static int run_machine(struct run *run, struct machine *machine)
{
    warn_of_emulation(run);
    int r = machine_start(machine);
    evloop_call(run->loop, show_machine, &(struct machine_call){run, machine});
    while (r == 0 && sem_wait(&run->end) < 0)
        ; /* EINTR */
    evloop_call(run->loop, show_machine, &(struct machine_call){run, NULL});
    report_end(run, machine);
    machine_stop(machine);
    return r;
}

/* A guest that has not come to its command has failed, and what its kernel printed says why. */
static void judge_command(struct run *run, struct machine *machine)
{
    bool is_asked = cancel_asked(&run->cancel) || atomic_load(&run->machine_end) == POWER_QUIT;
    if (is_asked || machine_ran_command(machine) || run->exit_code != EXIT_GUEST_OFF)
        return;
    (void)report(machine, MACHINE_HAS_NO_COMMAND);
    run->exit_code = EXIT_SETUP;
}

/* One life of the guest, from power-on to its end. */
static int run_once(struct run *run)
{
    struct machine *machine;
    int r = make_machine(run, &machine);
    if (r < 0)
        return cancel_asked(&run->cancel) ? run->cancel_code : EXIT_SETUP;
    r = run_machine(run, machine);
    timeline_add(run->timeline, TIMELINE_TEARDOWN, "vCPUs and devices stopped");
    if (run->vm.stats != STATS_OFF) {
        machine_print_stats(machine);
        timeline_add(run->timeline, TIMELINE_TEARDOWN, "statistics printed");
    }
    if (run->reset && !run->forced && machine_had_emergency(machine)) {
        log_error(
            "the guest was reset without an orderly shutdown: a panic, or an emergency restart");
        run->exit_code = EXIT_GUEST_PANIC;
        report(machine, MACHINE_PANICKED);
    }
    if (run->vm.command != NULL)
        judge_command(run, machine);
    machine_destroy(machine);
    timeline_add(run->timeline, TIMELINE_TEARDOWN, "guest memory gone");
    struct timeline *timeline = run->timeline; /* it is the first life's */
    evloop_call(run->loop, forget_timeline, run);
    timeline_finish(timeline);
    return r < 0 ? EXIT_SETUP : run->exit_code;
}

/*
 * Each life may have something to report again: a guest that resets all the time gets one a second,
 * after the first few.
 */
static bool lives_again(struct run *run, int *exit_code)
{
    if (!run->reset || !run->vm.reboot_restart)
        return false;
    uint64_t now_ns = clock_now_ns(&clock_host);
    bucket_spend(&run->lives, 1, now_ns);
    uint64_t opens_ns = max_u64(bucket_opens_ns(&run->lives, LIVES_BURST_NS), now_ns);
    int r = cancel_poll(&run->cancel, -1, 0, (int)((opens_ns - now_ns) / 1000000));
    if (r == -ECANCELED)
        *exit_code = run->cancel_code;
    return r != -ECANCELED;
}

static int configure(struct run *run, int argc, char **argv)
{
    int r = config_parse_with_files(&run->vm, argc, argv);
    if (r < 0 || run->vm.help || run->vm.print_config)
        return r;
    if (run->vm.root.path != NULL)
        r = root_choose(&run->vm, &run->stock);
    else if (run->vm.kernel == NULL)
        r = stock_kernel_choose(&run->stock, &run->vm);
    return r == 0 ? config_check_files(&run->vm) : r;
}

/* Of what a --config file said, since that may be another one when the recording is played. */
static int record(struct run *run, int argc, char **argv)
{
    char name[] = "run", option[] = "--config", *words[] = {name, option, NULL};
    if (!run->vm.has_json)
        return tape_record(&run->tape, run->vm.record, &clock_host, argc, argv);
    words[2] = config_json(&run->vm);
    int r =
        words[2] == NULL ? -EINVAL : tape_record(&run->tape, run->vm.record, &clock_host, 3, words);
    free(words[2]);
    return r;
}

int cli_run(int argc, char **argv)
{
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    static struct run
        run; /* not on the stack, where its unused room would be between what is used */
    memset(&run, 0, offsetof(struct run, vm));
    run.signal_fd = run.cancel.fd = -1;
    run.lives.per_s = LIVES_PER_S;
    int r = configure(&run, argc, argv);
    int exit_code = EXIT_USAGE;
    if (r == 0 && run.vm.help) {
        exit_code = cli_print_run_help();
    } else if (r == 0 && run.vm.print_config) {
        exit_code = cli_print_config(&run.vm);
    } else if (r == 0) {
        run.clock_ahead_s = clock_choice_ahead_s(&run.vm.rtc, clock_wall_ns(&clock_host));
        if (run.vm.verbosity > 0)
            log_set_level(run.vm.verbosity > 1 ? LOG_DEBUG : LOG_INFO);
        exit_code = EXIT_SETUP;
        if (run.vm.timeline)
            r = timeline_create(&run.timeline, run.vm.timeline_path, run.vm.marks, &began);
        if (r == 0 && run.vm.record != NULL)
            r = record(&run, argc, argv);
        if (r == 0)
            r = sandbox_begin(&run.vm, &hv_kvm, chr_stdio_restore_terminal);
        if (r == 0 && set_up(&run) == 0) {
            do {
                exit_code = run_once(&run);
            } while (lives_again(&run, &exit_code));
        }
        tear_down(&run);
        timeline_finish(run.timeline); /* of a run that never was */
        tape_destroy(run.tape);
    }
    config_free(&run.vm);
    forget_media(&run);
    return exit_code;
}
