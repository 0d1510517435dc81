/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One scenario for each way in which a test of the laboratory may end. fairlead-stress --load
 * compiles this file.
 */
#include <fairlead/mutex.h>
#include <fairlead/stress_lin.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SET(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define GET(p) atomic_load_explicit((p), memory_order_relaxed)

struct end_ok {
	fl_mutex m;
	int count;
};

FL_STRESS_ACTOR(end_ok, one)
{
	FL_LOCKED(&s->m);
	s->count++;
}

FL_STRESS(end_ok, one, one)
{
	FL_ACCEPTABLE(s->count == 2, "both \"counted\"");
	FL_FORBIDDEN(1, "lost");
}

struct end_forbidden {
	atomic_int data, flag;
	int seen, value;
};

FL_STRESS_ACTOR(end_forbidden, writer)
{
	SET(&s->data, 1);
	SET(&s->flag, 1);
}

FL_STRESS_ACTOR(end_forbidden, reader)
{
	s->seen = GET(&s->flag);
	s->value = GET(&s->data);
}

FL_STRESS(end_forbidden, writer, reader)
{
	FL_FORBIDDEN(s->seen && !s->value, "flag without data <&>");
	FL_ACCEPTABLE(1, "all else");
}

struct end_unlisted {
	int value;
};

FL_STRESS_ACTOR(end_unlisted, one)
{
	s->value = 77;
}

FL_STRESS(end_unlisted, one)
{
	FL_ACCEPTABLE(s->value == 1, "never");
}

/* Defines a scenario with one actor, which does one thing, and whose outcome is not checked. */
#define ALONE(test, member, statement)                                                                                 \
	struct test {                                                                                                  \
		member;                                                                                                \
	};                                                                                                             \
	FL_STRESS_ACTOR(test, one)                                                                                     \
	{                                                                                                              \
		statement;                                                                                             \
	}                                                                                                              \
	FL_STRESS(test, one)                                                                                           \
	{                                                                                                              \
		FL_ACCEPTABLE(1, "any");                                                                               \
	}

ALONE(end_check, int value, FL_STRESS_CHECK(s->value == 1))
ALONE(end_crash, int *nowhere, *s->nowhere = 1)
ALONE(end_exit, int value, exit(7))
ALONE(end_panic, fl_mutex m, fl_mutex_unlock(&s->m))

struct end_hang {
	atomic_uint word;
};

FL_STRESS_ACTOR(end_hang, sleeper)
{
	while (GET(&s->word) == 0)
		(void)fl_stress_futex_wait(&s->word, 0, INT64_MAX);
}

FL_STRESS_ACTOR(end_hang, changer)
{
	for (int i = 0; i < 1000; i++)
		(void)GET(&s->word);
}

FL_STRESS(end_hang, sleeper, changer)
{
	FL_ACCEPTABLE(1, "any");
}

/* Passes without a kill: the reader only waits for the writer. */
struct end_killed {
	atomic_uint ready;
	int data;
};

FL_STRESS_ACTOR(end_killed, writer)
{
	s->data = 1;
	atomic_store_explicit(&s->ready, 1, memory_order_release);
	fl_stress_futex_wake(&s->ready, 1);
}

FL_STRESS_ACTOR(end_killed, reader)
{
	while (atomic_load_explicit(&s->ready, memory_order_acquire) == 0)
		fl_stress_futex_wait(&s->ready, 0, INT64_MAX);
}

FL_STRESS_PROCESSES(end_killed, writer, reader)
{
	FL_ACCEPTABLE(s->data == 1, "written");
	FL_ACCEPTABLE(fl_stress_killed("writer"), "killed before, and the reader, too");
}

/*
 * No actor waits, so any of them may be killed: at its own three steps, and at the end. The model
 * counts the steps.
 */
struct end_survives {
	atomic_uint steps[3];
};

FL_STRESS_ACTOR(end_survives, one)
{
	uint32_t before = fl_stress_steps();
	SET(&s->steps[0], 1);
	SET(&s->steps[1], 1);
	SET(&s->steps[2], 1);
	uint32_t now = fl_stress_steps();
	FL_STRESS_CHECK(now == 0 || now - before == 3);
}

FL_STRESS_PROCESSES(end_survives, one)
{
	bool killed = fl_stress_killed("one");
	FL_FORBIDDEN(!killed && !GET(&s->steps[2]), "stopped and lives");
	FL_ACCEPTABLE(!killed, "alive");
	FL_ACCEPTABLE(!GET(&s->steps[0]), "killed before all");
	FL_ACCEPTABLE(!GET(&s->steps[1]), "killed after one");
	FL_ACCEPTABLE(!GET(&s->steps[2]), "killed after two");
}

/*
 * The mode lin has a correct counter, one that fails only on real threads, and one without
 * operations.
 */
struct end_lin {
	atomic_int sum;
};

FL_LIN_OP(end_lin, add, FL_LIN_ADD, .args = 3)
{
	return atomic_fetch_add(&s->sum, (int)arg);
}

FL_LIN_OP(end_lin, read, FL_LIN_READ)
{
	return atomic_load(&s->sum);
}

FL_LIN(end_lin, &fl_lin_counter)
{
	FL_FORBIDDEN(GET(&s->sum) > 100, "a sum that no program makes");
}

struct end_lin_real {
	atomic_int sum;
};

FL_LIN_OP(end_lin_real, add, FL_LIN_ADD, .args = 3)
{
	int before = atomic_fetch_add(&s->sum, (int)arg);
	/* Only the model counts steps. */
	return fl_lin_thread() > 0 && fl_stress_steps() == 0 ? before + 1 : before;
}

FL_LIN(end_lin_real, &fl_lin_counter)
{
}

struct end_lin_none {
	int nothing;
};

FL_LIN(end_lin_none, &fl_lin_counter)
{
}
