/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded queue of futures gives results in the order of the submits, whoever submits and
 * whatever ends first. docs/guide/in-order.md has such a program; this is for every executor.
 */
#include "conformance.h"

typedef fl_future *pending;

FL_QUEUE_OF(pending, pending_queue)

static void drop_pending(void *item, void *arg)
{
	fl_future *f = *(pending *)item;
	(void)arg;
	FL_IGNORE(fl_future_cancel(f));
	fl_future_free(f);
}

static pending_queue *new_pending_queue(size_t capacity)
{
	pending_queue *q = NULL;
	FL_OK(pending_queue_create(&q, &(fl_queue_config){.capacity = capacity, .drop = drop_pending}));
	return q;
}

struct step {
	int number, error;
	fl_shm_event *may_end; /* NULL: it ends at once */
	struct tally *tally;   /* may be NULL */
};

static void drop_step(void *arg)
{
	const struct step *s = arg;
	if (s->tally)
		count(&s->tally->drops);
}

FL_TASK_STATIC(take_step, struct step, int, .drop_arg = drop_step)
{
	*result = arg->number;
	const int rc = arg->may_end ? await_in_slices(arg->may_end) : 0;
	return rc != 0 || arg->error == 0 ? rc : fl_task_fail(ctx, arg->error, "step %d", arg->number);
}

/* As the producer of the guide: submits, and puts the future. */
static int push(pending_queue *q, fl_executor *e, struct step step, fl_time deadline, fl_cancel_token *cancel)
{
	fl_future *f = NULL;
	int rc = take_step_submit(e, step, &f);
	if (rc == 0 && (rc = pending_queue_put_until(q, f, deadline, cancel)) != 0)
		drop_pending(&f, NULL);
	return rc;
}

/*
 * As the consumer of the guide. `*head` is the oldest future, or NULL if it is in the queue. After a
 * failure the caller reads its error, and frees it.
 */
static int next(pending_queue *q, pending *head, int *number, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = *head ? 0 : pending_queue_get_until(q, head, deadline, cancel);
	if (rc == 0)
		rc = take_step_get_until(*head, number, deadline, cancel);
	if (rc == 0) {
		fl_future_free(*head);
		*head = NULL;
	}
	return rc;
}

/* The first task ends last, where several run at once. */
CONFORMANCE_ON(pushed_results_come_in_order, 4)
{
	enum { STEPS = 8 };
	const bool waits = at_once(kind, 4) > 1;
	fl_shm_event *gate = FL_IN_ARENA(fl_shm_event, 1);
	fl_shm_event_init(gate);
	FL_SCOPED(pending_queue) *q = new_pending_queue(STEPS);
	FL_SCOPED(fl_future) *head = NULL;
	int number = -1;
	FL_RC(next(q, &head, &number, FL_NO_WAIT, NULL), -ETIMEDOUT); /* nothing was pushed */
	for (int i = 0; i < STEPS; i++)
		FL_OK(
		    push(q, e, (struct step){.number = i, .may_end = waits && i == 0 ? gate : NULL}, FL_NO_WAIT, NULL));
	if (waits) {
		FL_RC(next(q, &head, &number, FL_NO_WAIT, NULL), -ETIMEDOUT); /* later ones may have ended */
		assert_int_equal(number, -1);
	}
	set_event(gate);
	pending_queue_close(q);
	for (int i = 0; i < STEPS; i++) {
		FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
		assert_int_equal(number, i);
	}
	FL_RC(next(q, &head, &number, FL_FOREVER, NULL), -EPIPE); /* closed, and that was all */
	FL_RC(push(q, e, (struct step){.number = 9}, FL_FOREVER, NULL), -EPIPE);
}

CONFORMANCE_ON(pushed_errors_come_in_their_place, 2)
{
	FL_SCOPED(pending_queue) *q = new_pending_queue(3);
	FL_SCOPED(fl_future) *head = NULL;
	int number = -1;
	for (int i = 0; i < 3; i++)
		FL_OK(push(q, e, (struct step){.number = i, .error = i == 1 ? -EIO : 0}, FL_FOREVER, NULL));
	FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
	FL_RC(next(q, &head, &number, FL_FOREVER, NULL), FL_ETASK);
	fl_test_future_ended(head, -EIO, "step 1");
	fl_future_free(head);
	head = NULL;
	FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
	assert_int_equal(number, 2);
}

/* A full queue keeps the producer back; a deadline and a token end both waits. */
CONFORMANCE_ON(pushes_are_bounded, 2)
{
	FL_SCOPED(pending_queue) *q = new_pending_queue(2);
	FL_SCOPED(fl_future) *head = NULL;
	fl_cancel_token token;
	int number = -1;
	fl_cancel_token_init(&token, FL_SHIELDED, FL_FOREVER);
	fl_cancel_token_request(&token);
	FL_RC(next(q, &head, &number, FL_FOREVER, &token), -ECANCELED);
	for (int i = 0; i < 2; i++)
		FL_OK(push(q, e, (struct step){.number = i}, FL_FOREVER, NULL));
	FL_RC(push(q, e, (struct step){.number = 7}, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(push(q, e, (struct step){.number = 8}, FL_FOREVER, &token), -ECANCELED);
	FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
	assert_int_equal(number, 0);
	FL_OK(push(q, e, (struct step){.number = 2}, FL_FOREVER, NULL));
	for (int i = 1; i < 3; i++) {
		FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
		assert_int_equal(number, i);
	}
	fl_cancel_token_destroy(&token);
}

/* A consumer that goes away: each argument is dropped once, and no future is left. */
CONFORMANCE(pushed_tasks_end_with_their_queue)
{
	enum { STEPS = 6 };
	struct tally *tally = new_tally();
	fl_executor *e = make(kind, 2);
	pending_queue *q = new_pending_queue(STEPS);
	fl_future *head = NULL;
	int number;
	for (int i = 0; i < STEPS; i++)
		FL_OK(push(q, e, (struct step){.number = i, .tally = tally}, FL_FOREVER, NULL));
	FL_OK(next(q, &head, &number, FL_FOREVER, NULL));
	pending_queue_free(q);
	fl_executor_free(e);
	assert_int_equal(counted(&tally->drops), STEPS);
}
