/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures results of any length (bytes.h): Fairlead's, and those through pipes and mapped memory,
 * written by hand. Boost's are in bytes_cxx.cc, and Python's in pool.py.
 */
#include "bytes.h"
#include "remote.h"

#include <fairlead/bytes.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 64 << 20, PIPE = 1 << 20, WARM = 5 };

static void pair_trip(bytes_pair *p)
{
	const uint64_t i = ++p->next;
	unsigned char *bytes = p->way->take(p, i);
	for (size_t k = 0; k < p->size; k += 4096)
		if (bytes[k] != (unsigned char)i || bytes[p->size - 1] != (unsigned char)i)
			bench_fail("a wrong byte");
	p->way->put_back(p, bytes);
}

static void pair_serve(void *shared)
{
	bytes_pair *p = shared;
	for (uint64_t i = 1; i <= p->total; i++)
		p->way->give(p, i);
}

void *bytes_setup(const bench_setting *with)
{
	bytes_pair *p = bench_share(sizeof *p);
	p->way = with->arg;
	p->size = p->way->size;
	p->total = with->total + WARM;
	p->shared = bench_share(p->size);
	pipe_open(&p->there);
	pipe_open(&p->back);
	/* A user without privileges may make a pipe no larger than this. */
	bench_must(fcntl(p->back.in, F_SETPIPE_SZ, PIPE) > 0, "F_SETPIPE_SZ");
	if (p->way->open)
		p->way->open(p);
	if (p->way->give)
		p->partner = bench_partner(pair_serve, p);
	while (p->next < WARM)
		pair_trip(p);
	return p;
}

void bytes_run(bench_thread *t)
{
	BENCH_EACH (i, t) {
		pair_trip(t->state);
		bench_lap(t);
	}
}

void bytes_teardown(void *state, uint64_t total)
{
	bytes_pair *p = state;
	if (p->partner)
		bench_partner_end(p->partner);
	if (p->way->close)
		p->way->close(p);
	pipe_close(&p->there);
	pipe_close(&p->back);
	bench_unshare(p->shared, p->size);
	bench_unshare(p, sizeof *p);
}

/* --- Fairlead --- */

struct want {
	size_t size;
	int with;
};

FL_TASK_STATIC(filled, struct want, fl_bytes)
{
	const int rc = fl_bytes_alloc(result, arg->size, 1);
	if (rc == 0)
		memset(result->data, arg->with, arg->size);
	return rc;
}

/* The task returns memory of its own process, which the executor copies. */
FL_TASK_STATIC(copied, struct want, fl_bytes)
{
	static unsigned char own[LARGE];
	*result = (fl_bytes){.data = memset(own, arg->with, arg->size), .size = arg->size};
	return 0;
}

/* The result is a struct of that size. */
#define FIXED(size)                                                                                                    \
	struct fixed_##size {                                                                                          \
		unsigned char bytes[size];                                                                             \
	};                                                                                                             \
	FL_TASK_STATIC(fixed_##size, struct want, struct fixed_##size)                                                 \
	{                                                                                                              \
		memset(result, arg->with, size);                                                                       \
		return 0;                                                                                              \
	}
FIXED(64)
FIXED(65536)
FIXED(67108864)

typedef struct fill_state {
	fl_executor *pool;
	fl_bytes bytes;
} fill_state;

static void fill_open(bytes_pair *p, int (*create)(fl_executor **made, const fl_executor_config *config))
{
	fill_state *s = p->own = bench_alloc(sizeof *s);
	if (create(&s->pool, &(fl_executor_config){.workers = 1}))
		bench_fail("no executor");
}

static void processes_open(bytes_pair *p)
{
	fill_open(p, fl_process_executor_create);
}

static void threads_open(bytes_pair *p)
{
	fill_open(p, fl_thread_executor_create);
}

static void *fill_take(bytes_pair *p, uint64_t i)
{
	fill_state *s = p->own;
	const fl_task_type *type = p->way->type;
	const bool fixed = type->result_size == p->size;
	fl_future *f;
	if (fl_executor_submit(s->pool, type, &(struct want){p->size, (unsigned char)i}, &f) ||
	    fl_future_get(f, fixed ? p->shared : &s->bytes, type->result_size))
		bench_fail("no result: %s", fl_future_message(f));
	fl_future_free(f);
	return fixed ? p->shared : s->bytes.data;
}

static void fill_put_back(bytes_pair *p, void *bytes)
{
	fl_bytes_free(&((fill_state *)p->own)->bytes);
}

static void fill_close(bytes_pair *p)
{
	fl_executor_free(((fill_state *)p->own)->pool);
	free(p->own);
}

/* --- by hand: the caller has allocated the memory that gets the result --- */

static void *fresh(const bytes_pair *p)
{
	void *bytes = malloc(p->size);
	bench_must(bytes != NULL, "malloc");
	return bytes;
}

static void free_bytes(bytes_pair *p, void *bytes)
{
	free(bytes);
}

static void pipe_give(bytes_pair *p, uint64_t i)
{
	pipe_receive(&p->there, &i, sizeof i);
	pipe_send(&p->back, memset(p->shared, (int)i, p->size), p->size);
}

static void *pipe_take(bytes_pair *p, uint64_t i)
{
	void *bytes = fresh(p);
	pipe_send(&p->there, &i, sizeof i);
	pipe_receive(&p->back, bytes, p->size);
	return bytes;
}

/*
 * One copy through mapped memory. With 64 MiB, the pages of that memory are fresh for each result.
 * Both sides poll.
 */

static void poll_for(const uint64_t *word, uint64_t value)
{
	for (unsigned n = 1; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; n++)
		if (n % 1024 == 0)
			(void)sched_yield();
}

static void mapped_give(bytes_pair *p, uint64_t i)
{
	poll_for(&p->asked, i);
	memset(p->shared, (int)i, p->size);
	__atomic_store_n(&p->answered, i, __ATOMIC_RELEASE);
}

static void *mapped_take(bytes_pair *p, uint64_t i)
{
	__atomic_store_n(&p->asked, i, __ATOMIC_RELEASE);
	poll_for(&p->answered, i);
	void *bytes = memcpy(fresh(p), p->shared, p->size);
	if (p->size == LARGE)
		BENCH_OK(madvise(p->shared, p->size, MADV_REMOVE));
	return bytes;
}

/* For the floor row, the calling thread fills the bytes itself. */
static void *malloc_take(bytes_pair *p, uint64_t i)
{
	return memset(fresh(p), (int)i, p->size);
}

#define WAY(...) (&(const bytes_way){__VA_ARGS__})
#define FILL(size, open, type) WAY(size, fill_take, fill_put_back, open, fill_close, NULL, &(type))
#define PYTHON(of, size, fixed, kind)                                                                                  \
	BENCH_REMOTE_ROW("process/result_" of, "python_" kind, fixed, BENCH_PYTHON, BENCH_POOL_PY, "filled", kind,     \
	                 #size)
#define RESULTS(of, size, python)                                                                                      \
	BYTES_ROW("process/result_" of, "fairlead", BENCH_PEER, FILL(size, processes_open, filled)),                   \
	    BYTES_ROW("process/result_" of, "fairlead_copied", BENCH_WEAKER, FILL(size, processes_open, copied)),      \
	    BYTES_ROW("process/result_" of, "fairlead_fixed", BENCH_WEAKER, FILL(size, processes_open, fixed_##size)), \
	    BYTES_ROW("process/result_" of, "pipe", BENCH_PEER, WAY(size, pipe_take, free_bytes, .give = pipe_give)),  \
	    BYTES_ROW("process/result_" of, "mapped", BENCH_FLOOR,                                                     \
	              WAY(size, mapped_take, free_bytes, .give = mapped_give)),                                        \
	    PYTHON(of, size, python, "ppe"), PYTHON(of, size, python, "pool"),                                         \
	    BYTES_ROW("exec/result_" of, "fairlead", BENCH_PEER, FILL(size, threads_open, filled)),                    \
	    BYTES_ROW("exec/result_" of, "malloc", BENCH_FLOOR, WAY(size, malloc_take, free_bytes))

static const bench_row rows[] = {
    RESULTS("64", 64, 2000),
    RESULTS("64kib", 65536, 2000),
    RESULTS("64mib", 67108864, 4),
};
BENCH_ROWS(rows)
