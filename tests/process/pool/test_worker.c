/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker of a process executor: places of arguments and results, chunks, and the environment of
 * tasks.
 */
#include "fl_worker.h"

struct page {
	unsigned char bytes[4096];
};

FL_TASK(worker_has_a_page, struct page, struct page)
{
	return 0;
}

struct aligned {
	_Alignas(64) int n;
};

FL_TASK(worker_is_aligned, struct aligned, struct aligned)
{
	return 0;
}

FL_TASK(worker_touches_nothing, struct large, struct large)
{
	return 0;
}

struct limit {
	int resource;
	rlim_t value;
};

FL_TASK(worker_limits_itself, struct limit, void)
{
	(void)fl_test_limit(arg->resource, arg->value);
	return 0;
}

/* What it does. */

static void assert_apart_fails(struct parent *p, size_t size, size_t said)
{
	struct fl__submission *there = draft(p, &worker_doubles, &(int){1}, 1);
	struct fl__task_identity identity;
	fl__task_identify(&worker_inverts_large, &identity);
	there->task = identity.id;
	there->check = fl__task_check(&identity);
	there->flags = FL__SUBMISSION_ARG_MEMFD;
	if (size > 0)
		send_apart(p, p->rings.next, &zeros, size, said);
	assert_post_fails(p, -EBADMSG, "the argument does not arrive");
	assert_nothing_received(p);
}

FL_TEST(worker_looks_before_it_maps)
{
	PARENT(p);
	assert_apart_fails(&p, 0, 0); /* nothing came */
	assert_apart_fails(&p, 4096, sizeof(struct large));
	assert_apart_fails(&p, sizeof(struct large), 4096);
	draft(&p, &worker_has_a_page, &(struct page){{0}}, 1)->arg = FL__RINGS_ARENA - 4095;
	assert_post_fails(&p, -EPROTO, "the argument is outside of its arena");
	draft(&p, &worker_is_aligned, &(struct aligned){7}, 1)->result = 32;
	assert_post_fails(&p, -EPROTO, "the result is to be outside of its arena");
	draft(&p, &worker_has_a_page, &(struct page){{0}}, 1)->result = UINT32_MAX;
	assert_post_fails(&p, -EPROTO, "the result is to be outside of its arena");
	draft(&p, &worker_doubles, &(int){0}, 1)->count = UINT32_MAX;
	assert_post_fails(&p, -EPROTO, "too large");
	assert_int_equal(int_of(&p, &worker_doubles, 1), 2); /* it goes on */
}

/* An error comes before the task, and not in the midst of it when there is no memory for a page. */
FL_TEST(worker_has_all_of_a_result_before_the_task)
{
	PARENT(p);
	struct fl__memfd_packet head;
	struct stat info;
	int fd;
	unsigned n = 1;
	size_t size;
	(void)order(&p, &worker_touches_nothing, &zeros, 1);
	assert_succeeds(&p, 1);
	FL_OK(fl__packet_recv(p.channel, &head, sizeof head, &size, &fd, &n, FL_NO_WAIT));
	FL_OK(fstat(fd, &info));
	FL_OK(close(fd));
	assert_true((size_t)info.st_blocks * 512 >= sizeof zeros);
}

/* More than there is room for in the arena. */
enum { MANY = 1 << 16 };
static const int one_wrong[MANY] = {[MANY / 2] = -1};

FL_TEST(worker_cannot_send_a_result)
{
	PARENT(p);
	FL_OK(shutdown(p.channel, SHUT_RD));
	const uint32_t seq = order(&p, &worker_inverts_large, &zeros, 1);
	FL_WAIT_FOR(fl__load_acquire(&p.rings.completions->entry[slot_of(seq)].done) == seq);
	assert_int_equal(p.rings.completions->entry[slot_of(seq)].count, 0);
	assert_fails(&p, -EPIPE, "the result cannot be sent");
	/* Even of a failed one only as many elements run as arrive. */
	(void)order(&p, &worker_doubles, one_wrong, MANY);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE, 0);
}

FL_TEST(worker_out_of_memory_and_descriptors)
{
	PARENT(p);
	const struct {
		struct limit limit;
		int error;
		const char *message;
	} rows[] = {{{RLIMIT_FSIZE, 4096}, -EFBIG, "no memory for the result"},
	            {{RLIMIT_NOFILE, 0}, -EMFILE, "the argument does not arrive"}};
	FL_EACH (i, rows) {
		(void)order(&p, &worker_limits_itself, &rows[i].limit, 1);
		assert_succeeds(&p, 1);
		(void)order(&p, &worker_inverts_large, &zeros, 1);
		assert_fails(&p, rows[i].error, rows[i].message);
		assert_nothing_received(&p);
		assert_int_equal(int_of(&p, &worker_doubles, 1), 2);
	}
}

FL_TEST(worker_runs_chunks)
{
	PARENT(p);
	int args[100], results[100];
	FL_EACH (i, args)
		args[i] = i;
	(void)order(&p, &worker_doubles, args, 100);
	assert_succeeds(&p, 100);
	memcpy(results, p.rings.completions->arena, sizeof results);
	FL_EACH (i, results)
		assert_int_equal(results[i], 2 * i);
	args[50] = -1;
	(void)order(&p, &worker_doubles, args, 100);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE, 50);
	assert_string_equal(p.rings.completions->message[slot_of(p.rings.first - 1)], "-1 is negative");
	memcpy(results, p.rings.completions->arena, sizeof results);
	assert_int_equal(results[49], 98);
	assert_int_equal(results[50], -2); /* what it left there */
	assert_int_equal(results[51], 0);
}

FL_TEST(worker_chunk_apart_that_fails)
{
	PARENT(p);
	const uint32_t seq = order(&p, &worker_doubles, one_wrong, MANY);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE, MANY / 2);
	int *results = receive_result(&p, seq, sizeof one_wrong);
	assert_int_equal(results[MANY / 2], -2);
	FL_OK(munmap(results, sizeof one_wrong));
}

FL_TEST(worker_unknown_tasks)
{
	PARENT(p);
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	assert_post_fails(&p, -ENOENT, "not registered");
	draft(&p, &worker_doubles, &(int){1}, 1)->check++;
	assert_post_fails(&p, -EPROTO, "worker_doubles of the worker is of another version or build");
	send_apart(&p, p.rings.next, "12345678", 8, 8); /* its memory does not stay */
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	p.rings.submissions->entry[slot_of(p.rings.next)].flags = FL__SUBMISSION_ARG_MEMFD;
	assert_post_fails(&p, -ENOENT, "not registered");
	assert_int_equal(fl__fd_waiting(p.fds[FL__WORKER_CHANNEL]), 0);
	assert_int_equal(int_of(&p, &worker_doubles, 1), 2);
}

/* Around it. */

FL_TEST(worker_says_when_it_began_and_how_long_it_ran)
{
	PARENT(p);
	const fl_time before = fl_now();
	draft(&p, &worker_doubles, &(int){1}, 1)->flags |= FL__SUBMISSION_TIMED;
	(void)post(&p);
	struct fl__completion reply = await(&p);
	assert_true(reply.began >= before.ns && reply.began <= fl_now().ns);
	assert_true(reply.ran <= (fl_now().ns - reply.began) / FL__RINGS_RAN_UNIT);
}
