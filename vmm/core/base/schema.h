// SPDX-License-Identifier: BSD-2-Clause
/*
 * A key of a configuration, written once: its name, the kind of its value, its default, its help,
 * and where the value goes. Parsers, help texts, completion and documents are made from tables of
 * them; a table ends with a key that has no name.
 */
#ifndef MINIVET_CORE_SCHEMA_H
#define MINIVET_CORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_kind {
    SCHEMA_TEXT,   /* a const char *, to the value itself */
    SCHEMA_FILE,   /* likewise: the name of a file */
    SCHEMA_CHARS,  /* copied into an array of char */
    SCHEMA_NUMBER, /* without arg: how often it is given */
    SCHEMA_SIZE,   /* in bytes; a bare number counts in `scale`, of which it is a multiple */
    SCHEMA_TIME,   /* in nanoseconds */
    SCHEMA_WORD,   /* one of the words of arg: its index from min on */
    SCHEMA_SWITCH, /* on or off; without arg it is on alone */
    SCHEMA_LIST,   /* keys of its own */
};

struct schema_key {
    const char *name;
    const char *arg; /* "N"; words are cut at '|'; NULL: none; "[=N]": it may be left out */
    enum schema_kind kind;
    char letter;              /* of an option; 0: none */
    bool many;                /* may be given again, for one more */
    bool is_whole;            /* of an option: no beginning of its name is enough */
    bool is_act;              /* of an option: says nothing of the machine: JSON does not have it */
    uint32_t offset, bytes;   /* where the value goes; 0 bytes: nowhere */
    uint64_t min, max, scale; /* of texts the shortest; max 0: there is none */
    const char *expected;     /* what is right; of numbers: what is counted; NULL: from the kind */
    const char *usual;        /* the default; NULL: none, or help says it */
    const char *help;         /* a sentence; NULL: the key is not for users */
    int (*set)(void *into, const char *value); /* 0, -EINVAL, -E2BIG: max are enough; NULL: ours */
    const char *sign;                          /* between name and value; NULL: "=" */
    const struct schema_table *tables;         /* of a list */

    /* Of options. */
    const char *alias; /* another name, as QEMU has it; NULL: none */
    const char *names; /* "a, b": its value is many, cut at commas, each + or - and one of these */
};

/* Keys of a list. Its tables end with one that has no keys. */
struct schema_table {
    const struct schema_key *keys;
    size_t base;      /* of the struct that they are in, within the list's */
    bool is_first;    /* a list begins with one of these; a file: with any other text, too */
    const char *only; /* for lists that begin with this one; NULL: for all */
};

#define SCHEMA_AT(type, member) \
    .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

/* The key of that name (its first len bytes), or NULL. */
const struct schema_key *schema_find(const struct schema_key *keys, const char *name, size_t len);

/* 0, -EINVAL or -E2BIG; silent. Texts stay in use. */
int schema_set(const struct schema_key *key, void *into, const char *value);

/* What schema_set() takes, in words: "on or off". */
void schema_expected(const struct schema_key *key, char *out, size_t size);

/* What stands between its name and its value. */
const char *schema_sign(const struct schema_key *key);
/* May its value be left out? */
bool schema_is_optional(const struct schema_key *key);
/* The next of the words of an arg, and its length; NULL: no more. It begins with at = key->arg. */
const char *schema_next_word(const char *at, size_t *len);
/* The index of a word (its first len bytes) among those of arg, or -1. */
int schema_word(const char *arg, const char *word, size_t len);

struct schema_unit {
    const char *name;
    uint64_t factor;
};

/*
 * A decimal number and one of the units behind it; "" is among them if a bare number is allowed.
 * 0 or -EINVAL; silent.
 */
int schema_parse_unit(const char *text, const struct schema_unit *units, unsigned count,
                      uint64_t *out);
/* "512M", "2G", "64K"; a bare number counts in unit_bytes. Likewise. */
int schema_parse_size(const char *text, uint64_t unit_bytes, uint64_t *bytes);
/* "30s", "500ms", "2m", "1h"; a bare number is seconds. Likewise. */
int schema_parse_duration(const char *text, uint64_t *ns);

#endif
