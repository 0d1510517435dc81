/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rounds of the campaign. Each round has its own executor, with a configuration and an end that
 * alternate, and ends after its share of the tasks and kills.
 */
#include "tasks.h"
#include <fairlead/shm.h>
#include <fairlead/thread.h>
#include <sys/resource.h>
#include <time.h>

enum { ROUNDS = 20, WARM_UP = 20000, ENOUGH = 5, WORKERS_MOST = 64 };

/* The configurations of the executor, in the order of the rounds. */
enum way { PLAIN, PLAIN_TOO, FEW_TASKS, SHORT_IDLE, RESIZED, WAYS };

struct campaign campaign = {.kills = 10000, .tasks = 10000000, .workers = 4, .time = 900, .seed = 1};
struct round current;

static fl_shm *region;
static struct birth birth;
static int64_t began;
static unsigned rounds;

static void make_board(void)
{
	const uint64_t n = campaign.tasks * 3 / 2 + 200000;
	const size_t size = sizeof *board + n;
	if (n > UINT32_MAX || fl_shm_create(&region, size) != 0 || !(board = fl_shm_block_alloc(region, size)))
		fail("no memory for an account of %lu tasks", campaign.tasks);
	board->n_tasks = (uint32_t)n;
	board->steps_most = (uint32_t)campaign.kills;
	memset(board->started, 0, n); /* so that all of it is mapped */
	birth = (struct birth){fl_shm_offset_of(region, board), campaign.seed};
	ledger_open();
}

static bool is_late(void)
{
	return time_now() - began > FL_S((int64_t)campaign.time);
}

/*
 * Changes the load each sixteenth of a second. In five of eight such turns all feeders submit, in
 * two only the feeder with callbacks, and in one the load is small.
 */
static void turn_load(void)
{
	/* TURN is roughly in milliseconds. */
	enum { TURN = 64, TURNS = 8, ALONE = 5, QUIET = 7 };
	static unsigned ms;
	const unsigned turn = ms++ / TURN % TURNS;
	fl__store_relaxed(&current.quiet, turn == QUIET);
	fl__store_relaxed(&current.alone, turn >= ALONE && turn < QUIET);
}

/* Waits until there were that many tasks and that many kills. */
static void let_it_run(uint32_t tasks, uint64_t kills, enum way way)
{
	uint64_t seed = campaign.seed + tasks;
	while ((ids_taken() < tasks || kills_done < kills) && !is_late()) {
		pause_for(FL_MS(1));
		turn_load();
		if (way == RESIZED &&
		    fl_executor_resize(current.e, 1 + (unsigned)(draw(&seed) % campaign.workers)) != 0)
			fail("a resize failed");
	}
}

static void end_round(enum end end)
{
	if (end == DRAINED)
		fl__store_release(&current.stop, true);
	fl__store_release(&current.may_end, end == CANCELLED || end == TERMINATED);
	fl__store_release(&current.ending, end != DRAINED);
	if (end == CANCELLED)
		(void)fl_executor_cancel(current.e);
	else if (end == TERMINATED)
		(void)fl_executor_terminate(current.e);
	else if (end == CLOSED)
		fl_executor_close(current.e);
	fl__store_release(&current.stop, true);
}

static fl_executor *make_executor(enum way way)
{
	fl_executor *e;
	const fl_executor_config config = {
	    .workers = campaign.workers,
	    .initialize = &kill_birth,
	    .initialize_arg = &birth,
	    .regions = &region,
	    .n_regions = 1,
	    .max_tasks = way == FEW_TASKS ? 200 : 0,
	    .idle_timeout = way == SHORT_IDLE ? FL_MS(1) : 0,
	    .grace_period = FL_DURATION_MAX, /* only the campaign may kill */
	};
	int rc = fl_process_executor_create(&e, &config);
	if (rc != 0)
		fail("fl_process_executor_create() answered %d", rc);
	return e;
}

static void begin_round(enum way way)
{
	birth.seed = draw(&campaign.seed);
	current = (struct round){.e = make_executor(way)};
}

static void run_round(unsigned number, uint32_t tasks, uint64_t kills)
{
	const uint32_t first = ids_taken();
	fl_thread *threads[FEEDERS];
	begin_round(number % WAYS);
	for (unsigned i = 0; i < FEEDERS; i++)
		if (fl_thread_start(&threads[i], feed, (void *)(uintptr_t)i, NULL) != 0)
			fail("no thread to submit");
	killer_let(kills > 0 ? current.e : NULL);
	let_it_run(tasks, kills, number % WAYS);
	end_round(number % ENDS);
	for (unsigned i = 0; i < FEEDERS; i++)
		if (fl_thread_join(threads[i], NULL) != 0)
			fail("a join failed");
	killer_let(NULL);
	fl_executor_free(current.e);
	current.e = NULL;
	ledger_check_round(first, ids_taken());
}

/*
 * Runs a round after which everything exists that the library and this program keep for good.
 * Returns the resources after it.
 */
static struct left warm_up(void)
{
	load_open();
	began = time_now();
	board->steps_most = 0;
	run_round(0, WARM_UP, 0);
	board->steps_most = (uint32_t)campaign.kills;
	return left_now();
}

static void run_all(void)
{
	const uint32_t first = ids_taken();
	for (unsigned i = 0; i < ROUNDS && !is_late(); i++) {
		rounds++;
		run_round(i, first + (uint32_t)(campaign.tasks * (i + 1) / ROUNDS), campaign.kills * (i + 1) / ROUNDS);
		if (!campaign.quiet && isatty(STDERR_FILENO))
			fprintf(stderr, "\r%u/%d rounds, %lu kills ", i + 1, ROUNDS, kills_done);
	}
	if (!campaign.quiet && isatty(STDERR_FILENO))
		fputc('\n', stderr);
}

static const struct argument arguments[] = {
    {"kills", &campaign.kills, 1, UINT32_MAX},
    {"tasks", &campaign.tasks, 1, (uint64_t)1 << 31},
    {"workers", &campaign.workers, 1, WORKERS_MOST},
    {"time", &campaign.time, 1, 1000000},
    {"seed", &campaign.seed, 0, UINT64_MAX},
    {"quiet", &campaign.quiet, 0, 0},
    {NULL, NULL, 0, 0},
};

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	read_arguments(argc, argv,
	               "Usage: fairlead-kill-tasks [--kills N] [--tasks N] [--workers N] [--time SECONDS] [--seed N] "
	               "[--quiet]\n",
	               arguments);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* some tasks crash */
	make_board();
	watch_start();
	const struct left before = warm_up();
	began = time_now();
	killer_start();
	run_all();
	killer_stop();
	const int64_t took = time_now() - began;
	const struct left after = left_now();
	watch_stop();
	print_sites(board->sites, ENOUGH, !campaign.quiet);
	printf("%lu kills at random times (%lu of workers that had not begun), %u at a step, %u crashes, in %.1f s; %u "
	       "workers, %u executors\n",
	       kills_done, kills_unborn, board->by_step, board->by_crash, (double)took / 1e9,
	       (unsigned)campaign.workers, rounds);
	bool good = left_report(&before, &after);
	good &= ledger_report();
	printf("%s\n", good ? "passed" : "FAILED");
	return good ? 0 : 1;
}
