/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(sum == 15)". A consumer of a queue adds in two critical sections. The trace
 * is long: its report folds steps, and leaves out arrows that tell nothing new.
 */
#include "two_threads.h"

struct node {
	struct node *next;
	int value;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct node *head, *tail;
	int length, closed;
};

static struct queue queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
static int sum, taken;

static void put(struct queue *q, int value)
{
	struct node *n = malloc(sizeof *n);
	n->value = value;
	n->next = NULL;
	pthread_mutex_lock(&q->lock);
	if (q->tail)
		q->tail->next = n;
	else
		q->head = n;
	q->tail = n;
	q->length++;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
}

static int get(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	while (!q->head && !q->closed)
		pthread_cond_wait(&q->more, &q->lock);
	struct node *n = q->head;
	if (!n) {
		pthread_mutex_unlock(&q->lock);
		return 0;
	}
	q->head = n->next;
	if (!q->head)
		q->tail = NULL;
	q->length--;
	pthread_mutex_unlock(&q->lock);
	int value = n->value;
	free(n);
	return value;
}

static void *consumer(void *arg)
{
	for (int value; (value = get(&queue)) != 0;) {
		pthread_mutex_lock(&queue.lock);
		int old = sum;
		pthread_mutex_unlock(&queue.lock);
		pthread_mutex_lock(&queue.lock);
		sum = old + value;
		taken++;
		pthread_mutex_unlock(&queue.lock);
	}
	return arg;
}

int main(void)
{
	pthread_t one = start(consumer), two = start(consumer);
	for (int i = 1; i <= 5; i++)
		put(&queue, i);
	pthread_mutex_lock(&queue.lock);
	queue.closed = 1;
	pthread_cond_broadcast(&queue.more);
	pthread_mutex_unlock(&queue.lock);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	assert(taken == 5);
	assert(sum == 15);
	return 0;
}
