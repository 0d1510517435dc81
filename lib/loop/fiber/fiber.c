/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The begin and the end of a fiber. The first switch to a fiber gives it a stack
 * (fl__fiber_prepare). After the fiber has ended, the fiber or thread that runs next returns the
 * stack to the pool (fl__fiber_clean), and frees the fiber if it is detached.
 *
 * Only the scheduler's thread writes fl__fiber.ended. Joiners wait for this word in the parking
 * lot.
 *
 *   bit                meaning                 set by            cleared by
 *   FIBER_ENDED (1)    its function returned   fiber_finish()    -
 *   FIBER_WAITED (2)   a joiner may wait       fl__word_arm()    fiber_finish()
 */
#include "fiber.h"
#include "core/base/atomic.h"
#include "core/hooks.h"
#include "core/sync/local.h"
#include "scheduler.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

enum { FIBER_ENDED = 1, FIBER_WAITED = 2 };
static const struct fl__word fiber_is_ended = {FIBER_ENDED, FIBER_ENDED, FIBER_WAITED};

static void fiber_publish_end(struct fl__fiber *f)
{
	/* relaxed: only fibers of this thread write the word */
	if (!(fl__load_relaxed(&f->ended) & FIBER_WAITED)) {
		fl__store_relaxed(&f->ended, FIBER_ENDED);
		return;
	}
	FL__LOT(lot, &f->ended);
	(void)fl__lot_take(&lot, FL__ALL, 0);
	/* relaxed: a woken joiner acquires by its unpark */
	fl__store_relaxed(&f->ended, FIBER_ENDED);
}

static _Noreturn void fiber_finish(struct fl__fiber *f)
{
	struct fl__sched *s = f->sched;
	fl__locals_end(&f->ctx);
	s->fibers--;
	fiber_publish_end(f);
	s->config.ended(f);
	s->ended = f;
	fl__sched_switch_next(s, true);
	__builtin_unreachable();
}

static void fiber_begin(void *arg)
{
	struct fl__fiber *f = arg;
	if (f->sched->tells)
		fl__sched_arrive(f->sched, NULL, (struct fl__exceptions){0});
	fl__sched_after_switch(f->sched);
	f->begun = true;
	errno = 0;
	f->result = f->function(f->arg);
	fiber_finish(f);
}

/* Copies the name by hand: snprintf() would take as long as the rest of fl__fiber_create(). */
static void fiber_set_name(struct fl__fiber *f, const char *name)
{
	size_t length = strnlen(name, sizeof f->name - 1);
	memcpy(f->name, name, length);
	f->name[length] = '\0';
}

int fl__fiber_create(struct fl__sched *s, struct fl__fiber **fiber, int (*function)(void *arg), void *arg,
                     const char *name)
{
	void *block;
	struct fl__slab *slab;
	int rc = fl__stack_reserve(&s->stacks, &block, &slab);
	if (rc != 0)
		return rc;
	struct fl__fiber *f = block;
	memset(f, 0, s->config.fiber_size);
	f->sched = s;
	f->function = function;
	f->arg = arg;
	f->slab = slab;
	fiber_set_name(f, name ? name : "fiber");
	fl__ctx_init_thread(&f->ctx, f->name);
	f->ctx.ops = &fl__fiber_parker;
	f->ctx.host = &s->host;
	fl__flow_init(&f->flow);
	s->fibers++;
	fl__sched_enqueue(s, f);
	*fiber = f;
	return 0;
}

void fl__fiber_prepare(struct fl__fiber *f)
{
	f->stack = fl__stack_get(&f->sched->stacks);
	fl__flow_make(&f->flow, f->stack.low, f->stack.size, fiber_begin, f);
	fl__flow_name(&f->flow, f->name);
}

void fl__fiber_clean(struct fl__fiber *f)
{
	fl__flow_drop(&f->flow);
	fl__stack_put(&f->sched->stacks, f->stack);
	if (f->detached)
		fl__fiber_free(f);
}

void fl__fiber_free(struct fl__fiber *f)
{
	fl__stack_release(&f->sched->stacks, f, f->slab);
}

bool fl__fiber_has_ended(const struct fl__fiber *f)
{
	/* relaxed: this thread writes the word itself */
	return fl__load_relaxed(&f->ended) & FIBER_ENDED;
}

int fl__fiber_wait(struct fl__fiber *f, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__fiber_has_ended(f))
		return 0;
	fl__hook_join(&f->ctx, !fl__is_forever(deadline));
	FL__AWAITS(FL__DEBUG_JOIN, (void *)(uintptr_t)f->ctx.id);
	const int rc = fl__word_wait(&f->ended, &fiber_is_ended, deadline, cancel);
	fl__hook_join(NULL, false);
	return rc;
}

bool fl__fiber_arm(struct fl__fiber *f, struct fl__node *node)
{
	return fl__word_arm(&f->ended, &fiber_is_ended, node);
}

struct fl__fiber *fl__fiber_self(void)
{
	return fl__sched_current ? fl__sched_current->running : NULL;
}
