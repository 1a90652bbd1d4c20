// SPDX-License-Identifier: BSD-2-Clause
#include <sys/file.h>

#include "devices/share/share_dir.h"
#include "tests/harness/folder.h"
#include "tests/harness/fusereq.h"
#include "tests/harness/test.h"

static struct evloop *loop;
static struct share *share;
static struct fuse_client client, other;
static uint64_t node, fh;

static void setup(void)
{
    const struct share_dir_config config = {.path = "shared",
                                            .uid = SHARE_UID_MAP,
                                            .locks = true,
                                            .descriptors_max = 256,
                                            .nodes_max = 65536};
    folder_enter();
    cr_assert_eq(mkdir("shared", 0755), 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(share_dir_create(&share, &config), 0);
    fuse_client_open(&client, share, loop);
    fuse_client_open(&other, share, loop);
    cr_assert_eq(fuse_client_init(&client), 0);
    node = fuse_create(&client, FUSE_ROOT_ID, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
}

static void teardown(void)
{
    share->ops->reset(share);
    share->ops->destroy(share);
    evloop_destroy(loop);
    fuse_client_close(&client);
    fuse_client_close(&other);
    folder_leave();
}

TestSuite(devices_share_locks, .init = setup, .fini = teardown);

static struct fuse_lk_in lock_of(uint64_t owner, uint64_t start, uint64_t end, uint32_t type)
{
    return (struct fuse_lk_in){
        .fh = fh, .owner = owner, .lk = {.start = start, .end = end, .type = type}};
}

static int set(uint64_t owner, uint64_t start, uint64_t end, uint32_t type)
{
    struct fuse_lk_in in = lock_of(owner, start, end, type);
    return fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0);
}

/* What a process of the host finds: the type that is in its way. */
static int host_finds(void)
{
    int fd = open("shared/a", O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    cr_assert_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
    close(fd);
    return lock.l_type;
}

Test(devices_share_locks, processes_of_the_guest_are_kept_apart)
{
    cr_assert_eq(set(1, 0, 9, F_WRLCK), 0);
    cr_assert_eq(set(1, 0, 9, F_WRLCK), 0);
    cr_assert_eq(set(2, 9, 9, F_RDLCK), -EAGAIN);
    cr_assert_eq(set(2, 10, INT64_MAX, F_WRLCK), 0);
    struct fuse_lk_in in = lock_of(3, 5, 20, F_WRLCK);
    struct fuse_lk_out out;
    cr_assert_eq(fuse_call(&client, FUSE_GETLK, node, &in, sizeof(in), "", 0), 0);
    memcpy(&out, client.out, sizeof(out));
    cr_assert_eq(out.lk.type, F_WRLCK);
    cr_assert_eq(set(1, 0, 9, F_UNLCK), 0);
    cr_assert_eq(set(2, 9, 9, F_RDLCK), 0);
    cr_assert_eq(set(2, 8, 7, F_RDLCK), -EINVAL);
    cr_assert_eq(set(2, 0, 7, 17), -EINVAL);
}

Test(devices_share_locks, they_hold_on_the_host_until_the_process_closes)
{
    cr_assert_eq(host_finds(), F_UNLCK);
    cr_assert_eq(set(1, 0, INT64_MAX, F_WRLCK), 0);
    cr_assert_eq(host_finds(), F_WRLCK);
    const struct fuse_flush_in in = {.fh = fh, .lock_owner = 1};
    cr_assert_eq(fuse_call(&client, FUSE_FLUSH, node, &in, sizeof(in), "", 0), 0);
    cr_assert_eq(host_finds(), F_UNLCK);
}

/* F_OFD_SETLK: no FLUSH names the owner, which is an open file. */
Test(devices_share_locks, they_end_with_the_open_file_that_brought_them)
{
    uint64_t again;
    cr_assert_eq(set(77, 0, INT64_MAX, F_WRLCK), 0);
    cr_assert_eq(fuse_open(&client, node, O_RDWR, &again), 0);
    cr_assert_eq(fuse_release(&client, node, again), 0);
    cr_assert_eq(host_finds(), F_WRLCK);
    cr_assert_eq(fuse_release(&client, node, fh), 0);
    cr_assert_eq(host_finds(), F_UNLCK);
}

Test(devices_share_locks, one_process_locks_by_all_of_its_open_files)
{
    uint64_t reads, writes = fh;
    cr_assert_eq(fuse_open(&client, node, O_RDONLY, &reads), 0);
    fh = reads;
    cr_assert_eq(set(1, 0, 9, F_RDLCK), 0);
    cr_assert_eq(host_finds(), F_RDLCK);
    fh = writes;
    cr_assert_eq(set(1, 0, 9, F_WRLCK), 0);
    cr_assert_eq(host_finds(), F_WRLCK);
}

Test(devices_share_locks, a_reset_frees_them)
{
    cr_assert_eq(set(1, 0, INT64_MAX, F_RDLCK), 0);
    cr_assert_eq(host_finds(), F_RDLCK);
    share->ops->reset(share);
    cr_assert_eq(host_finds(), F_UNLCK);
}

Test(devices_share_locks, flock_is_of_the_open_file)
{
    struct fuse_lk_in in = lock_of(1, 0, INT64_MAX, F_WRLCK);
    in.lk_flags = FUSE_LK_FLOCK;
    cr_assert_eq(fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0), 0);
    int fd = open("shared/a", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
    cr_assert_eq(fuse_release(&client, node, fh), 0);
    cr_assert_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
    close(fd);
}

static void wait_for_lock(void)
{
    const struct fuse_lk_in in = lock_of(2, 0, 1, F_WRLCK);
    cr_assert_eq(set(1, 0, 0, F_WRLCK), 0);
    fuse_send(&other, FUSE_SETLKW, node, &in, sizeof(in), "", 0);
    evloop_drain(loop);
    cr_assert_not(other.is_done);
}

Test(devices_share_locks, one_that_waits_gets_it)
{
    wait_for_lock();
    cr_assert_eq(set(1, 0, 0, F_UNLCK), 0);
    cr_assert_eq(fuse_answer(&other), 0);
    cr_assert_eq(set(1, 1, 1, F_WRLCK), -EAGAIN);
}

Test(devices_share_locks, one_that_waits_can_be_interrupted)
{
    wait_for_lock();
    const struct fuse_interrupt_in in = {.unique = other.unique};
    cr_assert_eq(fuse_call(&client, FUSE_INTERRUPT, node, &in, sizeof(in), "", 0), 0);
    cr_assert(client.is_silent);
    cr_assert_eq(fuse_answer(&other), -EINTR);
}

Test(devices_share_locks, one_that_waits_can_be_abandoned)
{
    wait_for_lock();
    share->ops->abandon(share, other.req);
    cr_assert_eq(set(1, 0, 0, F_UNLCK), 0);
    cr_assert_eq(set(1, 0, 1, F_WRLCK), 0);
    evloop_drain(loop);
    cr_assert_not(other.is_done);
}

Test(devices_share_locks, what_is_no_lock_is_refused)
{
    struct fuse_lk_in in = lock_of(1, UINT64_MAX, UINT64_MAX, F_WRLCK);
    cr_assert_eq(fuse_call(&client, FUSE_GETLK, node, &in, sizeof(in), "", 0), -EINVAL);
    cr_assert_eq(fuse_call(&client, FUSE_SETLKW, node, &in, sizeof(in), "", 0), -EINVAL);
    in = lock_of(1, 0, 0, F_WRLCK);
    in.fh = 4711;
    cr_assert_eq(fuse_call(&client, FUSE_GETLK, node, &in, sizeof(in), "", 0), -EBADF);
    cr_assert_eq(fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0), -EBADF);
}

Test(devices_share_locks, flock_is_shared_and_given_back)
{
    struct fuse_lk_in in = lock_of(1, 0, INT64_MAX, F_RDLCK);
    in.lk_flags = FUSE_LK_FLOCK;
    cr_assert_eq(fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0), 0);
    int fd = open("shared/a", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
    in.lk.type = F_WRLCK;
    cr_assert_eq(fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0), -EAGAIN);
    in.lk.type = F_UNLCK;
    cr_assert_eq(fuse_call(&client, FUSE_SETLK, node, &in, sizeof(in), "", 0), 0);
    cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

Test(devices_share_locks, another_message_s_interrupt_is_not_heard)
{
    wait_for_lock();
    const struct fuse_interrupt_in in = {.unique = other.unique + 1000};
    cr_assert_eq(fuse_call(&client, FUSE_INTERRUPT, node, &in, sizeof(in), "", 0), 0);
    cr_assert_eq(set(1, 0, 0, F_UNLCK), 0);
    cr_assert_eq(fuse_answer(&other), 0);
}

Test(devices_share_locks, processes_that_lock_are_limited)
{
    int err = 0;
    uint64_t owner = 0;
    while (err == 0 && ++owner < 256)
        err = set(owner, owner, owner, F_WRLCK);
    cr_assert(err == -ENOLCK && owner > 16, "%d %lu", err, owner);
    cr_assert_eq(set(1, 1, 1, F_UNLCK), 0);
    const struct fuse_flush_in in = {.fh = fh, .lock_owner = 1};
    cr_assert_eq(fuse_call(&client, FUSE_FLUSH, node, &in, sizeof(in), "", 0), 0);
    cr_assert_eq(set(owner, owner, owner, F_WRLCK), 0);
}
