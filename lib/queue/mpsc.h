/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPSC_H
#define FL_QUEUE_MPSC_H

#include "chain.h"
#include <fairlead/mpsc.h>

struct fl_mpsc {
	/* The only member: a pointer to the chain is a pointer to the queue. */
	struct fl__chain chain;
};

#endif
