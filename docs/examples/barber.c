/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sleeping barber, after Dijkstra. A barber cuts the hair of one customer at a time, and sleeps
 * while there is none. A new customer waits on one of the chairs, and leaves if all chairs are
 * taken.
 *
 * The chairs are a bounded queue: the barber sleeps in a get, and a customer without a chair sees
 * try_put fail. Each customer is a thread, and waits for the end of the cut on its own event.
 */
#include "demo.h"
#include <errno.h>
#include <stdlib.h>

#define CUT FL_MS(50)     /* the duration of a haircut ... */
#define ARRIVAL FL_MS(35) /* ... and the time between two customers, a bit shorter */

struct customer {
	fl_thread *thread;
	struct shop *shop;
	unsigned number;
	fl_event shorn;
};
FL_QUEUE_OF(struct customer *, chairs)

struct shop {
	chairs *chairs;
	fl_mutex lock; /* for the counts */
	unsigned arrived, served, turned_away;
};

static void count(struct shop *shop, unsigned *what)
{
	FL_LOCKED(&shop->lock);
	++*what;
}

/* A random time from half of `mean` to one and a half. */
static int64_t about(int64_t mean, uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return mean / 2 + mean * (int64_t)(*random >> 16) / 65536;
}

static int barber(void *arg)
{
	struct shop *shop = arg;
	uint32_t random = 1;
	struct customer *customer;
	int rc;
	/* Sleeps while there is no customer. */
	while ((rc = chairs_get(shop->chairs, &customer)) == 0) {
		printf("  the barber cuts the hair of customer %u\n", customer->number);
		rc = fl_sleep(about(CUT, &random));
		count(shop, &shop->served);
		fl_event_set(&customer->shorn);
		if (rc != 0)
			return rc;
	}
	return rc == -EPIPE ? 0 : rc; /* closed, and the last customer is served */
}

static int customer(void *arg)
{
	struct customer *me = arg;
	count(me->shop, &me->shop->arrived);
	int rc = chairs_try_put(me->shop->chairs, me);
	if (rc == -EAGAIN) {
		printf("customer %u finds no chair, and goes\n", me->number);
		count(me->shop, &me->shop->turned_away);
		return 0;
	}
	if (rc != 0)
		return rc;
	rc = fl_event_wait(&me->shorn);
	if (rc == 0)
		printf("customer %u leaves with short hair\n", me->number);
	return rc;
}

/* Returns 0, or the first error: the join's, or what the thread returned. */
static int join(fl_thread *thread)
{
	int result = 0;
	int rc = fl_thread_join(thread, &result);
	return rc != 0 ? rc : result;
}

static int customers_come(struct shop *shop, struct customer *customers, unsigned n)
{
	uint32_t random = 2;
	unsigned started = 0;
	int rc = 0;
	for (; rc == 0 && started < n; started += rc == 0) {
		struct customer *next = &customers[started];
		next->shop = shop;
		next->number = started + 1;
		rc = fl_sleep(about(ARRIVAL, &random));
		if (rc == 0)
			rc = fl_thread_start(&next->thread, customer, next, NULL);
	}
	for (unsigned i = 0; i < started; i++) {
		int left = join(customers[i].thread);
		rc = rc != 0 ? rc : left;
	}
	return rc;
}

static int open_shop(struct shop *shop, unsigned n)
{
	struct customer *customers = calloc(n, sizeof *customers);
	if (customers == NULL)
		return -ENOMEM;
	fl_thread *worker;
	int rc = fl_thread_start(&worker, barber, shop, &(fl_thread_config){.name = "barber"});
	if (rc == 0) {
		rc = customers_come(shop, customers, n);
		chairs_close(shop->chairs);
		int left = join(worker);
		rc = rc != 0 ? rc : left;
	}
	free(customers);
	return rc;
}

int sleeping_barber(const struct options *o)
{
	struct shop shop = {0};
	int rc = chairs_create(&shop.chairs, &(fl_queue_config){.capacity = o->chairs});
	if (rc == 0)
		rc = open_shop(&shop, o->customers);
	chairs_free(shop.chairs);
	if (rc != 0) {
		complain("the shop had to close: %s", fl_error_text(rc));
		return EXIT_FAILURE;
	}
	printf("%u came, %u were served, %u were turned away\n", shop.arrived, shop.served, shop.turned_away);
	if (shop.arrived != o->customers || shop.served + shop.turned_away != shop.arrived) {
		complain("a customer was lost: %u were sent", o->customers);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
