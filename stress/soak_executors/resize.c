/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A turn with a thread executor that is resized while tasks run and wait. Afterwards no more tasks
 * run at once than the new limit allows.
 */
#include "activities.h"

enum { TASKS = 64, MOST = 6 };

struct crowd {
	unsigned inside, at_once, ran; /* atomic */
};

FL_TASK_STATIC(be_one_of, struct crowd *, void)
{
	struct crowd *c = *arg;
	/* relaxed, all: these are counts */
	const unsigned now = fl__add_relaxed(&c->inside, 1) + 1;
	unsigned before = fl__load_relaxed(&c->at_once);
	while (before < now && !fl__cas_weak_relaxed(&c->at_once, &before, now))
		;
	fl_fiber_yield();
	fl__sub_relaxed(&c->inside, 1);
	fl__add_relaxed(&c->ran, 1);
	return 0;
}

static void submit_some(fl_executor *e, struct crowd *c, fl_future **futures)
{
	for (int i = 0; i < TASKS; i++)
		check("a submit", be_one_of_submit(e, c, &futures[i]));
}

static void await_all(fl_future **futures)
{
	for (int i = 0; i < TASKS; i++) {
		check("a task", fl_future_get(futures[i], NULL, 0));
		fl_future_free(futures[i]);
	}
}

void resize_turn(uint64_t *state)
{
	FL_SCOPED(fl_executor) *e = NULL;
	fl_future *futures[TASKS];
	check("a thread executor", fl_thread_executor_create(&e, &(fl_executor_config){.workers = MOST}));
	for (int i = 0; i < 8; i++) {
		const unsigned workers = 1 + (unsigned)(draw(state) % MOST);
		struct crowd before = {0, 0, 0}, after = {0, 0, 0};
		submit_some(e, &before, futures);
		check("a resize", fl_executor_resize(e, workers));
		await_all(futures);
		submit_some(e, &after, futures);
		await_all(futures);
		if (before.ran != TASKS || after.ran != TASKS)
			fail("of %d tasks %u ran, and %u", TASKS, before.ran, after.ran);
		if (after.at_once > workers)
			fail("%u tasks ran at once with %u workers", after.at_once, workers);
	}
}
