/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager thread runs jobs in FIFO order, and reaps children. The thread sleeps in epoll_wait()
 * on an eventfd, the doorbell for jobs, and on the children's pidfds. An event's data is the
 * descriptor. `lock` guards the jobs, the children, and the thread's start and end. A job lives in
 * its caller's stack frame, and stays first in the queue until it is done.
 */
#include "manager.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "fd_sys.h"
#include "launch.h"
#include "os.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <unistd.h>

struct job {
	struct fl__spawn *spawn;
	int rc;
	fl_event done; /* publishes `rc` */
	struct job *next;
};

/* A child that the manager thread reaps. */
struct child {
	struct child *next;
	int pidfd;   /* -1: reaped, or a child of this process's parent */
	bool killed; /* was sent SIGKILL */
};

static fl_mutex lock = FL_MUTEX_INIT;
static struct job *first, **last = &first;
static struct child *children;
static int epoll = -1, bell = -1;
static char *stack; /* for a child until its exec */
static bool running;

static struct job *first_job(void)
{
	FL_LOCKED(&lock);
	return first;
}

static void drop_first_job(void)
{
	FL_LOCKED(&lock);
	first = first->next;
	if (!first)
		last = &first;
}

static void do_jobs(void)
{
	uint64_t rings;
	(void)!read(bell, &rings, sizeof rings); /* silences the doorbell */
	for (struct job *job; (job = first_job()) != NULL;) {
		job->rc = fl__spawn(job->spawn, stack + FL__SPAWN_STACK);
		drop_first_job();
		fl_event_set(&job->done);
	}
}

/* Under the lock. Frees the children that were reaped. */
static void forget_collected(void)
{
	for (struct child **link = &children; *link;) {
		struct child *c = *link;
		if (c->pidfd >= 0) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		fl__free(c);
	}
}

/* Under the lock. `wait`: for the end of the child. */
static void collect(struct child *c, bool wait)
{
	fl_process_status status;
	if (fl__os.collect(c->pidfd, &status, wait) == 0)
		return; /* the child runs: epoll reports it again */
	/* close() removes no pidfd that a forked child holds open */
	(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, c->pidfd, 0);
	fl__close(c->pidfd);
	c->pidfd = -1;
}

static void collect_child(int pidfd)
{
	FL_LOCKED(&lock);
	for (struct child *c = children; c; c = c->next)
		if (c->pidfd == pidfd)
			collect(c, false);
	forget_collected();
}

/* Under the lock. Waits for the killed children. The process itself must reap the others. */
static void close_all(void)
{
	for (struct child *c = children; c; c = c->next) {
		if (c->pidfd >= 0)
			collect(c, c->killed);
		fl__close(c->pidfd);
		c->pidfd = -1;
	}
	forget_collected();
	fl__close(epoll);
	fl__close(bell);
	epoll = bell = -1;
	if (stack)
		fl__sys.unmap(stack, FL__SPAWN_STACK);
	stack = NULL;
	running = false;
}

static bool must_end(void)
{
	if (!fl__helper_must_end())
		return false;
	FL_LOCKED(&lock);
	if (first)
		return false;
	close_all();
	return true;
}

static void manage(void)
{
	enum { EVENTS = 16 };
	struct epoll_event events[EVENTS];
	do {
		int n = fl__fd_sys.watch_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd != bell)
				collect_child(events[i].data.fd);
		do_jobs();
	} while (!must_end());
}

static void wake_manager(void)
{
	const uint64_t one = 1;
	(void)!write(bell, &one, sizeof one); /* fails only when the doorbell rings already */
}

static unsigned end_manager(void)
{
	FL_LOCKED(&lock);
	if (running)
		wake_manager();
	else
		close_all(); /* in a forked child: what its parent left */
	return first ? 1 : 0;
}

/* Under the lock. After an error close_all() closes what is open. */
static int open_all(void)
{
	epoll = fl__above(fl__fd_sys.watch_create());
	if (epoll < 0)
		return epoll;
	bell = fl__above(fl__os.event());
	if (bell < 0)
		return bell;
	int rc = fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, bell, EPOLLIN);
	if (rc == 0 && !stack)
		stack = fl__sys.map(FL__SPAWN_STACK);
	return rc != 0 ? rc : stack ? 0 : -ENOMEM;
}

/* Under the lock. Starts the manager thread if there is none. */
static int need(void)
{
	static struct fl__helper helper = {.name = "manager", .function = manage, .end = end_manager};
	if (running)
		return fl__helper_must_end() ? -EAGAIN : 0;
	int rc = open_all();
	if (rc == 0)
		rc = fl__helper_start(&helper);
	if (rc != 0)
		close_all();
	running = rc == 0;
	return rc;
}

int fl__manager_spawn(struct fl__spawn *spawn)
{
	struct job job = {.spawn = spawn};
	{
		FL_LOCKED(&lock);
		int rc = need();
		if (rc != 0)
			return rc;
		*last = &job;
		last = &job.next;
		wake_manager();
	}
	(void)!fl_event_wait_until(&job.done, FL_FOREVER, FL_SHIELDED);
	return job.rc;
}

/* On success the manager thread owns `pidfd`. */
static int adopt(int pidfd, bool killed)
{
	struct child *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->pidfd = pidfd;
	c->killed = killed;
	FL_LOCKED(&lock);
	int rc = need();
	if (rc == 0)
		rc = fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, pidfd, EPOLLIN);
	if (rc != 0) {
		fl__free(c);
		return rc;
	}
	c->next = children;
	children = c;
	return 0;
}

void fl__manager_adopt(int pidfd, bool killed)
{
	int rc = adopt(pidfd, killed);
	if (rc == 0)
		return;
	fl_process_status status;
	if (fl__os.collect(pidfd, &status, false) == 0)
		fl__log(FL_LOG_WARNING, "a process whose handle was freed will stay as a zombie: %s",
		        fl_error_text(rc));
	fl__close(pidfd);
}

unsigned fl__manager_threads(void)
{
	FL_LOCKED(&lock);
	return running ? 1 : 0;
}

void fl__manager_after_fork(void)
{
	fl_mutex_init(&lock);
	fl__close(epoll);
	fl__close(bell);
	epoll = bell = -1;
	for (struct child *c = children; c; c = c->next) {
		fl__close(c->pidfd);
		/* freed later: a thread that is not in the child may hold the allocator's lock */
		c->pidfd = -1;
	}
	first = NULL;
	last = &first;
	running = false; /* no child of this process uses `stack` */
}
