// SPDX-License-Identifier: BSD-2-Clause
/*
 * `minivet net-user OPTION`: the process that `--net user,isolate=on` starts for itself. Users
 * do not type it, so no help names it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/loop/evloop.h"
#include "devices/net/user/net_child.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/config.h"

int cli_net_user(int argc, char **argv)
{
    static struct vm_config config;
    struct evloop *loop = NULL;
    struct net_backend *user = NULL;
    struct stat st;
    if (argc != 2 || fstat(NET_CHILD_FD, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        fail_msg(0, "net-user: is started by `minivet run --net user,isolate=on`");
        return EXIT_USAGE;
    }
    prctl(PR_SET_NAME, "minivet-net");
    signal(SIGPIPE, SIG_IGN);
    char json[] = "--config", net[] = "--net", *words[] = {argv[0], net, argv[1]};
    if (argv[1][0] == '{')
        words[1] = json;
    if (config_parse(&config, 3, words) < 0 || config.net_count != 1 ||
        config.nets[0].kind != NET_USER)
        return EXIT_USAGE;
    struct net_user_config c = config.nets[0].user;
    int err = evloop_create(&loop, "net-user", &clock_host);
    c.loop = loop;
    c.clock = &clock_host;
    c.mtu = config.nets[0].mtu_bytes;
    if (err == 0)
        err = net_user_create(&user, &c);
    int status = err == 0 ? net_child_run(loop, &clock_host, user) : EXIT_SETUP;
    evloop_destroy(loop);
    config_free(&config);
    _exit(status); /* a library may want to write a file at the end, which is refused here */
}
