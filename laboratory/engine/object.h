/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_OBJECT_H
#define STRESS_OBJECT_H

#include "model.h"

/*
 * Objects of the C library by which threads wait for each other: pthread_mutex_t, sem_t, mtx_t and
 * others. The model keeps the state of each object here, by the object's address. The program's
 * memory contains only what the initialiser wrote. programs.md has the table of states and the
 * edges of happens-before.
 */
enum lab_object_kind {
	LAB_MUTEX,
	LAB_COND,
	LAB_RWLOCK,
	LAB_SPINLOCK,
	LAB_BARRIER,
	LAB_SEM,
	LAB_ONCE,
	LAB_IO,
	LAB_OBJECT_KINDS
};

enum { LAB_NOBODY = -1 };

/* What a step does to an object: the field `order` of a LAB_SYNC operation. */
enum lab_sync {
	LAB_SYNC_INIT,
	LAB_SYNC_DESTROY,
	LAB_SYNC_LOCK,
	LAB_SYNC_TRYLOCK, /* A step that tries has the number after the step that waits. */
	LAB_SYNC_UNLOCK,
	LAB_SYNC_ABANDON, /* The owner of a robust mutex ends. */
	LAB_SYNC_RDLOCK,
	LAB_SYNC_TRYRDLOCK,
	LAB_SYNC_RDUNLOCK, /* A reader's unlock in a graph; it is announced as LAB_SYNC_UNLOCK. */
	LAB_SYNC_ENQUEUE,  /* The thread becomes a waiting writer, which readers can see. */
	LAB_SYNC_WRLOCK,
	LAB_SYNC_TRYWRLOCK,
	LAB_SYNC_WAIT,   /* The thread waits for a condition, and unlocks its mutex. */
	LAB_SYNC_RELOCK, /* The thread locks the mutex again after the wait. */
	LAB_SYNC_SIGNAL,
	LAB_SYNC_BROADCAST,
	LAB_SYNC_DOWN,
	LAB_SYNC_TRYDOWN,
	LAB_SYNC_UP,
	LAB_SYNC_VALUE,
	LAB_SYNC_ARRIVE,
	LAB_SYNC_LEAVE,
	LAB_SYNC_ONCE,
	LAB_SYNC_TIME, /* The thread reads the clock. */
	LAB_SYNC_SLEEP,
	LAB_SYNC_EXIT, /* The thread ends the program. */
	LAB_SYNC_USE,  /* The thread uses something that all threads share: lab_shared_step(). */
	LAB_SYNC_READ,
	LAB_SYNC_WRITE,
	LAB_SYNC_CLOSE,
	LAB_SYNC_POLL, /* The step is on all channels of descriptors (io.h). */
	LAB_SYNCS
};

struct lab_place {
	unsigned thread;
	uintptr_t pc;
};

struct lab_object {
	uintptr_t address;
	uint32_t generation; /* The entry belongs to this execution. */
	uint8_t kind;        /* an enum lab_object_kind */
	bool live;           /* The object is initialised and not destroyed. */
	bool made;           /* A call has initialised the object, not a static initialiser. */
	uint16_t lives;      /* How often it was initialised in this execution. */
	uint8_t type;        /* A mutex has LAB_MUTEX_..., and a condition the number of its clock. */
	bool robust, owner_died, lost;
	struct lab_place maker;
	uint32_t maker_clock;
	struct lab_place ender; /* Where it was destroyed. */
	/*
	 * The owner of a mutex, a spin lock or a write lock, or the thread that runs a once.
	 * LAB_NOBODY if there is none.
	 */
	int owner;
	struct lab_place taken; /* Where the owner took it. */
	uint32_t taken_clock;   /* The owner's clock when it took the object. */
	/*
	 * How often a mutex is locked. For other objects, this counts the readers, the permits, or
	 * the threads at the barrier.
	 */
	unsigned count;
	unsigned limit;          /* How many threads the barrier waits for. */
	unsigned round;          /* The round of a barrier, or 1 for a once that is done. */
	uintptr_t mutex;         /* The mutex of the waiters for a condition. */
	struct lab_place wasted; /* Where a signal last found no waiter; the pc is 0 if none did. */
	/*
	 * How often each thread holds the readers-writer lock for reading. When the life of an
	 * object ends, each number is 0.
	 */
	uint8_t reads[LAB_THREADS];
	unsigned width; /* How many elements of `by` are valid; the others count as 0. */
	/* The fields above are zeroed when an execution first uses the object. */
	/*
	 * For each thread: its clock at its last change of the state, its clock at its last change
	 * that did not take the object, and the events from which a path leads to the present
	 * state. memory.c says what this is for; the state counts as a location, and each change as
	 * an RMW of it.
	 */
	struct lab_changes {
		uint32_t changed, released, before;
	} by[LAB_THREADS];
	struct lab_view view; /* What a release passes on to the next owner. */
	/* What readers of a readers-writer lock pass on to the next writer. */
	struct lab_view readers;
	/* The last use by each thread before `used_by`. The pc is 0 if there is no use. */
	unsigned used_by;
	/*
	 * Each use counts as a read of the object's memory, so that it races with writes of the
	 * program. While this field is false, the program has not accessed the memory since the
	 * object was initialised, and no use can race with an earlier access, so `uses` is enough.
	 * While it is true, each use is also in the records of the cells.
	 */
	bool accessed;
	struct lab_use {
		uint32_t clock, left; /* The thread left the barrier at `left`; 0 says that it has not. */
		uint32_t step;        /* How many steps the execution had made. */
		uintptr_t pc;
	} uses[LAB_THREADS];
};

/* Returns the object at `address`, or NULL if no call has used it in this execution. */
struct lab_object *lab_object_find(uintptr_t address);
/*
 * Returns the object for a use of it. Ends the execution if the object is of another kind, is
 * destroyed, is not initialised, or was initialised by a call that does not happen before this use.
 * `fresh` says that the memory is as a static initialiser left it. `what` is the verb of the
 * message. The use counts as a read of the object's memory, so that it races with a plain write,
 * such as the assignment of a static initialiser.
 */
struct lab_object *lab_object_use(const void *at, enum lab_object_kind kind, bool fresh, const char *what,
                                  uintptr_t pc);
/* An object as its initialising call has made it. */
struct lab_made {
	uintptr_t address;
	enum lab_object_kind kind;
	uint8_t type; /* the other fields are those of struct lab_object */
	bool robust;
	unsigned count, limit, round;
};
/* A call initialises, or destroys, the object. Both count as writes of its memory. */
void lab_object_init(struct lab_made made, uintptr_t pc);
void lab_object_destroy(struct lab_object *object, uintptr_t pc);
/*
 * The running thread leaves the barrier, which may have been destroyed since the thread arrived. If
 * the barrier was not destroyed, its memory may be freed after all threads have left.
 */
void lab_object_left(struct lab_object *object, uintptr_t pc);
/* A constructor has initialised the object, so it is live when an execution begins. */
void lab_object_early(struct lab_made made);
/*
 * Memory is freed, so the objects there end. Ends the execution if a thread holds one of these
 * objects, or waits for one.
 */
void lab_objects_freed(uintptr_t address, size_t size, uintptr_t pc);
/*
 * The program accesses the bytes. Puts the uses of objects there into the records of the cells, in
 * the order in which they came.
 */
void lab_objects_accessed(uintptr_t address, size_t size);

typedef bool lab_can(const struct lab_object *object, const struct lab_thread *thread);

/*
 * Announces the step `op` on `object`, which is possible while `can` returns true. Returns 0 when
 * the search lets the thread do the step, or -ETIMEDOUT if the deadline came first. With an expired
 * deadline the thread tries once. Along a graph a step with any deadline is a try; steer_object.c
 * says why. With the deadline LAB_TRY this is the same as lab_object_try(), and returns -EAGAIN if the
 * step is not possible.
 */
#define LAB_TRY (INT64_MIN + 1)
int lab_object_wait(struct lab_op op, struct lab_object *object, lab_can *can, int64_t deadline);
/*
 * Announces a step that is always possible. Ends the execution if another thread destroys the
 * object before the step. Returns the step, for lab_sync_event().
 */
struct lab_op lab_object_point(enum lab_sync what, const struct lab_object *object, uintptr_t pc);
/*
 * Announces a step that looks at the state. Like a load, it may find an old state. Returns whether
 * the step is possible. Along a graph, it returns the permits for LAB_SYNC_VALUE.
 */
unsigned lab_object_try(struct lab_op op, const struct lab_object *object, lab_can *can);
/* The running thread has seen the state, but not by one of these steps. */
void lab_object_seen(const struct lab_object *object);
/* Returns the running thread's element of `by`. The elements of all threads are valid then. */
struct lab_changes *lab_object_by(struct lab_object *object);
/*
 * Called after each change of the state: makes the threads ready whose announced step is now
 * possible, and blocks the others. After a change that takes a lock or a permit, lab_object_taken()
 * is called instead.
 */
void lab_object_changed(struct lab_object *object);
void lab_object_taken(struct lab_object *object);
/* The running thread makes `thread` wait for `object`, as if that thread had announced `op`. */
void lab_object_queue(struct lab_thread *thread, struct lab_op op, struct lab_object *object, lab_can *can);
unsigned lab_object_waiters(const struct lab_object *object);

/* The running thread becomes the owner of the free object. */
void lab_object_take(struct lab_object *object, uintptr_t pc);

/* Happens-before: a thread that acquires the view knows what the releasing threads did. */
void lab_object_release(struct lab_view *view);
void lab_object_acquire(const struct lab_view *view);

struct lab_op lab_sync_op(enum lab_sync what, uintptr_t address, uintptr_t pc);
/*
 * Puts the step into the trace. `result` is the code that the call returns; it is shown if it is
 * not 0. Returns the event, so that the caller can add what else is shown of the step.
 */
struct lab_event *lab_sync_event(struct lab_op op, int result);
const char *lab_sync_verb(unsigned what);

/*
 * Ends the execution because the running thread misuses an object in a way that POSIX leaves
 * undefined, or does something that the model lacks.
 */
#define lab_misuse(pc, ...) lab_refuse(LAB_MISUSE, pc, __VA_ARGS__)
#define lab_unmodelled(pc, ...) lab_refuse(LAB_UNMODELLED, pc, __VA_ARGS__)
_Noreturn void lab_refuse(enum lab_verdict verdict, uintptr_t pc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "the mutex acc[1].lock", in a lab_name_buffer(). */
const char *lab_object_name(const struct lab_object *object);
/* "the mutex m, which thread-b has held since m.c:12 (run)"; the text is valid until the next call. */
const char *lab_object_held(const struct lab_object *object);
const char *lab_object_name_at(uintptr_t address, enum lab_object_kind kind);

/* Fails if threads wait for each other in a cycle. */
void lab_objects_cycle(void);
/*
 * Called when no thread can go on. Fails with a cycle of waits, or with a signal that came too
 * early, if there is one.
 */
void lab_objects_stuck(void);
/* Returns the thread that `thread` waits for; NULL: it waits for no particular one. */
const struct lab_thread *lab_object_blocker(const struct lab_thread *thread);
/*
 * Called when the running thread ends. Abandons its robust mutexes, and fails if the thread holds
 * any other object.
 */
void lab_objects_left(uintptr_t pc);
/* Returns the object of this execution with that number, from 0 on, or NULL if there are fewer. */
struct lab_object *lab_object_number(unsigned i);

#endif
