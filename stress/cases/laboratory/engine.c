/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of correct code that the engine once reported as wrong. */
#include "../cases.h"
#include <unistd.h>

static void spin_until(atomic_int *word)
{
	while (!LOOK(word))
		fl_stress_relax();
}

/* A lock spins by exchanging, with three threads. Two of them must not wake each other forever. */
struct tas_of_three {
	atomic_int lock;
	int count;
};

FL_STRESS_ACTOR(tas_of_three, count_under_tas)
{
	while (atomic_exchange_explicit(&s->lock, 1, memory_order_acquire))
		fl_stress_relax();
	s->count++;
	atomic_store_explicit(&s->lock, 0, memory_order_release);
}

FL_STRESS(tas_of_three, count_under_tas, count_under_tas, count_under_tas)
{
	FL_ACCEPTABLE(s->count == 3, "all counted");
}

/* Spinning threads count their turns, and so change a word that other threads read. */
struct counted_spin {
	atomic_int go, turns;
};

FL_STRESS_ACTOR(counted_spin, spin_counting)
{
	while (!LOOK(&s->go)) {
		COUNT(&s->turns);
		fl_stress_relax();
	}
}

FL_STRESS_ACTOR(counted_spin, starter)
{
	SET(&s->go, 1);
}

FL_STRESS(counted_spin, spin_counting, spin_counting, starter)
{
	FL_ACCEPTABLE(1, "all went on");
}

/* Bounded spins are long, and fail. */
struct long_spin {
	atomic_int never;
};

FL_STRESS_ACTOR(long_spin, spin_long)
{
	for (int i = 0; i < 1000 && !LOOK(&s->never); i++)
		fl_stress_relax();
}

FL_STRESS(long_spin, spin_long, spin_long)
{
	FL_ACCEPTABLE(1, "both gave up");
}

/* A loop waits for either of two words, without a relax. */
struct spin_on_two {
	atomic_int a, b;
};

FL_STRESS_ACTOR(spin_on_two, spinner)
{
	while (!LOOK(&s->a) && !LOOK(&s->b))
		;
}

FL_STRESS_ACTOR(spin_on_two, writer)
{
	SET(&s->b, 1);
}

FL_STRESS(spin_on_two, spinner, writer)
{
	FL_ACCEPTABLE(1, "it went on");
}

/*
 * A thread polls under a lock without a pause, while another thread needs the lock several times.
 */
struct poll_under_lock {
	pthread_mutex_t lock;
	int turns;
};

static int turns_of(struct poll_under_lock *s, int more)
{
	(void)pthread_mutex_lock(&s->lock);
	const int turns = s->turns += more;
	(void)pthread_mutex_unlock(&s->lock);
	return turns;
}

FL_STRESS_ACTOR(poll_under_lock, poller)
{
	while (turns_of(s, 0) < 4)
		;
}

FL_STRESS_ACTOR(poll_under_lock, counter)
{
	for (int i = 0; i < 4; i++)
		(void)turns_of(s, 1);
}

FL_STRESS(poll_under_lock, poller, counter)
{
	FL_ACCEPTABLE(s->turns == 4, "all seen");
}

/* A thread polls under the lock, while another thread sleeps first. */
struct poll_for_sleeper {
	struct poll_under_lock poll;
};

FL_STRESS_ACTOR(poll_for_sleeper, poller)
{
	while (!turns_of(&s->poll, 0))
		;
}

FL_STRESS_ACTOR(poll_for_sleeper, sleeper)
{
	(void)usleep(1);
	(void)turns_of(&s->poll, 1);
}

FL_STRESS(poll_for_sleeper, poller, sleeper)
{
	FL_ACCEPTABLE(s->poll.turns == 1, "seen");
}

/* An acquire of half of a word acquires what the store of the whole word released. */
struct half_of_a_word {
	union {
		_Atomic uint64_t whole;
		_Atomic uint32_t half[2];
	} word;
	int cargo, seen;
};

FL_STRESS_ACTOR(half_of_a_word, writer)
{
	s->cargo = 1;
	atomic_store_explicit(&s->word.whole, 0x100000001u, memory_order_release);
}

FL_STRESS_ACTOR(half_of_a_word, reader)
{
	s->seen = atomic_load_explicit(&s->word.half[1], memory_order_acquire) ? s->cargo : 1;
}

FL_STRESS(half_of_a_word, writer, reader)
{
	FL_ACCEPTABLE(s->seen == 1, "with its cargo, or too early");
}

/* Each thread has its own thread-local variables, even if they are atomic. */
struct local_atomic {
	int seen;
};

static _Thread_local atomic_int own;

FL_STRESS_ACTOR(local_atomic, writer)
{
	SET(&own, 1);
	SET(&own, 0);
}

FL_STRESS_ACTOR(local_atomic, reader)
{
	s->seen = LOOK(&own);
}

FL_STRESS(local_atomic, writer, reader)
{
	FL_ACCEPTABLE(s->seen == 0, "its own");
}

/* A thread spins until it sees a store of another thread. Stores become visible in finite time. */
struct visible_in_the_end {
	atomic_int flag;
};

FL_STRESS_ACTOR(visible_in_the_end, waiter)
{
	spin_until(&s->flag);
}

FL_STRESS_ACTOR(visible_in_the_end, setter)
{
	SET(&s->flag, 1);
}

FL_STRESS(visible_in_the_end, waiter, setter)
{
	FL_ACCEPTABLE(1, "seen");
}

/* In this Dekker pattern, one side has no fence of its own: the system makes it. */
struct asked_fence {
	atomic_int light, heavy;
	int light_saw, heavy_saw, rc;
};

FL_STRESS_ACTOR(asked_fence, quick)
{
	SET(&s->light, 1);
	fl__in_program_order();
	s->light_saw = LOOK(&s->heavy);
}

FL_STRESS_ACTOR(asked_fence, slow)
{
	SET(&s->heavy, 1);
	s->rc = fl__sys.membarrier();
	s->heavy_saw = LOOK(&s->light);
}

FL_STRESS(asked_fence, quick, slow)
{
	FL_ACCEPTABLE(s->rc != 0, "the system has none");
	FL_ACCEPTABLE(s->light_saw || s->heavy_saw, "one saw the other");
}
