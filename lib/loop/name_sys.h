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

/* The identity of a file, under any name. */
struct fl__file {
	uint64_t device, number;
};

/*
 * The system calls about names that listeners and connections need. The table continues that of
 * lib/base/sys.h, with the same rules. Results are 0 or a count, or a negative errno; errno keeps
 * its value.
 */
struct fl__name_sys {
	/*
	 * Stores the addresses of a host, port 0. Returns how many, 1 to n; or as
	 * fl__lookup_error(). `flags`: AI_NUMERICHOST; or 0, and then the lookup may take minutes.
	 * Any thread may call it.
	 */
	int (*lookup)(const char *host, int flags, struct fl__address *list, unsigned n);
	int (*socket_file)(const char *path, struct fl__file *file); /* -ENOTSOCK: no socket */
	int (*unlink)(const char *path);
};

extern struct fl__name_sys fl__name_sys;

/*
 * Translates EAI_... to a negative errno, as in the table of fairlead/net.h. `system`: the errno of
 * EAI_SYSTEM.
 */
int fl__lookup_error(int code, int system);

#endif
