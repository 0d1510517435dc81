/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * destroy_after_unlock, by a wait that gives up: its deadline has passed, and a waker has skipped
 * it before it left the queue, so it no longer counts as waiting. Then destroy returns 0, and the
 * memory is freed while the waiter is still leaving its call.
 */
#include "fl_queued.h"

typedef union memory {
	fl_mutex mutex;
	fl_sem sem;
	fl_rwlock rwlock;
	unsigned char bytes[8];
} memory;

FL_CALL(lock)
{
	return fl_mutex_lock_until(object, deadline, cancel);
}

FL_CALL(read_lock)
{
	return fl_rwlock_read_lock_until(object, deadline, cancel);
}

FL_CALL(write_lock)
{
	return fl_rwlock_write_lock_until(object, deadline, cancel);
}

static void pass_over(struct fl__lot *lot)
{
	assert_int_equal(fl__lot_take(lot, 1, 0), 0);
}

/*
 * Has the marks that would make each of them continue: WAITERS of all three, and not AWAKE of the
 * last.
 */
enum { GONE = 0xd6 };

/*
 * With the bucket locked: the memory is freed while the first waiter has given up, and has yet to
 * leave. False: it had left before.
 */
static bool free_under(memory *object, struct fl__lot *lot)
{
	const struct fl__node *first = fl__lot_first(lot);
	if (!first)
		return false;
	FL_WAIT_FOR(fl__load_relaxed(&first->wait->decision) == FL__GAVE_UP);
	pass_over(lot);
	memset(object, GONE, sizeof *object);
	return true;
}

static void leave_late(memory busy, fl_test_call *call)
{
	for (bool freed = false; !freed;) {
		memory object = busy;
		fl_test_caller waiter;
		struct fl__lot lot;
		fl_test_call_queued(&waiter, call, &object, &object, fl_after(FL_MS(5)), FL_SHIELDED);
		fl__lot_open(&lot, &object);
		freed = free_under(&object, &lot);
		fl__lot_close(&lot);
		FL_RC(fl_test_call_end(&waiter), -ETIMEDOUT);
		if (freed)
			for (size_t i = 0; i < sizeof object; i++)
				assert_int_equal(object.bytes[i], GONE);
	}
}

FL_TEST(give_up_late_leaves_a_mutex_alone)
{
	memory busy = {.bytes = {0}};
	FL_OK(fl_mutex_try_lock(&busy.mutex));
	leave_late(busy, lock);
}

FL_TEST(give_up_late_leaves_a_semaphore_alone)
{
	leave_late((memory){.sem = FL_SEM_INIT(0)}, fl_test_acquire);
}

FL_TEST(give_up_late_leaves_a_rwlock_alone)
{
	memory busy = {.bytes = {0}};
	FL_OK(fl_rwlock_try_write_lock(&busy.rwlock));
	leave_late(busy, read_lock);
	leave_late(busy, write_lock);
}
