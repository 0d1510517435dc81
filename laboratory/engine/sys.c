/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers the system calls of a module's copy of the library. While model threads run, the model's
 * table of system calls replaces the copy's own table.
 */
#include "interpose.h"
#include "steer.h"
#include "traffic.h"

/* How many nanoseconds of virtual time a call takes when traffic is counted. */
enum { FUTEX_NO_WAKE = 200, FUTEX_WAIT = 1000, FUTEX_WAKE = 1800, YIELD = 400, NAP = 50000, SPAWN = 20000 };

static struct fl__sys *table; /* the table of the copy, or NULL if there is no copy */
static struct fl__sys real, model;

/*
 * Completes a wait whose words were as expected: the thread sleeps, unless a fault or the deadline
 * prevents that. Returns the result of the wait, and stores in `*faulty` whether a fault has ended
 * it.
 */
static int fall_asleep(uintptr_t word, int64_t deadline, bool *faulty)
{
	struct lab_thread *self = lab.self;
	*faulty = false;
	if (deadline <= lab.now)
		return -ETIMEDOUT;
	*faulty = true;
	if (lab_fault(LAB_FAULT_SPURIOUS))
		return 0;
	if (lab_fault(LAB_FAULT_EINTR))
		return -EINTR;
	*faulty = false;
	self->futex = word;
	self->expires = deadline != INT64_MAX;
	self->deadline = deadline;
	self->result = 0;
	lab_block();
	self->futex = 0;
	self->many = NULL;
	(void)lab_event((struct lab_op){LAB_FUTEX_DONE, 4, 0, word, self->next.pc});
	return self->result;
}

/*
 * Ends a wait, and notes its result at the event of the wait. `index` was the number of events when
 * the wait began. It is not a pointer, because the events may move in memory during the sleep.
 */
static int waited(size_t index, int result, bool faulty)
{
	lab_hash((uint64_t)(int64_t)result);
	if (lab.recording && lab.n_events > 0 && lab.events[lab.n_events - 1].op.kind == LAB_FUTEX_DONE)
		index = lab.n_events;
	if (lab_records() && index > 0) {
		lab.events[index - 1].result = result;
		lab.events[index - 1].fault = faulty;
	}
	return result;
}

int lab_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc)
{
	struct lab_op op = {LAB_FUTEX_WAIT, 4, 0, word, pc};
	if (lab.steered && lab.program)
		return lab_steer_futex_wait(word, expected, deadline, pc);
	lab_point(op);
	lab_traffic_call(FUTEX_WAIT);
	lab_heap_check(word, 4, false, pc);
	lab_futex_seen(word, true);
	lab_event(op)->value = expected;
	size_t index = lab.n_events;
	bool faulty = false;
	int result = -EAGAIN;
	if ((uint32_t)lab_peek(word, 4) == expected && !lab_fault(LAB_FAULT_EAGAIN)) {
		lab.self->expected = expected;
		lab_futex_changed(word);
		result = fall_asleep(word, deadline, &faulty);
		lab_futex_seen(word, false);
	}
	return waited(index, result, faulty);
}

static bool are_as_expected(const struct fl__futex *words, unsigned n, uintptr_t pc)
{
	bool equal = true;
	for (unsigned i = 0; i < n; i++) {
		lab_heap_check((uintptr_t)words[i].word, 4, false, pc);
		lab_futex_seen((uintptr_t)words[i].word, true);
		equal = equal && (uint32_t)lab_peek((uintptr_t)words[i].word, 4) == (uint32_t)words[i].expected;
	}
	return equal;
}

/*
 * Waits as Linux's futex_waitv() does: the thread is dequeued at once from the word that wakes it,
 * but from the other words only when it runs.
 */
static int sys_wait_many(struct fl__futex *words, unsigned n, int64_t deadline)
{
	struct lab_thread *self = lab.self;
	struct lab_op op = {LAB_FUTEX_MANY, 0, 0, 0, PC};
	if (n == 0 || n > FL__FUTEXES)
		return -EINVAL;
	lab_point(op);
	lab_traffic_call(FUTEX_WAIT);
	lab_event(op)->value = n;
	size_t index = lab.n_events;
	bool faulty = false;
	int result = -EAGAIN;
	if (are_as_expected(words, n, op.pc) && !lab_fault(LAB_FAULT_EAGAIN)) {
		self->many = words;
		self->n_many = n;
		memset(self->woken_by, 0, sizeof self->woken_by);
		for (unsigned i = 0; i < n; i++)
			lab_futex_changed((uintptr_t)words[i].word);
		result = fall_asleep((uintptr_t)words[0].word, deadline, &faulty);
		for (unsigned i = 0; i < n; i++)
			lab_futex_seen((uintptr_t)words[i].word, false);
		self->many = NULL;
	}
	return waited(index, result, faulty);
}

/* Returns the index of `word` among the words on which the thread sleeps, or -1. */
static int place_among(const struct lab_thread *t, uintptr_t word)
{
	for (unsigned i = 0; i < t->n_many; i++)
		if (t->many[i].word == word && !(t->woken_by[i / 64] >> i % 64 & 1))
			return (int)i;
	return -1;
}

static bool sleeps_on(const struct lab_thread *t, uintptr_t word)
{
	if (__builtin_expect(lab.processes, 0) && t->process != lab.self->process && lab_is_global(word))
		return false; /* a word of another process at the same address */
	return t->many ? place_among(t, word) >= 0 : t->state == LAB_BLOCKED && t->futex == word;
}

/* Wakes a sleeper. If it sleeps on several words, another word may have woken it already. */
static void wake(struct lab_thread *t, uintptr_t word)
{
	int place = t->many ? place_among(t, word) : -1;
	if (place >= 0)
		t->woken_by[place / 64] |= UINT64_C(1) << place % 64;
	if (t->state != LAB_BLOCKED)
		return;
	t->next = (struct lab_op){LAB_FUTEX_DONE, 4, t->many != NULL, word, t->next.pc};
	lab_ready(t);
	t->futex = 0;
}

/*
 * Wakes up to `n` sleepers, and returns how many it has woken. The usual choice is the order in
 * which they fell asleep; the search also tries others, because the kernel does not promise an
 * order. A wake orders no memory.
 */
static int wake_some(struct lab_op op, int n)
{
	uintptr_t word = op.address;
	struct lab_thread *line[LAB_THREADS];
	unsigned waiting = lab_line_up(line, sleeps_on, word);
	int woken = 0;
	lab_futex_seen(word, false);
	if (waiting > 0 && n > 0)
		lab_futex_changed(word);
	while (woken < n && waiting > 0) {
		unsigned pick = (unsigned)(n - woken) < waiting ? lab_choose(LAB_PICK_WAITER, waiting) : 0;
		wake(line[pick], word);
		memmove(&line[pick], &line[pick + 1], (--waiting - pick) * sizeof line[0]);
		woken++;
	}
	lab_event(op)->result = woken;
	lab_hash((uint64_t)woken);
	return woken;
}

int lab_futex_wake(uintptr_t word, int n, uintptr_t pc)
{
	struct lab_op op = {LAB_FUTEX_WAKE, 4, 0, word, pc};
	if (lab.steered && lab.program)
		return lab_steer_futex_wake(word, n, pc);
	lab_point(op);
	const int woken = wake_some(op, n);
	lab_traffic_call(woken > 0 ? FUTEX_WAKE : FUTEX_NO_WAKE);
	return woken;
}

static int sys_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	return lab_futex_wait((uintptr_t)word, expected, deadline, PC);
}

static int sys_futex_wake(const uint32_t *word, int n)
{
	return lab_futex_wake((uintptr_t)word, n, PC);
}

/* This is one step: no other thread and no kill comes between the store and the wake. */
static void sys_shared_store_and_wake(uint32_t *word, uint32_t value, int n)
{
	(void)lab_atomic_rmw((uintptr_t)word, 4, lab_update_set, value, __ATOMIC_RELEASE, PC);
	(void)wake_some((struct lab_op){LAB_FUTEX_WAKE, 4, 0, (uintptr_t)word, PC}, n);
}

static int sys_membarrier(void)
{
	lab_membarrier(PC);
	return 0;
}

static struct fl__robust_list *sys_robust_list(void)
{
	return lab_robust_list(lab.self->id);
}

static int sys_cpu(void)
{
	lab_met(LAB_MET_INPUT);
	return lab_config.traffic ? (int)lab.self->id : -1;
}

static uint32_t sys_thread_id(void)
{
	return lab.self->id + 1;
}

static int64_t sys_now(void)
{
	lab_met(LAB_MET_INPUT);
	return lab.now;
}

static void sys_yield(void)
{
	lab_traffic_call(YIELD);
	lab_relax(PC);
}

static int64_t sys_give_way(int64_t now)
{
	(void)now;
	lab_traffic_call(YIELD);
	lab_relax(PC);
	return sys_now();
}

/*
 * A nap is not a timed sleep in the model: a timed sleep could always end, so a loop of such sleeps
 * could starve a spinning thread.
 */
static void sys_nap(void)
{
	lab_traffic_call(NAP);
	lab_relax(PC);
}

static void sys_relax(void)
{
	lab_relax(PC);
}

/* Returns the place that called the library's wrapper around the table's function. */
static uintptr_t caller(uintptr_t pc)
{
	const struct lab_thread *self = lab.self;
	return self->depth > 0 && self->depth <= 64 ? self->calls[self->depth - 1] : pc;
}

static void *sys_alloc(size_t size)
{
	return lab_alloc(size, caller(PC));
}

static void sys_free(void *memory)
{
	lab_free(memory, caller(PC));
}

/* Does nothing, because mapped memory lives until the end of the execution. */
static void sys_keep(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}

static int sys_guard(void *memory, size_t size)
{
	sys_keep(memory, size);
	return 0;
}

static int sys_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	(void)attr;
	lab_point((struct lab_op){.kind = LAB_SPAWN, .pc = PC});
	lab_traffic_call(SPAWN);
	struct lab_thread *t = lab_thread_spawn(start, arg);
	lab_thread_start(t, PC);
	*thread = (pthread_t)t->id + 1;
	return 0;
}

static int sys_thread_join(pthread_t thread)
{
	lab_point((struct lab_op){LAB_JOIN, 0, 0, (uintptr_t)&lab.threads[thread - 1], PC});
	(void)lab_join(&lab.threads[thread - 1], INT64_MAX, PC);
	return 0;
}

static int sys_thread_detach(pthread_t thread)
{
	(void)thread;
	return 0;
}

static void on_panic(const char *function, const void *object, const char *reason)
{
	if (!lab.active)
		return;
	lab_fail(LAB_PANIC, "%s(%s): %s", function, lab_address_name((uintptr_t)object), reason);
}

void lab_sys_install(const struct lab_door *door)
{
	if (!door || door->sys == table)
		return;
	table = door->sys;
	real = *table;
	model = (struct fl__sys){
	    .futex_wait = sys_futex_wait,
	    .futex_wake = sys_futex_wake,
	    .shared_wait = sys_futex_wait,
	    .shared_wake = sys_futex_wake,
	    .shared_store_and_wake = sys_shared_store_and_wake,
	    .wait_many = sys_wait_many,
	    .membarrier = sys_membarrier,
	    .robust_list = sys_robust_list,
	    .thread_id = sys_thread_id,
	    .cpu = sys_cpu,
	    .now = sys_now,
	    .yield = sys_yield,
	    .give_way = sys_give_way,
	    .nap = sys_nap,
	    .relax = sys_relax,
	    .alloc = sys_alloc,
	    .free = sys_free,
	    .map = lab_map,
	    .unmap = sys_keep,
	    .guard = sys_guard,
	    .discard = sys_keep,
	    .thread_create = sys_thread_create,
	    .thread_join = sys_thread_join,
	    .thread_detach = sys_thread_detach,
	    .print = real.print,
	};
	/* On a system without a futex, the library's own replacement is explored, too. */
	if (!real.shared_wait) {
		model.futex_wait = real.futex_wait;
		model.futex_wake = real.futex_wake;
		model.membarrier = real.membarrier;
	}
	door->panics(on_panic);
}

void lab_activate(bool active)
{
	if (table && active != lab.active)
		*table = active ? model : real;
	lab.active = active;
}
