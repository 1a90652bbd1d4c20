// SPDX-License-Identifier: BSD-2-Clause
/*
 * Our mutator for AFL++, which loads it: so its inputs are scripts, too, for the target that the
 * environment names in FUZZ_TARGET. libFuzzer calls the same from fuzzer.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xmath.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/script.h"

#define INPUT_MAX 4096u
#define CROSSED   8u /* every so many inputs is one made of two */

struct mutator {
    unsigned seed, device;
    bool portable;
    uint8_t out[INPUT_MAX];
};

/* As AFL++ calls them (custom_mutators.md there). */
void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(struct mutator *m, uint8_t *data, size_t len, uint8_t **out, uint8_t *other,
                       size_t other_len, size_t max);
void afl_custom_deinit(struct mutator *m);

static const struct {
    const char *name;
    unsigned device;
    bool portable;
} targets[] = {
#define SCRIPTS(word, number) {#word, number, false}, {"same-" #word, number, true},
#define BYTES(id, word)
#include "tests/fuzz/targets.def"
};

void *afl_custom_init(void *afl, unsigned seed)
{
    const char *name = getenv("FUZZ_TARGET");
    (void)afl;
    for (unsigned i = 0; name != NULL && i < ARRAY_SIZE(targets); i++) {
        if (strcmp(targets[i].name, name) != 0)
            continue;
        struct mutator *m = calloc(1, sizeof(*m));
        if (m == NULL)
            return NULL;
        *m = (struct mutator){seed, targets[i].device, targets[i].portable, {0}};
        return m;
    }
    fprintf(stderr, "FUZZ_TARGET is no target of scripts\n");
    return NULL;
}

size_t afl_custom_fuzz(struct mutator *m, uint8_t *data, size_t len, uint8_t **out, uint8_t *other,
                       size_t other_len, size_t max)
{
    max = min_u64(max, INPUT_MAX);
    *out = m->out;
    if (++m->seed % CROSSED == 0 && other != NULL && other_len > 0) {
        size_t crossed = fuzz_cross(data, len, other, other_len, m->out, max, m->seed);
        if (crossed > 0)
            return crossed;
    }
    len = min_u64(len, max);
    memcpy(m->out, data, len);
    return fuzz_mutate(m->out, len, max, m->seed, m->device, m->portable);
}

void afl_custom_deinit(struct mutator *m)
{
    free(m);
}
