/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "fd_io.h"
#include "net_resolve.h"
#include <fairlead/datagram.h>
#include <fairlead/mutex.h>

/*
 * A fiber holds the mutex turn[direction] while it waits for the descriptor, so that only one fiber
 * waits there, as fd_io.h requires.
 */
struct fl_datagram {
	struct fl__io io;
	fl_mutex turn[2]; /* for FL__IO_IN and FL__IO_OUT */
	unsigned calls;   /* the calls of fibers that have not returned */
	int family;       /* AF_INET, AF_INET6, AF_UNIX */
	bool ipv6_only;   /* takes no IPv4 addresses */
	bool peer_errors; /* the system queues ICMP errors (ip(7), IP_RECVERR) */
	struct fl__unix_file file;
};

/* Called before a call. Returns the results of fl__io_check(), or -EPIPE. */
int fl__datagram_check(const fl_datagram *d, bool waits);

int fl__datagram_error(int rc);

/*
 * Stores the address in the form of the system. For an IPv6 socket it maps IPv4 addresses into
 * IPv6. Returns the size, or -EAFNOSUPPORT.
 */
int fl__datagram_address_to_system(const fl_datagram *d, const fl_address *a, struct sockaddr_storage *system);
