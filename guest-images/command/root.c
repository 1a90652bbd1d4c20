// SPDX-License-Identifier: BSD-2-Clause
//
// The root file system on a disk that the kernel's command line asks for: with a program in the
// initramfs it is that program's work to mount it. root=/dev/NAME, rootfstype=TYPE[,TYPE...],
// rootflags=OPTIONS, and ro (unless rw is there) mean what they mean to the kernel.
#include "init.h"

#define S_IFBLK    0060000
#define MS_RDONLY  1
#define MS_REMOUNT 32
#define MS_MOVE    8192
#define RETRY_MS   10

static char line[4096];

// The value behind `name` on the kernel's command line, the last one; NULL: it is not there.
static bool find_word(const char *name, char *value, size_t room)
{
    bool found = false;

    for (const char *at = line; *at != '\0';) {
        const char *end = at;

        while (*end != '\0' && *end != ' ') {
            end++;
        }
        if (begins(at, name) && (name[length(name) - 1] == '=' || at + length(name) == end)) {
            const char *from = at + length(name);

            join(value, (size_t)(end - from) + 1 < room ? (size_t)(end - from) + 1 : room, from,
                 NULL, NULL, NULL);
            found = true;
        }
        at = end + (*end == ' ');
    }
    return found;
}

// The disk's file, once there is the disk.
static void make_device(const char *root)
{
    char path[PATH_BYTES], numbers[32];
    long end_ms = now_ms() + WAIT_MS;

    if (!begins(root, "/dev/")) {
        give_up("root=", root, ": only a name like /dev/vda is known here");
    }
    join(path, sizeof(path), "/sys/class/block/", root + 5, "/dev", NULL);
    while (read_text(path, numbers, sizeof(numbers)) <= 0) {
        if (now_ms() > end_ms) {
            give_up("root=", root, ": there is no such disk, or no driver for it (virtio_blk)");
        }
        sleep_ms(RETRY_MS);
    }
    if (make_node(root, numbers, S_IFBLK) < 0) {
        give_up("root=", root, ": its file cannot be made");
    }
}

// types: with what is between them cut in place. The last error, or 0.
static long try_types(const char *root, char *types, unsigned long flags, const char *options)
{
    long r = -ENODEV;

    for (char *at = types; r < 0 && *at != '\0';) {
        char *end = at;
        bool is_last;

        while (*end != '\0' && *end != ',' && *end != '\n') {
            end++;
        }
        is_last = *end == '\0';
        *end = '\0';
        // A line of /proc/filesystems begins with "nodev", or else with a tab.
        if (!begins(at, "nodev")) {
            at += *at == '\t';
            load_module(at);
            r = CALL5(mount, root, NEW_ROOT, at, flags, options);
        }
        at = end + !is_last;
    }
    return r;
}

void enter_root(void)
{
    static const char *const kept[] = {"/proc", "/sys", "/dev"};
    char path[PATH_BYTES];

    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        join(path, sizeof(path), NEW_ROOT, kept[i], NULL, NULL);
        CALL(mkdirat, AT_FDCWD, path, 0755, 0);
        CALL5(mount, kept[i], path, NULL, MS_MOVE, NULL);
    }
    CALL(chdir, NEW_ROOT, 0, 0, 0);
    CALL5(mount, ".", "/", NULL, MS_MOVE, NULL);
    CALL(chroot, ".", 0, 0, 0);
    CALL(chdir, "/", 0, 0, 0);
}

void change_root(void)
{
    static char types[2048];
    char root[PATH_BYTES], options[PATH_BYTES] = "", word[8], path[PATH_BYTES], error[24];

    if (read_text("/proc/cmdline", line, sizeof(line)) <= 0 ||
        !find_word("root=", root, sizeof(root))) {
        return;
    }
    unsigned long flags = find_word("rw", word, sizeof(word)) ? 0 : MS_RDONLY;

    load_module("virtio_blk");
    make_device(root);
    find_word("rootflags=", options, sizeof(options));
    if (!find_word("rootfstype=", types, sizeof(types))) {
        load_module("ext4"); // the most usual one, so that none before it complains
        join(types, sizeof(types), "ext4\n", NULL, NULL, NULL);
        read_text("/proc/filesystems", types + 5, sizeof(types) - 5);
    }
    CALL(mkdirat, AT_FDCWD, NEW_ROOT, 0755, 0);
    long r = try_types(root, types, flags, options);
    if (r < 0) {
        number_text(error, -r);
        join(path, sizeof(path), ": cannot be mounted (rootfstype= says what it is): error ", error,
             NULL, NULL);
        give_up("root=", root, path);
    }
    enter_root();
}

// ---- at the end

// What the kernel writes as \040 and the like is not put back: such a one is only synced.
void end_file_systems(void)
{
    static char mounts[16384];
    long n = read_text("/proc/self/mounts", mounts, sizeof(mounts));

    CALL(chdir, "/", 0, 0, 0);
    for (char *end = mounts + (n > 0 ? n : 0); end > mounts;) { // the last line first
        char *start = end, *path;

        while (start > mounts && start[-1] != '\n') {
            start--;
        }
        for (path = start; path < end && *path != ' '; path++) {
        }
        path += path < end;
        for (char *at = path; at <= end && *at != '\0'; at++) {
            *at = *at == ' ' ? '\0' : *at;
        }
        if (*path == '/' && !begins(path, "/proc") && !begins(path, "/dev") &&
            !begins(path, "/sys") && CALL(umount2, path, 0, 0, 0) < 0) {
            CALL5(mount, NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
        }
        end = start - (start > mounts);
        *end = '\0';
    }
    CALL(sync, 0, 0, 0, 0);
}
