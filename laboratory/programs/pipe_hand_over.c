/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. What was written before a write to a pipe is known after the read. A read waits
 * for bytes or for the end. A pipe that is full takes a part of a long write. Closed pipes do not
 * count.
 */
#include "two_threads.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int ends[2], before;

static void *give(void *arg)
{
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert(poll(NULL, 0, 3000) == 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert(end.tv_sec - begin.tv_sec >= 2);
	before = 7;
	assert(write(ends[1], "abc", 3) == 3);
	assert(close(ends[1]) == 0);
	return arg;
}

static void *take(void *arg)
{
	char bytes[8];
	assert(read(ends[0], bytes, 2) == 2 && bytes[0] == 'a' && bytes[1] == 'b' && before == 7);
	assert(read(ends[0], bytes, sizeof bytes) == 1 && bytes[0] == 'c');
	assert(read(ends[0], bytes, sizeof bytes) == 0);
	return arg;
}

int main(void)
{
	static char many[64 << 10];
	int full[2];
	assert(pipe(ends) == 0 && pipe2(full, O_NONBLOCK) == 0 && ends[0] != full[0]);
	assert(read(full[0], many, 0) == 0 && read(full[0], many, 1) == -1 && errno == EAGAIN);
	assert(write(full[1], many, sizeof many) == sizeof many && write(full[1], many, 1) == -1 && errno == EAGAIN);
	assert(read(full[0], many, 5000) == 5000 && write(full[1], many, 6000) == 5000);
	assert(signal(SIGPIPE, SIG_IGN) == SIG_DFL && close(full[0]) == 0);
	assert(write(full[1], many, 1) == -1 && errno == EPIPE && close(full[1]) == 0);
	for (int i = 0; i < 20; i++)
		assert(pipe(full) == 0 && full[0] != ends[0] && close(full[0]) == 0 && close(full[1]) == 0);
	return in_two_threads(give, take);
}
