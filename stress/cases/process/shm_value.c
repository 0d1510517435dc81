/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of values in shared memory. A value is never torn, even when a writer is killed
 * anywhere, and no update is lost. In the model the ten seconds for which a set waits may pass
 * while another process is inside. Then the set has not happened.
 */
#include "../cases.h"
#include <fairlead/shm_value.h>

typedef struct pair {
	uint64_t a, b;
} pair;

FL_SHM_VALUE_OF(pair, shared_pair)

/* Sets the value. Returns whether it was set. */
static int set(shared_pair *v, uint64_t n)
{
	int rc = shared_pair_set(v, (pair){n, n});
	FL_STRESS_CHECK(rc == 0 || rc == -ETIMEDOUT);
	return rc == 0;
}

/* Returns the value of a get, and checks that its two halves are equal. */
static int get(const shared_pair *v)
{
	pair p = shared_pair_get(v);
	FL_STRESS_CHECK(p.a == p.b);
	return (int)p.a;
}

/* The second set writes to the copy that a get may be reading. */
struct shm_value_never_torn {
	shared_pair value;
	int first, second, done;
};

FL_STRESS_ACTOR(shm_value_never_torn, writer)
{
	s->done = set(&s->value, 1) && set(&s->value, 2);
}

FL_STRESS_ACTOR(shm_value_never_torn, reader)
{
	s->first = get(&s->value);
	s->second = get(&s->value);
}

FL_STRESS_PROCESSES(shm_value_never_torn, writer, reader)
{
	int last = get(&s->value);
	FL_FORBIDDEN(last != 2 && s->done, "a set was lost");
	FL_FORBIDDEN(s->second < s->first && !fl_stress_killed("reader"), "time went back");
	FL_FORBIDDEN(s->first > last || s->second > last, "read, and gone");
	FL_ACCEPTABLE(1, "whole");
}

/* What was written before a set is seen after a get of its value. */
struct shm_value_data {
	shared_pair value;
	int data;
};

FL_STRESS_ACTOR(shm_value_data, writer)
{
	s->data = 1;
	(void)set(&s->value, 1);
}

FL_STRESS_ACTOR(shm_value_data, reader)
{
	if (get(&s->value) == 1)
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_PROCESSES(shm_value_data, writer, reader)
{
	FL_ACCEPTABLE(1, "in order");
}

static int count_one(pair *p, void *arg)
{
	FL_STRESS_CHECK(p->a == p->b);
	p->a++;
	p->b++;
	return 0;
}

static int update(shared_pair *v)
{
	int rc = shared_pair_update(v, count_one, NULL);
	FL_STRESS_CHECK(rc == 0 || rc == -ETIMEDOUT);
	return rc == 0;
}

/*
 * There are three updates at once. Each is counted once. A killed update is counted once or not at
 * all.
 */
struct shm_value_update {
	shared_pair value;
	int done[3];
};

static void update_own(struct shm_value_update *s, int i)
{
	s->done[i] = update(&s->value);
}

THREE_ACTORS(shm_value_update, update_own)

FL_STRESS_PROCESSES(shm_value_update, one, two, three)
{
	int last = get(&s->value), done = s->done[0] + s->done[1] + s->done[2];
	bool killed = fl_stress_killed("one") || fl_stress_killed("two") || fl_stress_killed("three");
	FL_ACCEPTABLE(last == 3 && done == 3, "all counted");
	FL_ACCEPTABLE(last == done, "some were slow, or died before");
	FL_ACCEPTABLE(last == done + 1 && killed, "one died after");
}
