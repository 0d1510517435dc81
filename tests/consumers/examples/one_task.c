/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One task, any executor: counts primes on the calling thread and on a pool, and gets the same
 * counts.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 64 };

struct range {
	uint64_t from, to;
};

static bool is_prime(uint64_t n)
{
	for (uint64_t d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n >= 2;
}

/* Ctx, arg, result are in scope; result starts zeroed. */
FL_TASK(count_primes, struct range, uint64_t)
{
	for (uint64_t n = arg->from; n < arg->to; n++) {
		if (fl_task_is_cancelled(ctx))
			return -ECANCELED;
		*result += is_prime(n);
	}
	if (arg->from > arg->to)
		return fl_task_fail(ctx, -EINVAL, "from %d to %d", (int)arg->from, (int)arg->to);
	return 0;
}

static void split(struct range *parts, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		parts[i] = (struct range){i * 1000, (i + 1) * 1000};
}

static int count_all(fl_executor *pool, uint64_t *counts)
{
	struct range parts[PARTS];
	split(parts, PARTS);
	int rc = count_primes_map(pool, parts, PARTS, counts, NULL); /* ordered, chunked, typed */
	if (rc)
		return rc;

	FL_SCOPED(fl_future) *f = NULL;
	rc = count_primes_submit(pool, (struct range){1, 100}, &f);
	if (rc)
		return rc;
	uint64_t n;
	rc = count_primes_get_until(f, &n, fl_after(FL_S(60)), NULL);
	return rc || n != 25 ? -EPROTO : 0;
}

static int fail_one(fl_executor *pool)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = count_primes_submit(pool, (struct range){2, 1}, &f);
	if (rc)
		return rc;
	uint64_t n;
	rc = count_primes_get(f, &n); /* 0, FL_ETASK, or its own -ECANCELED */
	bool told = rc == FL_ETASK && fl_future_error(f) == -EINVAL && strcmp(fl_future_message(f), "from 2 to 1") == 0;
	return told ? 0 : -EPROTO;
}

int main(void)
{
	FL_SCOPED(fl_executor) *here = NULL; /* shut down and freed when the scope ends */
	FL_SCOPED(fl_executor) *pool = NULL;
	uint64_t counts_here[PARTS], counts_pool[PARTS];

	int rc = fl_sequential_executor_create(&here, NULL);
	if (rc || (rc = fl_thread_executor_create(&pool, NULL)))
		return fl_perror(rc, "executor");
	if ((rc = count_all(here, counts_here)) || (rc = count_all(pool, counts_pool)))
		return fl_perror(rc, "count");
	if ((rc = fail_one(here)) || (rc = fail_one(pool)))
		return fl_perror(rc, "failure");
	puts(memcmp(counts_here, counts_pool, sizeof counts_here) == 0 ? "ok" : "different");
	return 0;
}
