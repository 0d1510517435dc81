/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes to processes: fl_process_communicate(), fl_process_run(), fl_process_stop(),
 * fl_fd_read_some(), fl_fd_write_some().
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_process.h"

FL_ALL_NEED(FL_TEST_PROCESSES)

/*
 * Runs a case on a thread without a token, on a thread with one, and on a fiber: they wait in
 * different ways.
 */
static void each_way(void (*body)(void))
{
	const struct process_census before = process_census();
	body();
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	{
		FL_CANCEL_SCOPE(&token);
		body();
	}
	fl_cancel_token_destroy(&token);
	fl_test_body_in_loop(body);
	fl__helpers_end(); /* the watcher's descriptors */
	process_same(&before);
}

/* Input and outputs, until the end of the block. */
#define IO(io, ...) __attribute__((cleanup(fl_process_io_free))) fl_process_io io = {__VA_ARGS__}

/* A shell that runs `text`, with pipes for all three streams. */
static fl_process *start_shell(const char *text)
{
	return PROCESS_STARTED(PROCESS_COMMAND("sh", "-c", text), .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE,
	                       .err = FL_PROCESS_PIPE, .group = true);
}

static int run_shell(const char *text, fl_process_io *io, fl_process_status *status, fl_time deadline)
{
	return fl_process_run_until(&(fl_process_config){PROCESS_COMMAND("sh", "-c", text)}, io, status, deadline,
	                            NULL);
}

FL_TEST_WITH(process_io_input_and_both_outputs, each_way, void)
{
	fl_process_io io = {.input = "word", .input_size = 4};
	fl_process_status status;
	FL_OK(run_shell("x=$(cat); printf 'out %s' $x; printf 'err %s' $x >&2; exit 3", &io, &status, FL_FOREVER));
	FL_CHECK(status.code == 3 && status.signal == 0 && io.written == 4);
	FL_CHECK(io.out_size == 8 && strcmp(io.out, "out word") == 0);
	FL_CHECK(io.err_size == 8 && strcmp(io.err, "err word") == 0);
	fl_process_io_free(&io);
	FL_CHECK(!io.out && !io.err && io.out_size == 0 && io.err_size == 0);
}

FL_TEST_WITH(process_io_without_input_or_output, each_way, void)
{
	IO(io, .input = NULL);
	fl_process_status status;
	/* no input is /dev/null, not the caller's */
	FL_CHECK(run_shell("cat", &io, &status, FL_FOREVER) == 0 && status.code == 0);
	FL_CHECK(!io.out || io.out[0] == '\0');
	FL_CHECK(io.out_size == 0 && io.err_size == 0);
	io.input_size = 1;
	FL_RC(run_shell("cat", &io, &status, FL_FOREVER), -EINVAL);
}

/* An input of one zero byte is a pipe with that byte; an empty one ends at once. */
FL_TEST_WITH(process_io_empty_input_is_closed, each_way, void)
{
	IO(io, .input = "", .input_size = 0);
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_shell("cat; printf end");
	FL_CHECK(fl_process_communicate(p, &io, &status) == 0 && status.code == 0);
	FL_CHECK(io.out_size == 3 && memcmp(io.out, "end", 3) == 0);
	FL_RC(fl_process_pipe(p, 0), -EBADF);
	FL_RC(fl_process_pipe(p, 1), -EBADF);
	FL_RC(fl_process_pipe(p, 2), -EBADF);
}

/* More than both pipes hold, in both directions: neither side may wait for the other. */
FL_TEST_WITH(process_io_much_in_and_out_at_once, each_way, void)
{
	const size_t size = (size_t)fl_test_scaled(100) << 20;
	char *bytes = malloc(size);
	FL_CHECK(bytes != NULL);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 2654435761u >> 24);
	fl_process_io io = {.input = bytes, .input_size = size, .out_max = size};
	fl_process_status status;
	FL_CHECK(run_shell("cat", &io, &status, FL_FOREVER) == 0 && status.code == 0);
	FL_CHECK(io.written == size && io.out_size == size && memcmp(io.out, bytes, size) == 0);
	fl_process_io_free(&io);
	free(bytes);
}

/* A write to a pipe that nothing reads ends the input, and raises no SIGPIPE. */
FL_TEST_WITH(process_io_input_is_not_read, each_way, void)
{
	static char input[4 << 20]; /* above the 1 MiB of a pipe with pages of 64 KiB */
	IO(io, .input = input, .input_size = sizeof input);
	fl_process_status status;
	FL_OK(run_shell("exec <&-; printf done", &io, &status, FL_FOREVER));
	FL_CHECK(status.code == 0 && io.out_size == 4 && io.written < sizeof input);
}

FL_TEST_WITH(process_io_limit_of_an_output, each_way, void)
{
	fl_process_io io = {.out_max = 10};
	fl_process_status status;
	fl_process *p = start_shell("printf 0123456789abcdef; printf 12 >&2");
	FL_RC(fl_process_communicate(p, &io, &status), -EMSGSIZE);
	FL_CHECK(io.out_size == 11 && memcmp(io.out, "0123456789a", 12) == 0);
	io.out_max = 16;
	FL_CHECK(fl_process_communicate(p, &io, &status) == 0 && status.code == 0);
	FL_CHECK(io.out_size == 16 && memcmp(io.out, "0123456789abcdef", 17) == 0 && io.err_size == 2);
	fl_process_free(p);
	fl_process_io_free(&io);

	io = (fl_process_io){.err_max = 1};
	FL_RC(run_shell("yes >&2", &io, &status, FL_FOREVER), -EMSGSIZE); /* and the process is stopped */
	FL_CHECK(status.signal == SIGTERM && io.err_size == 2);
	fl_process_io_free(&io);
}

/* A call that gives up loses no byte: the next one goes on. */
FL_TEST_WITH(process_io_goes_on_after_a_timeout_and_a_cancel, each_way, void)
{
	IO(io, .input = "1\n", .input_size = 2);
	fl_process_status status;
	char byte;
	int go[2];
	FL_OK(pipe2(go, O_CLOEXEC));
	FL_SCOPED(fl_process) *p = PROCESS_STARTED(
	    PROCESS_COMMAND("sh", "-c", "printf first; read x; read y <&3; printf second"), .in = FL_PROCESS_PIPE,
	    .out = FL_PROCESS_PIPE, .err = FL_PROCESS_NULL, .fds = &go[0], .n_fds = 1);
	while (io.out_size < 5)
		FL_RC(fl_process_communicate_until(p, &io, &status, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_process_communicate_until(p, &io, &status, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CHECK(fl_process_is_alive(p) && write(go[1], "2\n", 2) == 2);
	FL_CHECK(fl_process_communicate(p, &io, &status) == 0 && status.code == 0);
	FL_CHECK(io.out_size == 11 && strcmp(io.out, "firstsecond") == 0 && io.err_size == 0);
	FL_CHECK(close(go[0]) == 0 && close(go[1]) == 0 && read(go[0], &byte, 1) < 0);
}

/*
 * The process has ended, but a grandchild has its output open: the call waits for the grandchild,
 * and a deadline ends it.
 */
FL_TEST_WITH(process_io_output_held_by_a_grandchild, each_way, void)
{
	IO(io, .input = NULL);
	fl_process_status status = {77, 77};
	FL_SCOPED(fl_process) *p = start_shell("printf said; sleep 1000 & exit 5");
	while (fl_process_is_alive(p))
		FL_RC(fl_process_communicate_until(p, &io, &status, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_process_communicate_until(p, &io, &status, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_CHECK(fl_process_stop(p, 0, &status) == 0 && status.code == 5);
	FL_OK(fl_process_communicate(p, &io, NULL)); /* the group is gone, and with it the grandchild */
	FL_CHECK(io.out_size == 4 && strcmp(io.out, "said") == 0);
}

/*
 * A run that times out because a grandchild holds the output open. The grandchild reads descriptor
 * 3 to its end.
 */
static void run_with_grandchild(bool group)
{
	IO(io, .input = NULL);
	fl_process_status status = {77, 77};
	int ends[2];
	FL_OK(pipe2(ends, O_CLOEXEC));
	const fl_process_config config = {PROCESS_COMMAND("sh", "-c", "printf said; cat <&3 & exit 5"), .fds = &ends[0],
	                                  .n_fds = 1, .group = group};
	FL_RC(fl_process_run_until(&config, &io, &status, fl_after(FL_MS(300)), NULL), -ETIMEDOUT);
	FL_CHECK(io.out_size <= 4 && (status.code == 5 || status.signal == SIGTERM));
	FL_OK(close(ends[0]));
	struct pollfd readers = {.fd = ends[1]};
	FL_WAIT_FOR(!group || (poll(&readers, 1, 0) == 1 && readers.revents & POLLERR));
	FL_OK(close(ends[1]));
}

FL_TEST_WITH(process_run_ends_the_whole_group, each_way, void)
{
	run_with_grandchild(true);
}

FL_TEST_WITH(process_run_returns_while_a_grandchild_runs, each_way, void)
{
	run_with_grandchild(false);
}

/*
 * On SIGTERM the process prints more to both outputs than their pipes hold. The call keeps all of
 * the one, and discards what is above the limit of the other.
 */
FL_TEST_WITH(process_run_reads_while_it_stops, each_way, void)
{
	enum { SIZE = 300000 };
	IO(io, .err_max = 1);
	fl_process_status status;
	do { /* again if this machine took longer than the grace */
		fl_process_io_free(&io);
		FL_RC(run_shell("trap 'head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3' TERM;"
		                "printf 12 >&2; while :; do sleep 0.01; done",
		                &io, &status, FL_FOREVER),
		      -EMSGSIZE);
	} while (status.signal == SIGKILL);
	FL_CHECK(status.code == 3 && status.signal == 0);
	FL_CHECK(io.out_size == SIZE && io.err_size == 2);
}

/* SIGTERM is ignored, and the output never ends: the process is killed after the grace. */
FL_TEST(process_run_ends_an_endless_output)
{
	IO(io, .out_max = 1);
	fl_process_status status;
	FL_RC(run_shell("trap '' TERM; exec yes", &io, &status, FL_FOREVER), -EMSGSIZE);
	assert_int_equal(status.signal, SIGKILL);
	assert_int_equal(io.out_size, 2);
}

static unsigned refusals;

static void *refuses_large_ones_twice(size_t size)
{
	return size > 30000 && ++refusals <= 2 ? NULL : calloc(1, size);
}

/* Memory is short for a while: what is kept is all the same the beginning of the output. */
FL_TEST(process_run_keeps_no_gap)
{
	IO(io, .input = NULL);
	fl_process_status status;
	fl__helpers_end(); /* the library's threads read the table */
	refusals = 0;
	{
		FL_FAULTS();
		fl__sys.alloc = refuses_large_ones_twice;
		FL_RC(run_shell("seq 100000; while :; do sleep 0.01; done", &io, &status, FL_FOREVER), -ENOMEM);
		fl__helpers_end();
	}
	FL_CHECK(refusals == 2 && io.out_size > 0);
	char number[16];
	int n = 1;
	for (size_t at = 0, size; at < io.out_size; at += size) {
		size = (size_t)sprintf(number, "%d\n", n++);
		size = size < io.out_size - at ? size : io.out_size - at;
		FL_CHECK(memcmp(io.out + at, number, size) == 0);
	}
}

/* The outputs end long before the process. */
FL_TEST_WITH(process_io_outputs_end_before_the_process, each_way, void)
{
	IO(io, .input = NULL);
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_shell("printf x; exec >&- 2>&-; read y; exit 6");
	while (io.out_size == 0)
		FL_CHECK(fl_process_communicate_until(p, &io, &status, fl_test_soon(), NULL) == -ETIMEDOUT ||
		         fl_process_pipe(p, 0) < 0);
	FL_OK(fl_process_communicate(p, &io, &status));
	FL_CHECK(status.code == 1 || status.code == 6); /* its input ended with the first call */
}

/* Stopping. */

FL_TEST_WITH(process_stop_lets_it_end_by_itself, each_way, void)
{
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_shell("trap 'exit 9' TERM; printf x; while :; do sleep 0.01; done");
	char byte;
	FL_CHECK(fl_fd_read_some(fl_process_pipe(p, 1), &byte, 1) == 1); /* the trap is set */
	FL_CHECK(fl_process_stop(p, FL_S(1000), &status) == 0 && status.code == 9);
	FL_CHECK(fl_process_stop(p, FL_S(1000), &status) == 0 && status.code == 9); /* again */
}

FL_TEST_WITH(process_stop_kills_after_the_grace, each_way, void)
{
	fl_process_status status;
	char byte;
	FL_SCOPED(fl_process) *p = start_shell("trap '' TERM; printf x; while :; do sleep 0.01; done");
	FL_CHECK(fl_fd_read_some(fl_process_pipe(p, 1), &byte, 1) == 1);
	FL_CHECK(fl_process_stop(p, FL_MS(20), &status) == 0 && status.signal == SIGKILL);
}

/* SIGTERM stays pending in a stopped process until it continues. */
FL_TEST_WITH(process_stop_of_a_stopped_process, each_way, void)
{
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_shell("read x");
	FL_OK(fl_process_signal(p, SIGSTOP));
	while (process_state(fl_process_pid(p)) != 'T')
		sched_yield();
	FL_CHECK(fl_process_stop(p, FL_S(1000), &status) == 0 && status.signal == SIGTERM);
}

FL_TASK(wait_for_end, int, void)
{
	char byte;
	FL_CHECK((getpgrp() == getpid()) == (*arg != 0));
	FL_CHECK(write(STDOUT_FILENO, "x", 1) == 1);
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

/* Pipes and groups of tasks, by each method. */
FL_TEST(process_io_of_tasks)
{
	PROCESS_EACH_METHOD (method) {
		FL_BOTH (group) {
			IO(io, .input = NULL);
			fl_process_status status;
			const fl_process_config config = {.task = &wait_for_end,
			                                  .arg = &group,
			                                  .method = method,
			                                  .group = group,
			                                  .in = FL_PROCESS_PIPE,
			                                  .out = FL_PROCESS_PIPE,
			                                  .err = FL_PROCESS_AS_OUT};
			FL_SCOPED(fl_process) *p = process_started(&config);
			FL_OK(fl_process_communicate(p, &io, &status));
			assert_int_equal(status.code, 0);
			assert_int_equal(io.out_size, 1);
			FL_SCOPED(fl_process) *stopped = process_started(&config);
			FL_OK(fl_process_stop(stopped, FL_S(1000), &status));
			assert_int_equal(status.signal, SIGTERM);
		}
	}
}

/* The handle's ends. */

FL_TEST(process_pipes_belong_to_the_handle_until_taken)
{
	fl_process *p = start_shell("true"); /* so that the library's own descriptors are there */
	(void)process_end(p);
	const size_t fds = fl_test_fds();
	p = start_shell("cat");
	const int in = fl_process_pipe(p, 0), out = fl_process_take_pipe(p, 1);
	FL_CHECK(in > 2 && out > 2 && fl_process_pipe(p, 1) == -EBADF && fl_process_take_pipe(p, 1) == -EBADF);
	FL_RC(fl_process_pipe(p, 3), -EBADF);
	FL_RC(fl_process_pipe(p, -1), -EBADF);
	FL_RC(fl_process_take_pipe(p, 3), -EBADF);
	FL_CHECK(!(fcntl(out, F_GETFL) & O_NONBLOCK) && (fcntl(out, F_GETFD) & FD_CLOEXEC));
	FL_CHECK(!(fcntl(in, F_GETFL) & O_NONBLOCK) && (fcntl(in, F_GETFD) & FD_CLOEXEC));
	FL_RC(fl_fd_write_some(in, "abc", 3), 3);
	char bytes[8];
	FL_RC(fl_fd_read_some(out, bytes, sizeof bytes), 3);
	(void)close(fl_process_take_pipe(p, 0));
	(void)close(fl_process_take_pipe(p, 0));
	FL_RC(fl_fd_read_some(out, bytes, sizeof bytes), 0);
	(void)process_end(p); /* closes the pipe of standard error */
	FL_OK(close(out));
	FL_CHECK(fl_test_fds() == fds);
}

FL_TEST(process_err_goes_where_out_goes)
{
	fl_process_io io = {.input = NULL};
	fl_process_status status;
	FL_OK(fl_process_run(&(fl_process_config){PROCESS_COMMAND("sh", "-c", "printf 1; printf 2 >&2; printf 3"),
	                                          .err = FL_PROCESS_AS_OUT},
	                     &io, &status));
	assert_string_equal(io.out, "123");
	FL_CHECK(!io.err);
	fl_process_io_free(&io);
	fl_process *p = NULL;
	PROCESS_LOG();
	FL_RC(fl_process_start(&p, &(fl_process_config){PROCESS_COMMAND("sh", "-c", "printf 1; printf 2 >&2; printf 3"),
	                                                .out = FL_PROCESS_AS_OUT}),
	      -EBADF);
	process_log_has("FL_PROCESS_AS_OUT is for `err`, not for `out`");
}

/* Documented results. */

FL_TEST(fd_read_and_write_answer)
{
	int ends[2];
	char byte = 0;
	FL_OK(pipe2(ends, O_CLOEXEC)); /* it blocks, and stays so */
	FL_RC(fl_fd_read_some(ends[0], &byte, 0), -EINVAL);
	FL_RC(fl_fd_read_some(ends[0], &byte, SIZE_MAX), -EINVAL);
	FL_RC(fl_fd_read_some(ends[1], &byte, 1), -EBADF);
	FL_RC(fl_fd_read_some(-1, &byte, 1), -EBADF);
	FL_RC(fl_fd_read_some_until(ends[0], &byte, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_fd_read_some_until(ends[0], &byte, 1, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_fd_write_some(ends[1], &byte, SIZE_MAX), -EINVAL);
	FL_RC(fl_fd_write_some(ends[0], &byte, 1), -EBADF);
	FL_RC(fl_fd_write_some(ends[1], &byte, 0), 0);
	static char much[1 << 20];
	ssize_t n, sum = 0;
	while ((n = fl_fd_write_some_until(ends[1], much, sizeof much, FL_NO_WAIT, FL_SHIELDED)) > 0)
		sum += n;
	FL_CHECK(sum > 0);
	FL_RC(fl_fd_write_some_until(ends[1], &byte, 1, fl_test_soon(), FL_SHIELDED), -ETIMEDOUT);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_fd_write_some(ends[1], &byte, 1), -ECANCELED);
		for (; sum > 0; sum -= n)
			FL_CHECK((n = fl_fd_read_some(ends[0], much, sizeof much)) >
			         0); /* what is there is read all the same */
		FL_RC(fl_fd_read_some(ends[0], &byte, 1), -ECANCELED);
	}
	FL_CHECK(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK) && !(fcntl(ends[1], F_GETFL) & O_NONBLOCK));
	FL_OK(close(ends[0]));
	FL_RC(fl_fd_write_some(ends[1], &byte, 1), -EPIPE);
	FL_OK(close(ends[1]));
}

/* A file is read at once, and never waits for a poll. */
FL_TEST(fd_read_of_a_file)
{
	char bytes[16];
	const int file = fl_test_scratch();
	FL_RC(fl_fd_write_some(file, "contents", 8), 8);
	FL_OK(lseek(file, 0, SEEK_SET));
	FL_RC(fl_fd_read_some(file, bytes, sizeof bytes), 8);
	FL_RC(fl_fd_read_some(file, bytes, sizeof bytes), 0);
	FL_OK(close(file));
}

static int not_allowed(int pidfd, int signal)
{
	return -EPERM;
}

static int not_there(int pidfd, int signal)
{
	return -ENOSYS;
}

FL_TEST(process_stop_and_communicate_answer)
{
	const fl_process_config config = {PROCESS_COMMAND("sh", "-c", "read x"), .in = FL_PROCESS_PIPE};
	IO(io, .input_size = 1);
	fl_process_status status;
	fl_process *p = process_started(&config);
	FL_RC(fl_process_communicate(p, &io, &status), -EINVAL);
	FL_RC(fl_process_communicate(p, NULL, &status), -EINVAL);
	io.input_size = 0;
	{
		PROCESS_FAULTS();
		fl__process_sys.signal = not_allowed;
		FL_RC(fl_process_stop(p, 0, &status), -EPERM);
		fl__process_sys.signal = not_there;
		FL_RC(fl_process_stop(p, 0, &status), -ENOSYS);
		FL_RC(fl_process_signal(p, SIGTERM), -ENOSYS);
		FL_RC(fl_process_terminate(p), -ENOSYS);
		FL_RC(fl_process_kill(p), -ENOSYS);
	}
	FL_OK(fl_process_stop(p, FL_S(1000), &status));
	assert_int_equal(status.signal, SIGTERM);
	fl_process_free(p);

	/* collected by others, as waitpid() does: how it ended is not known */
	for (int i = 0; i < 2; i++) {
		p = process_started(&config);
		const int pid = fl_process_pid(p);
		(void)close(fl_process_take_pipe(p, 0));
		FL_CHECK(waitpid(pid, NULL, 0) == pid);
		FL_RC(i == 0 ? fl_process_stop(p, 0, &status) : fl_process_communicate(p, &io, &status), -ECHILD);
		fl_process_free(p);
	}
}

FL_TEST(process_run_answers)
{
	const fl_process_config config = {PROCESS_COMMAND("sh", "-c", "printf text; read x"), .in = FL_PROCESS_FD(0)};
	fl__helpers_end(); /* the fork server of earlier cases ends, too */
	const size_t children = process_children_of(getpid());
	int ends[2];
	FL_OK(pipe2(ends, O_CLOEXEC));
	fl_process_config open_input = config;
	open_input.in = FL_PROCESS_FD(ends[0]);
	fl_process_io io = {.out_max = 3};
	fl_process_status status;
	FL_RC(fl_process_run(&open_input, &io, &status), -EMSGSIZE);
	assert_int_equal(status.signal, SIGTERM);
	fl_process_io_free(&io);
	io = (fl_process_io){.input = NULL};
	FL_RC(fl_process_run_until(&open_input, &io, &status, fl_after(FL_MS(10)), NULL), -ETIMEDOUT);
	assert_int_equal(status.signal, SIGTERM);
	fl_process_io_free(&io);
	FL_CANCELS_IN_SCOPE(fl_process_run(&open_input, &io, &status));
	FL_RC(fl_process_run_until(&open_input, &io, &status, FL_FOREVER, fl_test_requested), -ECANCELED);
	fl_process_io_free(&io);
	fl_test_close_two(ends);
	fl__helpers_end(); /* the library's threads read the table */
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_process_run(&config, &io, &status), -ENOMEM);
	}
	FL_CHECK(process_children_of(getpid()) == children);
}

static void run_without_io(void *unused)
{
	fl_process_status status = {77, 77};
	FL_OK(
	    fl_process_run(&(fl_process_config){PROCESS_COMMAND("sh", "-c", "cat; echo dropped; echo said >&2; exit 3"),
	                                        .out = FL_PROCESS_PIPE},
	                   NULL, &status));
	FL_CHECK(status.code == 3);
	FL_RC(fl_process_run(NULL, NULL, NULL), -EINVAL);
}

FL_TEST(process_run_without_io)
{
	char text[500];
	PROCESS_LOG();
	fl_test_stderr(run_without_io, NULL, text, sizeof text);
	process_log_has("cannot start process");
	assert_string_equal(text, "said\n");
}

/* Faults: a start that fails leaves no pipe, and a communication that fails can go on. */

static int no_pipe(int ends[2])
{
	return -EMFILE;
}

FL_TEST(process_io_start_that_fails_leaves_nothing)
{
	const char *const argv[] = {"/no/such/program", NULL};
	const fl_process_config config = {
	    .program = argv[0], .argv = argv, .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE, .err = FL_PROCESS_PIPE};
	fl_process *p = NULL;
	fl_process_io io = {.input = NULL};
	PROCESS_LOG();
	FL_RC(fl_process_run(&config, &io, NULL), -ENOENT);
	FL_RC(fl_process_run(&config, &(fl_process_io){.input_size = 1}, NULL), -EINVAL); /* it starts nothing */
	const size_t fds = fl_test_fds();
	FL_RC(fl_process_start(&p, &config), -ENOENT);
	FL_RC(fl_process_run(NULL, &io, NULL), -EINVAL);
	{
		PROCESS_FAULTS();
		fl__process_sys.pipe = no_pipe;
		FL_RC(fl_process_start(&p, &config), -EMFILE);
		FL_CHECK(fl_test_fds() == fds);
	}
	FL_CHECK(fl_test_fds() == fds);
	process_log_has("a pipe cannot be made");
}

FL_TEST(process_io_without_memory_goes_on_later)
{
	IO(io, .input = NULL);
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_shell("printf text");
	fl__helpers_end(); /* the library's threads read the table */
	{
		FL_FAULTS();
		fl__sys.alloc = fl_test_no_memory;
		FL_RC(fl_process_communicate(p, &io, &status), -ENOMEM);
	}
	FL_OK(fl_process_communicate(p, &io, &status));
	assert_string_equal(io.out, "text");
}
