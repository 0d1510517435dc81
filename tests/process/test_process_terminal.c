/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that share a terminal with the program, and processes that are stopped: what the waits
 * for them do, and what they say.
 */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_process.h"

#include <stdlib.h>

FL_ALL_NEED(FL_TEST_PROCESSES)

struct at_terminal {
	void (*body)(void);
	const char *path;
};

/* The child leads a session, so the terminal becomes its own. */
static void enter_terminal(void *arg)
{
	const struct at_terminal *at = arg;
	FL_CHECK(setsid() == getpid() && open(at->path, O_RDWR | O_CLOEXEC) >= 0);
	FL_CHECK(tcgetpgrp(open("/dev/tty", O_RDWR | O_CLOEXEC)) == getpgrp());
	at->body();
}

/* Runs `body` in a child with a terminal, on which "secret" has been typed. */
static void with_terminal(void (*body)(void))
{
	process_needs_fork();
	process_await_last_thread();
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		FL_SKIP("no terminals here");
	FL_CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	struct at_terminal at = {body, ptsname(master)};
	const int held = open(at.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	FL_CHECK(held >= 0 && write(master, "secret\n", 7) == 7);
	FL_IN_CHILD(enter_terminal, &at);
	FL_CHECK(close(held) == 0 && close(master) == 0);
}

#define ASKS PROCESS_COMMAND("sh", "-c", "printf 'password: ' >/dev/tty; read x </dev/tty; echo \"got $x\"")

/* The program led a group in the background: SIGTTIN stopped it, and the call waited for ever. */
FL_TEST_WITH(process_run_lets_the_program_ask_on_the_terminal, with_terminal, void)
{
	fl_process_io io = {.input = NULL};
	fl_process_status status;
	FL_OK(fl_process_run(&(fl_process_config){ASKS}, &io, &status));
	FL_CHECK(status.code == 0 && strcmp(io.out, "got secret\n") == 0);
	fl_process_io_free(&io);
}

FL_TASK(asks, void, void)
{
	char line[16] = "";
	const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	return read(terminal, line, sizeof line) == 7 && strcmp(line, "secret\n") == 0 ? 0 : 1;
}

FL_TEST_WITH(process_of_a_task_may_ask_on_the_terminal, with_terminal, void)
{
	FL_CHECK(PROCESS_RUN(.task = &asks).code == 0);
}

/* Reports of stopped processes. The handler ends the process, so that the wait ends, too. */

static int stopped_pid, stopped_with;
static unsigned stopped_reports;
static char stopped_text[300];

FL_TEST_LOG_HANDLER(on_stopped)
{
	stopped_reports++;
	FL_TEXT(stopped_text, "%s", message);
	if (stopped_with)
		FL_OK(kill(stopped_pid, stopped_with));
}

static void begin_reports(const fl_process *p, int signal)
{
	stopped_pid = fl_process_pid(p);
	stopped_with = signal;
	stopped_reports = 0;
	(void)fl_log_set_handler(on_stopped);
	fl__process_sys.first_look = FL_MS(1);
}

static void end_reports(const char *text)
{
	(void)fl_log_set_handler(NULL);
	FL_CHECK(stopped_reports == 1 && strstr(stopped_text, text));
}

/* A process that leads a group is in the background. No wait is without a word. */
FL_TEST_WITH(process_join_reports_a_process_that_reads_the_terminal, with_terminal, void)
{
	PROCESS_FAULTS();
	const fl_process_config configs[] = {{ASKS, .group = true}, {.task = &asks, .group = true}};
	FL_EACH (i, configs) {
		fl_process *p = process_started(&configs[i]);
		begin_reports(p, SIGKILL);
		FL_CHECK(process_end(p).signal == SIGKILL);
		end_reports("is stopped in the background of its terminal");
	}
}

static void each_way(void (*body)(void))
{
	PROCESS_FAULTS();
	body();
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	{
		FL_CANCEL_SCOPE(&token);
		body();
	}
	fl_cancel_token_destroy(&token);
	fl_test_body_in_loop(body);
	fl__helpers_end();
}

static fl_process *start_stopped(void)
{
	fl_process *p = PROCESS_STARTED(.program = "cat", .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE);
	process_stop(fl_process_pid(p));
	return p;
}

FL_TEST_WITH(process_join_reports_a_stopped_process, each_way, void)
{
	fl_process *p = start_stopped();
	begin_reports(p, SIGKILL);
	FL_CHECK(process_end(p).signal == SIGKILL);
	end_reports("is stopped by a signal; the wait for it goes on");
}

FL_TEST_WITH(process_communicate_reports_a_stopped_process, each_way, void)
{
	fl_process_io io = {.input = "text", .input_size = 4};
	fl_process_status status;
	FL_SCOPED(fl_process) *p = start_stopped();
	begin_reports(p, SIGCONT);
	FL_OK(fl_process_communicate(p, &io, &status));
	end_reports("is stopped by a signal; the wait for it goes on");
	FL_CHECK(status.code == 0 && strcmp(io.out, "text") == 0);
	fl_process_io_free(&io);
}

static int (*real_open)(const char *path, int flags);
static unsigned looks;

/* Ends the process at the fifth look. */
static int open_and_count(const char *path, int flags)
{
	const int fd = real_open(path, flags);
	if (strncmp(path, "/proc/", 6) == 0 && ++looks == 5)
		FL_OK(kill(stopped_pid, SIGKILL));
	return fd;
}

/* One report for one stop, and the time between two looks grows: a wait of a day looks 17 times. */
FL_TEST(process_stop_is_reported_once)
{
	PROCESS_FAULTS();
	fl_process *p = start_stopped();
	begin_reports(p, 0);
	looks = 0;
	real_open = fl__process_sys.open;
	fl__process_sys.open = open_and_count;
	FL_CHECK(process_end(p).signal == SIGKILL);
	FL_CHECK(looks >= 5);
	end_reports("is stopped");
}

FL_TEST(process_that_is_not_stopped_is_not_reported)
{
	PROCESS_FAULTS();
	PROCESS_LOG();
	fl_process *p = PROCESS_STARTED(.program = "cat", .in = FL_PROCESS_PIPE, .out = FL_PROCESS_PIPE);
	fl__process_sys.first_look = FL_MS(1);
	FL_RC(fl_process_join_until(p, NULL, fl_after(FL_MS(20)), NULL), -ETIMEDOUT);
	FL_OK(fl_process_kill(p));
	(void)process_end(p);
	assert_string_equal(process_log, "");
}
