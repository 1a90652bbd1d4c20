// SPDX-License-Identifier: BSD-2-Clause
/* The files that a command line names: none of them is written to that should not be. */
#include "core/outputs.h"
#include "vmm/config.h"
#include "vmm/timeline.h"

#define FILES_MAX (4 + CONFIG_MAX_DISKS + 2 * CONFIG_MAX_NETS)

int config_check_files(const struct vm_config *c)
{
    bool drawn = timeline_format_of(c->timeline_path) == TIMELINE_PLOT;
    struct named_file files[FILES_MAX] = {
        {FILE_INPUT, "--kernel", c->kernel},
        {FILE_INPUT, "--initrd", c->initrd},
        {FILE_RECORDING, "--record", c->record},
        {drawn ? FILE_DRAWING : FILE_JSON, "--timeline", c->timeline_path},
    };
    unsigned count = 4;
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
    return outputs_check(files, count);
}
