/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin with its own static copy of the library (tests/plugin) is loaded, uses everything, and
 * is unloaded: nothing of it is left, and host threads that have called it continue.
 */
#include "fl_account.h"
#include "fl_process.h"

#include "inspect/backtrace.h"
#include "plugin/plugin.h"
#include <dlfcn.h>
#include <sys/sendfile.h>

enum { HOSTS = 3 };

/* Step coverage: each copy of the library maps its counters, for ever. */
extern int __llvm_profile_runtime __attribute__((weak));

/* The plugin uses everything, and musl unloads nothing. */
#ifdef __GLIBC__
#define UNLOAD_NEEDS() FL_NEEDS(FL_TEST_PROCESS_POOLS)
#else
#define UNLOAD_NEEDS() FL_SKIP("the C library unloads nothing")
#endif

static const char *path_of_plugin(void)
{
	return process_path_beside("plugin", "test-plugin.so");
}

/* The plugin's memory. */
static struct account account = {.fail_at = -1};
static fl_allocator counting;

/* What a process has. */

typedef struct census {
	size_t children, fds, mappings;
} census;

static size_t count_threads(void)
{
	return fl_test_entries("/proc/self/task");
}

static census count_all(void)
{
	return (census){process_children_of(getpid()), fl_test_fds(), fl_test_mappings_of("")};
}

/* A thread of the host that calls the plugin, goes on when that is unloaded, and ends later. */

typedef struct host {
	pthread_t thread;
	const struct plugin *plugin;
	pthread_barrier_t *used, *unloaded;
} host;

static void *use_and_go_on(void *arg)
{
	host *h = arg;
	h->plugin->use_here();
	(void)pthread_barrier_wait(h->used);
	(void)pthread_barrier_wait(h->unloaded);
	return NULL; /* the destructors of the thread's own data run now */
}

static void *unload(void *handle)
{
	FL_OK(dlclose(handle));
	return NULL;
}

static void *load_file(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW);
	if (!handle)
		print_error("%s\n", dlerror());
	FL_CHECK(handle != NULL);
	return handle;
}

static const struct plugin *plugin_of(void *handle)
{
	return dlsym(handle, "plugin");
}

static const struct plugin *begin_plugin(void *handle, bool may_fork)
{
	const struct plugin *plugin = plugin_of(handle);
	counting = account_of(&account);
	plugin->begin(&counting, may_fork);
	return plugin;
}

static void load_use_unload(bool by_another_thread)
{
	pthread_barrier_t used, unloaded;
	host hosts[HOSTS];
	void *handle = load_file(path_of_plugin());
	const struct plugin *plugin = begin_plugin(handle, process_can(FL_PROCESS_FORK));
	FL_OK(pthread_barrier_init(&used, NULL, HOSTS + 1));
	FL_OK(pthread_barrier_init(&unloaded, NULL, HOSTS + 1));
	FL_EACH (i, hosts) {
		hosts[i] = (host){.plugin = plugin, .used = &used, .unloaded = &unloaded};
		FL_OK(pthread_create(&hosts[i].thread, NULL, use_and_go_on, &hosts[i]));
	}
	plugin->use_all();
	(void)pthread_barrier_wait(&used);
	plugin->end();
	plugin->detach_all();
	(void)(by_another_thread ? fl_test_foreign(unload, handle) : unload(handle));
	FL_CHECK(fl_test_mappings_of("test-plugin.so") == 0);
	(void)pthread_barrier_wait(&unloaded);
	FL_EACH (i, hosts)
		FL_OK(pthread_join(hosts[i].thread, NULL));
	FL_OK(pthread_barrier_destroy(&used));
	FL_OK(pthread_barrier_destroy(&unloaded));
}

static void *end_at_once(void *unused)
{
	return unused;
}

/*
 * 100 times, less often on slow builds: no thread, process, descriptor, mapping, memory block or
 * signal handler is left. The C library keeps stacks and arenas for later threads, so the number of
 * mappings may differ by some, but not by one a cycle.
 */
FL_TEST(unload_leaves_nothing)
{
	UNLOAD_NEEDS();
	enum { WARM = 3, SOME = 30 };
	const unsigned cycles = fl_test_scaled(100);
	struct sigaction before, dump, fault;
	census first = {0};
	FL_OK(sigaction(SIGSEGV, NULL, &before));
	/* A sanitizer starts its own then. */
	(void)fl_test_foreign(end_at_once, NULL);
	const size_t threads = count_threads(), children = process_children_of(getpid());
	for (unsigned i = 0; i < cycles; i++) {
		load_use_unload(i % 2);
		FL_WAIT_FOR(count_threads() <= threads); /* a joined one may be seen for a moment */
		const census now = count_all();
		if (i == WARM)
			first = now;
		assert_int_equal(now.children, children);
		assert_int_equal(account_live(&account), 0);
		assert_true(i < WARM || now.fds == first.fds);
		assert_true(i < WARM || FL_TEST_SANITIZED || &__llvm_profile_runtime ||
		            now.mappings < first.mappings + SOME);
		FL_OK(sigaction(SIGUSR2, NULL, &dump));
		assert_true(dump.sa_handler == SIG_DFL);
		FL_OK(sigaction(SIGSEGV, NULL, &fault));
		assert_true(fault.sa_handler == before.sa_handler);
	}
}

/* The exit of a host, with the plugin loaded or unloaded, in use or not. */

static void *loaded;

static void unload_at_exit(void)
{
	(void)unload(loaded);
}

static const struct plugin *load(void)
{
	loaded = load_file(path_of_plugin());
	const struct plugin *plugin = begin_plugin(loaded, false);
	plugin->use_all();
	return plugin;
}

static void exit_after_use(void *unused)
{
	load()->detach_all();
	exit(3);
}

static void exit_and_unload(void *early)
{
	if (early) /* its atexit() function is called after those of the plugin: an exit */
		FL_OK(atexit(unload_at_exit));
	const struct plugin *plugin = load();
	plugin->end();
	if (!early) {
		FL_OK(atexit(unload_at_exit));
		plugin->detach_all();
	}
	exit(3);
}

static void *wait_in_plugin(void *plugin)
{
	((const struct plugin *)plugin)->wait_here();
	return NULL;
}

static void exit_while_in_use(void *unused)
{
	pthread_t waiter;
	const struct plugin *plugin = load();
	FL_OK(pthread_create(&waiter, NULL, wait_in_plugin, (void *)(uintptr_t)plugin));
	FL_WAIT_FOR(plugin->is_waiting());
	exit(3);
}

static void unload_in_child(void *unused)
{
	load()->end(); /* what a child of this child finds there is not its own */
	const pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(60);
		(void)unload(loaded);
		_exit(count_threads() == 1 ? 0 : 1);
	}
	fl_test_reap(pid);
	(void)unload(loaded);
	FL_WAIT_FOR(count_threads() == 1);
	exit(3);
}

static uint32_t lingers;

/* Runs while the plugin's handlers hold its locks, since it was registered first. */
static void linger(void)
{
	fl__store_relaxed(&lingers, 1);
	for (int i = 0; i < 200; i++)
		(void)sched_yield();
}

static void *fork_once(void *unused)
{
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	fl_test_reap(pid);
	return NULL;
}

static void exit_while_forking(void *unused)
{
	pthread_t forker;
	FL_OK(pthread_atfork(linger, NULL, NULL));
	(void)load();
	FL_OK(pthread_create(&forker, NULL, fork_once, NULL));
	FL_WAIT_FOR(fl__load_relaxed(&lingers));
	exit(3);
}

static bool exits_with_3(void (*function)(void *arg), void *arg)
{
	const int status = fl_test_child(function, arg, NULL, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

FL_TEST(unload_at_exit_hangs_nowhere)
{
	UNLOAD_NEEDS();
	int early;
	fl_test_needs_threads_in_children();
	assert_true(exits_with_3(exit_after_use, NULL));
	assert_true(exits_with_3(exit_and_unload, NULL));
	if (!FL_TEST_SANITIZED) /* the memory for other threads is lost then */
		assert_true(exits_with_3(exit_and_unload, &early));
	assert_true(exits_with_3(exit_while_in_use, NULL));
}

/* The C library forgets the handlers of the fork that is going on, which hold locks. */
FL_TEST(unload_at_exit_waits_for_a_fork)
{
	enum { TIMES = 20 };
	UNLOAD_NEEDS();
	fl_test_needs_threads_in_children();
	for (int i = 0; i < TIMES; i++)
		assert_true(exits_with_3(exit_while_forking, NULL));
}

FL_TEST(unload_in_a_forked_child)
{
	UNLOAD_NEEDS();
	fl_test_needs_threads_in_children();
	assert_true(exits_with_3(unload_in_child, NULL));
}

/*
 * Several copies: two of the plugin, and that of this program. Their handlers of SIGSEGV call each
 * other, and at last the program's. The C library has no static thread-local memory for a third
 * plugin that is as large.
 */

enum { COPIES = 2 };

static char *barrier;
static volatile sig_atomic_t lifted;

static void lift_barrier(int signal, siginfo_t *info, void *context)
{
	FL_CHECK(info->si_addr == barrier);
	lifted = lifted + 1;
	FL_CHECK(mprotect(barrier, fl__page_size(), PROT_READ | PROT_WRITE) == 0);
}

static void fault_reaches_the_program(void)
{
	lifted = 0;
	FL_OK(mprotect(barrier, fl__page_size(), PROT_NONE));
	*(volatile char *)barrier = 1;
	FL_CHECK(lifted == 1);
}

/* The same file would be loaded once. */
static void *load_copy(int file)
{
	char path[64];
	FL_TEXT(path, "/proc/self/fd/%d", file);
	return load_file(path);
}

static int copy_of_plugin(void)
{
	struct stat info;
	const int file = fl_test_scratch(), plugin = open(path_of_plugin(), O_RDONLY | O_CLOEXEC);
	FL_CHECK(plugin >= 0 && fstat(plugin, &info) == 0);
	for (off_t at = 0; at < info.st_size;)
		FL_CHECK(sendfile(file, plugin, &at, (size_t)(info.st_size - at)) > 0);
	FL_OK(close(plugin));
	return file;
}

static int nothing(void *unused)
{
	return 0;
}

struct copies_case {
	unsigned place;   /* of this program's copy among the installs; above COPIES: it installs nothing */
	bool first_first; /* the plugin that was loaded first is unloaded first */
};

static void load_and_unload_copies(void *arg)
{
	const struct copies_case *c = arg;
	const struct sigaction of_program = {.sa_sigaction = lift_barrier, .sa_flags = SA_SIGINFO};
	struct sigaction now;
	void *copies[COPIES];
	const int files[COPIES] = {copy_of_plugin(), copy_of_plugin()};
	barrier = fl__sys.map(fl__page_size());
	FL_CHECK(barrier != NULL && sigaction(SIGSEGV, &of_program, NULL) == 0);
	for (unsigned i = 0; i <= COPIES; i++) {
		if (i == c->place)
			FL_OK(fl_loop_run(nothing, NULL));
		if (i < COPIES)
			copies[i] = load_copy(files[i]);
		if (i < COPIES)
			plugin_of(copies[i])->run_loop();
		fault_reaches_the_program();
	}
	for (unsigned i = 0; i < COPIES; i++) {
		FL_OK(dlclose(copies[c->first_first ? i : COPIES - 1 - i]));
		fault_reaches_the_program();
	}
	FL_CHECK(fl_test_mappings_of("/tmp/fairlead-test-") == 0);
	FL_CHECK(sigaction(SIGSEGV, NULL, &now) == 0);
	FL_CHECK(c->place <= COPIES || now.sa_sigaction == lift_barrier);
	exit(3);
}

/* With each order of the installs and of the unloads. */
static void in_each_order(void (*load_and_unload)(void *copies_case))
{
	for (unsigned place = 0; place <= COPIES + 1; place++)
		FL_BOTH (first_first) {
			struct copies_case c = {place, first_first};
			assert_true(exits_with_3(load_and_unload, &c));
		}
}

FL_TEST(unload_of_copies_in_any_order)
{
	UNLOAD_NEEDS();
	in_each_order(load_and_unload_copies);
}

/*
 * The same of SIGQUIT, which each copy that wants it answers, with a dump and with the recorder's
 * error.
 */

static size_t times(const char *text, const char *part)
{
	size_t n = 0;
	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

static void quit_is_answered(int said, size_t copies)
{
	static char text[1 << 16];
	FL_OK(ftruncate(said, 0));
	FL_OK(raise(SIGQUIT));
	const ssize_t n = pread(said, text, sizeof text - 1, 0);
	FL_CHECK(n >= 0);
	text[n] = '\0';
	FL_CHECK(times(text, "waits of process") == copies && times(text, "cannot be written") == copies);
}

static void load_and_unload_copies_that_catch(void *arg)
{
	const struct copies_case *c = arg;
	const int said = fl_test_scratch(), files[COPIES] = {copy_of_plugin(), copy_of_plugin()};
	struct sigaction now;
	void *copies[COPIES];
	size_t catching = 0;
	FL_CHECK(dup2(said, STDERR_FILENO) >= 0 && fcntl(STDERR_FILENO, F_SETFL, O_APPEND) == 0);
	for (unsigned i = 0; i <= COPIES; i++) {
		if (i == c->place)
			FL_CHECK(fl_debug_enable(FL_DEBUG_WAITS) == 0 &&
			         fl_trace_enable("ring,file=/dev/null/trace") == 0);
		if (i < COPIES) {
			copies[i] = load_copy(files[i]);
			plugin_of(copies[i])->catch_quit();
		}
		catching += (i == c->place) + (i < COPIES);
		quit_is_answered(said, catching);
	}
	for (unsigned i = 0; i < COPIES; i++) {
		FL_OK(dlclose(copies[c->first_first ? i : COPIES - 1 - i]));
		catching--;
		if (catching > 0)
			quit_is_answered(said, catching);
	}
	FL_CHECK(fl_debug_enable(0) == 0 && fl_trace_enable(NULL) == 0);
	FL_CHECK(sigaction(SIGQUIT, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	exit(3);
}

FL_TEST(unload_of_copies_that_catch_a_signal)
{
	UNLOAD_NEEDS();
	in_each_order(load_and_unload_copies_that_catch);
}

/* The file of the first copy is gone when the second copy is loaded in its place. */
FL_TEST(unloaded_files_keep_their_names)
{
	UNLOAD_NEEDS();
	char text[64];
	const int files[COPIES] = {copy_of_plugin(), copy_of_plugin()};
	FL_EACH (i, files) {
		struct fl__symbols symbols = {0};
		void *copy = load_copy(files[i]);
		const uintptr_t at = (uintptr_t)plugin_of(copy);
		fl__backtrace_learn_modules();
		FL_OK(dlclose(copy));
		(void)fl__symbols_describe(&symbols, at, text, sizeof text);
		fl__symbols_end(&symbols);
		FL_OK(close(files[i]));
		assert_string_equal(text, "plugin");
	}
}
