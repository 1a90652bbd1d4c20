// SPDX-License-Identifier: BSD-2-Clause
/* core/state: what is saved is loaded, and what was not saved by us does no harm. */
#include "core/state/state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/harness/listen.h"

struct bell {
    bool on;
    uint8_t volume;
    uint8_t tune[5];
    struct bell *inner;
};

static void bell_state(struct bell *b, struct state *s, unsigned version)
{
    if (!state_begin(s, "bell", b->volume % 10, version))
        return;
    b->on = state_number(s, "on", b->on, true);
    b->volume = (uint8_t)state_number(s, "volume", b->volume, 99);
    if (b->inner != NULL)
        bell_state(b->inner, s, version);
    state_bytes(s, "tune", b->tune, sizeof(b->tune));
    state_end(s);
}

static void save(struct state *s, struct bell *b, unsigned version)
{
    state_save(s);
    bell_state(b, s, version);
    cr_assert_eq(state_error(s), 0);
}

static int load(const struct state *saved, size_t len, struct bell *b)
{
    struct state s;
    state_load(&s, saved->bytes, len);
    bell_state(b, &s, 1);
    int err = state_error(&s);
    state_fini(&s);
    return err;
}

Test(state, is_loaded_as_it_was_saved)
{
    struct state s;
    struct bell inner = {true, 41, "inner", NULL}, outer = {false, 71, "outer", &inner};
    struct bell in = {.volume = 1}, out = {true, 1, "", &in};
    save(&s, &outer, 1);
    cr_expect_eq(load(&s, s.len, &out), 0);
    cr_expect(!out.on && out.volume == 71 && memcmp(out.tune, "outer", 5) == 0);
    cr_expect(in.on && in.volume == 41 && memcmp(in.tune, "inner", 5) == 0);
    state_fini(&s);
}

Test(state, sections_of_one_name_have_an_index)
{
    struct state s;
    struct bell one = {.volume = 1, .tune = "one"}, two = {.volume = 2, .tune = "two"};
    state_save(&s);
    bell_state(&one, &s, 1);
    bell_state(&two, &s, 1);
    struct bell loaded = {.volume = 2};
    cr_expect_eq(load(&s, s.len, &loaded), 0);
    cr_expect_str_eq((char *)loaded.tune, "two");
    state_fini(&s);
}

static void expect_refused(const struct state *s, size_t len, const char *why)
{
    struct bell b = {true, 7, "kept", NULL};
    cr_expect_eq(load(s, len, &b), -EINVAL);
    cr_expect(strstr(logged_line, why), "%s", logged_line);
    cr_expect_eq(logged_lines, 1, "reported once");
    cr_expect(b.volume == 7 && strcmp((char *)b.tune, "kept") == 0);
    logged_lines = 0;
}

Test(state, that_makes_no_sense_is_refused)
{
    struct state s;
    struct bell b = {true, 7, "saved", NULL};
    listen_to_log(LOG_ERROR);
    save(&s, &b, 2);
    expect_refused(&s, s.len, "bell.7/: a later version of Minivet has saved it");
    state_fini(&s);
    b.volume = 107;
    save(&s, &b, 1);
    expect_refused(&s, s.len, "bell.7/volume: out of range");
    expect_refused(&s, 5, "not a state that Minivet has saved");
    expect_refused(&s, s.len - 1, "bell.7: missing");
    state_fini(&s);
}

Test(state, no_length_leads_out_of_its_section)
{
    struct state s;
    struct bell inner = {true, 2, "in", NULL}, b = {true, 7, "saved", &inner};
    listen_to_log(LOG_ERROR);
    save(&s, &b, 1);
    for (size_t at = 0; at < s.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct bell in = {.volume = 2}, out = {true, 7, "", &in};
            s.bytes[at] ^= (uint8_t)(1u << bit);
            (void)load(&s, s.len, &out);
            cr_expect(out.volume <= 99 && in.volume <= 99);
            s.bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    state_fini(&s);
}
