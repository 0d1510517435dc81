/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lazy map: owners of arguments and results, the state after a free, and the losses with a
 * dying worker.
 */
#include "conformance.h"

/* Counts over all elements of a test: runs, and calls of hooks. `errors` has all failures. */
struct item {
	struct tally *tally;
	int error;
};

static void drop_item(void *arg)
{
	count(&((struct item *)arg)->tally->drops);
}

FL_TASK_STATIC(take_item, struct item, struct tally *, .drop_arg = drop_item, .drop_result = tally_drop_result)
{
	*result = arg->tally;
	if (arg->error == 0)
		count(&arg->tally->runs); /* of those that succeed */
	return arg->error;
}

struct items {
	struct tally *tally;
	int made, n, every; /* every: so many, one fails; 0: none */
};

static int make_item(void *state, void *arg)
{
	struct items *items = state;
	if (items->made == items->n)
		return 0;
	items->made++;
	bool fails = items->every > 0 && items->made % items->every == 0;
	*(struct item *)arg = (struct item){items->tally, fails ? -EIO : 0};
	return 1;
}

/* Gives out some, and frees it. Returns how many results were given out. */
static int give_some(fl_imap *it, int n)
{
	struct tally *tally;
	int results = 0;
	for (int i = 0; i < n; i++) {
		int rc = take_item_imap_next(it, NULL, &tally);
		assert_true(rc == 0 || rc == FL_ETASK || rc == -ENODATA);
		results += rc == 0;
	}
	fl_imap_free(it);
	return results;
}

/* Checks the counts when all has ended. */
struct expected {
	struct tally *tally;
	int drops, results; /* results: that were given out */
};

static void expect_tallies(fl_executor *e, const struct expected *expected, int n)
{
	FL_OK(fl_executor_join(e));
	for (const struct expected *x = expected; x < expected + n; x++) {
		assert_int_equal(counted(&x->tally->drops), x->drops);
		expect_result_drops(x->tally, counted(&x->tally->runs) - x->results);
	}
}

CONFORMANCE_ON(imap_owns_what_its_generator_makes, 2)
{
	static struct expected expected[200];
	int n = 0;
	for (int given = 0; given <= 45; given += 3)
		for (size_t chunk = 1; chunk <= 5; chunk += 2)
			for (int how = 0; how < 4; how++) {
				fl_imap *it = NULL;
				struct items items = {.tally = new_tally(), .n = 40, .every = how / 2 * 3};
				const fl_imap_config config = {.chunk = chunk,
				                               .unordered = how % 2,
				                               .next = make_item,
				                               .state = &items,
				                               .window = 20};
				FL_OK(take_item_imap(e, NULL, 0, &it, &config));
				int results = give_some(it, given);
				expected[n++] = (struct expected){items.tally, items.made, results};
			}
	expect_tallies(e, expected, n);
}

CONFORMANCE_ON(imap_leaves_an_array_to_the_caller, 2)
{
	enum { ITEMS = 40 };
	static struct expected expected[200];
	int n = 0;
	for (int given = 0; given <= 45; given += 5)
		for (size_t chunk = 1; chunk <= 5; chunk += 2) {
			fl_imap *it = NULL;
			struct tally *tally = new_tally();
			struct item items[ITEMS];
			FL_EACH (i, items)
				items[i] = (struct item){tally, i % 7 == 6 ? -EIO : 0};
			FL_OK(take_item_imap(e, items, ITEMS, &it, &(fl_imap_config){.chunk = chunk}));
			expected[n++] = (struct expected){tally, 0, give_some(it, given)};
		}
	expect_tallies(e, expected, n);
}

CONFORMANCE_ON(imap_drops_what_is_refused, 2)
{
	fl_imap *it = NULL;
	struct items items = {.tally = new_tally(), .n = 40};
	const fl_imap_config config = {.chunk = 3, .next = make_item, .state = &items};
	fl_executor_close(e);
	FL_RC(take_item_imap(e, NULL, 0, &it, &config), -EPIPE);
	FL_RC(take_item_imap(e, &(struct item){items.tally, 0}, 1, &it, &(fl_imap_config){.unordered = true}), -EPIPE);
	assert_null(it);
	assert_int_equal(items.made, 3);
	assert_int_equal(counted(&items.tally->drops), 3);
	assert_int_equal(counted(&items.tally->runs), 0);
}

/* The arguments that were not run, because one before them in their chunk has failed. */
CONFORMANCE_ON(imap_drops_the_rest_of_a_chunk, 2)
{
	FL_BOTH (unordered) {
		FL_SCOPED(fl_imap) *it = NULL;
		struct items items = {.tally = new_tally(), .n = 10, .every = 3};
		const fl_imap_config config = {
		    .chunk = 10, .unordered = unordered, .next = make_item, .state = &items, .window = 20};
		struct tally *tally;
		size_t index;
		FL_OK(take_item_imap(e, NULL, 0, &it, &config));
		for (size_t i = 0; i < 10; i++) {
			FL_RC(take_item_imap_next(it, &index, &tally), i < 2 ? 0 : FL_ETASK);
			assert_int_equal(index, i);
			FL_RC(fl_imap_error(it), i < 2 ? 0 : -EIO);
		}
		FL_RC(take_item_imap_next(it, &index, &tally), -ENODATA);
		assert_int_equal(counted(&items.tally->drops), 10);
		assert_int_equal(counted(&items.tally->runs), 2);
	}
}

/* A free does not wait, and running tasks keep what they need. */
struct holder {
	struct gate *gate;
	struct tally *tally;
};

static void drop_held(void *arg)
{
	count(&((struct holder *)arg)->tally->drops);
}

FL_TASK_STATIC(take_held, struct holder, struct tally *, .drop_arg = drop_held, .drop_result = tally_drop_result)
{
	count(&arg->tally->runs);
	set_event(&arg->gate->entered);
	await_event(&arg->gate->open);
	*result = arg->tally;
	return 0;
}

static int make_held(void *state, void *arg)
{
	*(struct holder *)arg = *(struct holder *)state;
	return 1;
}

CONFORMANCE(imap_free_waits_for_nothing)
{
	for (int how = 0; how < 4; how++) {
		FL_SCOPED(fl_executor) *e = make(kind, 1);
		struct holder held = {new_gate(), new_tally()};
		const fl_imap_config config = {
		    .chunk = 1 + (size_t)how / 2, .unordered = how % 2, .next = make_held, .state = &held};
		fl_imap *it = NULL;
		if (!is_concurrent(e))
			return;
		FL_OK(take_held_imap(e, NULL, 0, &it, &config));
		await_event(&held.gate->entered);
		fl_imap_free(it);
		expect_result_drops(held.tally, 0);
		assert_true(counted(&held.tally->drops) > 0); /* of those that were pending */
		set_event(&held.gate->open);
		FL_OK(fl_executor_join(e));
		/* Asked to stop, but another process may learn of it late. */
		const int ran = counted(&held.tally->runs);
		assert_true(ran == 1 || (ran == 2 && how / 2 == 1 && !is_by_reference(e)));
		expect_result_drops(held.tally, ran);
	}
}

/* Alignment, and results in separate memory. */
struct page {
	_Alignas(64) unsigned char bytes[100 << 10];
};

FL_TASK_STATIC(fill_page, struct page, struct page)
{
	for (size_t i = 0; i < sizeof arg->bytes; i += 4096)
		result->bytes[i] = (unsigned char)(arg->bytes[i] + 1);
	return (uintptr_t)arg % 64 == 0 && (uintptr_t)result % 64 == 0 ? 0 : -EINVAL;
}

static int make_page(void *state, void *arg)
{
	int *left = state;
	FL_CHECK((uintptr_t)arg % 64 == 0);
	((struct page *)arg)->bytes[4096] = (unsigned char)*left;
	return (*left)-- > 0;
}

CONFORMANCE_ON(imap_of_large_elements, 2)
{
	struct page *page = malloc(sizeof(struct page) + 64);
	assert_non_null(page);
	struct page *result = (struct page *)(void *)((char *)page + (64 - (uintptr_t)page % 64));
	for (size_t chunk = 1; chunk <= 3; chunk++) {
		FL_SCOPED(fl_imap) *it = NULL;
		int left = 8;
		FL_OK(fill_page_imap(e, NULL, 0, &it,
		                     &(fl_imap_config){chunk, 0, false, make_page, &left, FL_FOREVER, NULL}));
		for (int i = 8; i > 0; i--) {
			FL_OK(fill_page_imap_next(it, NULL, result));
			assert_int_equal(result->bytes[4096], i + 1);
		}
		FL_RC(fill_page_imap_next(it, NULL, result), -ENODATA);
	}
	free(page);
}

/* What a worker takes with it: the element that it ran, and the rest of its chunk. */
struct victim {
	int *runs;
	bool dies;
};

FL_TASK_STATIC(live_or_die, struct victim, int)
{
	count(arg->runs);
	if (arg->dies)
		FL_OK(raise(SIGKILL));
	*result = 5;
	return 0;
}

CONFORMANCE_ON(imap_loses_the_rest_of_a_chunk_with_its_worker, 2)
{
	enum { VICTIMS = 24, CHUNK = 4, DIES = 9, END = 12 };
	if (is_by_reference(e) || kind->dies_as_a_whole)
		return;
	FL_BOTH (unordered) {
		FL_SCOPED(fl_imap) *it = NULL;
		int *runs = FL_IN_ARENA(int, VICTIMS), lost = 0, result;
		struct victim victims[VICTIMS];
		size_t index;
		FL_EACH (i, victims)
			victims[i] = (struct victim){&runs[i], i == DIES};
		FL_OK(live_or_die_imap(e, victims, VICTIMS, &it,
		                       &(fl_imap_config){.chunk = CHUNK, .unordered = unordered}));
		for (int i = 0; i < VICTIMS; i++) {
			int rc = live_or_die_imap_next(it, &index, &result);
			FL_RC(rc, index >= DIES && index < END ? FL_ETASK : 0);
			if (rc == 0)
				continue;
			lost++;
			FL_RC(fl_imap_error(it), -EOWNERDEAD);
			fl_test_contains(fl_imap_message(it), "SIGKILL");
		}
		assert_int_equal(lost, END - DIES);
		for (int i = 0; i < VICTIMS; i++)
			assert_int_equal(counted(&runs[i]), i <= DIES || i >= END); /* nothing is run twice */
	}
}
