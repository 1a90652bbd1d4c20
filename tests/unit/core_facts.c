// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/facts.h"

#include <errno.h>

#include "tests/harness/test.h"

Test(facts, a_tree_is_json)
{
    static const char *const bits[] = {"ONE", NULL, "FOUR"};
    struct facts f;
    int err;
    facts_begin(&f);
    facts_group(&f, "bell");
    facts_flag(&f, "on", true);
    facts_number(&f, "strokes", UINT64_MAX);
    facts_end(&f);
    facts_list(&f, "tunes");
    facts_word(&f, NULL, "a \"b\" \\");
    facts_text(&f, NULL, "%02x:%s", 7, "\x1b[2J");
    facts_group(&f, NULL);
    facts_end(&f);
    facts_end(&f);
    facts_word(&f, "nothing", NULL);
    facts_hex(&f, "gpa", 0xfeb00000);
    facts_bits(&f, "bits", 0xf, bits, ARRAY_SIZE(bits));
    facts_list(&f, "none");
    facts_end(&f);
    char *text = facts_finish(&f, &err);
    cr_expect_eq(err, 0);
    cr_expect_str_eq(text, "{\"bell\":{\"on\":true,\"strokes\":18446744073709551615},"
                           "\"tunes\":[\"a \\\"b\\\" \\\\\",\"07:?[2J\",{}],"
                           "\"gpa\":\"0xfeb00000\",\"bits\":[\"ONE\",\"FOUR\"],\"none\":[]}");
    free(text);
}

Test(facts, a_tree_has_a_bound)
{
    struct facts f;
    int err;
    facts_begin(&f);
    facts_list(&f, "numbers");
    for (unsigned i = 0; i < FACTS_BYTES_MAX / 4; i++)
        facts_number(&f, NULL, 1000);
    facts_end(&f);
    cr_expect_null(facts_finish(&f, &err));
    cr_expect_eq(err, -EFBIG);
    cr_expect_leq(f.room, 2 * FACTS_BYTES_MAX);
}
