/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_MODEL_H
#define STRESS_MODEL_H

#include "../../lib/loop/fiber/switch.h"
#include "clock.h"
#include "door.h"
#include "lab.h"

/*
 * The state of one execution in the model (`lab`), and the functions that the files of the engine
 * offer each other. README.md lists what each file does. All model threads run on fibers of one
 * kernel thread.
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
	LAB_PLAIN, /* not a step: a plain access, recorded for reports */
	LAB_ALLOC,
	LAB_FREE,
	LAB_FUTEX_MANY, /* a wait on several words */
	LAB_MEMBARRIER, /* a fence of membarrier(), which a thread does for another one */
	LAB_KILLED,     /* a kill, in place of a step */
	LAB_OWNER_DIED, /* the kernel's change of the word of a lock whose owner died */
	LAB_CALL,       /* a call of an FL_LIN_OP begins; the address is its place in the program */
	LAB_RETURN,
	LAB_SYNC,    /* a step on an object of the C library; `order` is from enum lab_sync */
	LAB_MISUSED, /* in a trace alone: the call that ends the execution as MISUSE */
	LAB_ROUNDS   /* in a trace alone: the `other` steps before come again `value` times */
};

/* A step as a thread announces it. The thread makes the step when the search lets it run. */
struct lab_op {
	uint8_t kind, size, order;
	uintptr_t address, pc;
};

enum lab_state {
	LAB_UNBORN, /* has a number, but does not run yet */
	LAB_READY,
	/*
	 * The thread is in a waiting loop. It runs again when something changes that it has read,
	 * or when it may give up.
	 */
	LAB_SPINNING,
	LAB_BLOCKED,
	LAB_DONE
};

enum { LAB_LOOKS = 8, LAB_AWAITS = 8 };
struct lab_object; /* object.h */
struct lab_look {
	uintptr_t address;
	uint32_t step; /* the step of the store that it saw */
};

struct lab_thread {
	struct fl__switch flow;
	unsigned id;
	/* 0: the process of main; otherwise that of an actor: the actor's number + 1 */
	uint8_t process;
	/* killed, or returned: only the kernel's walk of its robust list remains */
	bool ends;
	enum lab_state state;
	char name[32];
	void *(*start)(void *arg);
	void *arg;

	struct lab_op next;
	uintptr_t place; /* lab_own_place() of the call that announced it */
	/* how many steps and choices it has made; this and the thread's number name a choice */
	uint32_t ops;
	/* how many kill points it has passed; this and the thread's number name a kill */
	uint32_t kills;

	uintptr_t futex; /* the futex on which it sleeps; if there are several, the first */
	uint32_t expected;
	/* All futexes on which it sleeps, until it runs again; NULL if it sleeps on at most one. */
	const struct fl__futex *many;
	unsigned n_many;
	uint64_t woken_by[FL__FUTEXES / 64]; /* from which of these futexes it was dequeued */
	uint32_t blocked_at;                 /* at which step it began to wait */
	uintptr_t frame;                     /* lab.frame when it last stopped */
	bool expires;                        /* it has a deadline */
	int64_t deadline;
	int result; /* the result of the wait */
	unsigned joins;
	/* the object of its announced step; NULL: the step is on no object */
	const struct lab_object *object;
	/* Whether the announced step is possible. */
	bool (*can)(const struct lab_object *object, const struct lab_thread *thread);
	/* the round of the barrier at which it waits; or how many bytes its write must place */
	uint64_t round;
	bool dozes; /* it sleeps for a time, or in exit(): the search may end that at any time */
	/* its clock, if traffic is counted; while the thread runs, the clock is in `lab.now` */
	int64_t time;
	uint32_t clock_ops;   /* its step at which it last read a clock */
	unsigned clock_looks; /* how often it has read a clock in a row */

	struct lab_look looks[LAB_LOOKS]; /* the locations read since its last relax */
	/* the step at which it last ran or became ready, less `passed` */
	uint32_t since;
	/* for how many steps it had been ready before its step became impossible */
	uint32_t passed;
	unsigned tries; /* its steps since it last changed anything */
	/* how many changes (lab.moves) it may have seen in these steps */
	unsigned moves;
	unsigned n_looks;    /* more than LAB_LOOKS: not all were kept */
	uintptr_t last_load; /* these three are for loops without a relax */
	uint32_t last_step;
	unsigned repeats; /* how many equal loads it has done in a row */
	/*
	 * The site of the loop that gave up. It becomes 0 as soon as a location that the loop has
	 * read changes, and, a few times, when the thread itself changes a value.
	 */
	uintptr_t gave_up;
	unsigned giving_up; /* how many more turns of the loop it may do, which are no steps */
	/*
	 * Sites of loads: those since the last relax (turn), and those of the loop that gave up
	 * (spun).
	 */
	uintptr_t turn[LAB_LOOKS], spun[LAB_LOOKS];
	unsigned n_turn, n_spun; /* more than LAB_LOOKS: not all were kept */
	unsigned progress;       /* how often its own changes allowed it to give up again */
	/* it has given up already: it runs only after a change, or if no other thread can run */
	bool hard;
	bool uninterrupted; /* loads since its last spin were no steps */
	uint64_t spun_at;   /* lab_state() at its last spin */
	uint32_t spun_step; /* the step that ended that spin */
	uint32_t effects;   /* how many steps so far may have been writes */
	uint32_t changes;   /* how many changes so far were to memory outside of its stack */

	struct lab_await {
		uint32_t step;
		uint64_t state;
	} awaits[LAB_AWAITS]; /* its last waits that a fault ended early */
	unsigned n_awaits;

	/* --- for order.c --- */
	struct lab_clock before; /* how many steps of each thread come before its next step */
	uint32_t latest;         /* its last step; 0: it has done none */
	/* the step that made its announced step possible; 0: no such step */
	uint32_t enabler;
	/* it runs although what it waited for has not come: time has passed */
	bool by_time;
	/* the search has tried that the thread gives up its present spin */
	bool offered;

	int error;       /* errno */
	unsigned drawn;  /* the state of its random numbers of verifier.c */
	uint64_t random; /* the state of its random numbers of the C library */
	void *locale;    /* the locale that it has chosen; NULL: none */
	unsigned depth;
	size_t innermost;      /* its running frame in frame.c, counted from 1; 0: none */
	uintptr_t lent;        /* no other thread uses its stack below; 0: none uses its stack */
	uintptr_t returned_at; /* where one of its own functions returned last */
	/* The fields below are not zeroed for a new thread. */
	struct lab_view view; /* as wide as the number of threads */
	/* what relaxed loads have acquired; an acquire fence adds it to `view` */
	struct lab_view acquired;
	struct lab_view released; /* `view` at the last release fence */
	uintptr_t calls[64];      /* the return addresses of its running functions */
	uintptr_t pointers[64];   /* their frame pointers */
	uintptr_t deepest;        /* the lowest frame of the program on its stack; 0: no execution has had it */
};

/* The bounds of one execution, and how much of them is used. */
struct lab_spent {
	int preemptions, stale, faults, kills;
};

struct lab_event {
	struct lab_op op;
	uintptr_t place; /* lab_own_place() of its call */
	uint8_t thread;
	bool preempted, fault;
	bool hidden; /* the trace shows this plain access only if it is half of a race */
	bool raced;  /* one half of a race */
	bool atomic; /* an atomic access that is recorded as LAB_PLAIN, since it was not done */
	bool valued; /* a plain access whose `value` is what it read or wrote */
	/* a piece, but not the first, of an access that crosses words of eight bytes */
	bool piece;
	uint32_t step;  /* its number in the execution */
	uint32_t from;  /* of an atomic access that reads: the step of the store */
	unsigned stale; /* by how many stores the store that it read was older than the newest */
	lab_value value, other;
	int result;
};

struct lab_execution {
	bool active;    /* a model thread runs: instrumented calls are for the model */
	bool recording; /* events are kept */
	unsigned n_threads;
	struct lab_thread *self;
	struct lab_thread threads[LAB_THREADS];
	struct fl__switch home; /* the flow that runs executions */

	/* the generation of locations and cells: those of another generation are empty */
	uint32_t generation;
	bool ordered; /* order.c keeps the order of the steps */
	/*
	 * steered: the execution follows a graph; guided: the usual engine follows a graph
	 * (steer.h)
	 */
	bool steered, guided;
	/* lab_state() is worth its time, because it matters whether a limit was met */
	bool proving;
	char message[512];
	char details[4096];
	struct lab_event *events;
	size_t room_events;

	/* The fields below are zeroed before each execution. */
	uint32_t steps;
	struct lab_clock sc_fenced; /* what happens before the SC fences so far */
	/*
	 * `order` and `before` of the SC accesses so far; `before` also has that of the SC fences.
	 */
	struct lab_clock sc_order, sc_before;
	/* The threads by state. `timed` are blocked with a deadline. */
	lab_set ready, spinning, timed, dozing;
	unsigned streak;  /* how many steps the running thread has done in a row */
	unsigned starved; /* how often some thread had waited for too long */
	unsigned moves;   /* how many changes of memory and of objects there were */
	/* how many rounds since the last store had all threads in spins that saw no change */
	unsigned idle_rounds;
	int64_t now;
	uint64_t hash;
	lab_set sleep; /* threads whose next step would repeat a known execution */
	struct lab_spent spent;

	/*
	 * The registers and stack of the caller of the last atomic access that may be part of a
	 * loop.
	 */
	uintptr_t frame, caller;
	/* of a compare-and-swap: where a failure writes the value that was found */
	uintptr_t expected;
	bool program;  /* the test is a program with main() */
	bool returned; /* main() has returned, so that none of its variables is left */
	/* where errno of the only kernel thread is; it is saved for each model thread */
	uintptr_t errno_at;
	uint32_t plain; /* plain accesses of the running thread since the last step */
	void *state;
	bool acting;          /* between setup and outcome */
	bool judging;         /* since the outcome began */
	bool processes;       /* the actors are processes */
	bool killable;        /* the actors are processes, which may be killed now */
	lab_set ending;       /* ended threads whose robust lists the kernel walks */
	lab_set killed;       /* the processes that were killed */
	uint32_t kill_points; /* kill points so far */
	struct lab_outcome *outcome;
	uintptr_t signature; /* distinguishes two failures of one verdict */
	uintptr_t at;        /* of a failure: lab_failure.address */
	/* `outdated`: the execution was pruned since a thread stopped at an outdated read (steer.c). */
	bool failed, pruned, outdated;
	unsigned limits; /* the limits met so far: bits of enum lab_limit */
	enum lab_verdict verdict;

	size_t n_events;
	size_t n_acted; /* how many events came before the outcome */
	/* how many pieces of a plain access that crosses words of eight bytes there were so far */
	unsigned pieces;
	/*
	 * One more than the index of the event of the last plain write, as long as its value is not
	 * there yet; 0: none.
	 */
	size_t unsettled;
	bool awaits;   /* a thread sleeps for ever, since other executions show what it would do */
	bool switched; /* the running thread runs although another thread could have gone on */
	/* How much location.c, cell.c, object.c and frame.c have used of their tables so far. */
	uint32_t locations, views, cells, more_records, objects, frames;
};

extern struct lab_execution lab;
extern struct lab_config lab_config;
extern const struct lab_test *lab_running;

/* Called where the search cuts off behaviours: records the limit that was met. */
static inline void lab_met(enum lab_limit limit)
{
	lab.limits |= 1u << limit;
}

/* Called when the running thread has changed memory or an object. */
static inline void lab_moved(void)
{
	lab.moves++;
	lab.self->tries = 0;
}

/* --- run.c: one execution, with the choices of choice.c --- */
void lab_execute(void);
void lab_watch(bool on); /* whether crashes and hangs are watched for */
/* Ends the execution with a failure. Does not return to the model thread. */
_Noreturn void lab_fail(enum lab_verdict verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void lab_prune(void);
void lab_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void lab_end(void); /* ends the execution without a failure */

/* --- thread.c --- */
/* Announces a step of the running thread, and returns when the search lets the thread make it. */
void lab_point(struct lab_op op);
/* blocks the running thread for ever; the execution does not count, unless it fails */
_Noreturn void lab_block_forever(void);
/*
 * Blocks the running thread until another thread makes it ready, or, if it `expires`, until its
 * deadline.
 */
void lab_block(void);
void lab_ready(struct lab_thread *thread);
/*
 * Announces a step that is possible while `can` returns true. Returns when the search lets the
 * thread do the step. A thread with `expires` may return at its deadline; its `result` is then
 * -ETIMEDOUT.
 */
void lab_thread_await(struct lab_op op, const struct lab_object *object,
                      bool (*can)(const struct lab_object *object, const struct lab_thread *thread));
/* The announced step of the thread has become possible, or is no longer possible. */
void lab_thread_can(struct lab_thread *thread, bool can);
_Noreturn void lab_thread_leave(void); /* ends the running thread */
/*
 * Makes a new thread, but does not start it. Ends the execution as not modelled if there are too
 * many threads.
 */
struct lab_thread *lab_thread_new(const char *name, void *(*start)(void *), void *arg);
/* Each thread of the execution, in the order of the numbers. */
#define LAB_EACH_THREAD(t) for (struct lab_thread *t = lab.threads; t < lab.threads + lab.n_threads; t++)
/* Each thread of a set, in the same order. */
#define LAB_EACH_OF(t, set)                                                                                            \
	for (lab_set left_##t = (set); left_##t; left_##t &= left_##t - 1)                                             \
		for (struct lab_thread *t = &lab.threads[lab_lowest(left_##t)]; t; t = NULL)
/* The threads of a set for which the condition holds. */
#define LAB_THOSE(t, set, condition)                                                                                   \
	({                                                                                                             \
		lab_set those = 0;                                                                                     \
		LAB_EACH_OF (t, set)                                                                                   \
			those |= (condition) ? lab_bit(t->id) : 0;                                                     \
		those;                                                                                                 \
	})
typedef bool lab_sleeps(const struct lab_thread *thread, uintptr_t on);
/* Lists the threads that sleep on something, the first sleeper first, and returns their number. */
unsigned lab_line_up(struct lab_thread *line[LAB_THREADS], lab_sleeps *sleeps, uintptr_t on);
/* Makes a new thread whose name is made of its number. */
struct lab_thread *lab_thread_spawn(void *(*start)(void *), void *arg);
/* Starts the thread. What the caller did before happens before it. */
void lab_thread_start(struct lab_thread *thread, uintptr_t pc);
/* Waits for the end of the thread. Returns 0, or -ETIMEDOUT if the deadline came first. */
int lab_join(struct lab_thread *thread, int64_t deadline, uintptr_t pc);
void lab_relax(uintptr_t pc);
/*
 * Whether a load belongs to a spin that gave up, and therefore is not a step. Also called for loops
 * without a relax.
 */
bool lab_spins(uintptr_t address, uintptr_t pc);
/* The running thread has read the store that was made at that step. */
void lab_looked(uintptr_t address, uint32_t step);
void lab_moved_on(void); /* the running thread has changed a value */
/* The running thread has made a store. Wakes the spinning threads that read the address. */
void lab_changed(uintptr_t address);
/* wakes the other threads that spin and have read the address */
void lab_wake_spinners(uintptr_t address);
/* Ends the turns of a spin that gave up. */
void lab_turns_end(struct lab_thread *thread);
void lab_begin(void (*body)(void)); /* runs the main thread; returns when the execution has ended */
/*
 * state.c: returns a hash of where the running thread is. Two equal values mean that the thread is
 * where it was, and has written nothing in between.
 */
uint64_t lab_state(void);
/* The running thread never goes on. The report says that the thread spins or sleeps. */
_Noreturn void lab_thread_park(bool spins);
/* stuck.c: ends the execution when no thread can run. */
_Noreturn void lab_stuck(void);
/*
 * The thread does no more steps of its own. What remains is the kernel's walk of its robust list.
 */
void lab_bury(struct lab_thread *thread);
/* Runs the kernel's walk for the running thread, whose process was killed. */
_Noreturn void lab_rest(void);

/* --- choice.c --- */
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
/* Chooses the thread of `set` that runs. `usual` is the choice that costs nothing. */
unsigned lab_choose_thread(lab_set set, unsigned usual);
/*
 * Returns by how many stores, fewer than `n`, the store that a load reads is older than the newest.
 * `newest` is the step of the newest store.
 */
unsigned lab_choose_stale(unsigned n, uint32_t newest);
bool lab_fault(unsigned which);
bool lab_may_fault(unsigned which);
/*
 * Whether the running thread's process is killed here. `rare` says that no process was killed at
 * this step before.
 */
bool lab_choose_kill(bool rare);

/* --- order.c: the order of dependent steps --- */
/*
 * The running thread's step has turned out to be `op`, which depends on fewer steps than the
 * announced step.
 */
void lab_order_became(const struct lab_op *op);
/* The next step of `thread` comes after all steps of `leader`. */
void lab_order_follow(struct lab_thread *thread, const struct lab_thread *leader);
/* The next step of the running thread comes after that step. */
void lab_order_after(uint32_t step);
/* Returns whether that step comes before the previous step of the running thread. */
bool lab_order_known(uint32_t step);

/* --- crash.c: processes that are killed --- */
enum lab_death { LAB_AT_STEP, LAB_ASLEEP, LAB_WOKEN, LAB_IN_COPY };
/*
 * The running thread's process may be killed instead of making the step `op`. Then the call does
 * not return.
 */
void lab_kill_point(struct lab_op op, enum lab_death how);
/*
 * The running thread's process may be killed in the middle of a copy. Returns how many bytes the
 * caller must write before lab_die(); 0: the process is not killed.
 */
size_t lab_cut(uintptr_t to, size_t size, uintptr_t pc);
_Noreturn void lab_die(struct lab_op op, enum lab_death how);
/* Does the kernel's part when the running thread ends: exit_robust_list(). */
void lab_exit_walk(void);
struct fl__robust_list *lab_robust_list(unsigned thread);
void lab_robust_reset(unsigned thread);
bool lab_is_list(uintptr_t address);
bool lab_is_shared(uintptr_t address);
void lab_kills_reset(void);
void lab_kills_count(struct lab_result *result);

/* --- memory.c --- */
lab_value lab_atomic_load(uintptr_t address, unsigned size, int order, uintptr_t pc);
void lab_atomic_store(uintptr_t address, unsigned size, lab_value value, int order, uintptr_t pc);
typedef lab_value lab_update(lab_value old, lab_value operand);
lab_update lab_update_set; /* sets the operand */
lab_value lab_atomic_rmw(uintptr_t address, unsigned size, lab_update *update, lab_value operand, int order,
                         uintptr_t pc);
bool lab_atomic_cas(uintptr_t address, unsigned size, lab_value *expected, lab_value desired, int order, int failure,
                    bool weak, uintptr_t pc);
/*
 * An access to an object of any size, in the model or outside of it. Without `desired`, the access
 * is a load; without `expected`, it always writes. lab_atomic_wide() returns whether it wrote.
 */
struct lab_wide {
	void *found; /* gets the value before the access; NULL: the access is a store */
	const void *expected, *desired;
	/* for 16 bytes, with the operand `desired`; NULL: the access stores `desired` */
	lab_update *update;
	int failure; /* the order of a load, or that of a compare-and-swap that fails */
	bool weak;
};
bool lab_atomic_wide(const volatile void *object, size_t size, int order, struct lab_wide wide, uintptr_t pc);
void lab_atomic_fence(int order, uintptr_t pc);
void lab_membarrier(uintptr_t pc);
/* A read-modify-write that the kernel does for the running thread. */
lab_value lab_kernel_rmw(uintptr_t address, lab_update *update, lab_value operand);
lab_value lab_peek(uintptr_t address, unsigned size);
void lab_poke(uintptr_t address, unsigned size, lab_value value);
/* Returns the step of the last store to the address; 0: none in this execution. */
uint32_t lab_newest_step(uintptr_t address);

/* --- cell.c: the records of eight bytes of memory --- */
struct lab_location;
/* Each thread of a graph has a place for a record of its last use of an object. */
enum { LAB_RECORDS = 20, LAB_FEW = 2 };
struct lab_record {
	uint32_t clock;
	uint8_t thread, mask;
	bool write;
	uintptr_t pc;
};
/* A cell is as large as a cache line, and most cells have at most two records. */
struct lab_cell {
	uintptr_t granule;
	uint32_t generation;
	uint16_t n_records;
	uint8_t objects; /* the bytes whose first access calls lab_objects_accessed() */
	struct lab_location *locations;
	struct lab_record *more; /* the records after the first two; NULL: there were never more */
	struct lab_record few[LAB_FEW];
};
static inline struct lab_record *lab_record_at(const struct lab_cell *cell, uint32_t i)
{
	return (struct lab_record *)(i < LAB_FEW ? &cell->few[i] : &cell->more[i - LAB_FEW]);
}
/* Returns memory for the other records of a cell. */
struct lab_record *lab_more_records(void);
struct lab_cell *lab_cell(uintptr_t address);
/* Calls `visit` for the cells of a block. The block begins where a cell begins. */
void lab_cells_in(uintptr_t address, size_t size, void (*visit)(const struct lab_cell *cell));

/* --- race.c --- */
void lab_plain(uintptr_t address, size_t size, bool write, uintptr_t pc);
/* A function of the C library reads or writes these bytes for the running thread. */
void lab_reads(const void *from, size_t size, uintptr_t pc);
void lab_writes(void *to, size_t size, uintptr_t pc);
/* Stores the value where the program wants a result of its call. */
#define LAB_STORE(to, pc, ...) (lab_writes((to), sizeof *(to), (pc)), (void)(*(to) = __VA_ARGS__))
/*
 * The running thread uses an object of the C library in this memory. This counts as a read, but not
 * as an access of the program itself: a loop of the program is still where it was.
 */
void lab_race_use(uintptr_t address, size_t size, uintptr_t pc);
/*
 * An object of the C library begins its life in this memory. The first access to each byte calls
 * lab_objects_accessed(). Returns whether a use of the object may race with earlier accesses. If a
 * call has `made` the object, each use happens after that call, so only atomic accesses count.
 */
bool lab_race_object(uintptr_t address, size_t size, bool made);
/* Adds a use of an object by another thread that the cells have not recorded yet. */
void lab_race_used(uintptr_t address, size_t size, struct lab_record use);
/* Checks an atomic access of `size` bytes against the plain ones. */
void lab_race_atomic(struct lab_cell *cell, uintptr_t address, unsigned size, bool write, uintptr_t pc);
/* Checks that all accesses of the block happen before its end. */
void lab_race_free(uintptr_t address, size_t size, uintptr_t pc);

/* --- location.c: the atomic locations of a cell --- */
void lab_location_plain_write(struct lab_cell *cell, uintptr_t address, unsigned size);

/* --- heap.c --- */
enum { LAB_BLOCKS = 16384 };
struct lab_block {
	uintptr_t address;
	size_t size;
	unsigned number; /* in the order of allocation, from 0 */
	unsigned thread; /* the thread that allocated it */
	unsigned freed_by;
	uint32_t clock; /* the clock of the allocation */
	uintptr_t pc, freed_pc;
	bool freed, retired;
	bool published; /* an atomic access has stored its address */
};
/*
 * Finds the block that has the byte at `address`, or the block of that number. Returns false if
 * there is none.
 */
bool lab_block_at(uintptr_t address, struct lab_block *found);
bool lab_block_number(unsigned number, struct lab_block *found);
struct lab_cell;
/*
 * called for a new cell: if it is in a block, the block's allocation counts as a write of the cell
 */
void lab_heap_born(struct lab_cell *cell);
/* Marks the block at this address, if there is one, as not lost. */
void lab_heap_keep(uintptr_t value, void *arg);
void *lab_alloc(size_t size, uintptr_t pc);
/* The alignment is a power of 2, and at least 16. */
void *lab_alloc_aligned(size_t alignment, size_t size, uintptr_t pc);
void lab_free(void *memory, uintptr_t pc);
/* an atomic access stores this value, or would store it */
void lab_heap_published(lab_value value);
/* Allocates memory for a constructor of a module. Such memory is restored like a variable. */
void *lab_alloc_early(size_t alignment, size_t size);
bool lab_is_early(uintptr_t address);
extern size_t lab_early_used; /* how many bytes constructors have allocated */
void *lab_map(size_t size);   /* pages that live until the end of the execution */
size_t lab_size(const void *memory);
size_t lab_size_asked(uintptr_t address, uintptr_t pc); /* the program asks for the size of a block */
bool lab_is_heap(uintptr_t address);
bool lab_is_stack(uintptr_t address); /* of a model thread */
bool lab_is_guard(uintptr_t address); /* between two stacks */
void lab_heap_check(uintptr_t address, size_t size, bool write, uintptr_t pc);
/*
 * For programs: ends the execution with a failure if the address is on the stack of a thread that
 * has ended, or in the frame of a function that has returned. It checks only the stacks of other
 * threads.
 */
void lab_stack_check(uintptr_t address, size_t size, bool write, uintptr_t pc);
void lab_stacks_execute(void); /* allows that code on the stacks runs */
void lab_stack_return(uintptr_t frame, uintptr_t pc);
/* Whether the bytes are in the state or in a live block, which is memory that processes share. */
bool lab_heap_has(uintptr_t address, size_t size);
void lab_heap_reset(void);
void lab_heap_retire(uintptr_t address); /* the block at this address is no leak */
void lab_heap_leaks(void);               /* fails the execution if there are leaks */
void *lab_state_place(size_t size);
void *lab_stack_of(unsigned thread, size_t *size);
/* Returns false if the address is not in the engine's memory. */
bool lab_name_memory(uintptr_t address, char *text, size_t size);

/* --- module.c --- */
struct lab_module;
bool lab_is_constructor(uintptr_t pc); /* code of a module that is being loaded */
struct lab_module *lab_module_at(uintptr_t address);
void lab_globals_written(uintptr_t address, size_t size);
bool lab_is_global(uintptr_t address);
bool lab_is_module_code(uintptr_t pc);
void lab_globals_reset(void);
/*
 * If the page of the address has globals, and was protected because they do not change, makes the
 * page writable and returns true. Otherwise returns false.
 */
bool lab_globals_thaw(uintptr_t address);
/*
 * Puts the globals of a process in place; 0 is the process of main. At first they have the values
 * of main's globals.
 */
void lab_globals_enter(unsigned process);
/* Calls `visit` for each word of the globals that this execution has changed. */
void lab_globals_visit(void (*visit)(uintptr_t value, void *arg), void *arg);
void lab_tls_save(unsigned thread);
void lab_tls_load(unsigned thread);
void lab_tls_begin(unsigned thread); /* begins the thread-locals of a new thread */
void lab_tls_end(uintptr_t pc);      /* ends those of the running thread, like a free */
bool lab_is_tls(uintptr_t address);
/*
 * Chooses the module of the next executions. `program` says that the thread-locals of each thread
 * have their own addresses.
 */
void lab_module_use(const struct lab_module *module, bool program);
void lab_tls_visit(unsigned thread, void (*visit)(uintptr_t value, void *arg), void *arg);

/* --- sys.c: the table for a module's copy of the library --- */
void lab_sys_install(const struct lab_door *door);
void lab_activate(bool active); /* sets `lab.active` */
/*
 * lab_futex_seen(): the running thread has seen the sleepers of the word, and, with `loads`, the
 * word itself. lab_futex_changed(): it has added sleepers, or taken some away.
 */
void lab_futex_seen(uintptr_t word, bool loads);
void lab_futex_changed(uintptr_t word);
int lab_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc);
int lab_futex_wake(uintptr_t word, int n, uintptr_t pc);

/* trace.c */
bool lab_records(void);                        /* whether steps of the running thread are kept */
struct lab_event *lab_event(struct lab_op op); /* where nothing is recorded: one that is not shown */
void lab_event_value(struct lab_event *event); /* stores the value in memory in the event */
void lab_event_settle(void);                   /* the last plain write is done: its event gets the value */
void lab_hash(uint64_t value);
/* Room for a name, which is valid until the 16th name after it. */
enum { LAB_NAME = 192 };
char *lab_name_buffer(void);
const char *lab_site_name(uintptr_t pc); /* "transfer.c:17" */
/*
 * Returns the place of a running call in the user's code, while the execution is recorded: the
 * place of the innermost caller that has a line outside of the C++ library. If there is no such
 * caller, or if the call is not running, returns `pc`.
 */
uintptr_t lab_own_place(uintptr_t pc);
uintptr_t lab_line_hash(uintptr_t pc); /* equal for two places on one line of the user's, or in the C++ library */
bool lab_is_destructor(uintptr_t pc);
/* Returns the last event of the thread at `pc` on the address, or NULL. */
struct lab_event *lab_event_then(unsigned thread, uintptr_t pc, uintptr_t address);
/* Returns lab_own_place() as it was at that event. */
uintptr_t lab_place_then(unsigned thread, uintptr_t pc, uintptr_t address);
const char *lab_address_name(uintptr_t address);
void lab_name_address(uintptr_t address, char *text, size_t size);
/*
 * Writes the name that the address had at the event of that index. On a stack, the address may
 * belong to another variable later.
 */
void lab_name_address_at(uintptr_t address, size_t event, char *text, size_t size);
/*
 * Returns the line of the source that is `before` lines before a return address, without leading
 * blanks; the caller frees it. Returns NULL if the file cannot be read. The file is looked for in
 * the folder in which it was compiled.
 */
char *lab_source_at(uintptr_t pc, int before);

/*
 * These name state that the engine keeps on behalf of the C library. They return false if the
 * address has no such state.
 */
bool lab_unknown_name(uintptr_t address, char *text, size_t size);
bool lab_io_name(uintptr_t address, char *text, size_t size);
bool lab_process_name(uintptr_t address, char *text, size_t size);

/* --- user.c --- */
unsigned lab_input(unsigned n, uintptr_t pc); /* a choice of the search, from 0 to n - 1 */
void lab_outcomes_reset(void);
void lab_outcomes_add(const struct lab_outcome *outcomes, unsigned n);
/* a forbidden outcome was seen; the execution ends next */
void lab_outcome_forbidden(const char *label);

/* --- site.c --- */
void lab_site_reached(uintptr_t pc, const char *operation, int order);
const char *lab_order_name(int order); /* "acquire" */

static inline bool lab_is_release(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static inline bool lab_is_acquire(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
	       order == __ATOMIC_SEQ_CST;
}

/* Whether what a thread did at its clock happens before what the running thread does now. */
static inline bool lab_is_known(unsigned thread, uint32_t clock)
{
	return thread == lab.self->id || clock <= lab.self->view.at[thread].hb;
}

/* Returns the thread's clock at its last step. */
static inline uint32_t lab_clock_of(const struct lab_thread *thread)
{
	return thread->view.at[thread->id].hb;
}

/*
 * Returns a clock that no message of the thread's last step carries, for what the thread does after
 * that step.
 */
static inline uint32_t lab_clock_after(const struct lab_thread *thread)
{
	return lab_clock_of(thread) + 1;
}

#endif
