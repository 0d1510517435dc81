/* SPDX-License-Identifier: BSD-2-Clause */
/* The textbook's problems, solved with the library. */
#include "../cases.h"
#include <fairlead/cond.h>
#include <fairlead/queue.h>
#include <fairlead/sem.h>

/* dining_philosophers: one locks its forks in the opposite order, so all eat. */
struct dining_philosophers {
	fl_mutex forks[3];
	int used[3];
};

static void eat(struct dining_philosophers *s, int first, int second)
{
	FL_LOCKED(&s->forks[first]);
	FL_LOCKED(&s->forks[second]);
	s->used[first]++;
	s->used[second]++;
}

FL_STRESS_ACTOR(dining_philosophers, one)
{
	eat(s, 0, 1);
}

FL_STRESS_ACTOR(dining_philosophers, two)
{
	eat(s, 1, 2);
}

FL_STRESS_ACTOR(dining_philosophers, three)
{
	eat(s, 0, 2);
}

FL_STRESS(dining_philosophers, one, two, three)
{
	FL_ACCEPTABLE(s->used[0] == 2 && s->used[1] == 2 && s->used[2] == 2, "all ate");
	FL_FORBIDDEN(1, "a fork was shared");
}

/* sleeping_barber: one chair, two customers: served + rejected = arrived. */
struct sleeping_barber {
	fl_mutex m;
	fl_sem customers, served_one;
	int waiting, served, rejected;
	bool closed;
};

static void come_in(struct sleeping_barber *s)
{
	fl_mutex_lock(&s->m);
	bool chair = s->waiting == 0;
	if (chair)
		s->waiting++;
	else
		s->rejected++;
	fl_mutex_unlock(&s->m);
	if (!chair)
		return;
	fl_sem_release(&s->customers);
	OK(fl_sem_acquire(&s->served_one));
}

FL_STRESS_ACTOR(sleeping_barber, barber)
{
	int left = 2;
	while (left > 0) {
		OK(fl_sem_acquire(&s->customers));
		FL_LOCKED(&s->m);
		s->waiting--;
		s->served++;
		left = 2 - s->served - s->rejected;
		fl_sem_release(&s->served_one);
	}
}

FL_STRESS_ACTOR(sleeping_barber, one)
{
	come_in(s);
}

FL_STRESS_ACTOR(sleeping_barber, two)
{
	come_in(s);
}

FL_STRESS(sleeping_barber, barber, one, two)
{
	FL_FORBIDDEN(s->served + s->rejected != 2 || s->waiting != 0, "a customer was forgotten");
	FL_ACCEPTABLE(s->rejected == 0, "both served");
	FL_ACCEPTABLE(s->rejected == 1, "one turned away");
	FL_FORBIDDEN(1, "both turned away");
}

/* Producer and consumer over one slot, by two semaphores: they never use the slot at once. */
struct producer_consumer {
	fl_sem items, spaces;
	int place, sum;
};

FL_STRESS_SETUP(producer_consumer)
{
	OK(fl_sem_init(&s->spaces, 1));
}

FL_STRESS_ACTOR(producer_consumer, producer)
{
	for (int i = 1; i <= 2; i++) {
		OK(fl_sem_acquire(&s->spaces));
		s->place = i;
		fl_sem_release(&s->items);
	}
}

FL_STRESS_ACTOR(producer_consumer, consumer)
{
	for (int i = 1; i <= 2; i++) {
		OK(fl_sem_acquire(&s->items));
		s->sum = s->sum * 10 + s->place;
		fl_sem_release(&s->spaces);
	}
}

FL_STRESS(producer_consumer, producer, consumer)
{
	FL_ACCEPTABLE(s->sum == 12, "in order");
	FL_FORBIDDEN(1, "lost or doubled");
}

/*
 * Readers and a writer by a mutex and a condition: readers together, a writer alone, and all get
 * their turn.
 */
struct readers_writer {
	fl_mutex m;
	fl_cond changed;
	int readers, data;
	bool writing;
};

static void read_once(struct readers_writer *s)
{
	fl_mutex_lock(&s->m);
	while (s->writing)
		OK(fl_cond_wait(&s->changed, &s->m));
	s->readers++;
	fl_mutex_unlock(&s->m);
	FL_STRESS_CHECK(s->data % 2 == 0);
	fl_mutex_lock(&s->m);
	if (--s->readers == 0)
		fl_cond_broadcast(&s->changed);
	fl_mutex_unlock(&s->m);
}

FL_STRESS_ACTOR(readers_writer, one)
{
	read_once(s);
}

FL_STRESS_ACTOR(readers_writer, two)
{
	read_once(s);
}

FL_STRESS_ACTOR(readers_writer, writer)
{
	fl_mutex_lock(&s->m);
	while (s->readers > 0)
		OK(fl_cond_wait(&s->changed, &s->m));
	s->writing = true;
	fl_mutex_unlock(&s->m);
	s->data++;
	s->data++;
	fl_mutex_lock(&s->m);
	s->writing = false;
	fl_cond_broadcast(&s->changed);
	fl_mutex_unlock(&s->m);
}

FL_STRESS(readers_writer, one, two, writer)
{
	FL_ACCEPTABLE(s->data == 2 && s->readers == 0, "all had their turn");
	FL_FORBIDDEN(1, "wrong counts");
}

/*
 * A pipeline of two queues: what goes in comes out, and the end of the first becomes the end of the
 * second.
 */
struct pipeline {
	fl_queue *in, *out;
	int got, end;
};

FL_STRESS_SETUP(pipeline)
{
	OK(fl_queue_create(&s->in, sizeof(int), &(fl_queue_config){.capacity = 1}));
	OK(fl_queue_create(&s->out, sizeof(int), &(fl_queue_config){.capacity = 1}));
}

FL_STRESS_ACTOR(pipeline, source)
{
	OK(fl_queue_put(s->in, &(int){3}));
	fl_queue_close(s->in);
}

FL_STRESS_ACTOR(pipeline, stage)
{
	int item;
	while (fl_queue_get(s->in, &item) == 0)
		OK(fl_queue_put(s->out, &(int){item * item}));
	fl_queue_close(s->out);
}

FL_STRESS_ACTOR(pipeline, sink)
{
	OK(fl_queue_get(s->out, &s->got));
	int item;
	s->end = fl_queue_get(s->out, &item);
}

FL_STRESS(pipeline, source, stage, sink)
{
	fl_queue_free(s->in);
	fl_queue_free(s->out);
	FL_ACCEPTABLE(s->got == 9 && s->end == -EPIPE, "through");
	FL_FORBIDDEN(1, "lost or doubled");
}
