/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared objects of the soak, and the account of what all actors have done with them. */
#include "soak.h"

struct soak soak;

static fl_mutex lock;
static struct tally total;
static uint64_t actors, operations;

void things_open(void)
{
	for (int i = 0; i < SEMS; i++)
		soak.sems[i] = (fl_sem)FL_SEM_INIT(PERMITS);
	for (int i = 0; i < QUEUES; i++)
		if (fl_queue_create(&soak.queues[i], sizeof(uint64_t), &(fl_queue_config){.capacity = CAPACITY}) != 0)
			fail("no memory for a queue");
}

void actor_begin(struct actor *a)
{
	const uint64_t n = fl__add_relaxed(&actors, 1) + 1; /* relaxed: only uniqueness is needed */
	*a = (struct actor){.id = n, .draw = (soak.seed + n) * 0x9e3779b97f4a7c15u | 1};
}

void actor_end(const struct actor *a)
{
	FL_LOCKED(&lock);
	total.done += a->tally.done;
	total.timed_out += a->tally.timed_out;
	total.cancelled += a->tally.cancelled;
	total.put_sum += a->tally.put_sum;
	total.put_count += a->tally.put_count;
	total.got_sum += a->tally.got_sum;
	total.got_count += a->tally.got_count;
	total.tickets += a->tally.tickets;
}

void progress(uint64_t n)
{
	fl__add_relaxed(&operations, n); /* relaxed: a count */
}

uint64_t progress_made(void)
{
	return fl__load_relaxed(&operations); /* relaxed: a count */
}

static void drain(fl_queue *q)
{
	uint64_t item;
	while (fl_queue_try_get(q, &item) == 0) {
		total.got_sum += item;
		total.got_count++;
	}
	fl_queue_free(q);
}

static void check_sem(int i)
{
	int permits = 0;
	while (fl_sem_try_acquire(&soak.sems[i]) == 0)
		permits++;
	if (permits != PERMITS)
		fail("a semaphore of %d permits has %d at the end", PERMITS, permits);
}

struct tally things_close(void)
{
	int64_t tickets = 0;
	for (int i = 0; i < QUEUES; i++)
		drain(soak.queues[i]);
	for (int i = 0; i < SEMS; i++)
		check_sem(i);
	for (int i = 0; i < MONITORS; i++)
		tickets += soak.monitors[i].tickets;
	if (total.put_count != total.got_count || total.put_sum != total.got_sum)
		fail("%lu items were put, %lu were got, and their sums differ by %ld", total.put_count, total.got_count,
		     (int64_t)(total.put_sum - total.got_sum));
	if (tickets != total.tickets)
		fail("%ld tickets are left of %ld", tickets, total.tickets);
	return total;
}
