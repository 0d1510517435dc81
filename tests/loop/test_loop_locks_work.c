/* SPDX-License-Identifier: BSD-2-Clause */
/* In the fibers of a loop: work on executors, waits for any of several objects, locals. */
#include "fl_in_loop.h"

/* Executors of threads. */

typedef struct job {
	fl_event *go;
	int number;
} job;

FL_TASK_STATIC(loop_locks_job, job, int)
{
	int rc = fl_event_wait(arg->go);
	*result = 2 * arg->number;
	return rc;
}

typedef struct pool {
	fl_executor *executor;
	fl_event go;
	fl_future *future;
} pool;

static void make_pool(void *arg)
{
	pool *p = arg;
	*p = (pool){.executor = NULL};
	p->executor = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(loop_locks_job_submit(p->executor, (job){&p->go, 21}, &p->future));
}

static void free_pool(void *arg)
{
	pool *p = arg;
	fl_future_free(p->future);
	fl_executor_free(p->executor);
}

static void let_work(void *arg)
{
	fl_event_set(&((pool *)arg)->go);
}

static int join_pool(void *arg)
{
	return fl_executor_join(((pool *)arg)->executor);
}

FL_TEST(loop_locks_executor_join)
{
	static pool p;
	FL_MEET(.object = &p, .begin = make_pool, .end = free_pool, .wait = join_pool, .wake = let_work);
}

static int map_jobs(void *arg)
{
	pool *p = arg;
	job jobs[5];
	int results[5];
	FL_EACH (i, jobs)
		jobs[i] = (job){&p->go, i};
	int rc = loop_locks_job_map(p->executor, jobs, 5, results, NULL);
	for (int i = 0; i < 5 && rc == 0; i++)
		FL_CHECK(results[i] == 2 * i);
	return rc;
}

FL_TEST(loop_locks_map)
{
	static pool p;
	FL_MEET(.object = &p, .begin = make_pool, .end = free_pool, .wait = map_jobs, .wake = let_work);
}

static int iterate(void *arg)
{
	pool *p = arg;
	job jobs[5];
	size_t index;
	int result, rc, n = 0;
	FL_EACH (i, jobs)
		jobs[i] = (job){&p->go, i};
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(loop_locks_job_imap(p->executor, jobs, 5, &it, NULL));
	for (; (rc = loop_locks_job_imap_next(it, &index, &result)) == 0; n++)
		FL_CHECK(index == (size_t)n && result == 2 * n);
	return rc == -ENODATA && n == 5 ? 0 : -EINVAL;
}

FL_TEST(loop_locks_imap)
{
	static pool p;
	FL_MEET(.object = &p, .begin = make_pool, .end = free_pool, .wait = iterate, .wake = let_work);
}

/* Any of several. */
enum { THINGS = 7 };

typedef struct things {
	fl_event event;
	fl_sem sem;
	fl_latch latch;
	fl_queue *empty, *full;
	pool pool;
	fl_cancel_token token;
	int which;
} things;

static void make_things(void *arg)
{
	things *t = arg;
	int item = 1;
	t->event = (fl_event)FL_EVENT_INIT;
	t->sem = (fl_sem)FL_SEM_INIT(0);
	FL_OK(fl_latch_init(&t->latch, 1));
	t->token = (fl_cancel_token)FL_CANCEL_TOKEN_INIT;
	make_pool(&t->pool);
	t->empty = FL_TEST_QUEUE_OF(sizeof(int), NULL);
	t->full = FL_TEST_QUEUE(int, .capacity = 1);
	FL_OK(fl_queue_put(t->full, &item));
}

static void free_things(void *arg)
{
	things *t = arg;
	let_work(&t->pool);
	free_pool(&t->pool);
	fl_queue_free(t->empty);
	fl_queue_free(t->full);
	fl_cancel_token_destroy(&t->token);
}

static int wait_for_any(void *arg)
{
	things *t = arg;
	int ready =
	    FL_WAIT_ANY(FL_ON_EVENT(&t->event), FL_ON_SEM(&t->sem), FL_ON_LATCH(&t->latch), FL_ON_QUEUE(t->empty),
	                FL_ON_QUEUE_SPACE(t->full), FL_ON_FUTURE(t->pool.future), FL_ON_CANCEL_TOKEN(&t->token));
	return ready == t->which ? 0 : -EINVAL;
}

static void make_ready(void *arg)
{
	things *t = arg;
	int item = 1;
	switch (t->which) {
	case 0:
		fl_event_set(&t->event);
		break;
	case 1:
		fl_sem_release(&t->sem);
		break;
	case 2:
		fl_latch_count_down(&t->latch, 1);
		break;
	case 3:
		FL_OK(fl_queue_put(t->empty, &item));
		break;
	case 4:
		FL_OK(fl_queue_get(t->full, &item));
		break;
	case 5:
		let_work(&t->pool);
		break;
	default:
		fl_cancel_token_request(&t->token);
	}
}

FL_TEST(loop_locks_wait_any)
{
	static things t;
	for (t.which = 0; t.which < THINGS; t.which++)
		FL_MEET(.object = &t, .begin = make_things, .end = free_things, .wait = wait_for_any,
		        .wake = make_ready);
}

/* Locals: of each fiber, and of the thread apart. */
static unsigned dropped;

static void drop(void *value)
{
	FL_CHECK(*(int *)value > 0);
	*(int *)value = -*(int *)value;
	dropped++;
}

static fl_local own = FL_LOCAL_INIT(drop);

static int keep_local(void *number)
{
	FL_CHECK(fl_local_get(&own) == NULL);
	FL_OK(fl_local_set(&own, number));
	for (int i = 0; i < 5; i++) {
		FL_OK(fl_sleep(0));
		FL_CHECK(fl_local_get(&own) == number);
	}
	return 0;
}

static int locals(void *unused)
{
	int numbers[20], mine = 1000;
	fl_fiber *f[20];
	FL_CHECK(fl_local_get(&own) == NULL);
	FL_OK(fl_local_set(&own, &mine));
	FL_EACH (i, numbers) {
		numbers[i] = i + 1;
		f[i] = fl_test_start(keep_local, &numbers[i]);
	}
	FL_EACH (i, numbers)
		FL_CHECK(fl_test_join(f[i]) == 0 && numbers[i] == -((int)i + 1));
	FL_CHECK(fl_local_get(&own) == &mine && dropped == 20);
	FL_OK(fl_local_set(&own, NULL));
	return 0;
}

/* Calls of the user, in the fiber that completes. */

static fl_fiber *called_in;

static void note_fiber(void *unused)
{
	called_in = fl_fiber_current();
}

static int note_once(void *unused)
{
	note_fiber(unused);
	return -EIO;
}

static int call_back(void *unused)
{
	fl_once once = FL_ONCE_INIT;
	fl_barrier barrier;
	FL_RC(fl_once_call(&once, note_once, NULL), -EIO);
	FL_CHECK(called_in == fl_fiber_current() && !fl_once_is_done(&once));
	called_in = NULL;
	FL_OK(fl_barrier_init_with_action(&barrier, 1, note_fiber, NULL));
	FL_OK(fl_barrier_wait(&barrier));
	FL_CHECK(called_in == fl_fiber_current());
	return fl__lot_has_waiters_at(&barrier);
}

FL_TEST(loop_locks_call_in_the_fiber)
{
	fl_test_in_loop(call_back, NULL);
}

FL_TEST(loop_locks_local_of_each_fiber)
{
	int mine = 7;
	dropped = 0;
	FL_OK(fl_local_set(&own, &mine));
	fl_test_in_loop(locals, NULL);
	assert_ptr_equal(fl_local_get(&own), &mine);
	FL_OK(fl_local_set(&own, NULL));
	assert_int_equal(dropped, 20);
}
