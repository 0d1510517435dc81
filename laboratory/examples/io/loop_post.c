/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. An event loop has a queue, into which other threads put jobs. They wake the loop
 * by an eventfd, but only for the first job of a batch. A timer ends the loop.
 */
#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int jobs, done, doorbell;

static void *post(void *arg)
{
	pthread_mutex_lock(&lock);
	const int first = jobs++ == 0;
	pthread_mutex_unlock(&lock);
	if (first)
		assert(eventfd_write(doorbell, 1) == 0);
	return arg;
}

int main(void)
{
	pthread_t threads[2];
	const int set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	doorbell = eventfd(0, EFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN, .data.fd = doorbell},
			   of_timer = {.events = EPOLLIN, .data.fd = timer};
	assert(epoll_ctl(set, EPOLL_CTL_ADD, doorbell, &e) == 0 &&
	       epoll_ctl(set, EPOLL_CTL_ADD, timer, &of_timer) == 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post, NULL);
	for (int ticks = 0; ticks < 2;) {
		uint64_t count;
		assert(epoll_wait(set, &e, 1, -1) == 1);
		assert(read(e.data.fd, &count, sizeof count) == sizeof count);
		if (e.data.fd == timer) {
			ticks += (int)count;
			continue;
		}
		pthread_mutex_lock(&lock);
		done += jobs;
		jobs = 0;
		pthread_mutex_unlock(&lock);
		if (done == 2)
			assert(timerfd_settime(timer, 0, &(struct itimerspec){{1, 0}, {1, 0}}, NULL) == 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert(done == 2);
	return 0;
}
