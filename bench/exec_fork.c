/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fork and join, and loops in parallel: Fairlead, OpenMP by gcc and by clang, and the same on one
 * thread. TBB: exec_cxx.cc.
 */
#include "forks.h"

#include <dlfcn.h>
#include <fairlead/executor.h>
#include <fairlead/parallel.h>
#include <fairlead/task.h>

/* Fairlead. */

static void *fairlead_open(unsigned workers)
{
	fl_executor *e = NULL;
	if (fl_thread_executor_create(&e, &(fl_executor_config){.workers = workers}))
		bench_fail("fl_thread_executor_create");
	return e;
}

static void fairlead_close(void *pool)
{
	fl_executor_free(pool);
}

typedef struct fib_call {
	uint64_t n, result;
} fib_call;

static int fairlead_fork(void *arg)
{
	fib_call *call = arg;
	if (call->n < 2) {
		call->result = call->n;
		return 0;
	}
	fib_call a = {.n = call->n - 1}, b = {.n = call->n - 2};
	int rc = fl_parallel_invoke(fairlead_fork, &a, fairlead_fork, &b);
	call->result = a.result + b.result;
	return rc;
}

FL_TASK(bench_fib, uint64_t, uint64_t)
{
	fib_call call = {.n = *arg};
	int rc = fairlead_fork(&call);
	*result = call.result;
	return rc;
}

static uint64_t fairlead_fib(void *pool, unsigned n)
{
	uint64_t result = 0;
	fl_future *f;
	if (bench_fib_submit(pool, n, &f) || bench_fib_get(f, &result))
		bench_fail("fib");
	fl_future_free(f);
	return result;
}

struct loop {
	void *y;
	const float *x;
	float a;
};

static int even_body(void *state, size_t from, size_t to)
{
	const struct loop *loop = state;
	fork_axpy(loop->y, loop->x, loop->a, from, to);
	return 0;
}

static int uneven_body(void *state, size_t from, size_t to)
{
	const struct loop *loop = state;
	fork_rows(loop->y, from, to);
	return 0;
}

static void fairlead_even(void *pool, float *y, const float *x, float a, size_t n)
{
	if (fl_parallel_for(pool, 0, n, even_body, &(struct loop){y, x, a}, NULL))
		bench_fail("fl_parallel_for");
}

static void fairlead_uneven(void *pool, uint64_t *rows, size_t n)
{
	if (fl_parallel_for(pool, 0, n, uneven_body, &(struct loop){.y = rows}, NULL))
		bench_fail("fl_parallel_for");
}

static const fork_runtime fairlead = {fairlead_open, fairlead_close,  fairlead_fib,
                                      fairlead_even, fairlead_uneven, NULL};
FORK_SETUP(fairlead, , &fairlead)
FORK_SETUP(fairlead, _even, &fairlead)
FORK_SETUP(fairlead, _uneven, &fairlead)

/* One thread, and calls. */

static void *serial_open(unsigned workers)
{
	(void)workers;
	return NULL;
}

static void serial_close(void *pool)
{
	(void)pool;
}

__attribute__((noinline)) static uint64_t serial_fib(void *pool, unsigned n)
{
	return n < 2 ? n : serial_fib(pool, n - 1) + serial_fib(pool, n - 2);
}

static void serial_even(void *pool, float *y, const float *x, float a, size_t n)
{
	(void)pool;
	fork_axpy(y, x, a, 0, n);
}

static void serial_uneven(void *pool, uint64_t *rows, size_t n)
{
	(void)pool;
	fork_rows(rows, 0, n);
}

static const fork_runtime serial = {serial_open, serial_close, serial_fib, serial_even, serial_uneven, NULL};
FORK_SETUP(serial, , &serial)
FORK_SETUP(serial, _even, &serial)
FORK_SETUP(serial, _uneven, &serial)

/*
 * OpenMP: the process serves one row, so that the runtime that it loads is the only one. What its
 * threads do while they wait is what was fastest of the three that there are, and that is to sleep:
 * gcc's spins on the lock that a producer of tasks needs; only clang's fork and join is faster when
 * it never sleeps.
 */
static const fork_runtime *load(const char *module, const char *wait_policy)
{
	if (setenv("OMP_WAIT_POLICY", wait_policy, 1))
		bench_fail("setenv");
	void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	const fork_runtime *runtime = handle ? dlsym(handle, "bench_omp") : NULL;
	if (!runtime)
		bench_fail("%s", dlerror());
	return runtime;
}

#define OMP_SETUPS(impl, module, fork_policy)                                                                          \
	FORK_SETUP(impl, , load(module, fork_policy))                                                                  \
	FORK_SETUP(impl, _even, load(module, "passive"))                                                               \
	FORK_SETUP(impl, _uneven, load(module, "passive"))                                                             \
	FORK_SETUP(impl, _burst, load(module, "passive"))
#define OMP_ROWS(impl, label)                                                                                          \
	FORK_ROW(impl, "fork_join", , label), FORK_ROW(impl, "parallel_even", _even, label),                           \
	    FORK_ROW(impl, "parallel_uneven", _uneven, label), FORK_ROW(impl, "burst", _burst, label),                 \
	    FORK_ROW(impl, "group", _burst, label)

OMP_SETUPS(libgomp, BENCH_OMP_GCC, "passive")
OMP_SETUPS(libomp, BENCH_OMP_CLANG, "active")

static const bench_row rows[] = {
    FORK_ROW(fairlead, "fork_join", , "fairlead"),
    FORK_ROW(fairlead, "parallel_even", _even, "fairlead"),
    FORK_ROW(fairlead, "parallel_uneven", _uneven, "fairlead"),
    FORK_ROW(serial, "fork_join", , "serial"),
    FORK_ROW(serial, "parallel_even", _even, "serial"),
    FORK_ROW(serial, "parallel_uneven", _uneven, "serial"),
    OMP_ROWS(libgomp, "libgomp"),
    OMP_ROWS(libomp, "libomp"),
};
BENCH_ROWS(rows)
