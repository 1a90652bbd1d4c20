// SPDX-License-Identifier: BSD-2-Clause
/* What an image can do that has taken qemu-storage-daemon over: tried in a child that is confined
 * as that one is.
 */
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include "core/peers/confine.h"
#include "devices/disk/image/storage_daemon_impl.h"
#include "tests/harness/test.h"

#define OK 7 /* a status that no accident has */

struct scene {
    char dir[64], image[80], backing[80], made[128];
    struct storage_daemon d;
};

static int make_file(const char *path, int flags)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "image", 5), 5);
    close(fd);
    fd = open(path, flags | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

/* An image that is written, and its backing file, which is read. */
static void open_scene(struct scene *s)
{
    *s = (struct scene){.dir = "/tmp/minivet-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(s->dir));
    snprintf(s->image, sizeof(s->image), "%s/image", s->dir);
    snprintf(s->backing, sizeof(s->backing), "%s/backing", s->dir);
    s->d = (struct storage_daemon){.name = (char *)"vda", .program = (char *)"/bin/true"};
    snprintf(s->d.dir, sizeof(s->d.dir), "%s/daemon", s->dir);
    cr_assert_eq(mkdir(s->d.dir, 0700), 0);
    snprintf(s->d.pid_file, sizeof(s->d.pid_file), "%s/pid", s->d.dir);
    close(make_file(s->d.pid_file, O_RDONLY));
    snprintf(s->made, sizeof(s->made), "%s/made", s->d.dir);
    s->d.chain.links[s->d.chain.count++].fd = make_file(s->image, O_RDWR);
    s->d.chain.links[s->d.chain.count++].fd = make_file(s->backing, O_RDONLY);
}

static void close_scene(struct scene *s)
{
    image_chain_close(&s->d.chain);
    cr_expect_eq(unlink(s->image), 0);
    cr_expect_eq(unlink(s->backing), 0);
    cr_expect_eq(unlink(s->d.pid_file), 0);
    cr_expect_eq(rmdir(s->d.dir), 0);
    cr_expect_eq(rmdir(s->dir), 0);
}

static void in_child(bool (*check)(const struct scene *))
{
    struct scene s;
    struct confine *c = NULL;
    int status = 0;
    open_scene(&s);
    cr_assert_eq(storage_daemon_confine(&c, &s.d), 0);
    pid_t pid = fork();
    if (pid == 0)
        syscall(SYS_exit_group, confine_apply(c) != 0 ? 1 : check(&s) ? OK : 2);
    cr_assert_gt(pid, 0);
    confine_destroy(c);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == OK, "%#x", status);
    close_scene(&s);
}

static bool fails(long result, int error)
{
    return result == -1 && errno == error;
}

static bool reaches_processes(const struct scene *s)
{
    static const int calls[] = {SYS_kill,
                                SYS_tgkill,
                                SYS_tkill,
                                SYS_rt_sigqueueinfo,
                                SYS_ptrace,
                                SYS_pidfd_open,
                                SYS_pidfd_getfd,
                                SYS_pidfd_send_signal,
                                SYS_clone3,
                                SYS_process_vm_readv,
                                SYS_process_vm_writev,
                                SYS_memfd_create,
                                SYS_socket,
                                SYS_connect,
                                SYS_bind,
                                SYS_io_uring_setup,
                                SYS_unshare,
                                SYS_setns,
                                SYS_mount,
                                SYS_bpf,
                                SYS_keyctl,
                                SYS_shmget,
                                SYS_userfaultfd,
                                SYS_perf_event_open,
                                SYS_setrlimit};
    (void)s;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (!fails(syscall(calls[i], 0, 0, 0, 0, 0, 0), ENOSYS))
            return false;
    return fails(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), ENOSYS);
}

Test(devices_storage_confine, other_processes_are_out_of_reach)
{
    in_child(reaches_processes);
}

/* Of a file that may be read alone: its attributes and its file system are none of the daemon's. */
static bool changes_attributes(const struct scene *s)
{
    int image = s->d.chain.links[0].fd, backing = s->d.chain.links[1].fd, flags = 0;
    uint64_t bytes = 0;
    return fails(syscall(SYS_ioctl, backing, FS_IOC_GETFLAGS, &flags), ENOSYS) &&
           fails(syscall(SYS_ioctl, backing, FS_IOC_SETFLAGS, &flags), ENOSYS) &&
           fails(syscall(SYS_ioctl, image, FICLONE, -1), ENOSYS) &&
           fails(syscall(SYS_ioctl, image, UINT64_C(1) << 32 | FS_IOC_GETFLAGS, &flags), ENOSYS) &&
           fails(syscall(SYS_fchmod, image, 0666), ENOSYS) &&
           fails(syscall(SYS_fsetxattr, image, "user.a", "b", 1, 0), ENOSYS) &&
           fails(syscall(SYS_ioctl, image, BLKROGET, &flags), ENOTTY) && /* let pass */
           fails(syscall(SYS_ioctl, image, BLKGETSIZE64, &bytes), ENOTTY);
}

Test(devices_storage_confine, attributes_of_files_are_not_changed)
{
    in_child(changes_attributes);
}

/* Root's daemon may ask a block device for anything that passes. */
static bool controls_devices(const struct scene *s)
{
    static const unsigned long calls[] = {BLKROSET, BLKRRPART, BLKFLSBUF,        BLKRASET,
                                          BLKPG,    BLKBSZSET, BLKTRACETEARDOWN, BLKSECDISCARD};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (!fails(syscall(SYS_ioctl, s->d.chain.links[0].fd, calls[i], NULL), ENOSYS))
            return false;
    return true;
}

Test(devices_storage_confine, block_devices_are_not_reconfigured)
{
    in_child(controls_devices);
}

/* Root's daemon may declare pages of guest memory faulty: that kills all that have them. */
static bool poisons_pages(const struct scene *s)
{
    (void)s;
    return fails(syscall(SYS_madvise, NULL, 0, MADV_HWPOISON), ENOSYS) &&
           syscall(SYS_madvise, NULL, 0, MADV_DONTNEED) == 0;
}

Test(devices_storage_confine, pages_are_not_declared_faulty)
{
    in_child(poisons_pages);
}

/* Of memory that the kernel keeps for pipes no limit of memory knows. */
static bool opens_pipes(const struct scene *s)
{
    int ends[2], count = 0;
    (void)s;
    while (count < 1024 && syscall(SYS_pipe2, ends, 0) == 0)
        count++;
    return count > 256 && count <= 512 && errno == EMFILE;
}

Test(devices_storage_confine, descriptors_have_a_limit)
{
    in_child(opens_pipes);
}

/* A limit of data alone counts neither what was written and is read-only now, nor stacks. */
static bool takes_memory(const struct scene *s)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const int both = PROT_READ | PROT_WRITE;
    (void)s;
    if (!fails(syscall(SYS_mmap, NULL, 64 * GIB, both, flags | MAP_GROWSDOWN, -1, 0), ENOMEM))
        return false;
    for (unsigned i = 0; i < 64; i++) {
        long at = syscall(SYS_mmap, NULL, GIB, both, flags, -1, 0);
        if (at == -1)
            return errno == ENOMEM;
        if (syscall(SYS_mprotect, at, GIB, PROT_READ) != 0)
            return false;
    }
    return false;
}

Test(devices_storage_confine, memory_has_a_limit_however_it_is_mapped)
{
    in_child(takes_memory);
}

static long again(int fd, int flags)
{
    char name[32];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return syscall(SYS_openat, AT_FDCWD, name, flags);
}

static bool opens_files(const struct scene *s)
{
    int image = s->d.chain.links[0].fd, backing = s->d.chain.links[1].fd;
    return again(image, O_RDWR | O_TRUNC) >= 0 && again(backing, O_RDONLY) >= 0 &&
           fails(again(backing, O_RDWR), EACCES) &&
           fails(again(backing, O_RDONLY | O_TRUNC), EACCES) &&
           fails(syscall(SYS_openat, AT_FDCWD, s->dir, O_RDONLY), EACCES) &&
           fails(syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY), EACCES) &&
           fails(syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR), EACCES) &&
           fails(syscall(SYS_openat, AT_FDCWD, "/dev/tty", O_RDWR), EACCES);
}

Test(devices_storage_confine, a_backing_file_is_only_read)
{
    if (!confine_restricts_files())
        cr_skip_test("this kernel has no Landlock");
    in_child(opens_files);
}

/* A lease on a file that it may read keeps those waiting who open the file for writing. */
static bool takes_leases(const struct scene *s)
{
    int backing = s->d.chain.links[1].fd;
    return fails(syscall(SYS_fcntl, backing, F_SETLEASE, F_RDLCK), ENOSYS) &&
           syscall(SYS_fcntl, backing, F_DUPFD_CLOEXEC, 3) >= 0;
}

Test(devices_storage_confine, other_users_of_a_file_do_not_wait_for_leases)
{
    in_child(takes_leases);
}

/* Files are left behind, and would be without bounds: it needs its pid file alone. */
static bool makes_files(const struct scene *s)
{
    return syscall(SYS_openat, AT_FDCWD, s->d.pid_file, O_CREAT | O_WRONLY, 0600) >= 0 &&
           fails(syscall(SYS_openat, AT_FDCWD, s->made, O_CREAT | O_WRONLY, 0600), EACCES) &&
           fails(syscall(SYS_mkdirat, AT_FDCWD, s->made, 0700), ENOSYS) &&
           fails(syscall(SYS_linkat, AT_FDCWD, s->image, AT_FDCWD, s->made, 0), ENOSYS) &&
           fails(syscall(SYS_symlinkat, s->image, AT_FDCWD, s->made), ENOSYS) &&
           fails(syscall(SYS_renameat2, AT_FDCWD, s->image, AT_FDCWD, s->made, 0), ENOSYS) &&
           fails(syscall(SYS_unlinkat, AT_FDCWD, s->image, 0), ENOSYS);
}

Test(devices_storage_confine, no_files_are_made)
{
    if (!confine_restricts_files())
        cr_skip_test("this kernel has no Landlock");
    in_child(makes_files);
}
