/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The program has a lock of its own on a futex. */
#include "two_threads.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int word;
static int count;

static void lock(void)
{
	int expected = 0;
	if (atomic_compare_exchange_strong(&word, &expected, 1))
		return;
	while (atomic_exchange(&word, 2) != 0)
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void unlock(void)
{
	if (atomic_exchange(&word, 0) == 2)
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *run(void *arg)
{
	lock();
	count++;
	unlock();
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
