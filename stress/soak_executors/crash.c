/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A turn with a map on processes, in which one element kills its worker. That element fails; the
 * other elements that ran have their results.
 */
#include "activities.h"

enum { ELEMENTS = 32 };

struct element {
	int number;
	bool crashes;
};

FL_TASK_STATIC(square_or_crash, struct element, int)
{
	if (arg->crashes)
		(void)raise(SIGKILL);
	*result = arg->number * arg->number;
	return 0;
}

void crash_turn(uint64_t *state)
{
	FL_SCOPED(fl_executor) *e = NULL;
	struct element elements[ELEMENTS];
	int squares[ELEMENTS] = {0};
	fl_map_error error = {.index = ELEMENTS};
	const size_t bad = draw(state) % ELEMENTS;
	for (size_t i = 0; i < ELEMENTS; i++)
		elements[i] = (struct element){(int)i + 1, i == bad};
	check("a process executor", fl_process_executor_create(&e, &(fl_executor_config){.workers = 2}));
	const fl_map_config config = {.chunk = 1 + draw(state) % ELEMENTS, .error = &error};
	const int rc = square_or_crash_map(e, elements, ELEMENTS, squares, &config);
	if (rc != FL_ETASK || error.index != bad || error.error != -EOWNERDEAD)
		fail("a map with the crashed element %zu: %s; element %zu, %s", bad, fl_error_name(rc), error.index,
		     fl_error_name(error.error));
	for (size_t i = 0; i < ELEMENTS; i++)
		if (squares[i] != 0 && squares[i] != elements[i].number * elements[i].number)
			fail("the square of %d is %d", elements[i].number, squares[i]);
	if (squares[bad] != 0)
		fail("the element that crashed has a result");
}
