/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells whether a waiting loop has come back to where it was. If a turn of the loop begins and ends
 * with the same registers, stack and settings, and has written nothing, it has no effect: an
 * execution without the turn has the same outcome. So nothing is lost if the search cuts such a
 * turn off.
 *
 * An await is such a turn that begins with a fault: a spurious wakeup, EINTR, or a weak
 * compare-and-swap that fails. When the thread waits again, the search makes it sleep forever,
 * because the executions in which it goes on are those without the fault. The other threads do go
 * on, because in another execution their steps may come before the turn, and may then affect it.
 * The turn may lock and unlock a mutex if no other thread could tell, and if no wake came that
 * would have woken the sleeping thread (order.c).
 */
#include "choice.h"
#include "layout.h"
#include "object.h"
#include "posix.h"
#include <unwind.h>

#if defined(__x86_64__)
static const int kept[] = {3, 6, 12, 13, 14, 15}; /* rbx, rbp, and r12 to r15, by DWARF's numbers */
#else
static const int kept[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29};
#endif

struct state {
	uint64_t hash;
	bool known;
};

static void state_add(struct state *state, uint64_t value)
{
	state->hash = (state->hash ^ value) * 0x9e3779b97f4a7c15u;
	state->hash ^= state->hash >> 29;
}

/*
 * Adds the innermost frame of the program: its place, the registers that calls keep, and the stack.
 */
static _Unwind_Reason_Code state_at(struct _Unwind_Context *context, void *arg)
{
	struct state *state = arg;
	const uintptr_t pc = _Unwind_GetIP(context), from = _Unwind_GetCFA(context);
	const uintptr_t end = LAB_STACKS + (lab.self->id + (uintptr_t)1) * LAB_STACK_SIZE;
	if (!lab_is_module_code(pc))
		return _URC_NO_REASON;
	state->known = end - from < LAB_STACK_SIZE; /* false on a stack of the program's own */
	state_add(state, pc);
	LAB_EACH (i, kept)
		state_add(state, _Unwind_GetGR(context, kept[i]));
	for (uintptr_t at = from; state->known && at < end; at += sizeof(uint64_t))
		state_add(state, *(const uint64_t *)at);
	return _URC_END_OF_STACK;
}

/* Adds what the thread holds, which is not part of its stack. */
static void state_add_held(struct state *state)
{
	const unsigned self = lab.self->id;
	const struct lab_object *o;
	for (unsigned i = 0; (o = lab_object_number(i)); i++) {
		const unsigned reads = o->reads[self];
		if (o->owner != (int)self && reads == 0)
			continue;
		state_add(state, o->address);
		state_add(state, (uint64_t)o->count << 8 | reads);
	}
}

static uint64_t state_of(uint32_t effects)
{
	static uint64_t other;
	struct state state = {effects, false};
	state_add(&state, lab_thread_settings());
	state_add(&state, lab.self->changes);
	state_add_held(&state);
	if (lab_running->module)
		(void)_Unwind_Backtrace(state_at, &state);
	return state.known ? state.hash | 1 : ++other << 1;
}

uint64_t lab_state(void)
{
	return state_of(lab.self->effects);
}

bool lab_await_again(void)
{
	struct lab_thread *self = lab.self;
	const uint64_t state = self->n_awaits > 0 ? state_of(0) : 0;
	for (unsigned i = 0; i < self->n_awaits && i < LAB_AWAITS; i++)
		if (self->awaits[i].state == state && lab_order_is_idle(self->awaits[i].step))
			return true;
	return false;
}

void lab_await_early(void)
{
	struct lab_thread *self = lab.self;
	self->awaits[self->n_awaits++ % LAB_AWAITS] = (struct lab_await){lab.steps, state_of(0)};
}
