/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures the executor over MPI and, for comparison, the same work by plain calls of MPI (`hand`):
 * a manager in rank 0 keeps one message under way for each worker, and the worker answers each
 * message.
 *
 *     mpirun -n 2 fairlead-mpi-bench               a table: no-op tasks, round trips, and results
 *                                                  of 64 B, 64 KiB and 64 MiB: the task fills
 *                                                  them, the caller owns them and reads each page
 *     mpirun -n 2 fairlead-mpi-bench hand          the same table by hand: a worker sends back
 *                                                  what it has got. In the lines that end in
 *                                                  `calls`, a worker calls a task's function for
 *                                                  each element, by a pointer, and the manager
 *                                                  reads arguments from an array and adds up the
 *                                                  results
 *     mpirun -n 33 fairlead-mpi-bench sleep MS P   the busy part of the ranks: SLEEPS tasks of MS
 *                                                  milliseconds a rank, with a prefetch of P
 *
 * FL_MPI_LATENCY in the environment delays each message by so many microseconds (delay.c).
 */
#include <fairlead/imap.h>
#include <fairlead/mpi_executor.h>
#include <fairlead/task.h>
#include <fairlead/time.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 2, CHUNK_MAX = 64, MESSAGES = 50000, TRIPS = 5000, SLEEPS = 50, AHEAD = 64, SIZES = 3 };
static const size_t chunks[CHUNKS] = {1, CHUNK_MAX};
static const size_t sizes[SIZES] = {64, 64 << 10, 64 << 20}, results[SIZES] = {20000, 5000, 20};

static void print_tasks(size_t chunk, double a_second, bool calls)
{
	printf("tasks a second, chunk %-4zu%14.0f%s\n", chunk, a_second, calls ? " calls" : "");
}

static void print_trip(double us)
{
	printf("microseconds a round trip %14.2f\n", us);
}

static void print_results(fl_time began, int i)
{
	printf("microseconds a result of %-9zu%10.2f\n", sizes[i],
	       (double)fl_time_diff(fl_now(), began) / 1e3 / (double)results[i]);
}

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "fairlead-mpi-bench: %s: %s\n", what, fl_error_text(rc));
	exit(1);
}

FL_TASK_STATIC(no_op, double, double)
{
	*result = *arg;
	return 0;
}

FL_TASK_STATIC(sleep_for, int64_t, int64_t)
{
	const fl_time began = fl_now();
	const int rc = fl_sleep(*arg);
	*result = fl_time_diff(fl_now(), began);
	return rc;
}

struct want {
	size_t size;
	int with;
};

FL_TASK_STATIC(fill, struct want, fl_bytes)
{
	const int rc = fl_bytes_alloc(result, arg->size, 1);
	if (rc == 0)
		memset(result->data, arg->with, arg->size);
	return rc;
}

static void look_at(const unsigned char *bytes, size_t size, int with)
{
	for (size_t i = 0; i < size; i += 4096)
		check(bytes[i] == with ? 0 : -5, "wrong bytes");
}

static fl_executor *ranks_with(unsigned prefetch)
{
	fl_executor *e = NULL;
	const fl_executor_config config = {.workers = fl_mpi_ranks() - 1};
	check(fl_mpi_executor_create(&e, &config, &(fl_mpi_config){.prefetch = prefetch}), "no executor");
	return e;
}

/* Returns an array that was written to, so that each page exists before the clock starts. */
static double *ones(size_t n)
{
	double *args = malloc(n * sizeof *args);
	check(args ? 0 : -12, "no memory");
	for (size_t i = 0; args && i < n; i++)
		args[i] = 1;
	return args;
}

/* Returns tasks per second. The lazy map keeps a window of chunks under way at the ranks. */
static double run_no_ops(fl_executor *e, size_t chunk, size_t n)
{
	FL_SCOPED(fl_imap) *it = NULL;
	double *args = ones(n), sum = 0, result = 0;
	const fl_imap_config config = {.chunk = chunk, .window = AHEAD * chunk, .unordered = true};
	const fl_time began = fl_now();
	check(no_op_imap(e, args, n, &it, &config), "no iteration");
	while (no_op_imap_next(it, NULL, &result) == 0)
		sum += result;
	const double seconds = (double)fl_time_diff(fl_now(), began) / 1e9;
	check(sum == (double)n ? 0 : -5, "wrong results");
	free(args);
	return (double)n / seconds;
}

static double run_trips(fl_executor *e, size_t n)
{
	const fl_time began = fl_now();
	for (size_t i = 0; i < n; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		double result;
		check(no_op_submit(e, 1.0, &f), "submit");
		check(no_op_get(f, &result), "get");
	}
	return (double)fl_time_diff(fl_now(), began) / 1e3 / (double)n;
}

static void run_results(fl_executor *e, int i)
{
	const fl_time began = fl_now();
	for (size_t n = 0; n < results[i]; n++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_SCOPED(fl_bytes) bytes = {0};
		const struct want want = {sizes[i], n % 256};
		check(fill_submit(e, want, &f), "submit");
		check(fill_get(f, &bytes), "get");
		look_at(bytes.data, bytes.size, want.with);
	}
	print_results(began, i);
}

static double run_sleeps(fl_executor *e, int64_t ns, size_t n_a_rank)
{
	const size_t ranks = fl_mpi_ranks() - 1, n = ranks * n_a_rank;
	int64_t *args = calloc(n, sizeof *args), *slept = calloc(n, sizeof *slept), sum = 0;
	check(args && slept ? 0 : -12, "no memory");
	for (size_t i = 0; i < n; i++)
		args[i] = ns;
	/* Opens the ranks' executors before the clock starts. */
	check(sleep_for_map(e, args, ranks, slept, &(fl_map_config){.chunk = 1}), "sleep");
	const fl_time began = fl_now();
	check(sleep_for_map(e, args, n, slept, &(fl_map_config){.chunk = 1}), "sleep");
	const int64_t took = fl_time_diff(fl_now(), began);
	for (size_t i = 0; i < n; i++)
		sum += slept[i];
	free(args);
	free(slept);
	return (double)sum / (double)took / (double)ranks;
}

/* The manager and its workers by hand. */

static int hand_no_op(const double *arg, double *result)
{
	*result = *arg;
	return 0;
}

static int (*volatile hand_function)(const double *arg, double *result) = hand_no_op;

static void hand_work(int chunk, bool calls)
{
	double args[CHUNK_MAX], replies[CHUNK_MAX];
	for (MPI_Status status;;) {
		MPI_Recv(args, chunk, MPI_DOUBLE, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
		if (status.MPI_TAG != 0)
			return;
		for (int i = 0; calls && i < chunk; i++)
			check(hand_function(&args[i], &replies[i]), "a task");
		MPI_Send(calls ? replies : args, chunk, MPI_DOUBLE, 0, 0, MPI_COMM_WORLD);
	}
}

/* Returns how many seconds the manager took. */
static double hand_manage(int chunk, size_t messages, bool calls)
{
	double replies[CHUNK_MAX], *args = ones(messages * (size_t)chunk), sum = 0;
	const size_t step = calls ? (size_t)chunk : 0;
	const double *next = args;
	int ranks, busy = 0;
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	const fl_time began = fl_now();
	for (int rank = 1; rank < ranks && messages > 0; rank++, messages--, busy++, next += step)
		MPI_Send(next, chunk, MPI_DOUBLE, rank, 0, MPI_COMM_WORLD);
	for (MPI_Status status; busy > 0;) {
		MPI_Recv(replies, chunk, MPI_DOUBLE, MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &status);
		for (int i = 0; calls && i < chunk; i++)
			sum += replies[i];
		if (messages > 0) {
			messages--;
			MPI_Send(next, chunk, MPI_DOUBLE, status.MPI_SOURCE, 0, MPI_COMM_WORLD);
			next += step;
		} else {
			busy--;
		}
	}
	const double seconds = (double)fl_time_diff(fl_now(), began) / 1e9;
	check(!calls || sum == (double)MESSAGES * chunk ? 0 : -5, "wrong results");
	free(args);
	for (int rank = 1; rank < ranks; rank++)
		MPI_Send(replies, chunk, MPI_DOUBLE, rank, 1, MPI_COMM_WORLD);
	return seconds;
}

/* Returns messages per second. The result counts in rank 0. */
static double hand_measure(int rank, int chunk, bool calls)
{
	double seconds = 1;
	for (int round = 0; round < 2; round++) { /* the first round warms up */
		MPI_Barrier(MPI_COMM_WORLD);
		if (rank > 0)
			hand_work(chunk, calls);
		else
			seconds = hand_manage(chunk, MESSAGES, calls);
	}
	return MESSAGES / seconds;
}

/* The worker reuses its memory; the manager allocates new memory each time. */
static void hand_results(int rank, int i)
{
	const int size = (int)sizes[i];
	unsigned char *bytes = malloc(sizes[i]);
	const fl_time began = fl_now();
	for (size_t n = 0; n < results[i] && rank < 2; n++) {
		int with = n % 256;
		if (rank > 0) {
			MPI_Recv(&with, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			MPI_Send(memset(bytes, with, sizes[i]), size, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
			continue;
		}
		MPI_Send(&with, 1, MPI_INT, 1, 0, MPI_COMM_WORLD);
		free(bytes);
		bytes = malloc(sizes[i]);
		MPI_Recv(bytes, size, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		look_at(bytes, sizes[i], with);
	}
	free(bytes);
	if (rank == 0)
		print_results(began, i);
}

static void by_hand(void)
{
	int rank;
	MPI_Init(NULL, NULL);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	for (int i = 0; i < 2 * CHUNKS; i++) {
		const size_t chunk = chunks[i / 2];
		const double rate = hand_measure(rank, (int)chunk, i % 2 == 1);
		if (rank > 0)
			continue;
		print_tasks(chunk, rate * (double)chunk, i % 2 == 1);
		/* With one worker, a message and its answer are a round trip. */
		if (i == 0)
			print_trip(1e6 / rate);
	}
	for (int i = 0; i < SIZES; i++)
		hand_results(rank, i);
	MPI_Finalize();
}

static void by_fairlead(void)
{
	FL_SCOPED(fl_executor) *ahead = ranks_with(AHEAD), *single = ranks_with(0);
	for (int i = 0; i < CHUNKS; i++) {
		(void)run_no_ops(ahead, chunks[i], MESSAGES * chunks[i] / 10); /* warms */
		print_tasks(chunks[i], run_no_ops(ahead, chunks[i], MESSAGES * chunks[i]), false);
	}
	(void)run_trips(single, TRIPS / 10);
	print_trip(run_trips(single, TRIPS));
	for (int i = 0; i < SIZES; i++)
		run_results(single, i);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "hand") == 0) {
		by_hand();
		return 0;
	}
	fl_process_main(argc, argv);
	if (argc == 4 && strcmp(argv[1], "sleep") == 0) {
		FL_SCOPED(fl_executor) *e = ranks_with((unsigned)strtoul(argv[3], NULL, 10));
		printf("%.3f\n", run_sleeps(e, strtoll(argv[2], NULL, 10) * FL_MS(1), SLEEPS));
		return 0;
	}
	check(argc == 1 ? 0 : -22, "usage: fairlead-mpi-bench [hand | sleep MS P]");
	by_fairlead();
	return 0;
}
