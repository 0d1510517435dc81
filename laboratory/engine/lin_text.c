/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows a reader a history that no order explains: a column for each thread, time downwards, and
 * the explanation.
 */
#include "lin.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN = 20, CELL = 80, THREADS = 9, STATES = 3 };

static bool has_argument(const struct lin_call *c)
{
	switch (c->call.kind) {
	case FL_LIN_GET:
	case FL_LIN_CLOSE:
	case FL_LIN_CLOSE_NOW:
	case FL_LIN_LENGTH:
	case FL_LIN_READ:
		return false;
	default:
		return true;
	}
}

/* Writes an item, or one with its key: "11", "2:11". */
static void say_item(int64_t item, char *to, size_t size)
{
	if (item > 255)
		snprintf(to, size, "%" PRId64 ":%" PRId64, FL_LIN_KEY(item), FL_LIN_ID(item));
	else
		snprintf(to, size, "%" PRId64, item);
}

void lin_say_call(const struct lin_call *c, char *to, size_t size)
{
	const char *mark = c->heard ? "^" : "";
	char arg[48] = "";
	int64_t count = FL_LIN_KEY(c->call.arg) + 1;
	struct lin_text items = {arg, sizeof arg, 0};
	if (c->call.kind == FL_LIN_PUT_MANY)
		for (unsigned i = 0; i < count; i++)
			lin_say(&items, "%s%d", i ? " " : "", (int)fl_lin_item(c->call.arg, i));
	else if (c->call.kind == FL_LIN_GET_MANY)
		snprintf(arg, sizeof arg, "up to %" PRId64, count);
	else if (has_argument(c))
		say_item(c->call.arg, arg, sizeof arg);
	snprintf(to, size, "%s%.20s(%s)", mark, c->name, arg);
}

static void say_items(int64_t items, char *to, size_t size)
{
	unsigned n = (unsigned)items & 15;
	struct lin_text t = {to, size, 0};
	lin_say(&t, "-> %u:", n);
	for (unsigned i = 0; i < n; i++)
		lin_say(&t, " %u", (unsigned)((uint64_t)items >> (4 + 12 * i)) & 4095);
}

void lin_say_result(const struct lin_call *c, char *to, size_t size)
{
	int64_t result = c->call.result;
	const char *name = NULL;
#ifdef __GLIBC__ /* musl has no names of errors */
	if (result < 0 && result > -4096)
		name = strerrorname_np((int)-result);
#endif
	snprintf(to, size, "-> ");
	if (name)
		snprintf(to + 3, size - 3, "-%s", name);
	else if (c->call.kind == FL_LIN_GET_MANY && result >= 0)
		say_items(result, to, size);
	else if (c->call.kind == FL_LIN_GET)
		say_item(result, to + 3, size - 3);
	else
		snprintf(to + 3, size - 3, "%" PRId64, result);
}

/* --- columns --- */

struct row {
	unsigned call;
	bool begins, ends;
};

/*
 * Lists the events in their order, as far as it is known. A call is one row if no event comes
 * between its begin and its return.
 */
static unsigned rows_of(const struct lin_history *h, struct row *rows)
{
	unsigned n = 0;
	for (uint32_t at = 1; at <= 2 * LIN_CALLS; at++) {
		LIN_EACH (i, h) {
			const struct lin_call *c = &h->calls[i];
			if (c->began == at)
				rows[n++] = (struct row){i, true, false};
			if (c->returned != at)
				continue;
			if (n > 0 && rows[n - 1].call == i)
				rows[n - 1].ends = true;
			else
				rows[n++] = (struct row){i, false, true};
		}
	}
	return n;
}

static void say_row(struct lin_text *t, const struct lin_history *h, const struct row *row, uint64_t core,
                    const int *column)
{
	const struct lin_call *c = &h->calls[row->call];
	char begins[CELL] = "", ends[CELL + 16] = "";
	if (row->begins)
		lin_say_call(c, begins, sizeof begins);
	if (row->ends)
		lin_say_result(c, ends, sizeof ends);
	lin_say(t, "%*s%s%s%s%s\n", column[c->thread] * COLUMN, "", begins, row->begins && row->ends ? " " : "", ends,
	        row->ends && (core & LIN_BIT(row->call)) ? " *" : "");
}

static void say_columns(struct lin_text *t, const struct lin_history *h, uint64_t core)
{
	static struct row rows[4 * LIN_CALLS];
	int column[THREADS] = {0}, columns = 0, width = 0;
	char name[16];
	bool heard = false;
	for (int thread = 0; thread < THREADS; thread++) {
		bool any = false;
		LIN_EACH (i, h)
			any = any || h->calls[i].thread == thread;
		if (!any)
			continue;
		snprintf(name, sizeof name, thread == 0 ? "main" : "t%d", thread);
		lin_say(t, "%*s%s", columns > 0 ? COLUMN - width : 0, "", name);
		width = (int)strlen(name);
		column[thread] = columns++;
	}
	lin_say(t, "\n");
	unsigned n = rows_of(h, rows);
	for (unsigned i = 0; i < n; i++)
		say_row(t, h, &rows[i], core, column);
	LIN_EACH (i, h)
		heard = heard || h->calls[i].heard;
	lin_say(t, "* the results that matter: no order explains them, whatever the others are\n%s\n",
	        heard ? "^ its thread knew of all that had returned; without it, of its own calls"
	              : "each thread knew of its own calls alone, main of all");
}

/* --- why --- */

/* Returns the last of the results that matter: the one that fits nowhere among the others. */
static unsigned culprit_of(const struct lin_history *h, uint64_t core)
{
	unsigned best = (unsigned)__builtin_ctzll(core);
	for (uint64_t rest = core; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);
		if (h->calls[i].returned >= h->calls[best].returned)
			best = i;
	}
	return best;
}

/* Writes the explanation. `weak` is the history reduced to the results that matter. */
static void say_why(struct lin_text *t, const struct lin_history *h, const struct lin_history *weak,
                    const struct fl_lin_spec *spec, int64_t limit, uint64_t core)
{
	char call[CELL], result[CELL + 16], texts[STATES][64];
	unsigned which = culprit_of(h, core);
	const struct lin_call *c = &h->calls[which];
	lin_say_call(c, call, sizeof call);
	lin_say_result(c, result, sizeof result);
	lin_say(t, "no order explains %s %s", call[0] == '^' ? call + 1 : call, result);
	lin_say(t, c->thread ? " of t%u" : " of main", c->thread);
	unsigned n = lin_states(h, which, spec, limit, texts[0], sizeof texts[0], STATES);
	if (n == 0)
		n = lin_states(weak, which, spec, limit, texts[0], sizeof texts[0], STATES);
	if (n > 0)
		lin_say(t, ": where it may come, the %s is", spec->name);
	for (unsigned i = 0; i < n && i < STATES; i++)
		lin_say(t, "%s %s", i == 0 ? "" : i + 1 == n ? " or" : ",", texts[i]);
	if (n > STATES)
		lin_say(t, ", or one of %u others", n - STATES);
}

void lin_tell(const struct lin_history *history, const struct fl_lin_spec *spec, int64_t limit, char *why,
              size_t why_size, char *columns, size_t columns_size)
{
	static struct lin_history weak;
	struct lin_text reason = {why, why_size, 0}, table = {columns, columns_size, 0};
	why[0] = columns[0] = '\0';
	weak = *history;
	uint64_t core = lin_core(&weak, spec, limit);
	if (core)
		say_why(&reason, history, &weak, spec, limit, core);
	say_columns(&table, history, core);
}
