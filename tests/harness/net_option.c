// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/net_option.h"

#include <errno.h>
#include <string.h>

#include "core/base/fail.h"
#include "devices/net/user/net_user.h"

int net_user_option(struct net_user_config *config, const char *what, const char *name,
                    const char *value)
{
    char expected[256];
    const struct schema_key *key = schema_find(net_user_keys, name, strlen(name));
    if (key == NULL)
        return -ENOENT;
    int r = schema_set(key, config, value);
    if (r == -E2BIG)
        return fail_msg(-EINVAL, "%s: %s: at most %d of them", what, name, NET_USER_FORWARDS);
    schema_expected(key, expected, sizeof(expected));
    return r < 0 ? fail_msg(r, "%s: %s=%s: give %s", what, name, value, expected) : 0;
}
