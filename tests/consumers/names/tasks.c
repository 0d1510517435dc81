/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks of common names, run: prints those that do not give what they should, or ok. */
#include "all_headers.h"
#include "names.h"
#include <stdio.h>

typedef struct pair_of_ints {
	int first, second;
} pair_of_ints;

#define TASK(name)                                                                                                     \
	FL_TASK(name, pair_of_ints, int)                                                                               \
	{                                                                                                              \
		*result = arg->first + arg->second;                                                                    \
		return 0;                                                                                              \
	}
NAMES(TASK)
#pragma GCC diagnostic ignored "-Wshadow"
BODY_NAMES(TASK)

#define CALL(name)                                                                                                     \
	{                                                                                                              \
		pair_of_ints both[2] = {{40, 2}, {1, 2}};                                                              \
		fl_future *future = NULL;                                                                              \
		int one = 0, several[2] = {0, 0};                                                                      \
		if (name##_submit(threads, both[0], &future) != 0 || name##_get(future, &one) != 0 || one != 42 ||     \
		    name##_map(threads, both, 2, several, NULL) != 0 || several[0] != 42 || several[1] != 3) {         \
			puts(#name);                                                                                   \
			bad++;                                                                                         \
		}                                                                                                      \
		fl_future_free(future);                                                                                \
	}

int main(void)
{
	FL_SCOPED(fl_executor) *threads = NULL;
	int bad = 0;
	if (fl_thread_executor_create(&threads, NULL) != 0)
		return 1;
	NAMES(CALL)
	BODY_NAMES(CALL)
	puts(bad == 0 ? "ok" : "failed");
	return bad != 0;
}
