/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects EXIT STATUS "ends the program with status 3". err() ends the program. Before that,
 * functions that have no effect on other threads return what they return in Linux: aligned memory,
 * random bytes, scheduling, signals without an effect, warnings.
 */
#include "two_threads.h"
#include <err.h>
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/random.h>

int main(void)
{
	unsigned char bytes[8] = {0}, zero = 0;
	const struct sched_param usual = {.sched_priority = 0};
	struct sigaction action;
	void *aligned = memalign(256, 10);
	assert(aligned && (uintptr_t)aligned % 256 == 0 && mprotect(aligned, 10, PROT_READ) == 0);
	free(aligned);
	assert(getrandom(bytes, 4, 0) == 4 && getentropy(bytes + 4, 4) == 0);
	for (unsigned i = 0; i < sizeof bytes; i++)
		zero |= bytes[i];
	assert(zero != 0);
	assert(sched_setscheduler(0, SCHED_OTHER, &usual) == 0 && sched_getscheduler(0) == SCHED_OTHER);
	assert(sched_setscheduler(0, SCHED_FIFO, &usual) == -1 && errno == EPERM);
	assert(kill(1, 0) == -1 && errno == ESRCH && raise(SIGCHLD) == 0);
	assert(kill(0, 99) == -1 && errno == EINVAL && raise(-1) == -1 && pthread_kill(pthread_self(), 99) == EINVAL);
	assert(sigaction(SIGKILL, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	assert(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
	errno = ENOENT;
	warn("%d", 1);
	warnx("%s", "two");
	err(3, "three");
}
