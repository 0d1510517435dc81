/* SPDX-License-Identifier: BSD-2-Clause */
/* Types made by a macro, -DTYPES=FL_QUEUE_OF, under common names: C and C++. */
#include "all_headers.h"
#include "names.h"

struct payload {
	int value;
};

#define MAKE(name) TYPES(struct payload, name)
NAMES(MAKE)
BODY_NAMES(MAKE)
