// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm/cli/run.c: a signal ends the set-up, too. The kernel is one that takes its time: it unpacks
 * to far more than there is in it, and -v says when that begins.
 */
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <zlib.h>

#include "firmware/x86/kernel.h"
#include "tests/harness/kernel_file.h"
#include "tests/harness/silent.h"
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"

#define UNPACKED    (UINT32_C(1) << 30)
#define CHUNK       (UINT32_C(16) << 20)
#define SETUP_BYTES 1024u /* of the kernel's file, before what is packed */
#define BEGUN       "command line:"
#define CANCELED    ": Operation canceled"

static char dir[] = "/tmp/minivet-run-XXXXXX", kernel[64];

/* Zeroes, a chunk again and again. Returns how many bytes were put there. */
static size_t pack(uint8_t *out, size_t room)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8};
    uint8_t *chunk = calloc(1, CHUNK), *packed = malloc(CHUNK), *to = out;
    z_stream z = {.next_in = chunk, .avail_in = CHUNK, .next_out = packed, .avail_out = CHUNK};
    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
    deflateEnd(&z);
    memcpy(to, head, sizeof(head));
    to += sizeof(head);
    for (uint32_t done = 0; done < UNPACKED; done += CHUNK) {
        cr_assert_lt((size_t)(to - out) + z.total_out + 4, room);
        memcpy(to, packed, z.total_out);
        to += z.total_out;
    }
    le32_put(to, UNPACKED);
    free(chunk);
    free(packed);
    return (size_t)(to + 4 - out);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void make_kernel(void)
{
    const size_t room = 4 * MIB;
    uint8_t *k = calloc(1, room);
    size_t packed = pack(k + SETUP_BYTES, room - SETUP_BYTES);
    k[SETUP_SECTS] = SETUP_BYTES / 512 - 1;
    k[SETUP_JUMP_LENGTH] = SETUP_HEADER_MAX_END - 0x202;
    le16_put(k + SETUP_BOOT_FLAG, SETUP_BOOT_FLAG_VALUE);
    le32_put(k + SETUP_MAGIC, SETUP_MAGIC_VALUE);
    le16_put(k + SETUP_VERSION, 0x20f);
    k[SETUP_LOADFLAGS] = SETUP_LOADED_HIGH;
    le32_put(k + SETUP_INITRD_ADDR_MAX, 0x7fffffff);
    le32_put(k + SETUP_KERNEL_ALIGNMENT, 2 * MIB);
    le16_put(k + SETUP_XLOADFLAGS, SETUP_XLF_KERNEL_64);
    le32_put(k + SETUP_CMDLINE_SIZE, 2047);
    le32_put(k + SETUP_SYSSIZE, (uint32_t)(align_up(packed, 16) / 16));
    le32_put(k + SETUP_PAYLOAD_OFFSET, 0);
    le32_put(k + SETUP_PAYLOAD_LENGTH, (uint32_t)packed);
    le64_put(k + SETUP_PREF_ADDRESS, 16 * MIB);
    le32_put(k + SETUP_INIT_SIZE, UNPACKED + 16 * MIB);
    write_file(kernel, k, SETUP_BYTES + align_up(packed, 16));
    free(k);
}

static void setup(void)
{
    if (access("/dev/kvm", R_OK | W_OK) != 0)
        cr_skip_test("there is no /dev/kvm");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
    make_kernel();
}

/* Removes them; returns how many there were. */
static unsigned empty(const char *path)
{
    unsigned count = 0;
    char name[512];
    DIR *d = opendir(path);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') {
            count++;
            remove(name);
        }
    }
    if (d != NULL)
        closedir(d);
    remove(path);
    return count;
}

/* Nothing is left of what was to be kept. */
static void teardown(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/minivet/kernels", dir);
    cr_expect_eq(empty(path), 0, "something is left in the cache");
    snprintf(path, sizeof(path), "%s/minivet", dir);
    empty(path);
    empty(dir);
}

TestSuite(run, .init = setup, .fini = teardown);

/* A child that says on `said` what it does. in: its terminal, or -1. */
static pid_t start_run(int in, int *said, int argc, char **args)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (in < 0)
            in = open("/dev/null", O_RDWR);
        else
            ioctl(in, TIOCSCTTY, 0);
        dup2(in, STDIN_FILENO);
        dup2(in, STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        setenv("XDG_CACHE_HOME", dir, 1);
        _exit(cli_run(argc, args));
    }
    close(pipes[1]);
    *said = pipes[0];
    return pid;
}

/* With that kernel. disk: NULL for none. */
static pid_t start(int in, int *said, char *disk)
{
    char *args[] = {"run", "-v", "-m", "2G", "-a", "nokaslr", kernel, "-d", disk, NULL};
    return start_run(in, said, disk != NULL ? 9 : 7, args);
}

/* Reads until `what` is said, or all of it (NULL). */
static bool hears(int said, char *all, size_t size, const char *what)
{
    size_t len = strlen(all);
    ssize_t n;
    while ((what == NULL || strstr(all, what) == NULL) && len + 1 < size &&
           (n = read(said, all + len, size - 1 - len)) > 0) {
        len += (size_t)n;
        all[len] = '\0';
    }
    return what == NULL || strstr(all, what) != NULL;
}

static void expect_end(pid_t pid, int said, char *all, size_t size, int code, const char *why)
{
    int status;
    hears(said, all, size, NULL);
    close(said);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == code, "status %#x", status);
    cr_expect_not_null(strstr(all, why), "%s", all);
}

static void ends_by(int signo)
{
    char all[16384] = "";
    int said;
    pid_t pid = start(-1, &said, NULL);
    cr_assert(hears(said, all, sizeof(all), BEGUN), "%s", all);
    kill(pid, SIGUSR1);
    cr_expect(hears(said, all, sizeof(all), "SIGUSR1: there are no statistics to print without"));
    kill(pid, SIGXFSZ); /* a file of it has the length that its user allows: no end */
    kill(pid, signo);
    expect_end(pid, said, all, sizeof(all), 128 + signo, CANCELED);
}

Test(run, sigterm_ends_the_set_up)
{
    ends_by(SIGTERM);
}

Test(run, sigint_ends_the_set_up)
{
    ends_by(SIGINT);
}

Test(run, sighup_ends_the_set_up)
{
    ends_by(SIGHUP);
}

/* A server that takes the connection, and then says nothing. */
struct mute_server {
    struct sockaddr_un at;
    char disk[128]; /* the option's value */
    int listener, asked;
};

static void open_server(struct mute_server *s)
{
    s->at = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(s->at.sun_path, sizeof(s->at.sun_path), "%s/server", dir);
    snprintf(s->disk, sizeof(s->disk), "vhost-user=%s", s->at.sun_path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(s->listener, (struct sockaddr *)&s->at, sizeof(s->at)), 0);
    cr_assert_eq(listen(s->listener, 1), 0);
}

/* Until the machine waits for it. */
static void await_question(struct mute_server *s)
{
    char byte;
    s->asked = accept(s->listener, NULL, NULL);
    cr_assert_eq(recv(s->asked, &byte, 1, 0), 1);
}

static void close_server(struct mute_server *s)
{
    close(s->asked);
    close(s->listener);
    unlink(s->at.sun_path);
}

Test(run, sigterm_ends_the_wait_for_a_vhost_user_server)
{
    char all[16384] = "";
    struct mute_server server;
    int said;
    open_server(&server);
    pid_t pid = start(-1, &said, server.disk);
    await_question(&server);
    kill(pid, SIGTERM);
    expect_end(pid, said, all, sizeof(all), 128 + SIGTERM, "is not waited for any longer");
    close_server(&server);
}

/* Whether its main thread waits for the kernel, where no signal but SIGKILL wakes it. */
static bool waits_unwoken(pid_t pid)
{
    char path[64], state = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f != NULL && fscanf(f, "%*d %*s %c", &state) != 1)
        state = 0;
    if (f != NULL)
        fclose(f);
    return state == 'D';
}

/* The first SIGTERM cannot end what the main thread does; the second ends the process. */
Test(run, sigterm_twice_ends_the_wait_for_a_file_system)
{
    char silent[48];
    int fd, said, status;
    snprintf(silent, sizeof(silent), "%s/silent", dir);
    cr_assert_eq(mkdir(silent, 0700), 0);
    if (!silent_mount(silent, &fd))
        cr_skip_test("no FUSE file system can be mounted");
    snprintf(kernel, sizeof(kernel), "%s/kernel", silent);
    pid_t pid = start(-1, &said, NULL);
    for (unsigned seen = 0; seen < 20; usleep(10000)) {
        seen = waits_unwoken(pid) ? seen + 1 : 0;
        cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it has ended: status %#x", status);
    }
    for (; waitpid(pid, &status, WNOHANG) == 0; usleep(10000))
        kill(pid, SIGTERM);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM, "status %#x", status);
    close(said);
    close(fd);
    umount2(silent, MNT_DETACH);
    rmdir(silent);
}

/* A kernel that is entered by the PVH protocol. */
static void make_pvh_kernel(const uint8_t *code, size_t len)
{
    uint8_t elf[FX_ELF_BYTES];
    fx_elf(elf);
    memcpy(elf + le64_get(elf + FX_PHDR(0) + FX_PHDR_OFFSET) + FX_PVH_ENTRY - FX_TEXT_GPA, code,
           len);
    write_file(kernel, elf, sizeof(elf));
}

/* By the keyboard controller. */
static void make_resetting_kernel(void)
{
    static const uint8_t code[] = {0xb0, 0xfe, 0xe6, 0x64, 0xf4}; /* mov, out, hlt */
    make_pvh_kernel(code, sizeof(code));
}

static pid_t start_with_grace(char *grace, int *said, const uint8_t *code, size_t len)
{
    make_pvh_kernel(code, len);
    char *args[] = {"run",       "-v",  "--stats=json", "--grace", grace,
                    "--timeout", "60s", kernel,         NULL};
    return start_run(-1, said, 8, args);
}

/* It hears no power button. */
static pid_t start_deaf(char *grace, int *said)
{
    static const uint8_t code[] = {0xf4, 0xeb, 0xfd}; /* hlt, again and again */
    return start_with_grace(grace, said, code, sizeof(code));
}

/* SIGTERM, once the guest runs: statistics are refused for lack of a guest until then. */
static void press_by_sigterm(pid_t pid, int said, char *all, size_t size)
{
    cr_assert(hears(said, all, size, BEGUN), "%s", all);
    do {
        all[0] = '\0';
        kill(pid, SIGUSR1);
        cr_assert(hears(said, all, size, "\n"), "%s", all);
    } while (strstr(all, "queues") == NULL);
    kill(pid, SIGTERM);
    cr_expect(hears(said, all, size, "SIGTERM: the power button is pressed"), "%s", all);
}

/* It asks the second interrupt controller for the button's interrupt, 9. */
Test(run, a_guest_that_hears_sigterm_powers_off)
{
    static const uint8_t code[] = {
        0xb0, 0x0a, 0xe6, 0xa0,                   /* mov, out: the next read is of the requests */
        0xe4, 0xa0, 0xa8, 0x02, 0x74, 0xf6,       /* in, test, jz */
        0x66, 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, /* mov, mov, out: sleep state 5 */
        0xf4,                                     /* hlt */
    };
    char all[16384] = "", grace[] = "50s";
    int said;
    pid_t pid = start_with_grace(grace, &said, code, sizeof(code));
    press_by_sigterm(pid, said, all, sizeof(all));
    expect_end(pid, said, all, sizeof(all), 0, "the power button is pressed");
}

Test(run, a_guest_that_does_not_shut_down_has_its_grace)
{
    char all[16384] = "", grace[] = "100ms";
    int said;
    pid_t pid = start_deaf(grace, &said);
    press_by_sigterm(pid, said, all, sizeof(all));
    expect_end(pid, said, all, sizeof(all), 128 + SIGTERM, "has not shut down within 0.1 s");
}

Test(run, a_second_sigterm_ends_the_grace)
{
    char all[16384] = "", grace[] = "50s";
    int said;
    pid_t pid = start_deaf(grace, &said);
    press_by_sigterm(pid, said, all, sizeof(all));
    kill(pid, SIGTERM);
    expect_end(pid, said, all, sizeof(all), 128 + SIGTERM, "the power button is pressed");
    cr_expect_null(strstr(all, "has not shut down"), "%s", all);
}

/* What is odd about its disk is told in each life. */
Test(run, a_guest_that_resets_without_end_has_a_life_a_second)
{
    char disk[80], all[16384] = "";
    snprintf(disk, sizeof(disk), "%s/disk", dir);
    write_file(disk, all, 1000);
    make_resetting_kernel();
    char *args[] = {"run", "-d", disk, "--reboot", "restart", "--timeout", "3s", kernel, NULL};
    int said;
    pid_t pid = start_run(-1, &said, 8, args);
    expect_end(pid, said, all, sizeof(all), 124, "timeout: the ");
    unsigned lives = 0;
    for (const char *at = all; (at = strstr(at, "are no whole sector")) != NULL; at++)
        lives++;
    cr_expect_gt(lives, 0);
    cr_expect_leq(lives, 11 + 3, "eleven at once, then one a second");
}

/* As by `minivet run ... <&- >&- 2>&-`: what is opened later must not take their numbers. */
Test(run, standard_streams_that_are_closed_are_dev_null)
{
    struct mute_server server;
    char path[64], target[64];
    int status;
    open_server(&server);
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        execl(MINIVET_PROGRAM, "minivet", "run", kernel, "-d", server.disk, NULL);
        _exit(1);
    }
    await_question(&server);
    for (int fd = 0; fd <= 2; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        cr_expect_str_eq(target, "/dev/null", "%d is %s", fd, target);
    }
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM, "status %#x", status);
    close_server(&server);
}

/* Typed where Ctrl-C would be the guest's, if it ran. */
Test(run, ctrl_c_ends_the_set_up_and_the_terminal_is_as_it_was)
{
    char all[16384] = "";
    struct termios before, after;
    int said, host = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(host >= 0 && grantpt(host) == 0 && unlockpt(host) == 0);
    int terminal = open(ptsname(host), O_RDWR | O_NOCTTY);
    cr_assert_eq(tcgetattr(terminal, &before), 0);
    pid_t pid = start(terminal, &said, NULL);
    cr_assert(hears(said, all, sizeof(all), BEGUN), "%s", all);
    cr_assert_eq(tcgetattr(terminal, &after), 0);
    cr_expect_eq(after.c_lflag & (ICANON | ECHO | ISIG), ISIG);
    cr_assert_eq(write(host, "\3", 1), 1);
    expect_end(pid, said, all, sizeof(all), 128 + SIGINT, CANCELED);
    cr_assert_eq(tcgetattr(terminal, &after), 0);
    cr_expect_eq(after.c_lflag, before.c_lflag);
    cr_expect_eq(after.c_iflag, before.c_iflag);
    cr_expect_eq(after.c_oflag, before.c_oflag);
    close(terminal);
    close(host);
}
