// SPDX-License-Identifier: BSD-2-Clause
/*
 * `minivet run`: build a machine, run it, say how it ended.
 *
 * The main thread's own loop waits for what ends a run: the machine, a signal, the timeout, the
 * person at the terminal.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/evloop.h"
#include "core/fail.h"
#include "core/log.h"
#include "core/tape.h"
#include "devices/backend/chr_stdio.h"
#include "kvm/kvm.h"
#include "vmm/cli/cli.h"
#include "vmm/config.h"
#include "vmm/exit_code.h"
#include "vmm/machine.h"
#include "vmm/timeline.h"

struct run {
    struct vm_config vm;
    struct evloop *loop;
    struct machine *machine;
    struct tape *tape;         /* NULL: nothing is recorded */
    struct timeline *timeline; /* NULL: nobody wants it */
    struct ev_fd signals;
    struct ev_timer timeout;
    int signal_fd;
    int exit_code;
    bool ended;
    bool reset;
    _Atomic enum machine_end machine_end;
    _Atomic int machine_status;
    struct ev_post machine_ended;
};

static void finish(struct run *run, int exit_code)
{
    if (run->ended)
        return;
    run->ended = true;
    run->exit_code = exit_code;
    evloop_stop(run->loop);
}

/* Any thread; the first end only. */
static void on_machine_end(void *ctx, enum machine_end end, int status)
{
    static const char *const names[] = {
        [MACHINE_END_OFF] = "power-off",         [MACHINE_END_RESET] = "reset",
        [MACHINE_END_STATUS] = "exit status",    [MACHINE_END_PANIC] = "panic",
        [MACHINE_END_FAULT] = "Minivet's fault", [MACHINE_END_QUIT] = "quit"};
    struct run *run = ctx;
    timeline_add(run->timeline, TIMELINE_GUEST, names[end]);
    atomic_store(&run->machine_end, end);
    atomic_store(&run->machine_status, status);
    evloop_post(run->loop, &run->machine_ended);
}

static void machine_ended(void *ctx)
{
    struct run *run = ctx;
    switch (atomic_load(&run->machine_end)) {
    case MACHINE_END_RESET:
        run->reset = !run->ended;
        finish(run, EXIT_GUEST_OFF);
        break;
    case MACHINE_END_QUIT:
        if (isatty(STDOUT_FILENO)) /* the shell's prompt gets a line of its own */
            dprintf(STDOUT_FILENO, "\r\n");
        finish(run, EXIT_GUEST_OFF);
        break;
    case MACHINE_END_OFF:
        finish(run, EXIT_GUEST_OFF);
        break;
    case MACHINE_END_STATUS:
        finish(run, atomic_load(&run->machine_status));
        break;
    case MACHINE_END_PANIC:
        finish(run, EXIT_GUEST_PANIC);
        break;
    case MACHINE_END_FAULT:
        finish(run, EXIT_VMM_FAULT);
        break;
    }
}

static void on_timeout(void *ctx)
{
    struct run *run = ctx;
    timeline_add(run->timeline, TIMELINE_GUEST, "timeout");
    log_error("timeout: the guest was still running after %g s", (double)run->vm.timeout_ns / 1e9);
    finish(run, EXIT_TIMEOUT);
}

static void on_signal(void *ctx, uint32_t events)
{
    struct run *run = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGWINCH)
            machine_terminal_resized(run->machine);
        else if (info.ssi_signo == SIGUSR1)
            machine_print_stats(run->machine);
        else if (!run->ended) {
            timeline_add(run->timeline, TIMELINE_GUEST, "signal");
            finish(run, EXIT_SIGNAL_BASE + (int)info.ssi_signo);
        }
    }
}

/* A crash of ours must not leave the terminal raw. */
static void on_crash(int signo)
{
    chr_stdio_restore_terminal();
    raise(signo); /* SA_RESETHAND: the default action now */
}

static int catch_signals(struct run *run)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};
    for (unsigned i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
        sigaction(crashes[i], &sa, NULL);
    }
    signal(SIGPIPE, SIG_IGN);

    sigset_t set;
    sigemptyset(&set);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaddset(&set, ends[i]);
    if (run->vm.stats != STATS_OFF)
        sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    run->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (run->signal_fd < 0)
        return fail(-errno, "signalfd");
    run->signals = (struct ev_fd){.cb = on_signal, .ctx = run};
    return evloop_fd_add(run->loop, &run->signals, run->signal_fd, EPOLLIN);
}

static int set_up(struct run *run)
{
    int r = evloop_create(&run->loop, "main", &clock_host);
    if (r < 0)
        return r;
    r = catch_signals(run);
    if (r < 0)
        return r;
    run->machine_ended = (struct ev_post){.cb = machine_ended, .ctx = run};
    run->timeout = (struct ev_timer){.cb = on_timeout, .ctx = run};
    if (run->vm.timeout_ns != 0)
        evloop_timer_set(run->loop, &run->timeout, clock_now_ns(&clock_host) + run->vm.timeout_ns);
    return 0;
}

static void tear_down(struct run *run)
{
    if (run->loop == NULL)
        return;
    evloop_timer_cancel(run->loop, &run->timeout);
    evloop_fd_del(run->loop, &run->signals);
    evloop_destroy(run->loop);
    if (run->signal_fd >= 0)
        close(run->signal_fd);
}

/* One life of the guest, from power-on to its end. */
static int run_once(struct run *run)
{
    run->ended = false;
    run->reset = false;
    int r = machine_create(&run->machine, &(struct machine_config){.vm = &run->vm,
                                                                   .hv = &hv_kvm,
                                                                   .tape = run->tape,
                                                                   .timeline = run->timeline,
                                                                   .on_end = on_machine_end,
                                                                   .ctx = run});
    if (r < 0)
        return EXIT_SETUP;
    run->exit_code = EXIT_VMM_FAULT;
    r = machine_start(run->machine);
    if (r == 0)
        r = evloop_run(run->loop);
    machine_stop(run->machine);
    timeline_add(run->timeline, TIMELINE_TEARDOWN, "vCPUs and devices stopped");
    if (run->vm.stats != STATS_OFF) {
        machine_print_stats(run->machine);
        timeline_add(run->timeline, TIMELINE_TEARDOWN, "statistics printed");
    }
    if (run->exit_code == EXIT_TIMEOUT && log_enabled(LOG_INFO))
        machine_dump(run->machine); /* a guest that hangs: where? */
    if (run->reset && machine_left_clock_on(run->machine)) {
        log_error(
            "the guest was reset without an orderly shutdown: a panic, or an emergency restart");
        run->exit_code = EXIT_GUEST_PANIC;
    }
    machine_destroy(run->machine);
    run->machine = NULL;
    timeline_add(run->timeline, TIMELINE_TEARDOWN, "guest memory gone");
    timeline_finish(run->timeline); /* it is the first life's */
    run->timeline = NULL;
    return r < 0 ? EXIT_SETUP : run->exit_code;
}

static int print_help(void)
{
    puts("usage: minivet run [OPTIONS] [KERNEL]\n\n"
         "Boots KERNEL in a virtual machine with the terminal as its console. Ctrl-A x ends it,\n"
         "Ctrl-A h lists what else can be typed. QEMU's words (-kernel -initrd -append -smp) "
         "work.\n\n"
         "options:");
    config_print_options(stdout);
    puts("\nexit status:\n"
         "    0  the guest powered off or reset     123  the guest panicked or triple-faulted\n"
         "    2  wrong command line                 124  --timeout ran out\n"
         "  122  Minivet or a device failed         125  the machine could not be set up\n"
         "  128+N  ended by signal N                 any byte that the guest writes to port 0xf4");
    return 0;
}

int cli_run(int argc, char **argv)
{
    struct timeline_event began = timeline_now(TIMELINE_SETUP, "main()");
    struct run run = {.signal_fd = -1};
    int r = config_parse(&run.vm, argc, argv);
    int exit_code = EXIT_USAGE;
    if (r == 0 && run.vm.help) {
        exit_code = print_help();
    } else if (r == 0) {
        if (run.vm.verbosity > 0)
            log_set_level(run.vm.verbosity > 1 ? LOG_DEBUG : LOG_INFO);
        exit_code = EXIT_SETUP;
        if (run.vm.timeline)
            r = timeline_create(&run.timeline, run.vm.timeline_path, run.vm.marks, &began);
        if (r == 0 && run.vm.record != NULL)
            r = tape_record(&run.tape, run.vm.record, &clock_host, argc, argv);
        if (r == 0 && set_up(&run) == 0) {
            do {
                exit_code = run_once(&run);
            } while (run.reset && run.vm.reboot_restart);
        }
        tear_down(&run);
        timeline_finish(run.timeline); /* of a run that never was */
        tape_destroy(run.tape);
    }
    config_free(&run.vm);
    return exit_code;
}
