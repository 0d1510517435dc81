/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a worker dies: at one of its next steps, or at a step at which few workers have died so
 * far. At least half of the workers do not die in either way. The worker's side of the library is
 * compiled so that it calls this file before each step. The parent is not armed, and never dies.
 */
#include "kill/steps.h"
#include "tasks.h"
#include <sys/syscall.h>

/* so that each plain write of an instrumented file is a step */
uintptr_t region_begin = 0, region_end = UINTPTR_MAX;

enum { EARLY = 64 };

static bool armed, deadly, deadly_later;
static uint32_t left;   /* steps until it dies, or 0 */
static uintptr_t place; /* the site at which it dies */
static uint32_t passes; /* its visits of that site until it dies, or 0 */

bool is_armed(void)
{
	return armed;
}

void stored(uintptr_t address, uint64_t before)
{
	(void)address;
	(void)before;
}

/* Draws a number up to 2^bits, so that small numbers are as frequent as large ones. */
static uint32_t some(uint64_t *seed, unsigned bits)
{
	uint32_t most = (uint32_t)1 << draw(seed) % (bits + 1);
	return 1 + (uint32_t)(draw(seed) % most);
}

void arm(uint64_t seed)
{
	sites_open();
	deadly_later = draw(&seed) % 2 && fl__load_relaxed(&board->by_step) < board->steps_most;
	deadly = deadly_later && draw(&seed) % EARLY == 0;
	if (draw(&seed) % 3 == 0)
		left = some(&seed, 15);
	else if ((place = rare_site(board->sites, draw(&seed))) != 0)
		passes = some(&seed, draw(&seed) % 2 ? 2 : 8);
	fl__store_release(&armed, true);
}

/*
 * Only few workers die before their first task, because a death in the initializer counts as a
 * failed start, and too many failed starts break the executor.
 */
void first_task_begins(void)
{
	deadly = deadly_later;
}

static void die(struct site *s)
{
	fl__add_relaxed(&s->kills, 1);
	fl__add_relaxed(&board->by_step, 1);
	(void)announce_death(life_of(getpid()));
	for (;;)
		(void)syscall(SYS_kill, getpid(), SIGKILL);
}

/*
 * The two threads of the worker may be here at the same time. Then one step is counted instead of
 * two, which does no harm.
 */
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
