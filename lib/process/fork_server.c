/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fork server: first the requests from the caller's process, then the fork server's loop.
 *
 * The caller's process has a socket for requests, and a pidfd. `fork_server_lock` guards
 * `fork_server_current` and the user counts. Starts use the fork server without the lock, each with
 * its own channel. The next start replaces a fork server that has died. A start that makes a fork
 * server holds the lock until the fork server's hello, for up to `answer_timeout`.
 *
 * The fork server has one thread, blocks all signals, and waits in one poll()
 *   for requests          on the socket
 *   for a child's end     on a signalfd
 *   for the parent's end  on the parent's pidfd, and as the end of the socket
 *
 * When the parent ends the kernel also kills an exec'd fork server, even a stopped one, by its death
 * pipe. When the
 * fork server ends the kernel kills the daemons, since the fork server's one thread made them. Each
 * child has a channel to the parent: there the fork server replies to the request, and reports the
 * child's end.
 */
#include "fork_server.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "packet.h"
#include "process_sys.h"
#include "reaper.h"
#include "reexec.h"
#include "request.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct fork_server {
	int socket, pidfd, pid;
	struct fl__death_pipe death_pipe; /* of an exec'd fork server */
	unsigned users; /* `fork_server_current` counts as one */
};

static fl_mutex fork_server_lock = FL_MUTEX_INIT;
static struct fork_server *fork_server_current;
static struct fork_server *fork_server_of_parent; /* in a forked child: the parent's record, to be freed */

/* Under the lock. */
static void fork_server_forget_parent(void)
{
	fl__free(fork_server_of_parent);
	fork_server_of_parent = NULL;
}

static bool fork_server_is_dead(const struct fork_server *s)
{
	return fl__fd_poll(s->pidfd, POLLIN) > 0;
}

/* Under the lock. The last user ends the fork server. */
static void fork_server_release(struct fork_server *s)
{
	if (--s->users > 0)
		return;
	fl__fd_close(s->socket);
	fl__death_pipe_close(&s->death_pipe);
	(void)fl__process_sys.signal(s->pidfd, SIGKILL);
	fl__reaper_adopt(s->pidfd, true);
	fl__free(s);
}

static void fork_server_drop_current(void)
{
	struct fork_server *s = fork_server_current;
	fork_server_current = NULL;
	fork_server_release(s);
}

/* At the end of this copy of the library. A fork server in use ends with the process. */
static unsigned fork_server_end(void)
{
	fl_process_status status;
	FL_LOCKED(&fork_server_lock);
	fork_server_forget_parent();
	if (!fork_server_current || fork_server_current->users > 1)
		return 0;
	fl__fd_close(fork_server_current->socket);
	fl__death_pipe_close(&fork_server_current->death_pipe);
	(void)fl__process_sys.signal(fork_server_current->pidfd, SIGKILL);
	/* the reaper may have reaped the fork server before */
	(void)fl__process_sys.reap(fork_server_current->pidfd, &status, true);
	fl__fd_close(fork_server_current->pidfd);
	fl__free(fork_server_current);
	fork_server_current = NULL;
	return 0;
}

static void fork_server_set_current(struct fork_server *s)
{
	static struct fl__helper helper = {.end = fork_server_end};
	fl__helper_list(&helper);
	s->users = 1;
	fork_server_current = s;
}

static int fork_server_exec(int64_t deadline, const char **problem)
{
	int rc = fl__reexec_check("FL_PROCESS_FORK_SERVER", ", or else fl_process_preload() before any thread", problem);
	if (rc != 0)
		return rc;
	struct fork_server *s = fl__alloc(1, sizeof *s);
	*problem = "no memory for the fork server";
	if (!s)
		return -ENOMEM;
	*problem = "a pipe cannot be made";
	rc = fl__death_pipe_open(&s->death_pipe);
	if (rc == 0)
		rc = fl__reexec_start(FL__REEXEC_FORK_SERVER, &s->death_pipe, deadline, &s->socket, &s->pid, &s->pidfd,
		                      problem);
	if (rc != 0) {
		fl__death_pipe_close(&s->death_pipe);
		fl__free(s);
		return rc;
	}
	int again = fl__process_sys.duplicate(s->pidfd);
	if (again >= 0)
		fl__reaper_adopt(again, false); /* reaps the fork server as soon as it dies */
	fork_server_set_current(s);
	return 0;
}

/* Gets a live fork server, which the caller releases with fork_server_put(). */
static int fork_server_get(struct fork_server **s, int64_t deadline, const char **problem)
{
	FL_LOCKED(&fork_server_lock);
	fork_server_forget_parent();
	if (fork_server_current && fork_server_is_dead(fork_server_current))
		fork_server_drop_current();
	int rc = fork_server_current ? 0 : fork_server_exec(deadline, problem);
	if (rc != 0)
		return rc;
	fork_server_current->users++;
	*s = fork_server_current;
	return 0;
}

/* `dead`: the caller found the fork server dead. */
static void fork_server_put(struct fork_server *s, bool dead)
{
	FL_LOCKED(&fork_server_lock);
	if (dead && fork_server_current == s)
		fork_server_drop_current();
	fork_server_release(s);
}

int fl__fork_server_pid(void)
{
	FL_LOCKED(&fork_server_lock);
	return fork_server_current ? fork_server_current->pid : 0;
}

/*
 * Called after a receive of the reply failed with `rc`, or after a reply with an error. If a reply
 * is unread in the channel, its process is killed here. If none was sent yet, the fork server
 * cannot send it, and kills the process. If the reply was read without the pidfd, since the process
 * had no free descriptor, its process is killed by pid: it has just been made, so that no other
 * process can have its number.
 */
static void fork_server_give_up(int channel, struct fl__start *start, int rc)
{
	const char *problem = start->problem;
	int pidfd = -1;
	if (rc == -EMFILE && start->pid > 0)
		(void)kill(start->pid, SIGKILL);
	(void)shutdown(channel, SHUT_RD);
	if (fl__reply_receive(channel, start, 0, &pidfd) == 0)
		(void)fl__process_sys.signal(pidfd, SIGKILL);
	fl__fd_close(pidfd);
	start->problem = problem;
}

/* Sends the request. If the fork server has died (-EPIPE), tries a new fork server, once. */
static int fork_server_send_request(struct fl__start *start, int channel, int64_t deadline)
{
	int rc = -EPIPE;
	for (int tries = 0; rc == -EPIPE && tries < 2; tries++) {
		struct fork_server *s;
		rc = fork_server_get(&s, deadline, &start->problem);
		if (rc != 0)
			return rc;
		rc = fl__request_send(s->socket, channel, start, deadline);
		fork_server_put(s, rc == -EPIPE);
	}
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

int fl__fork_server_start(struct fl__start *start)
{
	const int64_t deadline = fl_after(fl__process_sys.answer_timeout);
	int channel[2];
	start->problem = "the channel to the fork server cannot be created";
	int rc = fl__packet_pair_above_streams(channel);
	if (rc != 0)
		return rc;
	rc = fork_server_send_request(start, channel[1], deadline);
	fl__fd_close(channel[1]);
	if (rc == 0) {
		start->pidfd = -1;
		start->pid = 0;
		rc = fl__reply_receive(channel[0], start, deadline, &start->pidfd);
		if (rc == -ETIMEDOUT)
			start->problem = "no answer from the fork server: is it stopped?";
		if (rc == 0 && start->pidfd < 0)
			rc = -EPROTO;
		if (rc != 0)
			fork_server_give_up(channel[0], start, rc);
	}
	if (rc == 0)
		start->channel = channel[0];
	else
		fl__fd_close(channel[0]);
	return rc;
}

/* Preloading. */

static _Noreturn void fork_server_become(int socket, int parent)
{
	struct fl__setup setup;
	if (fl__reexec_setup(&setup, socket) != 0)
		_exit(127);
	setup.through_exec = false;
	setup.keep_handlers = true;
	if (fl__new_process_setup(&setup) != 0)
		_exit(127);
	fl__fork_server_serve(FL__REEXEC_SOCKET, parent);
}

static int fork_server_fork(struct fork_server *s, const char **problem)
{
	int ends[2], parent = getpid();
	*problem = "the socket to the new process cannot be created";
	int rc = fl__packet_pair_above_streams(ends);
	if (rc != 0)
		return rc;
	*problem = "fork() failed";
	rc = fl__process_fork(&s->pidfd);
	if (rc == 0)
		fork_server_become(ends[1], parent);
	fl__fd_close(ends[1]);
	if (rc < 0) {
		fl__fd_close(ends[0]);
		return rc;
	}
	s->socket = ends[0];
	s->pid = rc;
	fork_server_set_current(s);
	return 0;
}

int fl_process_preload(void)
{
	FL_LOCKED(&fork_server_lock);
	fork_server_forget_parent();
	if (fork_server_current && fork_server_is_dead(fork_server_current))
		fork_server_drop_current();
	if (fork_server_current)
		return 0;
	const char *problem = "no memory for the fork server";
	struct fork_server *s = NULL;
	int rc = fl__process_may_fork(&problem);
	if (rc == 0) {
		s = fl__alloc(1, sizeof *s);
		rc = s ? fork_server_fork(s, &problem) : -ENOMEM;
	}
	if (rc != 0) {
		fl__free(s);
		fl__log(FL_LOG_ERROR, "cannot preload the fork server: %s: %s", problem, fl_error_text(rc));
	}
	return rc;
}

void fl__fork_server_after_fork(void)
{
	fl_mutex_init(&fork_server_lock);
	if (!fork_server_current)
		return;
	fl__fd_close(fork_server_current->socket);
	fl__fd_close(fork_server_current->pidfd);
	/* freed later: a thread that is not in the child may hold the allocator's lock */
	fork_server_of_parent = fork_server_current;
	fork_server_current = NULL;
}

/* The loop of the fork server. */

struct fork_server_child {
	int pid;
	int channel; /* -1: the start has failed, and the end is not reported */
	bool daemon;
	bool group; /* leads a process group, or is about to */
};

struct fork_server_loop {
	int socket, parent;
	int parent_fd, signals; /* or a negative errno */
	int spare;              /* closed before a receive, so that a request's channel fits */
	struct fork_server_child *children;
	size_t n, room;
};

static struct fork_server_loop fork_server_loop;

static _Noreturn void fork_server_exit(void)
{
	for (size_t i = 0; i < fork_server_loop.n; i++) {
		const struct fork_server_child *c = &fork_server_loop.children[i];
		/* not reaped yet: the pid is still the child's, and so is the number of the group */
		if (c->daemon && c->group)
			(void)kill(-c->pid, SIGKILL);
		if (c->daemon)
			(void)kill(c->pid, SIGKILL);
	}
	_exit(0);
}

static int fork_server_reserve_child(void)
{
	if (fork_server_loop.n < fork_server_loop.room)
		return 0;
	size_t room = fork_server_loop.room ? fork_server_loop.room * 2 : 16;
	struct fork_server_child *children = fl__alloc(room, sizeof *children);
	if (!children)
		return -ENOMEM;
	if (fork_server_loop.n > 0)
		memcpy(children, fork_server_loop.children, fork_server_loop.n * sizeof *children);
	fl__free(fork_server_loop.children);
	fork_server_loop.children = children;
	fork_server_loop.room = room;
	return 0;
}

/* Reaps the ended children, and reports their ends. */
static void fork_server_reap(void)
{
	struct fl__end_report last = {FL__MAGIC_END, sizeof last, 0, 0};
	for (;;) {
		fl_process_status status;
		int pid = 0;
		if (fl__process_sys.reap_by_pid(&pid, &status, false) != 1)
			return;
		size_t i = 0;
		while (i < fork_server_loop.n && fork_server_loop.children[i].pid != pid)
			i++;
		if (i == fork_server_loop.n)
			continue;
		last.code = status.code;
		last.signal = status.signal;
		int channel = fork_server_loop.children[i].channel;
		/* the channel has space: only the reply came before. -EPIPE does no harm. */
		if (channel >= 0)
			(void)!fl__packet_send(channel, &last, sizeof last, NULL, 0, 0);
		fl__fd_close(channel);
		fork_server_loop.children[i] = fork_server_loop.children[--fork_server_loop.n];
	}
}

/* Returns -EMFILE if fl__new_process_setup() could run out of descriptors in the child; or 0. */
static int fork_server_check_fd_limit(const int *fds, unsigned n_fds, const struct fl__request *request)
{
	enum { MORE = 8 };
	int highest = 0;
	for (unsigned i = 0; i < n_fds; i++)
		highest = fds[i] > highest ? fds[i] : highest;
	return highest + (int)request->setup.n_fds + MORE > fl__process_sys.fd_limit() ? -EMFILE : 0;
}

static _Noreturn void fork_server_run_child(struct fl__request *request, int fork_server_pid)
{
	request->setup.cwd = -1; /* the fork server has entered the directory */
	request->setup.parent = request->daemon ? fork_server_pid : 0;
	request->setup.keep_handlers = true;
	fl__new_process_run_task(request, NULL);
}

/* Stays in no directory that a user may want to remove or unmount. */
static void fork_server_leave_directory(void)
{
	(void)!chdir("/");
}

static int fork_server_make_process(struct fl__request *request, int *pidfd)
{
	int fork_server_pid = getpid();
	if (fork_server_loop.parent_fd == -ENOSYS)
		return -ENOSYS; /* no pidfd for a child either; a failed start runs no task */
	int rc = request->setup.cwd >= 0 ? fl__process_sys.change_directory(request->setup.cwd) : 0;
	if (rc == 0)
		rc = fork_server_reserve_child();
	if (rc != 0)
		return rc;
	int pid = fl__process_sys.fork();
	if (pid != 0)
		fork_server_leave_directory();
	if (pid == 0)
		fork_server_run_child(request, fork_server_pid);
	if (pid < 0)
		return pid;
	*pidfd = fl__process_sys.pidfd(pid);
	fork_server_loop.children[fork_server_loop.n++] =
	    (struct fork_server_child){pid, request->channel, request->daemon, request->setup.group};
	return pid;
}

static bool fork_server_is_abandoned(int channel)
{
	/* the parent sends nothing over a channel: readable means closed */
	return fl__fd_poll(channel, POLLIN) != 0;
}

/* Serves one request. Returns true when a child owns the channel. */
static bool fork_server_answer(const void *data, size_t size, bool lost, const int *fds, unsigned n_fds)
{
	struct fl__request request;
	struct fl__start_reply reply;
	int channel = n_fds > 0 ? fds[0] : -1, pidfd = -1;
	int rc = fl__request_read(&request, &reply, data, size, fds, n_fds);
	if (channel < 0 || fork_server_is_abandoned(channel))
		return false;
	if (lost)
		rc = -EMFILE;
	if (rc == 0 && request.channel < 0)
		rc = -EBADMSG;
	if (rc == 0)
		rc = fork_server_check_fd_limit(fds, n_fds, &request);
	if (rc == 0)
		rc = fork_server_make_process(&request, &pidfd);
	bool made = rc > 0;
	reply.pid = made ? rc : 0;
	reply.error = made ? (pidfd < 0 ? pidfd : 0) : rc;
	rc = fl__packet_send(channel, &reply, sizeof reply, &pidfd, pidfd >= 0 ? 1 : 0, 0);
	fl__fd_close(pidfd);
	if (made && (rc != 0 || reply.error != 0)) {
		/* the parent gets no handle of this process */
		(void)kill(reply.pid, SIGKILL);
		fork_server_loop.children[fork_server_loop.n - 1].channel = -1;
		made = false;
	}
	if (rc != 0) { /* -ETOOMANYREFS: an error alone can be sent */
		reply.error = rc;
		(void)!fl__packet_send(channel, &reply, sizeof reply, NULL, 0, 0);
	}
	return made;
}

static void fork_server_take_request(void)
{
	static _Alignas(16) char data[FL__REQUEST_ROOM];
	int fds[FL__PACKET_FDS];
	struct iovec part = {data, sizeof data};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
	fl__fd_close(fork_server_loop.spare);
	int rc = fl__packet_try_recv(fork_server_loop.socket, &packet, 0);
	if (rc == -EPIPE)
		fork_server_exit();
	if (rc == 0) {
		bool kept = !packet.cut && fork_server_answer(data, packet.size, packet.lost, fds, packet.n_fds);
		fl__fds_close(fds + kept, packet.n_fds - kept);
	}
	fork_server_loop.spare = fl__process_sys.duplicate(STDIN_FILENO);
}

_Noreturn void fl__fork_server_serve(int socket, int parent)
{
	(void)prctl(PR_SET_NAME, "fairlead-fork", 0, 0, 0); /* for ps only */
	fork_server_loop = (struct fork_server_loop){.socket = socket, .parent = parent, .spare = -1};
	fork_server_loop.parent_fd = fl__process_sys.pidfd(parent);
	fork_server_loop.signals = fl__process_sys.child_signals();
	if (getppid() != parent)
		fork_server_exit();
	fork_server_leave_directory();
	fork_server_loop.spare = fl__process_sys.duplicate(STDIN_FILENO);
	for (;;) {
		struct pollfd fds[] = {{.fd = socket, .events = POLLIN},
		                       {.fd = fork_server_loop.parent_fd, .events = POLLIN},
		                       {.fd = fork_server_loop.signals, .events = POLLIN}};
		char drained[1024];
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents)
			fork_server_exit();
		if (fds[2].revents) {
			(void)!read(fork_server_loop.signals, drained, sizeof drained);
			fork_server_reap();
		}
		if (fds[0].revents)
			fork_server_take_request();
	}
}
