// SPDX-License-Identifier: BSD-2-Clause
/* What the daemon is told: each image of the chain by its descriptor, with the node below it. */
#include <cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/disk/image/image_header.h"
#include "devices/disk/image/storage_daemon_impl.h"

#define FD_NAME_MAX 32u

static void fd_name(char name[FD_NAME_MAX], int fd)
{
    snprintf(name, FD_NAME_MAX, "/proc/self/fd/%d", fd);
}

/* The daemon does not fall back by itself where a file system refuses it. */
static bool can_be_direct(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void set_access(cJSON *node, bool read_only)
{
    cJSON_AddBoolToObject(node, "read-only", read_only);
    if (!read_only)
        cJSON_AddStringToObject(node, "discard", "unmap");
}

static cJSON *link_node(const struct image_link *link, bool read_only, bool direct)
{
    char name[FD_NAME_MAX];
    fd_name(name, link->fd);
    cJSON *node = cJSON_CreateObject();
    cJSON_AddStringToObject(node, "driver", link->format);
    set_access(node, read_only);
    cJSON *file = cJSON_AddObjectToObject(node, "file");
    cJSON_AddStringToObject(file, "driver", link->is_device ? "host_device" : "file");
    cJSON_AddStringToObject(file, "filename", name);
    set_access(file, read_only);
    cJSON *cache = cJSON_AddObjectToObject(file, "cache");
    cJSON_AddBoolToObject(cache, "direct", direct && can_be_direct(name));
    return node;
}

/* "backing": null keeps the daemon from what the header says, now or later. */
char *storage_daemon_blockdev(const struct storage_daemon_config *config,
                              const struct image_chain *chain)
{
    cJSON *node = NULL;
    for (unsigned i = chain->count; i-- > 0;) {
        const struct image_link *link = &chain->links[i];
        cJSON *below = node;
        node = link_node(link, i > 0 || config->read_only, config->direct);
        if (image_format_has_backing(link->format) && !config->unchecked)
            cJSON_AddItemToObject(node, "backing", below != NULL ? below : cJSON_CreateNull());
    }
    cJSON_AddStringToObject(node, "node-name", "disk");
    char *text = cJSON_PrintUnformatted(node);
    cJSON_Delete(node);
    return text;
}

char *storage_daemon_export(const struct storage_daemon *d, int listener)
{
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", listener);
    cJSON *top = cJSON_CreateObject();
    cJSON_AddStringToObject(top, "type", "vhost-user-blk");
    cJSON_AddStringToObject(top, "id", "disk");
    cJSON_AddStringToObject(top, "node-name", "disk");
    cJSON_AddBoolToObject(top, "writable", !d->read_only);
    cJSON_AddNumberToObject(top, "num-queues", d->queues != 0 ? d->queues : 1);
    cJSON *addr = cJSON_AddObjectToObject(top, "addr");
    cJSON_AddStringToObject(addr, "type", "fd");
    cJSON_AddStringToObject(addr, "str", fd);
    char *text = cJSON_PrintUnformatted(top);
    cJSON_Delete(top);
    return text;
}
