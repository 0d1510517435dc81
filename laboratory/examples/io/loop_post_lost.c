/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "waits for the channel of a poll, select or epoll". Other threads wake this
 * event loop only while it says that it sleeps. It looks at the queue before it says so, but not
 * again afterwards. So a wakeup is lost.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int jobs, sleeps;
static int doorbell;

static void *post(void *arg)
{
	jobs = 1;
	if (sleeps)
		assert(eventfd_write(doorbell, 1) == 0);
	return arg;
}

int main(void)
{
	pthread_t thread;
	const int set = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN};
	doorbell = eventfd(0, EFD_NONBLOCK);
	assert(epoll_ctl(set, EPOLL_CTL_ADD, doorbell, &e) == 0);
	pthread_create(&thread, NULL, post, NULL);
	while (!jobs) {
		sleeps = 1; /* the bug: jobs may be 1 by now */
		(void)epoll_wait(set, &e, 1, -1);
		sleeps = 0;
	}
	pthread_join(thread, NULL);
	return 0;
}
