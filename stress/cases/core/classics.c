/* SPDX-License-Identifier: BSD-2-Clause */
/* Problems of the textbooks, solved with the library. */
#include "../cases.h"
#include <fairlead/sem.h>

/*
 * dining_philosophers: one philosopher locks its forks in the opposite order, so all of them eat.
 */
struct dining_philosophers {
	fl_mutex forks[3];
	int used[3];
};

static void eat(struct dining_philosophers *s, int first, int second)
{
	FL_LOCKED(&s->forks[first]);
	FL_LOCKED(&s->forks[second]);
	s->used[first]++;
	s->used[second]++;
}

FL_STRESS_ACTOR(dining_philosophers, one)
{
	eat(s, 0, 1);
}

FL_STRESS_ACTOR(dining_philosophers, two)
{
	eat(s, 1, 2);
}

FL_STRESS_ACTOR(dining_philosophers, three)
{
	eat(s, 0, 2);
}

FL_STRESS(dining_philosophers, one, two, three)
{
	FL_ACCEPTABLE(s->used[0] == 2 && s->used[1] == 2 && s->used[2] == 2, "all ate");
}

/* sleeping_barber: there are one chair and two customers. Each customer is served or rejected. */
struct sleeping_barber {
	fl_mutex m;
	fl_sem customers, served_one;
	int waiting, served, rejected;
	bool closed;
};

FL_STRESS_ACTOR(sleeping_barber, come_in)
{
	fl_mutex_lock(&s->m);
	bool chair = s->waiting == 0;
	if (chair)
		s->waiting++;
	else
		s->rejected++;
	fl_mutex_unlock(&s->m);
	if (!chair)
		return;
	fl_sem_release(&s->customers);
	OK(fl_sem_acquire(&s->served_one));
}

FL_STRESS_ACTOR(sleeping_barber, barber)
{
	int left = 2;
	while (left > 0) {
		OK(fl_sem_acquire(&s->customers));
		FL_LOCKED(&s->m);
		s->waiting--;
		s->served++;
		left = 2 - s->served - s->rejected;
		fl_sem_release(&s->served_one);
	}
}

FL_STRESS(sleeping_barber, barber, come_in, come_in)
{
	FL_FORBIDDEN(s->served + s->rejected != 2 || s->waiting != 0, "a customer was forgotten");
	FL_ACCEPTABLE(s->rejected == 0, "both served");
	FL_ACCEPTABLE(s->rejected == 1, "one turned away");
}
