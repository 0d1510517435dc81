/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flight recorder and worker processes: arrows between processes, rings of dead and hostile
 * workers.
 */
#include "fl_process_pool_sizes.h"

#include "inspect/trace.h"
#include "process/pool/process_pool.h"
#include <ctype.h>

/* Whether a text is JSON (RFC 8259) of ASCII characters alone. */

static const char *json_value(const char *at);

static const char *json_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Each function returns the end of what it has read; NULL: it is not there. */
static const char *json_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		if (*at < ' ' || *at > '~')
			return NULL;
		if (*at != '\\')
			continue;
		if (*++at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4)
			return NULL;
		if (!*at || !strchr("\"\\/bfnrtu", *at))
			return NULL;
	}
	return at + 1;
}

static const char *json_number(const char *at)
{
	at += *at == '-';
	size_t digits = strspn(at, "0123456789");
	if (digits == 0 || (digits > 1 && *at == '0'))
		return NULL;
	at += digits;
	if (*at == '.') {
		digits = strspn(++at, "0123456789");
		at += digits;
	}
	return digits > 0 ? at : NULL;
}

static const char *json_members(const char *at, char last, bool named)
{
	at = json_space(at + 1);
	for (bool first = true; *at != last; first = false) {
		if (!first && *at++ != ',')
			return NULL;
		if (named && (!(at = json_string(json_space(at))) || *(at = json_space(at)) != ':'))
			return NULL;
		at = json_value(at + named);
		if (!at)
			return NULL;
		at = json_space(at);
	}
	return at + 1;
}

static const char *json_value(const char *at)
{
	at = json_space(at);
	switch (*at) {
	case '{':
		return json_members(at, '}', true);
	case '[':
		return json_members(at, ']', false);
	case '"':
		return json_string(at);
	default:
		return json_number(at); /* the other literals are not needed */
	}
}

static inline bool fl_json_is_valid(const char *text)
{
	const char *end = json_value(text);
	return end && *json_space(end) == '\0';
}

enum { EVENTS = 1 << 10 };

static void stop_tracing(const int *unused)
{
	FL_OK(fl_trace_enable(NULL));
}

#define TRACING()                                                                                                      \
	__attribute__((cleanup(stop_tracing), unused)) const int tracing = 0;                                          \
	FL_OK(fl_trace_enable("ring,signal=0,events=1024"))

static void unmap_text(char **text)
{
	FL_OK(munmap(*text, (size_t)1 << 24));
}

#define TRACE_TEXT __attribute__((cleanup(unmap_text))) char

/* A file of the recorder, which must be JSON. */
static char *written(void)
{
	char path[32];
	const int fd = memfd_create("trace", MFD_CLOEXEC);
	FL_CHECK(fd >= 0);
	FL_TEXT(path, "/proc/self/fd/%d", fd);
	FL_OK(fl_trace_write(path));
	FL_CHECK(lseek(fd, 0, SEEK_END) < 1 << 24);
	FL_OK(ftruncate(fd, 1 << 24)); /* so that a 0 follows */
	char *text = mmap(NULL, 1 << 24, PROT_READ, MAP_PRIVATE, fd, 0);
	FL_CHECK(text != MAP_FAILED);
	(void)close(fd);
	assert_true(fl_json_is_valid(text));
	return text;
}

/* The line that has all of these, behind `from`; NULL: none. The last argument is NULL. */
static const char *find_line(const char *from, ...)
{
	for (const char *line = from, *end; line && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		va_list parts;
		bool all = true;
		va_start(parts, from);
		for (const char *part; all && (part = va_arg(parts, const char *)) != NULL;) {
			const char *at = strstr(line, part);
			all = at && at < end;
		}
		va_end(parts);
		if (all)
			return line;
	}
	return NULL;
}

/* The arrow's id in that line, which must be one. */
static unsigned arrow_at(const char *line, const char *phase)
{
	unsigned id = 0;
	FL_CHECK(line && strncmp(line, "{\"ph\":\"", 7) == 0 && line[7] == *phase);
	FL_CHECK(sscanf(strstr(line, "\"id\":"), "\"id\":%u", &id) == 1);
	return id;
}

static const char *next_line(const char *line)
{
	return strchr(line, '\n') + 1;
}

static const char *line_before(const char *text, const char *line)
{
	line -= 2;
	while (line > text && line[-1] != '\n')
		line--;
	return line;
}

static char *pid_text(int pid)
{
	static char text[2][24];
	static unsigned n;
	(void)snprintf(text[++n % 2], sizeof text[0], "\"pid\":%d,", pid);
	return text[n % 2];
}

FL_TEST(process_pool_trace_has_arrows_from_submit_to_get)
{
	TRACING();
	const char *const name = "\"process_pool_getpid\"";
	int pid;
	{
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		pid = process_pool_pid(e);
	}
	TRACE_TEXT *text = written(); /* of a pool that is gone */
	const char *submit = find_line(text, "\"X\"", "\"submit process_pool_getpid\"", pid_text(getpid()), NULL);
	const char *post = find_line(text, "\"X\"", "\"post process_pool_getpid\"", pid_text(getpid()), NULL);
	const char *start = find_line(text, "\"B\"", name, pid_text(pid), NULL);
	const char *taken = find_line(text, "\"X\"", "\"taken process_pool_getpid\"", pid_text(getpid()), NULL);
	const char *get = find_line(text, "\"X\"", "\"get process_pool_getpid\"", pid_text(getpid()), NULL);
	FL_CHECK(submit && post && start && taken && get);
	const char *end = find_line(start, "\"ph\":\"E\"", pid_text(pid), NULL);
	FL_CHECK(end);
	assert_int_equal(arrow_at(next_line(submit), "s"), arrow_at(next_line(post), "f"));
	assert_int_equal(arrow_at(next_line(next_line(post)), "s"), arrow_at(next_line(start), "f"));
	assert_int_equal(arrow_at(line_before(text, end), "s"), arrow_at(next_line(taken), "f"));
	assert_int_equal(arrow_at(next_line(next_line(taken)), "s"), arrow_at(next_line(get), "f"));
}

/* Without "kill" in its last task, its last event is the start. */
static void expect_last_start(const char *text, int pid, const char *error)
{
	const char *start = find_line(text, "\"B\"", "\"process_pool_held\"", pid_text(pid), NULL);
	FL_CHECK(start);
	assert_null(find_line(start, "\"ph\":\"E\"", pid_text(pid), NULL));
	assert_non_null(find_line(start, "\"taken process_pool_held\"", pid_text(getpid()), error, NULL));
}

FL_TEST(process_pool_trace_of_a_killed_worker)
{
	TRACING();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *f = process_pool_hold(e, gate);
	FL_OK(kill(gate->pid, SIGKILL));
	process_pool_fails(f, -EOWNERDEAD, "killed by SIGKILL");
	TRACE_TEXT *text = written();
	expect_last_start(text, gate->pid, "\"error\":130");
	assert_null(find_line(text, "\"cat\":\"process\"", NULL)); /* not by this process */
	const int first = gate->pid;
	gate = process_pool_gate();
	f = process_pool_hold(e, gate);
	FL_OK(fl_executor_terminate(e));
	FL_OK(fl_executor_join(e));
	fl_future_free(f);
	TRACE_TEXT *both = written();
	expect_last_start(both, first, "\"error\":130");
	expect_last_start(both, gate->pid, "\"error\":125");
	char process[32];
	FL_TEXT(process, "\"process\":%d", gate->pid);
	assert_non_null(find_line(both, "\"ph\":\"i\"", "kill", "its executor was terminated", process, NULL));
}

/* A worker fills its ring with what no recorder writes, while files are written. */

static void scribble_over(struct fl__trace_ring *ring, size_t size, uint64_t *seed)
{
	uint64_t *const words = (uint64_t *)(void *)ring;
	for (size_t i = 0; i < size / sizeof *words; i++)
		fl__store_relaxed(&words[i], process_pool_next(seed) << 40 ^ process_pool_next(seed));
	/* half of the events look sound, but for what they tell */
	fl__store_relaxed(&ring->first, 0);
	fl__store_relaxed(&ring->head, EVENTS);
	for (unsigned i = 0; i < EVENTS; i++) {
		static const int64_t times[] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, 0, -1};
		struct fl__trace_event *e = &ring->events[i];
		const uint64_t drawn = process_pool_next(seed);
		fl__store_relaxed(&e->mark, (uint16_t)(drawn % 20));
		if (drawn >> 8 & 1)
			fl__store_relaxed(&e->time, drawn >> 9 & 1 ? fl_now().ns : times[drawn % FL__COUNT(times)]);
		if (drawn >> 10 & 1)
			fl__store_relaxed(&e->code, (uint8_t)(drawn >> 12 & 31));
	}
}

FL_TASK(process_pool_scribbles_over_its_trace, struct process_pool_gate *, void)
{
	uint64_t seed = 7;
	const size_t size = fl__trace_ring_size();
	void *memory = find_memory("rw-s", fl__completions_size(size));
	do {
		scribble_over(fl__completions_trace(memory, size), size, &seed);
		if (!fl_shm_event_is_set(&(*arg)->entered))
			process_pool_enter(*arg);
	} while (!fl_shm_event_is_set(&(*arg)->open));
	return 0;
}

FL_TEST(process_pool_trace_of_a_worker_that_scribbles)
{
	TRACING();
	FL_SCOPED(fl_executor) *bad = process_pool_with(1), *good = process_pool_with(1);
	struct process_pool_gate *gate = process_pool_gate();
	const int pid = process_pool_pid(good);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(process_pool_scribbles_over_its_trace, bad, gate);
	(void)process_pool_await(gate);
	for (unsigned i = 0; i < fl_test_scaled(100); i++) {
		TRACE_TEXT *text = written();
		assert_non_null(find_line(text, "\"B\"", "\"process_pool_getpid\"", pid_text(pid), NULL));
	}
	process_pool_open(gate);
	FL_OK(fl_future_wait(f));
	FL_OK(fl_future_error(f)); /* its tasks go on */
	process_pool_works(bad);
	TRACE_TEXT *text = written();
	assert_non_null(text);
}

static int start_nothing(fl_process **p, const fl_process_config *config)
{
	return -ENOENT;
}

static void start_again(const struct fl__process_pool_sys *real)
{
	fl__process_pool_sys = *real;
}

/* Rings of workers that never were do not stay. */
FL_TEST(process_pool_trace_of_a_worker_that_cannot_be_started)
{
	TRACING();
	PROCESS_POOL_LEAVES_NOTHING();
	PROCESS_LOG();
	__attribute__((cleanup(start_again), unused)) const struct fl__process_pool_sys real = fl__process_pool_sys;
	fl__process_pool_sys.start = start_nothing;
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	fl_future *f = FL_SUBMITTED(process_pool_square, e, 3);
	process_pool_fails(f, -ENOTRECOVERABLE, "ENOENT");
}

static void write_in_child(void *unused)
{
	TRACE_TEXT *text = written();
	FL_CHECK(text && !find_line(text, "\"process_pool_getpid\"", NULL));
}

FL_TEST(process_pool_trace_in_a_forked_child)
{
	TRACING();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	(void)process_pool_pid(e);
	FL_IN_CHILD(write_in_child, NULL);
	(void)process_pool_pid(e);
	TRACE_TEXT *text = written();
	assert_non_null(find_line(text, "\"process_pool_getpid\"", NULL));
}
