/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring for many: changes of two rings, and observations of them, have one order for all
 * threads.
 */
#include "mpmcs.h"

/*
 * The answers "empty" of two rings and the puts into them are in one order: if two threads put into
 * one ring and then read the other, at least one finds the other's item.
 */
struct mpmc_empty_agreed {
	fl_mpmc *left, *right;
	int found[2];
};

FL_STRESS_SETUP(mpmc_empty_agreed)
{
	s->left = ring_of(1);
	s->right = ring_of(1);
}

static int put_then_look(fl_mpmc *mine, fl_mpmc *other)
{
	int item = 1;
	OK(fl_mpmc_try_put(mine, &item));
	return fl_mpmc_try_get(other, &item);
}

FL_STRESS_ACTOR(mpmc_empty_agreed, one)
{
	s->found[0] = put_then_look(s->left, s->right);
}

FL_STRESS_ACTOR(mpmc_empty_agreed, two)
{
	s->found[1] = put_then_look(s->right, s->left);
}

FL_STRESS(mpmc_empty_agreed, one, two)
{
	fl_mpmc_free(s->left);
	fl_mpmc_free(s->right);
	FL_FORBIDDEN(s->found[0] == -EAGAIN && s->found[1] == -EAGAIN, "both empty");
	FL_ACCEPTABLE(1, "one found it");
}

/*
 * If two threads put into one ring (or get from it) and then read the length of the other, at least
 * one sees the change.
 */
struct mpmc_length_agreed {
	fl_mpmc *left, *right;
	bool gets;
	size_t seen[2];
};

FL_STRESS_SETUP(mpmc_length_agreed)
{
	s->left = ring_of(1);
	s->right = ring_of(1);
	s->gets = fl_stress_choose(2) == 1;
	if (s->gets) {
		OK(fl_mpmc_try_put(s->left, &(int){1}));
		OK(fl_mpmc_try_put(s->right, &(int){1}));
	}
}

static size_t change_then_ask(const struct mpmc_length_agreed *s, fl_mpmc *mine, fl_mpmc *other)
{
	int item = 1;
	if (s->gets)
		OK(fl_mpmc_try_get(mine, &item));
	else
		OK(fl_mpmc_try_put(mine, &item));
	return fl_mpmc_length(other);
}

FL_STRESS_ACTOR(mpmc_length_agreed, one)
{
	s->seen[0] = change_then_ask(s, s->left, s->right);
}

FL_STRESS_ACTOR(mpmc_length_agreed, two)
{
	s->seen[1] = change_then_ask(s, s->right, s->left);
}

FL_STRESS(mpmc_length_agreed, one, two)
{
	const size_t before = s->gets ? 1 : 0;
	fl_mpmc_free(s->left);
	fl_mpmc_free(s->right);
	FL_FORBIDDEN(s->seen[0] > 1 || s->seen[1] > 1, "more than there ever were");
	FL_FORBIDDEN(s->seen[0] == before && s->seen[1] == before, "both as before");
	FL_ACCEPTABLE(1, "one heard of it");
}

/*
 * Likewise closing: if two threads close one ring and then check the other, at least one finds it
 * closed.
 */
struct mpmc_close_agreed {
	fl_mpmc *left, *right;
	int found[2];
};

FL_STRESS_SETUP(mpmc_close_agreed)
{
	s->left = ring_of(1);
	s->right = ring_of(1);
}

static int close_then_look(fl_mpmc *mine, fl_mpmc *other)
{
	int item;
	fl_mpmc_close(mine);
	return fl_mpmc_try_get(other, &item);
}

FL_STRESS_ACTOR(mpmc_close_agreed, one)
{
	s->found[0] = close_then_look(s->left, s->right);
}

FL_STRESS_ACTOR(mpmc_close_agreed, two)
{
	s->found[1] = close_then_look(s->right, s->left);
}

FL_STRESS(mpmc_close_agreed, one, two)
{
	fl_mpmc_free(s->left);
	fl_mpmc_free(s->right);
	FL_FORBIDDEN(s->found[0] == -EAGAIN && s->found[1] == -EAGAIN, "both open");
	FL_ACCEPTABLE(1, "one found it closed");
}
