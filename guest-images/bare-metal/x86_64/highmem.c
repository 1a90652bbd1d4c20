// SPDX-License-Identifier: BSD-2-Clause
/* Memory on both sides of the device hole: 5 GiB, of which 2 lie above 4 GiB. */
#include "rt.h"

#define GIB  0x40000000ull
#define STEP 0x2000000ull

/* A value that tells each place from all others. */
static uint64_t mark(uint64_t gpa)
{
    return gpa * 0x9e3779b97f4a7c15;
}

static void each(uint64_t from, uint64_t to, bool write)
{
    for (uint64_t gpa = from; gpa < to; gpa += STEP) {
        volatile uint64_t *first = (volatile uint64_t *)gpa;
        volatile uint64_t *last = (volatile uint64_t *)(gpa + STEP - 8);
        if (write) {
            *first = mark(gpa);
            *last = mark(gpa + STEP - 8);
        } else {
            CHECK(*first == mark(gpa));
            CHECK(*last == mark(gpa + STEP - 8));
        }
    }
}

int main(void)
{
    for (int write = 1; write >= 0; write--) {
        each(STEP, 3 * GIB, write);
        each(4 * GIB, 6 * GIB, write);
    }
    CHECK(mmio_read64(6 * GIB) == UINT64_MAX); /* beyond: nobody there */
    return 0;
}
