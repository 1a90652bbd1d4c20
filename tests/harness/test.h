// SPDX-License-Identifier: BSD-2-Clause
/* What nearly every unit test uses: assertions, the C library, core's basics, the log's lines. */
#ifndef MINIVET_TESTS_HARNESS_TEST_H
#define MINIVET_TESTS_HARNESS_TEST_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "tests/harness/listen.h"
#include "tests/harness/with.h"

#endif
