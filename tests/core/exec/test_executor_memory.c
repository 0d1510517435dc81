/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For every kind of executor: an executor and its tasks give back all memory, also where an
 * allocation fails. What threads and the process keep for later executors remains: the first round
 * of each case makes it, and the later ones are compared with that.
 */
#include "conformance.h"
#include "fl_account.h"
#include "fl_seam.h"

#include "core/sync/helper.h"

ACCOUNT_OF_PROCESS(account);

enum { SMALL = 100, MAPPED = 50 }; /* more small tasks than the first slab of task blocks has */

/* Too large for the task blocks that an executor keeps: each is an allocation. */
struct large {
	char bytes[4096];
};

FL_TASK_STATIC(copy_large, struct large, struct large)
{
	*result = *arg;
	return 0;
}

static void note_end(fl_future *f, void *ended)
{
	COUNT((unsigned *)ended);
}

/* What a call may return where an allocation fails. True: it has succeeded. */
static bool went_well(int rc)
{
	assert_true(rc == 0 || rc == -ENOMEM || rc == -ENOTRECOVERABLE || rc == FL_ETASK);
	return rc == 0;
}

/* The futures of one use of an executor. NULL: the call was refused. */
struct work {
	fl_future *small[SMALL], *large, *failed, *next, *under_token;
	fl_cancel_token token;
	unsigned ends, expected; /* of callbacks */
};

static void submit_all(fl_executor *e, struct work *w)
{
	static const struct large large = {{1}};
	const fl_submit_config under_token = {.cancel = &w->token, .on_end = note_end, .on_end_arg = &w->ends};
	fl_cancel_token_init(&w->token, FL_SHIELDED, FL_FOREVER);
	for (int i = 0; i < SMALL; i++)
		if (went_well(square_submit(e, i, &w->small[i])))
			w->expected += went_well(fl_future_on_end(w->small[i], note_end, &w->ends));
	(void)went_well(copy_large_submit(e, large, &w->large));
	(void)went_well(fail_with_submit(e, -EIO, &w->failed));
	w->expected += went_well(square_submit_with(e, 7, &w->under_token, &under_token));
	if (w->failed)
		(void)went_well(fl_future_then(w->failed, e, &square, &w->next));
}

static void await_all(struct work *w)
{
	fl_future *const others[] = {w->large, w->failed, w->next, w->under_token};
	for (int i = 0; i < SMALL; i++)
		FL_OK(w->small[i] ? fl_future_wait(w->small[i]) : 0);
	FL_EACH (i, others)
		FL_OK(others[i] ? fl_future_wait(others[i]) : 0);
}

static void free_all(struct work *w)
{
	fl_test_futures_free(w->small, SMALL);
	fl_future_free(w->large);
	fl_future_free(w->failed);
	fl_future_free(w->next);
	fl_future_free(w->under_token);
	fl_cancel_token_destroy(&w->token);
}

static int do_nothing(void *unused, size_t from, size_t to)
{
	return 0;
}

static void map_all(fl_executor *e)
{
	int args[MAPPED] = {0}, results[MAPPED], result;
	fl_imap *it = NULL;
	(void)went_well(square_map(e, args, MAPPED, results, NULL));
	if (is_by_reference(e))
		(void)went_well(fl_parallel_for(e, 0, MAPPED, do_nothing, NULL, NULL));
	if (went_well(square_imap(e, args, MAPPED, &it, NULL)))
		for (int i = 0; i < MAPPED; i++)
			(void)went_well(square_imap_next(it, NULL, &result));
	fl_imap_free(it);
}

FL_TASK_STATIC(begin_worker, int, void)
{
	return *arg == 3 ? 0 : -EINVAL;
}

static int create(const struct conformance_kind *kind, fl_executor **e)
{
	static const int three = 3;
	return kind->create(e,
	                    &(fl_executor_config){.workers = 2, .initialize = &begin_worker, .initialize_arg = &three});
}

/* MPI sends, and frees what it has sent, after the executor is freed. */
static void expect_live(const struct conformance_kind *kind, long expected)
{
	fl__helpers_end();
	if (!kind->over_ranks)
		assert_int_equal(account_live(&account), expected);
}

/* Some futures are freed after the executor, and take their memory with them. */
static long use_all(const struct conformance_kind *kind)
{
	struct work w = {.ends = 0};
	fl_executor *e = NULL;
	FL_OK(create(kind, &e));
	submit_all(e, &w);
	await_all(&w);
	map_all(e);
	assert_string_equal(fl_future_message(w.failed), "error -5");
	assert_string_equal(fl_future_message(w.next), "error -5");
	fl_executor_free(e);
	assert_int_equal(LOOK(&w.ends), w.expected);
	free_all(&w);
	fl__helpers_end();
	return account_live(&account);
}

CONFORMANCE(memory_comes_back)
{
	const long kept = use_all(kind);
	(void)use_all(kind);
	expect_live(kind, kept);
}

/* Each allocation of the process fails in turn. */
CONFORMANCE(memory_may_be_short)
{
	const long kept = use_all(kind);
	bool all = false;
	for (long step = 0; !all; step++) {
		struct work w = {.ends = 0};
		fl_executor *e = NULL;
		account_fail_at(&account, step);
		const int rc = create(kind, &e);
		FL_RC(rc, e ? 0 : -ENOMEM);
		assert_true(e || account_has_failed(&account));
		if (rc == 0) {
			submit_all(e, &w);
			await_all(&w);
			map_all(e);
			fl_executor_free(e);
			assert_int_equal(LOOK(&w.ends), w.expected);
			free_all(&w);
			all = !account_has_failed(&account);
		}
		account_fail_at(&account, -1);
		expect_live(kind, kept);
	}
}

static void use_detached(const struct conformance_kind *kind)
{
	fl_executor *e = NULL;
	FL_OK(create(kind, &e));
	struct held held = hold_worker(e);
	FL_OK(fl_executor_detach(e));
	let_go(&held);
}

CONFORMANCE(memory_of_a_detached_executor_comes_back)
{
	const long kept = use_all(kind);
	use_detached(kind);
	FL_WAIT_FOR((fl__helpers_end(), kind->over_ranks || account_live(&account) <= kept));
}
