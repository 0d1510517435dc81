/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spawner runs jobs in FIFO order, and reaps children. The thread sleeps in epoll_wait() on an
 * eventfd, which wakes it for jobs, and on the children's pidfds. An event's data is the
 * descriptor. `spawner_lock` guards the jobs, the children, and the thread's start and end. A job
 * lives in its caller's stack frame, and stays first in the queue until it is done.
 *
 * A child shares the parent's memory until its exec: no page table is copied. The child reports an
 * error over a pipe that the exec closes. Another thread's forked child may inherit the pipe, and
 * hold it open for long. So the spawner does not wait for the end of the pipe: when clone()
 * returns, the child has called exec or has ended. Where an emulator or a tool copies the memory,
 * the spawner waits with a deadline.
 */
#include "spawner.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "fd_watcher.h"
#include "process_sys.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <signal.h>
#include <unistd.h>

/* Making a child. */

/* Tries each path, as execvp() does. */
FL__RAW static int spawner_exec_first(const struct fl__spawn *spawn)
{
	int rc = -ENOENT;
	bool denied = false;
	for (const char *const *path = spawn->paths; *path; path++) {
		rc = fl__raw(SYS_execve, (long)*path, (long)spawn->argv, (long)spawn->env, 0);
		if (rc == -EACCES)
			denied = true;
		else if (rc != -ENOENT && rc != -ENOTDIR)
			return rc;
	}
	return denied ? -EACCES : rc;
}

FL__RAW static int spawner_run_child(void *arg)
{
	struct fl__spawn *spawn = arg;
	spawn->shared = true;
	int rc = fl__new_process_setup(&spawn->setup);
	if (rc == 0)
		rc = spawner_exec_first(spawn);
	(void)fl__raw(SYS_write, spawn->setup.keep, (long)&rc, sizeof rc, 0);
	for (;;)
		(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return 0;
}

/*
 * Returns the child's error; 0 after an exec; or -ETIMEDOUT: a child with a copy of the memory has
 * neither reported an error nor called exec in time.
 */
static int spawner_exec_result(const struct fl__spawn *spawn, int pipe)
{
	int rc = 0;
	ssize_t n;
	if (fl__fd_wait(pipe, POLLIN, spawn->shared ? 0 : fl_after(fl__process_sys.answer_timeout), FL_SHIELDED) != 0)
		return spawn->shared ? 0 : -ETIMEDOUT;
	do
		n = read(pipe, &rc, sizeof rc);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof rc ? rc : 0;
}

/* Kills and reaps the child unless it has a pidfd and has called exec. */
static int spawner_finish_spawn(struct fl__spawn *spawn, int pipe)
{
	fl_process_status status;
	spawn->pidfd = fl__fd_above_streams(spawn->pidfd);
	int rc = spawn->pidfd < 0 ? spawn->pidfd : spawner_exec_result(spawn, pipe);
	if (rc != 0) {
		(void)kill(spawn->pid, SIGKILL);
		(void)fl__process_sys.reap_by_pid(&spawn->pid, &status, true);
		fl__fd_close(spawn->pidfd);
	}
	return rc;
}

static int spawner_spawn(struct fl__spawn *spawn, void *stack_end)
{
	int pipe[2];
	int rc = fl__process_sys.pipe(pipe);
	if (rc != 0)
		return rc;
	spawn->setup.keep = pipe[1];
	spawn->shared = false;
	spawn->pid = fl__process_sys.clone(spawner_run_child, stack_end, spawn, &spawn->pidfd);
	fl__fd_close(pipe[1]); /* not setup.keep, which the child has changed */
	rc = spawn->pid > 0 ? spawner_finish_spawn(spawn, pipe[0]) : spawn->pid;
	fl__fd_close(pipe[0]);
	return rc;
}

/* The thread. */

enum { SPAWNER_STACK_SIZE = 64 << 10 };

struct spawner_job {
	struct fl__spawn *spawn;
	int rc;
	fl_event done; /* publishes `rc` */
	struct spawner_job *next;
};

struct spawner_child {
	struct spawner_child *next;
	int pidfd;   /* -1: reaped, or a child of this process's parent */
	bool killed; /* was sent SIGKILL */
};

static fl_mutex spawner_lock = FL_MUTEX_INIT;
static struct spawner_job *spawner_first, **spawner_last = &spawner_first;
static struct spawner_child *spawner_children;
static int spawner_epoll = -1, spawner_wakeup = -1;
static char *spawner_stack; /* for a child until its exec */
static bool spawner_running;

static struct spawner_job *spawner_first_job(void)
{
	FL_LOCKED(&spawner_lock);
	return spawner_first;
}

static void spawner_remove_first_job(void)
{
	FL_LOCKED(&spawner_lock);
	spawner_first = spawner_first->next;
	if (!spawner_first)
		spawner_last = &spawner_first;
}

static void spawner_run_jobs(void)
{
	uint64_t wakes;
	(void)!read(spawner_wakeup, &wakes, sizeof wakes); /* resets the eventfd */
	for (struct spawner_job *job; (job = spawner_first_job()) != NULL;) {
		job->rc = spawner_spawn(job->spawn, spawner_stack + SPAWNER_STACK_SIZE);
		spawner_remove_first_job();
		fl_event_set(&job->done);
	}
}

/* Under the lock. */
static void spawner_free_reaped(void)
{
	for (struct spawner_child **link = &spawner_children; *link;) {
		struct spawner_child *c = *link;
		if (c->pidfd >= 0) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		fl__free(c);
	}
}

/* Under the lock. `wait`: for the end of the child. */
static void spawner_reap(struct spawner_child *c, bool wait)
{
	fl_process_status status;
	if (fl__process_sys.reap(c->pidfd, &status, wait) == 0)
		return; /* the child runs: epoll reports it again */
	/* close() leaves the pidfd in the epoll set if a forked child holds it open */
	(void)fl__fd_sys.epoll_control(spawner_epoll, EPOLL_CTL_DEL, c->pidfd, 0);
	fl__fd_close(c->pidfd);
	c->pidfd = -1;
}

static void spawner_reap_by_pidfd(int pidfd)
{
	FL_LOCKED(&spawner_lock);
	for (struct spawner_child *c = spawner_children; c; c = c->next)
		if (c->pidfd == pidfd)
			spawner_reap(c, false);
	spawner_free_reaped();
}

/* Under the lock. Waits for the killed children. The process itself must reap the others. */
static void spawner_close(void)
{
	for (struct spawner_child *c = spawner_children; c; c = c->next) {
		if (c->pidfd >= 0)
			spawner_reap(c, c->killed);
		fl__fd_close(c->pidfd);
		c->pidfd = -1;
	}
	spawner_free_reaped();
	fl__fd_close(spawner_epoll);
	fl__fd_close(spawner_wakeup);
	spawner_epoll = spawner_wakeup = -1;
	if (spawner_stack)
		fl__sys.unmap(spawner_stack, SPAWNER_STACK_SIZE);
	spawner_stack = NULL;
	spawner_running = false;
}

static bool spawner_must_end(void)
{
	if (!fl__helper_must_end())
		return false;
	FL_LOCKED(&spawner_lock);
	if (spawner_first)
		return false;
	spawner_close();
	return true;
}

static void spawner_run(void)
{
	enum { EVENTS = 16 };
	struct epoll_event events[EVENTS];
	do {
		int n = fl__fd_sys.epoll_wait(spawner_epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd != spawner_wakeup)
				spawner_reap_by_pidfd(events[i].data.fd);
		spawner_run_jobs();
	} while (!spawner_must_end());
}

static void spawner_wake(void)
{
	const uint64_t one = 1;
	(void)!write(spawner_wakeup, &one, sizeof one); /* fails only when the thread is woken already */
}

static unsigned spawner_end(void)
{
	FL_LOCKED(&spawner_lock);
	if (spawner_running)
		spawner_wake();
	else
		spawner_close(); /* in a forked child: what its parent left */
	return spawner_first ? 1 : 0;
}

/* Under the lock. After an error spawner_close() closes what is open. */
static int spawner_open(void)
{
	spawner_epoll = fl__fd_above_streams(fl__fd_sys.epoll_create());
	if (spawner_epoll < 0)
		return spawner_epoll;
	spawner_wakeup = fl__fd_above_streams(fl__process_sys.eventfd());
	if (spawner_wakeup < 0)
		return spawner_wakeup;
	int rc = fl__fd_sys.epoll_control(spawner_epoll, EPOLL_CTL_ADD, spawner_wakeup, EPOLLIN);
	if (rc == 0 && !spawner_stack)
		spawner_stack = fl__sys.map(SPAWNER_STACK_SIZE);
	return rc != 0 ? rc : spawner_stack ? 0 : -ENOMEM;
}

/* Under the lock. Starts the spawner if there is none. */
static int spawner_start(void)
{
	static struct fl__helper helper = {.name = "spawner", .function = spawner_run, .end = spawner_end};
	if (spawner_running)
		return fl__helper_must_end() ? -EAGAIN : 0;
	int rc = spawner_open();
	if (rc == 0)
		rc = fl__helper_start(&helper);
	if (rc != 0)
		spawner_close();
	spawner_running = rc == 0;
	return rc;
}

int fl__spawner_spawn(struct fl__spawn *spawn)
{
	struct spawner_job job = {.spawn = spawn};
	{
		FL_LOCKED(&spawner_lock);
		int rc = spawner_start();
		if (rc != 0)
			return rc;
		*spawner_last = &job;
		spawner_last = &job.next;
		spawner_wake();
	}
	const struct fl__awaited outer = fl__awaits_begin(FL__DEBUG_START, NULL);
	(void)!fl_event_wait_until(&job.done, FL_FOREVER, FL_SHIELDED);
	fl__awaits_end(outer);
	return job.rc;
}

/* On success the spawner owns `pidfd`. */
static int spawner_adopt(int pidfd, bool killed)
{
	struct spawner_child *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->pidfd = pidfd;
	c->killed = killed;
	FL_LOCKED(&spawner_lock);
	int rc = spawner_start();
	if (rc == 0)
		rc = fl__fd_sys.epoll_control(spawner_epoll, EPOLL_CTL_ADD, pidfd, EPOLLIN);
	if (rc != 0) {
		fl__free(c);
		return rc;
	}
	c->next = spawner_children;
	spawner_children = c;
	return 0;
}

void fl__spawner_adopt(int pidfd, bool killed)
{
	int rc = spawner_adopt(pidfd, killed);
	if (rc == 0)
		return;
	fl_process_status status;
	if (fl__process_sys.reap(pidfd, &status, false) == 0)
		fl__log(FL_LOG_WARNING, "a process without a handle cannot be reaped, and stays a zombie: %s",
		        fl_error_text(rc));
	fl__fd_close(pidfd);
}

unsigned fl__spawner_threads(void)
{
	FL_LOCKED(&spawner_lock);
	return spawner_running ? 1 : 0;
}

void fl__spawner_after_fork(void)
{
	fl_mutex_init(&spawner_lock);
	fl__fd_close(spawner_epoll);
	fl__fd_close(spawner_wakeup);
	spawner_epoll = spawner_wakeup = -1;
	for (struct spawner_child *c = spawner_children; c; c = c->next) {
		fl__fd_close(c->pidfd);
		/* freed later: a thread that is not in the child may hold the allocator's lock */
		c->pidfd = -1;
	}
	spawner_first = NULL;
	spawner_last = &spawner_first;
	spawner_running = false; /* no child of this process uses `spawner_stack` */
}
