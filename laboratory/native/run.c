/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leader of a run. It runs batch after batch, until the time is up, the wanted number of
 * samples has run, or a sample was wrong.
 */
#include "../engine/door.h"
#include "../engine/lin_run.h"
#include "native.h"
#include <unistd.h>

enum {
	LINE = 64,
	BATCH_FIRST = 4,
	BATCH_MAX = 4096,
	BATCH_BYTES = 1 << 20,
	TARGET_NS = 4000000, /* the time of a batch, which is long compared with its start */
};

const struct lab_test *native_test;
const struct native_config *native_config;
static struct lab_result result;

static void sum_up(void)
{
	result.outcomes = lab_outcomes(&result.n_outcomes);
	result.executions = atomic_load(&native_config->live->samples);
}

/*
 * The first thread that fails gives the reason. Other threads that fail wait here until the process
 * ends.
 */
_Noreturn void native_give_up(enum lab_verdict verdict, const char *message)
{
	static _Atomic bool taken;
	while (atomic_exchange(&taken, true))
		(void)pause();
	result.verdict = verdict;
	result.message = message;
	sum_up();
	native_config->abandon(&result);
}

static void on_panic(const char *function, const void *object, const char *reason)
{
	static char message[512];
	snprintf(message, sizeof message, "%s(%p): %s", function, object, reason);
	native_give_up(LAB_PANIC, message);
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Returns how many samples fit, so that the next batch takes about TARGET_NS. */
static size_t next_size(size_t n, int64_t took, size_t most)
{
	if (took > 4 * (int64_t)TARGET_NS)
		n /= 2;
	else if (took < TARGET_NS)
		n *= 2;
	return n < 1 ? 1 : n > most ? most : n;
}

static size_t state_align(void)
{
	return native_test->test->state_align > LINE ? native_test->test->state_align : LINE;
}

/*
 * In about every second batch, neighbouring states may share a cache line, which changes the
 * timing.
 */
static size_t draw_stride(void)
{
	size_t size = round_up(native_test->test->state_size, native_test->test->state_align);
	return native_draw() % 2 == 0 ? size : round_up(size, state_align());
}

static void prepare(struct native_batch *batch, size_t n)
{
	static const unsigned skews[] = {0, 0, 4, 16, 64, 256, 2048};
	*batch = (struct native_batch){.stride = draw_stride(), .n = n};
	batch->skew = skews[native_draw() % (sizeof skews / sizeof *skews)];
	batch->together = native_draw() % 4 != 0;
	batch->apart = native_draw() % 8 != 0;
	size_t bytes = round_up(n * batch->stride, state_align());
	batch->states = aligned_alloc(state_align(), bytes);
	if (!batch->states)
		native_give_up(LAB_CHECK, "out of memory for the states");
	memset(batch->states, 0, bytes);
	void (*setup)(void *state) = native_test->test->lin ? lab_lin_setup : native_test->setup;
	for (size_t i = 0; setup && i < n; i++)
		setup(batch->states + i * batch->stride);
}

void native_wrong(enum lab_verdict verdict, const char *message, const char *details)
{
	if (result.message)
		return;
	result.message = strdup(message);
	result.details = strdup(details);
	result.verdict = verdict;
}

/* Shows the first bytes of a state with an unlisted outcome, to identify it. */
static void tell_unlisted(const void *state)
{
	char details[256] = "";
	size_t used = 0;
	for (size_t i = 0; i < native_test->test->state_size && used + 3 < sizeof details; i++)
		used += (size_t)snprintf(details + used, sizeof details - used, "%02x%s",
		                         ((const unsigned char *)state)[i], i % 4 == 3 ? " " : "");
	native_wrong(LAB_FORBIDDEN, "an outcome that no macro lists", details);
}

static void look(const struct native_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++) {
		native_decided = false;
		native_test->test->outcome.call(batch->states + i * batch->stride);
		if (!native_decided)
			tell_unlisted(batch->states + i * batch->stride);
	}
	free(batch->states);
}

static void run_batches(size_t n)
{
	static struct native_batch batches[NATIVE_COPIES];
	struct native_live *live = native_config->live;
	native_chaos_batch();
	for (unsigned c = 0; c < native_config->copies; c++) {
		prepare(&batches[c], n);
		atomic_fetch_add(&live->beats, 1);
	}
	native_team_run(batches);
	for (unsigned c = 0; c < native_config->copies; c++) {
		look(&batches[c]);
		atomic_fetch_add(&live->samples, n);
	}
}

/* Returns whether a sample was wrong, so that the run is over. `result` then has the reason. */
static bool settled(void)
{
	unsigned n;
	for (const struct lab_outcome *o = lab_outcomes(&n); n > 0; o++, n--)
		if (o->expect == FL_STRESS_FORBIDDEN && o->count > 0)
			native_wrong(LAB_FORBIDDEN, o->label, "");
	return result.verdict != LAB_PASSED;
}

static void loop(void)
{
	int64_t begin = lab_clock_ns();
	size_t most = BATCH_BYTES / round_up(native_test->test->state_size, LINE);
	most = most < 16 ? 16 : most > BATCH_MAX ? BATCH_MAX : most;
	for (size_t n = BATCH_FIRST;;) {
		uint64_t max = native_config->max_samples, done = atomic_load(&native_config->live->samples);
		if (max && done + n * native_config->copies > max)
			n = (size_t)((max - done + native_config->copies - 1) / native_config->copies);
		int64_t before = lab_clock_ns();
		run_batches(n);
		int64_t now = lab_clock_ns();
		done = atomic_load(&native_config->live->samples);
		if (settled()) {
			result.found_ns = now - begin;
			return;
		}
		if (now - begin >= native_config->time || (max && done >= max))
			return;
		n = next_size(n, now - before, most);
	}
}

void native_enter(const char *name)
{
	const struct lab_door *door = lab_door_of(native_test->module);
	if (!door)
		return;
	void *context = calloc(1, door->context_size);
	if (!context)
		native_give_up(LAB_CHECK, "out of memory");
	door->enter(context, name);
}

const struct lab_result *native_run(const struct lab_test *test, const struct native_config *config)
{
	native_test = test;
	native_config = config;
	result = (struct lab_result){.details = "", .replay = "", .strategy = config->chaos ? "chaos" : "native"};
	lab_lin_use(test);
	native_seed(0);
	native_watch_start();
	native_watch_thread();
	native_chaos_start();
	const struct lab_door *door = lab_door_of(test->module);
	if (door)
		door->panics(on_panic);
	native_enter("main");
	native_team_start();
	loop();
	lab_chaos = NULL;
	sum_up();
	if (!result.message)
		result.message = "";
	return &result;
}
