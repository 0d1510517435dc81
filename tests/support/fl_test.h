/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_H
#define FL_TEST_H

/*
 * Included first by every tests/test_*.c: cmocka, and the helpers of Fairlead's tests.
 *
 *     FL_TEST(mutex_try_lock_answers_busy)
 *     {
 *             fl_mutex m = FL_MUTEX_INIT;
 *             FL_OK(fl_mutex_try_lock(&m));
 *             FL_RC(fl_mutex_try_lock(&m), -EAGAIN);
 *             fl_mutex_unlock(&m);
 *             FL_PANICS(fl_mutex_unlock(&m));
 *             assert_string_equal(fl_test_panic.function, "fl_mutex_unlock");
 *     }
 *
 * A case registers itself, and the build finds the file. Cases run in the order of the file, all in
 * one process, so each case restores what it changes. Cmocka's assertions leave the case by
 * longjmp, so only the thread that runs the case may use them, and only outside of a loop. FL_OK,
 * FL_RC and FL_CHECK are for any thread, fiber and process. A test never sleeps for a time; it
 * waits for a state, with FL_WAIT_FOR.
 */
#include "core/base/sanitizer.h"
#include "core/sync/mutex.h"
#include "core/sync/rwlock.h"
#include <fairlead.h>

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef assert_uint_in_range /* cmocka 2, which deprecates the other name */
#undef assert_in_range
#define assert_in_range assert_uint_in_range
#endif

typedef struct fl_test_case {
	const char *name;
	void (*run)(void **state);
	struct fl_test_case *next;
} fl_test_case;

void fl_test_register(fl_test_case *c);

/* Skips the case where the library does without the calls of Linux. */
#ifdef FL__OS_POSIX
#define FL_NOT_ON_POSIX(why) (print_message("posix: %s\n", why), skip())
#else
#define FL_NOT_ON_POSIX(why) ((void)0)
#endif

/* FL_TEST(module_behaviour) { ... } */
#define FL_TEST(name)                                                                                                  \
	static void name(void **state);                                                                                \
	__attribute__((constructor)) static void name##_register(void)                                                 \
	{                                                                                                              \
		static fl_test_case this_case = {#name, name, NULL};                                                   \
		fl_test_register(&this_case);                                                                          \
	}                                                                                                              \
	static void name(__attribute__((unused)) void **state)

/*
 * A case whose body is a separate function, which is passed to `run`. The further arguments are the
 * body's parameters: FL_TEST_WITH(stream_ends, each_kind, fl_stream *s) { ... }
 */
#define FL_TEST_WITH(name, run, ...)                                                                                   \
	static void name##_body(__VA_ARGS__);                                                                          \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		run(name##_body);                                                                                      \
	}                                                                                                              \
	static void name##_body(__VA_ARGS__)

/*
 * For any thread: checks that the expression is 0. Otherwise prints the expression and its value,
 * and the case fails.
 */
#define FL_OK(expr) FL_RC(expr, 0)

/*
 * For any thread: checks that the expression has that value: FL_RC(fl_mutex_try_lock(&m), -EAGAIN).
 */
#define FL_RC(expr, expected) fl_test_rc((long)(expr), (long)(expected), #expr, __FILE__, __LINE__)

/*
 * Ends the case. Inline, so that the static analyzer knows that the case continues only with the
 * expected result.
 */
__attribute__((noreturn)) void fl_test_wrong(long got, long expected, const char *expr, const char *file, int line);
static inline void fl_test_rc(long got, long expected, const char *expr, const char *file, int line)
{
	if (got != expected)
		fl_test_wrong(got, expected, expr, file, line);
}

/* For any thread: checks that the result says that the group is joined with this error, or 0. */
#define FL_JOINED(expr, g, error) fl_test_joined((expr), (g), (error), #expr, __FILE__, __LINE__)
#define FL_GROUP_FAILED(g, error) FL_JOINED(fl_group_join(g), g, error)

static inline void fl_test_joined(int got, const fl_group *g, int error, const char *expr, const char *file, int line)
{
	fl_test_rc(got, error == 0 ? 0 : FL_ETASK, expr, file, line);
	fl_test_rc(fl_group_error(g), error, "fl_group_error()", file, line);
	fl_test_rc(fl_group_message(g) != NULL, error != 0, "fl_group_message()", file, line);
}

/* Joins the group. Returns its error, which a member of another group may return. */
static inline int fl_test_group_error(fl_group *g)
{
	const int rc = fl_group_join(g);
	return rc == FL_ETASK ? fl_group_error(g) : rc;
}

/* For any thread: checks that the variable is 0 or has the other value: FL_OK_OR(rc, -ENOMEM). */
#define FL_OK_OR(rc, other) FL_RC(rc, (rc) == 0 ? 0 : (other))

/*
 * Checks that a call that moves many items has that result and count. The call is written without
 * its last argument `count`: FL_MANY(-EAGAIN, 2, fl_queue_try_put_many, q, items, 3).
 */
#define FL_MANY(rc, moved, call, ...)                                                                                  \
	do {                                                                                                           \
		size_t moved_ = SIZE_MAX;                                                                              \
		FL_RC(call(__VA_ARGS__, &moved_), rc);                                                                 \
		FL_RC(moved_, moved);                                                                                  \
	} while (0)

/* Returns how many items the call moves, for cases that need not know why it moves no more. */
#define FL_MOVED(call, ...)                                                                                            \
	__extension__({                                                                                                \
		size_t moved_ = SIZE_MAX;                                                                              \
		(void)!call(__VA_ARGS__, &moved_);                                                                     \
		moved_;                                                                                                \
	})

/*
 * Checks that the value is in that range. Cmocka 2 deprecates its assertion for this, and cmocka 1
 * has no other.
 */
#define FL_IN_RANGE(value, least, most) fl_test_in_range((value), (least), (most), #value, __FILE__, __LINE__)

void fl_test_in_range(int64_t value, int64_t least, int64_t most, const char *expr, const char *file, int line);

/* Writes a text into an array of char, as printf() does: FL_TEXT(path, "/proc/%d", pid). */
#define FL_TEXT(array, ...) ((void)snprintf((array), sizeof(array), __VA_ARGS__))

/* Loops over each index of an array. */
#define FL_EACH(i, array) for (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

/* Loops over both values of a flag: first without, then with what it names. */
#define FL_BOTH(flag) for (int flag = 0; flag <= 1; flag++)

/* For any thread: if the condition does not hold, prints it and aborts the process. */
#define FL_CHECK(condition)                                                                                            \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fl_test_abort(#condition, __FILE__, __LINE__);                                                 \
	} while (0)

__attribute__((noreturn)) void fl_test_abort(const char *what, const char *file, int line);

/*
 * Checks that the statement panics, on this thread. fl_test_panic then has the handler's arguments.
 * The statement is left by longjmp, so locals that it changes must be volatile. A panic anywhere
 * else aborts the process.
 */
#define FL_PANICS(...)                                                                                                 \
	do {                                                                                                           \
		fl_test_panic_begin();                                                                                 \
		if (sigsetjmp(fl_test_panic_jump, 0) == 0) {                                                           \
			__VA_ARGS__;                                                                                   \
			fl_test_panic_missing(#__VA_ARGS__, __FILE__, __LINE__);                                       \
		}                                                                                                      \
	} while (0)

/* Also checks that the panic names that function and that object. */
#define FL_PANICS_OF(name, at, ...)                                                                                    \
	do {                                                                                                           \
		FL_PANICS(__VA_ARGS__);                                                                                \
		fl_test_panicked(name, at, __FILE__, __LINE__);                                                        \
	} while (0)

extern fl_panic_info fl_test_panic;
extern sigjmp_buf fl_test_panic_jump;
void fl_test_panic_begin(void);
void fl_test_panic_missing(const char *statement, const char *file, int line);
void fl_test_panicked(const char *function, const void *object, const char *file, int line);

/*
 * Calls restore() at once, because an earlier case that failed has restored nothing, and again at
 * the end of the block. For macros such as FL_FAULTS().
 */
#define FL_RESTORES(restore)                                                                                           \
	__attribute__((cleanup(fl_test_restore), unused)) fl_test_restorer *const FL__UNIQUE(fl_test_restores_) =      \
	    fl_test_restores(restore)

typedef int fl_test_restorer(void);

static inline fl_test_restorer *fl_test_restores(fl_test_restorer *restore)
{
	(void)restore();
	return restore;
}

static inline void fl_test_restore(fl_test_restorer *const *restore)
{
	(void)(*restore)();
}

/*
 * Restores a table of system calls. Only entries that a case has changed are written, because the
 * library's own threads may read the others at any time.
 */
static inline void fl_test_put_back(void *table, const void *real, size_t size)
{
	char *words = table;
	const char *before = real;
	for (size_t i = 0; i < size; i += sizeof(void *))
		if (memcmp(words + i, before + i, sizeof(void *)) != 0)
			memcpy(words + i, before + i, sizeof(void *));
}

/*
 * Waits, on any thread, until the condition holds, with yields between the checks; after a minute
 * the test fails. The condition is evaluated repeatedly, so it must read through atomics, or
 * through functions that any thread may call.
 */
#define FL_WAIT_FOR(condition)                                                                                         \
	do {                                                                                                           \
		int64_t fl_test_end = fl_test_wait_begin();                                                            \
		while (!(condition))                                                                                   \
			fl_test_wait_on(fl_test_end, #condition, __FILE__, __LINE__);                                  \
	} while (0)

/* Waits in the same way until predicate(arg) returns true. */
void fl_test_wait_until(bool (*predicate)(void *arg), void *arg);

/*
 * For a task: holds its worker until the event is set. The worker counts as running, so no other
 * worker takes its place, as would happen after some milliseconds of a wait.
 */
void fl_test_hold_until(fl_event *open);

int64_t fl_test_wait_begin(void);
void fl_test_wait_on(int64_t end, const char *condition, const char *file, int line);

/* A token that was requested before main(). No test destroys it. */
extern fl_cancel_token *const fl_test_requested;

/* Checks that the call is cancelled by its scope. */
#define FL_CANCELS_IN_SCOPE(call)                                                                                      \
	do {                                                                                                           \
		FL_CANCEL_SCOPE(fl_test_requested);                                                                    \
		FL_RC(call, -ECANCELED);                                                                               \
	} while (0)

/* Starts a thread that will return 0, for fl_test_end(). */
void fl_test_go(fl_thread **t, fl_thread_function *function, void *arg);

/* Joins the thread, whatever the caller's scope is. The thread must have returned 0. */
void fl_test_end(fl_thread *t);

/* Does both: the thread has ended when this returns. */
void fl_test_on_thread(fl_thread_function *function, void *arg);

/* fl_test_end() of each thread of an array. */
#define FL_END_ALL(threads)                                                                                            \
	do {                                                                                                           \
		FL_EACH (end_, threads)                                                                                \
			fl_test_end((threads)[end_]);                                                                  \
	} while (0)

/*
 * A call that waits, for fl_test_call_start() of fl_queued.h. FL_CALL(acquire) { ... } defines
 * one, with the parameters object, deadline and cancel.
 */
typedef int fl_test_call(void *object, fl_time deadline, fl_cancel_token *cancel);
#define FL_CALL(name) static inline int name(void *object, fl_time deadline, fl_cancel_token *cancel)

/*
 * A test's replacements for calls of the system's tables, and a handler of the log. For example,
 * FL_TEST_FUTEX_WAIT(sleep_on) { ... } defines a replacement with these parameters.
 */
#define FL_TEST_FUTEX_WAIT(name) static inline int name(const uint32_t *word, uint32_t expected, int64_t deadline)
#define FL_TEST_THREAD_CREATE(name)                                                                                    \
	static inline int name(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
#define FL_TEST_POLLER_CONTROL(name) static inline int name(int poller, int op, int fd, uint32_t events, void *owner)
#define FL_TEST_LOG_HANDLER(name) static inline void name(fl_log_level level, const char *message)

/* The function of a thread or a fiber that does nothing. */
static inline int fl_test_nothing(void *unused)
{
	return 0;
}

/* For any thread: checks that the part is in the text. */
void fl_test_contains(const char *text, const char *part);

static inline void fl_test_close_two(const int fds[2])
{
	FL_OK(close(fds[0]));
	FL_OK(close(fds[1]));
}

/* A deadline that expires soon. */
static inline fl_time fl_test_soon(void)
{
	return fl_after(FL_MS(1));
}

/*
 * Runs the function on a thread of pthread_create(), joins the thread, and returns what the
 * function returned.
 */
void *fl_test_foreign(void *(*function)(void *arg), void *arg);

/*
 * Return a new executor, made by the given function, and a new queue of items of a size. The config
 * may be NULL. Two macros take the members of the config: FL_TEST_EXECUTOR(thread, .workers = 2)
 * and FL_TEST_QUEUE(int, .capacity = 1).
 */
typedef int fl_test_create(fl_executor **e, const fl_executor_config *config);
fl_executor *fl_test_executor(fl_test_create *create, const fl_executor_config *config);
fl_queue *fl_test_queue_made(int (*create)(fl_queue **q, size_t item_size, const fl_queue_config *config),
                             size_t item_size, const fl_queue_config *config);
#define FL_TEST_EXECUTOR(kind, ...) fl_test_executor(fl_##kind##_executor_create, &(fl_executor_config){__VA_ARGS__})
#define FL_TEST_QUEUE_OF(item_size, ...) fl_test_queue_made(fl_queue_create, item_size, __VA_ARGS__)
#define FL_TEST_QUEUE(type, ...) FL_TEST_QUEUE_OF(sizeof(type), &(fl_queue_config){__VA_ARGS__})

/* Compares two ints, for queues by priority. */
int fl_test_by_value(const void *a, const void *b, void *unused);

/* Returns the result, an int, of a future that ends, or has ended, with success. */
int fl_test_result(fl_future *f);

/* Asserts the state of the future: FL_STATE_IS(f, FL_PENDING). */
#define FL_STATE_IS(f, state) assert_int_equal(fl_future_state(f), state)

/* Checks that the future has ended with that error and that message (NULL: any message). */
void fl_test_future_ended(fl_future *f, int error, const char *message);

/* Waits first, and then checks the same. */
void fl_test_future_ends(fl_future *f, int error, const char *message);

static inline fl_stats_type fl_test_type_of(const fl_executor *e, size_t index)
{
	fl_stats_type type;
	FL_OK(fl_executor_type_stats(e, index, &type));
	return type;
}

/* Whether that many types of tasks were measured. */
static inline bool fl_test_has_types(const fl_executor *e, size_t n)
{
	fl_stats_type type;
	return (n == 0 || fl_executor_type_stats(e, n - 1, &type) == 0) &&
	       fl_executor_type_stats(e, n, &type) == -ENOENT;
}

/*
 * Runs a task of that type, and returns its error. If it returns 0, the task has succeeded, and
 * `result`, which may be NULL, has its result.
 */
int fl_test_run_task(fl_executor *e, const fl_task_type *type, const void *arg, void *result);

/* Runs a task whose result is an int, and which must succeed. Returns the result. */
int fl_test_result_of(fl_executor *e, const fl_task_type *type, const void *arg);

/*
 * Submits a task and returns its future: FL_SUBMITTED(square, e, 3) calls square_submit(e, 3, &f).
 */
#define FL_SUBMITTED(task, ...)                                                                                        \
	__extension__({                                                                                                \
		fl_future *submitted_ = NULL;                                                                          \
		FL_OK(task##_submit(__VA_ARGS__, &submitted_));                                                        \
		submitted_;                                                                                            \
	})

/* Frees the futures. The second function waits for each of them before that. */
void fl_test_futures_free(fl_future **f, size_t n);
void fl_test_futures_end(fl_future **f, size_t n);

/* Sets the numbers to 0, 1, 2, ... */
void fl_test_number(int *numbers, size_t n);

/* Leaves the case as skipped. The runner counts the case, and shows why it was skipped. */
#define FL_SKIP(reason)                                                                                                \
	do {                                                                                                           \
		print_message("%s\n", reason);                                                                         \
		skip();                                                                                                \
	} while (0)

/*
 * System calls without a substitute, which an old kernel or a sandbox may lack (tests/denied). If
 * FL_OK or FL_RC gets an unexpected -ENOSYS, it tries these calls, and skips the case if one of
 * them is missing; the reason names the call. A case that would meet the error in another way, on
 * another thread or in another process, names what it needs:
 *
 *     FL_NEEDS(FL_TEST_EVENTFD);       // in the case
 *     FL_ALL_NEED(FL_TEST_EVENTFD)     // at file scope or in a header: in all cases of the program
 */
enum {
	FL_TEST_MEMFD = 1,
	FL_TEST_PIDFD = 2,
	FL_TEST_EVENTFD = 4,
	FL_TEST_PROCESSES = FL_TEST_PIDFD | FL_TEST_EVENTFD,
	FL_TEST_PROCESS_POOLS = FL_TEST_PROCESSES | FL_TEST_MEMFD /* executors over processes */
};

#define FL_NEEDS(calls) fl_test_need(calls)
#define FL_ALL_NEED(calls)                                                                                             \
	__attribute__((constructor)) static void FL__UNIQUE(fl_test_needs_)(void)                                      \
	{                                                                                                              \
		fl_test_all_need(calls);                                                                               \
	}

void fl_test_need(unsigned calls);
void fl_test_all_need(unsigned calls);

/* Instrumented code is slow and needs more memory, and TSan supports only few fibers. */
#if defined(FL__TSAN) || defined(FL__ASAN)
#define FL_TEST_SANITIZED 1
#else
#define FL_TEST_SANITIZED 0
#endif

/*
 * The iterations of a hammer: `count`, or a tenth of it where everything is 5 to 20 times slower,
 * that is, under a sanitizer, or, for emulators, with FL_TEST_SLOW in the environment.
 */
unsigned fl_test_scaled(unsigned count);

#endif
