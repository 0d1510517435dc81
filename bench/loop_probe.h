/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_PROBE_H
#define BENCH_LOOP_PROBE_H

#include "shim.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PROBE_BUFFER = 1024 }; /* bytes of a read; what was read is written back at once */

/* Returns how many bytes `n` waiting tasks cost. */
int64_t boost_idle(size_t n);

/*
 * Makes the abstract name of a socket of the process `pid`. The name uses all bytes of the address,
 * because libuv sends only to Unix addresses of full size.
 */
static inline void probe_unix_address(struct sockaddr_un *a, int pid, unsigned number)
{
	static const struct sockaddr_un zero = {AF_UNIX, {0}};
	*a = zero;
	(void)snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "fairlead-bench-%d-%u", pid, number);
}

#ifdef __cplusplus
}
#endif

#endif
