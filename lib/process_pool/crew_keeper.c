/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager thread. It starts workers, reaps them, acts on timeouts, ends tasks that need user
 * code, and takes replies when no waiting thread does.
 *
 * Its sleep. If waiting threads have fetched results since the last sleep, a doorbell for each
 * result would wake the manager in vain. So the manager naps: it wakes after `nap` without a
 * doorbell. If no thread has fetched since, the manager arms the doorbells, takes replies once
 * more, and sleeps until one rings: lane.c, invariant 4. A thread that stops fetching before its
 * future has ended kicks the manager out of its nap. After the manager itself has found work, it
 * looks on for `spin`, with yields: more work is likely to come, and a sleep costs two wakes.
 */
#include "../base/sys.h"
#include "../process/fd_sys.h"
#include "../process/os.h"
#include "../wait/context.h"
#include "crew_sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/time.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS = 16 };

static const int64_t nap = FL_MS(1), spin = FL_US(30), deaf = FL_US(200);

struct keeper {
	struct fl__crew *c;
	uint32_t helped; /* the crew's, at the last look */
	int64_t found;   /* when it last found work */
	int64_t heard;   /* when it last polled epoll without a sleep */
};

/* Starting workers. */

/* True: it tried. */
static bool start_one(struct fl__crew *c)
{
	char text[FL_MESSAGE_MAX];
	if (!fl__crew_wants_member(c) || c->retry_at > fl__sys.now())
		return false;
	if (fl__crew_start_member(c, text) != 0)
		fl__crew_start_failed(c, text);
	return true;
}

/* Whether no worker serves and too many starts failed. */
static bool is_hopeless(const struct fl__crew *c)
{
	return c->failures >= FL__CREW_TRIES && fl__crew_serving(c) == 0;
}

/* Releases the lock for a while. */
static void break_down(struct fl__crew *c)
{
	char text[FL_MESSAGE_MAX + 64];
	char *message = c->init_message;
	const int error = c->init_error;
	(void)snprintf(text, sizeof text, "the executor is broken: no worker lives long enough: %s", c->broken);
	c->init_message = NULL;
	fl_mutex_unlock(&c->base.lock);
	if (error != 0)
		fl__executor_initialize_failed(&c->base, error, message);
	else
		fl__executor_break(&c->base, text);
	fl_mutex_lock(&c->base.lock);
}

/* Events. */

static void bury_dead(struct fl__crew *c, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		const int fd = events[i].data.fd;
		unsigned k = 0;
		while (k < c->n_members && c->members[k]->bell != fd &&
		       fl__crew_sys.sentinel(c->members[k]->process) != fd)
			k++;
		if (fd == c->bell || (k < c->n_members && fd == c->members[k]->bell))
			fl__crew_sys.silence(fd);
		else if (k < c->n_members && !fl__crew_sys.is_alive(c->members[k]->process))
			fl__crew_bury(c->members[k]);
	}
}

static void kill_all(struct fl__crew *c)
{
	for (unsigned i = 0; i < c->n_members; i++)
		fl__crew_kill(c->members[i], "its executor was terminated");
}

/* Dismisses workers that are idle for too long or not needed. Returns when to call it again. */
static int64_t dismiss_idle(struct fl__crew *c, bool all, int64_t now)
{
	int64_t next = FL_FOREVER;
	const int64_t timeout = c->config.idle_timeout;
	for (unsigned i = 0; i < c->n_members; i++) {
		struct fl__member *m = c->members[i];
		if (m->leaving || m->why || fl__lane_used(&m->lane) > 0)
			continue;
		if (m->idle_since == 0)
			m->idle_since = now;
		if (all || m->retired || m->quota == 0 || (timeout > 0 && fl__later(m->idle_since, timeout) <= now))
			fl__crew_dismiss(m);
		else if (timeout > 0)
			next = fl__min_deadline(next, fl__later(m->idle_since, timeout));
	}
	return next;
}

/* Ends the tasks in `ended` and `kept`. True: there was one. Releases the lock for a while. */
static bool end_some(struct fl__crew *c)
{
	struct fl__cell *kept = c->kept, *ended = c->ended;
	if (!kept && !ended)
		return false;
	c->kept = c->ended = NULL;
	c->kept_end = &c->kept;
	c->ended_end = &c->ended;
	fl_mutex_unlock(&c->base.lock);
	size_t n = fl__crew_end(kept, true, NULL) + fl__crew_end(ended, true, NULL);
	fl_mutex_lock(&c->base.lock);
	c->base.foreign -= n;
	if (c->base.foreign == 0)
		fl_cond_broadcast(&c->base.gone);
	return true;
}

/* Sleeping. */

static int milliseconds_until(int64_t when)
{
	if (when == FL_FOREVER)
		return -1;
	int64_t ns = when - fl__sys.now();
	int64_t ms = ns <= 0 ? 0 : (ns + FL_MS(1) - 1) / FL_MS(1);
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Called with the lock; releases it for the sleep. True: an event came. */
static bool sleep_until(struct fl__crew *c, int64_t when)
{
	struct epoll_event events[EVENTS];
	c->sleeping = true;
	c->wakes_at = when;
	fl_mutex_unlock(&c->base.lock);
	int n = fl__fd_sys.watch_wait(c->epoll, events, EVENTS, milliseconds_until(when));
	fl_mutex_lock(&c->base.lock);
	c->sleeping = c->kicked = false;
	bury_dead(c, events, n); /* an error of the wait, as -EINTR, is no event */
	return n > 0;
}

/*
 * Arms the doorbells. False: a reply came, perhaps before the arming, and then no doorbell rings.
 */
static bool arm(struct fl__crew *c)
{
	if (++c->sleeps == 0)
		c->sleeps = 1;
	for (unsigned i = 0; i < c->n_members; i++)
		fl__lane_arm(&c->members[i]->lane, c->sleeps);
	return !fl__crew_harvest(c);
}

static void disarm(struct fl__crew *c)
{
	for (unsigned i = 0; i < c->n_members; i++)
		fl__lane_disarm(&c->members[i]->lane);
}

/*
 * Sleeps until an event or `until`: a nap if waiting threads have fetched since the last look. True
 * if they have fetched in this nap, too, and nothing else has happened.
 */
static bool rest(struct keeper *k, int64_t until)
{
	struct fl__crew *c = k->c;
	const int64_t now = fl__sys.now();
	if (k->helped == c->helped) {
		if (arm(c))
			(void)sleep_until(c, until);
		disarm(c);
		return false;
	}
	k->helped = c->helped;
	c->napping = true;
	bool happened = sleep_until(c, fl__min_deadline(until, now + nap));
	c->napping = false;
	if (happened)
		k->helped = c->helped;
	return k->helped != c->helped && until > now + nap;
}

/* The thread. */

/* Does all pending work once. True: there was some. */
static bool work(struct fl__crew *c)
{
	bool some = fl__crew_harvest(c);
	if (c->terminated)
		kill_all(c);
	fl__crew_feed(c);
	some |= end_some(c);
	if (c->base.broken ? c->base.queue.head != NULL : c->init_error != 0 || is_hopeless(c)) {
		break_down(c);
		some = true;
	}
	return start_one(c) || some;
}

/*
 * Acts on timeouts and feeds the workers. Returns the time of the next work. The manager holds the
 * lock until it sleeps, so that it misses nothing.
 */
static int64_t plan(struct fl__crew *c)
{
	const bool closing = (c->base.closed || c->base.broken) && !c->base.queue.head;
	const int64_t now = fl__sys.now();
	int64_t until = fl__min_deadline(fl__crew_watch_tasks(c, now), dismiss_idle(c, closing, now));
	if (fl__crew_wants_member(c))
		until = fl__min_deadline(until, c->retry_at);
	const size_t posted = c->posted;
	fl__crew_feed(c); /* tasks that were withdrawn, or submitted since */
	return c->ended || c->kept || c->posted > posted ? now : until;
}

static bool is_over(const struct fl__crew *c)
{
	return c->base.closed && !c->base.queue.head && c->posted == 0 && !c->ended && !c->kept && c->fetchers == 0 &&
	       c->n_members == 0;
}

/* A manager that always finds work never sleeps. It polls epoll here, to learn of deaths. */
static void listen_now(struct keeper *k)
{
	struct epoll_event events[EVENTS];
	struct fl__crew *c = k->c;
	const int64_t now = fl__sys.now();
	if (now < k->heard + deaf)
		return;
	k->heard = now;
	fl_mutex_unlock(&c->base.lock);
	int n = fl__fd_sys.watch_wait(c->epoll, events, EVENTS, 0);
	fl_mutex_lock(&c->base.lock);
	bury_dead(c, events, n);
}

static void look_on(struct fl__crew *c)
{
	fl_mutex_unlock(&c->base.lock);
	(void)fl__sys.give_way(fl__sys.now());
	fl_mutex_lock(&c->base.lock);
}

static int keep(void *arg)
{
	struct keeper k = {.c = arg};
	struct fl__crew *c = k.c;
	struct fl__run run;
	fl__run_enter(&run, &c->base); /* so that a join by a callback is refused */
	fl_mutex_lock(&c->base.lock);
	for (bool others_work = false; !is_over(c);) {
		if (!others_work && work(c)) {
			k.found = fl__sys.now();
			listen_now(&k);
		}
		if (is_over(c))
			break;
		others_work = false;
		if (k.helped == c->helped && fl__sys.now() < k.found + spin)
			look_on(c);
		else
			others_work = rest(&k, plan(c));
	}
	fl__run_leave(&run);
	c->over = true;
	fl_cond_broadcast(&c->base.gone);
	fl_mutex_unlock(&c->base.lock); /* the last access */
	return 0;
}

/* Under the lock. */
static int open_ears(struct fl__crew *c)
{
	if (c->epoll >= 0)
		return 0;
	int epoll = fl__above(fl__fd_sys.watch_create());
	int bell = epoll < 0 ? epoll : fl__above(fl__os.event());
	int rc = bell < 0 ? bell : fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, bell, EPOLLIN);
	if (rc == 0) {
		c->epoll = epoll;
		c->bell = bell;
		return 0;
	}
	fl__close(bell);
	fl__close(epoll);
	return rc == -ENOMEM || rc == -ENOSYS ? rc : -EAGAIN;
}

int fl__crew_start_keeper(struct fl__crew *c)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%s-keeper", c->name);
	const fl_thread_config config = {.name = name, .block_signals = true};
	int rc = open_ears(c);
	if (rc == 0)
		rc = fl_thread_start(&c->keeper, keep, c, &config);
	if (rc != 0)
		return rc == -ENOMEM || rc == -ENOSYS ? rc : -EAGAIN;
	c->running = true;
	return 0;
}
