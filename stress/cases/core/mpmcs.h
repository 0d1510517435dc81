/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_MPMCS_H
#define STRESS_MPMCS_H

#include "../cases.h"
#include <fairlead/mpmc.h>

static inline fl_mpmc *ring_of(size_t capacity)
{
	fl_mpmc *q = NULL;
	OK(fl_mpmc_create(&q, sizeof(int), capacity));
	return q;
}

#endif
