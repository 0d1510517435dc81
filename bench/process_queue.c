/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between two processes: Fairlead's shared queue, what the kernel has (POSIX message
 * queue, pipe, Unix socket), a ring under a process-shared mutex with conditions, and, as the
 * floor, a ring for one producer and one consumer that spins 200 times and then sleeps on a futex:
 * what the hardware and the kernel ask for when no process is ever killed.
 */
#include "process_pair.h"

#include <ck_pr.h>
#include <errno.h>
#include <fairlead/shm.h>
#include <fairlead/shm_queue.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPACITY = 128 };

/* The handles are private: the partner has its copies of them from the fork. */
typedef struct fairlead_channel {
	fl_shm *region;
	fl_shm_queue *small, *large;
} fairlead_channel;

static void fairlead_open(fairlead_channel *c)
{
	fl_shm_queue_config small = {.capacity = CAPACITY, .item_size = sizeof(uint64_t)};
	fl_shm_queue_config large = {.capacity = CAPACITY, .item_size = ONE_WAY_BYTES};
	if (fl_shm_create(&c->region, 1 << 20) || fl_shm_queue_create(&c->small, c->region, &small) ||
	    fl_shm_queue_create(&c->large, c->region, &large))
		bench_fail("fairlead: no shared queue");
}

static inline void fairlead_send(fairlead_channel *c, const void *message, size_t size)
{
	if (fl_shm_queue_put(size == ONE_WAY_BYTES ? c->large : c->small, message))
		bench_fail("fl_shm_queue_put");
}

static inline void fairlead_receive(fairlead_channel *c, void *message, size_t size)
{
	if (fl_shm_queue_get(size == ONE_WAY_BYTES ? c->large : c->small, message))
		bench_fail("fl_shm_queue_get");
}

static void fairlead_close(fairlead_channel *c)
{
	fl_shm_queue_free(c->small);
	fl_shm_queue_free(c->large);
	fl_shm_free(c->region);
}

typedef mqd_t posix_mq_channel;

static void posix_mq_open(mqd_t *c)
{
	static unsigned n;
	char name[64];
	(void)snprintf(name, sizeof name, "/fairlead-bench-%d-%u", (int)getpid(), n++);
	/* Ten messages are what a user may have without asking; more change nothing here. */
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = ONE_WAY_BYTES};
	*c = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	if (*c == (mqd_t)-1)
		bench_fail("mq_open: %s", strerror(errno));
	(void)mq_unlink(name);
}

static inline void posix_mq_send(mqd_t *c, const void *message, size_t size)
{
	if (mq_send(*c, message, size, 0) != 0)
		bench_fail("mq_send: %s", strerror(errno));
}

static inline void posix_mq_receive(mqd_t *c, void *message, size_t size)
{
	char buffer[ONE_WAY_BYTES];
	if (mq_receive(*c, buffer, sizeof buffer, NULL) != (ssize_t)size)
		bench_fail("mq_receive: %s", strerror(errno));
	memcpy(message, buffer, size);
}

static void posix_mq_close(mqd_t *c)
{
	(void)mq_close(*c);
}

typedef struct fd_channel {
	int in, out;
} pipe_channel, unix_channel;

static void pipe_open(pipe_channel *c)
{
	int ends[2];
	if (pipe(ends) != 0)
		bench_fail("pipe: %s", strerror(errno));
	*c = (pipe_channel){ends[1], ends[0]};
}

static void unix_open(unix_channel *c)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
		bench_fail("socketpair: %s", strerror(errno));
	*c = (unix_channel){ends[1], ends[0]};
}

static inline void pipe_send(pipe_channel *c, const void *message, size_t size)
{
	if (write(c->in, message, size) != (ssize_t)size)
		bench_fail("write: %s", strerror(errno));
}

static inline void pipe_receive(pipe_channel *c, void *message, size_t size)
{
	size_t got = 0;
	while (got < size) { /* a pipe may give a part */
		ssize_t n = read(c->out, (char *)message + got, size - got);
		if (n <= 0)
			bench_fail("read: %s", strerror(errno));
		got += (size_t)n;
	}
}

static void pipe_close(pipe_channel *c)
{
	(void)close(c->in);
	(void)close(c->out);
}

#define unix_send pipe_send
#define unix_receive pipe_receive
#define unix_close pipe_close

/*
 * A ring under a mutex: process-shared, not robust, so that a kill may stop everybody; hence
 * weaker.
 */
typedef struct pthread_channel {
	pthread_mutex_t mutex;
	pthread_cond_t items, space;
	unsigned in, out, getters, putters;
	char ring[CAPACITY][ONE_WAY_BYTES];
} pthread_channel;

static void pthread_open(pthread_channel *c)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&c->mutex, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&c->items, &cond);
	pthread_cond_init(&c->space, &cond);
}

static inline void pthread_send(pthread_channel *c, const void *message, size_t size)
{
	pthread_mutex_lock(&c->mutex);
	while (c->in - c->out == CAPACITY) {
		c->putters++;
		pthread_cond_wait(&c->space, &c->mutex);
		c->putters--;
	}
	memcpy(c->ring[c->in++ % CAPACITY], message, size);
	bool wake = c->getters > 0;
	pthread_mutex_unlock(&c->mutex);
	if (wake)
		pthread_cond_signal(&c->items);
}

static inline void pthread_receive(pthread_channel *c, void *message, size_t size)
{
	pthread_mutex_lock(&c->mutex);
	while (c->in == c->out) {
		c->getters++;
		pthread_cond_wait(&c->items, &c->mutex);
		c->getters--;
	}
	memcpy(message, c->ring[c->out++ % CAPACITY], size);
	bool wake = c->putters > 0;
	pthread_mutex_unlock(&c->mutex);
	if (wake)
		pthread_cond_signal(&c->space);
}

static void pthread_close(pthread_channel *c)
{
	(void)c;
}

/* One producer, one consumer; each count is written by one side. 2: asleep, or about to be. */
typedef struct ring_channel {
	BENCH_ALIGNED _Atomic uint32_t in;
	_Atomic uint32_t getter_sleeps;
	BENCH_ALIGNED _Atomic uint32_t out;
	_Atomic uint32_t putter_sleeps;
	BENCH_ALIGNED char slots[CAPACITY][ONE_WAY_BYTES];
} ring_channel;

static void ring_open(ring_channel *c)
{
	(void)c;
}

/* Until *count is another than `seen`; `sleeps` tells the other side to wake. */
static inline void ring_wait(_Atomic uint32_t *count, uint32_t seen, _Atomic uint32_t *sleeps)
{
	for (int i = 0; i < 200; i++) {
		if (atomic_load_explicit(count, memory_order_acquire) != seen)
			return;
		ck_pr_stall();
	}
	while (atomic_load_explicit(count, memory_order_acquire) == seen) {
		atomic_store(sleeps, 1);
		if (atomic_load(count) == seen)
			syscall(SYS_futex, count, FUTEX_WAIT, seen, NULL, NULL, 0);
		atomic_store_explicit(sleeps, 0, memory_order_relaxed);
	}
}

static inline void ring_advance(_Atomic uint32_t *count, uint32_t now, _Atomic uint32_t *sleeps)
{
	atomic_store(count, now + 1);
	if (atomic_load(sleeps))
		syscall(SYS_futex, count, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void ring_send(ring_channel *c, const void *message, size_t size)
{
	uint32_t in = atomic_load_explicit(&c->in, memory_order_relaxed);
	uint32_t full = in - CAPACITY;
	if (atomic_load_explicit(&c->out, memory_order_acquire) == full)
		ring_wait(&c->out, full, &c->putter_sleeps);
	memcpy(c->slots[in % CAPACITY], message, size);
	ring_advance(&c->in, in, &c->getter_sleeps);
}

static inline void ring_receive(ring_channel *c, void *message, size_t size)
{
	uint32_t out = atomic_load_explicit(&c->out, memory_order_relaxed);
	if (atomic_load_explicit(&c->in, memory_order_acquire) == out)
		ring_wait(&c->in, out, &c->getter_sleeps);
	memcpy(message, c->slots[out % CAPACITY], size);
	ring_advance(&c->out, out, &c->putter_sleeps);
}

static void ring_close(ring_channel *c)
{
	(void)c;
}

PROCESS_PAIR(fairlead)
PROCESS_PAIR(posix_mq)
PROCESS_PAIR(pipe)
PROCESS_PAIR(unix)
PROCESS_PAIR(pthread)
PROCESS_PAIR(ring)

static const bench_row rows[] = {
    PROCESS_PAIR_ROWS(fairlead), PROCESS_PAIR_ROWS(posix_mq), PROCESS_PAIR_ROWS(pipe),
    PROCESS_PAIR_ROWS(unix),     PROCESS_PAIR_ROWS(pthread),  PROCESS_PAIR_ROWS(ring),
};
BENCH_ROWS(rows)
