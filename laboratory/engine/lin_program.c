/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of the current test as a menu, and random programs of them. lin.c says what a
 * program is.
 */
#include "lin_program.h"
#include "interpose.h"
#include "lin.h"
#include "lin_run.h"

enum { MENU = 120 };

struct line {
	const struct fl_lin_op *op;
	int64_t choice; /* the index among args or keys */
	unsigned weight;
};

static struct fl_lin_op *ops;
static const struct fl_lin *lin; /* the FL_LIN of the current test */
static struct line menu[MENU];
static unsigned n_menu, n_places;
uint8_t lab_lin_program[LIN_CALLS];

static unsigned or_else(unsigned n, unsigned usual)
{
	return n > 0 ? n : usual;
}

static unsigned places_of(const struct fl_lin *t)
{
	return t->before + t->threads * t->each + t->after;
}

const char *lin_shape(struct fl_lin *t)
{
	if (t->size != sizeof *t)
		return "was compiled with another version of <fairlead/stress_lin.h>";
	if (!t->spec || !t->spec->apply || t->spec->size == 0 || t->spec->size > LIN_STATE)
		return "has no specification, or one with a state of more than 65536 bytes";
	t->threads = or_else(t->threads, 3);
	t->each = or_else(t->each, 3);
	t->before = or_else(t->before, 2);
	t->after = or_else(t->after, 2);
	if (t->threads > LIN_THREADS || t->each > LIN_EACH || t->before > LIN_EACH || t->after > LIN_EACH)
		return "wants more than 8 threads, or more than 9 calls of one";
	if (places_of(t) > LIN_CALLS)
		return "wants more than 64 calls in one program";
	return NULL;
}

/* --- the menu --- */

static const struct line *line_of(uint8_t pick)
{
	return &menu[(pick - 1) / 2];
}

const struct fl_lin_op *lin_op_of(uint8_t pick)
{
	return line_of(pick)->op;
}

EXPORTED void fl_lin_register_op(struct fl_lin_op *op)
{
	struct fl_lin_op **last = &ops;
	if (op->size != sizeof *op) {
		fprintf(stderr,
		        "fairlead-stress: FL_LIN_OP(%s, ...) was compiled with another version of "
		        "<fairlead/stress_lin.h>\n",
		        op->test);
		return;
	}
	while (*last)
		last = &(*last)->next;
	*last = op;
	op->module = lab_module_at((uintptr_t)op);
}

/* Adds the operation to the menu. Returns NULL, or the error. */
static const char *add_to_menu(const struct fl_lin_op *op)
{
	/* the weight of a line is its share of the operation's weight */
	enum { KINDS = 32, MANY = 5, EVEN = 840 };
	bool many = op->kind == FL_LIN_PUT_MANY || op->kind == FL_LIN_GET_MANY;
	unsigned choices = or_else(op->args > op->keys ? op->args : op->keys, 1);
	if (op->kind <= 0 || op->kind >= KINDS)
		return "the kind of an operation is none from 1 to 31";
	if (many && op->keys > MANY)
		return "an operation has more than five items at once";
	if (choices > MENU - n_menu)
		return "more than 120 operations, each argument counted";
	for (unsigned i = 0; i < choices; i++)
		menu[n_menu++] = (struct line){op, i, or_else(op->weight, 1) * EVEN / choices};
	return NULL;
}

const char *lin_program_use(const struct lab_test *test)
{
	const char *wrong = NULL;
	lin = test->test->lin;
	n_menu = n_places = 0;
	if (!lin)
		return NULL;
	n_places = places_of(lin);
	for (const struct fl_lin_op *op = ops; op && !wrong; op = op->next)
		if (op->module == test->module && strcmp(op->test, test->test->name) == 0)
			wrong = add_to_menu(op);
	return n_menu == 0 && !wrong ? "an FL_LIN without FL_LIN_OP" : wrong;
}

unsigned lin_picks(void)
{
	return 1 + 2 * n_menu;
}

/* --- programs --- */

/* Whether the thread (0: main) may make one more call of that line. */
static bool may_draw(const struct line *line, unsigned thread, const uint8_t *picks)
{
	unsigned calls = 0;
	if (thread > 0 && line->op->by && !(line->op->by & FL_LIN_THREAD(thread - 1)))
		return false;
	for (unsigned i = 0; i < n_places && line->op->most > 0; i++)
		calls += picks[i] > 0 && lin_op_of(picks[i]) == line->op;
	return line->op->most == 0 || calls < line->op->most;
}

static uint8_t draw_call(unsigned thread, const uint8_t *picks, lab_lin_below *below)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < n_menu; i++)
		sum += may_draw(&menu[i], thread, picks) ? menu[i].weight : 0;
	unsigned lot = sum > 0 ? below(sum) : 0;
	for (unsigned i = 0; i < n_menu && sum > 0; i++) {
		if (!may_draw(&menu[i], thread, picks))
			continue;
		if (lot < menu[i].weight)
			return (uint8_t)(1 + 2 * i);
		lot -= menu[i].weight;
	}
	return 0;
}

/*
 * Decides whether a call is heard. There are eight kinds of programs: three without heard calls,
 * two in which some calls are heard, and three in which all are.
 */
static bool draw_hearing(unsigned kind, lab_lin_below *below)
{
	return kind < 3 ? false : kind < 5 ? below(2) : true;
}

void lab_lin_draw(uint8_t *picks, bool small, lab_lin_below *below)
{
	enum { SMALL = 2 };
	unsigned most = lin->threads, each = lin->each, before = below(lin->before + 1);
	unsigned threads = most < 2 || small ? (most < 2 ? most : 2) : 2 + below(most - 1), hearing = below(8);
	unsigned longest = 1 + below(small && each > SMALL ? SMALL : each);
	memset(picks, 0, LIN_CALLS);
	for (unsigned i = 0; i < before; i++)
		picks[i] = draw_call(0, picks, below);
	for (unsigned t = 0; t < threads; t++) {
		unsigned calls = t < 2 ? longest : 1 + below(longest);
		for (unsigned i = 0; i < calls; i++) {
			uint8_t *pick = &picks[lin->before + t * each + i];
			*pick = draw_call(t + 1, picks, below);
			*pick = (uint8_t)(*pick + (*pick > 0 && draw_hearing(hearing, below)));
		}
	}
	for (unsigned i = 0, after = below(lin->after + 1); i < after; i++)
		picks[lin->before + most * each + i] = draw_call(0, picks, below);
}

unsigned lab_lin_places(void)
{
	return n_places;
}

/* --- the meaning of a pick --- */

bool lin_is_heard(uint8_t pick)
{
	return pick > 0 && pick % 2 == 0;
}

struct lin_place lin_place_of(unsigned place)
{
	unsigned each = lin->each, among = lin->threads * each;
	if (place < lin->before)
		return (struct lin_place){0, place};
	place -= lin->before;
	if (place < among)
		return (struct lin_place){1 + place / each, place % each};
	return (struct lin_place){LIN_AFTER, place - among};
}

/*
 * Returns a unique argument: 1, 2 before the threads; 11, 12 in the first thread; 91, 92 after the
 * threads.
 */
static int64_t id_of(unsigned place)
{
	const struct lin_place at = lin_place_of(place);
	return 10 * (int64_t)at.thread + at.number + 1;
}

int64_t lin_arg_of(uint8_t pick, unsigned place)
{
	const struct line *line = line_of(pick);
	if (line->op->args > 0)
		return line->choice;
	return line->choice << 8 | id_of(place);
}
