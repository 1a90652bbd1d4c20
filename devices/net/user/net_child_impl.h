// SPDX-License-Identifier: BSD-2-Clause
/* Inside of net_child. */
#ifndef MINIVET_DEVICES_NET_CHILD_IMPL_H
#define MINIVET_DEVICES_NET_CHILD_IMPL_H

struct confine;

/* What the child may do. Errors are reported. */
int net_child_confine(struct confine **out, const char *program);

#endif
