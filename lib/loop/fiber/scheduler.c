/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler of one thread. Fibers never move to another thread, so no switch needs a lock.
 *
 * The word fl__wait.park_word of a fiber's wait. (SCHED_PARKED is 4, so that debuggers can tell
 * this word from a lock's word.)
 *
 *   value               meaning            set by                       cleared by
 *   SCHED_EMPTY (0)     neither unparked   fl__wait_begin();            -
 *                       nor suspended      sched_expire()
 *   SCHED_UNPARKED (1)  unparked           sched_unpark(): swap; store  -
 *                                          by the fiber's own thread
 *   SCHED_PARKED (4)    suspended, or      sched_park(): CAS from       sched_unpark(): swap, or
 *                       about to be        SCHED_EMPTY                  store by the fiber's own
 *                                                                       thread; sched_expire():
 *                                                                       CAS
 *
 * The function that clears SCHED_PARKED must enqueue the fiber once: in the run queue if it runs on
 * the fiber's own thread, or in the inbox if it runs on another thread or in a signal handler.
 * Until a parked fiber is enqueued, the fiber, its wait and its scheduler stay valid.
 *
 * fl__sched.inbox lists the fibers that other threads have woken, and the calls of other threads.
 *
 *   value         meaning                set by                   cleared by
 *   NULL          empty                  fl__sched_take_inbox();  -
 *                                        fl__sched_disarm(), CAS
 *   a post        linked by next,        fl__sched_post(), CAS    fl__sched_take_inbox(), swap
 *                 latest first
 *   SCHED_ASLEEP  empty, and the thread  fl__sched_arm(), CAS     fl__sched_post();
 *                 sleeps                                          fl__sched_disarm(), CAS
 *
 * A post that replaces SCHED_ASLEEP must wake the scheduler's thread once, which is the post's last
 * access to the scheduler. Any other post touches nothing after its CAS. If the scheduler's thread
 * finds SCHED_ASLEEP replaced, it waits for that wake, so the scheduler outlives the wake. The
 * linearization point of a post is its CAS on the inbox. The linearization point of a wake before
 * the park is its swap of park_word or, on the fiber's own thread, its store to park_word.
 *
 * A post is lock-free. fl__sched_turn() takes the posts that are there when it begins, runs each
 * fiber that is runnable then, and makes a bounded number of runs in all. So neither posts nor
 * yields starve a fiber.
 *
 * What belongs to a flow. A switch saves the registers, errno, and the floating-point control word.
 * In a process with a C++ runtime it also saves what __cxa_get_globals() returns for the thread:
 * the list of caught exceptions and the number of exceptions in flight. Under AddressSanitizer it
 * announces the next stack. A thread that enters a scheduler finds the C++ runtime and
 * AddressSanitizer by weak symbols. So the same library serves programs with and without them, and
 * a switch in a C program only pays for one well-predicted test.
 *
 * Only the scheduler's thread takes entries out of the inbox. So if another thread wakes a fiber in
 * the middle of its park, the fiber has switched out before its entry is read. A wake that finds
 * the thread asleep writes to an eventfd, once for each sleep.
 */
#include "scheduler.h"
#include "core/base/anew.h"
#include "core/base/atomic.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include <errno.h>
#include <fairlead/time.h>

enum { SCHED_EMPTY = 0, SCHED_UNPARKED = 1, SCHED_PARKED = 4 };
#define SCHED_SOON FL_US(50)
enum { SCHED_TRIM_PERIOD = 1024 /* spins in place of a sleep */ };

static struct fl__post sched_asleep;
#define SCHED_ASLEEP (&sched_asleep)

_Thread_local struct fl__sched *fl__sched_current FL__INITIAL_EXEC;

static void sched_make_anew(void)
{
	fl__sched_current = NULL;
}

FL__MAKES_ANEW(sched_make_anew)

static struct fl__fiber *sched_fiber_of(struct fl__ctx *ctx)
{
	return FL__CONTAINER_OF(ctx, struct fl__fiber, ctx);
}

static struct fl__fiber *sched_fiber_of_post(struct fl__post *post)
{
	return FL__CONTAINER_OF(post, struct fl__fiber, post);
}

void fl__sched_enqueue(struct fl__sched *s, struct fl__fiber *f)
{
	f->post.next = NULL;
	if (s->last)
		s->last->next = &f->post;
	else
		s->first = &f->post;
	s->last = &f->post;
	s->runnable++;
}

/* Returns NULL if the current fl__sched_turn() is over. */
static struct fl__fiber *sched_pick_next(struct fl__sched *s)
{
	struct fl__post *first = s->first;
	if (!first || s->left == 0)
		return NULL;
	s->left--;
	s->runnable--;
	s->first = first->next;
	if (!s->first)
		s->last = NULL;
	return sched_fiber_of_post(first);
}

void fl__sched_after_switch(struct fl__sched *s)
{
	struct fl__fiber *ended = s->ended;
	if (ended) {
		s->ended = NULL;
		fl__fiber_clean(ended);
	}
}

FL__UNINSTRUMENTED void fl__sched_arrive(struct fl__sched *s, void *fake_stack, struct fl__exceptions mine)
{
	if (s->exceptions)
		*s->exceptions = mine;
	const bool from_main = !s->main_low; /* the first switch after enter */
	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(fake_stack, from_main ? &s->main_low : NULL,
		                                from_main ? &s->main_size : NULL);
}

/*
 * Does the work of fl__flow_switch() in a program of C++ or under AddressSanitizer. With
 * `forever` it does not return.
 */
static FL__UNINSTRUMENTED void sched_switch_told(struct fl__sched *s, struct fl__flow *from, struct fl__fiber *to,
                                                 bool forever)
{
	const struct fl__exceptions mine = s->exceptions ? *s->exceptions : (struct fl__exceptions){0};
	/* the stack with which AddressSanitizer finds uses after a return */
	void *fake_stack = NULL;
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(forever ? NULL : &fake_stack, to ? to->stack.low : s->main_low,
		                               to ? to->stack.size : s->main_size);
	fl__flow_switch(from, to ? &to->flow : &s->main);
	fl__sched_arrive(s, fake_stack, mine);
}

static FL__SWITCHES void sched_switch(struct fl__sched *s, struct fl__flow *from, struct fl__fiber *to, bool forever)
{
	int error = errno;
	if (to && !to->stack.low)
		fl__fiber_prepare(to);
	if (fl__unlikely(s->observe != NULL))
		s->observe(s, to);
	fl__hook_run(s, to ? to->ctx.id : 0, to ? to->name : "");
	s->running = to;
	fl__ctx_current = to ? &to->ctx : s->host.thread;
	if (fl__unlikely(s->tells))
		sched_switch_told(s, from, to, forever);
	else
		fl__flow_switch(from, to ? &to->flow : &s->main);
	errno = error;
}

/* Called on the stack of `me`. */
static void sched_run_visit(struct fl__sched *s, struct fl__fiber *me)
{
	const struct fl__visit *visit = s->visit;
	struct fl__fiber *from = visit->from;
	s->visit = NULL;
	visit->function(visit->arg);
	sched_switch(s, &me->flow, from, false);
}

void fl__sched_switch_next(struct fl__sched *s, bool forever)
{
	struct fl__fiber *me = s->running, *to = sched_pick_next(s);
	if (to == me)
		return;
	if (s->first)
		/* the fetch proceeds while `to` runs */
		fl__flow_prefetch(&sched_fiber_of_post(s->first)->flow, s->stacks.block);
	sched_switch(s, &me->flow, to, forever);
	while (fl__unlikely(s->visit != NULL))
		sched_run_visit(s, me);
	fl__sched_after_switch(s);
}

bool fl__fiber_visit(struct fl__fiber *f, void (*function)(void *arg), void *arg)
{
	struct fl__sched *s = f->sched;
	struct fl__visit visit = {function, arg, s->running};
	if (f == s->running)
		function(arg);
	else if (!f->begun)
		return false;
	else {
		s->visit = &visit;
		sched_switch(s, visit.from ? &visit.from->flow : &s->main, f, false);
	}
	return true;
}

const char *fl__fiber_state(const struct fl__fiber *f)
{
	if (!f->begun)
		return "has not begun";
	if (f == f->sched->running)
		return "runs";
	/* relaxed: the answer is for display, and another thread may be waking the fiber */
	return f->parked && fl__load_relaxed(&f->parked->park_word) == SCHED_PARKED ? "waits" : "is runnable";
}

void fl__fiber_yield(void)
{
	struct fl__sched *s = fl__sched_current;
	fl__sched_enqueue(s, s->running);
	fl__sched_switch_next(s, false);
}

void fl__sched_post(struct fl__sched *s, struct fl__post *post)
{
	/* relaxed: a stale value only makes the CAS fail */
	struct fl__post *head = fl__load_relaxed(&s->inbox);
	do
		post->next = head == SCHED_ASLEEP ? NULL : head;
	/* release: pairs with the acquire in fl__sched_take_inbox() */
	while (!fl__cas_weak_release(&s->inbox, &head, post));
	if (head == SCHED_ASLEEP)
		s->config.ops->wake(s);
}

/*
 * Unparks through the inbox. A signal handler must do so even on the fiber's own thread, since it
 * may have interrupted a change of the run queue.
 */
static void sched_unpark_from_any(struct fl__wait *wait)
{
	/* These are read before the swap, because after the swap the wait may be freed. */
	struct fl__fiber *f = sched_fiber_of(wait->ctx);
	struct fl__sched *s = f->sched;
	/*
	 * release: pairs with the acquire in sched_is_unparked(). acquire: pairs with the
	 * release in sched_park(), so that f->post can be linked.
	 */
	if (fl__swap_acq_rel(&wait->park_word, SCHED_UNPARKED) == SCHED_PARKED)
		fl__sched_post(s, &f->post);
}

/* Unparks on the fiber's own thread. A wait is unparked only once (lot.c, invariant 3). */
static inline void sched_unpark_from_own(struct fl__fiber *f, struct fl__sched *s, struct fl__wait *wait)
{
	/* relaxed: only this thread uses the word of this wait */
	const bool parked = fl__load_relaxed(&wait->park_word) == SCHED_PARKED;
	fl__store_relaxed(&wait->park_word, SCHED_UNPARKED);
	if (parked)
		fl__sched_enqueue(s, f);
}

static void sched_unpark(struct fl__wait *wait)
{
	struct fl__fiber *f = sched_fiber_of(wait->ctx);
	struct fl__sched *s = f->sched;
	if (s == fl__sched_current)
		sched_unpark_from_own(f, s, wait);
	else
		sched_unpark_from_any(wait);
}

static bool sched_is_unparked(const struct fl__wait *wait)
{
	/* acquire: pairs with the release in sched_unpark_from_any() */
	return fl__load_acquire(&wait->park_word) == SCHED_UNPARKED;
}

static int sched_park(struct fl__wait *wait, fl_time deadline)
{
	struct fl__fiber *f = sched_fiber_of(wait->ctx);
	if (sched_is_unparked(wait))
		return 0;
	f->parked = wait;
	if (!fl__is_forever(deadline)) {
		f->parked_rc = 0;
		fl__timers_add(&f->sched->timers, &f->timer, fl__expiry(deadline));
	}
	uint32_t expected = SCHED_EMPTY;
	/* release: pairs with the acquire in sched_unpark_from_any(), which links the fiber */
	if (fl__cas_release(&wait->park_word, &expected, SCHED_PARKED))
		fl__sched_switch_next(f->sched, false);
	if (!fl__is_forever(deadline))
		fl__timers_remove(&f->sched->timers, &f->timer);
	f->parked = NULL;
	(void)sched_is_unparked(wait); /* acquires, if there was an unpark */
	return !fl__is_forever(deadline) ? f->parked_rc : 0;
}

static int sched_wait_fds(const struct pollfd *fds, unsigned n, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__sched_current->config.ops->wait_fds(fl__sched_current, fds, n, deadline, cancel);
}

const struct fl__ctx_ops fl__fiber_parker = {sched_park, sched_unpark, sched_unpark_from_any, fl__fiber_yield,
                                             sched_wait_fds};

void fl__fiber_suspend(void)
{
	struct fl__sched *s = fl__sched_current;
	struct fl__fiber *f = s->running;
	if (!f->resumed) {
		f->suspended = true;
		fl__sched_switch_next(s, false);
	}
	f->resumed = false;
}

void fl__fiber_resume(struct fl__fiber *f)
{
	struct fl__sched *s = f->sched;
	f->resumed = true;
	if (!f->suspended)
		return;
	f->suspended = false;
	f->post.next = s->first;
	s->first = &f->post;
	if (!s->last)
		s->last = &f->post;
	s->runnable++;
	s->left++; /* `f` runs in the current fl__sched_turn() */
}

void fl__sched_take_inbox(struct fl__sched *s)
{
	/* relaxed: the next fl__sched_turn() sees a post that this load misses */
	if (!fl__load_relaxed(&s->inbox))
		return;
	/* acquire: pairs with the release in fl__sched_post() */
	struct fl__post *latest = fl__swap_acquire(&s->inbox, NULL);
	struct fl__post *oldest = NULL;
	while (latest) {
		struct fl__post *next = latest->next;
		latest->next = oldest;
		oldest = latest;
		latest = next;
	}
	FL__EACH_SAFE (struct fl__post, post, oldest) { /* the function may free the post */
		if (post->function)
			post->function(post);
		else
			fl__sched_enqueue(s, sched_fiber_of_post(post));
	}
}

static void sched_expire(struct fl__sched *s, struct fl__fiber *f)
{
	uint32_t expected = SCHED_PARKED;
	/* relaxed: the CAS replaces a value that this thread has written */
	if (!fl__cas_relaxed(&f->parked->park_word, &expected, SCHED_EMPTY))
		return;
	f->parked_rc = -ETIMEDOUT;
	fl__sched_enqueue(s, f);
}

static void sched_expire_timers(struct fl__sched *s)
{
	if (!s->timers.first)
		return;
	int64_t now = fl__sys.now();
	struct fl__timer *timer;
	while ((timer = s->timers.first) != NULL && timer->deadline <= now) {
		fl__timers_remove(&s->timers, timer);
		sched_expire(s, FL__CONTAINER_OF(timer, struct fl__fiber, timer));
	}
}

bool fl__sched_turn(struct fl__sched *s, size_t runs)
{
	fl__sched_take_inbox(s);
	sched_expire_timers(s);
	s->left = FL__MAX(s->runnable, runs);
	struct fl__fiber *f = sched_pick_next(s);
	if (!f)
		return false;
	if (!s->watched)
		(void)fl__overflow_prepare(); /* fails only if the host has removed its own signal stack */
	s->watched = true;
	sched_switch(s, &s->main, f, false);
	fl__sched_after_switch(s);
	return s->runnable > 0;
}

int64_t fl__sched_next_deadline(const struct fl__sched *s)
{
	return s->timers.first ? s->timers.first->deadline : FL__NEVER;
}

bool fl__sched_arm(struct fl__sched *s)
{
	if (s->runnable > 0)
		return false;
	fl__stack_pool_trim(&s->stacks);
	struct fl__post *expected = NULL;
	/* relaxed: the sleep acquires what ops->wake() has released */
	return fl__cas_relaxed(&s->inbox, &expected, SCHED_ASLEEP);
}

void fl__sched_disarm(struct fl__sched *s, bool woken)
{
	struct fl__post *expected = SCHED_ASLEEP;
	/* relaxed: nothing was posted */
	if (fl__cas_relaxed(&s->inbox, &expected, NULL))
		return;
	while (!woken)
		woken = s->config.ops->sleep(s, FL__NEVER) == 0;
}

static bool sched_is_posted(const void *sched)
{
	/* relaxed: fl__sched_take_inbox() acquires */
	return fl__load_relaxed(&((const struct fl__sched *)sched)->inbox) != NULL;
}

/*
 * A wake costs the waking thread about 10 us. So if another thread ended the last sleep soon after
 * it began, the scheduler spins before it sleeps.
 */
bool fl__sched_sleep(struct fl__sched *s, int64_t deadline)
{
	const int64_t until = fl__min_deadline(deadline, fl__sched_next_deadline(s));
	if (s->soon && s->runnable == 0) {
		s->soon = fl__spin(s->host.thread, sched_is_posted, s, FL__TIME(until));
		if (s->soon && ++s->spun % SCHED_TRIM_PERIOD == 0)
			fl__stack_pool_trim(&s->stacks);
		if (s->soon)
			return false;
	}
	if (!fl__sched_arm(s))
		return false;
	const int64_t began = fl__sys.now();
	const bool blocks = fl__ctx_block(s->host.thread, NULL, FL__TIME(until));
	fl__lot_set_away(s->host.thread->hosted, true);
	const bool woken = s->config.ops->sleep(s, until) == 0;
	fl__lot_set_away(s->host.thread->hosted, false);
	fl__ctx_unblock(s->host.thread, NULL, blocks);
	s->soon = woken && fl__sys.now() - began < SCHED_SOON;
	fl__sched_disarm(s, woken);
	return true;
}

static int sched_may_enter(struct fl__sched *s)
{
	if (fl__sched_current)
		return -EALREADY;
	if (s->host.thread && s->host.thread != fl__ctx_get())
		return -EPERM;
	return s->host.thread ? 0 : fl__overflow_prepare();
}

int fl__sched_enter(struct fl__sched *s)
{
	int rc = sched_may_enter(s);
	if (rc != 0)
		return rc;
	/* relaxed: other threads only compare it */
	fl__store_relaxed(&s->host.thread, fl__ctx_get());
	if (s->host.link)
		FL__LIST_REMOVE(&s->host);
	s->host.link = NULL;
	fl__flow_adopt(&s->main);
	s->exceptions = __cxa_get_globals ? __cxa_get_globals() : NULL;
	s->tells = s->exceptions || __sanitizer_start_switch_fiber;
	s->main_low = NULL;
	fl__sched_current = s;
	return 0;
}

void fl__sched_leave(struct fl__sched *s)
{
	fl__sched_current = NULL;
	s->watched = false;
}

static bool sched_has_shadow_stack(void)
{
	uintptr_t top = 0;
#if defined(__x86_64__) && defined(__CET__) && !defined(FL__SWITCH_UCONTEXT)
	/* the instruction has no effect without a shadow stack */
	__asm__ volatile("rdsspq %0" : "+r"(top));
#endif
	return top != 0;
}

int fl__sched_create(struct fl__sched **s, const struct fl__sched_config *config)
{
	if (sched_has_shadow_stack())
		return -ENOTSUP;
	struct fl__sched *made = fl__alloc(1, sizeof *made);
	if (!made)
		return -ENOMEM;
	made->config = *config;
	fl__stack_pool_init(&made->stacks, config->stack_size, config->fiber_size);
	*s = made;
	return 0;
}

void fl__sched_destroy(struct fl__sched *s)
{
	fl__stack_pool_end(&s->stacks);
	fl__free(s);
}
