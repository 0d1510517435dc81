/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last failure is thread-local, so storing it needs no lock and cannot fail. The fibers of a
 * thread share it: with the context's id fl_perror() never prints another fiber's failure.
 */
#include "failure.h"
#include "../wait/context.h"
#include <fairlead/error.h>
#include <fairlead/future.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct {
	uint64_t context; /* the id of the context that received the failure; 0: none */
	size_t index;
	int error;
	char message[FL_MESSAGE_MAX];
} failure_last;

int fl__failure_store(size_t index, int error, const char *message)
{
	failure_last.context = fl__ctx_get()->id;
	failure_last.index = index;
	failure_last.error = error;
	(void)snprintf(failure_last.message, sizeof failure_last.message, "%s", message);
	return FL_ETASK;
}

static void failure_name_error(char *to, size_t size)
{
	const char *name = fl_error_name(failure_last.error);
	if (strcmp(name, "E?") == 0)
		(void)snprintf(to, size, "%d", failure_last.error);
	else
		(void)snprintf(to, size, "%s", name);
}

static void failure_print(const char *what)
{
	char error[32], task[64] = "the task";
	failure_name_error(error, sizeof error);
	if (failure_last.index != FL__NO_INDEX)
		(void)snprintf(task, sizeof task, "the task of argument %zu", failure_last.index);
	(void)fprintf(stderr, "%s: FL_ETASK: %s failed: %s: %s\n", what, task, error,
	              failure_last.message[0] ? failure_last.message : fl_error_text(failure_last.error));
}

int fl_perror(int rc, const char *what)
{
	FL__UNCANCELLED();
	if (rc == FL_ETASK && failure_last.context != 0 && failure_last.context == fl__ctx_get()->id)
		failure_print(what);
	else
		(void)fprintf(stderr, "%s: %s: %s\n", what, fl_error_name(rc), fl_error_text(rc));
	return EXIT_FAILURE;
}
