/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests bytes as arguments and results of tasks in ranks, beyond the conformance suite: small and
 * large ones at once, a rank or rank 0 that lacks memory for them, and tasks and executors that end
 * while the bytes are under way.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "../internals.h"
#include "fl_mpi.h"
#include <fairlead/bytes.h>

enum { KIB = 1 << 10, MIB = 1 << 20, INLINE = 16 * KIB };

/* Makes allocations of this rank fail that are larger than so many bytes. */
static size_t memory_most = SIZE_MAX;
static void *(*real_alloc)(size_t size);

static void *alloc_at_most(size_t size)
{
	return size > __atomic_load_n(&memory_most, __ATOMIC_RELAXED) ? NULL : real_alloc(size);
}

__attribute__((constructor)) static void replace_alloc(void)
{
	real_alloc = fl__sys.alloc;
	fl__sys.alloc = alloc_at_most;
}

FL_TASK_STATIC(limit_memory, size_t, void)
{
	__atomic_store_n(&memory_most, *arg, __ATOMIC_RELAXED);
	return 0;
}

/* An argument contains some bytes, and says what the task is to do with them. */
struct letter {
	fl_bytes text;
	uint64_t seed;
	int error;
	bool keeps, dies;
	struct fl_shm_event *entered;
	char rest[60];
};

static unsigned char byte_at(uint64_t seed, size_t i)
{
	return (unsigned char)(seed * 7 + i * 31 + i / 251);
}

static int fill(fl_bytes *b, size_t size, uint64_t seed)
{
	const int rc = fl_bytes_alloc(b, size, 1);
	for (size_t i = 0; rc == 0 && i < size; i++)
		((unsigned char *)b->data)[i] = byte_at(seed, i);
	return rc;
}

static bool is_filled(const fl_bytes *b, size_t size, uint64_t seed)
{
	const unsigned char *bytes = b->data;
	bool same = b->size == size && bytes && (uintptr_t)bytes % 64 == 0 && bytes[size] == 0;
	for (size_t i = 0; same && i < size; i++)
		same = bytes[i] == byte_at(seed, i);
	return same;
}

/* Returns the text of the next seed. */
FL_TASK_STATIC(answer, struct letter, struct letter, .drop_arg = FL_BYTES_DROP, .drop_result = FL_BYTES_DROP)
{
	if (arg->text.data && !is_filled(&arg->text, arg->text.size, arg->seed))
		return -EILSEQ;
	*result = *arg;
	result->text = (fl_bytes){0};
	result->seed++;
	if (arg->entered) {
		FL_OK(fl_shm_event_set(arg->entered));
		return fl_sleep_until(FL_FOREVER, fl_task_token(ctx));
	}
	const int rc = arg->text.data ? fill(&result->text, arg->text.size, result->seed) : 0;
	if (arg->dies)
		(void)raise(SIGKILL);
	if (arg->keeps)
		fl_task_keep_result(ctx);
	return rc != 0 ? rc : arg->error;
}

static struct letter letter_of(size_t size, uint64_t seed)
{
	struct letter letter = {.seed = seed, .rest = "the rest"};
	FL_OK(fill(&letter.text, size, seed));
	return letter;
}

/* Checks the answer, and frees it. */
static void expect_answer(struct letter *got, size_t size, uint64_t seed)
{
	assert_true(is_filled(&got->text, size, seed + 1));
	assert_int_equal(got->seed, seed + 1);
	assert_string_equal(got->rest, "the rest");
	fl_bytes_free(&got->text);
}

static void expect_success(fl_executor *e, size_t size)
{
	struct letter letter = letter_of(size, size), got = {0};
	FL_OK(fl_test_run_task(e, &answer, &letter, &got));
	expect_answer(&got, size, size);
	fl_bytes_free(&letter.text);
}

static fl_executor *make(unsigned workers, bool processes)
{
	if (processes)
		FL_NEEDS(FL_TEST_PROCESS_POOLS);
	return make_over_mpi(&(fl_executor_config){.workers = workers}, &(fl_mpi_config){.processes = processes});
}

#define ON_BOTH(name)                                                                                                  \
	static void name##_on(fl_executor *e);                                                                         \
	FL_TEST(name##_of_threads)                                                                                     \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = make(fl_mpi_ranks() - 1, false);                                           \
		name##_on(e);                                                                                          \
	}                                                                                                              \
	FL_TEST(name##_of_processes)                                                                                   \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = make(fl_mpi_ranks() - 1, true);                                            \
		name##_on(e);                                                                                          \
	}                                                                                                              \
	static void name##_on(fl_executor *e)

ON_BOTH(mpi_bytes_of_each_size)
{
	const size_t structs = (sizeof(struct letter) + 63) / 64 * 64, bound = INLINE - structs;
	for (size_t size = bound - 66; size < bound + 3; size++)
		expect_success(e, size);
	for (size_t size = 0; size < 5 * MIB; size = size * 5 + 1)
		expect_success(e, size);
}

/* The handles of one message are used, grown and freed separately. */
ON_BOTH(mpi_bytes_of_a_chunk)
{
	enum { N = 60 };
	for (size_t chunk = 1; chunk <= N; chunk += 29)
		for (size_t most = 100; most <= 100 * KIB; most *= 1000) {
			struct letter args[N], got[N];
			memset(got, 0, sizeof got);
			FL_EACH (i, args) {
				args[i] = letter_of(i * most / N, i);
				if (i % 5 == 4)
					fl_bytes_free(&args[i].text);
			}
			FL_OK(answer_map(e, args, N, got, &(fl_map_config){.chunk = chunk}));
			FL_EACH (i, got) {
				if (i % 3 == 0 && got[i].text.data) {
					FL_OK(fl_bytes_append(&got[i].text, "tail", 4));
					FL_OK(fl_bytes_resize(&got[i].text, args[i].text.size));
				}
			}
			FL_EACH (k, got) {
				const size_t i = k * 7 % N;
				if (args[i].text.data)
					expect_answer(&got[i], args[i].text.size, i);
				assert_null(got[i].text.data);
			}
			FL_EACH (i, args)
				fl_bytes_free(&args[i].text);
		}
}

/* There are more elements than the arena of a worker has space for. */
ON_BOTH(mpi_bytes_of_a_long_chunk)
{
	enum { N = 5000 };
	static struct letter args[N], got[N];
	FL_EACH (i, args)
		args[i] = letter_of(i % 100, i);
	memset(got, 0, sizeof got);
	FL_OK(answer_map(e, args, N, got, &(fl_map_config){.chunk = N}));
	FL_EACH (i, args) {
		expect_answer(&got[i], i % 100, i);
		fl_bytes_free(&args[i].text);
	}
}

/* Large arguments and large results cross each other, and small ones pass them. */
ON_BOTH(mpi_bytes_that_cross)
{
	enum { N = 32 };
	fl_future *f[N];
	FL_EACH (i, f) {
		struct letter letter = letter_of(i % 4 == 3 ? 100 : i * 50 * KIB, i);
		FL_OK(answer_submit(e, letter, &f[i]));
		fl_bytes_free(&letter.text);
	}
	FL_EACH (i, f) {
		struct letter got;
		FL_OK(answer_get(f[i], &got));
		fl_future_free(f[i]);
		expect_answer(&got, i % 4 == 3 ? 100 : i * 50 * KIB, i);
	}
}

ON_BOTH(mpi_bytes_of_failed_elements)
{
	enum { N = 6 };
	for (size_t size = 10; size < MIB; size *= 3000)
		for (unsigned keeps = 0; keeps <= 1; keeps++) {
			struct letter args[N], got[N];
			memset(got, 0, sizeof got);
			FL_EACH (i, args)
				args[i] = letter_of(size, i);
			args[4].error = -EIO;
			args[4].keeps = keeps;
			FL_RC(answer_map(e, args, N, got, &(fl_map_config){.chunk = N}), FL_ETASK);
			FL_EACH (i, args) {
				if (i < 4 + keeps)
					expect_answer(&got[i], size, i);
				assert_null(got[i].text.data);
				fl_bytes_free(&args[i].text);
			}
		}
}

/* The rank has no memory. */
FL_TEST(mpi_bytes_that_a_rank_has_no_memory_for)
{
	static const size_t most = MIB;
	FL_SCOPED(fl_executor) *e = make(1, false);
	FL_OK(fl_test_run_task(e, &limit_memory, &most, NULL));
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct letter letter = letter_of(2 * MIB, 1);
		FL_OK(answer_submit(e, letter, &f));
		fl_bytes_free(&letter.text);
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), -ENOMEM);
		fl_test_contains(fl_future_message(f), "has no memory for argument and result");
		expect_success(e, 100 * KIB);
	}
	FL_OK(fl_test_run_task(e, &limit_memory, &(size_t){SIZE_MAX}, NULL));
	expect_success(e, 2 * MIB);
}

FL_TASK_STATIC(make_bytes, size_t, fl_bytes)
{
	return fill(result, *arg, *arg);
}

/* Rank 0 has no memory for a small result, a large one, and one of a chunk. */
FL_TEST(mpi_bytes_that_rank_0_has_no_memory_for)
{
	FL_SCOPED(fl_executor) *e = make(1, false);
	expect_success(e, 10);
	for (size_t size = 12 * KIB; size <= 2 * MIB; size *= 100) {
		const size_t sizes[] = {10, size, 10};
		fl_bytes got[3] = {{0}};
		FL_SCOPED(fl_future) *f = NULL;
		/* After this map rank 0 has all other memory that it needs. */
		FL_OK(make_bytes_map(e, sizes, 1, got, &(fl_map_config){.chunk = 3}));
		fl_bytes_free(&got[0]);
		FL_OK(fl_test_run_task(e, &make_bytes, sizes, got));
		fl_bytes_free(&got[0]);
		__atomic_store_n(&memory_most, 10 * KIB, __ATOMIC_RELAXED);
		FL_OK(make_bytes_submit(e, size, &f));
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), -ENOMEM);
		assert_string_equal(fl_future_message(f), "rank 0 has no memory for the result");
		FL_RC(make_bytes_map(e, sizes, 3, got, &(fl_map_config){.chunk = 3}), FL_ETASK);
		FL_EACH (i, got)
			assert_null(got[i].data);
		__atomic_store_n(&memory_most, SIZE_MAX, __ATOMIC_RELAXED);
		FL_OK(make_bytes_map(e, sizes, 3, got, &(fl_map_config){.chunk = 3}));
		FL_EACH (i, got) {
			assert_true(is_filled(&got[i], sizes[i], sizes[i]));
			fl_bytes_free(&got[i]);
		}
	}
}

/* Rank 0 has no memory for an offer. The chunk waits until the worker is free. */
FL_TEST(mpi_bytes_that_rank_0_cannot_offer)
{
	enum { N = 200 };
	FL_SCOPED(fl_executor) *e = make(1, false);
	FL_SCOPED(fl_imap) *it = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	struct letter args[N], got;
	struct letter waits = {.entered = FL_IN_ARENA(struct fl_shm_event, 1)};
	FL_EACH (i, args)
		args[i] = letter_of(100, i);
	FL_OK(answer_submit(e, waits, &f));
	FL_OK(fl_shm_event_wait_until(waits.entered, FL_FOREVER, FL_SHIELDED));
	FL_OK(answer_imap(e, args, N, &it, &(fl_imap_config){.chunk = N}));
	__atomic_store_n(&memory_most, 4 * KIB + 200, __ATOMIC_RELAXED);
	FL_RC(fl_future_cancel(f), -EINPROGRESS);
	FL_RC(answer_imap_next(it, NULL, &got), FL_ETASK);
	__atomic_store_n(&memory_most, SIZE_MAX, __ATOMIC_RELAXED);
	assert_string_equal(fl_imap_message(it), "the argument does not reach a worker: Cannot allocate memory");
	FL_EACH (i, args)
		fl_bytes_free(&args[i].text);
	expect_success(e, MIB);
}

/*
 * A rank cannot send its results: the first element takes the memory for an offer; or together they
 * are too large.
 */

enum lack { MEMORY, UNITS };

FL_TASK_STATIC(make_unsendable, enum lack, fl_bytes)
{
	static char byte;
	if (*arg == UNITS) /* nobody reads these bytes */
		return fl_bytes_adopt(result, &byte, FL_TASK_SIZE_MAX, NULL, NULL);
	__atomic_store_n(&memory_most, 6 * KIB, __ATOMIC_RELAXED);
	return fl_bytes_alloc(result, 100, 1);
}

FL_TEST(mpi_bytes_that_a_rank_cannot_send)
{
	enum { N = 400 };
	FL_SCOPED(fl_executor) *e = make(1, false);
	for (int i = 0; i < 2; i++) {
		enum lack args[N];
		fl_bytes got[N] = {{0}};
		FL_EACH (k, args)
			args[k] = i ? UNITS : MEMORY;
		fl_map_error why;
		FL_RC(make_unsendable_map(e, args, N, got, &(fl_map_config){.chunk = N, .error = &why}), FL_ETASK);
		assert_int_equal(why.error, i ? -E2BIG : -ENOMEM);
		fl_test_contains(why.message, "cannot send the result");
		FL_EACH (k, got)
			assert_null(got[k].data);
		FL_OK(fl_test_run_task(e, &limit_memory, &(size_t){SIZE_MAX}, NULL));
		expect_success(e, MIB);
	}
}

/* A cancel, a close and a terminate come while bytes are under way. */
ON_BOTH(mpi_bytes_that_are_given_up)
{
	enum { N = 24, ROUNDS = 3 };
	for (int round = 0; round < ROUNDS; round++) {
		fl_future *f[N];
		struct letter letter = letter_of(3 * MIB, 5);
		FL_EACH (i, f)
			FL_OK(answer_submit(e, letter, i % 3 == 0 ? NULL : &f[i]));
		if (round == ROUNDS - 1)
			FL_IGNORE(fl_executor_terminate(e));
		FL_EACH (i, f) {
			struct letter got = {0};
			if (i % 3 == 0)
				continue;
			if (i % 3 == 1)
				FL_IGNORE(fl_future_cancel(f[i]));
			FL_IGNORE(fl_future_wait(f[i]));
			if (answer_get(f[i], &got) == 0)
				expect_answer(&got, letter.text.size, letter.seed);
			assert_true(fl_future_error(f[i]) == 0 || fl_future_error(f[i]) == -ECANCELED);
			fl_future_free(f[i]);
		}
		fl_bytes_free(&letter.text);
	}
}

#endif
