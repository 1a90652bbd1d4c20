// SPDX-License-Identifier: BSD-2-Clause
/* Gives a key of --net user its value, as the options of a command line do. */
#ifndef MINIVET_TESTS_HARNESS_NET_OPTION_H
#define MINIVET_TESTS_HARNESS_NET_OPTION_H

struct net_user_config;

/* -ENOENT: there is no such key. What is wrong is reported, behind `what`: -EINVAL. */
int net_user_option(struct net_user_config *config, const char *what, const char *name,
                    const char *value);

#endif
