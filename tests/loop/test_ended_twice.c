/* SPDX-License-Identifier: BSD-2-Clause */
/* Handles that are freed, joined or detached twice: the second call panics. */
#include "core/base/atomic.h"
#include "core/base/sanitizer.h"
#include "core/future/future.h"
#include "fl_debugging.h"
#include "fl_streams.h"
#include <fairlead.h>
#ifdef FL__ASAN
#include <sanitizer/asan_interface.h>
#endif

static fl_event opened;

FL_TASK_STATIC(ended_twice_runs, void, void)
{
	return 0;
}

FL_TASK_STATIC(ended_twice_takes, int, void)
{
	return *arg - 1;
}

FL_TASK_STATIC(ended_twice_waits, void, void)
{
	return fl_event_wait(&opened);
}

static fl_executor *threads_of_one(void)
{
	fl_executor *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	return e;
}

/* The future of a task that has ended, to which the caller has the only reference. */
static fl_future *ran(fl_executor *e)
{
	fl_future *f = NULL;
	FL_OK(ended_twice_runs_submit(e, &f));
	FL_OK(fl_future_wait(f));
	FL_WAIT_FOR(fl__load_relaxed(&f->state) / FL__FUTURE_REF == 1);
	return f;
}

/* Without debugging, too: nobody but the producer has the last reference to a task that runs on. */
FL_TEST(future_of_a_running_task_freed_twice_panics)
{
	fl_future *f = NULL;
	fl_executor *e = threads_of_one();
	fl_event_init(&opened);
	FL_OK(ended_twice_waits_submit(e, &f));
	fl_future_free(f);
	FL_PANICS_OF("fl_future_free", f, fl_future_free(f));
	FL_PANICS_OF("fl_future_free", f, fl_future_free(f));
	fl_event_set(&opened);
	fl_executor_free(e);
}

FL_TEST(future_of_an_ended_task_freed_twice_panics)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_executor *e = threads_of_one();
	fl_future *f = ran(e);
	fl_future_free(f);
	FL_PANICS_OF("fl_future_free", f, fl_future_free(f));
	/* also when other tasks have ended since, none of which got its memory */
	for (int i = 0; i < 200; i++) {
		fl_future *other = ran(e);
		assert_ptr_not_equal(other, f);
		fl_future_free(other);
	}
	FL_PANICS_OF("fl_future_free", f, fl_future_free(f));
	fl_executor_free(e);
}

#ifdef FL__ASAN
static const char *kept_address;

static int keeps_an_address(void *arg)
{
	(void)arg;
	kept_address = __builtin_frame_address(0); /* a variable may be on a stack of the sanitizer's */
	return 0;
}

static int runs_a_fiber(void *arg)
{
	fl_fiber *f = NULL;
	(void)arg;
	FL_OK(fl_fiber_start(&f, keeps_an_address, NULL, NULL));
	FL_OK(fl_fiber_join(f, NULL));
	assert_true(__asan_address_is_poisoned(kept_address));
	return 0;
}

FL_TEST(freed_futures_and_stacks_are_poisoned)
{
	fl_loop *l = NULL;
	fl_executor *e = threads_of_one();
	fl_future *f = ran(e);
	assert_false(__asan_address_is_poisoned(&f->error));
	fl_future_free(f);
	assert_true(__asan_address_is_poisoned(&f->error));
	fl_executor_free(e);
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_run_on(l, runs_a_fiber, NULL));
	fl_loop_free(l);
}
#endif

/* The memory of freed futures is used again. */
FL_TEST(futures_that_are_checked_need_no_more_memory)
{
	enum { MANY = 2000 };
	static fl_future *seen[MANY];
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_executor *e = threads_of_one();
	size_t known = 0;
	for (size_t i = 0; i < MANY; i++) {
		size_t at = 0;
		fl_future *f = ran(e);
		while (at < known && seen[at] != f)
			at++;
		if (at == known)
			seen[known++] = f;
		fl_future_free(f);
	}
	assert_true(known < MANY / 2);
	fl_executor_free(e);
}

static int at_once(void *arg)
{
	(void)arg;
	return 0;
}

static int until_opened(void *arg)
{
	(void)arg;
	return fl_event_wait(&opened);
}

FL_TEST(thread_ended_twice_panics)
{
	fl_thread *t = NULL;
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	FL_OK(fl_thread_start(&t, at_once, NULL, NULL));
	FL_OK(fl_thread_join(t, NULL));
	FL_PANICS_OF("fl_thread_join_until", t, FL_IGNORE(fl_thread_join(t, NULL)));
	FL_PANICS_OF("fl_thread_detach", t, fl_thread_detach(t));
	fl_event_init(&opened);
	FL_OK(fl_thread_start(&t, until_opened, NULL, NULL));
	fl_thread_detach(t);
	FL_PANICS_OF("fl_thread_detach", t, fl_thread_detach(t));
	FL_PANICS_OF("fl_thread_join_until", t, FL_IGNORE(fl_thread_try_join(t, NULL)));
	fl_event_set(&opened);
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);
}

/* The memory of a joined thread belongs to the next one. */
FL_TEST(handle_with_the_address_of_an_ended_one_is_new)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	for (int i = 0; i < 100; i++) {
		fl_thread *t = NULL;
		FL_OK(fl_thread_start(&t, at_once, NULL, NULL));
		FL_OK(fl_thread_join(t, NULL));
	}
}

static int ends_fibers_twice(void *arg)
{
	fl_fiber *f = NULL;
	(void)arg;
	FL_OK(fl_fiber_start(&f, at_once, NULL, NULL));
	FL_OK(fl_fiber_join(f, NULL));
	FL_PANICS_OF("fl_fiber_join", f, FL_IGNORE(fl_fiber_join(f, NULL)));
	FL_PANICS_OF("fl_fiber_detach", f, fl_fiber_detach(f));
	FL_PANICS_OF("fl_fiber_free", f, fl_fiber_free(f));
	fl_event_init(&opened);
	FL_OK(fl_fiber_start(&f, until_opened, NULL, NULL));
	fl_fiber_detach(f);
	FL_PANICS_OF("fl_fiber_detach", f, fl_fiber_detach(f));
	FL_PANICS_OF("fl_fiber_join", f, FL_IGNORE(fl_fiber_join(f, NULL)));
	fl_event_set(&opened);
	fl_fiber_yield();
	FL_PANICS_OF("fl_fiber_join", f, FL_IGNORE(fl_fiber_join(f, NULL)));
	FL_OK(fl_fiber_start(&f, at_once, NULL, NULL));
	fl_fiber_free(f);
	return 0;
}

FL_TEST(fiber_ended_twice_panics)
{
	fl_loop *l = NULL;
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_run_on(l, ends_fibers_twice, NULL));
	fl_loop_free(l);
}

FL_TEST(executor_detached_twice_panics)
{
	fl_executor *e = threads_of_one();
	fl_event_init(&opened);
	FL_OK(ended_twice_waits_submit(e, NULL));
	FL_OK(fl_executor_detach(e));
	FL_PANICS_OF("fl_executor_detach", e, FL_IGNORE(fl_executor_detach(e)));
	FL_PANICS_OF("fl_executor_free", e, fl_executor_free(e));
	fl_event_set(&opened);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a declared type takes no parentheses */
#define FREED_TWICE(type, create)                                                                                      \
	{                                                                                                              \
		type *it = NULL;                                                                                       \
		FL_OK(create);                                                                                         \
		type##_free(it);                                                                                       \
		FL_PANICS_OF(#type "_free", it, type##_free(it));                                                      \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

FL_TEST(handle_freed_twice_panics)
{
	static const int numbers[] = {SIGUSR1};
	const char *const argv[] = {"true", NULL};
	fl_future *f = NULL;
	fl_pipe *other = NULL;
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	FREED_TWICE(fl_executor, fl_thread_executor_create(&it, NULL));
	FREED_TWICE(fl_executor, fl_sequential_executor_create(&it, NULL));
	FREED_TWICE(fl_executor, fl_process_executor_create(&it, &(fl_executor_config){.workers = 1}));
	FREED_TWICE(fl_executor, fl_loop_executor_create(&it, NULL));
	FREED_TWICE(fl_loop, fl_loop_create(&it, NULL));
	FREED_TWICE(fl_queue, fl_queue_create(&it, 4, NULL));
	FREED_TWICE(fl_mpmc, fl_mpmc_create(&it, 4, 4));
	FREED_TWICE(fl_spsc, fl_spsc_create(&it, 4, 4));
	FREED_TWICE(fl_promise, fl_promise_create(&it, 4, NULL, &f));
	fl_future_free(f);
	FREED_TWICE(fl_shm, fl_shm_create(&it, 1 << 16));
	FREED_TWICE(fl_signals, fl_signals_create(&it, numbers, 1));
	FREED_TWICE(fl_pipe, fl_pipe_create(&it, &other, NULL));
	fl_pipe_free(other);
	FREED_TWICE(fl_process, fl_process_start(&it, &(fl_process_config){.program = "true", .argv = argv}));
	fl_executor *e = threads_of_one();
	const int args[] = {1};
	FREED_TWICE(fl_imap, ended_twice_takes_imap(e, args, 1, &it, NULL));
	fl_executor_free(e);
	FREED_TWICE(fl_endpoint, fl_endpoint_create(&it, fl_test_abstract(), NULL));
	FREED_TWICE(fl_as_completed, fl_as_completed_create(&it, NULL, 0));
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, 1 << 20));
	FREED_TWICE(fl_shm_queue, fl_shm_queue_create(&it, region, &(fl_shm_queue_config){.item_size = 4}));
	fl_shm_free(region);
}

static int frees_connections_twice(void *arg)
{
	(void)arg;
	fl_listener *l = NULL;
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	FREED_TWICE(fl_stream, fl_stream_connect_tcp(&it, "127.0.0.1", fl_listener_port(l)));
	fl_listener_free(l);
	FL_PANICS_OF("fl_listener_free", l, fl_listener_free(l));
	FREED_TWICE(fl_datagram, fl_datagram_open_udp(&it, "127.0.0.1", 0, NULL));
	return 0;
}

FL_TEST(connection_freed_twice_panics)
{
	fl_loop *l = NULL;
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_run_on(l, frees_connections_twice, NULL));
	fl_loop_free(l);
}
