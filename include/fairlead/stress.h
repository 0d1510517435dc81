/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STRESS_H
#define FAIRLEAD_STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Scenarios for the laboratory: some actors that share a state, and what may come out of it. The same source runs on real
 * threads (native), with delays and faults (chaos), and in the model, which decides every interleaving and every value that
 * C11 lets a load see. This header needs nothing else of Fairlead; fairlead-stress(1) runs what is written with it.
 *
 *     struct mp { atomic_int data, flag; int seen, value; };
 *
 *     FL_STRESS_ACTOR(mp, writer) { s->data = 1; s->flag = 1; }
 *     FL_STRESS_ACTOR(mp, reader) { s->seen = s->flag; s->value = s->data; }
 *     FL_STRESS(mp, writer, reader)
 *     {
 *             FL_FORBIDDEN(s->seen && !s->value, "flag without data");
 *             FL_ACCEPTABLE(1, "all else");
 *     }
 *
 * `s` is the state: zeroed before each execution, then given to the setup, if there is one, then to all actors at once, and
 * at last to the body of FL_STRESS, which runs alone, after all actors have returned. It frees what setup and actors made,
 * and then says what the outcome was: the first macro whose condition holds decides; none is an error. In the model the
 * actors may start threads, lock and wait through Fairlead; what they leave behind (threads that never end, memory) is
 * reported.
 */

/* How often an outcome may be seen. */
enum fl_stress_expect { FL_STRESS_ACCEPTABLE, FL_STRESS_INTERESTING, FL_STRESS_FORBIDDEN };

#define FL_ACCEPTABLE(condition, label) FL__STRESS_OUTCOME(FL_STRESS_ACCEPTABLE, condition, label)
#define FL_INTERESTING(condition, label) FL__STRESS_OUTCOME(FL_STRESS_INTERESTING, condition, label)
#define FL_FORBIDDEN(condition, label) FL__STRESS_OUTCOME(FL_STRESS_FORBIDDEN, condition, label)

/* Prepares the state; runs before the actors of `test`, alone. Optional; one for each test. */
#define FL_STRESS_SETUP(test)                                                                                          \
	FL__STRESS_FUNCTION_(test, setup)                                                                              \
	__attribute__((constructor)) static void test##__register_setup(void)                                          \
	{                                                                                                              \
		fl_stress_register_setup(#test, test##__setup__call);                                                  \
	}                                                                                                              \
	static void test##__setup(__attribute__((unused)) struct test *s)

/* What one thread does. At most FL_STRESS_ACTORS for each test. */
#define FL_STRESS_ACTOR(test, actor)                                                                                   \
	FL__STRESS_FUNCTION_(test, actor)                                                                              \
	static void test##__##actor(__attribute__((unused)) struct test *s)

/* The test `test` with the state `struct test`, its actors, and, as the body, its outcomes. */
#define FL_STRESS(test, ...) FL__STRESS_TEST(test, false, __VA_ARGS__)

/*
 * The same, whose actors are processes, each with threads and global variables of its own. They share the state, and memory
 * that is allocated while the test runs stands for more of the same. The mode `crash` kills one of them, at every step, as
 * SIGKILL does, and does for its robust list what Linux does. In other modes nobody is killed; natively they are threads.
 */
#define FL_STRESS_PROCESSES(test, ...) FL__STRESS_TEST(test, true, __VA_ARGS__)

#define FL__STRESS_TEST(test, separate, ...)                                                                           \
	FL__STRESS_FUNCTION_(test, outcome)                                                                            \
	__attribute__((constructor)) static void test##__register(void)                                                \
	{                                                                                                              \
		static struct fl_stress_test _t = {                                                                    \
		    sizeof(struct fl_stress_test),                                                                     \
		    #test,                                                                                             \
		    __FILE__,                                                                                          \
		    __LINE__,                                                                                          \
		    FL__STRESS_INSTRUMENTED,                                                                           \
		    (separate),                                                                                        \
		    NULL,                                                                                              \
		    sizeof(struct test),                                                                               \
		    __alignof__(struct test),                                                                          \
		    {NULL, NULL},                                                                                      \
		    {"outcome", test##__outcome__call},                                                                \
		    {FL__STRESS_EACH(test, __VA_ARGS__)},                                                              \
		    NULL,                                                                                              \
		};                                                                                                     \
		fl_stress_register(&_t);                                                                               \
	}                                                                                                              \
	static void test##__outcome(__attribute__((unused)) struct test *s)

enum { FL_STRESS_ACTORS = 8 };

/* For what only an actor can see: where it does not hold, the model ends the execution, and a real thread goes on. */
#define FL_STRESS_CHECK(condition)                                                                                     \
	((condition) ? (void)0 : fl_stress_fail(__FILE__, __LINE__, "FL_STRESS_CHECK(" #condition ")"))

/* A number below n: the model tries each, other modes draw it. For inputs, sizes, and which operation comes next. */
unsigned fl_stress_choose(unsigned n);

/* The model gives an execution up in which the condition does not hold, without a verdict. In other modes: no effect. */
void fl_stress_assume(bool condition);

/*
 * How many of n like operations to do: n. When the laboratory shrinks a failure it tries fewer, so it is for operations
 * that the outcome does not count: for (unsigned i = fl_stress_ops(3); i > 0; i--) ...
 */
unsigned fl_stress_ops(unsigned n);

/* One turn of a loop that waits for another thread. In the model the caller goes on when something it looked at changed. */
void fl_stress_relax(void);

/*
 * The two halves of a futex on a 32-bit atomic word: waits while it holds `expected`, until a wake; wakes up to n. 0,
 * -EAGAIN (another value), -EINTR, -ETIMEDOUT (`deadline`: absolute, CLOCK_MONOTONIC, ns; INT64_MAX: none); 0 may come
 * without a wake, in each mode. The model chooses which.
 */
int fl_stress_futex_wait(const void *word, uint32_t expected, int64_t deadline);
int fl_stress_futex_wake(const void *word, int n);

/* Whether that actor of FL_STRESS_PROCESSES has been killed in this execution; false in all modes but `crash`. */
bool fl_stress_killed(const char *actor);

/*
 * How many steps (of those that other threads can see) the calling thread has taken in this execution; 0 in all modes but
 * the model's. For an operation that promises to end after a bounded number of its own.
 */
uint32_t fl_stress_steps(void);

/* The clock of the deadlines. The model's time is its own: it passes when a wait times out, or a loop turns. */
int64_t fl_stress_now(void);

/* --- what the macros are made of --- */

struct fl_stress_function {
	const char *name;
	void (*call)(void *state);
};

struct fl_stress_test {
	size_t size; /* of this struct, for those who were compiled with another version of it */
	const char *name, *file;
	int line;
	bool instrumented;  /* compiled with -fsanitize=thread: the model can see it */
	bool processes;     /* the actors are */
	struct fl_lin *lin; /* of <fairlead/stress_lin.h>: the actors are the laboratory's; else NULL */
	size_t state_size, state_align;
	struct fl_stress_function setup, outcome, actors[FL_STRESS_ACTORS + 1];
	struct fl_stress_test *next;
};

void fl_stress_register(struct fl_stress_test *test);
void fl_stress_register_setup(const char *test, void (*setup)(void *state));
void fl_stress_fail(const char *file, int line, const char *what);
bool fl_stress_outcome(enum fl_stress_expect expect, bool holds, const char *label);

#define FL__STRESS_OUTCOME(expect, condition, label)                                                                   \
	do {                                                                                                           \
		if (fl_stress_outcome((expect), (condition) ? true : false, (label)))                                  \
			return;                                                                                        \
	} while (0)

#if defined(__SANITIZE_THREAD__)
#define FL__STRESS_INSTRUMENTED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FL__STRESS_INSTRUMENTED true
#endif
#endif
#ifndef FL__STRESS_INSTRUMENTED
#define FL__STRESS_INSTRUMENTED false
#endif

/* Declares test__name(struct test *), and defines the function of type void (void *) around it. */
#define FL__STRESS_FUNCTION_(test, name)                                                                               \
	static void test##__##name(struct test *);                                                                     \
	static void test##__##name##__call(void *_state)                                                               \
	{                                                                                                              \
		test##__##name((struct test *)_state);                                                                 \
	}

/* One initializer for each actor, up to eight. */
#define FL__STRESS_ONE(test, a) {#a, test##__##a##__call},
#define FL__STRESS_EACH(...)                                                                                           \
	FL__STRESS_PICK(__VA_ARGS__, FL_STRESS_takes_at_most_8_actors, FL_STRESS_takes_at_most_8_actors, FL__STRESS_8, \
	                FL__STRESS_7, FL__STRESS_6, FL__STRESS_5, FL__STRESS_4, FL__STRESS_3, FL__STRESS_2,            \
	                FL__STRESS_1, )                                                                                \
	(__VA_ARGS__)
#define FL__STRESS_PICK(test, a, b, c, d, e, f, g, h, i, j, name, ...) name
#define FL__STRESS_1(t, a) FL__STRESS_ONE(t, a)
#define FL__STRESS_2(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_1(t, __VA_ARGS__)
#define FL__STRESS_3(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_2(t, __VA_ARGS__)
#define FL__STRESS_4(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_3(t, __VA_ARGS__)
#define FL__STRESS_5(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_4(t, __VA_ARGS__)
#define FL__STRESS_6(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_5(t, __VA_ARGS__)
#define FL__STRESS_7(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_6(t, __VA_ARGS__)
#define FL__STRESS_8(t, a, ...) FL__STRESS_ONE(t, a) FL__STRESS_7(t, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
