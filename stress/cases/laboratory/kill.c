/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of mode crash itself: the effects of a kill. */
#include "../cases.h"
#include "planted/crash.h"
#include <fairlead/thread.h>

/*
 * A process is killed at any step, even while it holds the lock. The others acquire the lock, and
 * own what it guards.
 */
struct kill_lock {
	struct robust lock;
	int count;
	bool died[2];
};

static void lock_and_count(struct kill_lock *s, int i)
{
	s->died[i] = robust_take(&s->lock, NOTHING);
	s->count++;
	robust_give(&s->lock, NOTHING);
}

TWO_ACTORS(kill_lock, lock_and_count)

FL_STRESS_PROCESSES(kill_lock, one, two)
{
	bool one = fl_stress_killed("one"), two = fl_stress_killed("two");
	FL_FORBIDDEN((s->died[0] && !two) || (s->died[1] && !one), "said to have died, and lives");
	FL_ACCEPTABLE(!one && !two && s->count == 2, "both");
	FL_ACCEPTABLE((one || two) && s->count == 1, "killed before it counted");
	FL_ACCEPTABLE((one || two) && s->count == 2, "killed after it counted");
}

/* Two locks are held at once. The kernel frees both, and other steps may come in between. */
struct kill_lock_pair {
	struct robust outer, inner;
	bool outer_died, inner_died;
};

FL_STRESS_ACTOR(kill_lock_pair, holder)
{
	(void)robust_take(&s->outer, NOTHING);
	(void)robust_take(&s->inner, NOTHING);
	robust_give(&s->inner, NOTHING);
	robust_give(&s->outer, NOTHING);
}

FL_STRESS_ACTOR(kill_lock_pair, other)
{
	s->inner_died = robust_take(&s->inner, NOTHING);
	robust_give(&s->inner, NOTHING);
	s->outer_died = robust_take(&s->outer, NOTHING);
	robust_give(&s->outer, NOTHING);
}

FL_STRESS_PROCESSES(kill_lock_pair, holder, other)
{
	bool killed = fl_stress_killed("holder");
	FL_FORBIDDEN(!killed && (s->outer_died || s->inner_died), "no owner died");
	FL_ACCEPTABLE(s->outer_died && s->inner_died, "died with both");
	FL_ACCEPTABLE(s->outer_died, "died with the outer one");
	FL_FORBIDDEN(s->inner_died && !fl_stress_killed("other"), "died with the inner one alone");
	FL_ACCEPTABLE(1, "died with none");
}

/*
 * A lock that a worker holds for life reports the worker's death. A watcher waits for the lock's
 * word and another word at once.
 */
struct kill_sentinel {
	struct robust life;
	atomic_uint done;
	bool saw_done, saw_end;
};

FL_STRESS_ACTOR(kill_sentinel, worker)
{
	(void)robust_take(&s->life, NOTHING);
	atomic_store_explicit(&s->done, 1, memory_order_release);
	(void)fl_stress_futex_wake(&s->done, INT_MAX);
	robust_give(&s->life, NOTHING);
}

FL_STRESS_ACTOR(kill_sentinel, watcher)
{
	for (;;) {
		unsigned life = LOOK(&s->life.word);
		s->saw_done = LOOK(&s->done);
		s->saw_end = (life & OWNER) == 0;
		if (s->saw_done || s->saw_end)
			return;
		if (!(life & WAITERS) && !atomic_compare_exchange_strong(&s->life.word, &life, life | WAITERS))
			continue;
		struct fl__futex words[2] = {
		    {.word = (uintptr_t)&s->life.word, .expected = life | WAITERS, .flags = FL__FUTEX_SHARED},
		    {.word = (uintptr_t)&s->done, .expected = 0, .flags = FL__FUTEX_PRIVATE},
		};
		int rc = fl__sys.wait_many(words, 2, INT64_MAX);
		if (rc == -ENOSYS)
			return; /* the kernel is an old one */
	}
}

FL_STRESS_PROCESSES(kill_sentinel, worker, watcher)
{
	FL_ACCEPTABLE(s->saw_done && s->saw_end, "saw the end");
	FL_ACCEPTABLE(s->saw_done, "saw that it was done");
	FL_ACCEPTABLE(s->saw_end && !s->saw_done, "saw no guest");
	FL_ACCEPTABLE(fl_stress_killed("watcher"), "saw nothing");
}

/*
 * In each mode, a thread that returns while it holds a lock is treated as if it died with the lock.
 * The rest of its process lives.
 */
struct kill_thread_returns {
	struct robust lock;
	bool died;
};

static int take_and_return(void *arg)
{
	struct kill_thread_returns *s = arg;
	(void)robust_take(&s->lock, NOTHING);
	return 0;
}

FL_STRESS_ACTOR(kill_thread_returns, process)
{
	fl_thread *t;
	OK(fl_thread_start(&t, take_and_return, s, NULL));
	OK(fl_thread_join(t, NULL));
	s->died = robust_take(&s->lock, NOTHING);
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_PROCESSES(kill_thread_returns, process)
{
	FL_ACCEPTABLE(s->died, "told");
	FL_ACCEPTABLE(fl_stress_killed("process"), "killed");
}

/* All threads of a process end with it, and the kernel frees the locks of each. */
struct kill_threads {
	struct robust locks[2];
	int both;
};

static int hold_second(void *arg)
{
	struct kill_threads *s = arg;
	(void)robust_take(&s->locks[1], NOTHING);
	robust_give(&s->locks[1], NOTHING);
	return 0;
}

FL_STRESS_ACTOR(kill_threads, process)
{
	fl_thread *t;
	OK(fl_thread_start(&t, hold_second, s, NULL));
	(void)robust_take(&s->locks[0], NOTHING);
	robust_give(&s->locks[0], NOTHING);
	OK(fl_thread_join(t, NULL));
}

FL_STRESS_ACTOR(kill_threads, other)
{
	(void)robust_take(&s->locks[1], NOTHING);
	(void)robust_take(&s->locks[0], NOTHING);
	s->both = 1;
	robust_give(&s->locks[0], NOTHING);
	robust_give(&s->locks[1], NOTHING);
}

FL_STRESS_PROCESSES(kill_threads, process, other)
{
	FL_ACCEPTABLE(s->both == 1 || fl_stress_killed("other"), "had both");
}

/*
 * A process that is killed inside a private lock holds up no other process, because each process
 * has its own globals.
 */
static fl_mutex private_lock;
static int private_count;

struct kill_private {
	atomic_int inside;
	int seen[2];
};

static void count_privately(struct kill_private *s, int i)
{
	fl_mutex_lock(&private_lock);
	COUNT(&s->inside);
	int seen = ++private_count;
	fl_mutex_unlock(&private_lock);
	s->seen[i] = seen;
}

TWO_ACTORS(kill_private, count_privately)

FL_STRESS_PROCESSES(kill_private, one, two)
{
	/* Natively they are threads, and the count continues. */
	FL_FORBIDDEN((s->seen[0] == 0 && !fl_stress_killed("one")) || (s->seen[1] == 0 && !fl_stress_killed("two")),
	             "not counted");
	FL_ACCEPTABLE(1, "counted");
}

/* Memory of a killed process is not a leak. */
struct kill_memory {
	atomic_int steps;
};

FL_STRESS_ACTOR(kill_memory, owner)
{
	int *own = make(sizeof *own);
	COUNT(&s->steps);
	*own = LOOK(&s->steps);
	COUNT(&s->steps);
	free(own);
}

FL_STRESS_PROCESSES(kill_memory, owner)
{
	FL_ACCEPTABLE(LOOK(&s->steps) == 2, "freed");
	FL_ACCEPTABLE(fl_stress_killed("owner"), "killed before it was");
}

/*
 * A robust list leads out of shared memory. The kernel stops there, and no other process is harmed.
 */
struct kill_wild_list {
	struct robust lock;
	atomic_int count;
};

FL_STRESS_ACTOR(kill_wild_list, wild)
{
	struct fl__robust_list *list = fl__sys.robust_list();
	void *first = list->first;
	__atomic_store_n(&list->first, (void *)(uintptr_t)64, __ATOMIC_RELAXED);
	COUNT(&s->count);
	__atomic_store_n(&list->first, first, __ATOMIC_RELAXED);
}

FL_STRESS_ACTOR(kill_wild_list, other)
{
	(void)robust_take(&s->lock, NOTHING);
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_PROCESSES(kill_wild_list, wild, other)
{
	FL_ACCEPTABLE(1, "went on");
}
