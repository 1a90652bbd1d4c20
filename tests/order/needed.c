// SPDX-License-Identifier: BSD-2-Clause
#include "tests/order/needed.h"

#include <criterion/criterion.h>

#include "tests/order/model.h"

static bool holds_with(bool (*holds)(bool says), const struct model_site *site, int order)
{
    model_weaken(site, order);
    bool good = holds(false);
    model_weaken(NULL, 0);
    return good;
}

static const char *enough(bool (*holds)(bool says), const struct model_site *site)
{
    if (holds_with(holds, site, __ATOMIC_RELAXED))
        return "relaxed";
    return site->order == __ATOMIC_SEQ_CST && holds_with(holds, site, __ATOMIC_ACQ_REL) ? "acq_rel"
                                                                                        : NULL;
}

void check_orders_are_needed(bool (*holds)(bool says), const struct stronger *list)
{
    unsigned met[64] = {0}, weaker = 0;
    cr_assert(holds(true));
    const struct model_site *site;
    for (unsigned i = 0; (site = model_site(i)) != NULL; i++) {
        if (site->order == __ATOMIC_RELAXED)
            continue;
        const char *order = enough(holds, site);
        weaker += order == NULL;
        unsigned k = 0;
        while (
            order != NULL && list[k].function != NULL &&
            (strcmp(list[k].function, site->function) != 0 || strcmp(list[k].enough, order) != 0))
            k++;
        cr_expect(order == NULL || list[k].function != NULL, "%s:%u: %s: here %s is enough",
                  site->file, site->line, site->function, order);
        met[k] += order != NULL;
    }
    cr_expect_gt(weaker, 0, "some order is needed");
    for (unsigned k = 0; list[k].function != NULL; k++)
        cr_expect(met[k] > 0, "%s has no order for which %s is enough", list[k].function,
                  list[k].enough);
}

void check_relaxed_is_found(bool (*holds)(bool says), const char *const *functions)
{
    cr_assert(holds(true));
    for (; *functions != NULL; functions++) {
        unsigned found = 0;
        const struct model_site *site;
        for (unsigned i = 0; (site = model_site(i)) != NULL; i++)
            found += strcmp(site->function, *functions) == 0 &&
                     !holds_with(holds, site, __ATOMIC_RELAXED);
        cr_expect_gt(found, 0, "%s: no order is needed", *functions);
    }
}
