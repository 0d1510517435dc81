/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of threads. What is written before the start, or before the end, is visible on the
 * other side. The block of a thread is freed once.
 */
#include "../cases.h"
#include <fairlead/thread.h>
#include <stdio.h>

static int count_run(void *arg)
{
	COUNT((atomic_int *)arg);
	return 0;
}

static uint64_t start_one(atomic_int *ran)
{
	fl_thread *t;
	OK(fl_thread_start(&t, count_run, ran, NULL));
	uint64_t id = fl_thread_id(t);
	OK(fl_thread_join(t, NULL));
	return id;
}

/*
 * A detached thread and its handle are released at once, twice, so that the lock of the list of
 * threads is contended. The last owner of a block frees it, once. By then the other owner must not
 * be inside an unlock any more, because the unlock would use the context in the block.
 */
struct thread_detach_vs_end {
	atomic_int ran;
};

FL_STRESS_ACTOR(thread_detach_vs_end, starter)
{
	fl_thread *t;
	OK(fl_thread_start(&t, count_run, &s->ran, NULL));
	fl_thread_detach(t);
	/* The state must outlive the thread. */
	while (LOOK(&s->ran) < 2 || fl_thread_enumerate(NULL, NULL) > 0)
		fl_stress_relax();
}

FL_STRESS(thread_detach_vs_end, starter, starter)
{
	FL_ACCEPTABLE(LOOK(&s->ran) == 2, "ran");
}

static void look_at(const fl_thread_info *info, void *arg)
{
	FL_STRESS_CHECK(info->id != 0 && info->name[0] != '\0');
}

/* The list is walked while threads come and go. No listed thread is gone. */
struct thread_enumerate {
	atomic_int ran;
	size_t seen;
};

FL_STRESS_ACTOR(thread_enumerate, starter)
{
	(void)start_one(&s->ran);
}

FL_STRESS_ACTOR(thread_enumerate, looker)
{
	s->seen = fl_thread_enumerate(look_at, NULL);
}

FL_STRESS(thread_enumerate, starter, looker)
{
	FL_ACCEPTABLE(s->seen <= 1, "seen, or not");
}

/*
 * The error hook is replaced while threads fail. The hook's call sees what was written before the
 * hook was set, and so does the context that replaces it. The hook belongs to the process, so it
 * finds the state by the name of the thread, and its data are never freed.
 */
struct thread_error_handler {
	int error;
	atomic_int calls;
};

static int hook_data[2];

static void count_handler(const fl_thread_info *info, int error)
{
	struct thread_error_handler *s = NULL;
	FL_STRESS_CHECK(sscanf(info->name, "%p", (void **)&s) == 1 && error == -EIO);
	COUNT(&s->calls);
}

static void first_handler(const fl_thread_info *info, int error)
{
	FL_STRESS_CHECK(hook_data[0] == 1);
	count_handler(info, error);
}

static void second_handler(const fl_thread_info *info, int error)
{
	FL_STRESS_CHECK(hook_data[1] == 1);
	count_handler(info, error);
}

static int fail(void *arg)
{
	return -EIO;
}

FL_STRESS_ACTOR(thread_error_handler, starter)
{
	fl_thread *t;
	char name[32];
	snprintf(name, sizeof name, "%p", (void *)s);
	OK(fl_thread_start(&t, fail, NULL, &(fl_thread_config){.name = name}));
	OK(fl_thread_join(t, &s->error));
}

FL_STRESS_ACTOR(thread_error_handler, setter)
{
	hook_data[0] = 1;
	(void)fl_thread_set_error_handler(first_handler);
}

FL_STRESS_ACTOR(thread_error_handler, replacer)
{
	hook_data[1] = 1;
	if (fl_thread_set_error_handler(second_handler) == first_handler)
		FL_STRESS_CHECK(hook_data[0] == 1);
}

FL_STRESS(thread_error_handler, starter, setter, replacer)
{
	(void)fl_thread_set_error_handler(NULL);
	FL_FORBIDDEN(s->error != -EIO, "wrong result");
	FL_ACCEPTABLE(LOOK(&s->calls) == 1, "called");
	FL_ACCEPTABLE(LOOK(&s->calls) == 0, "too late");
}
