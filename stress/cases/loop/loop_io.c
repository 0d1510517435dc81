/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the event loop and descriptors: an edge, a deadline and a request. Others are of a
 * loop that another loop hosts.
 */
#include "loops.h"

/*
 * A descriptor becomes ready while a fiber waits for it, with a deadline and a cancel. An edge is
 * not lost, and comes once.
 */
struct loop_edge {
	struct loop_world world;
	int cargo, seen, rc, again;
};

static struct fl__io *open_drained(struct loop_world *w)
{
	void *io;
	OK(fl__io_new(&io, sizeof(struct fl__io), w->l, loop_fd(w, 0)));
	fl__io_drained(io, FL__IO_IN);
	return io;
}

static void close_io(struct fl__io *io)
{
	(void)fl__io_close(io);
	fl__free(io);
}

static int wait_for_edge(void *arg)
{
	struct loop_edge *s = arg;
	struct fl__io *io = open_drained(&s->world);
	fl_event_set(&s->world.known);
	if (fl_stress_choose(2))
		fl_fiber_yield(); /* the edge may come while no fiber waits */
	s->rc = fl__io_wait(io, FL__IO_IN, soon(), NULL);
	FL_STRESS_CHECK(!io->waiting[FL__IO_IN]); /* an edge must not wake a wait that is over */
	s->again = s->rc;
	if (s->rc == -ETIMEDOUT)
		s->again = fl__io_wait(io, FL__IO_IN, FL_FOREVER, NULL);
	if (s->again == 0)
		s->seen = s->cargo;
	close_io(io);
	return 0;
}

static int watch_reader(void *arg)
{
	struct loop_edge *s = arg;
	OK(fl_fiber_start(&s->world.fiber, wait_for_edge, s, NULL));
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(s->world.fiber, NULL);
}

LOOP_ALONE(loop_edge, 2, loop_run, watch_reader)

FL_STRESS_ACTOR(loop_edge, sender)
{
	OK(fl_event_wait(&s->world.known));
	s->cargo = 1;
	loop_make_ready(&s->world, 0);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_edge, canceller)
{
	if (fl_stress_choose(2))
		loop_cancel_fiber(&s->world);
	else
		loop_leave(&s->world);
}

FL_STRESS(loop_edge, loop, sender, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == 0 && s->seen == 1, "ready");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT && s->again == 0 && s->seen == 1, "late");
	FL_ACCEPTABLE(s->again == -ECANCELED, "cancelled");
}

/*
 * A loop runs inside of another one. Between iterations a wake makes its descriptor readable, or
 * the iteration has asked to be called again at once.
 */
struct loop_hosted {
	struct loop_world world;
	fl_event event;
	int cargo, seen;
	bool done;
};

static int wait_hosted(void *arg)
{
	struct loop_hosted *s = arg;
	OK(fl_event_wait(&s->event));
	s->seen = s->cargo;
	OK(fl_latch_wait(&s->world.others));
	s->done = true;
	return 0;
}

static void start_hosted(void *world)
{
	struct loop_world *w = world;
	fl_fiber *f;
	OK(fl_fiber_start(&f, w->function, w->arg, NULL));
	fl_fiber_detach(f);
}

/* Makes the loop begin with a fiber that runs the function. */
static void begin_hosted(struct loop_world *w, fl_fiber_function *function, void *arg)
{
	w->function = function;
	w->arg = arg;
	OK(fl_loop_post(w->l, start_hosted, w));
}

/* Hosts the loop until `*done` and until it may sleep, and frees it. */
static void host(struct loop_world *w, const bool *done)
{
	fl_time deadline;
	do {
		OK(fl_loop_run_once(w->l, &deadline));
		if (!*done && deadline.ns != FL_NO_WAIT.ns)
			loop_poll(w, fl__expiry(deadline));
	} while (!*done || deadline.ns == FL_NO_WAIT.ns);
	fl_loop_free(w->l);
}

FL_STRESS_SETUP(loop_hosted)
{
	loop_begin(&s->world, 2);
}

FL_STRESS_ACTOR(loop_hosted, host)
{
	begin_hosted(&s->world, wait_hosted, s);
	host(&s->world, &s->done);
}

FL_STRESS_ACTOR(loop_hosted, setter)
{
	s->cargo = 1;
	fl_event_set(&s->event);
	loop_leave(&s->world);
}

static void nothing(void *arg)
{
}

FL_STRESS_ACTOR(loop_hosted, caller)
{
	OK(fl_loop_post(s->world.l, nothing, s));
	loop_leave(&s->world);
}

FL_STRESS(loop_hosted, host, setter, caller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->seen == 1, "woken with its data");
}

/*
 * Between two iterations, the host locks the mutex that a fiber of its loop waits for, or that was
 * handed to the fiber after a turn.
 */
struct loop_hosted_lock {
	struct loop_world world;
	fl_mutex m;
	int count, hosted;
	bool done;
};

static int lock_hosted(void *arg)
{
	struct loop_hosted_lock *s = arg;
	{
		FL_LOCKED(&s->m);
		s->count++;
	}
	OK(fl_latch_wait(&s->world.others));
	s->done = true;
	return 0;
}

FL_STRESS_SETUP(loop_hosted_lock)
{
	loop_begin(&s->world, 1);
}

FL_STRESS_ACTOR(loop_hosted_lock, host)
{
	begin_hosted(&s->world, lock_hosted, s);
	while (!s->done) {
		fl_time deadline;
		OK(fl_loop_run_once(s->world.l, &deadline));
		if (fl_stress_choose(2)) {
			FL_LOCKED(&s->m);
			s->hosted++;
		}
		if (!s->done && deadline.ns != FL_NO_WAIT.ns)
			loop_poll(&s->world, fl__expiry(deadline));
	}
	fl_loop_free(s->world.l);
}

FL_STRESS_ACTOR(loop_hosted_lock, holder)
{
	for (int i = 0; i < 2; i++) {
		FL_LOCKED(&s->m);
		s->count++;
		let_a_turn_pass();
	}
	loop_leave(&s->world);
}

FL_STRESS(loop_hosted_lock, host, holder)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->count == 3 && !fl__mutex_is_busy(&s->m), "all had it");
}

/*
 * The host waits, between two iterations, for an actor that waits for a mutex behind a fiber of the
 * loop. The host, the other actor or the fiber itself may have the mutex first. A fiber that is
 * woken cannot run before the next iteration, so another context must take the mutex.
 */
struct loop_hosted_wait {
	struct loop_world world;
	fl_mutex m;
	fl_cond changed;
	fl_event told;
	int count;
	bool has_told, done;
};

static int count_hosted(void *arg)
{
	struct loop_hosted_wait *s = arg;
	{
		FL_LOCKED(&s->m);
		s->count++;
	}
	OK(fl_latch_wait(&s->world.others));
	s->done = true;
	return 0;
}

FL_STRESS_SETUP(loop_hosted_wait)
{
	loop_begin(&s->world, 2);
}

FL_STRESS_ACTOR(loop_hosted_wait, host)
{
	fl_time deadline;
	const bool holds = fl_stress_choose(2);
	begin_hosted(&s->world, count_hosted, s);
	if (holds)
		fl_mutex_lock(&s->m);
	for (int i = 0; i < 2; i++) /* the fiber starts, and runs */
		OK(fl_loop_run_once(s->world.l, &deadline));
	while (holds && !s->has_told)
		OK(fl_cond_wait(&s->changed, &s->m));
	if (holds)
		fl_mutex_unlock(&s->m);
	else
		OK(fl_event_wait(&s->told));
	host(&s->world, &s->done);
}

FL_STRESS_ACTOR(loop_hosted_wait, teller)
{
	{
		FL_LOCKED(&s->m);
		s->count++;
		s->has_told = true;
		fl_cond_broadcast(&s->changed);
	}
	fl_event_set(&s->told);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_hosted_wait, holder)
{
	{
		FL_LOCKED(&s->m);
		s->count++;
		if (fl_stress_choose(2))
			let_a_turn_pass();
	}
	loop_leave(&s->world);
}

FL_STRESS(loop_hosted_wait, host, teller, holder)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->count == 3 && !fl__mutex_is_busy(&s->m), "all had it");
}

/* Fibers that are always runnable do not delay events, or calls of other threads, forever. */
struct loop_busy {
	struct loop_world world;
	bool edge, called;
};

static int wait_beside(void *arg)
{
	struct loop_busy *s = arg;
	struct fl__io *io = open_drained(&s->world);
	OK(fl__io_wait(io, FL__IO_IN, FL_FOREVER, NULL));
	s->edge = true;
	close_io(io);
	return 0;
}

static void call_beside(void *arg)
{
	((struct loop_busy *)arg)->called = true;
}

static int be_busy(void *arg)
{
	struct loop_busy *s = arg;
	fl_fiber *f;
	OK(fl_fiber_start(&f, wait_beside, s, NULL));
	while (!s->edge || !s->called) {
		fl_stress_relax();
		fl_fiber_yield();
	}
	OK(fl_latch_wait(&s->world.others));
	return fl_fiber_join(f, NULL);
}

LOOP_ALONE(loop_busy, 2, loop_run, be_busy)

FL_STRESS_ACTOR(loop_busy, sender)
{
	loop_make_ready(&s->world, 0);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_busy, caller)
{
	OK(fl_loop_post(s->world.l, call_beside, s));
	loop_leave(&s->world);
}

FL_STRESS(loop_busy, loop, sender, caller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->edge && s->called, "both came");
}
