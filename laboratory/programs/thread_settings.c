/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. A thread reads again what it has set: signals that it blocks, processors,
 * cancellation. A new thread inherits the first two. The next execution begins anew.
 */
#include "two_threads.h"
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static void *run(void *arg)
{
	sigset_t set;
	cpu_set_t processors;
	int old;
	assert(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR1) == 1);
	assert(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old) == 0 && old == PTHREAD_CANCEL_ENABLE);
	assert(pthread_setcancelstate(old, &old) == 0 && old == PTHREAD_CANCEL_DISABLE);
	assert(pthread_getaffinity_np(pthread_self(), sizeof processors, &processors) == 0);
	assert(CPU_COUNT(&processors) == 1 && sched_getcpu() == 1);
	sigfillset(&set);
	assert(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
	return arg;
}

static void on_signal(int number)
{
	(void)number;
}

int main(void)
{
	sigset_t set, old;
	cpu_set_t processors;
	const struct sched_param urgent = {.sched_priority = 1};
	struct sigaction action;
	int cpu = sched_getcpu();
	assert(sysconf(_SC_NPROCESSORS_ONLN) == 2 && (cpu == 0 || cpu == 1));
	assert(sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) == 2);
	assert(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	assert(signal(SIGUSR1, on_signal) == SIG_DFL && signal(SIGUSR1, SIG_IGN) == on_signal);
	assert(raise(SIGUSR1) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert(pthread_sigmask(SIG_BLOCK, &set, &old) == 0 && sigismember(&old, SIGUSR1) == 0);
	CPU_ZERO(&processors);
	CPU_SET(1, &processors);
	assert(sched_setaffinity(0, sizeof processors, &processors) == 0);
	assert(pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent) != 0);
	in_two_threads(run, run);
	assert(sigprocmask(SIG_SETMASK, &old, &set) == 0 && sigismember(&set, SIGUSR1) == 1);
	return sigismember(&set, SIGUSR2);
}
