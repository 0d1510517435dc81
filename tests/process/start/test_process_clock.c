/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes whose CLOCK_MONOTONIC is another one, since they are in a time namespace of their own
 * (util-linux PR 974, criu PR 1002, runtime-spec PR 1062: containers with a clock of their own).
 */
#include "fl_child.h"
#include "fl_process.h"

#include "fl_fds.h"
#include <sched.h>
#include <time.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

enum { NEWTIME = 0x80, REFUSED = 77 };
#define A_DAY FL_S(86400)
#define LONG FL_S(3600) /* longer than any case takes */

static int64_t kernel_now(void)
{
	struct timespec t;
	FL_OK(clock_gettime(CLOCK_MONOTONIC, &t));
	return FL_S(t.tv_sec) + t.tv_nsec;
}

struct clock_sent {
	fl_time now;
	int64_t kernel, ahead; /* of the process that starts the task; how much the task's kernel is ahead */
	int depth;             /* how many processes the task starts in turn */
};

static bool is_soon_after(int64_t now, int64_t before)
{
	return now >= before && now - before < LONG;
}

/* The library has the clock of the process that has sent this, and the kernel has not. */
static void expect_clock(const struct clock_sent *sent)
{
	FL_CHECK(is_soon_after(fl_now().ns, sent->now.ns));
	FL_CHECK(is_soon_after(kernel_now(), sent->kernel + sent->ahead));
}

static struct clock_sent clock_send(int64_t ahead, int depth)
{
	return (struct clock_sent){fl_now(), kernel_now(), ahead, depth};
}

/* Each of these waits goes to the kernel. None takes a day, and none ends at once. */
static void expect_waits(void)
{
	fl_shm *region = NULL;
	fl_event never = FL_EVENT_INIT;
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	const fl_time before = fl_now();
	FL_OK(fl_sleep(FL_MS(2)));
	FL_CHECK(fl_time_diff(fl_now(), before) >= FL_MS(2));
	FL_RC(fl_event_wait_until(&never, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_OK(fl_shm_create(&region, 4096));
	fl_shm_event *shared = fl_shm_block_alloc(region, sizeof *shared);
	FL_CHECK(shared != NULL);
	fl_shm_event_init(shared);
	FL_RC(fl_shm_event_wait_until(shared, fl_after(FL_MS(1)), FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_shm_event_wait_until(shared, fl_after(FL_MS(1)), &token), -ETIMEDOUT); /* by a bridge */
	fl_cancel_token_destroy(&token);
	fl_shm_free(region);
}

FL_TASK(clock_is_the_starters, struct clock_sent, void)
{
	expect_clock(arg);
	expect_waits();
	if (arg->depth > 0) {
		/* a process with the namespace, and so the kernel's clock, of this one */
		const struct clock_sent next = clock_send(0, arg->depth - 1);
		FL_OK(PROCESS_RUN(.task = &clock_is_the_starters, .arg = &next).code);
	}
	return 0;
}

FL_TASK(clock_of_a_worker, struct clock_sent, fl_time)
{
	expect_clock(arg);
	expect_waits();
	*result = fl_cancel_token_deadline(fl_task_token(ctx));
	return 0;
}

static void use_processes(int64_t ahead)
{
	fl_time deadline;
	PROCESS_EACH_METHOD (m) {
		const struct clock_sent sent = clock_send(ahead, 1);
		FL_OK(PROCESS_RUN(.task = &clock_is_the_starters, .arg = &sent, .method = m).code);
	}
	fl_executor *e = FL_TEST_EXECUTOR(process, .workers = 1, .task_timeout = LONG);
	const fl_submit_config config = {.deadline = fl_after(LONG)};
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(clock_of_a_worker_submit_with(e, clock_send(ahead, 0), &f, &config));
	FL_OK(clock_of_a_worker_get(f, &deadline));
	FL_CHECK(deadline.ns == config.deadline.ns);
	fl_executor_free(e);
}

static void run_in_time_namespace(void *ahead)
{
	char text[64];
	const int64_t by = *(int64_t *)ahead;
	const int size = snprintf(text, sizeof text, "monotonic %lld 0\n", (long long)(by / FL_S(1)));
	const int fd = unshare(NEWTIME) == 0 ? open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC) : -1;
	if (fd < 0 || write(fd, text, (size_t)size) != size)
		_exit(REFUSED);
	FL_OK(close(fd));
	use_processes(by);
}

/* Tasks with a deadline were "cancelled before they started", or never ended. */
FL_TEST(process_clock_of_a_time_namespace)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	process_needs_root();
	fl_test_needs_threads_in_children();
	const int64_t behind = -(kernel_now() / FL_S(2)) * FL_S(1);
	int64_t aheads[] = {A_DAY, FL_S(3), behind};
	FL_EACH (i, aheads) {
		const int status = fl_test_child(run_in_time_namespace, &aheads[i], NULL, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
			FL_SKIP("the kernel has no time namespaces, or forbids them");
		assert_int_equal(status, 0);
	}
}

/* The clock of the table, by which the same goes without a namespace: in each other process it is ahead. */

static int maker;
static uint64_t numbers[2];
static int64_t (*real_now)(void);

static int64_t now_ahead_elsewhere(void)
{
	return real_now() + (getpid() == maker ? 0 : A_DAY);
}

static uint64_t number_elsewhere(void)
{
	return numbers[getpid() != maker];
}

FL_TASK(clock_differs_by, struct clock_sent, void)
{
	FL_CHECK(is_soon_after(fl_now().ns, arg->now.ns + arg->ahead));
	return 0;
}

/* The numbers decide: the clock of the day may be set during a start. */
FL_TEST(process_clock_of_another_number)
{
	static const struct {
		uint64_t here, there;
		int64_t ahead;
	} cases[] = {{1, 2, 0}, {1, 1, A_DAY}, {0, 2, A_DAY}, {1, 0, A_DAY}};
	process_needs_fork();
	const struct fl__sys before = fl__sys;
	real_now = fl__sys.now;
	maker = getpid();
	FL_EACH (i, cases) {
		numbers[0] = cases[i].here;
		numbers[1] = cases[i].there;
		const struct clock_sent sent = clock_send(cases[i].ahead, 0);
		process_await_last_thread();
		fl__sys.now = now_ahead_elsewhere;
		fl__sys.clock_number = number_elsewhere;
		const fl_process_status status =
		    PROCESS_RUN(.task = &clock_differs_by, .arg = &sent, .method = FL_PROCESS_FORK);
		fl__sys.now = before.now;
		fl__sys.clock_number = before.clock_number;
		FL_OK(status.code);
	}
}
