/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of an execution: state, stacks and heap. It lies at fixed addresses, so that a replay
 * sees the same addresses. Each thread allocates from its own part of the heap, so that an address
 * does not depend on the interleaving.
 *
 * Usually an allocation takes new memory, so that every access to a freed block is found. But a
 * program may compare addresses, and then reuse matters. Therefore an allocation by a program may
 * reuse one block, as a choice of the search. Of the blocks whose addresses an atomic access has
 * stored, or would have stored, this is the last one that the allocating thread has freed; and it
 * must have the same size, in units of 16 bytes. The C library would also take this block first. No
 * other reuse is tried.
 */
#include "allocated.h"
#include "frame.h"
#include "layout.h"
#include "object.h"
#include "program.h"
#include "reach.h"
#include "steer.h"
#include <sys/mman.h>

enum { NULL_PAGE = 4096 };
/*
 * The states of a unit are 0 (unused), GAP, FREED and LIVE + n. LIVE + n: only the first n bytes of
 * the unit are live, or all of them if n is 0. GAP: the unit contains the header of a block.
 */
enum { UNIT = 16, GAP = 1, FREED = 2, LIVE = 16 };

static struct lab_block blocks[LAB_BLOCKS];
static unsigned n_blocks;
static unsigned allocating; /* parts from this number on have no blocks */
static uint8_t *units;      /* the state of each unit, for all parts */
static size_t used[LAB_THREADS], mapped;
/* the last freed block whose address was published; NULL if there is none, or if it was reused */
static struct lab_block *freed_last[LAB_THREADS];
static size_t state_size;

static void map_all(void)
{
	void *place = mmap((void *)LAB_BASE, LAB_EARLY_END - LAB_BASE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	units = mmap(NULL, LAB_THREADS * LAB_PART_SIZE / UNIT, PROT_READ | PROT_WRITE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (place != (void *)LAB_BASE || units == MAP_FAILED) {
		fprintf(stderr, "fairlead-stress: cannot map the model's memory\n");
		exit(2);
	}
	for (unsigned i = 0; i < LAB_THREADS; i++)
		(void)mprotect((void *)(LAB_STACKS + i * LAB_STACK_SIZE), LAB_GUARD, PROT_NONE);
}

void *lab_state_place(size_t size)
{
	if (!units)
		map_all();
	if (size > LAB_STATE_SIZE - 64) {
		fprintf(stderr, "fairlead-stress: a state of %zu bytes is too large\n", size);
		exit(2);
	}
	state_size = size;
	return (void *)LAB_BASE;
}

void lab_stacks_execute(void)
{
	if (!units)
		map_all();
	for (unsigned i = 0; i < LAB_THREADS; i++)
		(void)mprotect((void *)(LAB_STACKS + i * LAB_STACK_SIZE + LAB_GUARD), LAB_STACK_SIZE - LAB_GUARD,
		               PROT_READ | PROT_WRITE | PROT_EXEC);
}

void *lab_stack_of(unsigned thread, size_t *size)
{
	*size = LAB_STACK_SIZE - LAB_GUARD;
	return (void *)(LAB_STACKS + thread * LAB_STACK_SIZE + LAB_GUARD);
}

bool lab_is_shared(uintptr_t address)
{
	return address - LAB_BASE < LAB_STATE_SIZE || lab_is_heap(address);
}

static size_t unit_of(uintptr_t address)
{
	return (address - LAB_PARTS) / UNIT;
}

bool lab_is_heap(uintptr_t address)
{
	return address >= LAB_PARTS && address < LAB_END;
}

bool lab_is_stack(uintptr_t address)
{
	return address >= LAB_STACKS && address < LAB_PARTS;
}

/* The blocks of constructors that this execution has freed. */
enum { EARLY_FREED = 256 };
static struct heap_early {
	uintptr_t begin, end, pc;
	unsigned thread;
} early_freed[EARLY_FREED];
static unsigned n_early_freed;

void lab_heap_reset(void)
{
	for (unsigned i = 0; i < allocating; i++) {
		if (used[i] > 0)
			memset(units + unit_of(LAB_PARTS + i * LAB_PART_SIZE), 0, used[i] / UNIT);
		used[i] = 0;
		freed_last[i] = NULL;
	}
	if (mapped > 0)
		(void)madvise((void *)LAB_MAPPED, mapped, MADV_DONTNEED);
	mapped = 0;
	n_blocks = allocating = n_early_freed = 0;
}

void *lab_map(size_t size)
{
	if (size > LAB_MAPPED_SIZE - mapped)
		return NULL;
	void *memory = (void *)(LAB_MAPPED + mapped);
	mapped += (size + 15) & ~(size_t)15;
	return memory;
}

/* Stands in front of each block, with the block's number and size. */
struct header {
	size_t block, size;
};

static size_t room_for(size_t size)
{
	return (size + UNIT - 1) / UNIT * UNIT + (size == 0 ? UNIT : 0);
}

/* Returns where the header of the next block goes, behind all other blocks of the thread. */
static uintptr_t heap_new(size_t alignment, size_t room)
{
	const unsigned thread = lab.self->id;
	const uintptr_t begin = LAB_PARTS + thread * LAB_PART_SIZE + used[thread];
	const uintptr_t at =
	    ((begin + sizeof(struct header) + alignment - 1) & ~(uintptr_t)(alignment - 1)) - sizeof(struct header);
	used[thread] += at - begin + sizeof(struct header) + room;
	if (thread >= allocating)
		allocating = thread + 1;
	return at;
}

/* Returns the header of the block to reuse, or 0 if none is reused. */
static uintptr_t heap_reused(size_t alignment, size_t room)
{
	struct lab_block **last = &freed_last[lab.self->id];
	const struct lab_block *b = *last;
	if (!b || alignment > UNIT || room_for(b->size) != room || lab_choose(LAB_PICK_INPUT, 2) == 0)
		return 0;
	*last = NULL;
	return b->address - sizeof(struct header);
}

void *lab_alloc(size_t size, uintptr_t pc)
{
	return lab_alloc_aligned(UNIT, size, pc);
}

void *lab_alloc_aligned(size_t alignment, size_t size, uintptr_t pc)
{
	unsigned thread = lab.self->id;
	size_t left = LAB_PART_SIZE - used[thread];
	size_t more = alignment + 2 * sizeof(struct header);
	const bool full = n_blocks == LAB_BLOCKS || left < more || size > left - more;
	if (full && lab.program && size >> 40 == 0)
		lab_fail(LAB_UNMODELLED,
		         "%s allocates more than %zu MiB, or the execution more than %d blocks, which is a limit of "
		         "the laboratory",
		         lab.self->name, LAB_PART_SIZE >> 20, LAB_BLOCKS);
	if (full) {
		errno = ENOMEM;
		return NULL;
	}
	const size_t room = room_for(size);
	const uintptr_t old = heap_reused(alignment, room), at = old ? old : heap_new(alignment, room);
	struct header *header = (struct header *)at;
	*header = (struct header){n_blocks, size};
	uintptr_t address = at + sizeof *header;
	blocks[n_blocks] = (struct lab_block){.address = address,
	                                      .size = size,
	                                      .number = n_blocks,
	                                      .pc = pc,
	                                      .thread = thread,
	                                      .clock = lab_clock_after(lab.self)};
	n_blocks++;
	units[unit_of(at)] = GAP;
	memset(units + unit_of(address), LIVE, room / UNIT);
	if (old)
		lab_plain(address, room, true, pc); /* a new life of what was there */
	if (size % UNIT != 0 || size == 0)
		units[unit_of(address + room - 1)] = (uint8_t)(size == 0 ? FREED : LIVE + size % UNIT);
	/* so that no execution sees what another execution left there */
	memset((void *)address, 0xa5, room);
	if (__builtin_expect(lab.recording, 0))
		lab_allocated(n_blocks - 1, lab_own_place(pc));
	lab.self->changes++;
	struct lab_event *event = lab_event((struct lab_op){LAB_ALLOC, 0, 0, address, pc});
	event->value = size;
	event->other = old;
	return (void *)address;
}

/* Blocks of constructors are never reused. They live as long as the process. */
size_t lab_early_used;

void *lab_alloc_early(size_t alignment, size_t size)
{
	const size_t begin = (lab_early_used + sizeof(struct header) + alignment - 1) & ~(alignment - 1);
	if (!units)
		map_all();
	if (begin > LAB_EARLY_SIZE || size > LAB_EARLY_SIZE - begin) {
		errno = ENOMEM;
		return NULL;
	}
	struct header *header = (struct header *)(LAB_EARLY + begin) - 1;
	*header = (struct header){0, size};
	lab_early_used = begin + (size + UNIT - 1) / UNIT * UNIT;
	return header + 1;
}

bool lab_is_early(uintptr_t address)
{
	return address - LAB_EARLY < LAB_EARLY_SIZE;
}

/* The freed block of a constructor that contains a part of the memory, or NULL. */
static const struct heap_early *heap_early_at(uintptr_t address, size_t size)
{
	for (unsigned i = 0; i < n_early_freed; i++)
		if (address < early_freed[i].end && address + size > early_freed[i].begin)
			return &early_freed[i];
	return NULL;
}

size_t lab_size(const void *memory)
{
	return ((const struct header *)memory)[-1].size;
}

/*
 * Returns the block that contains the byte at the address, or NULL. The nearest header in front of
 * the address belongs to this block, or to the block before the address.
 */
static struct lab_block *block_of(uintptr_t address)
{
	if (!lab_is_heap(address))
		return NULL;
	const uint8_t *from = units + (address - LAB_PARTS) / LAB_PART_SIZE * (LAB_PART_SIZE / UNIT);
	const uint8_t *gap = memrchr(from, GAP, unit_of(address) + 1 - (size_t)(from - units));
	if (!gap)
		return NULL;
	const uintptr_t header = LAB_PARTS + (size_t)(gap - units) * UNIT;
	const size_t number = ((const struct header *)header)->block;
	struct lab_block *b = number < n_blocks ? &blocks[number] : NULL;
	return b && address >= b->address && address - b->address < (b->size ? b->size : 1) ? b : NULL;
}

void lab_heap_published(lab_value value)
{
	/* the low bits may contain a tag */
	const uintptr_t address = (uintptr_t)value & ~(uintptr_t)(UNIT - 1);
	struct lab_block *b = lab.program ? block_of(address) : NULL;
	if (b && b->address == address)
		b->published = true;
}

bool lab_block_number(unsigned number, struct lab_block *found)
{
	if (number >= n_blocks)
		return false;
	*found = blocks[number];
	return true;
}

bool lab_block_at(uintptr_t address, struct lab_block *found)
{
	const struct lab_block *b = block_of(address);
	return b && lab_block_number(b->number, found);
}

/*
 * An allocation counts as a write, because it must happen before any access of another thread to
 * the block.
 */
void lab_heap_born(struct lab_cell *cell)
{
	const uintptr_t address = cell->granule << 3;
	const struct lab_block *b = block_of(address);
	if (!b || b->thread == lab.self->id)
		return;
	*lab_record_at(cell, 0) = (struct lab_record){b->clock, (uint8_t)b->thread, 0xff, true, b->pc};
	cell->n_records = 1;
}

/* Names the block by a pointer that leads to it, or by its number. */
static const char *heap_name(const struct lab_block *b)
{
	static char name[120];
	if (!lab_reach_pointer(b->address, name, sizeof name))
		snprintf(name, sizeof name, "block %u", b->number);
	return name;
}

static const char *heap_made_at(const struct lab_block *b)
{
	return lab_site_name(lab_place_then(b->thread, b->pc, b->address));
}

static const char *heap_freed_at(const struct lab_block *b)
{
	return lab_site_name(lab_place_then(b->freed_by, b->freed_pc, b->address));
}

/* Whether the address belongs to a variable or a constant of the program, or to memory of the model. */
static bool heap_is_foreign(uintptr_t address)
{
	return address - LAB_BASE < LAB_EARLY - LAB_BASE || lab_is_module_code(address) ||
	       (lab_is_global(address) && !lab_is_early(address));
}

static void heap_freed_twice(const char *name, uintptr_t address, uintptr_t pc, unsigned by, const char *before)
{
	(void)lab_event((struct lab_op){LAB_FREE, 0, 0, address, pc});
	lab_fail(LAB_USE_AFTER_FREE, "%s freed twice: by %s at %s, before by %s at %s", name, lab.self->name,
	         lab_site_name(lab_own_place(pc)), lab.threads[by].name, before);
}

/* The memory stays, since the next execution needs the block. */
static void heap_free_early(uintptr_t address, uintptr_t pc)
{
	const size_t size = lab_size((const void *)address);
	const struct heap_early *before = heap_early_at(address, 1);
	if (before)
		heap_freed_twice(lab_address_name(address), address, pc, before->thread,
		                 lab_site_name(lab_place_then(before->thread, before->pc, address)));
	lab_objects_freed(address, size, pc);
	lab_race_free(address, size, pc);
	if (n_early_freed == EARLY_FREED)
		lab_met(LAB_MET_RECORDS);
	else
		early_freed[n_early_freed++] = (struct heap_early){address, address + size, pc, lab.self->id};
	lab.self->changes++;
	(void)lab_event((struct lab_op){LAB_FREE, 0, 0, address, pc});
}

void lab_free(void *memory, uintptr_t pc)
{
	uintptr_t address = (uintptr_t)memory;
	const struct lab_op op = {LAB_FREE, 0, 0, address, pc};
	struct lab_block *b = lab_is_heap(address) ? block_of(address) : NULL;
	if (b ? b->address != address : heap_is_foreign(address)) {
		(void)lab_event(op);
		lab_fail(LAB_USE_AFTER_FREE, "free of %s by %s at %s, which is no block",
		         lab_is_module_code(address) ? "a constant" : lab_address_name(address), lab.self->name,
		         lab_site_name(lab_own_place(pc)));
	}
	if (lab.active && lab.program && lab_is_early(address))
		heap_free_early(address, pc);
	if (!b)
		return; /* allocated before the executions, and needed by the next one, too */
	if (b->freed)
		heap_freed_twice(heap_name(b), address, pc, b->freed_by, heap_freed_at(b));
	lab_objects_freed(address, b->size, pc); /* This names an object. Its uses are reads of the block, too. */
	lab_race_free(address, b->size, pc);
	lab_race_free((uintptr_t)&b->size, sizeof b->size, pc);
	b->freed = true;
	b->freed_pc = pc;
	b->freed_by = lab.self->id;
	if (b->published)
		freed_last[lab.self->id] = b;
	memset(units + unit_of(address), FREED, room_for(b->size) / UNIT);
	lab.self->changes++;
	(void)lab_event(op);
}

/*
 * Returns the block that ends shortly before `address`, or over whose end an access runs, or NULL
 * if no block is near.
 */
static const struct lab_block *heap_nearest(uintptr_t address)
{
	enum { NEAR = 4096 };
	const struct lab_block *near = NULL;
	for (unsigned i = 0; i < n_blocks; i++) {
		const struct lab_block *b = &blocks[i];
		if (address >= b->address && address - b->address < b->size + NEAR &&
		    (!near || b->address > near->address))
			near = b;
	}
	return near;
}

/* Writes a text such as ": at byte 5 of text, which has 5 bytes". */
static const char *heap_behind(uintptr_t address, size_t size, char *text, size_t room)
{
	const struct lab_block *near = lab.recording ? heap_nearest(address) : NULL;
	char name[120];
	if (!near || !lab_reach_pointer(near->address, name, sizeof name))
		return "";
	const size_t first = address - near->address;
	if (size > 1)
		snprintf(text, room, ": at bytes %zu to %zu of %s, which has %zu bytes", first, first + size - 1, name,
		         near->size);
	else
		snprintf(text, room, ": at byte %zu of %s, which has %zu bytes", first, name, near->size);
	return text;
}

/* Records the access as an event. The caller then ends the execution with this event. */
static void heap_bad_access(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	const unsigned kind = lab.self->next.kind;
	/* whether the access is part of the step that the thread has announced */
	const bool announced = lab.self->next.pc == pc && lab.self->next.address == address;
	struct lab_op op = {LAB_PLAIN, (uint8_t)(size > 255 ? 255 : size), write, address, pc};
	if (announced && kind == LAB_SYNC)
		op = lab.self->next;
	lab_event(op)->atomic = announced && kind >= LAB_LOAD && kind <= LAB_CAS_FAILED;
	lab.signature = pc;
}

static _Noreturn void bad_access(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	char place[200] = "";
	heap_bad_access(address, size, write, pc);
	const struct lab_block *b = block_of(address);
	if (!b || !b->freed)
		lab_fail(LAB_USE_AFTER_FREE, "%s of %zu byte%s by %s at %s, outside %s%s", write ? "write" : "read",
		         size, size == 1 ? "" : "s", lab.self->name, lab_site_name(lab_own_place(pc)),
		         address < LAB_STACKS ? "the state" : "any block",
		         heap_behind(address, size, place, sizeof place));
	lab_detail("  the block of %zu bytes was allocated by %s at %s\n", b->size, lab.threads[b->thread].name,
	           heap_made_at(b));
	lab_fail(LAB_USE_AFTER_FREE, "%s of %s by %s at %s, in a block that %s freed at %s", write ? "write" : "read",
	         lab_address_name(address), lab.self->name, lab_site_name(lab_own_place(pc)),
	         lab.threads[b->freed_by].name, heap_freed_at(b));
}

static _Noreturn void null_access(uintptr_t address, bool write, uintptr_t pc)
{
	char offset[48] = "";
	heap_bad_access(address, 1, write, pc);
	if (address > 0)
		snprintf(offset, sizeof offset, ", %zu bytes behind it", (size_t)address);
	lab_fail(LAB_CRASH, "%s %s through a null pointer%s (%s)", lab.self->name, write ? "writes" : "reads", offset,
	         lab_site_name(lab_own_place(pc)));
}

/*
 * Whether no running function of the thread has its frame at `address` or below. The frames of the
 * engine are ignored if it is known where they begin: the return address of the thread's announced
 * step lies behind the registers that LOOP() saved.
 */
static bool heap_is_frame_over(const struct lab_thread *owner, uintptr_t address)
{
	if (owner->state == LAB_DONE || (owner->id == 0 && lab.returned))
		return true;
#ifdef FL__SWITCH_UCONTEXT
	(void)address;
	return false;
#else
	enum { TO_RETURN = 48 };
	const uintptr_t sp = (uintptr_t)owner->flow.sp, top = LAB_STACKS + (owner->id + 1) * LAB_STACK_SIZE;
	const uintptr_t *end = (const uintptr_t *)(owner->frame + TO_RETURN);
	const bool known = owner->frame >= sp && owner->frame < top - TO_RETURN && *end == owner->next.pc;
	return address < (known ? (uintptr_t)end : sp);
#endif
}

/*
 * Whether a function of the thread still runs, but has left the block with the variable at
 * `address`.
 */
static bool heap_is_block_over(const struct lab_thread *owner, uintptr_t address)
{
	const unsigned most = sizeof owner->calls / sizeof owner->calls[0];
	if (owner->depth == 0 || owner->depth > most)
		return false;
	unsigned d = owner->depth - 1;
	while (d > 0 && owner->pointers[d] <= address)
		d--;
	const bool innermost = d + 1 == owner->depth;
	const uintptr_t pc = innermost ? owner->next.pc : owner->calls[d + 1];
	/* a function without instrumentation may have called the next one */
	if (!innermost && (!lab_frame_is_good(owner->pointers[d + 1], pc) ||
	                   *(const uintptr_t *)owner->pointers[d + 1] != owner->pointers[d]))
		return false;
	return address < owner->pointers[d] && lab_frame_is_good(owner->pointers[d], owner->calls[d]) &&
	       lab_frame_block_is_over(pc, owner->pointers[d], address);
}

void lab_stack_check(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	const unsigned id = (unsigned)((address - LAB_STACKS) / LAB_STACK_SIZE);
	if (id == lab.self->id || id >= lab.n_threads)
		return;
	if (lab_config.unseen & LAB_UNSEEN_LENT)
		lab_met(LAB_MET_LENT);
	if (!lab.program)
		return;
	struct lab_thread *owner = &lab.threads[id];
	if (lab.steered)
		lab_steer_lent(id, address);
	if (!owner->lent || address < owner->lent)
		owner->lent = address;
	const bool frame = heap_is_frame_over(owner, address);
	if (!frame && !heap_is_block_over(owner, address))
		return;
	heap_bad_access(address, size, write, pc);
	lab_fail(LAB_USE_AFTER_FREE, "%s of %s by %s at %s, %s", write ? "write" : "read", lab_address_name(address),
	         lab.self->name, lab_site_name(lab_own_place(pc)),
	         owner->state == LAB_DONE ? "on the stack of a thread that has ended"
	         : frame                  ? "in the frame of a function that has returned"
	                                  : "in a block that has ended");
}

/* The thread-locals of a program's thread. */
static void heap_check_tls(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	const struct lab_thread *owner = &lab.threads[(address - LAB_TLS) / LAB_TLS_SIZE];
	if (owner->state != LAB_DONE)
		return;
	heap_bad_access(address, size, write, pc);
	lab_fail(LAB_USE_AFTER_FREE, "%s of %s by %s at %s, after the end of that thread", write ? "write" : "read",
	         lab_address_name(address), lab.self->name, lab_site_name(lab_own_place(pc)));
}

static void heap_check_early(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	const struct heap_early *block = heap_early_at(address, size);
	if (!block)
		return;
	heap_bad_access(address, size, write, pc);
	lab_fail(LAB_USE_AFTER_FREE, "%s of %s by %s at %s, in a block that %s freed at %s", write ? "write" : "read",
	         lab_address_name(address), lab.self->name, lab_site_name(lab_own_place(pc)),
	         lab.threads[block->thread].name,
	         lab_site_name(lab_place_then(block->thread, block->pc, block->begin)));
}

/*
 * Called before the function with the frame pointer `frame` returns, if other threads have used
 * this thread's stack. The part of the frame that they have used counts as freed from now on, like
 * a block. The return address tells whether there is a frame pointer. The frame of main() ends in
 * the same way: threads that are left go on until the process has ended.
 */
void lab_stack_return(uintptr_t frame, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	const uintptr_t lent = self->lent;
	if (self->depth >= sizeof self->calls / sizeof self->calls[0] ||
	    !lab_frame_is_good(frame, self->calls[self->depth]))
		return;
	self->lent = frame;
	lab_objects_accessed(lent, frame - lent); /* their uses are accesses, too */
	lab_race_free(lent, frame - lent, pc);
}

size_t lab_size_asked(uintptr_t address, uintptr_t pc)
{
	const struct lab_block *b = block_of(address);
	if (!b || b->address != address || b->freed)
		bad_access(address, 1, false, pc);
	lab_reads(&b->size, sizeof b->size, pc);
	return b->size;
}

/* Whether all bytes are in live blocks. */
static bool heap_is_live(uintptr_t address, uintptr_t last)
{
	for (size_t unit = unit_of(address); unit < unit_of(last); unit++)
		if (units[unit] != LIVE)
			return false;
	const uint8_t end = units[unit_of(last)];
	return end == LIVE || (end > LIVE && last % UNIT < (unsigned)(end - LIVE));
}

void lab_heap_check(uintptr_t address, size_t size, bool write, uintptr_t pc)
{
	if (__builtin_expect(address < NULL_PAGE, 0) && size > 0)
		null_access(address, write, pc);
	if (address - LAB_TLS < LAB_TLS_END - LAB_TLS)
		heap_check_tls(address, size, write, pc);
	if (__builtin_expect(n_early_freed > 0, 0) && lab_is_early(address))
		heap_check_early(address, size, write, pc);
	if (size == 0 || address < LAB_BASE || address >= LAB_END)
		return;
	if (address < LAB_STACKS && address + size > LAB_BASE + state_size)
		bad_access(address, size, write, pc);
	if (address < LAB_PARTS) {
		if (address >= LAB_STACKS)
			lab_stack_check(address, size, write, pc);
		return;
	}
	if (!heap_is_live(address, address + size - 1))
		bad_access(address, size, write, pc);
}

bool lab_heap_has(uintptr_t address, size_t size)
{
	uintptr_t last = address + size - 1;
	if (address >= LAB_BASE && last < LAB_BASE + state_size)
		return true;
	return lab_is_heap(address) && lab_is_heap(last) && heap_is_live(address, last);
}

/* A block is not lost as long as a global keeps its address. */
void lab_heap_keep(uintptr_t value, void *arg)
{
	(void)arg;
	struct lab_block *b = lab_is_heap(value) ? block_of(value) : NULL;
	if (!b || b->freed)
		return;
	b->freed = true; /* marks it as visited: blocks to which it points are not lost, either */
	for (size_t at = 0; at + sizeof(uintptr_t) <= b->size; at += sizeof(uintptr_t))
		lab_heap_keep(*(const uintptr_t *)(b->address + at), NULL);
}

void lab_heap_retire(uintptr_t address)
{
	struct lab_block *b = block_of(address);
	if (b)
		b->retired = true;
}

/*
 * A killed process has freed nothing more, and it is unknown whether a survivor should have done
 * so.
 */
static bool heap_may_leak(const struct lab_block *b)
{
	return !b->freed && !b->retired && !lab_in(lab.killed, lab.threads[b->thread].process);
}

void lab_heap_leaks(void)
{
	unsigned i = 0;
	while (i < n_blocks && !heap_may_leak(&blocks[i]))
		i++;
	if (i == n_blocks)
		return;
	if (lab.program)
		lab_program_keep();
	lab_globals_visit(lab_heap_keep, NULL);
	for (; i < n_blocks; i++) {
		const struct lab_block *b = &blocks[i];
		if (!heap_may_leak(b))
			continue;
		lab.signature = b->pc;
		lab_fail(LAB_LEAK, "%zu bytes allocated by %s at %s were never freed%s", b->size,
		         lab.threads[b->thread].name, heap_made_at(b),
		         lab.program ? ", and no pointer leads to them" : "");
	}
}

bool lab_is_guard(uintptr_t address)
{
	return lab_is_stack(address) && (address - LAB_STACKS) % LAB_STACK_SIZE < LAB_GUARD;
}

bool lab_name_memory(uintptr_t address, char *text, size_t size)
{
	if (address >= LAB_BASE && address < LAB_BASE + state_size) {
		snprintf(text, size, "state+%zu", (size_t)(address - LAB_BASE));
	} else if (lab_is_stack(address)) {
		unsigned thread = (unsigned)((address - LAB_STACKS) / LAB_STACK_SIZE);
		snprintf(text, size, "stack of %s-%zu", lab.threads[thread].name,
		         (size_t)(LAB_STACKS + (thread + 1) * LAB_STACK_SIZE - address));
	} else if (lab_is_list(address)) {
		unsigned thread = (unsigned)((address - LAB_LISTS) / LAB_LIST_SIZE);
		static const char *const fields[] = {"first", "offset", "pending"};
		size_t field = (address - LAB_LISTS) % LAB_LIST_SIZE / sizeof(void *);
		snprintf(text, size, "robust list of %s%s%s", lab.threads[thread].name, field < 3 ? "." : "",
		         field < 3 ? fields[field] : "");
	} else if (address >= LAB_TLS && address < LAB_TLS_END) {
		const unsigned thread = (unsigned)((address - LAB_TLS) / LAB_TLS_SIZE);
		snprintf(text, size, "thread-local of %s+%zu", lab.threads[thread].name,
		         (size_t)((address - LAB_TLS) % LAB_TLS_SIZE));
	} else if (lab_is_early(address)) {
		snprintf(text, size, "memory of a constructor+%zu", (size_t)(address - LAB_EARLY));
	} else if (lab_is_heap(address)) {
		const struct lab_block *b = block_of(address), *near = heap_nearest(address);
		if (b)
			snprintf(text, size, "block %u+%zu", b->number, (size_t)(address - b->address));
		else if (near)
			snprintf(text, size, "%s, byte %zu", heap_name(near), (size_t)(address - near->address));
		else
			snprintf(text, size, "heap");
	} else if (address - (uintptr_t)blocks < sizeof blocks) {
		snprintf(text, size, "the size of %s",
		         heap_name(&blocks[(address - (uintptr_t)blocks) / sizeof *blocks]));
	} else {
		return false;
	}
	return true;
}
