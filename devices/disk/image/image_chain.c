// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/image/image_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "devices/disk/image/image_header.h"

/* Where in the chain we are. */
struct step {
    const struct image_chain_config *config;
    struct image_chain *chain;
    struct image_facts facts; /* of the last image that was read */
    char *path;               /* of the next */
    char format[16];
};

/* A device or a pipe may do something when it is opened: what it is, is asked before. */
static int open_on_host(void *ctx, const char *path, bool writable)
{
    struct stat st;
    char again[32];
    (void)ctx;
    int look = open(path, O_PATH | O_CLOEXEC);
    if (look < 0)
        return -errno;
    int fd = fstat(look, &st) != 0 ? -errno : -EMEDIUMTYPE;
    if (fd == -EMEDIUMTYPE && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
        snprintf(again, sizeof(again), "/proc/self/fd/%d", look);
        fd = open(again, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            fd = -errno;
    }
    close(look);
    return fd;
}

/* The end of a file; a block device says it so, too. */
static int learn(struct image_link *link, uint64_t *bytes)
{
    struct stat st;
    off_t end = lseek(link->fd, 0, SEEK_END);
    if (end < 0 || fstat(link->fd, &st) != 0)
        return -errno;
    link->is_device = S_ISBLK(st.st_mode);
    link->dev = st.st_dev;
    link->ino = st.st_ino;
    *bytes = (uint64_t)end;
    return 0;
}

static bool is_loop(const struct image_chain *chain, const struct image_link *link)
{
    for (unsigned i = 0; i < chain->count; i++)
        if (chain->links[i].dev == link->dev && chain->links[i].ino == link->ino)
            return true;
    return false;
}

/* For messages: the disk, or an image below it. */
static const char *subject(const struct step *s, char *text, size_t bytes)
{
    if (s->chain->count == 0)
        snprintf(text, bytes, "disk %s", s->config->name);
    else
        snprintf(text, bytes, "disk %s: backing file %s", s->config->name, s->path);
    return text;
}

static int read_link(struct step *s, struct image_link *link, const char *what)
{
    uint64_t bytes = 0;
    int err = learn(link, &bytes);
    if (err != 0)
        return fail(err, "%s", what);
    if (is_loop(s->chain, link))
        return fail_msg(-ELOOP, "%s: it is in the chain already", what);
    err = image_header_read(&s->facts, s->format, link->fd, bytes);
    return err != 0 ? fail_msg(err, "%s: format=%s: %s", what, s->format, s->facts.why) : 0;
}

/* Opens what s->path names and learns what its header says. */
static int add_link(struct step *s)
{
    const struct image_chain_config *c = s->config;
    bool writable = s->chain->count == 0 && !c->read_only;
    struct image_link link = {0};
    char what[512];
    subject(s, what, sizeof(what));
    if (s->chain->count == IMAGE_CHAIN_MAX)
        return fail_msg(-ELOOP, "%s: more than %u images in a chain", what, IMAGE_CHAIN_MAX);
    link.fd = (c->open != NULL ? c->open : open_on_host)(c->open_ctx, s->path, writable);
    if (link.fd == -EMEDIUMTYPE)
        return fail_msg(-EMEDIUMTYPE, "%s: it is neither a file nor a block device", what);
    if (writable && (link.fd == -EACCES || link.fd == -EPERM || link.fd == -EROFS))
        return fail(link.fd, "%s: open for writing (,ro asks for less)", what);
    if (link.fd < 0)
        return fail(link.fd, "%s: open", what);
    memcpy(link.format, s->format, sizeof(link.format));
    int err = read_link(s, &link, what);
    if (err != 0) {
        close(link.fd);
        return err;
    }
    s->chain->links[s->chain->count++] = link;
    return 0;
}

/* "nbd:...", "json:{...}", "https://...": a colon before any slash, as qemu has it. */
static bool has_protocol(const char *name)
{
    return name[strcspn(name, ":/")] == ':';
}

/* May the name be followed? */
static int check_backing(const struct step *s)
{
    const char *disk = s->config->name, *name = s->facts.backing;
    const char *format = s->facts.backing_format;
    if (has_protocol(name))
        return fail_msg(-EINVAL,
                        "disk %s: %s is named as a backing file: only names of files are followed",
                        disk, name);
    if (!s->config->backing)
        return fail_msg(-EINVAL,
                        "disk %s: it names a backing file, %s; if you trust that name, add "
                        "backing=on",
                        disk, name);
    if (format[0] == '\0' && strcmp(s->format, "qed") == 0)
        return fail_msg(
            -EINVAL,
            "disk %s: the format of the backing file %s is not said, and in a qed image "
            "only raw can be: qemu-img convert -O qcow2 makes one of both",
            disk, name);
    if (format[0] == '\0')
        return fail_msg(-EINVAL,
                        "disk %s: the format of the backing file %s is not said: qemu-img rebase "
                        "-u -b FILE -F FORMAT IMAGE says it",
                        disk, name);
    if (!image_format_is_known(format))
        return fail_msg(-EINVAL, "disk %s: backing file %s: format %s: the formats are %s", disk,
                        name, format, IMAGE_FORMATS);
    return 0;
}

/* From the image that was read to its backing file. */
static int go_down(struct step *s)
{
    const char *slash = strrchr(s->path, '/');
    int folder = slash == NULL || s->facts.backing[0] == '/' ? 0 : (int)(slash + 1 - s->path);
    char *next = NULL;
    int err = check_backing(s);
    if (err != 0)
        return err;
    if (asprintf(&next, "%.*s%s", folder, s->path, s->facts.backing) < 0)
        return fail(-ENOMEM, "disk %s", s->config->name);
    free(s->path);
    s->path = next;
    memcpy(s->format, s->facts.backing_format, sizeof(s->format));
    return 0;
}

int image_chain_open(struct image_chain *chain, const struct image_chain_config *config)
{
    struct step s = {.config = config, .chain = chain};
    *chain = (struct image_chain){0};
    if (!image_format_is_known(config->format))
        return fail_msg(-EINVAL, "disk %s: format=%s: the formats are %s", config->name,
                        config->format, IMAGE_FORMATS);
    s.path = strdup(config->path);
    if (s.path == NULL)
        return fail(-ENOMEM, "disk %s", config->name);
    snprintf(s.format, sizeof(s.format), "%s", config->format);
    int err = add_link(&s);
    while (err == 0 && s.facts.has_backing) {
        err = go_down(&s);
        if (err == 0)
            err = add_link(&s);
    }
    free(s.path);
    if (err != 0)
        image_chain_close(chain);
    return err;
}

void image_chain_close(struct image_chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        close(chain->links[i].fd);
    chain->count = 0;
}
