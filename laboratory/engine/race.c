/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds data races. Two accesses of different threads to the same bytes race if at least one is a
 * write, at least one is plain (not atomic), and neither happens before the other. For each eight
 * bytes of memory, a cell (cell.c) keeps records of the plain accesses with which a later access
 * may still race. A write replaces the records of the accesses to the same bytes that happen before
 * it (after FastTrack: Flanagan, Freund 2009). Happens-before is tracked by vector clocks, so a
 * race in the sense of C11 is reported in whatever order the two accesses were executed. If a cell
 * is full, it forgets its oldest record, and reports LAB_MET_RECORDS.
 */
#include "explore.h"
#include "layout.h"
#include "location.h"
#include "object.h"
#include "reach.h"
#include "steer.h"
#include "traffic.h"

static uint8_t mask_of(uintptr_t address, unsigned size)
{
	return (uint8_t)(((1u << size) - 1) << (address & 7));
}

static bool freeing; /* the write is the end of a block */
static uintptr_t freed_block;

/* Notes a plain access while the execution is recorded, since the trace may show it. */
static void note(uintptr_t address, unsigned size, bool write, uintptr_t pc)
{
	const struct lab_op op = {LAB_PLAIN, (uint8_t)size, write, address, pc};
	bool switched = lab.switched; /* this belongs to the next step, not to this event */
	struct lab_event *event = lab_event(op);
	lab.switched = switched;
	if (!lab_records())
		return;
	event->hidden = true;
	event->piece = lab.pieces > 1;
	if (lab.pieces == 0 && write)
		lab.unsettled = lab.n_events; /* the program writes the value after this call */
	else if (lab.pieces == 0)
		lab_event_value(event);
}

/*
 * Ends the execution because the running thread frees the block at the site `here`, and the access
 * to `place` in the block, by `thread` at the site `there`, is not ordered with that. The block may
 * be a frame, or the thread-locals of a thread that ends.
 */
static _Noreturn void race_fail_free(const char *here, const char *access, const char *place, unsigned thread,
                                     const char *there)
{
	char block[120] = "";
	if (!lab_reach_pointer(freed_block, block, sizeof block))
		snprintf(block, sizeof block, "%s",
		         lab_is_stack(freed_block)                            ? "the frame"
		         : freed_block - LAB_TLS < LAB_TLS_SIZE * LAB_THREADS ? "the thread-locals"
		                                                              : "a block");
	lab_fail(LAB_USE_AFTER_FREE, "free of %s by %s at %s, not ordered with the %s of %s by %s at %s", block,
	         lab.self->name, here, access, place, lab.threads[thread].name, there);
}

/* Ends the execution because of the race, unless the race is a known failure. */
static void report(const char *what, uintptr_t address, unsigned size, uintptr_t pc, const char *other, unsigned thread,
                   uintptr_t other_pc)
{
	lab.signature = lab_line_hash(pc) ^ lab_line_hash(other_pc);
	lab.at = address;
	if (!freeing && lab_failure_is_known(LAB_RACE)) {
		lab.signature = lab.at = 0;
		return;
	}
	const char *place = lab_address_name(address), *here = lab_site_name(lab_own_place(pc)),
		   *there = lab_site_name(lab_place_then(thread, other_pc, address));
	struct lab_op op = {freeing ? LAB_FREE : LAB_PLAIN, (uint8_t)size, what[0] == 'w', address, pc};
	struct lab_event *event = lab_event_then(thread, other_pc, address);
	if (event) {
		event->hidden = false;
		event->raced = true;
	}
	event = lab_event(op);
	event->raced = true;
	event->atomic = what[0] == 'a';
	if (lab_records() && what[0] == 'r')
		lab_event_value(event);
	bool was_freeing = freeing;
	freeing = false;
	if (was_freeing)
		race_fail_free(here, other, place, thread, there);
	lab_fail(LAB_RACE, "%s of %s by %s at %s, not ordered with the %s by %s at %s", what, place, lab.self->name,
	         here, other, lab.threads[thread].name, there);
}

static void against_records(const struct lab_cell *cell, uint8_t mask, bool write, uintptr_t address, unsigned size,
                            uintptr_t pc)
{
	for (uint32_t i = 0; i < cell->n_records; i++) {
		const struct lab_record *r = lab_record_at(cell, i);
		if ((r->mask & mask) && (write || r->write) && !lab_is_known(r->thread, r->clock))
			report(freeing ? "write"
			       : write ? "atomic write"
			               : "atomic read",
			       address, size, pc, r->write ? "write" : "read", r->thread, r->pc);
	}
}

static void race_objects(struct lab_cell *cell, uint8_t mask, uintptr_t address, unsigned size)
{
	if (__builtin_expect(!(cell->objects & mask), 1))
		return;
	cell->objects &= (uint8_t)~mask;
	lab_objects_accessed(address, size);
}

void lab_race_atomic(struct lab_cell *cell, uintptr_t address, unsigned size, bool write, uintptr_t pc)
{
	const uint8_t mask = mask_of(address, size > 8 ? 8 : size);
	race_objects(cell, mask, address, size);
	if (cell->n_records > 0)
		against_records(cell, mask, write, address, size, pc);
}

static void against_atomics(const struct lab_cell *cell, bool write, uintptr_t address, unsigned size, uintptr_t pc)
{
	for (const struct lab_location *l = cell->locations; l; l = l->next) {
		if (!lab_overlaps(l, address, size))
			continue;
		for (unsigned i = 0; i < l->width; i++) {
			const struct lab_accesses *by = &l->by[i];
			if (!lab_is_known(i, by->wrote))
				report(write ? "write" : "read", address, size, pc, "atomic write", i, by->wrote_pc);
			if (write && !lab_is_known(i, by->read))
				report("write", address, size, pc, "atomic read", i, by->read_pc);
		}
	}
}

static void append(struct lab_cell *cell, uint32_t kept, struct lab_record added)
{
	for (uint32_t i = 0; kept == LAB_RECORDS && i < kept; i++) {
		struct lab_record *r = lab_record_at(cell, i);
		if (r->thread != added.thread || r->write != added.write || r->clock != added.clock)
			continue;
		/* an access that is equally old is ordered with the same accesses */
		r->mask |= added.mask;
		r->pc = added.pc;
		cell->n_records = (uint16_t)kept;
		return;
	}
	if (kept == LAB_RECORDS) {
		lab_met(LAB_MET_RECORDS);
		for (uint32_t i = 1; i < kept; i++)
			*lab_record_at(cell, i - 1) = *lab_record_at(cell, i);
		kept--;
	}
	if (kept >= LAB_FEW && !cell->more)
		cell->more = lab_more_records();
	*lab_record_at(cell, kept) = added;
	cell->n_records = (uint16_t)(kept + 1);
}

/*
 * Checks the access against all records of the cell. A write replaces the records of all accesses
 * whose bytes it covers. A read replaces the records only of its own thread's reads whose bytes it
 * covers.
 */
static void plain_in_cell(uintptr_t address, unsigned size, bool write, uintptr_t pc)
{
	struct lab_cell *cell = lab_cell(address);
	const unsigned self = lab.self->id;
	uint8_t mask = mask_of(address, size);
	uint32_t kept = 0;
	race_objects(cell, mask, address, size);
	for (uint32_t i = 0; i < cell->n_records; i++) {
		const struct lab_record *r = lab_record_at(cell, i);
		bool own = r->thread == self;
		if (!own && (r->mask & mask) && (write || r->write) && !lab_is_known(r->thread, r->clock))
			report(write ? "write" : "read", address, size, pc, r->write ? "write" : "read", r->thread,
			       r->pc);
		if ((r->mask & ~mask) == 0 && (write || (own && !r->write)))
			continue;
		if (kept != i)
			*lab_record_at(cell, kept) = *r;
		kept++;
	}
	if (cell->locations) {
		against_atomics(cell, write, address, size, pc);
		if (write)
			lab_location_plain_write(cell, address, size);
	}
	append(cell, kept, (struct lab_record){lab_clock_after(lab.self), (uint8_t)self, mask, write, pc});
	if (__builtin_expect(lab.recording, 0))
		note(address, size, write, pc);
}

/* Returns the number of bytes that lie in the first cell. */
static unsigned race_part(uintptr_t address, size_t size)
{
	const unsigned part = 8 - (unsigned)(address & 7);
	return part < size ? part : (unsigned)size;
}

static void plain_in_cells(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	for (unsigned part; size > 0; address += part, size -= part) {
		part = race_part(address, size);
		lab.pieces++;
		plain_in_cell(address, part, write, pc);
	}
	lab.pieces = 0;
}

/*
 * If a thread of a program has made PLAIN_TURNS plain accesses since its last step, it may be in a
 * loop that waits for a plain variable. Then it lets other threads run, so that the race is seen.
 */
enum { PLAIN_TURNS = 2000 };

static void let_others_run(uintptr_t pc)
{
	lab.plain = 0;
	if (!((lab.ready | lab.timed) & ~lab_bit(lab.self->id)))
		return; /* no other thread can change anything, so the loop does not wait */
	lab_turns_end(lab.self);
	lab_relax(pc);
}

void lab_plain(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	if (lab_config.traffic) {
		lab_traffic_plain(address, size, write, pc);
		return;
	}
	if (lab.steered) {
		lab_steer_access(pc, address, write ? size : 0);
		lab.frame = 0;
	}
	if (__builtin_expect(++lab.plain == PLAIN_TURNS, 0) && lab.program)
		let_others_run(pc);
	/* A stack has neither blocks nor globals. */
	if (address - LAB_STACKS >= LAB_PARTS - LAB_STACKS) {
		lab.self->changes += write && address != lab.errno_at;
		if (lab_is_tls(address) || address == lab.errno_at)
			return; /* each model thread has its own variable at this address */
		if (write && __builtin_expect(lab.killable, 0))
			lab_kill_point(
			    (struct lab_op){LAB_PLAIN, (uint8_t)(size > 255 ? 255 : size), write, address, pc},
			    LAB_AT_STEP);
		lab_heap_check(address, size, write, pc);
		if (write)
			lab_globals_written(address, size);
	} else if (address - (uintptr_t)lab.self->id * LAB_STACK_SIZE - LAB_STACKS >= LAB_STACK_SIZE) {
		lab.self->changes += write;
		lab_stack_check(address, size, write, pc);
	}
	if ((address & 7) + size <= 8 && size > 0)
		plain_in_cell(address, (unsigned)size, write, pc);
	else
		plain_in_cells(address, size, write, pc);
}

void lab_reads(const void *from, size_t size, uintptr_t pc)
{
	if (size > 0 && !lab_is_module_code((uintptr_t)from)) /* a constant does not race */
		lab_plain((uintptr_t)from, size, false, pc);
}

void lab_writes(void *to, size_t size, uintptr_t pc)
{
	if (size > 0)
		lab_plain((uintptr_t)to, size, true, pc);
}

void lab_race_use(uintptr_t address, size_t size, uintptr_t pc)
{
	if (!lab_is_tls(address))
		plain_in_cells(address, size, false, pc);
}

bool lab_race_object(uintptr_t address, size_t size, bool made)
{
	bool races = false;
	for (unsigned part; size > 0 && !lab_is_tls(address); address += part, size -= part) {
		part = race_part(address, size);
		struct lab_cell *cell = lab_cell(address);
		const uint8_t mask = mask_of(address, part);
		cell->objects |= mask;
		races |= cell->locations != NULL;
		for (uint32_t i = 0; i < cell->n_records && !made; i++)
			races |= (lab_record_at(cell, i)->mask & mask) != 0;
	}
	return races;
}

void lab_race_used(uintptr_t address, size_t size, struct lab_record use)
{
	for (unsigned part; size > 0 && !lab_is_tls(address); address += part, size -= part) {
		part = race_part(address, size);
		struct lab_cell *cell = lab_cell(address);
		use.mask = mask_of(address, part);
		append(cell, cell->n_records, use);
	}
}

static uintptr_t freed_at;

static void against_free(const struct lab_cell *cell)
{
	uintptr_t address = cell->granule << 3;
	against_records(cell, 0xff, true, address, 8, freed_at);
	if (cell->locations)
		against_atomics(cell, true, address, 8, freed_at);
}

void lab_race_free(uintptr_t address, size_t size, uintptr_t pc)
{
	freeing = true;
	freed_at = pc;
	freed_block = address;
	lab_cells_in(address, size, against_free);
	freeing = false;
}
