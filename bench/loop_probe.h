/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_LOOP_PROBE_H
#define BENCH_LOOP_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PROBE_BUFFER = 1024 }; /* of each read; what it got is written back */

/*
 * A server says its port when it listens, and never returns; an idle() starts `n` tasks that wait,
 * and says its bytes.
 */
void probe_listening(int port);
int64_t probe_resident(void);

/* Says why on standard error and ends the program, unless `good`. */
void probe_check(int good, const char *what);

void asio_echo(void);

/* The server of datagrams of that name. `kind`: "udp" or "unix_datagram". NULL: there is none. */
typedef void probe_server(void);
probe_server *probe_datagram_server(const char *kind, const char *name);

/* The abstract name of a socket of the process `pid`; all its bytes count. */
static inline void probe_unix_address(struct sockaddr_un *a, int pid, unsigned number)
{
	static const struct sockaddr_un zero = {AF_UNIX, {0}};
	*a = zero;
	(void)snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "fairlead-bench-%d-%u", pid, number);
}

int64_t boost_idle(size_t n);
int64_t boost_unguarded_idle(size_t n);

#ifdef __cplusplus
}
#endif

#endif
