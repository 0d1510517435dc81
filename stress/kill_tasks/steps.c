/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a worker dies: at one of its next steps, or at a step at which few have died so far; half of them at none. The files of
 * the library that have the worker's side are compiled so that they call here before each step; in the parent nobody is armed.
 */
#include "kill/steps.h"
#include "tasks.h"
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

uintptr_t region_begin = 0, region_end = UINTPTR_MAX; /* every plain write of these files */

enum { EARLY = 64 };

static bool armed, deadly, deadly_later;
static uint32_t left;   /* it dies before so many steps; 0: not by that */
static uintptr_t place; /* or there, */
static uint32_t passes; /* when it has passed so often; 0: not by that */

bool is_armed(void)
{
	return armed;
}

void stored(uintptr_t address, uint64_t before)
{
	(void)address;
	(void)before;
}

/* Numbers up to 2^bits, small ones as often as large ones. */
static uint32_t some(uint64_t *seed, unsigned bits)
{
	uint32_t most = (uint32_t)1 << draw(seed) % (bits + 1);
	return 1 + (uint32_t)(draw(seed) % most);
}

void arm(uint64_t seed)
{
	sites_open();
	deadly_later = draw(&seed) % 2 && __atomic_load_n(&board->by_step, __ATOMIC_RELAXED) < board->steps_most;
	deadly = deadly_later && draw(&seed) % EARLY == 0;
	if (draw(&seed) % 3 == 0)
		left = some(&seed, 15);
	else if ((place = rare_site(board->sites, draw(&seed))) != 0)
		passes = some(&seed, draw(&seed) % 2 ? 2 : 8);
	__atomic_store_n(&armed, true, __ATOMIC_RELEASE);
}

/* Not before: who dies in the initializer counts as never started, and too many of these break the executor, as they should. */
void first_task_begins(void)
{
	deadly = deadly_later;
}

static void die(struct site *s)
{
	__atomic_fetch_add(&s->kills, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&board->by_step, 1, __ATOMIC_RELAXED);
	(void)announce_death(life_of(getpid()));
	for (;;)
		(void)syscall(SYS_kill, getpid(), SIGKILL);
}

/* The worker's two threads may come here at once: then one of them counts for both, which does no harm. */
void step(uintptr_t pc)
{
	struct site *s = site_of(board->sites, pc);
	if (!deadly)
		return;
	if (left > 0 && --left == 0)
		die(s);
	if (passes > 0 && s->at == place && --passes == 0)
		die(s);
}
