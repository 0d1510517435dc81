/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A check in mode lin of two queues and selects over both. Some order of the calls explains their
 * results. A select checks one queue after the other, so its refusals are explained only while no
 * other call is under way.
 */
#include "queues.h"
#include <fairlead/select.h>
#include <fairlead/stress_lin.h>

enum { MOST = 2, GET_EITHER = 20, PUT_EITHER, PASS_ON };

struct pair {
	int64_t items[2][MOST], n[2], closed[2];
};

static bool pair_put(struct pair *p, int i, int64_t item)
{
	if (p->closed[i] || p->n[i] == MOST)
		return false;
	p->items[i][p->n[i]++] = item;
	return true;
}

static bool pair_get(struct pair *p, int i, int64_t item)
{
	if (p->n[i] == 0 || p->items[i][0] != item)
		return false;
	p->items[i][0] = p->items[i][1];
	p->items[i][--p->n[i]] = 0;
	return true;
}

static int get_would(const struct pair *p, int i)
{
	return p->n[i] > 0 ? 0 : p->closed[i] ? -EPIPE : -EAGAIN;
}

static int put_would(const struct pair *p, int i)
{
	return p->closed[i] ? -EPIPE : p->n[i] < MOST ? 0 : -EAGAIN;
}

/* Returns whether a select that makes no case may have this result. */
static bool is_refused(int64_t result, int of_one, int of_other, bool alone)
{
	if (result == -EPIPE)
		return of_one == -EPIPE || of_other == -EPIPE;
	return result == -ETIMEDOUT && (!alone || (of_one == -EAGAIN && of_other == -EAGAIN));
}

static bool pair_apply(void *state, const struct fl_lin_call *c)
{
	struct pair *p = state;
	const int i = (int)FL_LIN_KEY(c->arg) & 1;
	const int64_t item = c->arg & 255;
	const bool alone = c->overlaps == 0;
	if (!c->returned)
		return false; /* each call returns, since none waits without a deadline */
	switch (c->kind) {
	case FL_LIN_CLOSE:
		p->closed[i] = 1;
		return true;
	case FL_LIN_PUT:
		return c->result == 0 ? pair_put(p, i, item) : c->result == put_would(p, i);
	case FL_LIN_GET:
		return c->result >= 0 ? pair_get(p, i, c->result) : c->result == get_would(p, i);
	case PUT_EITHER:
		return c->result >= 0 ? pair_put(p, (int)c->result, item)
		                      : is_refused(c->result, put_would(p, 0), put_would(p, 1), alone);
	case GET_EITHER: /* the result is which << 8 | item */
		return c->result >= 0 ? pair_get(p, (int)(c->result >> 8), c->result & 255)
		                      : is_refused(c->result, get_would(p, 0), get_would(p, 1), alone);
	case PASS_ON: /* it gets from one queue, or puts to the other */
		if (c->result < 0)
			return is_refused(c->result, get_would(p, i), put_would(p, 1 - i), alone);
		return c->result > 0 ? pair_get(p, i, c->result) : pair_put(p, 1 - i, item);
	default:
		return false;
	}
}

static const struct fl_lin_spec two_queues = {.name = "pair", .size = sizeof(struct pair), .apply = pair_apply};

struct lin_select {
	fl_queue *q[2];
};

FL_STRESS_SETUP(lin_select)
{
	for (int i = 0; i < 2; i++)
		s->q[i] = queue_of(MOST);
}

FL_LIN_OP(lin_select, put, FL_LIN_PUT, .keys = 2, .weight = 2)
{
	return fl_queue_try_put(s->q[FL_LIN_KEY(arg)], &(int){(int)FL_LIN_ID(arg)});
}

FL_LIN_OP(lin_select, get, FL_LIN_GET, .keys = 2)
{
	int item, rc = fl_queue_try_get(s->q[FL_LIN_KEY(arg)], &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_select, close, FL_LIN_CLOSE, .keys = 2, .most = 1)
{
	fl_queue_close(s->q[FL_LIN_KEY(arg)]);
	return 0;
}

FL_LIN_OP(lin_select, get_either, GET_EITHER, .weight = 3)
{
	int item;
	const int which = FL_SELECT_UNTIL(soon(), NULL, FL_GET(s->q[0], &item), FL_GET(s->q[1], &item));
	return which < 0 ? which : which << 8 | item;
}

FL_LIN_OP(lin_select, put_either, PUT_EITHER, .weight = 2)
{
	const int item = (int)FL_LIN_ID(arg);
	return FL_SELECT_UNTIL(soon(), NULL, FL_PUT(s->q[0], &item), FL_PUT(s->q[1], &item));
}

FL_LIN_OP(lin_select, pass_on, PASS_ON, .keys = 2)
{
	const int item = (int)FL_LIN_ID(arg);
	int got = 0;
	const int from = (int)FL_LIN_KEY(arg);
	const int which = FL_SELECT_UNTIL(FL_NO_WAIT, NULL, FL_GET(s->q[from], &got), FL_PUT(s->q[1 - from], &item));
	return which < 0 ? which : got;
}

FL_LIN(lin_select, &two_queues)
{
	for (int i = 0; i < 2; i++)
		fl_queue_free(s->q[i]);
}
