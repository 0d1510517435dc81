/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of mode lin: which operations each thread calls, with which arguments. A program is a row of picks, one for
 * each place of a call:
 *
 *     before ...   each thread's ...   after ...     0: no call; else 1 + 2 x line of the menu + heard
 *
 * The menu is each operation with each of its arguments. So the picks of the model, which are choices like all others, name
 * the program in a replay string, and one that is dropped is one call less.
 *
 * What came before what is happens-before, from the return of a call to the beginning of another. Programs have two kinds of
 * calls, told apart by `heard`:
 *
 *   unheard   nothing but the operations themselves orders the threads. In the model the beginning of such a call is no
 *             step; natively it leaves no trace. No order that an operation lacks is supplied.
 *   heard     the thread knows of all calls that have returned. In the model the beginning is a step, which joins what
 *             those who returned knew; natively a fetch-and-add on one counter, which they have added to as well.
 *
 * A history in which all is heard is the one of Herlihy and Wing: intervals of one clock. One in which nothing is asks
 * whether the results are those of some interleaving of the programs.
 */
#include "lin.h"
#include "choice.h"
#include "lin_run.h"
#include "user.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

enum { MENU = 120, EACH = 9, THREADS = FL_STRESS_ACTORS, LINE = 64 };

/* What is known of a call, where it was made; each written by its thread alone. */
struct record {
	int64_t result;
	uint32_t began, returned; /* counts of one clock; 0: unheard */
	bool called, ended;
};

/* Natively it lies behind the user's state. */
struct run {
	uint8_t picks[LIN_CALLS];
	bool counts; /* some call is heard */
	_Alignas(LINE) _Atomic uint32_t clock;
	struct record records[THREADS + 2][EACH + 1]; /* main's before, the threads', main's after */
};

struct line {
	const struct fl_lin_op *op;
	int64_t choice; /* of args or keys */
};

static struct fl_lin_op *ops;
static _Thread_local unsigned real_thread;
static const struct fl_lin *lin; /* the one that runs */
static struct line menu[MENU];
static unsigned n_menu, n_places;
static const char *wrong; /* with its operations */
static size_t run_at;     /* from the state */
static struct lin_history history;
static const char explained[] = "an order explains the results", unexplained[] = "no order explains the results";

/* Of the model. */
static struct run model_run;
static uint64_t model_before[LIN_CALLS];
static uint32_t model_stamps[LIN_CALLS];
static struct lab_view model_views[LIN_CALLS];
uint8_t lab_lin_program[LIN_CALLS];

/* --- registering --- */

static unsigned or_else(unsigned n, unsigned usual)
{
	return n > 0 ? n : usual;
}

static unsigned threads_of(const struct fl_lin *t)
{
	return or_else(t->threads, 3);
}

static unsigned each_of(const struct fl_lin *t)
{
	return or_else(t->each, 3);
}

static unsigned before_of(const struct fl_lin *t)
{
	return or_else(t->before, 2);
}

static unsigned after_of(const struct fl_lin *t)
{
	return or_else(t->after, 2);
}

static const char *problem_of(const struct fl_lin *t)
{
	if (t->size != sizeof *t)
		return "was compiled with another version of <fairlead/stress_lin.h>";
	if (!t->spec || !t->spec->apply || t->spec->size == 0 || t->spec->size > LIN_STATE)
		return "has no specification, or one with a state of more than 65536 bytes";
	if (threads_of(t) > THREADS || each_of(t) > EACH || before_of(t) > EACH || after_of(t) > EACH)
		return "wants more than 8 threads, or more than 9 calls of one";
	if (before_of(t) + threads_of(t) * each_of(t) + after_of(t) > LIN_CALLS)
		return "wants more than 64 calls in one program";
	return NULL;
}

static void act_as(void *state, unsigned thread);
#define ACTOR(n)                                                                                                       \
	static void actor_##n(void *state)                                                                             \
	{                                                                                                              \
		act_as(state, (n));                                                                                    \
	}
ACTOR(1)
ACTOR(2)
ACTOR(3)
ACTOR(4)
ACTOR(5)
ACTOR(6)
ACTOR(7)
ACTOR(8)

static void judge(void *state);

EXPORTED void fl_lin_register(struct fl_lin *t)
{
	static const struct fl_stress_function actors[THREADS] = {{"t1", actor_1}, {"t2", actor_2}, {"t3", actor_3},
	                                                          {"t4", actor_4}, {"t5", actor_5}, {"t6", actor_6},
	                                                          {"t7", actor_7}, {"t8", actor_8}};
	const char *problem = problem_of(t);
	if (problem) {
		(void)fprintf(stderr, "fairlead-stress: FL_LIN(%s) %s\n", t->test.name, problem);
		return;
	}
	memcpy(t->test.actors, actors, threads_of(t) * sizeof actors[0]);
	t->test.outcome = (struct fl_stress_function){"outcome", judge};
	t->test.lin = t;
	t->test.state_size = (t->test.state_size + LINE - 1) / LINE * LINE + sizeof(struct run);
	if (t->test.state_align < _Alignof(struct run))
		t->test.state_align = _Alignof(struct run);
	fl_stress_register(&t->test);
}

EXPORTED void fl_lin_register_op(struct fl_lin_op *op)
{
	struct fl_lin_op **last = &ops;
	while (*last)
		last = &(*last)->next;
	*last = op;
	op->module = lab_module_at((uintptr_t)op);
}

/* Makes the menu of the test that is going to run. */
static void add_to_menu(const struct fl_lin_op *op)
{
	enum { KINDS = 32, MANY = 5 };
	bool many = op->kind == FL_LIN_PUT_MANY || op->kind == FL_LIN_GET_MANY;
	unsigned choices = or_else(op->args > op->keys ? op->args : op->keys, 1);
	if (op->size != sizeof *op)
		wrong = "an operation was compiled with another version of <fairlead/stress_lin.h>";
	else if (op->kind <= 0 || op->kind >= KINDS)
		wrong = "the kind of an operation is none from 1 to 31";
	else if (many && op->keys > MANY)
		wrong = "an operation has more than five items at once";
	else if (choices > MENU - n_menu)
		wrong = "more than 120 operations, each argument counted";
	for (unsigned i = 0; i < choices && !wrong; i++)
		menu[n_menu++] = (struct line){op, i};
}

static const struct lab_test *user_test;

void lab_lin_use(const struct lab_test *test)
{
	lin = test->test->lin;
	n_menu = 0;
	if (!lin)
		return;
	user_test = test;
	run_at = test->test->state_size - sizeof(struct run);
	n_places = before_of(lin) + threads_of(lin) * each_of(lin) + after_of(lin);
	wrong = NULL;
	for (const struct fl_lin_op *op = ops; op; op = op->next)
		if (op->module == test->module && strcmp(op->test, test->test->name) == 0)
			add_to_menu(op);
	if (n_menu == 0 && !wrong)
		wrong = "an FL_LIN without FL_LIN_OP";
}

size_t lab_state_size(const struct lab_test *test)
{
	return test->test->lin ? test->test->state_size - sizeof(struct run) : test->test->state_size;
}

/* --- programs --- */

static unsigned weight_of(const struct line *line)
{
	return or_else(line->op->weight, 1);
}

/* Whether one more call of that line may be made by `thread`, 0 for main. */
static bool may_draw(const struct line *line, unsigned thread, const uint8_t *picks)
{
	unsigned calls = 0;
	if (thread > 0 && line->op->by && !(line->op->by & FL_LIN_THREAD(thread - 1)))
		return false;
	for (unsigned i = 0; i < n_places && line->op->most > 0; i++)
		calls += picks[i] > 0 && menu[(picks[i] - 1) / 2].op == line->op;
	return line->op->most == 0 || calls < line->op->most;
}

static uint8_t draw_call(unsigned thread, const uint8_t *picks, lab_lin_below *below)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < n_menu; i++)
		sum += may_draw(&menu[i], thread, picks) ? weight_of(&menu[i]) : 0;
	unsigned lot = sum > 0 ? below(sum) : 0;
	for (unsigned i = 0; i < n_menu && sum > 0; i++) {
		if (!may_draw(&menu[i], thread, picks))
			continue;
		if (lot < weight_of(&menu[i]))
			return (uint8_t)(1 + 2 * i);
		lot -= weight_of(&menu[i]);
	}
	return 0;
}

/* Who hears: nobody, some, all. */
static bool draw_hearing(unsigned kind, lab_lin_below *below)
{
	return kind < 3 ? false : kind < 5 ? below(2) : true;
}

void lab_lin_draw(uint8_t *picks, bool small, lab_lin_below *below)
{
	enum { SMALL = 2 };
	unsigned most = threads_of(lin), each = each_of(lin), before = below(before_of(lin) + 1);
	unsigned threads = most < 2 || small ? (most < 2 ? most : 2) : 2 + below(most - 1), hearing = below(8);
	unsigned longest = 1 + below(small && each > SMALL ? SMALL : each);
	memset(picks, 0, LIN_CALLS);
	for (unsigned i = 0; i < before; i++)
		picks[i] = draw_call(0, picks, below);
	for (unsigned t = 0; t < threads; t++) {
		unsigned calls = t < 2 ? longest : 1 + below(longest);
		for (unsigned i = 0; i < calls; i++) {
			uint8_t *pick = &picks[before_of(lin) + t * each + i];
			*pick = draw_call(t + 1, picks, below);
			*pick = (uint8_t)(*pick + (*pick > 0 && draw_hearing(hearing, below)));
		}
	}
	for (unsigned i = 0, after = below(after_of(lin) + 1); i < after; i++) {
		uint8_t *pick = &picks[before_of(lin) + most * each + i];
		*pick = draw_call(0, picks, below);
	}
}

unsigned lab_lin_places(void)
{
	return n_places;
}

static bool is_heard(uint8_t pick)
{
	return pick > 0 && pick % 2 == 0;
}

static struct run *run_of(void *state)
{
	return lab.active ? &model_run : (struct run *)(void *)((char *)state + run_at);
}

/* Thread and number of the call at that place; 0 is main before the threads, THREADS + 1 main after them. */
static void place_of(unsigned place, unsigned *thread, unsigned *number)
{
	unsigned before = before_of(lin), each = each_of(lin), among = threads_of(lin) * each;
	if (place < before) {
		*thread = 0;
		*number = place;
	} else if (place < before + among) {
		*thread = 1 + (place - before) / each;
		*number = (place - before) % each;
	} else {
		*thread = THREADS + 1;
		*number = place - before - among;
	}
}

/* One that no other call has: 1, 2 before; 11, 12 of the first thread; 91, 92 after. */
static int64_t id_of(unsigned place)
{
	unsigned thread, number;
	place_of(place, &thread, &number);
	return 10 * (int64_t)thread + number + 1;
}

static int64_t arg_of(const struct line *line, unsigned place)
{
	if (line->op->args > 0)
		return line->choice;
	return line->choice << 8 | id_of(place);
}

/* --- calls --- */

static struct record *record_of(struct run *run, unsigned place)
{
	unsigned thread, number;
	place_of(place, &thread, &number);
	return &run->records[thread][number];
}

static void say_step(uint8_t kind, unsigned place, uint64_t result)
{
	const struct lab_op op = {.kind = kind, .address = place};
	struct lab_event *event = lab_event(&op);
	if (event)
		event->value = result;
}

/* What happens before this call, and, where it is heard, what has returned. */
static void begin_in_model(unsigned place, bool heard)
{
	struct lab_thread *self = lab.self;
	if (heard && lab.acting)
		lab_point((struct lab_op){.kind = LAB_CALL, .address = place});
	for (unsigned i = 0; i < n_places && heard; i++)
		if (model_stamps[i])
			lab_view_join(&self->view, &model_views[i], lab.n_threads);
	uint64_t before = 0;
	for (unsigned i = 0; i < n_places; i++) {
		unsigned thread, number;
		place_of(i, &thread, &number);
		thread = thread == THREADS + 1 ? 0 : thread;
		if (model_stamps[i] && self->view.hb.at[thread] >= model_stamps[i])
			before |= LIN_BIT(i);
	}
	model_before[place] = before;
	record_of(&model_run, place)->began = ++model_run.clock;
	say_step(LAB_CALL, place, 0);
}

/* What it did since its last step is of the past, too: as when it starts a thread. */
static void end_in_model(unsigned place, const struct record *record)
{
	struct lab_thread *self = lab.self;
	model_stamps[place] = ++self->view.hb.at[self->id];
	model_views[place] = self->view;
	lab_hash((uint64_t)record->result);
	say_step(LAB_RETURN, place, (uint64_t)record->result);
}

static void make_call(struct run *run, void *state, unsigned place)
{
	uint8_t pick = run->picks[place];
	if (pick == 0)
		return;
	const struct line *line = &menu[(pick - 1) / 2];
	struct record *record = record_of(run, place);
	bool model = lab.active;
	record->called = true;
	if (model)
		begin_in_model(place, is_heard(pick));
	else if (is_heard(pick))
		record->began =
		    1 + atomic_fetch_add(&run->clock, 1); /* acquires what is returned, of those before it */
	int64_t result = line->op->call(state, arg_of(line, place));
	record->result = result;
	record->ended = true;
	if (model) {
		end_in_model(place, record);
		record->returned = ++run->clock;
	} else if (run->counts) {
		record->returned = 1 + atomic_fetch_add(&run->clock, 1);
	}
}

EXPORTED unsigned fl_lin_thread(void)
{
	return lab.active ? lab.self->id : real_thread;
}

static void act_as(void *state, unsigned thread)
{
	struct run *run = run_of(state);
	real_thread = thread;
	unsigned from = before_of(lin) + (thread - 1) * each_of(lin);
	for (unsigned i = 0; i < each_of(lin); i++)
		make_call(run, state, from + i);
}

/* Before the actors: the program, the state, the calls that come first. */
void lab_lin_setup(void *state)
{
	struct run *run = run_of(state);
	memset(run, 0, sizeof *run);
	if (wrong)
		fl_stress_fail(lin->test.file, lin->test.line, wrong);
	if (lab.active) {
		memset(model_stamps, 0, sizeof model_stamps);
		for (unsigned i = 0; i < n_places; i++)
			run->picks[i] = (uint8_t)lab_choose(LAB_PICK_PROGRAM, 1 + 2 * n_menu);
	} else {
		lab_lin_draw(run->picks, false, lab_native->choose);
	}
	for (unsigned i = 0; i < n_places; i++)
		run->counts = run->counts || is_heard(run->picks[i]);
	if (user_test->setup)
		user_test->setup(state);
	for (unsigned i = 0; i < before_of(lin); i++)
		make_call(run, state, i);
}

/* --- the verdict --- */

/* Natively: by the program, and by the clock where the two have looked at it. */
static bool is_before(const struct run *run, unsigned a, unsigned b)
{
	unsigned thread_a, number_a, thread_b, number_b;
	place_of(a, &thread_a, &number_a);
	place_of(b, &thread_b, &number_b);
	const struct record *first = &run->records[thread_a][number_a], *second = &run->records[thread_b][number_b];
	if (thread_a == thread_b)
		return number_a < number_b;
	if (thread_a == 0 || thread_b == THREADS + 1)
		return true;
	if (thread_b == 0 || thread_a == THREADS + 1)
		return false;
	return first->returned > 0 && second->began > 0 && first->returned < second->began;
}

static uint64_t before_in(const struct run *run, unsigned place, const uint8_t *places, unsigned n)
{
	uint64_t before = 0;
	for (unsigned i = 0; i < n; i++)
		if (run == &model_run ? model_before[place] >> places[i] & 1 : is_before(run, places[i], place))
			before |= LIN_BIT(i);
	return before;
}

static void make_history(struct run *run)
{
	uint8_t places[LIN_CALLS];
	history.n = 0;
	for (unsigned i = 0; i < n_places; i++)
		if (record_of(run, i)->called)
			places[history.n++] = (uint8_t)i;
	for (unsigned i = 0; i < history.n; i++) {
		const struct record *record = record_of(run, places[i]);
		const struct line *line = &menu[(run->picks[places[i]] - 1) / 2];
		unsigned thread, number;
		place_of(places[i], &thread, &number);
		history.calls[i] = (struct lin_call){
		    .call = {.kind = line->op->kind,
		             .arg = arg_of(line, places[i]),
		             .result = record->result,
		             .returned = record->ended},
		    .name = line->op->name,
		    .thread = (uint8_t)(thread == THREADS + 1 ? 0 : thread),
		    .heard = is_heard(run->picks[places[i]]),
		    .began = record->began ? record->began
		             : run->counts ? record->returned
		                           : i + 1,
		    .returned = record->returned ? record->returned : i + 1,
		    .before = before_in(run, places[i], places, history.n),
		};
	}
	lin_overlaps(&history);
}

static void fail(bool model)
{
	static char why[512], columns[3600];
	static bool told;
	if (model ? lab.recording : !told)
		lin_tell(&history, lin->spec, lin->limit, why, sizeof why, columns, sizeof columns);
	if (!model) {
		told = true;
		lab_native->wrong(LAB_NOT_LINEARIZABLE, why, columns);
		(void)fl_stress_outcome(FL_STRESS_FORBIDDEN, true, unexplained);
		return;
	}
	lab.active = true;
	lab_outcome_forbidden(unexplained);
	lab.signature = (uintptr_t)unexplained;
	lab_detail("%s", columns);
	lab_fail(LAB_NOT_LINEARIZABLE, "%s", lab.recording ? why : unexplained);
}

static void too_much(bool model)
{
	static const char message[] =
	    "too many orders to look at: use fewer calls or threads, or a specification with parts";
	if (!model)
		lab_native->wrong(LAB_CHECK, message, "");
	lab.active = model;
	if (model)
		lab_fail(LAB_CHECK, "%s", message);
}

/* The history becomes what is not explained. */
static enum lin_verdict check(void)
{
	static struct lin_history part;
	if (!lin->refusals_apart)
		return lin_check(&history, lin->spec, lin->limit);
	enum lin_verdict verdict = lin_check_apart(&history, lin->spec, lin->limit, &part);
	if (verdict == LIN_UNEXPLAINED)
		history = part;
	return verdict;
}

/* The specification is the user's, and may be instrumented: what it does is none of the model's business. */
static void judge(void *state)
{
	struct run *run = run_of(state);
	bool model = lab.active;
	for (unsigned i = 0, from = n_places - after_of(lin); i < after_of(lin); i++)
		make_call(run, state, from + i);
	lab.active = false;
	make_history(run);
	enum lin_verdict verdict = check();
	if (verdict == LIN_UNEXPLAINED)
		fail(model);
	else if (verdict == LIN_TOO_MUCH)
		too_much(model);
	lab.active = model;
	lin->end(state);
	if (verdict != LIN_UNEXPLAINED)
		(void)fl_stress_outcome(FL_STRESS_ACCEPTABLE, true, explained);
}

/* --- for traces --- */

void lab_lin_say(unsigned place, int64_t result, bool ended, char *text, size_t size)
{
	uint8_t pick = model_run.picks[place];
	if (pick == 0)
		return;
	const struct line *line = &menu[(pick - 1) / 2];
	struct lin_call call = {.call = {.kind = line->op->kind, .arg = arg_of(line, place), .result = result},
	                        .name = line->op->name,
	                        .heard = is_heard(pick)};
	if (ended)
		lin_say_result(&call, text, size);
	else
		lin_say_call(&call, text, size);
}
