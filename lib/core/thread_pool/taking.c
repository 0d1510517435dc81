/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A take, and the threads that must know of it.
 *
 *   word            meaning                                  changed
 *   doing           of a worker                              by the worker
 *     TAKING (1)    it takes a task                          fl__pool_take(), before it reads the
 *                                                            queues
 *     an address    it runs the task of this future          fl__pool_take(), which has claimed it
 *     BETWEEN (2)   it will take a task, and runs no user    pool_run(), before it publishes an
 *                   code before                              end; pool_ends(), in a callback that
 *                                                            runs no more user code;
 *                                                            fl__pool_take() between two tasks, if
 *                                                            it found none
 *     ELSE (0)      anything else: it searches, or runs a    fl__pool_forget(), after each task,
 *                   drop hook or callbacks                   until BETWEEN; fl__pool_take() in a
 *                                                            search that found no task, or if
 *                                                            another context had claimed the task;
 *                                                            pool_next(), before a search;
 *                                                            pool_run(), before callbacks
 *   called          of a worker, bool: a thread has counted  set under the lock by
 *                   it in `searching`                        fl__pool_call_worker(), in place of a
 *                                                            start; cleared by the worker, or by
 *                                                            that thread: swap
 *   flags           of the pool, read by each take
 *     CROWDED (1)   some workers must step back: more are    under the lock, by the recount
 *                   active than may be, or `surplus`
 *     FENCED (2)    the system has no membarrier(): each     at creation
 *                   take has a fence of its own
 *     AWAKE (4)     a worker that dozed has waked: the next  by that worker; cleared by the recount
 *                   take recounts
 *     LISTED (8)    the closed pool's running tasks have     under the lock
 *                   been listed, and may have references
 *     HELD (16)     no worker takes a task                   under the lock, by a cancel that takes
 *                                                            all tasks out, or by a break; cleared
 *                                                            in the same section of the lock, which
 *                                                            has no recount: that would clear it
 *
 * A call counts the worker in `searching` (+1), before it stores `called`. Who ends that search:
 *
 *   the worker sees `called`       the count
 *   with a task, from a take that  ends as any search: fl__pool_stop_searching()
 *   was no search
 *   in a take of a search          is one of two for the same worker: -1, and the count of the
 *                                  search itself ends as search.c describes
 *   without a task, before it      is one of two for the same worker: -1, and the worker goes on to
 *   searches                       search
 *   before it runs callbacks       fl__pool_stop_searching()
 *   never: the thread that called  stays with that thread, which calls another worker with it, or
 *   it takes `called` back         starts one
 *
 * Three threads need to know what a worker does about a task. A resize must know that no worker
 * takes a task too many. A cancel must know which tasks run. A submit that would start a worker
 * must know whether a worker is about to look. A worker's half costs no fence: it stores in
 * `doing`, and then loads a word that the other thread has stored. The other thread stores its
 * word, makes every worker pass a fence (membarrier(), or with FENCED the worker has a fence of its
 * own), and then loads `doing`. So one of the two sees the other's store: Dekker's algorithm.
 */
#include "taking.h"
#include "../base/list.h"
#include "../base/panic.h"
#include "../base/sys.h"

void fl__pool_fence_workers(const struct fl__thread_pool *p)
{
	if (fl__pool_flags(p) & FL__POOL_FENCED)
		/* seq_cst: pairs with the fences in pool_read_flags() and fl__pool_is_called() */
		fl__fence_seq_cst();
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_executor", p, "membarrier() works no more: has it been forbidden since?");
}

static bool pool_looks_next(const struct fl__thread_worker *w)
{
	/*
	 * acquire: pairs with the releases in fl__pool_take() and pool_next(). If the worker has
	 * gone on to a task or to a search, this thread sees its claim of the task, or its count in
	 * `searching`.
	 */
	const uintptr_t doing = fl__load_acquire(&w->doing);
	return doing == FL__POOL_BETWEEN || doing == FL__POOL_TAKING;
}

/*
 * A worker stores FL__POOL_BETWEEN before it publishes the end of its task. So a thread that has
 * seen the end finds the worker in this loop, unless the worker searches by now or runs callbacks.
 * The worker sees `called`, or this function sees that the worker has gone on, and takes the call
 * back.
 */
bool fl__pool_call_worker(struct fl__thread_pool *p)
{
	FL__EACH (struct fl__thread_worker, w, p->workers) {
		if (!pool_looks_next(w))
			continue;
		/* release: the count; pairs with the acquire in fl__pool_is_called() */
		fl__store_release(&w->called, true);
		fl__pool_fence_workers(p);
		/*
		 * If the worker has seen the call, the count is the worker's. relaxed: the fence
		 * orders it.
		 */
		if (pool_looks_next(w) || !fl__swap_relaxed(&w->called, false))
			return true;
	}
	return false;
}

/* A worker that takes a task later sees the flag; this call waits until any other has its task. */
void fl__pool_fence_takes(struct fl__thread_pool *p)
{
	fl__pool_fence_workers(p);
	/* relaxed: nothing behind the address is read */
	FL__EACH (const struct fl__thread_worker, w, p->workers)
		FL__BACK_OFF_UNTIL(fl__load_relaxed(&w->doing) != FL__POOL_TAKING);
}

FL__COLD void fl__pool_hold_takes(struct fl__thread_pool *p)
{
	if (fl__pool_flags(p) & FL__POOL_HELD)
		return;
	fl__or_relaxed(&p->flags, FL__POOL_HELD); /* relaxed: fl__pool_fence_takes() orders it with the takes */
	fl__pool_fence_takes(p);
}

FL__COLD void fl__pool_release_takes(struct fl__thread_pool *p)
{
	fl__and_relaxed(&p->flags, ~(uint32_t)FL__POOL_HELD); /* relaxed: the lock orders it */
}

FL__COLD void fl__pool_list_running(fl_executor *e, struct fl__task_list *running)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	fl__or_relaxed(&p->flags, FL__POOL_LISTED); /* relaxed: the fence below orders it before the loads of `doing` */
	fl__pool_fence_workers(p);
	FL__EACH (struct fl__thread_worker, w, p->workers) {
		uintptr_t doing;
		/* acquire: the claim; pairs with the release in fl__pool_take() */
		FL__BACK_OFF_UNTIL((doing = fl__load_acquire(&w->doing)) != FL__POOL_TAKING);
		fl_future *const f = fl__pool_task_of(doing);
		if (!f || !fl__future_try_ref(f, FL__FUTURE_CLAIMED))
			continue;
		struct fl__task_block *block = fl__task_block_of(f);
		/*
		 * A task with `queued` is in a list already, which has a reference. The cancel of
		 * that list requests its stop.
		 */
		if (!block->queued || !fl__future_free_shared(f))
			fl__task_list_add(running, block);
	}
}
