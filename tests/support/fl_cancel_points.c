/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that no function of the library is a cancellation point (fairlead/defs.h). Each test
 * program replaces those functions of the C library that are cancellation points and that the
 * library calls. A replacement notes its caller if pthread_cancel() could act, and then makes the
 * call. At the end, tests/run checks which of the callers are functions of the library
 * (check_cancel.py). Since the tests together execute every public function, they check that none
 * is a cancellation point.
 *
 * The functions of the library disable pthread_cancel() around such calls. This is a setting of the
 * thread. A fiber that is suspended there would pass the setting on to the next fiber, and two such
 * fibers would restore it in the wrong order. Therefore a switch between fibers is also noted, with
 * the function that has disabled pthread_cancel().
 *
 * A signal may interrupt most of these calls. While fl_test_interrupts is set, each of them fails
 * with EINTR before it is made, and the thread's next call of the function is let through.
 *
 * FL_TEST_CANCEL_POINTS names the file for the notes: each line has a function's name, and the
 * caller's address relative to the program. A sanitizer defines such functions itself.
 */
#include "fl_cancel_points.h"
#include "loop/fiber/scheduler.h"
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>

static unsigned noted;
int fl_test_interrupts;

unsigned fl_test_cancel_points(void)
{
	return __atomic_load_n(&noted, __ATOMIC_RELAXED);
}

#if FL_TEST_CANCEL_POINTS

static uintptr_t callers[1 << 12]; /* a hash table of the noted addresses */

/* Whether the address is new. If the table is full, it already has everything that matters. */
static bool is_new(uintptr_t caller)
{
	const size_t n = sizeof callers / sizeof callers[0];
	for (size_t i = 0; i < n; i++) {
		uintptr_t there = 0;
		if (__atomic_compare_exchange_n(&callers[(caller + i) % n], &there, caller, false, __ATOMIC_RELAXED,
		                                __ATOMIC_RELAXED)) {
			(void)__atomic_add_fetch(&noted, 1, __ATOMIC_RELAXED);
			return true;
		}
		if (there == caller)
			return false;
	}
	return false;
}

/* Opens the file again for each note, because cases close, count and limit descriptors. */
static void write_note(const char *function, void *caller)
{
	extern const char __executable_start[]; /* the linker's */
	if (!is_new((uintptr_t)caller))
		return;
	char text[100];
	const int before = errno;
	const char *path = getenv("FL_TEST_CANCEL_POINTS");
	const int size = snprintf(text, sizeof text, "%s %lx\n", function,
	                          (unsigned long)((uintptr_t)caller - (uintptr_t)__executable_start));
	const long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (fd >= 0) {
		(void)syscall(SYS_write, fd, text, (size_t)size);
		(void)syscall(SYS_close, fd);
	}
	errno = before;
}

/* Finds the C library's function before the library's constructors run. */
#define FIND(name)                                                                                                     \
	static __typeof__(name) *real_##name;                                                                          \
	__attribute__((constructor(101))) static void find_##name(void)                                                \
	{                                                                                                              \
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name);                                                      \
	}

FIND(pthread_setcancelstate)
static _Thread_local void *disabled_by;

/*
 * A dump switches to another fiber to look at its stack. This switch, and the switch back, are
 * allowed.
 */
static void note_switch(struct fl__sched *s, struct fl__fiber *to)
{
	static _Thread_local bool comes_back;
	if (!s->visit && !comes_back)
		write_note("switch", disabled_by);
	comes_back = s->visit != NULL;
}

int pthread_setcancelstate(int state, int *before)
{
	struct fl__sched *s = fl__sched_current;
	const int rc = real_pthread_setcancelstate(state, before);
	if (s && !s->observe && state == PTHREAD_CANCEL_DISABLE && *before == PTHREAD_CANCEL_ENABLE) {
		disabled_by = __builtin_return_address(0);
		s->observe = note_switch;
	} else if (s && s->observe == note_switch && state == PTHREAD_CANCEL_ENABLE) {
		s->observe = NULL;
	}
	return rc;
}

static void note(const char *function, void *caller)
{
	int state, cancelled;
	(void)real_pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)real_pthread_setcancelstate(state, &cancelled);
	if (state == PTHREAD_CANCEL_ENABLE)
		write_note(function, caller);
}

#define NOTE(name) note(#name, __builtin_return_address(0))

#define CANCEL_POINT(type, name, params, args)                                                                         \
	FIND(name)                                                                                                     \
	type name params                                                                                               \
	{                                                                                                              \
		NOTE(name);                                                                                            \
		return real_##name args;                                                                               \
	}

/*
 * Whether this call is interrupted. `*was` says whether the thread's last call of this function was
 * interrupted.
 */
static bool is_interrupted(bool *was)
{
	if (!__atomic_load_n(&fl_test_interrupts, __ATOMIC_RELAXED))
		return false;
	*was = !*was;
	if (*was) {
		(void)__atomic_add_fetch(&fl_test_interrupts, 1, __ATOMIC_RELAXED);
		errno = EINTR;
	}
	return *was;
}

#define INTERRUPTIBLE(type, name, params, args)                                                                        \
	FIND(name)                                                                                                     \
	type name params                                                                                               \
	{                                                                                                              \
		static _Thread_local bool was;                                                                         \
		NOTE(name);                                                                                            \
		return is_interrupted(&was) ? -1 : real_##name args;                                                   \
	}

INTERRUPTIBLE(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
CANCEL_POINT(int, close, (int fd), (fd))
INTERRUPTIBLE(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
INTERRUPTIBLE(int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
INTERRUPTIBLE(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
CANCEL_POINT(int, fclose, (FILE * f), (f))
CANCEL_POINT(int, fflush, (FILE * f), (f))
CANCEL_POINT(char *, fgets, (char *to, int n, FILE *f), (to, n, f))
CANCEL_POINT(int, fputc, (int c, FILE *f), (c, f))
CANCEL_POINT(int, fputs, (const char *text, FILE *f), (text, f))
CANCEL_POINT(size_t, fwrite, (const void *from, size_t size, size_t n, FILE *f), (from, size, n, f))
CANCEL_POINT(FILE *, fopen, (const char *path, const char *mode), (path, mode))
CANCEL_POINT(int, getaddrinfo, (const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **to),
             (host, port, hints, to))
CANCEL_POINT(int, getnameinfo,
             (const struct sockaddr *a, socklen_t n, char *host, socklen_t host_n, char *port, socklen_t port_n,
              int flags),
             (a, n, host, host_n, port, port_n, flags))
INTERRUPTIBLE(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
INTERRUPTIBLE(int, ppoll, (struct pollfd * fds, nfds_t n, const struct timespec *time, const sigset_t *signals),
              (fds, n, time, signals))
INTERRUPTIBLE(ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
CANCEL_POINT(int, pthread_join, (pthread_t t, void **result), (t, result))
INTERRUPTIBLE(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
INTERRUPTIBLE(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
INTERRUPTIBLE(ssize_t, readv, (int fd, const struct iovec *to, int n), (fd, to, n))
INTERRUPTIBLE(ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
INTERRUPTIBLE(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *time),
              (fd, m, n, flags, time))
INTERRUPTIBLE(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
#ifdef FL__OS_POSIX
CANCEL_POINT(int, sem_clockwait, (sem_t * s, clockid_t clock, const struct timespec *at), (s, clock, at))
CANCEL_POINT(int, sem_wait, (sem_t * s), (s))
#endif
INTERRUPTIBLE(ssize_t, send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
INTERRUPTIBLE(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
INTERRUPTIBLE(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
CANCEL_POINT(int, sigtimedwait, (const sigset_t *signals, siginfo_t *info, const struct timespec *time),
             (signals, info, time))
INTERRUPTIBLE(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags))
INTERRUPTIBLE(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
INTERRUPTIBLE(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))
INTERRUPTIBLE(ssize_t, writev, (int fd, const struct iovec *from, int n), (fd, from, n))

/* These two are not cancellation points, but a signal may interrupt them. */
FIND(flock)
int flock(int fd, int operation)
{
	static _Thread_local bool was;
	return is_interrupted(&was) ? -1 : real_flock(fd, operation);
}

FIND(ftruncate)
int ftruncate(int fd, off_t size)
{
	static _Thread_local bool was;
	return is_interrupted(&was) ? -1 : real_ftruncate(fd, size);
}

FIND(open)
int open(const char *path, int flags, ...)
{
	static _Thread_local bool was;
	va_list args;
	va_start(args, flags);
	const unsigned mode = va_arg(args, unsigned); /* garbage if the caller gave none, and unused then */
	va_end(args);
	NOTE(open);
	return is_interrupted(&was) ? -1 : real_open(path, flags, mode);
}

int fprintf(FILE *f, const char *format, ...)
{
	va_list args;
	NOTE(fprintf);
	va_start(args, format);
	const int n = vfprintf(f, format, args);
	va_end(args);
	return n;
}

int fscanf(FILE *f, const char *format, ...)
{
	va_list args;
	NOTE(fscanf);
	va_start(args, format);
	const int n = vfscanf(f, format, args);
	va_end(args);
	return n;
}

#endif
