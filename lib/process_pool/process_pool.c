/* SPDX-License-Identifier: BSD-2-Clause */
/* The executor's operations: see crew.h. */
#include "process_pool.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../process/os.h"
#include "../process/request.h"
#include "../shm/shm_os.h"
#include "crew_sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Submits per look at the replies. A look costs a cache miss for each worker. */
enum { HARVEST_EACH = 8 };

#define DEADLINE_GRACE FL_MS(100) /* unless the config says otherwise */

void fl__crew_kick(struct fl__crew *c)
{
	if (!c->sleeping || c->kicked)
		return;
	c->kicked = true;
	fl__crew_sys.ring(c->bell);
}

void fl__crew_wake_at(struct fl__crew *c, int64_t when)
{
	if (when < c->wakes_at)
		fl__crew_kick(c);
}

/* Submitting. */

static int on_submit(fl_executor *e, struct fl__cell *cell)
{
	struct fl__crew *c = fl__crew_of(e);
	struct fl__type_known *known;
	FL_LOCKED(&e->lock);
	int rc = fl__executor_refuses(e);
	if (rc == 0)
		rc = fl__crew_know(c, cell->future.type, &known);
	if (rc == 0 && !c->running)
		rc = fl__crew_start_keeper(c);
	if (rc == 0)
		rc = fl__stopper_make(cell);
	if (rc != 0)
		return rc;
	cell->task = known->id;
	cell->check = known->check;
	fl__queue_add(&e->queue, cell);
	if (c->posted > 0 && ++c->submits % HARVEST_EACH == 0)
		(void)fl__crew_harvest(c);
	fl__crew_feed(c);
	return 0;
}

/* Taking back. */

static bool on_withdraw(fl_executor *e, struct fl__cell *cell)
{
	return cell->member && fl__crew_withdraw(fl__crew_of(e), cell);
}

static bool on_has_started(fl_executor *e, const struct fl__cell *cell)
{
	(void)e;
	return cell->member && fl__lane_fate(&cell->member->lane, cell->seq) == FL__LANE_STARTED;
}

static void on_asked(fl_executor *e, struct fl__cell *cell)
{
	fl__crew_ask(fl__crew_of(e), cell);
}

static void on_recall(fl_executor *e, bool ask)
{
	struct fl__crew *c = fl__crew_of(e);
	for (unsigned i = 0; i < c->n_members; i++) {
		struct fl__member *m = c->members[i];
		fl__crew_withdraw_all(m);
		for (unsigned slot = 0; ask && slot < FL__LANE_DEPTH; slot++) {
			if (!m->cells[slot])
				continue;
			fl__future_ask(&m->cells[slot]->future);
			fl__crew_ask(c, m->cells[slot]);
		}
	}
}

static void on_release(struct fl__cell *cell)
{
	fl__stopper_free(cell);
	if (cell->mapped > 0)
		fl__shm_os.unmap(cell->future.result, cell->mapped);
}

/* The end. */

static void on_wake_all(fl_executor *e)
{
	fl__crew_kick(fl__crew_of(e));
}

static void on_terminate(fl_executor *e)
{
	struct fl__crew *c = fl__crew_of(e);
	c->terminated = true;
	fl__crew_kick(c);
}

/* Joins the manager thread, which has left its function or is about to. */
static int join_keeper(struct fl__crew *c, int64_t deadline, fl_cancel_token *cancel)
{
	c->joining = true;
	fl_mutex_unlock(&c->base.lock);
	int rc = fl_thread_join_until(&c->keeper, NULL, deadline, cancel);
	fl_mutex_lock(&c->base.lock);
	c->joining = false;
	c->joined = rc == 0;
	fl_cond_broadcast(&c->base.gone);
	return rc;
}

static int fl__crew_join(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__crew *c = fl__crew_of(e);
	int rc = 0;
	while (c->running && !c->joined) {
		bool ready = c->over && fl__executor_is_idle(e) && !c->joining;
		if (rc != 0 && !ready)
			return rc;
		if (!ready)
			rc = fl_cond_wait_until(&e->gone, &e->lock, deadline, cancel);
		else if ((rc = join_keeper(c, deadline, cancel)) != 0)
			return rc;
	}
	return 0;
}

static void on_destroy(fl_executor *e)
{
	struct fl__crew *c = fl__crew_of(e);
	int rc = fl_thread_detach(&c->keeper);
	/* -EINVAL: joined or never started. In a forked child: frees the thread's memory. */
	(void)rc;
	/* These exist only in a forked child, and are the parent's. */
	for (unsigned i = 0; i < c->n_members; i++)
		fl__member_free(c->members[i]);
	if (!fl__process_swept()) {
		fl__close(c->epoll);
		fl__close(c->bell);
	}
	fl__message_free(c->init_message);
	fl__free(c->members);
	fl__executor_fini(e); /* `c` lasts as long as its cells */
}

static int on_resize(fl_executor *e, unsigned workers)
{
	struct fl__crew *c = fl__crew_of(e);
	fl__store_relaxed(&e->workers, workers); /* relaxed: a number by itself, read unlocked */
	for (unsigned i = 0, kept = 0; i < c->n_members; i++) {
		struct fl__member *m = c->members[i];
		if (m->retired || ++kept <= workers)
			continue;
		m->retired = true;
		fl__crew_withdraw_all(m);
		if (fl__lane_used(&m->lane) == 0)
			fl__crew_dismiss(m);
	}
	fl__crew_feed(c);
	fl__crew_kick(c);
	return 0;
}

static const struct fl__executor_ops ops = {
    .size = sizeof ops,
    .kind = "processes",
    .capabilities = FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .result_most = FL__LANE_INLINE_MOST,
    .submit = on_submit,
    .wake_all = on_wake_all,
    .join = fl__crew_join,
    .destroy = on_destroy,
    .recall = on_recall,
    .release = on_release,
    .withdraw = on_withdraw,
    .has_started = on_has_started,
    .asked = on_asked,
    .attend = fl__crew_attend,
    .terminate = on_terminate,
    .resize = on_resize,
};

/* Making one. */

static bool is_sound(const fl_executor_config *config)
{
	return config->workers <= FL_WORKERS_MAX && config->max_tasks >= 0 && config->idle_timeout >= 0 &&
	       config->task_timeout >= 0 && config->kill_after >= 0;
}

/* Whether workers can be started at all. */
static int check_way(void)
{
	if (fl__crew_sys.may_start())
		return 0;
	fl__log(FL_LOG_ERROR,
	        "a process executor needs fl_main() as the first line of main(), or FL_PROCESS_HOOK at file "
	        "scope, or else fl_process_preload() before any thread");
	return -ENOTSUP;
}

/* Takes ownership of `c`, also on failure. */
static int set_up(struct fl__crew *c, const fl_executor_config *config)
{
	unsigned workers = fl__executor_workers_of(config);
	int rc = fl__executor_init(&c->base, &ops, workers, config, true);
	if (rc != 0) {
		fl__free(c);
		return rc;
	}
	c->config = *config;
	c->deadline_grace = config->kill_after > 0 ? config->kill_after : DEADLINE_GRACE;
	c->request_grace = config->kill_after > 0 ? config->kill_after : FL_FOREVER;
	c->epoll = c->bell = -1;
	c->ended_end = &c->ended;
	c->kept_end = &c->kept;
	c->wakes_at = FL_FOREVER;
	(void)snprintf(c->name, sizeof c->name, "%s", config->name ? config->name : "worker");
	struct fl__type_known *known;
	rc = config->initialize ? fl__crew_know(c, config->initialize, &known) : 0;
	if (rc != 0)
		fl__executor_fini(&c->base); /* frees `c` */
	else if (config->initialize)
		c->initializer = *known;
	return rc;
}

int fl_process_executor_create(fl_executor **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	if (!config)
		config = &defaults;
	if (!is_sound(config))
		return -EINVAL;
	int rc = check_way();
	if (rc != 0)
		return rc;
	struct fl__crew *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	rc = set_up(c, config);
	if (rc == 0)
		*made = &c->base;
	return rc;
}

size_t fl_process_executor_pids(fl_executor *e, int *pids, size_t room)
{
	fl__executor_check(e, "fl_process_executor_pids");
	struct fl__crew *c = fl__crew_of(e);
	if (e->ops != &ops || fl__executor_is_forked(e))
		return 0;
	FL_LOCKED(&e->lock);
	for (unsigned i = 0; i < c->n_members && i < room; i++)
		pids[i] = fl__crew_sys.pid(c->members[i]->process);
	return c->n_members;
}
