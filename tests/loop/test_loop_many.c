/* SPDX-License-Identifier: BSD-2-Clause */
/* As many fibers on a loop as fit: 100,000 with guards, tokens and names, all of them waiting. */
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "loop/loop.h"

typedef struct crowd {
	fl_event go;
	unsigned count, came, went;
	long most; /* KiB, while all wait */
} crowd;

/* The resident size in KiB, page tables with it. */
static long resident(void)
{
	char line[512];
	long number, sum = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %ld", &number) == 1 || sscanf(line, "VmPTE: %ld", &number) == 1)
			sum += number;
	if (file)
		(void)fclose(file);
	return sum;
}

static int come_and_wait(void *arg)
{
	crowd *c = arg;
	c->came++;
	int rc = fl_event_wait(&c->go);
	c->went++;
	return rc;
}

static int gather_crowd(void *arg)
{
	crowd *c = arg;
	for (unsigned i = 0; i < c->count; i++) {
		fl_fiber *f;
		int rc = fl_fiber_start(&f, come_and_wait, c, NULL);
		if (rc != 0) {
			FL_CHECK(rc == -ENOMEM); /* guards that cut mappings, or little memory */
			c->count = i;
			break;
		}
		fl_fiber_detach(f);
	}
	while (c->came < c->count)
		fl_fiber_yield();
	FL_CHECK(fl_test_queued(&c->go) == c->count);
	c->most = resident();
	fl_event_set(&c->go);
	while (c->went < c->count / 2)
		fl_fiber_yield();
	return 0;
}

FL_TEST(loop_a_hundred_thousand_fibers)
{
	enum { WISH = 100000, WITH_SANITIZER = 1000 };
	crowd c = {.go = FL_EVENT_INIT, .count = FL_TEST_SANITIZED ? WITH_SANITIZER : WISH};
	const long before = resident();
	fl_test_in_loop(gather_crowd, &c);
	assert_int_equal(c.went, c.count);
	print_message("%u fibers, %ld bytes each\n", c.count, (c.most - before) * 1024 / (long)c.count);
	if (c.count == WISH && fl__page_size() == 4096) {
		FL_IN_RANGE((c.most - before) * 1024 / (long)c.count, 1, 5120);
		assert_true(resident() - before < (c.most - before) / 20 + 4096); /* it went back */
	}
	if (c.count < WISH)
		FL_SKIP("so many are too much here: guards that cut mappings, or a sanitizer");
}

/* All cancelled by the end of the loop. */
static int leave_crowd(void *arg)
{
	crowd *c = arg;
	for (unsigned i = 0; i < c->count; i++)
		fl_fiber_detach(fl_test_start(come_and_wait, c));
	while (c->came < c->count)
		fl_fiber_yield();
	return 0;
}

FL_TEST(loop_ten_thousand_are_cancelled)
{
	crowd c = {.go = FL_EVENT_INIT, .count = fl_test_scaled(10000)};
	fl_test_in_loop(leave_crowd, &c);
	assert_int_equal(c.went, c.count);
	assert_int_equal(fl_test_queued(&c.go), 0);
}
