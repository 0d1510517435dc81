/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client side of the fork server: a socket for requests, and a pidfd. `lock` guards `current` and
 * the user counts. Starts use the fork server without the lock, at the same time, each with its own
 * channel. The next start replaces a fork server that has died.
 */
#include "fork_server.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "fd_sys.h"
#include "fork.h"
#include "launch.h"
#include "manager.h"
#include "os.h"
#include "packet.h"
#include "request.h"
#include "self.h"
#include "server.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct fork_server {
	int socket, pidfd, pid;
	unsigned users; /* `current` counts as one */
};

static fl_mutex lock = FL_MUTEX_INIT;
static struct fork_server *current;
static struct fork_server *parents; /* in a forked child: to be freed */

static bool is_dead(const struct fork_server *z)
{
	short seen;
	return fl__fd_sys.poll(z->pidfd, POLLIN, &seen, 0) > 0;
}

/* Under the lock. The last user ends the fork_server. */
static void let_go(struct fork_server *z)
{
	if (--z->users > 0)
		return;
	fl__close(z->socket);
	(void)fl__os.signal(z->pidfd, SIGKILL);
	fl__manager_adopt(z->pidfd, true);
	fl__free(z);
}

static void drop_current(void)
{
	struct fork_server *z = current;
	current = NULL;
	let_go(z);
}

/* At the end of this copy of the library. A fork server in use ends with the process. */
static unsigned end_fork_server(void)
{
	fl_process_status status;
	FL_LOCKED(&lock);
	fl__free(parents);
	parents = NULL;
	if (!current || current->users > 1)
		return 0;
	fl__close(current->socket);
	(void)fl__os.signal(current->pidfd, SIGKILL);
	/* the manager thread may have reaped the fork server before */
	(void)fl__os.collect(current->pidfd, &status, true);
	fl__close(current->pidfd);
	fl__free(current);
	current = NULL;
	return 0;
}

static void make_current(struct fork_server *z)
{
	static struct fl__helper helper = {.end = end_fork_server};
	fl__helper_list(&helper);
	z->users = 1;
	current = z;
}

/* For a start that needs this program started again. `or_else` ends the log message. */
static int no_way(const char *method, const char *or_else, const char **problem)
{
	fl__log(FL_LOG_ERROR, "%s needs fl_main() as the first line of main(), or FL_PROCESS_HOOK at file scope%s",
	        method, or_else);
	*problem = "this program has neither";
	return -ENOTSUP;
}

static int start_fork_server(int64_t deadline, const char **problem)
{
	if (!fl__may_start_again())
		return no_way("FL_PROCESS_FORK_SERVER", ", or else fl_process_preload() before any thread", problem);
	struct fork_server *z = fl__alloc(1, sizeof *z);
	*problem = "no memory for the fork server";
	if (!z)
		return -ENOMEM;
	int rc = fl__self_start(FL__ROLE_FORK_SERVER, true, deadline, &z->socket, &z->pid, &z->pidfd, problem);
	if (rc != 0) {
		fl__free(z);
		return rc;
	}
	int again = fl__os.duplicate(z->pidfd);
	if (again >= 0)
		fl__manager_adopt(again, false); /* reaps the fork server as soon as it dies */
	make_current(z);
	return 0;
}

/* Gets a live fork server, which the caller releases with put(). */
static int get(struct fork_server **z, int64_t deadline, const char **problem)
{
	FL_LOCKED(&lock);
	fl__free(parents);
	parents = NULL;
	if (current && is_dead(current))
		drop_current();
	int rc = current ? 0 : start_fork_server(deadline, problem);
	if (rc != 0)
		return rc;
	current->users++;
	*z = current;
	return 0;
}

/* `dead`: the caller found the fork server dead. */
static void put(struct fork_server *z, bool dead)
{
	FL_LOCKED(&lock);
	if (dead && current == z)
		drop_current();
	let_go(z);
}

int fl__fork_server_pid(void)
{
	FL_LOCKED(&lock);
	return current ? current->pid : 0;
}

/*
 * Called when no usable reply came in time. After the shutdown the fork server can send nothing on the
 * channel. If the reply came before, its process is killed here. If not, the fork server fails to send
 * the reply, and kills the process.
 */
static void give_up(int channel, struct fl__launch *launch)
{
	const char *problem = launch->problem;
	int pidfd = -1;
	(void)shutdown(channel, SHUT_RD);
	if (fl__reply_take(channel, launch, 0, &pidfd) == 0)
		(void)fl__os.signal(pidfd, SIGKILL);
	fl__close(pidfd);
	launch->problem = problem;
}

/* Sends the request. -EPIPE: the fork server died without it, so a new fork server is tried, once. */
static int ask(struct fl__launch *launch, int channel, int64_t deadline)
{
	int rc = -EPIPE;
	for (int tries = 0; rc == -EPIPE && tries < 2; tries++) {
		struct fork_server *z;
		rc = get(&z, deadline, &launch->problem);
		if (rc != 0)
			return rc;
		rc = fl__request_send(z->socket, channel, launch, deadline);
		put(z, rc == -EPIPE);
	}
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

int fl__start_by_fork_server(struct fl__launch *launch)
{
	const int64_t deadline = fl_after(fl__os.patience);
	int channel[2];
	launch->problem = "no channel to it";
	int rc = fl__above_pair(channel);
	if (rc != 0)
		return rc;
	rc = ask(launch, channel[1], deadline);
	fl__close(channel[1]);
	if (rc == 0) {
		launch->pidfd = -1;
		rc = fl__reply_take(channel[0], launch, deadline, &launch->pidfd);
		if (rc == -ETIMEDOUT)
			launch->problem = "the fork server does not answer; is it stopped?";
		if (rc == 0 && launch->pidfd < 0)
			rc = -EPROTO;
		if (rc != 0)
			give_up(channel[0], launch);
	}
	if (rc == 0)
		launch->channel = channel[0];
	else
		fl__close(channel[0]);
	return rc;
}

int fl__start_by_exec(struct fl__launch *launch)
{
	const int64_t deadline = fl_after(fl__os.patience);
	int socket;
	if (!fl__may_start_again())
		return no_way("FL_PROCESS_EXEC", "; fl_process_preload() is no help to it", &launch->problem);
	int rc = fl__self_start(FL__ROLE_TASK, launch->config->daemon, deadline, &socket, &launch->pid, &launch->pidfd,
	                        &launch->problem);
	if (rc != 0)
		return rc;
	rc = fl__request_send(socket, -1, launch, deadline);
	if (rc == 0)
		rc = fl__reply_take(socket, launch, deadline, NULL);
	fl__close(socket);
	if (rc != 0)
		fl__self_end(launch->pidfd);
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

/* Preloading. */

static _Noreturn void become_fork_server(int socket, int parent)
{
	struct fl__setup setup;
	if (fl__self_setup(&setup, socket) != 0)
		_exit(127);
	setup.through_exec = false;
	setup.keep_handlers = true;
	if (fl__setup(&setup) != 0)
		_exit(127);
	fl__fork_server_serve(FL__SELF_SOCKET, parent);
}

static int preload(struct fork_server *z, const char **problem)
{
	int ends[2], parent = getpid();
	*problem = "no socket to it";
	int rc = fl__above_pair(ends);
	if (rc != 0)
		return rc;
	*problem = "the system does not fork";
	rc = fl__fork(&z->pidfd);
	if (rc == 0)
		become_fork_server(ends[1], parent);
	fl__close(ends[1]);
	if (rc < 0) {
		fl__close(ends[0]);
		return rc;
	}
	z->socket = ends[0];
	z->pid = rc;
	make_current(z);
	return 0;
}

int fl_process_preload(void)
{
	FL_LOCKED(&lock);
	if (current && is_dead(current))
		drop_current();
	if (current)
		return 0;
	const char *problem = "no memory for it";
	struct fork_server *z = NULL;
	int rc = fl__may_fork(&problem);
	if (rc == 0) {
		z = fl__alloc(1, sizeof *z);
		rc = z ? preload(z, &problem) : -ENOMEM;
	}
	if (rc != 0) {
		fl__free(z);
		fl__log(FL_LOG_ERROR, "cannot preload the fork server: %s: %s", problem, fl_error_text(rc));
	}
	return rc;
}

void fl__fork_server_after_fork(void)
{
	fl_mutex_init(&lock);
	if (!current)
		return;
	fl__close(current->socket);
	fl__close(current->pidfd);
	/* freed later: a thread that is not in the child may hold the allocator's lock */
	parents = current;
	current = NULL;
}
