/* SPDX-License-Identifier: BSD-2-Clause */
/* The unbounded queues, against a sequential one: an order of the calls explains what they return. */
#include "cases.h"
#include <fairlead/mpmc_unbounded.h>
#include <fairlead/mpsc.h>
#include <fairlead/stress_lin.h>

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

FL_LIN_OP(lin_unbounded, close, FL_LIN_CLOSE, .most = 1)
{
	fl_mpmc_unbounded_close(s->q);
	return 0;
}

FL_LIN(lin_unbounded, &fl_lin_fifo)
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

FL_LIN_OP(lin_mpsc, close, FL_LIN_CLOSE, .most = 1)
{
	fl_mpsc_close(s->q);
	return 0;
}

FL_LIN(lin_mpsc, &fl_lin_fifo)
{
	fl_mpsc_free(s->q);
}
