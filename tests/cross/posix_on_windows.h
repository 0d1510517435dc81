/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_POSIX_ON_WINDOWS_H
#define FL_TEST_POSIX_ON_WINDOWS_H

/*
 * What the unit tests use of POSIX and mingw-w64 lacks. The build includes this header before each
 * of their files; cross/mingw makes the other headers, which are empty. The functions here do what
 * the cases need. The types belong to functions that Windows lacks: absent.py lists these, and
 * numbers for them, and a call ends the case as skipped.
 */
#include "core/os/windows.h"
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define sigjmp_buf jmp_buf
#define sigsetjmp(buffer, mask) setjmp(buffer)
#define siglongjmp longjmp
/* A buffer of lines is one of blocks there. */
#define setvbuf(file, buffer, mode, size) setvbuf(file, NULL, _IONBF, 0)
#define dprintf(fd, ...) printf(__VA_ARGS__)
#define mkstemp(path) open(mktemp(path), O_RDWR | O_CREAT | O_EXCL | _O_TEMPORARY | O_CLOEXEC, 0600)
#define setenv(name, value, replace) _putenv_s(name, value)
#define unsetenv(name) _putenv_s(name, "")
#define fcntl(fd, command, flags) 0
#define rand_r(seed) ((int)((*(seed) = *(seed)*1103515245u + 12345u) >> 17))
#define mmap(at, size, protection, flags, fd, from) fl_test_mmap(at, size)
#define munmap(at, size) fl_test_munmap(at)
#define opendir fl_test_opendir
#define sigaction(signal, now, before) fl_test_sigaction(signal)

int fnmatch(const char *pattern, const char *name, int flags);
ssize_t pread(int fd, void *to, size_t size, long long at);
void *fl_test_mmap(void *at, size_t size); /* private memory */
int fl_test_munmap(void *at);
int fl_test_sigaction(int signal); /* of a signal of C, does nothing; else the case ends */

typedef int uid_t, gid_t, socklen_t, cpu_set_t, timer_t;
typedef size_t rlim_t;
typedef struct ucontext {
	struct {
		void *ss_sp;
	} uc_stack;
} ucontext_t;
struct rlimit {
	rlim_t rlim_cur, rlim_max;
};
struct iovec {
	void *iov_base;
};
struct sockaddr_storage {
	long long data[16];
};

enum { SIGBUS = SIGSEGV, SIGSYS = SIGSEGV };
#define MAP_FAILED ((void *)-1)
#define RLIM_INFINITY SIZE_MAX

#endif
