/* SPDX-License-Identifier: BSD-2-Clause */
/* As many fibers as fit: 100,000 with guards, within the kernel's limit of mappings. */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_fiber.h"
#include "fl_queued.h"

#include "loop/fiber/stack.h"

/* The number after `label` in a file of /proc; 0: it is not there. */
static long proc_number(const char *path, const char *label)
{
	char line[256];
	long number = 0;
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	while (number == 0 && fgets(line, sizeof line, file))
		if (strncmp(line, label, strlen(label)) == 0)
			number = strtol(line + strlen(label), NULL, 10);
	(void)fclose(file);
	return number;
}

/* Whether guards cut no mapping: then what they need is no more than the mapping itself. */
static bool has_guard_markers(void)
{
	size_t page = fl__page_size();
	char *memory = fl__sys.map(64 * page);
	FL_CHECK(memory != NULL);
	const unsigned before = fl_test_mappings_of("");
	for (size_t i = 0; i < 64; i += 2)
		FL_OK(fl__sys.guard(memory + i * page, page));
	const unsigned after = fl_test_mappings_of("");
	fl__sys.unmap(memory, 64 * page);
	return after < before + 16;
}

/* How many fibers this build, kernel and machine bear. */
static unsigned bearable(unsigned wish)
{
	enum { KIB_EACH = 6, WITH_CUTS = 10000, WITH_SANITIZER = 1000 };
	long available = proc_number("/proc/meminfo", "MemAvailable:") / 2 / KIB_EACH;
	if (FL_TEST_SANITIZED)
		return wish < WITH_SANITIZER ? wish : WITH_SANITIZER;
	if ((sizeof(void *) < 8 || !has_guard_markers()) && wish > WITH_CUTS)
		wish = WITH_CUTS;
	return available < (long)wish ? (unsigned)available : wish;
}

/* The resident size in KiB, page tables with it. */
static long resident(void)
{
	return proc_number("/proc/self/status", "VmRSS:") + proc_number("/proc/self/status", "VmPTE:");
}

typedef struct crowd {
	fl_event go;
	unsigned count;
	unsigned came;     /* of the fibers' thread */
	long before, most; /* KiB */
} crowd;

static int come_and_wait(void *arg)
{
	crowd *c = arg;
	fl__add_relaxed(&c->came, 1); /* relaxed: a count that is polled */
	return fl_event_wait(&c->go);
}

static int let_them_go(void *arg)
{
	crowd *c = arg;
	/*
	 * All but the last are enqueued by then; counting a queue of 100,000 holds its bucket, so
	 * polling must not do it.
	 */
	FL_WAIT_FOR(fl__load_relaxed(&c->came) == c->count);
	FL_WAIT_FOR(fl_test_queued(&c->go) == c->count);
	c->most = resident();
	fl_event_set(&c->go);
	return 0;
}

FL_TEST(fiber_a_hundred_thousand)
{
	enum { WISH = 100000 };
	crowd c = {.count = bearable(WISH)};
	c.before = resident();
	struct fl__sched *s = fl_test_sched();
	for (unsigned i = 0; i < c.count; i++) {
		struct fl__fiber *f = NULL;
		FL_OK(fl__fiber_create(s, &f, come_and_wait, &c, NULL));
		fl__fiber_detach(f);
	}
	fl_thread t;
	fl_test_go(&t, let_them_go, &c);
	fl_test_run(s);
	fl_test_end(&t);
	fl__sched_destroy(s);
	print_message("%u fibers, %ld bytes each\n", c.count, (c.most - c.before) * 1024 / (long)c.count);
	if (c.count == WISH && fl__page_size() == 4096) {
		FL_IN_RANGE((c.most - c.before) * 1024 / (long)c.count, 1, 4864);
		/* It went back. */
		assert_true(resident() - c.before < (c.most - c.before) / 20 + 4096);
	}
	if (c.count < WISH)
		FL_SKIP("so many are too much here: guards that cut mappings, or a sanitizer");
}

/* Where guards cut mappings the pieces run out: an error, and all works on. */
FL_TEST(fiber_guards_run_out)
{
	enum { MOST = 40000 };
	FL_FAULTS();
	if (FL_TEST_SANITIZED)
		skip(); /* it would run out of pieces for itself */
	fl__sys.guard = fl__portable_guard;
	struct fl__stack_pool *pool = calloc(1, sizeof *pool);
	struct fl_test_memory *stacks = calloc(MOST, sizeof *stacks);
	assert_non_null(pool);
	assert_non_null(stacks);
	unsigned n = 0;
	int rc = 0;
	fl__stack_pool_init(pool, 0, FL_TEST_BLOCK);
	while (n < MOST && (rc = fl_test_get_memory(pool, &stacks[n])) == 0)
		n++;
	assert_true(rc == 0 || rc == -ENOMEM);
	assert_true(n > 1000);
	fl_test_put_memory(pool, stacks[--n]);
	FL_OK(fl_test_get_memory(pool, &stacks[n]));
	stacks[n].stack.low[0] = 1;
	for (unsigned i = 0; i <= n; i++)
		fl_test_put_memory(pool, stacks[i]);
	fl__stack_pool_end(pool);
	free(stacks);
	free(pool);
}
