/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts primes on the threads of this machine, or on a cluster: the same task, the same map.
 *
 *     ./primes_mpi 20000000
 *     mpirun -n 5 --bind-to none ./primes_mpi 20000000
 */
#include <fairlead.h>
#include <fairlead/mpi_executor.h>
#include <stdio.h>
#include <stdlib.h>

struct range {
	uint64_t from, to;
};

static bool is_prime(uint64_t n)
{
	for (uint64_t d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n > 1;
}

FL_TASK(count_primes, struct range, uint64_t)
{
	for (uint64_t n = arg->from; n < arg->to; n++) {
		if (n % 1024 == 0 && fl_task_is_cancelled(ctx))
			return -ECANCELED;
		*result += is_prime(n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	enum { PARTS = 1000 };
	fl_process_main(argc, argv); /* all ranks except the first serve here, and do not return */
	const uint64_t limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	static struct range parts[PARTS];
	static uint64_t counts[PARTS];
	for (uint64_t i = 0; i < PARTS; i++)
		parts[i] = (struct range){limit * i / PARTS, limit * (i + 1) / PARTS};

	FL_SCOPED(fl_executor) *e = NULL;
	int rc = fl_mpi_ranks() > 1 ? fl_mpi_executor_create(&e, NULL, NULL) : fl_thread_executor_create(&e, NULL);
	if (rc != 0)
		return fl_perror(rc, "executor");
	const fl_time begin = fl_now();
	rc = count_primes_map(e, parts, PARTS, counts, &(fl_map_config){.chunk = 1});
	if (rc != 0)
		return fl_perror(rc, "count_primes");
	uint64_t sum = 0;
	for (int i = 0; i < PARTS; i++)
		sum += counts[i];
	printf("%llu primes below %llu, by %u workers (%s) in %.2f s\n", (unsigned long long)sum,
	       (unsigned long long)limit, fl_executor_workers(e), fl_executor_kind(e),
	       (double)fl_time_diff(fl_now(), begin) / 1e9);
	return EXIT_SUCCESS;
}
