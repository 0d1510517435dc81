/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../loop.h"
#include "address.h"
#include <fairlead/net.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The calls that tests replace. Their results have the form of lib/core/base/sys.h; errno keeps
 * its value.
 */
struct fl__name_sys {
	/*
	 * Stores the addresses of a host, with port 0. Any thread may call it. Returns how many, 1
	 * to n, or the results of fl__lookup_error(). `flags` is AI_NUMERICHOST, or 0; with 0 the
	 * lookup may take minutes.
	 */
	int (*lookup)(const char *host, int flags, fl_address *list, unsigned n);
};

extern struct fl__name_sys fl__name_sys;

/* Returns the error for a code EAI_.... `system` is the errno of EAI_SYSTEM. */
int fl__lookup_error(int code, int system);

/*
 * Stores the addresses of `host`. Returns how many, 1 to `n`, or the errors of
 * fl_net_resolve_until(). For a numeric host it does not wait, and need not be called by a fiber.
 */
int fl__resolve(fl_loop *l, const char *host, uint16_t port, fl_address *list, unsigned n, fl_time deadline,
                fl_cancel_token *cancel);

/*
 * Opens a socket at the first address of `host` that this machine has. If `host` is NULL, the
 * socket is bound to all addresses (on a machine without IPv6, to all IPv4 addresses). Calls
 * `prepare` before bind(). If `all` is true, an IPv6 socket also serves IPv4. Returns the
 * descriptor, or an error.
 */
typedef int fl__net_prepare(int fd, int family, bool all, const void *config);
int fl__net_open(fl_loop *l, const char *host, uint16_t port, int type, fl__net_prepare *prepare, const void *config);

struct fl__socket_option {
	bool wanted;
	int level, option, value;
};

/* Sets those of the `n` options that are wanted. Returns 0 or the first error. */
int fl__net_set_options(int fd, const struct fl__socket_option *options, size_t n);
