/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handle of a process. The start method (start/start.h) has started the process, and knows
 * whether the process has ended.
 *
 *   `rc`     meaning                                            set by
 *   -EAGAIN  no end is known                                    process_init()
 *   0        the process has ended, and `status` says how       process_result()
 *   another  it has ended, and how is not known (-ECHILD: the   process_result()
 *   error    program has reaped it; -EOWNERDEAD: the fork
 *            server has died)
 *
 * The first end is final. `process_list_lock` guards the list of all handles. `lock` guards `rc`,
 * `status`, `stopped` and `child.lost` of a handle. A thread acquires `process_list_lock` before
 * `lock`, and `lock` before the lock of the death pipes.
 */
#include "base/fd_watcher.h"
#include "base/process_sys.h"
#include "base/reaper.h"
#include "core/base/anew.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/base/unload.h"
#include "core/hooks.h"
#include "core/sync/mutex.h"
#include "process_stop.h"
#include "signals.h"
#include "start/fork_server.h"
#include "start/start.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

struct fl_process {
	struct fl_process *next, *prev; /* the list of all handles, oldest first */
	fl_mutex lock;
	int rc;
	fl_process_status status;
	struct fl__child child;
	bool daemon, group;
	bool stopped; /* the last look found the process stopped, and logged it */
	struct fl__watched_fd on_channel, on_pidfd;
	char name[FL_PROCESS_NAME_MAX + 1];
};

static fl_mutex process_list_lock = FL_MUTEX_INIT;
static struct fl_process *process_oldest, *process_newest;
static unsigned process_started; /* for default names */

static void process_set_name(fl_process *p, const fl_process_config *config)
{
	FL__HELD(&process_list_lock);
	process_started++;
	if (config && config->name)
		(void)snprintf(p->name, sizeof p->name, "%s", config->name);
	else
		(void)snprintf(p->name, sizeof p->name, "process-%u", process_started);
}

static void process_init(fl_process *p, const fl_process_config *config)
{
	p->rc = -EAGAIN;
	p->daemon = config->daemon;
	p->group = config->group;
	p->on_pidfd = (struct fl__watched_fd)FL__WATCHED_FD(p->child.pidfd, POLLIN);
	p->on_channel = (struct fl__watched_fd)FL__WATCHED_FD(p->child.channel, POLLIN);
	FL__HELD(&process_list_lock);
	FL__QUEUE_ADD(process_oldest, process_newest, p);
}

/*
 * Logs a failed start. For -EMFILE the text says whose limit it is. Logs nothing while the program
 * exits, because then a start may fail, for example one by a pool's thread, and nobody needs that
 * text.
 */
static void process_log_failure(const fl_process *p, const struct fl__start *start, int rc)
{
	if (fl__is_exiting())
		return;
	const fl_process_config *config = start->config;
	const char *what = !config           ? "nothing"
	                   : config->task    ? config->task->name
	                   : config->program ? config->program
	                                     : "nothing";
	fl__log(FL_LOG_ERROR, "cannot start process %s for %s: %s: %s%s", p->name, what, start->problem,
	        fl_error_text(rc),
	        rc != -EMFILE  ? ""
	        : start->where ? start->where
	                       : ", in this process");
}

int fl_process_start(fl_process **handle, const fl_process_config *config)
{
	fl_process *p = fl__alloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	process_set_name(p, config);
	p->child = (struct fl__child){.pidfd = -1, .channel = -1, .pipes = {-1, -1, -1}};
	struct fl__start start = {
	    .config = config,
	    .name = p->name,
	    .child = &p->child,
	    .setup = {.cwd = -1, .keep = -1, .signals = {fl__signals_blocked(config && config->task), 0}},
	    .opened = {-1, -1, -1}};
	FL__AWAITS(FL__DEBUG_START, NULL);
	int rc = fl__start_process(&start);
	fl__fds_close(start.opened, FL__STREAMS);
	fl__fd_close(start.setup.cwd);
	if (rc < 0) {
		fl__fds_close(p->child.pipes, FL__STREAMS);
		fl__death_pipe_close(&p->child.death_pipe);
		process_log_failure(p, &start, rc);
		fl__free(p);
		return rc;
	}
	process_init(p, config);
	*handle = p;
	return 0;
}

/* Returns -EAGAIN while the process runs. */
static int process_result(fl_process *p, fl_process_status *status)
{
	FL__HELD(&p->lock);
	if (p->rc == -EAGAIN) {
		const int rc = p->child.method->look(&p->child, &p->status);
		p->rc = rc == 0 ? -EAGAIN : FL__MIN(rc, 0);
		if (rc != 0)
			fl__death_pipe_close(&p->child.death_pipe);
	}
	if (p->rc == 0 && status)
		*status = p->status;
	return p->rc;
}

static struct fl__watched_fd *process_awaited_fd(fl_process *p)
{
	FL__HELD(&p->lock);
	return p->child.channel < 0 || p->child.lost ? &p->on_pidfd : &p->on_channel;
}

/* Returns true if the process is stopped and no earlier look has found this stop. */
static bool process_is_newly_stopped(fl_process *p, bool *in_background)
{
	FL__HELD(&p->lock);
	const bool before = p->stopped;
	p->stopped = fl__process_is_stopped(p->child.pid, in_background);
	return p->stopped && !before;
}

static void process_look_if_stopped(fl_process *p)
{
	bool in_background;
	if (process_is_newly_stopped(p, &in_background))
		fl__log(FL_LOG_WARNING, "process %s (%d) is stopped%s; the wait for it goes on", p->name, p->child.pid,
		        in_background ? " in the background of its terminal, from which it cannot read (SIGTTIN)"
		                      : " by a signal");
}

int fl__process_wait(fl_process *p, struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel)
{
	for (int64_t pause = fl__process_sys.first_look;; pause *= 2) {
		const fl_time look = fl_after(pause);
		const bool is_last = fl__expiry(deadline) <= fl__expiry(look);
		const int rc = fl__fds_wait(fds, n, is_last ? deadline : look, cancel);
		if (rc != -ETIMEDOUT || is_last)
			return rc;
		process_look_if_stopped(p);
	}
}

int fl_process_join_until(fl_process *p, fl_process_status *status, fl_time deadline, fl_cancel_token *cancel)
{
	fl__hook_ends(p);
	int rc, waited = 0;
	/*
	 * tries again even after an error of the wait, because the process may have ended meanwhile
	 */
	while ((rc = process_result(p, status)) == -EAGAIN && waited == 0) {
		FL__BLOCKS(deadline);
		FL__AWAITS(FL__DEBUG_PROCESS, (void *)(uintptr_t)p->child.pid);
		struct pollfd end = {.fd = process_awaited_fd(p)->fd, .events = POLLIN};
		waited = fl__process_wait(p, &end, 1, deadline, cancel);
	}
	return rc == -EAGAIN ? waited : rc;
}

bool fl_process_is_alive(const fl_process *p)
{
	return process_result(FL__MUTABLE(p), NULL) == -EAGAIN;
}

int fl_process_signal(fl_process *p, int signal)
{
	int rc = process_result(p, NULL);
	if (signal <= 0)
		return -EINVAL;
	return rc == -EAGAIN ? fl__process_sys.signal(p->child.pidfd, signal) : -ESRCH;
}

/* Sends a signal to the process, or to its group, if it leads one. */
static int process_signal_all(fl_process *p, int signal)
{
	/* the process may not have made its group yet */
	const int rc = p->group ? fl__process_signal_group(p->child.pidfd, p->child.pid, signal) : -ESRCH;
	return rc == -ESRCH ? fl__process_sys.signal(p->child.pidfd, signal) : rc;
}

int fl__process_stop_begin(fl_process *p)
{
	int rc = process_signal_all(p, SIGTERM);
	if (rc == 0)
		rc = process_signal_all(p, SIGCONT);
	return rc == -ESRCH ? 0 : rc;
}

int fl__process_stop_end(fl_process *p, fl_time deadline, fl_process_status *status)
{
	if (fl_process_join_until(p, status, deadline, FL_SHIELDED) == -ETIMEDOUT || p->group)
		(void)process_signal_all(p, SIGKILL); /* -ESRCH: the process has ended by itself */
	return fl_process_join_until(p, status, FL_FOREVER, FL_SHIELDED);
}

int fl__process_end_fd(fl_process *p)
{
	return process_awaited_fd(p)->fd;
}

int fl_process_stop(fl_process *p, fl_duration grace, fl_process_status *status)
{
	const int rc = fl__process_stop_begin(p);
	return rc == 0 ? fl__process_stop_end(p, fl_after(grace), status) : rc;
}

int fl_process_pipe(const fl_process *p, int stream)
{
	return stream >= 0 && stream < FL__STREAMS && p->child.pipes[stream] >= 0 ? p->child.pipes[stream] : -EBADF;
}

int fl_process_take_pipe(fl_process *p, int stream)
{
	const int fd = fl_process_pipe(p, stream);
	if (fd >= 0)
		p->child.pipes[stream] = -1;
	return fd;
}

int fl_process_pid(const fl_process *p)
{
	return p->child.pid;
}

const char *fl_process_name(const fl_process *p)
{
	return p->name;
}

int fl_process_sentinel(const fl_process *p)
{
	return p->child.channel < 0 ? p->child.pidfd : p->child.channel;
}

size_t fl_process_active_children(void (*visit)(fl_process *p, void *arg), void *arg)
{
	size_t n = 0;
	FL__HELD(&process_list_lock);
	FL__BLOCKS_THREAD();
	FL__EACH (fl_process, p, process_oldest) {
		if (!fl_process_is_alive(p))
			continue;
		if (visit)
			visit(p, arg);
		n++;
	}
	return n;
}

void fl_process_free(fl_process *p)
{
	if (!p)
		return;
	fl__hook_ends(p);
	const bool runs = fl_process_is_alive(p);
	{
		FL__HELD(&process_list_lock);
		FL__QUEUE_REMOVE(process_oldest, process_newest, p);
	}
	const bool killed = runs && p->daemon && process_signal_all(p, SIGKILL) == 0;
	fl__death_pipe_close(&p->child.death_pipe);
	p->child.method->forget(&p->child, runs, killed);
	fl__fd_close(p->child.pidfd);
	fl__fd_close(p->child.channel);
	fl__fds_close(p->child.pipes, FL__STREAMS);
	fl__free(p);
}

/* The handle has two wait queues. A node's key says which of them the node is in. */

static bool process_on_ready(void *object)
{
	return !fl_process_is_alive(object);
}

static bool process_on_arm(void *object, struct fl__node *node)
{
	fl_process *p = object;
	return fl__watched_fd_arm(process_awaited_fd(p), node);
}

static void process_on_disarm(void *object, struct fl__node *node)
{
	fl_process *p = object;
	fl__watched_fd_disarm(node->key == &p->on_pidfd ? &p->on_pidfd : &p->on_channel, node);
}

const fl_on_type fl__on_process = {process_on_ready, process_on_arm, process_on_disarm, NULL, true};

static void process_make_anew(void)
{
	fl_mutex_init(&process_list_lock);
	process_oldest = process_newest = NULL;
}

FL__MAKES_ANEW(process_make_anew)
