// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/thread_role.h"

#include <stddef.h>

const char *const thread_role_names[THREAD_ROLES] = {
    [THREAD_MAIN] = "main", [THREAD_VCPU] = "vCPU",     [THREAD_WORK] = "work",
    [THREAD_LANE] = "lane", [THREAD_WINDOW] = "window",
};

static void (*on_enter)(enum thread_role role);
static _Thread_local enum thread_role mine = THREAD_MAIN;
static _Thread_local bool has_entered;

void thread_role_enter(enum thread_role role)
{
    mine = role;
    has_entered = true;
    if (on_enter != NULL)
        on_enter(role);
}

enum thread_role thread_role(void)
{
    return mine;
}

bool thread_role_is_ahead(void)
{
    return on_enter != NULL && !has_entered;
}

void thread_role_hook(void (*hook)(enum thread_role role))
{
    on_enter = hook;
}
