/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that has called mlockall(MCL_FUTURE), and has a limit of locked memory: each mapping
 * counts, and mmap() fails with EAGAIN above the limit. So does pthread_create().
 */
#include "fl_child.h"

#include <linux/capability.h>

FL_ALL_NEED(FL_TEST_PROCESS_POOLS)

enum { LARGE = 200 << 10, MOST = 8 << 20, STACK = 128 << 10 };

struct large {
	char bytes[LARGE];
};

FL_TASK(locked_copies, struct large, struct large)
{
	*result = *arg;
	return 0;
}

FL_TASK(locked_bytes, fl_bytes, fl_bytes)
{
	return fl_bytes_append(result, arg->data, arg->size);
}

static struct large large;

FL_TEST_LOG_HANDLER(say_nothing)
{
}

static int run_on(fl_test_create *create, bool bytes)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_SCOPED(fl_future) *f = NULL;
	fl_bytes in = {.data = large.bytes, .size = sizeof large}, out = {0};
	static struct large copy;
	int rc = create(&e, &(fl_executor_config){.workers = 1, .bytes_max = LARGE});
	if (rc == 0)
		rc = bytes ? locked_bytes_submit(e, in, &f) : locked_copies_submit(e, large, &f);
	if (rc == 0)
		rc = bytes ? locked_bytes_get(f, &out) : locked_copies_get(f, &copy);
	if (rc == FL_ETASK)
		rc = fl_future_error(f);
	fl_bytes_free(&out);
	return rc;
}

static int on_threads(void)
{
	return run_on(fl_thread_executor_create, false);
}

static int on_processes(void)
{
	return run_on(fl_process_executor_create, false);
}

static int bytes_on_processes(void)
{
	return run_on(fl_process_executor_create, true);
}

static int in_process(void)
{
	FL_SCOPED(fl_process) *p = NULL;
	fl_process_status status = {0, 0};
	int rc = fl_process_start(&p, &(fl_process_config){.task = &locked_copies, .arg = &large});
	if (rc == 0)
		rc = fl_process_join(p, &status);
	return rc;
}

static int in_region(void)
{
	fl_shm *region = NULL, *again = NULL;
	int rc = fl_shm_create(&region, 1 << 20);
	if (rc == 0)
		rc = fl_shm_attach(&again, fl_shm_fd(region));
	fl_shm_free(again);
	fl_shm_free(region);
	return rc;
}

static int over_pipe(void)
{
	fl_pipe *ends[2] = {NULL, NULL};
	static struct large copy;
	size_t size;
	int rc = fl_pipe_create(&ends[0], &ends[1], NULL);
	if (rc == 0)
		rc = fl_pipe_send(ends[0], &large, sizeof large);
	if (rc == 0)
		rc = fl_pipe_receive(ends[1], &copy, sizeof copy, &size);
	fl_pipe_free(ends[0]);
	fl_pipe_free(ends[1]);
	return rc;
}

static int fiber(void *unused)
{
	return fl_sleep(FL_MS(1));
}

static int start_fibers(void *unused)
{
	FL_SCOPED(fl_group) group = FL_GROUP_INIT(NULL);
	int rc = 0;
	for (int i = 0; rc == 0 && i < 8; i++)
		rc = fl_group_start(&group, fiber, NULL);
	const int joined = fl_group_join(&group);
	return rc != 0 ? rc : joined;
}

static int on_loop(void)
{
	return fl_loop_run(start_fibers, NULL);
}

static const struct {
	const char *name;
	int (*use)(void);
	bool starts_threads; /* -EAGAIN is their error */
} uses[] = {
    {"a thread executor", on_threads, true},
    {"a process executor", on_processes, true},
    {"bytes on a process executor", bytes_on_processes, true},
    {"a process with a large argument", in_process, false},
    {"a region", in_region, false},
    {"a pipe", over_pipe, false},
    {"fibers", on_loop, false},
};

/* In KiB. */
static rlim_t locked_now(void)
{
	char text[4096];
	const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, text, sizeof text - 1);
	FL_CHECK(n > 0 && close(fd) == 0);
	text[n] = '\0';
	const char *line = strstr(text, "VmLck:");
	return line ? (rlim_t)strtoul(line + strlen("VmLck:"), NULL, 10) : 0;
}

static void use_with_little(void *use)
{
	const size_t i = *(const size_t *)use;
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	(void)fl_log_set_handler(say_nothing);
	pthread_attr_t small;
	FL_OK(pthread_attr_init(&small));
	FL_OK(pthread_attr_setstacksize(&small, STACK));
	FL_OK(pthread_setattr_default_np(&small));
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){MOST, MOST}) != 0 || syscall(SYS_capset, &head, none) != 0 ||
	    mlockall(MCL_FUTURE) != 0)
		_exit(77);
	int rc = -ENOMEM;
	const rlim_t first = locked_now() << 10;
	for (rlim_t limit = first; limit <= MOST; limit += (limit - first) / 4 + 4096) {
		FL_OK(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){limit, MOST}));
		rc = uses[i].use();
		if (rc == 0)
			return;
		if (rc != -ENOMEM && !(rc == -EAGAIN && uses[i].starts_threads))
			print_error("%s: %s with %llu bytes\n", uses[i].name, fl_error_name(rc),
			            (unsigned long long)limit);
		FL_CHECK(rc == -ENOMEM || (rc == -EAGAIN && uses[i].starts_threads));
	}
	FL_OK(rc);
}

FL_TEST(memory_locked_and_limited)
{
	fl_test_needs_threads_in_children();
	if (!fl_test_memory_is_limited())
		FL_SKIP(FL_TEST_MEMORY_REASON);
#ifdef FL__ASAN
	FL_SKIP("the sanitizer ends the process where it cannot map memory");
#endif
	for (size_t i = 0; i < FL__COUNT(uses); i++) {
		const int status = fl_test_child(use_with_little, &i, NULL, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			FL_SKIP("all memory of this process cannot be locked");
		assert_int_equal(status, 0);
	}
}
