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
 * Scenarios for the laboratory. A scenario has actors that share a state, and says which outcomes
 * are allowed. fairlead-stress runs it on real threads (native), with delays and faults (chaos),
 * and under the model, which decides every interleaving and every value that C11 lets a load
 * return. laboratory/scenarios.md is the guide.
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
 * `s` is the state, zeroed before each execution. An execution runs the setup, then all actors at
 * once, and then the body of FL_STRESS. The body frees what setup and actors made, and states the
 * outcome, which is that of the first macro whose condition holds. It is an error if no condition
 * holds. Threads that never end, and memory that is not freed, are reported.
 */

/* What an outcome means. The report counts the outcomes of each kind. */
enum fl_stress_expect { FL_STRESS_ACCEPTABLE, FL_STRESS_INTERESTING, FL_STRESS_FORBIDDEN };

#define FL_ACCEPTABLE(condition, label) FL__STRESS_OUTCOME(FL_STRESS_ACCEPTABLE, condition, label)
#define FL_INTERESTING(condition, label) FL__STRESS_OUTCOME(FL_STRESS_INTERESTING, condition, label)
#define FL_FORBIDDEN(condition, label) FL__STRESS_OUTCOME(FL_STRESS_FORBIDDEN, condition, label)

/*
 * Defines a function that prepares the state of `test` before the actors begin. A test has at most
 * one such function.
 */
#define FL_STRESS_SETUP(test)                                                                                          \
	FL__STRESS_FUNCTION_(test, setup)                                                                              \
	__attribute__((__constructor__)) static void test##__register_setup(void)                                      \
	{                                                                                                              \
		fl_stress_register_setup(#test, test##__setup__call);                                                  \
	}                                                                                                              \
	static void test##__setup(__attribute__((__unused__)) struct test *s)

/*
 * Defines an actor, which is the code of a thread. Each time that FL_STRESS names the actor, one
 * more thread runs it. The second of these threads is called actor-2. A test has at most
 * FL_STRESS_ACTORS threads.
 */
#define FL_STRESS_ACTOR(test, actor)                                                                                   \
	FL__STRESS_FUNCTION_(test, actor)                                                                              \
	static void test##__##actor(__attribute__((__unused__)) struct test *s)

/*
 * Defines the scenario `test`: its actors, and its state `struct test`. The body states the
 * outcome.
 */
#define FL_STRESS(test, ...) FL__STRESS_TEST(test, false, __VA_ARGS__)

/*
 * Defines a scenario whose actors are processes, each with threads and global variables of its own.
 * The actors share the state, and the memory that is allocated during the execution. The mode
 * `crash` kills one actor, at each of its steps in turn. Other modes kill no actor, and in the
 * native mode the actors are threads. Otherwise this is the same as FL_STRESS.
 */
#define FL_STRESS_PROCESSES(test, ...) FL__STRESS_TEST(test, true, __VA_ARGS__)

#define FL__STRESS_TEST(test, separate, ...)                                                                           \
	FL__STRESS_FUNCTION_(test, outcome)                                                                            \
	__attribute__((__constructor__)) static void test##__register(void)                                            \
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
	static void test##__outcome(__attribute__((__unused__)) struct test *s)

enum { FL_STRESS_ACTORS = 8 };

/*
 * Reports a failure if the condition is false. The model then ends the execution; on real threads,
 * the thread goes on.
 */
#define FL_STRESS_CHECK(condition)                                                                                     \
	((condition) ? (void)0 : fl_stress_fail(__FILE__, __LINE__, "FL_STRESS_CHECK(" #condition ")"))

/*
 * Returns a number below n. The model tries each number, and takes an n of at most 255. Other modes
 * draw a number at random.
 */
unsigned fl_stress_choose(unsigned n);

/* Stops the calling thread if the condition is false. Only the model does so. */
void fl_stress_assume(bool condition);

/*
 * Returns how many of n equal operations to do: n, or fewer while the laboratory shrinks a failure.
 * The outcome must not depend on the count.
 *
 *     for (unsigned i = fl_stress_ops(3); i > 0; i--) ...
 */
unsigned fl_stress_ops(unsigned n);

/*
 * Call it once in each turn of a waiting loop. Under the model the call returns when a value that
 * the caller has read has changed.
 */
void fl_stress_relax(void);

/*
 * These wait on a 32-bit atomic word, and wake its waiters, as the system call futex() does. If the
 * word has the value `expected`, fl_stress_futex_wait() waits for a wake. `deadline` is in
 * nanoseconds of CLOCK_MONOTONIC; INT64_MAX means that there is none. fl_stress_futex_wake() wakes
 * up to `n` waiters, and returns how many it has woken. fl_stress_futex_wait() returns:
 *   0           the caller was woken; or, in every mode, a spurious wakeup
 *   -EAGAIN     the word has another value
 *   -EINTR      a signal has interrupted the wait
 *   -ETIMEDOUT  the deadline passed
 */
int fl_stress_futex_wait(const void *word, uint32_t expected, int64_t deadline);
int fl_stress_futex_wake(const void *word, int n);

/*
 * Returns whether a process of the actor of that name was killed. Only the mode `crash` kills
 * actors of FL_STRESS_PROCESSES.
 */
bool fl_stress_killed(const char *actor);

/*
 * Returns how many steps the calling thread has done in this execution. Only steps that other
 * threads can observe count. Without the model the result is 0.
 */
uint32_t fl_stress_steps(void);

/*
 * Returns the time in nanoseconds of CLOCK_MONOTONIC, for deadlines. Under the model it is the
 * model's time, which passes only by timeouts and by fl_stress_relax().
 */
int64_t fl_stress_now(void);

/*
 * Begins or ends the counts of `fairlead-stress --traffic`. A call with 0 begins the counts. A call
 * with another number ends them, and says that this number of operations was done in between. In
 * other runs the call has no effect.
 */
void fl_stress_traffic(unsigned operations);

/* Used by the macros. */

struct fl_stress_function {
	const char *name;
	void (*call)(void *state);
};

struct fl_stress_test {
	size_t size; /* the size of this struct in the version of the caller's header */
	const char *name, *file;
	int line;
	bool instrumented;  /* it was compiled with -fsanitize=thread, so the model can see it */
	bool processes;     /* the actors are processes */
	struct fl_lin *lin; /* the laboratory makes the actors (fairlead/stress_lin.h); else NULL */
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
#if __has_feature(__thread_sanitizer__)
#define FL__STRESS_INSTRUMENTED true
#endif
#endif
#ifndef FL__STRESS_INSTRUMENTED
#define FL__STRESS_INSTRUMENTED false
#endif

/* Declares test__name(struct test *), and defines a void (void *) function that calls it. */
#define FL__STRESS_FUNCTION_(test, name)                                                                               \
	static void test##__##name(struct test *);                                                                     \
	static void test##__##name##__call(void *_state)                                                               \
	{                                                                                                              \
		test##__##name((struct test *)_state);                                                                 \
	}

/* One initialiser for each actor, up to eight. */
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
