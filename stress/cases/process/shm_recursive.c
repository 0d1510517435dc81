/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the recursive mutex in shared memory: its depth and its owner, even after a death.
 */
#include "../cases.h"
#include <fairlead/shm_mutex.h>

/*
 * Only the last unlock releases the mutex. After a death at any depth, the next owner has the depth
 * one.
 */
struct shm_recursive_nested {
	fl_shm_mutex m;
	int a, b;
};

FL_STRESS_ACTOR(shm_recursive_nested, change_nested)
{
	int rc = fl_shm_mutex_lock(&s->m);
	if (rc == -EOWNERDEAD) {
		s->b = s->a;
		fl_shm_mutex_recover(&s->m);
	} else {
		FL_STRESS_CHECK(rc == 0 && s->a == s->b);
	}
	s->a++;
	OK(fl_shm_mutex_lock(&s->m));
	fl_shm_mutex_unlock(&s->m);
	FL_STRESS_CHECK(fl_shm_mutex_depth(&s->m));
	s->b++;
	fl_shm_mutex_unlock(&s->m);
	FL_STRESS_CHECK(!fl_shm_mutex_depth(&s->m));
}

FL_STRESS_SETUP(shm_recursive_nested)
{
	fl_shm_mutex_init_recursive(&s->m);
}

FL_STRESS_PROCESSES(shm_recursive_nested, change_nested, change_nested)
{
	FL_FORBIDDEN(fl_shm_mutex_is_locked(&s->m), "left locked");
	FL_ACCEPTABLE(fl_stress_killed("change_nested"), "one was killed");
	FL_ACCEPTABLE(s->a == 2 && s->b == 2, "both counted");
	FL_FORBIDDEN(1, "a count was lost");
}
