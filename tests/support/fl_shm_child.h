/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_CHILD_H
#define FL_SHM_CHILD_H

/*
 * Memory and locks that the test shares with its children, which may be killed (fl_child.h).
 *
 *     FL_TEST_SHARED(struct board, b);                // a pointer, until the end of the block
 *     pid_t pid = fl_test_fork(hold, b);
 *     FL_WAIT_FOR(fl__load_acquire(&b->held));
 *     fl_test_kill(pid);                              // reaped: the kernel has released its locks
 */
#include "fl_child.h"

#include "process/shm/shm_queue.h"

struct fl_test_shared {
	void *memory;
	size_t size;
};

static inline struct fl_test_shared fl_test_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(memory != MAP_FAILED);
	return (struct fl_test_shared){memory, size};
}

static inline void fl_test_unshare(const struct fl_test_shared *s)
{
	FL_OK(munmap(s->memory, s->size));
}

/* `name` points to zeroed memory that forked children share, until the end of the block. */
#define FL_TEST_SHARED(type, name) FL_TEST_SHARED_MANY(type, name, 1)

/* Does the same for an array of `n`. */
#define FL_TEST_SHARED_MANY(type, name, n)                                                                             \
	__attribute__((cleanup(fl_test_unshare))) const struct fl_test_shared name##_shared =                          \
	    fl_test_share((n) * sizeof(type));                                                                         \
	type *const name = name##_shared.memory

static inline fl_shm *region_of(size_t size)
{
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, size));
	return region;
}

/* Calls that put or get many items, with and without waiting, for FL_MANY and FL_MOVED. */
static inline int shm_put_many(fl_shm_queue *q, const void *items, size_t n, size_t *count)
{
	return fl_shm_queue_put_many_until(q, items, n, count, FL_FOREVER, NULL);
}

static inline int shm_try_put_many(fl_shm_queue *q, const void *items, size_t n, size_t *count)
{
	return fl_shm_queue_put_many_until(q, items, n, count, FL_NO_WAIT, FL_SHIELDED);
}

static inline int shm_get_many(fl_shm_queue *q, void *items, size_t n, size_t *count)
{
	return fl_shm_queue_get_many_until(q, items, n, count, FL_FOREVER, NULL);
}

static inline int shm_try_get_many(fl_shm_queue *q, void *items, size_t n, size_t *count)
{
	return fl_shm_queue_get_many_until(q, items, n, count, FL_NO_WAIT, FL_SHIELDED);
}

static inline unsigned fl_test_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* The three calls that lock, numbered 0 to 2. */
static inline int fl_test_lock_by(fl_shm_mutex *m, int form)
{
	if (form == 0)
		return fl_shm_mutex_lock(m);
	return form == 1 ? fl_shm_mutex_try_lock(m) : fl_shm_mutex_lock_until(m, FL_NO_WAIT, NULL);
}

/* Checks that the mutex is free and works. */
static inline void fl_test_locks(fl_shm_mutex *m)
{
	FL_OK(fl_shm_mutex_lock(m));
	fl_shm_mutex_unlock(m);
}

/* Called after an owner has died: locks, recovers, and unlocks. */
static inline void fl_test_recover(fl_shm_mutex *m)
{
	FL_RC(fl_shm_mutex_lock(m), -EOWNERDEAD);
	fl_shm_mutex_recover(m);
	fl_shm_mutex_unlock(m);
}

/* Whether a context of any process sleeps on the lock, or is about to. */
static inline bool fl_test_is_slept_on(const uint64_t *lock)
{
	struct fl__shm_lock *l = (struct fl__shm_lock *)(void *)(uintptr_t)lock;
	return (fl__load_acquire(fl__shm_word(l)) & FL__SHM_WAITERS) != 0;
}

/*
 * Whether the system reports a death, as emulators do not. Otherwise the cases that need such a
 * report skip().
 */
static inline bool fl_test_has_deaths(void)
{
	return fl__shm_self()->list != NULL;
}

#define FL_TEST_NEEDS_DEATHS()                                                                                         \
	do {                                                                                                           \
		if (!fl_test_has_deaths())                                                                             \
			FL_SKIP("the system tells of no death");                                                       \
	} while (0)

/* For the tests of queues, also in shared memory. */

/* Bytes that depend on their place and on the seed. */
static inline void fl_test_seeded(unsigned char *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

#define SHM_FN __attribute__((unused)) static

SHM_FN fl_shm_queue *items_in(fl_shm *region, size_t item_size, size_t capacity)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = item_size, .capacity = capacity}));
	return q;
}

SHM_FN fl_shm_queue *frames_in(fl_shm *region, size_t bytes)
{
	fl_shm_queue *q = NULL;
	FL_OK(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.frame_bytes = bytes}));
	return q;
}

/* A region with a queue, of items or of frames, until the end of the block. */
#define SHM_ITEMS(region, q, item_size, capacity)                                                                      \
	FL_SCOPED(fl_shm) *region = region_of(4096);                                                                   \
	FL_SCOPED(fl_shm_queue) *q = items_in(region, item_size, capacity)
#define SHM_FRAMES(region, q, bytes)                                                                                   \
	FL_SCOPED(fl_shm) *region = region_of(4096);                                                                   \
	FL_SCOPED(fl_shm_queue) *q = frames_in(region, bytes)

/* Puts an int, for which there is room. */
#define SHM_PUTS(q, item) FL_OK(fl_shm_queue_put(q, &(int){item}))

/* The ring behind a handle. */
SHM_FN struct fl__shm_ring *ring_in(fl_shm *region, fl_shm_queue *q)
{
	return fl_shm_at(region, fl_shm_queue_offset(q), sizeof(struct fl__shm_ring));
}

/* True if a process sleeps in the queue, or is about to. */
SHM_FN bool is_awaited(struct fl__shm_wait_queue *queue)
{
	return fl__load_relaxed(&queue->waiting) != 0;
}

#endif
