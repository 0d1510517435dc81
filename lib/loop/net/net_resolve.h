/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../loop.h"
#include "address.h"
#include <fairlead/net.h>
#include <stdbool.h>
#include <stdint.h>

/* Results are as in lib/core/base/sys.h; errno keeps its value. */
struct fl__name_sys {
	/*
	 * Any thread. Stores the addresses of a host, with port 0. Returns how many, 1 to n; or as
	 * fl__lookup_error(). `flags`: AI_NUMERICHOST; or 0, and then the lookup may take minutes.
	 */
	int (*lookup)(const char *host, int flags, fl_address *list, unsigned n);
};

extern struct fl__name_sys fl__name_sys;

/* The error for EAI_.... `system`: the errno of EAI_SYSTEM. */
int fl__lookup_error(int code, int system);

/*
 * Stores the addresses of `host`. Returns how many, 1 to `n`; or as fl_net_resolve_until(). A numeric
 * host needs no wait, and no fiber.
 */
int fl__resolve(fl_loop *l, const char *host, uint16_t port, fl_address *list, unsigned n, fl_time deadline,
                fl_cancel_token *cancel);

/*
 * Opens a socket at the first address of `host` that this machine has. Without a host: at all
 * addresses, those of IPv4 alone on a machine without IPv6. Calls `prepare` before the bind;
 * `all`: an IPv6 socket serves IPv4, too. Returns the descriptor, or an error.
 */
typedef int fl__net_prepare(int fd, int family, bool all, const void *config);
int fl__net_open(fl_loop *l, const char *host, uint16_t port, int type, fl__net_prepare *prepare, const void *config);

struct fl__socket_option {
	bool wanted;
	int level, option, value;
};

/* Sets the wanted ones of `n` options. Returns 0 or the first error. */
int fl__net_set_options(int fd, const struct fl__socket_option *options, size_t n);
