/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of mode lin: which operations each thread calls, and with which arguments. A program
 * is a list of picks, one for each place where a call may stand. The places are listed in this
 * order: those of main before the threads, those of the first thread, of the second thread and so
 * on, and those of main after the threads. A pick is 0 if there is no call at its place. Otherwise
 * it is 1 + 2 * (the line of the menu) + (1 if the call is heard). The menu has a line for each
 * operation with each of its arguments.
 *
 * In the model the picks are recorded like choices. So they name the program in a replay string,
 * and removing a pick there removes a call. However, the search does not try their values: these
 * are drawn before the execution (lab_lin_program).
 *
 * A call comes before another call if it returns before the other begins, in the sense of
 * happens-before. There are two kinds of calls (`heard`):
 *
 *   unheard   Only the operations themselves order the threads. In the model, such a call begins
 *             without a step; natively, it leaves no trace. So the check supplies no order that an
 *             operation lacks. There is one exception: in a native run with heard calls, an unheard
 *             call, too, adds to the counter when it returns.
 *   heard     The thread knows all calls that have returned. In the model, the call begins with a
 *             step, which joins the knowledge of the returned calls. Natively, it begins with a
 *             fetch-and-add on one counter, to which the returned calls have also added.
 *
 * If all calls are heard, the history is that of Herlihy and Wing: intervals of one clock. If none
 * is heard, the check asks whether the results are those of some interleaving of the threads'
 * calls. In the model the interleaving must also keep the order that the operations themselves
 * make.
 */
#include "lin.h"
#include "interpose.h"
#include "lin_program.h"
#include "lin_run.h"
#include "user.h"
#include <stdatomic.h>

enum { LINE = 64 };

/* The record of a call. Only the call's thread writes it. */
struct record {
	int64_t result;
	uint32_t began, returned; /* values of one clock; 0: the call did not take a value */
	bool called, ended;
};

/* What is known of one run. Natively, it is stored behind the user's state. */
struct run {
	uint8_t picks[LIN_CALLS];
	bool counts; /* at least one call is heard */
	_Alignas(LINE) _Atomic uint32_t clock;
	/*
	 * The calls of main before the threads, those of the threads, and those of main after them.
	 */
	struct record records[LIN_AFTER + 1][LIN_EACH];
};

static _Thread_local unsigned real_thread;
static const struct fl_lin *lin; /* the FL_LIN of the current test */
static const char *wrong;        /* an error in its operations; NULL: none */
static struct lin_history history;
static const char explained[] = "an order explains the results", unexplained[] = "no order explains the results";

/* the run in the model */
static struct run model_run;
static uint64_t model_before[LIN_CALLS];
static uint32_t model_stamps[LIN_CALLS];
static struct lab_view model_views[LIN_CALLS];

static const struct lab_test *user_test;

void lab_lin_use(const struct lab_test *test)
{
	lin = test->test->lin;
	wrong = lin_program_use(test);
	user_test = test;
}

size_t lab_state_size(const struct lab_test *test)
{
	return test->test->lin ? test->test->state_size - sizeof(struct run) : test->test->state_size;
}

static struct run *run_of(void *state)
{
	return lab.active ? &model_run : (struct run *)(void *)((char *)state + lab_state_size(user_test));
}

/* --- calls --- */

static struct record *record_of(struct run *run, unsigned place)
{
	const struct lin_place at = lin_place_of(place);
	return &run->records[at.thread][at.number];
}

/* Returns the number of the thread that makes the call; 0: main. */
static unsigned thread_of(unsigned place)
{
	const unsigned thread = lin_place_of(place).thread;
	return thread == LIN_AFTER ? 0 : thread;
}

static void say_step(uint8_t kind, unsigned place, uint64_t result)
{
	lab_event((struct lab_op){.kind = kind, .address = place})->value = result;
}

/*
 * Begins a call in the model: notes which calls happen before it. For a heard call, these are all
 * calls that have returned.
 */
static void begin_in_model(unsigned place, bool heard)
{
	struct lab_thread *self = lab.self;
	if (heard && lab.acting)
		lab_point((struct lab_op){.kind = LAB_CALL, .address = place});
	for (unsigned i = 0; i < lab_lin_places() && heard; i++)
		if (model_stamps[i])
			lab_view_join(&self->view, &model_views[i]);
	uint64_t before = 0;
	for (unsigned i = 0; i < lab_lin_places(); i++) {
		const unsigned thread = thread_of(i);
		if (model_stamps[i] && self->view.at[thread].hb >= model_stamps[i])
			before |= LIN_BIT(i);
	}
	model_before[place] = before;
	record_of(&model_run, place)->began = ++model_run.clock;
	say_step(LAB_CALL, place, 0);
}

/*
 * Ends a call in the model. What the thread did since its last step, such as starting a thread,
 * belongs to the call, too.
 */
static void end_in_model(unsigned place, const struct record *record)
{
	struct lab_thread *self = lab.self;
	model_stamps[place] = ++self->view.at[self->id].hb;
	lab_view_copy(&model_views[place], &self->view);
	lab_hash((uint64_t)record->result);
	say_step(LAB_RETURN, place, (uint64_t)record->result);
}

static void make_call(struct run *run, void *state, unsigned place)
{
	uint8_t pick = run->picks[place];
	if (pick == 0)
		return;
	struct record *record = record_of(run, place);
	bool model = lab.active;
	record->called = true;
	if (model)
		begin_in_model(place, lin_is_heard(pick));
	else if (lin_is_heard(pick))
		/* seq_cst: its acquire pairs with the additions of all calls that have returned */
		record->began = 1 + atomic_fetch_add(&run->clock, 1);
	int64_t result = lin_op_of(pick)->call(state, lin_arg_of(pick, place));
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
	unsigned from = lin->before + (thread - 1) * lin->each;
	for (unsigned i = 0; i < lin->each; i++)
		make_call(run, state, from + i);
}

/*
 * Called before the actors: draws the program, sets up the state, and makes the calls of main that
 * come first.
 */
void lab_lin_setup(void *state)
{
	struct run *run = run_of(state);
	memset(run, 0, sizeof *run);
	if (wrong)
		fl_stress_fail(lin->test.file, lin->test.line, wrong);
	if (lab.active) {
		memset(model_stamps, 0, sizeof model_stamps);
		for (unsigned i = 0; i < lab_lin_places(); i++)
			run->picks[i] = (uint8_t)lab_choose(LAB_PICK_PROGRAM, lin_picks());
	} else {
		lab_lin_draw(run->picks, false, native_choose);
	}
	for (unsigned i = 0; i < lab_lin_places(); i++)
		run->counts = run->counts || lin_is_heard(run->picks[i]);
	if (user_test->setup)
		user_test->setup(state);
	for (unsigned i = 0; i < lin->before; i++)
		make_call(run, state, i);
}

/* --- the verdict --- */

/*
 * Whether the call `a` comes before the call `b` in a native run: by the order of the program; or,
 * if `b` is heard, by the clock.
 */
static bool is_before(struct run *run, unsigned a, unsigned b)
{
	const struct record *first = record_of(run, a), *second = record_of(run, b);
	if (thread_of(a) == thread_of(b) || thread_of(a) == 0 || thread_of(b) == 0)
		return a < b; /* main calls before all threads, and after them */
	return first->returned > 0 && second->began > 0 && first->returned < second->began;
}

static uint64_t before_in(struct run *run, unsigned place, const uint8_t *places, unsigned n)
{
	uint64_t before = 0;
	for (unsigned i = 0; i < n; i++)
		if (run == &model_run ? model_before[place] >> places[i] & 1 : is_before(run, places[i], place))
			before |= LIN_BIT(i);
	return before;
}

static void make_history(struct run *run)
{
	uint8_t places[LIN_CALLS] = {0};
	history.n = 0;
	for (unsigned i = 0; i < lab_lin_places(); i++)
		if (record_of(run, i)->called)
			places[history.n++] = (uint8_t)i;
	for (unsigned i = 0; i < history.n; i++) {
		const struct record *record = record_of(run, places[i]);
		const uint8_t pick = run->picks[places[i]];
		history.calls[i] = (struct lin_call){
		    .call = {.kind = lin_op_of(pick)->kind,
		             .arg = lin_arg_of(pick, places[i]),
		             .result = record->result,
		             .returned = record->ended},
		    .name = lin_op_of(pick)->name,
		    .thread = (uint8_t)thread_of(places[i]),
		    .heard = lin_is_heard(pick),
		    .began = record->began ? record->began
		             : run->counts ? record->returned
		                           : i + 1,
		    .returned = !record->ended     ? 0
		                : record->returned ? record->returned
		                                   : i + 1,
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
		native_wrong(LAB_NOT_LINEARIZABLE, why, columns);
		(void)fl_stress_outcome(FL_STRESS_FORBIDDEN, true, unexplained);
		return;
	}
	lab_activate(true);
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
		native_wrong(LAB_CHECK, message, "");
	lab_activate(model);
	if (model)
		lab_fail(LAB_CHECK, "%s", message);
}

/*
 * Checks the history. If refusals are checked separately, reduces the history to the part that no
 * order explains.
 */
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

/*
 * Makes the last calls and checks the history. The specification is the user's code and may be
 * instrumented, but its accesses are not steps of the model.
 */
static void judge(void *state)
{
	struct run *run = run_of(state);
	bool model = lab.active;
	for (unsigned i = lab_lin_places() - lin->after; i < lab_lin_places(); i++)
		make_call(run, state, i);
	lab_activate(false);
	make_history(run);
	enum lin_verdict verdict = check();
	if (verdict == LIN_UNEXPLAINED)
		fail(model);
	else if (verdict == LIN_TOO_MUCH)
		too_much(model);
	lab_activate(model);
	lin->end(state);
	if (verdict != LIN_UNEXPLAINED)
		(void)fl_stress_outcome(FL_STRESS_ACCEPTABLE, true, explained);
}

/* --- registering --- */

/* For each thread of a program, except main: its number. */
#define EACH_ACTOR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define FUNCTION(n)                                                                                                    \
	static void actor_##n(void *state)                                                                             \
	{                                                                                                              \
		act_as(state, (n));                                                                                    \
	}
#define ACTOR(n) {"t" #n, actor_##n},
EACH_ACTOR(FUNCTION)

EXPORTED void fl_lin_register(struct fl_lin *t)
{
	static const struct fl_stress_function actors[LIN_THREADS] = {EACH_ACTOR(ACTOR)};
	const char *problem = lin_shape(t);
	if (problem) {
		fprintf(stderr, "fairlead-stress: FL_LIN(%s) %s\n", t->test.name, problem);
		return;
	}
	memcpy(t->test.actors, actors, t->threads * sizeof actors[0]);
	t->test.outcome = (struct fl_stress_function){"outcome", judge};
	t->test.lin = t;
	t->test.state_size = (t->test.state_size + LINE - 1) / LINE * LINE + sizeof(struct run);
	if (t->test.state_align < _Alignof(struct run))
		t->test.state_align = _Alignof(struct run);
	fl_stress_register(&t->test);
}

/* --- for traces --- */

void lab_lin_say(unsigned place, int64_t result, bool ended, char *text, size_t size)
{
	uint8_t pick = model_run.picks[place];
	if (pick == 0)
		return;
	struct lin_call call = {
	    .call = {.kind = lin_op_of(pick)->kind, .arg = lin_arg_of(pick, place), .result = result},
	    .name = lin_op_of(pick)->name,
	    .heard = lin_is_heard(pick)};
	if (ended)
		lin_say_result(&call, text, size);
	else
		lin_say_call(&call, text, size);
}
