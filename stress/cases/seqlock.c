/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sequence lock: a reader gets a complete value that was written, and no reader is left asleep.
 */
#include "cases.h"
#include <fairlead/seqlock.h>
#include <string.h>

/* Two words that a writer changes together, twice. */
struct pair {
	uintptr_t first, second;
};

static void write_pair(fl_seqlock *l, struct pair *shared, uintptr_t value)
{
	struct pair p = {value, value};
	fl_seqlock_write(l, shared, &p, sizeof p);
}

struct seqlock_torn {
	fl_seqlock lock;
	struct pair shared;
	uintptr_t seen;
};

FL_STRESS_ACTOR(seqlock_torn, writer)
{
	write_pair(&s->lock, &s->shared, 1);
	write_pair(&s->lock, &s->shared, 2);
}

FL_STRESS_ACTOR(seqlock_torn, reader)
{
	struct pair p;
	fl_seqlock_read(&s->lock, &p, &s->shared, sizeof p);
	FL_STRESS_CHECK(p.first == p.second);
	s->seen = p.first;
}

FL_STRESS(seqlock_torn, writer, reader)
{
	FL_FORBIDDEN(fl_seqlock_destroy(&s->lock) != 0, "left locked, or a reader left");
	FL_ACCEPTABLE(s->seen == 0, "before");
	FL_ACCEPTABLE(s->seen == 1, "between");
	FL_ACCEPTABLE(s->seen == 2, "after");
	FL_FORBIDDEN(1, "a value that was not written");
}

/* A try does not wait, and gets a complete value or none; its values do not go back. */
struct seqlock_try {
	fl_seqlock lock;
	struct pair shared;
	int rc;
};

FL_STRESS_ACTOR(seqlock_try, writer)
{
	write_pair(&s->lock, &s->shared, 1);
}

FL_STRESS_ACTOR(seqlock_try, reader)
{
	struct pair p, later;
	s->rc = fl_seqlock_try_read(&s->lock, &p, &s->shared, sizeof p);
	if (s->rc != 0)
		return;
	FL_STRESS_CHECK(p.first == p.second);
	fl_seqlock_read(&s->lock, &later, &s->shared, sizeof later);
	FL_STRESS_CHECK(later.first == later.second && later.first >= p.first);
}

FL_STRESS(seqlock_try, writer, reader)
{
	FL_ACCEPTABLE(s->rc == 0, "read");
	FL_ACCEPTABLE(s->rc == -EBUSY, "a writer in the way");
	FL_FORBIDDEN(1, "another result");
}

/* A reader of a write sees what was written before it: a plain value to which the data point. */
struct seqlock_publishes {
	fl_seqlock lock;
	uintptr_t shared;
	int data;
	uintptr_t seen;
};

FL_STRESS_ACTOR(seqlock_publishes, writer)
{
	uintptr_t one = 1;
	s->data = 1;
	fl_seqlock_write(&s->lock, &s->shared, &one, sizeof one);
}

FL_STRESS_ACTOR(seqlock_publishes, reader)
{
	uint64_t seen;
	do {
		seen = fl_seqlock_read_begin(&s->lock);
		fl_seqlock_load(&s->seen, &s->shared, sizeof s->seen);
	} while (fl_seqlock_read_retry(&s->lock, seen));
	if (s->seen)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS(seqlock_publishes, writer, reader)
{
	FL_ACCEPTABLE(s->seen == 1, "read");
	FL_ACCEPTABLE(s->seen == 0, "too early");
	FL_FORBIDDEN(1, "a value that was not written");
}

/*
 * Readers that come during a write sleep, and are all woken at its end; also by a write whose data
 * change wakes. The writer stays inside until both have come.
 */
struct seqlock_sleepers {
	fl_seqlock lock;
	uintptr_t shared;
	atomic_int come;
	int data;
};

static void read_once(struct seqlock_sleepers *s)
{
	uintptr_t value;
	COUNT(&s->come);
	fl_seqlock_read(&s->lock, &value, &s->shared, sizeof value);
	if (value)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(seqlock_sleepers, writer)
{
	uintptr_t one = 1;
	fl_seqlock_write_begin(&s->lock);
	s->data = 1;
	fl_seqlock_store(&s->shared, &one, sizeof one);
	while (LOOK(&s->come) < 2)
		fl_stress_relax();
	fl_seqlock_write_end(&s->lock);
}

FL_STRESS_ACTOR(seqlock_sleepers, one)
{
	read_once(s);
}

FL_STRESS_ACTOR(seqlock_sleepers, two)
{
	read_once(s);
}

FL_STRESS(seqlock_sleepers, writer, one, two)
{
	FL_ACCEPTABLE(fl_seqlock_destroy(&s->lock) == 0, "all read");
	FL_FORBIDDEN(1, "a reader left in the queue");
}

/* A reader's deadline against the end of the write; a later write and read work as usual. */
struct seqlock_timeout {
	fl_seqlock lock;
	struct pair shared;
	int rc;
};

FL_STRESS_ACTOR(seqlock_timeout, writer)
{
	struct pair p = {1, 1};
	fl_seqlock_write_begin(&s->lock);
	fl_seqlock_store(&s->shared.first, &p.first, sizeof p.first);
	fl_seqlock_store(&s->shared.second, &p.second, sizeof p.second);
	fl_seqlock_write_end(&s->lock);
	write_pair(&s->lock, &s->shared, 2);
}

FL_STRESS_ACTOR(seqlock_timeout, reader)
{
	struct pair p;
	s->rc = fl_seqlock_read_until(&s->lock, &p, &s->shared, sizeof p, soon(), NULL);
	if (s->rc == 0)
		FL_STRESS_CHECK(p.first == p.second);
}

FL_STRESS(seqlock_timeout, writer, reader)
{
	FL_FORBIDDEN(fl_seqlock_destroy(&s->lock) != 0 || s->shared.second != 2, "left locked, or in line");
	FL_ACCEPTABLE(s->rc == 0, "read");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "timed out");
	FL_FORBIDDEN(1, "another error");
}

/* Writers exclude each other, and each continues from what the previous one left. */
struct seqlock_writers {
	fl_seqlock lock;
	struct pair shared;
	int count;
};

static void add_one(struct seqlock_writers *s)
{
	struct pair p;
	fl_seqlock_write_begin(&s->lock);
	fl_seqlock_load(&p, &s->shared, sizeof p);
	p.first++, p.second++;
	s->count++;
	fl_seqlock_store(&s->shared, &p, sizeof p);
	fl_seqlock_write_end(&s->lock);
}

FL_STRESS_ACTOR(seqlock_writers, one)
{
	add_one(s);
}

FL_STRESS_ACTOR(seqlock_writers, two)
{
	add_one(s);
}

FL_STRESS_ACTOR(seqlock_writers, reader)
{
	struct pair p;
	fl_seqlock_read(&s->lock, &p, &s->shared, sizeof p);
	FL_STRESS_CHECK(p.first == p.second);
}

FL_STRESS(seqlock_writers, one, two, reader)
{
	FL_ACCEPTABLE(s->count == 2 && s->shared.first == 2 && s->shared.second == 2, "both");
	FL_FORBIDDEN(1, "one lost");
}
