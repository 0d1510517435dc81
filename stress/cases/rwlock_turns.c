/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers-writer lock: a waiter is overtaken for a while, and then no more. */
#include "../../lib/fiber/fiber.h"
#include "../../lib/sync/rwlock.h"
#include "cases.h"
#include "rwlocks.h"

/*
 * A writer that has waited its time is not overtaken any more, though the lock is read all the
 * time.
 */
struct rw_writer_starve {
	fl_rwlock l;
	atomic_int wrote;
};

FL_STRESS_SETUP(rw_writer_starve)
{
	of_this_process(&s->l);
	fl_rwlock_read_lock(&s->l);
}

FL_STRESS_ACTOR(rw_writer_starve, writer)
{
	fl_rwlock_write_lock(&s->l);
	SET(&s->wrote, 1);
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_writer_starve, readers)
{
	while (!is_awaited(&s->l))
		fl_stress_relax();
	OK(fl_sleep(FL_MS(2)));
	if (fl_rwlock_try_read_lock(&s->l) == 0) /* the last that overtakes */
		fl_rwlock_read_unlock(&s->l);
	FL_STRESS_CHECK(fl_rwlock_try_read_lock(&s->l) == -EBUSY);
	FL_STRESS_CHECK(!LOOK(&s->wrote));
	fl_rwlock_read_unlock(&s->l);
	fl_rwlock_read_lock(&s->l); /* waits for its turn */
	FL_STRESS_CHECK(LOOK(&s->wrote));
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS(rw_writer_starve, writer, readers)
{
	FL_ACCEPTABLE(fl_rwlock_destroy(&s->l) == 0, "free at the end");
	FL_FORBIDDEN(1, "left locked, or awaited");
}

/* The same for a reader, and a context that writes over and over. */
struct rw_reader_starve {
	fl_rwlock l;
	atomic_int read;
};

FL_STRESS_SETUP(rw_reader_starve)
{
	of_this_process(&s->l);
	fl_rwlock_write_lock(&s->l);
}

FL_STRESS_ACTOR(rw_reader_starve, reader)
{
	fl_rwlock_read_lock(&s->l);
	SET(&s->read, 1);
	fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(rw_reader_starve, writer)
{
	while (!is_awaited(&s->l))
		fl_stress_relax();
	OK(fl_sleep(FL_MS(2)));
	fl_rwlock_write_unlock(&s->l);
	for (int i = 0; i < 2; i++) {
		if (fl_rwlock_try_write_lock(&s->l) != 0)
			continue;
		FL_STRESS_CHECK(i == 0 || LOOK(&s->read));
		fl_rwlock_write_unlock(&s->l);
	}
}

FL_STRESS(rw_reader_starve, reader, writer)
{
	FL_ACCEPTABLE(fl_rwlock_destroy(&s->l) == 0, "free at the end");
	FL_FORBIDDEN(1, "left locked, or awaited");
}

/*
 * A waiter that does not run, because it waits for its waker's CPU: it is overtaken for its time,
 * and then no more, though the word has no mark: the waker remembers it.
 */
struct rw_waiter_in_flight {
	fl_rwlock l;
};

FL_STRESS_SETUP(rw_waiter_in_flight)
{
	of_this_process(&s->l);
}

static void never_unpark(struct fl__wait *wait)
{
	wait->park_word = 1;
}

/* The number of locks and unlocks before the lock closes; up to `most`. */
static unsigned read_and_unlock(fl_rwlock *l, unsigned most)
{
	unsigned n = 0;
	for (; n < most && fl_rwlock_try_read_lock(l) == 0; n++)
		fl_rwlock_read_unlock(l);
	return n;
}

FL_STRESS_ACTOR(rw_waiter_in_flight, holder)
{
	enum { SOME = 100 };
	const struct fl__ctx_ops ops = {.unpark = never_unpark};
	struct fl__ctx ctx = {.ops = &ops};
	struct fl__wait wait = {.ctx = &ctx};
	struct fl__node node = FL__NODE(&wait);
	node.value = fl__rwlock_writing.kind;
	fl_rwlock_write_lock(&s->l);
	const int64_t begin = fl_stress_now();
	FL_STRESS_CHECK(fl__rwlock_enqueue(&s->l, &fl__rwlock_writing, &node, fl__rwlock_writing.bars, false));
	fl_rwlock_write_unlock(&s->l);
	FL_STRESS_CHECK(wait.park_word == 1);
	FL_STRESS_CHECK(fl_rwlock_destroy(&s->l) == -EBUSY); /* it is free, and awaited */
	if (read_and_unlock(&s->l, SOME) < SOME)
		FL_STRESS_CHECK(fl_stress_now() - begin >= FL_US(900)); /* in ticks of the turn */
	OK(fl_sleep(FL_MS(2)));
	FL_STRESS_CHECK(read_and_unlock(&s->l, SOME) < SOME);
	FL_STRESS_CHECK(!fl__rwlock_enqueue(&s->l, &fl__rwlock_writing, &node, fl__rwlock_writing.bars, true));
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS(rw_waiter_in_flight, holder)
{
	FL_FORBIDDEN(s->l.word_ != 0 || fl_rwlock_destroy(&s->l) != 0, "a mark is left");
	FL_ACCEPTABLE(1, "handed over");
}

/*
 * Two fibers: a fiber that unlocks and locks again does not overtake the one that it has woken,
 * which shares its thread.
 */
struct rw_gives_way {
	fl_rwlock l;
	bool locked, served;
};

FL_STRESS_SETUP(rw_gives_way)
{
	of_this_process(&s->l);
}

static int write_twice(void *arg)
{
	struct rw_gives_way *s = arg;
	fl_rwlock_write_lock(&s->l);
	s->locked = true;
	fl__fiber_yield();
	fl_rwlock_write_unlock(&s->l);
	fl_rwlock_write_lock(&s->l);
	FL_STRESS_CHECK(s->served);
	fl_rwlock_write_unlock(&s->l);
	return 0;
}

static int write_once(void *arg)
{
	struct rw_gives_way *s = arg;
	FL_STRESS_CHECK(s->locked);
	fl_rwlock_write_lock(&s->l);
	s->served = true;
	fl_rwlock_write_unlock(&s->l);
	return 0;
}

FL_STRESS_ACTOR(rw_gives_way, loop)
{
	struct fl__sched *sched;
	struct fl__fiber *f[2];
	OK(fl__sched_create(&sched, NULL));
	OK(fl__fiber_create(sched, &f[0], write_twice, s, "twice"));
	OK(fl__fiber_create(sched, &f[1], write_once, s, "once"));
	OK(fl__sched_run(sched));
	for (int i = 0; i < 2; i++) {
		int result;
		OK(fl__fiber_join(f[i], &result, 0, FL_SHIELDED));
	}
	fl__sched_destroy(sched);
}

FL_STRESS(rw_gives_way, loop)
{
	FL_ACCEPTABLE(s->served && s->l.word_ == 0, "both had it");
	FL_FORBIDDEN(1, "a mark is left");
}
