/* SPDX-License-Identifier: BSD-2-Clause */
/* Correct programs, of which clang's thread safety analysis reports nothing. C and C++. */
#include <fairlead.h>

struct account {
	fl_mutex lock;
	fl_cond changed;
	long balance FL_GUARDED_BY(lock);
	long *history FL_PT_GUARDED_BY(lock);
};

struct shared {
	fl_shm_mutex lock;
	fl_shm_cond changed;
	long balance FL_GUARDED_BY(lock);
};

struct FL_CAPABILITY("mutex") wrapper {
	fl_mutex lock;
};

static fl_mutex lock = FL_MUTEX_INIT, *pointer;
static fl_rmutex tree_lock = FL_RMUTEX_INIT;
static fl_rwlock table_lock = FL_RWLOCK_INIT;
static long balance FL_GUARDED_BY(lock);
static long by_pointer FL_GUARDED_BY(*pointer);
static long depth FL_GUARDED_BY(tree_lock);
static long table FL_GUARDED_BY(table_lock);

void wrapper_lock(struct wrapper *w) FL_ACQUIRE(*w);
void wrapper_unlock(struct wrapper *w) FL_RELEASE(*w);
FL_NO_THREAD_SAFETY_ANALYSIS void wrapper_lock(struct wrapper *w)
{
	fl_mutex_lock(&w->lock);
}
FL_NO_THREAD_SAFETY_ANALYSIS void wrapper_unlock(struct wrapper *w)
{
	fl_mutex_unlock(&w->lock);
}

static void add(struct account *a, long amount) FL_REQUIRES(a->lock)
{
	a->balance += amount;
	*a->history = a->balance;
	fl_mutex_assert_held(&a->lock);
}

static long look_up(void) FL_REQUIRES_SHARED(table_lock)
{
	return table;
}

FL_NO_THREAD_SAFETY_ANALYSIS void init(struct account *a)
{
	fl_mutex_init(&a->lock);
	a->balance = 0;
}

void destroy(struct account *a)
{
	fl_mutex_lock(&a->lock);
	a->balance = 0;
	fl_mutex_unlock(&a->lock);
	fl_mutex_destroy(&a->lock);
}

void user_of_the_wrapper(struct wrapper *w)
{
	wrapper_lock(w);
	wrapper_unlock(w);
}

int scoped(struct account *a, int n)
{
	for (int i = 0; i < n; i++) {
		FL_LOCKED(&a->lock);
		if (a->balance == i)
			continue;
		if (a->balance == n)
			return 1;
		add(a, i);
		if (i == 7)
			break;
	}
	FL_LOCKED(&lock);
	FL_LOCKED(pointer);
	FL_RMUTEX_LOCKED(&tree_lock);
	depth++;
	{
		FL_WRITE_LOCKED(&table_lock);
		table++;
	}
	FL_READ_LOCKED(&table_lock);
	return look_up() + balance + by_pointer > 0;
}

int tries(struct account *a)
{
	if (fl_mutex_try_lock(&lock) != 0)
		return -EAGAIN;
	balance++;
	fl_mutex_unlock(&lock);
	if (fl_rwlock_try_read_lock(&table_lock) == 0) {
		(void)look_up();
		fl_rwlock_read_unlock(&table_lock);
	}
	const int rc = fl_mutex_lock_until(&a->lock, FL_FOREVER, NULL);
	if (rc != 0)
		return rc;
	add(a, 1);
	fl_mutex_unlock(&a->lock);
	fl_rwlock_write_lock(&table_lock);
	table++;
	fl_rwlock_downgrade(&table_lock);
	(void)look_up();
	fl_rwlock_read_unlock(&table_lock);
	return 0;
}

static bool is_positive(void *arg)
{
	struct account *const a = (struct account *)arg;
	fl_mutex_assert_held(&a->lock);
	return a->balance > 0;
}

int wait(struct account *a)
{
	FL_LOCKED(&a->lock);
	while (a->balance == 0) {
		const int rc = fl_cond_wait(&a->changed, &a->lock);
		if (rc != 0)
			return rc;
	}
	add(a, -1);
	fl_cond_signal(&a->changed);
	return fl_cond_wait_for(&a->changed, &a->lock, is_positive, a);
}

FL_NO_THREAD_SAFETY_ANALYSIS static void repair(struct shared *s)
{
	s->balance = 0;
}

int shared_memory(struct shared *s)
{
	const int rc = fl_shm_mutex_lock(&s->lock);
	if (rc == -EOWNERDEAD) {
		repair(s);
		fl_shm_mutex_recover(&s->lock);
	} else if (rc != 0) {
		return rc;
	}
	s->balance++;
	fl_shm_mutex_unlock(&s->lock);
	return 0;
}

int scoped_shared_memory(struct shared *s)
{
	FL_SHM_LOCKED(rc, &s->lock);
	if (rc == -EOWNERDEAD) {
		repair(s);
		fl_shm_mutex_recover(&s->lock);
	} else if (rc != 0) {
		return rc;
	}
	s->balance++;
	return fl_shm_cond_wait(&s->changed, &s->lock);
}
