/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CRASH_H
#define STRESS_CRASH_H

#include "../../lib/core/base/sys.h"
#include <fairlead/stress.h>
#include <limits.h>
#include <stdatomic.h>

/*
 * Small tools for processes that may be killed: a robust lock in the kernel's format, and a gate
 * that one process opens for others. Each function is passed a set of steps that it leaves out, or
 * does wrong; the bugs of planted/crash.c pass such sets.
 *
 * The word of a lock contains the owner's thread id, OWNER_DIED, and WAITERS. The lock's node is
 * behind the word, at the distance of the system's robust list, and points to the node of the lock
 * that was taken before.
 */
enum {
	NOTHING = 0,
	PENDING_TO_TAKE = 1,     /* `pending` does not name the lock while it is being taken */
	PENDING_TO_UNLINK = 2,   /* `pending` does not name the lock while its node is removed */
	PENDING_TO_WAKE = 4,     /* `pending` does not name the lock once it is free */
	PENDING_IN_SLEEP = 8,    /* `pending` does not name the lock during the wait for it */
	LINK = 16,               /* the lock is not in the list at all */
	WAKE_BEFORE_COMMIT = 32, /* the gate opens before its waiters are woken */
	WAKE_ALL = 64            /* only one waiter is woken, which must wake the next */
};
#define OWNER 0x3fffffffu
#define OWNER_DIED 0x40000000u
#define WAITERS 0x80000000u

struct robust {
	atomic_uint word;
	void *room[8]; /* the node is in here */
};

static inline void **node_of(struct robust *l, const struct fl__robust_list *list)
{
	return (void **)(void *)((char *)&l->word - list->offset);
}

static inline void set_pending(struct fl__robust_list *list, void *node)
{
	atomic_signal_fence(memory_order_seq_cst);
	__atomic_store_n(&list->pending, node, __ATOMIC_RELAXED);
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Takes the lock if it is free. `keeps` is WAITERS if only this thread knows that others may sleep.
 */
static inline bool take_if_free(struct robust *l, unsigned tid, unsigned keeps, unsigned *value)
{
	*value = atomic_load_explicit(&l->word, memory_order_relaxed);
	while ((*value & OWNER) == 0)
		if (atomic_compare_exchange_weak_explicit(&l->word, value, tid | keeps | (*value & WAITERS),
		                                          memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

static inline bool sleep_for(struct robust *l, unsigned value)
{
	unsigned waited = value | WAITERS;
	if (!(value & WAITERS) && !atomic_compare_exchange_strong_explicit(&l->word, &value, waited,
	                                                                   memory_order_relaxed, memory_order_relaxed))
		return false;
	return fl__sys.shared_wait((const uint32_t *)&l->word, waited, INT64_MAX) == 0;
}

/* Takes the lock. Returns true if the previous owner died while it held the lock. */
static inline bool robust_take(struct robust *l, unsigned without)
{
	struct fl__robust_list *list = fl__sys.robust_list();
	const unsigned tid = fl__sys.thread_id();
	void **node = node_of(l, list);
	unsigned value, keeps = 0;
	set_pending(list, without & PENDING_TO_TAKE ? NULL : node);
	while (!take_if_free(l, tid, keeps, &value)) {
		if (without & PENDING_IN_SLEEP)
			set_pending(list, NULL);
		if (sleep_for(l, value))
			keeps = WAITERS;
		if (without & PENDING_IN_SLEEP)
			set_pending(list, node);
	}
	if (!(without & LINK)) {
		__atomic_store_n(node, list->first, __ATOMIC_RELAXED);
		atomic_signal_fence(memory_order_seq_cst);
		__atomic_store_n(&list->first, (void *)node, __ATOMIC_RELAXED);
	}
	set_pending(list, NULL);
	return value & OWNER_DIED;
}

/* Releases the lock that was taken last. Wakes one waiter, which keeps WAITERS. */
static inline void robust_give(struct robust *l, unsigned without)
{
	struct fl__robust_list *list = fl__sys.robust_list();
	void **node = node_of(l, list);
	set_pending(list, without & PENDING_TO_UNLINK ? NULL : node);
	if (!(without & LINK))
		__atomic_store_n(&list->first, __atomic_load_n(node, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	set_pending(list, node);
	unsigned before = atomic_load_explicit(&l->word, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&l->word, &before, before & WAITERS, memory_order_release,
	                                              memory_order_relaxed))
		;
	if (without & PENDING_TO_WAKE)
		set_pending(list, NULL);
	if (before & WAITERS)
		(void)fl__sys.shared_wake((const uint32_t *)&l->word, 1);
	set_pending(list, NULL);
}

/*
 * The first process opens the gate, and the others find it open. Waiters sleep on the count of
 * changes.
 */
struct gate {
	struct robust lock;
	atomic_uint changes;
	bool open; /* guarded by the lock */
};

static inline void gate_open(struct gate *g, unsigned without)
{
	const int all = without & WAKE_ALL ? 1 : INT_MAX;
	(void)robust_take(&g->lock, NOTHING);
	if (!g->open) {
		(void)atomic_fetch_add_explicit(&g->changes, 1, memory_order_relaxed);
		/*
		 * Waiters look when the lock is free. By then the gate is open, or its opener has
		 * died before the change.
		 */
		if (!(without & WAKE_BEFORE_COMMIT))
			(void)fl_stress_futex_wake(&g->changes, all);
		g->open = true;
		if (without & WAKE_BEFORE_COMMIT)
			(void)fl_stress_futex_wake(&g->changes, all);
	}
	robust_give(&g->lock, NOTHING);
}

static inline void gate_pass(struct gate *g, unsigned without)
{
	for (;;) {
		(void)robust_take(&g->lock, NOTHING);
		bool open = g->open;
		unsigned changes = atomic_load_explicit(&g->changes, memory_order_relaxed);
		robust_give(&g->lock, NOTHING);
		if (open)
			break;
		(void)fl_stress_futex_wait(&g->changes, changes, INT64_MAX);
	}
	if (without & WAKE_ALL)
		(void)fl_stress_futex_wake(&g->changes, 1);
}

#endif
