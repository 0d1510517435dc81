/* SPDX-License-Identifier: BSD-2-Clause */
/* The module that stress_model.c loads. It contains the instrumented scenario. */
#include <fairlead/stress.h>
#include <stdatomic.h>

/*
 * The scenario that is measured. Three threads have ten atomic steps each. They pass plain data by
 * release and acquire, look at what the others wrote by relaxed loads, which may see many values,
 * and count together.
 */
struct ten {
	atomic_int ready[3], count, glance[3];
	int cargo[3], seen[3], glanced;
};

static void ten_steps(struct ten *s, int me)
{
	int next = (me + 1) % 3, glanced = 0;
	s->cargo[me] = 1;
	atomic_store_explicit(&s->ready[me], 1, memory_order_release);
	atomic_fetch_add_explicit(&s->count, 1, memory_order_acq_rel);
	for (int i = 1; i <= 2; i++) {
		atomic_store_explicit(&s->glance[me], i, memory_order_relaxed);
		glanced += atomic_load_explicit(&s->glance[next], memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&s->count, glanced & 0, memory_order_relaxed);
	glanced += atomic_load_explicit(&s->glance[(me + 2) % 3], memory_order_acquire);
	atomic_store_explicit(&s->glance[me], 3, memory_order_release);
	if (atomic_load_explicit(&s->ready[next], memory_order_acquire))
		s->seen[me] = s->cargo[next];
}

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
