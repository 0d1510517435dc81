/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_queued.h"

static int return_it(void *arg)
{
	return *(int *)arg;
}

static int wait_for(void *event)
{
	return fl_event_wait_until(event, FL_FOREVER, FL_SHIELDED);
}

/* The error handler. */
static struct {
	unsigned calls;
	int error;
	uint64_t id, caller;
	char name[32];
	bool alive;
} hooked;

static void keep_error(const fl_thread_info *info, int error)
{
	hooked.calls++;
	hooked.error = error;
	hooked.id = info->id;
	hooked.alive = info->alive;
	hooked.caller = fl_thread_current_id();
	FL_TEXT(hooked.name, "%s", info->name);
}

static void ignore_error(const fl_thread_info *info, int error)
{
}

FL_TEST(thread_error_handler_is_replaced)
{
	assert_null(fl_thread_set_error_handler(keep_error));
	assert_ptr_equal(fl_thread_set_error_handler(ignore_error), keep_error);
	assert_ptr_equal(fl_thread_set_error_handler(NULL), ignore_error);
	assert_null(fl_thread_set_error_handler(NULL));
}

FL_TEST(thread_error_handler_is_told_before_the_join)
{
	int value = -EIO, result = 0;
	fl_thread *t;
	memset(&hooked, 0, sizeof hooked);
	(void)fl_thread_set_error_handler(keep_error);
	FL_OK(fl_thread_start(&t, return_it, &value, &(fl_thread_config){.name = "unlucky"}));
	uint64_t id = fl_thread_id(t);
	FL_OK(fl_thread_join(t, &result));
	assert_int_equal(result, -EIO);
	assert_int_equal(hooked.calls, 1);
	assert_int_equal(hooked.error, -EIO);
	assert_true(hooked.id == id && hooked.caller == id);
	assert_true(hooked.alive);
	assert_string_equal(hooked.name, "unlucky");

	value = 0;
	fl_test_go(&t, return_it, &value);
	FL_OK(fl_thread_join(t, &result));
	assert_int_equal(hooked.calls, 1);
	(void)fl_thread_set_error_handler(NULL);
}

static char logged[256];
static uint32_t log_calls;

FL_TEST_LOG_HANDLER(keep_log)
{
	FL_CHECK(level == FL_LOG_ERROR);
	FL_TEXT(logged, "%s", message);
	(void)fl__add_release(&log_calls, 1);
}

typedef struct detached {
	fl_event detached;
	int value;
} detached;

static int fail_detached(void *arg)
{
	detached *d = arg;
	FL_OK(fl_event_wait(&d->detached));
	return d->value;
}

/* By default the errors of detached threads are logged, since no join reports them. */
FL_TEST(thread_error_is_logged_by_default)
{
	static detached d = {FL_EVENT_INIT, -EPIPE};
	fl_thread *t;
	(void)fl_thread_set_error_handler(NULL);
	fl_log_handler *before = fl_log_set_handler(keep_log);
	fl_test_go(&t, return_it, &d.value);
	FL_OK(fl_thread_join(t, NULL));
	assert_int_equal(fl__load_acquire(&log_calls), 0); /* its joiner heard of it */

	FL_OK(fl_thread_start(&t, fail_detached, &d, &(fl_thread_config){.name = "alone"}));
	fl_thread_detach(t);
	fl_event_set(&d.detached);
	FL_WAIT_FOR(fl__load_acquire(&log_calls) == 1 && fl_thread_enumerate(NULL, NULL) == 0);
	(void)fl_log_set_handler(before);
	fl_test_contains(logged, "alone");
	fl_test_contains(logged, "-32");
}

/* The list. */
typedef struct visits {
	size_t n;
	fl_thread_info seen[8];
	char names[8][32];
} visits;

static void visit(const fl_thread_info *info, void *arg)
{
	visits *v = arg;
	v->seen[v->n] = *info;
	(void)snprintf(v->names[v->n], sizeof v->names[0], "%s", info->name);
	v->n++;
}

FL_TEST(thread_enumerate_lists_the_oldest_first)
{
	static const char *const names[] = {"first", "second", "third"};
	fl_event ends[3] = {FL_EVENT_INIT, FL_EVENT_INIT, FL_EVENT_INIT};
	fl_thread *threads[3];
	visits v = {.n = 0};
	assert_int_equal(fl_thread_enumerate(visit, &v), 0);
	assert_int_equal(v.n, 0);
	FL_EACH (i, threads)
		FL_OK(fl_thread_start(&threads[i], wait_for, &ends[i], &(fl_thread_config){.name = names[i]}));
	assert_int_equal(fl_thread_enumerate(NULL, NULL), 3);
	fl_event_set(&ends[1]);
	FL_WAIT_FOR(!fl_thread_is_alive(threads[1]));
	assert_int_equal(fl_thread_enumerate(visit, &v), 3); /* ended, not joined: still listed */
	FL_EACH (i, threads) {
		assert_string_equal(v.names[i], names[i]);
		assert_true(v.seen[i].id == fl_thread_id(threads[i]));
		assert_int_equal(v.seen[i].alive, i != 1);
	}
	fl_test_end(threads[1]);
	v.n = 0;
	assert_int_equal(fl_thread_enumerate(visit, &v), 2);
	assert_string_equal(v.names[0], "first");
	assert_string_equal(v.names[1], "third");
	for (int i = 0; i < 3; i += 2) {
		fl_event_set(&ends[i]);
		fl_test_end(threads[i]);
		assert_int_equal(fl_thread_enumerate(NULL, NULL), i == 0);
	}
}

static void *foreign(void *unused)
{
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 0);
	return NULL;
}

FL_TEST(thread_enumerate_leaves_others_out)
{
	(void)fl_test_foreign(foreign, NULL);
}

/*
 * nsync #12: the destructor of thread-specific data locks, waits and signals, when the thread's own
 * context is gone.
 */
typedef struct last_words {
	fl_mutex mutex;
	fl_sem sem;
	fl_cond cond;
	bool said;
} last_words;

static void say_last_words(void *arg)
{
	last_words *w = arg;
	fl_mutex_lock(&w->mutex);
	FL_OK(fl_sem_acquire(&w->sem));
	w->said = true;
	fl_cond_signal(&w->cond);
	fl_mutex_unlock(&w->mutex);
	FL_CHECK(strcmp(fl_thread_current_name(), "foreign") == 0);
}

static pthread_key_t key;

static int leave_last_words(void *w)
{
	FL_OK(pthread_setspecific(key, w));
	return 0;
}

static bool was_said(void *w)
{
	return ((last_words *)w)->said;
}

FL_TEST(tls_dtor_lock)
{
	last_words w = {FL_MUTEX_INIT, FL_SEM_INIT(0), FL_COND_INIT, false};
	fl_thread *t;
	FL_OK(pthread_key_create(&key, say_last_words));
	fl_mutex_lock(&w.mutex);
	fl_test_go(&t, leave_last_words, &w);
	FL_WAIT_FOR(fl_test_queued(&w.mutex) == 1); /* the destructor waits for the mutex, */
	assert_false(fl_thread_is_alive(t));
	fl_mutex_unlock(&w.mutex);
	FL_WAIT_FOR(fl_test_queued(&w.sem) == 1); /* and then for a permit */
	fl_sem_release(&w.sem);
	fl_mutex_lock(&w.mutex);
	FL_OK(fl_cond_wait_for(&w.cond, &w.mutex, was_said, &w));
	fl_mutex_unlock(&w.mutex);
	fl_test_end(t);
	FL_OK(pthread_key_delete(key));
}

/* A child starts threads of its own. (TSan's runtime does not let it.) */
static void start_in_child(void *unused)
{
	int value = 9, result = 0;
	fl_thread *t;
	fl_test_go(&t, return_it, &value);
	FL_OK(fl_thread_join(t, &result));
	FL_CHECK(result == 9);
	FL_CHECK(fl_thread_enumerate(NULL, NULL) == 0);
}

FL_TEST(thread_started_in_a_forked_child)
{
	fl_test_needs_threads_in_children();
	fl_event end = FL_EVENT_INIT;
	fl_thread *t;
	fl_test_go(&t, wait_for, &end);
	FL_WAIT_FOR(fl_test_queued(&end) == 1);
	int status = fl_test_child(start_in_child, NULL, NULL, 0);
	fl_event_set(&end);
	fl_test_end(t);
	assert_int_equal(status, 0);
}
