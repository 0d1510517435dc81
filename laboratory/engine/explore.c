/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The search over many executions: which strategies run, in which order, and when they end; how
 * several processes share the execution graphs; and what is done with the first failure.
 */
#include "explore.h"
#include "lin_run.h"
#include "steer.h"
#include "unknown.h"
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_BURST = 300, LAST_BURST = 2000, LOOK_AT_CLOCK = 32 };
enum { SHRINK_TIME = 4 }; /* seconds */

static struct lab_result result;
static struct lab_schedule found;
static char message[sizeof lab.message], details[sizeof lab.details], replay[LAB_REPLAY_TEXT], strategy_text[224];
static int64_t began, last_progress;
static lab_progress *on_progress;
static void *progress_arg;
static bool stopped;

int64_t lab_clock_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *lab_verdict_name(enum lab_verdict verdict)
{
	static const char *const names[] = {
	    "PASSED",   "FORBIDDEN",    "CHECK",          "PANIC",    "DATA RACE",   "USE AFTER FREE",
	    "LEAK",     "DEADLOCK",     "LOST WAKEUP",    "LIVELOCK", "STEP LIMIT",  "CRASH",
	    "HANG",     "NOT MODELLED", "NONDETERMINISM", "MISUSE",   "EXIT STATUS", "NOT LINEARIZABLE",
	    "DIVERGED", "NOT BUILT",
	};
	return names[verdict];
}

const char *lab_limit_text(enum lab_limit limit, const char *partial)
{
	static char call[128];
	static const char *const texts[LAB_LIMITS] = {
	    [LAB_MET_PREEMPTIONS] = "a thread could have been preempted more often",
	    [LAB_MET_STALE] = "a further load could have read an old value",
	    [LAB_MET_FAULTS] = "a further wait could have ended early, or a weak compare-and-swap have failed",
	    [LAB_MET_KILLS] = "a further process could have been killed",
	    [LAB_MET_HISTORY] = "a load could have read an older store than the last 8",
	    [LAB_MET_PATIENCE] = "a load could have read an old value once more",
	    [LAB_MET_ORDER] = "stores may have another modification order, or a trylock or a wake find an old state",
	    [LAB_MET_WIDE] = "an atomic access of more than 8 bytes could have read old values",
	    [LAB_MET_SIZES] = "atomic accesses of two sizes to one place",
	    [LAB_MET_UNSEEN] = "code without instrumentation wrote an atomic object",
	    [LAB_MET_SPIN] = "a bounded spin was ended without interruption",
	    [LAB_MET_FAIRNESS] =
		"a thread that was ready for 400 steps had to run, or one that tried 100 times in vain",
	    [LAB_MET_STEPS] = "an execution could have been longer",
	    [LAB_MET_CHOICES] = "a choice had more than 255 alternatives",
	    [LAB_MET_RECORDS] = "a race with one of many accesses to one place may be missed",
	    [LAB_MET_MEMBARRIER] = "the fences of membarrier() could have come in another order",
	    [LAB_MET_NO_FAULT] = "a kind of fault is switched off (--faults)",
	    [LAB_MET_DESCRIPTOR] =
		"another thread could have changed a descriptor, or an epoll set have got events in another order",
	    [LAB_MET_KERNEL] =
		"bytes of an internet socket could have come later, or a pipe or a socket have been full",
	    [LAB_MET_RETIRED] = "memory was retired: its use without a hazard pointer is not found",
	    [LAB_MET_LAST] = "another thread could have ended last, and have run the functions of atexit()",
	    [LAB_MET_INPUT] =
		"the program read the clock, the processor's number or a random number: the model returns one value",
	    [LAB_MET_ASSEMBLY] = "accesses of the places that the command names are not seen",
	    [LAB_MET_LENT] =
		"a thread used another's stack, where a structure that a call takes or returns is not seen",
	    [LAB_MET_CALL] = call,
	    [LAB_MET_NO_END] = "no execution came to its end: an assumption of the program was false in each",
	};
	snprintf(call, sizeof call, "not all effects of %s() are seen", partial);
	return texts[limit];
}

/* Keeps the texts of the last execution, which the report is about. */
static void keep_texts(void)
{
	memcpy(message, lab.message, sizeof message);
	memcpy(details, lab.details, sizeof details);
	result.message = message;
	result.details = details;
	result.verdict = lab.verdict;
	result.hash = lab.hash;
	result.failure = (struct lab_failure){lab.verdict, lab.signature, lab.at};
}

bool lab_failure_is_known(enum lab_verdict verdict)
{
	enum { NEAR = 64 };
	for (size_t i = 0; i < lab_config.n_known; i++) {
		const struct lab_failure *known = &lab_config.known[i];
		const bool same = known->signature == lab.signature;
		const bool near = lab.at - known->address + NEAR < 2 * NEAR;
		if (known->verdict == verdict &&
		    (known->address != 0 ? known->address == lab.at || (same && near) : same))
			return true;
	}
	return false;
}

/* --- counting and stopping --- */

/*
 * A leak is the least serious failure of a program. Therefore the search goes on for some
 * executions after it has found a leak, and if it finds a worse failure it reports that instead.
 */
static struct {
	uint64_t until;             /* the search stops after this many executions; 0: no leak */
	enum lab_strategy strategy; /* the strategy that finds the leak again */
} leak;

static bool are_enough(void)
{
	return stopped || (leak.until && result.executions >= leak.until) ||
	       result.executions >= lab_config.max_executions;
}

static bool is_late(int64_t limit)
{
	int64_t now = lab_clock_ns();
	if (on_progress && now - last_progress > 100000000) {
		last_progress = now;
		result.outcomes = lab_outcomes(&result.n_outcomes);
		stopped = !on_progress(&result, progress_arg);
	}
	return limit && now >= limit;
}

static bool time_is_up(int64_t limit)
{
	return are_enough() || ((result.executions + result.pruned) % LOOK_AT_CLOCK == 0 && is_late(limit));
}

/*
 * Keeps the last execution for the report. If its failure is a leak, a later failure may replace
 * it.
 */
static void keep_failure(void)
{
	found = lab_taken;
	result.found_ns = lab_clock_ns() - began;
	keep_texts();
}

static bool keep_leak(void)
{
	enum { MORE = 3000 };
	if (!lab.program || lab.verdict != LAB_LEAK)
		return false;
	if (!leak.until) {
		leak.until = result.executions + MORE;
		leak.strategy = lab_config.strategy;
		keep_failure();
		result.verdict = LAB_PASSED;
		lab.recording = false;
	}
	return true;
}

/* A search, depth first or by graphs. It can be interrupted and continued later. */
struct search {
	int preemptions, stale, faults; /* its bounds */
	unsigned met;                   /* the limits that it has met so far */
	/*
	 * How many executions there were. `blocked` counts the pruned ones, and `outdated` those
	 * pruned ones that ended at an outdated read.
	 */
	uint64_t complete, blocked, outdated;
	bool ended; /* no execution is left */
};

/*
 * `proof` is bounded only in the number of faults. `seen` is the search that is reported: the last
 * one that ended.
 */
static struct search bounded, proof, seen;
/* The search by execution graphs. It has no bounds on preemptions or stale reads, either. */
static struct search graphs;

/*
 * Several processes search one tree of graphs. This process distributes the graphs that are left to
 * parts, in their order. It forks `jobs` processes, each of which takes one part after another. A
 * process runs the graphs of its part, and the graphs that these push, up to a number of
 * executions, and leaves the remaining graphs in the part. Then this process takes all remaining
 * graphs back. So each graph is run exactly once.
 *
 * A forked process undoes a run and ends if the run fails, if the graphs lack something (a
 * refusal), or if the run learns something that later runs depend on (lab_steer_learnt()). Its
 * remaining graphs are put on top, so that this process runs that graph next, by itself, and fails
 * or learns in turn. So all processes know the same when they take a part, and a report depends on
 * the number of jobs, but not on which process was faster.
 */
enum { EACH = 2000, PARTS = 8, ROOM = 1 << 30 };
enum { BEGINS = 2000, LEARNS = 250 };

struct part {
	/* used in the first part: the number of the first part that no process has taken */
	_Atomic size_t next;
	bool stops;
	struct search run;
	uint64_t steps;
	unsigned n_outcomes;
	struct lab_outcome outcomes[LAB_OUTCOMES];
	size_t size;
	unsigned char graphs[ROOM];
};

/* The part of the graphs that this process runs; NULL: it runs all of them. */
static struct part *part;
static unsigned alone; /* how many graphs this process runs by itself before it forks others */
static unsigned learnt;

/* Runs one execution. Returns false if it failed and the search ends. */
static bool run_one(enum lab_strategy strategy)
{
	lab_choices_begin(strategy);
	lab_execute();
	if (part && (lab.failed || lab_steer_refusal() || lab_graph_is_full() || lab_steer_learnt() != learnt)) {
		lab_graph_undo();
		part->stops = true;
		return false;
	}
	if (lab.outcome && !lab.pruned &&
	    (!lab.failed || lab.verdict == LAB_FORBIDDEN || lab.verdict == LAB_NOT_LINEARIZABLE))
		lab.outcome->count++;
	result.steps += lab.steps;
	if (lab.pruned)
		result.pruned++;
	else
		result.executions++;
	return !lab.failed || lab_failure_is_known(lab.verdict) || (strategy != LAB_GRAPH && keep_leak());
}

/* --- strategies: each function returns false when an execution failed --- */

/* Whether the verdict on a run along a graph says nothing about the program. */
static bool is_unsure(enum lab_verdict verdict)
{
	return verdict == LAB_STEP_LIMIT || verdict == LAB_HANG || verdict == LAB_NONDETERMINISM ||
	       verdict == LAB_UNMODELLED;
}

/* The limits that take time to tell apart from harmless repetitions. */
enum { LOOPS = 1 << LAB_MET_PATIENCE | 1 << LAB_MET_SPIN };

static void search_begin(struct search *s, int preemptions, int stale, int faults)
{
	*s = (struct search){.preemptions = preemptions, .stale = stale, .faults = faults};
	lab_dfs_use(s == &proof);
	lab_dfs_reset();
}

static void search_use(const struct search *s)
{
	lab_config.preemptions = s->preemptions;
	lab_config.stale = s->stale;
	lab_config.faults = s->faults;
}

/* Runs further executions of the search. */
static bool search_on(struct search *s, uint64_t executions, int64_t limit)
{
	search_use(s);
	lab_dfs_use(s == &proof);
	for (uint64_t i = 0; i < executions && !s->ended; i++) {
		lab.proving = !(s->met & LAB_BOUNDS) && ~s->met & LOOPS;
		const bool passed = run_one(LAB_DFS);
		lab.proving = false;
		if (!passed)
			return false;
		s->met |= lab.limits;
		s->complete += !lab.pruned;
		s->blocked += lab.pruned;
		s->ended = !lab_dfs_next();
		if (time_is_up(limit))
			break;
	}
	if (s->ended && (s == &proof || seen.preemptions != LAB_UNBOUNDED))
		seen = *s;
	return true;
}

static bool run_dfs(int64_t limit)
{
	search_begin(&bounded, lab_config.preemptions, lab_config.stale, lab_config.faults);
	return search_on(&bounded, UINT64_MAX, limit);
}

/*
 * Repeats the failure of the last graph in a run of the usual engine, so that it can be replayed.
 * There is no such run if the failure needs another modification order, if all waits of a loop end
 * at their deadlines forever, or if a reader enqueues. Then the failure is reported without one. If
 * another failure comes first in the run, that failure is reported. For example, the last thread
 * that comes to a barrier is the serial thread in the usual engine, and goes on at once, while in
 * the graph another thread went on before it.
 */
static void guide_failure(void)
{
	if (lab_steer_guide()) {
		lab_choices_begin(LAB_GUIDE);
		lab_execute();
		if (lab.failed && !is_unsure(lab.verdict) && !lab_failure_is_known(lab.verdict))
			return;
	}
	lab.recording = true; /* so that the message has names */
	lab_graph_undo();
	(void)lab_steer_begin();
	(void)run_one(LAB_GRAPH);
	lab_taken.overflow = true;
	if (!lab_config.n_known) /* With known failures, no report has a replay. */
		lab_detail("this may need another modification order than the order of execution: no replay; and what "
		           "one thread printed has no order to what another thread printed");
	lab_config.strategy = LAB_GRAPH; /* a replay by this strategy finds the failure again */
}

static bool graphs_on(uint64_t executions, int64_t limit);

static void part_run(struct part *own, int64_t limit)
{
	part = own;
	graphs.complete = graphs.blocked = graphs.outdated = graphs.ended = 0;
	result.steps = 0;
	lab_outcomes_reset();
	lab_graphs_give(part->graphs, part->size);
	(void)graphs_on(EACH, limit);
	part->run = graphs;
	part->steps = result.steps;
	memcpy(part->outcomes, lab_outcomes(&part->n_outcomes), sizeof part->outcomes);
	part->size = lab_graphs_take(part->graphs, lab_graphs_left(NULL));
}

/* Forks a process that takes parts. If the system refuses the fork, the parts stay as they are. */
static void parts_fork(struct part *parts, size_t n, int64_t limit)
{
	if (fork() != 0)
		return;
	lab_watch(true);
	lab_config.jobs = 0;
	learnt = lab_steer_learnt();
	for (size_t i; !(part && part->stops) && (i = atomic_fetch_add(&parts->next, 1)) < n;)
		part_run(&parts[i], limit);
	_exit(0);
}

static void part_end(const struct part *p)
{
	lab_graphs_give(p->graphs, p->size);
	lab_outcomes_add(p->outcomes, p->n_outcomes);
	graphs.met |= p->run.met;
	graphs.complete += p->run.complete;
	graphs.blocked += p->run.blocked;
	graphs.outdated += p->run.outdated;
	result.executions += p->run.complete;
	result.pruned += p->run.blocked;
	result.steps += p->steps;
	alone = p->stops ? LEARNS : 0;
}

static void graphs_spread(int64_t limit)
{
	const size_t n = (size_t)PARTS * lab_config.jobs;
	struct part *parts =
	    mmap(NULL, n * sizeof *parts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	alone = LEARNS;
	if (parts == MAP_FAILED)
		return;
	for (size_t i = 0; i < n; i++)
		parts[i].size = lab_graphs_take(parts[i].graphs, lab_graphs_left(NULL) / (n - i));
	for (unsigned i = 0; i < lab_config.jobs; i++)
		parts_fork(parts, n, limit);
	for (int status; wait(&status) > 0;) {
		/* a process was killed from outside, and its part is lost */
		graphs.ended |= status != 0;
		if (parts->next < n)
			parts_fork(parts, n, limit);
	}
	for (unsigned stop = 0; stop < 2; stop++)
		for (size_t i = n; i-- > 0;)
			if (parts[i].stops == stop)
				part_end(&parts[i]);
	(void)munmap(parts, n * sizeof *parts);
	graphs.ended |= lab_graph_is_full();
	/* so that `seen` is not this search */
	graphs.met |= graphs.ended ? 1u << LAB_MET_STEPS : 0;
}

static void graphs_begin(int faults)
{
	graphs = (struct search){.preemptions = LAB_UNBOUNDED, .stale = LAB_UNBOUNDED, .faults = faults};
	lab_steer_reset((unsigned)faults);
	alone = BEGINS;
}

/*
 * Runs further graphs, each of them once. When none is left, the search has seen all executions.
 * What the graphs cannot express is left to the search without bounds.
 */
static bool graphs_on(uint64_t executions, int64_t limit)
{
	search_use(&graphs);
	for (uint64_t i = 0; i < executions && !graphs.ended; i++) {
		if (alone == 0 && lab_config.jobs > 1 && lab_config.max_executions == UINT64_MAX &&
		    lab_graphs_left(NULL) > lab_config.jobs) {
			graphs_spread(limit);
			i += EACH * PARTS;
			if (is_late(limit))
				break;
			continue;
		}
		alone -= alone > 0;
		if (!lab_steer_begin()) {
			graphs.ended = true;
			seen = graphs;
			break;
		}
		const bool passed = run_one(LAB_GRAPH);
		if (part && part->stops)
			break;
		if (lab_steer_again()) {
			graphs_begin(graphs.faults);
			continue;
		}
		if (lab_steer_refusal() || lab_graph_is_full() || (!passed && is_unsure(lab.verdict))) {
			graphs.ended = true;
			graphs.met = 1u << LAB_MET_STEPS; /* so that `seen` is not this search */
			break;
		}
		graphs.met |= lab.limits | (lab_graph_is_bounded() ? 1u << LAB_MET_FAULTS : 0);
		graphs.complete += !lab.pruned;
		graphs.blocked += lab.pruned;
		graphs.outdated += lab.outdated;
		if (!passed && !(leak.until && keep_leak())) {
			const enum lab_strategy strategy = lab_config.strategy;
			guide_failure(); /* so that a leak has a schedule, too */
			if (!keep_leak())
				return false;
			lab_config.strategy = strategy;
		}
		if (time_is_up(limit))
			break;
	}
	return true;
}

/* Returns why the search by graphs could not go on. */
static const char *graphs_lack(void)
{
	static char text[160];
	if (lab_steer_refusal() || lab_graph_is_full())
		snprintf(text, sizeof text, "the search by execution graphs does not have %s",
		         lab_steer_refusal() ? lab_steer_refusal() : "an execution of this size");
	else
		snprintf(text, sizeof text, "a run along an execution graph ended as %s",
		         lab_verdict_name(lab.verdict));
	return text;
}

/* Guesses whether the graphs that are left can be run in time. */
static bool graphs_may_end(int64_t limit)
{
	double explored;
	(void)lab_graphs_left(&explored);
	const double now = (double)lab_clock_ns();
	const double run = (double)(graphs.complete + graphs.blocked);
	const double all = (double)(result.executions + result.pruned);
	return run * (1 - explored) * (now - (double)began) < explored * all * ((double)limit - now);
}

static bool run_random(enum lab_strategy which, uint64_t executions, int64_t limit)
{
	static uint64_t drawn;
	for (uint64_t i = 0; i < executions; i++) {
		lab_seed(lab_config.seed, ++drawn);
		enum lab_strategy now = which != LAB_AUTO ? which : drawn % 2 ? LAB_RANDOM : LAB_PCT;
		if (!run_one(now))
			return false;
		if (time_is_up(limit))
			break;
	}
	return true;
}

static void describe_strategy(void)
{
	char *const dfs = strategy_text, faults[24] = "no faults";
	const size_t size = sizeof strategy_text;
	if (lab_config.fault_mask)
		snprintf(faults, sizeof faults, "%d fault%s", lab_config.faults, lab_config.faults == 1 ? "" : "s");
	if (lab_config.preemptions == LAB_UNBOUNDED)
		snprintf(dfs, size, "dfs with all preemptions and stale reads, %s%s",
		         lab_config.fault_mask ? "at most " : "", faults);
	else if (lab_config.stale == LAB_UNBOUNDED)
		snprintf(dfs, size, "dfs with at most %d preemptions, all stale reads, %s", lab_config.preemptions,
		         faults);
	else
		snprintf(dfs, size, "dfs with at most %d preemptions, %d stale reads, %s", lab_config.preemptions,
		         lab_config.stale, faults);
	if (lab_config.kills > 0)
		snprintf(dfs + strlen(dfs), size - strlen(dfs), ", %d kill%s", lab_config.kills,
		         lab_config.kills > 1 ? "s" : "");
	result.strategy = strategy_text;
	switch (lab_config.strategy) {
	case LAB_DFS:
		break;
	case LAB_GRAPH:
		result.strategy = "execution graphs";
		break;
	case LAB_RANDOM:
		result.strategy = "random";
		break;
	case LAB_PCT:
		snprintf(strategy_text, size, "pct, depth %u", lab_config.depth);
		break;
	case LAB_REPLAY:
		result.strategy = "replay";
		break;
	default:
		snprintf(dfs + strlen(dfs), size - strlen(dfs), "; in turns with %srandom and pct, depth %u",
		         lab_config.kills > 0 || lab_running->test->lin ? "" : "the proof, ", lab_config.depth);
		break;
	}
}

/* --- the usual search: turns of the proof, of the search within bounds, and of random runs --- */

/*
 * Whether the proof goes on. If it has met only the bound on faults, the next round, with more
 * faults, may succeed. After any other limit, only a short search goes on.
 */
static bool is_proving(void)
{
	enum { SHORT = 2000 };
	const bool hopeless = proof.met & ~(1u << LAB_MET_FAULTS | 1u << LAB_MET_NO_FAULT);
	if (lab_config.kills > 0 || (hopeless && proof.complete + proof.blocked > SHORT))
		return false;
	return !proof.ended || (!hopeless && proof.met & 1u << LAB_MET_FAULTS);
}

/*
 * Goes on with the proof. An execution that is too long ends the proof, but not the search, because
 * it may be an unfair execution, which the other searches do not run.
 */
static bool prove_on(uint64_t executions, int64_t limit)
{
	if (proof.ended)
		search_begin(&proof, LAB_UNBOUNDED, LAB_UNBOUNDED, proof.faults + 1);
	if (search_on(&proof, executions, limit))
		return true;
	if (lab.verdict != LAB_STEP_LIMIT)
		return false;
	proof.ended = true; /* so that `seen` is not the proof */
	proof.met = 1u << LAB_MET_STEPS;
	return true;
}

/* Goes on with the search within bounds. The bounds become wider, until no execution meets one. */
static bool deepen_on(uint64_t executions, int64_t limit)
{
	if (bounded.ended)
		search_begin(&bounded, bounded.preemptions + 1, bounded.stale + 1, bounded.faults + 1);
	return search_on(&bounded, executions, limit);
}

static bool is_over(bool deepens)
{
	if (seen.ended && !(seen.met & LAB_BOUNDS))
		return true;
	return !deepens && bounded.ended && !is_proving();
}

static bool run_auto(int64_t limit)
{
	enum { FIRST = 250, SLICE = 2000, LONG_SLICE = 12 * SLICE, BY_LOT = 1000 };
	const bool deepens = !lab_config.shallow && lab_config.kills == 0;
	const uint64_t most = lab_config.max_executions;
	const int64_t until = deepens || limit == 0 ? limit : began + (limit - began) / 2;
	search_begin(&bounded, lab_config.preemptions, lab_config.stale, lab_config.faults);
	search_begin(&proof, LAB_UNBOUNDED, LAB_UNBOUNDED, lab_config.faults);
	graphs_begin(lab_config.faults);
	graphs.ended = lab_config.kills > 0 || lab_config.n_known > 0;
	if (!run_random(LAB_AUTO, FIRST_BURST, limit))
		return false;
	lab_config.max_executions = deepens ? most : most / 2 + 1;
	bool passed = true;
	for (uint64_t slice = FIRST; passed && !is_over(deepens) && !are_enough() && !is_late(until);) {
		if (graphs.ended && graphs.met == 1u << LAB_MET_FAULTS && lab_graph_is_bounded())
			graphs_begin(graphs.faults + 1);
		if (!graphs.ended)
			passed = graphs_on(slice < SLICE || !graphs_may_end(until) ? slice : LONG_SLICE, until);
		else if (is_proving())
			passed = prove_on(slice, until);
		slice = slice < SLICE ? 2 * slice : SLICE;
		if (passed && !is_over(deepens) && (deepens || !bounded.ended))
			passed = deepen_on(SLICE, until) && run_random(LAB_AUTO, BY_LOT, until);
	}
	lab_config.max_executions = most;
	if (!passed || deepens || (seen.ended && seen.met == 0))
		return passed;
	return run_random(LAB_AUTO, seen.ended ? LAST_BURST : UINT64_MAX, limit);
}

/* --- programs of operations: some random executions of each program, then depth first --- */

static unsigned draw_for_program(unsigned n)
{
	return n > 1 ? lab_draw(n) : 0;
}

static bool run_program(int64_t limit, uint64_t executions)
{
	const uint64_t most = lab_config.max_executions, until = result.executions + executions;
	lab_config.max_executions = until < most ? until : most;
	bool passed = true;
	if (lab_config.strategy == LAB_RANDOM || lab_config.strategy == LAB_PCT)
		passed = run_random(lab_config.strategy, executions, limit);
	else
		passed =
		    (lab_config.strategy == LAB_DFS || run_random(LAB_AUTO, executions / 4, limit)) && run_dfs(limit);
	lab_config.max_executions = most;
	result.programs_exhausted += seen.ended;
	seen = (struct search){.ended = false};
	return passed;
}

static bool run_programs(int64_t limit)
{
	enum { SMALL = 24, EXECUTIONS = 400, MORE = 32 };
	do {
		lab_seed(lab_config.seed, UINT64_MAX - result.programs);
		lab_lin_draw(lab_lin_program, result.programs < SMALL, draw_for_program);
		result.programs++;
		if (!run_program(limit, EXECUTIONS + EXECUTIONS * (uint64_t)(result.programs / MORE)))
			return false;
	} while (!is_late(limit) && !are_enough());
	return true;
}

static bool run_strategy(int64_t limit)
{
	if (lab_running->test->lin)
		return run_programs(limit);
	switch (lab_config.strategy) {
	case LAB_DFS:
		return run_dfs(limit);
	case LAB_GRAPH:
		graphs_begin(lab_config.faults);
		return graphs_on(UINT64_MAX, limit);
	case LAB_RANDOM:
	case LAB_PCT:
		return run_random(lab_config.strategy, UINT64_MAX, limit);
	default:
		return run_auto(limit);
	}
}

/* --- replay --- */

static void replay_it(const struct lab_schedule *schedule)
{
	lab_follow(schedule);
	lab_choices_begin(LAB_REPLAY);
	lab_execute();
}

bool lab_failed_again(void)
{
	return lab.failed && lab.verdict == result.failure.verdict && lab.signature == result.failure.signature;
}

bool lab_replay_fails(const struct lab_schedule *schedule)
{
	replay_it(schedule);
	return lab_failed_again();
}

/* --- a failure --- */

/* Records the execution that is reported, with its steps. */
static void record(void)
{
	lab.recording = true;
	replay_it(&found);
	lab_trace(&result); /* this adds to the details */
	keep_texts();
	lab_schedule_print(&found, result.hash, replay);
	/*
	 * If there are known failures, no replay is given, because it would end at the first of
	 * them.
	 */
	result.replay = lab_config.n_known > 0 ? "" : replay;
	lab.recording = false;
}

/* Gives the result another verdict. The new message quotes the old one. */
static void overrule(enum lab_verdict verdict, const char *before, const char *behind)
{
	char first[sizeof lab.message];
	memcpy(first, message, sizeof first);
	result.verdict = verdict;
	snprintf(message, sizeof message, "%s%.400s%s", before, first, behind);
}

/* Shrinks and records the failure that was kept. */
static void report_failure(void)
{
	lab.recording = false;
	if (result.verdict == LAB_NONDETERMINISM || result.verdict == LAB_HANG || found.overflow) {
		lab_schedule_print(&found, result.hash, replay);
		result.replay = result.verdict == LAB_HANG ? replay : "";
		return;
	}
	if (!lab_replay_fails(&found) || lab.hash != result.hash) {
		overrule(LAB_NONDETERMINISM, "",
		         " was not seen again with the same choices (something that the model does not control)");
		return;
	}
	int64_t start = lab_clock_ns();
	if (!lab_config.no_shrink)
		lab_shrink(&found, start + (lab.program ? SHRINK_TIME / 4 : SHRINK_TIME) * (int64_t)1000000000);
	result.shrunk_ns = lab_clock_ns() - start;
	record();
}

static void run_replay(void)
{
	uint64_t hash;
	if (!lab_schedule_parse(lab_config.replay, &found, &hash)) {
		result.verdict = LAB_DIVERGED;
		result.message = "not a replay string";
		return;
	}
	record();
	result.executions = 1;
	if (lab.failed && lab.hash == hash)
		return;
	overrule(LAB_DIVERGED, "the replay went another way, and ended with: ", lab.failed ? "" : "no failure");
}

/* --- the whole run --- */

static void begin_run(const struct lab_test *test, const struct lab_config *config)
{
	lab_sys_install(lab_door_of(test->module)); /* before the module's variables are saved */
	lab_module_use(test->module, test->main != NULL);
	lab_running = test;
	lab_lin_use(test);
	lab_config = *config;
	if (lab_config.max_executions == 0)
		lab_config.max_executions = UINT64_MAX;
	result = (struct lab_result){.message = "", .details = "", .replay = ""};
	stopped = false;
	leak.until = 0;
	seen = proof = graphs = (struct search){.ended = false};
	began = last_progress = lab_clock_ns();
	lab_outcomes_reset();
	lab_kills_reset();
	describe_strategy();
}

const struct lab_result *lab_model_run(const struct lab_test *test, const struct lab_config *config,
                                       lab_progress *progress, void *arg)
{
	begin_run(test, config);
	on_progress = progress;
	progress_arg = arg;
	lab_watch(true);
	if (config->strategy == LAB_REPLAY) {
		run_replay();
	} else if (!run_strategy(config->time ? began + config->time : 0)) {
		keep_failure();
		if (!config->traffic) /* its schedule has no choices that could be repeated */
			report_failure();
	} else if (leak.until) {
		result.verdict = LAB_LEAK;
		lab_config.strategy = leak.strategy;
		report_failure();
	}
	lab_watch(false);
	if (config->strategy == LAB_GRAPH && graphs.ended && !seen.ended)
		result.skipped = graphs_lack();
	if (seen.ended) {
		result.exhausted = true;
		result.complete = seen.complete;
		result.blocked = seen.blocked - seen.outdated;
		result.outdated = seen.outdated;
		result.limits = seen.met | proof.met |
		                (config->unseen & LAB_UNSEEN_NAMED ? 1u << LAB_MET_ASSEMBLY : 0) |
		                (seen.complete == 0 && !lab_config.safety ? 1u << LAB_MET_NO_END : 0);
		result.proved = result.limits == 0;
		search_use(&seen);
	} else if (config->strategy == LAB_AUTO) {
		search_use(&(struct search){config->preemptions, config->stale, config->faults});
	}
	describe_strategy();
	lab_kills_count(&result);
	result.outcomes = lab_outcomes(&result.n_outcomes);
	result.partial = lab_unknown_partial;
	return &result;
}
