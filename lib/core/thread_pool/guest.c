/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests: threads that run no task, but are workers during their own parallel loop (thread_pool.h).
 * A program without parallel loops does not link this file.
 */
#include "thread_pool.h"

/*
 * A pool without threads refuses a guest, because no thread would run the tasks that the guest
 * submits.
 */
struct fl__run *fl__pool_enter(fl_executor *e)
{
	struct fl__thread_pool *p = fl__pool_of(e);
	struct fl__thread_worker *w = NULL;
	{
		FL__POOL_LOCKED(p);
		/* relaxed: MORE changes under the lock */
		const bool more = fl__load_relaxed(&p->state) & FL__POOL_MORE;
		if (more && p->active < e->workers && p->alive > 0 && !e->closed)
			w = p->vacant ? p->vacant : fl__pool_make_worker(p);
		if (w) {
			p->vacant = w->next_vacant;
			p->guests++;
			fl__pool_count(p, 1, 0);
			fl__pool_take_place(w);
		}
	}
	if (!w)
		return NULL;
	w->run = (struct fl__run){.executor = e};
	fl__pool_become(w);
	w->forks = fl__forks_are_linked() ? fl__forks_enter(&p->forks, w->forks) : NULL;
	return &w->run;
}

void fl__pool_leave(struct fl__run *run)
{
	struct fl__thread_worker *w = (struct fl__thread_worker *)(void *)run;
	struct fl__thread_pool *p = w->pool;
	if (w->forks)
		fl__forks_leave(w->forks);
	fl__pool_become(NULL);
	FL__POOL_LOCKED(p);
	fl__pool_rise(w);
	fl__pool_give_place(w);
	w->next_vacant = p->vacant;
	p->vacant = w;
	p->guests--;
	fl__pool_count(p, -1, 0);
	if (p->base.closed && p->active == 0)
		fl__pool_wake(p, 1); /* the woken worker ends the others, as after a close */
	fl__pool_settle(p);
}
