// SPDX-License-Identifier: BSD-2-Clause
/* A user network in a process of its own. */
#include "devices/net/user/net_child.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/loop/cancel.h"
#include "core/peers/confine.h"
#include "devices/net/user/net_child_impl.h"
#include "tests/harness/test.h"
#include "tests/harness/user_net.h"

static void setup(void)
{
#ifdef SANITIZED
    cr_skip("a confined process has no room for sanitizers");
#endif
    user_net_set_up();
}

static void teardown(void)
{
    user_net_tear_down();
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process was left behind");
}

/* The oldest child of this thread; 0: there is none. */
static int child_pid(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
    FILE *f = fopen(path, "re");
    cr_assert(f != NULL);
    fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    return (int)strtol(text, NULL, 10);
}

TestSuite(net_child, .init = setup, .fini = teardown);

static int create(const char *words, const struct clock *clock)
{
    const struct net_child_config child = {
        .loop = loop, .clock = clock, .program = MINIVET_PROGRAM, .option = words, .mtu = 16384};
    int err = net_child_create(&net, &child);
    if (err == 0)
        guest_init(&vm, net, loop);
    else
        net = NULL;
    return err;
}

/* The network answers, some time soon. */
static bool answers(void)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        if (guest_arp(&vm, HOST_IPV4))
            return true;
        while (guest_wait(&vm))
            if (guest_be16(vm.frame + 12) == 0x0806)
                return true;
    }
    return false;
}

/* Until the link is as it should be; real time, for a process has to start. */
static bool link_becomes(bool up)
{
    for (unsigned tries = 0; tries < 20000 && net->info.link_up != up; tries++) {
        evloop_drain(loop);
        usleep(1000);
    }
    return net->info.link_up == up;
}

Test(net_child, carries_datagrams_both_ways)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    uint16_t port;
    char got[10];
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0); /* it waits for the other process */
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    cr_expect(net->info.link_up);
    cr_expect_eq(net->info.mtu_bytes, 16384);
    cr_assert(answers());
    net->ops->set_offloads(net, NET_CSUM);
    /* Its checksum is left to the other process. */
    send_udp(HOST_IPV4, 5555, port, "ping", 4);
    cr_assert_eq((int)recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 4);
    cr_assert_eq((int)sendto(fd, "pong!", 5, 0, (struct sockaddr *)&from, len), 5);
    bool found = false;
    while (!found && guest_wait(&vm))
        found = vm.frame[GUEST_ETH + 9] == 17 && memmem(vm.frame, vm.bytes, "pong!", 5) != NULL;
    cr_expect(found);
    cr_expect_eq(vm.packet[0], 2, "its checksum is right");
    cr_expect(guest_checksums_are_right(vm.frame, vm.bytes));
    close(fd);
}

/* However it ends. */
Test(net_child, its_end_is_a_link_that_goes_down_and_comes_back)
{
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    cr_assert(answers());
    int pid = child_pid();
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_expect(link_becomes(false));
    cr_expect_eq((int)guest_receive(&vm), -EAGAIN);
    cr_expect_eq(guest_send(&vm, vm.frame, 60), 0, "lost");
    cr_assert(link_becomes(true));
    expect_logged("signal 9");
    cr_expect_eq(vm.link_told, 2);
    cr_expect_neq(child_pid(), pid);
    cr_expect(answers());
}

/* Kills the process; how long it takes, by a clock of the test's, until there is another one. */
static uint64_t ns_without_link(struct fake_clock *now)
{
    const uint64_t step_ns = UINT64_C(100000000);
    siginfo_t end;
    int pid = child_pid();
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT), 0);
    cr_assert(link_becomes(false));
    uint64_t begin_ns = now->now_ns;
    while (!net->info.link_up) {
        now->now_ns += step_ns;
        evloop_drain(loop);
    }
    return now->now_ns - begin_ns;
}

/* One that dies young is begun anew later and later; a minute's life ends that. */
Test(net_child, a_long_life_makes_the_next_wait_short)
{
    struct fake_clock now = {.now_ns = 1};
    const struct clock clock = fake_clock_port(&now);
    use_clock(&clock);
    cr_assert_eq(create("user,isolate=on", &clock), 0, "%s", logged_line);
    uint64_t first = ns_without_link(&now), second = ns_without_link(&now);
    cr_expect_gt(second, first);
    now.now_ns += UINT64_C(61000000000);
    evloop_drain(loop);
    cr_expect_eq(ns_without_link(&now), first);
}

/* Whatever libslirp keeps, there is no more memory for it than so much. */
Test(net_child, its_memory_is_limited)
{
    struct rlimit limit = {0};
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    cr_assert_eq(prlimit(child_pid(), RLIMIT_DATA, NULL, &limit), 0);
    cr_expect_leq(limit.rlim_max, 1ul << 30);
    const struct rlimit none = {4096, limit.rlim_max};
    cr_assert_eq(prlimit(child_pid(), RLIMIT_DATA, &none, NULL), 0);
    for (unsigned i = 0; i < 2000 && net->info.link_up; i++) { /* each asks for more */
        size_t bytes = guest_make_udp(packet, HOST_IPV4, (uint16_t)(2000 + i), 9, data, 30000);
        guest_send_packet(&vm, packet, bytes);
        evloop_drain(loop);
        usleep(100);
    }
    cr_expect(link_becomes(false));
    cr_assert(link_becomes(true));
    cr_expect(answers());
}

static char status_of(int pid, const char *key)
{
    char path[40], line[200], value = '?';
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL);
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = line[strlen(key)];
    fclose(f);
    return value;
}

/* No descriptor of ours but the wire, and a filter of its own. */
Test(net_child, inherits_the_wire_alone)
{
    char path[64], target[64];
    int secret = open("/dev/zero", O_RDONLY); /* which does not close with exec */
    cr_assert_geq(secret, 0);
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    snprintf(path, sizeof(path), "/proc/%d/fd", child_pid());
    DIR *dir = opendir(path);
    cr_assert(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = 0;
        cr_expect_eq(strstr(target, "zero") != NULL, 0, "%s: %s", e->d_name, target);
    }
    closedir(dir);
    cr_expect_eq(status_of(child_pid(), "Seccomp:\t"), '2');
    cr_expect_eq(status_of(child_pid(), "NoNewPrivs:\t"), '1');
    close(secret);
}

static bool is_missing(long result)
{
    return result == -1 && errno == ENOSYS;
}

/* Taken over, it has nothing to talk to but the network, and nothing to end but itself. */
static bool reaches_the_network_alone(void)
{
    struct rlimit limit = {0, 0};
    return is_missing(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)) &&
           is_missing(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NULL)) &&
           is_missing(syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0)) &&
           is_missing(syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0)) &&
           is_missing(syscall(SYS_prlimit64, getppid(), RLIMIT_CPU, &limit, NULL)) &&
           is_missing(syscall(SYS_kill, getppid(), 0)) &&
           is_missing(syscall(SYS_fcntl, 0, F_SETOWN, getppid())) &&
           syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
           syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) >= 0 &&
           !is_missing(syscall(SYS_socket, AF_INET6, SOCK_DGRAM, 0));
}

/* In a process that is confined as the network's is. */
static void expect_in_child(bool (*check)(void))
{
    struct confine *c = NULL;
    int status = 0;
    cr_assert_eq(net_child_confine(&c, "/proc/self/exe"), 0);
    pid_t pid = fork();
    if (pid == 0)
        syscall(SYS_exit_group, confine_apply(c) == 0 && check() ? 7 : 1);
    confine_destroy(c);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
}

Test(net_child, taken_over_it_reaches_the_network_alone)
{
    expect_in_child(reaches_the_network_alone);
}

static bool maps_no_stacks(void)
{
    return syscall(SYS_mmap, NULL, 4 * GIB, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_GROWSDOWN, -1, 0) == -1 &&
           errno == ENOMEM;
}

/* A limit of data alone counts no stacks, nor what was written and is read-only now. */
Test(net_child, its_memory_is_limited_however_it_is_mapped)
{
    expect_in_child(maps_no_stacks);
}

/* What the kernel keeps for a socket, such as a filter, counts for no process. */
Test(net_child, its_descriptors_have_a_limit)
{
    struct rlimit limit;
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    cr_assert_eq(prlimit(child_pid(), RLIMIT_NOFILE, NULL, &limit), 0);
    cr_expect_leq(limit.rlim_max, 1024);
    cr_expect_geq(limit.rlim_max, USER_SOCKETS + NET_USER_FORWARDS + 64);
    cr_expect(answers());
}

/* A copy of a descriptor of the process's; -1: not allowed. */
static int fd_of(int pid, int number)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    close(pidfd);
    return fd;
}

/* A terminal there could be read and driven; a log file could be filled, and its flags changed. */
Test(net_child, its_standard_error_is_not_the_users)
{
    struct stat ours, its;
    char path[64];
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    snprintf(path, sizeof(path), "/proc/%d/fd/2", child_pid());
    cr_assert_eq(fstat(STDERR_FILENO, &ours), 0);
    cr_assert_eq(stat(path, &its), 0);
    cr_expect(ours.st_dev != its.st_dev || ours.st_ino != its.st_ino);
    cr_expect(S_ISFIFO(its.st_mode));
}

/* What it writes there is read when it ends, one line of it, and does not drive a terminal. */
Test(net_child, its_last_line_is_told)
{
    static const char said[] = "\033[2Jfirst\n\033[31mlast\n";
    char much[4096];
    memset(much, 'x', sizeof(much));
    cr_assert_eq(create("user,isolate=on", &clock_host), 0, "%s", logged_line);
    int pid = child_pid(), fd = fd_of(pid, STDERR_FILENO);
    if (fd < 0)
        cr_skip_test("no descriptors of other processes here: %s", strerror(errno));
    unsigned full = 0; /* nothing reads it before the process ends, and nothing waits for that */
    for (unsigned i = 0; i < 64; i++)
        full += write(fd, much, sizeof(much)) < 0 && errno == EAGAIN;
    cr_expect_gt(full, 0);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_expect(link_becomes(false));
    cr_assert(link_becomes(true));
    close(fd);
    cr_assert(answers()); /* it has begun */
    pid = child_pid();
    fd = fd_of(pid, STDERR_FILENO);
    cr_assert_eq((int)write(fd, said, sizeof(said) - 1), (int)sizeof(said) - 1);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_expect(link_becomes(false));
    cr_assert(link_becomes(true));
    cr_expect(strstr(logged_line, "last line: ?[31mlast") != NULL, "%s", logged_line);
    cr_expect_eq(strstr(logged_line, "first") != NULL, 0, "%s", logged_line);
    close(fd);
}

/* Has a process's end wait for `release`. Its own process, which may be waited for; 0: not allowed.
 */
static int hold_end(int pid, int release)
{
    int ready[2];
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    int tracer = fork();
    if (tracer == 0) {
        bool holds = ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT) == 0;
        (void)!write(ready[1], holds ? "y" : "n", 1);
        (void)!read(release, &byte, 1);
        _exit(0); /* which lets it go */
    }
    cr_assert_eq((int)read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    if (byte == 'y')
        return tracer;
    kill(tracer, SIGKILL);
    waitpid(tracer, NULL, 0);
    return 0;
}

/* One that takes its time to end, in the kernel, holds up nothing. */
Test(net_child, its_end_is_not_waited_for, .timeout = 20)
{
    static const uint32_t too_long = UINT32_MAX;
    struct fake_clock now = {.now_ns = 1};
    const struct clock clock = fake_clock_port(&now);
    int release[2];
    cr_assert_eq(pipe(release), 0);
    use_clock(&clock);
    cr_assert_eq(create("user,isolate=on", &clock), 0, "%s", logged_line);
    int pid = child_pid(), wire = fd_of(pid, NET_CHILD_FD), tracer = hold_end(pid, release[0]);
    if (wire >= 0 && tracer != 0) {
        cr_assert_eq((int)write(wire, &too_long, sizeof(too_long)), 4);
        while (net->info.link_up)
            if (guest_receive(&vm) == -EAGAIN)
                evloop_drain(loop);
        for (unsigned i = 0; i < 1200; i++) { /* it is killed, and not gone */
            now.now_ns += 1000000;
            evloop_drain(loop);
        }
        cr_expect_eq(child_pid(), pid);
        cr_expect_not(net->info.link_up);
        cr_assert_eq((int)write(release[1], "", 1), 1);
        cr_assert_eq(waitpid(tracer, NULL, 0), tracer);
        while (!net->info.link_up) { /* or the test's time is out */
            now.now_ns += 100000000;
            evloop_drain(loop);
        }
        expect_logged("has ended");
    }
    close(wire);
    close(release[0]);
    close(release[1]);
}

/* A process that does not get ready is given up at once by who wants no machine any more. */
Test(net_child, a_start_is_cancelled, .timeout = 20)
{
    struct cancel cancel;
    cr_assert_eq(cancel_init(&cancel), 0);
    cancel_ask(&cancel);
    int err = net_child_create(&net, &(struct net_child_config){.loop = loop,
                                                                .clock = &clock_host,
                                                                .program = MINIVET_PROGRAM,
                                                                .option = "user,isolate=on",
                                                                .cancel = &cancel});
    cr_expect_eq(err, -ECANCELED, "%s", logged_line);
    if (err != 0)
        net = NULL;
    cancel_fini(&cancel);
}

/* As a network in this process would be. */
Test(net_child, what_cannot_be_is_told_at_once)
{
    uint16_t port;
    char words[80];
    int fd = host_socket(AF_INET, SOCK_STREAM, &port);
    snprintf(words, sizeof(words), "user,isolate=on,hostfwd=tcp::%u-:22", port);
    cr_expect_lt(create(words, &clock_host), 0);
    cr_expect(strstr(logged_line, "user network: hostfwd=tcp::") == logged_line, "%s", logged_line);
    cr_expect(strstr(logged_line, "take another") != NULL, "%s", logged_line);
    close(fd);
}
