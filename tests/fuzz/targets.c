// SPDX-License-Identifier: BSD-2-Clause
/* The list of targets, and those that are scripts. */
#include <string.h>

#include "core/base/xmath.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/play.h"
#include "tests/fuzz/target.h"

static int play(const struct fuzz_target *target, const uint8_t *data, size_t len)
{
    static struct fuzz_script s;
    (void)target;
    if (!fuzz_script_decode(&s, data, len))
        return -1;
    fuzz_play(&s, NULL);
    return 0;
}

static int compare(const struct fuzz_target *target, const uint8_t *data, size_t len)
{
    static struct fuzz_script s;
    (void)target;
    if (!fuzz_script_decode(&s, data, len) || !fuzz_script_is_portable(&s))
        return -1;
    fuzz_play_everywhere(&s);
    return 0;
}

static size_t mutate(const struct fuzz_target *target, uint8_t *data, size_t len, size_t max,
                     unsigned seed)
{
    return fuzz_mutate(data, len, max, seed, target->device, target->run == compare);
}

int fuzz_run_bytes(const struct fuzz_target *target, const uint8_t *data, size_t len)
{
    target->bytes(&(struct fuzz_input){data, len});
    return 0;
}

#define TARGET(id, word, how, number)      \
    static const struct fuzz_target id = { \
        .name = (word), .run = (how), .mutate = mutate, .device = (number)};
#define SCRIPTS(word, number)                 \
    TARGET(word##_alone, #word, play, number) \
    TARGET(word##_same, "same-" #word, compare, number)
#define BYTES(id, word) extern const struct fuzz_target fuzz_target_##id;
#include "tests/fuzz/targets.def"
#undef SCRIPTS
#undef BYTES

#define SCRIPTS(word, number) &word##_alone, &word##_same,
#define BYTES(id, word)       &fuzz_target_##id,
const struct fuzz_target *const fuzz_targets[] = {
#include "tests/fuzz/targets.def"
};

const unsigned fuzz_target_count = ARRAY_SIZE(fuzz_targets);

const struct fuzz_target *fuzz_target_find(const char *name)
{
    for (unsigned i = 0; i < fuzz_target_count; i++)
        if (strcmp(fuzz_targets[i]->name, name) == 0)
            return fuzz_targets[i];
    return NULL;
}
