/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_NATIVE_H
#define STRESS_NATIVE_H

#include "../engine/user.h"
#include <stdatomic.h>

/*
 * The run of a test on real threads. States come in batches. One thread, the leader, sets up all
 * states of a batch. Then the thread of each actor walks through the states in the same order, so
 * that the actors of one state meet. Then the leader checks the outcomes. The mode chaos disturbs
 * the walk by delays and yields before atomic operations, by moves to other CPUs, and by system
 * calls that end without a reason.
 */

enum { NATIVE_COPIES = 64, NATIVE_THREADS = NATIVE_COPIES * FL_STRESS_ACTORS, NATIVE_ANSWER = 8192 };

/*
 * The part that another process may read while the test runs. It is in shared memory, and all
 * zeroes at first.
 */
struct native_live {
	/* How many states have a known outcome; in the model, the number of executions. */
	_Atomic uint64_t samples;
	_Atomic uint64_t beats; /* changes with any progress except that of samples and actors */
	_Atomic uint32_t asked; /* a futex; 1 means that the watcher wants `answer` */
	_Atomic uint32_t answered;
	/* a line for each actor that is in a sample, and for each waiter, up to 40 */
	char answer[NATIVE_ANSWER];
	/* The number of a fatal signal, which is stored last, and the place where it came. */
	_Atomic int signal;
	uintptr_t pc, address;
	char crashed[32]; /* the thread's name */
	unsigned n_actors;
	struct native_actor_live {
		/* the index of the actor's sample in the batch; UINT32_MAX after its last sample */
		_Alignas(64) _Atomic uint32_t at;
		_Atomic int tid;
		char name[32];
	} actors[NATIVE_THREADS];
};

struct native_config {
	int64_t time;         /* in nanoseconds */
	uint64_t max_samples; /* 0 means no limit */
	uint64_t seed;
	/* How many batches run at the same time, each with its own actors: at least 1. */
	unsigned copies;
	bool chaos;
	bool delays;     /* whether chaos has delays */
	unsigned faults; /* the LAB_FAULT_... bits of chaos */
	struct native_live *live;
	/*
	 * A function that any thread calls when the run cannot go on. It gets the result so far,
	 * and does not return.
	 */
	__attribute__((noreturn)) void (*abandon)(const struct lab_result *result);
};

/* Runs the test. A process should run only one test. The result is never freed. */
const struct lab_result *native_run(const struct lab_test *test, const struct native_config *config);

/* --- between the files of this folder --- */

/* native_run() stores its arguments here. */
extern const struct lab_test *native_test;
extern const struct native_config *native_config;

/*
 * Returns a random number of the calling thread. native_seed() seeds the thread of that number. A
 * thread that the test itself has started gets the next number when it first draws.
 */
uint32_t native_draw(void);
void native_seed(unsigned thread);

/* A batch has the states of one walk. The threads of the actors, which walk, are the team. */
struct native_batch {
	char *states;
	size_t stride, n;
	unsigned skew; /* the most turns of a loop by which an actor delays a sample */
	bool together; /* whether the actors wait a little for each other before each sample */
	/*
	 * Whether each actor stays on one CPU, and the actors of one state stay on different CPUs.
	 * If there are fewer CPUs than actors, some actors share a CPU. If `apart` is false, or
	 * there is a single CPU, the actors run on any CPU. Chaos may still move an actor.
	 */
	bool apart;
};

void native_team_start(void);
/* Runs all actors over the batches, one for each copy. Returns when all are done. */
void native_team_run(const struct native_batch *batches);
/* Returns the state of sample `at` of the i-th thread. This is racy, and only for reports. */
const void *native_team_state(unsigned i, uint32_t at);

/*
 * Whether a macro of the function that states the outcome applied. Set it to false before each
 * state.
 */
extern bool native_decided;

/* Makes the calling thread known, by its name, to the module's copy of the library. */
void native_enter(const char *name);
int native_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);
int native_futex_wake(const void *word, int n);
/* Wait, and wake, on a word in shared memory, between processes. */
void native_shared_wait(const void *word, uint32_t expected);
void native_shared_wake(const void *word);
void native_pause(unsigned turns);

/*
 * Puts the calling thread on the n-th CPU that the process may use, modulo the number of these
 * CPUs. With -1 the thread may run on any of them.
 */
void native_place(int n);

void native_chaos_start(void);
void native_chaos_batch(void); /* chooses anew which sites are slow */

/*
 * Begins to record fatal signals in the shared memory, and to answer a watcher that asks what the
 * threads wait for.
 */
void native_watch_start(void);
void native_watch_thread(void); /* called in each thread that runs the test's code */

#endif
