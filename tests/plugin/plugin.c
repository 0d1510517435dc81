/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin that uses every part of the library that starts a thread or a process, or stores data
 * for a thread.
 */
#include "plugin.h"

#include <fairlead.h>
#include <fairlead/process_executor.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "plugin.c:%d: %s\n", __LINE__, #condition);                              \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

enum { MANY = 4 };

struct shared {
	fl_shm_event never, set;
	fl_shm_mutex mutexes[MANY];
};

static fl_shm *region;
static struct shared *shared;
static fl_queue *queue;
static fl_queue *chain;
static fl_mutex mutex = FL_MUTEX_INIT;
static unsigned count, logged;
static bool has_fork_server;
static fl_event waits = FL_EVENT_INIT;

FL_TASK(plugin_doubles, int, int)
{
	*result = *arg * 2;
	return 0;
}

static void keep_log(fl_log_level level, const char *message)
{
	(void)level;
	(void)message;
	__atomic_fetch_add(&logged, 1, __ATOMIC_RELAXED);
}

/* Shared words: several bridges, one for each lock. */

static int lock_shared(void *mutex_of_all)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	CHECK(fl_shm_mutex_lock_until(mutex_of_all, FL_FOREVER, &token) == 0);
	fl_shm_mutex_unlock(mutex_of_all);
	return 0;
}

static void use_shared_locks(void)
{
	fl_thread *threads[MANY];
	for (int i = 0; i < MANY; i++) {
		CHECK(fl_shm_mutex_lock(&shared->mutexes[i]) == 0);
		CHECK(fl_thread_start(&threads[i], lock_shared, &shared->mutexes[i], NULL) == 0);
	}
	fl_cancel_token late;
	fl_cancel_token_init(&late, NULL, fl_after(FL_MS(1)));
	CHECK(FL_WAIT_ANY(FL_ON_SHM_EVENT(&shared->never), FL_ON_CANCEL_TOKEN(&late)) == 1);
	for (int i = 0; i < MANY; i++) {
		fl_shm_mutex_unlock(&shared->mutexes[i]);
		CHECK(fl_thread_join(threads[i], NULL) == 0);
	}
	fl_cancel_token_destroy(&late);
}

static int set_shared(void *unused)
{
	(void)unused;
	return fl_shm_event_set(&shared->set);
}

static void use_shared_words(void)
{
	fl_thread *setter;
	fl_shm_event_reset(&shared->set);
	CHECK(fl_thread_start(&setter, set_shared, NULL, NULL) == 0);
	CHECK(FL_WAIT_ANY(FL_ON_SHM_EVENT(&shared->never), FL_ON_SHM_EVENT(&shared->set)) == 1);
	CHECK(fl_thread_join(setter, NULL) == 0);
}

/* Descriptors: the watcher. */

static int ring(void *fd)
{
	const uint64_t one = 1;
	return write(*(int *)fd, &one, sizeof one) == (ssize_t)sizeof one ? 0 : -EIO;
}

static void use_descriptors(void)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_thread *ringer;
	int result = -1, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(fd >= 0);
	CHECK(fl_fd_wait_until(fd, FL_FD_IN, fl_after(FL_US(100)), &token) == -ETIMEDOUT);
	CHECK(fl_thread_start(&ringer, ring, &fd, NULL) == 0);
	CHECK(fl_fd_wait_until(fd, FL_FD_IN, FL_FOREVER, &token) == 0);
	CHECK(fl_thread_join(ringer, &result) == 0 && result == 0);
	CHECK(close(fd) == 0);
	fl_cancel_token_destroy(&token);
}

/* Timers. */

static void count_call(void *calls)
{
	__atomic_fetch_add((unsigned *)calls, 1, __ATOMIC_RELAXED);
}

static void use_timers(void)
{
	unsigned calls = 0;
	fl_timer once = FL_TIMER_INIT;
	FL_SCOPED(fl_timer) periodic = FL_TIMER_INIT;
	CHECK(fl_timer_start_every(&periodic, FL_NO_WAIT, FL_MS(1), count_call, &calls) == 0);
	CHECK(fl_timer_start(&once, fl_after(FL_US(10)), count_call, &calls) == 0);
	CHECK(fl_timer_join(&once) == 0);
	CHECK(__atomic_load_n(&calls, __ATOMIC_RELAXED) > 0);
}

/* Processes. */

static bool exists(int pid)
{
	return kill(pid, 0) == 0;
}

static void use_programs(void)
{
	fl_process *ended = NULL, *runs = NULL, *daemon = NULL;
	int in[2];
	CHECK(fl_process_start(&ended, &(fl_process_config){.program = "true"}) == 0);
	CHECK(fl_process_join(ended, NULL) == 0);
	fl_process_free(ended);

	CHECK(pipe2(in, O_CLOEXEC) == 0);
	const fl_process_config config = {.program = "cat", .in = FL_PROCESS_FD(in[0])};
	CHECK(fl_process_start(&runs, &config) == 0);
	const int pid = fl_process_pid(runs);
	CHECK(close(in[0]) == 0);
	fl_process_free(runs); /* it is freed, then it ends */
	CHECK(close(in[1]) == 0);
	while (exists(pid))
		(void)sched_yield();

	CHECK(fl_process_start(&daemon, &(fl_process_config){.program = "cat", .daemon = true}) == 0);
	fl_process_free(daemon); /* killed; the manager is still to collect it */

	CHECK(fl_process_start(&daemon, &(fl_process_config){.program = "/nowhere"}) == -ENOENT);
	CHECK(__atomic_load_n(&logged, __ATOMIC_RELAXED) > 0);
}

static void map_on(fl_executor *e)
{
	int numbers[MANY], doubled[MANY];
	for (int i = 0; i < MANY; i++)
		numbers[i] = i;
	CHECK(plugin_doubles_map(e, numbers, MANY, doubled, NULL) == 0);
	for (int i = 0; i < MANY; i++)
		CHECK(doubled[i] == 2 * i);
	fl_executor_free(e);
}

static void use_task_processes(void)
{
	FL_SCOPED(fl_process) *p = NULL;
	fl_process_status status;
	fl_executor *e;
	const int number = 21;
	CHECK(fl_process_start(&p, &(fl_process_config){.task = &plugin_doubles, .arg = &number}) == 0);
	CHECK(fl_process_join(p, &status) == 0 && status.code == 0);
	CHECK(fl_process_executor_create(&e, &(fl_executor_config){.workers = 2}) == 0);
	map_on(e);
}

static void use_executors(void)
{
	fl_executor *e;
	CHECK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 3}) == 0);
	map_on(e);
	CHECK(fl_loop_executor_create(&e, NULL) == 0);
	map_on(e);
	CHECK(fl_sequential_executor_create(&e, NULL) == 0);
	map_on(e);
}

/* Fibers. */

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

static int fiber(void *unused)
{
	fl_fiber *f;
	int result = -1, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)unused;
	CHECK(fl_fiber_start(&f, ring, &fd, NULL) == 0);
	CHECK(fl_fd_wait(fd, FL_FD_IN) == 0);
	CHECK(fl_fiber_join(f, &result) == 0 && result == 0);
	CHECK(close(fd) == 0);
	CHECK(fl_blocking_call(nothing, NULL, &result) == 0);
	CHECK(fl_fiber_start(&f, set_shared, NULL, NULL) == 0);
	CHECK(fl_shm_event_wait(&shared->set) == 0);
	CHECK(fl_fiber_join(f, &result) == 0);
	return 0;
}

static void run_loop(void)
{
	CHECK(fl_loop_run(nothing, NULL) == 0);
}

static void catch_quit(void)
{
	CHECK(fl_debug_enable(FL_DEBUG_WAITS) == 0 && fl_trace_enable("ring,file=/dev/null/trace") == 0);
}

static void use_fibers(void)
{
	fl_shm_event_reset(&shared->set);
	CHECK(fl_loop_run(fiber, NULL) == 0);
}

/* Locks, queues, locals. */

static void never(void *value)
{
	CHECK(!value); /* this code is unloaded before the threads end that set the value */
}

static fl_local locals[] = {FL_LOCAL_INIT(never), FL_LOCAL_INIT(never), FL_LOCAL_INIT(never)};

static void use_here(void)
{
	int item = 7;
	for (size_t i = 0; i < sizeof locals / sizeof locals[0]; i++)
		CHECK(fl_local_set(&locals[i], &count) == 0);
	for (int i = 0; i < 100; i++) {
		{
			FL_LOCKED(&mutex);
			count++;
		}
		CHECK(fl_queue_put(queue, &item) == 0 && fl_queue_get(queue, &item) == 0);
		CHECK(fl_queue_try_put(chain, &item) == 0 && fl_queue_try_get(chain, &item) == 0);
	}
	use_shared_words();
	use_descriptors();
	use_timers();
}

static int use_by_a_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		FL_LOCKED(&mutex);
		count++;
	}
	return 0;
}

static void use_locks(void)
{
	fl_thread *threads[MANY];
	for (int i = 0; i < MANY; i++)
		CHECK(fl_thread_start(&threads[i], use_by_a_thread, NULL, NULL) == 0);
	for (int i = 0; i < MANY; i++)
		CHECK(fl_thread_join(threads[i], NULL) == 0);
}

/* The interface. */

static void begin(const fl_allocator *allocator, bool forks)
{
	fl_allocator_set(allocator);
	(void)fl_log_set_handler(keep_log);
	has_fork_server = forks;
	if (forks)
		CHECK(fl_process_preload() == 0);
	CHECK(fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS) == 0);
	CHECK(fl_shm_create(&region, 1 << 16) == 0);
	shared = fl_shm_block_alloc(region, sizeof *shared);
	CHECK(shared != NULL);
	CHECK(fl_queue_create(&queue, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED}) == 0);
	CHECK(fl_queue_create(&chain, sizeof(int), &(fl_queue_config){.capacity = FL_UNBOUNDED}) == 0);
	fl_shm_event_init(&shared->never);
	fl_shm_event_init(&shared->set);
	for (int i = 0; i < MANY; i++)
		fl_shm_mutex_init(&shared->mutexes[i]);
}

static void use_all(void)
{
	use_here();
	use_locks();
	use_shared_locks();
	use_programs();
	if (has_fork_server)
		use_task_processes();
	use_executors();
	use_fibers();
}

static void detach_after_a_task(fl_executor *e)
{
	FL_SCOPED(fl_future) *f = NULL;
	int doubled = 0;
	CHECK(plugin_doubles_submit(e, 4, &f) == 0);
	CHECK(fl_executor_detach(e) == 0);
	CHECK(plugin_doubles_get(f, &doubled) == 0 && doubled == 8);
}

static void detach_all(void)
{
	fl_executor *e;
	if (has_fork_server) {
		CHECK(fl_process_executor_create(&e, &(fl_executor_config){.workers = 2}) == 0);
		detach_after_a_task(e);
	}
	for (int i = 0; i < MANY; i++) {
		CHECK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 2}) == 0);
		detach_after_a_task(e);
	}
	CHECK(fl_loop_executor_create(&e, NULL) == 0);
	detach_after_a_task(e);
	CHECK(fl_sequential_executor_create(&e, NULL) == 0);
	detach_after_a_task(e);
}

static void wait_here(void)
{
	fl_pipe *a, *b;
	CHECK(fl_pipe_create(&a, &b, NULL) == 0);
	fl_event_set(&waits);
	FL_IGNORE(FL_WAIT_ANY(FL_ON_SHM_EVENT(&shared->never), FL_ON_PIPE(a)));
	abort();
}

static bool is_waiting(void)
{
	return fl_event_is_set(&waits);
}

static void end(void)
{
	fl_queue_free(chain);
	fl_queue_free(queue);
	fl_shm_free(region);
}

extern const struct plugin plugin;
__attribute__((visibility("default")))
const struct plugin plugin = {begin, use_all, use_here, detach_all, wait_here, is_waiting, end, run_loop, catch_quit};
