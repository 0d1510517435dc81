/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks with the names of functions that the library calls, in worker processes. Prints ok. */
#include <fairlead/process.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <stdio.h>

#define FUNCTIONS(X)                                                                                                   \
	X(accept4)                                                                                                     \
	X(clock_gettime)                                                                                               \
	X(clone)                                                                                                       \
	X(close)                                                                                                       \
	X(epoll_wait)                                                                                                  \
	X(eventfd)                                                                                                     \
	X(getpid)                                                                                                      \
	X(mmap)                                                                                                        \
	X(open)                                                                                                        \
	X(pipe2)                                                                                                       \
	X(poll)                                                                                                        \
	X(read)                                                                                                        \
	X(recvmsg)                                                                                                     \
	X(sendmsg)                                                                                                     \
	X(waitid)                                                                                                      \
	X(write)

#define TASK(name)                                                                                                     \
	FL_TASK(name, int, int)                                                                                        \
	{                                                                                                              \
		*result = *arg + 1;                                                                                    \
		return 0;                                                                                              \
	}
FUNCTIONS(TASK)

#define CALL(name)                                                                                                     \
	{                                                                                                              \
		fl_future *f = NULL;                                                                                   \
		int got = 0;                                                                                           \
		if (name##_submit(workers, 41, &f) != 0 || name##_get(f, &got) != 0 || got != 42) {                    \
			puts(#name);                                                                                   \
			bad = 1;                                                                                       \
		}                                                                                                      \
		fl_future_free(f);                                                                                     \
	}

int main(int argc, char **argv)
{
	FL_SCOPED(fl_executor) *workers = NULL;
	int bad = 0;
	fl_process_main(argc, argv);
	if (fl_process_executor_create(&workers, &(fl_executor_config){.workers = 1}) != 0)
		return 1;
	FUNCTIONS(CALL)
	puts(bad ? "failed" : "ok");
	return bad;
}
