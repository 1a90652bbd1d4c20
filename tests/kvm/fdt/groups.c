// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>

#include "tap.h"

const struct tap_test *const tap_groups[] = {exit_tests,    end_tests,      smp_tests,
                                             kick_tests,    disk_tests,     framebuffer_tests,
                                             hostile_tests, terminal_tests, NULL};
