/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_COPYING_H
#define FL_TEST_COPYING_H

/*
 * A kind of executor that copies arguments and results and is easy to observe: it runs on threads,
 * or on the caller, without FL_CAP_BY_REFERENCE. It has chunks. It is for maps from `inputs` to
 * `outputs`.
 *
 *     FL_SCOPED(fl_executor) *e = executor_of(2, &copy_square);   // two threads
 *     begin_map();
 *
 * Only one source file of a program may include this header, because everything here is static.
 */
#include "core/exec/map.h"
#include "fl_pool.h"

enum { N = 5000 }; /* more than the window of three workers: fl__chunk_window() */

static int inputs[N], outputs[N];
static unsigned runs, submitted;

static struct fl__executor_ops copying_ops, real_ops;
static struct fl__chunk_type whole; /* of the chunks of one test */

SEAM_FN int submit_copying(fl_executor *e, struct fl__task_block *block)
{
	if (block->future.count > 1)
		block->future.type = &whole.type;
	COUNT(&submitted);
	return real_ops.submit(e, block);
}

SEAM_FN fl_executor *copying(fl_executor *e, const fl_task_type *type)
{
	(void)fl__chunk_type(&whole, e, type, 2);
	real_ops = copying_ops = *e->ops;
	copying_ops.capabilities &= ~(uint32_t)FL_CAP_BY_REFERENCE;
	copying_ops.submit = submit_copying;
	e->ops = &copying_ops;
	return e;
}

/* Kind 0 runs on the caller; any other kind on that many threads. */
SEAM_FN fl_executor *executor_of(int kind, const fl_task_type *type)
{
	return copying(kind == 0 ? sequential() : pool_with((unsigned)kind), type);
}

SEAM_FN void begin_map(void)
{
	SET(&runs, 0);
	SET(&submitted, 0);
	for (int i = 0; i < N; i++) {
		inputs[i] = i;
		outputs[i] = -77;
	}
}

FL_TASK(copy_square, int, int)
{
	COUNT(&runs);
	FL_CHECK(arg < inputs || arg >= inputs + N); /* a copy */
	FL_CHECK(result < outputs || result >= outputs + N);
	*result += *arg * *arg; /* results start zeroed */
	return 0;
}

#endif
