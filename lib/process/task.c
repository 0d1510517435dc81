/* SPDX-License-Identifier: BSD-2-Clause */
/* A process that was made for one task, from its first step to its end. */
#include "../base/sys.h"
#include "../exec/executor.h"
#include "fd_sys.h"
#include "os.h"
#include "request.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static char own_name[FL_PROCESS_NAME_MAX + 1] = "main";
static unsigned own_fds;
static bool swept;

const char *fl_process_current_name(void)
{
	return own_name;
}

unsigned fl_process_fd_count(void)
{
	return own_fds;
}

int fl_process_fd(unsigned i)
{
	return i < own_fds ? (int)(FL__STREAMS + i) : -EBADF;
}

bool fl__process_swept(void)
{
	return swept;
}

void fl__process_is(const char *name, unsigned n_fds)
{
	size_t size = strlen(name);
	size = size < FL_PROCESS_NAME_MAX ? size : FL_PROCESS_NAME_MAX;
	memmove(own_name, name, size);
	own_name[size] = '\0';
	own_fds = n_fds;
	(void)prctl(PR_SET_NAME, own_name, 0, 0, 0); /* for ps */
}

/* Zeroed memory of the largest alignment that a task may have. Never freed. */
static void *aligned(size_t size)
{
	char *memory = fl__alloc(1, size + FL_TASK_ALIGN_MAX);
	return memory ? memory + (FL_TASK_ALIGN_MAX - (uintptr_t)memory % FL_TASK_ALIGN_MAX) : NULL;
}

/* The argument, aligned; NULL: there is none. */
static int take_arg(const struct fl__request *request, void **arg)
{
	size_t size = request->type->arg_size;
	*arg = NULL;
	if (size == 0)
		return 0;
	if (request->memory < 0) {
		*arg = aligned(size);
		if (!*arg)
			return -ENOMEM;
		memcpy(*arg, request->arg, size);
		return 0;
	}
	int64_t there;
	int rc = fl__fd_sys.sealed_size(request->memory, &there);
	if (rc != 0 || there != (int64_t)size)
		return -EBADMSG;
	void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, request->memory, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	*arg = memory;
	return 0;
}

static void tell_failure(const fl_task_type *type, int error, const char *message)
{
	if (message)
		fprintf(stderr, "%s: task %s: %s\n", own_name, type->name, message);
	else
		fprintf(stderr, "%s: task %s: %s (%s)\n", own_name, type->name, fl_error_text(error),
		        fl_error_name(error));
}

static int run(const fl_task_type *type, const void *arg, void *result)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	fl_task_ctx ctx = {.token = &token};
	fl__ctx_current = NULL; /* not the context of the forking thread */
	int error = fl__task_call(type, arg, result, &ctx);
	if (error != 0)
		tell_failure(type, error, ctx.message);
	return error;
}

void fl__task_process(struct fl__request *request, void (*ready)(int fd, int rc))
{
	void *arg, *result = NULL;
	int rc = take_arg(request, &arg);
	if (rc == 0 && request->type->result_size > 0) {
		result = aligned(request->type->result_size);
		rc = result ? 0 : -ENOMEM;
	}
	swept = true;
	if (rc == 0)
		rc = fl__setup(&request->setup);
	if (ready)
		ready(request->setup.keep, rc);
	fl__process_is(request->name, request->setup.n_fds - FL__STREAMS);
	if (rc != 0 && !ready)
		fprintf(stderr, "%s: cannot begin: %s\n", own_name, fl_error_text(rc));
	if (rc == 0)
		rc = run(request->type, arg, result);
	(void)fflush(NULL);
	_exit(rc == 0 ? 0 : 1);
}
