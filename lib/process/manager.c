/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager thread: jobs, in the order in which they came, and children to be collected. It sleeps in epoll_wait, on an
 * eventfd that says "a job", and on the pidfds of those children; an event's data is its descriptor, which is all there is to
 * know about a child. `lock` guards the jobs and the making of the thread; a job lives in the frame of whoever waits for it.
 */
#include "manager.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "fd_sys.h"
#include "launch.h"
#include "os.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/event.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

struct job {
	struct fl__spawn *spawn;
	int rc;
	fl_event done; /* publishes `rc` */
	struct job *next;
};

static fl_mutex lock = FL_MUTEX_INIT;
static struct job *first, **last = &first;
static int epoll = -1, bell = -1;
static char *stack; /* for a child until its exec */
static bool running;

static struct job *take_job(void)
{
	FL_LOCKED(&lock);
	struct job *job = first;
	if (job) {
		first = job->next;
		if (!first)
			last = &first;
	}
	return job;
}

static void do_jobs(void)
{
	uint64_t rings;
	(void)!read(bell, &rings, sizeof rings); /* silences it; the jobs are what counts */
	for (struct job *job; (job = take_job()) != NULL;) {
		job->rc = fl__spawn(job->spawn, stack + FL__SPAWN_STACK);
		fl_event_set(&job->done);
	}
}

static void collect(int pidfd)
{
	fl_process_status status;
	if (fl__os.collect(pidfd, &status, false) == 0)
		return;                                         /* not yet: it is reported again */
	(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, pidfd, 0); /* a forked child may hold it open */
	fl__close(pidfd);
}

static void *manage(void *arg)
{
	enum { EVENTS = 16 };
	struct epoll_event events[EVENTS];
	for (;;) {
		int n = fl__fd_sys.watch_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd != bell)
				collect(events[i].data.fd);
		do_jobs();
	}
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, before;
	int rc = -pthread_attr_init(&attr);
	if (rc != 0)
		return rc;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
	rc = fl__sys.thread_create(&thread, &attr, manage, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return rc;
}

/* Under the lock. Each step that has been done stays done: a later call goes on from there. */
static int open_all(void)
{
	if (epoll < 0) {
		int fd = fl__above(fl__fd_sys.watch_create());
		if (fd < 0)
			return fd;
		epoll = fd;
	}
	if (bell < 0) {
		int fd = fl__above(fl__os.event());
		if (fd < 0)
			return fd;
		int rc = fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
		if (rc != 0) {
			fl__close(fd);
			return rc;
		}
		bell = fd;
	}
	if (!stack)
		stack = fl__sys.map(FL__SPAWN_STACK);
	return stack ? 0 : -ENOMEM;
}

/* Under the lock: 0 when there is a manager, made here if need be. */
static int need(void)
{
	if (running)
		return 0;
	int rc = open_all();
	if (rc != 0)
		return rc;
	rc = start_thread();
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
		const uint64_t one = 1;
		(void)!write(bell, &one, sizeof one); /* fails only when it rings already */
	}
	(void)!fl_event_wait_until(&job.done, FL_FOREVER, FL_SHIELDED);
	return job.rc;
}

void fl__manager_adopt(int pidfd)
{
	int rc;
	{
		FL_LOCKED(&lock);
		rc = need();
		if (rc == 0)
			rc = fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, pidfd, EPOLLIN);
	}
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
	first = NULL;
	last = &first;
	running = false; /* the stack is free: nobody of this process is on it */
}
