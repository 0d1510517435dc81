/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CONTEXT_VARS_H
#define FL_CONTEXT_VARS_H

/*
 * Context variables; their values count their releases. `fl_test_colour` has a default and no
 * owner; `fl_test_owned` has values from fl_test_value().
 */
#include "fl_test.h"

#include "core/base/atomic.h"

static uint32_t fl_test_values_made, fl_test_values_released;

static inline void fl_test_value_release(void *value)
{
	fl__add_relaxed(&fl_test_values_released, 1);
	free(value);
}

__attribute__((unused)) static char fl_test_white[] = "white", fl_test_red[] = "red", fl_test_blue[] = "blue";
__attribute__((unused)) static fl_context_var fl_test_colour = FL_CONTEXT_VAR_INIT(fl_test_white, NULL);
static fl_context_var fl_test_owned = FL_CONTEXT_VAR_INIT(NULL, fl_test_value_release);

static inline void *fl_test_value(int number)
{
	int *value = malloc(sizeof *value);
	FL_CHECK(value != NULL);
	*value = number;
	fl__add_relaxed(&fl_test_values_made, 1);
	return value;
}

/* The number of the calling context's value; 0: it has none. */
static inline int fl_test_owned_number(void)
{
	const int *value = fl_context_var_get(&fl_test_owned);
	return value ? *value : 0;
}

/* Sets a value for good. */
static inline void fl_test_own(int number)
{
	FL_OK(fl_context_var_set(&fl_test_owned, fl_test_value(number), NULL));
}

/* Sets it until the token is reset. */
static inline void fl_test_own_scoped(int number, fl_context_token *token)
{
	FL_OK(fl_context_var_set(&fl_test_owned, fl_test_value(number), token));
}

static inline uint32_t fl_test_values_alive(void)
{
	return fl__load_relaxed(&fl_test_values_made) - fl__load_relaxed(&fl_test_values_released);
}

/* What a function found when it began. It then sets a value of its own, which nobody else sees. */
typedef struct fl_test_seen {
	int number;
	const char *colour;
	uint32_t calls;
} fl_test_seen;

static inline int fl_test_see(void *seen)
{
	fl_test_seen *s = seen;
	s->number = fl_test_owned_number();
	s->colour = fl_context_var_get(&fl_test_colour);
	fl_test_own(99);
	FL_CHECK(fl_test_owned_number() == 99);
	FL_OK(fl_context_var_set(&fl_test_colour, fl_test_blue, NULL));
	fl__add_release(&s->calls, 1); /* pairs with the acquire of the case */
	return 0;
}

static inline void fl_test_see_in_callback(void *seen)
{
	(void)fl_test_see(seen);
}

#endif
