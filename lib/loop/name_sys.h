/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_NAME_SYS_H
#define FL_LOOP_NAME_SYS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address of IPv4 or IPv6. */
struct fl__address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at;
};

/* Which file it is, by whatever name. */
struct fl__file {
	uint64_t device, number;
};

/*
 * What listeners and connections ask of the system about names: the continuation of lib/base/sys.h's table, with the same rules.
 * Results are 0 or a count, or a negative errno; errno stays as it is.
 */
struct fl__name_sys {
	/*
	 * The addresses of a host, port 0: how many it has stored, 1 to n; or as fl__lookup_error(). `flags`: AI_NUMERICHOST, or 0,
	 * and then it may take minutes. Any thread may call it.
	 */
	int (*lookup)(const char *host, int flags, struct fl__address *list, unsigned n);
	int (*socket_file)(const char *path, struct fl__file *file); /* -ENOTSOCK: something else is there */
	int (*unlink)(const char *path);
};

extern struct fl__name_sys fl__name_sys;

/* What EAI_... means: a negative errno, from the table in fairlead/net.h. `system`: the errno that EAI_SYSTEM speaks of. */
int fl__lookup_error(int code, int system);

#endif
