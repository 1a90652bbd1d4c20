// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

/* What Landlock has learnt since Debian 12's kernel headers. */
#define FS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_TCP      UINT64_C(3)         /* ABI 4: bind, connect */
#define SCOPE_ALL    UINT64_C(3)         /* ABI 6: abstract sockets, signals */

#define FS_ABI_1 (LANDLOCK_ACCESS_FS_REFER - 1) /* all bits below it */
#define FS_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define FS_MAKE                                                                                 \
    (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define FS_ALL                                                                \
    (FS_MAKE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_REFER)
#define FS_OF_FILES \
    (FS_WRITE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | FS_IOCTL_DEV)

/* Programs that take cores through a pipe get them whatever the limit is, but for this one. */
#define CORE_MAX 1u

struct landlock_rules {
    uint64_t fs, net, scoped;
};

struct confine {
    int rules; /* -1: no Landlock */
    uint64_t memory_max_bytes, private_max_bytes, open_files_max, core_max, capabilities;
    struct sock_fprog filter;
};

/* ---- files ---- */

int confine_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

bool confine_restricts_files(void)
{
    return confine_landlock_abi() > 0;
}

/* A kernel refuses what it does not know, even zeroes behind it not. */
static struct landlock_rules rules_of(int abi)
{
    struct landlock_rules all = {.fs = FS_ABI_1};
    if (abi >= 2)
        all.fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all.fs |= FS_TRUNCATE;
    if (abi >= 4)
        all.net = NET_TCP;
    if (abi >= 5)
        all.fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        all.scoped = SCOPE_ALL;
    return all;
}

static uint64_t fs_rights(unsigned rights)
{
    if ((rights & CONFINE_ALL) != 0)
        rights |= CONFINE_READ | CONFINE_WRITE | CONFINE_MAKE;
    return ((rights & CONFINE_ALL) != 0 ? FS_ALL : 0) |
           ((rights & CONFINE_MAKE) != 0 ? FS_MAKE : 0) |
           ((rights & CONFINE_READ) != 0 ? FS_READ : 0) |
           ((rights & CONFINE_WRITE) != 0 ? FS_WRITE : 0) |
           ((rights & CONFINE_EXEC) != 0 ? LANDLOCK_ACCESS_FS_EXECUTE : 0) |
           ((rights & CONFINE_CONTROL) != 0 ? FS_IOCTL_DEV : 0);
}

static int add_open(int rules, int fd, uint64_t rights)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(st.st_mode) ? rights : rights & FS_OF_FILES,
        .parent_fd = fd,
    };
    if (rule.allowed_access == 0)
        return 0;
    long r = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    /* A pipe or a socket is in no file system: no rule is about it. */
    return r == 0 || errno == EBADFD ? 0 : -errno;
}

static int add_path(int rules, const struct confine_path *path, uint64_t known)
{
    uint64_t rights = fs_rights(path->rights) & known;
    if (path->path == NULL)
        return add_open(rules, path->fd, rights);
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int err = add_open(rules, fd, rights);
    close(fd);
    return err;
}

static int make_rules(struct confine *c, const struct confine_policy *policy)
{
    int abi = confine_landlock_abi();
    if (abi == 0)
        return 0;
    struct landlock_rules all = rules_of(abi);
    if (policy->network)
        all.net = 0;
    if (policy->reaches_out)
        all.scoped = 0;
    size_t bytes = abi >= 6 ? sizeof(all) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    c->rules = (int)syscall(SYS_landlock_create_ruleset, &all, bytes, 0);
    if (c->rules < 0)
        return fail(-errno, "%s: Landlock", policy->name);
    for (size_t i = 0; i < policy->path_count; i++) {
        int err = add_path(c->rules, &policy->paths[i], all.fs);
        if (err != 0)
            return fail(err, "%s: Landlock: %s", policy->name,
                        policy->paths[i].path != NULL ? policy->paths[i].path : "an open file");
    }
    return 0;
}

/* ---- system calls ---- */

static int allow(scmp_filter_ctx ctx, const struct confine_call *call)
{
    int number = seccomp_syscall_resolve_name(call->name);
    if (number < 0)
        return 0;
    struct scmp_arg_cmp want = {
        .arg = call->arg - 1,
        .op = SCMP_CMP_MASKED_EQ,
        .datum_a = call->mask,
        .datum_b = call->value,
    };
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, call->arg != 0, &want);
}

static int add_calls(scmp_filter_ctx ctx, const struct confine_policy *policy)
{
    int err = 0;
    for (const struct confine_call *call = policy->calls; call->name[0] != '\0' && err == 0; call++)
        err = allow(ctx, call);
    struct scmp_arg_cmp path = {.op = SCMP_CMP_EQ, .datum_a = (uintptr_t)policy->program};
    if (err == 0 && policy->program != NULL)
        err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(execve), 1, &path);
    return err;
}

/* The library writes filters to descriptors only. */
static int read_filter(struct confine *c, scmp_filter_ctx ctx)
{
    struct stat st;
    int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = seccomp_export_bpf(ctx, fd);
    if (err == 0 && fstat(fd, &st) != 0)
        err = -errno;
    if (err == 0) {
        size_t bytes = (size_t)st.st_size;
        c->filter.filter = malloc(bytes);
        c->filter.len = (unsigned short)(bytes / sizeof(struct sock_filter));
        if (c->filter.filter == NULL)
            err = -ENOMEM;
        else if (pread(fd, c->filter.filter, bytes, 0) != (ssize_t)bytes)
            err = -EIO;
    }
    close(fd);
    return err;
}

static int make_filter(struct confine *c, const struct confine_policy *policy)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int err = ctx == NULL ? -ENOMEM : add_calls(ctx, policy);
    if (err == 0)
        err = read_filter(c, ctx);
    seccomp_release(ctx);
    return err != 0 ? fail(err, "%s: seccomp filter", policy->name) : 0;
}

/* ---- life ---- */

int confine_prepare(struct confine **out, const struct confine_policy *policy)
{
    struct confine *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "%s: confinement", policy->name);
    c->rules = -1;
    c->memory_max_bytes = policy->memory_max_bytes;
    c->private_max_bytes = policy->private_max_bytes;
    c->open_files_max = policy->open_files_max;
    c->core_max = policy->keeps_core ? 0 : CORE_MAX;
    c->capabilities = policy->capabilities;
    int err = make_rules(c, policy);
    if (err == 0 && policy->calls != NULL)
        err = make_filter(c, policy);
    if (err != 0) {
        confine_destroy(c);
        return err;
    }
    *out = c;
    return 0;
}

/* A limit that is lower already stays. */
static int limit(__rlimit_resource_t what, uint64_t max)
{
    struct rlimit now;
    if (max == 0)
        return 0;
    if (getrlimit(what, &now) != 0)
        return -1;
    now.rlim_max = min_u64(now.rlim_max, max);
    now.rlim_cur = min_u64(now.rlim_cur, max);
    return setrlimit(what, &now);
}

/*
 * What a child of root's keeps: it opens files of other users' that Landlock lets it open, and
 * listens on small ports. Without new privileges, what it executes gets no more.
 */
static int drop_capabilities(uint64_t kept)
{
    kept |= UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_NET_BIND_SERVICE;
    struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2];
    if (syscall(SYS_capget, &self, caps) != 0)
        return -1;
    for (unsigned i = 0; i < ARRAY_SIZE(caps); i++, kept >>= 32) {
        caps[i].effective &= (uint32_t)kept;
        caps[i].permitted &= (uint32_t)kept;
        caps[i].inheritable = 0;
    }
    return (int)syscall(SYS_capset, &self, caps);
}

int confine_apply(const struct confine *c)
{
    if (limit(RLIMIT_CORE, c->core_max) != 0 || limit(RLIMIT_AS, c->memory_max_bytes) != 0 ||
        limit(RLIMIT_DATA, c->private_max_bytes) != 0 ||
        limit(RLIMIT_NOFILE, c->open_files_max) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || drop_capabilities(c->capabilities) != 0 ||
        (c->rules >= 0 && syscall(SYS_landlock_restrict_self, c->rules, 0) != 0) ||
        (c->filter.filter != NULL &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &c->filter) != 0))
        return -errno;
    return 0;
}

void confine_destroy(struct confine *c)
{
    if (c == NULL)
        return;
    if (c->rules >= 0)
        close(c->rules);
    free(c->filter.filter);
    free(c);
}
