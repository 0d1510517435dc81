/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock with its bias for readers (lib/core/sync/reader_bias.h). Plain fields:
 * only the lock orders them. The model has two slots.
 */
#include "../cases.h"
#include "core/sync/reader_bias.h"
#include "core/sync/rwlock.h"
#include "rwlocks.h"

static void biased(fl_rwlock *l)
{
	of_this_process(l);
	l->word_ = FL__BIAS + FL__BIAS_UNITS;
}

/* As a thread that has read the lock before. `slot`: 0 or 1 */
static void read_biased(fl_rwlock *l, unsigned slot)
{
	fl__bias_note(l);
	fl__bias_mine.index = slot;
	fl_rwlock_read_lock(l);
}

/* For the outcome: no context has the lock, also by a slot; a writer gets it. */
#define BIAS_IS_FREE(l)                                                                                                \
	FL_FORBIDDEN(fl__rwlock_is_busy(l), "left locked, or awaited");                                                \
	fl_rwlock_destroy(l);                                                                                          \
	FL_FORBIDDEN(fl__bias_slots_of(l) > 0, "a slot was left");                                                     \
	FL_FORBIDDEN((l)->word_ != 0, "a count was left")

/* A scenario of a biased lock, with an actor that writes, and further fields. */
#define BIASED(name, fields)                                                                                           \
	struct name {                                                                                                  \
		fl_rwlock l;                                                                                           \
		int data;                                                                                              \
		fields                                                                                                 \
	};                                                                                                             \
	FL_STRESS_SETUP(name)                                                                                          \
	{                                                                                                              \
		biased(&s->l);                                                                                         \
	}                                                                                                              \
	FL_STRESS_ACTOR(name, writer)                                                                                  \
	{                                                                                                              \
		FL_WRITE_LOCKED(&s->l);                                                                                \
		s->data++;                                                                                             \
	}

/* A writer excludes readers that use slots, two writers each other; a reader sees all or nothing. */
struct bias_excl {
	fl_rwlock l;
	int a, b, saw_a, saw_b;
};

FL_STRESS_SETUP(bias_excl)
{
	biased(&s->l);
}

FL_STRESS_ACTOR(bias_excl, write_both)
{
	FL_WRITE_LOCKED(&s->l);
	s->a++;
	s->b++;
}

FL_STRESS_ACTOR(bias_excl, reader)
{
	read_biased(&s->l, 0);
	s->saw_a = s->a;
	s->saw_b = s->b;
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_excl, write_both, write_both, reader)
{
	BIAS_IS_FREE(&s->l);
	FL_FORBIDDEN(s->a != 2 || s->b != 2, "a count was lost");
	FL_FORBIDDEN(s->saw_a != s->saw_b, "saw half of it");
	FL_ACCEPTABLE(1, "in order");
}

/* Two readers share one slot: the second is counted, and either may free the slot. */
BIASED(bias_shared_slot, )

FL_STRESS_ACTOR(bias_shared_slot, reader)
{
	read_biased(&s->l, 0);
	const int saw = s->data;
	FL_STRESS_CHECK(s->data == saw);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_shared_slot, reader, reader, writer)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 1, "in order");
}

/* A bias that begins beside a writer that waits: the writer is woken, by whoever reads last. */
struct bias_begins_late {
	fl_rwlock l;
	int data;
};

FL_STRESS_SETUP(bias_begins_late)
{
	of_this_process(&s->l);
}

FL_STRESS_ACTOR(bias_begins_late, reader)
{
	fl_rwlock_read_lock(&s->l);
	fl__bias_begin(&s->l);
	fl_rwlock_read_unlock(&s->l);
	fl_rwlock_read_lock(&s->l);
	const int saw = s->data;
	FL_STRESS_CHECK(s->data == saw);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_begins_late, writer)
{
	FL_WRITE_LOCKED(&s->l);
	s->data++;
}

FL_STRESS(bias_begins_late, reader, writer, writer)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 2, "in order");
}

/* One bias ends while another one begins: a reader of the second is not taken for one of the first. */
BIASED(bias_twice, )

FL_STRESS_ACTOR(bias_twice, reader)
{
	read_biased(&s->l, 0);
	const int saw = s->data;
	FL_STRESS_CHECK(s->data == saw);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_twice, begins)
{
	fl_rwlock_read_lock(&s->l);
	fl__bias_begin(&s->l);
	FL_STRESS_CHECK(s->data <= 1);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_twice, writer, reader, begins)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 1, "in order");
}

/* Another context unlocks: the slot stays, and the count pays for it. */
BIASED(bias_handed_over, fl_event handed; int saw;)

FL_STRESS_ACTOR(bias_handed_over, reader)
{
	read_biased(&s->l, 0);
	fl_event_set(&s->handed);
}

FL_STRESS_ACTOR(bias_handed_over, unlocks)
{
	OK(fl_event_wait(&s->handed));
	s->saw = s->data;
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_handed_over, reader, unlocks, writer)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 1, "in order");
}

/* A writer that gives up has ended the bias; a reader that was counted for it unlocks as any other. */
struct bias_cancel {
	fl_rwlock l;
	fl_cancel_token stop;
	int data, rc;
};

FL_STRESS_SETUP(bias_cancel)
{
	biased(&s->l);
	fl_cancel_token_init(&s->stop, NULL, FL_FOREVER);
}

FL_STRESS_ACTOR(bias_cancel, writer)
{
	s->rc = fl_rwlock_write_lock_until(&s->l, FL_FOREVER, &s->stop);
	if (s->rc != 0)
		return;
	s->data++;
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_cancel, reader)
{
	read_biased(&s->l, 0);
	fl_cancel_token_request(&s->stop);
	FL_STRESS_CHECK(s->data == 0 || s->data == 1);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_cancel, writer, reader)
{
	BIAS_IS_FREE(&s->l);
	fl_cancel_token_destroy(&s->stop);
	FL_ACCEPTABLE(s->rc == 0 && s->data == 1, "wrote");
	FL_ACCEPTABLE(s->rc == -ECANCELED && s->data == 0, "gave up");
}

/* A try of a writer fails only if somebody reads. */
struct bias_try {
	fl_rwlock l;
	bool read;
	int rc;
};

FL_STRESS_SETUP(bias_try)
{
	biased(&s->l);
}

FL_STRESS_ACTOR(bias_try, tries)
{
	s->rc = fl_rwlock_try_write_lock(&s->l);
	if (s->rc == 0)
		fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_try, reader)
{
	fl__bias_note(&s->l);
	s->read = fl_rwlock_try_read_lock(&s->l) == 0;
	if (s->read)
		fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_try, tries, reader)
{
	FL_FORBIDDEN(fl_rwlock_try_write_lock(&s->l) != 0, "left biased");
	fl_rwlock_write_unlock(&s->l);
	BIAS_IS_FREE(&s->l);
	FL_FORBIDDEN(s->rc != 0 && !s->read, "nobody got it");
	FL_ACCEPTABLE(s->rc == 0, "wrote");
	FL_ACCEPTABLE(s->rc == -EAGAIN, "the reader had it");
}

/* A bias that begins while a woken reader, with a writer behind it, has yet to lock. */
struct bias_behind_reader {
	fl_rwlock l;
	int data;
};

FL_STRESS_SETUP(bias_behind_reader)
{
	of_this_process(&s->l);
}

FL_STRESS_ACTOR(bias_behind_reader, first)
{
	fl_rwlock_write_lock(&s->l);
	s->data++;
	fl_rwlock_write_unlock(&s->l);
	fl_rwlock_read_lock(&s->l);
	fl__bias_begin(&s->l);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_behind_reader, reader)
{
	fl_rwlock_read_lock(&s->l);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(bias_behind_reader, writer)
{
	FL_WRITE_LOCKED(&s->l);
	s->data++;
}

FL_STRESS(bias_behind_reader, first, reader, writer)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 2, "in order");
}

/* A thread reads two locks of one slot, and finds the slot that it used. */
struct bias_two_locks {
	fl_rwlock l, other;
};

FL_STRESS_SETUP(bias_two_locks)
{
	biased(&s->l);
	biased(&s->other);
}

FL_STRESS_ACTOR(bias_two_locks, reads_both)
{
	fl__bias_mine.index = 1;
	fl__bias_mine.noted = UINT64_MAX;
	fl_rwlock_read_lock(&s->l);
	fl_rwlock_read_lock(&s->other);
	fl_rwlock_read_unlock(&s->l);
	fl_rwlock_read_unlock(&s->other);
}

FL_STRESS(bias_two_locks, reads_both, reads_both)
{
	FL_FORBIDDEN(fl__bias_slots_of(&s->l) + fl__bias_slots_of(&s->other) > 0, "a slot was left");
	BIAS_IS_FREE(&s->l);
	BIAS_IS_FREE(&s->other);
	FL_ACCEPTABLE(1, "free");
}

/* A reader asserts what it holds while a writer ends the bias. */
BIASED(bias_asserts, )

FL_STRESS_ACTOR(bias_asserts, reader)
{
	read_biased(&s->l, 0);
	FL_STRESS_CHECK(fl_rwlock_is_read_locked(&s->l));
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(bias_asserts, reader, writer)
{
	BIAS_IS_FREE(&s->l);
	FL_ACCEPTABLE(s->data == 1, "in order");
}
