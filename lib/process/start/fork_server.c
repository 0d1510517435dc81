/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's side of the fork server: makes the fork server, sends it requests, and ends it. "How
 * a process starts" in lib/process/README.md gives the reasons.
 *
 * There is at most one fork server. `fork_server_lock` guards its record, `fork_server`:
 *
 *   state    what says so             next state
 *   none     `number` is 0, and       making, by a start that needs it or fl_process_preload()
 *            not `fork_server_makes`
 *   making   `fork_server_makes`      serving, or none after an error. The maker unlocks until the
 *                                     hello, for up to `answer_timeout`; other starts wait
 *   serving  `number` is not 0        dead; or none, after it was ended
 *   dead     its pidfd is readable,   none, by the next start or preload, or the end of the
 *            or `dead` is set         library. Each first waits until no start uses the socket any
 *                                     more (`senders`)
 *
 * The fork server ends with this process, or with this copy of the library. It ends earlier in two
 * cases:
 *   1. It ends if a caller needs a fork server with other rights, or if the fork server may not
 *      take on the caller's settings. In three cases it stays and the start fails, because a second
 *      fork server is never made. First, its processes need it as long as they have handles
 *      (`processes`); each worker of a process executor has a handle. Second, starts in progress
 *      (`starts`) need it: the caller waits for their ends, and fails only if its deadline passes
 *      before. Third, this program cannot be executed again, so that no other fork server can be
 *      made.
 *   2. It ends with the last process executor and the last handle, if this process gets orphans, as
 *      the first process of a PID namespace or as a subreaper. Because the fork server is an
 *      orphan, it is then a child of this process, and a wait() for all children would wait for it.
 *      It is reaped before that last free returns. A preloaded fork server stays, because no other
 *      could replace it.
 *
 * A start sends its request before it compares all rights. The new process waits for the go-ahead,
 * which the start gives if all rights are equal. Otherwise the start closes the channel.
 */
#include "fork_server.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/anew.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include "core/sync/mutex.h"
#include "core/wait/context.h"
#include "reexec.h"
#include "request.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fork_server {
	uint64_t number; /* each fork server has another number; 0 if there is no fork server */
	int socket, pidfd, pid;
	struct fl__rights rights;
	bool orphan;        /* the fork server was executed, not preloaded */
	bool dead;          /* the fork server has closed its socket */
	unsigned senders;   /* starts that use `socket` without the lock */
	unsigned starts;    /* starts in progress, including the senders */
	unsigned processes; /* the handles of its processes */
};

static fl_mutex fork_server_lock = FL_MUTEX_INIT;
/* signalled when `fork_server_makes` is cleared, and when `senders` or `starts` decreases */
static fl_cond fork_server_changed = FL_COND_INIT;
static bool fork_server_makes;
static unsigned fork_server_pools; /* the number of process executors */
static struct fork_server fork_server;
static struct fl__death_pipe fork_server_death_pipe;
static const char fork_server_silent[] = "no answer from the fork server: is it stopped?";

/*
 * Returns whether the fork server was executed, runs, and is a child of this process, because this
 * process gets orphans. Called when that matters, not when the fork server begins, because then its
 * first parent may still exist. Reaps the fork server if it has ended.
 */
static bool fork_server_is_child(void)
{
	return fork_server.orphan && fl__process_reap(fork_server.pidfd, NULL, false) == 0;
}

static void fork_server_await_end(void)
{
	struct pollfd end = {.fd = fork_server.pidfd, .events = POLLIN};
	(void)FL__RETRY(fl__fd_sys.poll(&end, 1, fl__process_sys.answer_timeout));
}

/*
 * Ends the fork server. The caller holds the lock, and no start uses the socket. If the fork server
 * is a child, even a stopped one, it first gets time to end by itself, because it then reaps its
 * daemons, which would otherwise become zombies of this process. If this process has dropped its
 * privileges, the kill is not permitted, and the closed socket or death pipe ends the fork server.
 * Blocks the thread even if a fiber calls it, because no other fiber of the thread may wait for the
 * lock while this one holds it.
 */
static void fork_server_kill(void)
{
	const bool child = fork_server_is_child();
	if (child) {
		(void)shutdown(fork_server.socket, SHUT_RDWR);
		(void)fl__process_sys.signal(fork_server.pidfd, SIGCONT);
		fork_server_await_end();
	}
	fl__fd_close(fork_server.socket);
	fl__death_pipe_close(&fork_server_death_pipe);
	(void)fl__process_sys.signal(fork_server.pidfd, SIGKILL);
	if (!child)
		fork_server_await_end();
	/* a preloaded fork server may also be a child */
	(void)fl__process_reap(fork_server.pidfd, NULL, child);
	fl__fd_close(fork_server.pidfd);
	fork_server = (struct fork_server){0};
}

/*
 * Waits while a start makes a fork server, and ends a dead one. The caller holds the lock; the
 * function unlocks while it waits. Returns 0, or -ETIMEDOUT, because the start that it waits for
 * may belong to a fiber that cannot run before the caller returns.
 */
static int fork_server_begin(fl_time deadline)
{
	int rc = 0;
	bool ready = false;
	while (rc == 0 && !ready) {
		const bool dead =
		    fork_server.number && (fork_server.dead || fl__fd_poll(fork_server.pidfd, POLLIN) > 0);
		ready = !dead && !fork_server_makes;
		if (dead && fork_server.senders == 0)
			fork_server_kill();
		else if (!ready)
			rc = fl__cond_wait(&fork_server_changed, &fork_server_lock, deadline, FL_SHIELDED, true);
	}
	return rc;
}

/* If this process gets orphans, ends a fork server that nothing uses. The caller holds the lock. */
static void fork_server_settle(void)
{
	if (fork_server.number && fork_server.starts == 0 && fork_server.processes == 0 && fork_server_pools == 0 &&
	    fork_server_is_child())
		fork_server_kill();
}

/*
 * Ends the fork server. If a start uses its socket, the fork server ends with the process
 * instead.
 */
static unsigned fork_server_end(void)
{
	FL__HELD(&fork_server_lock);
	/* the result is always 0 */
	(void)fork_server_begin(FL_FOREVER);
	if (fork_server.number && fork_server.senders == 0)
		fork_server_kill();
	return 0;
}

/*
 * Returns a text about a denied system call, or NULL. A fork server that lacks one of these calls
 * could not tell the parent why. Because the arguments are invalid, the calls do nothing.
 */
static const char *fork_server_find_denied_call(void)
{
#define UNLESS_DENIED(name)                                                                                            \
	fl__eperm_to_enosys((int)FL__QUICK_RESULT(syscall(SYS_##name, -1L, -1L, -1L, -1L, -1L))) == -ENOSYS            \
	    ? "the system call " #name "() is denied"                                                                  \
	    :
	/* clang-format off */
	return UNLESS_DENIED(waitid) UNLESS_DENIED(signalfd4) UNLESS_DENIED(ppoll) UNLESS_DENIED(fchdir) NULL;
	/* clang-format on */
#undef UNLESS_DENIED
}

/*
 * Makes a fork server. The caller holds the lock. The function unlocks while the fork server
 * starts, and locks again.
 */
static int fork_server_make(enum fl__reexec_role role, const struct fl__rights *rights, fl_time deadline,
                            const char **problem)
{
	static struct fl__helper helper = {.end = fork_server_end};
	static uint64_t numbers;
	struct fl__reexec x = {role, &fork_server_death_pipe, rights, deadline};
	const bool orphan = role == FL__REEXEC_FORK_SERVER;
	*problem = fork_server_find_denied_call();
	if (*problem)
		return -ENOSYS;
	*problem = "a pipe cannot be made";
	int rc = orphan ? fl__death_pipe_open(&fork_server_death_pipe) : 0;
	if (rc != 0)
		return rc;
	fork_server_makes = true;
	fl_mutex_unlock(&fork_server_lock);
	rc = fl__reexec_start(&x);
	fl__mutex_hold(&fork_server_lock);
	fork_server_makes = false;
	fl_cond_broadcast(&fork_server_changed);
	*problem = x.problem;
	if (rc != 0) {
		fl__death_pipe_close(&fork_server_death_pipe);
		return rc;
	}
	fl__helper_list(&helper);
	fork_server = (struct fork_server){++numbers, x.socket, x.pidfd, x.pid, *rights, orphan};
	return 0;
}

static int fork_server_check_exec(void)
{
	return fl__reexec_check("FL_PROCESS_FORK_SERVER", ", or else fl_process_preload() before any thread");
}

/*
 * Returns whether something needs the fork server. If so, the log says what to do. The caller
 * holds the lock.
 */
static bool fork_server_is_needed(void)
{
	if (fork_server.starts == 0 && fork_server.processes == 0)
		return false;
	fl__log(FL_LOG_ERROR,
	        "the fork server is replaced when no worker of a process executor and no handle of its processes is "
	        "left: free these before the rights or priorities of the caller change, or use FL_PROCESS_EXEC");
	return true;
}

/*
 * Ends the fork server with this number, which cannot serve a caller. The caller holds the lock;
 * the function unlocks while it waits. Returns false if the fork server stays, because something
 * needs it or no other can be made.
 */
static bool fork_server_retire(uint64_t number, fl_time deadline)
{
	int rc = 0;
	while (rc == 0 && fork_server.number == number && fork_server.starts > 0 && fork_server.processes == 0)
		rc = fl__cond_wait(&fork_server_changed, &fork_server_lock, deadline, FL_SHIELDED, true);
	if (fork_server.number != number)
		return true;
	if (fork_server_is_needed() || fork_server_check_exec() != 0)
		return false;
	fork_server_kill();
	return true;
}

struct fork_server_caller {
	struct fl__start *start;
	fl_time deadline;
	struct fl__rights rights;
	struct fl__mask_and_ignored more;
	bool complete; /* `rights` and `more` are complete */
	/* a copy of the record, valid after fork_server_get() */
	struct fork_server server;
};

static int fork_server_read_rest(struct fork_server_caller *c)
{
	int rc = c->complete ? 0 : fl__rights_read_rest(&c->rights, &c->more);
	if (rc == 0 && c->more.umask < 0)
		c->more.ignored = fl__signals_ignored();
	if (rc == 0)
		c->complete = true;
	else
		c->start->problem = "the rights of the calling thread cannot be read";
	return rc;
}

/*
 * Finds a fork server for `c`. The caller holds the lock; the function unlocks while it waits.
 * After a result of 0 there is no fork server, or one with the rights of `c`, as far as these are
 * known.
 */
static int fork_server_find(struct fork_server_caller *c)
{
	const struct fl__rights *theirs = &fork_server.rights;
	for (;;) {
		c->start->problem = fork_server_silent;
		int rc = fork_server_begin(c->deadline);
		if (rc == 0 && (c->complete || !fork_server.number || !fl__rights_begin_equal(theirs, &c->rights)))
			rc = fork_server_read_rest(c);
		if (rc != 0 || !fork_server.number || !c->complete)
			return rc;
		const char *difference = fl__rights_difference(theirs, &c->rights);
		if (!difference)
			return 0;
		c->start->problem = difference;
		if (!fork_server_retire(fork_server.number, c->deadline))
			return -EPERM;
	}
}

/*
 * Gets a fork server for the caller. After a result of 0, the caller must call
 * fork_server_sent().
 */
static int fork_server_get(struct fork_server_caller *c)
{
	FL__HELD(&fork_server_lock);
	int rc = fork_server_find(c);
	if (rc == 0 && !fork_server.number) {
		c->start->problem = FL__REEXEC_PROBLEM;
		rc = fork_server_check_exec();
		if (rc == 0)
			rc = fork_server_make(FL__REEXEC_FORK_SERVER, &c->rights, c->deadline, &c->start->problem);
	}
	if (rc == 0) {
		fork_server.senders++;
		fork_server.starts++;
		c->server = fork_server;
	}
	return rc;
}

/* Called after a send with the result `rc`. After an error the start is no longer in progress. */
static void fork_server_sent(int rc)
{
	FL__HELD(&fork_server_lock);
	fork_server.senders--;
	fork_server.starts -= rc != 0;
	fork_server.dead |= rc == -EPIPE;
	fl_cond_broadcast(&fork_server_changed);
	fork_server_settle();
}

/*
 * Ends a start whose request was sent. `made` says whether it made a process. Returns true if the
 * fork server may not take on the caller's settings, but a new one may.
 */
static bool fork_server_end_start(const struct fork_server_caller *c, bool made)
{
	const uint64_t number = c->server.number;
	FL__HELD(&fork_server_lock);
	if (fork_server.number == number) { /* otherwise that fork server has ended */
		fork_server.starts--;
		fork_server.processes += made;
		fl_cond_broadcast(&fork_server_changed);
	}
	const bool again = c->start->refused && fork_server_retire(number, c->deadline);
	fork_server_settle();
	return again;
}

void fl__fork_server_count_pool(int more)
{
	FL__HELD(&fork_server_lock);
	fork_server_pools += (unsigned)more;
	fork_server_settle();
}

int fl__fork_server_pid(void)
{
	FL__HELD(&fork_server_lock);
	return fork_server.pid;
}

/*
 * Gives up a start after an error `rc`. If an unread reply is in the channel, its process is killed
 * here. If no reply was sent yet, the fork server cannot send it, and kills the process. If the
 * reply was read without the pidfd, for lack of a free descriptor, its process is killed by pid,
 * which is safe because it has just been made, so that no other process can have its number.
 */
static void fork_server_give_up(int channel, struct fl__start *start, int rc)
{
	const char *problem = start->problem;
	struct fl__child *child = start->child;
	if (rc == -EMFILE && child->pid > 0)
		(void)kill(child->pid, SIGKILL);
	(void)shutdown(channel, SHUT_RD);
	if (child->pidfd < 0)
		(void)fl__reply_receive(channel, start, FL_NO_WAIT, &child->pidfd);
	/* fails if there is no pidfd */
	(void)fl__process_sys.signal(child->pidfd, SIGKILL);
	fl__fd_close(child->pidfd);
	child->pidfd = -1;
	start->problem = problem;
}

/*
 * Sends the request. If the fork server has died (-EPIPE), tries once more. After a result of 0,
 * the caller must call fork_server_end_start().
 */
static int fork_server_send_request(struct fork_server_caller *c, int channel)
{
	int rc = -EPIPE;
	for (int tries = 0; rc == -EPIPE && tries < 2; tries++) {
		rc = fork_server_get(c);
		if (rc != 0)
			return rc;
		rc = fl__request_send(c->server.socket, channel, c->start, c->deadline);
		fork_server_sent(rc);
	}
	return rc == -EPIPE ? -EOWNERDEAD : rc;
}

/* Receives the reply, and then gives the go-ahead. */
static int fork_server_receive_reply(struct fork_server_caller *c, int channel)
{
	const struct fl__go go = {FL__MAGIC_GO, c->more};
	struct fl__start *start = c->start;
	int rc = fl__reply_receive(channel, start, c->deadline, &start->child->pidfd);
	if (rc == -ETIMEDOUT)
		start->problem = fork_server_silent;
	if (rc == 0 && start->child->pidfd < 0)
		rc = -EPROTO;
	if (rc != 0)
		return rc;
	start->problem = "the process cannot be told to begin";
	rc = fl__packet_send(channel, &go, sizeof go, NULL, 0, FL_NO_WAIT);
	/* -EPIPE: the process has died, which a join will report */
	return rc == -EPIPE ? 0 : rc;
}

/*
 * Tries to start the process. Sets `*again` if another try may succeed, with another fork
 * server.
 */
static int fork_server_try(struct fork_server_caller *c, bool *again)
{
	int channel[2];
	struct fl__start *start = c->start;
	*again = start->refused = false;
	start->child->pid = 0;
	start->problem = "the channel to the fork server cannot be created";
	int rc = fl__fd_sys.pair(channel);
	if (rc != 0)
		return rc;
	rc = fork_server_send_request(c, channel[1]);
	fl__fd_close(channel[1]);
	if (rc == 0) {
		rc = fork_server_read_rest(c);
		*again = rc == 0 && fl__rights_difference(&c->server.rights, &c->rights);
		if (rc == 0)
			rc = *again ? -EPERM : fork_server_receive_reply(c, channel[0]);
		if (rc != 0)
			fork_server_give_up(channel[0], start, rc);
		*again |= fork_server_end_start(c, rc == 0);
	}
	if (rc == 0) {
		start->child->channel = channel[0];
		start->child->server = c->server.number;
	} else {
		fl__fd_close(channel[0]);
	}
	return rc;
}

static int fork_server_start(struct fl__start *start)
{
	/* the first has other rights, the second refuses the settings, the third is new */
	enum { TRIES = 3 };
	struct fork_server_caller caller = {.start = start, .deadline = fl_after(fl__process_sys.answer_timeout)};
	struct fl__settings settings;
	start->problem = "the rights of the calling thread cannot be read";
	int rc = fl__rights_read_first(&caller.rights);
	bool again = rc == 0;
	start->settings = &settings;
	for (int tries = 0; again && tries < TRIES; tries++) {
		/* read again, because what a new fork server inherits may have changed */
		fl__settings_read(&settings);
		rc = fork_server_try(&caller, &again);
	}
	start->settings = NULL;
	return rc;
}

/*
 * Checks whether the process has ended. Only peeks at the report, because the channel is the
 * sentinel, and must stay readable. If there is no memory to receive the report, the pidfd says
 * whether the process has ended, because a caller that waited for that memory would find the
 * sentinel readable each time, and spin.
 */
static int fork_server_look(struct fl__child *child, fl_process_status *status)
{
	struct fl__end_report last;
	struct iovec part = {&last, sizeof last};
	struct fl__packet packet = {.parts = &part, .n_parts = 1};
	int rc = child->lost ? -EPIPE : fl__packet_try_recv(child->channel, &packet, MSG_PEEK);
	if (rc == -EAGAIN)
		return 0;
	if (rc == -ENOMEM)
		return fl__fd_poll(child->pidfd, POLLIN) > 0 ? rc : 0;
	if (rc == 0 && packet.size == sizeof last && last.magic == FL__MAGIC_END) {
		*status = (fl_process_status){last.code, last.signal};
		return 1;
	}
	child->lost = true;
	return fl__fd_poll(child->pidfd, POLLIN) > 0 ? -EOWNERDEAD : 0;
}

static void fork_server_forget(struct fl__child *child, bool runs, bool killed)
{
	(void)runs, (void)killed;
	FL__HELD(&fork_server_lock);
	/* otherwise that fork server has ended */
	fork_server.processes -= fork_server.number == child->server;
	fork_server_settle();
}

const struct fl__start_method fl__start_fork_server = {
    .by_request = true,
    .by_server = true,
    .start = fork_server_start,
    .look = fork_server_look,
    .forget = fork_server_forget,
};

static int fork_server_preload(const char **problem)
{
	const fl_time deadline = fl_after(fl__process_sys.answer_timeout);
	struct fl__rights rights;
	*problem = "the rights of the calling thread cannot be read";
	int rc = fl__rights_read(&rights);
	if (rc != 0)
		return rc;
	FL__HELD(&fork_server_lock);
	*problem = fork_server_silent;
	rc = fork_server_begin(deadline);
	if (rc == 0 && fork_server.number) {
		*problem = fl__rights_difference(&fork_server.rights, &rights);
		if (!*problem)
			return 0;
		rc = fork_server_is_needed() ? -EPERM : 0;
	}
	if (rc == 0) {
		*problem = "the process would be in another PID namespace (unshare(), setns())";
		rc = fl__has_left_pid_namespace() ? -ENOTSUP : fl__process_may_fork(problem);
	}
	if (rc == 0 && fork_server.number)
		fork_server_kill();
	return rc != 0 ? rc : fork_server_make(FL__REEXEC_PRELOADED, &rights, deadline, problem);
}

int fl_process_preload(void)
{
	const char *problem;
	const int rc = fork_server_preload(&problem);
	if (rc != 0)
		fl__log(FL_LOG_ERROR, "cannot preload the fork server: %s: %s", problem, fl_error_text(rc));
	return rc;
}

static void fork_server_make_anew(void)
{
	fl_mutex_init(&fork_server_lock);
	fl_cond_init(&fork_server_changed);
	fork_server_makes = false;
	fork_server_pools = 0;
	if (fork_server.number) {
		fl__fd_close(fork_server.socket);
		fl__fd_close(fork_server.pidfd);
	}
	fork_server = (struct fork_server){0};
}

FL__MAKES_ANEW(fork_server_make_anew)
