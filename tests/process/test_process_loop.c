/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many children at once, started from the fibers of one loop, with pipes; and a limit of
 * descriptors.
 */
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_process.h"

#include "core/sync/helper.h"

FL_ALL_NEED(FL_TEST_PROCESSES)

enum { CROWD_MAX = 1000, CROWD_FDS = 3 /* of a child: two pipes and a pidfd */, CROWD_SPARE_FDS = 100 };

/* Children that all run at the same time. */
typedef struct crowd {
	unsigned n, begun, running, refused;
	int error;         /* of the last start that failed */
	fl_event all;      /* each start has been tried */
	fl_mutex starting; /* a start needs more descriptors than a child */
	unsigned next;
} crowd;

static int crowd_child(void *arg)
{
	crowd *c = arg;
	fl_process *p = NULL;
	char text[32];
	FL_TEXT(text, "child %u", c->next++);
	const fl_process_config config = {.program = "cat", .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE};
	fl_mutex_lock(&c->starting);
	const int rc = fl_process_start(&p, &config);
	fl_mutex_unlock(&c->starting);
	c->running += rc == 0;
	c->refused += rc != 0;
	c->error = rc != 0 ? rc : c->error;
	if (++c->begun == c->n)
		fl_event_set(&c->all);
	FL_OK(fl_event_wait(&c->all));
	if (rc != 0)
		return 0;
	fl_process_io io = {.input = text, .input_size = strlen(text)};
	fl_process_status status = {77, 77};
	FL_CHECK(fl_process_is_alive(p)); /* its input is open */
	FL_OK(fl_process_communicate(p, &io, &status));
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
		FL_OK(fl_test_join(all[i]));
	FL_CHECK(c->running + c->refused == c->n);
}

static int crowd_body(void *arg)
{
	crowd_run(arg);
	return 0;
}

/* The soft limit of descriptors for so many children: fewer, if the hard limit is lower. */
static unsigned crowd_raise_limit(unsigned n, rlim_t *before)
{
	struct rlimit limit;
	FL_OK(getrlimit(RLIMIT_NOFILE, &limit));
	const rlim_t wanted = n * CROWD_FDS + CROWD_SPARE_FDS, now = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	*before = fl_test_limit(RLIMIT_NOFILE, now > limit.rlim_cur ? now : limit.rlim_cur);
	return now < wanted ? (unsigned)(now - CROWD_SPARE_FDS) / CROWD_FDS : n;
}

FL_TEST(process_loop_thousand_children_at_once)
{
	const struct process_census before = process_census();
	rlim_t limit;
	crowd c = {.n = crowd_raise_limit(fl_test_scaled(CROWD_MAX), &limit), .all = FL_EVENT_INIT};
	{
		PROCESS_LOG();
		fl_test_in_loop(crowd_body, &c);
		(void)fl_test_limit(RLIMIT_NOFILE, limit);
		process_log_has(c.refused > 0 ? "cannot start process" : "");
	}
	fl__helpers_end(); /* closes the descriptors of the watcher */
	process_same(&before);
	if (c.error == -EAGAIN)
		FL_SKIP("the system allows fewer processes");
	assert_int_equal(c.running, c.n);
}

static int crowd_body_at_limit(void *arg)
{
	crowd first = {.n = 1, .all = FL_EVENT_INIT};
	crowd_run(&first); /* makes the descriptors of the loop */
	const rlim_t before = fl_test_limit_fds(40);
	crowd_run(arg);
	fl_test_unlimit_fds(before);
	return 0;
}

/* Each start beyond the limit fails with -EMFILE; the children that have started are served. */
FL_TEST(process_loop_limit_of_descriptors)
{
	const struct process_census before = process_census();
	crowd c = {.n = 30, .all = FL_EVENT_INIT};
	PROCESS_LOG();
	fl_test_in_loop(crowd_body_at_limit, &c);
	process_log_has(", in this process");
	fl__helpers_end();
	process_same(&before);
	assert_int_equal(c.error, -EMFILE);
	assert_true(c.running > 0 && c.refused > 0);
}

/*
 * A start with pipes, and a communication, in which one system call fails: the first, the second,
 * and so on.
 */

static struct fl__process_sys start_real;
static unsigned start_calls, start_at;
static int start_error;

static bool start_strikes(void)
{
	return fl__add_relaxed(&start_calls, 1) + 1 == start_at; /* relaxed: a count; the watcher counts, too */
}

static int start_pipe(int ends[2])
{
	return start_strikes() ? start_error : start_real.pipe(ends);
}

static int start_eventfd(void)
{
	return start_strikes() ? start_error : start_real.eventfd();
}

FL_TEST_CLONE(start_clone)
{
	return start_strikes() ? start_error : start_real.clone(child, stack_end, arg, pidfd);
}

static int start_open(const char *path, int flags)
{
	return start_strikes() ? start_error : start_real.open(path, flags);
}

static int start_epoll_create(void)
{
	return start_strikes() ? start_error : fl_test_real_fd_sys.epoll_create();
}

static int start_epoll_control(int epoll, int op, int fd, uint32_t events)
{
	return op == EPOLL_CTL_ADD && start_strikes() ? start_error
	                                              : fl_test_real_fd_sys.epoll_control(epoll, op, fd, events);
}

static int start_body(void *result)
{
	const fl_process_config config = {PROCESS_COMMAND("sh", "-c", "cat; echo error >&2"), .cwd = "/"};
	fl_process_io io = {.input = "text", .input_size = 4};
	fl_process_status status = {77, 77};
	const int rc = fl_process_run(&config, &io, &status);
	if (rc == 0)
		FL_CHECK(status.code == 0 && strcmp(io.out, "text") == 0 && strcmp(io.err, "error\n") == 0);
	fl_process_io_free(&io);
	*(int *)result = rc;
	return 0;
}

/* Whether the failure came: else all calls have been made. */
static bool start_with_failure(void)
{
	const struct process_census before = process_census();
	int result = 77;
	start_calls = 0;
	fl__process_sys.pipe = start_pipe;
	fl__process_sys.eventfd = start_eventfd;
	fl__process_sys.clone = start_clone;
	fl__process_sys.open = start_open;
	fl__fd_sys.epoll_create = start_epoll_create;
	fl__fd_sys.epoll_control = start_epoll_control;
	fl_test_in_loop(start_body, &result);
	fl__helpers_end(); /* the next start begins without a watcher */
	fl__process_sys = start_real;
	(void)fl_test_fd_faults_end();
	process_same(&before);
	assert_int_equal(result, start_calls >= start_at ? start_error : 0);
	return start_calls >= start_at;
}

FL_TEST(process_loop_each_call_of_a_start_fails)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -EAGAIN, -EPERM};
	start_real = fl__process_sys;
	fl__helpers_end();
	PROCESS_LOG();
	FL_EACH (i, errors) {
		start_error = errors[i];
		for (start_at = 1; start_with_failure(); start_at++)
			assert_true(start_at < 100);
		assert_true(start_at > 6);
	}
	process_log_has("cannot start process");
}

/* Output of a hostile program: lines byte by byte, nothing, garbage without an end of a line. */

typedef struct hostile {
	const char *script;
	int lines;      /* that come whole */
	ssize_t result; /* of the read behind them */
} hostile;

static int read_hostile(void *arg)
{
	const hostile *h = arg;
	const fl_process_config config = {PROCESS_COMMAND("sh", "-c", h->script), .in = FL_PROCESS_NULL,
	                                  .out = FL_PROCESS_PIPE, .err = FL_PROCESS_NULL, .group = true};
	char line[64];
	fl_stream *s = NULL;
	fl_process *p = process_started(&config);
	FL_CHECK(fl_stream_from_fd(&s, fl_process_pipe(p, 1)) == 0 && fl_process_take_pipe(p, 1) >= 0);
	for (int i = 0; i < h->lines; i++)
		FL_CHECK(fl_stream_read_line(s, line, sizeof line) == 6 && memcmp(line, "line ", 5) == 0);
	const fl_time deadline = h->result == -ETIMEDOUT ? fl_after(FL_MS(20)) : FL_FOREVER;
	FL_CHECK(fl_stream_read_line_until(s, line, sizeof line, deadline, NULL) == h->result);
	fl_stream_free(s);
	FL_OK(fl_process_stop(p, 0, NULL));
	fl_process_free(p);
	return 0;
}

FL_TEST(process_loop_hostile_output)
{
	static const hostile all[] = {
	    {"for c in l i n e; do printf $c; done; printf ' '; printf '\\n'; printf x", 1, 1},
	    {"sleep 1000", 0, -ETIMEDOUT},
	    {"printf half; sleep 1000", 0, -ETIMEDOUT},
	    {"exec >&-; sleep 1000", 0, 0},
	    {"kill -9 $$", 0, 0},
	    {"printf 'line \\nline \\0'; kill -9 $$", 1, 6},
	    {"cat /dev/zero", 0, -EMSGSIZE},
	    {"head -c 100000 /dev/urandom | tr -d '\\n'; sleep 1000", 0, -EMSGSIZE},
	};
	const struct process_census before = process_census();
	FL_EACH (i, all)
		fl_test_in_loop(read_hostile, (void *)(uintptr_t)&all[i]);
	fl__helpers_end();
	process_same(&before);
}

/* A program has the descriptor of a stream, and its peer is slow. */

enum { GIVEN_BYTES = 300000 /* more than a pipe or a socket holds */ };

static int given_pipe(int ends[2])
{
	return pipe2(ends, O_CLOEXEC);
}

static int given_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

/* The program's output is full, or the program has given up. */
static bool given_is_stuck(fl_process *p, int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 0) == 0 || !fl_process_is_alive(p);
}

static int given_output(void *open_two)
{
	static char bytes[GIVEN_BYTES + 1];
	int ends[2];
	fl_stream *from, *to;
	fl_process_status status;
	FL_CHECK((*(int (**)(int[2]))open_two)(ends) == 0);
	FL_OK(fl_stream_from_fd(&from, ends[0]));
	FL_OK(fl_stream_from_fd(&to, ends[1]));
	FL_SCOPED(fl_process) *p = PROCESS_STARTED(PROCESS_COMMAND("head", "-c", "300000", "/dev/zero"),
	                                           .out = FL_PROCESS_FD(fl_stream_fd(to)));
	while (!given_is_stuck(p, ends[1]))
		fl_fiber_yield();
	fl_stream_free(to);
	FL_CHECK(fl_stream_read_exactly(from, bytes, sizeof bytes) == GIVEN_BYTES);
	FL_CHECK(fl_process_join(p, &status) == 0 && status.code == 0);
	fl_stream_free(from);
	return 0;
}

FL_TEST(process_loop_program_writes_to_a_stream)
{
	int (*const open_two[])(int[2]) = {given_pipe, given_pair};
	for (size_t i = 0; i < 2; i++)
		fl_test_in_loop(given_output, (void *)(uintptr_t)&open_two[i]);
}

static int given_serve(void *listener)
{
	fl_stream *s;
	FL_OK(fl_listener_accept(listener, &s));
	const int fd = FL_PROCESS_FD(fl_stream_fd(s));
	fl_process *p = PROCESS_STARTED(.program = "cat", .in = fd, .out = fd);
	fl_stream_free(s);
	return process_end(p).code;
}

/* As inetd: the program waits for its input. */
FL_LOOP_TEST(process_loop_program_serves_a_connection)
{
	fl_listener *l;
	fl_stream *s;
	char line[8];
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	fl_fiber *server = fl_test_start(given_serve, l);
	FL_OK(fl_stream_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)));
	for (int i = 0; i < 3; i++) {
		FL_OK(fl_stream_write(s, "line\n", 5));
		FL_CHECK(fl_stream_read_line(s, line, sizeof line) == 5);
	}
	FL_OK(fl_stream_close_write(s));
	FL_CHECK(fl_stream_read_some(s, line, sizeof line) == 0);
	FL_OK(fl_test_join(server)); /* the program has waited for each line */
	fl_stream_free(s);
	fl_listener_free(l);
}

/* The output of one program is the input of the next, which waits for it. */
FL_TEST(process_loop_programs_in_a_row)
{
	fl_process_io io = {.input = "text\n", .input_size = 5}, got = {.input = NULL};
	fl_process_status status;
	FL_SCOPED(fl_process) *a = PROCESS_STARTED(PROCESS_COMMAND("sh", "-c", "read x; echo $x"),
	                                           .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE);
	FL_SCOPED(fl_process) *b =
	    PROCESS_STARTED(.program = "cat", .in = FL_PROCESS_FD(fl_process_pipe(a, 1)), .out = FL_PROCESS_PIPE);
	(void)close(fl_process_take_pipe(a, 1));
	FL_OK(fl_process_communicate(a, &io, NULL));
	FL_OK(fl_process_communicate(b, &got, &status));
	assert_int_equal(status.code, 0);
	assert_string_equal(got.out, "text\n");
	fl_process_io_free(&io);
	fl_process_io_free(&got);
}
