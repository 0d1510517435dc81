/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The macros of <fairlead/stress.h> and <fairlead/stress_lin.h>, in C and C++: compiled, not run.
 */
#include <fairlead/stress.h>
#include <fairlead/stress_lin.h>

struct message {
	int data, flag;
	int seen, value;
};

FL_STRESS_SETUP(message)
{
	s->data = 0;
}

FL_STRESS_ACTOR(message, writer)
{
	s->data = 1;
	s->flag = 1;
}

FL_STRESS_ACTOR(message, reader)
{
	s->seen = s->flag;
	s->value = s->data;
}

FL_STRESS(message, writer, reader)
{
	FL_STRESS_CHECK(s->data == 1);
	FL_FORBIDDEN(s->seen && !s->value, "flag without data");
	FL_INTERESTING(s->value && !s->seen, "data without flag");
	FL_ACCEPTABLE(1, "all else");
}

struct cell {
	int64_t value;
};

FL_LIN_OP(cell, write, FL_LIN_WRITE, .by = FL_LIN_THREAD(0), .weight = 2, .most = 3, .args = 4)
{
	s->value = arg;
	return 0;
}

FL_LIN_OP(cell, read, FL_LIN_READ)
{
	return s->value;
}

FL_LIN(cell, &fl_lin_word, .threads = 2, .each = 2)
{
	s->value = 0;
}
