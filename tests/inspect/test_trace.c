/* SPDX-License-Identifier: BSD-2-Clause */
/* The flight recorder, in one process. Each file that a case writes is checked as a whole. */
#include "fl_debugging.h"

#include "fl_faults.h"
#include "fl_pool.h"
#include "inspect/trace.h"

/* The file. */

enum { TRACE_LINES = 20000, TRACE_BYTES = 1 << 23 };

static char trace_text[TRACE_BYTES];
static struct trace_line {
	char phase, *text;
	unsigned tid, pid;
	double time; /* us */
	int used;    /* by an arrow */
} trace_lines[TRACE_LINES];
static size_t trace_n;

static const char *trace_field(const struct trace_line *l, const char *name)
{
	char key[32];
	FL_TEXT(key, "\"%s\":", name);
	const char *at = strstr(l->text, key);
	return at ? at + strlen(key) : NULL;
}

static bool trace_says(const struct trace_line *l, const char *name, const char *value)
{
	const char *at = trace_field(l, name);
	return at && strncmp(at, value, strlen(value)) == 0;
}

static double trace_number(const struct trace_line *l, const char *name)
{
	const char *at = trace_field(l, name);
	return at ? strtod(at, NULL) : -1;
}

/* Lines, each a JSON object of its own. */
static void trace_split(void)
{
	char *next = strstr(trace_text, "\n\"traceEvents\":[\n");
	assert_non_null(next);
	assert_true(strncmp(trace_text, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"pid\":", 43) == 0);
	trace_n = 0;
	for (next += 17; *next == '{'; trace_n++) {
		struct trace_line *l = &trace_lines[trace_n];
		assert_true(trace_n < TRACE_LINES);
		l->text = next;
		next = strchr(next, '\n');
		assert_non_null(next);
		const bool last = strcmp(next, "\n]}\n") == 0;
		FL_CHECK(next[-1] == (last ? '}' : ','));
		*next++ = '\0';
		int quotes = 0, depth = 0;
		for (const char *c = l->text; *c; c++) {
			FL_CHECK(*c >= ' ' && *c <= '~');
			if (*c == '\\')
				c++;
			else if (*c == '"')
				quotes++;
			else if (quotes % 2 == 0)
				depth += (*c == '{') - (*c == '}');
		}
		FL_CHECK(quotes % 2 == 0 && depth == 0);
		l->phase = trace_field(l, "ph")[1];
		l->tid = (unsigned)trace_number(l, "tid");
		l->pid = (unsigned)trace_number(l, "pid");
		l->time = trace_number(l, "ts");
		l->used = 0;
	}
	assert_string_equal(next, "]}\n");
}

/* Whether the line's arrow is inside of a slice: an open one, or that of the line before. */
static bool trace_is_inside(size_t i)
{
	int open = 0;
	for (size_t k = 0; k < i; k++)
		if (trace_lines[k].tid == trace_lines[i].tid && trace_lines[k].pid == trace_lines[i].pid) {
			open += (trace_lines[k].phase == 'B') - (trace_lines[k].phase == 'E');
			if (trace_lines[k].phase == 'X' && trace_lines[k].time == trace_lines[i].time)
				return true;
		}
	return open > 0;
}

static void trace_check(void)
{
	for (size_t i = 0; i < trace_n; i++) {
		const struct trace_line *l = &trace_lines[i];
		int ends = 0, open = 0;
		for (size_t k = 0; k < i; k++)
			if (trace_lines[k].tid == l->tid && trace_lines[k].pid == l->pid &&
			    trace_lines[k].phase != 'M') {
				FL_CHECK(trace_lines[k].time <= l->time);
				open += (trace_lines[k].phase == 'B') - (trace_lines[k].phase == 'E');
			}
		FL_CHECK(l->phase != 'E' || open > 0);
		if (l->phase != 's' && l->phase != 'f')
			continue;
		FL_CHECK(trace_is_inside(i));
		for (size_t k = 0; k < trace_n; k++)
			if (k != i && trace_number(&trace_lines[k], "id") == trace_number(l, "id")) {
				FL_CHECK(trace_lines[k].phase == (l->phase == 's' ? 'f' : 's'));
				FL_CHECK((k > i) == (l->phase == 's'));
				FL_CHECK(strcmp(trace_field(l, "name"), "") != 0);
				ends++;
			}
		FL_CHECK(ends == 1);
	}
}

static void trace_read(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	FL_CHECK(fd >= 0);
	fl_test_take(fd, trace_text, sizeof trace_text);
	FL_OK(unlink(path));
	trace_split();
	trace_check();
}

static char trace_prefix[64], trace_path[96];

static void trace_write(void)
{
	FL_OK(fl_trace_write(trace_path));
	trace_read(trace_path);
}

static int trace_stop(void)
{
	FL_OK(fl_trace_enable(NULL));
	(void)fl_log_set_handler(NULL);
	return 0;
}

static void trace_record(const char *more)
{
	char settings[128];
	if (!*trace_prefix) {
		FL_TEXT(trace_prefix, "/tmp/fairlead-trace-%ld", (long)getpid());
		FL_TEXT(trace_path, "%s.json", trace_prefix);
	}
	fl_test_said_bytes = 0;
	fl_test_said[0] = '\0';
	(void)fl_log_set_handler(fl_test_hear);
	FL_TEXT(settings, "ring,events=256,signal=0,file=%s%s", trace_prefix, more);
	FL_OK(fl_trace_enable(settings));
}

/* Records until the end of the block. */
#define TRACING(more)                                                                                                  \
	FL_FAULTS();                                                                                                   \
	FL_RESTORES(trace_stop);                                                                                       \
	trace_record(more)

/* The first line, from `*at` on, with that name; moves `*at` behind it. NULL: none. */
static const struct trace_line *trace_find(size_t *at, char phase, const char *name)
{
	char quoted[64];
	FL_TEXT(quoted, "\"%s\"", name);
	for (; *at < trace_n; ++*at)
		if (trace_lines[*at].phase == phase && (!*name || trace_says(&trace_lines[*at], "name", quoted)))
			return &trace_lines[(*at)++];
	return NULL;
}

static const struct trace_line *trace_first(char phase, const char *name)
{
	size_t at = 0;
	return trace_find(&at, phase, name);
}

static int trace_count(char phase, const char *name)
{
	int n = 0;
	for (size_t at = 0; trace_find(&at, phase, name); n++)
		;
	return n;
}

/* `phases` are lines of one track, in this order, perhaps with others between: "X:submit a". */
static void trace_has_in_order(const char *const *phases, size_t n)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++)
		if (!trace_find(&at, phases[i][0], phases[i] + 2))
			fail_msg("no %s in:\n%s", phases[i], trace_text);
}
#define TRACE_HAS(...)                                                                                                 \
	trace_has_in_order((const char *const[]){__VA_ARGS__},                                                         \
	                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* The arrow that ends in the track `to` began in `from`. */
static void trace_arrow(const char *name, unsigned from, unsigned to)
{
	for (size_t at = 0;;) {
		const struct trace_line *s = trace_find(&at, 's', name), *f;
		assert_non_null(s);
		for (size_t k = 0; (f = trace_find(&k, 'f', name)) != NULL;)
			if (trace_number(f, "id") == trace_number(s, "id") && s->tid == from && f->tid == to)
				return;
	}
}

static unsigned trace_me(void)
{
	return (unsigned)fl__ctx_get()->id;
}

/* Lines of this thread's track: other threads may wait during the test. */
static int trace_mine(char phase)
{
	int n = 0;
	for (size_t i = 0; i < trace_n; i++)
		n += trace_lines[i].phase == phase && trace_lines[i].tid == trace_me();
	return n;
}

static void trace_lacks_memory(void *unused)
{
	for (int i = 0; i < 2; i++) /* told once */
		FL_RC(fl_trace_enable("ring,signal=0"), -ENOMEM);
}

/* The first case: later the recorder was on before. */
FL_TEST(trace_that_was_never_on_has_no_data)
{
	char said[256];
	FL_FAULTS();
	FL_RC(fl__trace_rings.mask, 0);
	FL_RC(fl_trace_write("/tmp/fairlead-no-trace.json"), -ENODATA);
	fl__sys.map = fl_test_no_memory;
	fl_test_stderr(trace_lacks_memory, NULL, said, sizeof said);
	assert_string_equal(said, "fairlead: warning: trace: a thread is not recorded: out of memory, or of rings\n");
	FL_RC(fl_trace_write("/tmp/fairlead-no-trace.json"), -ENODATA);
	fl__sys.map = fl_test_real_sys.map;
	TRACING("");
	FL_OK(fl_event_wait_until(&(fl_event)FL_EVENT_INIT, fl_after(1), NULL) == -ETIMEDOUT ? 0 : 1);
	trace_write();
	FL_RC(trace_count('B', "event"), 1);
}

/* A clock that goes on by a nanosecond with each look. */
static int64_t trace_clock(void)
{
	return fl__add_relaxed(&fl_test_ahead, 1);
}

static void trace_clock_ours(void)
{
	fl_test_clock_ours();
	fl__store_relaxed(&fl_test_ahead, fl__sys.now());
	fl__sys.now = trace_clock;
}

static char trace_said[1 << 14];

static int trace_says_times(const char *what)
{
	int n = 0;
	for (const char *at = trace_said; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static int trace_print_full(int fd, const char *text, size_t size)
{
	return fd == STDERR_FILENO ? fl_test_real_sys.print(fd, text, size) : -ENOSPC;
}

/*
 * In a child, which counts its files by itself. Before all cases with threads: an emulator may
 * start none in a child if a thread of its parent has just ended.
 */
static void trace_queue_slowly(void *unused)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	trace_record(",slow=100ms,signal=3");
	trace_clock_ours();
	fl__sys.print = trace_print_full;
	struct held held = hold_worker(e);
	FL_OK(fl_executor_submit(e, &pool_nothing, NULL, NULL));
	fl__add_relaxed(&fl_test_ahead, FL_S(7) + FL_US(500)); /* whatever the rounding */
	let_go(&held);
	FL_OK(fl_executor_join(e));
	FL_OK(raise(SIGQUIT));
}

FL_TEST(trace_tells_of_a_slow_queue_and_of_a_full_disk)
{
	TRACING("");
	FL_OK(fl_test_child(trace_queue_slowly, NULL, trace_said, sizeof trace_said));
	FL_RC(trace_says_times(") starts a task that was in the queue: pool_nothing for 7.000 s; trace: error 28\n"),
	      1);
	FL_RC(trace_says_times(" cannot be written: error 28\n"), 1);
}

/* Tasks. */

FL_TEST(trace_has_a_task_from_its_submit_to_its_get)
{
	int result;
	FL_SCOPED(fl_executor) *e = pool_with(1);
	TRACING("");
	FL_OK(fl_test_run_task(e, &pool_double, &(int){4}, &result));
	trace_write();
	TRACE_HAS("X:submit pool_double", "s:start", "B:pool_double", "f:start", "s:end", "E:", "X:get pool_double",
	          "f:end");
	const struct trace_line *run = trace_first('B', "pool_double"),
				*submit = trace_first('X', "submit pool_double");
	trace_arrow("start", trace_me(), run->tid);
	trace_arrow("end", run->tid, trace_me());
	/* a unit of the stamp is 1,024 ns */
	FL_CHECK(trace_number(run, "queued") >= 0 && trace_number(run, "queued") <= run->time - submit->time + 1.1);
	const struct trace_line *thread = trace_first('M', "thread_name");
	while (thread->tid != run->tid)
		thread++;
	fl_test_contains(thread->text, "\"name\":\"worker-0\"");
}

FL_TASK_STATIC(trace_fails, int, void)
{
	return -*arg;
}

FL_TEST(trace_has_each_way_to_run_a_task)
{
	int numbers[4] = {1, 2, 3, 4}, doubled[4];
	TRACING("");
	fl_executor *e = fl_test_executor(fl_sequential_executor_create, NULL);
	fl_future *f = FL_SUBMITTED(trace_fails, e, EPIPE);
	fl_test_future_ends(f, -EPIPE, "");
	fl_future_free(f);
	FL_OK(pool_nothing_submit_with(e, &f, NULL));
	FL_OK(pool_nothing_get(f));
	fl_future_free(f);
	FL_OK(fl_executor_map(e, &pool_double, numbers, 4, doubled, NULL));
	fl_executor_free(e);
	trace_write();
	TRACE_HAS("X:submit trace_fails", "s:start", "B:trace_fails", "f:start", "s:end", "E:");
	TRACE_HAS("X:submit pool_nothing", "B:pool_nothing", "f:start", "s:end", "E:", "X:get pool_nothing", "f:end");
	const struct trace_line *failed = trace_first('E', "");
	FL_RC(trace_number(failed, "error"), EPIPE);
	FL_RC(trace_mine('B'), trace_mine('E'));
}

FL_TEST(trace_has_the_cancel_of_a_pending_task)
{
	fl_future *f;
	FL_SCOPED(fl_executor) *e = pool_with(1);
	TRACING("");
	struct held held = hold_worker(e);
	FL_OK(pool_nothing_submit(e, &f));
	FL_OK(fl_future_cancel(f));
	fl_future_free(f);
	let_go(&held);
	trace_write();
	TRACE_HAS("X:submit pool_nothing", "s:start", "X:cancel", "f:start");
	FL_RC(trace_count('B', "pool_nothing"), 0);
}

/* The second submit would go the short way. */
FL_TEST(trace_has_tasks_of_the_short_way_of_a_submit)
{
	fl_future *f[3];
	FL_SCOPED(fl_executor) *e = pool_with(1);
	TRACING("");
	FL_EACH (i, f) {
		FL_OK(pool_nothing_submit(e, &f[i]));
		FL_OK(fl_future_wait(f[i]));
		fl_future_free(f[i]);
	}
	trace_write();
	FL_RC(trace_count('X', "submit pool_nothing"), 3);
	FL_RC(trace_count('f', "start"), 3);
	FL_RC(trace_count('f', "end"), 3);
	FL_OK(fl_trace_enable(NULL));
	FL_OK(pool_nothing_submit(e, &f[0]));
	FL_OK(fl_future_wait(f[0]));
	fl_future_free(f[0]);
	trace_write();
	FL_RC(trace_count('X', "submit pool_nothing"), 3); /* what was recorded stays */
}

/* A task that began before the recorder was on has no begin, and not the time of its submit. */
FL_TEST(trace_leaves_out_ends_without_a_begin)
{
	fl_future *f;
	FL_SCOPED(fl_executor) *e = pool_with(1);
	TRACING("");
	FL_OK(fl_trace_enable(NULL));
	struct held held = hold_worker(e);
	FL_OK(pool_nothing_submit(e, &f));
	trace_record("");
	let_go(&held);
	FL_OK(fl_future_wait(f));
	fl_future_free(f);
	trace_write();
	FL_RC(trace_count('B', "hold"), 0);
	FL_RC(trace_count('B', "pool_nothing"), 1);
	FL_RC(trace_count('X', "submit pool_nothing"), 0);
	FL_RC(trace_count('f', "start"), 0);
}

/* Waits. */

static int trace_lock_and_leave(void *m)
{
	fl_mutex_lock(m);
	fl_mutex_unlock(m);
	return 0;
}

static fl_mutex trace_mutex;

static uint32_t trace_sleeps; /* calls of futex_wait() for waits of the thread below */
static uint32_t trace_stays;  /* 1: no call returns */
static _Thread_local bool trace_counts;

FL_TEST_FUTEX_WAIT(trace_sleep)
{
	/* Of lib/core/wait/thread_parker.c; other words are locks of the library, not waits. */
	enum { ASLEEP = 3 };
	fl__add_relaxed(&trace_sleeps, trace_counts && expected == ASLEEP);
	const int rc = fl_test_clock_wait(word, expected, deadline);
	while (fl__load_relaxed(&trace_stays))
		fl__sys.yield();
	return rc;
}

struct trace_sleeper {
	fl_thread_function *function;
	void *arg;
};

static int trace_begin_sleeper(void *sleeper)
{
	const struct trace_sleeper s = *(struct trace_sleeper *)sleeper;
	trace_counts = true;
	return s.function(s.arg);
}

/*
 * Runs `function(arg)` on a thread, until it sleeps. Other threads of the process may sleep, too.
 */
static void trace_sleep_in(fl_thread **t, fl_thread_function *function, void *arg)
{
	static struct trace_sleeper sleeper; /* until the thread has read it, the frame may be gone */
	sleeper = (struct trace_sleeper){function, arg};
	fl__sys.futex_wait = trace_sleep;
	fl__store_relaxed(&trace_sleeps, 0);
	fl_test_go(t, trace_begin_sleeper, &sleeper);
	FL_WAIT_FOR(fl__load_relaxed(&trace_sleeps) > 0);
}

/* Another thread waits for `trace_mutex`, and this one wakes it. */
static void trace_record_a_wait(void)
{
	fl_thread *t;
	fl_mutex_lock(&trace_mutex);
	trace_sleep_in(&t, trace_lock_and_leave, &trace_mutex);
	fl_mutex_unlock(&trace_mutex);
	fl_test_end(t);
}

FL_TEST(trace_has_a_wait_and_the_thread_that_wakes_it)
{
	TRACING("");
	trace_record_a_wait();
	trace_write();
	TRACE_HAS("B:mutex", "X:wake", "s:wake", "f:wake", "E:");
	size_t at = 0;
	const struct trace_line *wait, *wake;
	do
		assert_non_null(wait = trace_find(&at, 'B', "mutex"));
	while (!strstr(wait->text, "trace_mutex at 0x"));
	assert_true(trace_says(wait, "cat", "\"wait\""));
	trace_arrow("wake", trace_me(), wait->tid);
	at = 0;
	do
		assert_non_null(wake = trace_find(&at, 'X', "wake"));
	while (trace_number(wake, "woken") != wait->tid);
	FL_RC(wake->tid, (int)trace_me());
}

/* As other threads do, on other CPUs, between the count of the events and their copy. */
static void *trace_map_and_record(size_t size)
{
	for (int i = 0; i < 50; i++)
		fl__hook_event_on(FL__TRACE_POLL, 0, 1, NULL, 0);
	return fl_test_real_sys.map(size);
}

FL_TEST(trace_keeps_a_ring_while_another_one_grows)
{
	TRACING("");
	trace_record_a_wait();
	fl__sys.map = trace_map_and_record;
	trace_write();
	assert_non_null(trace_first('B', "mutex"));
	FL_RC(trace_count('B', "poll"), 0);
}

FL_TEST(trace_names_each_kind_of_wait)
{
	char name[FL__TRACE_NAME];
	TRACING("");
	for (unsigned kind = 0; kind < FL__DEBUG_KINDS; kind++) {
		fl__hook_event_on(FL__TRACE_WAIT, 15, 0, NULL, kind);
		fl__hook_event_on(FL__TRACE_WOKEN, 0, 0, NULL, 0);
	}
	trace_write();
	for (unsigned kind = 0; kind < FL__DEBUG_KINDS; kind++) {
		fl__awaited_write(name, sizeof name, (uint8_t)kind, NULL);
		if (!trace_first('B', name))
			fail_msg("no %s in:\n%s", name, trace_text);
	}
	assert_true(trace_says(trace_first('B', "the end of thread or fiber"), "object", "\"15\""));
}

FL_TEST(trace_has_the_error_of_a_wait_in_shared_memory)
{
	fl_shm_sem s;
	FL_OK(fl_shm_sem_init(&s, 0));
	TRACING("");
	fl_test_no_patience();
	FL_RC(fl_shm_sem_acquire_until(&s, fl_after(FL_S(3600)), NULL), -ETIMEDOUT);
	trace_write();
	TRACE_HAS("B:object in shared memory", "E:");
	FL_RC(trace_number(trace_first('E', ""), "error"), ETIMEDOUT);
}

FL_TEST(trace_has_the_error_of_a_wait)
{
	fl_event e = FL_EVENT_INIT;
	TRACING("");
	FL_RC(fl_event_wait_until(&e, fl_after(1), NULL), -ETIMEDOUT);
	trace_write();
	TRACE_HAS("B:event", "E:");
	FL_RC(trace_number(trace_first('E', ""), "error"), ETIMEDOUT);
	FL_RC(trace_count('f', "wake"), 0);
}

static int trace_start_second(void *unused)
{
	fl_fiber *f;
	FL_OK(fl_fiber_start(&f, fl_test_nothing, NULL, &(fl_fiber_config){.name = "second"}));
	return fl_fiber_join(f, NULL);
}

/* Its last slice is closed by the switch to no fiber. */
FL_TEST(trace_has_the_fibers_of_a_thread_and_its_polls)
{
	TRACING("");
	FL_OK(fl_event_wait_until(&(fl_event)FL_EVENT_INIT, FL_NO_WAIT, NULL) == -ETIMEDOUT ? 0 : 1); /* a ring */
	FL_OK(fl_loop_run(trace_start_second, NULL));
	trace_write();
	TRACE_HAS("B:main", "E:", "B:second", "E:", "B:main", "E:");
	FL_RC(trace_first('B', "second")->tid, (int)trace_me());
	FL_RC(trace_count('B', "second"), 1);
	FL_CHECK(trace_count('B', "poll") > 0);
	FL_RC(trace_mine('B'), trace_mine('E'));
}

/* To a waiter that was woken, found the mutex locked, and whose turn is then over. */
FL_TEST(trace_marks_a_mutex_that_is_handed_over)
{
	fl_thread *t;
	TRACING("");
	fl_test_clock_ours();
	fl__store_relaxed(&trace_stays, 1);
	fl_mutex_lock(&trace_mutex);
	trace_sleep_in(&t, trace_lock_and_leave, &trace_mutex);
	fl_mutex_unlock(&trace_mutex);
	fl_mutex_lock(&trace_mutex);
	fl__store_relaxed(&trace_stays, 0);
	FL_WAIT_FOR(fl__load_relaxed(&trace_sleeps) > 1);
	fl__add_relaxed(&fl_test_ahead, FL_S(1));
	fl_mutex_unlock(&trace_mutex);
	fl_test_end(t);
	trace_write();
	FL_RC(trace_first('i', "hand-off")->tid, (int)trace_me());
}

static int trace_wait_for(void *event)
{
	while (!fl_event_is_set(event))
		FL_OK(fl_parallel_invoke(fl_test_nothing, NULL, fl_test_nothing, NULL));
	return 0;
}

static int trace_set(void *event)
{
	fl_event_set(event);
	return 0;
}

FL_TASK_STATIC(trace_fork, fl_event *, void)
{
	return fl_parallel_invoke(trace_wait_for, *arg, trace_set, *arg);
}

/* The second function runs on the other worker, or the first would never end. */
FL_TEST(trace_marks_a_call_that_is_stolen)
{
	fl_event stolen = FL_EVENT_INIT, *arg = &stolen;
	FL_SCOPED(fl_executor) *e = pool_with(2);
	TRACING("");
	struct held held[] = {hold_worker(e), hold_worker(e)}; /* each has a ring */
	FL_EACH (i, held)
		let_go(&held[i]);
	FL_OK(fl_test_run_task(e, &trace_fork, &arg, NULL));
	trace_write();
	FL_CHECK(trace_first('i', "steal")->tid != trace_first('B', "trace_fork")->tid);
}

FL_TEST(trace_has_what_a_lazy_map_takes)
{
	enum { N = 3 };
	fl_imap *it;
	int numbers[N] = {1, 2, 3}, doubled;
	size_t index;
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct held held = hold_worker(e); /* so all are submitted: none has ended before */
	TRACING("");
	FL_OK(fl_imap_create(&it, e, &pool_double, numbers, N, NULL));
	let_go(&held);
	FL_OK(fl_executor_wait_idle(e)); /* else a wait for a future is a get, too */
	for (int i = 0; i < N; i++)
		FL_OK(fl_imap_next(it, &index, &doubled));
	fl_imap_free(it);
	trace_write();
	FL_RC(trace_count('X', "get pool_double"), N);
	FL_RC(trace_count('f', "end"), N);
	size_t at = 0;
	for (int i = 0; i < N; i++)
		FL_RC(trace_number(trace_find(&at, 'i', "index"), "index"), i);
	assert_null(trace_find(&at, 'i', "index"));
}

/* "slow" by a clock that the case moves. */

static int trace_slow_wait(void *e)
{
	return fl_event_wait_until(e, FL_FOREVER, FL_SHIELDED);
}

static void trace_wait_slowly(int64_t ns)
{
	fl_thread *t;
	fl_event e = FL_EVENT_INIT;
	trace_sleep_in(&t, trace_slow_wait, &e);
	fl__add_relaxed(&fl_test_ahead, ns);
	fl_event_set(&e);
	fl_test_end(t);
}

/* Of `slow` and of others, the n-th of this process; false: it does not exist. */
static bool trace_file_exists(unsigned n)
{
	char path[128];
	FL_TEXT(path, "%s-%ld-%u.json", trace_prefix, (long)getpid(), n);
	return access(path, R_OK) == 0;
}

static unsigned trace_take_files(unsigned from)
{
	char path[128];
	for (; trace_file_exists(from); from++) {
		FL_TEXT(path, "%s-%ld-%u.json", trace_prefix, (long)getpid(), from);
		trace_read(path);
	}
	return from;
}

static unsigned trace_next_file = 1;

static void trace_wait_slowly_often(void *times)
{
	for (int i = 0; i < *(int *)times; i++)
		trace_wait_slowly(FL_MS(150));
}

/* The files of the parent do not count. */
static void trace_wait_slowly_in_child(void *unused)
{
	trace_wait_slowly(FL_MS(150));
	FL_RC(trace_take_files(1), 2);
}

/* A file each 100 ms at most. The clock goes on by 150 ms. */
FL_TEST(trace_writes_at_most_ten_files_of_slow_waits)
{
	enum { FILES = 10 };
	TRACING(",slow=100ms");
	trace_clock_ours();
	trace_wait_slowly(FL_MS(99));
	assert_false(trace_file_exists(trace_next_file));
	fl_test_stderr(trace_wait_slowly_often, &(int){FILES + 2}, trace_said, sizeof trace_said);
	FL_RC(trace_says_times("fairlead: warning: thread-"), FILES);
	FL_RC(trace_says_times(") has waited for event "), FILES);
	FL_RC(trace_says_times(" for 0.150 s; trace: /tmp/fairlead-trace-"), FILES);
	const unsigned next = trace_take_files(trace_next_file);
	FL_RC(next - trace_next_file, FILES);
	trace_next_file = next;
	assert_non_null(trace_first('B', "event"));
	FL_OK(fl_test_child(trace_wait_slowly_in_child, NULL, trace_said, sizeof trace_said));
}

/* Settings. */

FL_TEST(trace_refuses_unknown_settings)
{
	static const char *const wrong[] = {
	    "off",
	    "rings",
	    "ring,slow",
	    "ring,slow=",
	    "ring,slow=5",
	    "ring,slow=ms",
	    "ring,slow=-1ms",
	    "ring,slow= 1s",
	    "ring,events=",
	    "ring,events=-1",
	    "ring,events=4294967296",
	    "ring,file=",
	    "ring,signal=x",
	    "ring,signal=11",
	    "ring,signal=4",
	    "ring,signal=17",
	    "ring,signal=1000",
	    "ring,slow=99999999999s",
	};
	(void)fl_log_set_handler(fl_test_hear);
	FL_EACH (i, wrong) {
		FL_RC(fl_trace_enable(wrong[i]), -EINVAL);
	}
	char long_name[300] = "ring,file=";
	memset(long_name + 10, 'x', sizeof long_name - 11);
	FL_RC(fl_trace_enable(long_name), -EINVAL);
	(void)fl_log_set_handler(NULL);
}

static int trace_writes_again;

static int trace_print_busy(int fd, const char *text, size_t size)
{
	trace_writes_again = fl_trace_write(NULL);
	return fl_test_real_sys.print(fd, text, size);
}

static int trace_print_nothing(int fd, const char *text, size_t size)
{
	return -ENOSPC;
}

FL_TEST(trace_tells_why_it_cannot_write)
{
	TRACING("");
	fl__sys.print = trace_print_busy; /* as a signal handler in the middle of a write */
	FL_OK(fl_trace_write(trace_path));
	FL_RC(trace_writes_again, -EBUSY);
	fl__sys.print = fl_test_real_sys.print;
	fl__sys.map = fl_test_no_memory;
	FL_RC(fl_trace_write(trace_path), -ENOMEM);
	trace_read(trace_path); /* what was there stays */
	fl__sys.map = fl_test_real_sys.map;
	fl__sys.print = trace_print_nothing;
	FL_RC(fl_trace_write(trace_path), -ENOSPC);
	FL_OK(unlink(trace_path));
	FL_RC(fl_trace_write(NULL), -ENOSPC);
	assert_false(trace_file_exists(trace_next_file));
	trace_next_file++;
	fl__sys.print = fl_test_real_sys.print;
	FL_RC(fl_trace_write("/nowhere/file"), -ENOENT);
	/* a file that exists stays */
	char path[128];
	FL_TEXT(path, "%s-%ld-%u.json", trace_prefix, (long)getpid(), trace_next_file);
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	FL_CHECK(fd >= 0 && close(fd) == 0);
	FL_OK(fl_trace_write(NULL));
	FL_OK(unlink(path));
	trace_next_file++;
	FL_RC(trace_take_files(trace_next_file), trace_next_file + 1);
	trace_next_file++;
}

/* Rings. */

/* Runs a task of an int, which gives one. */
static void trace_task(fl_executor *e, const fl_task_type *type)
{
	(void)fl_test_result_of(e, type, &(int){4});
}

FL_TEST(trace_keeps_the_last_events)
{
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	for (int i = 0; i < 1000; i++)
		trace_task(e, &pool_double);
	trace_write();
	FL_CHECK(trace_count('X', "get pool_double") >= 60 && trace_count('X', "get pool_double") <= 128);
	FL_CHECK(trace_number(trace_first('M', "thread_name"), "lost") >= 3000);
}

FL_TEST(trace_leaves_out_an_event_that_changes)
{
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	trace_task(e, &pool_double);
	struct fl__trace_ring *ring = fl__trace_rings.of_threads[0];
	for (unsigned i = 0; ring->context != trace_me(); i++)
		ring = fl__trace_rings.of_threads[i];
	/* the START: then there is no END of a slice, and no arrow to it */
	struct fl__trace_event *start;
	uint64_t at = ring->head;
	do
		start = &ring->events[--at & fl__trace_rings.mask];
	while ((start->mark & 255) != FL__TRACE_START);
	const uint16_t mark = start->mark;
	start->mark = 0;
	trace_write();
	FL_RC(trace_mine('B'), 0);
	FL_RC(trace_mine('E'), 0);
	FL_RC(trace_mine('s'), 0);
	start->mark = (uint16_t)(mark + 256); /* a lap later */
	trace_write();
	FL_RC(trace_mine('B'), 0);
	start->mark = mark;
	trace_write();
	FL_RC(trace_count('B', "pool_double"), 1);
	FL_RC(trace_mine('s'), 2);
}

static int trace_one_event(void *e)
{
	return fl_test_run_task(e, &pool_double, &(int){4}, &(int){0});
}

/* An ended thread's ring is for a new thread only when there are many. */
FL_TEST(trace_uses_rings_of_ended_threads_again)
{
	FL_NOT_ON_POSIX("no call tells that a thread has ended");
	enum { THREADS = 200, KEPT = 64 };
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	for (int i = 0; i < THREADS; i++) {
		fl_test_on_thread(trace_one_event, e);
	}
	unsigned rings = 0;
	FL_EACH (i, fl__trace_rings.of_threads)
		rings += fl__trace_rings.of_threads[i] != NULL;
	FL_CHECK(rings <= KEPT + 1);
	trace_write();
	/* no event of a thread before is on the track of its successor */
	FL_CHECK(trace_count('X', "submit pool_double") >= KEPT - 1);
	FL_CHECK(trace_count('X', "submit pool_double") <= KEPT + 1);
}

FL_TEST(trace_escapes_names)
{
	static const char name[] = "a\"b\\c\nd\xff:\xc3\xa4 {[";
	FL_SCOPED(fl_executor) *e = sequential();
	fl_task_type type = pool_double;
	type.name = name;
	TRACING("");
	trace_task(e, &type);
	trace_write();
	FL_RC(trace_count('B', "?? {["), 1);
	type.name = "quote\"d\\";
	trace_task(e, &type);
	type.name = NULL;
	trace_task(e, &type);
	trace_write();
	FL_RC(trace_count('B', "quote\\\"d\\\\"), 1);
	FL_RC(trace_count('B', "task"), 1);
}

/* The memory of a name is used again; then there are more names than places. */
enum { TRACE_TYPES = 80 };

static int trace_use_names(void *e)
{
	char names[TRACE_TYPES][16], name[16] = "download-1";
	fl_task_type type = pool_double;
	type.name = name;
	trace_task(e, &type);
	name[9] = '2';
	trace_task(e, &type);
	trace_write();
	FL_RC(trace_count('B', "download-1"), 1);
	FL_RC(trace_count('B', "download-2"), 1);
	for (int i = 0; i < TRACE_TYPES; i++) {
		FL_TEXT(names[i], "name-%d", i);
		type.name = names[i];
		trace_task(e, &type);
	}
	trace_write();
	return trace_count('B', "?");
}

FL_TEST(trace_tells_names_by_their_text)
{
	int nameless;
	fl_thread *t;
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	fl_test_go(&t, trace_use_names, e);
	FL_OK(fl_thread_join(t, &nameless));
	FL_RC(nameless, TRACE_TYPES + 2 - 63);
}

/* Arrows that would be wrong. */

FL_TEST(trace_has_no_arrow_from_a_task_that_was_there_before)
{
	fl_future *f[2], *again;
#ifdef FL__ASAN
	FL_SKIP("freed blocks are not used again at once");
#endif
	FL_SCOPED(fl_executor) *e = pool_with(1);
	TRACING("");
	FL_EACH (i, f)
		FL_OK(pool_nothing_submit(e, &f[i]));
	FL_EACH (i, f) { /* nothing gets them */
		FL_WAIT_FOR(fl_future_state(f[i]) == FL_DONE);
		fl_future_free(f[i]);
	}
	/* takes the block of the second; the next submit that of the first */
	struct held held = hold_worker(e);
	FL_OK(pool_nothing_submit(e, &again));
	assert_ptr_equal(again, f[0]);
	FL_OK(fl_future_cancel(again));
	FL_OK(fl_future_wait(again));
	fl_future_free(again);
	let_go(&held);
	trace_write();
	const struct trace_line *get = trace_first('X', "get pool_nothing");
	assert_non_null(get);
	FL_CHECK(get[1].phase != 'f' || get[1].time > get->time);
}

/* Other processes. */

static void trace_child(void *path)
{
	trace_task(sequential(), &pool_plus_one);
	FL_OK(fl_trace_write(path));
}

FL_TEST(trace_of_a_forked_child_has_its_events_alone)
{
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	trace_task(e, &pool_double);
	FL_IN_CHILD(trace_child, trace_path);
	trace_read(trace_path);
	FL_RC(trace_count('B', "pool_double"), 0);
	FL_RC(trace_count('B', "pool_plus_one"), 1);
	FL_CHECK(trace_first('B', "")->pid != (unsigned)getpid());
	trace_write();
	FL_RC(trace_count('B', "pool_double"), 1);
	FL_RC(trace_count('B', "pool_plus_one"), 0);
}

static int64_t trace_clock_behind(void)
{
	return fl_test_real_sys.now() / 2;
}

static void trace_child_behind(void *path)
{
	fl__sys.now = trace_clock_behind;
	trace_child(path);
}

/* The parent has called unshare(CLONE_NEWTIME). */
FL_TEST(trace_of_a_forked_child_whose_clock_is_behind)
{
	FL_SCOPED(fl_executor) *e = sequential();
	TRACING("");
	trace_task(e, &pool_double);
	FL_IN_CHILD(trace_child_behind, trace_path);
	trace_read(trace_path);
	FL_RC(trace_count('B', "pool_plus_one"), 1);
}

static int trace_print_beside_a_worker(int fd, const char *text, size_t size)
{
	struct fl__trace_ring *ring = fl_test_real_sys.map(fl__trace_ring_size());
	FL_CHECK(ring);
	fl__trace_ring_add(ring, 4711, "short");
	fl__trace_ring_drop(ring);
	return fl_test_real_sys.print(fd, text, size);
}

/* The reader of the file may be slow, such as that of a FIFO. */
FL_TEST(trace_worker_begins_and_ends_while_a_file_is_written)
{
	TRACING("");
	fl__sys.print = trace_print_beside_a_worker;
	FL_OK(fl_trace_write(trace_path));
	fl__sys.print = fl_test_real_sys.print;
	trace_read(trace_path);
	trace_write();
	FL_CHECK(trace_count('M', "process_name") > 1);
}

/* A worker process may write anything into its ring. */
FL_TEST(trace_of_a_hostile_worker_is_valid)
{
	TRACING("");
	struct fl__trace_ring *ring = fl__sys.map(fl__trace_ring_size());
	assert_non_null(ring);
	fl__trace_ring_add(ring, 4711, "thumbs-\"0");
	uint32_t random = 1;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < fl__trace_ring_size(); i++) {
			random = random * 1103515245 + 12345;
			((unsigned char *)ring)[i] = (unsigned char)(random >> 16);
		}
		for (unsigned i = 0; i <= fl__trace_rings.mask; i++) {
			struct fl__trace_event *event = &ring->events[i];
			if (i % 3 != 0)
				event->time = fl__sys.now() - (event->time & 0xffff);
			ring->head = (uint64_t)round << (3 * round);
			ring->first = 0;
			event->mark = (uint16_t)(event->mark % 18 | (ring->head >> fl__trace_rings.log2) << 8);
		}
		FL_OK(fl_trace_write(trace_path));
		const int fd = open(trace_path, O_RDONLY | O_CLOEXEC);
		FL_CHECK(fd >= 0);
		fl_test_take(fd, trace_text, sizeof trace_text);
		trace_split();
		for (size_t i = 0; i < trace_n; i++)
			FL_CHECK(trace_lines[i].time <= (double)fl__sys.now() / 1000);
	}
	FL_OK(unlink(trace_path));
	fl__trace_ring_drop(ring);
	trace_write();
	struct fl__trace_ring *unknown = fl__sys.map(fl__trace_ring_size());
	fl__trace_ring_drop(unknown); /* unmapped */
}

/* Signals and panics. */

static void trace_panics(void *m)
{
	fl_mutex_unlock(m);
}

static void trace_raise(void *unused)
{
	trace_record(",signal=3");
	trace_task(sequential(), &pool_double);
	FL_OK(raise(SIGQUIT));
}

FL_TEST(trace_writes_a_file_at_a_signal)
{
	TRACING("");
	FL_OK(fl_test_child(trace_raise, NULL, trace_said, sizeof trace_said));
	char *at = strstr(trace_said, "fairlead: trace: /tmp/");
	assert_non_null(at);
	at += 17;
	*strchr(at, ',') = '\0';
	trace_read(at);
	FL_RC(trace_count('B', "pool_double"), 1);
}

static bool trace_catches(int signal)
{
	struct sigaction now;
	FL_OK(sigaction(signal, NULL, &now));
	return now.sa_handler != SIG_DFL;
}

FL_TEST(trace_catches_a_signal_only_while_it_is_wanted)
{
	TRACING("");
	FL_OK(fl_debug_enable(FL_DEBUG_LOCKORDER));
	assert_false(trace_catches(SIGQUIT));
	trace_record(",signal=3");
	trace_record(",signal=10");
	assert_false(trace_catches(SIGQUIT));
	assert_true(trace_catches(SIGUSR1));
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	assert_true(trace_catches(SIGQUIT));
	FL_OK(fl_trace_enable(NULL));
	assert_false(trace_catches(SIGUSR1));
	assert_true(trace_catches(SIGQUIT));
	trace_record(",signal=3");
	FL_OK(fl_debug_enable(0));
	assert_true(trace_catches(SIGQUIT));
	FL_OK(fl_trace_enable(NULL));
	assert_false(trace_catches(SIGQUIT));
	trace_record(",signal=9");
	fl_test_contains(fl_test_said, "FL_TRACE: signal 9 cannot be caught");
}

static const char *trace_last_settings;
static uint32_t trace_turns;

/* Until the two threads have often come between each other's calls. */
static int trace_switch_often(void *settings)
{
	enum { TURNS = 100 };
	for (int i = 0; fl__load_relaxed(&trace_turns) < TURNS; i++) {
		FL_OK(fl_trace_enable(settings));
		if (fl__swap_relaxed(&trace_last_settings, settings) != settings)
			fl__add_relaxed(&trace_turns, 1);
		if (i % 2 == 0)
			FL_OK(fl_trace_enable(NULL));
	}
	return 0;
}

/* After any order of the switches, one signal is caught while the recorder is on, and none while it is off. */
FL_TEST(trace_signals_of_two_threads)
{
	enum { ROUNDS = 4 };
	TRACING("");
	for (int i = 0; i < ROUNDS; i++) {
		fl_thread *threads[2];
		trace_turns = 0;
		fl_test_go(&threads[0], trace_switch_often, (void *)(uintptr_t) "ring,signal=10");
		fl_test_go(&threads[1], trace_switch_often, (void *)(uintptr_t) "ring,signal=12");
		FL_END_ALL(threads);
		FL_RC(trace_catches(SIGUSR1) + trace_catches(SIGUSR2), fl__hooks_on(FL__HOOKS_TRACE));
	}
	HEARD("cannot be caught", 0);
}

FL_TEST(trace_writes_a_file_at_a_panic)
{
	static fl_mutex free_mutex;
	TRACING("");
	FL_RC(WTERMSIG(fl_test_child(trace_panics, &free_mutex, trace_said, sizeof trace_said)), SIGABRT);
	char *at = strstr(trace_said, "fairlead: trace: /tmp/");
	assert_non_null(at);
	fl_test_contains(at, "fl_mutex_unlock");
	at += 17;
	*strchr(at, ',') = '\0';
	trace_read(at);
}
