/* SPDX-License-Identifier: BSD-2-Clause */
/* The destroy of an object in use: it panics while debugging is on, and otherwise does nothing. */
#include "fl_debugging.h"
#include "fl_kinds.h"

/* A function that ends the object of that kind. */
#define ENDS(type, destroy)                                                                                            \
	static void destroy_##type(void)                                                                               \
	{                                                                                                              \
		destroy(&kind_##type);                                                                                 \
	}
ENDS(mutex, fl_mutex_destroy)
ENDS(rmutex, fl_rmutex_destroy)
ENDS(cond, fl_cond_destroy)
ENDS(sem, fl_sem_destroy)
ENDS(event, fl_event_destroy)
ENDS(latch, fl_latch_destroy)
ENDS(barrier, fl_barrier_destroy)

#define ENDING(name, type)                                                                                             \
	{                                                                                                              \
		name, "fl_" #type "_destroy", destroy_##type, &kind_##type                                             \
	}
static const struct ending {
	const char *kind, *function;
	void (*destroy)(void);
	const void *object;
} endings[] = {
    ENDING("mutex", mutex), ENDING("rmutex", rmutex), ENDING("cond", cond),   ENDING("sem", sem),
    ENDING("event", event), ENDING("any", event),     ENDING("latch", latch), ENDING("barrier", barrier),
};

static void destroy_awaited(const struct ending *e, const fl_kind *kind)
{
	fl_test_caller c;
	FL_DEBUGGING(FL_DEBUG_WAITS);
	kind->make();
	const bool is_held = strstr(e->kind, "mutex");
	fl_kind_begin(&c, kind, FL_FOREVER, NULL);
	FL_PANICS_OF(e->function, e->object, e->destroy());
	fl_test_contains(fl_test_panic.reason,
	                 is_held ? "in use, held by main, awaited by thread-" : "in use, awaited by thread-");
	HEARD("main (1) holds", is_held);
	FL_OK(fl_debug_enable(FL_DEBUG_CONTENTION));
	FL_PANICS(e->destroy());
	FL_OK(fl_debug_enable(0));
	e->destroy();
	kind->finish();
	FL_RC(fl_test_call_end(&c), kind->done);
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	e->destroy();
	kind->clear();
}

FL_TEST(debug_destroy_of_what_is_awaited)
{
	FL_EACH (i, endings)
		for (const fl_kind *kind = fl_kinds; kind < fl_kinds + FL_KINDS; kind++)
			if (strcmp(kind->name, endings[i].kind) == 0)
				destroy_awaited(&endings[i], kind);
}

FL_CALL(write_lock)
{
	const int rc = fl_rwlock_write_lock_until(object, deadline, cancel);
	if (rc == 0)
		fl_rwlock_write_unlock(object);
	return rc;
}

FL_TEST(debug_destroy_of_a_rwlock)
{
	FL_DEBUGGING(FL_DEBUG_LOCKORDER);
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_test_caller c;
	fl_rwlock_destroy(&l);
	fl_rwlock_read_lock(&l);
	fl_test_begin_wait(&c, write_lock, &l);
	FL_PANICS_OF("fl_rwlock_destroy", &l, fl_rwlock_destroy(&l));
	fl_test_contains(fl_test_panic.reason, "in use, held by main, awaited by thread-");
	fl_rwlock_read_unlock(&l);
	FL_OK(fl_test_call_end(&c));
	fl_rwlock_destroy(&l);
}

static void destroy_in_action(void *barrier)
{
	FL_PANICS_OF("fl_barrier_destroy", barrier, fl_barrier_destroy(barrier));
	assert_string_equal(fl_test_panic.reason, "in use");
}

FL_TEST(debug_destroy_in_the_action_of_a_barrier)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_barrier b;
	FL_OK(fl_barrier_init_with_action(&b, 1, destroy_in_action, &b));
	FL_OK(fl_barrier_wait(&b));
	fl_barrier_destroy(&b);
}

static struct {
	fl_timer timer;
	fl_event begun, go;
} timed;

/* A timer's own function may destroy it, as it may free it. */
static void destroy_itself(void *unused)
{
	fl_timer_destroy(&timed.timer);
	fl_event_set(&timed.begun);
	FL_OK(fl_event_wait(&timed.go));
}

FL_TEST(debug_destroy_of_a_timer)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_OK(fl_timer_start(&timed.timer, FL_FOREVER, destroy_itself, NULL));
	FL_PANICS_OF("fl_timer_destroy", &timed.timer, fl_timer_destroy(&timed.timer));
	FL_OK(fl_timer_cancel(&timed.timer));
	fl_timer_destroy(&timed.timer);
	FL_OK(fl_timer_start(&timed.timer, FL_NO_WAIT, destroy_itself, NULL));
	FL_OK(fl_event_wait(&timed.begun));
	FL_PANICS_OF("fl_timer_destroy", &timed.timer, fl_timer_destroy(&timed.timer));
	fl_event_set(&timed.go);
	FL_OK(fl_timer_join(&timed.timer));
	fl_timer_destroy(&timed.timer);
}

/* Whatever stands in shared memory, the program goes on. */
FL_TEST(debug_destroy_in_shared_memory_warns)
{
	FL_DEBUGGING(FL_DEBUG_WAITS);
	fl_shm_mutex m = FL_SHM_MUTEX_INIT;
	fl_shm_cond c = FL_SHM_COND_INIT;
	fl_shm_mutex_destroy(&m);
	fl_shm_cond_destroy(&c);
	HEARD("\n", 0);
	FL_OK(fl_shm_mutex_lock(&m));
	fl_shm_mutex_destroy(&m);
	HEARD("fl_shm_mutex_destroy(", 1);
	fl_shm_mutex_unlock(&m);
	memset(&m, 0xff, sizeof m);
	fl_shm_mutex_destroy(&m);
	HEARD("fl_shm_mutex_destroy(", 2);
	c.waits_ = 1;
	fl_shm_cond_destroy(&c);
	HEARD("fl_shm_cond_destroy(", 1);
	FL_OK(fl_debug_enable(0));
	fl_shm_mutex_destroy(&m);
	fl_shm_cond_destroy(&c);
	HEARD("\n", 3);
}

static void destroy_held(void *unused)
{
	fl_mutex m = FL_MUTEX_INIT;
	(void)fl_panic_set_handler(NULL);
	(void)fl_log_set_handler(NULL);
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	fl_mutex_lock(&m);
	fl_mutex_destroy(&m);
}

FL_TEST(debug_destroy_ends_the_program)
{
	fl_test_child_dies(destroy_held, NULL, SIGABRT, "main (1) holds mutex");
	fl_test_child_dies(destroy_held, NULL, SIGABRT, "): in use, held by main\n");
}
