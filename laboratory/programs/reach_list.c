/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "read of queue->head->next->value by". The path from a global is the name. */
#include "two_threads.h"

struct node {
	struct node *next;
	int value;
};

struct queue {
	pthread_mutex_t lock;
	struct node *head;
};

static struct queue *queue;

static void push(int value)
{
	struct node *made = malloc(sizeof *made);
	made->value = value;
	pthread_mutex_lock(&queue->lock);
	made->next = queue->head;
	queue->head = made;
	pthread_mutex_unlock(&queue->lock);
}

static void *count(void *arg)
{
	queue->head->next->value++;
	return arg;
}

int main(void)
{
	queue = calloc(1, sizeof *queue);
	pthread_mutex_init(&queue->lock, NULL);
	push(1);
	push(2);
	return in_two_threads(count, count);
}
