/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the traffic: what an execution would cost on a machine with a CPU for each thread. Only
 * one execution is run, in which every load reads the newest value.
 *
 * Each thread has a clock, in virtual ns. The thread with the lowest clock makes the next step, so
 * the threads run side by side, as if each had a CPU. While a thread runs, `lab.now` is its clock.
 * Each access takes some time. The seed varies these times a little, and with them the schedule.
 *
 * Each thread has a cache without a limit, which holds lines of 64 bytes as in the protocol MSI. An
 * access misses if another thread has written the line since the thread's last access. A write also
 * misses if another thread has read the line since then. A thread's first access to a line misses,
 * unless no thread has accessed the line before. A line serves one miss after another. However,
 * once a reader has got the line after a write, the misses of further readers wait for no other
 * miss.
 *
 * An atomic load and a locked instruction wait until the line is there. A store and a plain load
 * wait for nothing, but the next locked instruction of the thread waits until their lines are
 * there. This models a CPU with a store buffer, which executes out of order between locked
 * instructions.
 */
#include "traffic.h"
#include "choice.h"
#include "interpose.h"

/*
 * Virtual ns, as measured on sixteen CPUs of an Intel Xeon (Emerald Rapids) under Linux 6.18. With
 * these values of MISS and SERVES, the following cost here what was measured there: barriers,
 * mutexes of two and of sixteen threads, and rings and queues of sixteen threads. On that machine,
 * lines that no other thread wants arrive sooner. Therefore a submit by one thread costs here twice
 * what was measured, and a ring of one producer and one consumer three times.
 */
enum {
	ACCESS = 1,  /* an access, with the instructions around it */
	LOCKED = 6,  /* this much more for an instruction with the lock prefix */
	MISS = 82,   /* this much more for a miss; what the seed adds makes it 82 to 89 */
	SERVES = 50, /* the part of a miss in which the line serves no other miss */
	VARIES = 8,
	BARRIER = 2000, /* a membarrier(), and INTERRUPT more for each CPU that runs */
	INTERRUPT = 550,
	WAKE = 15000 /* from a wake until the thread runs */
};

enum { LOG2_LINE = 6, ENTRIES = 1 << 19, TOP = 3 };

/* What is counted separately. The kind is in the low bits of an entry's key. */
enum kind { A_LINE = 1, A_SITE, A_CALL };

struct entry {
	uintptr_t key; /* the number of a line, or a place in the code, shifted; 0: unused */
	uint64_t count;
	uintptr_t pc; /* the place of the last miss or call */
	/* The following fields are for a line. */
	lab_set holders;
	bool written; /* its only holder has written it */
	int64_t free; /* when it will have served the last miss */
};

/* What one thread did between the two calls of fl_stress_traffic(). */
struct counts {
	/* Atomic read-modify-writes, and sequentially consistent stores and fences. */
	uint64_t locked;
	uint64_t misses, calls; /* misses of lines; calls of the system */
};

static struct entry entries[ENTRIES];
static struct counts of_thread[LAB_THREADS];
/* when the lines of all plain accesses of a thread are there */
static int64_t awaited[LAB_THREADS];
static unsigned operations;
static bool counting;
static int64_t began, took;

static struct entry *entry_of(enum kind kind, uintptr_t what)
{
	const uintptr_t key = what << 2 | kind;
	uint64_t place = key * 0x9e3779b97f4a7c15u >> 32;
	for (unsigned tries = 0; tries < ENTRIES; tries++, place++) {
		struct entry *e = &entries[place % ENTRIES];
		if (e->key == 0)
			e->key = key;
		if (e->key == key)
			return e;
	}
	lab_fail(LAB_UNMODELLED, "the traffic of an execution with more than %u cache lines", ENTRIES);
}

static void count(struct entry *e, uintptr_t pc)
{
	e->count += counting;
	e->pc = pc;
}

/* Accesses a line. Returns when the line is there. */
static int64_t access_line(uintptr_t number, bool write, uintptr_t pc)
{
	struct entry *line = entry_of(A_LINE, number);
	const lab_set self = lab_bit(lab.self->id);
	const bool hit = line->holders == self || (!write && (line->holders & self)) || !line->holders;
	int64_t there = lab.now;
	if (!hit) {
		if (write || line->written) {
			there = line->free > there ? line->free : there;
			line->free = there + SERVES;
		}
		there += MISS + lab_draw(VARIES);
		of_thread[lab.self->id].misses += counting;
		count(line, pc);
		count(entry_of(A_SITE, pc), pc);
	}
	line->written = write || (line->written && hit);
	line->holders = write ? self : line->holders | self;
	return there;
}

static int64_t access_memory(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	int64_t there = lab.now += ACCESS;
	if (address == lab.errno_at || lab_is_tls(address))
		return there; /* each thread has its own at this address */
	for (uintptr_t n = address >> LOG2_LINE; n <= (address + size - 1) >> LOG2_LINE; n++) {
		const int64_t at = access_line(n, write, pc);
		there = at > there ? at : there;
	}
	return there;
}

void lab_traffic_plain(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	const int64_t there = access_memory(address, size, write, pc);
	if (there > awaited[lab.self->id])
		awaited[lab.self->id] = there;
}

lab_value lab_traffic_atomic(struct lab_op op, lab_update *update, lab_value operand)
{
	const unsigned self = lab.self->id;
	const bool locked = op.kind == LAB_RMW || (op.kind != LAB_LOAD && op.order == __ATOMIC_SEQ_CST);
	lab_point(op);
	if (locked) {
		of_thread[self].locked += counting;
		lab.now = LOCKED + (awaited[self] > lab.now ? awaited[self] : lab.now);
	}
	if (op.kind == LAB_FENCE)
		return 0;
	if (op.kind == LAB_STORE && !locked) {
		lab_traffic_plain(op.address, op.size, true, op.pc);
	} else {
		lab.now = access_memory(op.address, op.size, op.kind != LAB_LOAD, op.pc);
		lab_point(op); /* the value is that of the time at which the line is there */
	}
	const lab_value old = op.size > 8 ? 0 : lab_peek(op.address, op.size);
	if (update)
		lab_poke(op.address, op.size, update(old, operand));
	return old;
}

bool lab_traffic_cas(struct lab_op op, lab_value *expected, lab_value desired)
{
	const lab_value old = lab_traffic_atomic(op, NULL, 0);
	const bool equal = old == *expected;
	*expected = old;
	if (equal)
		lab_poke(op.address, op.size, desired);
	return equal;
}

void lab_traffic_call(int64_t ns)
{
	const struct lab_thread *self = lab.self;
	if (!lab_config.traffic)
		return;
	lab.now += ns;
	of_thread[self->id].calls += counting;
	if (self->depth > 0 && self->depth <= sizeof self->calls / sizeof *self->calls)
		count(entry_of(A_CALL, self->calls[self->depth - 1]), self->calls[self->depth - 1]);
}

/* The kernel serves one caller after another, and interrupts each CPU. */
void lab_traffic_membarrier(void)
{
	static int64_t free;
	lab_point((struct lab_op){.kind = LAB_MEMBARRIER});
	lab.now = free > lab.now ? free : lab.now;
	lab_traffic_call(BARRIER + INTERRUPT * (int64_t)lab_count(lab.ready));
	free = lab.now;
}

void lab_traffic_wake(struct lab_thread *thread)
{
	if (thread->time < lab.now + WAKE)
		thread->time = lab.now + WAKE;
}

/*
 * Returns when the thread makes its next step. For a waiting thread this is its deadline, but
 * another thread may wake it earlier.
 */
static int64_t time_of(const struct lab_thread *t)
{
	return t->state == LAB_BLOCKED ? t->deadline : t->time;
}

struct lab_thread *lab_traffic_next(void)
{
	struct lab_thread *next = NULL;
	lab.self->time = lab.now;
	LAB_EACH_OF (t, lab.ready | lab.timed)
		if (!next || time_of(t) < time_of(next))
			next = t;
	if (!next)
		lab_stuck();
	lab.now = time_of(next);
	return next;
}

EXPORTED void fl_stress_traffic(unsigned n)
{
	counting = n == 0 && lab.active && lab_config.traffic;
	operations = n;
	took = lab.now - began;
	if (!counting)
		return;
	began = lab.now;
	memset(of_thread, 0, sizeof of_thread);
	for (unsigned i = 0; i < ENTRIES; i++)
		entries[i].count = 0;
}

static double each(uint64_t n)
{
	return (double)n / (operations ? operations : 1);
}

static void print_counts(FILE *to, const struct counts *t)
{
	fprintf(to, " %8.3f %8.3f %8.4f", each(t->locked), each(t->misses), each(t->calls));
}

/* Prints the entries of a kind with the highest counts; each is printed once. */
static void print_top(FILE *to, const char *what, enum kind kind)
{
	fprintf(to, "\n    %s", what);
	for (unsigned n = 0; n < TOP; n++) {
		struct entry *top = NULL;
		for (struct entry *e = entries; e < entries + ENTRIES; e++)
			if ((e->key & 3) == kind && e->count > (top ? top->count : 0))
				top = e;
		if (!top)
			return;
		const char *file, *function, *inlined = lab_inlined(top->pc);
		int at = 0;
		if (!lab_where(top->pc, &file, &at, &function))
			file = function = "?"; /* the engine has called it */
		fprintf(to, "  %.3f %s:%d %s", each(top->count), basename(file), at, function);
		if (inlined && strcmp(inlined, function) != 0)
			fprintf(to, "/%s", inlined);
		top->count = 0;
	}
}

void lab_traffic_print(FILE *to, bool threads)
{
	struct counts all = {0, 0, 0};
	for (unsigned i = 0; i < lab.n_threads; i++) {
		all.locked += of_thread[i].locked;
		all.misses += of_thread[i].misses;
		all.calls += of_thread[i].calls;
	}
	fprintf(to, "%9.1f", each((uint64_t)took));
	print_counts(to, &all);
	print_top(to, "lines", A_LINE);
	print_top(to, "sites", A_SITE);
	print_top(to, "calls", A_CALL);
	for (unsigned i = 0; threads && i < lab.n_threads; i++) {
		fprintf(to, "\n%24s", lab.threads[i].name);
		print_counts(to, &of_thread[i]);
	}
	fputc('\n', to);
}
