/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of the campaign. Of four feeders, two wait for futures and cancel some of them, one has
 * callbacks, and one maps. The feeders that submit single tasks have sometimes one task under way
 * and sometimes hundreds, so that the workers and the manager thread are sometimes idle and
 * sometimes busy.
 */
#include "tasks.h"
#include <fairlead/sem.h>
#include <fairlead/task.h>
#include <time.h>

/* CALLED is the feeder with callbacks. */
enum { CALLED = 2, WINDOW = 256, MAP_MOST = 500, MAP_BYTES = 1 << 10 };

struct slot {
	fl_future *f;
	uint64_t ticket;
	fl_cancel_token token;
};

struct feeder {
	const char *doing;
	uint64_t seed;
	unsigned width; /* how many tasks may be under way */
	unsigned left;  /* how many tasks are left until the next change */
	struct slot slots[WINDOW];
	unsigned order[WINDOW], n; /* the slots under way, oldest first; then the free ones */
	fl_sem permits;
	_Alignas(64) unsigned char arg[BLOB_MOST];
	_Alignas(64) unsigned char args[MAP_MOST * MAP_BYTES], results[MAP_MOST * MAP_BYTES];
};

static struct feeder feeders[FEEDERS];

/* The longest run of bytes. All arguments borrow from it. */
static unsigned char parcel[BYTES_MOST];

void load_open(void)
{
	for (size_t i = 0; i < sizeof parcel; i++)
		parcel[i] = parcel_byte(i);
	memset(feeders, 0xff, sizeof feeders);
	memset(feeders, 0, sizeof feeders);
}

const char *feeder_doing(unsigned feeder)
{
	const char *doing = fl__load_relaxed(&feeders[feeder].doing);
	return doing ? doing : "nothing";
}

static void doing(struct feeder *w, const char *what)
{
	fl__store_relaxed(&w->doing, what);
}

static void pause_some(uint64_t *seed, int64_t most)
{
	pause_for((int64_t)(draw(seed) % (uint64_t)most));
}

static bool goes_on(void)
{
	return !fl__load_acquire(&current.stop);
}

/* While only the feeder with callbacks is to submit, another feeder waits here. */
static void stand_aside(struct feeder *w)
{
	doing(w, "stands aside");
	while (w != &feeders[CALLED] && fl__load_relaxed(&current.alone) && goes_on())
		pause_some(&w->seed, FL_US(400));
}

/* Draws how the feeder works for a while. */
static void draw_mode(struct feeder *w)
{
	static const unsigned widths[] = {1, 2, 8, 32, 128, WINDOW};
	stand_aside(w);
	const bool quiet = fl__load_relaxed(&current.quiet);
	w->width = quiet ? 1 : widths[draw(&w->seed) % (sizeof widths / sizeof *widths)];
	w->left = quiet ? 5 : 1 + (unsigned)(draw(&w->seed) % (20 * w->width + 200));
	if (quiet)
		pause_some(&w->seed, FL_US(400));
}

/* The submit of one task. */

static enum kind draw_kind(uint64_t *seed)
{
	unsigned at = (unsigned)(draw(seed) % SHARES), kind = 0;
	while (at >= kinds[kind].share)
		at -= kinds[kind++].share;
	return (enum kind)kind;
}

static void ask(void *arg, enum kind kind, uint32_t id, uint32_t work)
{
	struct question *q = kind == BYTES ? &((struct parcel *)arg)->q : arg;
	uint64_t *words = (uint64_t *)(q + 1);
	if (kind == BYTES)
		*(fl_bytes *)arg = (fl_bytes){.data = parcel, .size = bytes_size(~id)};
	*q = (struct question){id, work, question_check(id)};
	for (size_t i = 0; i < kinds[kind].arg_words; i++)
		words[i] = q->check + i;
}

static uint32_t draw_work(enum kind kind, uint64_t *seed)
{
	switch (kind) {
	case WORK:
		return (uint32_t)(draw(seed) % 15000);
	case PATIENT:
		return (uint32_t)(draw(seed) % 60000);
	case NESTED:
		return 1 + (uint32_t)(draw(seed) % NESTED_MOST);
	default:
		return (uint32_t)(draw(seed) % 256);
	}
}

/* Checks that a submit was rightly refused, which is possible only at the end of a round. */
static void check_refusal(int rc)
{
	if (rc != -EPIPE || !fl__load_acquire(&current.ending))
		fail("a submit answered %d", rc);
}

/*
 * Submits a task of any kind. Returns its ticket, or 0 if the task was refused. Sets
 * `config->on_end_arg` to the ticket.
 */
static uint64_t submit_any(struct feeder *w, fl_future **f, fl_submit_config *config)
{
	const enum kind kind = draw_kind(&w->seed);
	const uint32_t work = draw_work(kind, &w->seed);
	const unsigned nested = kind == NESTED ? work : 0;
	const uint32_t id = take_ids(1 + nested);
	/* A context that has the future may cancel the task. */
	const uint64_t t = ticket(id, kind, nested, f != NULL || config->cancel || config->deadline.ns != 0);
	ask(w->arg, kind, id, work);
	config->on_end_arg = (void *)(uintptr_t)t;
	doing(w, "submits");
	int rc = fl_executor_submit_with(current.e, kinds[kind].type, w->arg, f, config);
	if (rc == 0) {
		fl__add_relaxed(&in_nested, nested);
		return t;
	}
	check_refusal(rc);
	unsubmit(t);
	return 0;
}

/* The feeders that wait. */

static bool add_one(struct feeder *w)
{
	struct slot *s = &w->slots[w->order[w->n]];
	fl_submit_config config = {0};
	const uint64_t what = draw(&w->seed) % 32;
	fl_cancel_token_init(&s->token, FL_SHIELDED, FL_FOREVER);
	if (what < 2)
		config.cancel = &s->token;
	if (what == 2)
		config.deadline = fl_after((int64_t)(draw(&w->seed) % FL_US(300)));
	s->ticket = submit_any(w, &s->f, &config);
	if (s->ticket == 0) {
		fl_cancel_token_destroy(&s->token);
		return false;
	}
	w->n++;
	if (w->left > 0)
		w->left--;
	return true;
}

/* Cancels a task that is under way, by its future or its token. */
static void cancel_one(struct feeder *w)
{
	if (w->n == 0 || draw(&w->seed) % 32 != 0)
		return;
	struct slot *s = &w->slots[w->order[draw(&w->seed) % w->n]];
	doing(w, "cancels");
	fl_cancel_token_request(&s->token); /* few tasks have a token */
	if (draw(&w->seed) % 2 == 0) {
		int rc = fl_future_cancel(s->f);
		if (rc != 0 && rc != -EINPROGRESS && rc != -EALREADY)
			fail("a cancel answered %d", rc);
	}
}

/* Settles all tasks that have ended. */
static void sweep(struct feeder *w)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < w->n; i++) {
		const unsigned at = w->order[i];
		struct slot *s = &w->slots[at];
		if (fl_future_try_wait(s->f) != 0) {
			w->order[i] = w->order[kept];
			w->order[kept++] = at;
			continue;
		}
		settle(s->ticket, s->f);
		fl_future_free(s->f);
		fl_cancel_token_destroy(&s->token);
	}
	w->n = kept;
}

static void await_oldest(struct feeder *w)
{
	fl_future *f = w->slots[w->order[0]].f;
	const bool short_of_time = draw(&w->seed) % 8 == 0;
	doing(w, "waits for a future");
	int rc = short_of_time ? fl_future_wait_until(f, fl_after(FL_US(20)), NULL) : fl_future_wait(f);
	if (rc != 0 && !(short_of_time && rc == -ETIMEDOUT))
		fail("a wait answered %d", rc);
}

static void wait_along(struct feeder *w)
{
	bool refused = false;
	for (unsigned i = 0; i < WINDOW; i++)
		w->order[i] = i;
	w->n = 0;
	while (w->n > 0 || (goes_on() && !refused)) {
		if (w->left == 0 && w->n == 0)
			draw_mode(w);
		while (w->n < w->width && w->left > 0 && goes_on() && !refused)
			refused = !add_one(w);
		cancel_one(w);
		if (w->n > 0)
			await_oldest(w);
		sweep(w);
	}
}

/* The feeder with callbacks. */

static void on_end(fl_future *f, void *arg)
{
	const uint64_t t = (uintptr_t)arg;
	settle(t, f);
	fl_sem_release(&feeders[CALLED].permits);
}

static void take_permit(struct feeder *w)
{
	doing(w, "waits for a callback");
	if (fl_sem_acquire(&w->permits) != 0)
		fail("an acquire failed");
}

static void be_called(struct feeder *w)
{
	bool refused = false;
	while (goes_on() && !refused) {
		draw_mode(w);
		fl_sem_release_n(&w->permits, w->width);
		for (; w->left > 0 && goes_on() && !refused; w->left--) {
			fl_submit_config config = {.on_end = on_end};
			take_permit(w);
			refused = submit_any(w, NULL, &config) == 0;
			if (refused)
				fl_sem_release(&w->permits);
		}
		for (unsigned i = 0; i < w->width; i++)
			take_permit(w);
	}
}

/* The feeder that maps. */

static void check_map(int rc, const fl_map_error *error, bool limited)
{
	const bool ending = fl__load_acquire(&current.ending);
	if (rc == FL_ETASK && error->error == -EOWNERDEAD)
		settle_death(error->message);
	else if (rc == FL_ETASK && !(ending && error->error == -ECANCELED))
		wrong("a map failed with %d: %s", error->error, error->message);
	else if (rc != 0 && rc != FL_ETASK && !(limited && rc == -ETIMEDOUT) &&
	         !(ending && (rc == -EPIPE || rc == -ECANCELED)))
		fail("a map answered %d", rc);
}

static void map_once(struct feeder *w)
{
	static const size_t chunks[] = {0, 1, 7, 64};
	static const enum kind mapped[] = {NOOP, NOOP, WORK, BLOB_1K};
	const enum kind kind = mapped[draw(&w->seed) % 4];
	const fl_task_type *type = kinds[kind].type;
	const size_t n = 1 + draw(&w->seed) % (fl__load_relaxed(&current.quiet) ? 8 : MAP_MOST);
	const uint32_t first = take_ids((uint32_t)n);
	const bool limited = draw(&w->seed) % 16 == 0;
	fl_map_error error;
	fl_map_config config = {.chunk = chunks[draw(&w->seed) % 4], .error = &error};
	if (limited)
		config.deadline = fl_after((int64_t)(draw(&w->seed) % FL_MS(1)));
	for (uint32_t i = 0; i < n; i++) {
		(void)ticket(first + i, kind, 0, false);
		ask(w->args + i * type->arg_size, kind, first + i, 2000);
	}
	memset(w->results, 0xa5, n * type->result_size);
	doing(w, "maps");
	int rc = fl_executor_map(current.e, type, w->args, n, w->results, &config);
	check_map(rc, &error, limited);
	for (uint32_t i = 0; i < n; i++)
		settle_element(first + i, (const struct answer *)(w->results + i * type->result_size), rc == 0);
	fl__add_relaxed(&in_maps, n);
}

static void map_along(struct feeder *w)
{
	while (goes_on()) {
		stand_aside(w);
		map_once(w);
		pause_some(&w->seed, FL_MS(4));
	}
}

int feed(void *feeder)
{
	const unsigned number = (unsigned)(uintptr_t)feeder;
	struct feeder *w = &feeders[number];
	w->seed = campaign.seed + ids_taken() * UINT64_C(31) + number;
	if (number < CALLED)
		wait_along(w);
	else if (number == CALLED)
		be_called(w);
	else
		map_along(w);
	doing(w, NULL);
	return 0;
}
