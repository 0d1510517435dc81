/* SPDX-License-Identifier: BSD-2-Clause */
/* Types made by a macro, -DTYPES=FL_QUEUE_OF, for items of types with common names: C and C++. */
#include "all_headers.h"
#include "names.h"

#define MAKE(name)                                                                                                     \
	typedef int name;                                                                                              \
	TYPES(name, queue_of_##name)
NAMES(MAKE)
BODY_NAMES(MAKE)
