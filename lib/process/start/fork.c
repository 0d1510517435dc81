/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The method FL_PROCESS_FORK, which forks this process. This file also checks whether the process
 * may fork.
 */
#include "../base/fd_watcher.h"
#include "../base/process_sys.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/wait/context.h"
#include "request.h"
#include <errno.h>
#include <fairlead/time.h>
#include <signal.h>

int fl__process_may_fork(const char **problem)
{
	/* a joined thread counts until the kernel has ended it */
	enum { LOOKS = FL__BACK_OFF_NAPS + 100 };
	int others;
	for (unsigned look = 0;; look++) {
		const int threads = fl__process_sys.count_threads();
		*problem = "the threads of this process cannot be counted: is /proc mounted?";
		if (threads < 0)
			return threads;
		/* the watcher does not count, because a forked child initializes its lock again */
		others = threads - 1 - (int)fl__fd_watcher_threads();
		if (others == 0 || look == LOOKS)
			break;
		fl__back_off(look);
	}
	*problem = "a process with several threads cannot be forked, nor can a fiber fork";
	if (others == 0 && fl__ctx_get()->ops == &fl__thread_parker)
		return 0;
	fl__log(FL_LOG_ERROR, "this process cannot be forked: it has other threads (%d)%s", others,
	        others == 0 ? ", and the caller is a fiber" : "");
	return -EDEADLK;
}

int fl__process_fork(int *pidfd)
{
	fl__flush_streams();
	/* no handler of the caller may run in the child, or reap it */
	const sigset_t before = fl__signals_block(true);
	int pid = fl__fork_with_pidfd(pidfd);
	if (pid == 0)
		return 0;
	fl__signals_restore(&before);
	return pid;
}

/* Called in the child. Replies over `socket` when everything is set up. */
static _Noreturn void fork_run_task(const struct fl__start *start, int socket)
{
	struct fl__request request = {.type = start->config->task,
	                              .name = start->name,
	                              .arg = start->config->arg,
	                              .memory = -1,
	                              .channel = -1,
	                              .setup = start->setup};
	request.setup.keep = socket;
	request.setup.keep_handlers = true;
	fl__new_process_run_task(&request, fl__new_process_reply);
}

static int fork_start(struct fl__start *start)
{
	int sockets[2], rc = fl__process_may_fork(&start->problem);
	if (rc != 0)
		return rc;
	start->problem = "fork() failed";
	rc = fl__fd_sys.pair(sockets);
	if (rc != 0)
		return rc;
	struct fl__child *child = start->child;
	fl__death_pipe_keep(start->setup.death_pipe);
	rc = child->pid = fl__process_fork(&child->pidfd);
	if (rc == 0)
		fork_run_task(start, sockets[1]);
	fl__death_pipe_keep(NULL);
	fl__fd_close(sockets[1]);
	if (rc > 0) {
		rc = fl__reply_receive(sockets[0], start, fl_after(fl__process_sys.answer_timeout), NULL);
		if (rc != 0) {
			(void)fl__process_sys.signal(child->pidfd, SIGKILL); /* it may be stopped */
			(void)fl__process_reap(child->pidfd, NULL, true);
			fl__fd_close(child->pidfd);
		}
	}
	fl__fd_close(sockets[0]);
	return rc;
}

const struct fl__start_method fl__start_fork = {
    .start = fork_start,
    .look = fl__start_look_at_child,
    .forget = fl__start_forget_child,
};
