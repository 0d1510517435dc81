/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stand-ins: more workers for a pool whose workers all wait.
 *
 *   word            meaning                                  changed
 *   dozing          the number of active workers that doze   +1, -1 by the worker: fl__pool_doze()
 *   stand_ins       how many more than `base.workers` may    under the lock: set by
 *                   be active, since workers doze; at most   fl__pool_relieve(), lowered by the
 *                   `dozing`                                 next recount after a worker has waked
 *   next_stand_in   the time before which no worker begins   under the lock: fl__pool_relieve()
 *                   to doze
 *   full            the pool is starved, and no more         under the lock: set by
 *                   workers may stand in                     fl__pool_relieve(), cleared by each
 *                                                            recount
 *   reported        the log has said that the starved pool   under the lock: set by
 *                   gets no more workers                     fl__pool_report_starved(), never
 *                                                            cleared
 *   agent           NO_AGENT: there is no agent              pool_call_agent(), if the agent cannot
 *                                                            be started
 *                   AGENT_RUNS: the agent runs               pool_call_agent(); pool_run_agent(),
 *                                                            from AGAIN
 *                   AGENT_AGAIN: the agent runs, and must    pool_call_agent()
 *                   check the pool once more
 *                   AGENT_ENDED: the agent has ended, and    pool_run_agent(), from RUNS
 *                   must be joined
 *
 * A pool is *starved* if tasks are pending and all active workers doze. fl__pool_relieve() checks
 * for it, and lets one more worker be active. Each fl__pool_wake_locked() calls it, and so does a
 * worker that steps back. Rule 3 says which of these calls are needed.
 *
 * Rules
 *   1. `dozing` and `active`. A worker that begins to doze adds to `dozing`, and then loads
 *      `active`. A thread that lowers `active` stores it, and then loads `dozing` in
 *      pool_is_starved(). All four accesses are seq_cst, so one of the two threads sees that all
 *      active workers doze.
 *   2. `dozing` and the mark. A worker that begins to doze adds to `dozing`, and then marks the
 *      empty backlog. A submit that claims its slot later finds the mark, and loads `dozing` under
 *      the lock. A submit that claims its slot earlier makes the mark fail.
 *   3. When fl__pool_doze() has counted the worker as dozing and returns FL__NEVER, another thread
 *      will check the pool. Which thread that is depends on the state of the pool:
 *        - If some worker is active and does not doze, that worker checks the pool when it begins
 *          to doze, begins a blocking section, steps back or ends.
 *        - If no more workers may stand in, the thread that clears `full` checks the pool.
 *        - If the backlog was marked, the submit that finds the mark checks the pool.
 *        - In all other states the agent checks the pool.
 *   4. `full` says that the limit of stand-ins is reached. Each recount clears it, and the next
 *      check decides anew. So `full` is cleared at the latest when a blocking section ends or, if
 *      there are stand-ins, when a worker that has waked takes its next task. `full` is stored
 *      under the lock. A load without the lock is relaxed.
 *   5. `stand_ins` and `dozing`. A thread that lets a worker stand in stores `stand_ins`, and then
 *      loads `dozing`, in fl__pool_recount(). A worker that wakes lowers `dozing`, and then loads
 *      `stand_ins`. All four accesses are seq_cst, so one of the two sees the other's store. A
 *      recount that has seen the lower `dozing` first sets CROWDED, if more workers are active than
 *      may be, and then lowers `stand_ins`.
 *
 * Why there are stand-ins. Tasks that wait for each other through queues or locks would stop a pool
 * that has fewer workers than such tasks. So a worker that has slept for 5 ms in a wait of a task
 * counts as dozing. When all active workers doze and tasks are pending, one more may be active, and
 * the next follows after 50 ms, as .NET's pool injects threads. A submit, and a task that does not
 * sleep, pay nothing. A worker that dozes may hold a lock of the executor or of the user's
 * allocator, so it takes no lock of the library, and cannot start a worker itself. A short-lived
 * thread, the agent, checks the pool and starts the worker (docs/decisions/starved-pools.md).
 */
#include "../base/atomic.h"
#include "../base/awaited.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "../sync/local.h"
#include "../sync/thread.h"
#include "thread_pool.h"
#include <stdio.h>

enum { POOL_STAND_INS_MOST = 64 };

/*
 * Returns whether the pool is starved, and either no further worker may be active or the start of
 * one has failed. Returns false if the executor is broken. Marks the backlog if no task is pending.
 */
static bool pool_is_starved(struct fl__thread_pool *p)
{
	/* seq_cst: rule 1 */
	if (fl__load_seq_cst(&p->dozing) < p->active || p->base.broken ||
	    (p->more && p->started != FL__POOL_START_FAILED))
		return false;
	return !fl__backlog_mark(&p->backlog);
}

void fl__pool_relieve(struct fl__thread_pool *p)
{
	if (p->more || !pool_is_starved(p))
		return;
	const unsigned awake = p->alive - p->idle, stand_ins = awake + 1 - p->base.workers - p->blocked;
	fl__store_relaxed(&p->full, stand_ins > POOL_STAND_INS_MOST || awake == FL_WORKERS_MAX);
	if (p->full)
		return;
	fl__store_seq_cst(&p->stand_ins, stand_ins);                                   /* seq_cst: rule 5 */
	fl__store_relaxed(&p->next_stand_in, fl__sys.now() + FL__POOL_STAND_IN_PAUSE); /* relaxed: a single number */
	const unsigned limit = fl__pool_worker_limit(p);
	if (p->alive < limit + p->surplus)
		p->surplus = p->alive > limit ? p->alive - limit : 0;
	fl__pool_recount(p);
}

/*
 * Writes " (2 for queue (to get), 1 for mutex)", or "". It may read without the lock, which
 * ThreadSanitizer must not see.
 */
__attribute__((cold, no_sanitize("thread"))) void fl__pool_describe_waits(const fl_executor *e, char *text, size_t size)
{
	unsigned counts[FL__DEBUG_KINDS] = {0};
	size_t at = 0;
	FL__EACH (const struct fl__thread_worker, w, fl__pool_of((fl_executor *)(uintptr_t)e)->workers) {
		const uint32_t dozing = fl__load_relaxed(&w->dozing); /* relaxed: a single number */
		if (dozing > 0)
			counts[dozing - 1]++;
	}
	text[0] = '\0';
	for (unsigned kind = 0; kind < FL__DEBUG_KINDS && at < size; kind++) {
		char what[40];
		if (counts[kind] == 0)
			continue;
		fl__awaited_write(what, sizeof what, (uint8_t)kind, NULL);
		at += (size_t)snprintf(text + at, size - at, "%s%u for %s", at > 0 ? ", " : " (", counts[kind], what);
	}
	if (at > 0)
		(void)snprintf(text + FL__MIN(at, size - 2), 2, ")");
}

FL__COLD bool fl__pool_report_starved(struct fl__thread_pool *p)
{
	bool reports, full;
	char waits[160];
	size_t pending;
	{
		FL__POOL_LOCKED(p);
		if (!pool_is_starved(p))
			return false;
		full = p->full;
		/*
		 * If `more` is set, a start has failed. If neither `full` nor `more` is set, the
		 * pool has become starved, or `full` was cleared, since the last
		 * fl__pool_relieve(). Then the caller's next check decides.
		 */
		reports = (full || p->more) && !p->reported;
		p->reported = p->reported || reports;
		pending = fl__backlog_length(&p->backlog);
		fl__pool_describe_waits(&p->base, waits, sizeof waits);
	}
	if (reports)
		fl__log(FL_LOG_WARNING, "executor %s: all workers wait%s, %zu tasks are pending, and %s", p->base.name,
		        waits, pending, full ? "no more workers stand in" : "no thread can be started");
	return !full;
}

/* The agent lets a worker stand in, since a worker that dozes takes no lock (fl__pool_doze()). */
static void *pool_run_agent(void *pool)
{
	struct fl__thread_pool *p = pool;
	struct fl__thread_data self = {0}; /* nobody else frees it: the agent uses it up to its return */
	fl__ctx_init_thread(&self.ctx, "agent");
	fl__ctx_current = &self.ctx;
	for (;;) {
		{
			FL__POOL_LOCKED(p);
			fl__pool_wake_locked(p);
		}
		if (fl__pool_report_starved(p)) {
			FL_IGNORE(fl_sleep_until(fl_after(FL__POOL_STAND_IN_PAUSE), FL_SHIELDED));
			continue;
		}
		uint32_t runs = FL__POOL_AGENT_RUNS;
		/* acq_rel: pairs with the CAS in pool_call_agent(); the last access to the pool */
		if (fl__cas_acq_rel(&p->agent, &runs, FL__POOL_AGENT_ENDED))
			break;
		fl__swap_acquire(&p->agent, FL__POOL_AGENT_RUNS); /* acquire: of the call, pairs as the CAS */
	}
	fl__locals_end(&self.ctx);
	fl__ctx_current = NULL; /* for a later destructor of this thread that calls the library */
	return NULL;
}

/* Called by a worker that dozes. Returns false if the agent cannot be started. */
static bool pool_call_agent(struct fl__thread_pool *p)
{
	uint32_t agent = fl__load_relaxed(&p->agent); /* relaxed: a stale value makes the CAS below fail */
	for (;;) {
		const bool runs = agent == FL__POOL_AGENT_RUNS || agent == FL__POOL_AGENT_AGAIN;
		/*
		 * acq_rel: pairs with the CAS in pool_run_agent(). It publishes the count in
		 * `dozing` to the agent.
		 */
		if (fl__cas_acq_rel(&p->agent, &agent, runs ? FL__POOL_AGENT_AGAIN : FL__POOL_AGENT_RUNS)) {
			if (runs)
				return true;
			break;
		}
	}
	if (agent == FL__POOL_AGENT_ENDED)
		(void)fl__sys.thread_join(p->agent_thread);
	const int rc = fl__thread_create_blocked(&p->agent_thread, NULL, pool_run_agent, p);
	if (rc != 0)
		fl__store_release(&p->agent, FL__POOL_NO_AGENT); /* release: pairs with the next CAS here */
	return rc == 0;
}

/*
 * With `begins`, counts the worker as dozing, and calls the agent if that makes the pool starved.
 * Returns the time at which the park calls it again, or FL__NEVER. Without `begins`, the worker no
 * longer dozes. The function takes no lock of the library; it may start the agent's thread, and
 * join the previous agent (context.h).
 */
int64_t fl__pool_doze(const struct fl__wait *wait, bool begins)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)wait->ctx->worker;
	struct fl__thread_pool *p = w->pool;
	if (!begins) {
		if (!w->dozing)
			return FL__NEVER;
		fl__store_relaxed(&w->dozing, 0); /* relaxed: only the report reads it */
		/* seq_cst, both: rule 5 */
		fl__sub_seq_cst(&p->dozing, 1);
		if (fl__load_seq_cst(&p->stand_ins) > 0)
			/* release: `dozing`; pairs with the acquire in fl__pool_recount() */
			fl__or_release(&p->flags, FL__POOL_AWAKE);
		return FL__NEVER;
	}
	/* the pool's lock is held for a short time, and by no task */
	if (w->blocking > 0 || wait->object == &p->base.lock || fl__executor_is_forked(&p->base))
		return FL__NEVER;
	const int64_t now = fl__sys.now();
	const int64_t next = fl__load_relaxed(&p->next_stand_in); /* relaxed: a single number */
	const bool counted = w->dozing;
	if (!counted && now < next)
		return next;
	/*
	 * Stored before the count, so that a report names the waits of all workers that are
	 * counted.
	 */
	fl__store_relaxed(&w->dozing, 1u + wait->kind);
	if (!counted)
		fl__add_seq_cst(&p->dozing, 1); /* seq_cst: rules 1 and 2 */
	/* seq_cst: rule 1. relaxed: rule 4. */
	if (fl__load_seq_cst(&p->dozing) < fl__load_seq_cst(&p->active) || fl__load_relaxed(&p->full))
		return FL__NEVER;
	if (fl__backlog_mark(&p->backlog))
		return FL__NEVER;
	return pool_call_agent(p) ? FL__NEVER : now + FL__POOL_STAND_IN_PAUSE;
}
