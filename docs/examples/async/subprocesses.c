/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subprocesses: runs ten programs at once, each with a deadline, and prints their lines as they
 * come.
 *
 *   subprocesses [MILLISECONDS]
 *
 * The programs are shells that count to three. The last three of them are too slow, and are stopped
 * with all processes that they have started.
 */
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRAMS = 10 };

struct job {
	int number;
	int64_t timeout;
};

/* Prints the lines of one program; the error of the deadline if it is too slow. */
static int read_lines(fl_process *p, const struct job *job)
{
	char line[256];
	ssize_t n;
	FL_SCOPED(fl_stream) *output = NULL;
	int rc = fl_stream_from_fd(&output, fl_process_pipe(p, 1));
	if (rc != 0)
		return rc;
	(void)fl_process_take_pipe(p, 1); /* the stream has it now */
	const int64_t deadline = fl_after(job->timeout);
	while ((n = fl_stream_read_line_until(output, line, sizeof line, deadline, NULL)) > 0)
		printf("%d: %s", job->number, line);
	return (int)n;
}

static int run(void *arg)
{
	const struct job *job = arg;
	char script[128];
	fl_process_status status;
	FL_SCOPED(fl_process) *p = NULL;
	snprintf(script, sizeof script, "for i in 1 2 3; do echo line $i; sleep %s; done",
	         job->number < 7 ? "0" : "1000");
	const char *const argv[] = {"sh", "-c", script, NULL};
	const fl_process_config config = {
	    .program = "sh", .argv = argv, .in = FL_PROCESS_NULL, .out = FL_PROCESS_PIPE, .group = true};
	int rc = fl_process_start(&p, &config);
	if (rc != 0)
		return rc;
	rc = read_lines(p, job);
	if (rc == -ETIMEDOUT)
		printf("%d: too slow\n", job->number);
	/*
	 * asks the program and its children to end, and kills them if they still run after 100 ms
	 */
	rc = fl_process_stop(p, FL_MS(100), &status);
	if (rc == 0 && status.signal == 0)
		printf("%d: ended with %d\n", job->number, status.code);
	return rc;
}

static int run_all(void *timeout)
{
	struct job jobs[PROGRAMS];
	FL_SCOPED(fl_group) all = FL_GROUP_INIT(NULL);
	int rc = 0;
	for (int i = 0; rc == 0 && i < PROGRAMS; i++) {
		jobs[i] = (struct job){i, *(int64_t *)timeout};
		rc = fl_group_start(&all, run, &jobs[i]);
	}
	const int ended = fl_group_join(&all);
	return rc != 0 ? rc : ended;
}

int main(int argc, char **argv)
{
	int64_t timeout = FL_MS(argc > 1 ? atoi(argv[1]) : 1000);
	int rc = fl_loop_run(run_all, &timeout);
	return rc == 0 ? EXIT_SUCCESS : fl_perror(rc, "subprocesses");
}
