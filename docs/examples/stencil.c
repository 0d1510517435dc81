/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stencil: how heat spreads in a plate, computed by several workers in step.
 *
 * The plate is a grid of temperatures. In each step every inner point becomes the mean of its four
 * neighbours (Jacobi's method). A worker computes a band of rows. It needs the rows beside its band
 * as they were in the step before, so all workers meet at a barrier after each step.
 *
 * The grids and the barrier lie in a region of shared memory, and a task gets offsets. So the same
 * tasks run on threads and in processes: only the constructor of the executor differs.
 *
 *     stencil threads 4              four threads
 *     stencil processes 4 1024 500   four processes, a grid of 1024 x 1024, 500 steps
 *
 * It prints the heat of the plate, which is the same for every number of workers, to the last bit:
 * each point is computed by the same operations in the same order. The time goes to standard error.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 64 };

struct band {
	fl_shm_offset barrier, grids[2]; /* a step reads one grid and writes the other */
	size_t side, from, to;           /* the rows of this worker */
	unsigned steps;
};

/*
 * The result is the time of a step, in ns. The first two steps do not count: in them the workers
 * start, and a process gets its pages of the region.
 */
FL_TASK_STATIC(spread, struct band, int64_t)
{
	fl_shm *region = fl_task_region(ctx, 0);
	const size_t side = arg->side, bytes = side * side * sizeof(double);
	fl_shm_barrier *barrier = FL_SHM_AT(region, fl_shm_barrier, arg->barrier);
	double *old = fl_shm_at(region, arg->grids[0], bytes), *new = fl_shm_at(region, arg->grids[1], bytes);
	fl_time begin = fl_now();
	int rc = 0;
	for (unsigned step = 0; rc >= 0 && step < arg->steps; step++) {
		if (step == 2)
			begin = fl_now();
		for (size_t y = arg->from; y < arg->to; y++)
			for (size_t x = 1; x < side - 1; x++) {
				const double *at = &old[y * side + x];
				new[y * side + x] = (at[-1] + at[1] + at[-(ptrdiff_t)side] + at[side]) / 4;
			}
		rc = fl_shm_barrier_wait(barrier); /* what all workers wrote is seen after it */
		double *read = old;
		old = new;
		new = read;
	}
	*result = fl_time_diff(fl_now(), begin) / (arg->steps > 2 ? arg->steps - 2 : 1);
	return rc < 0 ? rc : 0;
}

struct plate {
	fl_shm *region;
	double *grids[2];
	struct band band;
};

/* The upper edge is hot, and stays so. All else is cold at the beginning. */
static int prepare(struct plate *p, size_t side, unsigned steps, unsigned workers)
{
	const size_t bytes = side * side * sizeof(double);
	int rc = fl_shm_create(&p->region, 2 * bytes + (1 << 20));
	if (rc != 0)
		return rc;
	fl_shm_barrier *barrier = fl_shm_block_alloc(p->region, sizeof *barrier);
	for (int i = 0; i < 2; i++) {
		p->grids[i] = fl_shm_block_alloc(p->region, bytes); /* zeroed */
		if (p->grids[i] == NULL || barrier == NULL)
			return -ENOMEM;
		for (size_t x = 0; x < side; x++)
			p->grids[i][x] = 100;
		p->band.grids[i] = fl_shm_offset_of(p->region, p->grids[i]);
	}
	p->band.barrier = fl_shm_offset_of(p->region, barrier);
	p->band.side = side;
	p->band.steps = steps;
	return fl_shm_barrier_init(barrier, workers);
}

static int run(struct plate *p, bool in_processes, unsigned workers)
{
	/* Each task waits for the others, so each needs a worker of its own. */
	const fl_executor_config config = {.workers = workers, .regions = &p->region, .n_regions = 1};
	struct band bands[WORKERS_MAX];
	const size_t rows = p->band.side - 2;
	FL_SCOPED(fl_executor) *pool = NULL;
	for (unsigned i = 0; i < workers; i++) {
		bands[i] = p->band;
		bands[i].from = 1 + rows * i / workers;
		bands[i].to = 1 + rows * (i + 1) / workers;
	}
	int rc = in_processes ? fl_process_executor_create(&pool, &config) : fl_thread_executor_create(&pool, &config);
	if (rc != 0)
		return rc;
	int64_t took[WORKERS_MAX] = {0};
	rc = spread_map(pool, bands, workers, took, NULL);
	(void)fprintf(stderr, "%u %s: %.1f us a step\n", workers, in_processes ? "processes" : "threads",
	              (double)took[0] / 1e3);
	return rc;
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	const char *kind = argc > 1 ? argv[1] : "threads";
	const unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : fl_cpu_count();
	const size_t side = argc > 3 ? (size_t)atol(argv[3]) : 512;
	const unsigned steps = argc > 4 ? (unsigned)atoi(argv[4]) : 200;
	const bool in_processes = strcmp(kind, "processes") == 0;
	if ((!in_processes && strcmp(kind, "threads") != 0) || workers < 1 || workers > WORKERS_MAX || side < 3 ||
	    side > 16384) {
		(void)fprintf(stderr,
		              "usage: stencil threads|processes [WORKERS [SIDE [STEPS]]]\n"
		              "up to %d workers, a side of 3 to 16384\n",
		              WORKERS_MAX);
		return 2;
	}
	struct plate p = {0};
	int rc = prepare(&p, side, steps, workers);
	if (rc == 0)
		rc = run(&p, in_processes, workers);
	double heat = 0;
	for (size_t i = 0; rc == 0 && i < side * side; i++)
		heat += p.grids[steps % 2][i];
	fl_shm_free(p.region);
	if (rc != 0)
		return fl_perror(rc, "stencil");
	printf("%zu x %zu, %u steps: heat %.6f\n", side, side, steps, heat);
	return 0;
}
