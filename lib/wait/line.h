/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_WAIT_LINE_H
#define FL_WAIT_LINE_H

#include "lot.h"

/*
 * A line outside of the lot: for what has a lock that each of its operations holds anyway, and which guards this, too. So a wait
 * and a wake take no lock of their own. All-zero is empty.
 *
 *     fl__wait_begin(&wait);                          // the waiter, under the lock
 *     fl__line_add(line, &node);
 *     unlock
 *     rc = fl__wait_sleep(&wait, deadline, cancel);
 *     lock
 *     if (rc != 0)
 *             fl__line_remove(line, &node);
 *
 * lot.c's invariants hold, with that lock for the bucket's. Whoever was in the line takes the lock before its wait is over, so
 * that a node is there as long as a waker may look at it; also after a wake, if the waker's last access to the object is its
 * unlock.
 */
struct fl__line {
	struct fl__node *first; /* a ring in FIFO order; NULL: empty */
	uint32_t fork_count;    /* of the process whose waiters they are; in its child nobody waits */
};

/* Whether anybody may stand in it. */
static inline bool fl__line_is_awaited(const struct fl__line *line)
{
	return line->first != NULL;
}

/* The same, exactly. */
bool fl__line_is_waited(struct fl__line *line);

/* Adds `node`, whose wait and observer are set (FL__NODE), at its end. */
void fl__line_add(struct fl__line *line, struct fl__node *node);

/* The same at its beginning. */
void fl__line_add_first(struct fl__line *line, struct fl__node *node);

/* Takes `node` out, if it is still in it. */
void fl__line_remove(struct fl__line *line, struct fl__node *node);

/* Wakes up to `max` waiters, oldest first, that have not given up, and the observers before them. Returns how many, observers apart. */
size_t fl__line_wake(struct fl__line *line, size_t max);

#endif
