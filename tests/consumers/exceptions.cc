/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions in fibers that wait: in a catch block, in a destructor while an exception is in
 * flight, and deep in the stack. Prints what is wrong, or ok. Also as a shared object, which a
 * program in C loads: there `run` is called.
 */
#include <exception>
#include <fairlead.h>
#include <stdexcept>
#include <stdio.h>
#include <string.h>
#include <string>

static int bad;
#define CHECK(condition) ((condition) ? (void)0 : (bad++, (void)printf("%d: %s\n", __LINE__, #condition)))

enum { FIBERS = 8, ROUNDS = 20 };

static void give_way()
{
	CHECK(fl_sleep(0) == 0);
}

struct waits_in_its_destructor {
	~waits_in_its_destructor()
	{
		const int in_flight = std::uncaught_exceptions();
		give_way();
		CHECK(std::uncaught_exceptions() == in_flight);
	}
};

/* Leaves frames that no function returns from. */
static int deep(int n, const std::string &text)
{
	char some[300];
	memset(some, n, sizeof some);
	if (n == 0) {
		waits_in_its_destructor w;
		throw std::runtime_error(text);
	}
	volatile int result = deep(n - 1, text);
	return result + some[5];
}

static void rethrow(const std::string &mine)
{
	try {
		deep(20, mine);
	} catch (const std::exception &outer) {
		give_way();
		try {
			CHECK(std::uncaught_exceptions() == 0);
			throw;
		} catch (const std::exception &inner) {
			give_way();
			CHECK(mine == inner.what());
		}
		CHECK(mine == outer.what());
	}
	CHECK(!std::current_exception());
}

static int throws(void *arg)
{
	const std::string mine =
	    "the text of fiber " + std::to_string(*static_cast<int *>(arg)) + ", which is not short";
	CHECK(!std::current_exception() && std::uncaught_exceptions() == 0);
	for (int i = 0; i < ROUNDS; i++) {
		char some[500];
		memset(some, i, sizeof some);
		rethrow(mine);
		for (char c : some)
			CHECK(c == static_cast<char>(i));
	}
	return 0;
}

static int all(void *)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	static int numbers[FIBERS];
	for (int i = 0; i < FIBERS; i++) {
		numbers[i] = i;
		CHECK(fl_group_start(&g, throws, &numbers[i]) == 0);
	}
	CHECK(fl_group_join(&g) == 0);
	return 0;
}

/* The thread itself runs a loop in a catch block. */
static void in_a_catch_block(fl_loop *l)
{
	try {
		throw std::runtime_error("of the thread");
	} catch (const std::exception &e) {
		FL_IGNORE(fl_loop_run_on(l, all, NULL));
		try {
			throw;
		} catch (const std::exception &again) {
			CHECK(strcmp(again.what(), "of the thread") == 0 && strcmp(e.what(), "of the thread") == 0);
		}
	}
}

extern "C" int run();
extern "C" __attribute__((visibility("default"))) int run()
{
	FL_SCOPED(fl_loop) *l = NULL;
	CHECK(fl_loop_create(&l, NULL) == 0);
	in_a_catch_block(l);
	CHECK(!std::current_exception());
	CHECK(fl_loop_run(all, NULL) == 0);
	puts(bad ? "failed" : "ok");
	return bad != 0;
}

#ifndef SHARED_OBJECT
int main()
{
	return run();
}
#endif
