/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_COMPLETED_H
#define FL_FUTURE_COMPLETED_H

#include <fairlead/completed.h>

/*
 * The calls of fl_completed for one kind of object. The struct of each kind begins with an
 * fl_completed.
 */
struct fl__completed_ops {
	int (*try_next)(fl_completed *c, size_t *index);
	int (*next_until)(fl_completed *c, size_t *index, int64_t deadline, fl_cancel *cancel);
	void (*free)(fl_completed *c);
};

struct fl_completed {
	const struct fl__completed_ops *ops;
};

#endif
