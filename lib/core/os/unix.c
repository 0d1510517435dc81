/* SPDX-License-Identifier: BSD-2-Clause */
/* What linux.c and posix.c share: calls of POSIX, and files below /proc if the system has them. */
#include "unix.h"
#include "../base/sys.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t fl__unix_now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
	return FL_S(t.tv_sec) + t.tv_nsec;
}

/* Returns the number of the time namespace, or 0 without /proc. */
uint64_t fl__unix_clock_number(void)
{
	struct stat info;
	return FL__SYS_RESULT(stat("/proc/thread-self/ns/time", &info)) == 0 ? info.st_ino : 0;
}

static struct {
	int64_t (*now)(void); /* the process's clock; NULL unless it follows another one */
	uint64_t (*number)(void);
	uint64_t own, followed; /* the numbers of both clocks */
	int64_t ahead;          /* by how much the process's clock is ahead of the other one */
} unix_clock;

static int64_t unix_now_followed(void)
{
	return unix_clock.now() - unix_clock.ahead;
}

/*
 * If a process that follows a clock has forked, the child may be in another namespace. Then `ahead`
 * is wrong, and the result is the number of no clock.
 */
static uint64_t unix_number_followed(void)
{
	return unix_clock.number() == unix_clock.own ? unix_clock.followed : UINT64_MAX;
}

void fl__clock_read(struct fl__clock *clock)
{
	struct timespec wall;
	clock->number = fl__sys.clock_number();
	(void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail for this clock */
	clock->now = fl__sys.now();
	clock->wall = FL_S(wall.tv_sec) + wall.tv_nsec;
}

/*
 * The numbers decide, because the difference is wrong if the clock of the day is set between the
 * two readings.
 */
void fl__clock_follow(const struct fl__clock *theirs)
{
	struct fl__clock ours;
	fl__clock_read(&ours);
	if (ours.number == theirs->number || ours.number == 0 || theirs->number == 0)
		return;
	if (!unix_clock.now) {
		unix_clock.now = fl__sys.now;
		unix_clock.number = fl__sys.clock_number;
	}
	unix_clock.own = unix_clock.number();
	unix_clock.followed = theirs->number;
	unix_clock.ahead += (ours.now - ours.wall) - (theirs->now - theirs->wall);
	fl__sys.now = unix_now_followed;
	fl__sys.clock_number = unix_number_followed;
	fl__yield_ration = fl__yield_newest = 0; /* times of the process's clock */
}

void fl__unix_yield(void)
{
	(void)sched_yield();
}

int fl__unix_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	const int rc = pthread_create(thread, attr, start, arg);
	return rc == EPERM ? -EAGAIN : -rc; /* a filter refused clone3() with EPERM instead of ENOSYS */
}

size_t fl__page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int fl__check_file_size(uint64_t size)
{
	struct rlimit limit;
	FL__KEEPS_ERRNO();
	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	return size > limit.rlim_cur ? -EFBIG : 0;
}

int fl__map_file(int fd, uint64_t at, size_t size, int protection, int flags, void **memory)
{
	void *made;
	const int rc =
	    FL__SYS_RESULT((made = mmap(NULL, size, protection, flags, fd, (off_t)at)) == MAP_FAILED ? -1 : 0);
	if (rc == 0)
		*memory = made;
	return fl__eagain_to_enomem(rc);
}

void *fl__unix_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
#ifdef MADV_NOHUGEPAGE
	/* If this were a huge page, all of its 2 MiB would be resident after the first touch. */
	(void)madvise(memory, size, MADV_NOHUGEPAGE);
#endif
	return memory;
}

void fl__unix_unmap(void *memory, size_t size)
{
	(void)munmap(memory, size); /* fails only for foreign addresses */
}

int fl__portable_guard(void *memory, size_t size)
{
	return mprotect(memory, size, PROT_NONE) == 0 ? 0 : -errno;
}

#ifdef __APPLE__
/*
 * macOS sends SIGPIPE to the process, where another thread may take it. So this function tells the
 * file to send none. A write above RLIMIT_FSIZE still raises SIGXFSZ.
 */
int fl__unix_print(int fd, const char *text, size_t size)
{
	FL__UNCANCELLED();
	const int before = fcntl(fd, F_GETNOSIGPIPE);
	(void)fcntl(fd, F_SETNOSIGPIPE, 1);
	const int rc = fl__write_all(fd, text, size);
	(void)fcntl(fd, F_SETNOSIGPIPE, before);
	return rc;
}
#else
/*
 * Writing raises SIGPIPE if there is no reader, and SIGXFSZ above RLIMIT_FSIZE. Because no text of
 * the library may end the process, this function blocks both signals, and consumes the one that its
 * write raised.
 */
int fl__unix_print(int fd, const char *text, size_t size)
{
	const struct timespec at_once = {0, 0};
	sigset_t raised, blocked, pending;
	(void)sigemptyset(&raised);
	(void)sigpending(&pending); /* a pending signal is blocked */
	if (!sigismember(&pending, SIGPIPE))
		(void)sigaddset(&raised, SIGPIPE);
	if (!sigismember(&pending, SIGXFSZ))
		(void)sigaddset(&raised, SIGXFSZ);
	(void)pthread_sigmask(SIG_BLOCK, &raised, &blocked);
	const int rc = fl__write_all(fd, text, size);
	(void)FL__RETRY(FL__SYS_RESULT(sigtimedwait(&raised, NULL, &at_once)));
	(void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	return rc;
}
#endif

void fl__ring(int eventfd)
{
	const uint64_t one = 1;
	(void)FL__RETRY(FL__SYS_RESULT(write(eventfd, &one, sizeof one)));
}

bool fl__main_thread_has_ended(void)
{
	FL__KEEPS_ERRNO();
	return access("/proc/self/exe", F_OK) != 0 && access("/proc/thread-self/exe", F_OK) == 0;
}

void fl__signals_unblock_faults(sigset_t *signals)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	for (size_t i = 0; i < FL__COUNT(faults); i++)
		(void)sigdelset(signals, faults[i]);
}

void fl__signals_of_thread(sigset_t *signals)
{
	(void)pthread_sigmask(SIG_SETMASK, NULL, signals);
	fl__signals_unblock_faults(signals);
}

sigset_t fl__signals_block(bool faults)
{
	sigset_t all, before;
	(void)sigfillset(&all);
	if (!faults)
		fl__signals_unblock_faults(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	return before;
}

void fl__signals_restore(const sigset_t *before)
{
	(void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	FL__SIGNALS_BLOCKED(false); /* the new thread inherits the mask */
	return fl__sys.thread_create(thread, attr, start, arg);
}

void fl__name_thread(const char *name)
{
	char short_name[16]; /* the kernel's limit */
	(void)snprintf(short_name, sizeof short_name, "%.15s", name);
	(void)pthread_setname_np(pthread_self(), short_name);
}
