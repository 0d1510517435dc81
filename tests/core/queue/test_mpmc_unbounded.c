/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_chain.h"
#include "fl_chains.h"
#include "fl_child.h"

static chain *make_of(size_t item_size, size_t segment)
{
	chain *q = NULL;
	FL_OK(chain_create(&q, item_size, &(chain_config){.segment = segment}));
	return q;
}

static void put_all(chain *q, int from, int to)
{
	for (int i = from; i < to; i++)
		FL_OK(chain_try_put(q, &i));
}

static void get_all(chain *q, int from, int to)
{
	for (int i = from; i < to; i++) {
		int got = -1;
		FL_OK(chain_try_get(q, &got));
		FL_RC(got, i);
	}
}

FL_TEST(mpmc_unbounded_create_refuses_what_cannot_be)
{
	chain *q = NULL;
	FL_RC(chain_create(&q, PTRDIFF_MAX, NULL), -EOVERFLOW);
	FL_RC(chain_create(&q, 64, &(chain_config){.segment = SIZE_MAX / 64}), -EOVERFLOW);
	FL_COUNTING();
	FL_BOTH (blocks) {
		chains_allow(blocks);
		FL_RC(chain_create(&q, 8, NULL), -ENOMEM);
		assert_int_equal(chains_live, 0);
	}
	assert_null(q);
	chain_free(NULL);
}

FL_TEST(mpmc_unbounded_put_without_memory)
{
	FL_COUNTING();
	chain *q = make_of(sizeof(int), 2);
	put_all(q, 0, 2);
	chains_allow(0);
	for (int i = 0; i < 10; i++) {
		FL_RC(chain_try_put(q, &i), -ENOMEM);
		FL_MANY(-ENOMEM, 0, chain_try_put_many, q, &i, 1);
	}
	get_all(q, 0, 1);
	assert_int_equal(chain_length(q), 1);
	fl__sys.alloc = chains_alloc;
	put_all(q, 2, 9);
	chains_allow(1);
	int items[] = {9, 10, 11, 12, 13, 14};
	FL_IN_RANGE(FL_MOVED(chain_try_put_many, q, items, 6), 1, 5);
	get_all(q, 1, 10);
	chain_free(q);
	fl__hazards_end();
}

typedef struct visitor {
	chain *q;
	fl_event been, go;
	int rc;
} visitor;

static int visit(void *arg)
{
	visitor *v = arg;
	int item = 0;
	v->rc = chain_try_put(v->q, &item);
	if (v->rc == 0)
		v->rc = chain_try_get(v->q, &item);
	fl_event_set(&v->been);
	FL_OK(fl_event_wait(&v->go));
	return v->rc;
}

/* Each of them has stopped right behind an operation, and keeps what it used. */
FL_TEST(stalled_reader_bounded)
{
	enum { READERS = 8 };
	FL_COUNTING();
	chain *q = make_of(sizeof(int), 4);
	visitor v[READERS];
	fl_thread *t[READERS];
	FL_EACH (i, v) {
		v[i] = (visitor){.q = q};
		fl_test_go(&t[i], visit, &v[i]);
		FL_OK(fl_event_wait(&v[i].been));
		put_all(q, 0, 10);
		get_all(q, 0, 10);
	}
	int before = chains_live;
	for (int i = 0; i < 1000; i++) {
		put_all(q, 0, 30);
		get_all(q, 0, 30);
	}
	FL_IN_RANGE(chains_live, 0, before + 2);
	FL_EACH (i, v) {
		fl_event_set(&v[i].go);
		fl_test_end(t[i]);
	}
	put_all(q, 0, 30);
	get_all(q, 0, 30);
	/*
	 * The queue, a segment, a spare, one under a hazard here; and the memory of the threads:
	 * nine records, four further blocks.
	 */
	FL_IN_RANGE(chains_live, 0, 4 + READERS + 1 + 4);
	chain_free(q);
}

static int visit_once(void *arg)
{
	fl_event_set(&((visitor *)arg)->go);
	return visit(arg);
}

FL_TEST(mpmc_unbounded_threads_give_their_hazards_back)
{
	FL_COUNTING();
	chain *q = make_of(sizeof(int), 4);
	int most = 0;
	for (int i = 0; i < 50; i++) {
		visitor v = {.q = q};
		fl_test_on_thread(visit_once, &v);
		if (i == 10)
			most = chains_live;
	}
	/* The join may be a moment ahead of the thread's end. */
	assert_true(chains_live <= most + 2);
	chain_free(q);
}

/* A thread's first call is out of memory: puts report it; gets, lengths and closing work. */
static int first_call_without(void *arg)
{
	visitor *v = arg;
	FL_OK(fl_event_wait(&v->go));
	int item = 5;
	FL_RC(chain_try_put(v->q, &item), -ENOMEM);
	FL_MANY(-ENOMEM, 0, chain_try_put_many, v->q, &item, 1);
	FL_CHECK(chain_length(v->q) == 3 && !chain_is_closed(v->q));
	FL_CHECK(fl__unbounded_puts(v->q) == 3);
	FL_CHECK(chain_try_get(v->q, &item) == 0 && item == 0);
	FL_MANY(0, 1, chain_try_get_many, v->q, &item, 1);
	FL_CHECK(item == 1);
	FL_CHECK(fl__unbounded_mark_empty(v->q) == -EAGAIN);
	FL_CHECK(chain_try_get(v->q, &item) == 0 && item == 2);
	FL_RC(chain_try_get(v->q, &item), -EAGAIN);
	FL_CHECK(fl__unbounded_mark_empty(v->q) == 0);
	chain_close(v->q);
	FL_RC(chain_try_get(v->q, &item), -EPIPE);
	return 0;
}

FL_TEST(mpmc_unbounded_first_call_without_memory)
{
	FL_COUNTING();
	chain *q = make_of(sizeof(int), 2);
	put_all(q, 0, 3);
	visitor v = {.q = q};
	fl_thread *t, *holder[2];
	visitor held[2] = {{.q = q}, {.q = q}};
	/* Threads that hold what earlier ones have given back. */
	FL_EACH (i, holder)
		fl_test_go(&holder[i], visit, &held[i]);
	FL_EACH (i, held)
		FL_OK(fl_event_wait(&held[i].been));
	while (chain_try_get(q, &(int){0}) == 0)
		;
	chain_free(q);
	v.q = q = make_of(sizeof(int), 2);
	put_all(q, 0, 3);
	fl_test_go(&t, first_call_without, &v);
	struct fl__hazards *taken[64];
	unsigned n = 0;
	void *(*const map)(size_t) = fl__sys.map;
	chains_allow(0);
	fl__sys.map = fl_test_no_memory;
	while (n < 64 && (taken[n] = fl__hazards_register()))
		n++;
	assert_true(n < 64);
	fl_event_set(&v.go);
	fl_test_end(t);
	fl__sys.map = map;
	while (n > 0)
		fl__hazards_unregister(taken[--n]);
	FL_EACH (i, held) {
		fl_event_set(&held[i].go);
		fl_test_end(holder[i]);
	}
	chain_free(q);
}

static void take_many_records(void *shared)
{
	for (int i = 0; i < 64; i++)
		FL_CHECK(fl__hazards_register() != shared);
}

/* An owner would share its hazards with each thread that borrows the record. */
FL_TEST(mpmc_unbounded_shared_hazards_have_no_owner_in_a_forked_child)
{
	FL_IN_CHILD(take_many_records, fl__hazards_shared());
}

static chain *at_exit;

/* It runs after the destructors of the library. */
__attribute__((destructor(101))) static void put_at_exit(void)
{
	if (at_exit)
		put_all(at_exit, 0, 1);
}

static void exit_without_a_record(void *q)
{
	at_exit = q;
	fl__hazards_end();
	exit(0);
}

/* At an exit other threads may still run. Their first put gets them a record. */
FL_TEST(mpmc_unbounded_first_put_at_exit)
{
	FL_SCOPED(chain) *q = make_of(sizeof(int), 2);
	FL_IN_CHILD(exit_without_a_record, q);
}

FL_TEST(mpmc_unbounded_mark_is_for_the_empty)
{
	for (int n = 0; n < 5; n++) {
		FL_SCOPED(chain) *q = make_of(sizeof(int), 2);
		chain *c = q;
		bool owes = false;
		int item[4] = {n}; /* more than an item: the compiler checks all possible sizes */
		put_all(q, 0, n);
		if (n > 0) {
			FL_RC(fl__unbounded_mark_empty(c), -EAGAIN);
			get_all(q, 0, n);
		}
		FL_OK(fl__unbounded_mark_empty(c));
		FL_OK(fl__unbounded_mark_empty(c));
		for (int i = 0; i < 5; i++) { /* over several segments: the first takes it off */
			owes = false;
			FL_OK(fl__unbounded_put(c, item, &owes));
			assert_true(owes == (i == 0));
		}
		while (chain_try_get(q, item) == 0)
			;
		FL_OK(fl__unbounded_mark_empty(c));
		for (int i = 0, rc = 0; i < 3; i++) {
			owes = false;
			assert_int_equal(fl__unbounded_put_many(c, item, 1, &rc, &owes), 1);
			assert_true(owes == (i == 0));
		}
		chain_close(q);
		FL_RC(fl__unbounded_mark_empty(c), -EAGAIN);
		while (chain_try_get(q, item) == 0)
			;
		FL_RC(fl__unbounded_mark_empty(c), -EPIPE);
	}
}

enum { LOOKS_PAID = 64 }; /* UNBOUNDED_LOOKS */

/* Puts and gets the items of `segments` segments. Returns how much the passes looked at. */
static size_t looks_of(chain *q, int segments)
{
	size_t looks = 0;
	for (int i = 0; i < segments * 4; i++) {
		const ptrdiff_t owed = q->owed;
		put_all(q, i, i + 1);
		get_all(q, i, i + 1);
		if (q->owed != owed && q->owed != owed - LOOKS_PAID) /* a pass was made */
			looks += (size_t)q->owed;
	}
	return looks;
}

static unsigned height_of(const struct fl__segment *s)
{
	return s ? 1 + FL__MAX(height_of(s->below[0]), height_of(s->below[1])) : 0;
}

/*
 * Each of many idle threads protects a segment of its own. A further segment once compared each of
 * these segments with each of the threads' pointers.
 */
FL_TEST(mpmc_unbounded_beside_many_idle_threads)
{
	enum { THREADS = 1024, SEGMENTS = 400 };
	static struct fl__hazards *idle[THREADS];
	FL_COUNTING();
	chain *q = make_of(sizeof(int), 4);
	unsigned height = 0;
	(void)looks_of(q, 1);
	FL_EACH (i, idle) {
		idle[i] = fl__hazards_register();
		assert_non_null(idle[i]);
		fl__hazards_set(idle[i], FL__HAZARD_HEAD, q->head);
		(void)looks_of(q, 1);
	}
	/* The last pass has freed none, so it has found each of them in a tree. */
	for (const struct fl__segment *s = q->retired; s; s = s->next_retired)
		height = FL__MAX(height, height_of(s));
	FL_IN_RANGE(height, 10, 40);
	FL_IN_RANGE(looks_of(q, SEGMENTS), SEGMENTS, SEGMENTS * LOOKS_PAID + 4 * THREADS);
	FL_IN_RANGE(chains_live, THREADS, THREADS + 128);
	FL_EACH (i, idle)
		fl__hazards_unregister(idle[i]);
	(void)looks_of(q, 128);
	FL_IN_RANGE(chains_live, 1, 128);
	chain_free(q);
}
