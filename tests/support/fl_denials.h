/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DENIALS_H
#define FL_DENIALS_H

/*
 * Cases in which a system call is missing, run in children with a filter:
 *
 *     static void without_fallocate(void *error)
 *     {
 *             fl_test_deny(SYS_fallocate, error);
 *             ...
 *     }
 *
 *     FL_WITHOUT(without_fallocate, ENOSYS, EPERM);       // in a case: a child for each error
 */
#include "fl_child.h"
#include "fl_denied.h"

enum { FL_TEST_NO_FILTER = 77 }; /* how a child ends that cannot have a filter */

/* From now on the call fails with *error in this process. */
static inline void fl_test_deny(long call, const void *error)
{
	if (fl_denied_filter(call, *(const int *)error, 0, 0) != 0)
		_exit(FL_TEST_NO_FILTER);
}

static inline void fl_test_without(void (*function)(void *error), int *errors, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const int status = fl_test_child(function, &errors[i], NULL, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == FL_TEST_NO_FILTER)
			FL_SKIP("this system has no filters of system calls");
		assert_int_equal(status, 0);
	}
}

#define FL_WITHOUT(function, ...)                                                                                      \
	fl_test_without(function, (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

#endif
