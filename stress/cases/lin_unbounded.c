/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unbounded queues, against a sequential one: an order of the calls explains what they return. Not here: put_many, between
 * whose items others may come, and length, which is about now; the scenarios of mpmc_unbounded.c and mpsc.c have them.
 */
#include "cases.h"
#include <fairlead/mpmc_unbounded.h>
#include <fairlead/mpsc.h>
#include <fairlead/stress_lin.h>

/* First in, first out, where a get of several may take fewer than there are, but one: those of one segment. */
static struct fl_lin_spec some_at_least;

static bool some_apply(void *state, const struct fl_lin_call *call)
{
	struct fl_lin_call c = *call;
	const int64_t n = c.result & 15;
	if (c.kind == FL_LIN_GET_MANY && c.returned && n > 0 && n - 1 < FL_LIN_KEY(c.arg))
		c.arg = FL_LIN_ID(c.arg) | (n - 1) << 8;
	return fl_lin_fifo.apply(state, &c);
}

__attribute__((constructor)) static void some_begin(void)
{
	some_at_least = fl_lin_fifo;
	some_at_least.apply = some_apply;
}

struct lin_unbounded {
	fl_mpmc_unbounded *q;
};

FL_STRESS_SETUP(lin_unbounded)
{
	OK(fl_mpmc_unbounded_create(&s->q, sizeof(int),
	                            &(fl_mpmc_unbounded_config){.segment = 1 + fl_stress_choose(2)}));
}

FL_LIN_OP(lin_unbounded, put, FL_LIN_PUT, .weight = 3)
{
	return fl_mpmc_unbounded_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_unbounded, get, FL_LIN_GET, .weight = 3)
{
	int item, rc = fl_mpmc_unbounded_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_unbounded, get_many, FL_LIN_GET_MANY, .keys = 3)
{
	int items[3];
	int64_t got[3];
	unsigned n = (unsigned)fl_mpmc_unbounded_try_get_many(s->q, items, (size_t)FL_LIN_KEY(arg) + 1);
	for (unsigned i = 0; i < n; i++)
		got[i] = items[i];
	return fl_lin_items(n, got);
}

FL_LIN_OP(lin_unbounded, close, FL_LIN_CLOSE, .most = 1)
{
	fl_mpmc_unbounded_close(s->q);
	return 0;
}

FL_LIN(lin_unbounded, &some_at_least)
{
	fl_mpmc_unbounded_free(s->q);
}

/* One of the threads is the consumer. */
struct lin_mpsc {
	fl_mpsc *q;
};

FL_STRESS_SETUP(lin_mpsc)
{
	OK(fl_mpsc_create(&s->q, sizeof(int), &(fl_mpsc_config){.segment = 1 + fl_stress_choose(2)}));
}

FL_LIN_OP(lin_mpsc, put, FL_LIN_PUT, .weight = 3)
{
	return fl_mpsc_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_mpsc, get, FL_LIN_GET, .weight = 3, .by = FL_LIN_THREAD(0))
{
	int item, rc = fl_mpsc_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_mpsc, get_many, FL_LIN_GET_MANY, .keys = 3, .by = FL_LIN_THREAD(0))
{
	int items[3];
	int64_t got[3];
	unsigned n = (unsigned)fl_mpsc_try_get_many(s->q, items, (size_t)FL_LIN_KEY(arg) + 1);
	for (unsigned i = 0; i < n; i++)
		got[i] = items[i];
	return fl_lin_items(n, got);
}

FL_LIN_OP(lin_mpsc, close, FL_LIN_CLOSE, .most = 1)
{
	fl_mpsc_close(s->q);
	return 0;
}

FL_LIN(lin_mpsc, &fl_lin_fifo)
{
	fl_mpsc_free(s->q);
}
