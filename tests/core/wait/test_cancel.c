/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

#include "core/wait/cancel.h"

FL_TEST(cancel_all_zero_is_a_root_without_deadline)
{
	fl_cancel_token c = FL_CANCEL_TOKEN_INIT, zero, made;
	memset(&zero, 0, sizeof zero);
	memset(&made, 0xff, sizeof made);
	fl_cancel_token_init(&made, NULL, FL_FOREVER);
	assert_memory_equal(&c, &zero, sizeof c);
	assert_memory_equal(&made, &zero, sizeof made);
	assert_false(fl_cancel_token_is_requested(&c));
	assert_true(fl__is_forever(fl_cancel_token_deadline(&c)));
	fl_cancel_token_destroy(&c);
}

FL_TEST(cancel_request_stays)
{
	fl_cancel_token c = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&c);
	assert_true(fl_cancel_token_is_requested(&c));
	fl_cancel_token_request(&c);
	assert_true(fl_cancel_token_is_requested(&c));
	for (int i = 0; i < 3; i++)
		FL_RC(fl_sleep_until(FL_FOREVER, &c), -ECANCELED);
	fl_cancel_token_destroy(&c);
}

/*
 *       root
 *      /    \
 *   left    right
 *   /  \      |
 *  a    b     c
 */
typedef struct tree {
	fl_cancel_token root, left, right, a, b, c;
} tree;

static void tree_init(tree *t)
{
	fl_cancel_token_init(&t->root, FL_SHIELDED, FL_FOREVER);
	fl_cancel_token_init(&t->left, &t->root, FL_FOREVER);
	fl_cancel_token_init(&t->right, &t->root, FL_FOREVER);
	fl_cancel_token_init(&t->a, &t->left, FL_FOREVER);
	fl_cancel_token_init(&t->b, &t->left, FL_FOREVER);
	fl_cancel_token_init(&t->c, &t->right, FL_FOREVER);
}

static void tree_destroy_children(tree *t)
{
	fl_cancel_token_destroy(&t->a);
	fl_cancel_token_destroy(&t->b);
	fl_cancel_token_destroy(&t->c);
	fl_cancel_token_destroy(&t->left);
	fl_cancel_token_destroy(&t->right);
}

static void tree_destroy(tree *t)
{
	tree_destroy_children(t);
	fl_cancel_token_destroy(&t->root);
}

/* Which of the tree are requested, as a word of their letters. */
static const char *requested_in(const tree *t)
{
	static char letters[8];
	const fl_cancel_token *tokens[] = {&t->root, &t->left, &t->right, &t->a, &t->b, &t->c};
	size_t n = 0;
	FL_EACH (i, tokens)
		if (fl_cancel_token_is_requested(tokens[i]))
			letters[n++] = "RlrABC"[i];
	letters[n] = '\0';
	return letters;
}

FL_TEST(cancel_reaches_descendants_alone)
{
	tree t;
	tree_init(&t);
	assert_string_equal(requested_in(&t), "");
	fl_cancel_token_request(&t.b);
	assert_string_equal(requested_in(&t), "B");
	fl_cancel_token_request(&t.right);
	assert_string_equal(requested_in(&t), "rBC");
	fl_cancel_token_request(&t.left);
	assert_string_equal(requested_in(&t), "lrABC");
	fl_cancel_token_request(&t.root);
	assert_string_equal(requested_in(&t), "RlrABC");
	tree_destroy(&t);

	tree_init(&t);
	fl_cancel_token_request(&t.root);
	assert_string_equal(requested_in(&t), "RlrABC");
	tree_destroy(&t);
}

FL_TEST(cancel_child_of_a_requested_one_is_requested)
{
	FL_SCOPED(fl_cancel_token) parent = FL_CANCEL_TOKEN_INIT, child, grandchild;
	fl_cancel_token_request(&parent);
	fl_cancel_token_init(&child, &parent, FL_FOREVER);
	fl_cancel_token_init(&grandchild, &child, FL_FOREVER);
	assert_true(fl_cancel_token_is_requested(&child));
	assert_true(fl_cancel_token_is_requested(&grandchild));
	FL_RC(fl_sleep_until(FL_FOREVER, &grandchild), -ECANCELED);
}

FL_TEST(cancel_deadline_is_the_least_of_the_ancestors)
{
	FL_SCOPED(fl_cancel_token) root, early, late, none;
	fl_cancel_token_init(&root, FL_SHIELDED, FL__TIME(FL_S(3000000000)));
	fl_cancel_token_init(&early, &root, FL__TIME(FL_S(2000000000)));
	fl_cancel_token_init(&late, &early, FL__TIME(FL_S(4000000000)));
	fl_cancel_token_init(&none, &early, FL_FOREVER);
	assert_true(fl_cancel_token_deadline(&root).ns == FL_S(3000000000));
	assert_true(fl_cancel_token_deadline(&early).ns == FL_S(2000000000));
	assert_true(fl_cancel_token_deadline(&late).ns == FL_S(2000000000));
	assert_true(fl_cancel_token_deadline(&none).ns == FL_S(2000000000));
	assert_false(fl_cancel_token_is_requested(&none));
}

FL_TEST(cancel_deadline_that_has_passed_is_a_request)
{
	static const fl_time past[] = {{INT64_MIN}, {-1}, {1}};
	FL_EACH (i, past) {
		fl_cancel_token c, child;
		fl_cancel_token_init(&c, FL_SHIELDED, past[i]);
		fl_cancel_token_init(&child, &c, FL_FOREVER);
		assert_true(fl_cancel_token_is_requested(&c));
		assert_true(fl_cancel_token_is_requested(&child));
		assert_true(fl_cancel_token_deadline(&c).ns == past[i].ns);
		FL_RC(fl_sleep_until(FL_FOREVER, &child), -ECANCELED);
		fl_cancel_token_destroy(&child);
		fl_cancel_token_destroy(&c);
	}
	fl_cancel_token soon;
	fl_time deadline = fl_after(FL_MS(2));
	fl_cancel_token_init(&soon, FL_SHIELDED, deadline);
	FL_WAIT_FOR(fl_cancel_token_is_requested(&soon));
	assert_true(fl_time_is_past(deadline));
	fl_cancel_token_destroy(&soon);
}

FL_TEST(cancel_deadline_of_forever_is_none)
{
	FL_SCOPED(fl_cancel_token) c, almost;
	fl_cancel_token_init(&c, FL_SHIELDED, FL_FOREVER);
	fl_cancel_token_init(&almost, FL_SHIELDED, FL__TIME(INT64_MAX - 1));
	assert_true(fl__is_forever(fl_cancel_token_deadline(&c)));
	assert_true(fl_cancel_token_deadline(&almost).ns == INT64_MAX - 1);
	assert_false(fl_cancel_token_is_requested(&c) || fl_cancel_token_is_requested(&almost));
}

FL_TEST(cancel_scope_is_what_null_means)
{
	fl_cancel_token c;
	assert_null(fl_cancel_scope_current());
	assert_false(fl_cancel_token_is_requested(NULL));
	assert_true(fl__is_forever(fl_cancel_token_deadline(NULL)));
	fl_cancel_token_init(&c, NULL, FL__TIME(FL_S(5000000000)));
	{
		FL_CANCEL_SCOPE(&c);
		assert_ptr_equal(fl_cancel_scope_current(), &c);
		assert_true(fl_cancel_token_deadline(NULL).ns == FL_S(5000000000));
		assert_true(fl__is_forever(fl_cancel_token_deadline(FL_SHIELDED)));
		assert_false(fl_cancel_token_is_requested(NULL));
		fl_cancel_token_request(&c);
		assert_true(fl_cancel_token_is_requested(NULL));
		assert_false(fl_cancel_token_is_requested(FL_SHIELDED));
	}
	assert_null(fl_cancel_scope_current());
	assert_false(fl_cancel_token_is_requested(NULL));
	fl_cancel_token_destroy(&c);
}

FL_TEST(cancel_scope_set_returns_the_one_before)
{
	fl_cancel_token a = FL_CANCEL_TOKEN_INIT, b = FL_CANCEL_TOKEN_INIT;
	assert_null(fl_cancel_scope_set(&a));
	assert_ptr_equal(fl_cancel_scope_set(&b), &a);
	assert_ptr_equal(fl_cancel_scope_set(FL_SHIELDED), &b);
	assert_null(fl_cancel_scope_current());
	assert_null(fl_cancel_scope_set(&a));
	assert_ptr_equal(fl_cancel_scope_set(NULL), &a);
	assert_null(fl_cancel_scope_current());
}

static int leave_scope(fl_cancel_token *outer, fl_cancel_token *inner, int way)
{
	FL_CANCEL_SCOPE(outer);
	for (;;) {
		FL_CANCEL_SCOPE(inner);
		FL_CHECK(fl_cancel_scope_current() == inner);
		if (way == 0)
			break;
		if (way == 1)
			return 1;
		way = 0;
	}
	FL_CHECK(fl_cancel_scope_current() == outer);
	{
		FL_CANCEL_SCOPE(FL_SHIELDED);
		FL_CHECK(fl_cancel_scope_current() == NULL);
	}
	FL_CHECK(fl_cancel_scope_current() == outer);
	return 0;
}

FL_TEST(cancel_scope_ends_with_its_block)
{
	fl_cancel_token a = FL_CANCEL_TOKEN_INIT, b = FL_CANCEL_TOKEN_INIT;
	for (int way = 0; way < 3; way++) {
		assert_int_equal(leave_scope(&a, &b, way), way == 1);
		assert_null(fl_cancel_scope_current());
	}
}

static int has_no_scope(void *unused)
{
	FL_CHECK(fl_cancel_scope_current() == NULL);
	FL_CHECK(!fl_cancel_token_is_requested(NULL));
	return 0;
}

FL_TEST(cancel_scope_is_the_contexts_own)
{
	FL_CANCEL_SCOPE(fl_test_requested);
	fl_test_on_thread(has_no_scope, NULL);
	assert_ptr_equal(fl_cancel_scope_current(), fl_test_requested);
}

FL_TEST(cancel_parent_by_default_is_the_scope)
{
	FL_SCOPED(fl_cancel_token) scope, child, apart;
	fl_cancel_token_init(&scope, NULL, FL_FOREVER);
	{
		FL_CANCEL_SCOPE(&scope);
		fl_cancel_token_init(&child, NULL, FL_FOREVER);
		fl_cancel_token_init(&apart, FL_SHIELDED, FL_FOREVER);
	}
	fl_cancel_token_request(&scope);
	assert_true(fl_cancel_token_is_requested(&child));
	assert_false(fl_cancel_token_is_requested(&apart));
}

FL_TEST(cancel_destroy_with_a_child_panics)
{
	FL_SCOPED(fl_cancel_token) parent = FL_CANCEL_TOKEN_INIT, child;
	fl_cancel_token_init(&child, &parent, FL_FOREVER);
	FL_PANICS_OF("fl_cancel_token_destroy", &parent, fl_cancel_token_destroy(&parent));
	fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
	fl_cancel_token_request(&parent); /* as it was before */
	assert_true(fl_cancel_token_is_requested(&child));
}

/* Children leave in any order, and the others stay reachable. */
FL_TEST(cancel_children_leave_in_any_order)
{
	enum { N = 4 };
	static const int orders[][N] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
	for (int o = 0; o < 4; o++) {
		for (int left = 0; left < N; left++) {
			fl_cancel_token parent, children[N];
			fl_cancel_token_init(&parent, FL_SHIELDED, FL_FOREVER);
			FL_EACH (i, children)
				fl_cancel_token_init(&children[i], &parent, FL_FOREVER);
			for (int i = 0; i < left; i++)
				fl_cancel_token_destroy(&children[orders[o][i]]);
			fl_cancel_token_request(&parent);
			for (int i = left; i < N; i++)
				assert_true(fl_cancel_token_is_requested(&children[orders[o][i]]));
			for (int i = left; i < N; i++)
				fl_cancel_token_destroy(&children[orders[o][i]]);
			fl_cancel_token_destroy(&parent);
		}
	}
}

static void scoped_child(fl_cancel_token *parent)
{
	FL_SCOPED(fl_cancel_token) child;
	fl_cancel_token_init(&child, parent, FL_FOREVER);
	FL_PANICS(fl_cancel_token_destroy(parent));
}

FL_TEST(cancel_scoped_token_is_destroyed)
{
	fl_cancel_token parent;
	fl_cancel_token_init(&parent, FL_SHIELDED, FL_FOREVER);
	scoped_child(&parent);
	fl_cancel_token_destroy(&parent); /* it has no child any more */
}

FL_TEST(cancel_wakes_every_wait_under_it)
{
	tree t;
	tree_init(&t);
	fl_cancel_token *tokens[] = {&t.a, &t.a, &t.b, &t.left, &t.root, &t.c};
	fl_test_caller sleepers[6];
	FL_EACH (i, sleepers)
		fl_test_call_queued(&sleepers[i], fl_test_sleep, NULL, tokens[i], FL_FOREVER, tokens[i]);
	fl_cancel_token_request(&t.left);
	for (int i = 0; i < 4; i++)
		FL_RC(fl_test_call_end(&sleepers[i]), -ECANCELED);
	assert_int_equal(fl_test_queued(&t.root), 1);
	assert_int_equal(fl_test_queued(&t.c), 1);
	fl_cancel_token_request(&t.root);
	for (int i = 4; i < 6; i++)
		FL_RC(fl_test_call_end(&sleepers[i]), -ECANCELED);
	tree_destroy(&t);
}

/* Own tokens: a request is delivered by a call. */
typedef struct owner {
	struct fl__own_token own;
	unsigned kicks;
} owner;

static void count_kick(struct fl__own_token *own)
{
	owner *o = (owner *)(void *)own;
	FL_CHECK(fl_cancel_token_is_requested(&own->token));
	o->kicks++;
}

static void owner_init(owner *o, fl_cancel_token *parent)
{
	*o = (owner){.own.kick = count_kick};
	fl__cancel_init_own(&o->own, parent, FL_FOREVER);
}

FL_TEST(cancel_own_token_is_told_once)
{
	FL_SCOPED(fl_cancel_token) root = FL_CANCEL_TOKEN_INIT;
	owner a, b, alone;
	owner_init(&a, &root);
	owner_init(&b, &a.own.token);
	owner_init(&alone, FL_SHIELDED);
	assert_false(fl_cancel_token_is_requested(&a.own.token));
	fl_cancel_token_request(&a.own.token);
	fl_cancel_token_request(&a.own.token);
	fl_cancel_token_request(&root);
	assert_int_equal(a.kicks, 1);
	assert_int_equal(b.kicks, 1);
	assert_int_equal(alone.kicks, 0);
	fl_cancel_token_request(&alone.own.token);
	assert_int_equal(alone.kicks, 1);
	fl_cancel_token_destroy(&b.own.token);
	fl_cancel_token_destroy(&a.own.token);
	fl_cancel_token_destroy(&alone.own.token);
	owner_init(&a, &root); /* requested from the start: it can check by itself */
	assert_int_equal(a.kicks, 0);
	assert_true(fl_cancel_token_is_requested(&a.own.token));
	fl_cancel_token_request(&a.own.token);
	assert_int_equal(a.kicks, 0);
	fl_cancel_token_destroy(&a.own.token);
}

FL_TEST(cancel_own_token_that_was_disowned)
{
	FL_SCOPED(fl_cancel_token) root = FL_CANCEL_TOKEN_INIT;
	owner a;
	owner_init(&a, &root);
	fl__cancel_disown(&a.own);
	fl_cancel_token_request(&root);
	assert_true(fl_cancel_token_is_requested(&a.own.token));
	assert_int_equal(a.kicks, 0);
	fl_cancel_token_destroy(&a.own.token);
}

/* The waiters in its queue are still woken. */
FL_TEST(cancel_own_token_has_a_wait_queue)
{
	owner a;
	fl_test_caller c;
	owner_init(&a, FL_SHIELDED);
	fl_test_call_queued(&c, fl_test_sleep, NULL, &a.own.token, FL_FOREVER, &a.own.token);
	fl_cancel_token_request(&a.own.token);
	FL_RC(fl_test_call_end(&c), -ECANCELED);
	assert_int_equal(a.kicks, 1);
	fl_cancel_token_destroy(&a.own.token);
}

FL_TEST(cancel_children_without_the_parent)
{
	tree t;
	tree_init(&t);
	assert_false(fl__cancel_take_back(&t.root)); /* it has children */
	fl__cancel_request_children(&t.left);
	assert_string_equal(requested_in(&t), "AB");
	fl__cancel_request_children(&t.root);
	assert_string_equal(requested_in(&t), "lrABC");
	fl_cancel_token_request(&t.root);
	assert_string_equal(requested_in(&t), "RlrABC");
	tree_destroy_children(&t);
	assert_true(fl__cancel_take_back(&t.root));
	assert_false(fl_cancel_token_is_requested(&t.root));
	fl_cancel_token_init(&t.left, &t.root, FL_FOREVER);
	assert_false(fl_cancel_token_is_requested(&t.left));
	fl_cancel_token_destroy(&t.left);
	fl_cancel_token_destroy(&t.root);
}
