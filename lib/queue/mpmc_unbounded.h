/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_UNBOUNDED_H
#define FL_QUEUE_MPMC_UNBOUNDED_H

#include "chain.h"
#include <fairlead/mpmc_unbounded.h>

struct fl_mpmc_unbounded {
	struct fl__chain chain; /* and nothing else */
};

#endif
