/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of stoppers. A request of a token for a posted task notifies the manager thread. A
 * stopper that is removed during its notification is not used afterwards. The doorbell of the
 * manager thread is a real one, without a sleeper.
 */
#include "process/pool/process_pool.h"
#include "shared_rings.h"
#include <sys/eventfd.h>
#include <unistd.h>

struct posted {
	struct fl__process_pool pool;
	struct fl__process_pool_worker worker;
	struct fl__task_block block;
	/*
	 * The owner of the block's pool. It stands for the pool, whose first member contains the
	 * owner.
	 */
	struct fl__task_block_owner owner;
	fl_cancel_token parent;
	struct shared_rings rings;
};

static void begin(struct posted *p)
{
	static const struct fl__future_ops ops;
	static const fl_task_type type = {.size = sizeof type, .name = "posted"};
	p->pool.doorbell = eventfd(0, EFD_NONBLOCK);
	p->pool.sleeping = true;
	p->pool.remote.transport = &fl__process_pool_transport;
	p->owner.executor = &p->pool.base;
	p->worker.pool = &p->pool;
	begin_rings(&p->rings, ROUND);
	p->worker.rings = p->rings.rings;
	p->block.seq = ROUND;
	p->block.worker = &p->worker;
	p->block.pool = (struct fl__task_blocks *)(void *)&p->owner;
	fl__future_init(&p->block.future, &ops, &type, 1, &p->parent, FL_FOREVER);
	OK(fl__stopper_make(&p->block));
}

/* Returns whether the manager thread was notified. */
static bool finish(struct posted *p)
{
	uint64_t ring_count;
	bool told = read(p->pool.doorbell, &ring_count, sizeof ring_count) > 0;
	(void)close(p->pool.doorbell);
	fl__stopper_disarm(&p->block);
	fl__stopper_free(&p->block);
	fl_cancel_token_destroy(&p->block.future.token);
	fl_cancel_token_destroy(&p->parent);
	return told;
}

/*
 * The task is posted while its token is requested. The manager thread is notified early enough to
 * see the request.
 */
struct stopper_tells {
	struct posted p;
};

FL_STRESS_SETUP(stopper_tells)
{
	begin(&s->p);
}

FL_STRESS_ACTOR(stopper_tells, poster)
{
	fl__stopper_arm(&s->p.block);
}

FL_STRESS_ACTOR(stopper_tells, user)
{
	fl_cancel_token_request(&s->p.parent);
}

FL_STRESS(stopper_tells, poster, user)
{
	bool asked = s->p.worker.rings.submissions->stop[0] == ROUND;
	FL_FORBIDDEN(!finish(&s->p), "none was told");
	FL_FORBIDDEN(!asked, "the worker was not asked");
	FL_ACCEPTABLE(1, "told");
}

/*
 * The task ends, or is posted elsewhere, while its token is requested. No removed stopper is
 * touched.
 */
struct stopper_put_away {
	struct posted p;
};

FL_STRESS_SETUP(stopper_put_away)
{
	begin(&s->p);
	fl__stopper_arm(&s->p.block);
}

FL_STRESS_ACTOR(stopper_put_away, fetcher)
{
	fl__stopper_disarm(&s->p.block);
	if (fl_stress_choose(2)) {
		fl__stopper_arm(&s->p.block);
		fl__stopper_disarm(&s->p.block);
	}
	fl__stopper_free(&s->p.block);
}

FL_STRESS_ACTOR(stopper_put_away, user)
{
	fl_cancel_token_request(&s->p.parent);
}

FL_STRESS(stopper_put_away, fetcher, user)
{
	FL_ACCEPTABLE(finish(&s->p), "told");
	FL_ACCEPTABLE(1, "not told");
}
