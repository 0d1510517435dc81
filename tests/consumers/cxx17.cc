// SPDX-License-Identifier: BSD-2-Clause
// Fairlead from C++17: calls every public function, and uses every macro that C++ may use.
#include <fairlead.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                    \
			std::exit(1);                                                                                  \
		}                                                                                                      \
	} while (0)

static fl_mutex a_mutex = FL_MUTEX_INIT;
static fl_rmutex an_rmutex = FL_RMUTEX_INIT;
static fl_spin a_spin = FL_SPIN_INIT;
static fl_seqlock a_seqlock = FL_SEQLOCK_INIT;
static fl_cond a_cond = FL_COND_INIT;
static fl_sem a_sem = FL_SEM_INIT(2);
static fl_event an_event = FL_EVENT_INIT;
static fl_eventcount an_eventcount = FL_EVENTCOUNT_INIT;
static fl_latch a_latch = FL_LATCH_INIT(2);
static fl_once a_once = FL_ONCE_INIT;
static fl_barrier a_barrier = FL_BARRIER_INIT(1);
static fl_cancel_token a_cancel = FL_CANCEL_TOKEN_INIT;
static fl_local a_local = FL_LOCAL_INIT(std::free);

static bool yes(void *)
{
	return true;
}

static int succeed(void *)
{
	return 0;
}

static void mutexes()
{
	fl_mutex_init(&a_mutex);
	{
		FL_LOCKED(&a_mutex);
		CHECK(fl_mutex_is_locked(&a_mutex));
		fl_mutex_assert_held(&a_mutex);
	}
	CHECK(fl_mutex_try_lock(&a_mutex) == 0);
	fl_mutex_unlock(&a_mutex);
	CHECK(fl_mutex_lock_until(&a_mutex, FL_FOREVER, nullptr) == 0);
	CHECK(fl_mutex_lock_until(&a_mutex, 0, FL_SHIELDED) == -ETIMEDOUT);
	fl_mutex_unlock(&a_mutex);
	fl_mutex_lock(&a_mutex);
	fl_mutex_unlock(&a_mutex);
	CHECK(fl_mutex_destroy(&a_mutex) == 0);

	fl_rmutex_init(&an_rmutex);
	fl_rmutex_lock(&an_rmutex);
	CHECK(fl_rmutex_try_lock(&an_rmutex) == 0);
	CHECK(fl_rmutex_lock_until(&an_rmutex, 0, nullptr) == 0);
	for (int i = 0; i < 3; i++)
		fl_rmutex_unlock(&an_rmutex);
	CHECK(fl_rmutex_depth(&an_rmutex) == 0);
	{
		FL_RMUTEX_LOCKED(&an_rmutex);
		fl_rmutex_assert_held(&an_rmutex);
	}
	static fl_cond changed = FL_COND_INIT;
	fl_rmutex_lock(&an_rmutex);
	CHECK(fl_cond_wait_rmutex_until(&changed, &an_rmutex, FL_NO_WAIT, nullptr) == -ETIMEDOUT);
	CHECK(fl_cond_wait_for_rmutex(&changed, &an_rmutex, yes, nullptr) == 0);
	CHECK(fl_cond_wait_for_rmutex_until(&changed, &an_rmutex, yes, nullptr, 0, nullptr) == 0);
	{
		static fl_cancel_token requested = FL_CANCEL_TOKEN_INIT;
		fl_cancel_token_request(&requested);
		FL_CANCEL_SCOPE(&requested);
		CHECK(fl_cond_wait_rmutex(&changed, &an_rmutex) == -ECANCELED);
	}
	fl_rmutex_unlock(&an_rmutex);
	CHECK(fl_rmutex_destroy(&an_rmutex) == 0);
}

static fl_rwlock a_rwlock = FL_RWLOCK_INIT;
static fl_sharded_rwlock a_sharded_rwlock = FL_SHARDED_RWLOCK_INIT;

static void rwlocks()
{
	fl_rwlock_init(&a_rwlock);
	{
		FL_READ_LOCKED(&a_rwlock);
		CHECK(fl_rwlock_is_read_locked(&a_rwlock));
	}
	{
		FL_WRITE_LOCKED(&a_rwlock);
		CHECK(fl_rwlock_is_write_locked(&a_rwlock));
	}
	fl_rwlock_read_lock(&a_rwlock);
	CHECK(fl_rwlock_try_read_lock(&a_rwlock) == 0 && fl_rwlock_read_lock_until(&a_rwlock, 0, nullptr) == 0);
	fl_rwlock_assert_read_held(&a_rwlock);
	CHECK(fl_rwlock_try_upgrade(&a_rwlock) == -EBUSY);
	CHECK(fl_rwlock_upgrade_until(&a_rwlock, 0, nullptr) == -ETIMEDOUT);
	fl_rwlock_read_unlock(&a_rwlock);
	fl_rwlock_read_unlock(&a_rwlock);
	CHECK(fl_rwlock_upgrade(&a_rwlock) == 0);
	fl_rwlock_assert_write_held(&a_rwlock);
	fl_rwlock_downgrade(&a_rwlock);
	fl_rwlock_read_unlock(&a_rwlock);
	fl_rwlock_write_lock(&a_rwlock);
	fl_rwlock_write_unlock(&a_rwlock);
	CHECK(fl_rwlock_try_write_lock(&a_rwlock) == 0);
	CHECK(fl_rwlock_write_lock_until(&a_rwlock, 0, nullptr) == -ETIMEDOUT);
	fl_rwlock_write_unlock(&a_rwlock);
	CHECK(fl_rwlock_destroy(&a_rwlock) == 0);

	fl_sharded_rwlock_init(&a_sharded_rwlock);
	{
		FL_SHARDED_READ_LOCKED(&a_sharded_rwlock);
		CHECK(fl_sharded_rwlock_is_read_locked(&a_sharded_rwlock));
	}
	{
		FL_SHARDED_WRITE_LOCKED(&a_sharded_rwlock);
		CHECK(fl_sharded_rwlock_is_write_locked(&a_sharded_rwlock));
	}
	fl_sharded_rwlock_read_lock(&a_sharded_rwlock);
	CHECK(fl_sharded_rwlock_try_read_lock(&a_sharded_rwlock) == 0 &&
	      fl_sharded_rwlock_read_lock_until(&a_sharded_rwlock, 0, nullptr) == 0);
	fl_sharded_rwlock_assert_read_held(&a_sharded_rwlock);
	for (int i = 0; i < 3; i++)
		fl_sharded_rwlock_read_unlock(&a_sharded_rwlock);
	fl_sharded_rwlock_write_lock(&a_sharded_rwlock);
	fl_sharded_rwlock_assert_write_held(&a_sharded_rwlock);
	fl_sharded_rwlock_write_unlock(&a_sharded_rwlock);
	CHECK(fl_sharded_rwlock_try_write_lock(&a_sharded_rwlock) == 0);
	CHECK(fl_sharded_rwlock_write_lock_until(&a_sharded_rwlock, 0, nullptr) == -ETIMEDOUT);
	fl_sharded_rwlock_write_unlock(&a_sharded_rwlock);
	CHECK(fl_sharded_rwlock_destroy(&a_sharded_rwlock) == 0);
}

static int scoped_lock(fl_shm_mutex *m)
{
	FL_SHM_LOCKED(rc, m);
	return rc;
}

static void shared_locks()
{
	static fl_shm_mutex m = FL_SHM_MUTEX_INIT;
	static fl_shm_rmutex r = FL_SHM_RMUTEX_INIT;
	static fl_shm_cond c = FL_SHM_COND_INIT;
	static fl_shm_rwlock l;
	fl_shm_mutex_init(&m);
	CHECK(fl_shm_mutex_lock(&m) == 0 && fl_shm_mutex_try_lock(&m) == -EBUSY);
	CHECK(fl_shm_mutex_lock_until(&m, 0, nullptr) == -EDEADLK && scoped_lock(&m) == -EDEADLK);
	CHECK(fl_shm_mutex_is_locked(&m) && fl_shm_mutex_is_owned(&m));
	fl_shm_cond_init(&c);
	CHECK(fl_shm_cond_wait_until(&c, &m, 0, FL_SHIELDED) == -ETIMEDOUT);
	CHECK(fl_shm_cond_wait_for(&c, &m, yes, nullptr) == 0);
	CHECK(fl_shm_cond_wait_for_until(&c, &m, yes, nullptr, 0, nullptr) == 0);
	{
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		fl_cancel_token_request(&stop);
		FL_CANCEL_SCOPE(&stop);
		CHECK(fl_shm_cond_wait(&c, &m) == -ECANCELED);
	}
	fl_shm_cond_broadcast(&c);
	CHECK(fl_shm_cond_destroy(&c) == 0);
	fl_shm_mutex_unlock(&m);
	CHECK(fl_shm_mutex_destroy(&m) == 0);
	if (m.lock_[0] != 0)
		fl_shm_mutex_recover(&m); // after the death of an owner alone
	fl_shm_rmutex_init(&r);
	CHECK(fl_shm_rmutex_lock(&r) == 0 && fl_shm_rmutex_try_lock(&r) == 0);
	CHECK(fl_shm_rmutex_lock_until(&r, 0, nullptr) == 0 && fl_shm_rmutex_depth(&r) == 3);
	for (int i = 0; i < 3; i++)
		fl_shm_rmutex_unlock(&r);
	{
		FL_SHM_RMUTEX_LOCKED(rc, &r);
		CHECK(rc == 0);
	}
	CHECK(fl_shm_rmutex_destroy(&r) == 0);
	if (r.mutex_.lock_[0] != 0)
		fl_shm_rmutex_recover(&r);
	fl_shm_rwlock_init(&l);
	CHECK(fl_shm_rwlock_read_lock(&l) == 0 && fl_shm_rwlock_try_read_lock(&l) == 0);
	CHECK(fl_shm_rwlock_read_lock_until(&l, 0, nullptr) == 0);
	for (int i = 0; i < 3; i++)
		fl_shm_rwlock_read_unlock(&l);
	CHECK(fl_shm_rwlock_write_lock(&l) == 0 && fl_shm_rwlock_try_write_lock(&l) == -EBUSY);
	CHECK(fl_shm_rwlock_write_lock_until(&l, 0, nullptr) == -EDEADLK);
	fl_shm_rwlock_write_unlock(&l);
	CHECK(fl_shm_rwlock_destroy(&l) == 0);
	if (l.dirty_ != 0)
		fl_shm_rwlock_recover(&l);
}

static void spin_locks()
{
	fl_spin_init(&a_spin);
	fl_spin_lock(&a_spin);
	fl_spin_assert_held(&a_spin);
	CHECK(fl_spin_try_lock(&a_spin) == -EBUSY);
	fl_spin_unlock(&a_spin);
	{
		FL_SPIN_LOCKED(&a_spin);
		CHECK(fl_spin_destroy(&a_spin) == -EBUSY);
	}
}

static void sequence_locks()
{
	int shared = 0, one = 1, mine = 0;
	fl_seqlock_init(&a_seqlock);
	fl_seqlock_write(&a_seqlock, &shared, &one, sizeof one);
	fl_seqlock_read(&a_seqlock, &mine, &shared, sizeof mine);
	CHECK(mine == 1 && fl_seqlock_try_read(&a_seqlock, &mine, &shared, sizeof mine) == 0);
	CHECK(fl_seqlock_read_until(&a_seqlock, &mine, &shared, sizeof mine, 0, nullptr) == 0);
	uint64_t seen = fl_seqlock_read_begin(&a_seqlock);
	fl_seqlock_load(&mine, &shared, sizeof mine);
	CHECK(!fl_seqlock_read_retry(&a_seqlock, seen));
	fl_seqlock_write_begin(&a_seqlock);
	fl_seqlock_store(&shared, &mine, sizeof mine);
	CHECK(fl_seqlock_try_write_begin(&a_seqlock) == -EBUSY);
	fl_seqlock_write_end(&a_seqlock);
	CHECK(fl_seqlock_write_begin_until(&a_seqlock, 0, nullptr) == 0);
	fl_seqlock_write_end(&a_seqlock);
	CHECK(fl_seqlock_destroy(&a_seqlock) == 0);
}

static void conditions()
{
	fl_cond_init(&a_cond);
	FL_CANCEL_SCOPE(&a_cancel);
	CHECK(fl_cancel_scope_current() == &a_cancel);
	fl_cancel_token_request(&a_cancel);
	CHECK(fl_cancel_token_is_requested(&a_cancel));
	FL_LOCKED(&a_mutex);
	CHECK(fl_cond_wait(&a_cond, &a_mutex) == -ECANCELED);
	CHECK(fl_cond_wait_until(&a_cond, &a_mutex, 0, FL_SHIELDED) == -ETIMEDOUT);
	CHECK(fl_cond_wait_for(&a_cond, &a_mutex, yes, nullptr) == 0);
	CHECK(fl_cond_wait_for_until(&a_cond, &a_mutex, yes, nullptr, 0, nullptr) == 0);
	fl_cond_signal(&a_cond);
	fl_cond_signal_n(&a_cond, 2);
	fl_cond_broadcast(&a_cond);
	CHECK(fl_cond_destroy(&a_cond) == 0);
}

static void count_request(void *count)
{
	++*static_cast<int *>(count);
}

static void cancelling()
{
	FL_SCOPED(fl_cancel_token) parent = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token child;
	int64_t end = fl_after(FL_S(60));
	fl_cancel_token_init(&child, &parent, end);
	CHECK(fl_cancel_token_deadline(&child) == end);
	fl_cancel_token *before = fl_cancel_scope_set(&child);
	CHECK(before == nullptr && fl_cancel_scope_set(before) == &child);
	int requests = 0;
	fl_cancel_callback cb = FL_CANCEL_CALLBACK_INIT;
	CHECK(fl_cancel_callback_remove(&cb) && fl_cancel_token_on_request(&child, &cb, count_request, &requests));
	fl_cancel_token_request(&child);
	CHECK(requests == 1 && !fl_cancel_callback_remove(&cb));
	FL_SCOPED(fl_cancel_callback) late = FL_CANCEL_CALLBACK_INIT;
	CHECK(!fl_cancel_token_on_request(&child, &late, count_request, &requests) && requests == 2);
	fl_cancel_token_destroy(&child);
}

static void tick(void *count)
{
	++*static_cast<int *>(count);
}

static void timers()
{
	int count = 0;
	FL_SCOPED(fl_timer) t = FL_TIMER_INIT;
	fl_timer other;
	fl_timer_init(&other);
	CHECK(fl_timer_start(&t, fl_after(0), tick, &count) == 0 && fl_timer_join(&t) == 0 && count == 1);
	CHECK(fl_timer_start(&t, FL_FOREVER, tick, &count) == 0 && fl_timer_try_join(&t) == -EBUSY);
	CHECK(fl_timer_join_until(&t, 0, nullptr) == -ETIMEDOUT && fl_timer_cancel(&t) == 0);
	CHECK(fl_timer_start_every(&other, FL_FOREVER, FL_S(1), tick, &count) == 0 && fl_timer_missed(&other) == 0);
	CHECK(fl_timer_destroy(&other) == -EBUSY && fl_timer_cancel(&other) == 0);
	CHECK(fl_timer_join(&other) == 0 && fl_timer_destroy(&other) == 0 && count == 1);
}

static void counters()
{
	CHECK(fl_sem_acquire(&a_sem) == 0 && fl_sem_try_acquire(&a_sem) == 0);
	CHECK(fl_sem_acquire_until(&a_sem, 0, nullptr) == -ETIMEDOUT);
	fl_sem_release(&a_sem);
	fl_sem_release_in_handler(&a_sem);
	CHECK(fl_sem_acquire(&a_sem) == 0);
	fl_sem_release_n(&a_sem, 1);
	CHECK(fl_sem_value(&a_sem) == 2 && fl_sem_destroy(&a_sem) == 0);
	static fl_sem bounded = FL_SEM_BOUNDED_INIT(2);
	CHECK(fl_sem_acquire_n(&bounded, 2) == 0 && fl_sem_try_acquire_n(&bounded, 1) == -EAGAIN);
	CHECK(fl_sem_acquire_n_until(&bounded, 2, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_sem_try_release(&bounded) == 0 && fl_sem_try_release_n(&bounded, 2) == -EOVERFLOW);
	CHECK(fl_sem_init_bounded(&bounded, 1, 2) == 0);
	CHECK(fl_sem_init(&a_sem, FL_SEM_MAX) == 0);

	fl_latch_count_down(&a_latch, 2);
	CHECK(fl_latch_wait(&a_latch) == 0 && fl_latch_try_wait(&a_latch) == 0);
	CHECK(fl_latch_wait_until(&a_latch, 0, nullptr) == 0);
	CHECK(fl_latch_count(&a_latch) == 0 && fl_latch_destroy(&a_latch) == 0);
	CHECK(fl_latch_init(&a_latch, FL_LATCH_MAX) == 0);

	static fl_event bell = FL_EVENT_AUTO_INIT;
	fl_event_init_auto(&bell);
	fl_event_set(&bell);
	CHECK(fl_event_try_wait(&bell) == 0 && !fl_event_is_set(&bell));
	fl_event_init(&an_event);
	CHECK(!fl_event_is_set(&an_event) && fl_event_try_wait(&an_event) == -EAGAIN);
	fl_event_set(&an_event);
	CHECK(fl_event_wait(&an_event) == 0 && fl_event_wait_until(&an_event, 0, nullptr) == 0);
	fl_event_reset(&an_event);
	CHECK(fl_event_destroy(&an_event) == 0);

	CHECK(fl_once_call(&a_once, succeed, nullptr) == 0 && fl_once_is_done(&a_once));
	CHECK(fl_once_try_call(&a_once, succeed, nullptr) == 0);
	CHECK(fl_once_call_until(&a_once, succeed, nullptr, 0, nullptr) == 0);

	CHECK(fl_barrier_wait(&a_barrier) == 0 && fl_barrier_try_wait(&a_barrier) == 0);
	CHECK(fl_barrier_wait_until(&a_barrier, FL_FOREVER, nullptr) == 0);
	fl_barrier_abort(&a_barrier);
	CHECK(fl_barrier_is_broken(&a_barrier));
	fl_barrier_reset(&a_barrier);
	CHECK(fl_barrier_waiting(&a_barrier) == 0 && fl_barrier_destroy(&a_barrier) == 0);
	CHECK(fl_barrier_init(&a_barrier, 2) == 0);
	int acts = 0;
	auto act = [](void *arg) { ++*static_cast<int *>(arg); };
	CHECK(fl_barrier_init_with_action(&a_barrier, 1, act, &acts) == 0);
	CHECK(fl_barrier_wait(&a_barrier) == 0 && acts == 1);
}

static void eventcounts()
{
	fl_eventcount_init(&an_eventcount);
	fl_eventcount_key key = fl_eventcount_prepare(&an_eventcount);
	CHECK(fl_eventcount_try_wait(&an_eventcount, key) == -EAGAIN);
	CHECK(fl_eventcount_wait_until(&an_eventcount, key, 0, nullptr) == -ETIMEDOUT);
	fl_eventcount_notify(&an_eventcount);
	CHECK(fl_eventcount_wait(&an_eventcount, key) == 0);
	fl_eventcount_watch watch = {&an_eventcount, fl_eventcount_prepare(&an_eventcount)};
	fl_eventcount_notify_all(&an_eventcount);
	fl_on things[] = {FL_ON_EVENTCOUNT(&watch)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0);
	CHECK(fl_eventcount_destroy(&an_eventcount) == 0);
}

static void shared_counters()
{
	static fl_shm_sem sem;
	CHECK(fl_shm_sem_init(&sem, 2) == 0 && fl_shm_sem_acquire(&sem) == 0 && fl_shm_sem_try_acquire(&sem) == 0);
	CHECK(fl_shm_sem_acquire_until(&sem, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_shm_sem_release(&sem) == 0 && fl_shm_sem_release_n(&sem, 1) == 0 && fl_shm_sem_value(&sem) == 2);

	static fl_shm_event event;
	fl_shm_event_init(&event);
	CHECK(!fl_shm_event_is_set(&event) && fl_shm_event_try_wait(&event) == -EAGAIN);
	CHECK(fl_shm_event_set(&event) == 0 && fl_shm_event_wait(&event) == 0);
	CHECK(fl_shm_event_wait_until(&event, 0, nullptr) == 0);
	fl_shm_event_reset(&event);

	static fl_shm_barrier barrier;
	CHECK(fl_shm_barrier_init(&barrier, 1) == 0 && fl_shm_barrier_wait(&barrier) == 0);
	CHECK(fl_shm_barrier_try_wait(&barrier) == 0 && fl_shm_barrier_wait_until(&barrier, FL_FOREVER, nullptr) == 0);
	CHECK(fl_shm_barrier_abort(&barrier) == 0 && fl_shm_barrier_is_broken(&barrier));
	CHECK(fl_shm_barrier_reset(&barrier) == 0 && fl_shm_barrier_waiting(&barrier) == 0);

	fl_on things[] = {FL_ON_SHM_EVENT(&event), FL_ON_SHM_SEM(&sem)};
	CHECK(fl_wait_any_until(things, 2, FL_FOREVER, nullptr) == 1);
}

static void waiting_for_any()
{
	fl_queue *q = nullptr;
	CHECK(fl_queue_create(&q, sizeof(int), nullptr) == 0);
	CHECK(fl_sem_init(&a_sem, 0) == 0 && fl_latch_init(&a_latch, 1) == 0);
	fl_cancel_token never = FL_CANCEL_TOKEN_INIT;
	fl_on things[] = {FL_ON_EVENT(&an_event), FL_ON_SEM(&a_sem),          FL_ON_LATCH(&a_latch),
	                  FL_ON_QUEUE(q),         FL_ON_CANCEL_TOKEN(&never), FL_ON_QUEUE_SPACE(q)};
	CHECK(fl_wait_any_until(things, 6, FL_FOREVER, nullptr) == 5);
	int selected = 0;
	fl_select_case cases[] = {FL_GET(q, &selected)};
	fl_queue *meets = nullptr;
	fl_queue_config rendezvous{};
	rendezvous.capacity = FL_RENDEZVOUS;
	rendezvous.when_full = FL_WAIT_FOR_SPACE;
	fl_queue *grows = nullptr;
	fl_queue_config unbounded{};
	unbounded.capacity = FL_UNBOUNDED;
	CHECK(fl_queue_create(&grows, sizeof(int), &unbounded) == 0 && fl_queue_put(grows, &selected) == 0);
	CHECK(fl_queue_capacity(grows) == FL_UNBOUNDED && fl_queue_close_now(grows) == 1);
	fl_queue_free(grows);
	CHECK(fl_queue_create(&meets, sizeof(int), &rendezvous) == 0);
	cases[0].queue = meets;
	CHECK(fl_select_until(cases, 1, 0, nullptr) == -ETIMEDOUT);
	fl_queue_free(meets);
	fl_queue_free(q);
}

struct job {
	int number;
};
FL_QUEUE_OF(job, job_queue)

static void typed_queue()
{
	FL_SCOPED(job_queue) *q = nullptr;
	CHECK(job_queue_create(&q, nullptr) == 0);
	job one = {1}, two[2] = {{2}, {3}}, got[4];
	size_t n;
	CHECK(job_queue_put(q, one) == 0 && job_queue_try_put(q, one) == 0 &&
	      job_queue_put_until(q, one, 0, nullptr) == 0);
	CHECK(job_queue_put_many(q, two, 2) == 2 && job_queue_try_put_many(q, two, 2) == 2);
	CHECK(job_queue_put_many_until(q, two, 2, &n, 0, nullptr) == 0 && n == 2);
	CHECK(job_queue_length(q) == 9 && job_queue_capacity(q) == 1024 && job_queue_untyped(q) != nullptr);
	CHECK(job_queue_get(q, got) == 0 && job_queue_try_get(q, got) == 0 &&
	      job_queue_get_until(q, got, 0, nullptr) == 0);
	CHECK(job_queue_get_many(q, got, 2) == 2 && got[1].number == 3 && job_queue_try_get_many(q, got, 1) == 1);
	CHECK(job_queue_get_many_until(q, got, 4, &n, 0, nullptr) == 0 && n == 3);
	CHECK(job_queue_try_join(q) == -EBUSY && job_queue_join_until(q, 0, nullptr) == -ETIMEDOUT);
	CHECK(job_queue_unfinished(q) == 9);
	for (int i = 0; i < 9; i++)
		job_queue_task_done(q);
	CHECK(job_queue_join(q) == 0 && job_queue_try_task_done(q) == -EINVAL);
	job_queue_close(q);
	CHECK(job_queue_is_closed(q) && job_queue_close_now(q) == 0 && job_queue_put(q, one) == -EPIPE);
}

static void lists()
{
	FL_SCOPED(fl_queue) *q = nullptr;
	int item = 7, got = 0;
	CHECK(fl_queue_create(&q, sizeof(int), nullptr) == 0);
	CHECK(FL_SELECT_UNTIL(0, nullptr, FL_GET(q, &got)) == -ETIMEDOUT);
	CHECK(FL_SELECT(FL_PUT(q, &item)) == 0 && FL_SELECT(FL_GET(q, &got)) == 0 && got == 7);

	static fl_event event;
	CHECK(FL_WAIT_ANY_UNTIL(0, nullptr, FL_ON_EVENT(&event), FL_ON_QUEUE(q)) == -ETIMEDOUT);
	fl_event_set(&event);
	CHECK(FL_WAIT_ANY(FL_ON_QUEUE(q), FL_ON_EVENT(&event)) == 1 && FL_WAIT_ANY(FL_ON_EVENT(&event)) == 0);
}

static void untyped_queue()
{
	FL_SCOPED(fl_queue) *q = nullptr;
	fl_queue_config config = {};
	config.capacity = 8;
	CHECK(fl_queue_create(&q, sizeof(int), &config) == 0);
	int one = 1, two[2] = {2, 3}, got[4];
	size_t n;
	CHECK(fl_queue_put(q, &one) == 0 && fl_queue_try_put(q, &one) == 0 &&
	      fl_queue_put_until(q, &one, 0, nullptr) == 0);
	CHECK(fl_queue_put_many(q, two, 2) == 2 && fl_queue_try_put_many(q, two, 2) == 2);
	CHECK(fl_queue_put_many_until(q, two, 1, &n, 0, nullptr) == 0 && n == 1);
	CHECK(fl_queue_length(q) == 8 && fl_queue_capacity(q) == 8);
	CHECK(fl_queue_get(q, got) == 0 && fl_queue_try_get(q, got) == 0 &&
	      fl_queue_get_until(q, got, 0, nullptr) == 0);
	CHECK(fl_queue_get_many(q, got, 2) == 2 && fl_queue_try_get_many(q, got, 1) == 1);
	CHECK(fl_queue_get_many_until(q, got, 1, &n, 0, nullptr) == 0 && n == 1);
	CHECK(fl_queue_try_join(q) == -EBUSY && fl_queue_join_until(q, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_queue_unfinished(q) == 8 && fl_queue_try_task_done(q) == 0);
	for (int i = 0; i < 6; i++)
		fl_queue_task_done(q);
	fl_queue_close(q);
	CHECK(fl_queue_is_closed(q) && fl_queue_close_now(q) == 1 && fl_queue_join(q) == 0);
}

static int by_value(const void *a, const void *b, void *)
{
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

static void ordered_queues()
{
	int items[3] = {2, 1, 3}, got[3];
	const fl_queue_order orders[] = {FL_LIFO, FL_PRIORITY};
	for (fl_queue_order order : orders) {
		FL_SCOPED(fl_queue) *q = nullptr;
		fl_queue_config config = {};
		config.order = order;
		config.compare = order == FL_PRIORITY ? by_value : nullptr;
		CHECK(fl_queue_create(&q, sizeof(int), &config) == 0);
		CHECK(fl_queue_put_many(q, items, 3) == 3 && fl_queue_get_many(q, got, 3) == 3);
		CHECK(got[0] == (order == FL_LIFO ? 3 : 1));
	}
}

FL_MPMC_OF(job, job_ring)
FL_SPSC_OF(job, job_lane)

static void rings()
{
	FL_SCOPED(fl_mpmc) *q = nullptr;
	FL_SCOPED(fl_spsc) *p = nullptr;
	int one = 1, two[2] = {2, 3}, got[3];
	CHECK(fl_mpmc_create(&q, sizeof(int), 3) == 0 && fl_mpmc_capacity(q) == 3);
	CHECK(fl_mpmc_try_put(q, &one) == 0 && fl_mpmc_try_put_many(q, two, 2) == 2 && fl_mpmc_length(q) == 3);
	CHECK(fl_mpmc_try_get(q, got) == 0 && fl_mpmc_try_get_many(q, got, 3) == 2 && got[1] == 3);
	fl_mpmc_close(q);
	CHECK(fl_mpmc_is_closed(q) && fl_mpmc_try_get(q, got) == -EPIPE);
	CHECK(fl_spsc_create(&p, sizeof(int), 3) == 0 && fl_spsc_capacity(p) == 3);
	CHECK(fl_spsc_try_put(p, &one) == 0 && fl_spsc_try_put_many(p, two, 2) == 2 && fl_spsc_length(p) == 3);
	CHECK(fl_spsc_try_get(p, got) == 0 && fl_spsc_try_get_many(p, got, 3) == 2 && got[1] == 3);
	fl_mpmc_free(nullptr);
	fl_spsc_free(nullptr);
}

static void typed_rings()
{
	FL_SCOPED(job_ring) *q = nullptr;
	FL_SCOPED(job_lane) *p = nullptr;
	job one = {1}, two[2] = {{2}, {3}}, got[3];
	CHECK(job_ring_create(&q, 3) == 0 && job_ring_capacity(q) == 3 && job_ring_untyped(q) != nullptr);
	CHECK(job_ring_try_put(q, one) == 0 && job_ring_try_put_many(q, two, 2) == 2 && job_ring_length(q) == 3);
	CHECK(job_ring_try_get(q, got) == 0 && job_ring_try_get_many(q, got, 3) == 2 && got[1].number == 3);
	job_ring_close(q);
	CHECK(job_ring_is_closed(q) && job_ring_try_put(q, one) == -EPIPE);
	CHECK(job_lane_create(&p, 3) == 0 && job_lane_capacity(p) == 3 && job_lane_untyped(p) != nullptr);
	CHECK(job_lane_try_put(p, one) == 0 && job_lane_try_put_many(p, two, 2) == 2 && job_lane_length(p) == 3);
	CHECK(job_lane_try_get(p, got) == 0 && job_lane_try_get_many(p, got, 3) == 2 && got[1].number == 3);
	CHECK(job_lane_try_get(p, got) == -EAGAIN);
}

FL_MPMC_UNBOUNDED_OF(job, job_list)

static void untyped_mpmc_unbounded()
{
	FL_SCOPED(fl_mpmc_unbounded) *q = nullptr;
	fl_mpmc_unbounded_config config = {};
	config.segment = 2;
	config.one_consumer = true;
	CHECK(fl_mpmc_unbounded_create(&q, sizeof(int), &config) == 0);
	int one = 1, two[2] = {2, 3}, got[4];
	CHECK(fl_mpmc_unbounded_try_put(q, &one) == 0 && fl_mpmc_unbounded_try_put_many(q, two, 2) == 2 &&
	      fl_mpmc_unbounded_length(q) == 3);
	CHECK(fl_mpmc_unbounded_try_get(q, got) == 0 && fl_mpmc_unbounded_try_get_many(q, got, 4) >= 1);
	CHECK(!fl_mpmc_unbounded_is_closed(q));
	fl_mpmc_unbounded_close(q);
	CHECK(fl_mpmc_unbounded_is_closed(q));
	fl_mpmc_unbounded *other = nullptr;
	CHECK(fl_mpmc_unbounded_create(&other, 1, nullptr) == 0);
	fl_mpmc_unbounded_free(other);
}

static void typed_lists()
{
	FL_SCOPED(job_list) *q = nullptr;
	CHECK(job_list_create(&q, nullptr) == 0);
	job one = {1}, two[2] = {{2}, {3}}, got[4];
	CHECK(job_list_try_put(q, one) == 0 && job_list_try_put_many(q, two, 2) == 2 && job_list_length(q) == 3);
	CHECK(job_list_try_get(q, got) == 0 && job_list_try_get_many(q, got, 4) == 2 && got[1].number == 3);
	CHECK(job_list_untyped(q) != nullptr && !job_list_is_closed(q));
	job_list_close(q);
	CHECK(job_list_try_get(q, got) == -EPIPE);
}

static void offers()
{
	char name[48];
	std::snprintf(name, sizeof name, "@fairlead-cxx17-offer-%d", (int)getpid());
	fl_offer_config config = {};
	config.item_type = "nothing";
	FL_SCOPED(fl_offer) *offer = nullptr;
	fl_shm *region = nullptr;
	fl_pipe *pipe = nullptr;
	CHECK(fl_offer_find(name, &config, &region, &pipe) == -ECONNREFUSED);
	CHECK(fl_offer_create(&offer, name, &config) == 0 && fl_offer_fd(offer) >= 0 && FL_OFFER_TYPE_MAX == 63);
	CHECK(fl_offer_find_until(name, &config, &region, &pipe, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_offer_accept_until(offer, &pipe, 0, nullptr) == -ETIMEDOUT && pipe == nullptr);
	fl_cancel_token stop;
	fl_cancel_token_init(&stop, FL_SHIELDED, FL_FOREVER);
	fl_cancel_token_request(&stop);
	FL_CANCEL_SCOPE(&stop);
	CHECK(fl_offer_accept(offer, nullptr) == -ECANCELED);
	fl_offer_free(nullptr);
}

static void pipes()
{
	FL_SCOPED(fl_pipe) *a = nullptr;
	FL_SCOPED(fl_pipe) *b = nullptr;
	fl_pipe *copy = nullptr;
	fl_pipe_config config = {};
	char got[4];
	size_t size;
	int fd = 0;
	unsigned n = 0;
	CHECK(fl_pipe_create(&a, &b, &config) == 0 && fl_pipe_fd(a) >= 0 && FL_PIPE_FDS_MAX == 252);
	CHECK(fl_pipe_from_fd(&copy, -1) == -EBADF);
	offers();
	CHECK(fl_pipe_send(a, "x", 1) == 0 && fl_pipe_try_send(a, "x", 1) == 0);
	CHECK(fl_pipe_send_until(a, "x", 1, 0, nullptr) == 0 && fl_pipe_send_fds(a, "x", 1, &fd, 0) == 0);
	CHECK(fl_pipe_try_send_fds(a, "x", 1, &fd, 0) == 0);
	CHECK(fl_pipe_send_fds_until(a, "x", 1, &fd, 0, 0, nullptr) == 0);
	fl_on things[] = {FL_ON_PIPE(a), FL_ON_PIPE_SPACE(a)};
	CHECK(fl_wait_any_until(things, 2, 0, nullptr) == 1);
	fl_pipe_close_send(a);
	CHECK(fl_pipe_recv(b, got, 4, &size) == 0 && size == 1 && fl_pipe_try_recv(b, got, 4, &size) == 0);
	CHECK(fl_pipe_recv_until(b, got, 4, &size, 0, nullptr) == 0);
	CHECK(fl_pipe_recv_fds(b, got, 4, &size, &fd, &n) == 0 && n == 0);
	CHECK(fl_pipe_try_recv_fds(b, got, 4, &size, &fd, &n) == 0);
	CHECK(fl_pipe_recv_fds_until(b, got, 4, &size, &fd, &n, 0, nullptr) == 0);
	CHECK(fl_pipe_recv(b, got, 4, &size) == -EPIPE);
	fl_pipe_free(nullptr);
}

FL_SHM_QUEUE_OF(job, job_pipe)

static void typed_shm_queue(fl_shm *region)
{
	FL_SCOPED(job_pipe) *q = nullptr;
	job_pipe *same = nullptr;
	CHECK(job_pipe_create(&q, region, nullptr) == 0 && job_pipe_open(&same, region, job_pipe_offset(q)) == 0);
	job one = {1}, two[2] = {{2}, {3}}, got[4];
	size_t n;
	CHECK(job_pipe_put(q, one) == 0 && job_pipe_try_put(q, one) == 0 &&
	      job_pipe_put_until(q, one, 0, nullptr) == 0);
	CHECK(job_pipe_put_many(q, two, 2) == 2 && job_pipe_try_put_many(q, two, 2) == 2);
	CHECK(job_pipe_put_many_until(q, two, 2, &n, 0, nullptr) == 0 && n == 2);
	CHECK(job_pipe_length(same) == 9 && job_pipe_capacity(q) == 1024 && job_pipe_untyped(q) != nullptr);
	CHECK(job_pipe_get(same, got) == 0 && job_pipe_try_get(q, got) == 0 &&
	      job_pipe_get_until(q, got, 0, nullptr) == 0);
	CHECK(job_pipe_get_many(q, got, 2) == 2 && got[1].number == 3 && job_pipe_try_get_many(q, got, 1) == 1);
	CHECK(job_pipe_get_many_until(q, got, 4, &n, 0, nullptr) == 0 && n == 3);
	CHECK(job_pipe_try_join(q) == -EBUSY && job_pipe_join_until(q, 0, nullptr) == -ETIMEDOUT);
	for (int i = 0; i < 9; i++)
		CHECK(job_pipe_task_done(q) == 0);
	CHECK(job_pipe_join(q) == 0 && job_pipe_close(q) == 0 && job_pipe_is_closed(same));
	CHECK(job_pipe_close_now(q, nullptr) == 0 && job_pipe_put(q, one) == -EPIPE);
	job_pipe_destroy(same);
}

static void untyped_shm_queue(fl_shm *region)
{
	fl_shm_queue *q = nullptr;
	FL_SCOPED(fl_shm_queue) *same = nullptr;
	fl_shm_queue_config config = {};
	config.item_size = sizeof(int);
	config.capacity = 8;
	CHECK(fl_shm_queue_create(&q, region, &config) == 0);
	CHECK(fl_shm_queue_open(&same, region, fl_shm_queue_offset(q)) == 0);
	int one = 1, two[2] = {2, 3}, got[4];
	size_t n;
	CHECK(fl_shm_queue_put(q, &one) == 0 && fl_shm_queue_try_put(q, &one) == 0 &&
	      fl_shm_queue_put_until(q, &one, 0, nullptr) == 0);
	CHECK(fl_shm_queue_put_many(q, two, 2) == 2 && fl_shm_queue_try_put_many(q, two, 2) == 2);
	CHECK(fl_shm_queue_put_many_until(q, two, 1, &n, 0, nullptr) == 0 && n == 1);
	CHECK(fl_shm_queue_length(q) == 8 && fl_shm_queue_capacity(q) == 8 && fl_shm_queue_item_size(q) == sizeof(int));
	fl_on things[] = {FL_ON_SHM_QUEUE_SPACE(q), FL_ON_SHM_QUEUE(q)};
	CHECK(fl_wait_any_until(things, 2, 0, nullptr) == 1);
	CHECK(fl_shm_queue_get(q, got) == 0 && fl_shm_queue_try_get(q, got) == 0 &&
	      fl_shm_queue_get_until(q, got, 0, nullptr) == 0);
	CHECK(fl_shm_queue_get_many(q, got, 2) == 2 && fl_shm_queue_try_get_many(q, got, 1) == 1);
	CHECK(fl_shm_queue_get_many_until(q, got, 1, &n, 0, nullptr) == 0 && n == 1);
	CHECK(fl_shm_queue_try_join(q) == -EBUSY && fl_shm_queue_join_until(q, 0, nullptr) == -ETIMEDOUT);
	for (int i = 0; i < 7; i++)
		CHECK(fl_shm_queue_task_done(q) == 0);
	CHECK(fl_shm_queue_close(q) == 0 && fl_shm_queue_is_closed(q));
	CHECK(fl_shm_queue_close_now(q, &n) == 0 && n == 1 && fl_shm_queue_join(q) == 0);
	fl_shm_queue_destroy(q);
}

static void frames_in_shm(fl_shm *region)
{
	fl_shm_queue *q = nullptr;
	fl_shm_queue_config config = {};
	config.frame_bytes = 64;
	CHECK(fl_shm_queue_create(&q, region, &config) == 0);
	char got[8];
	size_t n;
	CHECK(fl_shm_queue_put_frame(q, "a", 1) == 0 && fl_shm_queue_try_put_frame(q, "bc", 2) == 0);
	CHECK(fl_shm_queue_put_frame_until(q, "def", 3, 0, nullptr) == 0);
	CHECK(fl_shm_queue_get_frame(q, got, 8, &n) == 0 && n == 1);
	CHECK(fl_shm_queue_try_get_frame(q, got, 1, &n) == -EMSGSIZE && n == 2);
	CHECK(fl_shm_queue_get_frame_until(q, got, 8, &n, 0, nullptr) == 0 && n == 2 && got[1] == 'c');
	fl_shm_queue_free(q);
}

static void shm_queues()
{
	FL_SCOPED(fl_shm) *region = nullptr;
	CHECK(fl_shm_create(&region, 1 << 16) == 0);
	typed_shm_queue(region);
	untyped_shm_queue(region);
	frames_in_shm(region);
}

static int answer(fl_task_ctx *ctx, const void *arg, void *result)
{
	std::memcpy(result, arg, sizeof(int));
	CHECK(!fl_task_is_cancelled(ctx) && fl_task_token(ctx) != nullptr && fl_executor_current() != nullptr);
	CHECK(fl_task_region(ctx, 0) == nullptr);
	FL_BLOCKING();
	fl_blocking_begin();
	fl_blocking_end();
	fl_task_keep_result(ctx);
	return *static_cast<const int *>(arg) == 0 ? fl_task_fail(ctx, -EDOM, "no %s", "zero") : 0;
}

static fl_task_type answer_type;
static fl_task_entry answer_entry = {&answer_type, nullptr};

// What FL_TASK does in C: before FL_PROCESS_HOOK, so that workers know the task as well.
__attribute__((constructor(1000))) static void register_answer()
{
	answer_type.size = sizeof answer_type;
	answer_type.name = "answer";
	answer_type.run = answer;
	answer_type.arg_size = answer_type.result_size = sizeof(int);
	answer_type.arg_align = answer_type.result_align = alignof(int);
	fl_task_register(&answer_entry);
}

static void count_call(fl_future *, void *calls)
{
	++*static_cast<int *>(calls);
}

static void futures(fl_executor *e, const fl_task_type *type)
{
	FL_SCOPED(fl_future) *f = nullptr;
	FL_SCOPED(fl_future) *failed = nullptr;
	int in = 42, zero = 0, out = 0, calls = 0;
	CHECK(fl_submit(e, type, &in, &f) == 0);
	CHECK(fl_future_wait(f) == 0 && fl_future_try_wait(f) == 0 && fl_future_wait_until(f, 0, nullptr) == 0);
	CHECK(fl_future_get(f, &out, sizeof out) == 0 && out == 42 && fl_future_try_get(f, &out, sizeof out) == 0);
	CHECK(fl_future_get_until(f, &out, sizeof out, 0, nullptr) == 0 && fl_future_get_state(f) == FL_DONE);
	CHECK(*static_cast<const int *>(fl_future_result(f)) == 42 && fl_future_error(f) == 0);
	CHECK(fl_future_cancel(f) == -EALREADY && fl_future_cancel_pending(f) == -EALREADY);
	CHECK(fl_future_on_end(f, count_call, &calls) == 0 && calls == 1);
	fl_future_free(fl_future_ref(f));
	fl_on things[] = {FL_ON_FUTURE(f)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0);

	fl_submit_config config = {};
	CHECK(fl_submit_with(e, type, &zero, &failed, &config) == 0);
	CHECK(fl_future_get(failed, &out, sizeof out) == FL_ETASK && fl_future_error(failed) == -EDOM);
	CHECK(std::strcmp(fl_future_message(failed), "no zero") == 0 && out == 0 &&
	      fl_future_result(failed) != nullptr);
	FL_SCOPED(fl_future) *next = nullptr;
	CHECK(fl_future_then(f, e, type, &next) == 0 && fl_future_get(next, &out, sizeof out) == 0 && out == 42);
}

FL_PROMISE_OF(int, int_promise)

static void promises()
{
	FL_SCOPED(fl_promise) *p = nullptr;
	FL_SCOPED(fl_promise) *other = nullptr;
	FL_SCOPED(fl_future) *f = nullptr;
	FL_SCOPED(fl_future) *failed = nullptr;
	int out = 0;
	CHECK(int_promise_create(&p, nullptr, &f) == 0 && fl_promise_start(p) == 0);
	CHECK(int_promise_try_get(f, &out) == -EAGAIN && int_promise_set(p, 42) == 0);
	CHECK(int_promise_get(f, &out) == 0 && out == 42 && int_promise_get_until(f, &out, 0, nullptr) == 0);
	CHECK(fl_promise_set(p, &out) == -EALREADY && !fl_cancel_token_is_requested(fl_promise_token(p)));
	CHECK(fl_promise_create(&other, 0, nullptr, &failed) == 0 &&
	      fl_promise_fail(other, -EIO, "no %s", "reply") == 0);
	CHECK(std::strcmp(fl_future_message(failed), "no reply") == 0);
	FL_SCOPED(fl_promise) *with = nullptr;
	FL_SCOPED(fl_future) *carries = nullptr;
	int carried = 7;
	CHECK(int_promise_create(&with, nullptr, &carries) == 0 &&
	      fl_promise_fail_with(with, &carried, -EIO, "no %s", "reply") == 0);
	CHECK(int_promise_get(carries, &out) == FL_ETASK && out == 7);
	fl_future *both[] = {f, failed};
	CHECK(fl_futures_wait(both, 2, FL_FIRST_ERROR) == 2 && fl_futures_ended(both, 2) == 2);
	CHECK(fl_futures_wait_until(both, 2, FL_ALL_ENDED, 0, nullptr) == 2);
	FL_SCOPED(fl_as_completed) *done = nullptr;
	size_t index = 7;
	CHECK(fl_futures_as_completed_create(&done, both, 2) == 0 && fl_as_completed_next(done, &index) == 0 &&
	      index == 0);
	fl_promise_free(nullptr);
}

static void embedded(fl_executor *e, const fl_task_type *type)
{
	FL_SCOPED(fl_embedded_task) scoped = FL_EMBEDDED_TASK_INIT;
	static fl_embedded_task task;
	int in = 42, out = 0;
	CHECK(fl_embedded_task_future(&task) == nullptr && fl_embedded_task_try_retire(&task) == 0);
	if (!(fl_executor_capabilities(e) & FL_CAP_BY_REFERENCE)) {
		CHECK(fl_embedded_task_submit(e, &task, type, &in, &out, nullptr) == -ENOTSUP);
		return;
	}
	CHECK(fl_embedded_task_submit(e, &task, type, &in, &out, nullptr) == 0);
	CHECK(fl_embedded_task_submit(e, &task, type, &in, &out, nullptr) == -EBUSY);
	CHECK(fl_future_wait(fl_embedded_task_future(&task)) == 0 && out == 42);
	CHECK(fl_embedded_task_retire_until(&task, FL_FOREVER, nullptr) == 0 && fl_embedded_task_retire(&task) == 0);
	CHECK(fl_embedded_task_submit(e, &scoped, type, &in, &out, nullptr) == 0);
}

static void groups(fl_executor *e, const fl_task_type *type)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_SCOPED(fl_group) late = FL_GROUP_INIT_UNTIL(e, 1);
	int in = 42, zero = 0, out = 0;
	CHECK(fl_group_submit(&late, type, &in, &out) == -ECANCELED);
	CHECK(fl_group_submit(&g, type, &in, &out) == 0);
	fl_on things[] = {FL_ON_GROUP(&g)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0 && fl_group_count(&g) == 0);
	CHECK(fl_group_try_join(&g) == 0 && out == 42 && fl_group_message(&g) == nullptr);
	CHECK(!fl_cancel_token_is_requested(fl_group_token(&g)));
	fl_submit_config config = {};
	int calls = 0;
	config.on_end = count_call;
	config.on_end_arg = &calls;
	CHECK(fl_group_submit_with(&g, type, &in, &out, &config) == 0 && fl_group_join(&g) == 0 && calls == 1);
	CHECK(fl_group_submit(&g, type, &zero, &out) == 0 && fl_group_join_until(&g, FL_FOREVER, nullptr) == -EDOM);
	CHECK(std::strcmp(fl_group_message(&g), "no zero") == 0 && fl_group_failed_index(&g) == 0);
	fl_group_cancel(&g);
	CHECK(fl_group_join(&g) == 0);
	fl_group_destroy(&g);
}

static int count_down(void *state, void *arg)
{
	int *left = static_cast<int *>(state);
	*static_cast<int *>(arg) = *left;
	return *left >= 0 ? (*left)--, 1 : 0;
}

static void lazy_maps(fl_executor *e, const fl_task_type *type)
{
	FL_SCOPED(fl_imap) *it = nullptr;
	int left = 2, out = 0;
	size_t index = 0;
	fl_imap_config config = {};
	config.next = count_down;
	config.state = &left;
	CHECK(fl_imap_create(&it, e, type, nullptr, 0, &config) == 0);
	CHECK(fl_imap_next(it, &index, &out) == 0 && index == 0 && out == 2);
	CHECK(fl_imap_next_until(it, &index, &out, FL_FOREVER, nullptr) == 0 && index == 1 && out == 1);
	CHECK(fl_imap_next(it, &index, &out) == FL_ETASK && index == 2);
	CHECK(fl_imap_error(it) == -EDOM && std::strcmp(fl_imap_message(it), "no zero") == 0);
	CHECK(fl_imap_try_next(it, &index, &out) == -ENODATA);
	fl_imap_free(nullptr);
}

static void executors()
{
	FL_SCOPED(fl_executor) *here = nullptr;
	FL_SCOPED(fl_executor) *pool = nullptr;
	CHECK(fl_sequential_executor_create(&here, nullptr) == 0 && fl_thread_executor_create(&pool, nullptr) == 0);
	FL_SCOPED(fl_executor) *crew = nullptr;
	fl_executor_config config = {};
	config.workers = 2;
	CHECK(fl_process_executor_create(&crew, &config) == 0 && fl_process_executor_pids(crew, nullptr, 0) == 0);
	CHECK(fl_task_find("answer") == &answer_type && fl_task_conflict() == nullptr);
	FL_SCOPED(fl_executor) *many = nullptr;
	CHECK(fl_loop_executor_create(&many, nullptr) == 0);
	FL_SCOPED(fl_loop) *loop = nullptr;
	FL_SCOPED(fl_executor) *on_it = nullptr;
	CHECK(fl_loop_create(&loop, nullptr) == 0 && fl_loop_executor_create_on(&on_it, loop, nullptr) == 0);
	fl_executor *kinds[] = {here, pool, crew, many};
	for (fl_executor *e : kinds) {
		int in[3] = {1, 2, 3}, out[3] = {};
		futures(e, &answer_type);
		promises();
		lazy_maps(e, &answer_type);
		groups(e, &answer_type);
		embedded(e, &answer_type);
		CHECK(fl_map(e, &answer_type, in, 3, out, nullptr) == 0 && out[2] == 3);
		CHECK(fl_executor_capabilities(e) & (FL_CAP_BY_REFERENCE | FL_CAP_CONCURRENT));
		CHECK(fl_executor_resize(e, 1) == (e == crew || e == pool ? 0 : -ENOTSUP));
		fl_executor_stats stats = {};
		CHECK(fl_executor_get_stats(e, &stats) == (e == here || e == pool ? 0 : -ENOTSUP));
		CHECK(fl_executor_kind(e) != nullptr && fl_executor_workers(e) >= 1 && !fl_executor_is_broken(e));
		CHECK(fl_executor_wait_idle(e) == 0 && fl_executor_wait_idle_until(e, 0, nullptr) == 0);
		fl_executor_close(e);
		CHECK(fl_executor_join(e) == 0 && fl_executor_try_join(e) == 0);
		CHECK(fl_executor_join_until(e, 0, nullptr) == 0 && fl_executor_cancel(e) == 0);
		CHECK(fl_executor_terminate(e) == 0 && fl_executor_cancel_pending(e) == 0);
	}
	fl_executor *detached = nullptr;
	CHECK(fl_sequential_executor_create(&detached, nullptr) == 0 && fl_executor_detach(detached) == 0);
	fl_executor_free(nullptr);
	CHECK(fl_executor_current() == nullptr);
	fl_task_unregister(&answer_entry);
}

static int run(void *go)
{
	CHECK(fl_local_set(&a_local, std::malloc(1)) == 0 && fl_local_get(&a_local) != nullptr);
	return fl_event_wait(static_cast<fl_event *>(go));
}

static void on_error(const fl_thread_info *, int)
{
}

static void threads()
{
	while (fl_thread_enumerate(nullptr, nullptr) > 0)
		sched_yield(); /* the thread that frees the detached executor has yet to end */
	static fl_event go;    /* outlives the detached thread, which may wait for it late */
	fl_thread t, detached;
	fl_thread_config config = {};
	config.name = "cxx";
	int result;
	CHECK(fl_thread_start(&t, run, &go, &config) == 0 && fl_thread_start(&detached, run, &go, nullptr) == 0);
	CHECK(fl_thread_is_alive(&t) && fl_thread_id(&t) != fl_thread_current_id());
	CHECK(fl_thread_enumerate(nullptr, nullptr) == 2 && std::strcmp(fl_thread_current_name(), "main") == 0);
	CHECK(fl_thread_detach(&detached) == 0);
	CHECK(fl_thread_try_join(&t, &result) == -EBUSY && fl_thread_join_until(&t, &result, 0, nullptr) == -ETIMEDOUT);
	fl_event_set(&go);
	fl_on things[] = {FL_ON_THREAD(&t)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0);
	CHECK(fl_thread_join(&t, &result) == 0 && result == 0);
	fl_thread_set_error_handler(on_error);
	CHECK(fl_thread_set_error_handler(nullptr) == on_error);
}

static void on_panic(const fl_panic_info *)
{
}

static void on_log(fl_log_level, const char *)
{
}

struct shared_pair {
	int a;
	double b;
};

FL_SHM_VALUE_OF(shared_pair, pair_value)
FL_SHM_ARRAY_OF(shared_pair, pair_array)

static int add_to_pair(shared_pair *p, void *)
{
	p->a++;
	return 0;
}

static void regions()
{
	FL_SCOPED(fl_shm) *region = nullptr, *other = nullptr;
	CHECK(fl_shm_create(&region, 64 * 1024) == 0 && fl_shm_attach(&other, fl_shm_fd(region)) == 0);
	auto *block = static_cast<shared_pair *>(fl_shm_alloc(region, sizeof(shared_pair)));
	void *raw = fl_shm_alloc_raw(region, 1000);
	CHECK(block && raw && fl_shm_size(region) == 64 * 1024 && fl_shm_is_writable(other));
	block->a = 3;
	CHECK(fl_shm_set_root(region, fl_shm_offset_of(region, block)) == 0);
	CHECK(FL_SHM_AT(other, shared_pair, fl_shm_root(other))->a == 3 && fl_shm_at(other, 0, 1) == nullptr);
	fl_shm_dealloc(other, fl_shm_at(other, fl_shm_root(other), sizeof(shared_pair)));

	pair_value v = {};
	uint32_t changes = fl_shm_value_get(&v.value_, block, sizeof *block);
	CHECK(fl_shm_value_set_if(&v.value_, changes, block, sizeof *block) == 0);
	CHECK(fl_shm_value_set(&v.value_, block, sizeof *block) == 0);
	CHECK(pair_value_set(&v, {4, 5.0}) == 0 && pair_value_update(&v, add_to_pair, nullptr) == 0);
	CHECK(pair_value_get(&v).a == 5);

	pair_array a, b;
	CHECK(pair_array_create(&a, region, 10) == 0 && pair_array_open(&b, other, pair_array_offset(&a)) == 0);
	pair_array_at(&a, 9)->a = 9;
	CHECK(pair_array_length(&b) == 10 && pair_array_at(&b, 9)->a == 9 && pair_array_mutex(&b) != nullptr);
	pair_array_destroy(&a);
	fl_shm_array u;
	CHECK(fl_shm_array_create(&u, region, 8, 2) == 0);
	CHECK(fl_shm_array_open(&u, region, fl_shm_array_offset(&u), 8) == 0 && fl_shm_array_length(&u) == 2);
	CHECK(fl_shm_array_at(&u, 1, 8) != nullptr && fl_shm_array_mutex(&u) != nullptr);
	fl_shm_array_destroy(&u);
	CHECK(fl_shm_seal(region) == 0);
	fl_shm_free(nullptr);
}

FL_PROCESS_HOOK;

static int goes_on(fl_task_ctx *, const void *, void *)
{
	for (;;)
		CHECK(fl_sleep(FL_S(1)) == 0);
}

static void processes()
{
	static fl_task_type task = {};
	static fl_task_entry entry = {&task, nullptr};
	task.size = sizeof task;
	task.name = "goes on";
	task.run = goes_on;
	FL_SCOPED(fl_process) *p = nullptr;
	fl_process_config config = {};
	fl_process_status status = {};
	config.name = "a process";
	config.program = "sleep";
	const char *const argv[] = {"sleep", "1000", nullptr};
	config.argv = argv;
	config.out = FL_PROCESS_NULL;
	config.err = FL_PROCESS_FD(2);
	CHECK(fl_process_preload() == 0); // the hook has made another fork server possible, too
	CHECK(fl_process_start(&p, &config) == 0);
	CHECK(std::strcmp(fl_process_name(p), "a process") == 0 && fl_process_pid(p) > 0 && fl_process_sentinel(p) > 2);
	CHECK(fl_process_is_alive(p) && fl_process_active_children(nullptr, nullptr) == 1);
	CHECK(fl_process_try_join(p, &status) == -EBUSY && fl_process_join_until(p, &status, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_process_signal(p, 0) == -EINVAL && fl_process_terminate(p) == 0);
	fl_on things[] = {FL_ON_PROCESS(p)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0);
	CHECK(fl_process_join(p, &status) == 0 && status.code == -1 && status.signal == 15);
	CHECK(fl_process_kill(p) == -ESRCH);
	fl_process_free(nullptr);
	CHECK(std::strcmp(fl_process_current_name(), "main") == 0);
	CHECK(fl_process_fd_count() == 0 && fl_process_fd(0) == -EBADF);
	char bytes[4];
	fl_process *piped = nullptr;
	config = {};
	config.program = "cat";
	config.in = config.out = FL_PROCESS_PIPE;
	config.group = true;
	CHECK(fl_process_start(&piped, &config) == 0 && fl_process_pipe(piped, 2) == -EBADF);
	CHECK(fl_fd_write(fl_process_pipe(piped, 0), "abc", 3) == 3 &&
	      fl_fd_read(fl_process_pipe(piped, 1), bytes, 4) == 3);
	CHECK(fl_fd_write_until(fl_process_pipe(piped, 0), "d", 1, 0, nullptr) == 1);
	CHECK(fl_fd_read_until(fl_process_pipe(piped, 1), bytes, 4, FL_FOREVER, nullptr) == 1);
	fl_process_close_pipe(piped, 0);
	const int taken = fl_process_take_pipe(piped, 1);
	CHECK(taken > 2 && close(taken) == 0);
	FL_SCOPED(fl_process_io) io = {};
	CHECK(fl_process_communicate(piped, &io, &status) == 0 && status.code == 0 && io.out == nullptr);
	CHECK(fl_process_communicate_until(piped, &io, nullptr, 0, nullptr) == 0);
	CHECK(fl_process_stop(piped, 0, &status) == 0 && status.code == 0);
	fl_process_free(piped);
	config = {};
	config.program = "cat";
	io.input = "text";
	io.input_size = 4;
	CHECK(fl_process_run(&config, &io, &status) == 0 && io.out_size == 4 && std::strcmp(io.out, "text") == 0);
	fl_process_io_free(&io);
	CHECK(fl_process_run_until(&config, &io, &status, fl_after(FL_S(60)), nullptr) == 0);
	fl_task_register(&entry);
	fl_process *q = nullptr;
	config = {};
	config.task = &task;
	config.method = FL_PROCESS_EXEC;
	CHECK(fl_process_start(&q, &config) == -ENOENT); // it is registered here alone
	fl_task_unregister(&entry);
}

static int wait_for_cancel(void *)
{
	return fl_sleep(FL_S(3600)) == -ECANCELED ? 0 : -EIO;
}

static int in_groups(void *)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(nullptr);
	fl_fiber_config config = {};
	config.name = "child";
	CHECK(fl_group_start(&g, wait_for_cancel, nullptr) == 0 &&
	      fl_group_start_with(&g, succeed, nullptr, &config) == 0);
	CHECK(fl_group_count(&g) == 2 && fl_group_failed_name(&g) == nullptr && fl_group_try_join(&g) == -EBUSY);
	CHECK(!fl_cancel_token_is_requested(fl_group_token(&g)) && fl_group_join_until(&g, 0, nullptr) == -ETIMEDOUT);
	fl_group_cancel(&g);
	fl_on things[] = {FL_ON_GROUP(&g)};
	CHECK(fl_wait_any_until(things, 1, FL_FOREVER, nullptr) == 0 && fl_group_join(&g) == 0);
	fl_group_destroy(&g);

	int result = 7;
	CHECK(fl_shield(succeed, nullptr, &result) == 0 && result == 0);
	CHECK(fl_shield_until(succeed, nullptr, nullptr, FL_FOREVER, nullptr) == 0);
	return 0;
}

static int as_they_complete(void *)
{
	fl_fiber *f[2] = {};
	size_t index = 7;
	FL_SCOPED(fl_as_completed) *done = nullptr;
	for (auto &fiber : f)
		CHECK(fl_fiber_start(&fiber, succeed, nullptr, nullptr) == 0);
	CHECK(fl_fibers_as_completed_create(&done, f, 2) == 0 && fl_as_completed_try_next(done, &index) == -EAGAIN);
	CHECK(fl_fibers_wait(f, 2, FL_FIRST_ENDED) >= 1);
	CHECK(fl_fibers_wait_until(f, 2, FL_ALL_ENDED, FL_FOREVER, nullptr) == 2);
	CHECK(fl_as_completed_next(done, &index) == 0 && index == 0);
	CHECK(fl_as_completed_next_until(done, &index, FL_FOREVER, nullptr) == 0 && index == 1);
	for (auto *fiber : f)
		CHECK(fl_fiber_join(fiber, nullptr) == 0);
	fl_as_completed_free(nullptr);
	return 0;
}

static int to_a_thread(void *)
{
	int result = 7;
	CHECK(fl_to_thread(succeed, nullptr, &result) == 0 && result == 0);
	CHECK(fl_to_thread_until(succeed, nullptr, nullptr, 0, FL_SHIELDED) == -ETIMEDOUT);
	return 0;
}

static void timeouts()
{
	int result = 7;
	FL_SCOPED(fl_timeout) t = FL_TIMEOUT_INIT;
	fl_timeout_begin(&t, 0);
	CHECK(fl_sleep(FL_S(3600)) == -ECANCELED && fl_timeout_end(&t, -ECANCELED) == -ETIMEDOUT);
	CHECK(fl_wait_for(wait_for_cancel, nullptr, fl_after(FL_MS(1)), &result) == 0 && result == 0);
	fl_timeout_begin(&t, FL_FOREVER);
	CHECK(fl_loop_run(to_a_thread, nullptr) == 0);
}

static int on_streams(void *)
{
	fl_stream *ends[2];
	CHECK(fl_stream_pair(ends) == 0);
	FL_SCOPED(fl_stream) *a = ends[0], *b = ends[1];
	fl_stream *other = nullptr;
	char got[FL_STREAM_NAME_SIZE];
	CHECK(fl_stream_from_fd(&other, fl_stream_fd(a)) == -EEXIST && other == nullptr);
	CHECK(fl_stream_name(a, got, sizeof got) == 0 && fl_stream_peer_name(a, got, sizeof got) == 0);
	fl_peer_credentials peer;
	CHECK(fl_stream_peer_credentials(a, &peer) == 0 && peer.pid == getpid() && peer.uid == geteuid());
	const int peer_pidfd = fl_stream_peer_pidfd(a);
	CHECK(peer_pidfd >= 0 || peer_pidfd == -ENOTSUP);
	if (peer_pidfd >= 0)
		close(peer_pidfd);
	char data[] = "line\nto:exactly";
	const struct iovec parts[] = {{data, 5}, {data + 5, 10}};
	CHECK(fl_stream_writev(a, parts, 2) == 0 && fl_stream_written(a) == 15);
	CHECK(fl_stream_read_line(b, got, sizeof got) == 5 && std::strcmp(got, "line\n") == 0);
	CHECK(fl_stream_read_to(b, got, sizeof got, ":", 1) == 3 && fl_stream_read_exactly(b, got, 7) == 7);
	CHECK(fl_stream_write(a, "x", 1) == 0 && fl_stream_read(b, got, 1) == 1);
	CHECK(fl_stream_try_write(a, "x", 1) == 1 && fl_stream_try_read(b, got, 1) == 1);
	CHECK(fl_stream_write_until(a, "x", 1, 0, nullptr) == 0);
	CHECK(fl_stream_writev_until(a, parts, 1, 0, nullptr) == 0);
	CHECK(fl_stream_read_until(b, got, 1, 0, nullptr) == 1 && fl_stream_got(b) == 0);
	CHECK(fl_stream_read_exactly_until(b, got, 5, 0, nullptr) == 5);
	CHECK(fl_stream_read_to_until(b, got, 5, "x", 1, 0, nullptr) == -ETIMEDOUT);
	CHECK(fl_stream_read_line_until(b, got, 5, 0, nullptr) == -ETIMEDOUT);
	int fds[] = {0, 1};
	unsigned n_fds = 2;
	CHECK(fl_stream_send_fds(a, "x", 1, fds, 2) == 0);
	CHECK(fl_stream_receive_fds(b, got, sizeof got, fds, &n_fds) == 1 && n_fds == 2);
	close(fds[0]);
	close(fds[1]);
	CHECK(fl_stream_send_fds_until(a, "x", 1, nullptr, 0, 0, nullptr) == 0);
	CHECK(fl_stream_receive_fds_until(b, got, 1, fds, &n_fds, 0, nullptr) == 1 && n_fds == 0);
	CHECK(fl_stream_close_write(a) == 0 && fl_stream_read(b, got, 1) == 0);
	fl_stream_abort(b);
	CHECK(fl_stream_read(b, got, 1) == -ECONNABORTED);
	return 0;
}

static int on_the_net(void *)
{
	FL_SCOPED(fl_listener) *l = nullptr;
	fl_listener *u = nullptr;
	char name[32];
	std::snprintf(name, sizeof name, "@fairlead-cxx17-%d", (int)getpid());
	fl_listen_config config = {};
	config.backlog = 8;
	CHECK(fl_listen_tcp(&l, "127.0.0.1", 0, &config) == 0 && fl_listener_port(l) != 0 && fl_listener_fd(l) >= 0);
	fl_stream *s[5] = {}, *a[3] = {}, *none = nullptr;
	CHECK(fl_try_accept(l, &none) == -EAGAIN);
	CHECK(fl_connect_tcp(&s[0], "127.0.0.1", fl_listener_port(l)) == 0 && fl_accept(l, &a[0]) == 0);
	CHECK(fl_connect_tcp_until(&s[1], "127.0.0.1", fl_listener_port(l), FL_FOREVER, nullptr) == 0);
	CHECK(fl_accept_until(l, &a[1], FL_FOREVER, nullptr) == 0);
	CHECK(fl_listen_unix(&u, name, nullptr) == 0 && fl_connect_unix(&s[2], name) == 0);
	CHECK(fl_try_accept(u, &a[2]) == 0);
	CHECK(fl_connect_unix_until(&s[3], name, 0, nullptr) == 0);
	fl_listener_close(u);
	CHECK(fl_accept(u, &none) == -EPIPE && fl_connect_unix(&s[4], name) == -ECONNREFUSED);
	fl_listener_free(u);
	for (fl_stream *one : s)
		fl_stream_free(one);
	for (fl_stream *one : a)
		fl_stream_free(one);
	fl_address found[FL_ADDRESSES_MAX];
	CHECK(fl_resolve("::1", found, FL_ADDRESSES_MAX) == 1 && std::strcmp(found[0].text, "::1") == 0);
	CHECK(fl_resolve_until("127.0.0.1", found, 1, 0, nullptr) == 1);
	return 0;
}

static int on_datagrams(void *)
{
	FL_SCOPED(fl_datagram) *a = nullptr, *b = nullptr, *u = nullptr, *none = nullptr;
	fl_datagram_config config = {};
	config.reuse_address = true;
	config.interface = "lo";
	CHECK(fl_datagram_open_udp(&a, nullptr, 0, &config) == 0 &&
	      fl_datagram_open_udp(&b, "127.0.0.1", 0, nullptr) == 0);
	CHECK(fl_datagram_open_unix(&u, nullptr) == 0 && fl_datagram_port(u) == 0);
	CHECK(fl_datagram_from_fd(&none, fl_datagram_fd(a)) == -EEXIST && none == nullptr);
	fl_datagram_address to_a, to_b, from, path;
	char text[FL_DATAGRAM_ADDRESS_TEXT_SIZE], got[8];
	unsigned sent = 0;
	CHECK(fl_datagram_address_udp(&to_a, "127.0.0.1", fl_datagram_port(a)) == 0);
	CHECK(fl_datagram_address_udp_until(&to_b, "127.0.0.1", fl_datagram_port(b), 0, nullptr) == 0);
	CHECK(fl_datagram_address_unix(&path, "@name") == 0 && fl_datagram_address_text(&path, text, sizeof text) == 0);
	CHECK(std::strcmp(text, "@name") == 0 && fl_datagram_address_of(b, &from) == 0);
	CHECK(fl_datagram_address_is_equal(&from, &to_b));
	CHECK(fl_datagram_send_to(a, "1", 1, &to_b) == 0 && fl_datagram_receive(b, got, sizeof got, &from) == 1);
	CHECK(fl_datagram_address_is_equal(&from, &to_a));
	CHECK(fl_datagram_send_to_until(a, "2", 1, &to_b, 0, nullptr) == 0);
	CHECK(fl_datagram_receive_until(b, got, sizeof got, nullptr, FL_FOREVER, nullptr) == 1);
	CHECK(fl_datagram_try_receive(b, got, sizeof got, nullptr) == -EAGAIN);
	CHECK(fl_datagram_peer_of(a, &from) == -ENOTCONN && fl_datagram_connect(a, &to_b) == 0);
	CHECK(fl_datagram_peer_of(a, &from) == 0);
	CHECK(fl_datagram_send(a, "3", 1) == 0 && fl_datagram_send_until(a, "4", 1, 0, nullptr) == 0);
	CHECK(fl_datagram_try_send(a, "5", 1) == 0 && fl_datagram_disconnect(a) == 0);
	CHECK(fl_datagram_try_send_to(a, "6", 1, &to_b) == 0);
	fl_datagram_message m[4] = {};
	for (auto &one : m) {
		one.data = got;
		one.size = sizeof got;
		one.address = to_b;
	}
	CHECK(fl_datagram_receive_many(b, m, 4) >= 1);
	while (fl_datagram_try_receive_many(b, m, 4) > 0)
		;
	CHECK(fl_datagram_receive_many_until(b, m, 4, 0, nullptr) == -ETIMEDOUT);
	m[0].address = to_a;
	CHECK(fl_datagram_send_many(b, m, 1, &sent) == 0 && sent == 1);
	CHECK(fl_datagram_send_many_until(b, m, 0, nullptr, 0, nullptr) == 0);
	CHECK(fl_datagram_try_send_many(b, m, 0, &sent) == 0 && sent == 0);
	CHECK(fl_datagram_join(a, "239.255.7.3", "lo", nullptr) == 0);
	CHECK(fl_datagram_leave(a, "239.255.7.3", "lo", nullptr) == 0);
	fl_datagram_close(u);
	CHECK(fl_datagram_fd(u) == -1);
	return 0;
}

static void streams()
{
	CHECK(fl_loop_run(on_streams, nullptr) == 0 && fl_loop_run(on_the_net, nullptr) == 0);
	CHECK(fl_loop_run(on_datagrams, nullptr) == 0);
	fl_stream_free(nullptr);
	fl_datagram_free(nullptr);
}

static int other_fiber(void *)
{
	fl_fiber_yield();
	return 3;
}

static void on_fiber_error(const char *, int)
{
}

static void called_back(void *count)
{
	++*static_cast<int *>(count);
}

static void on_watch(fl_loop_watch *w, int, unsigned events, void *count)
{
	CHECK(fl_loop_watch_change(w, 0) == 0 && (events & FL_LOOP_OUT) != 0);
	fl_loop_watch_stop(w);
	called_back(count);
}

static int in_fibers(void *)
{
	fl_fiber_config config = {};
	config.name = "other";
	fl_fiber *f = nullptr;
	int result = 0, count = 0;
	CHECK(fl_loop_current() != nullptr && fl_fiber_current() != nullptr);
	CHECK(fl_fiber_start(&f, other_fiber, nullptr, &config) == 0 && fl_fiber_is_alive(f));
	CHECK(std::strcmp(fl_fiber_name(f), "other") == 0 && fl_fiber_try_join(f, &result) == -EBUSY);
	fl_on on[] = {FL_ON_FIBER(f)};
	CHECK(fl_wait_any_until(on, 1, FL_FOREVER, nullptr) == 0 && fl_fiber_join(f, &result) == 0 && result == 3);
	CHECK(fl_fiber_start(&f, other_fiber, nullptr, nullptr) == 0);
	fl_fiber_cancel(f);
	CHECK(fl_fiber_join_until(f, &result, FL_FOREVER, FL_SHIELDED) == 0);
	CHECK(fl_fiber_set_error_handler(on_fiber_error) != nullptr &&
	      fl_fiber_set_error_handler(nullptr) == on_fiber_error);
	fl_loop_timer timer = {};
	fl_loop_timer_start(fl_loop_current(), &timer, 0, called_back, &count);
	fl_loop_watch watch = {};
	CHECK(fl_loop_post(fl_loop_current(), called_back, &count) == 0);
	CHECK(fl_loop_watch_start(fl_loop_current(), &watch, fl_loop_fd(fl_loop_current()), FL_LOOP_OUT, on_watch,
	                          &count) == -EINVAL);
	while (count < 2)
		fl_fiber_yield();
	fl_loop_timer_cancel(fl_loop_current(), &timer);
	CHECK(fl_fiber_start(&f, other_fiber, nullptr, nullptr) == 0);
	fl_fiber_detach(f);
	fl_loop_debug_config debug = {};
	debug.slow = FL_S(30);
	CHECK(fl_loop_debug(fl_loop_current(), &debug) == 0 && fl_loop_debug(fl_loop_current(), nullptr) == 0);
	FILE *nowhere = std::fopen("/dev/null", "w");
	fl_loop_dump(fl_loop_current(), nowhere);
	CHECK(std::fclose(nowhere) == 0);
	FL_SCOPED(fl_fiber) *scoped = nullptr;
	CHECK(fl_fiber_start(&scoped, other_fiber, nullptr, nullptr) == 0);
	fl_fiber_free(nullptr);
	return 0;
}

static void loops()
{
	const int signals[] = {10};
	int64_t deadline = 0;
	fl_process_status status = {};
	fl_loop_config config = {};
	FL_SCOPED(fl_loop) *l = nullptr;
	CHECK(fl_loop_run(in_fibers, nullptr) == 0);
	CHECK(fl_loop_create(&l, &config) == 0 && fl_loop_run_on(l, in_fibers, nullptr) == 0);
	CHECK(fl_loop_run_once(l, &deadline) == 0);
	fl_loop_cancel(l);
	fl_loop_free(nullptr);
	CHECK(fl_fd_wait_until(-1, FL_FD_IN, 0, nullptr) == -EBADF && fl_fd_wait(-1, FL_FD_OUT) == -EBADF);
	CHECK(fl_child_wait(0, &status) == -EINVAL && fl_child_wait_until(0, &status, 0, nullptr) == -EINVAL);
	FL_SCOPED(fl_signals) *s = nullptr;
	CHECK(fl_signals_create(&s, signals, 1) == 0 && fl_signals_fd(s) >= 0 && fl_signals_try_wait(s) == -EAGAIN);
	CHECK(fl_signals_wait_until(s, 0, nullptr) == -ETIMEDOUT);
	fl_signals *none = nullptr;
	fl_signals_free(none);
	int (*wait)(fl_signals *) = fl_signals_wait;
	CHECK(wait != nullptr);
}

static int joined(void *count)
{
	++*static_cast<int *>(count);
	return 0;
}

static int looped(void *, size_t from, size_t to)
{
	return from < to ? 0 : -1;
}

static int add_up(void *, size_t from, size_t to, void *value)
{
	for (; from < to; from++)
		*static_cast<int *>(value) += static_cast<int>(from);
	return 0;
}

static void add(void *, void *left, const void *right)
{
	*static_cast<int *>(left) += *static_cast<const int *>(right);
}

static void joins()
{
	int f = 0, g = 0;
	CHECK(fl_parallel_invoke(joined, &f, joined, &g) == 0 && f == 1 && g == 1);
	FL_SCOPED(fl_executor) *e = nullptr;
	CHECK(fl_thread_executor_create(&e, nullptr) == 0);
	fl_parallel_config config = {};
	config.grain = 3;
	CHECK(fl_parallel_for(e, 0, 10, looped, nullptr, &config) == 0);
	const int zero = 0;
	fl_reduction sum = {};
	sum.size = sizeof f;
	sum.identity = &zero;
	sum.body = add_up;
	sum.combine = add;
	CHECK(fl_parallel_reduce(e, 0, 10, &sum, nullptr, &f, nullptr) == 0 && f == 45);
}

static void task_groups()
{
	CHECK(fl_loop_run(in_groups, nullptr) == 0 && fl_loop_run(as_they_complete, nullptr) == 0);
}

static void debugging()
{
	CHECK(fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS) == 0 && fl_debug_modes() != 0);
	const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	fl_debug_dump(nowhere);
	fl_debug_contention(nowhere);
	close(nowhere);
	CHECK(fl_debug_dump_on(0) == -EINVAL && fl_debug_enable(0) == 0);
}

struct sides {
	int a, b;
};
static int dropped;
static void drop_one(void *)
{
	dropped++;
}

FL_TASK(area, struct sides, long, .version = 2, .drop_arg = drop_one)
{
	if (arg->a < 0)
		return fl_task_fail(ctx, -EDOM, "%d is no length", arg->a);
	*result = (long)arg->a * arg->b;
	return 0;
}

FL_TASK_STATIC(nothing, void, void)
{
	return 0;
}

FL_TASK_DECLARE(one_more, int, int)
FL_TASK_DEFINE(one_more, int, int)
{
	*result = *arg + 1;
	return 0;
}

static void typed_tasks()
{
	FL_SCOPED(fl_executor) *e = nullptr;
	FL_SCOPED(fl_future) *f = nullptr, *g = nullptr, *h = nullptr;
	CHECK(fl_thread_executor_create(&e, nullptr) == 0);
	CHECK(area.version == 2 && fl_task_find("area") == &area && nothing.arg_size == 0);
	long value = 0;
	CHECK(area_submit(e, {6, 7}, &f) == 0 && area_get(f, &value) == 0 && value == 42);
	CHECK(area_submit(e, {-1, 7}, &g) == 0 && area_get_until(g, &value, FL_FOREVER, nullptr) == FL_ETASK);
	CHECK(std::strcmp(fl_future_message(g), "-1 is no length") == 0);
	CHECK(nothing_submit(e, &h) == 0 && nothing_get(h) == 0);
	FL_IGNORE(fl_future_try_wait(f));
	const int numbers[] = {1, 2, 3};
	int more[3] = {};
	CHECK(one_more_map(e, numbers, 3, more, nullptr) == 0 && more[0] == 2 && more[2] == 4);
	CHECK(fl_executor_join(e) == 0 && dropped == 2);
}

int seven(void *arg)
{
	return *static_cast<int *>(arg);
}

void context_variables()
{
	static int one = 1, two = 2;
	static fl_context_var number = FL_CONTEXT_VAR_INIT(&one, nullptr);
	fl_context_token token = FL_CONTEXT_TOKEN_INIT;
	fl_context_values values = FL_CONTEXT_VALUES_INIT;
	int n = 7;
	CHECK(fl_context_var_get(&number) == &one && fl_context_var_set(&number, &two, &token) == 0);
	fl_context_values_copy(&values);
	CHECK(fl_context_var_get(&number) == &two && fl_context_values_run(&values, seven, &n) == 7);
	fl_context_values_free(&values);
	fl_context_var_reset(&token);
	CHECK(fl_context_var_get(&number) == &one);
}

int main(int argc, char **argv)
{
	fl_main(argc, argv);
	CHECK(std::strcmp(fl_version(), FL_VERSION) == 0 && fl_cpu_count() >= 1);
	fl_set_panic_handler(on_panic);
	fl_set_log_handler(on_log);
	CHECK(fl_set_panic_handler(nullptr) == on_panic && fl_set_log_handler(nullptr) == on_log);
	fl_set_allocator(nullptr);
	CHECK(std::strcmp(fl_error_name(FL_ETASK), "FL_ETASK") == 0 && fl_error_text(-EPIPE) != nullptr);
	CHECK(fl_now() < fl_after(FL_MS(1)) && fl_sleep(FL_US(1)) == 0 && fl_sleep_until(0, nullptr) == 0);
	joins();
	mutexes();
	spin_locks();
	sequence_locks();
	rwlocks();
	shared_locks();
	cancelling();
	conditions();
	counters();
	eventcounts();
	shared_counters();
	waiting_for_any();
	typed_queue();
	lists();
	untyped_queue();
	ordered_queues();
	rings();
	typed_rings();
	untyped_mpmc_unbounded();
	typed_lists();
	shm_queues();
	processes();
	pipes();
	executors();
	typed_tasks();
	threads();
	context_variables();
	timers();
	loops();
	task_groups();
	streams();
	timeouts();
	regions();
	debugging();
	CHECK(fl_perror(-EIO, "this line is expected") == EXIT_FAILURE);
	std::puts("ok");
}
