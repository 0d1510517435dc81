/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a victim dies. A step is identified by the return address of its operation. */
#include "kill.h"
#include <signal.h>
#include <sys/syscall.h>

static struct slot *mine; /* NULL until the process is armed as a victim */
static uint32_t left;

void arm(struct slot *slot)
{
	left = slot->steps;
	mine = slot;
}

bool is_armed(void)
{
	return mine != NULL;
}

static void die(struct site *s)
{
	fl__add_relaxed(&s->kills, 1);
	for (;;)
		(void)syscall(SYS_kill, mine->pid, SIGKILL);
}

void step(uintptr_t pc)
{
	struct site *s = site_of(board->sites, pc);
	if (mine->kind == BY_DRIVER)
		return;
	if (left-- == 0 || (mine->kind == AT_SITE && s->at == mine->site))
		die(s);
}

/* Counts what the victim has committed, for the driver. */
void stored(uintptr_t address, uint64_t before)
{
	if (address == (uintptr_t)&ring->in)
		mine->put += (uint32_t)((ring->in >> 32) - (before >> 32));
	if (address == (uintptr_t)&ring->out)
		mine->got += (uint32_t)((ring->out >> 32) - (before >> 32));
}

/* A call that sleeps or wakes has two steps: one before the call, and one after it. */

static struct fl__sys below;

static int wait_as_a_step(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	if (mine)
		step((uintptr_t)__builtin_return_address(0) - 1);
	int rc = below.shared_wait(word, expected, deadline);
	if (mine)
		step((uintptr_t)__builtin_return_address(0));
	return rc;
}

static int wake_as_a_step(const uint32_t *word, int n)
{
	if (mine)
		step((uintptr_t)__builtin_return_address(0) - 1);
	int rc = below.shared_wake(word, n);
	if (mine)
		step((uintptr_t)__builtin_return_address(0));
	return rc;
}

static void store_and_wake_as_a_step(uint32_t *word, uint32_t value, int n)
{
	if (mine)
		step((uintptr_t)__builtin_return_address(0) - 1);
	below.shared_store_and_wake(word, value, n);
	if (mine)
		step((uintptr_t)__builtin_return_address(0));
}

void steps_open(void)
{
	sites_open();
	below = fl__sys;
	fl__sys.shared_wait = wait_as_a_step;
	fl__sys.shared_wake = wake_as_a_step;
	fl__sys.shared_store_and_wake = store_and_wake_as_a_step;
}
