/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server side of fork_server.c: the fork server, and a process that was exec'd for one task.
 *
 * The fork server has one thread, blocks all signals, and waits in one poll()
 *   for requests          on the socket
 *   for a child's end     on a signalfd
 *   for the parent's end  on the parent's pidfd, and as the end of the socket
 *
 * When the parent ends the kernel also kills an exec'd fork server, even a stopped one. When the fork server
 * ends the kernel kills the daemons, since the fork server's one thread made them. Each child has a
 * channel to the parent: there the fork server replies to the request, and reports the child's end.
 */
#include "server.h"
#include "../base/sys.h"
#include "fd_sys.h"
#include "os.h"
#include "packet.h"
#include "request.h"
#include "self.h"
#include <errno.h>
#include <fairlead/time.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct child {
	int pid;
	int channel; /* -1: the parent has given up the start */
	bool daemon;
};

struct fork_server {
	int socket, parent;
	int parent_fd, signals; /* or a negative errno */
	int spare;              /* closed before a receive, so that a request's channel fits */
	struct child *children;
	size_t n, room;
};

static struct fork_server fork_server;

static _Noreturn void end(void)
{
	for (size_t i = 0; i < fork_server.n; i++)
		if (fork_server.children[i].daemon)
			/* not reaped yet: the pid is still the child's */
			(void)kill(fork_server.children[i].pid, SIGKILL);
	_exit(0);
}

/* Makes room for one more child. */
static int grow(void)
{
	if (fork_server.n < fork_server.room)
		return 0;
	size_t room = fork_server.room ? fork_server.room * 2 : 16;
	struct child *children = fl__alloc(room, sizeof *children);
	if (!children)
		return -ENOMEM;
	if (fork_server.n > 0)
		memcpy(children, fork_server.children, fork_server.n * sizeof *children);
	fl__free(fork_server.children);
	fork_server.children = children;
	fork_server.room = room;
	return 0;
}

/* Reaps the ended children, and reports how they ended. */
static void collect(void)
{
	struct fl__end last = {FL__MAGIC_END, sizeof last, 0, 0};
	for (;;) {
		fl_process_status status;
		int pid = 0;
		if (fl__os.collect_number(&pid, &status, false) != 1)
			return;
		size_t i = 0;
		while (i < fork_server.n && fork_server.children[i].pid != pid)
			i++;
		if (i == fork_server.n)
			continue;
		last.code = status.code;
		last.signal = status.signal;
		int channel = fork_server.children[i].channel;
		/* the channel has space: only the reply came before. -EPIPE does no harm. */
		if (channel >= 0)
			(void)!fl__packet_send(channel, &last, sizeof last, NULL, 0, 0);
		fl__close(channel);
		fork_server.children[i] = fork_server.children[--fork_server.n];
	}
}

/* Makes sure that fl__setup() in the child does not run out of descriptors. */
static int check_room(const int *fds, unsigned n_fds, const struct fl__request *request)
{
	enum { MORE = 8 };
	int highest = 0;
	for (unsigned i = 0; i < n_fds; i++)
		highest = fds[i] > highest ? fds[i] : highest;
	return highest + (int)request->setup.n_fds + MORE > fl__os.descriptors() ? -EMFILE : 0;
}

static _Noreturn void become(struct fl__request *request, int fork_server_pid)
{
	request->setup.cwd = -1; /* the fork server has entered the directory */
	request->setup.parent = request->daemon ? fork_server_pid : 0;
	request->setup.keep_handlers = true;
	fl__task_process(request, NULL);
}

/* The fork server stays in no directory that a user may want to remove or unmount. */
static void go_home(void)
{
	(void)!chdir("/");
}

/* Makes the process. Returns its pid, and stores its pidfd. */
static int make(struct fl__request *request, int *pidfd)
{
	int fork_server_pid = getpid();
	if (fork_server.parent_fd == -ENOSYS)
		return -ENOSYS; /* no pidfd for a child either; a failed start runs no task */
	int rc = request->setup.cwd >= 0 ? fl__os.enter(request->setup.cwd) : 0;
	if (rc == 0)
		rc = grow();
	if (rc != 0)
		return rc;
	int pid = fl__os.fork();
	if (pid != 0)
		go_home();
	if (pid == 0)
		become(request, fork_server_pid);
	if (pid < 0)
		return pid;
	*pidfd = fl__os.pidfd(pid);
	fork_server.children[fork_server.n++] = (struct child){pid, request->channel, request->daemon};
	return pid;
}

static bool is_gone(int channel)
{
	short seen = 0;
	/* the parent sends nothing over a channel: readable means closed */
	return fl__fd_sys.poll(channel, POLLIN, &seen, 0) != 0;
}

/* Serves one request. Returns true when a child owns the channel. */
static bool answer(const void *data, size_t size, bool lost, const int *fds, unsigned n_fds)
{
	struct fl__request request;
	struct fl__start_reply reply;
	int channel = n_fds > 0 ? fds[0] : -1, pidfd = -1;
	int rc = fl__request_read(&request, &reply, data, size, fds, n_fds);
	if (channel < 0 || is_gone(channel))
		return false;
	if (lost)
		rc = -EMFILE;
	if (rc == 0 && request.channel < 0)
		rc = -EBADMSG;
	if (rc == 0)
		rc = check_room(fds, n_fds, &request);
	if (rc == 0)
		rc = make(&request, &pidfd);
	bool made = rc > 0;
	reply.pid = made ? rc : 0;
	reply.error = made ? (pidfd < 0 ? pidfd : 0) : rc;
	rc = fl__packet_send(channel, &reply, sizeof reply, &pidfd, pidfd >= 0 ? 1 : 0, 0);
	fl__close(pidfd);
	if (made && (rc != 0 || reply.error != 0)) {
		/* the parent gets no handle of this process */
		(void)kill(reply.pid, SIGKILL);
		fork_server.children[fork_server.n - 1].channel = -1;
		made = false;
	}
	return made;
}

static void take_request(void)
{
	static _Alignas(16) char data[FL__REQUEST_ROOM];
	int fds[FL__PACKET_FDS];
	struct iovec part = {data, sizeof data};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
	fl__close(fork_server.spare);
	int rc = fl__packet_try_recv(fork_server.socket, &packet, 0);
	if (rc == -EPIPE)
		end();
	if (rc == 0) {
		bool kept = !packet.cut && answer(data, packet.size, packet.lost, fds, packet.n_fds);
		fl__fds_close(fds + kept, packet.n_fds - kept);
	}
	fork_server.spare = fl__os.duplicate(STDIN_FILENO);
}

_Noreturn void fl__fork_server_serve(int socket, int parent)
{
	(void)prctl(PR_SET_NAME, "fairlead-fork", 0, 0, 0); /* for ps only */
	fork_server = (struct fork_server){.socket = socket, .parent = parent, .spare = -1};
	fork_server.parent_fd = fl__os.pidfd(parent);
	fork_server.signals = fl__os.child_signals();
	if (getppid() != parent)
		end();
	go_home();
	fork_server.spare = fl__os.duplicate(STDIN_FILENO);
	for (;;) {
		struct pollfd fds[] = {{.fd = socket, .events = POLLIN},
		                       {.fd = fork_server.parent_fd, .events = POLLIN},
		                       {.fd = fork_server.signals, .events = POLLIN}};
		char drained[1024];
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents)
			end();
		if (fds[2].revents) {
			(void)!read(fork_server.signals, drained, sizeof drained);
			collect();
		}
		if (fds[0].revents)
			take_request();
	}
}

/* The one task. */

static void ready(int fd, int rc)
{
	const struct fl__start_reply reply = {
	    .magic = FL__MAGIC_REPLY, .size = sizeof reply, .error = rc, .pid = getpid()};
	if (fl__packet_send(fd, &reply, sizeof reply, NULL, 0, 0) != 0 || rc != 0)
		_exit(127); /* an error, or the parent has given up */
	fl__close(fd);
}

_Noreturn void fl__task_serve(int socket, int parent)
{
	static _Alignas(16) char data[FL__REQUEST_ROOM];
	int fds[FL__PACKET_FDS];
	unsigned n_fds = FL__PACKET_FDS;
	struct fl__request request;
	struct fl__start_reply reply;
	size_t size = 0;
	int rc = fl__packet_recv(socket, data, sizeof data, &size, fds, &n_fds, FL_FOREVER);
	if (rc != 0 && rc != -EMFILE)
		_exit(0); /* the parent has ended, or has given up */
	if (rc == 0)
		rc = fl__request_read(&request, &reply, data, size, fds, n_fds);
	else
		reply = (struct fl__start_reply){.magic = FL__MAGIC_REPLY, .size = sizeof reply};
	if (rc != 0) {
		reply.error = rc;
		(void)!fl__packet_send(socket, &reply, sizeof reply, NULL, 0, 0);
		_exit(127);
	}
	request.setup.keep = socket;
	request.setup.keep_handlers = true;
	request.setup.parent = request.daemon ? parent : 0;
	fl__task_process(&request, ready);
}
