// SPDX-License-Identifier: BSD-2-Clause
/* Guests that abuse a shared directory. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/loop/workpool.h"
#include "devices/share/share_dir.h"
#include "tests/harness/folder.h"
#include "tests/harness/fusereq.h"
#include "tests/harness/test.h"

#define ROOT FUSE_ROOT_ID

static struct evloop *loop;
static struct share *share;
static struct fuse_client client;

static void begin(unsigned descriptors_max)
{
    const struct share_dir_config config = {.path = "shared",
                                            .uid = SHARE_UID_MAP,
                                            .locks = true,
                                            .descriptors_max = descriptors_max,
                                            .nodes_max = 65536};
    folder_enter();
    cr_assert_eq(mkdir("shared", 0755), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(share_dir_create(&share, &config), 0);
    fuse_client_open(&client, share, loop);
    cr_assert_eq(fuse_client_init(&client), 0);
}

static void end(void)
{
    share->ops->reset(share);
    share->ops->destroy(share);
    evloop_destroy(loop);
    fuse_client_close(&client);
    folder_leave();
}

/* ---- directories in directories ---- */

#define DEEP   6000u
#define OTHERS 64u

static char long_name[256];

/* What the guest does, on a thread with a stack as a loop's. */
static void *dig(void *arg)
{
    uint64_t *deepest = arg, others[OTHERS], node = ROOT;
    int err;
    for (unsigned i = 0; i < DEEP && node != 0; i++) {
        *deepest = node;
        node = fuse_mkdir(&client, node, long_name);
    }
    for (unsigned i = 0; i < OTHERS; i++) { /* which need the descriptors that there are */
        char name[16];
        snprintf(name, sizeof(name), "other%u", i);
        others[i] = fuse_mkdir(&client, ROOT, name);
        (void)fuse_lookup(&client, others[i], "x", &err);
    }
    (void)fuse_lookup(&client, *deepest, "x", &err);
    return NULL;
}

/* No path reaches the last ones: so the first goes, and its child takes its place. */
static void fill_up(void)
{
    cr_assert_eq(chdir("shared"), 0);
    while (rename(long_name, "first") == 0) {
        char path[sizeof(long_name) + 8];
        snprintf(path, sizeof(path), "first/%s", long_name);
        (void)rename(path, long_name);
        cr_assert_eq(rmdir("first"), 0);
    }
    cr_assert_eq(chdir(".."), 0);
}

Test(share_hostile, a_way_through_thousands_of_directories_is_found_or_refused)
{
    pthread_t thread;
    uint64_t deepest = 0;
    begin(64);
    memset(long_name, 'd', sizeof(long_name) - 1);
    cr_assert_eq(thread_start(&thread, "guest", dig, &deepest), 0);
    pthread_join(thread, NULL);
    cr_expect_neq(deepest, 0);
    fill_up();
    end();
}

/* ---- lists and numbers without end ---- */

Test(share_hostile, a_list_of_nodes_to_forget_is_no_longer_than_other_messages)
{
    enum { MANY = 100000 };
    begin(256);
    struct fuse_forget_one *list = calloc(MANY, sizeof(*list));
    const struct fuse_batch_forget_in in = {.count = MANY};
    int err;
    uint64_t node = fuse_mkdir(&client, ROOT, "d");
    cr_assert_neq(node, 0);
    list[MANY - 1] = (struct fuse_forget_one){.nodeid = node, .nlookup = 1};
    (void)fuse_call(&client, FUSE_BATCH_FORGET, 0, &in, sizeof(in), list, MANY * sizeof(*list));
    cr_expect_eq(fuse_lookup(&client, node, "x", &err), 0);
    cr_expect_eq(err, -ENOENT, "it is known: the loop has not gone through the list");
    const struct fuse_batch_forget_in one = {.count = 1};
    (void)fuse_call(&client, FUSE_BATCH_FORGET, 0, &one, sizeof(one), &list[MANY - 1],
                    sizeof(*list));
    cr_expect_eq(fuse_lookup(&client, node, "x", &err), 0);
    cr_expect_eq(err, -ESTALE);
    free(list);
    end();
}

Test(share_hostile, open_files_are_no_more_than_its_part_of_the_descriptors)
{
    enum { DESCRIPTORS = 256 };
    begin(DESCRIPTORS);
    uint64_t fh, node = fuse_create(&client, ROOT, "f", O_RDWR, 0644, &fh, NULL);
    unsigned open = 1;
    cr_assert_neq(node, 0);
    while (open < DESCRIPTORS && fuse_open(&client, node, O_RDONLY, &fh) == 0)
        open++;
    cr_expect_eq(open, DESCRIPTORS / 2);
    cr_expect_eq(fuse_release(&client, node, fh), 0);
    cr_expect_eq(fuse_open(&client, node, O_RDONLY, &fh), 0);
    end();
}

/* All that the process may have is what one share is told to have at most. */
Test(share_hostile, others_have_descriptors_left)
{
    enum { DESCRIPTORS = 256 };
    const struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    begin(DESCRIPTORS);
    uint64_t fh, node = fuse_create(&client, ROOT, "f", O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
    struct fuse_lk_in lock = {.fh = fh, .lk = {.end = 1, .type = F_RDLCK}};
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        char name[16];
        int err;
        snprintf(name, sizeof(name), "d%u", i);
        uint64_t dir = fuse_mkdir(&client, ROOT, name);
        if (dir != 0)
            (void)fuse_lookup(&client, dir, "x", &err);
        (void)fuse_open(&client, node, O_RDONLY, &fh);
        lock.owner = i;
        (void)fuse_call(&client, FUSE_SETLK, node, &lock, sizeof(lock), "", 0);
    }
    int fd = dup(STDERR_FILENO);
    cr_expect(fd >= 0 && fd < DESCRIPTORS * 7 / 8);
    close(fd);
    end();
}

/* Helpers that are busy for long, as with files of gigabytes. */
static sem_t is_over;

static void be_busy(void *ctx)
{
    (void)ctx;
    while (sem_wait(&is_over) != 0)
        ;
}

static void ignore(void *ctx)
{
    (void)ctx;
}

Test(share_hostile, what_waits_for_a_helper_goes_when_the_guest_resets)
{
    enum { TIMES = 500, BYTES = 100000 };
    static const uint8_t more[BYTES];
    struct ev_work busy[WORKPOOL_THREADS];
    begin(256);
    uint64_t fh, node = fuse_create(&client, ROOT, "f", O_RDWR, 0644, &fh, NULL);
    const struct fuse_fsync_in in = {.fh = fh};
    cr_assert_neq(node, 0);
    sem_init(&is_over, 0, 0);
    for (unsigned i = 0; i < WORKPOOL_THREADS; i++) {
        busy[i] = (struct ev_work){.run = be_busy, .done = ignore};
        evloop_work(loop, &busy[i]);
    }
    struct mallinfo2 before = mallinfo2();
    for (unsigned i = 0; i < TIMES; i++) {
        fuse_send(&client, FUSE_FSYNC, node, &in, sizeof(in), more, sizeof(more));
        share->ops->abandon(share, client.req);
    }
    struct mallinfo2 after = mallinfo2();
    cr_expect_lt(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd,
                 (size_t)WORKPOOL_THREADS * 2 * BYTES);
    for (unsigned i = 0; i < WORKPOOL_THREADS; i++)
        sem_post(&is_over);
    evloop_drain(loop);
    cr_expect_eq(fuse_release(&client, node, fh), 0, "it works as before");
    end();
}

/* A process of the host's that has a lease of the file, and keeps it until it is killed. */
static pid_t lease(const char *path)
{
    int is_held[2];
    char c;
    cr_assert_eq(pipe(is_held), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int fd = open(path, O_RDONLY);
        signal(SIGIO, SIG_IGN);
        if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
            (void)!write(is_held[1], "", 1);
        close(is_held[1]);
        pause();
        _exit(0);
    }
    close(is_held[1]);
    bool is_there = read(is_held[0], &c, 1) == 1;
    close(is_held[0]);
    if (!is_there) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        cr_skip_test("this file system has no leases");
    }
    return pid;
}

Test(share_hostile, a_file_of_which_a_process_has_a_lease_is_not_waited_for)
{
    begin(256);
    uint64_t fh, node = fuse_create(&client, ROOT, "f", O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
    cr_assert_eq(fuse_release(&client, node, fh), 0);
    pid_t pid = lease("shared/f");
    const struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 7};
    fuse_send(&client, FUSE_SETATTR, node, &in, sizeof(in), "", 0);
    cr_expect_not(client.is_done, "the loop goes on");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_expect_eq(fuse_answer(&client), 0);
    struct stat st;
    cr_expect(stat("shared/f", &st) == 0 && st.st_size == 7);
    end();
}

/* ---- programs with its user's rights ---- */

static atomic_bool swaps;

/* Another queue of the guest's, or a helper: exchanges what is made for a program. */
static void *swap(void *arg)
{
    (void)arg;
    while (atomic_load(&swaps))
        (void)renameat2(AT_FDCWD, "shared/program", AT_FDCWD, "shared/made", RENAME_EXCHANGE);
    return NULL;
}

static bool is_setid(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_ISUID | S_ISGID)) != 0;
}

Test(share_hostile, a_file_without_a_type_is_no_program_either)
{
    begin(256);
    const struct fuse_mknod_in in = {.mode = 06777};
    cr_expect_eq(fuse_call(&client, FUSE_MKNOD, ROOT, &in, sizeof(in), "made", sizeof("made")),
                 -EPERM);
    cr_expect_not(is_setid("shared/made"));
    end();
}

/* What a name means may change at any time. */
Test(share_hostile, no_program_gets_the_bits_of_what_is_no_file)
{
    pthread_t thread;
    begin(256);
    const struct fuse_mkdir_in in = {.mode = 06777};
    FILE *f = fopen("shared/program", "w");
    cr_assert_not_null(f);
    fclose(f);
    atomic_store(&swaps, true);
    cr_assert_eq(thread_start(&thread, "swap", swap, NULL), 0);
    bool is_found = false;
    for (unsigned i = 0; i < 1500 && !is_found; i++) {
        (void)fuse_call(&client, FUSE_MKDIR, ROOT, &in, sizeof(in), "made", sizeof("made"));
        is_found = is_setid("shared/program") || is_setid("shared/made");
        (void)(rmdir("shared/made") == 0 || rmdir("shared/program") == 0);
        (void)rename("shared/made", "shared/program"); /* if it is there */
    }
    atomic_store(&swaps, false);
    pthread_join(thread, NULL);
    cr_expect_not(is_found);
    end();
}
