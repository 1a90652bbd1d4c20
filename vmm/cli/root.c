// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/cli/root.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "firmware/kernel/kernel_version.h"
#include "vmm/cli/stock_kernel.h"
#include "vmm/config/config.h"
#include "vmm/config/options.h"
#include "vmm/config/root_tags.h"

/* Is `path` in the folder, or that itself? What its name has behind the folder's. */
static const char *behind(const char *folder, const char *path)
{
    size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (strncmp(path, folder, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] != '\0' ? path + len : "/";
}

/* ---- directories ---- */

static int find_folder(struct vm_config *c, const char *what, const char **path)
{
    char real[PATH_MAX];
    struct stat st;
    if (realpath(*path, real) == NULL || stat(real, &st) < 0)
        return fail(-errno, "--root: %s%s", what, *path);
    if (!S_ISDIR(st.st_mode))
        return fail_msg(-ENOTDIR, "--root: %s%s: is not a directory", what, *path);
    *path = config_keep(c, "%s", real);
    return *path != NULL ? 0 : -ENOMEM;
}

/* Of those that --root made. */
static struct share_config *find_share(struct vm_config *c, const char *tag)
{
    unsigned i = 0;
    while (strcmp(c->shares[i].tag, tag) != 0)
        i++;
    return &c->shares[i];
}

/* They have the names that the user has given. */
static void place_shares(struct vm_config *c)
{
    find_share(c, ROOT_TAG)->path = c->root.path;
    if (c->root.upper != NULL)
        find_share(c, ROOT_UPPER_TAG)->path = c->root.upper;
}

/* For as long as the process is there. */
static int lock_upper(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(-errno, "--root: overlay=%s", path);
    if (fgetxattr(fd, "user.minivet", NULL, 0) < 0 && errno == EOPNOTSUPP)
        return fail_msg(-EOPNOTSUPP,
                        "--root: overlay=%s: its file system has no extended attributes (user.*): "
                        "take a directory of another, such as ext4, xfs or btrfs",
                        path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fail_msg(-EBUSY, "--root: overlay=%s: another run has it", path);
    return 0;
}

/* ---- modules ---- */

struct search {
    struct vm_config *config;
    char version[KERNEL_VERSION_BYTES];
    char looked[512]; /* where, for people */
};

/* Is it a folder of this kernel's, which depmod has listed? One of another's root leads into that.
 */
static bool try_folder(struct search *s, const char *inside, const char *folder)
{
    char list[PATH_MAX + 16], real[PATH_MAX];
    size_t used = strlen(s->looked);
    snprintf(s->looked + used, sizeof(s->looked) - used, "%s%s", used > 0 ? ", " : "", folder);
    snprintf(list, sizeof(list), "%s/modules.dep", folder);
    if (access(list, R_OK) < 0 || realpath(folder, real) == NULL ||
        (inside != NULL && behind(inside, real) == NULL))
        return false;
    s->config->root.module_folder = config_keep(s->config, "%s", real);
    return s->config->root.module_folder != NULL;
}

/* Below a folder, where every distribution puts them. */
static bool try_below(struct search *s, const char *inside, const char *base)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof(folder), "%s/lib/modules/%s", base, s->version);
    return n < PATH_MAX && try_folder(s, inside, folder);
}

/* Beside the kernel's file: as it lies there in /lib/modules/VERSION, and in a folder of its own.
 */
static bool try_beside(struct search *s, const char *kernel)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(kernel, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - kernel) : 1,
             slash != NULL ? kernel : ".");
    const char *last = strrchr(folder, '/');
    return (last != NULL && strcmp(last + 1, s->version) == 0 && try_folder(s, NULL, folder)) ||
           try_below(s, NULL, folder);
}

static bool find_modules(struct search *s, const char *kernel)
{
    const struct root_config *root = &s->config->root;
    s->looked[0] = '\0';
    if (!kernel_version(kernel, s->version))
        return false;
    const char *inside = strcmp(root->path, "/") != 0 ? root->path : NULL;
    return try_beside(s, kernel) || try_below(s, inside, inside != NULL ? inside : "") ||
           (inside != NULL && try_below(s, NULL, ""));
}

/* What the user has said of them is meant. */
static int given_modules(struct search *s, const char *kernel)
{
    const char *folder = s->config->root.modules;
    bool is_known = kernel_version(kernel, s->version);
    if (try_folder(s, NULL, folder) || (is_known && try_below(s, NULL, folder)))
        return 0;
    return fail_msg(-ENOENT, "--root: modules=%s: no modules.dep there%s%s; depmod makes it",
                    folder, is_known ? ", nor in its lib/modules/" : "",
                    is_known ? s->version : "");
}

/* ---- the kernel ---- */

/* With modules: distributions have nearly all of what is needed as such. */
static bool choose_host_kernel(struct search *s)
{
    static const char *const places[] = {"/boot/vmlinuz-%s", "/lib/modules/%s/vmlinuz"};
    struct utsname host;
    char path[PATH_MAX];
    if (uname(&host) < 0)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        snprintf(path, sizeof(path), i == 0 ? places[0] : places[1], host.release);
        if (access(path, R_OK) == 0 && find_modules(s, path)) {
            s->config->kernel = config_keep(s->config, "%s", path);
            return s->config->kernel != NULL;
        }
    }
    return false;
}

static int choose_kernel(struct vm_config *c, struct stock_kernel *stock)
{
    struct search s = {.config = c};
    int r = 0;
    if (c->kernel == NULL && (c->root.modules != NULL || !choose_host_kernel(&s)))
        r = stock_kernel_choose(stock, c);
    if (r == 0 && c->root.modules != NULL)
        r = given_modules(&s, c->kernel);
    if (r < 0)
        return r;
    bool found = c->root.module_folder != NULL || find_modules(&s, c->kernel);
    c->root.note =
        found ? config_keep(c, "its modules are from %s", c->root.module_folder)
        : s.version[0] != '\0'
            ? config_keep(c, "its modules were looked for in %s: say --root DIR,modules=DIR",
                          s.looked)
            : config_keep(c,
                          "%s does not say which version it is: say where its modules are with "
                          "--root DIR,modules=DIR",
                          c->kernel);
    if (c->root.note != NULL)
        log_info("--root %s: kernel %s, %s", c->root.path, c->kernel, c->root.note);
    return c->root.note != NULL ? 0 : -ENOMEM;
}

/* What the kernel has besides is for the guest's modprobe, where the root does not have it and a
 * folder can be made for it. */
static void share_modules(struct vm_config *c)
{
    char own[PATH_MAX + 32], real[PATH_MAX];
    struct root_config *root = &c->root;
    const char *slash = root->module_folder != NULL ? strrchr(root->module_folder, '/') : NULL;
    if (slash == NULL || root->writes == ROOT_LIVE || root->writes == ROOT_REFUSED ||
        c->share_count == CONFIG_MAX_SHARES)
        return;
    snprintf(own, sizeof(own), "%s/lib/modules%s", root->path, slash);
    if (realpath(own, real) != NULL && strcmp(real, root->module_folder) == 0)
        return;
    struct share_config *share = &c->shares[c->share_count];
    *share = *find_share(c, ROOT_TAG); /* but for ... */
    share->path = root->module_folder;
    snprintf(share->tag, sizeof(share->tag), ROOT_MODULES_TAG);
    c->share_count++;
    root->has_library = true;
}

/* ---- the command ---- */

/* Is it there in the guest's root, too? */
static bool is_inside(const struct root_config *root, const char *path, int mode)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", strcmp(root->path, "/") != 0 ? root->path : "", path);
    return path[0] == '/' && access(full, mode) == 0;
}

static cJSON *new_list(struct vm_config *c)
{
    cJSON *list = cJSON_CreateArray();
    if (list != NULL && cJSON_AddItemToArray(c->texts, list))
        return list;
    cJSON_Delete(list);
    fail(-ENOMEM, "--root");
    return NULL;
}

static int add(cJSON *list, const char *name, const char *value)
{
    char *text = NULL;
    cJSON *item = asprintf(&text, "%s%s", name, value) >= 0 ? cJSON_CreateString(text) : NULL;
    free(text);
    if (item != NULL && cJSON_AddItemToArray(list, item))
        return 0;
    cJSON_Delete(item);
    return fail(-ENOMEM, "--root");
}

/* The user's shell, if it is there; what config_parse() has put there is /bin/sh. */
static int choose_shell(struct vm_config *c)
{
    const char *shell = getenv("SHELL");
    if (!c->root.is_shell || shell == NULL || !is_inside(&c->root, shell, X_OK))
        return 0;
    cJSON *words = new_list(c);
    c->command = words;
    return words != NULL ? add(words, shell, "") : -ENOMEM;
}

/* What the guest has of its own. */
static int choose_cwd(struct vm_config *c)
{
    static const char *const fresh[] = {"/proc", "/sys", "/dev", "/run"};
    char cwd[PATH_MAX];
    const char *at = getcwd(cwd, sizeof(cwd)) != NULL ? behind(c->root.path, cwd) : NULL;
    if (c->cwd != NULL || at == NULL)
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(fresh); i++)
        if (behind(fresh[i], at) != NULL)
            return 0;
    c->cwd = config_keep(c, "%s", at);
    return c->cwd != NULL ? 0 : -ENOMEM;
}

/* Names, or with a '*' what names begin with: they tell of this host's session, which the guest has
 * not; of who runs the command, which is root there; or of a make around Minivet. */
static const char *const left_out[] = {
    "DISPLAY",
    "WAYLAND_*",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_*",
    "XDG_SEAT*",
    "XDG_VTNR",
    "DBUS_*",
    "SESSION_MANAGER",
    "SSH_*",
    "GPG_*",
    "TMUX*",
    "STY",
    "WINDOW",
    "NOTIFY_SOCKET",
    "LISTEN_*",
    "SYSTEMD_*",
    "MAINPID",
    "SUDO_*",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "_",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "USER",
    "LOGNAME",
    "MAIL",
    "HOME",
    "PATH",
    "TERM",
    "TMPDIR",
};

static bool is_left_out(const char *variable)
{
    size_t len = strcspn(variable, "=");
    for (unsigned i = 0; i < ARRAY_SIZE(left_out); i++) {
        size_t n = strcspn(left_out[i], "*");
        if (strncmp(variable, left_out[i], n) == 0 && (left_out[i][n] == '*' || len == n))
            return true;
    }
    return false;
}

/* The command is root's, who finds its programs in these, too. */
static int add_path(cJSON *list)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
    char path[8192];
    const char *own = getenv("PATH");
    if (own == NULL || own[0] == '\0' || strlen(own) > sizeof(path) / 2)
        return 0;
    snprintf(path, sizeof(path), ":%s:", own);
    for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
        char with[32];
        snprintf(with, sizeof(with), ":%s:", folders[i]);
        if (strstr(path, with) == NULL)
            strcat(strcat(path, folders[i]), ":");
    }
    path[strlen(path) - 1] = '\0';
    return add(list, "PATH=", path + 1);
}

static int choose_env(struct vm_config *c)
{
    cJSON *list = new_list(c);
    const char *home = getenv("HOME");
    const cJSON *item;
    int r = list != NULL ? add_path(list) : -ENOMEM;
    for (char **v = environ; r == 0 && *v != NULL; v++)
        if (!is_left_out(*v) && strchr(*v, '=') != NULL)
            r = add(list, *v, "");
    if (r == 0 && home != NULL && is_inside(&c->root, home, X_OK))
        r = add(list, "HOME=", home);
    if (r == 0)
        r = add(list, "USER=", "root");
    if (r == 0)
        r = add(list, "LOGNAME=", "root");
    cJSON_ArrayForEach(item, c->env)
    {
        if (r == 0)
            r = add(list, item->valuestring, "");
    }
    c->env = list;
    return r;
}

/* ---- all of it ---- */

int root_choose(struct vm_config *c, struct stock_kernel *stock)
{
    int r = find_folder(c, "", &c->root.path);
    if (r == 0 && c->root.upper != NULL)
        r = find_folder(c, "overlay=", &c->root.upper);
    if (r == 0 && c->root.modules != NULL)
        r = find_folder(c, "modules=", &c->root.modules);
    if (r == 0 && c->root.upper != NULL)
        r = lock_upper(c->root.upper);
    if (r < 0)
        return r;
    place_shares(c);
    r = choose_kernel(c, stock);
    if (r == 0)
        share_modules(c);
    if (r == 0)
        r = choose_shell(c);
    if (r == 0)
        r = choose_cwd(c);
    return r == 0 ? choose_env(c) : r;
}
