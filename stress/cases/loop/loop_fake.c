/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces the kernel under an event loop, as loops.h describes. All descriptors are
 * edge-triggered.
 */
#include "loop/poller.h"
#include "loops.h"

/* The descriptors are invalid numbers. */
enum { NUMBERS = 1 << 29, WORLDS = 4096, FDS = 2 + LOOP_FDS };
enum { POLLER, BELL, FIRST };

static struct loop_world *worlds[WORLDS]; /* changed only while no actor runs */
static struct loop_world *making;         /* changed only in setups, while no actor runs */

static struct loop_world *world_of(int fd)
{
	return worlds[(fd - NUMBERS) / FDS];
}

static int number_of(const struct loop_world *w, int kind)
{
	return NUMBERS + (int)w->index * FDS + kind;
}

int loop_fd(const struct loop_world *w, int i)
{
	return number_of(w, FIRST + i);
}

/*
 * Makes a descriptor ready. release: the kernel's work on a descriptor is under a lock; pairs with
 * the acquire in take()
 */
static void raise_edge(struct loop_world *w, atomic_int *edge)
{
	(void)atomic_exchange_explicit(edge, 1, memory_order_release);
	COUNT(&w->events);
	(void)fl_stress_futex_wake(&w->events, 1);
}

static bool take(atomic_int *edge)
{
	return atomic_exchange_explicit(edge, 0, memory_order_acquire);
}

void loop_make_ready(struct loop_world *w, int i)
{
	raise_edge(w, &w->ready[i]);
}

static int create(void)
{
	return number_of(making, POLLER);
}

static int bell(void)
{
	return number_of(making, BELL);
}

static void ring(int fd)
{
	struct loop_world *w = world_of(fd);
	raise_edge(w, &w->rung);
}

static int control(int poller, int op, int fd, uint32_t events, void *watcher)
{
	struct loop_world *w = world_of(poller);
	const int kind = (fd - NUMBERS) % FDS;
	*(kind == BELL ? &w->bell : &w->watchers[kind - FIRST]) = op == EPOLL_CTL_DEL ? NULL : watcher;
	return 0;
}

static int collect(struct loop_world *w, struct epoll_event *events)
{
	int n = 0;
	if (take(&w->rung))
		events[n++] = (struct epoll_event){.events = EPOLLIN, .data.ptr = w->bell};
	for (int i = 0; i < LOOP_FDS; i++)
		if (w->watchers[i] && take(&w->ready[i]))
			events[n++] = (struct epoll_event){.events = EPOLLIN | EPOLLOUT, .data.ptr = w->watchers[i]};
	return n;
}

static int wait_for_events(int poller, struct epoll_event *events, int most, int64_t deadline)
{
	struct loop_world *w = world_of(poller);
	FL_STRESS_CHECK(most >= 1 + LOOP_FDS);
	for (int rc = 0;;) {
		const unsigned seen = LOOK(&w->events);
		const int n = collect(w, events);
		if (n > 0 || deadline <= 0 || rc == -ETIMEDOUT)
			return n;
		rc = fl_stress_futex_wait(&w->events, seen, deadline);
		if (rc == -EINTR)
			return rc;
	}
}

void loop_poll(struct loop_world *w, int64_t deadline)
{
	for (int rc = 0; rc != -ETIMEDOUT;) {
		const unsigned seen = LOOK(&w->events);
		/* acquire: pairs with the release in raise_edge() */
		if (atomic_fetch_add_explicit(&w->rung, 0, memory_order_acquire))
			return;
		rc = fl_stress_futex_wait(&w->events, seen, deadline);
	}
}

static void close_number(int fd)
{
}

void loop_expect(struct loop_world *w)
{
	fl__poller_sys = (struct fl__poller_sys){create, control, wait_for_events, bell, ring, close_number, NULL};
	while (worlds[w->index])
		if (++w->index == WORLDS)
			abort();
	worlds[w->index] = w;
	making = w;
}

void loop_begin(struct loop_world *w, unsigned others)
{
	w->others = (fl_latch)FL_LATCH_INIT(others);
	loop_expect(w);
	OK(fl_loop_create(&w->l, NULL));
}

int loop_run(struct loop_world *w, fl_fiber_function *function, void *arg)
{
	int rc = fl_loop_run_on(w->l, function, arg);
	fl_loop_free(w->l);
	return rc;
}

int loop_watch(struct loop_world *w, fl_fiber_function *function, void *arg)
{
	OK(fl_fiber_start(&w->fiber, function, arg, NULL));
	fl_event_set(&w->known);
	OK(fl_latch_wait(&w->others));
	return fl_fiber_join(w->fiber, NULL);
}

static int watch_given(void *arg)
{
	struct loop_world *w = arg;
	return loop_watch(w, w->function, w->arg);
}

int loop_run_watched(struct loop_world *w, fl_fiber_function *function, void *arg)
{
	w->function = function;
	w->arg = arg;
	return loop_run(w, watch_given, w);
}

void loop_leave(struct loop_world *w)
{
	fl_latch_count_down(&w->others, 1);
}

void loop_cancel_fiber(struct loop_world *w)
{
	OK(fl_event_wait(&w->known));
	fl_fiber_cancel(w->fiber);
	loop_leave(w);
}

void loop_end(struct loop_world *w)
{
	worlds[w->index] = NULL;
}
