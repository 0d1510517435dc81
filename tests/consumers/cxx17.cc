// SPDX-License-Identifier: BSD-2-Clause
// Fairlead from C++17: a call of every public function, which compiles and links but never runs,
// and each kind of macro, run. consumers.py writes EACH_FUNCTION(X) above this text, X(name) for
// each function of the headers.
#include <fairlead.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                    \
			std::exit(1);                                                                                  \
		}                                                                                                      \
	} while (0)

template <typename Result, typename... Args>
static void call(Result (*function)(Args...))
{
	(void)function(Args()...);
}

template <typename Result, typename... Args>
static void call(Result (*function)(Args..., ...))
{
	(void)function(Args()...);
}

static void call_each()
{
#define CALL(name) call(name);
	EACH_FUNCTION(CALL)
}

static fl_mutex a_mutex = FL_MUTEX_INIT;
static fl_rmutex an_rmutex = FL_RMUTEX_INIT;
static fl_rwlock a_rwlock = FL_RWLOCK_INIT;
static fl_cond a_cond = FL_COND_INIT;
static fl_sem a_sem = FL_SEM_INIT(2), bounded = FL_SEM_BOUNDED_INIT(2);
static fl_event an_event = FL_EVENT_INIT, bell = FL_EVENT_AUTO_INIT;
static fl_latch a_latch = FL_LATCH_INIT(2);
static fl_once a_once = FL_ONCE_INIT;
static fl_barrier a_barrier = FL_BARRIER_INIT(1);
static fl_local a_local = FL_LOCAL_INIT(std::free);
static fl_shm_mutex a_shm_mutex = FL_SHM_MUTEX_INIT, recursive = FL_SHM_MUTEX_RECURSIVE_INIT;
static fl_shm_cond a_shm_cond = FL_SHM_COND_INIT;

static int succeed(void *)
{
	return 0;
}

// All-zero initializers, and the scopes that scopes.c does not have.
static void initializers()
{
	FL_SCOPED(fl_cancel_token) token = FL_CANCEL_TOKEN_INIT;
	FL_SCOPED(fl_cancel_callback) callback = FL_CANCEL_CALLBACK_INIT;
	FL_SCOPED(fl_timer) timer = FL_TIMER_INIT;
	FL_SCOPED(fl_group) group = FL_GROUP_INIT(nullptr), late = FL_GROUP_INIT_UNTIL(nullptr, fl_after(FL_S(1)));
	FL_CANCEL_SCOPE(&token);
	CHECK(fl_cancel_scope_current() == &token && fl_cancel_callback_remove(&callback));
	CHECK(fl_timer_try_join(&timer) == 0);
	CHECK(fl_group_count(&group) == 0 && fl_group_count(&late) == 0);
	CHECK(fl_cond_wait_until(&a_cond, (fl_mutex_lock(&a_mutex), &a_mutex), FL_NO_WAIT, FL_SHIELDED) == -ETIMEDOUT);
	fl_mutex_unlock(&a_mutex);
	CHECK(fl_rmutex_depth(&an_rmutex) == 0 && fl_rwlock_try_write_lock(&a_rwlock) == 0);
	fl_rwlock_write_unlock(&a_rwlock);
	CHECK(fl_sem_value(&a_sem) == 2 && fl_sem_try_release_n(&bounded, 1) == -EOVERFLOW);
	fl_event_set(&bell);
	CHECK(fl_event_wait_until(&bell, FL_NO_WAIT, FL_SHIELDED) == 0 && !fl_event_is_set(&bell) &&
	      !fl_event_is_set(&an_event));
	CHECK(fl_latch_count(&a_latch) == 2 && fl_once_call(&a_once, succeed, nullptr) == 0);
	CHECK(fl_barrier_wait(&a_barrier) == 0 && fl_local_get(&a_local) == nullptr);
	CHECK(!fl_shm_mutex_is_locked(&a_shm_mutex) && fl_shm_mutex_depth(&recursive) == 0);
	fl_shm_cond_destroy(&a_shm_cond);
	CHECK(std::strcmp(fl_version(), FL_VERSION) == 0);
	FL_IGNORE(fl_sleep_until(FL_NO_WAIT, nullptr));
}

// A config is filled by assignment.
static void lists()
{
	FL_SCOPED(fl_queue) *q = nullptr;
	fl_queue_config config{};
	config.capacity = FL_UNBOUNDED;
	int item = 7, got = 0;
	CHECK(fl_queue_create(&q, sizeof(int), &config) == 0 && fl_queue_capacity(q) == FL_UNBOUNDED);
	CHECK(FL_SELECT_UNTIL(FL_NO_WAIT, nullptr, FL_GET(q, &got)) == -ETIMEDOUT);
	CHECK(FL_SELECT(FL_PUT(q, &item)) == 0 && FL_SELECT(FL_GET(q, &got)) == 0 && got == 7);
	CHECK(FL_WAIT_ANY_UNTIL(FL_NO_WAIT, nullptr, FL_ON_EVENT(&an_event), FL_ON_QUEUE(q)) == -ETIMEDOUT);
	fl_event_set(&an_event);
	CHECK(FL_WAIT_ANY(FL_ON_QUEUE(q), FL_ON_EVENT(&an_event)) == 1 && FL_WAIT_ANY(FL_ON_QUEUE_SPACE(q)) == 0);
}

// The other objects of FL_WAIT_ANY, by their types.
[[maybe_unused]] static void objects(fl_thread *thread, fl_future *future, fl_group *group, fl_fiber *fiber,
                                     fl_pipe *pipe, fl_process *process, fl_shm_queue *queue, fl_shm_event *event,
                                     fl_shm_sem *sem)
{
	fl_cancel_token never = FL_CANCEL_TOKEN_INIT;
	FL_IGNORE(FL_WAIT_ANY(FL_ON_SEM(&a_sem), FL_ON_LATCH(&a_latch), FL_ON_CANCEL_TOKEN(&never),
	                      FL_ON_THREAD(thread), FL_ON_FUTURE(future), FL_ON_GROUP(group), FL_ON_FIBER(fiber),
	                      FL_ON_PIPE(pipe), FL_ON_PIPE_SPACE(pipe), FL_ON_PROCESS(process), FL_ON_SHM_QUEUE(queue),
	                      FL_ON_SHM_QUEUE_SPACE(queue), FL_ON_SHM_EVENT(event), FL_ON_SHM_SEM(sem)));
}

struct job {
	int number;
};
FL_QUEUE_OF(job, job_queue)
FL_MPMC_OF(job, job_ring)
FL_SPSC_OF(job, job_lane)
FL_SHM_QUEUE_OF(job, job_pipe)
FL_SHM_VALUE_OF(job, job_value)
FL_SHM_ARRAY_OF(job, job_array)
FL_PROMISE_OF(::job, job_promise)

static int add_one(job *j, void *)
{
	j->number++;
	return 0;
}

static void typed()
{
	FL_SCOPED(job_queue) *q = nullptr;
	FL_SCOPED(job_ring) *ring = nullptr;
	FL_SCOPED(job_lane) *lane = nullptr;
	FL_SCOPED(fl_shm) *region = nullptr;
	FL_SCOPED(fl_promise) *promise = nullptr;
	FL_SCOPED(fl_future) *future = nullptr;
	job two[2] = {{2}, {3}}, got = {};
	size_t n = 0;
	CHECK(job_queue_create(&q, nullptr) == 0 && job_queue_put_many(q, two, 2, &n) == 0 && n == 2 &&
	      job_queue_get(q, &got) == 0);
	CHECK(job_ring_create(&ring, 3) == 0 && job_ring_try_put(ring, two[1]) == 0 &&
	      job_ring_try_get(ring, &got) == 0);
	CHECK(job_lane_create(&lane, 3) == 0 && job_lane_try_put(lane, got) == 0 && job_lane_try_get(lane, &got) == 0 &&
	      got.number == 3);
	CHECK(fl_shm_create(&region, 1 << 16) == 0);
	{
		FL_SCOPED(job_pipe) *pipe = nullptr;
		CHECK(job_pipe_create(&pipe, region, nullptr) == 0 && job_pipe_put(pipe, got) == 0 &&
		      job_pipe_get(pipe, &got) == 0);
	}
	job_value value = {};
	CHECK(job_value_set(&value, {4}) == 0 && job_value_update(&value, add_one, nullptr) == 0);
	CHECK(job_value_get(&value).number == 5);
	job_array array;
	CHECK(job_array_create(&array, region, 10) == 0 && job_array_at(&array, 9)->number == 0);
	auto *block = static_cast<job *>(fl_shm_block_alloc(region, sizeof(job)));
	CHECK(FL_SHM_AT(region, job, fl_shm_offset_of(region, block)) == block);
	CHECK(job_promise_create(&promise, nullptr, &future) == 0 && job_promise_set(promise, {6}) == 0);
	CHECK(job_promise_get(future, &got) == 0 && got.number == 6);
}

static int dropped;

static void drop_one(void *)
{
	dropped++;
}

struct sides {
	int a, b;
};

FL_TASK(area, struct sides, long, .version = 2, .drop_arg = drop_one)
{
	FL_BLOCKING();
	if (arg->a < 0)
		return fl_task_fail(ctx, -EDOM, "%d is no length", arg->a);
	*result = long{arg->a} * arg->b;
	return 0;
}

FL_TASK_STATIC(nothing, void, void)
{
	return 0;
}

FL_TASK_DECLARE(one_more, int, int)
FL_TASK_DEFINE(one_more, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TASK(echo, fl_bytes, fl_bytes)
{
	return fl_bytes_ref(result, arg);
}

static void tasks()
{
	FL_SCOPED(fl_executor) *e = nullptr;
	FL_SCOPED(fl_future) *f = nullptr, *g = nullptr, *h = nullptr, *i = nullptr;
	CHECK(fl_thread_executor_create(&e, nullptr) == 0);
	CHECK(area.version == 2 && nothing.arg_size == 0);
	long value = 0;
	CHECK(area_submit(e, {6, 7}, &f) == 0 && area_get(f, &value) == 0 && value == 42);
	CHECK(area_submit(e, {-1, 7}, &g) == 0 && area_get_until(g, &value, FL_FOREVER, nullptr) == FL_ETASK);
	CHECK(std::strcmp(fl_future_message(g), "-1 is no length") == 0);
	CHECK(nothing_submit(e, &h) == 0 && nothing_get(h) == 0);
	const int numbers[] = {1, 2, 3};
	int more[3] = {};
	CHECK(one_more_map(e, numbers, 3, more, nullptr) == 0 && more[0] == 2 && more[2] == 4);
	FL_SCOPED(fl_bytes) text = {};
	CHECK(echo_submit(e, fl_bytes_of_text("three"), &i) == 0 && echo_get(i, &text) == 0);
	FL_BYTES_EACH (char, letter, text)
		more[0] += *letter == 'e';
	CHECK(more[0] == 4);
	CHECK(fl_executor_join(e) == 0 && dropped == 2);
}

FL_PROCESS_HOOK;

static void processes()
{
	FL_SCOPED(fl_process) *p = nullptr;
	fl_process_config config = {};
	const char *const argv[] = {"true", nullptr};
	config.program = "true";
	config.argv = argv;
	config.out = FL_PROCESS_NULL;
	config.err = FL_PROCESS_FD(2);
	fl_process_status status = {};
	CHECK(fl_process_start(&p, &config) == 0 && fl_process_join(p, &status) == 0 && status.code == 0);
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	if (argc > 1000)
		call_each();
	initializers();
	lists();
	typed();
	tasks();
	processes();
	std::puts("ok");
}
