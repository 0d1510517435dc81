/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the readers-writer lock, without and with its bias for readers
 * (lib/core/sync/reader_bias.h; the model has two slots). The fields are plain, so that only the
 * lock orders them. turns.c has the hand-over.
 */
#include "core/sync/rwlock.h"
#include "../cases.h"
#include "core/sync/reader_bias.h"
#include "core/wait/lot.h"
#include <fairlead/latch.h>

struct shared {
	fl_rwlock lock, other;
	int a, b;      /* the number of writes */
	int least;     /* the least number of writes that each reader sees */
	int gave_up;   /* a writer did not get the lock */
	bool refused;  /* a reader did not get the lock by a try */
	atomic_int in; /* the awaited context has had the lock */
	fl_cancel_token stop;
	fl_event told;
	fl_latch inside;
};

/* How a scenario begins. */

static void unlocked(struct shared *s)
{
	OK(fl_latch_init(&s->inside, 3));
}

static void read_locked(struct shared *s)
{
	fl_rwlock_read_lock(&s->lock);
}

/* The first actor has the lock, and writes before it unlocks. */
static void write_locked(struct shared *s)
{
	OK(fl_latch_init(&s->inside, 2));
	s->least = 1;
	fl_rwlock_write_lock(&s->lock);
}

static void biased(struct shared *s)
{
	s->lock.word_ = s->other.word_ = FL__BIAS + FL__BIAS_UNITS;
}

/* The lock is biased, and a reader that the word counts has it. Another context unlocks. */
static void biased_and_read(struct shared *s)
{
	biased(s);
	s->lock.word_ += 1;
}

/* Parts of the actors. */

static void change(struct shared *s)
{
	s->a++;
	s->b++;
}

static void end_write(struct shared *s)
{
	change(s);
	fl_rwlock_write_unlock(&s->lock);
}

/* Writes if an attempt to lock has succeeded. It may have failed with `refusal`. */
static void write_if(struct shared *s, int rc, int refusal)
{
	FL_STRESS_CHECK(rc == 0 || rc == refusal);
	if (rc == 0)
		end_write(s);
	else
		s->gave_up = 1;
}

/* A reader sees all of a write, or nothing. */
static void look(const struct shared *s)
{
	FL_STRESS_CHECK(s->a == s->b && s->a >= s->least);
}

static void end_read(struct shared *s)
{
	look(s);
	fl_rwlock_read_unlock(&s->lock);
}

/* All threads that call this use the same slot. */
static void read_lock_by_slot(struct shared *s)
{
	fl__bias_note(&s->lock);
	fl__bias_mine.index = 1;
	fl_rwlock_read_lock(&s->lock);
}

/* Returns when the first waiter has waited for a turn. */
static void let_a_waiter_be_late(struct shared *s)
{
	while (!fl__lot_has_waiters_at(&s->lock))
		fl_stress_relax();
	OK(fl_sleep(FL_MS(2)));
}

/* The actors. */

static void write_once(struct shared *s)
{
	fl_rwlock_write_lock(&s->lock);
	end_write(s);
}

static void write_timed(struct shared *s)
{
	write_if(s, fl_rwlock_write_lock_until(&s->lock, fl_after(FL_MS(3)), NULL), -ETIMEDOUT);
}

static void write_stoppable(struct shared *s)
{
	write_if(s, fl_rwlock_write_lock_until(&s->lock, FL_FOREVER, &s->stop), -ECANCELED);
}

static void try_write(struct shared *s)
{
	write_if(s, fl_rwlock_try_write_lock(&s->lock), -EAGAIN);
}

static void read_once(struct shared *s)
{
	OK(fl_rwlock_read_lock_until(&s->lock, FL_FOREVER, NULL));
	end_read(s);
}

static void read_by_slot(struct shared *s)
{
	read_lock_by_slot(s);
	end_read(s);
}

static void meet_inside(struct shared *s)
{
	fl_rwlock_read_lock(&s->lock);
	fl_latch_count_down(&s->inside, 1);
	OK(fl_latch_wait(&s->inside));
	end_read(s);
}

static void try_both(struct shared *s)
{
	if (fl_rwlock_try_read_lock(&s->lock) == 0)
		end_read(s);
	try_write(s);
}

static void downgrade(struct shared *s)
{
	change(s);
	fl_rwlock_downgrade(&s->lock);
	OK(fl_event_wait(&s->told)); /* the reader must get in beside this one */
	end_read(s);
}

static void read_and_tell(struct shared *s)
{
	fl_rwlock_read_lock(&s->lock);
	fl_event_set(&s->told);
	end_read(s);
}

static void read_among_waiters(struct shared *s)
{
	if (fl__lot_has_waiters_at(&s->lock)) {
		OK(fl_sleep(FL_MS(2)));
		read_once(s); /* it closes the lock */
		read_once(s); /* it waits */
	}
	end_read(s);
}

static void stop_and_end_write(struct shared *s)
{
	fl_cancel_token_request(&s->stop);
	end_write(s);
}

/*
 * The node of the second wait lies where the node of the first wait was, which must no longer be
 * queued there.
 */
static void write_though_stopped(struct shared *s)
{
	if (fl_rwlock_write_lock_until(&s->lock, FL_FOREVER, &s->stop) != 0)
		fl_rwlock_write_lock(&s->lock);
	end_write(s);
}

static void read_stoppable(struct shared *s)
{
	if (fl_rwlock_read_lock_until(&s->lock, FL_FOREVER, &s->stop) == 0)
		end_read(s);
}

static void write_awaited(struct shared *s)
{
	fl_rwlock_write_lock(&s->lock);
	SET(&s->in, 1);
	end_write(s);
}

static void overtake_writer(struct shared *s)
{
	let_a_waiter_be_late(s);
	if (fl_rwlock_try_read_lock(&s->lock) == 0) /* this is the last one that overtakes */
		fl_rwlock_read_unlock(&s->lock);
	FL_STRESS_CHECK(fl_rwlock_try_read_lock(&s->lock) == -EAGAIN);
	FL_STRESS_CHECK(!LOOK(&s->in));
	fl_rwlock_read_unlock(&s->lock);
	fl_rwlock_read_lock(&s->lock); /* it waits for its turn */
	FL_STRESS_CHECK(LOOK(&s->in));
	end_read(s);
}

static void read_awaited(struct shared *s)
{
	fl_rwlock_read_lock(&s->lock);
	SET(&s->in, 1);
	end_read(s);
}

static void overtake_reader(struct shared *s)
{
	let_a_waiter_be_late(s);
	end_write(s);
	for (int i = 0; i < 2; i++) {
		if (fl_rwlock_try_write_lock(&s->lock) != 0)
			continue;
		FL_STRESS_CHECK(i == 0 || LOOK(&s->in));
		fl_rwlock_write_unlock(&s->lock);
	}
}

static void begin_bias(struct shared *s)
{
	fl_rwlock_read_lock(&s->lock);
	fl__bias_begin(&s->lock);
	end_read(s);
}

static void begin_bias_and_read(struct shared *s)
{
	begin_bias(s);
	read_once(s);
}

static void write_and_begin_bias(struct shared *s)
{
	write_once(s);
	begin_bias(s);
}

static void hand_over(struct shared *s)
{
	read_lock_by_slot(s);
	fl_event_set(&s->told);
}

static void take_over(struct shared *s)
{
	OK(fl_event_wait(&s->told));
	end_read(s);
}

/* Some reader has the lock all the time. */
static void assert_and_take_over(struct shared *s)
{
	FL_STRESS_CHECK(fl__rwlock_is_read_locked(&s->lock));
	take_over(s);
}

static void stop_and_read_by_slot(struct shared *s)
{
	read_lock_by_slot(s);
	fl_cancel_token_request(&s->stop);
	end_read(s);
}

static void try_read_by_slot(struct shared *s)
{
	fl__bias_note(&s->lock);
	s->refused = fl_rwlock_try_read_lock(&s->lock) != 0;
	if (!s->refused)
		end_read(s);
}

static void read_both_by_slot(struct shared *s)
{
	fl__bias_note(&s->other);
	read_lock_by_slot(s);
	fl_rwlock_read_lock(&s->other);
	fl_rwlock_read_unlock(&s->lock);
	fl_rwlock_read_unlock(&s->other);
}

static void read_and_assert(struct shared *s)
{
	read_lock_by_slot(s);
	FL_STRESS_CHECK(fl__rwlock_is_read_locked(&s->lock));
	end_read(s);
}

/* How each scenario ends. */

static bool is_free(fl_rwlock *l)
{
	const bool busy = fl__rwlock_is_busy(l), barred = fl_rwlock_try_write_lock(l) != 0;
	if (!barred)
		fl_rwlock_write_unlock(l);
	fl_rwlock_destroy(l);
	return !busy && !barred && l->word_ == 0 && fl__bias_slots_of(l) == 0;
}

static void end(struct shared *s, int writes)
{
	fl_cancel_token_destroy(&s->stop);
	FL_FORBIDDEN(!is_free(&s->lock) || !is_free(&s->other), "left locked, awaited, or in a slot");
	FL_FORBIDDEN(s->gave_up && s->refused, "nobody got it");
	FL_FORBIDDEN(s->a != s->b || s->a + s->gave_up != writes, "a write was lost");
	FL_ACCEPTABLE(!s->gave_up, "all wrote");
	FL_ACCEPTABLE(1, "one gave up");
}

#define RW(test, begin, writes, ...) SCENARIO(test, struct shared, begin(&s->t), end(&s->t, writes), __VA_ARGS__)

/* Writers exclude each other and readers, including readers that use slots. */
RW(rw_excl, unlocked, 2, write_once, write_once, read_once)
RW(bias_excl, biased, 2, write_once, write_once, read_by_slot)

/*
 * Several readers wait for one writer, and all get in. The scenario fails if the first woken reader
 * takes no other reader along.
 */
RW(rw_batch, write_locked, 1, end_write, meet_inside, meet_inside)

/* rw_readers_only_deadlock (rust #121949): readers alone never wait for each other. */
RW(rw_readers_only_deadlock, unlocked, 0, meet_inside, meet_inside, meet_inside)

/*
 * rw_try_stall (glibc 23844), rw_prefer_writer_stall (23861): tries beside waiters leave no context
 * asleep.
 */
RW(rw_try_stall, unlocked, 2, try_both, read_once, write_once)

/* A downgrade lets readers in, and no writer. */
RW(rw_downgrade, write_locked, 1, downgrade, read_and_tell)

/*
 * A writer that gives up lets in the readers behind it, because the lock is read, and so no
 * writer's unlock would do it.
 */
RW(rw_timeout_lets_readers_in, read_locked, 1, write_timed, read_among_waiters)

/* A lock that was cancelled is not held, and a cancelled reader leaves no count behind. */
RW(rw_cancel_vs_unlock, write_locked, 2, stop_and_end_write, write_though_stopped, read_stoppable)

/*
 * A writer that has waited its time is no longer overtaken, although some reader always has the
 * lock.
 */
RW(rw_writer_starve, read_locked, 1, write_awaited, overtake_writer)

/*
 * A reader that has waited its time is not overtaken any more by a context that writes over and
 * over.
 */
RW(rw_reader_starve, write_locked, 1, overtake_reader, read_awaited)

/* Two readers share one slot. The second one is counted, and either may free the slot. */
RW(bias_shared_slot, biased, 1, read_by_slot, read_by_slot, write_once)

/* A bias begins beside a writer that waits. Whoever reads last wakes the writer. */
RW(bias_begins_late, unlocked, 2, begin_bias_and_read, write_once, write_once)

/*
 * One bias ends while another one begins. A reader of the second is not taken for one of the first.
 */
RW(bias_twice, biased, 1, write_once, read_by_slot, begin_bias)

/* Another context unlocks. The slot stays, and the count is decremented instead. */
RW(bias_handed_over, biased, 1, hand_over, take_over, write_once)

/*
 * A writer that gives up has ended the bias. A reader that was counted for it unlocks as any other
 * reader does.
 */
RW(bias_cancel, biased, 1, write_stoppable, stop_and_read_by_slot)

/* A try of a writer fails only if somebody reads. */
RW(bias_try, biased, 1, try_write, try_read_by_slot)

/* A bias begins while a woken reader, with a writer behind it, has yet to lock. */
RW(bias_behind_reader, unlocked, 2, write_and_begin_bias, read_once, write_once)

/* A thread reads two locks of one slot, and finds the slot that it used. */
RW(bias_two_locks, biased, 0, read_both_by_slot, read_both_by_slot)

/* A reader asserts what it holds while a writer ends the bias. */
RW(bias_asserts, biased, 1, read_and_assert, write_once)

/*
 * A reader in a slot comes before a counted reader goes. A context that sees that the counted
 * reader has gone also sees the reader in the slot.
 */
RW(bias_relay, biased_and_read, 0, hand_over, take_over, assert_and_take_over)

/* rw_3_4_writers_aba (folly b927c055): a fourth writer comes while a third one leaves. */
RW(rw_3_4_writers_aba, unlocked, 4, write_once, write_once, write_once, write_once)

/*
 * The last reader owes a check of the wait queue. At the same time a writer overtakes and serves
 * the queue itself, and the context that it wakes frees the lock. The scenario fails if the check
 * begins with the lock rather than with the queue.
 */
struct rw_late_look {
	struct counted_lock {
		fl_rwlock l;
		int refs;
	} * object;
};

FL_STRESS_SETUP(rw_late_look)
{
	s->object = make(sizeof *s->object);
	s->object->refs = 2;
	fl_rwlock_read_lock(&s->object->l);
}

FL_STRESS_ACTOR(rw_late_look, reader)
{
	fl_rwlock_read_unlock(&s->object->l);
}

FL_STRESS_ACTOR(rw_late_look, holder)
{
	struct counted_lock *object = s->object;
	fl_rwlock_write_lock(&object->l);
	bool last = --object->refs == 0;
	fl_rwlock_write_unlock(&object->l);
	if (!last)
		return;
	FL_STRESS_CHECK(!fl__rwlock_is_busy(&object->l));
	free(object);
}

FL_STRESS(rw_late_look, reader, holder, holder)
{
	FL_ACCEPTABLE(1, "freed once");
}
