/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "in the frame of a function that has returned". */
#include "two_threads.h"
#include <semaphore.h>

static int *request;
static sem_t asked, answered;

static void ask(void)
{
	int answer[2048] = {0}; /* the bug: the caller does not wait for the answer */
	request = &answer[8];
	sem_post(&asked); /* NOLINT(clang-analyzer-core.StackAddressEscape) */
}

static void *serve(void *arg)
{
	sem_wait(&asked);
	*request = 1;
	sem_post(&answered);
	return arg;
}

int main(void)
{
	sem_init(&asked, 0, 0);
	sem_init(&answered, 0, 0);
	pthread_t server = start(serve);
	ask();
	sem_wait(&answered);
	pthread_join(server, NULL);
	return 0;
}
