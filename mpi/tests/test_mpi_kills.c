/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests worker processes of the ranks that are really killed during an iteration over many
 * elements, and accounts for each element. FL_TEST_MPI_KILLS in the environment sets the number of
 * kills; there are a thousand elements for each.
 */
#include "fl_mpi_or_skip.h"
#ifdef FL_TEST_MPI
#include "fl_faults.h"
#include "fl_mpi.h"

enum { A_KILL = 1000, MOST = 10000 * A_KILL, LIVES = 64, CHUNK = 100 };

/* All ranks and workers share it. */
struct board {
	uint64_t started[MOST / 64 + 1]; /* has a bit for each element */
	uint32_t twice, lives;
	struct {
		int32_t pid, parent;
	} life[LIVES]; /* the workers that were started last */
};

FL_TASK_STATIC(be_born, struct board *, void)
{
	struct board *b = *arg;
	const uint32_t n = __atomic_fetch_add(&b->lives, 1, __ATOMIC_SEQ_CST) % LIVES;
	__atomic_store_n(&b->life[n].parent, (int32_t)getppid(), __ATOMIC_SEQ_CST);
	__atomic_store_n(&b->life[n].pid, (int32_t)getpid(), __ATOMIC_SEQ_CST);
	return 0;
}

struct element {
	struct board *board;
	uint64_t id;
};

static uint64_t answer_to(uint64_t id)
{
	return (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

FL_TASK_STATIC(answer, struct element, uint64_t)
{
	const uint64_t bit = UINT64_C(1) << arg->id % 64;
	if (__atomic_fetch_or(&arg->board->started[arg->id / 64], bit, __ATOMIC_SEQ_CST) & bit)
		__atomic_fetch_add(&arg->board->twice, 1, __ATOMIC_SEQ_CST);
	/* Some elements take longer, so that kills find them running. */
	for (const fl_time until = fl_after(arg->id % 64 == 0 ? FL_US(100) : 0); !fl_time_is_past(until);)
		;
	*result = answer_to(arg->id);
	return 0;
}

struct campaign {
	struct board *board;
	uint64_t made, elements, ended, kills, died, seed;
	unsigned char seen[MOST / 8 + 1];
};

static int next_element(void *state, void *arg)
{
	struct campaign *c = state;
	if (c->made == c->elements)
		return 0;
	*(struct element *)arg = (struct element){c->board, c->made++};
	return 1;
}

static int parent_of(int pid)
{
	char path[64];
	int parent = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	(void)fclose(f);
	return parent;
}

/*
 * Kills a worker. Because another process may get its number before the kill, the signal goes to a
 * descriptor of the process, after checking that this process is a child of the worker's parent.
 */
static bool kill_one(struct campaign *c)
{
	c->seed = c->seed * UINT64_C(6364136223846793005) + 1;
	const uint64_t n = (c->seed >> 33) % LIVES;
	const int pid = __atomic_load_n(&c->board->life[n].pid, __ATOMIC_SEQ_CST);
	const int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		return false;
	const bool killed = parent_of(pid) == __atomic_load_n(&c->board->life[n].parent, __ATOMIC_SEQ_CST) &&
	                    syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
	FL_OK(close(fd));
	return killed;
}

static void account(struct campaign *c, fl_imap *it, size_t index, int rc, uint64_t result)
{
	assert_true(index < c->elements);
	assert_false(c->seen[index / 8] & 1 << index % 8);
	c->seen[index / 8] |= (unsigned char)(1 << index % 8);
	const bool started = c->board->started[index / 64] >> index % 64 & 1;
	c->ended++;
	if (rc == 0) {
		assert_true(started);
		assert_true(result == answer_to(index));
		return;
	}
	FL_RC(rc, FL_ETASK);
	FL_RC(fl_imap_error(it), -EOWNERDEAD);
	fl_test_contains(fl_imap_message(it), "SIGKILL");
	c->died++;
}

FL_TEST(mpi_kills_of_workers_cost_one_chunk_each)
{
	static struct campaign c;
	const char *kills = getenv("FL_TEST_MPI_KILLS");
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	need_ranks();
	c.elements = (kills ? strtoull(kills, NULL, 10) : fl_test_scaled(50)) * A_KILL;
	assert_true(c.elements <= MOST);
	c.board = FL_IN_ARENA(struct board, 1);
	c.seed = 1;
	const fl_executor_config config = {
	    .workers = 2 * (fl_mpi_ranks() - 1), .initialize = &be_born, .initialize_arg = &c.board};
	FL_SCOPED(fl_executor) *e = make_over_mpi(&config, &(fl_mpi_config){.processes = true, .prefetch = 2});
	FL_SCOPED(fl_imap) *it = NULL;
	const fl_imap_config how = {.chunk = CHUNK, .unordered = true, .next = next_element, .state = &c};
	FL_OK(answer_imap(e, NULL, 0, &it, &how));
	const fl_time began = fl_now();
	size_t index;
	uint64_t result;
	int rc;
	while ((rc = answer_imap_next(it, &index, &result)) != -ENODATA) {
		account(&c, it, index, rc, result);
		if (c.ended >= (c.kills + 1) * A_KILL)
			c.kills += kill_one(&c);
	}
	/* No element is lost; account() checks that none has come twice. */
	assert_true(c.ended == c.elements);
	assert_int_equal(c.board->twice, 0);
	assert_true(c.died <= c.kills * CHUNK);
	print_message("%llu kills, %llu of %llu elements died with their workers, %.1f s\n",
	              (unsigned long long)c.kills, (unsigned long long)c.died, (unsigned long long)c.ended,
	              (double)fl_time_diff(fl_now(), began) / 1e9);
}

/* Rank 0 also counts the starts in worker processes. */

struct starts {
	uint32_t *n;
	bool dies; /* otherwise the task only returns the error of a death */
};

FL_TASK_STATIC(dies_always, struct starts, void, .max_attempts = 3)
{
	__atomic_fetch_add(arg->n, 1, __ATOMIC_SEQ_CST);
	if (arg->dies)
		(void)raise(SIGKILL);
	return -EOWNERDEAD;
}

FL_TEST(mpi_starts_are_counted_over_all_processes)
{
	FL_NEEDS(FL_TEST_PROCESS_POOLS);
	FL_SCOPED(fl_executor) *e = make_over_mpi(NULL, &(fl_mpi_config){.processes = true});
	for (int dies = 0; dies < 2; dies++) {
		FL_SCOPED(fl_future) *f = NULL;
		uint32_t *starts = FL_IN_ARENA(uint32_t, 1);
		FL_OK(dies_always_submit(e, (struct starts){starts, dies}, &f));
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), -EOWNERDEAD);
		assert_true(!dies || strstr(fl_future_message(f), "SIGKILL"));
		assert_int_equal(*starts, dies ? 3 : 1);
	}
}

#endif
