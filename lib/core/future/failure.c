/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stores a task's failure and prints it. The last failure is in the thread's data, so storing it
 * needs no lock and cannot fail. It belongs to the thread instead of the context, so that idle
 * fibers do not pay for the memory. But since the fibers of a thread share it, it contains the id
 * of the context that received the failure, so that fl_perror() never prints another fiber's
 * failure.
 */
#include "failure.h"
#include "../wait/context.h"
#include <fairlead/error.h>
#include <fairlead/future.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(FL__FAILURE_MESSAGE == FL_MESSAGE_MAX, "a message fits");

FL__COLD int fl__failure_store(size_t index, int error, const char *message)
{
	struct fl__last_failure *last = &fl__thread_data()->failure;
	last->context = fl__ctx_get()->id;
	last->index = index;
	last->error = error;
	(void)snprintf(last->message, sizeof last->message, "%s", message);
	return FL_ETASK;
}

static void failure_name_error(int code, char *to, size_t size)
{
	const char *name = fl_error_name(code);
	if (strcmp(name, "E?") == 0)
		(void)snprintf(to, size, "%d", code);
	else
		(void)snprintf(to, size, "%s", name);
}

static void failure_print(const char *what, const struct fl__last_failure *last)
{
	char error[32], task[64] = "the task";
	failure_name_error(last->error, error, sizeof error);
	if (last->index != FL__NO_INDEX)
		(void)snprintf(task, sizeof task, "the task of argument %zu", last->index);
	(void)fprintf(stderr, "%s: FL_ETASK: %s failed: %s: %s\n", what, task, error,
	              last->message[0] ? last->message : fl_error_text(last->error));
}

int fl_perror(int rc, const char *what)
{
	FL__UNCANCELLED();
	const struct fl__last_failure *last = &fl__thread_data()->failure;
	if (rc == FL_ETASK && last->context != 0 && last->context == fl__ctx_get()->id)
		failure_print(what, last);
	else
		(void)fprintf(stderr, "%s: %s: %s\n", what, fl_error_name(rc), fl_error_text(rc));
	return EXIT_FAILURE;
}
