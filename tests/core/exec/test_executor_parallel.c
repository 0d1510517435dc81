/* SPDX-License-Identifier: BSD-2-Clause */
/* Fork and join, and parallel loops, on every kind of executor. */
#include "conformance.h"

struct visit {
	unsigned char *visited;
	size_t longest; /* of all calls; by relaxed accesses */
	size_t fails_at;
	int error;
};

static int visit(void *state, size_t from, size_t to)
{
	struct visit *v = state;
	size_t longest = fl__load_relaxed(&v->longest);
	while (to - from > longest && !fl__cas_weak_relaxed(&v->longest, &longest, to - from))
		;
	for (size_t i = from; i < to; i++) {
		if (v->error != 0 && i == v->fails_at)
			return v->error;
		v->visited[i]++;
	}
	return 0;
}

/* Whether each number from `begin` to `end` - 1 was visited once, and no other. */
static bool is_visited(const unsigned char *visited, size_t n, size_t begin, size_t end)
{
	for (size_t i = 0; i < n; i++)
		if (visited[i] != (i >= begin && i < end))
			return false;
	return true;
}

enum { N = 100000 };

CONFORMANCE_UP_TO(parallel_for_visits_each_once, 4)
{
	struct visit v = {.visited = calloc(N, 1)};
	assert_non_null(v.visited);
	FL_RC(fl_parallel_for(e, 10, N - 10, visit, &v, NULL), is_by_reference(e) ? 0 : -ENOTSUP);
	assert_true(is_visited(v.visited, N, 10, is_by_reference(e) ? N - 10 : 10));
	free(v.visited);
}

CONFORMANCE_ON(parallel_for_of_nothing, 2)
{
	const int expected = is_by_reference(e) ? 0 : -ENOTSUP;
	FL_RC(fl_parallel_for(e, 3, 3, NULL, NULL, NULL), expected);
	FL_RC(fl_parallel_for(e, 4, 3, NULL, NULL, NULL), expected);
}

CONFORMANCE_ON(parallel_for_keeps_to_its_grain, 2)
{
	struct visit v = {.visited = calloc(N, 1)};
	assert_non_null(v.visited);
	if (is_by_reference(e)) {
		FL_OK(fl_parallel_for(e, 0, N, visit, &v, &(fl_parallel_config){.grain = 7}));
		assert_true(v.longest <= 7 && is_visited(v.visited, N, 0, N));
	}
	free(v.visited);
}

CONFORMANCE_ON(parallel_for_tells_the_error, 2)
{
	int error = 0;
	struct visit v = {.visited = calloc(N, 1), .fails_at = 5000, .error = -EIO};
	assert_non_null(v.visited);
	const int rc = fl_parallel_for(e, 0, N, visit, &v, &(fl_parallel_config){.error = &error});
	assert_int_equal(rc, is_by_reference(e) ? FL_ETASK : -ENOTSUP);
	assert_int_equal(error, is_by_reference(e) ? -EIO : 0);
	assert_int_equal(v.visited[5000], 0);
	if (is_by_reference(e))
		FL_RC(fl_parallel_for(e, 0, N, visit, &v, NULL), FL_ETASK);
	free(v.visited);
}

/* Goes on until its scope is requested. */
static int until_stopped(void *state, size_t from, size_t to)
{
	if (state)
		fl_cancel_token_request(state);
	while (!fl_cancel_token_is_requested(NULL))
		if (fl_sleep(FL_MS(1)) == -ECANCELED)
			break;
	return -ECANCELED;
}

CONFORMANCE_ABLE(parallel_for_is_stopped, 2, FL_CAP_BY_REFERENCE)
{
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	int error = 0;
	fl_parallel_config config = {.deadline = fl_after(FL_MS(5)), .error = &error};
	FL_RC(fl_parallel_for(e, 0, N, until_stopped, NULL, &config), -ETIMEDOUT);
	/* Nothing is begun. */
	FL_RC(fl_parallel_for(e, 0, N, until_stopped, NULL, &config), -ETIMEDOUT);
	config = (fl_parallel_config){.cancel = &stop, .error = &error};
	FL_RC(fl_parallel_for(e, 0, N, until_stopped, &stop, &config), -ECANCELED);
	FL_RC(fl_parallel_for(e, 0, N, until_stopped, &stop, &config), -ECANCELED);
	FL_CANCEL_SCOPE(&stop);
	FL_RC(fl_parallel_for(e, 0, N, until_stopped, NULL, NULL), -ECANCELED);
	assert_int_equal(error, 0); /* being stopped is no failure */
}

CONFORMANCE_ON(parallel_for_after_the_end, 2)
{
	fl_executor_close(e);
	FL_RC(fl_parallel_for(e, 0, 1, until_stopped, NULL, NULL), is_by_reference(e) ? -EPIPE : -ENOTSUP);
}

/* Loops within loops, on the worker that calls them. */
static int inner(void *state, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		fl__add_relaxed((size_t *)state, i);
	return 0;
}

static int outer(void *state, size_t from, size_t to)
{
	int rc = 0;
	for (size_t i = from; i < to && rc == 0; i++)
		rc = fl_parallel_for(fl_executor_current(), 0, 100, inner, state, NULL);
	return rc;
}

CONFORMANCE_UP_TO(parallel_for_nested, 3)
{
	size_t sum = 0;
	if (is_by_reference(e)) {
		FL_OK(fl_parallel_for(e, 0, 1000, outer, &sum, NULL));
		assert_int_equal(sum, 1000 * 4950);
	}
}

/* The digits of a polynomial in a base, as words are hashed: associative, but not commutative. */
struct hash {
	uint64_t value, scale;
};

static int hash_part(void *state, size_t from, size_t to, void *value)
{
	struct hash *h = value;
	const unsigned char *text = state;
	for (size_t i = from; i < to; i++) {
		h->value = h->value * 31 + text[i];
		h->scale *= 31;
	}
	return 0;
}

static void hash_both(void *state, void *left, const void *right)
{
	struct hash *l = left;
	const struct hash *r = right;
	l->value = l->value * r->scale + r->value;
	l->scale *= r->scale;
}

static const struct hash no_hash = {0, 1};
static const fl_reduction hashing = {sizeof(struct hash), &no_hash, hash_part, hash_both};

CONFORMANCE(parallel_reduce_in_order)
{
	unsigned char *text = malloc(N);
	assert_non_null(text);
	for (size_t i = 0; i < N; i++)
		text[i] = (unsigned char)(i * i + 7 * i);
	struct hash expected = no_hash;
	FL_OK(hash_part(text, 0, N, &expected));
	for (unsigned workers = 1; workers <= 4; workers++) {
		FL_SCOPED(fl_executor) *e = make(kind, workers);
		struct hash got[2] = {{7, 7}, {7, 7}};
		const int rc = is_by_reference(e) ? 0 : -ENOTSUP;
		FL_RC(fl_parallel_reduce(e, 0, N, &hashing, text, &got[0], NULL), rc);
		FL_RC(fl_parallel_reduce(e, 0, N, &hashing, text, &got[1], &(fl_parallel_config){.grain = 11}), rc);
		if (rc == 0) {
			assert_memory_equal(&got[0], &expected, sizeof expected);
			assert_memory_equal(&got[1], &expected, sizeof expected);
		}
	}
	free(text);
}

CONFORMANCE_ON(parallel_reduce_of_nothing_is_the_identity, 2)
{
	struct hash got = {7, 7};
	FL_RC(fl_parallel_reduce(e, 5, 5, &hashing, NULL, &got, NULL), is_by_reference(e) ? 0 : -ENOTSUP);
	assert_int_equal(got.scale, is_by_reference(e) ? 1 : 7);
}

static int reduce_fails(void *state, size_t from, size_t to, void *value)
{
	return to > 50 ? *(int *)state : 0;
}

CONFORMANCE_ON(parallel_reduce_that_fails_leaves_the_value, 2)
{
	fl_reduction reduction = hashing;
	struct hash got = {7, 7};
	int error = -EIO;
	reduction.body = reduce_fails;
	const int rc = fl_parallel_reduce(e, 0, 100, &reduction, &error, &got, NULL);
	assert_int_equal(rc, is_by_reference(e) ? FL_ETASK : -ENOTSUP);
	assert_int_equal(got.value, 7);
	reduction.size = FL_REDUCTION_MAX + 1;
	FL_RC(fl_parallel_reduce(e, 0, 100, &reduction, &error, &got, NULL), -E2BIG);
	assert_int_equal(got.value, 7);
}

/* fl_parallel_invoke() in a task: both calls have returned, wherever they ran. */
struct halves {
	int first, n, sum;
};

static int add_halves(void *arg)
{
	struct halves *h = arg;
	if (h->n == 1) {
		h->sum = h->first;
		return 0;
	}
	struct halves left = {h->first, h->n / 2, 0}, right = {h->first + h->n / 2, h->n - h->n / 2, 0};
	int rc = fl_parallel_invoke(add_halves, &left, add_halves, &right);
	h->sum = left.sum + right.sum;
	return rc;
}

FL_TASK_STATIC(sum_up, int, int)
{
	struct halves all = {0, *arg, 0};
	int rc = add_halves(&all);
	*result = all.sum;
	return rc;
}

CONFORMANCE_ON(join_in_tasks, 3)
{
	fl_future *f[8];
	FL_EACH (i, f)
		FL_OK(sum_up_submit(e, 1000 + i, &f[i]));
	FL_EACH (i, f)
		assert_int_equal(fl_test_result(f[i]), (1000 + i) * (999 + i) / 2);
	fl_test_futures_free(f, 8);
}
