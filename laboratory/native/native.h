/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_NATIVE_H
#define STRESS_NATIVE_H

#include "../engine/user.h"
#include <stdatomic.h>

/*
 * A test on real threads. States come in batches: one thread sets up all states of a batch, then
 * each actor's thread walks through it in the same order, so that the actors of one state meet,
 * then the first thread checks the outcomes. Chaos disturbs the walk: delays and yields before
 * atomic operations, other CPUs, system calls that end without a reason.
 */

enum { NATIVE_COPIES = 64, NATIVE_THREADS = NATIVE_COPIES * FL_STRESS_ACTORS, NATIVE_ANSWER = 8192 };

/*
 * The part that another process may read while the test runs, in shared memory. All-zero at first.
 */
struct native_live {
	_Atomic uint64_t samples; /* states with a known outcome; in the model: executions */
	_Atomic uint64_t beats;   /* changes with any progress, apart from samples and actors */
	_Atomic uint32_t asked;   /* 1: the watcher wants `answer`; a futex */
	_Atomic uint32_t answered;
	char answer[NATIVE_ANSWER]; /* the waits, a line each */
	/* Of a fatal signal: its number, stored last, and its place. */
	_Atomic int signal;
	uintptr_t pc, address;
	char crashed[32]; /* the thread's name */
	unsigned n_actors;
	struct native_actor_live {
		_Alignas(64) _Atomic uint32_t at; /* the index of its sample in the batch */
		_Atomic int tid;
		char name[32];
	} actors[NATIVE_THREADS];
};

struct native_config {
	int64_t time;         /* ns */
	uint64_t max_samples; /* 0: no limit */
	uint64_t seed;
	unsigned copies; /* batches at once, each with its own actors; at least 1 */
	bool chaos;
	bool delays;       /* of chaos */
	unsigned faults;   /* of chaos: LAB_FAULT_... */
	bool keep_failing; /* goes on after a forbidden outcome */
	struct native_live *live;
	/*
	 * Called by any thread, with the result so far, when the run cannot continue; does not
	 * return.
	 */
	__attribute__((noreturn)) void (*abandon)(const struct lab_result *result);
};

/* The process should run only this test. The result is never freed. */
const struct lab_result *native_run(const struct lab_test *test, const struct native_config *config);

/* --- between the files of this folder --- */

struct native_random {
	uint64_t state;
};

/* For a thread that the test started itself. */
void native_seed_stranger(struct native_random *r);

/* xorshift64*: fast, and good enough to choose delays. */
static inline uint32_t native_draw(struct native_random *r)
{
	if (__builtin_expect(r->state == 0, 0))
		native_seed_stranger(r);
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)(r->state * UINT64_C(2685821657736338717) >> 32);
}

/* The generator of the calling thread. */
extern _Thread_local struct native_random native_random __attribute__((tls_model("initial-exec")));
void native_seed(uint64_t seed, unsigned thread);

/* A team: the threads of the actors, and the states of their walk. */
struct native_batch {
	char *states;
	size_t stride, n;
	unsigned skew; /* an actor begins a sample up to so many turns later */
	bool together; /* actors wait a little for each other before each sample */
	/* Actors of one state run on different CPUs, if there are enough; else anywhere. */
	bool apart;
};

void native_team_start(const struct lab_test *test, const struct native_config *config);
/* Runs all actors over the batches, one for each copy; returns when all are done. */
void native_team_run(const struct native_batch *batches);
/* The state of sample `at` of the i-th thread. For reports: racy. */
const void *native_team_state(unsigned i, uint32_t at);

/* Outcomes (ops.c): begin, call the test's outcome function, end. */
void native_outcomes_begin(void);
bool native_outcome_known(void); /* of the last call; false: no macro applied */
unsigned native_outcomes(const struct lab_outcome **outcomes);
uint64_t native_forbidden(const char **label);

/* A sample was wrong: the first report is the result. */
void native_wrong(enum lab_verdict verdict, const char *message, const char *details);

/*
 * Ends the run with `verdict`, from any thread; the first one counts, and the others wait for the
 * end.
 */
_Noreturn void native_give_up(enum lab_verdict verdict, const char *message);

void native_enter(const char *name); /* the calling thread becomes one of the module's copy of the library */
int native_futex_wait(const void *word, uint32_t expected, int64_t deadline);
int native_futex_wake(const void *word, int n);
/* Between processes, on words in shared memory. */
void native_shared_wait(const void *word, uint32_t expected);
void native_shared_wake(const void *word);
void native_pause(unsigned turns);

/*
 * Puts the calling thread on the n-th CPU that the process may use, modulo their number; -1: on
 * any.
 */
void native_place(int n);

void native_chaos_start(const struct lab_test *test, const struct native_config *config);
void native_chaos_batch(void); /* chooses the slow sites anew */
int native_chaos_wait(int (*wait)(const uint32_t *, uint32_t, int64_t), const void *word, uint32_t expected,
                      int64_t deadline);

/* Fatal signals are recorded in the shared memory; a watcher that asks gets its answer there. */
void native_watch_start(const struct lab_test *test, const struct native_config *config);
void native_watch_thread(void); /* in each thread that runs the test's code */

#endif
