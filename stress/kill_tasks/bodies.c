/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tasks of the campaign. Each of them first counts its start, then checks its argument, and
 * returns a result that follows from its number.
 */
#include "tasks.h"
#include <fairlead/shm.h>
#include <fairlead/task.h>

struct board *board;
static uint32_t served; /* how many tasks this worker has begun */

struct life *life_of(int32_t pid)
{
	return &board->lives[(uint32_t)pid % LIVES];
}

bool announce_death(struct life *life)
{
	return __atomic_exchange_n(&life->died, 1, __ATOMIC_SEQ_CST) == 0;
}

FL_TASK_DEFINE(kill_birth, struct birth, void)
{
	const size_t size = sizeof(struct board);
	board = fl_shm_at(fl_task_region(ctx, 0), arg->board, size);
	if (!board)
		return fl_task_fail(ctx, -EBADMSG, "the campaign's board is not there");
	struct life *life = life_of(getpid());
	life->pid = getpid();
	life->failed = 0;
	__atomic_store_n(&life->died, 0, __ATOMIC_SEQ_CST);
	arm(arg->seed ^ (uint64_t)time_now() ^ (uint64_t)getpid() << 40);
	return 0;
}

/* Counts the start of a task, and checks its argument. */
static int begin(const struct question *q)
{
	if (served++ == 0)
		first_task_begins();
	if (q->id >= board->n_tasks || q->check != question_check(q->id))
		return -EBADMSG;
	fl__add_relaxed(&board->started[q->id], 1);
	return 0;
}

static int end(const struct question *q, struct answer *a)
{
	*a = (struct answer){answer_check(q->id)};
	return 0;
}

static void spin(int64_t ns)
{
	for (int64_t until = time_now() + ns; time_now() < until;)
		;
}

FL_TASK(kill_noop, struct question, struct answer)
{
	int rc = begin(arg);
	return rc != 0 ? rc : end(arg, result);
}

FL_TASK(kill_work, struct question, struct answer)
{
	int rc = begin(arg);
	spin((int64_t)arg->work);
	return rc != 0 ? rc : end(arg, result);
}

FL_TASK(kill_patient, struct question, struct answer)
{
	int rc = begin(arg);
	for (int64_t until = time_now() + (int64_t)arg->work; rc == 0 && time_now() < until;)
		if (fl_task_is_cancelled(ctx))
			return -ECANCELED;
	return rc != 0 ? rc : end(arg, result);
}

/* The tasks that this task submits have the numbers that follow its own. */
FL_TASK(kill_nested, struct question, struct answer)
{
	const uint32_t served_before = served;
	int rc = begin(arg);
	for (uint32_t i = 1; rc == 0 && i <= arg->work; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct answer inner;
		rc = kill_noop_submit(fl_executor_current(),
		                      (struct question){arg->id + i, 0, question_check(arg->id + i)}, &f);
		if (rc == 0)
			rc = kill_noop_get(f, &inner);
		if (rc == 0 && inner.check != answer_check(arg->id + i))
			rc = -EPROTO;
	}
	served = served_before + 1;
	return rc != 0 ? rc : end(arg, result);
}

FL_TASK(kill_crash, struct question, struct answer)
{
	int rc = begin(arg);
	if (rc != 0)
		return rc;
	fl__add_relaxed(&board->by_crash, 1);
	(void)announce_death(life_of(getpid()));
	if (arg->work % 4 == 0)
		(void)raise(SIGSEGV);
	else if (arg->work % 4 == 1)
		abort();
	else if (arg->work % 4 == 2)
		exit(3);
	_exit(0);
}

/* Tasks with large arguments and results. */

static int check_words(const struct question *q, const uint64_t *words, size_t n)
{
	int rc = begin(q);
	for (size_t i = 0; i < n; i++)
		if (words[i] != q->check + i)
			return -EBADMSG;
	return rc;
}

static int answer_words(const struct question *q, struct answer *a, uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		words[i] = answer_check(q->id) + i;
	return end(q, a);
}

enum { SMALL = sizeof(struct question) + sizeof(uint64_t) };
#define WORDS(bytes) (((bytes) - sizeof(struct question)) / sizeof(uint64_t))

#define BLOB(name, arg_bytes, result_bytes)                                                                            \
	struct name##_arg {                                                                                            \
		struct question q;                                                                                     \
		uint64_t words[WORDS(arg_bytes)];                                                                      \
	};                                                                                                             \
	struct name##_result {                                                                                         \
		struct answer a;                                                                                       \
		uint64_t words[WORDS(result_bytes)];                                                                   \
	};                                                                                                             \
	FL_TASK_DEFINE(name, struct name##_arg, struct name##_result)                                                  \
	{                                                                                                              \
		int rc = check_words(&arg->q, arg->words, WORDS(arg_bytes));                                           \
		return rc != 0 ? rc : answer_words(&arg->q, &result->a, result->words, WORDS(result_bytes));           \
	}
BLOB(kill_1k, 1 << 10, 1 << 10)
BLOB(kill_8k, 8 << 10, 8 << 10)
BLOB(kill_64k, 64 << 10, 64 << 10)
BLOB(kill_in_64k, 64 << 10, SMALL)
BLOB(kill_out_64k, SMALL, 64 << 10)
BLOB(kill_80k, 80 << 10, 80 << 10)
BLOB(kill_in_300k, BLOB_MOST, SMALL)
BLOB(kill_out_300k, SMALL, BLOB_MOST)

/* Half of the results are made in place, and half elsewhere. */
FL_TASK(kill_bytes, struct parcel, fl_bytes, .drop_arg = FL_BYTES_DROP)
{
	const unsigned char *at = arg->bytes.data;
	fl_bytes other = {0};
	fl_bytes *to = arg->q.work % 2 == 0 ? result : &other;
	int rc = begin(&arg->q);
	if (arg->bytes.size != bytes_size(~arg->q.id) || at[arg->bytes.size] != 0)
		return -EBADMSG;
	for (size_t i = 0; i < arg->bytes.size; i += STRIDE)
		if (at[i] != parcel_byte(i))
			return -EBADMSG;
	if (rc == 0)
		rc = fl_bytes_alloc(to, bytes_size(arg->q.id), 1);
	if (rc == 0)
		memset(to->data, bytes_mark(arg->q.id), to->size);
	if (to == &other)
		*result = other;
	return rc;
}

const struct kind_of kinds[KINDS] = {
    [BYTES] = {&kill_bytes, 100, 0, 0},
    [NOOP] = {&kill_noop, 2800, 0, 0},
    [WORK] = {&kill_work, 500, 0, 0},
    [PATIENT] = {&kill_patient, 120, 0, 0},
    [NESTED] = {&kill_nested, 200, 0, 0},
    [CRASH] = {&kill_crash, 1, 0, 0},
    [BLOB_1K] = {&kill_1k, 230, WORDS(1 << 10), WORDS(1 << 10)},
    [BLOB_8K] = {&kill_8k, 90, WORDS(8 << 10), WORDS(8 << 10)},
    [BLOB_64K] = {&kill_64k, 20, WORDS(64 << 10), WORDS(64 << 10)},
    [IN_64K] = {&kill_in_64k, 10, WORDS(64 << 10), WORDS(SMALL)},
    [OUT_64K] = {&kill_out_64k, 10, WORDS(SMALL), WORDS(64 << 10)},
    [BLOB_80K] = {&kill_80k, 7, WORDS(80 << 10), WORDS(80 << 10)},
    [IN_300K] = {&kill_in_300k, 4, WORDS(BLOB_MOST), WORDS(SMALL)},
    [OUT_300K] = {&kill_out_300k, 4, WORDS(SMALL), WORDS(BLOB_MOST)},
};
