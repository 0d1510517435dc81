/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_STRESS_LIN_H
#define FAIRLEAD_STRESS_LIN_H

#include <fairlead/stress.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Linearizability: whatever threads call at once, the results are those of the same calls one after the other, in an order
 * that keeps what came before what. You give the operations and name a specification; the laboratory makes programs of
 * them (a few calls on each of a few threads), runs each in the model and on real threads, and looks for such an order.
 *
 *     struct ring { ... };
 *
 *     FL_LIN_OP(ring, put, FL_LIN_PUT) { return ring_put(s, (int)arg) ? 0 : -EAGAIN; }
 *     FL_LIN_OP(ring, get, FL_LIN_GET) { int item; return ring_get(s, &item) ? item : -EAGAIN; }
 *     FL_LIN(ring, &fl_lin_fifo, .limit = 2)
 *     {
 *             (what frees `s`: it runs alone, at the end)
 *     }
 *
 * `s` is the state, `struct ring`, zeroed; FL_STRESS_SETUP(ring) prepares it, where zero is not enough. An operation gets
 * `arg` and returns what came out: an item or a count, 0 or more, or a negative errno. It does not wait for other calls:
 * what may is called with a deadline. Then: fairlead-stress --mode lin --load FILE.c ring
 *
 * What came before what: a call comes before another when it had returned, and the thread of the other knew. In some
 * programs nothing but the operations themselves tells threads of each other, so that no order of memory is hidden; in
 * others each call begins with the knowledge of all that have returned, as if the threads had talked.
 */

/*
 * What an operation is to a specification. Those of a type of your own have numbers of your own, up to 31.
 *
 *     to the queues                                     argument, result
 *     PUT        one item; arg is no other call's       0, -EAGAIN full, -EPIPE closed
 *     GET        one item                               the item; -EAGAIN empty, -EPIPE closed and empty
 *     CLOSE      what is in may be got                  0
 *     CLOSE_NOW  what is in is dropped                  how many
 *     LENGTH                                            how many
 *     PUT_MANY   FL_LIN_KEY(arg) + 1 items at once,     how many, in their order: as many as have space, or fewer, but
 *                the i-th is fl_lin_item(arg, i)  not none, while another call is under way; 0 once closed
 *     GET_MANY   up to FL_LIN_KEY(arg) + 1 at once      fl_lin_items(n, items): as many as there are, or fewer, likewise
 *
 *     and to all of these: -EBUSY, nothing has happened, while another call is under way; -ETIMEDOUT where -EAGAIN may be
 *
 *     to the set         ADD, REMOVE, HAS arg           1 (it was not there; it was there; it is there), 0
 *     to the word        READ; WRITE arg; SWAP arg      its value; 0; the value before
 *     to the counter     READ; ADD arg                  its value; the value before
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

/* An operation of `struct test`: int64_t (struct test *s, int64_t arg). Its kind, then what else is to say of it. */
#define FL_LIN_OP(scenario, operation, ...)                                                                            \
	static int64_t scenario##__##operation(struct scenario *, int64_t);                                            \
	static int64_t scenario##__##operation##__call(void *_state, int64_t _arg)                                     \
	{                                                                                                              \
		return scenario##__##operation((struct scenario *)_state, _arg);                                       \
	}                                                                                                              \
	__attribute__((constructor)) static void scenario##__register_##operation(void)                                \
	{                                                                                                              \
		static struct fl_lin_op _o;                                                                            \
		_o.size = sizeof(_o);                                                                                  \
		_o.test = #scenario;                                                                                   \
		_o.name = #operation;                                                                                  \
		_o.call = scenario##__##operation##__call;                                                             \
		FL__LIN_SET(_o, .kind = __VA_ARGS__, , , , , , , )                                                     \
		fl_lin_register_op(&_o);                                                                               \
	}                                                                                                              \
	static int64_t scenario##__##operation(__attribute__((unused)) struct scenario *s,                             \
	                                       __attribute__((unused)) int64_t arg)

struct fl_lin_op {
	size_t size; /* of this struct */
	const char *test, *name;
	int64_t (*call)(void *state, int64_t arg);
	int kind;
	unsigned by;     /* which threads call it: FL_LIN_THREAD(0) | ...; 0: all */
	unsigned weight; /* how often it is drawn, against the others; 0: 1 */
	unsigned most;   /* at most so many calls of it in one program; 0: as it comes */
	unsigned args;   /* n: arg is a number below n; 0: arg is one that no other call has, 1 to 99 */
	unsigned keys;   /* n: a number below n, FL_LIN_KEY(arg), goes with that one, FL_LIN_ID(arg) */
	struct fl_lin_op *next;
	const void *module;
};

/* The thread of that number. The calls before and after those of the threads are main's, who may call anything. */
#define FL_LIN_THREAD(n) (1u << (n))

#define FL_LIN_ID(arg) ((int64_t)((arg)&255))
#define FL_LIN_KEY(arg) ((int64_t)((arg) >> 8))

/* The items of the calls with many: at most five. */
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

/* The test `test` with the state `struct test`: its specification, then what else is to say; as the body, what ends it. */
#define FL_LIN(scenario, ...)                                                                                          \
	FL__STRESS_FUNCTION_(scenario, end)                                                                            \
	__attribute__((constructor)) static void scenario##__register(void)                                            \
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
	static void scenario##__end(__attribute__((unused)) struct scenario *s)

struct fl_lin {
	struct fl_stress_test test;
	size_t size; /* of this struct */
	void (*end)(void *state);
	const struct fl_lin_spec *spec;
	int64_t limit; /* the specification's: of a queue its capacity, 0: none */
	/*
	 * A call that is refused (-EAGAIN, -EBUSY, -ETIMEDOUT) is explained with those that are not, but not with another that
	 * is. For what has no full fence: there one may be told full, another empty, since each looks before it is seen.
	 */
	bool refusals_apart;
	unsigned threads; /* at most so many, 2 to 8; 0: 3 */
	unsigned each;    /* at most so many calls of each, 1 to 9; 0: 3 */
	unsigned before;  /* at most so many calls before them, 1 to 9; 0: 2 */
	unsigned after;   /* and after them; all in all at most 64 */
};

/* A call, as a specification sees it. */
struct fl_lin_call {
	int kind;
	int64_t arg, result;
	bool returned;     /* false: it never has; the result is not known, and it may have taken effect or not */
	uint32_t overlaps; /* 1 << kind of each call that was under way at the same time */
};

/*
 * A specification: an object that one thread uses, in `size` bytes, and what its operations do.
 *
 * apply: whether `call` may have its result when the object is in `state`; and if so, what it makes of the state. Where it
 * has not returned, any result will do. Bytes of the state that do not matter must always be the same, or there are
 * equal() and hash(). init: NULL, where zeroes will do. part: calls of different keys have nothing to do with each other,
 * and are looked at apart, each on an object of its own; false: this one has to do with all. text: the state for a reader.
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

/* First in, first out; last in, first out; smallest FL_LIN_KEY first, of equal ones the one that was put first. */
extern const struct fl_lin_spec fl_lin_fifo, fl_lin_lifo, fl_lin_priority;
/* Of numbers below 64; a value; a sum. They begin empty, and 0. */
extern const struct fl_lin_spec fl_lin_set, fl_lin_word, fl_lin_counter;

/* Which thread calls: 0 for main, 1 for FL_LIN_THREAD(0), and so on up to FL_STRESS_ACTORS. For what each has of its own. */
unsigned fl_lin_thread(void);

/* --- what the macros are made of --- */

/* Sets up to seven fields, given as designators: C++17 has none. An empty one does nothing. */
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
