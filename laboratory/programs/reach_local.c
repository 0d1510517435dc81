/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "read of job#2->done by". A local variable names what no global reaches. */
#include "two_threads.h"

struct job {
	char name[8];
	int done;
};

static void *run(void *arg)
{
	struct job *mine = arg;
	mine->done++;
	return NULL;
}

int main(void)
{
	pthread_t threads[3];
	struct job *jobs[2];
	for (int i = 0; i < 2; i++) {
		struct job *job = malloc(sizeof *job);
		job->done = i;
		jobs[i] = job;
	}
	pthread_create(&threads[0], NULL, run, jobs[0]);
	pthread_create(&threads[1], NULL, run, jobs[1]);
	pthread_create(&threads[2], NULL, run, jobs[1]);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	free(jobs[0]);
	free(jobs[1]);
	return 0;
}
