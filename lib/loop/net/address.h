/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/address.h>
#include <netinet/in.h>
#include <stdbool.h>

/* Sets `a` from a struct sockaddr. */
void fl__address_set(fl_address *a, const void *sockaddr, socklen_t size);

/*
 * Completes an address after a system call that has stored it in `a->system`, and its size in
 * `size`. Turns an IPv4 address that is mapped into IPv6 back into an IPv4 address.
 */
void fl__address_from_system(fl_address *a, socklen_t size);

/*
 * Stores the address of the socket `fd`, or the address of its peer. `get` is the function
 * local() or peer() of fl__net_sys.
 */
int fl__address_get(fl_address *a, int fd, int (*get)(int fd, struct sockaddr *address, socklen_t *size));

/*
 * Returns the address for a system call. It is without const, because even calls that only read the
 * address take it so.
 */
static inline struct sockaddr *fl__sockaddr(const fl_address *a)
{
	return (struct sockaddr *)(uintptr_t)&a->system;
}

/* Returns the port of an address of IP, in network byte order. */
in_port_t *fl__port_in(fl_address *a);

/* Moves IPv4 to the front, and keeps the order within each family. */
void fl__addresses_ipv4_first(fl_address *list, int n);
