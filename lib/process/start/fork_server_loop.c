/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fork server itself: its loop makes processes for its parent, and reports their ends.
 *
 * The process has one thread, which blocks all signals except those of faults. It ends when its
 * parent ends or closes the socket. The death pipe kills an executed fork server even if it is
 * stopped at that time. When the fork server ends, the kernel kills the daemons, because its only
 * thread made them. Over a child's channel the fork server replies to the request, and reports the
 * child's end.
 *
 * After a program has dropped its privileges, it still has the socket of a fork server that
 * something needs. Therefore the fork server refuses each request of another user (SO_PASSCRED).
 */
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/wait/context.h"
#include "fork_server.h"
#include "reexec.h"
#include "request.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fork_server_child {
	struct fork_server_child *next;
	int pid;
	int channel; /* -1 if the start has failed; then the end is not reported */
	bool daemon;
	bool group; /* true if the child leads a process group, or is about to */
};

struct fork_server_loop {
	int parent_fd, signals; /* parent_fd may be a negative errno */
	/*
	 * a descriptor that is closed before a receive, so that a request's channel gets a
	 * number
	 */
	int spare;
	struct fork_server_child *children; /* the newest is the first in the list */
	struct fl__settings settings;       /* the settings of this process */
	uint32_t user;                      /* the user of the parent when it made this process */
	uint64_t blocked;                   /* in a child: the signals that its task is to block */
};

static struct fork_server_loop fork_server_loop;

static void fork_server_reap(void)
{
	fl_process_status status = {0};
	for (int pid = 0; fl__process_reap_by_pid(&pid, &status, false) == 1; pid = 0) {
		struct fork_server_child **link = &fork_server_loop.children, *c;
		while ((c = *link) && c->pid != pid)
			link = &c->next;
		if (!c)
			continue;
		const struct fl__end_report last = {FL__MAGIC_END, status.code, status.signal};
		/*
		 * The channel has space, because only the reply was sent before. -EPIPE does no
		 * harm.
		 */
		if (c->channel >= 0)
			(void)!fl__packet_send(c->channel, &last, sizeof last, NULL, 0, FL_NO_WAIT);
		fl__fd_close(c->channel);
		*link = c->next;
		fl__free(c);
	}
}

static _Noreturn void fork_server_exit(void)
{
	FL__EACH (struct fork_server_child, c, fork_server_loop.children) {
		/* not reaped yet, so the pid still belongs to the child and its group */
		if (c->daemon && c->group)
			(void)kill(-c->pid, SIGKILL);
		if (c->daemon && kill(c->pid, SIGKILL) == 0)
			(void)fl__process_reap_by_pid(&c->pid, NULL, true);
	}
	/*
	 * reaps the other children that have ended, which would otherwise be zombies of the process
	 * that inherits them
	 */
	fork_server_reap();
	_exit(0);
}

/* Returns -EMFILE if fl__new_process_setup() could run out of descriptors in the child. */
static int fork_server_check_fd_limit(const int *fds, unsigned n_fds, const struct fl__request *request)
{
	enum { MORE = 8 };
	int highest = 0;
	for (unsigned i = 0; i < n_fds; i++)
		highest = FL__MAX(fds[i], highest);
	const uint64_t needed = (uint64_t)highest + request->setup.n_fds + MORE;
	return needed > fork_server_loop.settings.limits[RLIMIT_NOFILE].now ? -EMFILE : 0;
}

/*
 * Called in the child. Makes only system calls, because each new process would have to look up
 * functions of libraries (lazy binding).
 */
static void fork_server_await_go(int channel, int rc)
{
	struct fl__go go;
	int n = -EINTR;
	while (rc == 0 && n == -EINTR)
		n = fl__raw(SYS_read, channel, (long)&go, sizeof go, 0);
	fl__fd_close(channel);
	if (rc != 0)
		return;
	if (n != (int)sizeof go || go.magic != FL__MAGIC_GO)
		_exit(127);
	if (go.more.umask >= 0)
		(void)fl__raw(SYS_umask, go.more.umask, 0, 0, 0);
	fl__new_process_reset_signals(&(struct fl__setup){
	    .has_defaults = true, .keep_handlers = true, .signals = {fork_server_loop.blocked, go.more.ignored}});
}

static _Noreturn void fork_server_run_child(struct fl__request *request, int fork_server_pid)
{
	request->setup.cwd = -1; /* the fork server has entered the directory */
	request->setup.parent = request->daemon ? fork_server_pid : 0;
	request->setup.keep_handlers = true;
	request->setup.has_defaults = true;
	request->setup.stay_blocked = true;
	fork_server_loop.blocked = request->setup.signals.blocked;
	request->setup.keep = request->channel;
	request->inherited = &fork_server_loop.settings;
	fl__new_process_run_task(request, fork_server_await_go);
}

/* Leaves the directory, because a user may want to remove or unmount it. */
static void fork_server_leave_directory(void)
{
	(void)!chdir("/");
}

/*
 * Makes a process. Sets reply->pid if there is a process, even if it has no pidfd, which is an
 * error.
 */
static int fork_server_make_process(struct fl__request *request, struct fl__start_reply *reply, int *pidfd)
{
	int fork_server_pid = getpid();
	if (fork_server_loop.parent_fd == -ENOSYS)
		/* a child would not get a pidfd either, and a failed start must not run a task */
		return -ENOSYS;
	struct fork_server_child *c = fl__alloc(1, sizeof *c);
	int rc = !c ? -ENOMEM : request->setup.cwd < 0 ? 0 : fl__raw(SYS_fchdir, request->setup.cwd, 0, 0, 0);
	if (rc == 0)
		rc = fl__process_sys.fork();
	if (rc == 0)
		fork_server_run_child(request, fork_server_pid);
	fork_server_leave_directory();
	if (rc < 0) {
		fl__free(c);
		return rc;
	}
	*c = (struct fork_server_child){fork_server_loop.children, rc, request->channel, request->daemon,
	                                request->setup.group};
	fork_server_loop.children = c;
	reply->pid = rc;
	*pidfd = fl__process_sys.pidfd(rc);
	return *pidfd < 0 ? *pidfd : 0;
}

/* Answers a request. Returns true if a child owns the channel. */
static bool fork_server_answer(const void *data, size_t size, const struct fl__packet *packet)
{
	const int *fds = packet->fds;
	const unsigned n_fds = packet->n_fds;
	struct fl__request request;
	struct fl__start_reply reply;
	const int channel = n_fds > 0 ? fds[0] : -1;
	int pidfd = -1;
	int rc = fl__request_read(&request, &reply, data, size, fds, n_fds);
	/* the parent sends nothing before the reply, so a readable channel is a closed one */
	if (channel < 0 || fl__fd_poll(channel, POLLIN) != 0)
		return false;
	if (packet->lost)
		rc = -EMFILE;
	if (packet->user != fork_server_loop.user)
		rc = -EPERM;
	if (rc == 0 && request.channel < 0)
		rc = -EBADMSG;
	if (rc == 0) {
		rc = fl__settings_take_on(&fork_server_loop.settings, request.settings);
		reply.refused = rc != 0;
	}
	if (rc == 0)
		rc = fork_server_check_fd_limit(fds, n_fds, &request);
	if (rc == 0)
		rc = fork_server_make_process(&request, &reply, &pidfd);
	reply.error = rc;
	const int sent = fl__packet_send(channel, &reply, sizeof reply, &pidfd, pidfd >= 0 ? 1 : 0, FL_NO_WAIT);
	fl__fd_close(pidfd);
	if (reply.pid > 0 && rc == 0 && sent == 0)
		return true;
	if (reply.pid > 0) {
		(void)kill(reply.pid, SIGKILL);
		fork_server_loop.children->channel = -1;
	}
	if (sent != 0) { /* -ETOOMANYREFS: without a pidfd, the error can be sent */
		reply.error = sent;
		(void)!fl__packet_send(channel, &reply, sizeof reply, NULL, 0, FL_NO_WAIT);
	}
	return false;
}

static void fork_server_take_request(void)
{
	static _Alignas(16) char data[FL__REQUEST_ROOM];
	int fds[FL__PACKET_FDS];
	struct iovec part = {data, sizeof data};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
	fl__fd_close(fork_server_loop.spare);
	int rc = fl__packet_try_recv(FL__REEXEC_SOCKET, &packet, 0);
	if (rc == -EPIPE)
		fork_server_exit();
	if (rc == 0) {
		bool kept = !packet.cut && fork_server_answer(data, packet.size, &packet);
		fl__fds_close(fds + kept, packet.n_fds - kept);
	}
	fork_server_loop.spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
}

_Noreturn void fl__fork_server_serve(int parent)
{
	fl__process_set_identity("fairlead-fork", 0); /* for ps */
	sigset_t child;
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	/* constructors may have set handlers */
	fl__new_process_reset_signals(&(struct fl__setup){.keep_handlers = true, .stay_blocked = true});
	fl__forks_empty_lot = true;
	fl__new_process_rehearse();
	fork_server_loop = (struct fork_server_loop){.spare = -1};
	fork_server_loop.parent_fd = fl__process_sys.pidfd(parent);
	fork_server_loop.signals = fl__process_sys.signalfd(&child);
	fl__settings_read(&fork_server_loop.settings);
	fork_server_loop.user = getuid();
	/*
	 * a fork server without signals could not reap children, so it ends; the next start makes
	 * another one
	 */
	if (fork_server_loop.signals < 0)
		fork_server_exit();
	fork_server_leave_directory();
	fork_server_loop.spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	for (;;) {
		struct pollfd fds[] = {{.fd = FL__REEXEC_SOCKET, .events = POLLIN},
		                       {.fd = fork_server_loop.parent_fd, .events = POLLIN},
		                       {.fd = fork_server_loop.signals, .events = POLLIN}};
		char drained[1024];
		if (FL__SYS_RESULT(poll(fds, 3, -1)) < 0)
			continue;
		if (fds[1].revents)
			fork_server_exit();
		if (fds[2].revents) {
			(void)FL__SYS_RESULT(read(fork_server_loop.signals, drained, sizeof drained));
			fork_server_reap();
		}
		if (fds[0].revents)
			fork_server_take_request();
	}
}
