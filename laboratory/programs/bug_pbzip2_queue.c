/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects MISUSE "is not ordered before". pbzip2 0.9.4: main deletes the queue, with its mutex,
 * while a consumer still uses it.
 */
#include "two_threads.h"

struct queue {
	pthread_mutex_t lock;
	int items;
};

static struct queue *fifo;

static void *consume(void *arg)
{
	for (int items = 1; items > 0;) {
		pthread_mutex_lock(&fifo->lock);
		items = fifo->items;
		if (items > 0)
			fifo->items--;
		pthread_mutex_unlock(&fifo->lock);
	}
	return arg;
}

int main(void)
{
	fifo = calloc(1, sizeof *fifo);
	pthread_mutex_init(&fifo->lock, NULL);
	fifo->items = 1;
	pthread_t consumer = start(consume);
#ifdef FIXED
	pthread_join(consumer, NULL);
#else
	for (int left = 1; left > 0;) {
		pthread_mutex_lock(&fifo->lock);
		left = fifo->items;
		pthread_mutex_unlock(&fifo->lock);
	}
	pthread_detach(consumer);
#endif
	free(fifo);
	return 0;
}
