/* SPDX-License-Identifier: BSD-2-Clause */
/* Parallel loops: each number once; values in order; the first error is returned. */
#include "pools.h"
#include <fairlead/parallel.h>

static const fl_parallel_config one_by_one = {.grain = 1};

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

FL_STRESS_ACTOR(parallel_for, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	OK(fl_parallel_for(e, 0, 3, visit, s, &one_by_one));
	FL_STRESS_CHECK(s->visited[0] == 1 && s->visited[1] == 1 && s->visited[2] == 1);
}

FL_STRESS(parallel_for, user)
{
	FL_ACCEPTABLE(s->visited[0] == 1 && s->visited[1] == 1 && s->visited[2] == 1, "each once");
}

/* Two calls fail: one of their errors is returned. */
struct parallel_for_error {
	int rc, error;
};

static int fail_as(void *state, size_t from, size_t to)
{
	(void)state;
	return from + 1 == to ? -(int)to : 0;
}

FL_STRESS_ACTOR(parallel_for_error, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	s->rc = fl_parallel_for(e, 0, 2, fail_as, NULL, &(fl_parallel_config){.grain = 1, .error = &s->error});
}

FL_STRESS(parallel_for_error, user)
{
	FL_FORBIDDEN(s->rc != FL_ETASK, "no error");
	FL_ACCEPTABLE(s->error == -1, "the first");
	FL_ACCEPTABLE(s->error == -2, "the second");
}

/*
 * A word is reduced from its letters, in order; of six, so that a part may be split after it has
 * some.
 */
struct parallel_reduce {
	uint32_t word;
};

struct word {
	uint32_t letters, length;
};

static int add_letter(void *state, size_t from, size_t to, void *value)
{
	struct word *w = value;
	(void)state;
	for (; from < to; from++, w->length++)
		w->letters = w->letters << 4 | (uint32_t)(from + 1);
	return 0;
}

static void append(void *state, void *left, const void *right)
{
	struct word *l = left;
	const struct word *r = right;
	(void)state;
	l->letters = l->letters << 4 * r->length | r->letters;
	l->length += r->length;
}

FL_STRESS_ACTOR(parallel_reduce, user)
{
	static const struct word empty = {0, 0};
	static const fl_reduction spelling = {sizeof(struct word), &empty, add_letter, append};
	FL_SCOPED(fl_executor) *e = pool_of(2);
	struct word all;
	OK(fl_parallel_reduce(e, 0, 6, &spelling, NULL, &all, &one_by_one));
	s->word = all.letters;
}

FL_STRESS(parallel_reduce, user)
{
	FL_ACCEPTABLE(s->word == 0x123456, "in order");
}
