/* SPDX-License-Identifier: BSD-2-Clause */
/* FL_PROCESS_FORK: forks the calling process, which must have a single thread. */
#include "fork.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/context.h"
#include "launch.h"
#include "manager.h"
#include "os.h"
#include "request.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int fl__may_fork(const char **problem)
{
	int threads = fl__os.threads();
	*problem = "it is not known how many threads there are";
	if (threads < 0)
		return threads;
	/* the manager thread does not count: a forked child initializes that thread's lock */
	int others = threads - 1 - (int)fl__manager_threads();
	*problem = "a process with threads, or a fiber, must not be forked";
	if (others == 0 && fl__ctx_get()->ops == &fl__thread_parker)
		return 0;
	fl__log(FL_LOG_ERROR, "a fork was asked for, but this process has other threads (%d)%s", others,
	        others == 0 ? ", and this is a fiber" : "");
	return -EBUSY;
}

int fl__fork(int *pidfd)
{
	sigset_t all, before;
	(void)fflush(NULL);
	(void)sigfillset(&all);
	/* no handler of the caller may run in the child, or reap it */
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	int pid = fl__fork_with_pidfd(pidfd);
	if (pid == 0)
		return 0;
	*pidfd = fl__above(*pidfd);
	if (pid > 0 && *pidfd < 0) {
		fl_process_status status; /* fl__fork_with_pidfd() has killed the child */
		(void)fl__os.collect_number(&pid, &status, true);
		pid = *pidfd;
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void ready(int fd, int rc)
{
	if (rc != 0)
		(void)!write(fd, &rc, sizeof rc);
	fl__close(fd);
	if (rc != 0)
		_exit(127);
}

/* In the child. */
static _Noreturn void become(const struct fl__launch *launch, int pipe, int parent)
{
	struct fl__request request = {.type = launch->config->task,
	                              .name = launch->name,
	                              .arg = launch->config->arg,
	                              .memory = -1,
	                              .channel = -1,
	                              .setup = launch->setup};
	request.setup.keep = pipe;
	request.setup.keep_handlers = true;
	request.setup.parent = launch->config->daemon ? parent : 0;
	fl__task_process(&request, ready);
}

/* Returns the child's error, or 0 when the child runs its task. */
static int hear(int pipe)
{
	int rc = 0;
	ssize_t n;
	do
		n = read(pipe, &rc, sizeof rc);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof rc ? rc : 0;
}

int fl__start_by_fork(struct fl__launch *launch)
{
	int rc = fl__may_fork(&launch->problem);
	if (rc != 0)
		return rc;
	int pipe[2], parent = getpid();
	launch->problem = "the system does not fork";
	rc = fl__os.pipe(pipe);
	if (rc != 0)
		return rc;
	rc = fl__fork(&launch->pidfd);
	if (rc == 0)
		become(launch, pipe[1], parent);
	launch->pid = rc;
	fl__close(pipe[1]);
	if (rc > 0) {
		rc = hear(pipe[0]);
		if (rc != 0) {
			fl_process_status status;
			(void)fl__os.collect(launch->pidfd, &status, true);
			fl__close(launch->pidfd);
		}
	}
	fl__close(pipe[0]);
	return rc;
}
