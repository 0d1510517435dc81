/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LOST WAKEUP "". The waker looks for sleepers, and one goes to sleep only after that. */
#include "two_threads.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int word;
static atomic_int sleepers;

static void *first(void *arg)
{
	while (atomic_load(&word) == 0) {
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
		atomic_fetch_add(&sleepers, 1);
	}
	return arg;
}

static void *second(void *arg)
{
	atomic_store(&word, 1);
	if (atomic_load(&sleepers) > 0)
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return arg;
}

int main(void)
{
	return in_two_threads(first, second);
}
