/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Context variables: copies of one list of values, which several contexts read, replace and free.
 */
#include "../cases.h"
#include <fairlead/context_var.h>
#include <fairlead/thread.h>

/* A value that is released once, after all reads of it: plain, so that the model sees a race. */
struct value {
	int number;
	atomic_int *released;
};

static void release(void *value)
{
	struct value *v = value;
	v->number = 0;
	COUNT(v->released);
	free(v);
}

static fl_context_var number = FL_CONTEXT_VAR_INIT(NULL, release), other = FL_CONTEXT_VAR_INIT(NULL, release);

static void set(fl_context_var *var, int n, atomic_int *released)
{
	struct value *v = make(sizeof *v);
	*v = (struct value){n, released};
	OK(fl_context_var_set(var, v, NULL));
}

static int get(const fl_context_var *var)
{
	const struct value *v = fl_context_var_get(var);
	return v ? v->number : 0;
}

/*
 * Two contexts have copies of the same values. Each reads them, replaces one, which copies the
 * entry before it, and frees its copy. `number` and `other` of the start are released once, by the
 * last one.
 */
struct context_var_copies {
	fl_context_values one, two;
	atomic_int released, own_released;
};

static int set_both(void *arg)
{
	struct context_var_copies *s = arg;
	set(&number, 1, &s->released);
	set(&other, 2, &s->released);
	fl_context_values_copy(&s->two);
	return 0;
}

static int replace(void *arg)
{
	struct context_var_copies *s = arg;
	FL_STRESS_CHECK(get(&number) == 1 && get(&other) == 2);
	set(&number, 3, &s->own_released);
	FL_STRESS_CHECK(get(&number) == 3 && get(&other) == 2);
	return 0;
}

FL_STRESS_SETUP(context_var_copies)
{
	OK(fl_context_values_run(&s->one, set_both, s));
}

FL_STRESS_ACTOR(context_var_copies, one)
{
	OK(fl_context_values_run(&s->one, replace, s));
	fl_context_values_free(&s->one);
}

FL_STRESS_ACTOR(context_var_copies, two)
{
	OK(fl_context_values_run(&s->two, replace, s));
	fl_context_values_free(&s->two);
}

FL_STRESS(context_var_copies, one, two)
{
	FL_ACCEPTABLE(LOOK(&s->released) == 2 && LOOK(&s->own_released) == 2, "each value is released once");
}

/*
 * A context starts a thread, then replaces its value, while another context frees its copy. The
 * thread has the value of the time of its start.
 */
struct context_var_thread {
	fl_context_values one, two;
	atomic_int released, own_released;
	int seen; /* plain: the join orders it */
};

static int set_one(void *arg)
{
	struct context_var_thread *s = arg;
	set(&number, 1, &s->released);
	fl_context_values_copy(&s->two);
	return 0;
}

static int see(void *arg)
{
	struct context_var_thread *s = arg;
	s->seen = get(&number);
	return 0;
}

static int start_and_replace(void *arg)
{
	struct context_var_thread *s = arg;
	fl_thread t;
	OK(fl_thread_start(&t, see, s, NULL));
	set(&number, 3, &s->own_released);
	OK(fl_thread_join(&t, NULL));
	FL_STRESS_CHECK(get(&number) == 3);
	set(&number, 4, &s->own_released);
	FL_STRESS_CHECK(LOOK(&s->own_released) == 1); /* at once: of 3 */
	return 0;
}

FL_STRESS_SETUP(context_var_thread)
{
	OK(fl_context_values_run(&s->one, set_one, s));
}

FL_STRESS_ACTOR(context_var_thread, starter)
{
	OK(fl_context_values_run(&s->one, start_and_replace, s));
	fl_context_values_free(&s->one);
}

FL_STRESS_ACTOR(context_var_thread, owner)
{
	fl_context_values_free(&s->two);
}

FL_STRESS(context_var_thread, starter, owner)
{
	FL_ACCEPTABLE(s->seen == 1 && LOOK(&s->released) == 1 && LOOK(&s->own_released) == 2,
	              "inherited, released once");
}

/*
 * Two tokens in the wrong order, while another context has a copy of the values between the two
 * sets.
 */
struct context_var_tokens {
	fl_context_values one, two;
	atomic_int released;
};

static int set_twice(void *arg)
{
	struct context_var_tokens *s = arg;
	struct value *v = make(sizeof *v), *w = make(sizeof *w);
	fl_context_token first = FL_CONTEXT_TOKEN_INIT, second = FL_CONTEXT_TOKEN_INIT;
	*v = (struct value){1, &s->released};
	*w = (struct value){2, &s->released};
	OK(fl_context_var_set(&number, v, &first));
	OK(fl_context_var_set(&number, w, &second));
	set(&other, 5, &s->released);
	fl_context_var_reset(&first);
	FL_STRESS_CHECK(get(&number) == 7 && get(&other) == 5);
	fl_context_var_reset(&second);
	FL_STRESS_CHECK(get(&number) == 1 && get(&other) == 5);
	return 0;
}

static int set_seven(void *arg)
{
	struct context_var_tokens *s = arg;
	set(&number, 7, &s->released);
	fl_context_values_copy(&s->two);
	return 0;
}

FL_STRESS_SETUP(context_var_tokens)
{
	OK(fl_context_values_run(&s->one, set_seven, s));
}

FL_STRESS_ACTOR(context_var_tokens, setter)
{
	OK(fl_context_values_run(&s->one, set_twice, s));
	fl_context_values_free(&s->one);
}

FL_STRESS_ACTOR(context_var_tokens, owner)
{
	fl_context_values_free(&s->two);
}

FL_STRESS(context_var_tokens, setter, owner)
{
	FL_ACCEPTABLE(LOOK(&s->released) == 4, "each value is released once");
}
