/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers-writer lock: locks and unlocks. rwlock.h has the table and the invariants. */
#include "rwlock.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include <errno.h>
#include <fairlead/time.h>

#define READER FL__RW_READER
#define MOST FL__RW_MOST
#define COUNT FL__RW_COUNT
#define WAITERS FL__RW_WAITERS
#define CLOSED FL__RW_CLOSED
#define UPGRADER FL__RW_UPGRADER
#define WRITER FL__RW_WRITER

/* Before each lock. */
static inline void look_after(fl_rwlock *l)
{
	if (__builtin_expect(fl__rw_flight.lock == l, 0))
		fl__rw_look_after(l);
}

/* Takes the lock if it is not barred, and so may overtake the queue. */
static bool take_if_open(fl_rwlock *l, const struct fl__rw_mode *mode)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: the CAS decides */
	while (!(seen & (mode->bars | CLOSED))) {
		/* acquire: pairs with the release in the unlocks */
		if (!fl__cas_weak_acquire(&l->word_, &seen, fl__rw_with(l, mode, seen)))
			continue;
		if (seen & WAITERS)
			fl__rw_close_in_time(l);
		return true;
	}
	return false;
}

/* Called after the subtraction of a reader, which found `seen`. */
static void reader_left(fl_rwlock *l, uint32_t seen)
{
	const uint32_t left = (seen & COUNT) - 1;
	if (!(seen & WAITERS))
		return;
	if ((left == 0 && !(seen & WRITER)) || (left == 1 && (seen & UPGRADER)))
		fl__rw_serve(l);
}

/* Called by a barred reader. */
static void back_out(fl_rwlock *l)
{
	reader_left(l, fl__add_relaxed(&l->word_, -READER)); /* relaxed: the caller held no lock */
}

/* As take_spinning() of mutex.c. */
static bool take_spinning(fl_rwlock *l, const struct fl__rw_mode *mode)
{
	enum { LOOKS = 7 };
	for (int i = 0; i < LOOKS; i++) {
		if (take_if_open(l, mode))
			return true;
		if (fl__load_relaxed(&l->word_) & WAITERS) /* relaxed: a hint */
			return false;
		fl__pause(1u << i);
	}
	return false;
}

/* Called by the awake waiter: spins until the lock is not barred, for a bounded time. */
static void spin_called(const fl_rwlock *l, const struct fl__rw_mode *mode)
{
	enum { LOOKS = 7 };
	/* relaxed: a hint */
	for (int i = 0; i < LOOKS && (fl__load_relaxed(&l->word_) & mode->bars); i++)
		fl__pause(1u << i);
}

static int lock_anyhow(fl_rwlock *l, const struct fl__rw_mode *mode, int64_t deadline, fl_cancel_token *cancel,
                       struct fl__debug_op *op)
{
	const bool spins = !fl__ctx_get()->ops->yield;
	fl__rw_heal(l);
	if (spins && take_spinning(l, mode))
		return 0;
	for (bool called = false;; called = true) {
		struct fl__wait wait;
		fl__wait_begin(&wait);
		struct fl__node node = FL__NODE(&wait);
		node.value = mode->kind;
		if (called && spins)
			spin_called(l, mode);
		const uint32_t bars = mode->bars | (called ? 0 : spins ? CLOSED : CLOSED | WAITERS);
		if (!fl__rw_line_up(l, mode, &node, bars, called))
			return 0;
		fl__debug_waiting(op);
		int rc = fl__wait_sleep(&wait, deadline, cancel);
		if (rc != 0) {
			fl__rw_leave(l, &node, 0);
			return rc;
		}
		if (node.value == FL__RW_GRANTED)
			return 0;
	}
}

static void begin(struct fl__debug_op *op, const fl_rwlock *l, const struct fl__rw_mode *mode, int64_t deadline)
{
	const unsigned how =
	    (mode == &fl__rw_reading ? FL__DEBUG_READ : 0) | (deadline == FL_FOREVER ? 0 : FL__DEBUG_TRY);
	fl__debug_locking(op, l, FL__DEBUG_RWLOCK, how);
}

__attribute__((noinline, cold)) static int write_slow(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__debug_op op;
	begin(&op, l, &fl__rw_writing, deadline);
	const int rc = lock_anyhow(l, &fl__rw_writing, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

__attribute__((noinline, cold)) static int try_slow(fl_rwlock *l, const struct fl__rw_mode *mode)
{
	struct fl__debug_op op;
	begin(&op, l, mode, 0);
	fl__rw_heal(l);
	const bool locked = take_if_open(l, mode);
	fl__debug_locked(&op, locked);
	return locked ? 0 : -EBUSY;
}

/*
 * Called after the addition of a reader, which found `seen`: true if the reader holds the lock.
 * Else backs out.
 */
static bool may_stay(fl_rwlock *l, uint32_t seen)
{
	if ((seen & COUNT) >= MOST && !(seen & WRITER)) {
		back_out(l);
		fl__panic("fl_rwlock_read_lock", l, "too many readers");
	}
	const bool fiber = fl__ctx_get()->ops->yield != NULL;
	if (!(seen & (fl__rw_reading.bars | CLOSED | (fiber ? WAITERS : 0)))) {
		if (seen & WAITERS)
			fl__rw_close_in_time(l);
		return true;
	}
	back_out(l);
	return false;
}

/* Called after the addition of a reader, which found `seen`. */
__attribute__((noinline, cold)) static int read_slow(fl_rwlock *l, uint32_t seen, int64_t deadline,
                                                     fl_cancel_token *cancel)
{
	const bool stays = may_stay(l, seen);
	struct fl__debug_op op;
	begin(&op, l, &fl__rw_reading, deadline);
	const int rc = stays ? 0 : lock_anyhow(l, &fl__rw_reading, deadline, cancel, &op);
	fl__debug_locked(&op, rc == 0);
	return rc;
}

void fl_rwlock_init(fl_rwlock *l)
{
	l->word_ = 0;
	l->turn_ = 0;
	fl__debug_forget(l, NULL);
}

int fl_rwlock_destroy(fl_rwlock *l)
{
	fl__rw_heal(l);
	const bool busy = fl__rw_is_busy(l);
	fl__debug_forget(l, busy ? "fl_rwlock_destroy" : NULL);
	return busy ? -EBUSY : 0;
}

int fl_rwlock_read_lock_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	look_after(l);
	/* pairs with fl_rwlock_write_unlock() */
	uint32_t seen = fl__add_acquire(&l->word_, READER);
	return __builtin_expect(seen < fl__debug_word(&fl__debug_readers), 1) ? 0
	                                                                      : read_slow(l, seen, deadline, cancel);
}

void fl_rwlock_read_lock(fl_rwlock *l)
{
	look_after(l);
	/* pairs with fl_rwlock_write_unlock() */
	uint32_t seen = fl__add_acquire(&l->word_, READER);
	if (__builtin_expect(seen >= fl__debug_word(&fl__debug_readers), 0))
		(void)read_slow(l, seen, FL_FOREVER, FL_SHIELDED); /* always 0 */
}

int fl_rwlock_try_read_lock(fl_rwlock *l)
{
	look_after(l);
	return !fl__debug_is_on() && take_if_open(l, &fl__rw_reading) ? 0 : try_slow(l, &fl__rw_reading);
}

/* Called after the subtraction of a reader, which found `seen`. */
__attribute__((noinline, cold)) static void read_unlock_slow(fl_rwlock *l, uint32_t seen)
{
	if (seen & COUNT) {
		reader_left(l, seen);
		return;
	}
	fl__add_relaxed(&l->word_, READER); /* relaxed: undoes the subtraction */
	fl__panic("fl_rwlock_read_unlock", l, "nobody reads");
}

static inline void read_unlock(fl_rwlock *l)
{
	/* release: pairs with the acquire in the write locks. The last access. */
	const uint32_t seen = fl__sub_release(&l->word_, READER);
	if (__builtin_expect(seen - READER >= MOST, 0))
		read_unlock_slow(l, seen);
}

/* Tells debugging before the lock is free. */
__attribute__((noinline, cold)) static void read_unlock_watched(fl_rwlock *l)
{
	if (fl_rwlock_is_read_locked(l))
		fl__debug_unlocking(l, FL__DEBUG_READ);
	read_unlock(l);
}

void fl_rwlock_read_unlock(fl_rwlock *l)
{
	if (fl__debug_is_on())
		read_unlock_watched(l);
	else
		read_unlock(l);
}

int fl_rwlock_write_lock_until(fl_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	look_after(l);
	uint32_t expected = fl__debug_word(&fl__debug_free);
	/* acquire: pairs with the release in the unlocks */
	if (__builtin_expect(fl__cas_weak_acquire(&l->word_, &expected, WRITER), 1))
		return 0;
	return write_slow(l, deadline, cancel);
}

void fl_rwlock_write_lock(fl_rwlock *l)
{
	look_after(l);
	uint32_t expected = fl__debug_word(&fl__debug_free);
	/* acquire: pairs with the release in the unlocks */
	if (__builtin_expect(fl__cas_weak_acquire(&l->word_, &expected, WRITER), 1))
		return;
	(void)write_slow(l, FL_FOREVER, FL_SHIELDED); /* always 0 */
}

int fl_rwlock_try_write_lock(fl_rwlock *l)
{
	look_after(l);
	return !fl__debug_is_on() && take_if_open(l, &fl__rw_writing) ? 0 : try_slow(l, &fl__rw_writing);
}

__attribute__((noinline, cold)) void fl__rw_writer_left(fl_rwlock *l, uint32_t seen, uint32_t taken,
                                                        const char *function)
{
	if (!(seen & WRITER)) {
		fl__add_relaxed(&l->word_, taken); /* relaxed: undoes the subtraction */
		fl__panic(function, l, "nobody writes");
	}
	if (seen & WAITERS)
		fl__rw_serve(l);
}

static inline void write_unlock(fl_rwlock *l)
{
	/* release: pairs with the acquire in the locks. The last access. */
	const uint32_t seen = fl__sub_release(&l->word_, WRITER);
	if (__builtin_expect(seen != WRITER, 0))
		fl__rw_writer_left(l, seen, WRITER, "fl_rwlock_write_unlock");
}

/* Tells debugging before the lock is free. */
__attribute__((noinline, cold)) static void write_unlock_watched(fl_rwlock *l)
{
	if (fl_rwlock_is_write_locked(l))
		fl__debug_unlocking(l, 0);
	write_unlock(l);
}

void fl_rwlock_write_unlock(fl_rwlock *l)
{
	if (fl__debug_is_on())
		write_unlock_watched(l);
	else
		write_unlock(l);
}

bool fl_rwlock_is_read_locked(const fl_rwlock *l)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: may be stale at once */
	return (seen & COUNT) && !(seen & WRITER);
}

bool fl_rwlock_is_write_locked(const fl_rwlock *l)
{
	return fl__load_relaxed(&l->word_) & WRITER; /* relaxed: may be stale at once */
}

void fl_rwlock_assert_read_held(const fl_rwlock *l)
{
	if (!fl_rwlock_is_read_locked(l) && !fl_rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_read_held", l, "not locked");
	fl__debug_assert_held(l, "fl_rwlock_assert_read_held");
}

void fl_rwlock_assert_write_held(const fl_rwlock *l)
{
	if (!fl_rwlock_is_write_locked(l))
		fl__panic("fl_rwlock_assert_write_held", l, "nobody writes");
	fl__debug_assert_held(l, "fl_rwlock_assert_write_held");
}
