// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a shared directory holds, as the guest must see it: target_share.c plays operations to the
 * model and to the server, and compares. Only the guest changes the directory.
 */
#ifndef MINIVET_TESTS_FUZZ_SHARE_MODEL_H
#define MINIVET_TESTS_FUZZ_SHARE_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define MODEL_NAMES  6u
#define MODEL_FILES  32u
#define MODEL_BYTES  12288u /* of a file */
#define MODEL_XATTRS 3u
#define MODEL_VALUE  8u

struct model_file {
    mode_t mode; /* with its type; 0: there is none */
    uint32_t uid, gid, rdev;
    unsigned links; /* names, of a directory at most one */
    bool linkable;  /* by O_TMPFILE: without a name it can get one */
    bool moved_off; /* a name of it went, so it may be stale until it is looked up */
    uint32_t size;
    uint8_t data[MODEL_BYTES];
    char target[16];                  /* of a symbolic link */
    int8_t xattr_bytes[MODEL_XATTRS]; /* -1: it has none of that name */
    uint8_t xattr[MODEL_XATTRS][MODEL_VALUE];
    struct model_file *parent; /* a directory's; its own: the root */
    struct model_file *entries[MODEL_NAMES];
    /* What the guest knows */
    uint64_t id, ino;
    uint64_t lookups;
    unsigned handles;
};

extern const char *const model_names[MODEL_NAMES];

struct model {
    struct model_file files[MODEL_FILES]; /* 0: the root */
};

void model_init(struct model *m, uint32_t uid, uint32_t gid);
/* NULL: there is no room for one more. */
struct model_file *model_add(struct model *m, mode_t mode, uint32_t uid, uint32_t gid);
/* Of no name, and unknown to the guest: another may have its place. */
void model_drop(struct model_file *f);
bool model_is_empty(const struct model_file *dir);
/* A directory that was removed: nothing can be made in it. */
bool model_is_dead(const struct model *m, const struct model_file *dir);
void model_enter(struct model_file *dir, unsigned name, struct model_file *f);
void model_leave(struct model_file *dir, unsigned name);
bool model_is_above(const struct model_file *f, const struct model_file *dir);
/* Errors are sets of which the answer has to be one; none: it succeeds. */
#define MODEL_ERRORS 8u
struct model_errors {
    int of[MODEL_ERRORS];
    unsigned count;
};
void model_error(struct model_errors *e, bool is, int error);
bool model_has_error(const struct model_errors *e, int error);
struct model_errors model_rename_errors(const struct model *m, const struct model_file *from,
                                        unsigned name, const struct model_file *to,
                                        unsigned new_name, unsigned flags);
void model_rename(struct model_file *from, unsigned name, struct model_file *to, unsigned new_name,
                  bool exchange);
void model_resize(struct model_file *f, uint32_t size);

#endif
