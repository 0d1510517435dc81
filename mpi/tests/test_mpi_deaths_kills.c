/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests worker ranks that are really killed during an iteration over many tasks, and accounts for
 * each task. FL_TEST_MPI_DEATHS in the environment sets the number of kills, which are spread over
 * as many jobs as necessary, with ten thousand tasks for each kill. A thousand kills take a few
 * minutes.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_mpi_deaths.h"

enum { PREFETCH = 8, WORKERS = 2 /* of a rank */ };

static void prepare_rank(const char *role, char **argv)
{
	deaths->pids[fl_test_mpi_rank()] = (int32_t)getpid();
}

struct tasks {
	uint32_t next, n;
};

static int next_task(void *state, void *arg)
{
	struct tasks *t = state;
	*(struct deaths_order *)arg = (struct deaths_order){.id = t->next};
	return t->next < t->n && t->next++ < t->n;
}

/* The memory in KiB, and the descriptors, of this process. */
struct held {
	long memory;
	unsigned files;
};

static struct held held_here(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	FL_CHECK(f && fscanf(f, "%*d %ld", &pages) == 1 && fclose(f) == 0);
	return (struct held){pages * (sysconf(_SC_PAGESIZE) / 1024), fl_test_fds()};
}

/* Kills a living rank of the first `victims`. */
static void kill_one(unsigned victims, unsigned *seed)
{
	unsigned rank = 1;
	do
		rank = 1 + (*seed = *seed * 1103515245 + 12345) / 65536 % victims;
	while (deaths->point[rank]);
	deaths->point[rank] = 1;
	FL_OK(kill(deaths->pids[rank], SIGKILL));
}

/*
 * Returns whether the message names a rank that was killed: the task was sent to it, or it was the
 * last rank.
 */
static bool names_a_victim(const char *message)
{
	const char *rank = strstr(message, "rank ");
	return rank && deaths->point[strtoul(rank + 5, NULL, 10) % DEATHS_RANKS];
}

/*
 * Kills all worker ranks except one. If there is only one, it is killed in the middle, and ends the
 * iteration.
 */
ROLE(loses_ranks)
{
	static uint8_t seen[DEATHS_TASKS];
	const unsigned ranks = fl_mpi_ranks() - 1, victims = ranks > 1 ? ranks - 1 : 1;
	struct tasks t = {0, (uint32_t)((ranks > 1 ? victims : 2) * deaths->each)};
	const fl_imap_config how = {.unordered = true, .next = next_task, .state = &t};
	FL_SCOPED(fl_executor) *e = deaths_executor(WORKERS * ranks, PREFETCH);
	FL_SCOPED(fl_imap) *it = NULL;
	unsigned kills = 0, seed = (unsigned)deaths->kills;
	struct held before = {0};
	size_t index, n = 0, lost = 0;
	int rc, result;
	FL_CHECK(t.n <= DEATHS_TASKS);
	FL_OK(obey_imap(e, NULL, 0, &it, &how));
	for (; (rc = obey_imap_next(it, &index, &result)) != -ENODATA && rc != -EOWNERDEAD; n++) {
		FL_CHECK(index < t.n && seen[index]++ == 0);
		if (rc == 0) {
			FL_CHECK(result == (int)index + 1 && deaths->ran[index] == 1);
		} else {
			died((uint32_t)index, fl_imap_error(it), fl_imap_message(it));
			FL_CHECK(names_a_victim(fl_imap_message(it)));
			lost++;
		}
		if (n == deaths->each / 4)
			before = held_here();
		for (; kills < victims && n >= (kills + 1) * deaths->each - (ranks > 1 ? deaths->each / 2 : 0); kills++)
			kill_one(victims, &seed);
	}
	const struct held after = held_here();
	/* With a single rank, the iteration also contains a task whose submit was refused. */
	FL_CHECK(kills == victims && (ranks == 1 ? n + 1 >= t.next : n == t.n));
	FL_CHECK(ranks == 1 || lost <= kills * (WORKERS + PREFETCH));
	FL_CHECK(after.files <= before.files && after.memory <= before.memory + 8192);
	deaths->kills += kills;
	deaths->tasks += n;
	/* With a single rank, the tasks that were still queued are also lost. */
	deaths->lost += ranks > 1 ? lost : 0;
	deaths->grown = after.memory > before.memory + (long)deaths->grown ? (uint64_t)(after.memory - before.memory)
	                                                                   : deaths->grown;
	return job_is_over();
}

FL_TEST(mpi_kills_of_ranks_cost_what_was_sent_to_them)
{
	static const char *const ranks[] = {"5", "2", "16"};
	const char *wanted = getenv("FL_TEST_MPI_DEATHS");
	const uint64_t kills = wanted ? strtoull(wanted, NULL, 10) : 4;
	deaths->kills = deaths->tasks = deaths->lost = deaths->grown = 0;
	deaths->each = wanted ? 10000 : fl_test_scaled(2000);
	for (size_t i = 0; deaths->kills < kills; i++) {
		memset(deaths->point, 0, sizeof deaths->point);
		job_survives("loses_ranks", ranks[i % 3]);
	}
	print_message("%llu kills, %llu of %llu tasks lost, rank 0 grew by at most %llu KiB\n",
	              (unsigned long long)deaths->kills, (unsigned long long)deaths->lost,
	              (unsigned long long)deaths->tasks, (unsigned long long)deaths->grown);
}

#endif
