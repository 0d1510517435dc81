/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_SEM_H
#define FAIRLEAD_SHM_SEM_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <fairlead/time.h>
#include <fairlead/wait_any.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * A counting semaphore in shared memory.
 *
 *     int rc = fl_shm_sem_acquire(&shared->slots);
 *     if (rc == 0) {
 *             use_one();
 *             rc = fl_shm_sem_release(&shared->slots);
 *     }
 *
 * A semaphore is 96 bytes, and has at most FL_SHM_SEM_MAX permits. All-zero memory is a semaphore
 * without permits. Waiters are not served in FIFO order.
 *
 * Deaths and stopped processes
 *
 * The permits that a killed process had acquired are lost. A process that is killed in a release
 * has released all its permits, or none. If a release wakes a waiter whose process is stopped
 * (SIGSTOP), the permit stays free for new callers, but other sleeping waiters are woken only by
 * the next release. What fairlead/shm.h says about processes, stops and damage holds here, too.
 *
 * Memory order: what was written before the release of a permit happens before the return of the
 * acquire that gets it. If no context waits, the semaphore may be freed as soon as the permit is
 * acquired, even if the release has not returned.
 */
typedef struct fl_shm_sem {
	uint64_t lock_[5], waiters_[6];
	uint32_t word_, spare_;
} fl_shm_sem;
FL__ASSERT_SIZE(fl_shm_sem, 96);

#define FL_SHM_SEM_MAX 0x7fffffffu

/*
 * Makes `s` a semaphore with `permits` free permits. Returns 0, or -EINVAL if `permits` is above
 * FL_SHM_SEM_MAX.
 */
FL_INLINE FL_MUST_CHECK int fl_shm_sem_init(fl_shm_sem *_s, uint32_t _permits)
{
	if (_permits > FL_SHM_SEM_MAX)
		return -EINVAL;
	__builtin_memset(_s, 0, sizeof *_s);
	_s->word_ = _permits;
	return 0;
}

/*
 * Acquires a permit. fl_shm_sem_acquire() and fl_shm_sem_acquire_until() block the calling context
 * while none is free. Returns 0, -ETIMEDOUT, -ECANCELED, -EBADMSG, or -EAGAIN if no permit is free.
 */
FL_API FL_MUST_CHECK int fl_shm_sem_acquire_until(fl_shm_sem *s, fl_time deadline, fl_cancel_token *cancel);
FL_INLINE FL_MUST_CHECK int fl_shm_sem_acquire(fl_shm_sem *_s)
{
	return fl_shm_sem_acquire_until(_s, FL_FOREVER, NULL);
}
FL_API FL_MUST_CHECK int fl_shm_sem_try_acquire(fl_shm_sem *s);

/*
 * Releases `n` permits at once; fl_shm_sem_release() releases one. Blocks only while a stopped
 * process is inside a call on this semaphore. Returns 0, -EBADMSG, or:
 *   -EOVERFLOW  there would be more than FL_SHM_SEM_MAX permits; none is released
 */
FL_API FL_MUST_CHECK int fl_shm_sem_release_n(fl_shm_sem *s, uint32_t n);
FL_INLINE FL_MUST_CHECK int fl_shm_sem_release(fl_shm_sem *_s)
{
	return fl_shm_sem_release_n(_s, 1);
}

/* Returns how many permits are free now, for reports. It orders no memory accesses. */
FL_API uint32_t fl_shm_sem_value(const fl_shm_sem *s);

/* FL_ON_SHM_SEM(s) is an object for FL_WAIT_ANY(), ready while a permit is free. */
#define FL_ON_SHM_SEM(s) FL__ON(fl__on_shm_sem, (s))
FL_API extern const fl_on_type fl__on_shm_sem;

FL_END_DECLS

#endif
