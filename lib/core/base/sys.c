/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys.h"
#include "atomic.h"
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef FL__TSAN
uint32_t fl__fence_word;
#endif

/* In one file, so that they share eight bytes of static TLS whatever the order of the objects is. */
_Thread_local unsigned fl__blocks_thread FL__INITIAL_EXEC;
_Thread_local bool fl__panic_logs FL__INITIAL_EXEC;

static const fl_allocator *sys_allocator;

void fl_set_allocator(const fl_allocator *replacement)
{
	sys_allocator = replacement;
}

static void *sys_alloc(size_t size)
{
	if (!sys_allocator)
		return malloc(size);
	FL__BLOCKS_THREAD();
	return sys_allocator->alloc(size, sys_allocator->user);
}

static void sys_free(void *memory)
{
	if (!sys_allocator) {
		free(memory);
		return;
	}
	FL__BLOCKS_THREAD();
	sys_allocator->free(memory, sys_allocator->user);
}

static int64_t sys_now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
	return FL_S(t.tv_sec) + t.tv_nsec;
}

static void sys_yield(void)
{
	(void)sched_yield();
}

static void sys_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	/* yield is a nop on most cores; isb takes as long as x86's pause. */
	__asm__ volatile("isb" ::: "memory");
#elif defined(__arm__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* 32-bit systems have two futex calls; that with a 64-bit time since Linux 5.1. */
struct sys_futex_time {
	int64_t seconds, nanoseconds;
};

#ifdef SYS_futex_time64
#define FUTEX_CALL SYS_futex_time64
#else
#define FUTEX_CALL SYS_futex
#endif

static struct sys_futex_time sys_futex_time(int64_t ns)
{
	return (struct sys_futex_time){ns / FL_S(1), ns % FL_S(1)};
}

/* Preserves errno: a lock may come between a call and its check. */
static int sys_futex(const uint32_t *word, int op, uint32_t value, const struct sys_futex_time *time)
{
	return (int)FL__QUICK_RESULT(syscall(FUTEX_CALL, word, op, value, time, NULL, 0));
}

/*
 * The kernel gets the time that is left, and not the deadline: a tool such as faketime moves the
 * clock of the C library by days, and not that of the kernel. If such a clock also runs more slowly
 * than the kernel's, the sleep ends before the deadline, which is a spurious wakeup.
 */
static int sys_futex_wait_flags(const uint32_t *word, uint32_t expected, int64_t deadline, int private)
{
	const int64_t now = deadline == FL__NEVER ? 0 : fl__sys.now();
	const struct sys_futex_time left = sys_futex_time(deadline > now ? deadline - now : 0);
	int rc = sys_futex(word, FUTEX_WAIT | private, expected, deadline == FL__NEVER ? NULL : &left);
	if (rc == -ETIMEDOUT)
		return deadline > fl__sys.now() ? 0 : rc;
	if (rc != 0 && rc != -EAGAIN && rc != -EINTR)
		sys_yield(); /* a system that forbids the call: the waiter polls */
	return rc;
}

/* Not nanosleep(), a cancellation point. */
static void sys_nap(void)
{
	static const uint32_t nothing;
	(void)sys_futex_wait_flags(&nothing, 0, fl__sys.now() + FL_US(50), FUTEX_PRIVATE_FLAG);
}

static int sys_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return sys_futex_wait_flags(word, expected, deadline, FUTEX_PRIVATE_FLAG);
}

static int sys_futex_wake(const uint32_t *word, int n)
{
	return sys_futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, (uint32_t)n, NULL);
}

static int sys_shared_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return sys_futex_wait_flags(word, expected, deadline, 0);
}

static int sys_shared_wake(const uint32_t *word, int n)
{
	return sys_futex(word, FUTEX_WAKE, (uint32_t)n, NULL);
}

/*
 * The kernel stores, with a full barrier, and wakes in one call, which ends before the thread does.
 * Without that operation (an emulator) a kill may come between.
 */
static void sys_shared_store_and_wake(uint32_t *word, uint32_t value, int n)
{
	/* As FUTEX_OP(), which is signed. The comparison with 0 fails: no other sleeper wakes. */
	uint32_t store = (uint32_t)FUTEX_OP_SET << 28 | (uint32_t)FUTEX_OP_CMP_EQ << 24;
	if (value)
		store |= (uint32_t)FUTEX_OP_OPARG_SHIFT << 28 | 31u << 12;
	FL__KEEPS_ERRNO();
	fl__tsan_release(word);
	if (syscall(FUTEX_CALL, word, FUTEX_WAKE_OP, n, NULL, word, store) < 0) {
		fl__store_release(word, value); /* pairs with the next acquire of the lock */
		(void)sys_shared_wake(word, n);
	}
}

enum { FUTEX_WAITV = 449 }; /* since Linux 5.16; most headers are older */

static int sys_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	struct sys_futex_time time = sys_futex_time(FL__MAX(deadline, 0));
	const long rc =
	    FL__QUICK_RESULT(syscall(FUTEX_WAITV, words, n, 0, deadline == FL__NEVER ? NULL : &time, CLOCK_MONOTONIC));
	return rc >= 0 ? 0 : fl__eperm_to_enosys((int)rc);
}

static struct fl__robust_list *sys_get_robust_list(void)
{
	struct fl__robust_list *list = NULL;
	size_t size = 0;
	if (syscall(SYS_get_robust_list, 0, &list, &size) != 0 || size != sizeof *list)
		return NULL;
	return list;
}

/* Some C libraries register the list at a thread's first robust mutex. */
FL__COLD static void sys_register_robust_list(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;
	if (pthread_mutexattr_init(&attr) != 0)
		return;
	if (pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(&mutex, &attr) == 0) {
		if (pthread_mutex_lock(&mutex) == 0)
			(void)pthread_mutex_unlock(&mutex);
		(void)pthread_mutex_destroy(&mutex);
	}
	(void)pthread_mutexattr_destroy(&attr);
}

FL__COLD static struct fl__robust_list *sys_robust_list(void)
{
	FL__KEEPS_ERRNO();
	struct fl__robust_list *list = sys_get_robust_list();
	if (!list) {
		sys_register_robust_list();
		list = sys_get_robust_list();
	}
	return list;
}

static int sys_cpu(void)
{
	return FL__QUICK_RESULT(sched_getcpu());
}

static uint32_t sys_thread_id(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

static int sys_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	const int rc = pthread_create(thread, attr, start, arg);
	return rc == EPERM ? -EAGAIN : -rc; /* a filter refuses clone3() in another way than by ENOSYS */
}

static int sys_thread_join(pthread_t thread)
{
	FL__UNCANCELLED();
	return -pthread_join(thread, NULL);
}

static int sys_thread_detach(pthread_t thread)
{
	return -pthread_detach(thread);
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

static void *sys_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	/* A huge page would be resident, 2 MiB, for one touched page. */
	(void)madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
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

static void sys_unmap(void *memory, size_t size)
{
	(void)munmap(memory, size); /* fails only for foreign addresses */
}

static void sys_discard(void *memory, size_t size)
{
	/* fails for locked memory, which stays resident */
	(void)madvise(memory, size, MADV_DONTNEED);
}

int fl__portable_guard(void *memory, size_t size)
{
	return mprotect(memory, size, PROT_NONE) == 0 ? 0 : -errno;
}

enum { ADVISE_GUARD = 102 }; /* MADV_GUARD_INSTALL, since Linux 6.13; most headers are older */

enum { SYS_GUARDS_UNKNOWN, SYS_GUARDS_ABSENT, SYS_GUARDS_PRESENT };

/*
 * Writes to the guarded page by the kernel: emulators report success for unknown advice. Valgrind
 * passes getrandom() on unchecked. UNKNOWN: memory is short.
 */
FL__COLD static uint32_t sys_probe_guard(void)
{
	FL__KEEPS_ERRNO();
	uint32_t known = SYS_GUARDS_UNKNOWN;
	size_t size = fl__page_size();
	void *page = sys_map(size);
	if (page && madvise(page, size, ADVISE_GUARD) == 0)
		known = syscall(SYS_getrandom, page, (size_t)1, GRND_NONBLOCK) < 0 && errno == EFAULT
		            ? SYS_GUARDS_PRESENT
		            : SYS_GUARDS_ABSENT;
	else if (page && errno != ENOMEM)
		known = SYS_GUARDS_ABSENT;
	if (page)
		sys_unmap(page, size);
	return known;
}

static int sys_guard(void *memory, size_t size)
{
	static uint32_t markers = SYS_GUARDS_UNKNOWN;
	uint32_t known = fl__load_relaxed(&markers); /* all threads probe the same */
	if (known == SYS_GUARDS_UNKNOWN) {
		known = sys_probe_guard();
		fl__store_relaxed(&markers, known); /* as above */
	}
	if (known == SYS_GUARDS_PRESENT && madvise(memory, size, ADVISE_GUARD) == 0)
		return 0;
	return fl__portable_guard(memory, size);
}

static bool sys_thread_exists(uint32_t thread)
{
	FL__KEEPS_ERRNO();
	return kill((pid_t)thread, 0) == 0 || errno != ESRCH;
}

enum { MEMBARRIER_EXPEDITED = 8, MEMBARRIER_REGISTER_EXPEDITED = 16 }; /* since Linux 4.14 */

static int sys_membarrier_command(int command)
{
	return (int)FL__QUICK_RESULT(syscall(SYS_membarrier, command, 0, 0));
}

/* Once in a process, also for its forks, before the first barrier. -ENOMEM is temporary. */
static int sys_membarrier(void)
{
	for (;;) {
		int rc = sys_membarrier_command(MEMBARRIER_EXPEDITED);
		if (rc == -EPERM && (rc = sys_membarrier_command(MEMBARRIER_REGISTER_EXPEDITED)) == 0)
			rc = sys_membarrier_command(MEMBARRIER_EXPEDITED);
		if (rc != -ENOMEM)
			return rc;
		sys_yield();
	}
}

static int sys_write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		const ssize_t n = FL__RETRY(FL__SYS_RESULT(write(fd, text, size)));
		if (n <= 0)
			return n == 0 ? -EIO : (int)n;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * The write raises SIGPIPE without a reader, and SIGXFSZ above RLIMIT_FSIZE. No text of the library
 * may end the process: blocks both, and takes the one that this write raised.
 */
static int sys_print(int fd, const char *text, size_t size)
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
	const int rc = sys_write_all(fd, text, size);
	(void)FL__RETRY(FL__SYS_RESULT(sigtimedwait(&raised, NULL, &at_once)));
	(void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	return rc;
}

struct fl__sys fl__sys = {
    .futex_wait = sys_futex_wait,
    .futex_wake = sys_futex_wake,
    .now = sys_now,
    .yield = sys_yield,
    .give_way = fl__give_way,
    .nap = sys_nap,
    .relax = sys_relax,
    .alloc = sys_alloc,
    .free = sys_free,
    .thread_create = sys_thread_create,
    .thread_join = sys_thread_join,
    .thread_detach = sys_thread_detach,
    .map = sys_map,
    .unmap = sys_unmap,
    .guard = sys_guard,
    .discard = sys_discard,
    .shared_wait = sys_shared_wait,
    .shared_wake = sys_shared_wake,
    .shared_store_and_wake = sys_shared_store_and_wake,
    .wait_many = sys_wait_many,
    .robust_list = sys_robust_list,
    .thread_id = sys_thread_id,
    .cpu = sys_cpu,
    .thread_exists = sys_thread_exists,
    .membarrier = sys_membarrier,
    .print = sys_print,
};

fl_time fl_now(void)
{
	return FL__TIME(fl__sys.now());
}

void fl__ring(int eventfd)
{
	const uint64_t one = 1;
	(void)FL__SYS_RESULT(write(eventfd, &one, sizeof one));
}

bool fl__is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

bool fl__main_thread_has_ended(void)
{
	FL__KEEPS_ERRNO();
	return access("/proc/self/exe", F_OK) != 0 && access("/proc/thread-self/exe", F_OK) == 0;
}

void *fl__alloc(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX)
		return NULL;
	void *memory = fl__sys.alloc(bytes);
	if (memory)
		__builtin_memset(memory, 0, bytes);
	return memory;
}

void fl__free(void *memory)
{
	if (memory)
		fl__sys.free(memory);
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
