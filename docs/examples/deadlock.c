/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A deadlock that did not happen, reported; then one that happens. Two accounts have a lock each; a
 * transfer locks the account that it takes from, then the account that it gives to. Transfers in
 * both directions go well one after another, but may deadlock at the same time.
 *
 *   fairlead-deadlock             # reports the potential deadlock, and ends
 *   fairlead-deadlock now         # deadlocks and hangs: Ctrl-\ prints the waits, Ctrl-C ends it
 */
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>

struct account {
	fl_mutex lock;
	long balance;
};

static struct account alice = {FL_MUTEX_INIT, 100}, bob = {FL_MUTEX_INIT, 100};
static fl_barrier both = FL_BARRIER_INIT(2);
static bool at_once;

static void transfer(struct account *from, struct account *to, long amount)
{
	FL_LOCKED(&from->lock);
	if (at_once && fl_barrier_wait(&both) < 0) /* each has its first lock */
		return;
	FL_LOCKED(&to->lock);
	from->balance -= amount;
	to->balance += amount;
}

static int alice_pays(void *arg)
{
	(void)arg;
	transfer(&alice, &bob, 10);
	return 0;
}

static int bob_pays(void *arg)
{
	(void)arg;
	transfer(&bob, &alice, 20);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	at_once = argc > 1;
	int rc = fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);
	if (rc != 0)
		return fl_perror(rc, "debugging");
	fl_thread *threads[2];
	fl_thread_function *const functions[] = {alice_pays, bob_pays};
	const char *const names[] = {"alice pays", "bob pays"};
	for (int i = 0; i < 2; i++) {
		rc = fl_thread_start(&threads[i], functions[i], NULL, &(fl_thread_config){.name = names[i]});
		if (rc == 0 && !at_once)
			rc = fl_thread_join(threads[i], NULL); /* one after the other */
		if (rc != 0)
			return fl_perror(rc, names[i]);
	}
	for (int i = 0; at_once && i < 2; i++) {
		rc = fl_thread_join(threads[i], NULL);
		if (rc != 0)
			return fl_perror(rc, names[i]);
	}
	printf("alice %ld, bob %ld\n", alice.balance, bob.balance);
	return EXIT_SUCCESS;
}
