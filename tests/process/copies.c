/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several copies of the library in one program, which all have processes: one in each of two shared
 * objects, and one in the program, or none there. Each has a task of the same name, with its own
 * result. For each copy the program prints a line; the last line is "end".
 *
 *   COPY 1, 2   a shared object
 *   COPY 3      a program with a copy
 *   COPY 0      a program without one
 */
#include <stdio.h>

int use_copy_1(void);
int use_copy_2(void);

#if COPY > 0
#include <fairlead.h>

FL_TASK(number_of_copy, int, int)
{
	*result = *arg + COPY;
	return 0;
}

FL_TASK(ends_with_copy, int, int)
{
	return *arg + COPY == COPY ? 0 : -EINVAL;
}

static int use_executor(int *number)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = fl_process_executor_create(&e, &(fl_executor_config){.workers = 1});
	if (rc == 0)
		rc = number_of_copy_submit(e, 0, &f);
	return rc == 0 ? number_of_copy_get(f, number) : rc;
}

static int use_method(fl_process_method method)
{
	FL_SCOPED(fl_process) *p = NULL;
	const int zero = 0;
	fl_process_status status = {-1, 0};
	int rc = fl_process_start(&p, &(fl_process_config){.task = &ends_with_copy, .arg = &zero, .method = method});
	if (rc == 0)
		rc = fl_process_join(p, &status);
	return rc == 0 ? status.code : rc;
}

static int use_copy(void)
{
	int number = -1;
	const int pool = use_executor(&number), server = use_method(FL_PROCESS_FORK_SERVER),
		  exec = use_method(FL_PROCESS_EXEC);
	printf("copy %d: number %d; %s, %s, %s\n", COPY, number, fl_error_name(pool), fl_error_name(server),
	       fl_error_name(exec));
	return pool != 0 || number != COPY || server != 0 || exec != 0;
}
#endif

#if COPY == 1 || COPY == 2
FL_PROCESS_HOOK;
#define NAME_OF(copy) use_copy_##copy
#define NAME(copy) NAME_OF(copy)
__attribute__((visibility("default"))) int NAME(COPY)(void)
{
	return use_copy();
}
#else
int main(int argc, char **argv)
{
	int wrong = 0;
	(void)argc;
	(void)argv;
#if COPY == 3
	fl_process_main(argc, argv);
	wrong |= use_copy();
#endif
	wrong |= use_copy_2() | use_copy_1();
	printf("end\n");
	return wrong;
}
#endif
