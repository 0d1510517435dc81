/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run is the time for which a fiber, or the callbacks, keep the thread. A lock guards the data of
 * the current run, which the watchdog thread reads. loop_dump.c is apart: only its callers link the
 * unwinder and the symbol tables.
 */
#include "loop_debug.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/sync/thread.h"
#include "core/wait/lock.h"
#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/thread.h>
#include <string.h>

struct fl__loop_debug {
	fl_loop_debug_config config;
	uint32_t lock;
	/* the run: `lock` guards these three */
	int64_t began; /* 0: the loop waits for events */
	bool reported; /* the run was reported as blocked */
	char name[32]; /* of the fiber; empty: callbacks */
	fl_event end;
	fl_thread watchdog;
};

static const char *loop_debug_kind(const char *name)
{
	return *name ? "fiber " : "its callbacks";
}

/* The loop's thread reads its `began` and `name` without the lock. */
static void loop_debug_end_run(const struct fl__loop_debug *d, int64_t now)
{
	if (d->began == 0 || d->config.slow == 0 || now - d->began <= d->config.slow)
		return;
	fl__log(FL_LOG_WARNING, "event loop: %s%s kept the thread for %lld us", loop_debug_kind(d->name), d->name,
	        (long long)(now - d->began) / FL_US(1));
}

static void loop_debug_begin_run(struct fl__loop_debug *d, int64_t now, const char *name)
{
	const size_t length = strnlen(name, sizeof d->name - 1);
	FL__LOCKED(&d->lock);
	d->began = now;
	d->reported = false;
	memcpy(d->name, name, length);
	d->name[length] = '\0';
}

static const char *loop_debug_name(const fl_loop *l, const struct fl__fiber *f)
{
	return f && f != l->callback_fiber ? f->name : "";
}

static void loop_debug_observe(struct fl__sched *s, struct fl__fiber *to)
{
	const fl_loop *l = s->config.user;
	struct fl__loop_debug *d = l->debug;
	const int64_t now = fl__sys.now();
	loop_debug_end_run(d, now);
	loop_debug_begin_run(d, now, loop_debug_name(l, to));
}

void fl__loop_debug_switch(fl_loop *l, bool runs)
{
	const int64_t now = fl__sys.now();
	if (!runs)
		loop_debug_end_run(l->debug, now);
	loop_debug_begin_run(l->debug, runs ? now : 0, "");
}

/* If the run must be reported, stores its name, and its length in `since`. */
static bool loop_debug_is_blocked(struct fl__loop_debug *d, char name[32], int64_t *since)
{
	const int64_t now = fl__sys.now();
	FL__LOCKED(&d->lock);
	const bool blocked = d->began != 0 && !d->reported && now - d->began >= d->config.blocked;
	if (blocked) {
		d->reported = true;
		memcpy(name, d->name, sizeof d->name);
		*since = now - d->began;
	}
	return blocked;
}

static int loop_debug_watch(void *debug)
{
	struct fl__loop_debug *d = debug;
	char name[sizeof d->name];
	int64_t since;
	while (fl_event_wait_until(&d->end, fl_after(d->config.blocked / 2 + 1), FL_SHIELDED) != 0)
		if (loop_debug_is_blocked(d, name, &since))
			fl__log(FL_LOG_WARNING, "event loop: %s%s has kept the thread for %lld us, and goes on",
			        loop_debug_kind(name), name, (long long)since / FL_US(1));
	return 0;
}

void fl__loop_debug_end(fl_loop *l)
{
	struct fl__loop_debug *d = l->debug;
	if (!d)
		return;
	l->debug = NULL;
	l->sched->observe = NULL;
	if (d->config.blocked > 0 && !fl__loop_is_forked(l)) {
		fl_event_set(&d->end);
		/* always 0: the watchdog is joinable, and another thread */
		(void)!fl_thread_join_until(&d->watchdog, NULL, FL_FOREVER, FL_SHIELDED);
	}
	fl__free(d);
}

static int loop_debug_begin(fl_loop *l, const fl_loop_debug_config *config)
{
	struct fl__loop_debug *d = fl__alloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->config = *config;
	loop_debug_begin_run(d, fl__sys.now(), loop_debug_name(l, fl__fiber_self()));
	if (config->blocked > 0) {
		const fl_thread_config thread = {.name = "loop-watchdog", .block_signals = true};
		int rc = fl__thread_start(&d->watchdog, loop_debug_watch, d, &thread, NULL, NULL);
		if (rc != 0) {
			fl__free(d);
			return rc == -ENOMEM ? rc : -EAGAIN;
		}
	}
	l->debug = d;
	l->sched->observe = loop_debug_observe;
	return 0;
}

int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config)
{
	fl__loop_check(l, "fl_loop_debug");
	if (fl__loop_is_forked(l))
		return -EOWNERDEAD;
	do
		fl__loop_debug_end(l);
	while (l->debug); /* another fiber switched them on meanwhile */
	if (!config || (config->slow == 0 && config->blocked == 0))
		return 0;
	return config->slow < 0 || config->blocked < 0 ? -EINVAL : loop_debug_begin(l, config);
}
