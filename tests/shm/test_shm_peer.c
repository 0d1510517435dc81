/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that overwrites what it shares with this one: errors, no crash, no endless loop, no write
 * outside the region.
 */
#include "fl_faults.h"
#include "fl_shm_child.h"

#include "shm/shm_region.h"
#include <fairlead/shm_array.h>
#include <fairlead/shm_event.h>
#include <fairlead/shm_sem.h>

/* Private memory, whose address the other process knows. */
enum { CANARIES = 512 };
static uint64_t canary[CANARIES];

static bool canary_lives(void)
{
	for (int i = 0; i < CANARIES; i++)
		if (fl__load_relaxed(&canary[i]) != 0)
			return false;
	return true;
}

static void ignore_log(fl_log_level level, const char *message)
{
	(void)level, (void)message;
}

static bool list_is_empty(void)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	return fl__shm_self()->held == 0 && (!list || (list->first == (const void *)list && !list->pending));
}

/* One lock of each kind, held, and what a peer writes to it. */

struct locks {
	fl_shm_mutex mutex;
	fl_shm_rmutex rmutex;
	fl_shm_rwlock read, write;
};

static void lock_all(struct locks *l)
{
	FL_OK(fl_shm_mutex_lock(&l->mutex));
	FL_OK(fl_shm_rmutex_lock(&l->rmutex));
	FL_OK(fl_shm_rmutex_lock(&l->rmutex));
	FL_OK(fl_shm_rwlock_read_lock(&l->read));
	FL_OK(fl_shm_rwlock_write_lock(&l->write));
}

static void unlock_all(struct locks *l)
{
	fl_shm_mutex_unlock(&l->mutex);
	assert_int_equal(fl_shm_rmutex_depth(&l->rmutex), 2);
	fl_shm_rmutex_unlock(&l->rmutex);
	fl_shm_rmutex_unlock(&l->rmutex);
	fl_shm_rwlock_write_unlock(&l->write);
	fl_shm_rwlock_read_unlock(&l->read);
}

static void overwrite_locks(struct locks *l, uint64_t value)
{
	uint64_t *words = (uint64_t *)(void *)l;
	for (size_t i = 0; i < sizeof *l / sizeof *words; i++)
		fl__store_relaxed(&words[i], value);
}

/* An unlock stored one word of the lock at the address in another. */
FL_TEST(shm_mutex_peer_pointer)
{
	const uint64_t values[] = {0, 1, UINT64_MAX, (uintptr_t)&canary[CANARIES / 2],
	                           (uint64_t)fl__shm_self()->tid << 32 | fl__shm_self()->tid};
	struct locks *l = fl_test_share(sizeof *l);
	(void)fl_set_log_handler(ignore_log);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		memset(l, 0, sizeof *l);
		lock_all(l);
		overwrite_locks(l, values[i]);
		unlock_all(l);
		assert_true(canary_lives() && list_is_empty());
	}
	(void)fl_set_log_handler(NULL);
	fl_test_unshare(l, sizeof *l);
}

/* A lock that its owner finds free, and locks again: each lock has its unlock. */
FL_TEST(shm_mutex_peer_frees_it)
{
	struct locks *l = fl_test_share(sizeof *l);
	(void)fl_set_log_handler(ignore_log);
	for (int i = 0; i < 2; i++) {
		memset(l, 0, sizeof *l);
		FL_OK(fl_shm_mutex_lock(&l->mutex));
		FL_OK(fl_shm_rwlock_write_lock(&l->write));
	}
	for (int i = 0; i < 2; i++) {
		fl_shm_mutex_unlock(&l->mutex);
		fl_shm_rwlock_write_unlock(&l->write);
	}
	assert_true(list_is_empty());
	FL_PANICS(fl_shm_mutex_unlock(&l->mutex));
	(void)fl_set_log_handler(NULL);
	fl_test_unshare(l, sizeof *l);
}

/* What the owner was told is what counts: recover() after a death that the mutex no longer shows. */
FL_TEST(shm_mutex_peer_hides_a_death)
{
	struct locks *l = fl_test_share(sizeof *l);
	*fl__shm_word(fl__shm_lock_at(l->mutex.lock_)) = FL__SHM_DIED;
	FL_RC(fl_shm_mutex_lock(&l->mutex), -EOWNERDEAD);
	fl__shm_lock_at(l->mutex.lock_)->words_[FL__SHM_STATE] = 0;
	fl_shm_mutex_recover(&l->mutex);
	FL_PANICS(fl_shm_mutex_recover(&l->mutex));
	fl_shm_mutex_unlock(&l->mutex);
	l->write.dirty_ = 1;
	FL_RC(fl_shm_rwlock_write_lock(&l->write), -EOWNERDEAD);
	l->write.dirty_ = 0;
	fl_shm_rwlock_recover(&l->write);
	FL_PANICS(fl_shm_rwlock_recover(&l->write));
	fl_shm_rwlock_write_unlock(&l->write);
	assert_true(list_is_empty());
	fl_test_unshare(l, sizeof *l);
}

/* The array's mutex is in its head. */
FL_TEST(shm_array_peer_pointer)
{
	fl_shm *region = NULL;
	fl_shm_array a;
	FL_OK(fl_shm_create(&region, 4096));
	FL_OK(fl_shm_array_create(&a, region, 8, 4));
	(void)fl_set_log_handler(ignore_log);
	FL_OK(fl_shm_mutex_lock(fl_shm_array_mutex(&a)));
	uint64_t *words = (uint64_t *)fl_shm_at(region, fl_shm_array_offset(&a), 128);
	for (size_t i = 0; i < 16; i++)
		words[i] = (uintptr_t)&canary[i + 1];
	fl_shm_mutex_unlock(fl_shm_array_mutex(&a));
	assert_int_equal(fl_shm_array_length(&a), 4);
	assert_true(canary_lives() && list_is_empty());
	(void)fl_set_log_handler(NULL);
	fl_shm_free(region);
}

/* The records of more than a few locks are allocated. */

FL_TEST(shm_lock_records_need_memory)
{
	enum { FEW = FL__SHM_HOLDS };
	fl_shm_mutex *m = fl_test_share(FEW * sizeof *m), more = FL_SHM_MUTEX_INIT;
	fl_shm_rmutex rmutex = FL_SHM_RMUTEX_INIT;
	fl_shm_rwlock *rwlock = fl_test_share(sizeof *rwlock);
	FL_FAULTS();
	for (int i = 0; i < FEW; i++)
		FL_OK(fl_shm_mutex_lock(&m[i]));
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_shm_mutex_lock(&more), -ENOMEM);
	FL_RC(fl_shm_mutex_try_lock(&more), -ENOMEM);
	FL_RC(fl_shm_mutex_lock_until(&more, 0, NULL), -ENOMEM);
	FL_RC(fl_shm_rmutex_lock(&rmutex), -ENOMEM);
	FL_RC(fl_shm_rmutex_try_lock(&rmutex), -ENOMEM);
	FL_RC(fl_shm_rmutex_lock_until(&rmutex, 0, NULL), -ENOMEM);
	FL_RC(fl_shm_rwlock_read_lock(rwlock), -ENOMEM);
	FL_RC(fl_shm_rwlock_try_read_lock(rwlock), -ENOMEM);
	FL_RC(fl_shm_rwlock_write_lock(rwlock), -ENOMEM);
	FL_RC(fl_shm_rwlock_try_write_lock(rwlock), -ENOMEM);
	FL_OK(fl_shm_rwlock_destroy(rwlock));
	fl_shm_mutex_unlock(&m[0]);
	FL_RC(fl_shm_rwlock_write_lock(rwlock), -ENOMEM); /* for the slots */
	FL_OK(fl_shm_rwlock_destroy(rwlock));
	FL_OK(fl_shm_rwlock_read_lock(rwlock));
	fl__sys.alloc = fl_test_real_sys.alloc;
	FL_OK(fl_shm_mutex_lock(&more));
	fl_shm_mutex_unlock(&more);
	fl_shm_rwlock_read_unlock(rwlock);
	FL_OK(fl_shm_rwlock_write_lock(rwlock));
	fl_shm_rwlock_write_unlock(rwlock);
	for (int i = 1; i < FEW; i++)
		fl_shm_mutex_unlock(&m[i]);
	assert_true(list_is_empty());
	fl_test_unshare(rwlock, sizeof *rwlock);
	fl_test_unshare(m, FEW * sizeof *m);
}

/* A deadline holds, although the word that is waited for changes for ever. */

static int never_the_same(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	(void)word, (void)expected, (void)deadline;
	return -EAGAIN;
}

FL_TEST(shm_deadline_holds_while_a_peer_changes_the_word)
{
	fl_shm *region = NULL;
	FL_FAULTS();
	FL_OK(fl_shm_create(&region, 65536));
	fl_shm_mutex *m = fl_shm_alloc(region, sizeof *m);
	fl_shm_sem *s = fl_shm_alloc(region, sizeof *s);
	fl_shm_event *e = fl_shm_alloc(region, sizeof *e);
	*fl__shm_word(fl__shm_lock_at(m->lock_)) = fl__shm_self()->tid ^ 1;
	fl__sys.shared_wait = never_the_same;
	FL_RC(fl_shm_mutex_lock_until(m, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_sem_acquire_until(s, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_event_wait_until(e, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	fl_shm_free(region);
}
