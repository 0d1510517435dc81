/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_on_workers.h"

enum { BRANCHES = 40 };

struct branch {
	unsigned calls;
	int error;
	unsigned order; /* of the calls, from 1 on */
	unsigned *called;
};

static int note(void *state)
{
	struct branch *b = state;
	b->calls++;
	b->order = __atomic_add_fetch(b->called, 1, __ATOMIC_RELAXED);
	return b->error;
}

struct fork {
	struct branch branches[BRANCHES];
	size_t n;
	unsigned called;
};

static int fork_all(void *state)
{
	struct fork *f = state;
	f->called = 0;
	for (size_t i = 0; i < f->n; i++) {
		f->branches[i].calls = f->branches[i].order = 0;
		f->branches[i].called = &f->called;
	}
	return fl_parallel_invoke_all(note, f->branches, f->n, sizeof f->branches[0]);
}

FL_TEST(invoke_all_calls_each_branch_once)
{
	for (unsigned workers = 0; workers <= 3; workers++)
		for (size_t n = 0; n <= BRANCHES; n++) {
			struct fork f = {.n = n};
			FL_OK(workers == 0 ? fork_all(&f) : run_on(workers, fork_all, &f));
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(f.branches[i].calls, 1);
				if (workers < 2)
					assert_int_equal(f.branches[i].order, i + 1);
			}
		}
}

/* The first error in the order of the array, whatever the order of the calls. */
FL_TEST(invoke_all_returns_the_first_error)
{
	for (unsigned workers = 0; workers <= 3; workers++)
		for (size_t failed = 0; failed < 7; failed++) {
			struct fork f = {.n = 7};
			f.branches[failed].error = -EIO;
			f.branches[6].error = -EPIPE;
			FL_RC(workers == 0 ? fork_all(&f) : run_on(workers, fork_all, &f), failed < 6 ? -EIO : -EPIPE);
			for (size_t i = 0; i <= failed; i++)
				assert_int_equal(f.branches[i].calls, 1);
			for (size_t i = failed + 1; i < 7; i++)
				assert_true(f.branches[i].calls <= (workers < 2 ? 0 : 1));
		}
}

FL_TEST(invoke_all_refuses_an_array_that_cannot_exist)
{
	struct fork f = {.n = 1};
	f.branches[0].called = &f.called;
	FL_RC(fl_parallel_invoke_all(note, f.branches, 1, 0), -EINVAL);
	FL_RC(fl_parallel_invoke_all(note, f.branches, SIZE_MAX, 0), -EINVAL);
	FL_RC(fl_parallel_invoke_all(note, f.branches, SIZE_MAX, 2), -EINVAL);
	FL_RC(fl_parallel_invoke_all(note, f.branches, SIZE_MAX / sizeof f.branches[0] + 1, sizeof f.branches[0]),
	      -EINVAL);
	FL_RC(fl_parallel_invoke_all(note, NULL, 0, sizeof f.branches[0]), 0);
	assert_int_equal(f.called, 0);
}

/* Two workers, and two branches, each of which waits until the other one runs. */
static unsigned met;

static int meet(void *state)
{
	(void)state;
	(void)__atomic_add_fetch(&met, 1, __ATOMIC_ACQ_REL);
	FL_WAIT_FOR(__atomic_load_n(&met, __ATOMIC_ACQUIRE) == 2);
	return 0;
}

static int meet_all(void *state)
{
	return fl_parallel_invoke_all(meet, state, 2, 1);
}

FL_TEST(invoke_all_branch_is_stolen)
{
	char states[2] = "";
	__atomic_store_n(&met, 0, __ATOMIC_RELAXED);
	FL_OK(run_on(2, meet_all, states));
}

/* A failed branch requests the scope of a later one that another worker runs. */
static int fail_beside(void *state)
{
	if (*(char *)state == 'f') {
		FL_WAIT_FOR(__atomic_load_n(&met, __ATOMIC_ACQUIRE) == 1);
		return -EIO;
	}
	__atomic_store_n(&met, 1, __ATOMIC_RELEASE);
	return fl_sleep(FL_S(1000000));
}

static int fail_all(void *state)
{
	return fl_parallel_invoke_all(fail_beside, state, 2, 1);
}

FL_TEST(invoke_all_error_stops_a_later_branch)
{
	__atomic_store_n(&met, 0, __ATOMIC_RELAXED);
	FL_RC(run_on(2, fail_all, (char[]){'f', 's'}), -EIO);
}

/* The queens of a board of N rows: branches that fork in turn. */
enum { N = 7 };

struct board {
	int rows, solutions;
	int column[N];
};

static bool is_safe(const struct board *b, int column)
{
	for (int i = 0; i < b->rows; i++)
		if (b->column[i] == column || abs(b->column[i] - column) == b->rows - i)
			return false;
	return true;
}

static int place(void *state)
{
	struct board *b = state, next[N];
	size_t n = 0;
	b->solutions = b->rows == N;
	if (b->rows == N)
		return 0;
	for (int column = 0; column < N; column++)
		if (is_safe(b, column)) {
			next[n] = *b;
			next[n++].column[b->rows] = column;
		}
	for (size_t i = 0; i < n; i++)
		next[i].rows++;
	const int rc = fl_parallel_invoke_all(place, next, n, sizeof next[0]);
	for (size_t i = 0; i < n; i++)
		b->solutions += next[i].solutions;
	return rc;
}

FL_TEST(invoke_all_nests)
{
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct board b = {0};
		FL_OK(run_on(workers, place, &b));
		assert_int_equal(b.solutions, 40);
	}
}
