/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_NAME_H
#define FL_LOOP_NAME_H

#include "loop.h"
#include "name_sys.h"
#include <errno.h>
#include <fairlead/net.h>
#include <stdint.h>
#include <sys/un.h>

/* The loop that the calling thread runs: 0; -ENOTSUP: none, or, if somebody may have to wait, no fiber. */
int fl__net_enter(fl_loop **l, bool waits, const char *function);

/*
 * The addresses of `host`, with `port`: how many it has stored, 1 to `n`; or as fl_resolve_until(). Numeric ones without waiting,
 * also outside of fibers.
 */
int fl__resolve(fl_loop *l, const char *host, uint16_t port, struct fl__address *list, unsigned n, int64_t deadline,
                fl_cancel *cancel);

void fl__address_set_port(struct fl__address *a, uint16_t port);

/* Any address of that family. */
struct fl__address fl__address_any(int family);

/* The address of a path, or of an abstract name that begins with '@': its size, or -EINVAL, -ENAMETOOLONG. */
int fl__unix_address(struct sockaddr_un *a, const char *path);

/* What a call of fl__net_sys answered, as it is documented: -ENOBUFS is -ENOMEM. */
static inline int fl__net_error(int rc)
{
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

#endif
