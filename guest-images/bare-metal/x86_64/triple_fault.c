// SPDX-License-Identifier: BSD-2-Clause
/* An exception whose handler is gone, and the double fault's, too. */
#include "rt.h"

int main(void)
{
    rt_break();
    return 1;
}
