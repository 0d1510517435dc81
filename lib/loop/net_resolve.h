/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_NAME_H
#define FL_LOOP_NAME_H

#include "loop.h"
#include "name_sys.h"
#include <errno.h>
#include <fairlead/net.h>
#include <stdint.h>
#include <sys/un.h>

/*
 * Stores the loop that the calling thread runs: 0; -ENOTSUP: there is none; or the caller `waits`,
 * and is no fiber.
 */
int fl__net_enter(fl_loop **l, bool waits, const char *function);

/*
 * Stores the addresses of `host`, with `port`: how many, 1 to `n`; or as fl_resolve_until(). A
 * numeric host needs no wait, and no fiber.
 */
int fl__resolve(fl_loop *l, const char *host, uint16_t port, struct fl__address *list, unsigned n, int64_t deadline,
                fl_cancel_token *cancel);

void fl__address_set_port(struct fl__address *a, uint16_t port);

/* The wildcard address of a family. */
struct fl__address fl__address_any(int family);

/*
 * Stores the address of a path, or of an abstract name, which begins with '@'. Returns the size, or
 * -EINVAL, -ENAMETOOLONG.
 */
int fl__unix_address(struct sockaddr_un *a, const char *path);

/* The documented error for a result of fl__net_sys: -ENOBUFS is -ENOMEM. */
static inline int fl__net_error(int rc)
{
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

#endif
