/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of parallel loops. Each number is visited once, values come in order, and an error is
 * returned.
 */
#include "pools.h"
#include <fairlead/parallel.h>

static const fl_parallel_config one_by_one = {.grain = 1};
enum { SHARED = 4 };

/* In a task: the workers share the numbers by forks. */
struct parallel_for {
	int visited[3], rc, error;
};

static int visit(void *state, size_t from, size_t to)
{
	struct parallel_for *s = state;
	FL_STRESS_CHECK(to == from + 1);
	s->visited[from]++;
	return 0;
}

FL_TASK_STATIC(visit_all, struct parallel_for *, void)
{
	return fl_parallel_for(fl_executor_current(), 0, 3, visit, *arg, &one_by_one);
}

FL_STRESS_ACTOR(parallel_for, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	FL_SCOPED(fl_future) *f = NULL;
	OK(visit_all_submit(e, s, &f));
	OK(visit_all_get(f));
	FL_STRESS_CHECK(s->visited[0] == 1 && s->visited[1] == 1 && s->visited[2] == 1);
}

FL_STRESS(parallel_for, user)
{
	FL_ACCEPTABLE(s->visited[0] == 1 && s->visited[1] == 1 && s->visited[2] == 1, "each once");
}

/*
 * The caller and the workers share the numbers, and each number is visited once. A join waits for
 * all calls.
 */
struct parallel_for_shared {
	fl_executor *e;
	fl_event begun;
	int visited[SHARED];
};

FL_STRESS_SETUP(parallel_for_shared)
{
	s->e = pool_of(2);
}

static int visit_shared(void *state, size_t from, size_t to)
{
	struct parallel_for_shared *s = state;
	FL_STRESS_CHECK(to == from + 1);
	s->visited[from]++;
	fl_event_set(&s->begun);
	return 0;
}

static int visit_nothing(void *state, size_t from, size_t to)
{
	(void)state;
	(void)from;
	(void)to;
	return 0;
}

FL_STRESS_ACTOR(parallel_for_shared, user)
{
	OK(fl_parallel_for(s->e, 0, 1, visit_nothing, NULL, NULL)); /* then there is a thread */
	OK(fl_parallel_for(s->e, 0, SHARED, visit_shared, s, &one_by_one));
}

FL_STRESS_ACTOR(parallel_for_shared, other)
{
	OK(fl_event_wait(&s->begun));
	fl_executor_free(s->e);
	for (int i = 0; i < SHARED; i++)
		FL_STRESS_CHECK(s->visited[i] == 1);
}

FL_STRESS(parallel_for_shared, user, other)
{
	FL_ACCEPTABLE(1, "each once");
}

/* Several calls fail. One of their errors is returned. */
struct parallel_for_error {
	int rc, error;
};

static int fail_as(void *state, size_t from, size_t to)
{
	return from + 1 == to ? -(int)to : 0;
}

FL_STRESS_ACTOR(parallel_for_error, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	s->rc = fl_parallel_for(e, 0, SHARED, fail_as, NULL, &(fl_parallel_config){.grain = 1, .error = &s->error});
}

FL_STRESS(parallel_for_error, user)
{
	FL_FORBIDDEN(s->rc != FL_ETASK, "no error");
	FL_ACCEPTABLE(s->error == -1, "the first");
	FL_ACCEPTABLE(s->error < -1 && s->error >= -SHARED, "another");
}

/* In a task: a word is reduced from its letters, in order. */
struct parallel_reduce {
	uint32_t word;
};

struct word {
	uint32_t letters, length;
};

static int add_letter(void *state, size_t from, size_t to, void *value)
{
	struct word *w = value;
	for (; from < to; from++, w->length++)
		w->letters = w->letters << 4 | (uint32_t)(from + 1);
	return 0;
}

static void append(void *state, void *left, const void *right)
{
	struct word *l = left;
	const struct word *r = right;
	l->letters = l->letters << 4 * r->length | r->letters;
	l->length += r->length;
}

static const struct word empty = {0, 0};
static const fl_reduction spelling = {sizeof(struct word), &empty, add_letter, append};

static uint32_t spell(fl_executor *e)
{
	struct word all;
	OK(fl_parallel_reduce(e, 0, SHARED, &spelling, NULL, &all, &one_by_one));
	return all.letters;
}

FL_TASK_STATIC(spell_word, void, uint32_t)
{
	*result = spell(fl_executor_current());
	return 0;
}

FL_STRESS_ACTOR(parallel_reduce, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	FL_SCOPED(fl_future) *f = NULL;
	OK(spell_word_submit(e, &f));
	OK(spell_word_get(f, &s->word));
}

FL_STRESS(parallel_reduce, user)
{
	FL_ACCEPTABLE(s->word == 0x1234, "in order");
}

/* The caller and the workers share the letters. */
struct parallel_reduce_shared {
	uint32_t word;
};

FL_STRESS_ACTOR(parallel_reduce_shared, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	s->word = spell(e);
}

FL_STRESS(parallel_reduce_shared, user)
{
	FL_ACCEPTABLE(s->word == 0x1234, "in order");
}
