/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The histories of atomic locations: where they are kept, and how they are made to agree with
 * memory that was written by other code than the model. memory.c decides what a load may read.
 */
#include "steer.h"

/*
 * There are two pools: of locations, each of which keeps its last LAB_HISTORY stores; and of views,
 * which are the messages of the heads of release sequences. Both pools are emptied when an
 * execution begins.
 */
enum { LOCATIONS = 4096, VIEWS = 16384 };

static struct lab_location locations[LOCATIONS];
static struct lab_view views[VIEWS];

struct lab_view *lab_view_new(void)
{
	if (lab.views == VIEWS)
		lab_fail(LAB_UNMODELLED,
		         "more than %d release stores in one execution, which is a limit of the laboratory", VIEWS);
	return &views[lab.views++];
}

void lab_location_tired(uintptr_t address, uint32_t step)
{
	struct lab_location *location = lab_location_find(address);
	for (unsigned back = 0; location && back < lab_kept(location); back++) {
		struct lab_written *store = lab_written_at(location, back);
		if (store->step == step) {
			lab_written_widen(store);
			store->by[lab.self->id].missed = LAB_PATIENCE;
		}
	}
}

struct lab_written *lab_location_push(struct lab_location *location)
{
	struct lab_written *store = &location->ring[location->count % LAB_HISTORY];
	if (location->count++ >= LAB_HISTORY && !store->rmw)
		location->by[store->thread].dropped = store->clock;
	store->width = 0;
	lab_written_widen(store);
	return store;
}

/*
 * Begins the history anew with the value in memory, which `thread` has written at its `clock`. A
 * clock of 0 means that the write comes before everything.
 */
static void location_begin(struct lab_location *location, unsigned thread, uint32_t clock)
{
	location->plainly_written = false;
	location->count = 0;
	struct lab_written *store = lab_location_push(location);
	store->rmw = false;
	store->value = lab_peek(location->address, location->size);
	lab_view_clear(&store->message);
	store->thread = (uint8_t)thread;
	store->clock = clock;
	store->step = 0;
	store->sc = false;
}

static void location_widen(struct lab_location *location)
{
	for (; location->width < lab.n_threads; location->width++)
		location->by[location->width] = (struct lab_accesses){0};
}

static struct lab_location *location_new(struct lab_cell *cell, uintptr_t address, unsigned size)
{
	if (lab.locations == LOCATIONS)
		lab_fail(LAB_UNMODELLED,
		         "more than %d atomic objects in one execution, which is a limit of the laboratory", LOCATIONS);
	struct lab_location *location = &locations[lab.locations++];
	location->address = address;
	location->size = (uint8_t)size;
	location->width = 0;
	location->lives = 0;
	location_widen(location);
	location->next = cell->locations;
	cell->locations = location;
	/*
	 * Earlier plain writes happen before this access; otherwise the race is reported. So a
	 * clock of 0 is right.
	 */
	location_begin(location, 0, 0);
	return location;
}

/* Makes the store `to`, which has the value of the store `from`, stand for `from`. */
static void take_over(struct lab_written *to, const struct lab_written *from)
{
	lab_view_copy(&to->message, &from->message);
	to->thread = from->thread;
	to->clock = from->clock;
	to->step = from->step;
	to->sc = from->sc;
}

/*
 * Called if the size of an access differs from that of the last one. Only the newest store is kept,
 * with its message, so that the new access acquires what an access of the old size would have
 * acquired.
 */
static void location_resize(struct lab_location *location, unsigned size)
{
	lab_met(LAB_MET_SIZES);
	static struct lab_written newest;
	take_over(&newest, lab_newest(location));
	location->size = (uint8_t)size;
	location_begin(location, newest.thread, newest.clock);
	take_over(lab_newest(location), &newest);
}

/*
 * Memory may differ from the history: after a plain write, after a write by code without
 * instrumentation, and after an atomic access of another size. In these cases the history begins
 * anew. Therefore mixed sizes are stronger here than in C11.
 */
static void location_refresh(struct lab_location *location, unsigned size)
{
	if (location->size != size) {
		location_resize(location, size);
	} else if (location->plainly_written) {
		location_begin(location, location->plain_thread, location->plain_clock);
	} else {
		/* on a stack, it may be another object of a later frame */
		if (!lab_is_stack(location->address))
			lab_met(LAB_MET_UNSEEN);
		location_begin(location, 0, 0);
	}
	for (unsigned i = 0; i < location->width; i++)
		location->by[i].released = NULL;
}

/*
 * Called for a location whose history has just begun. The value in memory is that of the newest
 * store to any location that overlaps this one. So the location takes over that store's message.
 */
static void inherit(struct lab_cell *cell, struct lab_location *location)
{
	struct lab_written *first = lab_newest(location);
	for (struct lab_location *other = cell->locations; other; other = other->next) {
		const struct lab_written *last = lab_newest(other);
		if (other == location || last->step <= first->step || other->plainly_written ||
		    !lab_overlaps(other, location->address, location->size))
			continue;
		lab_met(LAB_MET_SIZES);
		take_over(first, last);
	}
}

struct lab_location *lab_location_at(struct lab_cell *cell, uintptr_t address, unsigned size)
{
	for (struct lab_location *location = cell->locations; location; location = location->next) {
		if (location->address == address) {
			location_widen(location);
			if (lab.steered)
				return location; /* then the graph has the history */
			const bool known =
			    location->size == size && lab_newest(location)->value == lab_peek(address, size);
			if (__builtin_expect(!known || location->plainly_written, 0))
				location_refresh(location, size);
			if (__builtin_expect(!known, 0))
				inherit(cell, location);
			return location;
		}
	}
	struct lab_location *location = location_new(cell, address, size);
	inherit(cell, location);
	return location;
}

void lab_location_forget(struct lab_location *location)
{
	/* The heads of release sequences stay, since only this thread reads them. */
	location_begin(location, 0, 0);
}

struct lab_location *lab_location_find(uintptr_t address)
{
	for (struct lab_location *location = lab_cell(address)->locations; location; location = location->next)
		if (location->address == address)
			return location;
	return NULL;
}

void lab_location_plain_write(struct lab_cell *cell, uintptr_t address, unsigned size)
{
	for (struct lab_location *location = cell->locations; location; location = location->next) {
		if (!lab_overlaps(location, address, size))
			continue;
		if (++location->lives == 0 && lab.steered)
			lab_steer_refuse("65,536 plain writes to an atomic object");
		for (unsigned i = 0; lab.steered && i < location->width; i++)
			if (!lab_is_known(i, location->by[i].slept))
				lab_steer_refuse("a futex that is written plainly");
		location->plainly_written = true;
		location->plain_thread = (uint8_t)lab.self->id;
		location->plain_clock = lab_clock_after(lab.self);
	}
}
