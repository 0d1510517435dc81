/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_RAW_H
#define FL_PROCESS_RAW_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * System calls of a new process before its exec or its task. The process may share its parent's
 * memory: a sanitizer would attribute accesses to the parent. So FL__RAW functions are not
 * instrumented, and call no function that a sanitizer intercepts.
 */
#define FL__RAW __attribute__((no_sanitize("address", "thread", "undefined")))

FL__RAW static inline int fl__raw(long number, long a, long b, long c, long d)
{
	long rc = syscall(number, a, b, c, d);
	return rc < 0 ? -errno : (int)rc;
}

#endif
