/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of turns (lib/core/sync/turn.h). A first waiter is overtaken for a while, and then no
 * more. At the end the word is free, and no mark stays behind.
 */
#include "../loop/loops.h"
#include <fairlead/sem.h>

/* The kinds of locks. */

union lock {
	fl_mutex mutex;
	fl_rwlock rwlock; /* its waiter writes */
	fl_sem sem;       /* with one permit */
};

struct kind {
	void (*init)(union lock *l);
	int (*lock)(union lock *l, fl_time deadline, fl_cancel_token *cancel);
	void (*unlock)(union lock *l);
	bool (*is_idle)(union lock *l); /* and can be destroyed */
	/* Enqueues the waiter, behind a context that holds the lock. */
	void (*enqueue)(union lock *l, struct fl__mutex_node *waiter);
	/* The waiter calls this, awake, when it owns the lock. */
	void (*take_over)(union lock *l, struct fl__mutex_node *waiter);
	/* locks and unlocks, or returns false if the lock is barred */
	bool (*overtake)(union lock *l);
	int64_t least; /* the least length of a turn */
};

static void mutex_init(union lock *l)
{
	fl_mutex_init(&l->mutex);
}

static int mutex_lock(union lock *l, fl_time deadline, fl_cancel_token *cancel)
{
	return fl_mutex_lock_until(&l->mutex, deadline, cancel);
}

static void mutex_unlock(union lock *l)
{
	fl_mutex_unlock(&l->mutex);
}

static bool mutex_is_idle(union lock *l)
{
	return l->mutex.word_ == 0 && !fl__mutex_is_busy(&l->mutex);
}

/* Enqueues as a condition does. */
static void mutex_enqueue(union lock *l, struct fl__mutex_node *waiter)
{
	static char elsewhere;
	struct fl__lot from, to;
	fl__lot_open(&from, &elsewhere);
	fl__lot_add(&from, &waiter->node);
	(void)fl__lot_open_also(&from, &to, l);
	FL_STRESS_CHECK(fl__mutex_requeue(&l->mutex, &from, &to, 1) == 1);
	fl__lot_unlock_also(&from, &to);
	fl__lot_close(&from);
}

static void mutex_take_over(union lock *l, struct fl__mutex_node *waiter)
{
	struct fl__hook_op op;
	FL_STRESS_CHECK(fl_mutex_is_locked(&l->mutex));
	fl__hook_locking(&op, l, FL__DEBUG_MUTEX, 0);
	fl__mutex_relock(waiter, &op);
}

static bool mutex_overtake(union lock *l)
{
	if (fl_mutex_try_lock(&l->mutex) != 0)
		return false;
	fl_mutex_unlock(&l->mutex);
	return true;
}

static const struct kind mutexes = {mutex_init,    mutex_lock,      mutex_unlock,   mutex_is_idle,
                                    mutex_enqueue, mutex_take_over, mutex_overtake, TURN};

static void rwlock_init(union lock *l)
{
}

static int rwlock_lock(union lock *l, fl_time deadline, fl_cancel_token *cancel)
{
	return fl_rwlock_write_lock_until(&l->rwlock, deadline, cancel);
}

static void rwlock_unlock(union lock *l)
{
	fl_rwlock_write_unlock(&l->rwlock);
}

static bool rwlock_is_idle(union lock *l)
{
	return l->rwlock.word_ == 0 && !fl__rwlock_is_busy(&l->rwlock);
}

static bool rwlock_enqueue_writer(union lock *l, struct fl__mutex_node *waiter, bool awake)
{
	return fl__rwlock_enqueue(&l->rwlock, &fl__rwlock_writing, &waiter->node, fl__rwlock_writing.bars, awake);
}

static void rwlock_enqueue(union lock *l, struct fl__mutex_node *waiter)
{
	waiter->node.value = fl__rwlock_writing.kind;
	FL_STRESS_CHECK(rwlock_enqueue_writer(l, waiter, false));
}

static void rwlock_take_over(union lock *l, struct fl__mutex_node *waiter)
{
	FL_STRESS_CHECK(!rwlock_enqueue_writer(l, waiter, true));
}

static bool rwlock_overtake(union lock *l)
{
	if (fl_rwlock_try_read_lock(&l->rwlock) != 0)
		return false;
	fl_rwlock_read_unlock(&l->rwlock);
	return true;
}

/* The lock measures the turn in ticks. */
static const struct kind rwlocks = {rwlock_init,    rwlock_lock,      rwlock_unlock,   rwlock_is_idle,
                                    rwlock_enqueue, rwlock_take_over, rwlock_overtake, FL_US(900)};

static void sem_init(union lock *l)
{
	OK(fl_sem_init(&l->sem, 1));
}

static int sem_lock(union lock *l, fl_time deadline, fl_cancel_token *cancel)
{
	return fl_sem_acquire_until(&l->sem, deadline, cancel);
}

static void sem_unlock(union lock *l)
{
	fl_sem_release(&l->sem);
}

static bool sem_is_idle(union lock *l)
{
	return l->sem.word_ == 1 && !fl__lot_has_waiters_at(&l->sem);
}

static const struct kind sems = {.init = sem_init, .lock = sem_lock, .unlock = sem_unlock, .is_idle = sem_is_idle};

struct turns {
	const struct kind *kind;
	union lock lock;
	fl_cancel_token stop;
	int count; /* guarded by the lock */
};

/* The actors. */

static int hold(struct turns *t, fl_time deadline, fl_cancel_token *cancel, bool long_enough)
{
	const int rc = t->kind->lock(&t->lock, deadline, cancel);
	if (rc != 0)
		return rc;
	t->count++;
	if (long_enough)
		let_a_turn_pass();
	t->kind->unlock(&t->lock);
	return 0;
}

static void hold_once(struct turns *t)
{
	OK(hold(t, FL_FOREVER, NULL, false));
}

/*
 * Wakes the first waiter at the end of its first turn, hands the lock over at the end of the second
 * one, and enqueues behind it with the third lock.
 */
static void hold_again_and_again(struct turns *t)
{
	OK(hold(t, FL_FOREVER, NULL, true));
	OK(hold(t, FL_FOREVER, NULL, true));
	hold_once(t);
}

/* Gives up at the time of the hand-over, or has the lock. */
static void hold_timed(struct turns *t)
{
	const int rc = hold(t, fl_after(TURN), NULL, false);
	FL_STRESS_CHECK(rc == 0 || rc == -ETIMEDOUT);
}

static void hold_stopped(struct turns *t)
{
	const int rc = hold(t, FL_FOREVER, &t->stop, false);
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
}

static void stop_and_hold(struct turns *t)
{
	fl_cancel_token_request(&t->stop);
	hold_once(t);
}

/*
 * A waiter does not run, because it waits for its waker's CPU. It is overtaken for its time, and
 * then no more: the word has no mark, but the waker remembers the waiter.
 */
static void never_unpark(struct fl__wait *wait)
{
	wait->park_word = 1;
}

/* Returns how often the caller can lock and unlock before the lock is barred, up to `most`. */
static unsigned overtake(struct turns *t, unsigned most)
{
	unsigned n = 0;
	while (n < most && t->kind->overtake(&t->lock))
		n++;
	return n;
}

static void overtake_in_flight(struct turns *t)
{
	enum { SOME = 100 };
	const struct fl__ctx_ops ops = {.unpark = never_unpark};
	struct fl__ctx ctx = {.ops = &ops};
	struct fl__wait wait = {.ctx = &ctx};
	struct fl__mutex_node waiter = FL__MUTEX_NODE(&t->lock.mutex, &wait);
	OK(t->kind->lock(&t->lock, FL_FOREVER, NULL));
	const int64_t since = fl_stress_now();
	t->kind->enqueue(&t->lock, &waiter);
	t->kind->unlock(&t->lock);
	FL_STRESS_CHECK(wait.park_word == 1);
	FL_STRESS_CHECK(!t->kind->is_idle(&t->lock)); /* the lock is free, and awaited */
	if (overtake(t, SOME) < SOME)
		FL_STRESS_CHECK(fl_stress_now() - since >= t->kind->least);
	let_a_turn_pass();
	let_a_turn_pass();
	FL_STRESS_CHECK(overtake(t, SOME) < SOME);
	t->kind->take_over(&t->lock, &waiter);
	t->kind->unlock(&t->lock);
}

/*
 * There are two fibers. A fiber that unlocks and locks again does not overtake the one that it has
 * woken, which shares its thread.
 */
static int lock_twice(void *arg)
{
	struct turns *t = arg;
	OK(t->kind->lock(&t->lock, FL_FOREVER, NULL));
	t->count = 1;
	fl_fiber_yield();
	t->kind->unlock(&t->lock);
	OK(t->kind->lock(&t->lock, FL_FOREVER, NULL));
	FL_STRESS_CHECK(t->count == 2);
	t->kind->unlock(&t->lock);
	return 0;
}

static int lock_once(void *arg)
{
	struct turns *t = arg;
	FL_STRESS_CHECK(t->count == 1);
	return hold(t, FL_FOREVER, NULL, false);
}

static int give_way(void *arg)
{
	fl_fiber *other;
	OK(fl_fiber_start(&other, lock_once, arg, NULL));
	OK(lock_twice(arg));
	return fl_fiber_join(other, NULL);
}

static void begin(struct turns *t, const struct kind *kind)
{
	t->kind = kind;
	kind->init(&t->lock);
}

static void end(struct turns *t)
{
	FL_ACCEPTABLE(t->kind->is_idle(&t->lock), "all had it, or gave up");
	FL_FORBIDDEN(1, "a mark is left");
}

#define TURNS(test, locks, ...) SCENARIO(test, struct turns, begin(&s->t, &(locks)), end(&s->t), __VA_ARGS__)

TURNS(mutex_hand_over, mutexes, hold_again_and_again, hold_once)
TURNS(mutex_hand_over_three, mutexes, hold_again_and_again, hold_once, hold_once)
TURNS(mutex_hand_over_timed, mutexes, hold_again_and_again, hold_timed, hold_once)
TURNS(mutex_hand_over_cancel, mutexes, hold_again_and_again, hold_stopped, stop_and_hold)
TURNS(sem_hand_over, sems, hold_again_and_again, hold_once)
TURNS(sem_hand_over_three, sems, hold_again_and_again, hold_once, hold_once)
TURNS(sem_hand_over_timed, sems, hold_again_and_again, hold_timed, hold_once)
TURNS(mutex_waiter_in_flight, mutexes, overtake_in_flight)
TURNS(rw_waiter_in_flight, rwlocks, overtake_in_flight)

#define GIVES_WAY(test, locks)                                                                                         \
	struct test {                                                                                                  \
		struct turns t;                                                                                        \
		struct loop_world world;                                                                               \
	};                                                                                                             \
                                                                                                                       \
	FL_STRESS_SETUP(test)                                                                                          \
	{                                                                                                              \
		begin(&s->t, &(locks));                                                                                \
		loop_begin(&s->world, 0);                                                                              \
	}                                                                                                              \
                                                                                                                       \
	LOOP(test, loop_run, give_way)                                                                                 \
                                                                                                                       \
	FL_STRESS(test, loop)                                                                                          \
	{                                                                                                              \
		loop_end(&s->world);                                                                                   \
		end(&s->t);                                                                                            \
	}

GIVES_WAY(mutex_gives_way, mutexes)
GIVES_WAY(rw_gives_way, rwlocks)

/*
 * A late check of an unlock hands the mutex to a waiter that has been awake for long enough. A
 * third context has held it in the meantime, and its writes are visible, whether the first waiter
 * finds itself the owner when it tries, finds the mutex free, or is handed the mutex when it goes
 * to sleep again.
 */
struct mutex_hand_over_late {
	union lock l;
	struct fl__ctx ctx;
	struct fl__wait wait;
	struct fl__mutex_node place;
	int count, rc;
};

static void is_awake(struct fl__wait *wait)
{
}

static void do_not_yield(void)
{
}

static const struct fl__ctx_ops tries_once = {.unpark = is_awake, .yield = do_not_yield};

FL_STRESS_SETUP(mutex_hand_over_late)
{
	struct fl__lot lot;
	s->ctx.ops = &tries_once;
	s->wait.ctx = &s->ctx;
	s->place = FL__MUTEX_NODE(&s->l.mutex, &s->wait);
	s->place.since = 1;
	fl_mutex_lock(&s->l.mutex);
	mutex_enqueue(&s->l, &s->place);
	fl__lot_open(&lot, &s->l.mutex);
	(void)fl__lot_wake_first(&lot);
	fl__lot_close(&lot);
}

FL_STRESS_ACTOR(mutex_hand_over_late, holder)
{
	s->count++;
	fl_mutex_unlock(&s->l.mutex);
}

FL_STRESS_ACTOR(mutex_hand_over_late, waiter)
{
	struct fl__hook_op op;
	fl__hook_locking(&op, &s->l.mutex, FL__DEBUG_MUTEX, 0);
	fl__mutex_relock(&s->place, &op);
	s->count++;
	fl_mutex_unlock(&s->l.mutex);
}

FL_STRESS_ACTOR(mutex_hand_over_late, third)
{
	s->rc = fl_mutex_try_lock(&s->l.mutex);
	if (s->rc != 0)
		return;
	s->count++;
	fl_mutex_unlock(&s->l.mutex);
}

FL_STRESS(mutex_hand_over_late, waiter, holder, third)
{
	FL_FORBIDDEN(s->l.mutex.word_ != 0 || fl__mutex_is_busy(&s->l.mutex), "a mark is left");
	FL_ACCEPTABLE(s->rc == 0 && s->count == 3, "all had it");
	FL_ACCEPTABLE(s->rc == -EAGAIN && s->count == 2, "the third did not get it");
	FL_FORBIDDEN(1, "a count was lost");
}
