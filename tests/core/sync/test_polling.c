/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch for polling: without it threads poll before they sleep, with it no wait does. */
#include "fl_child.h"
#include "fl_faults.h"

static unsigned polls;

static void relax(void)
{
	polls++;
}

static int64_t give_way(int64_t now)
{
	polls++;
	return fl_test_time = now + FL_US(1);
}

FL_TEST_FUTEX_WAIT(sleep_until)
{
	fl_test_time = deadline;
	return -ETIMEDOUT;
}

/* Waits for what never comes. */

static fl_mutex mutex;
static fl_rwlock rwlock;
static fl_cond cond;
static fl_sem sem;
static fl_event event;
static fl_latch latch = FL_LATCH_INIT(1);
static fl_queue *queue;
static fl_future *future;

static int wait_mutex(fl_time until)
{
	return fl_mutex_lock_until(&mutex, until, NULL);
}

static int wait_read_lock(fl_time until)
{
	return fl_rwlock_read_lock_until(&rwlock, until, NULL);
}

static int wait_write_lock(fl_time until)
{
	return fl_rwlock_write_lock_until(&rwlock, until, NULL);
}

static int wait_cond(fl_time until)
{
	return fl_cond_wait_until(&cond, &mutex, until, NULL);
}

static int wait_sem(fl_time until)
{
	return fl_sem_acquire_until(&sem, until, NULL);
}

static int wait_event(fl_time until)
{
	return fl_event_wait_until(&event, until, NULL);
}

static int wait_latch(fl_time until)
{
	return fl_latch_wait_until(&latch, until, NULL);
}

static int wait_barrier(fl_time until)
{
	fl_barrier barrier = FL_BARRIER_INIT(2);
	return fl_barrier_wait_until(&barrier, until, NULL);
}

static int wait_queue(fl_time until)
{
	int item;
	return fl_queue_get_until(queue, &item, until, NULL);
}

static int wait_future(fl_time until)
{
	return fl_future_wait_until(future, until, NULL);
}

static int wait_any(fl_time until)
{
	return FL_WAIT_ANY_UNTIL(until, NULL, FL_ON_EVENT(&event), FL_ON_SEM(&sem));
}

/* How often a wait polls, by a clock that stands until the thread sleeps. */
static unsigned polls_of(int (*wait)(fl_time until))
{
	FL_FAULTS();
	fl_test_clock_stands();
	fl__sys.relax = relax;
	fl__sys.give_way = give_way;
	fl__sys.futex_wait = sleep_until;
	polls = 0;
	FL_RC(wait(fl_after(FL_S(1))), -ETIMEDOUT);
	return polls;
}

FL_TEST(poll_enable_switches_the_polls_of_all_waits)
{
	int (*const waits[])(fl_time until) = {wait_mutex, wait_read_lock, wait_write_lock, wait_cond,
	                                       wait_sem,   wait_event,     wait_latch,      wait_barrier,
	                                       wait_queue, wait_future,    wait_any};
	fl_promise *promise;
	FL_OK(fl_queue_create(&queue, sizeof(int), NULL));
	FL_OK(fl_promise_create(&promise, 0, NULL, &future));
	fl_mutex_lock(&mutex);
	fl_rwlock_write_lock(&rwlock);
	FL_EACH (i, waits) {
		fl_poll_enable(true);
		assert_true(polls_of(waits[i]) > 0);
		fl_poll_enable(false);
		assert_int_equal(polls_of(waits[i]), 0);
	}
	fl_poll_enable(true);
	fl_rwlock_write_unlock(&rwlock);
	fl_mutex_unlock(&mutex);
	fl_promise_free(promise);
	fl_future_free(future);
	fl_queue_free(queue);
}

/* An executor whose workers sleep at once runs all tasks. */

FL_TASK_STATIC(polling_square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

FL_TEST(poll_enable_off_and_an_executor_runs_all_tasks)
{
	enum { TASKS = 200 };
	int args[TASKS], squares[TASKS];
	fl_poll_enable(false);
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	for (int i = 0; i < TASKS; i++)
		args[i] = i;
	for (int i = 0; i < TASKS; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(polling_square_submit(e, i, &f));
		FL_OK(polling_square_get(f, &squares[i]));
		assert_int_equal(squares[i], i * i);
	}
	FL_OK(polling_square_map(e, args, TASKS, squares, NULL));
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(squares[i], i * i);
	fl_poll_enable(true);
}

/* The environment. */

/* Run by the restarted program of the case below; in a run of all cases it does nothing. */
FL_TEST(poll_body)
{
	if (getenv("FL_TEST_POLL"))
		FL_CHECK(fprintf(stderr, "polls %d;", fl__may_poll()) > 0);
}

static void start_with_poll(void *text)
{
	FL_OK(strcmp(text, "-") != 0 ? setenv("FL_POLL", text, 1) : unsetenv("FL_POLL"));
	FL_OK(setenv("FL_TEST_POLL", "", 1));
	FL_CHECK(freopen("/dev/null", "w", stdout) != NULL); /* it reports cases, too */
	(void)execl("/proc/self/exe", "test_polling", "poll_body", (char *)NULL);
	FL_CHECK(!"not executed");
}

FL_TEST(poll_of_the_environment)
{
	static char said[1 << 12];
	static struct row {
		char text[8]; /* "-" stands for a variable that is not set */
		bool polls, warns;
	} rows[] = {
	    {"-", true, false}, {"none", false, false}, {"", true, true}, {"None", true, true}, {"none,", true, true},
	};
	FL_EACH (i, rows) {
		FL_RC(fl_test_child(start_with_poll, rows[i].text, said, sizeof said), 0);
		fl_test_contains(said, rows[i].polls ? "polls 1;" : "polls 0;");
		assert_int_equal(strstr(said, "is not \"none\"") != NULL, rows[i].warns);
	}
}
