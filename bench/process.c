/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that two processes share, the partner process, and pipes between the two (process.h). */
#include "process.h"
#include "shim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void *bench_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		bench_fail("no %zu bytes of shared memory: %s", size, strerror(errno));
	return memory;
}

void bench_unshare(void *memory, size_t size)
{
	(void)munmap(memory, size);
}

pid_t bench_partner(void (*work)(void *shared), void *shared)
{
	pid_t pid = fork();
	bench_must(pid >= 0, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(shared);
		_exit(0);
	}
	return pid;
}

void pipe_open(pipe_channel *c)
{
	int ends[2];
	BENCH_OK(pipe(ends));
	*c = (pipe_channel){ends[1], ends[0]};
}

void pipe_send(pipe_channel *c, const void *message, size_t size)
{
	bench_must(write(c->in, message, size) == (ssize_t)size, "write");
}

void pipe_receive(pipe_channel *c, void *message, size_t size)
{
	for (size_t got = 0; got < size;) { /* a read may return a part */
		ssize_t n = read(c->out, (char *)message + got, size - got);
		bench_must(n > 0, "read");
		got += (size_t)n;
	}
}

void pipe_close(pipe_channel *c)
{
	(void)close(c->in);
	(void)close(c->out);
}

void bench_partner_end(pid_t partner)
{
	int status;
	while (waitpid(partner, &status, 0) < 0)
		bench_must(errno == EINTR, "waitpid");
	if (status != 0)
		bench_fail("the partner process failed: wait status %d", status);
}
