/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The account of the campaign. How a task has ended, according to its future, is compared with the
 * task's own count of its starts. The counts are compared when the executor is freed, because a
 * second start may come after the end.
 */
#include "tasks.h"
#include <stdarg.h>
#include <sys/mman.h>

/* The ends of a task, and how many starts each end allows. */
enum fate {
	UNUSED,     /* there is no such task */
	SENT,       /* submitted, and not ended: lost if it stays so */
	SENT_ALONG, /* a nested task or map to which it belongs was submitted */
	DONE,       /* it returned its result, after 1 start */
	ANSWERED,   /* it returned an error, after 1 start */
	WITHDRAWN,  /* it was cancelled, or refused at the submit, with 0 starts */
	DIED,       /* its worker died, after 0 starts or 1 */
	UNKNOWN,    /* the nested task or the map failed, after 0 starts or 1 */
	FATES
};

static const struct {
	const char *name;
	unsigned least, most;
} fates[FATES] = {
    [UNUSED] = {"never submitted", 0, 0},
    [SENT] = {"LOST", 1, 0},
    [SENT_ALONG] = {"LOST", 1, 0},
    [DONE] = {"done", 1, 1},
    [ANSWERED] = {"answered that they were cancelled", 1, 1},
    [WITHDRAWN] = {"cancelled before they began", 0, 0},
    [DIED] = {"failed with their worker", 0, 1},
    [UNKNOWN] = {"part of a map, or of a task, that failed or was cancelled", 0, 1},
};

uint64_t settled, in_maps, in_nested;

static uint8_t *fate_of;
static uint32_t next_id = 1; /* from 1 on, so that no ticket is 0 */
static uint64_t counts[FATES], lost, twice, never, too_often, wrongs, unbegun, unannounced, too_many;

void ledger_open(void)
{
	fate_of = mmap(NULL, board->n_tasks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (fate_of == MAP_FAILED)
		fail("no memory: %s", strerror(errno));
}

uint32_t take_ids(uint32_t n)
{
	uint32_t id = fl__add_relaxed(&next_id, n);
	if (id >= board->n_tasks - n)
		fail("more than %u tasks", board->n_tasks);
	return id;
}

uint32_t ids_taken(void)
{
	return fl__load_relaxed(&next_id);
}

void wrong(const char *what, ...)
{
	va_list list;
	if (fl__add_relaxed(&wrongs, 1) >= 20)
		return;
	printf("WRONG: ");
	va_start(list, what);
	vprintf(what, list);
	va_end(list);
	printf("\n");
}

/*
 * A ticket has the task's number and kind, the number of its nested tasks, and whether it may be
 * cancelled.
 */

uint64_t ticket(uint32_t id, enum kind kind, unsigned nested, bool may_cancel)
{
	for (unsigned i = 0; i <= nested; i++)
		fl__store_relaxed(&fate_of[id + i], i == 0 ? SENT : SENT_ALONG);
	return (uint64_t)id << 32 | (uint64_t)may_cancel << 16 | nested << 8 | kind;
}

static uint32_t id_of(uint64_t ticket)
{
	return (uint32_t)(ticket >> 32);
}

static enum kind kind_of(uint64_t ticket)
{
	return (enum kind)(ticket & 0xff);
}

static void has_become(uint32_t id, enum fate fate)
{
	uint8_t before = __atomic_exchange_n(&fate_of[id], fate, __ATOMIC_RELAXED);
	if (before != SENT && before != SENT_ALONG)
		wrong("task %u has ended twice: %s, then %s", id, fates[before].name, fates[fate].name);
	fl__add_relaxed(&settled, 1);
}

static void all_have_become(uint64_t ticket, enum fate own, enum fate nested)
{
	has_become(id_of(ticket), own);
	for (unsigned i = 1; i <= (ticket >> 8 & 0xff); i++)
		has_become(id_of(ticket) + i, nested);
}

void unsubmit(uint64_t ticket)
{
	all_have_become(ticket, WITHDRAWN, WITHDRAWN);
}

/* The ends of tasks. */

static bool bytes_are_right(uint32_t id, const fl_bytes *b)
{
	const unsigned char *at = b->data, mark = bytes_mark(id);
	bool right = b->size == bytes_size(id) && at[b->size] == 0 && at[b->size - 1] == mark;
	for (size_t i = 0; right && i < b->size; i += STRIDE)
		right = at[i] == mark;
	return right;
}

static bool is_right(uint64_t ticket, const fl_future *f)
{
	if (kind_of(ticket) == BYTES)
		return bytes_are_right(id_of(ticket), fl_future_result(f));
	const struct answer *a = fl_future_result(f);
	const uint64_t check = answer_check(id_of(ticket));
	const uint64_t *words = (const uint64_t *)(a + 1);
	if (!a || a->check != check)
		return false;
	for (size_t i = 0; i < kinds[kind_of(ticket)].result_words; i++)
		if (words[i] != check + i)
			return false;
	return true;
}

static void settle_done(uint64_t ticket, const fl_future *f)
{
	if (kind_of(ticket) == CRASH)
		wrong("task %u was to crash, and is done", id_of(ticket));
	if (!is_right(ticket, f))
		wrong("task %u of kind %u has another's result", id_of(ticket), kind_of(ticket));
	all_have_become(ticket, DONE, DONE);
}

/*
 * Accounts for a message like "worker 4711 (worker-0) killed by SIGKILL": that worker must have
 * been killed, and no other task may have failed with it.
 */
void settle_death(const char *message)
{
	int pid;
	if (sscanf(message, "worker %d ", &pid) != 1) {
		wrong("a death that says: %s", message);
		return;
	}
	struct life *life = life_of(pid);
	if (life->pid != pid || !__atomic_load_n(&life->died, __ATOMIC_SEQ_CST))
		fl__add_relaxed(&unannounced, 1);
	if (fl__add_relaxed(&life->failed, 1) > 0) {
		fl__add_relaxed(&too_many, 1);
		wrong("worker %d has died, and with it more than one task failed: %s", pid, message);
	}
}

static bool says_how(const char *message, bool crashes)
{
	static const char *const ways[] = {"killed by SIGKILL", "killed by SIGSEGV", "killed by SIGABRT",
	                                   "exited with status 3", "exited with status 0"};
	for (size_t i = 0; i < (crashes ? sizeof ways / sizeof *ways : 1); i++)
		if (strstr(message, ways[i]))
			return true;
	return false;
}

static void settle_failed(uint64_t ticket, const fl_future *f, int error)
{
	const char *message = fl_future_message(f);
	const bool may_end = fl__load_acquire(&current.may_end);
	/* -ETIMEDOUT means that its deadline had passed, even if it was killed. */
	const bool stopped = error == -ECANCELED || (error == -ETIMEDOUT && (ticket >> 16 & 1));
	if (error == -EOWNERDEAD && says_how(message, kind_of(ticket) == CRASH)) {
		settle_death(message);
		all_have_become(ticket, DIED, UNKNOWN);
	} else if (stopped && may_end && (strstr(message, "terminated") || says_how(message, true))) {
		all_have_become(ticket, DIED, UNKNOWN);
	} else if (stopped && kind_of(ticket) == PATIENT && (may_end || (ticket >> 16 & 1))) {
		all_have_become(ticket, ANSWERED, ANSWERED);
	} else if (stopped && kind_of(ticket) == NESTED && (may_end || (ticket >> 16 & 1))) {
		all_have_become(ticket, ANSWERED, UNKNOWN);
	} else {
		wrong("task %u of kind %u failed with %d: %s", id_of(ticket), kind_of(ticket), error, message);
		all_have_become(ticket, DIED, UNKNOWN);
	}
}

void settle(uint64_t ticket, fl_future *f)
{
	const int error = fl_future_error(f);
	if (fl_future_state(f) == FL_CANCELLED) {
		if (!(ticket >> 16 & 1) && !fl__load_acquire(&current.may_end))
			wrong("task %u of kind %u was cancelled without a request", id_of(ticket), kind_of(ticket));
		all_have_become(ticket, WITHDRAWN, WITHDRAWN);
	} else if (error == 0) {
		settle_done(ticket, f);
	} else {
		settle_failed(ticket, f, error);
	}
}

/* Accounts for an element of a map. `must` is true if the map has succeeded. */
void settle_element(uint32_t id, const struct answer *answer, bool must)
{
	const bool done = answer->check == answer_check(id);
	if (!done && must)
		wrong("a map that succeeded has no result for its task %u", id);
	has_become(id, done ? DONE : UNKNOWN);
}

/* The end of a round, when no task runs any more. */

static void check_task(uint32_t id)
{
	const enum fate fate = fate_of[id];
	const unsigned starts = board->started[id];
	counts[fate]++;
	if (fate == SENT || fate == SENT_ALONG)
		lost++;
	else if (starts > 1)
		twice++;
	else if (starts < fates[fate].least)
		never++;
	else if (starts > fates[fate].most)
		too_often++;
	if (fate == DIED && starts == 0)
		unbegun++;
}

void ledger_check_round(uint32_t from, uint32_t to)
{
	for (uint32_t id = from; id < to; id++)
		check_task(id);
}

bool ledger_report(void)
{
	printf("%u tasks (%lu of them in maps, %lu nested): %lu lost, %lu started twice, %lu done but never started, "
	       "%lu cancelled but started, %lu wrong\n",
	       ids_taken(), in_maps, in_nested, lost, twice, never, too_often, wrongs);
	for (unsigned i = DONE; i < FATES; i++)
		printf("  %10lu %s\n", counts[i], fates[i].name);
	printf("  %10lu of those that failed had been claimed, and not begun\n", unbegun);
	if (unannounced > kills_unborn)
		wrong("%lu tasks failed with workers that were not killed", unannounced);
	return lost == 0 && twice == 0 && never == 0 && too_often == 0 && wrongs == 0;
}
