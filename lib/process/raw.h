/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_RAW_H
#define FL_PROCESS_RAW_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Calls of the system between clone or fork and exec or task: in a process that may share its parent's memory. A sanitizer
 * would take what is done there for the parent's doing, so functions that are marked FL__RAW are not instrumented, and call
 * nothing that it intercepts.
 */
#define FL__RAW __attribute__((no_sanitize("address", "thread", "undefined")))

FL__RAW static inline int fl__raw(long number, long a, long b, long c, long d)
{
	long rc = syscall(number, a, b, c, d);
	return rc < 0 ? -errno : (int)rc;
}

#endif
