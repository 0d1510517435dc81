/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. What a global or a running thread can reach is not a leak. */
#include "two_threads.h"

static struct node {
	struct node *next;
} * list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg)
{
	void *mine = malloc(8);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	free(mine);
	return arg;
}

int main(void)
{
	list = malloc(sizeof *list);
	list->next = malloc(sizeof *list);
	list->next->next = NULL;
	pthread_mutex_lock(&lock);
	start(run);
	return 0;
}
