/* SPDX-License-Identifier: BSD-2-Clause */
/* A loop and its objects give back all memory, also where an allocation fails. */
#include "fl_account.h"

#include "core/sync/helper.h"

ACCOUNT_OF_PROCESS(account);

enum { FIBERS = 100, LONG_LINE = 40000 }; /* several slabs of fibers; a line that needs larger buffers */

static unsigned posts;

static void note_post(void *unused)
{
	posts++;
}

static bool went_well(int rc)
{
	FL_OK_OR(rc, -ENOMEM);
	return rc == 0;
}

static int yields(void *unused)
{
	fl_fiber_yield();
	return 0;
}

static void use_fibers(void)
{
	fl_fiber *fibers[FIBERS];
	size_t n = 0;
	while (n < FIBERS && went_well(fl_fiber_start(&fibers[n], yields, NULL, NULL)))
		n++;
	while (n > 0)
		FL_OK(fl_fiber_join(fibers[--n], NULL));
}

static int write_line(void *stream)
{
	char line[LONG_LINE];
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	return fl_stream_write(stream, line, sizeof line);
}

static void use_streams(void)
{
	char line[LONG_LINE];
	fl_stream *ends[2];
	fl_fiber *writer;
	if (!went_well(fl_stream_pair(ends)))
		return;
	if (went_well(fl_fiber_start(&writer, write_line, ends[0], NULL))) {
		const ssize_t got = fl_stream_read_delimited(ends[1], line, sizeof line, "\n", 1);
		FL_CHECK(got == LONG_LINE || got == -ENOMEM);
		fl_stream_abort(ends[1]); /* lets a writer end whose line is not read */
		fl_fiber_free(writer);
	}
	fl_stream_free(ends[0]);
	fl_stream_free(ends[1]);
}

static int seven(void *unused)
{
	return 7;
}

static int use(void *unused)
{
	fl_listener *listener = NULL;
	fl_datagram *datagram = NULL;
	int result;
	(void)went_well(fl_loop_post(fl_loop_current(), note_post, NULL));
	use_fibers();
	use_streams();
	if (went_well(fl_blocking_call(seven, NULL, &result)))
		FL_CHECK(result == 7);
	if (went_well(fl_listener_open_tcp(&listener, "127.0.0.1", 0, NULL)))
		fl_listener_free(listener);
	if (went_well(fl_datagram_open_udp(&datagram, "127.0.0.1", 0, NULL)))
		fl_datagram_free(datagram);
	return 0;
}

/* What the process has allocated while no thread of the library runs. */
static long live(void)
{
	fl__helpers_end();
	return account_live(&account);
}

FL_TEST(loop_gives_all_memory_back)
{
	fl_loop *l = NULL;
	FL_NEEDS(FL_TEST_EVENTFD);
	const long before = live();
	posts = 0;
	FL_OK(fl_loop_create(&l, NULL));
	FL_OK(fl_loop_run_on(l, use, NULL));
	FL_OK(fl_loop_post(l, note_post, NULL)); /* called at the end */
	assert_true(account_live(&account) > before);
	fl_loop_free(l);
	assert_int_equal(posts, 2);
	assert_int_equal(live(), before);
}

/* Each allocation fails in turn. */
FL_TEST(loop_may_be_out_of_memory)
{
	bool all = false;
	FL_NEEDS(FL_TEST_EVENTFD);
	const long before = live();
	for (long step = 0; !all; step++) {
		fl_loop *l = NULL;
		account_fail_at(&account, step);
		const int rc = fl_loop_create(&l, NULL);
		assert_true(rc == 0 || (rc == -ENOMEM && account_has_failed(&account)));
		if (rc == 0) {
			FL_OK(fl_loop_run_on(l, use, NULL));
			fl_loop_free(l);
			all = !account_has_failed(&account);
		}
		account_fail_at(&account, -1);
		assert_int_equal(live(), before);
	}
}
