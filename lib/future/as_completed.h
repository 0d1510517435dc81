/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_FUTURE_AS_COMPLETED_H
#define FL_FUTURE_AS_COMPLETED_H

#include <fairlead/as_completed.h>

/*
 * The calls of fl_as_completed for one kind of object. The struct of each kind begins with an
 * fl_as_completed.
 */
struct fl__as_completed_ops {
	int (*try_next)(fl_as_completed *c, size_t *index);
	int (*next_until)(fl_as_completed *c, size_t *index, int64_t deadline, fl_cancel_token *cancel);
	void (*free)(fl_as_completed *c);
};

struct fl_as_completed {
	const struct fl__as_completed_ops *ops;
};

#endif
