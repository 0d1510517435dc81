/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "of the environment by". A thread calls setenv() while another calls getenv().
 */
#include "two_threads.h"

static void *set(void *arg)
{
	setenv("A", "1", 1);
	return arg;
}

static void *get(void *arg)
{
	(void)getenv("A");
	return arg;
}

int main(void)
{
	return in_two_threads(set, get);
}
