/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The actions of signals in a new process. It reads in /proc which of them it must change, and
 * without /proc it asks for each signal.
 */
#include "fl_arena.h"
#include "fl_process.h"

#include "process/start/new_process.h"
#include <inttypes.h>
#include <stdarg.h>
#include <sys/wait.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

static struct action_counts {
	int actions;  /* calls of rt_sigaction() in the new process */
	bool no_list; /* /proc/self/status cannot be opened */
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
	counts->actions += number == SYS_rt_sigaction;
	if (number == SYS_openat && counts->no_list) {
		errno = ENOENT;
		return -1;
	}
	return syscall(number, a[0], a[1], a[2], a[3]);
}

static void count_calls(bool no_list)
{
	counts = FL_IN_ARENA(struct action_counts, 1);
	*counts = (struct action_counts){.no_list = no_list};
	fl__process_sys.raw = counting_call;
}

static void nothing(int signal)
{
}

struct actions {
	uint64_t ignored, caught;
};

static struct actions actions_of_program(void)
{
	int out = fl_test_scratch();
	char said[300];
	struct actions actions;
	const fl_process_status got =
	    PROCESS_RUN(PROCESS_COMMAND("grep", "-E", "Sig(Ign|Cgt)", "/proc/self/status"), .out = FL_PROCESS_FD(out));
	assert_int_equal(got.code, 0);
	fl_test_take(out, said, sizeof said);
	assert_int_equal(sscanf(said, "SigIgn: %" SCNx64 " SigCgt: %" SCNx64, &actions.ignored, &actions.caught), 2);
	return actions;
}

/* How many signals this process catches or ignores; an emulator may catch all. */
static int actions_here(void)
{
	int n = 0;
	char line[100];
	FILE *file = fopen("/proc/self/status", "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		uint64_t set = 0;
		if (sscanf(line, "SigIgn: %" SCNx64, &set) == 1 || sscanf(line, "SigCgt: %" SCNx64, &set) == 1)
			n += __builtin_popcountll(set);
	}
	(void)fclose(file);
	return n;
}

static uint64_t bit_of(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

/* A start set the action of each signal, and asked for it before: 126 system calls. */
FL_TEST(process_start_changes_the_actions_that_it_must)
{
	enum { LAST = 64 };
	static const int signals[] = {SIGUSR1, SIGUSR2, LAST};
	FL_BOTH (no_list) {
		struct sigaction before[FL__COUNT(signals)];
		PROCESS_FAULTS();
		FL_EACH (i, signals)
			FL_OK(sigaction(signals[i], &(struct sigaction){.sa_handler = i == 1 ? SIG_IGN : nothing},
			                &before[i]));
		count_calls(no_list);
		const int some = actions_here() + 1; /* SIGCHLD */
		const struct actions actions = actions_of_program();
		const int calls = counts->actions;
		FL_EACH (i, signals)
			FL_OK(sigaction(signals[i], &before[i], NULL));
		assert_true(no_list ? calls > LAST : calls <= some);
		const uint64_t ours = bit_of(SIGUSR1) | bit_of(SIGUSR2) | bit_of(LAST);
		assert_int_equal(actions.ignored & ours, bit_of(SIGUSR2));
		assert_int_equal(actions.caught & ours, 0);
	}
}

FL_TASK(process_awaits_a_child, void, void)
{
	int status = 0;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	FL_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	FL_CHECK(write(STDOUT_FILENO, "awaited", 7) == 7);
	return 0;
}

/* With a flag of the default action of SIGCHLD, no child can be awaited. */
FL_TEST(process_start_resets_the_flags_of_sigchld)
{
	process_needs_fork();
	FL_BOTH (no_list) {
		const struct sigaction unawaited = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
		struct sigaction before;
		char said[16];
		const int out = fl_test_scratch();
		PROCESS_FAULTS();
		process_await_last_thread();
		count_calls(no_list);
		FL_OK(sigaction(SIGCHLD, &unawaited, &before));
		fl_process *p = PROCESS_STARTED(.task = &process_awaits_a_child, .method = FL_PROCESS_FORK,
		                                .out = FL_PROCESS_FD(out));
		fl_process_status status;
		(void)!fl_process_join(p, &status); /* the kernel has reaped it */
		fl_process_free(p);
		FL_OK(sigaction(SIGCHLD, &before, NULL));
		fl_test_take(out, said, sizeof said);
		assert_string_equal(said, "awaited");
	}
}
