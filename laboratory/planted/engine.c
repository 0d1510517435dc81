/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bugs that the engine once missed. A test with the suffix `forbidden` forbids an outcome that C11
 * allows, so the outcome must be found.
 */
#include "planted.h"
#include <string.h>

/* Memory that was allocated with an alignment. */
struct aligned_block__use_after_free {
	int *p;
};

FL_STRESS_SETUP(aligned_block__use_after_free)
{
	s->p = aligned_alloc(64, 64);
	*s->p = 1;
}

FL_STRESS_ACTOR(aligned_block__use_after_free, one)
{
	free(s->p);
}

FL_STRESS_ACTOR(aligned_block__use_after_free, two)
{
	(void)*(volatile int *)s->p;
}

TEST_OF_NO_OUTCOME(aligned_block__use_after_free, one, two)

/* An access to a large block, far from its beginning, that is not ordered before the free. */
struct large_block__use_after_free {
	char *p;
	atomic_int flag;
	bool freed;
};

FL_STRESS_SETUP(large_block__use_after_free)
{
	s->p = malloc(8192);
}

FL_STRESS_ACTOR(large_block__use_after_free, writer)
{
	char *p = s->p;
	STORE(&s->flag, 1, RLX);
	p[8000] = 1;
}

FL_STRESS_ACTOR(large_block__use_after_free, ender)
{
	if (LOAD(&s->flag, RLX)) {
		free(s->p);
		s->freed = true;
	}
}

FL_STRESS(large_block__use_after_free, writer, ender)
{
	if (!s->freed)
		free(s->p);
	FL_ACCEPTABLE(1, "not seen");
}

/* A sleep on a word in freed memory. */
struct freed_futex__use_after_free {
	atomic_uint *word;
};

FL_STRESS_ACTOR(freed_futex__use_after_free, sleeper)
{
	s->word = calloc(1, sizeof *s->word);
	free(s->word);
	(void)fl_stress_futex_wait(s->word, 0, fl_stress_now() + 1000);
}

TEST_OF_NO_OUTCOME(freed_futex__use_after_free, sleeper)

/* Reads by the C library. */
struct library_string__race {
	char text[16], copy[16];
	atomic_int flag;
};

FL_STRESS_ACTOR(library_string__race, writer)
{
	s->text[0] = 'x';
	STORE(&s->flag, 1, RLX);
}

FL_STRESS_ACTOR(library_string__race, reader)
{
	if (LOAD(&s->flag, ACQ))
		strcpy(s->copy, s->text);
}

TEST_OF_NO_OUTCOME(library_string__race, writer, reader)

/* Loads after a bounded spin are steps like all other loads. */
struct after_a_spin__forbidden {
	atomic_int never, word;
	int first, second;
};

static bool spin(atomic_int *word)
{
	for (int i = 0; i < 3; i++) {
		if (LOAD(word, RLX))
			return true;
		fl_stress_relax();
	}
	return false;
}

FL_STRESS_ACTOR(after_a_spin__forbidden, spinner)
{
	(void)spin(&s->never);
	s->first = LOAD(&s->word, RLX);
	s->second = LOAD(&s->word, RLX);
}

FL_STRESS_ACTOR(after_a_spin__forbidden, writer)
{
	STORE(&s->word, 1, RLX);
}

FL_STRESS(after_a_spin__forbidden, spinner, writer)
{
	FL_FORBIDDEN(!s->first && s->second, "it changed between the loads");
	FL_ACCEPTABLE(1, "not seen");
}

/* A thread that has spun in vain may spin again. */
struct spins_twice__forbidden {
	atomic_int word, progress;
	int seen;
};

FL_STRESS_ACTOR(spins_twice__forbidden, spinner)
{
	for (int i = 1; i <= 2 && !spin(&s->word); i++)
		STORE(&s->progress, i, RLX);
}

FL_STRESS_ACTOR(spins_twice__forbidden, looker)
{
	s->seen = LOAD(&s->progress, RLX);
	STORE(&s->word, 1, RLX);
}

FL_STRESS(spins_twice__forbidden, spinner, looker)
{
	FL_FORBIDDEN(s->seen == 2, "both spins were in vain");
	FL_ACCEPTABLE(1, "not seen");
}
