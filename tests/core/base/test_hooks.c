/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"
#include "fl_test.h"

#include "core/base/panic.h"

/* Panics. */

static void misuse(void *m)
{
	fl_mutex_unlock(m);
}

FL_TEST(panic_handler_is_told)
{
	fl_mutex m = FL_MUTEX_INIT;
	FL_PANICS_OF("fl_mutex_unlock", &m, fl_mutex_unlock(&m));
	assert_string_equal(fl_test_panic.reason, "not locked");
}

static void never_called(const fl_panic_info *info)
{
	FL_CHECK(!"called");
}

static void say_ours(const fl_panic_info *info)
{
	fprintf(stderr, "ours: %s: %s\n", info->function, info->reason);
}

FL_TEST(panic_handler_is_replaced)
{
	fl_panic_handler *first = fl_set_panic_handler(NULL);
	assert_non_null(first);
	assert_ptr_equal(fl_set_panic_handler(never_called), first);
	assert_ptr_equal(fl_set_panic_handler(say_ours), never_called);
	assert_ptr_equal(fl_set_panic_handler(NULL), say_ours);
	assert_ptr_equal(fl_set_panic_handler(NULL), first);
}

static bool was_aborted(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

FL_TEST(panic_by_default_prints_and_aborts)
{
	char text[256], expected[256];
	static fl_mutex m = FL_MUTEX_INIT;
	(void)fl_set_panic_handler(NULL);
	int status = fl_test_child(misuse, &m, text, sizeof text);
	assert_true(was_aborted(status));
	(void)snprintf(expected, sizeof expected, "fairlead: fl_mutex_unlock(%p): not locked\n", (void *)&m);
	assert_string_equal(text, expected);
}

FL_TEST(panic_aborts_when_the_handler_returns)
{
	char text[256];
	static fl_mutex m = FL_MUTEX_INIT;
	(void)fl_set_panic_handler(say_ours);
	int status = fl_test_child(misuse, &m, text, sizeof text);
	assert_true(was_aborted(status));
	assert_string_equal(text, "ours: fl_mutex_unlock: not locked\n");
}

/* The allocator. */

typedef struct arena {
	unsigned allocated, freed;
	bool empty;
} arena;

static void *arena_alloc(size_t size, void *user)
{
	arena *a = user;
	if (fl__load_relaxed(&a->empty))
		return NULL;
	fl__add_relaxed(&a->allocated, 1);
	char *memory = malloc(size);
	FL_CHECK(memory != NULL);
	return memset(memory, 0xa5, size);
}

static void arena_free(void *memory, void *user)
{
	arena *a = user;
	FL_CHECK(memory != NULL);
	fl__add_relaxed(&a->freed, 1);
	free(memory);
}

static int use_a_local(void *arg)
{
	fl_local *local = arg;
	FL_OK(fl_local_set(local, local));
	return 0;
}

FL_TEST(allocator_serves_the_library)
{
	static fl_local local = FL_LOCAL_INIT(NULL);
	arena a = {0, 0, false};
	const fl_allocator mine = {arena_alloc, arena_free, &a};
	fl_thread t;
	fl_set_allocator(&mine);
	fl_test_go(&t, use_a_local, &local);
	fl_test_end(&t);
	fl_set_allocator(NULL);
	assert_true(a.allocated >= 2); /* the thread, its locals */
	assert_int_equal(a.freed, a.allocated);

	unsigned before = a.allocated;
	fl_test_go(&t, use_a_local, &local);
	fl_test_end(&t);
	assert_int_equal(a.allocated, before);
}

FL_TEST(allocator_may_be_out_of_memory)
{
	arena a = {0, 0, true};
	const fl_allocator mine = {arena_alloc, arena_free, &a};
	fl_thread t = {NULL};
	fl_set_allocator(&mine);
	int rc = fl_thread_start(&t, use_a_local, NULL, NULL);
	fl_set_allocator(NULL);
	FL_RC(rc, -ENOMEM);
	assert_null(t.thread_);
	assert_int_equal(a.freed, 0);
}

FL_TEST(alloc_gives_zeroed_memory)
{
	arena a = {0, 0, false};
	const fl_allocator mine = {arena_alloc, arena_free, &a};
	fl_set_allocator(&mine);
	unsigned char *bytes = fl__alloc(7, 9);
	FL_CHECK(bytes != NULL);
	for (int i = 0; i < 63; i++)
		FL_CHECK(bytes[i] == 0);
	fl__free(bytes);
	fl__free(NULL);
	fl_set_allocator(NULL);
	assert_int_equal(a.allocated, 1);
	assert_int_equal(a.freed, 1);
}

FL_TEST(alloc_refuses_what_overflows)
{
	assert_null(fl__alloc(SIZE_MAX, 2));
	assert_null(fl__alloc(SIZE_MAX / 2 + 2, 2));
	assert_null(fl__alloc(1, SIZE_MAX));
	assert_null(fl__alloc((size_t)PTRDIFF_MAX + 1, 1));
	FL_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	assert_null(fl__alloc(1, 1));
}

/* The log. */

static char logged[512];
static fl_log_level logged_level;
static unsigned log_calls;

static void keep_log(fl_log_level level, const char *message)
{
	logged_level = level;
	log_calls++;
	(void)snprintf(logged, sizeof logged, "%s", message);
}

FL_TEST(log_handler_is_replaced)
{
	fl_log_handler *first = fl_set_log_handler(keep_log);
	assert_non_null(first);
	log_calls = 0;
	fl__log(FL_LOG_WARNING, "%d jobs of %s", 3, "mine");
	assert_int_equal(log_calls, 1);
	assert_int_equal(logged_level, FL_LOG_WARNING);
	assert_string_equal(logged, "3 jobs of mine");
	fl__log(FL_LOG_INFO, "idle");
	assert_int_equal(logged_level, FL_LOG_INFO);
	assert_ptr_equal(fl_set_log_handler(NULL), keep_log);
	assert_ptr_equal(fl_set_log_handler(NULL), first);
	assert_int_equal(log_calls, 2);
}

FL_TEST(log_line_is_cut)
{
	char longer[400];
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	(void)fl_set_log_handler(keep_log);
	fl__log(FL_LOG_ERROR, "%s", longer);
	(void)fl_set_log_handler(NULL);
	assert_int_equal(strlen(logged), 255);
}

static void log_three(void *unused)
{
	fl__log(FL_LOG_ERROR, "no %s", "luck");
	fl__log(FL_LOG_WARNING, "careful");
	fl__log(FL_LOG_INFO, "nothing to say");
}

FL_TEST(log_by_default_prints_errors_and_warnings)
{
	char text[256];
	(void)fl_set_log_handler(NULL);
	fl_test_stderr(log_three, NULL, text, sizeof text);
	assert_string_equal(text, "fairlead: error: no luck\nfairlead: warning: careful\n");
}
