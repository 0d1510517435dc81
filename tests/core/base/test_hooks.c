/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_account.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

#include "core/base/panic.h"

/* Panics. */

static void misuse(void *m)
{
	fl_mutex_unlock(m);
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
	fl_panic_handler *first = fl_panic_set_handler(NULL);
	assert_non_null(first);
	assert_ptr_equal(fl_panic_set_handler(never_called), first);
	assert_ptr_equal(fl_panic_set_handler(say_ours), never_called);
	assert_ptr_equal(fl_panic_set_handler(NULL), say_ours);
	assert_ptr_equal(fl_panic_set_handler(NULL), first);
}

/* With that handler a child aborts, after that text. */
static void aborts(fl_panic_handler *handler, fl_mutex *m, const char *expected)
{
	char text[256];
	(void)fl_panic_set_handler(handler);
	const int status = fl_test_child(misuse, m, text, sizeof text);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(text, expected);
}

FL_TEST(panic_prints_and_aborts_by_default_or_when_the_handler_returns)
{
	char expected[256];
	fl_mutex m = FL_MUTEX_INIT;
	FL_TEXT(expected, "fairlead: fl_mutex_unlock(%p): not locked\n", (void *)&m);
	aborts(NULL, &m, expected);
	aborts(say_ours, &m, "ours: fl_mutex_unlock: not locked\n");
}

/* The allocator. */

static int use_a_local(void *arg)
{
	fl_local *local = arg;
	FL_OK(fl_local_set(local, local));
	return 0;
}

FL_TEST(allocator_serves_the_library)
{
	static fl_local local = FL_LOCAL_INIT(NULL);
	struct account account = {.fail_at = -1};
	const fl_allocator mine = account_of(&account);
	fl_allocator_set(&mine);
	fl_test_on_thread(use_a_local, &local);
	fl_allocator_set(NULL);
	const long allocs = account.allocs;
	assert_true(allocs >= 2); /* the thread, its locals */
	assert_int_equal(account_live(&account), 0);
	fl_test_on_thread(use_a_local, &local);
	assert_int_equal(account.allocs, allocs);
}

FL_TEST(allocator_may_be_out_of_memory)
{
	struct account account = {.fail_at = 0};
	const fl_allocator mine = account_of(&account);
	fl_thread *t = NULL;
	fl_allocator_set(&mine);
	int rc = fl_thread_start(&t, use_a_local, NULL, NULL);
	fl_allocator_set(NULL);
	FL_RC(rc, -ENOMEM);
	assert_null(t);
	assert_int_equal(account_live(&account), 0);
}

FL_TEST(alloc_gives_zeroed_memory)
{
	struct account account = {.fail_at = -1};
	const fl_allocator mine = account_of(&account);
	fl_allocator_set(&mine);
	unsigned char *bytes = fl__alloc(7, 9);
	FL_CHECK(bytes != NULL);
	for (int i = 0; i < 63; i++)
		FL_CHECK(bytes[i] == 0);
	fl__free(bytes);
	fl__free(NULL);
	fl_allocator_set(NULL);
	assert_int_equal(account.allocs, 1);
	assert_int_equal(account_live(&account), 0);
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

FL_TEST_LOG_HANDLER(keep_log)
{
	logged_level = level;
	log_calls++;
	FL_TEXT(logged, "%s", message);
}

FL_TEST(log_handler_is_replaced)
{
	fl_log_handler *first = fl_log_set_handler(keep_log);
	assert_non_null(first);
	log_calls = 0;
	fl__log(FL_LOG_WARNING, "%d jobs of %s", 3, "mine");
	assert_int_equal(log_calls, 1);
	assert_int_equal(logged_level, FL_LOG_WARNING);
	assert_string_equal(logged, "3 jobs of mine");
	fl__log(FL_LOG_INFO, "idle");
	assert_int_equal(logged_level, FL_LOG_INFO);
	assert_ptr_equal(fl_log_set_handler(NULL), keep_log);
	assert_ptr_equal(fl_log_set_handler(NULL), first);
	assert_int_equal(log_calls, 2);
}

FL_TEST(log_line_is_cut)
{
	char longer[400];
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	(void)fl_log_set_handler(keep_log);
	fl__log(FL_LOG_ERROR, "%s", longer);
	(void)fl_log_set_handler(NULL);
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
	(void)fl_log_set_handler(NULL);
	fl_test_stderr(log_three, NULL, text, sizeof text);
	assert_string_equal(text, "fairlead: error: no luck\nfairlead: warning: careful\n");
}
