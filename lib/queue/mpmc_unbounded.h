/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPMC_UNBOUNDED_H
#define FL_QUEUE_MPMC_UNBOUNDED_H

#include "chain.h"
#include <fairlead/mpmc_unbounded.h>

struct fl_mpmc_unbounded {
	/* The only member: a pointer to the chain is a pointer to the queue. */
	struct fl__unbounded unbounded;
};

#endif
