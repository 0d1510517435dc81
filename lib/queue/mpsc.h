/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_MPSC_H
#define FL_QUEUE_MPSC_H

#include "chain.h"
#include <fairlead/mpsc.h>

struct fl_mpsc {
	struct fl__chain chain; /* and nothing else */
};

#endif
