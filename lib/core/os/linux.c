/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of the system that only Linux has: futexes, robust lists, guard pages,
 * membarrier(), the numbers of CPUs and threads, and the lock of the dynamic loader. A thread that
 * parks sleeps on a futex.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "unix.h"
#ifndef FL__OS_POSIX
#include <link.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * 32-bit systems have two futex calls. The one with a 64-bit time, SYS_futex_time64, exists since
 * Linux 5.1.
 */
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

/* Preserves errno, because the caller may lock between one of its calls and the check of errno. */
static int sys_futex(const uint32_t *word, int op, uint32_t value, const struct sys_futex_time *time)
{
	return (int)FL__QUICK_RESULT(syscall(FUTEX_CALL, word, op, value, time, NULL, 0));
}

/*
 * The kernel gets the time that is left instead of the deadline, because a tool such as faketime
 * moves the C library's clock by days, but not the kernel's. If the moved clock also runs more
 * slowly than the kernel's, the sleep ends before the deadline, which is a spurious wakeup.
 */
static int sys_futex_wait_flags(const uint32_t *word, uint32_t expected, int64_t deadline, int private)
{
	const int64_t now = deadline == FL__NEVER ? 0 : fl__sys.now();
	const struct sys_futex_time left = sys_futex_time(deadline > now ? deadline - now : 0);
	int rc = sys_futex(word, FUTEX_WAIT | private, expected, deadline == FL__NEVER ? NULL : &left);
	if (rc == -ETIMEDOUT)
		return deadline > fl__sys.now() ? 0 : rc;
	if (rc != 0 && rc != -EAGAIN && rc != -EINTR)
		fl__unix_yield(); /* the system forbids the call, so the waiter polls */
	return rc;
}

/* Does not use nanosleep(), which is a cancellation point. */
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
 * The kernel stores, with a full barrier, and wakes in one call, and a kill of the thread takes
 * effect only after the call. If an emulator lacks the operation, a kill may come between the store
 * and the wake.
 */
static void sys_shared_store_and_wake(uint32_t *word, uint32_t value, int n)
{
	/*
	 * This does what FUTEX_OP() does, but unsigned. FUTEX_WAKE_OP compares the old value with
	 * 0, and wakes another sleeper if they are equal. They never are, because the old value
	 * contains the owner's TID.
	 */
	uint32_t store = (uint32_t)FUTEX_OP_SET << 28 | (uint32_t)FUTEX_OP_CMP_EQ << 24;
	if (value)
		store |= (uint32_t)FUTEX_OP_OPARG_SHIFT << 28 | 31u << 12;
	FL__KEEPS_ERRNO();
	fl__tsan_release(word);
	if (syscall(FUTEX_CALL, word, FUTEX_WAKE_OP, n, NULL, word, store) < 0) {
		fl__store_release(word, value); /* release: pairs with the next acquire of the lock */
		(void)sys_shared_wake(word, n);
	}
}

enum { FUTEX_WAITV = 449 }; /* since Linux 5.16; most headers are older */

static int sys_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	/* the kernel expects a time of its own clock, but now() may follow another one */
	const int64_t at = deadline == FL__NEVER ? deadline : deadline + (fl__unix_now() - fl__sys.now());
	struct sys_futex_time time = sys_futex_time(FL__MAX(at, 0));
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

/*
 * Locks a robust mutex once, because some C libraries make a thread's list only when the thread
 * first locks such a mutex.
 */
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

static void sys_discard(void *memory, size_t size)
{
	/* This fails for locked memory, which stays resident. */
	(void)madvise(memory, size, MADV_DONTNEED);
}

enum { ADVISE_GUARD = 102 }; /* MADV_GUARD_INSTALL, since Linux 6.13; most headers are older */

enum { SYS_GUARDS_UNKNOWN, SYS_GUARDS_ABSENT, SYS_GUARDS_PRESENT };

/*
 * Finds out whether the system has guards. Because an emulator may report success for advice that
 * it does not know, this lets the kernel write to a guarded page. The call is getrandom(), because
 * Valgrind passes it on unchecked. The result is UNKNOWN if memory is short.
 */
FL__COLD static uint32_t sys_probe_guard(void)
{
	FL__KEEPS_ERRNO();
	uint32_t known = SYS_GUARDS_UNKNOWN;
	size_t size = fl__page_size();
	void *page = fl__unix_map(size);
	if (page && madvise(page, size, ADVISE_GUARD) == 0)
		known = syscall(SYS_getrandom, page, (size_t)1, GRND_NONBLOCK) < 0 && errno == EFAULT
		            ? SYS_GUARDS_PRESENT
		            : SYS_GUARDS_ABSENT;
	else if (page && errno != ENOMEM)
		known = SYS_GUARDS_ABSENT;
	if (page)
		fl__unix_unmap(page, size);
	return known;
}

static int sys_guard(void *memory, size_t size)
{
	static uint32_t markers = SYS_GUARDS_UNKNOWN;
	uint32_t known = fl__load_relaxed(&markers); /* relaxed: all threads find the same */
	if (known == SYS_GUARDS_UNKNOWN) {
		known = sys_probe_guard();
		/* relaxed: all threads store the same, or UNKNOWN, which costs another probe */
		fl__store_relaxed(&markers, known);
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

/*
 * If the first barrier fails with -EPERM, the process is not registered yet. A registration also
 * holds for children of the process. -ENOMEM is temporary, so the call is repeated.
 */
static int sys_membarrier(void)
{
	for (;;) {
		int rc = sys_membarrier_command(MEMBARRIER_EXPEDITED);
		if (rc == -EPERM && (rc = sys_membarrier_command(MEMBARRIER_REGISTER_EXPEDITED)) == 0)
			rc = sys_membarrier_command(MEMBARRIER_EXPEDITED);
		if (rc != -ENOMEM)
			return rc;
		fl__unix_yield();
	}
}

struct fl__sys fl__sys = {
    FL__UNIX_ENTRIES,
    .futex_wait = sys_futex_wait,
    .futex_wake = sys_futex_wake,
    .nap = sys_nap,
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
};

bool fl__is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

struct sys_change {
	void (*change)(void *arg);
	void *arg;
};

static int sys_change(struct dl_phdr_info *unused, size_t size, void *change)
{
	const struct sys_change *c = change;
	(void)unused;
	(void)size;
	c->change(c->arg);
	return 1;
}

void fl__with_loader_locked(void (*change)(void *arg), void *arg)
{
	struct sys_change c = {change, arg};
	(void)dl_iterate_phdr(sys_change, &c);
}
#endif
