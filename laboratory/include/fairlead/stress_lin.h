/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STRESS_LIN_H
#define FAIRLEAD_STRESS_LIN_H

#include <fairlead/stress.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A test of linearizability checks the results of concurrent calls. There must be a sequential
 * order of the calls that gives the same results and keeps the order of calls that did not overlap.
 * A test gives operations and a specification. The laboratory makes programs of a few calls in a
 * few threads, runs each program under the model and on real threads, and searches for a sequential
 * order.
 *
 *     struct ring { ... };
 *
 *     FL_LIN_OP(ring, put, FL_LIN_PUT)
 *     {
 *             return ring_put(s, (int)arg) ? 0 : -EAGAIN;
 *     }
 *     FL_LIN_OP(ring, get, FL_LIN_GET)
 *     {
 *             int item;
 *             return ring_get(s, &item) ? item : -EAGAIN;
 *     }
 *     FL_LIN(ring, &fl_lin_fifo, .limit = 2)
 *     {
 *             (frees what `s` has; runs alone, at the end)
 *     }
 *
 * `s` is the state, a zeroed `struct ring`. FL_STRESS_SETUP(ring) may prepare it. An operation
 * returns an item or a count, 0 or more, or a negative errno. It must not wait for other calls.
 * This command runs the test:
 *
 *     fairlead-stress --mode lin --load FILE.c ring
 *
 * A call precedes another call if it happens before the other call. In some programs, only the
 * operations synchronize the threads. In others, each call happens after all calls that have
 * returned.
 */

/*
 * The kinds of operations, for the specifications below. Another specification may use numbers up
 * to 31 for kinds of its own. All operations may return -EBUSY if nothing happened because another
 * call runs, and -ETIMEDOUT in place of -EAGAIN.
 *
 * A queue has these operations:
 *   PUT        puts the item `arg`, which no other call puts. The result is 0, -EAGAIN if the queue
 *              is full, or -EPIPE if it is closed
 *   GET        gets an item. The result is the item, -EAGAIN if the queue is empty, or -EPIPE if it
 *              is closed and drained
 *   CLOSE      closes the queue: later puts fail, and its items can still be got. The result is 0
 *   CLOSE_NOW  closes the queue and drops its items. The result is how many were dropped
 *   LENGTH     returns how many items there are
 *   PUT_MANY   puts FL_LIN_KEY(arg) + 1 items, of which item i is fl_lin_item(arg, i), in their
 *              order. The result is how many were put: as many as fit, or fewer, but at least one,
 *              while another call runs; or 0 if the queue is closed or full
 *   GET_MANY   gets up to FL_LIN_KEY(arg) + 1 items. The result is fl_lin_items(n, items) of as
 *              many items as there are, or of fewer, but at least one, while another call runs
 *
 * A set has these operations:
 *   ADD     adds the number `arg`. The result is 1 if the set did not have it, or 0
 *   REMOVE  removes the number `arg`. The result is 1 if the set had it, or 0
 *   HAS     looks for the number `arg`. The result is 1 if the set has it, or 0
 *
 * A word has these operations:
 *   READ   returns the value
 *   WRITE  stores the value `arg`. The result is 0
 *   SWAP   stores the value `arg`. The result is the value before
 *
 * A counter has these operations:
 *   READ  returns the value
 *   ADD   adds the number `arg`. The result is the value before
 */
enum fl_lin_kind {
	FL_LIN_PUT = 1,
	FL_LIN_GET,
	FL_LIN_CLOSE,
	FL_LIN_CLOSE_NOW,
	FL_LIN_LENGTH,
	FL_LIN_PUT_MANY,
	FL_LIN_GET_MANY,
	FL_LIN_ADD,
	FL_LIN_REMOVE,
	FL_LIN_HAS,
	FL_LIN_READ,
	FL_LIN_WRITE,
	FL_LIN_SWAP
};

/*
 * Defines an operation of the test `scenario`, as a function int64_t (struct scenario *s, int64_t
 * arg). After its name come its kind, and members of struct fl_lin_op as designators.
 */
#define FL_LIN_OP(scenario, operation, ...)                                                                            \
	static int64_t scenario##__##operation(struct scenario *, int64_t);                                            \
	static int64_t scenario##__##operation##__call(void *_state, int64_t _arg)                                     \
	{                                                                                                              \
		return scenario##__##operation((struct scenario *)_state, _arg);                                       \
	}                                                                                                              \
	__attribute__((__constructor__)) static void scenario##__register_##operation(void)                            \
	{                                                                                                              \
		static struct fl_lin_op _o;                                                                            \
		_o.size = sizeof(_o);                                                                                  \
		_o.test = #scenario;                                                                                   \
		_o.name = #operation;                                                                                  \
		_o.call = scenario##__##operation##__call;                                                             \
		FL__LIN_SET(_o, .kind = __VA_ARGS__, , , , , , , )                                                     \
		fl_lin_register_op(&_o);                                                                               \
	}                                                                                                              \
	static int64_t scenario##__##operation(__attribute__((__unused__)) struct scenario *s,                         \
	                                       __attribute__((__unused__)) int64_t arg)

struct fl_lin_op {
	size_t size; /* the size of this struct */
	const char *test, *name;
	int64_t (*call)(void *state, int64_t arg);
	int kind;
	unsigned by;     /* which threads call it: FL_LIN_THREAD(0) | ...; 0 means all */
	unsigned weight; /* how often it is called, relative to the others; 0 means 1 */
	unsigned most;   /* the most calls in one program; 0 means any number */
	/* `arg` is below this number. If it is 0, `arg` is 1 to 99, and different in each call. */
	unsigned args;
	/*
	 * If this is not 0, `arg` also has a key below this number. FL_LIN_KEY(arg) is the key, and
	 * FL_LIN_ID(arg) the rest.
	 */
	unsigned keys;
	struct fl_lin_op *next;
	const void *module;
};

/*
 * Returns the bit of thread n, for `by` of an operation. `by` does not limit the calls of the main
 * thread.
 */
#define FL_LIN_THREAD(n) (1u << (n))

#define FL_LIN_ID(arg) ((int64_t)((arg)&255))
#define FL_LIN_KEY(arg) ((int64_t)((arg) >> 8))

/*
 * fl_lin_item() returns the item `_i` of a PUT_MANY with the argument `_arg`. fl_lin_items()
 * returns the result of a GET_MANY that has got the items of the array. Both are for at most five
 * items.
 */
static inline int64_t fl_lin_item(int64_t _arg, unsigned _i)
{
	return FL_LIN_ID(_arg) + 100 * (int64_t)_i;
}

static inline int64_t fl_lin_items(unsigned _n, const int64_t *_items)
{
	uint64_t _all = _n;
	for (unsigned _i = 0; _i < _n; _i++)
		_all |= (uint64_t)_items[_i] << (4 + 12 * _i);
	return (int64_t)_all;
}

/*
 * Defines the test `scenario` with the state `struct scenario`. After the name come the
 * specification, and members of struct fl_lin as designators.
 */
#define FL_LIN(scenario, ...)                                                                                          \
	FL__STRESS_FUNCTION_(scenario, end)                                                                            \
	__attribute__((__constructor__)) static void scenario##__register(void)                                        \
	{                                                                                                              \
		static struct fl_lin _t;                                                                               \
		_t.test.size = sizeof(_t.test);                                                                        \
		_t.test.name = #scenario;                                                                              \
		_t.test.file = __FILE__;                                                                               \
		_t.test.line = __LINE__;                                                                               \
		_t.test.instrumented = FL__STRESS_INSTRUMENTED;                                                        \
		_t.test.state_size = sizeof(struct scenario);                                                          \
		_t.test.state_align = __alignof__(struct scenario);                                                    \
		_t.size = sizeof(_t);                                                                                  \
		_t.end = scenario##__end__call;                                                                        \
		FL__LIN_SET(_t, .spec = __VA_ARGS__, , , , , , , )                                                     \
		fl_lin_register(&_t);                                                                                  \
	}                                                                                                              \
	static void scenario##__end(__attribute__((__unused__)) struct scenario *s)

struct fl_lin {
	struct fl_stress_test test;
	size_t size; /* the size of this struct */
	void (*end)(void *state);
	const struct fl_lin_spec *spec;
	int64_t limit; /* the capacity of a queue; 0 means none */
	/*
	 * Each refused call (-EAGAIN, -EBUSY, -ETIMEDOUT) is checked only with the calls that
	 * succeeded. This is for objects without a full fence.
	 */
	bool refusals_apart;
	unsigned threads; /* the most threads, 2 to 8; 0 means 3 */
	unsigned each;    /* the most calls of a thread, 1 to 9; 0 means 3 */
	unsigned before;  /* the most calls before the threads, 1 to 9; 0 means 2 */
	/* The most calls after the threads, 1 to 9; 0 means 2. A program has at most 64 calls. */
	unsigned after;
};

/* A call, as a specification sees it. */
struct fl_lin_call {
	int kind;
	int64_t arg, result;
	/* If this is false, no result is known, and the call may or may not have taken effect. */
	bool returned;
	uint32_t overlaps; /* the sum of 1 << kind over the kinds of the concurrent calls */
};

/*
 * A specification has a sequential object of `size` bytes, and the effects of its operations.
 *
 *   apply   returns whether `call` may have its result in `state`, and changes the state
 *           accordingly; if the call has not returned, any result is allowed
 *   init    initialises the state; NULL means that it begins with all zeroes
 *   part    stores the call's key in `*key`. Calls of different keys are independent, and are
 *           checked separately. It returns false if the call concerns all keys. NULL means that the
 *           object has no keys
 *   text    writes the state for a reader; NULL means that reports do not show states
 *   equal   returns whether two states are equal; NULL means that their bytes are compared, so
 *           unused bytes must always be the same
 *   hash    returns the hash of a state; NULL means the hash of its bytes
 */
struct fl_lin_spec {
	const char *name;
	size_t size;
	bool (*apply)(void *state, const struct fl_lin_call *call);
	void (*init)(void *state, int64_t limit);
	bool (*part)(const struct fl_lin_call *call, int64_t *key);
	void (*text)(const void *state, char *to, size_t size);
	bool (*equal)(const void *a, const void *b);
	uint64_t (*hash)(const void *state);
};

/*
 * The specifications of queues: a FIFO queue, a LIFO queue, and a queue from which the item with
 * the least FL_LIN_KEY() comes out first and, of equal keys, the oldest item.
 */
extern const struct fl_lin_spec fl_lin_fifo, fl_lin_lifo, fl_lin_priority;
/*
 * The other specifications: a set of numbers below 64, which is empty at first, and a word and a
 * counter, which are 0 at first.
 */
extern const struct fl_lin_spec fl_lin_set, fl_lin_word, fl_lin_counter;

/*
 * Returns the calling thread's number. 0 is main, and 1 is FL_LIN_THREAD(0). It is at most
 * FL_STRESS_ACTORS.
 */
unsigned fl_lin_thread(void);

/* Used by the macros. */

/* Sets up to seven members, given as designators, which C++17 lacks. */
#define FL__LIN_SET(object, a, b, c, d, e, f, g, ...)                                                                  \
	(void)(object a);                                                                                              \
	(void)(object b);                                                                                              \
	(void)(object c);                                                                                              \
	(void)(object d);                                                                                              \
	(void)(object e);                                                                                              \
	(void)(object f);                                                                                              \
	(void)(object g);

void fl_lin_register(struct fl_lin *test);
void fl_lin_register_op(struct fl_lin_op *op);

#ifdef __cplusplus
}
#endif

#endif
