/* SPDX-License-Identifier: BSD-2-Clause */
/* Many children at once, started from the fibers of one loop, with pipes; and a limit of descriptors. */
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_process.h"

#include "sync/helper.h"
#include <fairlead/process_io.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

enum { CROWD_MAX = 1000, CROWD_FDS = 3 /* of a child: two pipes and a pidfd */, CROWD_SPARE_FDS = 100 };

/* Children that all run at the same time. */
typedef struct crowd {
	unsigned n, begun, running, refused;
	int error;    /* of the last start that failed */
	fl_event all; /* each start has been tried */
	unsigned next;
} crowd;

static int crowd_child(void *arg)
{
	crowd *c = arg;
	fl_process *p = NULL;
	char text[32];
	(void)snprintf(text, sizeof text, "child %u", c->next++);
	const fl_process_config config = {.program = "cat", .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE};
	const int rc = fl_process_start(&p, &config);
	c->running += rc == 0;
	c->refused += rc != 0;
	c->error = rc != 0 ? rc : c->error;
	if (++c->begun == c->n)
		fl_event_set(&c->all);
	FL_CHECK(fl_event_wait(&c->all) == 0);
	if (rc != 0)
		return 0;
	fl_process_io io = {.input = text, .input_size = strlen(text)};
	fl_process_status status = {77, 77};
	FL_CHECK(fl_process_is_alive(p)); /* its input is open */
	FL_CHECK(fl_process_communicate(p, &io, &status) == 0);
	FL_CHECK(status.code == 0 && io.out && strcmp(io.out, text) == 0);
	fl_process_io_free(&io);
	fl_process_free(p);
	return 0;
}

static void crowd_run(crowd *c)
{
	static fl_fiber *all[CROWD_MAX];
	FL_CHECK(c->n <= CROWD_MAX);
	for (unsigned i = 0; i < c->n; i++)
		all[i] = fl_test_start(crowd_child, c);
	for (unsigned i = 0; i < c->n; i++)
		FL_CHECK(fl_test_join(all[i]) == 0);
	FL_CHECK(c->running + c->refused == c->n);
}

static int crowd_body(void *arg)
{
	crowd_run(arg);
	return 0;
}

/* The soft limit of descriptors for so many children: fewer, if the hard limit is lower. */
static unsigned crowd_raise_limit(unsigned n, struct rlimit *before)
{
	FL_CHECK(getrlimit(RLIMIT_NOFILE, before) == 0);
	struct rlimit limit = *before;
	const rlim_t wanted = n * CROWD_FDS + CROWD_SPARE_FDS;
	if (limit.rlim_cur >= wanted)
		return n;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	FL_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	return (unsigned)(limit.rlim_cur - CROWD_SPARE_FDS) / CROWD_FDS;
}

FL_TEST(process_loop_thousand_children_at_once)
{
	const size_t fds = process_fds(), children = process_children_of(getpid());
	struct rlimit before;
	crowd c = {.n = crowd_raise_limit(fl_test_scaled(CROWD_MAX), &before), .all = FL_EVENT_INIT};
	process_log_begin();
	fl_test_in_loop(crowd_body, &c);
	FL_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	const bool told = process_log_end(c.refused > 0 ? "cannot start process" : "");
	fl__helpers_end(); /* closes the descriptors of the spawner */
	assert_int_equal(process_fds(), fds);
	assert_int_equal(process_children_of(getpid()), children);
	assert_true(told);
	if (c.error == -EAGAIN)
		FL_SKIP("the system allows fewer processes");
	assert_int_equal(c.running, c.n);
}

static int crowd_body_at_limit(void *arg)
{
	crowd first = {.n = 1, .all = FL_EVENT_INIT};
	crowd_run(&first); /* makes the descriptors of the spawner */
	const rlim_t before = fl_test_limit_fds(40);
	crowd_run(arg);
	fl_test_unlimit_fds(before);
	return 0;
}

/* Each start beyond the limit fails with -EMFILE; the children that have started are served. */
FL_TEST(process_loop_limit_of_descriptors)
{
	const size_t fds = process_fds(), children = process_children_of(getpid());
	crowd c = {.n = 30, .all = FL_EVENT_INIT};
	process_log_begin();
	fl_test_in_loop(crowd_body_at_limit, &c);
	assert_true(process_log_end(", in this process"));
	fl__helpers_end();
	assert_int_equal(process_fds(), fds);
	assert_int_equal(process_children_of(getpid()), children);
	assert_int_equal(c.error, -EMFILE);
	assert_true(c.running > 0 && c.refused > 0);
}
