// SPDX-License-Identifier: BSD-2-Clause
/* `minivet vsock`, in a process of its own; the test is what listens at the path. */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

#define PATH "vm.vsock"

static int listener, child_in, child_out;
static pid_t child;

static void setup(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = PATH};
    folder_enter();
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(listener, 1), 0);
}

static void teardown(void)
{
    close(listener);
    unlink(PATH);
    folder_leave();
}

TestSuite(cli_vsock, .init = setup, .fini = teardown);

static void begin(char *path, char *port)
{
    int in[2], out[2];
    char *argv[] = {"vsock", path, port, NULL};
    cr_assert(pipe(in) == 0 && pipe(out) == 0);
    child = fork();
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (unsigned i = 0; i < 2; i++) {
            close(in[i]);
            close(out[i]);
        }
        _exit(cli_vsock(3, argv));
    }
    close(in[0]);
    close(out[1]);
    child_in = in[1];
    child_out = out[0];
}

static int end_status(void)
{
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    close(child_in);
    close(child_out);
    return WEXITSTATUS(status);
}

/* The guest's end, after it has answered. */
static int answer(const char *text)
{
    char line[32] = "";
    int fd = accept(listener, NULL, NULL);
    cr_assert_geq(fd, 0);
    cr_assert_eq(recv(fd, line, 11, MSG_WAITALL), 11);
    cr_expect_str_eq(line, "CONNECT 22\n");
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

Test(cli_vsock, carries_bytes_both_ways_until_the_guest_ends)
{
    char bytes[16] = "", c;
    begin(PATH, "22");
    int fd = answer("OK 1073741824\nearly");
    cr_expect_eq(read(child_out, bytes, 5), 5);
    cr_expect_str_eq(bytes, "early");
    cr_assert_eq(write(child_in, "hello", 5), 5);
    cr_expect_eq(recv(fd, bytes, 5, MSG_WAITALL), 5);
    cr_expect_str_eq(bytes, "hello");
    close(child_in);
    cr_expect_eq(recv(fd, &c, 1, 0), 0, "the end goes through");
    cr_assert_eq(write(fd, "after", 5), 5);
    close(fd);
    cr_expect_eq(read(child_out, bytes, 5), 5);
    cr_expect_str_eq(bytes, "after");
    cr_expect_eq(read(child_out, &c, 1), 0);
    child_in = -1;
    cr_expect_eq(end_status(), 0);
}

/* Neither direction waits for the other. */
Test(cli_vsock, an_end_that_does_not_read_holds_nothing_up)
{
    static char block[1 << 20];
    char c;
    begin(PATH, "22");
    int fd = answer("OK 1\n");
    fcntl(child_in, F_SETFL, O_NONBLOCK);
    for (unsigned quiet = 0; quiet < 20;) { /* until it takes no more */
        quiet = write(child_in, block, sizeof(block)) > 0 ? 0 : quiet + 1;
        usleep(5000);
    }
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_expect_eq(read(child_out, &c, 1), 1);
    close(fd);
    cr_expect_eq(end_status(), 0);
}

Test(cli_vsock, says_why_there_is_no_connection)
{
    begin(PATH, "22");
    close(answer(""));
    cr_expect_eq(end_status(), EXIT_FAILURE);
    begin("nowhere", "22");
    cr_expect_eq(end_status(), EXIT_FAILURE);
    begin(PATH, "ssh");
    cr_expect_eq(end_status(), EXIT_USAGE);
    begin(PATH, "4294967296");
    cr_expect_eq(end_status(), EXIT_USAGE);
}

/* As the run itself refuses such a process at either end: nothing is said to it. */
Test(cli_vsock, another_users_process_hears_nothing, .timeout = 20)
{
    char c;
    if (geteuid() != 0)
        cr_skip_test("only root can become another user");
    cr_assert_eq(seteuid(65534), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(seteuid(0), 0);
    begin(PATH, "22");
    int fd = accept(listener, NULL, NULL);
    cr_expect_eq(recv(fd, &c, 1, 0), 0);
    close(fd);
    cr_expect_eq(end_status(), EXIT_FAILURE);
}
