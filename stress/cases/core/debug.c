/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of waits between contexts, with debugging on. A deadlock is reported by the context
 * that closes it. Without a deadlock nothing is reported.
 */
#include "debugging.h"
#include "inspect/table.h"
#include <fairlead/thread.h>

/* The holder of a mutex joins a thread that waits for this mutex. */
struct debug_join {
	fl_mutex m;
	fl_cancel_token ends;
	struct said said;
	int rc;
};

FL_STRESS_SETUP(debug_join)
{
	fl_mutex_init(&s->m);
	fl_cancel_token_init(&s->ends, NULL, FL_FOREVER);
	s->said.ends = &s->ends;
	listen(FL_DEBUG_WAITS);
}

static int want(void *arg)
{
	struct debug_join *s = arg;
	said = &s->said;
	FL_LOCKED(&s->m);
	return 0;
}

FL_STRESS_ACTOR(debug_join, joiner)
{
	fl_thread *t;
	said = &s->said;
	fl_mutex_lock(&s->m);
	OK(fl_thread_start(&t, want, s, NULL));
	s->rc = fl_thread_join_until(t, NULL, FL_FOREVER, &s->ends);
	fl_mutex_unlock(&s->m);
	OK(fl_thread_join(t, NULL));
}

FL_STRESS(debug_join, joiner)
{
	fl_cancel_token_destroy(&s->ends);
	FL_ACCEPTABLE(s->rc == -ECANCELED && LOOK(&s->said.actual) == 1, "reported once, and ended");
}

/*
 * A reader locks again behind a writer that has waited for a turn. So the reader and the writer
 * wait for each other.
 */
struct debug_read_again {
	fl_rwlock l;
	fl_event reads;
	fl_cancel_token ends;
	struct said said;
	int rc, write;
};

FL_STRESS_SETUP(debug_read_again)
{
	fl_rwlock_init(&s->l);
	fl_cancel_token_init(&s->ends, NULL, FL_FOREVER);
	s->said.ends = &s->ends;
	listen(FL_DEBUG_WAITS);
}

FL_STRESS_ACTOR(debug_read_again, reader)
{
	said = &s->said;
	fl_rwlock_read_lock(&s->l);
	const uint32_t alone = fl__load_relaxed(&s->l.word_);
	fl_event_set(&s->reads);
	while (fl__load_relaxed(&s->l.word_) == alone) /* the writer does not wait yet */
		fl_stress_relax();
	let_a_turn_pass();
	fl_rwlock_read_lock(&s->l); /* it overtakes the writer; then the writer's turn is over */
	s->rc = fl_rwlock_read_lock_until(&s->l, FL_FOREVER, &s->ends);
	for (int i = s->rc == 0 ? 3 : 2; i > 0; i--)
		fl_rwlock_read_unlock(&s->l);
}

FL_STRESS_ACTOR(debug_read_again, writer)
{
	said = &s->said;
	OK(fl_event_wait(&s->reads));
	s->write = fl_rwlock_write_lock_until(&s->l, FL_FOREVER, &s->ends);
	if (s->write == 0)
		fl_rwlock_write_unlock(&s->l);
}

FL_STRESS(debug_read_again, reader, writer)
{
	const int said_so = LOOK(&s->said.actual);
	fl_cancel_token_destroy(&s->ends);
	const bool ended = s->rc == -ECANCELED || s->write == -ECANCELED;
	FL_ACCEPTABLE(!ended && said_so == 0, "one after the other");
	FL_ACCEPTABLE(ended && said_so == 1, "reported once, and ended");
}

/*
 * There is no deadlock and so no report: all contexts lock in one order, except one that gives up
 * in the end.
 */
struct debug_quiet {
	fl_mutex m, n;
	struct said said;
};

FL_STRESS_SETUP(debug_quiet)
{
	fl_mutex_init(&s->m);
	fl_mutex_init(&s->n);
	listen(FL_DEBUG_WAITS);
}

FL_STRESS_ACTOR(debug_quiet, one)
{
	said = &s->said;
	lock_both(&s->m, &s->n);
	lock_both(&s->m, &s->n);
}

FL_STRESS_ACTOR(debug_quiet, two)
{
	said = &s->said;
	fl_mutex_lock(&s->m);
	fl_mutex_unlock(&s->m);
	fl_mutex_lock(&s->n);
	if (fl_mutex_lock_until(&s->m, soon(), NULL) == 0)
		fl_mutex_unlock(&s->m);
	fl_mutex_unlock(&s->n);
}

FL_STRESS(debug_quiet, one, two)
{
	FL_FORBIDDEN(fl__mutex_is_busy(&s->m) || fl__mutex_is_busy(&s->n), "left locked, or awaited");
	FL_ACCEPTABLE(LOOK(&s->said.actual) == 0, "nothing is said");
}

/* Readers come and go. Each unlock is matched with its own context. */
struct debug_quiet_readers {
	fl_rwlock l;
	struct said said;
};

FL_STRESS_SETUP(debug_quiet_readers)
{
	fl_rwlock_init(&s->l);
	listen(FL_DEBUG_WAITS);
}

FL_STRESS_ACTOR(debug_quiet_readers, read_then_write)
{
	said = &s->said;
	fl_rwlock_read_lock(&s->l);
	fl_rwlock_read_unlock(&s->l);
	fl_rwlock_write_lock(&s->l);
	fl_rwlock_write_unlock(&s->l);
}

FL_STRESS(debug_quiet_readers, read_then_write, read_then_write)
{
	FL_FORBIDDEN(fl__rwlock_is_busy(&s->l), "left locked, or awaited");
	FL_ACCEPTABLE(LOOK(&s->said.actual) == 0, "nothing is said");
}

/*
 * The next owner of a lock may free the lock while the unlock is still leaving. This holds with
 * debugging on, too.
 */
struct debug_unlock_destroy {
	struct watched {
		fl_mutex m;
		fl_rwlock l;
		atomic_int refs;
	} * object;
	unsigned lock;
	struct said said;
};

static bool is_last(struct watched *object)
{
	return atomic_fetch_sub_explicit(&object->refs, 1, memory_order_relaxed) == 1;
}

static bool let_go_mutex(struct watched *object)
{
	fl_mutex_lock(&object->m);
	const bool last = is_last(object);
	fl_mutex_unlock(&object->m);
	if (last)
		fl_mutex_destroy(&object->m);
	return last;
}

static bool let_go_writing(struct watched *object)
{
	fl_rwlock_write_lock(&object->l);
	const bool last = is_last(object);
	fl_rwlock_write_unlock(&object->l);
	if (last)
		fl_rwlock_destroy(&object->l);
	return last;
}

/* The last reader waits until the other one has left. */
static bool let_go_reading(struct watched *object)
{
	fl_rwlock_read_lock(&object->l);
	const bool last = is_last(object);
	fl_rwlock_read_unlock(&object->l);
	if (!last)
		return false;
	fl_rwlock_write_lock(&object->l);
	fl_rwlock_write_unlock(&object->l);
	fl_rwlock_destroy(&object->l);
	return true;
}

static bool (*const let_go[])(struct watched *) = {let_go_mutex, let_go_writing, let_go_reading};

FL_STRESS_SETUP(debug_unlock_destroy)
{
	s->object = make(sizeof *s->object);
	fl_mutex_init(&s->object->m);
	fl_rwlock_init(&s->object->l);
	SET(&s->object->refs, 2);
	s->lock = fl_stress_choose(sizeof let_go / sizeof *let_go);
	listen(FL_DEBUG_WAITS);
}

FL_STRESS_ACTOR(debug_unlock_destroy, let_go_of)
{
	struct watched *object = s->object;
	said = &s->said;
	if (let_go[s->lock](object))
		free(object);
}

FL_STRESS(debug_unlock_destroy, let_go_of, let_go_of)
{
	FL_ACCEPTABLE(LOOK(&s->said.actual) == 0, "freed once");
}

/* A signal handler reads the table, and finds it consistent. */
struct debug_look {
	fl_mutex m;
	struct said said;
	bool entered, found;
};

FL_STRESS_SETUP(debug_look)
{
	fl_mutex_init(&s->m);
	listen(FL_DEBUG_WAITS);
}

FL_STRESS_ACTOR(debug_look, holder)
{
	said = &s->said;
	FL_LOCKED(&s->m);
}

FL_STRESS_ACTOR(debug_look, looker)
{
	said = &s->said;
	s->entered = fl__debug_try_enter();
	if (!s->entered)
		return;
	const struct fl__held *held = fl__held_next(&s->m, NULL);
	s->found = held != NULL;
	if (held)
		FL_STRESS_CHECK(held->holder->held == held && held->kind == FL__DEBUG_MUTEX);
	fl__debug_unlock();
}

FL_STRESS(debug_look, holder, looker)
{
	FL_ACCEPTABLE(!s->entered, "the table was locked");
	FL_ACCEPTABLE(s->found, "held");
	FL_ACCEPTABLE(!s->found, "not held");
}

/*
 * A mode is switched off while a context waits, and the context frees the object after its wait. A
 * dump reads the object only while it exists.
 */
struct debug_switch {
	fl_event *event;
	atomic_ullong waiter;
	unsigned modes;
	struct said said;
	bool found;
};

FL_STRESS_SETUP(debug_switch)
{
	s->event = make(sizeof *s->event);
	fl_event_init(s->event);
	s->modes = fl_stress_choose(2) ? FL_DEBUG_CONTENTION : 0;
	listen(FL_DEBUG_WAITS | FL_DEBUG_CONTENTION);
}

FL_STRESS_ACTOR(debug_switch, waiter)
{
	said = &s->said;
	SET(&s->waiter, fl__ctx_get()->id);
	FL_STRESS_CHECK(fl_event_wait_until(s->event, soon(), NULL) == -ETIMEDOUT);
	free(s->event);
}

FL_STRESS_ACTOR(debug_switch, switcher)
{
	said = &s->said;
	(void)fl__debug_switch(s->modes);
}

FL_STRESS_ACTOR(debug_switch, looker)
{
	said = &s->said;
	if (!fl__debug_try_enter())
		return;
	const struct fl__holder *h = fl__holder_find(LOOK(&s->waiter));
	s->found = h && h->asleep;
	if (s->found)
		(void)fl__load_relaxed((const uint32_t *)h->awaited.object);
	fl__debug_unlock();
}

FL_STRESS(debug_switch, waiter, switcher, looker)
{
	FL_ACCEPTABLE(s->found, "waits");
	FL_ACCEPTABLE(!s->found, "does not wait, or is not recorded");
}
