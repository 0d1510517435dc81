/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subprocesses: runs ten programs at once, each with a deadline, and prints their lines as they
 * come, and how each program has ended.
 *
 *   subprocesses [MILLISECONDS [SCRIPT]]
 *
 * The programs are shells that run the script, in which $1 is the number of the program. Without a
 * script they count to three, and the last three of them are too slow. A program that is too slow
 * is stopped with all processes that it has started.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRAMS = 10 };

struct job {
	int number;
	int64_t timeout;
	const char *script;
};

/* Prints each line until the end of the output, a long one in parts. -ETIMEDOUT: no end yet. */
static int print_lines(fl_stream *output, int number, int64_t deadline)
{
	char line[256];
	ssize_t n;
	do {
		n = fl_stream_read_line_until(output, line, sizeof line, deadline, NULL);
		if (n == -EMSGSIZE) /* a line above 255 bytes; they stay in the stream */
			n = fl_stream_read(output, line, sizeof line - 1);
		if (n > 0) {
			printf("%d: ", number);
			fwrite(line, 1, (size_t)n, stdout);
			if (line[n - 1] != '\n')
				printf(" ...\n");
		}
	} while (n > 0);
	return (int)n;
}

static int run(void *arg)
{
	const struct job *job = arg;
	const int64_t deadline = fl_after(job->timeout);
	char number[16];
	fl_process_status status;
	FL_SCOPED(fl_stream) *output = NULL;
	FL_SCOPED(fl_process) *p = NULL;
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
		rc = print_lines(output, job->number, deadline);
	}
	if (rc == 0)
		rc = fl_process_join_until(p, &status, deadline, NULL);
	const int error = rc;
	if (error != 0) /* asks the program and its children to end; kills those that run on */
		rc = fl_process_stop(p, FL_S(5), &status);
	if (rc == 0 && error == -ETIMEDOUT) { /* an unfinished line, and what was written since */
		rc = print_lines(output, job->number, fl_after(FL_S(1)));
		if (rc == -ETIMEDOUT)
			rc = 0; /* a process that has left the group keeps the pipe open */
	} else if (rc == 0) {
		rc = error;
	}
	if (rc != 0)
		return rc;
	const char *reason = error == 0 ? "" : "too slow: ";
	if (status.signal == 0)
		printf("%d: %sended with %d\n", job->number, reason, status.code);
	else
		printf("%d: %sended by signal %d\n", job->number, reason, status.signal);
	return 0;
}

struct arguments {
	int64_t timeout;
	const char *script;
};

static int run_all(void *arg)
{
	const struct arguments *a = arg;
	struct job jobs[PROGRAMS];
	FL_SCOPED(fl_group) all = FL_GROUP_INIT(NULL);
	int rc = 0;
	for (int i = 0; rc == 0 && i < PROGRAMS; i++) {
		jobs[i] = (struct job){i, a->timeout, a->script};
		rc = fl_group_start(&all, run, &jobs[i]);
	}
	const int ended = fl_group_join(&all);
	return rc != 0 ? rc : ended;
}

int main(int argc, char **argv)
{
	struct arguments a = {FL_MS(argc > 1 ? atoi(argv[1]) : 1000),
	                      "for i in 1 2 3; do echo line $i; [ $1 -lt 7 ] || sleep 1000; done"};
	if (argc > 2)
		a.script = argv[2];
	int rc = fl_loop_run(run_all, &a);
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "subprocesses");
}
