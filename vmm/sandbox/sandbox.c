// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/thread_role.h"
#include "core/base/xmath.h"
#include "core/output/outputs.h"
#include "core/output/own_file.h"
#include "core/peers/confine.h"
#include "core/ports/hv.h"
#include "vmm/config/config.h"
#include "vmm/sandbox/calls.h"
#include "vmm/sandbox/files.h"
#include "vmm/sandbox/filter.h"
#include "vmm/sandbox/gate.h"

#define REQUESTS_MAX 32u
#define NUMBERS_MAX  1024u
#define ARENAS_MAX   32 /* else each new thread reads from /sys how many processors there are */
#define CAP(name)    (UINT64_C(1) << (name))

/* Exit codes are the command line's. */
#define EXIT_BROKEN 122

static struct sandbox {
    enum sandbox_mode mode;
    atomic_bool is_broken;
    bool is_sealed; /* the main thread has its filter */
    unsigned uses;
    int report_fd; /* -1: nothing is told but an end */
    void (*restore)(void);
    struct filter of_vcpus, of_others;
    atomic_uchar told[THREAD_ROLES][NUMBERS_MAX];
} sandbox;

/* ---- what a run needs ---- */

static unsigned uses_of(const struct vm_config *vm)
{
    unsigned uses = USE_AGAIN * vm->reboot_restart;
    for (unsigned i = 0; i < vm->disk_count; i++) {
        const struct disk_config *d = &vm->disks[i];
        bool is_read_elsewhere = d->kind == DISK_FILE && strcmp(d->format, "raw") != 0;
        uses |= (is_read_elsewhere ? USE_PROCESS | USE_UNIX : 0) |
                (d->kind == DISK_VHOST_USER ? USE_UNIX : 0);
    }
    for (unsigned i = 0; i < vm->net_count; i++) {
        const struct net_config *n = &vm->nets[i];
        bool is_user = n->kind == NET_USER;
        uses |= (is_user && n->user.isolated ? USE_PROCESS : 0) |
                (is_user || n->kind == NET_LISTEN || n->kind == NET_CONNECT ? USE_IP : 0) |
                (n->kind == NET_SOCKET || n->kind == NET_VHOST_USER || is_user ? USE_UNIX : 0);
        for (unsigned k = 0; k < n->user.forward_count; k++)
            uses |= n->user.forwards[k].kind == NET_USER_COMMAND ? USE_PROCESS : 0;
    }
    for (unsigned i = 0; i < vm->share_count; i++)
        uses |= vm->shares[i].kind == SHARE_VHOST_USER ? USE_UNIX : USE_SHARE;
    uses |= vm->display.kind == DISPLAY_VNC   ? USE_IP | USE_UNIX
            : vm->display.kind == DISPLAY_SDL ? USE_WINDOW
                                              : 0;
    /* More ports may come. */
    uses |= vm->console == CONSOLE_VIRTIO || vm->port_count > 0 || vm->vsock.on ? USE_UNIX : 0;
    uses |= timeline_format_of(vm->timeline_path) == TIMELINE_PLOT ? USE_PROCESS : 0;
    return uses;
}

/* Of root's. */
static uint64_t capabilities_of(const struct vm_config *vm, unsigned uses)
{
    uint64_t kept = (uses & USE_SHARE) == 0
                        ? 0
                        : CAP(CAP_CHOWN) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) | CAP(CAP_MKNOD) |
                              CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_SETFCAP) | CAP(CAP_SETUID) |
                              CAP(CAP_SETGID) | CAP(CAP_LEASE);
    for (unsigned i = 0; i < vm->net_count; i++)
        if (vm->nets[i].kind == NET_TAP)
            kept |= CAP(CAP_NET_ADMIN);
    return kept;
}

/* ---- what is done about a call that is not on the list ---- */

static const char *name_of(long number)
{
    char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), (int)number);
    return name != NULL ? name : "an unknown system call"; /* it is not freed: this is told once */
}

/* What the log does it may not be able to do any more. A reader that does not read is not waited
 * for. */
static void say(int fd, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
        (void)!write(fd, text, strlen(text));
}

/* One line for each kind of thread and each call, with the request of an ioctl. */
static bool is_news(enum thread_role role, long number, uint64_t request)
{
    unsigned place = (unsigned)number + (number == SCMP_SYS(ioctl) ? 512 + (request & 255) : 0);
    return place >= NUMBERS_MAX || atomic_exchange(&sandbox.told[role][place], 1) == 0;
}

static _Noreturn void end(const char *call)
{
    char thread[16] = "", text[512];
    if (atomic_exchange(&sandbox.is_broken, true)) /* by what follows, or by another thread */
        _exit(EXIT_BROKEN);
    (void)prctl(PR_GET_NAME, thread);
    snprintf(text, sizeof(text),
             "minivet: sandbox: the %s thread %s asked the kernel for %s, which no such thread "
             "needs: Minivet ends. Either the guest has taken it over, or this is a fault of "
             "Minivet's: please report it, with the command line; --sandbox off does without\r\n",
             thread_role_names[thread_role()], thread, call);
    sandbox.restore();
    say(STDERR_FILENO, text);
    _exit(EXIT_BROKEN);
}

static void on_broken(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    int was = errno;
    char call[64], text[128];
    enum thread_role role = thread_role();
    long number = gate_number(context);
    snprintf(call, sizeof(call), "%s(%#llx, %#llx)", name_of(number),
             (unsigned long long)gate_argument(context, 0),
             (unsigned long long)gate_argument(context, 1));
    if (is_news(role, number, gate_argument(context, 1))) {
        snprintf(text, sizeof(text), "minivet: sandbox: %s thread: %s\n", thread_role_names[role],
                 call);
        say(sandbox.report_fd, text);
    }
    if (sandbox.mode == SANDBOX_ON)
        end(call);
    gate_pass(context);
    errno = was;
}

/* ---- filters ---- */

static int make_filter(struct filter *f, unsigned roles, const struct sandbox_call *requests)
{
    filter_begin(f, sandbox.mode == SANDBOX_REPORT ? (uintptr_t)gate_end : 0);
    filter_add(f, requests, roles, sandbox.uses);
    filter_add(f, sandbox_calls, roles, sandbox.uses);
    filter_end(f);
    return f->is_full ? fail_msg(-E2BIG, "sandbox: a filter has no room for all calls") : 0;
}

static int make_filters(const struct hv *hv)
{
    uint32_t numbers[REQUESTS_MAX];
    struct sandbox_call requests[REQUESTS_MAX + 1] = {0};
    unsigned n = hv->requests != NULL ? hv->requests(numbers, REQUESTS_MAX) : 0;
    for (unsigned i = 0; i < min_u64(n, REQUESTS_MAX); i++)
        requests[i] = (struct sandbox_call){.name = "ioctl",
                                            .number = SCMP_SYS(ioctl),
                                            .roles = BY_ALL,
                                            .argument = 2,
                                            .mask = UINT32_MAX,
                                            .value = numbers[i]};
    int r = make_filter(&sandbox.of_vcpus, BY_VCPU, requests);
    return r == 0 ? make_filter(&sandbox.of_others, BY_WORK | BY_MAIN, requests) : r;
}

/*
 * Threads other than vCPUs have one filter: they share memory, and what one may do another can be
 * made to do. The main thread gives it to all at once, which costs one compilation in the kernel;
 * but in a run that starts processes, has a window or sets the machine up again, where some go
 * without, each takes it.
 */
static bool is_one_for_all(void)
{
    return (sandbox.uses & (USE_PROCESS | USE_AGAIN | USE_WINDOW)) == 0;
}

static bool is_spared(enum thread_role role)
{
    switch (role) {
    case THREAD_MAIN: /* sets up, draws the timeline */
        return (sandbox.uses & (USE_PROCESS | USE_AGAIN)) != 0;
    case THREAD_LANE: /* what it starts inherits a filter, and has a list of its own */
        return (sandbox.uses & USE_PROCESS) != 0;
    default:
        return role == THREAD_WINDOW;
    }
}

static void on_enter(enum thread_role role)
{
    bool all = role == THREAD_MAIN && is_one_for_all();
    int r = 0;
    if (role == THREAD_VCPU)
        r = filter_enter(&sandbox.of_vcpus, false);
    else if (all || (!is_one_for_all() && !is_spared(role)))
        r = filter_enter(&sandbox.of_others, all);
    if (r == 0)
        return;
    fail(r, "sandbox: the filter of a %s thread", thread_role_names[role]);
    sandbox.restore();
    _exit(EXIT_BROKEN); /* it has to handle what strangers wrote */
}

/* ---- life ---- */

static int give_up_files(const struct vm_config *vm)
{
    struct confine *confine = NULL;
    struct sandbox_files *files = calloc(1, sizeof(*files));
    if (files == NULL)
        return fail(-ENOMEM, "sandbox");
    sandbox_files_list(files, vm, sandbox.uses);
    int r =
        files->is_full
            ? fail_msg(-E2BIG, "sandbox: the command line names more files than it has room for")
            : confine_prepare(&confine, &(struct confine_policy){
                                            .name = "sandbox",
                                            .paths = files->paths,
                                            .path_count = files->count,
                                            .network = (sandbox.uses & USE_IP) != 0,
                                            .reaches_out = vm->display.kind == DISPLAY_SDL,
                                            .keeps_core = true,
                                            .capabilities = capabilities_of(vm, sandbox.uses),
                                        });
    if (r == 0) {
        r = confine_apply(confine);
        if (r != 0)
            fail(r, "sandbox");
        confine_destroy(confine);
    }
    sandbox_files_free(files);
    free(files);
    return r;
}

/*
 * Tests ask for it in all runs, by MINIVET_SANDBOX=on or report, and `:FILE` behind it for the
 * calls that are not listed.
 */
static enum sandbox_mode mode_of(const struct vm_config *vm)
{
    static const char *const words[] = {[SANDBOX_ON] = "on", [SANDBOX_REPORT] = "report"};
    const char *usual = getenv("MINIVET_SANDBOX");
    enum sandbox_mode mode = vm->sandbox.mode;
    sandbox.report_fd = mode == SANDBOX_REPORT ? STDERR_FILENO : -1;
    for (enum sandbox_mode m = SANDBOX_ON;
         mode == SANDBOX_OFF && usual != NULL && m <= SANDBOX_REPORT; m++) {
        size_t bytes = strlen(words[m]);
        if (strncmp(usual, words[m], bytes) != 0)
            continue;
        mode = m;
        if (usual[bytes] == ':')
            sandbox.report_fd =
                own_file_open(AT_FDCWD, usual + bytes + 1, O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    }
    return mode;
}

int sandbox_begin(const struct vm_config *vm, const struct hv *hv, void (*restore)(void))
{
    struct sigaction sa = {.sa_sigaction = on_broken, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sandbox.mode = mode_of(vm);
    sandbox.restore = restore;
    if (sandbox.mode == SANDBOX_OFF)
        return 0;
    sandbox.uses = uses_of(vm);
    int r = make_filters(hv);
    if (r == 0 && sigaction(SIGSYS, &sa, NULL) != 0)
        r = fail(-errno, "sandbox: SIGSYS");
    if (r == 0 && sandbox.mode == SANDBOX_ON)
        r = give_up_files(vm);
    else if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        r = fail(-errno, "sandbox");
    /* Other processes of the user cannot attach to it, and its dumps are not written. */
    if (r == 0 && sandbox.mode == SANDBOX_ON && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        r = fail(-errno, "sandbox");
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    tzset(); /* the time zone's file, for the guest's clock, too */
    if (r == 0)
        thread_role_hook(on_enter);
    return r;
}

void sandbox_seal(void)
{
    if (!sandbox.is_sealed)
        thread_role_enter(THREAD_MAIN);
    sandbox.is_sealed = true;
}

unsigned sandbox_measures(struct sandbox_report out[SANDBOX_REPORTS])
{
    bool has_filters = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    int abi = confine_landlock_abi();
    const struct sandbox_report all[] = {
        {"seccomp filters", has_filters, "threads make only the system calls that a run needs"},
        {"Landlock: files", abi > 0, "only files that the command line names are opened"},
        {"Landlock: truncate", abi >= 3,
         "likewise of files that are cut short by name (Linux 6.2)"},
        {"Landlock: TCP", abi >= 4, "no connections without a network of the user's (Linux 6.7)"},
        {"Landlock: device ioctls", abi >= 5, "of device files by name (Linux 6.10)"},
        {"Landlock: signals", abi >= 6, "to other processes, and abstract sockets (Linux 6.12)"},
    };
    _Static_assert(ARRAY_SIZE(all) <= SANDBOX_REPORTS, "room for all");
    memcpy(out, all, sizeof(all));
    return ARRAY_SIZE(all);
}
