/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reports of what holds up a loop. A "run" is the time for which one fiber, or the callbacks, keep
 * the thread without a switch. Only the loop's thread uses the data of the current run.
 */
#include "loop_debug.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include <errno.h>
#include <string.h>

struct fl__loop_debug {
	int64_t slow;
	int64_t began; /* when the run began; 0 while the loop waits for events */
	char name[32]; /* the name of the fiber that runs; empty while callbacks run */
};

static const char *loop_debug_kind(const char *name)
{
	return *name ? "fiber " : "its callbacks";
}

static void loop_debug_end_run(const struct fl__loop_debug *d, int64_t now)
{
	if (d->began == 0 || now - d->began <= d->slow)
		return;
	fl__log(FL_LOG_WARNING, "event loop: %s%s kept the thread for %lld us", loop_debug_kind(d->name), d->name,
	        (long long)(now - d->began) / FL_US(1));
}

static void loop_debug_begin_run(struct fl__loop_debug *d, int64_t now, const char *name)
{
	const size_t length = strnlen(name, sizeof d->name - 1);
	d->began = now;
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

void fl__loop_debug_end(fl_loop *l)
{
	struct fl__loop_debug *d = l->debug;
	if (!d)
		return;
	l->debug = NULL;
	l->sched->observe = NULL;
	fl__free(d);
}

static int loop_debug_begin(fl_loop *l, int64_t slow)
{
	struct fl__loop_debug *d = fl__alloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->slow = slow;
	loop_debug_begin_run(d, fl__sys.now(), loop_debug_name(l, fl__fiber_self()));
	l->debug = d;
	l->sched->observe = loop_debug_observe;
	return 0;
}

int fl_loop_debug(fl_loop *l, const fl_loop_debug_config *config)
{
	fl__loop_check(l, "fl_loop_debug");
	fl__loop_debug_end(l);
	if (!config || config->slow == 0)
		return 0;
	return config->slow < 0 ? -EINVAL : loop_debug_begin(l, config->slow);
}
