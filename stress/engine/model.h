/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_MODEL_H
#define STRESS_MODEL_H

#include "../../lib/fiber/switch.h"
#include "clock.h"
#include "door.h"
#include "lab.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One execution in the model. All model threads run on fibers of one kernel thread; `lab` is the state of the execution
 * that runs now. README.md tells how the files share the work.
 */

typedef unsigned __int128 lab_value;

enum lab_op_kind {
	LAB_START,
	LAB_LOAD,
	LAB_STORE,
	LAB_RMW,
	LAB_CAS_FAILED,
	LAB_FENCE,
	LAB_FUTEX_WAIT,
	LAB_FUTEX_WAKE,
	LAB_FUTEX_DONE, /* the end of a wait that slept */
	LAB_SPAWN,
	LAB_JOIN,
	LAB_EXIT,
	LAB_RELAX,
	LAB_INPUT,
	LAB_PLAIN, /* no step of its own: for reports */
	LAB_ALLOC,
	LAB_FREE,
	LAB_FUTEX_MANY, /* a wait on several words */
	LAB_MEMBARRIER, /* a fence of another thread */
	LAB_KILLED,     /* in place of a step */
	LAB_OWNER_DIED, /* what the kernel does to the word of a lock */
	LAB_CALL,       /* a call of an FL_LIN_OP begins; the address is its place in the program */
	LAB_RETURN,
	LAB_SYNC /* of an object of the C library; `order` is an enum lab_sync */
};

/* A step, as it is announced: what the thread will do when it is let run. */
struct lab_op {
	uint8_t kind, size, order;
	uintptr_t address, pc;
};

enum lab_state {
	LAB_UNBORN, /* has its number, and does not run yet */
	LAB_READY,
	LAB_SPINNING, /* in a loop that waits: goes on when what it looked at changes, or when it is let give up */
	LAB_BLOCKED,
	LAB_DONE
};

enum { LAB_LOOKS = 8 };
struct lab_object; /* object.h */
struct lab_look {
	uintptr_t address;
	uint32_t step; /* of the store that it saw */
};

struct lab_thread {
	struct fl__switch flow;
	unsigned id;
	uint8_t process; /* 0: main's; an actor's of a test with processes is one more than its number */
	bool ends;       /* killed, or returned: the rest is the kernel's */
	enum lab_state state;
	char name[32];
	void *(*start)(void *arg);
	void *arg;

	struct lab_op next;
	uint32_t ops;   /* steps and choices so far: with the id, the name of a choice */
	uint32_t kills; /* how often it could have been killed so far: with the id, the name of that */
	bool any_acquired, any_released;

	uintptr_t futex; /* what it sleeps on; of several the first */
	uint32_t expected;
	const struct fl__futex *many; /* all that it sleeps on, until it runs again; NULL: one at most */
	unsigned n_many;
	uint64_t woken_by[FL__FUTEXES / 64]; /* of these: whose line it has left */
	uint32_t blocked_at;                 /* the step */
	bool expires;                        /* it has a deadline */
	int64_t deadline;
	int result; /* of the wait */
	unsigned joins;
	const struct lab_object *object; /* what its announced step is on; NULL: of no object */
	bool (*can)(const struct lab_object *object, const struct lab_thread *thread); /* whether that is possible */
	unsigned round;       /* of the barrier at which it waits */
	bool dozes;           /* sleeps for a time: may go on whenever the search likes */
	uint32_t clock_ops;   /* its step at which it last read a clock, */
	unsigned clock_looks; /* and how often in a row */

	struct lab_look looks[LAB_LOOKS]; /* what it has looked at since its last relax */
	uint32_t since;                   /* the step at which it last ran or became ready */
	unsigned n_looks;                 /* more than LAB_LOOKS: too much to tell */
	uintptr_t last_load;              /* for loops that forget to relax: */
	uint32_t last_step;
	unsigned repeats;   /* loads of the same in a row */
	uintptr_t gave_up;  /* the site at which it was let give up, until something that it looked at changes */
	unsigned giving_up; /* turns that are still free after that */
	uintptr_t turn[LAB_LOOKS], spun[LAB_LOOKS]; /* sites of loads: since its last relax; of the loop it gave up */
	unsigned n_turn, n_spun;                    /* more than LAB_LOOKS: too many to tell */
	unsigned progress;                          /* how often a change of its own let it give up anew */
	bool hard;                                  /* gave up already: only a change lets it go on */

	int error; /* errno */
	unsigned depth;
	/* What follows is not zeroed for a new thread. */
	struct lab_view view;     /* as wide as there are threads */
	struct lab_view acquired; /* by relaxed loads; an acquire fence makes it known */
	struct lab_view released; /* at the last release fence */
	uintptr_t calls[64];
};

/* The budget of one execution, and what it has used. */
struct lab_spent {
	int preemptions, stale, faults, kills;
};

struct lab_event {
	struct lab_op op;
	uint8_t thread;
	bool preempted, fault;
	bool hidden;    /* a plain access: shown when it is the other half of a race */
	bool raced;     /* one half of a race */
	uint32_t step;  /* its number in the execution */
	uint32_t from;  /* of an atomic that reads: the step of the store */
	unsigned stale; /* how many stores older than the newest */
	lab_value value, other;
	int result;
};

struct lab_execution {
	bool active;    /* a model thread runs: what is instrumented is ours to decide */
	bool recording; /* events are kept */
	bool counted;   /* its outcome is: it is of the search, not of what follows a failure */
	unsigned n_threads;
	struct lab_thread *self;
	struct lab_thread threads[LAB_THREADS];
	struct fl__switch home; /* of whoever runs executions */

	uint32_t steps;
	uint32_t generation;                    /* of locations and cells: those of others are empty */
	struct lab_clock sc_fenced;             /* what happens before the SC fences so far */
	lab_set ready, spinning, timed, dozing; /* the threads that are; timed: blocked, with a deadline */
	unsigned streak;                        /* steps that the running thread has done in a row */
	unsigned idle_rounds;                   /* since the last store: all spin, none sees a change */
	int64_t now;
	uint64_t hash;
	lab_set sleep; /* threads whose next step would repeat an execution that was seen */
	struct lab_spent spent;

	bool program;       /* the test is a program with main() */
	uintptr_t errno_at; /* of the only kernel thread: each model thread's own, kept while others run */
	uint32_t plain;     /* accesses of the running thread since the last step */
	void *state;
	bool acting;          /* between setup and outcome */
	bool processes;       /* the actors are */
	bool killable;        /* and one may be killed */
	lab_set ending;       /* threads that end: the kernel goes through their robust lists */
	lab_set killed;       /* processes */
	uint32_t kill_points; /* that were passed so far */
	struct lab_outcome *outcome;
	uintptr_t signature; /* what tells two failures of one verdict apart */
	uintptr_t at;        /* of a failure: lab_failure.address */
	bool failed, pruned;
	enum lab_verdict verdict;
	char message[512];
	char details[4096];

	struct lab_event *events;
	size_t n_events, room_events;
	bool switched; /* the running thread was let run in place of one that could have gone on */
};

extern struct lab_execution lab;
extern struct lab_config lab_config;
extern const struct lab_test *lab_running;

/* run.c: one execution, from the choices that choice.c makes */
void lab_execute(void);
void lab_watch(bool on); /* for crashes and hangs */
/* Ends the execution; does not return to the model thread. */
_Noreturn void lab_fail(enum lab_verdict verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void lab_prune(void);
void lab_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void lab_end(void); /* ends the execution without a failure */

/* thread.c */
/* Announces a step of the running thread; returns when it is let do it. */
void lab_point(struct lab_op op);
/* The running thread cannot go on until somebody makes it ready. */
void lab_block(void);
void lab_ready(struct lab_thread *thread);
/*
 * Announces a step that is possible while `can` returns true. Returns when the search lets the thread do the step. A thread
 * with `expires` may return at its deadline, with the `result` -ETIMEDOUT.
 */
void lab_thread_await(struct lab_op op, const struct lab_object *object,
                      bool (*can)(const struct lab_object *object, const struct lab_thread *thread));
/* The announced step of the thread has become possible, or is no longer possible. */
void lab_thread_can(struct lab_thread *thread, bool can);
_Noreturn void lab_thread_leave(void); /* the running thread ends */
/* A new thread, not started. Passing the limit of threads ends the execution as not modelled. */
struct lab_thread *lab_thread_new(const char *name, void *(*start)(void *), void *arg);
/* The same, named by its number. */
struct lab_thread *lab_thread_spawn(void *(*start)(void *), void *arg);
/* Lets it run; what the caller did happens before. */
void lab_thread_start(struct lab_thread *thread, uintptr_t pc);
void lab_join(struct lab_thread *thread, uintptr_t pc);
void lab_relax(uintptr_t pc);
/* Whether a load is a turn of a spin that was let give up: then it is no step. Also where a loop forgot to relax. */
bool lab_spins(uintptr_t address, uintptr_t pc);
void lab_looked(uintptr_t address, uint32_t step); /* the running thread has seen the store of that step */
void lab_moved_on(void);                           /* the running thread has changed a value */
void lab_changed(uintptr_t address);               /* a store by the running thread: spinners look again */
void lab_threads_reset(void);
void lab_begin(void (*body)(void)); /* the main thread; returns when the execution has ended */
/* stuck.c: ends the execution. */
_Noreturn void lab_stuck(void);
/* It does nothing more of its own: the kernel goes through its robust list next. */
void lab_bury(struct lab_thread *thread);
/* The running thread, buried, goes on as that. */
_Noreturn void lab_rest(void);

/* choice.c */
enum lab_choice_kind {
	LAB_PICK_THREAD,
	LAB_PICK_STALE,
	LAB_PICK_FAULT,
	LAB_PICK_WAITER,
	LAB_PICK_INPUT,
	LAB_PICK_OPS,
	LAB_PICK_KILL,
	LAB_PICK_PROGRAM
};
unsigned lab_choose(enum lab_choice_kind kind, unsigned n);
/* Which of `set` goes on; `usual` is the one that costs nothing. */
unsigned lab_choose_thread(lab_set set, unsigned usual);
bool lab_fault(unsigned which);
bool lab_may_fault(unsigned which);
/* Whether the running thread's process is killed here; `rare`: it never was at this step. */
bool lab_choose_kill(bool rare);

/* crash.c: processes that are killed */
enum lab_death { LAB_AT_STEP, LAB_ASLEEP, LAB_WOKEN, LAB_IN_COPY };
/* The running thread's process may be killed in place of `op`; then it does not return. */
void lab_kill_point(struct lab_op op, enum lab_death how);
/* The same in the middle of a copy: the bytes that are still written, and then lab_die(); 0: it is not killed. */
size_t lab_cut(uintptr_t to, size_t size, uintptr_t pc);
_Noreturn void lab_die(struct lab_op op, enum lab_death how);
/* What the kernel does when the running thread ends: exit_robust_list(). */
void lab_exit_walk(void);
struct fl__robust_list *lab_robust_list(unsigned thread);
void lab_robust_reset(unsigned thread);
bool lab_is_list(uintptr_t address);
bool lab_is_shared(uintptr_t address);
void lab_kills_reset(void);
void lab_kills_count(struct lab_result *result);

/* memory.c */
lab_value lab_atomic_load(uintptr_t address, unsigned size, int order, uintptr_t pc);
void lab_atomic_store(uintptr_t address, unsigned size, lab_value value, int order, uintptr_t pc);
typedef lab_value lab_update(lab_value old, lab_value operand);
lab_update lab_update_set; /* the operand */
lab_value lab_atomic_rmw(uintptr_t address, unsigned size, lab_update *update, lab_value operand, int order,
                         uintptr_t pc);
bool lab_atomic_cas(uintptr_t address, unsigned size, lab_value *expected, lab_value desired, int order, int failure,
                    bool weak, uintptr_t pc);
void lab_atomic_fence(int order, uintptr_t pc);
void lab_membarrier(uintptr_t pc);
/* By the kernel, for the running thread. */
lab_value lab_kernel_rmw(uintptr_t address, lab_update *update, lab_value operand);
lab_value lab_peek(uintptr_t address, unsigned size);
uint32_t lab_newest_step(uintptr_t address); /* of the last store there; 0: none in this execution */

/* cell.c: what is known about eight bytes */
struct lab_location;
enum { LAB_RECORDS = 12, LAB_FEW = 2 };
struct lab_record {
	uint32_t clock;
	uint8_t thread, mask;
	bool write;
	uintptr_t pc;
};
/* As large as a cache line: most have two records at most. */
struct lab_cell {
	uintptr_t granule;
	uint32_t generation;
	uint32_t n_records;
	struct lab_location *locations;
	struct lab_record *more; /* after the first few; NULL: there never were any */
	struct lab_record few[LAB_FEW];
};
static inline struct lab_record *lab_record_at(const struct lab_cell *cell, uint32_t i)
{
	return (struct lab_record *)(i < LAB_FEW ? &cell->few[i] : &cell->more[i - LAB_FEW]);
}
/* Room for the rest of a cell's records. */
struct lab_record *lab_more_records(void);
struct lab_cell *lab_cell(uintptr_t address);
struct lab_cell *lab_cell_find(uintptr_t address); /* NULL: not touched yet */
/* Those of a block, which begins with a cell. */
void lab_cells_in(uintptr_t address, size_t size, void (*visit)(const struct lab_cell *cell));

/* race.c */
void lab_plain(uintptr_t address, size_t size, bool write, uintptr_t pc);
/* An atomic access of `size` bytes: against the plain ones. */
void lab_race_atomic(struct lab_cell *cell, uintptr_t address, unsigned size, bool write, uintptr_t pc);
/* The end of a block: all accesses to it must happen before. */
void lab_race_free(uintptr_t address, size_t size, uintptr_t pc);

/* location.c: atomic locations of a cell */
void lab_location_plain_write(struct lab_cell *cell, uintptr_t address, unsigned size);

/* heap.c */
struct lab_cell;
void lab_heap_born(struct lab_cell *cell);      /* of a program's block: its allocation is a write */
void lab_heap_keep(uintptr_t value, void *arg); /* the block there, if there is one, is not lost */
void *lab_alloc(size_t size, uintptr_t pc);
void *lab_alloc_aligned(size_t alignment, size_t size, uintptr_t pc); /* a power of 2, at least 16 */
void lab_free(void *memory, uintptr_t pc);
void *lab_map(size_t size); /* pages, until the end of the execution */
size_t lab_size(const void *memory);
bool lab_is_heap(uintptr_t address);
bool lab_is_stack(uintptr_t address); /* of a model thread */
bool lab_is_guard(uintptr_t address); /* of a stack */
void lab_heap_check(uintptr_t address, size_t size, bool write, uintptr_t pc);
bool lab_heap_has(uintptr_t address, size_t size); /* the state, or a live block: memory that processes share */
void lab_heap_reset(void);
void lab_heap_leaks(void); /* fails the execution when there are any */
void *lab_state_place(size_t size);
void *lab_stack_of(unsigned thread, size_t *size);
bool lab_name_memory(uintptr_t address, char *text, size_t size); /* false: none of ours */

/* module.c */
struct lab_module;
const struct lab_module *lab_module_at(uintptr_t address);
void lab_globals_written(uintptr_t address, size_t size);
bool lab_is_global(uintptr_t address);
bool lab_is_module_code(uintptr_t pc);
void lab_globals_reset(void);
/* Each process has globals of its own, which begin as main has them; 0: main. */
void lab_globals_enter(unsigned process);
/* Calls `visit` for each word of the globals that this execution has changed. */
void lab_globals_visit(void (*visit)(uintptr_t value, void *arg), void *arg);
void lab_tls_save(unsigned thread);
void lab_tls_load(unsigned thread);
void lab_tls_begin(unsigned thread); /* those of a new thread */
bool lab_is_tls(uintptr_t address);
/* `program`: each thread has thread-locals at a place of its own. */
void lab_module_use(const struct lab_module *module, bool program);
void lab_tls_visit(unsigned thread, void (*visit)(uintptr_t value, void *arg), void *arg);

/* sys.c: the table that a module's copy of the library gets */
void lab_sys_install(const struct lab_door *door);
int lab_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc);
int lab_futex_wake(uintptr_t word, int n, uintptr_t pc);
int lab_wait_many(const struct fl__futex *words, unsigned n, int64_t deadline, uintptr_t pc);

/* trace.c */
struct lab_event *lab_event(const struct lab_op *op);
void lab_hash(uint64_t value);
bool lab_describe_site(uintptr_t pc, char *text, size_t size);
void lab_name_address(uintptr_t address, char *text, size_t size);

/* user.c */
const struct lab_outcome *lab_outcomes(unsigned *n);
void lab_outcomes_reset(void);
void lab_outcome_forbidden(const char *label); /* one was seen; the execution ends next */

/* site.c */
void lab_site_reached(uintptr_t pc, const char *operation, int order);

static inline bool lab_is_release(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static inline bool lab_is_acquire(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
	       order == __ATOMIC_SEQ_CST;
}

/* Of the thread's last step. */
static inline uint32_t lab_clock_of(const struct lab_thread *thread)
{
	return thread->view.at[thread->id].hb;
}

/* Of what it does after that step: no message of the step carries it. */
static inline uint32_t lab_clock_after(const struct lab_thread *thread)
{
	return lab_clock_of(thread) + 1;
}

#endif
