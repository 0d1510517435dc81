/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Floors of the process executor: what hands tasks to two forked workers, and has nothing else. No
 * futures, no order of submission, no cancel; what is in a ring stays there; no process may die; an
 * idle process spins and yields.
 *
 * rings       each worker has a ring for one producer and one consumer in each direction. A slot is
 *             a task: a number of a function, and its arguments (one, or a chunk of 64); the slot
 *             of the answer has the results. Each slot is published by itself, and fills whole
 *             cache lines. As deep as our rings are.
 * rings_deep  the same, 1,024 deep (64 for chunks): a batch goes in and comes out in few turns of
 *             the scheduler
 * line        one task and one worker: a cache line in each direction, polled
 * futex       the same: polled 200 times, then asleep
 */
#include "exec.h"
#include "process.h"

#include <ck_pr.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHUNK_MOST = 64, STOP = 1 };

static uint64_t echo(uint64_t arg)
{
	return arg;
}

static uint64_t (*volatile functions[])(uint64_t) = {echo};

/* How far one side has come in a ring, and where it last saw the other. */
typedef struct ring_side {
	uint32_t at, seen;
} ring_side;

static inline void ring_pause(int *looks, int most)
{
	if (++*looks < most) {
		ck_pr_stall();
	} else {
		*looks = 0;
		sched_yield();
	}
}

/*
 * Rings of `depth` slots with `chunk` arguments each; an idle process polls `most` times between
 * yields: the number that is best for the depth. s->done[w]: where the chunks that worker w has
 * begin, in their order.
 */
#define RINGS(impl, chunk, depth, most)                                                                                \
	typedef struct impl##_slot {                                                                                   \
		_Alignas(64) uint32_t function, count;                                                                 \
		uint64_t values[chunk];                                                                                \
	} impl##_slot;                                                                                                 \
	typedef struct impl##_ring {                                                                                   \
		BENCH_ALIGNED _Atomic uint32_t in;                                                                     \
		BENCH_ALIGNED _Atomic uint32_t out;                                                                    \
		BENCH_ALIGNED impl##_slot slots[depth];                                                                \
	} impl##_ring;                                                                                                 \
	typedef struct impl##_pair {                                                                                   \
		impl##_ring there, back;                                                                               \
	} impl##_pair;                                                                                                 \
	typedef struct impl##_state {                                                                                  \
		impl##_pair *pairs;                                                                                    \
		pid_t workers[EXEC_WORKERS];                                                                           \
		ring_side there[EXEC_WORKERS], back[EXEC_WORKERS];                                                     \
		uint32_t begins[EXEC_WORKERS][2 * (depth)];                                                            \
		uint64_t args[EXEC_BATCH], results[EXEC_BATCH];                                                        \
	} impl##_state;                                                                                                \
	/* The slot that comes next for the producer, NULL: full; and for the consumer, NULL: empty. */                \
	static inline impl##_slot *impl##_free(impl##_ring *r, ring_side *s)                                           \
	{                                                                                                              \
		if (s->at - s->seen == (depth))                                                                        \
			s->seen = atomic_load_explicit(&r->out, memory_order_acquire);                                 \
		return s->at - s->seen == (depth) ? NULL : &r->slots[s->at % (depth)];                                 \
	}                                                                                                              \
	static inline impl##_slot *impl##_filled(impl##_ring *r, ring_side *s)                                         \
	{                                                                                                              \
		if (s->at == s->seen)                                                                                  \
			s->seen = atomic_load_explicit(&r->in, memory_order_acquire);                                  \
		return s->at == s->seen ? NULL : &r->slots[s->at % (depth)];                                           \
	}                                                                                                              \
	static inline void impl##_run(const impl##_slot *task, impl##_slot *answer)                                    \
	{                                                                                                              \
		uint64_t (*function)(uint64_t) = functions[task->function];                                            \
		answer->count = task->count;                                                                           \
		for (uint32_t i = 0; i < task->count; i++)                                                             \
			answer->values[i] = function(task->values[i]);                                                 \
	}                                                                                                              \
	static void impl##_work(void *shared)                                                                          \
	{                                                                                                              \
		impl##_pair *p = shared;                                                                               \
		ring_side there = {0, 0}, back = {0, 0};                                                               \
		for (int looks = 0;; looks = 0) {                                                                      \
			impl##_slot *task, *answer;                                                                    \
			while (!(task = impl##_filled(&p->there, &there)))                                             \
				ring_pause(&looks, most);                                                              \
			while (!(answer = impl##_free(&p->back, &back)))                                               \
				ring_pause(&looks, most);                                                              \
			if (task->function == STOP)                                                                    \
				return;                                                                                \
			impl##_run(task, answer);                                                                      \
			atomic_store_explicit(&p->there.out, ++there.at, memory_order_release);                        \
			atomic_store_explicit(&p->back.in, ++back.at, memory_order_release);                           \
		}                                                                                                      \
	}                                                                                                              \
	static inline bool impl##_send(impl##_state *s, int w, uint32_t function, size_t first, size_t count)          \
	{                                                                                                              \
		impl##_slot *task = impl##_free(&s->pairs[w].there, &s->there[w]);                                     \
		if (!task)                                                                                             \
			return false;                                                                                  \
		task->function = function;                                                                             \
		task->count = (uint32_t)count;                                                                         \
		memcpy(task->values, &s->args[first], count * sizeof *s->args);                                        \
		s->begins[w][s->there[w].at % (2 * (depth))] = (uint32_t)first;                                        \
		atomic_store_explicit(&s->pairs[w].there.in, ++s->there[w].at, memory_order_release);                  \
		return true;                                                                                           \
	}                                                                                                              \
	static inline size_t impl##_receive(impl##_state *s, int w)                                                    \
	{                                                                                                              \
		const impl##_slot *answer = impl##_filled(&s->pairs[w].back, &s->back[w]);                             \
		if (!answer)                                                                                           \
			return 0;                                                                                      \
		size_t first = s->begins[w][s->back[w].at % (2 * (depth))], count = answer->count;                     \
		memcpy(&s->results[first], answer->values, count * sizeof *s->results);                                \
		atomic_store_explicit(&s->pairs[w].back.out, ++s->back[w].at, memory_order_release);                   \
		return count;                                                                                          \
	}                                                                                                              \
	static void impl##_batch(impl##_state *s, size_t n)                                                            \
	{                                                                                                              \
		int looks = 0;                                                                                         \
		for (size_t sent = 0, got = 0; got < n;) {                                                             \
			size_t before = sent + got, count;                                                             \
			for (int w = 0; w < EXEC_WORKERS; w++) {                                                       \
				for (; sent < n; sent += count) {                                                      \
					count = n - sent < (chunk) ? n - sent : (chunk);                               \
					if (!impl##_send(s, w, 0, sent, count))                                        \
						break;                                                                 \
				}                                                                                      \
				while ((count = impl##_receive(s, w)) > 0)                                             \
					got += count;                                                                  \
			}                                                                                              \
			if (sent + got == before)                                                                      \
				ring_pause(&looks, most);                                                              \
			else                                                                                           \
				looks = 0;                                                                             \
		}                                                                                                      \
	}                                                                                                              \
	static void impl##_batches(impl##_state *s, uint64_t total)                                                    \
	{                                                                                                              \
		for (uint64_t first = 0; first < total; first += EXEC_BATCH) {                                         \
			size_t n = total - first < EXEC_BATCH ? (size_t)(total - first) : EXEC_BATCH;                  \
			for (size_t i = 0; i < n; i++)                                                                 \
				s->args[i] = first + i + 1;                                                            \
			impl##_batch(s, n);                                                                            \
			if (memcmp(s->args, s->results, n * sizeof *s->args) != 0)                                     \
				bench_fail("a ring gave a wrong result");                                              \
		}                                                                                                      \
	}                                                                                                              \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		impl##_state *s = bench_alloc(sizeof *s);                                                              \
		(void)threads;                                                                                         \
		(void)total;                                                                                           \
		s->pairs = bench_share(EXEC_WORKERS * sizeof *s->pairs);                                               \
		for (int w = 0; w < EXEC_WORKERS; w++)                                                                 \
			s->workers[w] = bench_partner(impl##_work, &s->pairs[w]);                                      \
		impl##_batches(s, EXEC_BATCH);                                                                         \
		return s;                                                                                              \
	}                                                                                                              \
	static void impl##_submit_get(bench_thread *t)                                                                 \
	{                                                                                                              \
		impl##_batches(t->state, t->total);                                                                    \
	}                                                                                                              \
	static void impl##_teardown(void *state, uint64_t total)                                                       \
	{                                                                                                              \
		impl##_state *s = state;                                                                               \
		(void)total;                                                                                           \
		for (int w = 0; w < EXEC_WORKERS; w++) {                                                               \
			if (!impl##_send(s, w, STOP, 0, 0))                                                            \
				bench_fail("a ring is full that should be empty");                                     \
			bench_partner_end(s->workers[w]);                                                              \
		}                                                                                                      \
		bench_unshare(s->pairs, EXEC_WORKERS * sizeof *s->pairs);                                              \
		free(s);                                                                                               \
	}

RINGS(rings, 1, 16, 16)
RINGS(rings_deep, 1, 1024, 1)
RINGS(rings64, CHUNK_MOST, 16, 16)
RINGS(rings64_deep, CHUNK_MOST, 64, 1)

#define RINGS_ROW(name, implementation, impl)                                                                          \
	{                                                                                                              \
		name, implementation, impl##_setup, impl##_submit_get, impl##_teardown, 0                              \
	}

/* One task at a time. */
typedef struct pair {
	BENCH_ALIGNED _Atomic uint32_t there;
	_Atomic uint32_t worker_sleeps;
	uint64_t arg;
	BENCH_ALIGNED _Atomic uint32_t back;
	_Atomic uint32_t parent_sleeps;
	uint64_t result;
	BENCH_ALIGNED uint32_t total; /* with EXEC_BATCH to warm up */
	pid_t worker;
} pair;

/* Until *count is `wanted`. */
static inline void line_wait(_Atomic uint32_t *count, uint32_t wanted, _Atomic uint32_t *sleeps)
{
	int looks = 0;
	(void)sleeps;
	while (atomic_load_explicit(count, memory_order_acquire) != wanted)
		ring_pause(&looks, 64);
}

static inline void line_set(_Atomic uint32_t *count, uint32_t value, _Atomic uint32_t *sleeps)
{
	(void)sleeps;
	atomic_store_explicit(count, value, memory_order_release);
}

static inline void futex_wait(_Atomic uint32_t *count, uint32_t wanted, _Atomic uint32_t *sleeps)
{
	for (int i = 0; i < 200; i++) {
		if (atomic_load_explicit(count, memory_order_acquire) == wanted)
			return;
		ck_pr_stall();
	}
	while (atomic_load_explicit(count, memory_order_acquire) != wanted) {
		atomic_store(sleeps, 1);
		if (atomic_load(count) != wanted)
			syscall(SYS_futex, count, FUTEX_WAIT, wanted - 1, NULL, NULL, 0);
		atomic_store_explicit(sleeps, 0, memory_order_relaxed);
	}
}

static inline void futex_set(_Atomic uint32_t *count, uint32_t value, _Atomic uint32_t *sleeps)
{
	atomic_store(count, value);
	if (atomic_load(sleeps))
		syscall(SYS_futex, count, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#define PAIR(impl)                                                                                                     \
	static void impl##_work(void *shared)                                                                          \
	{                                                                                                              \
		pair *p = shared;                                                                                      \
		for (uint32_t i = 1; i <= p->total; i++) {                                                             \
			impl##_wait(&p->there, i, &p->worker_sleeps);                                                  \
			p->result = functions[0](p->arg);                                                              \
			impl##_set(&p->back, i, &p->parent_sleeps);                                                    \
		}                                                                                                      \
	}                                                                                                              \
	static inline void impl##_ask(pair *p, uint32_t i)                                                             \
	{                                                                                                              \
		p->arg = 3 * i;                                                                                        \
		impl##_set(&p->there, i, &p->worker_sleeps);                                                           \
		impl##_wait(&p->back, i, &p->parent_sleeps);                                                           \
		if (p->result != 3 * i)                                                                                \
			bench_fail("a worker gave a wrong result");                                                    \
	}                                                                                                              \
	static void *impl##_setup(int threads, uint64_t total)                                                         \
	{                                                                                                              \
		pair *p = bench_share(sizeof *p);                                                                      \
		(void)threads;                                                                                         \
		p->total = EXEC_BATCH + (uint32_t)total;                                                               \
		p->worker = bench_partner(impl##_work, p);                                                             \
		for (uint32_t i = 1; i <= EXEC_BATCH; i++)                                                             \
			impl##_ask(p, i);                                                                              \
		return p;                                                                                              \
	}                                                                                                              \
	static void impl##_roundtrip(bench_thread *t)                                                                  \
	{                                                                                                              \
		pair *p = t->state;                                                                                    \
		for (uint32_t i = EXEC_BATCH + 1; i <= p->total; i++) {                                                \
			impl##_ask(p, i);                                                                              \
			bench_lap(t);                                                                                  \
		}                                                                                                      \
	}

PAIR(line)
PAIR(futex)

static void pair_teardown(void *state, uint64_t total)
{
	pair *p = state;
	(void)total;
	bench_partner_end(p->worker);
	bench_unshare(p, sizeof *p);
}

static const bench_row rows[] = {
    RINGS_ROW("process/tasks_chunk1", "rings", rings),
    RINGS_ROW("process/tasks_chunk1", "rings_deep", rings_deep),
    RINGS_ROW("process/map_chunk1", "rings", rings),
    RINGS_ROW("process/map_chunk1", "rings_deep", rings_deep),
    RINGS_ROW("process/map_chunk64", "rings", rings64),
    RINGS_ROW("process/map_chunk64", "rings_deep", rings64_deep),
    {"process/task_roundtrip", "line", line_setup, line_roundtrip, pair_teardown, 0},
    {"process/task_roundtrip", "futex", futex_setup, futex_roundtrip, pair_teardown, 0},
};
BENCH_ROWS(rows)
