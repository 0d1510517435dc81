/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All readers of inspect, and all its switches, beside all that they read: objects begin and end,
 * and threads, fibers, tasks and processes wait for them. ASan and TSan tell what a reader must not
 * have read. Ten minutes of it: ./dev check soak, or
 *
 *     FL_TEST_INSPECT_SECONDS=600 build/asan/tests/test_inspect_soak
 */
#include "fl_debugging.h"

#if FL_TEST_SANITIZED
enum { SECONDS = 3 };
#else
enum { SECONDS = 1 };
#endif

struct soak_actor {
	uint64_t draw;
	uint64_t turns;
};

static uint32_t soak_over;
static int soak_null;
static char soak_file[64];

/* What the waiters share. */
static fl_mutex soak_outer, soak_mutex;
static fl_rwlock soak_rwlock;
static fl_sem soak_sem = FL_SEM_INIT(2);
static fl_cond soak_cond;
static fl_event soak_never;
static fl_queue *soak_queue;

static uint32_t soak_draw(struct soak_actor *a, uint32_t below)
{
	a->draw = a->draw * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(a->draw >> 33) % below;
}

static void soak_ends(int rc)
{
	FL_CHECK(rc == 0 || rc == -ETIMEDOUT);
}

/* Readers and switches. */

static void soak_read_stats(void)
{
	fl_bytes text = {0};
	FL_OK(fl_stats_text(&text));
	fl_bytes_free(&text);
}

static void soak_switch_trace(struct soak_actor *a)
{
	static const char *const settings[] = {NULL, "ring,events=256,signal=0", "ring,signal=10", "ring,signal=12"};
	FL_OK(fl_trace_enable(settings[soak_draw(a, 4)]));
}

static void soak_write_trace(void)
{
	const int rc = fl_trace_write(soak_file);
	FL_CHECK(rc == 0 || rc == -EBUSY || rc == -ENODATA);
}

/* In the child there are the records of threads that it does not have. */
static void soak_fork(void)
{
	int status;
	const pid_t child = fork();
	FL_CHECK(child >= 0);
	if (child == 0) {
		fl_mutex m = FL_MUTEX_INIT;
		(void)alarm(100);
		fl_debug_dump(soak_null);
		fl_mutex_lock(&m);
		fl_mutex_unlock(&m);
		_exit(0);
	}
	FL_CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void soak_watch(struct soak_actor *a)
{
	switch (soak_draw(a, 9)) {
	case 0:
	case 1:
		fl_debug_dump(soak_null);
		break;
	case 2:
		soak_read_stats();
		break;
	case 3:
		soak_write_trace();
		break;
	case 4:
		soak_switch_trace(a);
		break;
	case 5:
	case 6:
		FL_OK(fl_debug_enable(soak_draw(a, FL__HOOKS_DEBUG + 1)));
		break;
	case 7:
		fl_debug_contention(soak_null);
		break;
	default:
		/* emulators may hang in a child that was forked beside threads */
		if (!getenv("FL_TEST_SLOW"))
			soak_fork();
	}
}

/* Waits. */

static void soak_lock(struct soak_actor *a, fl_time soon)
{
	fl_mutex_lock(&soak_outer);
	if (fl_mutex_lock_until(&soak_mutex, soon, NULL) == 0) {
		if (soak_draw(a, 2) == 0)
			soak_ends(fl_cond_wait_until(&soak_cond, &soak_mutex, soon, NULL));
		fl_mutex_unlock(&soak_mutex);
	}
	fl_cond_signal(&soak_cond);
	fl_mutex_unlock(&soak_outer);
}

static void soak_lock_rwlock(struct soak_actor *a, fl_time soon)
{
	if (soak_draw(a, 2) == 0) {
		if (fl_rwlock_read_lock_until(&soak_rwlock, soon, NULL) == 0)
			fl_rwlock_read_unlock(&soak_rwlock);
	} else if (fl_rwlock_write_lock_until(&soak_rwlock, soon, NULL) == 0) {
		if (soak_draw(a, 2) == 0) {
			fl_rwlock_downgrade(&soak_rwlock);
			fl_rwlock_read_unlock(&soak_rwlock);
		} else {
			fl_rwlock_write_unlock(&soak_rwlock);
		}
	}
}

static void soak_use_queue(struct soak_actor *a, fl_time soon)
{
	int item = 1;
	soak_ends(soak_draw(a, 2) == 0 ? fl_queue_put_until(soak_queue, &item, soon, NULL)
	                               : fl_queue_get_until(soak_queue, &item, soon, NULL));
}

/* Objects that end right after the wait for them. */

static int soak_keep(void *promise)
{
	return fl_promise_set(promise, NULL);
}

static void soak_await_future(void)
{
	fl_thread *keeper;
	fl_promise *promise;
	fl_future *future;
	FL_OK(fl_promise_create(&promise, 0, NULL, &future));
	fl_test_go(&keeper, soak_keep, promise);
	FL_OK(fl_future_wait(future));
	fl_future_free(future);
	fl_test_end(keeper);
	fl_promise_free(promise);
}

static int soak_count_down(void *latch)
{
	fl_latch_count_down(latch, 1);
	return 0;
}

static void soak_await_latch(void)
{
	fl_thread *other;
	fl_latch latch;
	FL_OK(fl_latch_init(&latch, 1));
	fl_test_go(&other, soak_count_down, &latch);
	FL_OK(fl_latch_wait(&latch));
	fl_test_end(other);
	fl_latch_destroy(&latch);
}

static void soak_begin_and_end(void)
{
	fl_mutex m;
	fl_mutex_init(&m);
	fl_mutex_lock(&m);
	fl_mutex_unlock(&m);
	fl_mutex_destroy(&m);
}

static void soak_wait(struct soak_actor *a)
{
	const fl_time soon = fl_after(FL_US(soak_draw(a, 3000)));
	switch (soak_draw(a, 10)) {
	case 0:
	case 1:
		soak_lock(a, soon);
		break;
	case 2:
	case 3:
		soak_lock_rwlock(a, soon);
		break;
	case 4:
	case 5:
		soak_use_queue(a, soon);
		break;
	case 6:
		if (fl_sem_acquire_until(&soak_sem, soon, NULL) == 0)
			fl_sem_release(&soak_sem);
		break;
	case 7:
		soak_ends(fl_event_wait_until(&soak_never, soon, NULL));
		soak_begin_and_end();
		break;
	case 8:
		soak_await_future();
		break;
	default:
		soak_await_latch();
	}
}

/* Executors, loops and processes. */

FL_TASK_STATIC(soak_task, int, int)
{
	*result = *arg + 1;
	return *arg % 8 == 0 ? fl_sleep(FL_US(*arg)) : 0;
}

FL_TASK_STATIC(soak_member, int, void)
{
	return fl_sleep(FL_US(*arg));
}

static void soak_use_executor(fl_executor *e, int tasks)
{
	fl_stats_type type;
	fl_stats_executor stats;
	for (int i = 0; i < tasks; i++) {
		fl_future *f;
		FL_OK(soak_task_submit(e, i, &f));
		if (i % 4 != 0)
			FL_RC(fl_test_result(f), i + 1);
		fl_future_free(f);
	}
	FL_OK(fl_executor_stats(e, &stats));
	for (size_t i = 0; fl_executor_type_stats(e, i, &type) == 0; i++)
		FL_CHECK(type.name);
}

static void soak_run_pool(struct soak_actor *a)
{
	const fl_executor_config config = {.workers = 1 + soak_draw(a, 3), .name = "inspected"};
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_thread_executor_create, &config);
	soak_use_executor(e, 40);
	fl_group g = FL_GROUP_INIT(e);
	for (int i = 0; i < 4; i++)
		FL_OK(soak_member_group_submit(&g, 100 * i));
	FL_OK(fl_group_join(&g));
	fl_group_destroy(&g);
	memset(&g, 0xff, sizeof g);
}

static void soak_run_processes(struct soak_actor *a)
{
	const fl_executor_config config = {.workers = 1 + soak_draw(a, 2)};
	FL_SCOPED(fl_executor) *e = fl_test_executor(fl_process_executor_create, &config);
	soak_use_executor(e, 4);
}

static int soak_fiber(void *actor)
{
	struct soak_actor *a = actor;
	const fl_time soon = fl_after(FL_US(soak_draw(a, 1000)));
	soak_lock_rwlock(a, soon);
	soak_use_queue(a, soon);
	fl_fiber_yield();
	return 0;
}

static int soak_start_fibers(void *actor)
{
	fl_fiber *fibers[8];
	FL_EACH (i, fibers)
		FL_OK(fl_fiber_start(&fibers[i], soak_fiber, actor, NULL));
	FILE *out = fopen("/dev/null", "w");
	FL_CHECK(out);
	fl_loop_dump(fl_loop_current(), out);
	FL_OK(fclose(out));
	FL_EACH (i, fibers)
		FL_OK(fl_fiber_join(fibers[i], NULL));
	return 0;
}

static void soak_run_loop(struct soak_actor *a)
{
	FL_OK(fl_loop_run(soak_start_fibers, a));
}

static void (*const soak_actions[])(struct soak_actor *a) = {
    soak_watch, soak_watch, soak_wait, soak_wait, soak_wait, soak_run_pool, soak_run_processes, soak_run_loop};
enum { ACTORS = sizeof soak_actions / sizeof soak_actions[0] };

static struct soak_actor soak_actors[ACTORS];

static int soak_act(void *actor)
{
	struct soak_actor *a = actor;
	while (!fl__load_relaxed(&soak_over)) {
		soak_actions[a - soak_actors](a);
		fl__add_relaxed(&a->turns, 1);
	}
	return 0;
}

FL_TEST(inspect_beside_all_that_it_reads)
{
	enum { STUCK_S = 100 };
	FL_NOT_ON_POSIX("the core alone has no loops and no processes");
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	fl_thread *threads[ACTORS];
	const char *seconds = getenv("FL_TEST_INSPECT_SECONDS");
	FL_DEBUGGING(0);
	FL_TEXT(soak_file, "/tmp/fairlead-soak-%ld.json", (long)getpid());
	soak_null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FL_CHECK(soak_null >= 0);
	soak_queue = FL_TEST_QUEUE(int, .capacity = 2);
	FL_EACH (i, threads) {
		soak_actors[i] = (struct soak_actor){.draw = i + 1};
		fl_test_go(&threads[i], soak_act, &soak_actors[i]);
	}
	const fl_time end = fl_after(FL_S(seconds ? atoi(seconds) : SECONDS));
	for (size_t i = 0; !fl_time_is_past(end) || i % ACTORS != 0; i++) {
		const uint64_t before = fl__load_relaxed(&soak_actors[i % ACTORS].turns);
		(void)alarm(STUCK_S);
		FL_WAIT_FOR(fl__load_relaxed(&soak_actors[i % ACTORS].turns) != before);
	}
	fl__store_relaxed(&soak_over, 1);
	FL_END_ALL(threads);
	(void)alarm(0);
	FL_OK(fl_trace_enable(NULL));
	fl_queue_free(soak_queue);
	FL_OK(close(soak_null));
	(void)unlink(soak_file);
	HEARD("deadlock", 0);
	HEARD("cannot be caught", 0);
}
