/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executor for nested tasks in another process (nested.h), and the search for the end of its
 * thread's stack.
 */
#include "nested.h"
#include "core/base/sys.h"
#include "core/exec/executor.h"
#include "core/sync/mutex.h"
#include <errno.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>

/*
 * Stores the lowest address down to which nested submits may use the stack. At most MOST bytes of
 * the stack count.
 *
 * The main thread's stack may grow to the system's limit, because the kernel keeps at least 128 MiB
 * below it free of mappings. musl reports only the size in use, and glibc reports nothing without
 * /proc. The main thread's stack is recognized by the program's name, which the kernel stores near
 * its top.
 */
static int nested_find_stack_low(uintptr_t *low)
{
	enum { MOST = 256 << 20, MARGIN = 256 << 10, NEAR = 16 << 20 };
	const uintptr_t name = (uintptr_t)getauxval(AT_EXECFN);
	uintptr_t top = name, here = (uintptr_t)__builtin_frame_address(0);
	struct rlimit limit;
	size_t size = 0;
	pthread_attr_t attr;
	void *bottom;
	int rc = -pthread_getattr_np(pthread_self(), &attr);
	if (rc == 0) {
		(void)pthread_attr_getstack(&attr, &bottom, &size); /* cannot fail */
		here = top = (uintptr_t)bottom + size;
		(void)pthread_attr_destroy(&attr);
	}
#ifdef __GLIBC__
	/* EPERM: glibc calls sched_getaffinity() here, which may be forbidden */
	const bool grows = rc == -ENOENT || rc == -EPERM;
#else
	const bool grows = true;
#endif
	if (grows && name + NEAR - here < 2 * NEAR && getrlimit(RLIMIT_STACK, &limit) == 0)
		size = (size_t)FL__MAX(size, FL__MIN(limit.rlim_cur, MOST));
	if (size == 0)
		return rc;
	size = FL__MIN(size, MOST);
	*low = top - size + FL__MIN(size / 2, MARGIN);
	return 0;
}

int fl__nested_make(fl_executor **made, const fl_executor_config *config)
{
	uintptr_t low = 0;
	int rc = nested_find_stack_low(&low);
	if (rc == 0)
		rc = fl_sequential_executor_create(made, config);
	if (rc != 0)
		return rc;
	(*made)->stack_low = low;
	(*made)->lasts = true;
	return 0;
}

void fl__nested_reopen(fl_executor *e)
{
	if (!e->closed)
		return; /* only tasks of this thread close it */
	FL__HELD(&e->lock);
	e->closed = false;
}
