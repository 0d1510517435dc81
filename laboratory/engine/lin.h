/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LIN_H
#define STRESS_LIN_H

#include <fairlead/stress_lin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Linearizability, in three parts: histories, and the search for an order that explains them
 * (lin_check.c, which uses nothing else of the engine); the ready-made specifications
 * (lin_specs.c); and the programs that make histories (lin.c, lin_text.c).
 */
enum { LIN_CALLS = 64, LIN_STATE = 1 << 16 };

#define LIN_BIT(i) (UINT64_C(1) << (i))

struct lin_call {
	struct fl_lin_call call;
	uint64_t before; /* the set of calls that come before it; transitively closed */
	const char *name;
	uint8_t thread; /* the number of its thread; 0: main */
	bool heard;     /* when it began, its thread knew all calls that had returned */
	/* the places of its begin and of its return in the order of these events; 0: unknown */
	uint32_t began, returned;
};

struct lin_history {
	unsigned n; /* at most LIN_CALLS */
	struct lin_call calls[LIN_CALLS];
};

/* Loops over the index of each call of the history. */
#define LIN_EACH(i, history) for (unsigned i = 0; i < (history)->n; i++)

enum lin_verdict { LIN_EXPLAINED, LIN_UNEXPLAINED, LIN_TOO_MUCH };

/*
 * Whether an order explains the results. LIN_TOO_MUCH means that the search was given up after
 * LIN_LOOKS states.
 */
enum { LIN_LOOKS = 1 << 20 };
enum lin_verdict lin_check(const struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit);

/*
 * Checks several histories: each consists of all calls that were not refused (-EAGAIN, -EBUSY,
 * -ETIMEDOUT) and one refused call. `found` gets the first of these histories that no order
 * explains.
 */
enum lin_verdict lin_check_apart(const struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit,
                                 struct lin_history *found);

/*
 * For a history that no order explains: finds and returns a minimal set of results that still
 * cannot be explained. All other calls are made pending, so that their results may be anything. If
 * a search with fewer results would take too long, the set may be larger than minimal.
 */
uint64_t lin_core(struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit);

/*
 * Finds the states in which `which` might be called, in the orders that explain all other calls
 * without it. Writes at most `most` of these states as text, each in `size` bytes. Returns how many
 * states there are; states beyond the first `most` may be counted several times. Returns 0 if there
 * is no such order, or if the specification has no text().
 */
unsigned lin_states(const struct lin_history *h, unsigned which, const struct fl_lin_spec *spec, int64_t limit,
                    char *texts, size_t size, unsigned most);

/* Sets `overlaps` of each call, from the order of the calls. */
void lin_overlaps(struct lin_history *h);

/* A text that grows up to its size. */
struct lin_text {
	char *to;
	size_t size, used;
};
__attribute__((format(printf, 2, 3))) void lin_say(struct lin_text *t, const char *format, ...);

/* --- lin_text.c --- */

/* Writes "put(11)"; the second one writes "-> -EAGAIN". */
void lin_say_call(const struct lin_call *c, char *to, size_t size);
void lin_say_result(const struct lin_call *c, char *to, size_t size);
/* Writes the history as columns, with the explanation. `why` gets the explanation in one line. */
void lin_tell(const struct lin_history *h, const struct fl_lin_spec *spec, int64_t limit, char *why, size_t why_size,
              char *columns, size_t columns_size);

#endif
