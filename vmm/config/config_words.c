// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/config/config_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define WORD_MAX 32u /* longer ones are near to nothing */

int config_words_refuse(const char *word, const char *remedy)
{
    return fail_msg(-EINVAL, "%s: no such option: %s", word, remedy);
}

/* ---- words of others ---- */

/* takes is NULL: it is refused. */
static const struct foreign {
    const char *words, *say, *takes, *becomes;
} foreigns[] = {
#define TAKEN(words, say, takes, becomes) {words, say, takes, becomes},
#define REFUSED(words, say)               {words, say, NULL, NULL},
#include "vmm/config/words.def"
};

static const struct foreign *find_foreign(const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(foreigns); i++) {
        if (schema_word(foreigns[i].words, word, strcspn(word, "=")) >= 0)
            return &foreigns[i];
    }
    return NULL;
}

static bool is_switch(const char *value, size_t length)
{
    return (length > 3 && strncmp(value + length - 3, "=on", 3) == 0) ||
           (length > 4 && strncmp(value + length - 4, "=off", 4) == 0);
}

/* Is the value's first item one of these? Behind '&': is each, but for what is switched on or off?
 */
static bool takes(const char *items, const char *value)
{
    bool each = items[0] == '&', is = strcmp(items, "*") == 0;
    size_t length = strcspn(value, ",");
    if (is)
        return true;
    for (is = schema_word(items + each, value, length) >= 0; is && each && value[length] != '\0';) {
        value += length + 1;
        length = strcspn(value, ",");
        is = schema_word(items + each, value, length) >= 0 || is_switch(value, length);
    }
    return is;
}

static const char *word_behind(const struct config_words *w, int i)
{
    return i + 1 < w->argc ? w->argv[i + 1] : NULL;
}

/* argv[i], and maybe the word behind it. Returns how many these are. */
static int translate(struct config_words *w, int i, const struct foreign *f)
{
    const char *word = w->argv[i], *equals = strchr(word, '=');
    bool has_value = f->takes != NULL && f->takes[0] != '\0';
    const char *value = equals != NULL ? equals + 1 : has_value ? word_behind(w, i) : NULL;
    if (f->takes == NULL)
        return config_words_refuse(word, f->say);
    if (!has_value && equals != NULL)
        return config_words_refuse(word, "it takes no value");
    if (has_value && value == NULL)
        return fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
    if (has_value && !takes(f->takes, value))
        return fail_msg(-EINVAL, "%.*s %s: no such option: %s", (int)strcspn(word, "="), word,
                        value, f->say);
    int r = 0;
    if (f->becomes != NULL && f->becomes[0] == '-')
        r = config_qemu(w, f->becomes + 1, value);
    else if (f->becomes != NULL)
        r = config_put(w, config_find_option(f->becomes, strlen(f->becomes)),
                       has_value ? "serial" : NULL);
    return r < 0 ? r : has_value && equals == NULL ? 2 : 1;
}

/* ---- what is near ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters are more, fewer, others, or in each other's place. */
static unsigned distance(const char *a, const char *b)
{
    unsigned char d[WORD_MAX + 1][WORD_MAX + 1];
    size_t na = strlen(a), nb = strlen(b);
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned char)(i + j);
                continue;
            }
            unsigned n = least(d[i - 1][j] + 1u, d[i][j - 1] + 1u);
            n = least(n, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                n = least(n, d[i - 2][j - 2] + 1u);
            d[i][j] = (unsigned char)n;
        }
    }
    return d[na][nb];
}

bool config_is_near(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX || la < 2)
        return false;
    return distance(a, b) <= (lb < 6 ? 1 : 2) || (lb > 2 && strncmp(a, b, lb) == 0) ||
           (la > 2 && strncmp(a, b, la) == 0);
}

/* The option that it is a key of, as the command line has that; NULL: none. */
static const char *key_of(const char *name)
{
    static const struct {
        const char *option, *only, *say;
    } lists[] = {{"virtio", NULL, "--virtio "},
                 {"disk", NULL, "--disk FILE,"},
                 {"net", "user", "--net user,"},
                 {"net", NULL, "--net KIND,"}};
    const struct schema_table *table;
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
        const struct schema_key *o = config_find_option(lists[i].option, strlen(lists[i].option));
        const struct schema_key *key = config_find_key(o, name, strlen(name), &table);
        if (key != NULL && (table->only != NULL) == (lists[i].only != NULL))
            return lists[i].say;
    }
    return NULL;
}

static int unknown_option(const char *word)
{
    char name[WORD_MAX + 1], may_be[128] = "";
    const char *start = word + strspn(word, "-");
    unsigned count = 0;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "="), start);
    if (key_of(name) != NULL)
        return fail_msg(-EINVAL, "%s: no such option: it is a key, say %s%s", word, key_of(name),
                        name);
    const char *positive = strncmp(name, "no-", 3) == 0 ? name + 3 : name;
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        const char *other = o->name;
        bool is_start = strncmp(other, positive, strlen(positive)) == 0 && positive[0] != '\0';
        size_t used = strlen(may_be);
        if (((is_start && !o->is_whole) || config_is_near(positive, other)) &&
            used + strlen(other) + 8 < sizeof(may_be))
            snprintf(may_be + used, sizeof(may_be) - used, "%s--%s", count++ > 0 ? " or " : "",
                     other);
    }
    if (count == 0)
        return fail_msg(-EINVAL, "%s: no such option; see `minivet run --help`", word);
    return fail_msg(-EINVAL, "%s: no such option; is %s meant?", word, may_be);
}

/* ---- Minivet's own options ---- */

/* By its name, or a beginning that only one has; NULL: none. */
static const struct schema_key *find_long(const char *word)
{
    size_t length = strcspn(word, "=");
    const struct schema_key *found = config_find_option(word, length), *other = NULL;
    for (const struct schema_key *o = config_options;
         found == NULL && length > 0 && o->name != NULL; o++) {
        if (o->is_whole || strncmp(o->name, word, length) != 0)
            continue;
        if (other != NULL)
            return NULL;
        other = o;
    }
    return found != NULL ? found : other;
}

static const struct schema_key *find_letter(char letter)
{
    const struct schema_key *o = config_options;
    while (o->name != NULL && (o->letter != letter || letter == '\0'))
        o++;
    return o->name != NULL ? o : NULL;
}

/*
 * "-m1G" and "-vd": letters in one word. But "-kvmlinuz" would as well be an option of another
 * program, and -name a network card of the kind ame. Returns the last, which takes the value.
 */
static int take_letters(struct config_words *w, const char *word, const struct schema_key **option,
                        const char **value)
{
    const char *at = word + 1;
    int r = 0;
    while ((*option = find_letter(*at)) != NULL && (*option)->arg == NULL && at[1] != '\0') {
        r = r < 0 ? r : config_put(w, *option, NULL);
        at++;
    }
    if (*option == NULL)
        return unknown_option(word);
    *value = at[1] != '\0' ? at + 1 : NULL;
    if (*value == NULL || strchr("mc", *at) != NULL
            ? *value == NULL || isdigit((unsigned char)at[1])
            : at[1 + strspn(at + 1, "abcdefghijklmnopqrstuvwxyz-")] != '\0')
        return r;
    return fail_msg(-EINVAL, "%s: no such option; for --%s put a space behind -%c", word,
                    (*option)->name, *at);
}

/* What is behind "--": a command for the guest. */
static int put_command(struct config_words *w, int i)
{
    const struct schema_key *option = config_find_option("command", strlen("command"));
    int r = i == w->argc
                ? fail_msg(-EINVAL, "--: is followed by a command that runs in the guest, such as "
                                    "-- uname -a")
                : 0;
    for (; r == 0 && i < w->argc; i++)
        r = config_put(w, option, w->argv[i]);
    return r;
}

/* As translate(). */
static int put_own(struct config_words *w, int i)
{
    const char *word = w->argv[i], *value = strchr(word, '=');
    bool is_long = word[1] == '-', takes_next = false;
    const struct schema_key *option =
        is_long || word[2] != '\0' ? find_long(word + 1 + is_long) : NULL;
    int r = 0;
    if (option != NULL && value != NULL)
        value++;
    else if (option == NULL)
        r = is_long ? unknown_option(word) : take_letters(w, word, &option, &value);
    if (r < 0 || option == NULL)
        return -EINVAL;
    if (option->arg == NULL && value != NULL)
        return fail_msg(-EINVAL, "%s: takes no value; see `minivet run --help`", word);
    if (value == NULL && option->arg != NULL && !schema_is_optional(option)) {
        takes_next = true;
        value = word_behind(w, i);
        if (value == NULL)
            return fail_msg(-EINVAL, "%s: needs a value; see `minivet run --help`", word);
    }
    if (strcmp(option->name, "kernel") == 0)
        w->kernel = value;
    r = strcmp(option->name, "config") == 0 ? config_put_json(w, value)
                                            : config_put(w, option, value);
    return r < 0 ? r : takes_next ? 2 : 1;
}

static int put_operand(struct config_words *w, const char *word)
{
    if (w->kernel != NULL)
        return fail_msg(-EINVAL,
                        "%s: one kernel is enough, %s was given before (an initrd is --initrd "
                        "FILE; a command in the guest goes behind --; a value with spaces is "
                        "quoted; --stats=json, --timeline=FILE)",
                        word, w->kernel);
    w->kernel = word;
    return config_put(w, config_find_option("kernel", strlen("kernel")), word);
}

int config_put_words(struct config_words *w)
{
    for (int i = 1, r; i < w->argc; i += r) {
        const char *word = w->argv[i];
        if (strcmp(word, "--") == 0) {
            return put_command(w, i + 1);
        } else if (word[0] != '-' || word[1] == '\0') {
            r = put_operand(w, word) < 0 ? -EINVAL : 1;
        } else {
            const struct foreign *f = find_foreign(word + strspn(word, "-"));
            r = f != NULL ? translate(w, i, f) : put_own(w, i);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- keys of lists ---- */

static const struct {
    const char *option, *keys, *say;
} foreign_keys[] = {
#define KEY(option, keys, say) {option, keys, say},
#include "vmm/config/words.def"
};

const char *config_foreign_key(const struct schema_key *option, const char *item)
{
    for (unsigned i = 0; i < ARRAY_SIZE(foreign_keys); i++) {
        if (schema_word(foreign_keys[i].keys, item, strcspn(item, "=")) >= 0 &&
            (foreign_keys[i].option == NULL || strcmp(foreign_keys[i].option, option->name) == 0))
            return foreign_keys[i].say;
    }
    return NULL;
}

/* All keys of a list: "ro, serial=TEXT, ..."; to be freed. NULL: no memory. */
static char *name_all(const struct schema_key *option)
{
    char *names = NULL;
    size_t bytes;
    FILE *out = open_memstream(&names, &bytes);
    if (out == NULL)
        return NULL;
    for (const struct schema_table *t = option->tables; t->keys != NULL; t++) {
        if (t->is_first)
            continue;
        fputs(t > option->tables && !t[-1].is_first ? ", " : "", out);
        config_name_keys(out, t->keys);
        if (t->only != NULL)
            fprintf(out, " (of %s)", t->only);
    }
    fclose(out);
    return names;
}

int config_unknown_key(const struct schema_key *option, const char *what, const char *item)
{
    char name[WORD_MAX + 1];
    const char *say = config_foreign_key(option, item);
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(item, "="), item);
    if (say != NULL)
        return fail_msg(-EINVAL, "%s: unknown key \"%s\": %s", what, item, say);
    for (const struct schema_table *t = option->tables; t->keys != NULL; t++) {
        for (const struct schema_key *k = t->keys; k->name != NULL && !t->is_first; k++)
            if (k->help != NULL && config_is_near(name, k->name))
                return fail_msg(-EINVAL, "%s: unknown key \"%s\": is %s meant?", what, item,
                                k->name);
    }
    char *names = name_all(option);
    int r = fail_msg(-EINVAL, "%s: unknown key \"%s\"; keys are: %s", what, item,
                     names != NULL ? names : "");
    free(names);
    return r;
}

int config_unknown_member(const char *name)
{
    char names[1024] = "";
    size_t used = 0;
    for (const struct schema_key *o = config_options; o->name != NULL; o++) {
        if (!o->is_act && config_is_near(name, o->name))
            return fail_msg(-EINVAL, "--config: unknown option \"%s\": is %s meant?", name,
                            o->name);
        if (!o->is_act)
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     used > 0 ? ", " : "", o->name);
    }
    return fail_msg(-EINVAL, "--config: unknown option \"%s\"; options are: %s", name, names);
}
