/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of the lone waiter that a condition keeps in its word while this waiter spins, and of
 * the waiters in the queue behind it.
 */
#include "../cases.h"
#include <fairlead/sem.h>

/* A signal is for the first waiter, whether this waiter still spins or is enqueued by now. */
struct cond_spinner_is_first {
	fl_mutex m;
	fl_cond c;
	fl_sem here, woken;
	int came, order[2], through;
};

FL_STRESS_ACTOR(cond_spinner_is_first, come_and_wait)
{
	FL_LOCKED(&s->m);
	const int mine = ++s->came;
	/* The mutex is held here, so its next owner finds that this context waits. */
	fl_sem_release(&s->here);
	OK(fl_cond_wait(&s->c, &s->m));
	s->order[s->through++] = mine;
	fl_sem_release(&s->woken);
}

FL_STRESS_ACTOR(cond_spinner_is_first, signaller)
{
	for (int i = 0; i < 2; i++)
		OK(fl_sem_acquire(&s->here));
	for (int i = 0; i < 2; i++) {
		fl_mutex_lock(&s->m);
		fl_cond_signal(&s->c);
		fl_mutex_unlock(&s->m);
		OK(fl_sem_acquire(&s->woken));
	}
}

FL_STRESS(cond_spinner_is_first, come_and_wait, come_and_wait, signaller)
{
	FL_ACCEPTABLE(s->order[0] == 1 && s->order[1] == 2, "in the order in which they came");
}

/*
 * The woken waiter may free the condition while the signaller, which does not hold the mutex, is
 * still leaving.
 */
struct cond_freed_by_woken {
	fl_mutex m;
	fl_cond *c;
	bool ready, waits;
};

FL_STRESS_SETUP(cond_freed_by_woken)
{
	s->c = make(sizeof *s->c);
}

FL_STRESS_ACTOR(cond_freed_by_woken, waiter)
{
	FL_LOCKED(&s->m);
	if (s->ready)
		return;
	s->waits = true;
	OK(fl_cond_wait(s->c, &s->m)); /* it waits once, because only a signal ends the wait */
	FL_STRESS_CHECK(s->ready);
	FL_STRESS_CHECK(!fl__cond_is_busy(s->c));
	free(s->c);
	s->c = NULL;
}

FL_STRESS_ACTOR(cond_freed_by_woken, signaller)
{
	fl_cond *c = NULL;
	{
		FL_LOCKED(&s->m);
		s->ready = true;
		if (s->waits)
			c = s->c;
	}
	if (c)
		fl_cond_broadcast(c);
}

FL_STRESS(cond_freed_by_woken, waiter, signaller)
{
	FL_ACCEPTABLE(!s->c, "freed");
	free(s->c);
	FL_ACCEPTABLE(!s->waits, "too late to wait");
}
