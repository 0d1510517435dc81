/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring for many producers and consumers against the sequential queue: full, empty, closed and busy among the results. */
#include "cases.h"
#include <fairlead/mpmc.h>
#include <fairlead/stress_lin.h>

struct lin_mpmc {
	fl_mpmc *q;
};

FL_STRESS_SETUP(lin_mpmc)
{
	OK(fl_mpmc_create(&s->q, sizeof(int), 2));
}

FL_LIN_OP(lin_mpmc, put, FL_LIN_PUT, .weight = 3)
{
	return fl_mpmc_try_put(s->q, &(int){(int)arg});
}

FL_LIN_OP(lin_mpmc, get, FL_LIN_GET, .weight = 3)
{
	int item, rc = fl_mpmc_try_get(s->q, &item);
	return rc ? rc : item;
}

FL_LIN_OP(lin_mpmc, close, FL_LIN_CLOSE, .most = 1)
{
	fl_mpmc_close(s->q);
	return 0;
}

FL_LIN(lin_mpmc, &fl_lin_fifo, .limit = 2)
{
	fl_mpmc_free(s->q);
}
