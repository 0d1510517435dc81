/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_MPMCS_H
#define STRESS_MPMCS_H

#include "../cases.h"
#include <fairlead/mpmc.h>

/*
 * Makes a ring. An item is an int64_t, or its lower half, which a little-endian machine has first.
 */
static inline fl_mpmc *ring_of(size_t capacity)
{
	fl_mpmc *q = NULL;
	OK(fl_mpmc_create(&q, sizeof(int) << fl_stress_choose(2), capacity));
	return q;
}

#endif
