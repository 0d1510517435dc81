/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a new process closes the descriptors that it does not get, where the system has no
 * close_range(): by the list in /proc, in as many steps as descriptors are open, and else by
 * trying every number.
 */
#include "fl_arena.h"
#include "fl_fds.h"
#include "fl_process.h"

#include "process/start/new_process.h"
#include <stdarg.h>
#include <sys/resource.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

enum { CLOSE_RANGE = 436, OPEN = 300, LOWERED = 1000, SLACK = 200 /* calls of any set-up */ };

static struct close_counts {
	int calls, lists;          /* made in the new process */
	int open_error, list_from; /* the lists from this one on fail */
} * counts;

/* Runs in the new process, which may share the memory of this one. */
FL__RAW static long counting_call(long number, ...)
{
	va_list args;
	long a[4];
	va_start(args, number);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	counts->calls++;
	if (number == CLOSE_RANGE || (number == SYS_openat && counts->open_error != 0)) {
		errno = number == CLOSE_RANGE ? ENOSYS : counts->open_error;
		return -1;
	}
	if (number == SYS_getdents64 && ++counts->lists >= counts->list_from) {
		errno = EIO;
		return -1;
	}
	return syscall(number, a[0], a[1], a[2], a[3]);
}

FL_TASK(close_counts_descriptors, void, void)
{
	FL_CHECK(fl_test_fds() == 3);
	return 0;
}

/*
 * Starts a process while OPEN descriptors are open, two of them above the limit, which was lowered.
 * Returns the number of calls that the process's set-up made.
 */
static int start_with_many(const fl_process_config *config)
{
	int fds[OPEN];
	struct rlimit before, lowered;
	FL_OK(getrlimit(RLIMIT_NOFILE, &before));
	for (int i = 0; i < OPEN; i++) {
		const int at_least = i < 2 ? (int)before.rlim_cur - 2 : 3 + i / 2 * 2;
		FL_CHECK((fds[i] = fcntl(STDERR_FILENO, F_DUPFD, at_least)) >= 0);
	}
	lowered = before;
	lowered.rlim_cur = LOWERED;
	FL_OK(setrlimit(RLIMIT_NOFILE, &lowered));
	counts->calls = counts->lists = 0;
	const fl_process_status status = process_run(config);
	FL_OK(setrlimit(RLIMIT_NOFILE, &before));
	for (int i = 0; i < OPEN; i++)
		FL_OK(close(fds[i]));
	FL_OK(status.code);
	FL_OK(status.signal);
	return counts->calls;
}

/* Starts a program, in which the streams are open, what ls reads, and so many others. */
static int start_program(const char *others)
{
	return start_with_many(&(fl_process_config){
	    PROCESS_COMMAND("sh", "-c", "test $(ls /proc/self/fd | wc -w) = $((4 + $0))", others)});
}

static int start_fork(void)
{
	process_await_last_thread();
	return start_with_many(&(fl_process_config){.task = &close_counts_descriptors, .method = FL_PROCESS_FORK});
}

static void without_close_range(struct close_counts with)
{
	counts = FL_IN_ARENA(struct close_counts, 1);
	*counts = with;
	fl__process_sys.raw = counting_call;
}

/* The time of a start grew with the limit of descriptors, which may be a billion. */
FL_TEST(process_close_takes_as_many_steps_as_descriptors_are_open)
{
	process_needs_fork();
	PROCESS_FAULTS();
	without_close_range((struct close_counts){.list_from = INT_MAX});
	const int program = start_program("0"), lists = counts->lists;
	assert_true(lists > 2); /* the list of so many descriptors comes in parts */
	const int forked = start_fork();
	print_message("%d open: %d and %d steps\n", OPEN, program, forked);
	assert_true(program < OPEN + SLACK);
	assert_true(forked < OPEN + SLACK);
}

/* The two above the limit stay open. */
FL_TEST(process_close_without_the_list_tries_every_number)
{
	static const struct close_counts faults[] = {
	    {.open_error = ENOENT, .list_from = INT_MAX}, {.list_from = 1}, {.list_from = 2}};
	PROCESS_FAULTS();
	FL_EACH (i, faults) {
		without_close_range(faults[i]);
		const int steps = start_program("2");
		assert_true(steps >= LOWERED - 10 && steps < LOWERED + OPEN + SLACK);
	}
}
