/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that starts processes, with one of the ways of a restart, or with none:
 *
 *   start METHOD     starts a task that prints "task", and prints its result
 *   preload          preloads the fork server, starts 50 threads, and has each start the task
 *   threads          starts a thread, and prints the result of preloading
 *   late             registers a task by hand, which the fork server does not know
 *   executor         makes a process executor, and prints the result of a task
 *   preloaded        the same, with a preloaded fork server
 *   other            has a task with its version in the environment, which it changes before the
 *                    fork server starts
 *   arguments        prints their number
 *
 * Each line begins with the action; the last is "end".
 */
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FL_TASK(says, int, void)
{
	printf("task %d\n", *arg);
	return 0;
}

static int run_nothing(fl_task_ctx *ctx, const void *arg, void *result)
{
	(void)ctx;
	(void)arg;
	(void)result;
	return 0;
}

/* Registered by a constructor that reads the environment. */
static fl_task_type changes = {.size = sizeof changes, .name = "changes", .run = run_nothing};
static fl_task_entry changes_entry = {&changes, NULL};

__attribute__((constructor(FL__TASK_PRIORITY))) static void register_changes(void)
{
	const char *version = getenv("VERSION_OF_CHANGES");
	changes.version = version ? (uint32_t)atoi(version) : 0;
	fl_task_register(&changes_entry);
}

static const fl_task_type late = {.size = sizeof late, .name = "late", .run = run_nothing};
static fl_task_entry late_entry = {&late, NULL};

#ifdef WAY_HOOK
FL_PROCESS_HOOK;
#endif

static int start_and_join(const fl_task_type *type, fl_process_method method)
{
	const int number = 7;
	FL_SCOPED(fl_process) *p = NULL;
	fl_process_status status = {0, 0};
	int rc = fl_process_start(
	    &p, &(fl_process_config){.task = type, .arg = type->arg_size ? &number : NULL, .method = method});
	if (rc == 0)
		rc = fl_process_join(p, &status);
	return rc != 0 ? rc : status.code;
}

static int one_of_many(void *arg)
{
	(void)arg;
	return start_and_join(&says, FL_PROCESS_FORK_SERVER);
}

static int wait_for(void *event)
{
	return fl_event_wait(event);
}

static void with_threads(void)
{
	enum { THREADS = 50 };
	fl_thread *threads[THREADS];
	printf("preload %s\n", fl_error_name(fl_process_preload()));
	printf("again %s\n", fl_error_name(fl_process_preload()));
	int sum = 0;
	for (int i = 0; i < THREADS; i++)
		sum += fl_thread_start(&threads[i], one_of_many, NULL, NULL);
	for (int i = 0; i < THREADS; i++) {
		int rc = 1;
		sum += fl_thread_join(threads[i], &rc);
		sum += rc != 0;
	}
	printf("failures %d\n", sum);
}

static void preload_with_a_thread(void)
{
	fl_event stop = FL_EVENT_INIT;
	fl_thread *thread;
	if (fl_thread_start(&thread, wait_for, &stop, NULL) != 0)
		abort();
	printf("preload %s\n", fl_error_name(fl_process_preload()));
	fl_event_set(&stop);
	if (fl_thread_join(thread, NULL) != 0)
		abort();
}

FL_TASK(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

static void with_executor(void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	int result = 0;
	int rc = fl_process_executor_create(&e, NULL);
	printf("executor %s\n", fl_error_name(rc));
	if (rc == 0 && square_submit(e, 7, &f) == 0 && square_get(f, &result) == 0)
		printf("%d\n", result);
}

int main(int argc, char **argv)
{
#ifdef WAY_MAIN
	fl_process_main(argc, argv);
#endif
	const char *what = argc > 1 ? argv[1] : "arguments";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "start") == 0)
		printf("start %s\n", fl_error_name(start_and_join(&says, (fl_process_method)atoi(argv[2]))));
	else if (strcmp(what, "preload") == 0)
		with_threads();
	else if (strcmp(what, "threads") == 0)
		preload_with_a_thread();
	else if (strcmp(what, "executor") == 0)
		with_executor();
	else if (strcmp(what, "preloaded") == 0) {
		printf("preload %s\n", fl_error_name(fl_process_preload()));
		with_executor();
	} else if (strcmp(what, "late") == 0) {
		fl_task_register(&late_entry);
		printf("late %s\n", fl_error_name(start_and_join(&late, FL_PROCESS_FORK_SERVER)));
		printf("late by fork %s\n", fl_error_name(start_and_join(&late, FL_PROCESS_FORK)));
		printf("late by exec %s\n", fl_error_name(start_and_join(&late, FL_PROCESS_EXEC)));
	} else if (strcmp(what, "other") == 0) {
		(void)setenv("VERSION_OF_CHANGES", "3", 1);
		printf("other %s\n", fl_error_name(start_and_join(&changes, FL_PROCESS_FORK_SERVER)));
		printf("says %s\n", fl_error_name(start_and_join(&says, FL_PROCESS_FORK_SERVER)));
	} else
		printf("arguments %d\n", argc);
	printf("end\n");
	return 0;
}
