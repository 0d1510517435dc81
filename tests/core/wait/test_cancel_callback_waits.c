/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often removals wait for functions that run: the file under test is part of this program, and
 * its waits are counted.
 */
#include "core/wait/lot.h"

static unsigned sleeps;

static int count_sleep(struct fl__wait *wait, fl_time deadline, fl_cancel_token *cancel)
{
	__atomic_add_fetch(&sleeps, 1, __ATOMIC_RELAXED);
	return fl__wait_sleep(wait, deadline, cancel);
}

#define fl__wait_sleep count_sleep
#include "core/wait/cancel_callback.c" /* NOLINT(bugprone-suspicious-include) */
#undef fl__wait_sleep

#include "fl_queued.h"
#include "fl_seam.h"

enum { TOKENS = 8, ROUNDS = 10 };

typedef struct of_token {
	fl_cancel_token token;
	fl_cancel_callback callback;
	fl_event go;
	bool begun;
	fl_thread *requester, *remover;
} of_token;

static void wait_for_go(void *arg)
{
	of_token *t = arg;
	SET(&t->begun, true);
	FL_OK(fl_event_wait_until(&t->go, FL_FOREVER, FL_SHIELDED));
}

static int request(void *token)
{
	fl_cancel_token_request(token);
	return 0;
}

static int remove_it(void *callback)
{
	FL_CHECK(!fl_cancel_callback_remove(callback)); /* it has run */
	return 0;
}

static void do_nothing(void *unused)
{
}

/* The end of each function of a tree once woke all removals that waited for any function of it. */
FL_TEST(cancel_callback_removals_sleep_while_other_functions_end)
{
	static of_token all[TOKENS];
	fl_cancel_token root = FL_CANCEL_TOKEN_INIT;
	FL_EACH (i, all) {
		of_token *t = &all[i];
		*t = (of_token){.go = FL_EVENT_INIT};
		fl_cancel_token_init(&t->token, &root, FL_FOREVER);
		assert_true(fl_cancel_token_on_request(&t->token, &t->callback, wait_for_go, t));
		fl_test_go(&t->requester, request, &t->token);
		FL_WAIT_FOR(LOOK(&t->begun));
		fl_test_go(&t->remover, remove_it, &t->callback);
	}
	FL_WAIT_FOR(fl_test_queued(fl__lot_key(&root, FL__KEY_OF_CALLBACKS)) == TOKENS);
	for (int round = 0; round < ROUNDS; round++) {
		fl_cancel_token other;
		fl_cancel_callback callback;
		fl_cancel_token_init(&other, &root, FL_FOREVER);
		assert_true(fl_cancel_token_on_request(&other, &callback, do_nothing, NULL));
		fl_cancel_token_request(&other);
		assert_false(fl_cancel_callback_remove(&callback));
		fl_cancel_token_destroy(&other);
	}
	FL_EACH (i, all) {
		fl_event_set(&all[i].go);
		fl_test_end(all[i].requester);
		fl_test_end(all[i].remover);
		fl_cancel_token_destroy(&all[i].token);
	}
	assert_int_equal(LOOK(&sleeps), TOKENS);
	fl_cancel_token_destroy(&root);
}
