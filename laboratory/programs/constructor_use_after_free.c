/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "freed". A table that a constructor allocated is freed while another thread
 * still has its address.
 */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int *table;

__attribute__((constructor)) static void make_table(void)
{
	table = calloc(2, sizeof *table);
}

static void *grow(void *arg)
{
	pthread_mutex_lock(&lock);
	table = realloc(table, 4 * sizeof *table);
	pthread_mutex_unlock(&lock);
	return arg;
}

static void *count(void *arg)
{
	pthread_mutex_lock(&lock);
	int *entry = &table[1];
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&lock);
	(*entry)++;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	in_two_threads(grow, count);
	free(table);
	return 0;
}
