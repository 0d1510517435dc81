/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures messages between two processes: by Fairlead's shared queue, by the kernel's POSIX
 * message queue and pipe, and by a ring under a process-shared mutex with conditions.
 */
#include "process.h"
#include "shim.h"

#include <errno.h>
#include <fairlead/shm.h>
#include <fairlead/shm_queue.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * A channel lies in shared memory and carries messages one way. An implementation `impl` has the
 * type `impl_channel` and these functions:
 *
 *     void impl_open(impl_channel *c);                    before the fork
 *     void impl_send(impl_channel *c, const void *message, size_t size);
 *     void impl_receive(impl_channel *c, void *message, size_t size);
 *     void impl_close(impl_channel *c);
 *
 * In `roundtrip`, a number of 8 bytes goes to the partner, and its successor comes back. In
 * `one_way`, the partner sends messages of 64 bytes as fast as it can. Both check each message.
 */
enum { ONE_WAY_BYTES = 64 };

#define PROCESS_PAIR(impl)                                                                                             \
	typedef struct impl##_pair {                                                                                   \
		BENCH_ALIGNED impl##_channel there;                                                                    \
		BENCH_ALIGNED impl##_channel back;                                                                     \
		uint64_t total;                                                                                        \
		pid_t partner;                                                                                         \
	} impl##_pair;                                                                                                 \
	static void impl##_answer(void *shared)                                                                        \
	{                                                                                                              \
		impl##_pair *s = shared;                                                                               \
		for (uint64_t i = 0; i < s->total; i++) {                                                              \
			uint64_t value;                                                                                \
			impl##_receive(&s->there, &value, sizeof value);                                               \
			value++;                                                                                       \
			impl##_send(&s->back, &value, sizeof value);                                                   \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_produce(void *shared)                                                                       \
	{                                                                                                              \
		impl##_pair *s = shared;                                                                               \
		uint64_t message[ONE_WAY_BYTES / 8] = {0};                                                             \
		for (uint64_t i = 0; i < s->total; i++) {                                                              \
			message[0] = message[ONE_WAY_BYTES / 8 - 1] = i;                                               \
			impl##_send(&s->there, message, sizeof message);                                               \
		}                                                                                                      \
	}                                                                                                              \
	static impl##_pair *impl##_pair_open(uint64_t total, void (*work)(void *shared))                               \
	{                                                                                                              \
		impl##_pair *s = bench_share(sizeof *s);                                                               \
		s->total = total;                                                                                      \
		impl##_open(&s->there);                                                                                \
		impl##_open(&s->back);                                                                                 \
		s->partner = bench_partner(work, s);                                                                   \
		return s;                                                                                              \
	}                                                                                                              \
	static void *impl##_roundtrip_setup(const bench_setting *with)                                                 \
	{                                                                                                              \
		return impl##_pair_open(with->total, impl##_answer);                                                   \
	}                                                                                                              \
	static void *impl##_one_way_setup(const bench_setting *with)                                                   \
	{                                                                                                              \
		return impl##_pair_open(with->total, impl##_produce);                                                  \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		impl##_pair *s = t->state;                                                                             \
		BENCH_EACH (i, t) {                                                                                    \
			uint64_t value = i;                                                                            \
			impl##_send(&s->there, &value, sizeof value);                                                  \
			impl##_receive(&s->back, &value, sizeof value);                                                \
			if (value != i + 1)                                                                            \
				bench_fail("%s: a wrong answer", #impl);                                               \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_one_way(bench_thread *t)                                                                    \
	{                                                                                                              \
		impl##_pair *s = t->state;                                                                             \
		uint64_t message[ONE_WAY_BYTES / 8];                                                                   \
		BENCH_EACH (i, t) {                                                                                    \
			impl##_receive(&s->there, message, sizeof message);                                            \
			if (message[0] != i || message[ONE_WAY_BYTES / 8 - 1] != i)                                    \
				bench_fail("%s: a wrong message", #impl);                                              \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_pair_close(void *state, uint64_t total)                                                     \
	{                                                                                                              \
		impl##_pair *s = state;                                                                                \
		bench_partner_end(s->partner);                                                                         \
		impl##_close(&s->there);                                                                               \
		impl##_close(&s->back);                                                                                \
		bench_unshare(s, sizeof *s);                                                                           \
	}

#define PROCESS_PAIR_ROWS(impl, role)                                                                                  \
	{"process/roundtrip", #impl, impl##_roundtrip_setup, impl##_roundtrip, impl##_pair_close, 0, role},            \
	{                                                                                                              \
		"process/one_way", #impl, impl##_one_way_setup, impl##_one_way, impl##_pair_close, 0, role             \
	}

enum { CAPACITY = 128 };

/* A handle belongs to one process; the partner has its copies from the fork. */
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
	BENCH_OK(fl_shm_queue_put(size == ONE_WAY_BYTES ? c->large : c->small, message));
}

static inline void fairlead_receive(fairlead_channel *c, void *message, size_t size)
{
	BENCH_OK(fl_shm_queue_get(size == ONE_WAY_BYTES ? c->large : c->small, message));
}

static void fairlead_close(fairlead_channel *c)
{
	fl_shm_queue_free(c->small);
	fl_shm_queue_free(c->large);
	fl_shm_free(c->region);
}

/*
 * Called when a call on `fd` would have waited. `tries` says how often this has happened for this
 * message. The first BENCH_YIELDS times, yields. After that, sleeps until the call need not wait.
 */
static void await_descriptor(int fd, short events, unsigned tries)
{
	bench_must(errno == EAGAIN, "a call that does not wait");
	if (tries < BENCH_YIELDS)
		sched_yield();
	else
		bench_must(poll(&(struct pollfd){fd, events, 0}, 1, -1) == 1, "poll");
}

typedef mqd_t posix_mq_channel, posix_mq_yield_channel;

static void posix_mq_open_with(mqd_t *c, int flags)
{
	static unsigned n;
	char name[64];
	(void)snprintf(name, sizeof name, "/fairlead-bench-%d-%u", (int)getpid(), n++);
	/*
	 * A user may have a queue of ten messages without asking the administrator. More messages
	 * change nothing here.
	 */
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = ONE_WAY_BYTES};
	*c = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);
	bench_must(*c != (mqd_t)-1, "mq_open");
	(void)mq_unlink(name);
}

static void posix_mq_open(mqd_t *c)
{
	posix_mq_open_with(c, 0);
}

static inline void posix_mq_send(mqd_t *c, const void *message, size_t size)
{
	BENCH_OK(mq_send(*c, message, size, 0));
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

static void posix_mq_yield_open(mqd_t *c)
{
	posix_mq_open_with(c, O_NONBLOCK);
}

static inline void posix_mq_yield_send(mqd_t *c, const void *message, size_t size)
{
	for (unsigned tries = 0; mq_send(*c, message, size, 0) != 0; tries++)
		await_descriptor(*c, POLLOUT, tries);
}

static inline void posix_mq_yield_receive(mqd_t *c, void *message, size_t size)
{
	char buffer[ONE_WAY_BYTES];
	for (unsigned tries = 0; mq_receive(*c, buffer, sizeof buffer, NULL) != (ssize_t)size; tries++)
		await_descriptor(*c, POLLIN, tries);
	memcpy(message, buffer, size);
}

#define posix_mq_yield_close posix_mq_close

/*
 * A pipe whose ends yield before they sleep. The kernel writes a message of up to PIPE_BUF bytes
 * whole, and so it is read whole.
 */
typedef pipe_channel pipe_yield_channel;

static void pipe_yield_open(pipe_channel *c)
{
	pipe_open(c);
	BENCH_OK(fcntl(c->in, F_SETFL, O_NONBLOCK));
	BENCH_OK(fcntl(c->out, F_SETFL, O_NONBLOCK));
}

static inline void pipe_yield_send(pipe_channel *c, const void *message, size_t size)
{
	for (unsigned tries = 0; write(c->in, message, size) != (ssize_t)size; tries++)
		await_descriptor(c->in, POLLOUT, tries);
}

static inline void pipe_yield_receive(pipe_channel *c, void *message, size_t size)
{
	for (unsigned tries = 0; read(c->out, message, size) != (ssize_t)size; tries++)
		await_descriptor(c->out, POLLIN, tries);
}

#define pipe_yield_close pipe_close

/*
 * A ring under a mutex that processes share. The mutex is not robust, so if a process is killed,
 * all others may stop. Therefore these rows count as weaker.
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
}

/*
 * The floor row has one message in a cache line, and a flag that both sides poll. They never sleep,
 * but yield after some thousand polls, because on a busy machine the other side may need this CPU.
 */
typedef struct polling_channel {
	bool full;
	char message[ONE_WAY_BYTES];
} polling_channel;

static void polling_open(polling_channel *c)
{
}

static inline void polling_await(const polling_channel *c, bool full)
{
	enum { POLLS = 4096 };
	for (unsigned polls = 1; __atomic_load_n(&c->full, __ATOMIC_ACQUIRE) != full; polls++)
		if (polls % POLLS == 0)
			sched_yield();
}

static inline void polling_send(polling_channel *c, const void *message, size_t size)
{
	polling_await(c, false);
	memcpy(c->message, message, size);
	__atomic_store_n(&c->full, true, __ATOMIC_RELEASE);
}

static inline void polling_receive(polling_channel *c, void *message, size_t size)
{
	polling_await(c, true);
	memcpy(message, c->message, size);
	__atomic_store_n(&c->full, false, __ATOMIC_RELEASE);
}

static void polling_close(polling_channel *c)
{
}

PROCESS_PAIR(fairlead)
PROCESS_PAIR(posix_mq)
PROCESS_PAIR(posix_mq_yield)
PROCESS_PAIR(pipe)
PROCESS_PAIR(pipe_yield)
PROCESS_PAIR(pthread)
PROCESS_PAIR(polling)

static const bench_row rows[] = {
    PROCESS_PAIR_ROWS(fairlead, BENCH_PEER),       PROCESS_PAIR_ROWS(posix_mq, BENCH_PEER),
    PROCESS_PAIR_ROWS(posix_mq_yield, BENCH_PEER), PROCESS_PAIR_ROWS(pipe, BENCH_PEER),
    PROCESS_PAIR_ROWS(pipe_yield, BENCH_PEER),     PROCESS_PAIR_ROWS(pthread, BENCH_WEAKER),
    PROCESS_PAIR_ROWS(polling, BENCH_FLOOR),
};
BENCH_ROWS(rows)
