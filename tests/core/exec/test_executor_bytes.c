/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments and results of any length (fairlead/bytes.h), for every kind of executor. Each case
 * ends with as much memory as it began with.
 */
#include "conformance.h"
#include "fl_account.h"
#include "fl_seam.h"

enum { N = 40 };

/* The executor has an allocator of its own: the process's allocator is asked for bytes alone. */
static void count_bytes(const struct conformance_kind *kind, fl_executor_config config, void (*row)(fl_executor *e))
{
	struct account account = {.fail_at = -1};
	const fl_allocator allocator = account_of(&account);
	if (!(kind->capabilities & FL_CAP_BY_REFERENCE))
		return;
	config.allocator = &allocator;
	fl_executor *e = make_of(kind, &config);
	const long before = seam_live_allocs();
	row(e);
	fl_executor_free(e);
	assert_true(seam_live_allocs() <= before + kind->one_thread); /* a loop may start a bridge */
	assert_int_equal(account_live(&account), 0);
}

#define BYTES_ROW(row, ...)                                                                                            \
	static void row##_of(fl_executor *e);                                                                          \
	CONFORMANCE(row)                                                                                               \
	{                                                                                                              \
		count_bytes(kind, (fl_executor_config){__VA_ARGS__}, row##_of);                                        \
	}                                                                                                              \
	static void row##_of(fl_executor *e)

FL_TASK_STATIC(make_bytes, size_t, fl_bytes)
{
	const int rc = fl_bytes_alloc(result, *arg, 1);
	if (rc == 0)
		memset(result->data, 'a', *arg);
	return rc;
}

FL_TASK_STATIC(ignore_bytes, fl_bytes, void)
{
	return 0;
}

/* Another handle of its argument. */
FL_TASK_STATIC(echo, fl_bytes, fl_bytes)
{
	return fl_bytes_ref(result, arg);
}

/* The text, and one byte more. */
FL_TASK_STATIC(longer, fl_bytes, fl_bytes)
{
	const int rc = fl_bytes_append(result, arg->data, arg->size);
	return rc == 0 ? fl_bytes_append(result, "a", 1) : rc;
}

/* The handle has that many bytes, with a zero byte behind them. Frees the handle. */
static void expect_bytes(fl_bytes *b, size_t size)
{
	const char *text = b->data;
	assert_int_equal(b->size, size);
	FL_CHECK(text && (uintptr_t)text % 64 == 0);
	assert_int_equal(strspn(text, "a"), size);
	assert_int_equal(text[size], 0);
	fl_bytes_free(b);
	assert_null(b->data);
}

/* Bytes that count when they are freed. */
static int seven = 7;

static void count_free(void *data, void *counter)
{
	FL_CHECK(data == &seven);
	count(counter);
}

static fl_bytes counted_bytes(int *frees)
{
	fl_bytes b = {0};
	FL_OK(fl_bytes_adopt(&b, &seven, sizeof seven, count_free, frees));
	return b;
}

struct letter {
	fl_bytes text;
	int error;
	bool keeps;
	struct gate *gate;
};

/* `text` has these bytes, or none. Frees the handle. */
static void free_letter(struct letter *letter, bool some)
{
	assert_ptr_equal(letter->text.data, some ? &seven : NULL);
	fl_bytes_free(&letter->text);
}

FL_TASK_STATIC(answer, struct letter, struct letter, .drop_arg = FL_BYTES_DROP, .drop_result = FL_BYTES_DROP)
{
	FL_OK(fl_bytes_ref(&result->text, &arg->text));
	if (arg->keeps)
		fl_task_keep_result(ctx);
	if (!arg->gate)
		return arg->error;
	fl_event never = FL_EVENT_INIT;
	set_event(&arg->gate->entered);
	return fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx));
}

BYTES_ROW(bytes_come_and_go, .workers = 1)
{
	static const size_t sizes[] = {0, 1, 100, 65536, 64 << 20};
	FL_EACH (i, sizes) {
		fl_future *f = NULL;
		fl_bytes one = {0}, two = {0};
		FL_OK(fl_test_run_task(e, &make_bytes, &sizes[i], &one));
		const void *data = one.data;
		const struct held held = hold_worker(e);
		FL_OK(echo_submit(e, one, &f));
		fl_bytes_free(&one);
		let_go(&held);
		FL_OK(echo_get(f, &one));
		FL_OK(echo_try_get(f, &two));
		assert_ptr_equal(one.data, data); /* no copy was made */
		assert_ptr_equal(two.data, data);
		assert_ptr_equal(((const fl_bytes *)fl_future_result(f))->data, data);
		fl_future_free(f);
		expect_bytes(&one, sizes[i]);
		expect_bytes(&two, sizes[i]);
	}
}

static char shared[] = "aaa", *lent;

FL_TASK_STATIC(lend_text, fl_bytes, fl_bytes)
{
	*result = fl_text(shared);
	return 0;
}

FL_TASK_STATIC(lend_and_keep, int, fl_bytes)
{
	*result = fl_text(lent);
	fl_task_keep_result(ctx);
	return *arg;
}

static int make_borrowed(void *text, void *arg)
{
	*(fl_bytes *)arg = fl_text(text);
	return 1;
}

BYTES_ROW(bytes_that_are_borrowed, .workers = 1)
{
	for (int how = 0; how < 5; how++) {
		char text[] = "aa";
		const fl_bytes args[] = {fl_text(text), fl_text(text)};
		fl_bytes results[2] = {0};
		fl_future *f = NULL;
		fl_imap *it = NULL;
		fl_group g = FL_GROUP_INIT(e);
		const struct held held = hold_worker(e);
		if (how == 0)
			FL_OK(longer_submit(e, args[0], &f));
		else if (how == 1)
			FL_OK(longer_group_submit(&g, args[0], results));
		else
			FL_OK(longer_imap(e, how < 4 ? args : NULL, how < 4 ? 2 : 0, &it,
			                  &(fl_imap_config){.chunk = how == 3 ? 2 : 1,
			                                    .window = 2,
			                                    .next = how < 4 ? NULL : make_borrowed,
			                                    .state = text}));
		if (is_concurrent(e))
			text[0] = 'x'; /* it was copied */
		let_go(&held);
		FL_OK(f ? longer_get(f, results) : it ? longer_imap_next(it, NULL, results) : fl_group_join(&g));
		expect_bytes(results, 3);
		fl_imap_free(it);
		fl_future_free(f);
		fl_group_destroy(&g);
		text[0] = 'a';
		FL_OK(longer_map(e, args, 2, results, NULL)); /* which waits */
		FL_EACH (i, results)
			expect_bytes(&results[i], 3);
		FL_OK(lend_text_map(e, args, 1, results, NULL));
		shared[0] = 'x';
		expect_bytes(results, 3);
		shared[0] = 'a';
	}
}

BYTES_ROW(bytes_that_are_borrowed_and_kept, .workers = 1, .bytes_max = 3)
{
	for (int how = 0; how < 4; how++) { /* one in two fails; two in four are above the bound */
		const int error = how % 2 ? -EIO : 0;
		const bool fits = how < 2;
		static char longer_text[] = "aaaa";
		fl_future *f = NULL;
		fl_bytes got = {0};
		lent = fits ? shared : longer_text;
		FL_OK(lend_and_keep_submit(e, error, &f));
		FL_OK(fl_future_wait(f));
		lent[0] = 'x'; /* it was copied */
		FL_RC(lend_and_keep_get(f, &got), fits && error == 0 ? 0 : FL_ETASK);
		assert_int_equal(fl_future_error(f), error != 0 || fits ? error : -E2BIG);
		lent[0] = 'a';
		if (fits)
			expect_bytes(&got, 3);
		assert_null(got.data);
		fl_future_free(f);
	}
}

/* Also of tasks that fail. A get returns a kept result. */
BYTES_ROW(bytes_that_are_not_taken, .workers = 1)
{
	int *frees = new_counter();
	for (int how = 0; how < 8; how++) {
		struct letter letter = {counted_bytes(frees), how % 2 ? -EIO : 0, how / 2 % 2, NULL}, got = {0};
		fl_future *f = NULL;
		FL_OK(answer_submit(e, letter, how < 4 ? &f : NULL));
		fl_bytes_free(&letter.text);
		FL_OK(fl_executor_wait_idle(e));
		FL_RC(f ? answer_get(f, &got) : 0, f && how % 2 ? FL_ETASK : 0);
		assert_int_equal(counted(frees), how + (!f || how == 1)); /* else it is in the future */
		free_letter(&got, f && how != 1);
		fl_future_free(f);
		assert_int_equal(counted(frees), how + 1);
	}
}

CONFORMANCE(bytes_outlive_their_executor)
{
	fl_executor *e = make(kind, 1);
	fl_future *f = NULL;
	fl_bytes one = {0}, two = {0};
	if (is_by_reference(e)) {
		FL_OK(make_bytes_submit(e, 100, &f));
		FL_OK(make_bytes_get(f, &one));
	}
	fl_executor_free(e);
	if (f) {
		FL_OK(make_bytes_get(f, &two));
		fl_future_free(f);
		expect_bytes(&one, 100);
		expect_bytes(&two, 100);
	}
}

/* A map gives its results away. */
BYTES_ROW(bytes_of_a_map, .workers = 2)
{
	int *frees = new_counter();
	FL_OK(echo_map(e, NULL, 0, NULL, NULL));
	for (size_t chunk = 1; chunk <= 4; chunk += 3) {
		struct letter args[N], results[N] = {0};
		FL_EACH (i, args)
			args[i] = (struct letter){counted_bytes(frees), i == 30 ? -EIO : 0, i == 29, NULL};
		FL_RC(answer_map(e, args, N, results, &(fl_map_config){.chunk = chunk}), FL_ETASK);
		FL_EACH (i, args) {
			free_letter(&args[i], true);
			free_letter(&results[i], i < 30 || (i > 30 && results[i].text.data));
		}
	}
	assert_int_equal(counted(frees), 2 * N);
}

struct letters {
	int *frees;
	int made;
};

static int make_letter(void *letters, void *arg)
{
	struct letters *l = letters;
	const int i = l->made;
	if (i == N)
		return 0;
	*(struct letter *)arg = (struct letter){counted_bytes(l->frees), i % 7 == 6 ? -EIO : 0, i % 14 == 13, NULL};
	l->made++;
	return 1;
}

/* The iteration is freed after `given` results, and then its array, at once. */
BYTES_ROW(bytes_of_an_iteration, .workers = 2)
{
	for (int how = 0; how < 8; how++)
		for (size_t given = 0; given <= N; given += 13) {
			struct letters letters = {new_counter(), 0};
			struct letter args[N] = {0};
			const bool array = how / 4;
			const fl_imap_config config = {.chunk = how % 2 ? 5 : 1,
			                               .window = 12,
			                               .unordered = how / 2 % 2,
			                               .next = array ? NULL : make_letter,
			                               .state = &letters};
			fl_imap *it = NULL;
			for (size_t i = 0; array && i < N; i++)
				FL_RC(make_letter(&letters, &args[i]), 1);
			FL_OK(answer_imap(e, array ? args : NULL, array ? N : 0, &it, &config));
			for (size_t i = 0, index; i < given; i++) {
				struct letter got = {0};
				const int rc = answer_imap_next(it, &index, &got);
				FL_RC(rc, index % 7 == 6 ? FL_ETASK : 0);
				free_letter(&got, rc == 0 || index % 14 == 13);
			}
			fl_imap_free(it);
			FL_EACH (i, args)
				free_letter(&args[i], array);
			memset(args, 0xff, sizeof args);
			FL_OK(fl_executor_wait_idle(e));
			assert_int_equal(counted(letters.frees), letters.made);
		}
}

BYTES_ROW(bytes_of_a_group, .workers = 2)
{
	int *frees = new_counter();
	for (int how = 0; how < 4; how++) { /* the last has no place for its result */
		struct letter letter = {counted_bytes(frees), how > 0 ? -EIO : 0, how > 1, NULL}, got = {0};
		fl_group g = FL_GROUP_INIT(e);
		FL_OK(answer_group_submit(&g, letter, how < 3 ? &got : NULL));
		fl_bytes_free(&letter.text);
		FL_RC(fl_group_join(&g), letter.error);
		fl_group_destroy(&g);
		free_letter(&got, how % 2 == 0);
	}
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(counted(frees), 4);
}

FL_PROMISE_OF(fl_bytes, bytes_promise)

/* Behind a promise, which owns what it was given. */
BYTES_ROW(bytes_of_a_chain, .workers = 2)
{
	static const unsigned lengths[] = {1, 1000, 1000};
	FL_EACH (k, lengths) {
		int *frees = new_counter();
		fl_promise *p = NULL;
		fl_future *first = NULL;
		fl_bytes got = {0};
		FL_OK(bytes_promise_create(&p, FL_BYTES_DROP, &first));
		fl_future *f = fl_future_ref(first);
		for (unsigned i = 0; i < lengths[k]; i++) {
			fl_future *next = NULL;
			FL_OK(fl_future_then(f, e, k == 2 ? &echo : &longer, &next));
			fl_future_free(f);
			f = next;
		}
		if (k < 2)
			FL_OK(fl_bytes_alloc(&got, 0, 1));
		else
			got = counted_bytes(frees);
		FL_OK(bytes_promise_set(p, got));
		fl_promise_free(p);
		FL_OK(longer_get(f, &got));
		fl_future_free(f);
		if (k < 2) {
			expect_bytes(&got, lengths[k]);
			FL_OK(bytes_promise_get(first, &got));
		}
		fl_bytes_free(&got);
		fl_future_free(first);
		FL_OK(fl_executor_wait_idle(e));
		assert_int_equal(counted(frees), k == 2);
	}
}

/* As large as bytes, but none. */
struct plain {
	_Alignas(fl_bytes) char bytes[sizeof(fl_bytes)];
};

FL_TASK_STATIC(take_plain, struct plain, struct plain)
{
	return 0;
}

BYTES_ROW(bytes_are_chained_to_bytes_alone, .workers = 1)
{
	fl_future *f[2] = {NULL, NULL}, *next = NULL;
	FL_OK(make_bytes_submit(e, 1, &f[0]));
	FL_OK(take_plain_submit(e, (struct plain){{0}}, &f[1]));
	FL_RC(fl_future_then(f[0], e, &take_plain, &next), -EINVAL);
	FL_RC(fl_future_then(f[1], e, &echo, &next), -EINVAL);
	fl_test_futures_end(f, 2);
}

/* Before its start, or while it runs. */
BYTES_ROW(bytes_of_a_cancelled_task, .workers = 1)
{
	for (int runs = 0; runs < 2 && is_concurrent(e); runs++) {
		int *frees = new_counter();
		fl_future *f = NULL;
		struct letter letter = {counted_bytes(frees), 0, false, new_gate()}, got = {0};
		const struct held held = hold_worker(e);
		FL_OK(answer_submit(e, letter, &f));
		free_letter(&letter, true);
		if (runs) {
			let_go(&held);
			await_event(&letter.gate->entered);
		}
		FL_RC(fl_future_cancel(f), runs ? -EBUSY : 0);
		FL_RC(answer_get(f, &got), FL_ETASK);
		free_letter(&got, false);
		if (!runs) {
			assert_int_equal(counted(frees), 1);
			let_go(&held);
		}
		fl_future_free(f);
		FL_OK(fl_executor_wait_idle(e));
		assert_int_equal(counted(frees), 1);
	}
}

/* A submit that returns an error leaves the caller's handle as it was. */
static void refuse_submits(fl_executor *e, int error, const fl_submit_config *config)
{
	int *frees = new_counter();
	fl_bytes args[] = {counted_bytes(frees), fl_text("borrowed")};
	struct letters letters = {frees, 0};
	fl_imap *it = NULL;
	fl_group g = FL_GROUP_INIT(e);
	FL_EACH (i, args)
		FL_RC(echo_submit_with(e, args[i], NULL, config), error);
	if (!config) {
		FL_RC(echo_group_submit(&g, args[0], NULL), error);
		fl_group_destroy(&g);
		FL_RC(make_bytes_submit(e, 1, NULL), error);
		FL_RC(ignore_bytes_map(e, args, 2, NULL), error);
		FL_RC(echo_imap(e, args, 2, &it, NULL), error);
		FL_RC(answer_imap(e, NULL, 0, &it, &(fl_imap_config){.next = make_letter, .state = &letters}), error);
	}
	assert_int_equal(counted(frees), letters.made);
	assert_ptr_equal(args[0].data, &seven);
	fl_bytes_free(&args[0]);
	assert_int_equal(counted(frees), letters.made + 1);
}

BYTES_ROW(bytes_refused_by_a_closed_executor, .workers = 1)
{
	fl_executor_close(e);
	refuse_submits(e, -EPIPE, NULL);
}

CONFORMANCE_ON(bytes_refused_by_ranks, 1)
{
	if (strcmp(fl_executor_kind(e), "mpi") == 0)
		refuse_submits(e, -ENOTSUP, NULL);
}

static void refuse_backlog(fl_executor *e)
{
	const struct held held = hold_worker(e);
	FL_OK(tick_submit(e, NULL));
	refuse_submits(e, -ETIMEDOUT, &(fl_submit_config){.backlog_deadline = FL_NO_WAIT});
	refuse_submits(e, -ECANCELED, &(fl_submit_config){.cancel = fl_test_requested});
	let_go(&held);
}

FL_TEST(bytes_refused_by_a_full_backlog)
{
	count_bytes(&conformance_threads, (fl_executor_config){.workers = 1, .backlog = 1}, refuse_backlog);
}

static int without_memory(fl_executor *e)
{
	fl_future *f = NULL, *next = NULL;
	FL_SCOPED(fl_imap) *it = NULL;
	const fl_bytes arg = fl_text("aa");
	fl_bytes got = {0};
	int rc = longer_map(e, &arg, 1, &got, NULL);
	fl_bytes_free(&got);
	if (rc == 0)
		rc = longer_imap(e, &arg, 1, &it, NULL);
	if (rc == 0)
		rc = longer_submit(e, arg, &f);
	if (rc == 0)
		rc = fl_future_then(f, e, &longer, &next);
	if (rc == 0 && (rc = longer_get(next, &got)) == 0)
		expect_bytes(&got, 4);
	fl_future_free(next);
	fl_future_free(f);
	return rc;
}

/* Each allocation fails in turn. */
static void fail_each_allocation(fl_executor *e)
{
	unsigned step = 0;
	SEAM_NO_MEMORY(longer_submit(e, fl_text("aa"), NULL), -ENOMEM); /* for the copy */
	do {
		seam_fail_allocs(step++, 1);
		const int rc = without_memory(e);
		assert_true(rc == 0 || rc == -ENOMEM || rc == FL_ETASK);
	} while (seam_heal() == 0);
	assert_true(step > 10);
}

FL_TEST(bytes_without_memory)
{
	count_bytes(&conformance_sequential, (fl_executor_config){0}, fail_each_allocation);
}

BYTES_ROW(bytes_above_the_most, .workers = 1, .bytes_max = 100)
{
	for (size_t size = 100; size <= 101; size++) {
		const int expected = size > 100 ? -E2BIG : 0;
		fl_bytes arg = {0};
		FL_RC(fl_test_run_task(e, &make_bytes, &size, NULL), expected);
		FL_OK(fl_bytes_alloc(&arg, size, 1));
		FL_RC(fl_test_run_task(e, &ignore_bytes, &arg, NULL), expected);
		FL_RC(ignore_bytes_map(e, &arg, 1, NULL), size > 100 ? FL_ETASK : 0);
		fl_bytes_free(&arg);
	}
}

/* Neither argument nor result is copied: both are the caller's. */
BYTES_ROW(bytes_of_an_intrusive_task, .workers = 1)
{
	int *frees = new_counter();
	fl_intrusive_task task = FL_INTRUSIVE_TASK_INIT;
	for (int failing = 0; failing <= 1; failing++) {
		struct letter letter = {counted_bytes(frees), failing ? -EIO : 0, false, NULL}, got;
		FL_OK(answer_intrusive_submit(e, &task, &letter, &got));
		FL_OK(fl_intrusive_task_join(&task));
		free_letter(&letter, true);
		free_letter(&got, !failing);
		assert_int_equal(counted(frees), failing + 1);
	}
}

/* The result was made by another task. */
FL_TASK_STATIC(let_another_do_it, fl_bytes, fl_bytes)
{
	return fl_test_run_task(fl_executor_current(), &longer, arg, result);
}

BYTES_ROW(bytes_of_nested_tasks, .workers = 1)
{
	const fl_bytes arg = fl_text("aa");
	fl_bytes got = {0};
	FL_OK(fl_test_run_task(e, &let_another_do_it, &arg, &got));
	expect_bytes(&got, 3);
}
