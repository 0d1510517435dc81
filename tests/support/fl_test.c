/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every test program shares: main(), the registration and the order of cases, and the helpers
 * of fl_test.h that need a function.
 */
#include "fl_test.h"

#include <fnmatch.h>
#include <sys/eventfd.h>

enum { WAIT_SECONDS = 60 };

static fl_test_case *first_case, **last_case = &first_case;
static size_t case_count;
static pthread_t case_thread;
static pid_t case_process;

fl_panic_info fl_test_panic;
sigjmp_buf fl_test_panic_jump;
static bool expects_panic;
static unsigned all_need;

/*
 * Cmocka would turn a crash into a failed case and continue in a broken process. We need the crash,
 * and so do the sanitizers.
 */
static const int crash_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
enum { CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };
static struct sigaction crash_actions[CRASH_SIGNALS];

void fl_test_register(fl_test_case *c)
{
#ifdef _WIN32 /* the last constructor of a file comes first */
	c->next = first_case;
	first_case = c;
#else
	*last_case = c;
	last_case = &c->next;
#endif
	case_count++;
}

void fl_test_abort(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* True only on the thread that runs the cases, and not in a child of this process. */
static bool runs_the_case(void)
{
	return pthread_equal(pthread_self(), case_thread) && getpid() == case_process;
}

/* Elsewhere, and in a loop, cmocka's longjmp would go to a foreign stack. */
static __attribute__((noreturn)) void fail_at(const char *file, int line)
{
	if (!runs_the_case() || fl_loop_current())
		fl_test_abort("failed on another stack than the case's", file, line);
	_fail(file, line);
	abort(); /* fail() does not return, but is not declared so */
}

static int try_memfd(void)
{
	return memfd_create("fairlead-test", MFD_CLOEXEC);
}

static int try_pidfd(void)
{
	enum { PIDFD_OPEN = 434 }; /* the same on all architectures; newer than some headers */
	return (int)syscall(PIDFD_OPEN, getpid(), 0);
}

static int try_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

/* What a system may lack. Each function tries it, and returns a descriptor, or -1 with errno. */
static const struct {
	unsigned call;
	const char *name;
	int (*attempt)(void);
} needed[] = {{FL_TEST_MEMFD, "memfd_create", try_memfd},
              {FL_TEST_PIDFD, "pidfd_open", try_pidfd},
              {FL_TEST_EVENTFD, "eventfd2", try_eventfd}};

/*
 * Skips the case if one of the calls is missing. `what`, which may be NULL, is the expression that
 * noticed this.
 */
static void skip_without(unsigned calls, const char *what)
{
	FL_EACH (i, needed) {
		if (!(calls & needed[i].call))
			continue;
		const int fd = needed[i].attempt();
		if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
			print_message("%s%s%s() is missing here: %s\n", what ? what : "", what ? " is -ENOSYS: " : "",
			              needed[i].name, strerror(errno));
			skip();
		}
		if (fd >= 0)
			(void)close(fd);
	}
}

void fl_test_need(unsigned calls)
{
	skip_without(calls, NULL);
}

void fl_test_all_need(unsigned calls)
{
	all_need |= calls;
}

void fl_test_wrong(long got, long expected, const char *expr, const char *file, int line)
{
	if (got == -ENOSYS && runs_the_case())
		skip_without(FL_TEST_MEMFD | FL_TEST_PIDFD | FL_TEST_EVENTFD, expr);
	print_error("%s is %ld (%s), not %ld (%s)\n", expr, got, fl_error_name((int)got), expected,
	            fl_error_name((int)expected));
	fail_at(file, line);
}

void fl_test_contains(const char *text, const char *part)
{
	if (strstr(text, part))
		return;
	print_error("no \"%s\" in:\n%s\n", part, text);
	fail_at(__FILE__, __LINE__);
}

void fl_test_in_range(int64_t value, int64_t least, int64_t most, const char *expr, const char *file, int line)
{
	if (value >= least && value <= most)
		return;
	(void)print_error("%s: %lld, not from %lld to %lld\n", expr, (long long)value, (long long)least,
	                  (long long)most);
	fail_at(file, line);
}

static void on_panic(const fl_panic_info *info)
{
	if (!pthread_equal(pthread_self(), case_thread) || !expects_panic) {
		fprintf(stderr, "panic: %s(%p): %s\n", info->function, info->object, info->reason);
		abort();
	}
	static char reason[256]; /* the library's text may lie in the stack that longjmp() leaves */
	FL_TEXT(reason, "%s", info->reason);
	fl_test_panic = (fl_panic_info){info->function, info->object, reason};
	expects_panic = false;
	siglongjmp(fl_test_panic_jump, 1);
}

void fl_test_panic_begin(void)
{
	memset(&fl_test_panic, 0, sizeof fl_test_panic);
	fl_panic_set_handler(on_panic);
	expects_panic = true;
}

void fl_test_panic_missing(const char *statement, const char *file, int line)
{
	expects_panic = false;
	print_error("no panic: %s\n", statement);
	fail_at(file, line);
}

void fl_test_panicked(const char *function, const void *object, const char *file, int line)
{
	const fl_panic_info *p = &fl_test_panic;
	if (strcmp(p->function, function) == 0 && p->object == object)
		return;
	print_error("a panic of %s(%p), not of %s(%p)\n", p->function, p->object, function, object);
	fail_at(file, line);
}

static int64_t seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int64_t fl_test_wait_begin(void)
{
	return seconds_now() + WAIT_SECONDS;
}

void fl_test_wait_on(int64_t end, const char *condition, const char *file, int line)
{
	if (seconds_now() > end) {
		print_error("waited %d s for: %s\n", WAIT_SECONDS, condition);
		fail_at(file, line);
	}
	sched_yield();
}

void fl_test_wait_until(bool (*predicate)(void *arg), void *arg)
{
	FL_WAIT_FOR(predicate(arg));
}

static fl_cancel_token requested;
fl_cancel_token *const fl_test_requested = &requested;

__attribute__((constructor)) static void request(void)
{
	fl_cancel_token_request(&requested);
}

void fl_test_go(fl_thread **t, fl_thread_function *function, void *arg)
{
	FL_OK(fl_thread_start(t, function, arg, NULL));
}

void fl_test_end(fl_thread *t)
{
	int result = 0;
	FL_OK(fl_thread_join_until(t, &result, FL_FOREVER, FL_SHIELDED));
	FL_OK(result);
}

void fl_test_on_thread(fl_thread_function *function, void *arg)
{
	fl_thread *t;
	fl_test_go(&t, function, arg);
	fl_test_end(t);
}

void *fl_test_foreign(void *(*function)(void *arg), void *arg)
{
	pthread_t t;
	void *result = NULL;
	FL_CHECK(pthread_create(&t, NULL, function, arg) == 0);
	FL_CHECK(pthread_join(t, &result) == 0);
	return result;
}

fl_executor *fl_test_executor(fl_test_create *create, const fl_executor_config *config)
{
	fl_executor *e = NULL;
	FL_OK(create(&e, config));
	return e;
}

fl_queue *fl_test_queue_made(int (*create)(fl_queue **q, size_t item_size, const fl_queue_config *config),
                             size_t item_size, const fl_queue_config *config)
{
	fl_queue *q = NULL;
	FL_OK(create(&q, item_size, config));
	return q;
}

int fl_test_by_value(const void *a, const void *b, void *unused)
{
	const int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

int fl_test_result(fl_future *f)
{
	int result = 0;
	FL_OK(fl_future_get(f, &result, sizeof result));
	return result;
}

void fl_test_future_ended(fl_future *f, int error, const char *message)
{
	FL_OK(fl_future_try_wait(f));
	FL_RC(fl_future_error(f), error);
	if (message)
		assert_string_equal(fl_future_message(f), message);
}

void fl_test_future_ends(fl_future *f, int error, const char *message)
{
	FL_OK(fl_future_wait(f));
	fl_test_future_ended(f, error, message);
}

int fl_test_run_task(fl_executor *e, const fl_task_type *type, const void *arg, void *result)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fl_executor_submit(e, type, arg, &f));
	FL_OK(fl_future_wait(f));
	const int error = fl_future_error(f);
	if (result)
		FL_RC(fl_future_get(f, result, type->result_size), error ? FL_ETASK : 0);
	return error;
}

int fl_test_result_of(fl_executor *e, const fl_task_type *type, const void *arg)
{
	int result = 0;
	FL_OK(fl_test_run_task(e, type, arg, &result));
	return result;
}

void fl_test_futures_free(fl_future **f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fl_future_free(f[i]);
}

void fl_test_futures_end(fl_future **f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		FL_OK(fl_future_wait(f[i]));
	fl_test_futures_free(f, n);
}

void fl_test_number(int *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		numbers[i] = (int)i;
}

void fl_test_hold_until(fl_event *open)
{
	while (!fl_event_is_set(open))
		sched_yield();
}

unsigned fl_test_scaled(unsigned count)
{
	const bool is_slow = FL_TEST_SANITIZED || getenv("FL_TEST_SLOW") != NULL;
	return is_slow ? count / 10 + 1 : count;
}

/* The lines that tests/run reads: which case has begun, and a new line before cmocka's verdict. */
static int case_begin(void **state)
{
	const fl_test_case *c = *state;
	printf("# begin %s\n", c->name);
	return 0;
}

static int case_end(void **state)
{
	expects_panic = false;
	fl_panic_set_handler(NULL);
	printf("\n");
	return 0;
}

static void case_run(void **state)
{
	const fl_test_case *c = *state;
	FL_EACH (i, crash_actions)
		sigaction(crash_signals[i], &crash_actions[i], NULL);
	fl_test_need(all_need);
	c->run(state);
}

static bool matches(const char *name, char **patterns, int n)
{
	for (int i = 0; i < n; i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return n == 0;
}

/*
 * Runs the cases that match one of the arguments (glob patterns), or all; `--list` prints their
 * names.
 */
int main(int argc, char **argv)
{
	static char line[BUFSIZ];
	fl_process_main(argc, argv); /* tests that start processes start this program once more */
	bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
	char **patterns = argv + 1 + list;
	int patterns_n = argc - 1 - list;
	struct CMUnitTest *tests = calloc(case_count + 1, sizeof *tests);
	size_t n = 0;

	if (tests == NULL)
		return EXIT_FAILURE;
	/*
	 * MPICH unbuffers stdout in MPI_Init(). Without `line`, glibc keeps that buffer of a byte.
	 */
	setvbuf(stdout, line, _IOLBF, sizeof line);
	case_thread = pthread_self();
	case_process = getpid();
	FL_EACH (i, crash_actions)
		sigaction(crash_signals[i], NULL, &crash_actions[i]);
	for (fl_test_case *c = first_case; c != NULL; c = c->next) {
		if (!matches(c->name, patterns, patterns_n))
			continue;
		if (list)
			puts(c->name);
		tests[n++] = (struct CMUnitTest){c->name, case_run, case_begin, case_end, c};
	}
	/*
	 * The form that tests/run reads. The other forms also write to standard error, which some
	 * cases compare in a separate program.
	 */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int failed = list || n == 0 ? 0 : _cmocka_run_group_tests("fairlead", tests, n, NULL, NULL);
	free(tests);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
