/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments and results of any length (fairlead/bytes.h), for every kind of executor. Each case
 * ends with as many allocations as it began with, here and in its worker. The caller counts how
 * often its arguments are freed; a worker process has a copy of them.
 */
#include "conformance.h"
#include "fl_seam.h"

#include "core/exec/executor.h"
#include "core/exec/task_blocks.h"
#include "core/sync/helper.h"
#include "process/shm/shm_sys.h"

enum { N = 40, PAGE = 4096, MIB = 1 << 20, GIB = 1 << 30 };

/* Another handle of its argument. */
FL_TASK_STATIC(echo, fl_bytes, fl_bytes)
{
	return fl_bytes_ref(result, arg);
}

/*
 * An executor keeps the slabs of its task blocks, and the figures of a type of task, and so does the
 * target of a serial executor: they are not counted.
 */
static long live_but_slabs(const fl_executor *e)
{
	long live = seam_live_allocs();
	fl_stats_type type;
	for (; e; e = e->runner != e ? e->runner : NULL) {
		for (size_t i = 0; fl_executor_type_stats(e, i, &type) == 0; i++)
			live--;
		for (void *const *slab = e->blocks->slabs; slab; slab = *slab)
			live--;
	}
	return live;
}

/* Of the task's process. Also a nested task leaves memory for the next. */
FL_TASK_STATIC(count_allocations, void, long)
{
	fl_bytes none = {0};
	FL_OK(fl_test_run_task(fl_executor_current(), &echo, &none, &none));
	*result = live_but_slabs(fl_executor_current());
	return 0;
}

static long allocations_of(fl_executor *e)
{
	long n = 0;
	FL_OK(fl_test_run_task(e, &count_allocations, NULL, &n));
	return n;
}

/* What workers and waits in them allocate, they keep. */
static void start_workers(fl_executor *e, unsigned n)
{
	struct held held[2];
	for (unsigned i = 0; i < n; i++)
		held[i] = hold_worker(e);
	for (unsigned i = 0; i < n; i++)
		let_go(&held[i]);
}

static bool live_is_known;
static long live_before;
static const fl_executor *live_of;

/*
 * Waits until the case has so many allocations: each memory of handles is one. Another thread may
 * be between the allocation of a slab and the slab's entry in the list.
 */
static void expect_live(long n)
{
	if (live_is_known)
		FL__BACK_OFF_UNTIL(live_but_slabs(live_of) - live_before == n);
}

static void count_bytes(const struct conformance_kind *kind, fl_executor_config config, void (*row)(fl_executor *e))
{
	/* MPI allocates for itself, and a loop may start a bridge at any wait */
	live_is_known = !kind->over_ranks && !kind->one_thread;
	if (live_is_known)
		fl__helpers_end(); /* else a bridge of an earlier case may end during this one */
	const bool one_worker = config.workers == 1;
	const long more = kind->one_thread;
	if (kind->serial)
		config.workers = 1; /* its target starts no second worker during the case */
	fl_executor *e = make_of(kind, &config);
	start_workers(e, config.workers);
	const long before = allocations_of(e);
	live_of = e;
	live_before = live_but_slabs(e);
	row(e);
	if (one_worker && !kind->over_ranks)
		FL_IN_RANGE(allocations_of(e), 0, before + more);
	FL__BACK_OFF_UNTIL(kind->over_ranks || live_but_slabs(e) <= live_before + more);
	fl_executor_free(e);
}

#define BYTES_ROW(row, ...)                                                                                            \
	static void row##_of(fl_executor *e);                                                                          \
	CONFORMANCE(row)                                                                                               \
	{                                                                                                              \
		count_bytes(kind, (fl_executor_config){__VA_ARGS__}, row##_of);                                        \
	}                                                                                                              \
	static void row##_of(fl_executor *e)

/* Pages differ. */
static char letter_at(size_t at)
{
	return (char)('a' + at / PAGE % 23);
}

static void fill(void *text, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		memset((char *)text + at, letter_at(at), size - at < PAGE ? size - at : PAGE);
}

static bool is_filled(const void *text, size_t size)
{
	char page[PAGE];
	bool filled = true;
	for (size_t at = 0; filled && at < size; at += PAGE) {
		const size_t n = size - at < PAGE ? size - at : PAGE;
		memset(page, letter_at(at), n);
		filled = memcmp((const char *)text + at, page, n) == 0;
	}
	return filled;
}

static int make_filled(fl_bytes *b, size_t size)
{
	const int rc = fl_bytes_alloc(b, size, 1);
	if (rc == 0)
		fill(b->data, size);
	return rc;
}

/* The handle has that many bytes, with a zero byte behind them. Frees the handle. */
static void expect_bytes(fl_bytes *b, size_t size)
{
	const char *text = b->data;
	assert_int_equal(b->size, size);
	FL_CHECK(text && (uintptr_t)text % 64 == 0);
	FL_CHECK(is_filled(text, size));
	assert_int_equal(text[size], 0);
	fl_bytes_free(b);
	assert_null(b->data);
}

FL_TASK_STATIC(make_bytes, size_t, fl_bytes)
{
	return make_filled(result, *arg);
}

FL_TASK_STATIC(check_bytes, fl_bytes, void)
{
	return is_filled(arg->data, arg->size) ? 0 : -EILSEQ;
}

/* The text, and one byte more. */
FL_TASK_STATIC(longer, fl_bytes, fl_bytes)
{
	const char more = letter_at(arg->size), *text = arg->data;
	FL_CHECK(text[arg->size] == 0);
	const int rc = fl_bytes_append(result, arg->data, arg->size);
	return rc == 0 ? fl_bytes_append(result, &more, 1) : rc;
}

/* The ways of bytes to a task and back. */
enum way {
	IN_A_MAP,
	BY_A_FUTURE,
	BY_A_CHAIN,
	IN_A_GROUP,
	ITERATED, /* and three bits */
	IN_CHUNKS = 1,
	UNORDERED = 2,
	GENERATED = 4,
	WAYS = ITERATED + 8
};

struct trip {
	fl_executor *e;
	const fl_task_type *type;
	enum way way;
	fl_future *f;
	fl_imap *it;
	fl_group g;
	fl_bytes args[2], results[2];
	int made;
};

/* The generator gives handles of its own. */
static int make_arg(void *trip, void *arg)
{
	struct trip *t = trip;
	const fl_bytes *from = &t->args[t->made];
	if (t->made++ == 2)
		return 0;
	*(fl_bytes *)arg = from->owner_ ? (fl_bytes){0} : *from;
	FL_OK(from->owner_ ? fl_bytes_ref(arg, from) : 0);
	return 1;
}

static void set_out(struct trip *t)
{
	const int bits = (int)t->way - ITERATED;
	const bool generated = bits & GENERATED;
	fl_future *first = NULL;
	if (t->way == BY_A_FUTURE || t->way == BY_A_CHAIN)
		FL_OK(fl_executor_submit(t->e, t->type, t->args, &t->f));
	if (t->way == BY_A_CHAIN) {
		first = t->f;
		FL_OK(fl_future_then(first, t->e, &echo, &t->f));
		fl_future_free(first);
	}
	if (t->way == IN_A_GROUP)
		FL_OK(fl_group_submit(&t->g, t->type, t->args, t->results));
	if (bits >= 0)
		FL_OK(fl_imap_create(&t->it, t->e, t->type, generated ? NULL : t->args, generated ? 0 : 2,
		                     &(fl_imap_config){.chunk = bits & IN_CHUNKS ? 2 : 1,
		                                       .window = 2,
		                                       .unordered = bits & UNORDERED,
		                                       .next = generated ? make_arg : NULL,
		                                       .state = t}));
}

/* Stores one result, or two. */
static void arrive(struct trip *t)
{
	size_t i;
	if (t->f) {
		FL_OK(fl_future_get(t->f, &t->results[0], sizeof t->results[0]));
		FL_OK(fl_future_try_get(t->f, &t->results[1], sizeof t->results[1]));
		assert_ptr_equal(t->results[0].data, t->results[1].data);
		assert_ptr_equal(((const fl_bytes *)fl_future_result(t->f))->data, t->results[0].data);
		fl_future_free(t->f);
	} else if (t->it) {
		FL_EACH (k, t->results)
			FL_OK(fl_imap_next(t->it, &i, &t->results[k]));
		FL_RC(fl_imap_next(t->it, &i, &t->results[0]), -ENODATA);
		fl_imap_free(t->it);
	} else if (t->way == IN_A_MAP) {
		FL_OK(fl_executor_map(t->e, t->type, t->args, 2, t->results, NULL));
	} else {
		FL_OK(fl_group_join(&t->g));
	}
	fl_group_destroy(&t->g);
}

/* Of the caller's own memory the library makes a copy, except for a map, which waits. */
static void travel(fl_executor *e, enum way way, size_t size, bool borrowed)
{
	fl_bytes text = {0};
	FL_OK(make_filled(&text, size));
	const void *data = text.data;
	const fl_bytes arg = {.data = text.data, .size = size, .owner_ = borrowed ? NULL : text.owner_};
	const fl_task_type *type = borrowed ? &longer : &echo;
	struct trip t = {.e = e, .type = type, .way = way, .g = FL_GROUP_INIT(e), .args = {arg, arg}};
	const struct held held = hold_worker(e);
	set_out(&t);
	const bool sent = way >= BY_A_FUTURE && is_concurrent(e);
	if (sent) {
		memset(t.args, 0xff, sizeof t.args);
		if (borrowed)
			memset(text.data, 'x', size);
		fl_bytes_free(&text);
	}
	let_go(&held);
	arrive(&t);
	if (!sent)
		fl_bytes_free(&text);
	if (is_by_reference(e) && !borrowed)
		assert_ptr_equal(t.results[0].data, data); /* no copy was made */
	FL_EACH (i, t.results)
		if (i == 0 || t.results[i].data)
			expect_bytes(&t.results[i], size + borrowed);
}

BYTES_ROW(bytes_of_every_size, .workers = 1)
{
	static const size_t sizes[] = {0, 1, 100, 65535, 65536, MIB};
	FL_EACH (i, sizes)
		for (int k = 0; k < 2 * WAYS; k++)
			travel(e, k % WAYS, sizes[i], k / WAYS);
	for (enum way way = IN_A_MAP; way <= BY_A_FUTURE; way++)
		travel(e, way, (size_t)fl_test_scaled(64) * MIB, false);
}

/* The largest: `bytes_max`. */
CONFORMANCE(bytes_of_one_gibibyte)
{
	if (sizeof(void *) < 8 || fl_test_scaled(10) < 10 || fl__shm_sys.available() / GIB < 6)
		FL_SKIP("needs 6 GiB of memory, addresses of 64 bits, and a fast machine");
	if (kind->over_ranks)
		FL_SKIP("too long over MPI");
	FL_SCOPED(fl_executor) *e = make(kind, 1);
	FL_SCOPED(fl_bytes) b = {0};
	FL_OK(fl_test_run_task(e, &make_bytes, &(size_t){GIB}, &b));
	assert_int_equal(b.size, GIB);
	FL_CHECK(is_filled(b.data, GIB));
	FL_OK(fl_test_run_task(e, &check_bytes, &b, NULL));
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

/* Its answer has `size` bytes; that of a letter that fails half of them. */
struct letter {
	fl_bytes text;
	size_t size;
	int error;
	bool keeps;
	struct gate *gate;
};

static struct letter new_letter(int *frees, unsigned i, int error, bool keeps)
{
	static const size_t sizes[] = {8, 100000, 3000};
	return (struct letter){counted_bytes(frees), sizes[i % 3], error, keeps, NULL};
}

static void free_letter(struct letter *letter)
{
	assert_ptr_equal(letter->text.data, &seven);
	fl_bytes_free(&letter->text);
}

static void expect_answer(struct letter *got, bool some)
{
	assert_true((got->text.data != NULL) == some);
	if (some)
		expect_bytes(&got->text, got->size);
}

FL_TASK_STATIC(answer, struct letter, struct letter, .drop_arg = FL_BYTES_DROP, .drop_result = FL_BYTES_DROP)
{
	FL_CHECK(*(const int *)arg->text.data == 7);
	result->size = arg->error ? arg->size / 2 : arg->size;
	FL_OK(make_filled(&result->text, result->size));
	if (arg->keeps)
		fl_task_keep_result(ctx);
	if (!arg->gate)
		return arg->error;
	fl_event never = FL_EVENT_INIT;
	set_event(&arg->gate->entered);
	return fl_event_wait_until(&never, FL_FOREVER, fl_task_token(ctx));
}

/* Of memory that ends with the task's function, or changes later. */
FL_TASK_STATIC(lend, struct letter, fl_bytes, .drop_arg = FL_BYTES_DROP)
{
	static char lent[] = "aaaa";
	memset(lent, 'a', 4);
	*result = (fl_bytes){.data = lent, .size = arg->size};
	if (arg->keeps)
		fl_task_keep_result(ctx);
	return arg->error;
}

FL_TASK_STATIC(spoil_what_was_lent, void, void)
{
	fl_bytes b = {0};
	const fl_task_type *type = &lend;
	struct letter letter = {.size = 4};
	FL_OK(type->run(ctx, &letter, &b));
	memset(b.data, 'x', 4);
	return 0;
}

BYTES_ROW(bytes_that_are_borrowed_by_a_task, .workers = 1, .bytes_max = 3)
{
	for (unsigned how = 0; how < 8; how++) { /* half of them fail, are above the bound, are kept */
		const struct letter letter = {.size = 3 + how / 2 % 2, .error = how % 2 ? -EIO : 0, .keeps = how / 4};
		const bool some = letter.size == 3 && (letter.error == 0 || letter.keeps);
		fl_future *f = NULL;
		fl_bytes got = {0};
		FL_OK(lend_submit(e, letter, &f));
		FL_OK(fl_future_wait(f));
		FL_OK(fl_test_run_task(e, &spoil_what_was_lent, NULL, NULL)); /* it was copied */
		FL_RC(lend_get(f, &got), some && letter.error == 0 ? 0 : FL_ETASK);
		assert_int_equal(fl_future_error(f), letter.error != 0 || letter.size == 3 ? letter.error : -E2BIG);
		if (some)
			expect_bytes(&got, 3);
		assert_null(got.data);
		fl_future_free(f);
	}
}

/* A failed task's at once, unless it was kept: a get returns it. */
BYTES_ROW(bytes_that_are_not_taken, .workers = 1)
{
	int *frees = new_counter();
	for (int how = 0; how < 24; how++) {
		const bool fails = how % 2, keeps = how / 2 % 2, taken = how / 4 % 2;
		struct letter letter = new_letter(frees, (unsigned)how / 8, fails ? -EIO : 0, keeps), got = {0};
		fl_future *f = NULL;
		FL_OK(answer_submit(e, letter, taken ? &f : NULL));
		free_letter(&letter);
		FL_OK(fl_executor_wait_idle(e));
		assert_int_equal(counted(frees), how + 1);
		expect_live(taken && (!fails || keeps)); /* it is in the future */
		FL_RC(f ? answer_get(f, &got) : 0, f && fails ? FL_ETASK : 0);
		expect_answer(&got, taken && (!fails || keeps));
		fl_future_free(f);
		expect_live(0);
	}
}

CONFORMANCE(bytes_outlive_their_executor)
{
	static const size_t sizes[] = {100, 100000};
	FL_EACH (i, sizes) {
		fl_executor *e = make(kind, 1);
		fl_future *f = NULL;
		fl_bytes one = {0}, two = {0};
		FL_OK(make_bytes_submit(e, sizes[i], &f));
		FL_OK(make_bytes_get(f, &one));
		fl_executor_free(e);
		FL_OK(make_bytes_get(f, &two));
		fl_future_free(f);
		expect_bytes(&one, sizes[i]);
		expect_bytes(&two, sizes[i]);
	}
}

/* A map gives its results away. */
BYTES_ROW(bytes_of_a_map, .workers = 2)
{
	int *frees = new_counter();
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(echo_map(e, NULL, 0, NULL, NULL));
	FL_OK(echo_imap(e, NULL, 0, &it, NULL));
	FL_RC(echo_imap_next(it, NULL, NULL), -ENODATA);
	for (size_t chunk = 1; chunk <= 4; chunk += 3)
		FL_BOTH (keeps) {
			struct letter args[N], results[N] = {0};
			FL_EACH (i, args)
				args[i] = new_letter(frees, (unsigned)i, i == 30 ? -EIO : 0, keeps || i == 29);
			FL_RC(answer_map(e, args, N, results, &(fl_map_config){.chunk = chunk}), FL_ETASK);
			FL_EACH (i, args) {
				free_letter(&args[i]);
				expect_answer(&results[i], i < 30 || (i == 30 ? keeps : results[i].text.data != NULL));
			}
		}
	assert_int_equal(counted(frees), 4 * N);
}

struct letters {
	int *frees;
	unsigned made;
};

static int make_letter(void *letters, void *arg)
{
	struct letters *l = letters;
	const unsigned i = l->made;
	if (i == N)
		return 0;
	*(struct letter *)arg = new_letter(l->frees, i, i % 7 == 6 ? -EIO : 0, i % 14 == 13);
	l->made++;
	return 1;
}

/* Every seventh fails: the first of a chunk up to `index` that does, or N. */
static size_t answer_failure(size_t index, size_t chunk)
{
	for (size_t i = index - index % chunk; i <= index; i++)
		if (i % 7 == 6)
			return i;
	return N;
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
				const size_t failure = answer_failure(index, config.chunk);
				FL_RC(rc, failure < N ? FL_ETASK : 0);
				expect_answer(&got, rc == 0 || (index == failure && index % 14 == 13));
			}
			fl_imap_free(it);
			for (size_t i = 0; array && i < N; i++)
				free_letter(&args[i]);
			memset(args, 0xff, sizeof args);
			FL_OK(fl_executor_wait_idle(e));
			assert_int_equal(counted(letters.frees), letters.made);
			expect_live(0);
		}
}

struct group_end {
	fl_group *g;
	bool fails, has; /* the task has a result */
};

/* A callback sees the result with its type, also if the group has given it to the caller. */
static void get_in_group(fl_future *f, void *arg)
{
	const struct group_end *end = arg;
	struct letter got = {0};
	FL_RC(answer_get(f, &got), end->fails ? FL_ETASK : 0);
	expect_answer(&got, end->has);
	if (end->fails)
		fl_test_contains(fl_group_failed_name(end->g), "answer");
}

BYTES_ROW(bytes_of_a_group, .workers = 2)
{
	int *frees = new_counter();
	for (int how = 0; how < 12; how++) { /* one in four has no place for its result */
		const int k = how % 4;
		struct letter letter = new_letter(frees, (unsigned)how / 4, k > 0 ? -EIO : 0, k > 1), got = {0};
		fl_group g = FL_GROUP_INIT(e);
		struct group_end end = {&g, k > 0, k != 1};
		const fl_submit_config config = {.on_end = get_in_group, .on_end_arg = &end};
		FL_OK(fl_group_submit_with(&g, &answer, &letter, k < 3 ? &got : NULL, &config));
		free_letter(&letter);
		FL_JOINED(fl_group_join(&g), &g, letter.error);
		fl_group_destroy(&g);
		expect_answer(&got, k % 2 == 0);
	}
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(counted(frees), 12);
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
		expect_live(0);
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
	for (unsigned how = 0; how < 6 && is_concurrent(e); how++) {
		const bool runs = how % 2;
		int *frees = new_counter();
		fl_future *f = NULL;
		struct letter letter = new_letter(frees, how / 2, 0, false), got = {0};
		letter.gate = new_gate();
		const struct held held = hold_worker(e);
		FL_OK(answer_submit(e, letter, &f));
		free_letter(&letter);
		if (runs) {
			let_go(&held);
			await_event(&letter.gate->entered);
		}
		FL_RC(fl_future_cancel(f), runs ? -EINPROGRESS : 0);
		FL_RC(answer_get(f, &got), FL_ETASK);
		expect_answer(&got, false);
		if (!runs) {
			assert_int_equal(counted(frees), 1);
			let_go(&held);
		}
		fl_future_free(f);
		FL_OK(fl_executor_wait_idle(e));
		assert_int_equal(counted(frees), 1);
		expect_live(0);
	}
}

/* A submit that returns an error leaves the caller's handle as it was. */
static void refuse_submits(fl_executor *e, int error, const fl_submit_config *config)
{
	int *frees = new_counter();
	fl_bytes args[] = {counted_bytes(frees), fl_bytes_of_text("borrowed")};
	struct letters letters = {frees, 0};
	fl_imap *it = NULL;
	fl_group g = FL_GROUP_INIT(e);
	FL_EACH (i, args)
		FL_RC(echo_submit_with(e, args[i], NULL, config), error);
	if (!config) {
		FL_RC(echo_group_submit(&g, args[0], NULL), error);
		fl_group_destroy(&g);
		FL_RC(make_bytes_submit(e, 1, NULL), error);
		FL_RC(check_bytes_map(e, args, 2, NULL), error);
		FL_RC(echo_imap(e, args, 2, &it, NULL), error);
		FL_RC(answer_imap(e, NULL, 0, &it, &(fl_imap_config){.next = make_letter, .state = &letters}), error);
	}
	assert_int_equal(counted(frees), (int)letters.made);
	assert_ptr_equal(args[0].data, &seven);
	fl_bytes_free(&args[0]);
	assert_int_equal(counted(frees), (int)letters.made + 1);
}

BYTES_ROW(bytes_refused_by_a_closed_executor, .workers = 2)
{
	fl_executor_close(e);
	refuse_submits(e, -EPIPE, NULL);
}

#ifndef CONFORMANCE_MPI
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
#endif

static int without_memory(fl_executor *e)
{
	fl_future *f = NULL, *next = NULL;
	FL_SCOPED(fl_imap) *it = NULL;
	const fl_bytes arg = fl_bytes_of_text("aa");
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

/* Each allocation of this thread fails in turn. */
BYTES_ROW(bytes_without_memory, .workers = 1)
{
	unsigned step = 0;
	SEAM_NO_MEMORY(longer_submit(e, fl_bytes_of_text("aa"), NULL), -ENOMEM); /* for the copy */
	do {
		seam_fail_allocs(step++, 1);
		const int rc = without_memory(e);
		assert_true(rc == 0 || rc == -ENOMEM || rc == FL_ETASK);
	} while (seam_heal() == 0);
	assert_true(step > 2);
	FL_OK(fl_executor_wait_idle(e));
}

/* That task fails, and with it the rest of its chunk. */
BYTES_ROW(bytes_above_the_most, .workers = 1, .bytes_max = 100)
{
	static const size_t sizes[] = {100, 101, 100};
	fl_bytes args[3] = {{0}, {0}, {0}};
	fl_imap *made = NULL, *checked = NULL;
	FL_EACH (i, sizes)
		FL_OK(make_filled(&args[i], sizes[i]));
	FL_RC(check_bytes_map(e, args, 2, NULL), FL_ETASK);
	FL_OK(make_bytes_imap(e, sizes, 3, &made, &(fl_imap_config){.chunk = 3}));
	FL_OK(check_bytes_imap(e, args, 3, &checked, &(fl_imap_config){.chunk = 3}));
	FL_EACH (i, sizes) {
		const int expected = i >= 1 ? FL_ETASK : 0;
		size_t index;
		fl_bytes got = {0};
		fl_bytes_free(&args[i]);
		FL_RC(make_bytes_imap_next(made, &index, &got), expected);
		FL_RC(check_bytes_imap_next(checked, &index), expected);
		assert_int_equal(i >= 1 ? fl_imap_error(made) : -E2BIG, -E2BIG);
		assert_int_equal(i >= 1 ? fl_imap_error(checked) : -E2BIG, -E2BIG);
		fl_bytes_free(&got);
	}
	fl_imap_free(made);
	fl_imap_free(checked);
}

/* The result was made by another task. */
FL_TASK_STATIC(let_another_do_it, fl_bytes, fl_bytes)
{
	return fl_test_run_task(fl_executor_current(), &longer, arg, result);
}

BYTES_ROW(bytes_of_nested_tasks, .workers = 1)
{
	const fl_bytes arg = fl_bytes_of_text("aa");
	fl_bytes got = {0};
	FL_OK(fl_test_run_task(e, &let_another_do_it, &arg, &got));
	expect_bytes(&got, 3);
}
