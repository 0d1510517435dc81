/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that overwrites what it shares with this one: errors, no crash, no endless loop, no
 * write outside the region.
 */
#include "fl_faults.h"
#include "fl_process.h"
#include "fl_shm_child.h"

#include "process/shm/shm_region.h"

/* Private memory, whose address the other process knows. */
enum { CANARIES = 512 };
static uint64_t canary[CANARIES];

static bool canary_lives(void)
{
	FL_EACH (i, canary)
		if (fl__load_relaxed(&canary[i]) != 0)
			return false;
	return true;
}

static bool list_is_empty(void)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	return fl__shm_self()->held == 0 && (!list || (list->first == (const void *)list && !list->pending));
}

/* One lock of each kind, held, and what a peer writes to it. */

struct locks {
	fl_shm_mutex mutex, recursive;
};

static void lock_all(struct locks *l)
{
	fl_shm_mutex_init_recursive(&l->recursive);
	FL_OK(fl_shm_mutex_lock(&l->mutex));
	FL_OK(fl_shm_mutex_lock(&l->recursive));
	FL_OK(fl_shm_mutex_lock(&l->recursive));
}

static void unlock_all(struct locks *l)
{
	fl_shm_mutex_unlock(&l->mutex);
	assert_int_equal(fl_shm_mutex_depth(&l->recursive), 2);
	fl_shm_mutex_unlock(&l->recursive);
	fl_shm_mutex_unlock(&l->recursive);
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
	FL_TEST_SHARED(struct locks, l);
	PROCESS_LOG();
	FL_EACH (i, values) {
		memset(l, 0, sizeof *l);
		lock_all(l);
		overwrite_locks(l, values[i]);
		unlock_all(l);
		assert_true(canary_lives() && list_is_empty());
	}
}

/* A lock that its owner finds free, and locks again: each lock has its unlock. */
FL_TEST(shm_mutex_peer_frees_it)
{
	FL_TEST_SHARED(struct locks, l);
	PROCESS_LOG();
	for (int i = 0; i < 2; i++) {
		memset(l, 0, sizeof *l);
		FL_OK(fl_shm_mutex_lock(&l->mutex));
	}
	for (int i = 0; i < 2; i++)
		fl_shm_mutex_unlock(&l->mutex);
	assert_true(list_is_empty());
	FL_PANICS(fl_shm_mutex_unlock(&l->mutex));
}

/* What the owner was told counts: recover() after a death that the lock no longer shows. */
FL_TEST(shm_mutex_peer_hides_a_death)
{
	FL_TEST_SHARED(struct locks, l);
	*fl__shm_word(fl__shm_lock_at(l->mutex.lock_)) = FL__SHM_DIED;
	FL_RC(fl_shm_mutex_lock(&l->mutex), -EOWNERDEAD);
	fl__shm_lock_at(l->mutex.lock_)->words_[FL__SHM_STATE] = 0;
	fl_shm_mutex_recover(&l->mutex);
	FL_PANICS(fl_shm_mutex_recover(&l->mutex));
	fl_shm_mutex_unlock(&l->mutex);
	assert_true(list_is_empty());
}

/* The array's mutex is in its head. */
FL_TEST(shm_array_peer_pointer)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	fl_shm_array a;
	FL_OK(fl_shm_array_create(&a, region, 8, 4));
	PROCESS_LOG();
	FL_OK(fl_shm_mutex_lock(fl_shm_array_mutex(&a)));
	uint64_t *words = (uint64_t *)fl_shm_at(region, fl_shm_array_offset(&a), 128);
	for (size_t i = 0; i < 16; i++)
		words[i] = (uintptr_t)&canary[i + 1];
	fl_shm_mutex_unlock(fl_shm_array_mutex(&a));
	assert_int_equal(fl_shm_array_length(&a), 4);
	assert_true(canary_lives() && list_is_empty());
}

/* The records of more than a few locks are allocated. A thread keeps the room that it has had. */

FL_TEST(shm_lock_records_need_memory)
{
	const uint32_t few = fl__shm_self()->room;
	fl_shm_mutex more = FL_SHM_MUTEX_INIT;
	FL_TEST_SHARED_MANY(fl_shm_mutex, m, few);
	fl_shm_mutex recursive = FL_SHM_MUTEX_RECURSIVE_INIT;
	FL_FAULTS();
	for (uint32_t i = 0; i < few; i++)
		FL_OK(fl_shm_mutex_lock(&m[i]));
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_shm_mutex_try_lock(&more), -ENOMEM);
	FL_RC(fl_shm_mutex_lock_until(&more, FL_NO_WAIT, NULL), -ENOMEM);
	FL_RC(fl_shm_mutex_try_lock(&recursive), -ENOMEM);
	FL_RC(fl_shm_mutex_lock_until(&recursive, FL_NO_WAIT, NULL), -ENOMEM);
	fl_shm_mutex_unlock(&m[0]);
	fl__sys.alloc = fl_test_real_sys.alloc;
	fl_test_locks(&more);
	for (uint32_t i = 1; i < few; i++)
		fl_shm_mutex_unlock(&m[i]);
	assert_true(list_is_empty());
}

enum { SOME = FL__SHM_HOLDS + 1 };

/* Returns how many of the mutexes it could lock. */
static void *lock_some(void *mutexes)
{
	fl_shm_mutex *m = mutexes;
	uintptr_t n = 0;
	while (n < SOME && fl_shm_mutex_lock(&m[n]) == 0)
		n++;
	for (uintptr_t i = 0; i < n; i++)
		fl_shm_mutex_unlock(&m[i]);
	return (void *)n;
}

static uintptr_t lock_some_in_a_thread(fl_shm_mutex *m)
{
	return (uintptr_t)fl_test_foreign(lock_some, m);
}

/* The next thread uses the memory of a thread that has ended. */
FL_TEST(shm_lock_records_of_an_ended_thread)
{
	FL_TEST_SHARED_MANY(fl_shm_mutex, m, SOME);
	FL_FAULTS();
	assert_int_equal(lock_some_in_a_thread(m), SOME);
	fl__sys.alloc = fl_test_no_memory;
	assert_int_equal(lock_some_in_a_thread(m), SOME);
}

/* The child has no block of its thread, which then ends. */
FL_TEST(shm_lock_records_of_a_forked_thread)
{
	fl_test_needs_threads_in_children();
	FL_TEST_SHARED_MANY(fl_shm_mutex, m, SOME);
	int status = 0;
	assert_int_equal((uintptr_t)lock_some(m), SOME);
	pid_t child = fork();
	if (child == 0)
		pthread_exit(NULL);
	assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
}

/* A deadline holds, although the word that is waited for changes for ever. */

FL_TEST_FUTEX_WAIT(never_the_same)
{
	return -EAGAIN;
}

FL_TEST(shm_deadline_holds_while_a_peer_changes_the_word)
{
	FL_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(65536);
	fl_shm_mutex *m = fl_shm_block_alloc(region, sizeof *m);
	fl_shm_sem *s = fl_shm_block_alloc(region, sizeof *s);
	fl_shm_event *e = fl_shm_block_alloc(region, sizeof *e);
	*fl__shm_word(fl__shm_lock_at(m->lock_)) = fl__shm_self()->tid ^ 1;
	fl__sys.shared_wait = never_the_same;
	FL_RC(fl_shm_mutex_lock_until(m, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_sem_acquire_until(s, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_event_wait_until(e, fl_test_soon(), NULL), -ETIMEDOUT);
}

/*
 * An owner that dies after the waiter's first question, and whose lock the kernel does not free:
 * the waiter asks again.
 */

static unsigned questions;

FL_TEST_FUTEX_WAIT(sleep_until_the_question)
{
	FL_CHECK(deadline != FL__NEVER);
	return -ETIMEDOUT;
}

static bool exists_at_first(uint32_t thread)
{
	return ++questions < 3;
}

FL_TEST(shm_lock_owner_that_the_kernel_does_not_free)
{
	FL_TEST_SHARED(fl_shm_mutex, m);
	FL_FAULTS();
	*fl__shm_word(fl__shm_lock_at(m->lock_)) = fl__shm_self()->tid ^ 1;
	fl__sys.shared_wait = sleep_until_the_question;
	questions = 0;
	fl__sys.thread_exists = exists_at_first;
	FL_RC(fl_shm_mutex_lock(m), -EOWNERDEAD);
	assert_int_equal(questions, 3);
	fl_shm_mutex_recover(m);
	fl_shm_mutex_unlock(m);
}

/*
 * The fuzzer. The peer, a process, overwrites the objects of a region with random words, and now
 * and then with their first contents, while threads of this process use them.
 *
 *     FL_TEST_PEER_SECONDS=600 build/asan/tests/test_shm_peer shm_peer_overwrites_everything
 */

enum { MUTEXES = 4, BLOCKS = 32, ROOM = 48, STUCK_S = 100 };

#ifdef FL__ASAN
enum { SECONDS = 20 };
#else
enum { SECONDS = 1 };
#endif

/* ThreadSanitizer would report the threads that a damaged lock lets in together. */
#ifdef FL__TSAN
enum { VICTIMS = 1 };
#else
enum { VICTIMS = 2 };
#endif

struct objects {
	fl_shm_mutex mutex[MUTEXES], recursive;
	fl_shm_cond cond;
	fl_shm_event event;
	fl_shm_sem sem;
	fl_shm_barrier barrier;
	struct {
		fl_shm_value value;
		uint64_t copies[2 * 3];
	} value;
};

static struct fuzz {
	fl_shm *region;
	struct objects *o;
	fl_shm_queue *items, *frames;
	fl_shm_array array;
	fl_shm_offset offsets[4]; /* of the objects, the queues and the array */
	size_t size;
	uint64_t *first; /* the contents of the region before the peer begins */
	uint32_t stop, tid;
} fuzz;

struct victim {
	uint32_t seed;
	bool mutex[MUTEXES], recursive, robust;
	pthread_mutex_t theirs;
	void *blocks[BLOCKS];
	uint64_t calls, errors;
};

/* The peer. */

static uint64_t peer_word(uint32_t *seed, uint64_t old)
{
	const uint64_t random =
	    (uint64_t)fl_test_random(seed) << 40 ^ (uint64_t)fl_test_random(seed) << 16 ^ fl_test_random(seed);
	switch (fl_test_random(seed) % 10) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return random % 64;
	case 3:
		return (uintptr_t)&canary[random % CANARIES];
	case 4:
		return fuzz.tid | (random & (FL__SHM_WAITERS | FL__SHM_DIED));
	case 5:
		return (uintptr_t)fuzz.region->head + random % fuzz.size / 8 * 8;
	case 6:
		return fuzz.offsets[random % 4];
	case 7:
	case 8:
		return old ^ UINT64_C(1) << random % 64;
	default:
		return random;
	}
}

static int run_peer(void *unused)
{
	enum { BURST = 32, PAUSE_MOST = 4096, NEAR = 4096 };
	uint64_t *words = (uint64_t *)(void *)fuzz.region->head;
	uint32_t seed = (uint32_t)getpid();
	const pid_t parent = getppid();
	(void)unused, (void)alarm(0);
	while (getppid() == parent) {
		const size_t n = fuzz.size / sizeof *words, near = NEAR / sizeof *words;
		for (unsigned i = 0; i < BURST; i++) {
			/* mostly where the objects are, and not in the free rest */
			size_t at = fl_test_random(&seed) % n;
			if (fl_test_random(&seed) % 8 > 0)
				at = fuzz.offsets[fl_test_random(&seed) % 4] / sizeof *words +
				     fl_test_random(&seed) % near;
			at %= n;
			const uint64_t word = peer_word(&seed, fl__load_relaxed(&words[at]));
			if (fl_test_random(&seed) % 2)
				fl__store_relaxed(&words[at], word);
			else
				fl__store_relaxed((uint32_t *)(void *)&words[at] + fl_test_random(&seed) % 2,
				                  (uint32_t)word);
		}
		if (fl_test_random(&seed) % 2)
			for (size_t i = 0; i < n; i++)
				fl__store_relaxed(&words[i], fl__load_relaxed(&fuzz.first[i]));
		for (unsigned i = fl_test_random(&seed) % PAUSE_MOST; i > 0; i--)
			fl__sys.relax();
	}
	return 0;
}

/* The victim. */

static fl_time soon(struct victim *v)
{
	return fl_test_random(&v->seed) % 4 ? FL_NO_WAIT : fl_after(FL_US(200));
}

/* The results that the headers name. */
static int judge(struct victim *v, int rc)
{
	static const int known[] = {EOWNERDEAD, ENOTRECOVERABLE, EDEADLK, ETIMEDOUT, ESTALE,
	                            EAGAIN,     EBADMSG,         EPIPE,   EMSGSIZE,  EINVAL,
	                            EOVERFLOW,  ENOMEM,          EPERM,   EPROTO,    EPROTONOSUPPORT};
	bool is_known = rc >= 0;
	FL_EACH (i, known)
		is_known |= rc == -known[i];
	FL_CHECK(is_known);
	fl__store_relaxed(&v->errors, v->errors + (rc < 0));
	return rc;
}

static bool is_locked(struct victim *v, int rc)
{
	return judge(v, rc) == 0 || rc == -EOWNERDEAD;
}

static void use_mutex(struct victim *v)
{
	const unsigned i = fl_test_random(&v->seed) % MUTEXES;
	fl_shm_mutex *m = &fuzz.o->mutex[i];
	if (v->mutex[i] && fl_test_random(&v->seed) % 2) {
		const int rc = judge(v, fl_shm_cond_wait_until(&fuzz.o->cond, m, soon(v), NULL));
		v->mutex[i] = rc != -ENOTRECOVERABLE;
		FL_CHECK(v->mutex[i] == fl_shm_mutex_depth(m));
	} else if (v->mutex[i]) {
		fl_shm_mutex_unlock(m);
		v->mutex[i] = false;
	} else {
		const int rc =
		    fl_test_random(&v->seed) % 2 ? fl_shm_mutex_try_lock(m) : fl_shm_mutex_lock_until(m, soon(v), NULL);
		v->mutex[i] = is_locked(v, rc);
		if (rc == -EOWNERDEAD && fl_test_random(&v->seed) % 2)
			fl_shm_mutex_recover(m);
	}
	fl_shm_cond_broadcast(&fuzz.o->cond);
}

static void use_recursive(struct victim *v)
{
	fl_shm_mutex *m = &fuzz.o->recursive;
	if (v->recursive) {
		if (is_locked(v, fl_shm_mutex_try_lock(m)))
			fl_shm_mutex_unlock(m);
		fl_shm_mutex_unlock(m);
		v->recursive = false;
		return;
	}
	v->recursive = is_locked(v, fl_shm_mutex_lock_until(m, soon(v), NULL));
}

/* A robust mutex of the C library, in the same list, private to the victim. */
static void use_theirs(struct victim *v)
{
	FL_CHECK((v->robust ? pthread_mutex_unlock : pthread_mutex_lock)(&v->theirs) == 0);
	v->robust = !v->robust;
}

static void use_words(struct victim *v)
{
	struct objects *o = fuzz.o;
	uint64_t value[3] = {1, 2, 3};
	(void)judge(v, fl_shm_event_set(&o->event));
	fl_shm_event_reset(&o->event);
	(void)judge(v, fl_shm_event_wait_until(&o->event, soon(v), NULL));
	(void)judge(v, fl_shm_sem_release(&o->sem));
	(void)judge(v, fl_shm_sem_acquire_until(&o->sem, soon(v), NULL));
	(void)judge(v, fl_shm_barrier_wait_until(&o->barrier, soon(v), NULL));
	(void)judge(v, fl_shm_barrier_reset(&o->barrier));
	(void)judge(v, fl_shm_value_set(&o->value.value, value, sizeof value));
	(void)fl_shm_value_get(&o->value.value, value, sizeof value);
}

static void use_items(struct victim *v)
{
	uint64_t *items = malloc(ROOM * sizeof *items); /* of its own, for ASan */
	size_t n = 0;
	FL_CHECK(items != NULL);
	memset(items, 1, ROOM * sizeof *items);
	(void)judge(v, fl_shm_queue_put_many_until(fuzz.items, items, ROOM, &n, soon(v), NULL));
	FL_CHECK(n <= ROOM);
	(void)judge(v, fl_shm_queue_try_put(fuzz.items, items));
	(void)judge(v, fl_shm_queue_get_many_until(fuzz.items, items, ROOM, &n, soon(v), NULL));
	FL_CHECK(n <= ROOM && fl_shm_queue_length(fuzz.items) <= fl_shm_queue_capacity(fuzz.items));
	(void)judge(v, fl_shm_queue_task_done(fuzz.items));
	(void)judge(v, fl_shm_queue_join_until(fuzz.items, soon(v), NULL));
	if (fl_test_random(&v->seed) % 64 == 0)
		(void)judge(v, fl_shm_queue_close_now(fuzz.items, &n));
	free(items);
}

static void use_frames(struct victim *v)
{
	char *frame = malloc(ROOM);
	size_t size = 0;
	FL_CHECK(frame != NULL);
	memset(frame, 1, ROOM);
	(void)judge(v,
	            fl_shm_queue_put_frame_until(fuzz.frames, frame, fl_test_random(&v->seed) % ROOM, soon(v), NULL));
	const int rc = judge(v, fl_shm_queue_get_frame_until(fuzz.frames, frame, ROOM, &size, soon(v), NULL));
	FL_CHECK(rc != 0 || size <= ROOM);
	free(frame);
}

static void use_arena(struct victim *v)
{
	void **block = &v->blocks[fl_test_random(&v->seed) % BLOCKS];
	if (*block) {
		fl_shm_block_free(fuzz.region, *block);
		*block = NULL;
		return;
	}
	const size_t size = fl_test_random(&v->seed) % 2000 + 1;
	*block = fl_shm_block_alloc_raw(fuzz.region, size);
	FL_CHECK(!*block || fl_shm_at(fuzz.region, fl_shm_offset_of(fuzz.region, *block), size) == *block);
}

/* What a process does that meets the region: by an endpoint, or by its descriptor. */
static void use_records(struct victim *v)
{
	fl_shm *again = NULL;
	fl_shm_queue *q = NULL;
	fl_shm_array a;
	if (judge(v, fl_shm_attach(&again, fl_shm_fd(fuzz.region))) != 0)
		return;
	const fl_shm_offset root = fl_shm_root(again);
	FL_CHECK(root == 0 || fl_shm_at(again, root, 0) != NULL);
	if (judge(v, fl_shm_queue_attach(&q, again, fl_test_random(&v->seed) % 2 ? root : fuzz.offsets[1])) == 0) {
		uint64_t item[8192 / 8];
		if (fl_shm_queue_item_size(q) > 0 && fl_shm_queue_item_size(q) <= sizeof item)
			(void)judge(v, fl_shm_queue_try_get(q, item));
		fl_shm_queue_free(q);
	}
	if (judge(v, fl_shm_array_attach(&a, again, fuzz.offsets[3], 8)) == 0)
		*(volatile uint64_t *)fl_shm_array_at(&a, fl_shm_array_length(&a) - 1, 8) = 1;
	fl_shm_free(again);
}

static void release_all(struct victim *v)
{
	for (unsigned i = 0; i < MUTEXES; i++)
		if (v->mutex[i])
			fl_shm_mutex_unlock(&fuzz.o->mutex[i]);
	if (v->recursive)
		fl_shm_mutex_unlock(&fuzz.o->recursive);
	if (v->robust)
		use_theirs(v);
	FL_CHECK(list_is_empty());
}

static int run_victim(void *arg)
{
	static void (*const uses[])(struct victim *) = {use_mutex, use_mutex,  use_mutex, use_recursive, use_theirs,
	                                                use_words, use_frames, use_items, use_arena,     use_records};
	struct victim *v = arg;
	pthread_mutexattr_t attr;
	FL_OK(pthread_mutexattr_init(&attr));
	FL_OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	FL_OK(pthread_mutex_init(&v->theirs, &attr));
	FL_OK(pthread_mutexattr_destroy(&attr));
	while (!fl__load_relaxed(&fuzz.stop)) {
		uses[fl_test_random(&v->seed) % (sizeof uses / sizeof uses[0])](v);
		fl__store_relaxed(&v->calls, v->calls + 1);
	}
	release_all(v);
	FL_OK(pthread_mutex_destroy(&v->theirs));
	return 0;
}

/* Sleeps in short pieces: the peer wakes none of those whose words it changes. */
FL_TEST_FUTEX_WAIT(wait_briefly)
{
	const int rc =
	    fl_test_real_sys.shared_wait(word, expected, fl__min_deadline(deadline, fl_after(FL_US(200)).ns));
	return rc == -ETIMEDOUT && deadline == FL__NEVER ? -EINTR : rc;
}

static void make_objects(void)
{
	fuzz.region = region_of(65536);
	FL_OK(fl_shm_queue_create(&fuzz.items, fuzz.region, &(fl_shm_queue_config){.item_size = 8, .capacity = 100}));
	FL_OK(fl_shm_queue_create(&fuzz.frames, fuzz.region, &(fl_shm_queue_config){.frame_bytes = 300}));
	FL_OK(fl_shm_array_create(&fuzz.array, fuzz.region, 8, 10));
	fuzz.o = fl_shm_block_alloc(fuzz.region, sizeof *fuzz.o);
	assert_non_null(fuzz.o);
	FL_OK(fl_shm_barrier_init(&fuzz.o->barrier, 2));
	fl_shm_mutex_init_recursive(&fuzz.o->recursive);
	fuzz.offsets[0] = fl_shm_offset_of(fuzz.region, fuzz.o);
	fuzz.offsets[1] = fl_shm_queue_offset(fuzz.items);
	fuzz.offsets[2] = fl_shm_queue_offset(fuzz.frames);
	fuzz.offsets[3] = fl_shm_array_offset(&fuzz.array);
	FL_OK(fl_shm_set_root(fuzz.region, fuzz.offsets[1]));
	fuzz.size = (size_t)fuzz.region->total;
	fuzz.first = malloc(fuzz.size);
	assert_non_null(fuzz.first);
	memcpy(fuzz.first, fuzz.region->head, fuzz.size);
	fuzz.tid = fl__shm_self()->tid;
}

static void free_objects(void)
{
	fl_shm_queue_free(fuzz.items);
	fl_shm_queue_free(fuzz.frames);
	fl_shm_free(fuzz.region);
	free(fuzz.first);
}

static int64_t fuzz_time(void)
{
	const char *seconds = getenv("FL_TEST_PEER_SECONDS");
	return FL_S(seconds ? atoi(seconds) : SECONDS);
}

/*
 * Ends the process if no victim returns from its calls. On a slow machine a victim may meet its
 * first error after the time.
 */
static void watch(const struct victim *victims)
{
	const fl_time end = fl_after(fuzz_time());
	while (!fl_time_is_past(end)) {
		for (unsigned i = 0; i < VICTIMS; i++) {
			const uint64_t before = fl__load_relaxed(&victims[i].calls);
			(void)alarm(STUCK_S);
			while (!fl_time_is_past(end) && fl__load_relaxed(&victims[i].calls) == before)
				FL_OK(fl_sleep(FL_MS(1)));
		}
		FL_CHECK(canary_lives());
	}
	for (unsigned i = 0; i < VICTIMS; i++)
		FL_WAIT_FOR(fl__load_relaxed(&victims[i].errors) > 0);
	fl__store_relaxed(&fuzz.stop, 1);
}

FL_TEST(shm_peer_overwrites_everything)
{
	struct victim victims[VICTIMS] = {{.seed = 1}};
	fl_thread *threads[VICTIMS];
	FL_FAULTS();
	make_objects();
	fl__sys.shared_wait = wait_briefly;
	PROCESS_LOG();
	const pid_t peer = fl_test_fork(run_peer, NULL);
	FL_EACH (i, threads)
		fl_test_go(&threads[i], run_victim, &victims[i]);
	watch(victims);
	FL_END_ALL(threads);
	(void)alarm(0);
	fl_test_kill(peer);
	assert_true(canary_lives());
	free_objects();
}
