/* SPDX-License-Identifier: BSD-2-Clause */
/* The module that stress_model.c loads: the scenario, instrumented. */
#include "stress_ten.h"
#include <fairlead/stress.h>

FL_STRESS_ACTOR(ten, one)
{
	ten_steps(s, 0);
}

FL_STRESS_ACTOR(ten, two)
{
	ten_steps(s, 1);
}

FL_STRESS_ACTOR(ten, three)
{
	ten_steps(s, 2);
}

FL_STRESS(ten, one, two, three)
{
	FL_FORBIDDEN(s->count != 3, "a count was lost");
	FL_ACCEPTABLE(s->seen[0] && s->seen[1] && s->seen[2], "all passed");
	FL_ACCEPTABLE(1, "some passed");
}
