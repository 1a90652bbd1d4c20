// SPDX-License-Identifier: BSD-2-Clause
/* --share DIR,KEY,...: a directory of the host in the guest, and by which tag it is mounted. */
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/text.h"
#include "virtio/base/device.h"
#include "virtio/fs/fs.h"
#include "vmm/config/options.h"

_Static_assert(CONFIG_TAG_BYTES == VIRTIO_FS_TAG_BYTES, "as long as the device has it");

#define AT(member) SCHEMA_AT(struct share_config, member)

static bool is_tag(const char *text)
{
    unsigned bytes = 1;
    for (; *text != '\0' && bytes > 0; text += bytes)
        bytes = (unsigned char)*text < ' ' || *text == 0x7f ? 0 : text_utf8_bytes(text);
    return bytes > 0;
}

static int set_tag(void *into, const char *value)
{
    struct share_config *share = into;
    size_t length = strlen(value);
    if (length == 0 || length > CONFIG_TAG_BYTES || !is_tag(value))
        return -EINVAL;
    memcpy(share->tag, value, length + 1);
    return 0;
}

static const struct schema_key kinds[] = {
    /* enum share_kind */
    {"path", "DIR", SCHEMA_FILE, AT(path), .min = 1, .expected = "a directory",
     .help = "A directory of the host; what is below it, and nothing else, is in the guest"},
    {"vhost-user", "SOCKET", SCHEMA_FILE, AT(path), .min = 1, .expected = "a socket's name",
     .help = "What a vhost-user server, such as virtiofsd, shares"},
    {0},
};

static const struct schema_key keys[] = {
    {"tag", "NAME", SCHEMA_TEXT, .set = set_tag, .expected = "1 to 36 bytes of UTF-8",
     .help = "What the guest mounts it by, at most 36 bytes: mount -t virtiofs NAME /mnt; without, "
             "the last part of DIR"},
    {"ro", NULL, SCHEMA_SWITCH, AT(read_only), .help = "Read-only"},
    {"uid", "map|none|xattr", SCHEMA_WORD, AT(uid), .usual = "map",
     .help =
         "Owners of files: Minivet's user is the guest's root; all are as on the host; or as the "
         "guest sets them, kept in extended attributes"},
    {"xattr", "on|off", SCHEMA_SWITCH, AT(xattr), .usual = "off",
     .help = "on: the guest has the extended attributes user.* of files"},
    {"cache", "auto|always|never", SCHEMA_WORD, AT(cache), .usual = "auto",
     .help = "What the guest keeps: names for a second, and data until a file's time changes; all, "
             "as if no one else changed the files; or nothing"},
    {"writeback", "on|off", SCHEMA_SWITCH, AT(writeback), .usual = "off",
     .help = "on: what is written may stay in the guest for a while"},
    {"locks", "on|off", SCHEMA_SWITCH, AT(locks), .usual = "off",
     .help = "on: locks of files hold against processes of the host and other guests, too"},
    {"queues", "N", SCHEMA_NUMBER, AT(queues), .min = 1,
     .max = VIRTIO_QUEUES_MAX - VIRTIO_FS_REQUESTS, .usual = "1",
     .help = "Queues for requests, 1 to 63"},
    {0},
};

const struct schema_table config_share_tables[] = {
    {.keys = kinds, .is_first = true},
    {.keys = keys},
    {.keys = config_virtio_keys, .base = offsetof(struct share_config, virtio)},
    {0},
};

/* What the server of another process decides. */
static int check_vhost_user(const struct share_config *share)
{
    if (share->tag[0] == '\0')
        return fail_msg(-EINVAL, "--share vhost-user=%s: has no tag; say tag=NAME", share->path);
    if (share->read_only || share->uid != SHARE_IDS_MAP || share->xattr ||
        share->cache != SHARE_CACHES_AUTO || share->writeback || share->locks)
        return fail_msg(-EINVAL,
                        "--share vhost-user=%s: ro, uid, xattr, cache, writeback and locks are the "
                        "server's to decide; say them to that",
                        share->path);
    return 0;
}

int config_apply_share(struct vm_config *c, const struct schema_key *option,
                       const struct cJSON *list)
{
    if (c->share_count == CONFIG_MAX_SHARES)
        return fail_msg(-EINVAL, "--share: at most %d of them", CONFIG_MAX_SHARES);
    struct share_config *share = &c->shares[c->share_count++];
    *share = (struct share_config){.queues = 1};
    int kind = config_take(option, share, list);
    if (kind < 0)
        return kind;
    share->kind = (enum share_kind)kind;
    return share->kind == SHARE_VHOST_USER ? check_vhost_user(share) : 0;
}

/* ---- tags ---- */

static bool is_taken(const struct vm_config *c, const struct share_config *share)
{
    for (unsigned i = 0; i < c->share_count; i++)
        if (&c->shares[i] != share && strcmp(c->shares[i].tag, share->tag) == 0)
            return true;
    return false;
}

/* The last part of the path, or what says as much of it; its length. */
static const char *last_part(const char *path, size_t *length)
{
    const char *end = path + strlen(path), *name = path;
    while (end > path && end[-1] == '/')
        end--;
    for (const char *at = path; at < end; at++)
        if (*at == '/')
            name = at + 1;
    *length = (size_t)(end - name);
    const char *other = NULL;
    if (*length == 0)
        other = "root";
    else if (strspn(name, ".") >= *length)
        other = "share";
    if (other == NULL)
        return name;
    *length = strlen(other);
    return other;
}

/* Cut at a character, so that the suffix finds room. */
static void name_tag(struct share_config *share, const char *name, size_t length,
                     const char *suffix)
{
    size_t room = CONFIG_TAG_BYTES - strlen(suffix), used = 0, next;
    while (used < length && (next = used + text_utf8_bytes(name + used)) <= room)
        used = next;
    snprintf(share->tag, sizeof(share->tag), "%.*s%s", (int)used, name, suffix);
}

static int make_tag(struct vm_config *c, struct share_config *share)
{
    size_t length;
    const char *name = last_part(share->path, &length);
    if (!is_tag(name))
        return fail_msg(-EINVAL, "--share %s: its name is no tag; say tag=NAME", share->path);
    name_tag(share, name, length, "");
    for (unsigned n = 2; is_taken(c, share); n++) {
        char suffix[16];
        snprintf(suffix, sizeof(suffix), "-%u", n);
        name_tag(share, name, length, suffix);
    }
    return 0;
}

int config_resolve_shares(struct vm_config *c)
{
    int r = 0;
    for (unsigned i = 0; i < c->share_count; i++) {
        const struct share_config *share = &c->shares[i];
        if (share->tag[0] != '\0' && is_taken(c, share))
            return fail_msg(-EINVAL, "--share %s: tag=%s: is there twice; give another tag",
                            share->path, share->tag);
    }
    for (unsigned i = 0; r == 0 && i < c->share_count; i++)
        if (c->shares[i].tag[0] == '\0')
            r = make_tag(c, &c->shares[i]);
    return r;
}
