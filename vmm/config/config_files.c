// SPDX-License-Identifier: BSD-2-Clause
/* The files that a command line names: none of them is written to that should not be. */
#include <errno.h>
#include <sys/stat.h>

#include "core/base/fail.h"
#include "core/output/outputs.h"
#include "vmm/config/config.h"

#define FILES_MAX                                                                         \
    (10 + CONFIG_MAX_DISKS + 2 * CONFIG_MAX_NETS + CONFIG_MAX_SHARES + CONFIG_MAX_PORTS + \
     BOARD_FILES_MAX)

static bool is_written(const struct disk_config *d)
{
    return !d->read_only && !d->snapshot;
}

/* A file that a disk writes to is one disk only. */
static int check_disks(const struct vm_config *c)
{
    for (unsigned i = 0; i < c->disk_count; i++) {
        struct stat a, b;
        const struct disk_config *d = &c->disks[i];
        if (d->kind != DISK_FILE || stat(d->path, &a) < 0)
            continue;
        for (unsigned j = 0; j < i; j++) {
            const struct disk_config *e = &c->disks[j];
            if (e->kind == DISK_FILE && (is_written(d) || is_written(e)) &&
                stat(e->path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
                return fail_msg(-EINVAL,
                                "--disk %s: is the file of --disk %s, too; that takes ro or "
                                "snapshot=on for both",
                                d->path, e->path);
        }
    }
    return 0;
}

int config_check_files(const struct vm_config *c)
{
    bool drawn = timeline_format_of(c->timeline_path) == TIMELINE_PLOT;
    struct named_file files[FILES_MAX] = {
        {FILE_INPUT, "--kernel", c->kernel},
        {FILE_INPUT, "--initrd", c->initrd},
        {FILE_INPUT, "--dtb", c->dtb},
        {FILE_INPUT, "--dtb-overlay", c->dtb_overlay},
        {FILE_TREE, "--dump-dtb", c->dump_dtb},
        {FILE_INPUT, "--ctl", c->control},
        {FILE_INPUT, "--vsock", vsock_config_of(c)->path},
        {FILE_RECORDING, "--record", c->record},
        {FILE_LOG, "--log", c->log},
        {drawn ? FILE_DRAWING : FILE_JSON, "--timeline", c->timeline_path},
    };
    unsigned count = 10;
    for (unsigned i = 0; i < c->disk_count; i++) {
        const struct disk_config *d = &c->disks[i];
        files[count++] =
            (struct named_file){FILE_INPUT, "--disk", d->kind != DISK_NULL ? d->path : NULL};
    }
    for (unsigned i = 0; i < c->net_count; i++) {
        const struct net_config *n = &c->nets[i];
        bool has_socket = n->kind == NET_SOCKET || n->kind == NET_VHOST_USER;
        files[count++] = (struct named_file){FILE_INPUT, "--net", has_socket ? n->target : NULL};
        files[count++] = (struct named_file){FILE_CAPTURE, "pcap", n->pcap};
    }
    for (unsigned i = 0; i < c->share_count; i++)
        files[count++] = (struct named_file){FILE_INPUT, "--share", c->shares[i].path};
    for (unsigned i = 0; i < c->port_count; i++) {
        const struct port_config *p = &c->ports[i];
        files[count++] = (struct named_file){p->kind == CHR_FILE ? FILE_LOG : FILE_INPUT, "--port",
                                             p->kind != CHR_NULL ? p->paths[p->kind] : NULL};
    }
    for (unsigned i = 0; i < c->file_count; i++)
        files[count++] = (struct named_file){FILE_INPUT, "--fw-cfg", c->files[i].path};
    int r = outputs_check(files, count);
    return r == 0 ? check_disks(c) : r;
}
