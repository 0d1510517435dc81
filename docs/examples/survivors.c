/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers that get killed. Three processes get numbers from a queue in shared memory and put
 * answers into another queue. Fifty times one of them is killed with SIGKILL, at a random moment.
 * The others go on; the dead worker is replaced, and the number that it worked on goes back into
 * the queue.
 *
 * A worker gets each number straight into its `hand` in shared memory, where it can be found after
 * the worker's death. A worker that dies just before it empties its hand has already put its
 * answer: then the number is done twice, and the second answer is dropped. So no number is lost,
 * and none counts twice.
 */
#include "demo.h"
#include <errno.h>
#include <stdlib.h>

enum { WORKERS = 3, NUMBERS = 100000, KILLS = 50, REGION = 4 << 20 };

struct answer {
	uint64_t number, steps;
};
FL_SHM_QUEUE_OF(uint64_t, number_queue)
FL_SHM_QUEUE_OF(struct answer, answer_queue)

/* The argument of a worker; the region comes as its descriptor 0. */
struct places {
	fl_shm_offset todo, done, hand;
};

struct office {
	fl_shm *region;
	number_queue *todo;
	answer_queue *done;
	uint64_t *hands; /* one for each worker; 0: empty */
	fl_process *workers[WORKERS];
	bool answered[NUMBERS + 1];
	unsigned answers, twice, kills;
	uint64_t longest;
};

/* Returns the number of steps from a number to 1 (the Collatz problem). */
static uint64_t steps_of(uint64_t n)
{
	uint64_t steps = 0;
	for (; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1)
		steps++;
	return steps;
}

FL_TASK_STATIC(answer_numbers, struct places, void)
{
	FL_SCOPED(fl_shm) *region = NULL;
	number_queue *todo = NULL;
	answer_queue *done = NULL;
	int rc = fl_shm_attach(&region, fl_process_fd(0));
	if (rc == 0)
		rc = number_queue_attach(&todo, region, arg->todo);
	if (rc == 0)
		rc = answer_queue_attach(&done, region, arg->done);
	volatile uint64_t *hand = rc == 0 ? FL_SHM_AT(region, uint64_t, arg->hand) : NULL;
	while (hand != NULL && (rc = number_queue_get(todo, (uint64_t *)hand)) == 0) {
		rc = answer_queue_put(done, (struct answer){*hand, steps_of(*hand)});
		*hand = 0;
	}
	number_queue_free(todo);
	answer_queue_free(done);
	return rc == -EPIPE ? 0 : rc; /* closed: the end */
}

static int hire(struct office *o, unsigned i)
{
	struct places places = {number_queue_offset(o->todo), answer_queue_offset(o->done),
	                        fl_shm_offset_of(o->region, &o->hands[i])};
	int fd = fl_shm_fd(o->region);
	return fl_process_start(
	    &o->workers[i],
	    &(fl_process_config){
		.task = &answer_numbers, .arg = &places, .name = "worker", .daemon = true, .fds = &fd, .n_fds = 1});
}

static int open_office(struct office *o)
{
	int rc = fl_shm_create(&o->region, REGION);
	if (rc == 0)
		rc = number_queue_create(&o->todo, o->region, &(fl_shm_queue_config){.capacity = NUMBERS + WORKERS});
	if (rc == 0)
		rc = answer_queue_create(&o->done, o->region, NULL);
	if (rc != 0)
		return rc;
	o->hands = fl_shm_block_alloc(o->region, WORKERS * sizeof *o->hands);
	if (o->hands == NULL)
		return -ENOMEM;
	for (uint64_t n = 1; n <= NUMBERS && rc == 0; n++)
		rc = number_queue_put(o->todo, n);
	for (unsigned i = 0; i < WORKERS && rc == 0; i++)
		rc = hire(o, i);
	return rc;
}

/* Kills a worker, takes over the number in its hand, and starts another worker in its place. */
static int lose_one(struct office *o)
{
	unsigned i = o->kills++ % WORKERS;
	fl_process_status status;
	int rc = fl_process_kill(o->workers[i]);
	if (rc == 0)
		rc = fl_process_join(o->workers[i], &status);
	if (rc != 0)
		return rc;
	if (o->hands[i] != 0)
		rc = number_queue_put(o->todo, o->hands[i]);
	o->hands[i] = 0;
	fl_process_free(o->workers[i]);
	o->workers[i] = NULL;
	return rc == 0 ? hire(o, i) : rc;
}

static int collect(struct office *o)
{
	while (o->answers < NUMBERS) {
		struct answer a;
		int rc = answer_queue_get(o->done, &a);
		if (rc == 0 && (a.number == 0 || a.number > NUMBERS))
			rc = -EBADMSG;
		if (rc != 0)
			return rc;
		if (o->answered[a.number]) {
			o->twice++;
			continue;
		}
		o->answered[a.number] = true;
		o->longest = a.steps > o->longest ? a.steps : o->longest;
		if (++o->answers % (NUMBERS / (KILLS + 1)) == 0 && o->kills < KILLS)
			rc = lose_one(o);
		if (rc != 0)
			return rc;
	}
	return number_queue_close(o->todo);
}

static void close_office(struct office *o)
{
	for (unsigned i = 0; i < WORKERS; i++)
		fl_process_free(o->workers[i]); /* daemons: they end here */
	number_queue_free(o->todo);
	answer_queue_free(o->done);
	fl_shm_free(o->region);
	free(o);
}

int survivors(const struct options *options)
{
	(void)options;
	struct office *o = calloc(1, sizeof *o);
	if (o == NULL) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	int rc = open_office(o);
	if (rc == 0)
		rc = collect(o);
	if (rc != 0)
		complain("the workers: %s", fl_error_text(rc));
	else
		printf("%u workers, %u of them killed at work. %u numbers, %u answers; %u done twice, none lost.\n"
		       "The longest way to 1 has %llu steps.\n",
		       WORKERS + o->kills, o->kills, NUMBERS, o->answers, o->twice, (unsigned long long)o->longest);
	close_office(o);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
