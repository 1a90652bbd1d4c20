// SPDX-License-Identifier: BSD-2-Clause
/* A share of the directory "shared" in the test's own folder, and a FUSE client of it. */
#ifndef MINIVET_TESTS_SHARE_RIG_H
#define MINIVET_TESTS_SHARE_RIG_H

#include <stdbool.h>

#include "devices/share/share_dir.h"
#include "tests/harness/fusereq.h"

#define ROOT FUSE_ROOT_ID

extern struct share_rig {
    struct evloop *loop;
    struct share *share;
    struct fuse_client client;
    unsigned fds; /* before there was anything */
} rig;

/* What is 0 in `config` has a usual value. */
void share_rig_open(struct share_dir_config config);
/* Resets and destroys all: no descriptor may be left. */
void share_rig_close(void);

unsigned share_rig_fds(void);

void write_file(const char *path, const char *text);
/* Does a file of the host have just that text? */
bool has_text(const char *path, const char *text);
/* A message whose argument is a structure, and one with text behind it. */
#define CALL(opcode, node, in) fuse_call(&rig.client, opcode, node, &(in), sizeof(in), "", 0)
#define CALL_TEXT(opcode, node, in, text) \
    fuse_call(&rig.client, opcode, node, &(in), sizeof(in), text, strlen(text) + 1)
/* A message that has nothing but a name. */
int call_name(uint32_t opcode, uint64_t node, const char *name);
/* The node that the last answer has told of. */
uint64_t answered_node(void);
int lookup_error(uint64_t dir, const char *name);
/* A file of no bytes; closed, and known. */
uint64_t make_file(uint64_t dir, const char *name);

#endif
