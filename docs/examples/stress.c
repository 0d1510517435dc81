/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows whether the core works on a system on which nobody has run it: four threads race for a
 * mutex, then for a readers-writer lock, a condition, a queue and a pool, and account for each
 * change and item. `stress SECONDS` gives each of the five that time; without it two threads make
 * some thousand rounds each. The last line is "ok", or the program aborts.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 5000, SLOTS = 2 };

static fl_mutex mutex;
static fl_rwlock rwlock;
static fl_cond space, filled;
static fl_queue *queue;
static fl_executor *pool;
static uint64_t pair[2];      /* guarded by the lock of the part: equal outside of it */
static uint64_t slots[SLOTS]; /* guarded by `mutex`, as the next line */
static size_t full;
static bool closed; /* guarded by both locks */

static int64_t seconds;
static fl_time end;

/* A thread of a part, and the sums of what it has given and taken. */
struct actor {
	const struct part *part;
	fl_thread *thread;
	uint64_t given, taken, calls;
};

/*
 * In two threads give() is called until the time is over, in two others take() until it is false.
 */
struct part {
	const char *name;
	void (*give)(struct actor *a, uint64_t item);
	bool (*take)(struct actor *a);
};

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "FAILED: %s\n", what);
	abort();
}

static void change_pair(uint64_t by)
{
	check(pair[0] == pair[1], "two threads hold a lock");
	pair[0] += by;
	pair[1] += by;
}

static void mutex_give(struct actor *a, uint64_t item)
{
	FL_LOCKED(&mutex);
	change_pair(item);
	a->given += item;
}

static bool mutex_take(struct actor *a)
{
	FL_LOCKED(&mutex);
	change_pair(-UINT64_C(1));
	a->taken++;
	return !closed;
}

static void rwlock_give(struct actor *a, uint64_t item)
{
	FL_WRITE_LOCKED(&rwlock);
	change_pair(item);
	a->given += item;
}

static bool rwlock_take(struct actor *a)
{
	(void)a;
	FL_READ_LOCKED(&rwlock);
	check(pair[0] == pair[1], "a reader sees half of a change");
	return !closed;
}

static void cond_give(struct actor *a, uint64_t item)
{
	FL_LOCKED(&mutex);
	while (full == SLOTS)
		check(fl_cond_wait(&space, &mutex) == 0, "a wait for space");
	slots[full++] = item;
	a->given += item;
	fl_cond_signal(&filled);
}

/* With deadlines that pass while others signal. */
static bool cond_take(struct actor *a)
{
	FL_LOCKED(&mutex);
	while (full == 0 && !closed) {
		const int rc = fl_cond_wait_until(&filled, &mutex, fl_after(FL_US(50)), NULL);
		check(rc == 0 || rc == -ETIMEDOUT, "a wait for an item");
	}
	if (full == 0)
		return false;
	a->taken += slots[--full];
	fl_cond_signal(&space);
	return true;
}

static void queue_give(struct actor *a, uint64_t item)
{
	check(fl_queue_put(queue, &item) == 0, "a put");
	a->given += item;
}

static bool queue_take(struct actor *a)
{
	uint64_t item = 0; /* which a wait that ends without an item adds */
	const int rc = fl_queue_get_until(queue, &item, fl_after(FL_US(50)), NULL);
	check(rc == 0 || rc == -ETIMEDOUT || rc == -EPIPE, "a get");
	a->taken += item;
	return rc != -EPIPE;
}

FL_TASK_STATIC(echo, uint64_t, uint64_t)
{
	(void)ctx;
	*result = *arg;
	return 0;
}

static void pool_give(struct actor *a, uint64_t item)
{
	fl_future *f;
	uint64_t result;
	check(echo_submit(pool, item, &f) == 0, "a submit");
	check(echo_get(f, &result) == 0, "a result");
	fl_future_free(f);
	a->given += item;
	a->taken += result;
}

static bool pool_take(struct actor *a)
{
	pool_give(a, 1);
	FL_LOCKED(&mutex);
	return !closed;
}

static const struct part parts[] = {
    {"mutex", mutex_give, mutex_take}, {"rwlock", rwlock_give, rwlock_take}, {"cond", cond_give, cond_take},
    {"queue", queue_give, queue_take}, {"pool", pool_give, pool_take},
};

static int give(void *actor)
{
	struct actor *a = actor;
	for (uint64_t i = 1; seconds > 0 ? !fl_time_is_past(end) : i <= ROUNDS; i++)
		a->part->give(a, a->calls = i);
	return 0;
}

static int take(void *actor)
{
	struct actor *a = actor;
	while (a->part->take(a))
		a->calls++;
	return 0;
}

static void set_closed(bool now)
{
	FL_LOCKED(&mutex);
	FL_WRITE_LOCKED(&rwlock);
	closed = now;
	fl_cond_broadcast(&filled);
}

static void run(const struct part *part)
{
	struct actor actors[THREADS] = {{0}};
	uint64_t given = 0, taken = 0, calls = 0;
	pair[0] = pair[1] = 0;
	set_closed(false);
	check(fl_queue_create(&queue, sizeof(uint64_t), &(fl_queue_config){.capacity = SLOTS}) == 0, "a queue");
	end = fl_after(FL_S(seconds));
	for (int i = 0; i < THREADS; i++) {
		actors[i].part = part;
		check(fl_thread_start(&actors[i].thread, i % 2 ? take : give, &actors[i], NULL) == 0, "a start");
	}
	for (int i = 0; i < THREADS; i++) {
		const int order[THREADS] = {0, 2, 1, 3}; /* first those that give */
		if (i == THREADS / 2) {
			set_closed(true);
			fl_queue_close(queue);
		}
		const struct actor *a = &actors[order[i]];
		check(fl_thread_join(a->thread, NULL) == 0, "a join");
		given += a->given;
		taken += a->taken;
		calls += a->calls;
	}
	fl_queue_free(queue);
	printf("%s: %llu calls\n", part->name, (unsigned long long)calls);
	check(given - taken == pair[0] && pair[0] == pair[1] && full == 0, "something was lost");
}

int main(int argc, char **argv)
{
	seconds = argc > 1 ? atoi(argv[1]) : 0;
	check(fl_thread_executor_create(&pool, &(fl_executor_config){.workers = THREADS}) == 0, "a pool");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		run(&parts[i]);
	fl_executor_free(pool);
	puts("ok");
	return 0;
}
