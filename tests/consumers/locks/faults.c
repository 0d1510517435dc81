/* SPDX-License-Identifier: BSD-2-Clause */
/* A planted fault in each function behind the line FAULTS, at the line that ends with FAULT. C and C++. */
#include <fairlead.h>

struct account {
	fl_mutex lock;
	long balance FL_GUARDED_BY(lock);
};

struct shared {
	fl_shm_mutex lock;
	long balance FL_GUARDED_BY(lock);
};

static fl_mutex lock = FL_MUTEX_INIT, other = FL_MUTEX_INIT;
static fl_rmutex tree_lock = FL_RMUTEX_INIT;
static fl_rwlock table_lock = FL_RWLOCK_INIT;
static fl_cond changed = FL_COND_INIT;
static long balance FL_GUARDED_BY(lock);
static long *history FL_PT_GUARDED_BY(lock);
static long depth FL_GUARDED_BY(tree_lock);
static long table FL_GUARDED_BY(table_lock);

static void close_account(struct account *a) FL_REQUIRES(a->lock)
{
	a->balance = 0;
}

static void deposit(long amount) FL_EXCLUDES(lock)
{
	FL_LOCKED(&lock);
	balance += amount;
}

static void call(void (*callback)(struct account *a), struct account *a)
{
	callback(a);
}

/* FAULTS */

long unguarded_read(void)
{
	return balance; /* FAULT */
}

void unguarded_write(void)
{
	balance = 1; /* FAULT */
}

void unguarded_write_through_a_pointer(void)
{
	*history = 1; /* FAULT */
}

void unguarded_member(struct account *a)
{
	a->balance++; /* FAULT */
}

void another_lock(void)
{
	FL_LOCKED(&other);
	balance++; /* FAULT */
}

void lock_of_another_object(struct account *from, struct account *to)
{
	FL_LOCKED(&from->lock);
	from->balance--;
	to->balance++; /* FAULT */
}

void double_lock(void)
{
	fl_mutex_lock(&lock);
	fl_mutex_lock(&lock); /* FAULT */
	fl_mutex_unlock(&lock);
}

int kept_at_a_return(struct account *a)
{
	fl_mutex_lock(&a->lock);
	if (a->balance < 0)
		return -ERANGE;
	fl_mutex_unlock(&a->lock);
	return 0;
} /* FAULT */

void unlock_of_what_is_not_held(void)
{
	fl_mutex_unlock(&lock); /* FAULT */
}

void after_the_scope(void)
{
	{
		FL_LOCKED(&lock);
		balance++;
	}
	balance++; /* FAULT */
}

void write_under_a_read_lock(void)
{
	FL_READ_LOCKED(&table_lock);
	table++; /* FAULT */
}

void write_after_a_downgrade(void)
{
	fl_rwlock_write_lock(&table_lock);
	table++;
	fl_rwlock_downgrade(&table_lock);
	table++; /* FAULT */
	fl_rwlock_read_unlock(&table_lock);
}

void unlock_in_the_wrong_mode(void)
{
	fl_rwlock_write_lock(&table_lock);
	table++;
	fl_rwlock_read_unlock(&table_lock); /* FAULT */
}

int condition_without_its_mutex(void)
{
	return fl_cond_wait(&changed, &lock); /* FAULT */
}

void callback_that_requires_a_lock(struct account *a)
{
	close_account(a); /* FAULT */
}

void callback_through_a_pointer(struct account *a)
{
	call(close_account, a); /* FAULT */
}

void call_of_what_locks_itself(void)
{
	FL_LOCKED(&lock);
	deposit(1); /* FAULT */
}

int after_a_failed_try(void)
{
	const int rc = fl_mutex_lock_until(&lock, fl_after(FL_S(1)), NULL);
	if (rc == 0)
		fl_mutex_unlock(&lock);
	else
		balance++; /* FAULT */
	return rc;
}

void locked_in_one_branch(bool careful)
{
	if (careful)
		fl_rmutex_lock(&tree_lock);
	depth++; /* FAULT */
}

int shared_memory_that_is_not_locked(struct shared *s)
{
	const int rc = fl_shm_mutex_lock(&s->lock);
	if (rc != 0)
		s->balance++; /* FAULT */
	else
		fl_shm_mutex_unlock(&s->lock);
	return rc;
}
