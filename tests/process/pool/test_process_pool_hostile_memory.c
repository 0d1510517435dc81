/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a worker can reach, and attacks while the executor works: threads of the worker
 * write its completions all the time. test_process_pool_scribble.c has single writes by a task.
 */
#include "fl_process_pool_sizes.h"

PROCESS_POOL_SIZED(fine, 500, 1, 700, 1);

/* What it has. */

enum { MOST = 16 };

struct reach {
	uint64_t memories[MOST]; /* by their inodes */
	int n_memories, sockets, events, others, pid;
};

static void note_memories(struct reach *r)
{
	char line[512], rights[8];
	unsigned long inode;
	FILE *maps = fopen("/proc/self/maps", "re");
	FL_CHECK(maps != NULL);
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "memfd:fairlead") && r->n_memories < MOST &&
		    sscanf(line, "%*s %7s %*s %*s %lu", rights, &inode) == 2)
			r->memories[r->n_memories++] = inode;
	(void)fclose(maps);
}

static void note_descriptors(struct reach *r)
{
	char path[64], link[256];
	for (int fd = 3; fd < 256; fd++) {
		FL_TEXT(path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, link, sizeof link - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (strncmp(link, "socket:", 7) == 0)
			r->sockets++;
		else if (strstr(link, "eventfd"))
			r->events++;
		else
			r->others++;
	}
}

FL_TASK(process_pool_tells_its_reach, struct process_pool_gate *, struct reach)
{
	process_pool_enter(*arg);
	result->pid = getpid();
	note_memories(result);
	note_descriptors(result);
	return fl_shm_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

/* Two pieces of memory, one socket and one doorbell; none of them another's. */
FL_TEST(process_pool_workers_reach_nothing_of_each_other)
{
	enum { WORKERS = 4 };
	FL_SCOPED(fl_executor) *e = process_pool_with(WORKERS);
	struct process_pool_gate *gates = FL_IN_ARENA(struct process_pool_gate, WORKERS);
	struct reach reach[WORKERS];
	fl_future *f[WORKERS];
	FL_EACH (i, f)
		FL_OK(process_pool_tells_its_reach_submit(e, &gates[i], &f[i]));
	for (int i = 0; i < WORKERS; i++)
		(void)process_pool_await(&gates[i]);
	FL_EACH (i, reach) {
		process_pool_open(&gates[i]);
		FL_OK(process_pool_tells_its_reach_get(f[i], &reach[i]));
		fl_future_free(f[i]);
		assert_int_equal(reach[i].n_memories, 2);
		assert_int_equal(reach[i].sockets, 1);
		assert_int_equal(reach[i].events, 1);
		assert_int_equal(reach[i].others, 0);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(reach[i].pid, reach[j].pid);
			for (int k = 0; k < 4; k++)
				assert_true(reach[i].memories[k / 2] != reach[j].memories[k % 2]);
		}
	}
}

/* The submissions, by whatever way a process has to its own mappings: they are sealed. */

struct attempts {
	int opened, mapped, written, emptied, shrunk;
};

FL_TASK(process_pool_tries_to_write_its_orders, void, struct attempts)
{
	char path[80];
	struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	FL_TEXT(path, "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, (uintptr_t)orders,
	        (uintptr_t)orders + sizeof *orders);
	int fd = open(path, O_RDWR | O_CLOEXEC); /* may be forbidden */
	result->opened = fd >= 0;
	if (fd < 0)
		return 0;
	result->mapped = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
	result->written = pwrite(fd, path, 8, 0) == 8;
	result->emptied = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
	result->shrunk = ftruncate(fd, 0) == 0;
	return 0;
}

/* Its completions it may write, but not take away from under the executor. */
FL_TASK(process_pool_tries_to_shrink_its_replies, void, struct attempts)
{
	char path[80];
	struct fl__completion_ring *replies = find_memory("rw-s", sizeof *replies);
	FL_TEXT(path, "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, (uintptr_t)replies,
	        (uintptr_t)replies + sizeof *replies);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	result->opened = fd >= 0;
	result->shrunk = fd >= 0 && ftruncate(fd, 0) == 0;
	if (fd >= 0) /* zeros where there was something */
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)sizeof *replies);
	return 0;
}

PROCESS_POOL_TEST(process_pool_memory_is_sealed, 1)
{
	struct attempts attempts;
	FL_OK(fl_test_run_task(e, &process_pool_tries_to_write_its_orders, NULL, &attempts));
	print_message("%s\n", attempts.opened ? "opened" : "not allowed to try");
	assert_int_equal(attempts.mapped + attempts.written + attempts.emptied + attempts.shrunk, 0);
	process_pool_receive(process_pool_send(e, &fine, 1), &fine, 1);
	FL_SCOPED(fl_future) *g = FL_SUBMITTED(process_pool_tries_to_shrink_its_replies, e);
	FL_OK(fl_future_wait(g));
	if (fl_future_error(g) == 0) {
		FL_OK(process_pool_tries_to_shrink_its_replies_get(g, &attempts));
		assert_int_equal(attempts.shrunk, 0);
	}
	process_pool_receive(process_pool_send(e, &fine, 2), &fine, 2);
}

/* Writing all the time. */

enum how { NOISE, WORDS, ENDS, FLIPS, HOWS };

static struct fl__completion_ring *replies;
static const struct fl__submission_ring *orders;

static uint32_t plausible(uint64_t *seed, uint32_t seq)
{
	static const uint32_t values[] = {0, 1, UINT32_MAX, INT32_MAX, INT32_MAX + 1u, 1u << 30};
	uint64_t n = process_pool_next(seed);
	switch (n % 4) {
	case 0:
		return values[n / 4 % 6];
	case 1:
		return seq + (uint32_t)(n / 4 % 3) - 1;
	case 2:
		return seq << 2 | (uint32_t)(n / 4 % 4);
	default:
		return (uint32_t)n;
	}
}

/* Anything that it could be, in one of the words that the executor reads. */
static void write_word(uint64_t *seed)
{
	const unsigned slot = (unsigned)(process_pool_next(seed) % FL__RINGS_DEPTH);
	/* Relaxed, all: a hostile worker's. */
	const uint32_t seq = fl__load_relaxed(&orders->entry[slot].seq);
	struct fl__completion *r = &replies->entry[slot];
	uint32_t *const words[] = {&r->done,        (uint32_t *)(void *)&r->error, &r->flags,
	                           &r->count,       &replies->claim[slot],         &replies->state,
	                           &replies->asleep};
	fl__store_relaxed(words[process_pool_next(seed) % 7], plausible(seed, seq));
}

/* All submissions have ended, well, at once: so that the executor posts more and more. */
static void end_all(void)
{
	for (unsigned slot = 0; slot < FL__RINGS_DEPTH; slot++) {
		struct fl__completion *r = &replies->entry[slot];
		fl__store_relaxed(&r->error, 0); /* relaxed, all: as above */
		fl__store_relaxed(&r->flags, 0);
		fl__store_relaxed(&r->count, 1);
		fl__store_release(&r->done, fl__load_relaxed(&orders->entry[slot].seq));
	}
}

static int scribble(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	for (const int how = (int)(seed % HOWS);; sched_yield()) {
		for (int i = 0; i < 50; i++) {
			uint64_t *word = (uint64_t *)(void *)replies + process_pool_next(&seed) % (sizeof *replies / 8);
			if (how == NOISE)
				/* Relaxed, both: as above. */
				fl__store_relaxed(word, process_pool_next(&seed));
			else if (how == FLIPS)
				fl__store_relaxed(word, fl__load_relaxed(word) ^ UINT64_C(1)
				                                                     << process_pool_next(&seed) % 64);
			else if (how == WORDS)
				write_word(&seed);
			else
				end_all();
		}
	}
	return 0;
}

FL_TASK(process_pool_scribbles_from_now_on, uint64_t, void)
{
	static uint64_t seed;
	fl_thread *thread;
	seed = *arg;
	replies = find_memory("rw-s", sizeof *replies);
	orders = find_memory("r--s", sizeof *orders);
	int rc = fl_thread_start(&thread, scribble, &seed, NULL);
	if (rc == 0)
		fl_thread_detach(thread);
	return rc;
}

/*
 * The worker may believe that it is asleep, or that there is no waiter: so its submissions may
 * never end by themselves. A terminate ends them.
 */
static void one_trial(fl_executor *good, uint64_t seed)
{
	enum { BAD = 24, GOOD = 4 };
	fl_executor *bad = FL_TEST_EXECUTOR(process, .workers = 1, .task_timeout = FL_MS(20));
	fl_future *first = NULL, *f[BAD], *g[GOOD];
	FL_OK(process_pool_scribbles_from_now_on_submit(bad, seed, &first));
	FL_EACH (i, f)
		f[i] = process_pool_send(bad, &fine, i);
	FL_EACH (i, g)
		g[i] = process_pool_send(good, &fine, seed + i);
	FL_EACH (i, g)
		process_pool_receive(g[i], &fine, seed + i);
	if (seed % 3 == 0)
		FL_IGNORE(fl_future_wait_until(f[0], fl_after(FL_US(200)), NULL));
	(void)fl_executor_terminate(bad);
	fl_executor_free(bad);
	process_pool_ends(first);
	FL_EACH (i, f)
		process_pool_ends(f[i]);
}

FL_TEST(process_pool_survives_a_thread_that_scribbles)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *good = process_pool_with(1);
	for (unsigned i = 0; i < fl_test_scaled(1000); i++)
		one_trial(good, i);
}

/* Every number can be an error. */

FL_TASK(process_pool_fails_with, int, void)
{
	return *arg;
}

FL_TEST(process_pool_any_number_is_an_error)
{
	static const int errors[] = {INT32_MIN, INT32_MIN + 1, INT32_MAX, 1, -4096, -133};
	FL_EACH (i, errors) {
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		fl_future *f = FL_SUBMITTED(process_pool_fails_with, e, errors[i]);
		process_pool_fails(f, errors[i], NULL);
		FL_SCOPED(fl_executor) *broken = FL_TEST_EXECUTOR(
		    process, .workers = 1, .initialize = &process_pool_fails_with, .initialize_arg = &errors[i]);
		FL_OK(process_pool_fails_with_submit(broken, 0, &f));
		process_pool_fails(f, -ENOTRECOVERABLE, "its initializer failed");
	}
}
