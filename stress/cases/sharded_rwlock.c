/* SPDX-License-Identifier: BSD-2-Clause */
/* The sharded readers-writer lock, with two rows. Plain fields: only the lock orders them. */
#include "sync/sharded_rwlock.h"
#include "cases.h"
#include "wait/context.h"
#include <fairlead/sharded_rwlock.h>

/* Contexts with different numbers use different rows; equal numbers use the same. */
static void few_rows(void)
{
	fl__sharded_rwlock_rows = 2;
}

/* Writers exclude each other and readers; a reader sees all that a writer wrote, or nothing. */
struct br_excl {
	fl_sharded_rwlock l;
	int a, b, saw_a, saw_b;
};

FL_STRESS_SETUP(br_excl)
{
	few_rows();
}

static void write_both(struct br_excl *s)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->a++;
	s->b++;
}

FL_STRESS_ACTOR(br_excl, one)
{
	write_both(s);
}

FL_STRESS_ACTOR(br_excl, two)
{
	write_both(s);
}

FL_STRESS_ACTOR(br_excl, reader)
{
	FL_SHARDED_READ_LOCKED(&s->l);
	s->saw_a = s->a;
	s->saw_b = s->b;
}

FL_STRESS(br_excl, one, two, reader)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_FORBIDDEN(s->a != 2 || s->b != 2, "a count was lost");
	FL_FORBIDDEN(s->saw_a != s->saw_b, "saw half of it");
	FL_ACCEPTABLE(1, "in order");
}

/* Readers in different rows, and a writer: it waits for both, and sees what they did. */
struct br_readers {
	fl_sharded_rwlock l;
	int one, two, data, sum;
};

FL_STRESS_SETUP(br_readers)
{
	few_rows();
}

FL_STRESS_ACTOR(br_readers, one)
{
	FL_SHARDED_READ_LOCKED(&s->l);
	s->one += s->data == 0;
}

FL_STRESS_ACTOR(br_readers, two)
{
	FL_SHARDED_READ_LOCKED(&s->l);
	s->two += s->data == 0;
}

FL_STRESS_ACTOR(br_readers, writer)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->data = 1;
	s->sum = s->one + s->two;
}

FL_STRESS(br_readers, one, two, writer)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->sum == s->one + s->two, "none, one or both came before");
	FL_FORBIDDEN(1, "one came in beside the writer");
}

/* A reader that tries, or waits with a deadline, sees what the writer before it did. */
struct br_reader_ways {
	fl_sharded_rwlock l;
	bool tries;
	int data, rc, seen;
};

FL_STRESS_SETUP(br_reader_ways)
{
	few_rows();
	s->tries = fl_stress_choose(2);
}

FL_STRESS_ACTOR(br_reader_ways, reader)
{
	s->rc = s->tries ? fl_sharded_rwlock_try_read_lock(&s->l)
	                 : fl_sharded_rwlock_read_lock_until(&s->l, FL_FOREVER, FL_SHIELDED);
	if (s->rc == 0) {
		s->seen = s->data;
		fl_sharded_rwlock_read_unlock(&s->l);
	}
}

FL_STRESS_ACTOR(br_reader_ways, writer)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->data = 1;
}

FL_STRESS(br_reader_ways, reader, writer)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->rc == 0, "read, before or after");
	FL_ACCEPTABLE(s->tries && s->rc == -EBUSY, "found it locked");
	FL_FORBIDDEN(1, "another error");
}

/* A context unlocks what another one locked: the sum over the rows counts. */
struct br_unlock_elsewhere {
	fl_sharded_rwlock l;
	int data, rc;
};

FL_STRESS_SETUP(br_unlock_elsewhere)
{
	few_rows();
	fl_sharded_rwlock_read_lock(&s->l);
	fl_sharded_rwlock_read_lock(&s->l);
}

FL_STRESS_ACTOR(br_unlock_elsewhere, one)
{
	FL_STRESS_CHECK(s->data == 0);
	fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(br_unlock_elsewhere, two)
{
	FL_STRESS_CHECK(s->data == 0);
	fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(br_unlock_elsewhere, writer)
{
	fl_sharded_rwlock_write_lock(&s->l);
	s->data = 1;
	fl_sharded_rwlock_write_unlock(&s->l);
}

FL_STRESS(br_unlock_elsewhere, one, two, writer)
{
	FL_FORBIDDEN(fl_sharded_rwlock_is_read_locked(&s->l), "a reader is left");
	FL_ACCEPTABLE(fl_sharded_rwlock_destroy(&s->l) == 0, "free at the end");
	FL_FORBIDDEN(1, "left locked, or awaited");
}

/*
 * The same for a writer that does not spin, as a fiber, so that it sleeps when they leave: the last
 * reader wakes it, and no other. (In the model a spin lasts until its word has changed.)
 */
struct br_last_wakes {
	fl_sharded_rwlock l;
	int data;
};

FL_STRESS_SETUP(br_last_wakes)
{
	few_rows();
	fl_sharded_rwlock_read_lock(&s->l);
	fl_sharded_rwlock_read_lock(&s->l);
}

FL_STRESS_ACTOR(br_last_wakes, one)
{
	FL_STRESS_CHECK(s->data == 0);
	fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(br_last_wakes, two)
{
	FL_STRESS_CHECK(s->data == 0);
	fl_sharded_rwlock_read_unlock(&s->l);
}

static void share_thread(void)
{
}

FL_STRESS_ACTOR(br_last_wakes, writer)
{
	struct fl__ctx *ctx = fl__ctx_get();
	const struct fl__ctx_ops *spins = ctx->ops;
	const struct fl__ctx_ops calm = {.park = spins->park, .unpark = spins->unpark, .yield = share_thread};
	ctx->ops = &calm;
	fl_sharded_rwlock_write_lock(&s->l);
	s->data = 1;
	fl_sharded_rwlock_write_unlock(&s->l);
	ctx->ops = spins;
}

FL_STRESS(br_last_wakes, one, two, writer)
{
	FL_ACCEPTABLE(fl_sharded_rwlock_destroy(&s->l) == 0, "free at the end");
	FL_FORBIDDEN(1, "left locked, or awaited");
}

/*
 * A writer that gives up lets in all that it held up; readers that leave in the meantime owe it
 * nothing, nor the next writer.
 */
struct br_timeout_vs_wake {
	fl_sharded_rwlock l;
	int rc, data;
};

FL_STRESS_SETUP(br_timeout_vs_wake)
{
	few_rows();
	fl_sharded_rwlock_read_lock(&s->l);
}

FL_STRESS_ACTOR(br_timeout_vs_wake, holder)
{
	FL_STRESS_CHECK(s->data == 0);
	fl_sharded_rwlock_read_unlock(&s->l);
	FL_SHARDED_READ_LOCKED(&s->l);
	FL_STRESS_CHECK(s->data <= 2);
}

FL_STRESS_ACTOR(br_timeout_vs_wake, brief)
{
	s->rc = fl_sharded_rwlock_write_lock_until(&s->l, soon(), NULL);
	if (s->rc == 0) {
		s->data++;
		fl_sharded_rwlock_write_unlock(&s->l);
	}
}

FL_STRESS_ACTOR(br_timeout_vs_wake, patient)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->data++;
}

FL_STRESS(br_timeout_vs_wake, holder, brief, patient)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->rc == 0 && s->data == 2, "both wrote");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->data == 1, "one gave up");
	FL_FORBIDDEN(1, "wrong count");
}

/* A reader that gives up, or is cancelled, leaves no count behind. */
struct br_reader_gives_up {
	fl_sharded_rwlock l;
	fl_cancel_token stop;
	int rc[2];
};

FL_STRESS_SETUP(br_reader_gives_up)
{
	few_rows();
	fl_sharded_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(br_reader_gives_up, holder)
{
	fl_cancel_token_request(&s->stop);
	fl_sharded_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(br_reader_gives_up, brief)
{
	s->rc[0] = fl_sharded_rwlock_read_lock_until(&s->l, soon(), NULL);
	if (s->rc[0] == 0)
		fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(br_reader_gives_up, cancelled)
{
	s->rc[1] = fl_sharded_rwlock_read_lock_until(&s->l, FL_FOREVER, &s->stop);
	if (s->rc[1] == 0)
		fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS(br_reader_gives_up, holder, brief, cancelled)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_FORBIDDEN(s->rc[0] != 0 && s->rc[0] != -ETIMEDOUT, "a wrong result of the brief one");
	FL_FORBIDDEN(s->rc[1] != 0 && s->rc[1] != -ECANCELED, "a wrong result of the cancelled one");
	FL_ACCEPTABLE(1, "in order");
}

/* Tries beside waiters. */
struct br_try_stall {
	fl_sharded_rwlock l;
	int count;
};

FL_STRESS_SETUP(br_try_stall)
{
	few_rows();
}

FL_STRESS_ACTOR(br_try_stall, tryer)
{
	if (fl_sharded_rwlock_try_read_lock(&s->l) == 0)
		fl_sharded_rwlock_read_unlock(&s->l);
	if (fl_sharded_rwlock_try_write_lock(&s->l) == 0) {
		s->count += 10;
		fl_sharded_rwlock_write_unlock(&s->l);
	}
}

FL_STRESS_ACTOR(br_try_stall, reader)
{
	FL_SHARDED_READ_LOCKED(&s->l);
	FL_STRESS_CHECK(s->count <= 11);
}

FL_STRESS_ACTOR(br_try_stall, writer)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->count++;
}

FL_STRESS(br_try_stall, tryer, reader, writer)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->count == 1 || s->count == 11, "counted");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * A reader that waits for one writer gets in before the next; a waiting writer holds up later
 * readers.
 */
struct br_phases {
	fl_sharded_rwlock l;
	int count;
	atomic_int inside;
};

FL_STRESS_SETUP(br_phases)
{
	few_rows();
	fl_sharded_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(br_phases, holder)
{
	s->count++;
	fl_sharded_rwlock_write_unlock(&s->l);
}

static void come_in_together(struct br_phases *s)
{
	fl_sharded_rwlock_read_lock(&s->l);
	COUNT(&s->inside);
	FL_STRESS_CHECK(s->count >= 1);
	fl_sharded_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(br_phases, one)
{
	come_in_together(s);
}

FL_STRESS_ACTOR(br_phases, two)
{
	come_in_together(s);
}

FL_STRESS_ACTOR(br_phases, next)
{
	FL_SHARDED_WRITE_LOCKED(&s->l);
	s->count++;
}

FL_STRESS(br_phases, holder, one, two, next)
{
	FL_FORBIDDEN(fl_sharded_rwlock_destroy(&s->l) != 0, "left locked, or awaited");
	FL_ACCEPTABLE(s->count == 2 && LOOK(&s->inside) == 2, "all came in");
	FL_FORBIDDEN(1, "a count was lost");
}

/*
 * destroy_after_unlock: the last reader or writer destroys it, while earlier ones are still
 * leaving.
 */
struct br_unlock_destroy {
	struct br_object {
		fl_sharded_rwlock l;
		atomic_int refs;
	} * object;
};

FL_STRESS_SETUP(br_unlock_destroy)
{
	few_rows();
	s->object = make(sizeof *s->object);
	SET(&s->object->refs, 2);
	fl_sharded_rwlock_write_lock(&s->object->l);
}

static bool is_last(struct br_object *object)
{
	return atomic_fetch_sub_explicit(&object->refs, 1, memory_order_relaxed) == 1;
}

static void destroy_if(struct br_object *object, bool last)
{
	if (!last)
		return;
	OK(fl_sharded_rwlock_destroy(&object->l));
	free(object);
}

FL_STRESS_ACTOR(br_unlock_destroy, writer)
{
	bool last = is_last(s->object);
	fl_sharded_rwlock_write_unlock(&s->object->l);
	destroy_if(s->object, last);
}

FL_STRESS_ACTOR(br_unlock_destroy, reader)
{
	fl_sharded_rwlock_read_lock(&s->object->l);
	bool last = is_last(s->object);
	fl_sharded_rwlock_read_unlock(&s->object->l);
	destroy_if(s->object, last);
}

FL_STRESS(br_unlock_destroy, writer, reader)
{
	FL_ACCEPTABLE(1, "freed once");
}

/* The same for the writer that the last reader wakes. */
struct br_read_unlock_destroy {
	struct br_object *object;
};

FL_STRESS_SETUP(br_read_unlock_destroy)
{
	few_rows();
	s->object = make(sizeof *s->object);
	fl_sharded_rwlock_read_lock(&s->object->l);
	fl_sharded_rwlock_read_lock(&s->object->l);
}

FL_STRESS_ACTOR(br_read_unlock_destroy, one)
{
	fl_sharded_rwlock_read_unlock(&s->object->l);
}

FL_STRESS_ACTOR(br_read_unlock_destroy, two)
{
	fl_sharded_rwlock_read_unlock(&s->object->l);
}

FL_STRESS_ACTOR(br_read_unlock_destroy, writer)
{
	fl_sharded_rwlock_write_lock(&s->object->l);
	fl_sharded_rwlock_write_unlock(&s->object->l);
	destroy_if(s->object, true);
}

FL_STRESS(br_read_unlock_destroy, one, two, writer)
{
	FL_ACCEPTABLE(1, "freed once");
}

/* A context has seen the lock held; its destroy returns 0: then it has seen the last unlock. */
struct br_destroy_acquires {
	fl_sharded_rwlock l;
	int data, rc;
};

FL_STRESS_SETUP(br_destroy_acquires)
{
	few_rows();
}

FL_STRESS_ACTOR(br_destroy_acquires, holder)
{
	FL_SHARDED_READ_LOCKED(&s->l);
	s->data = 1;
}

FL_STRESS_ACTOR(br_destroy_acquires, destroyer)
{
	s->rc = -EAGAIN;
	if (!fl_sharded_rwlock_is_read_locked(&s->l))
		return;
	s->rc = fl_sharded_rwlock_destroy(&s->l);
	if (s->rc == 0)
		s->data = 2;
}

FL_STRESS(br_destroy_acquires, holder, destroyer)
{
	FL_FORBIDDEN(s->rc == 0 && s->data != 2, "destroyed while it was held");
	FL_ACCEPTABLE(s->rc == 0, "destroyed");
	FL_ACCEPTABLE(s->rc == -EBUSY, "busy");
	FL_ACCEPTABLE(s->rc == -EAGAIN, "too early");
}
