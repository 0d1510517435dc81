/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subprocesses: runs ten programs at once, each with a deadline, and prints their lines as they
 * come, and how each program has ended.
 *
 *   subprocesses [MILLISECONDS [SCRIPT]]
 *
 * The programs are shells that run the script, in which $1 is the number of the program. Without a
 * script they count to three, and the last three of them are too slow. A program that is too slow
 * is stopped with all processes that it has started. Ctrl-C stops all programs.
 *
 * Each program has two fibers. One reads the output to its end, also while the other stops the
 * program: a program that prints more than its pipe holds could not end otherwise.
 */
#include <errno.h>
#include <fairlead.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRAMS = 10 };

struct job {
	int number;
	int64_t timeout;
	const char *script;
	fl_stream *output;
};

/* Prints each line until the end of the output, a long one in parts. */
static int print_lines(void *arg)
{
	const struct job *job = arg;
	char line[256];
	ssize_t n;
	do {
		n = fl_stream_read_line(job->output, line, sizeof line);
		if (n == -EMSGSIZE) /* a line above 255 bytes; they stay in the stream */
			n = fl_stream_read_some(job->output, line, sizeof line - 1);
		if (n > 0) {
			printf("%d: ", job->number);
			fwrite(line, 1, (size_t)n, stdout);
			if (line[n - 1] != '\n')
				printf(" ...\n");
		}
	} while (n > 0);
	return (int)n;
}

/* Waits for the end of the output, then of the program. After an error, stops the program. */
static int finish(fl_process *p, fl_fiber **reader, fl_process_status *status, fl_time deadline)
{
	int lines = 0;
	int rc = fl_fiber_join_until(*reader, &lines, deadline, NULL);
	if (rc == 0) {
		*reader = NULL;
		rc = lines != 0 ? lines : fl_process_join_until(p, status, deadline, NULL);
	}
	if (rc == 0)
		return 0;
	const int stopped = fl_process_stop(p, FL_S(5), status); /* the reader reads on */
	/* A process that has left the group keeps the output open: then the reader is cancelled. */
	if (*reader && fl_fiber_join_until(*reader, NULL, fl_after(FL_S(1)), FL_SHIELDED) == 0)
		*reader = NULL;
	return stopped != 0 ? stopped : rc;
}

static int run(void *arg)
{
	struct job *job = arg;
	const fl_time deadline = fl_after(job->timeout);
	char number[16];
	fl_process_status status;
	FL_SCOPED(fl_process) *p = NULL;
	FL_SCOPED(fl_stream) *output = NULL;
	FL_SCOPED(fl_fiber) *reader = NULL; /* cancelled and joined before the stream is freed */
	snprintf(number, sizeof number, "%d", job->number);
	const char *const argv[] = {"sh", "-c", job->script, "sh", number, NULL};
	const fl_process_config config = {
	    .program = "sh", .argv = argv, .in = FL_PROCESS_NULL, .out = FL_PROCESS_PIPE, .group = true};
	int rc = fl_process_start(&p, &config);
	if (rc != 0)
		return rc;
	rc = fl_stream_from_fd(&output, fl_process_pipe(p, 1));
	if (rc == 0) {
		(void)fl_process_take_pipe(p, 1); /* the stream has it now */
		job->output = output;
		rc = fl_fiber_start(&reader, print_lines, job, NULL);
	}
	if (rc != 0) {
		FL_IGNORE(fl_process_stop(p, 0, NULL));
		return rc;
	}
	rc = finish(p, &reader, &status, deadline);
	if (rc != 0 && rc != -ETIMEDOUT && rc != -ECANCELED)
		return rc;
	const char *reason = rc == -ETIMEDOUT ? "too slow: " : rc == -ECANCELED ? "interrupted: " : "";
	if (status.signal == 0)
		printf("%d: %sended with %d\n", job->number, reason, status.code);
	else
		printf("%d: %sended by signal %d\n", job->number, reason, status.signal);
	return 0;
}

struct arguments {
	int64_t timeout;
	const char *script;
	fl_signals *signals;
	fl_group *programs;
	bool interrupted;
};

/* The programs lead groups of their own: the terminal's Ctrl-C does not reach them. */
static int wait_for_ctrl_c(void *arg)
{
	struct arguments *a = arg;
	if (fl_signals_wait(a->signals) > 0) {
		a->interrupted = true;
		fl_group_cancel(a->programs);
	}
	return 0;
}

static int run_all(void *arg)
{
	struct arguments *a = arg;
	struct job jobs[PROGRAMS];
	FL_SCOPED(fl_group) all = FL_GROUP_INIT(NULL);
	FL_SCOPED(fl_fiber) *ender = NULL; /* cancelled and joined before the group is destroyed */
	a->programs = &all;
	int rc = fl_fiber_start(&ender, wait_for_ctrl_c, a, NULL);
	for (int i = 0; rc == 0 && i < PROGRAMS; i++) {
		jobs[i] = (struct job){.number = i, .timeout = a->timeout, .script = a->script};
		rc = fl_group_start(&all, run, &jobs[i]);
	}
	if (fl_group_join(&all) != 0)
		rc = fl_group_error(&all);
	return rc != 0 ? rc : a->interrupted ? -ECANCELED : 0;
}

int main(int argc, char **argv)
{
	static const int ends[] = {SIGINT, SIGTERM};
	struct arguments a = {.timeout = FL_MS(argc > 1 ? atoi(argv[1]) : 1000),
	                      .script = "for i in 1 2 3; do echo line $i; [ $1 -lt 7 ] || sleep 1000; done"};
	if (argc > 2)
		a.script = argv[2];
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	int rc = fl_signals_create(&a.signals, ends, 2); /* before the first thread */
	if (rc == 0)
		rc = fl_loop_run(run_all, &a);
	if (rc != 0)
		fl_perror(rc, "subprocesses");
	(void)fflush(stdout);
	while (a.signals && fl_signals_try_wait(a.signals) > 0)
		; /* a further Ctrl-C: the programs have ended */
	fl_signals_free(a.signals);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
