/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In each round a worker is held in a task until some tasks wait. Then the worker takes them and
 * runs them, and the last one holds it again. callgrind counts the instructions of this worker
 * while it is not held: 1,000 takes. In the meantime all other threads block outside of the
 * library. The process ends while the worker is held, because a worker that sleeps or ends would be
 * counted, too.
 *
 * The tasks wait in the injector. With STEALS they wait in the local queue of another worker, which
 * is in one task during all rounds.
 */
#include <fairlead.h>
#include <semaphore.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#ifndef STEALS
#define STEALS false
#endif

/*
 * With ten tasks a thief would look for a task 16 times a round. Then its look at another queue,
 * which comes each sixteenth time, would stand at the same place in all rounds, by chance a costly
 * one.
 */
enum { ROUNDS = 125, TASKS = 8 };

static sem_t held, go;

FL_TASK(nothing, void, void)
{
	return 0;
}

FL_TASK(hold, bool, void)
{
	if (*arg)
		CALLGRIND_TOGGLE_COLLECT;
	sem_post(&held);
	sem_wait(&go);
	CALLGRIND_TOGGLE_COLLECT;
	return 0;
}

static void submits(fl_executor *e)
{
	for (int round = 0; round < ROUNDS; round++) {
		sem_wait(&held);
		for (int i = 1; i <= TASKS; i++)
			if (i < TASKS ? nothing_submit(e, NULL) : hold_submit(e, true, NULL))
				_exit(1);
		sem_post(&go);
	}
	sem_wait(&held);
	_exit(0);
}

FL_TASK(victim, fl_executor *, void)
{
	submits(*arg);
	return 0;
}

int main(void)
{
	fl_executor *e;
	if (sem_init(&held, 0, 0) || sem_init(&go, 0, 0) ||
	    fl_thread_executor_create(&e, &(fl_executor_config){.workers = STEALS ? 2 : 1}) ||
	    hold_submit(e, false, NULL))
		return 1;
	if (!STEALS)
		submits(e);
	return victim_submit(e, e, NULL) || pause();
}
