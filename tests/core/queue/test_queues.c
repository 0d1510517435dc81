/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every queue promises, asked of each: results by its specification, sizes, capacities,
 * several at once, memory.
 */
#include "core/queue/mpmc.h"
#include "fl_chain.h"
#include "fl_seam.h"
#include "fl_shm_child.h"

#include <fairlead/stress_lin.h>

/* The calls of a queue type, for a queue whose type the caller does not know. */
#define CALLS(type)                                                                                                    \
	static int type##_puts(void *q, const void *item)                                                              \
	{                                                                                                              \
		return type##_try_put(q, item);                                                                        \
	}                                                                                                              \
	static int type##_gets(void *q, void *item)                                                                    \
	{                                                                                                              \
		return type##_try_get(q, item);                                                                        \
	}                                                                                                              \
	static size_t type##_has(void *q)                                                                              \
	{                                                                                                              \
		return type##_length(q);                                                                               \
	}

#define MANY(type)                                                                                                     \
	static int type##_puts_many(void *q, const void *items, size_t n, size_t *count)                               \
	{                                                                                                              \
		return type##_try_put_many(q, items, n, count);                                                        \
	}                                                                                                              \
	static int type##_gets_many(void *q, void *items, size_t n, size_t *count)                                     \
	{                                                                                                              \
		return type##_try_get_many(q, items, n, count);                                                        \
	}

#define CLOSE(type)                                                                                                    \
	static void type##_closes(void *q)                                                                             \
	{                                                                                                              \
		assert_false(type##_is_closed(q));                                                                     \
		type##_close(q);                                                                                       \
		type##_close(q);                                                                                       \
		assert_true(type##_is_closed(q));                                                                      \
	}

#define FREE(type)                                                                                                     \
	static void type##_frees(void *q)                                                                              \
	{                                                                                                              \
		type##_free(q);                                                                                        \
	}

#define CAPACITY(type, ring, member)                                                                                   \
	static size_t type##_takes(void *q)                                                                            \
	{                                                                                                              \
		return ((ring *)q)->member;                                                                            \
	}

#define ALL(type) type##_puts, type##_gets, type##_puts_many, type##_gets_many, type##_has

CALLS(fl_spsc)
CALLS(fl_mpmc)
CALLS(chain)
CALLS(fl_queue)
CALLS(fl_shm_queue)
MANY(fl_spsc)
MANY(fl_mpmc)
MANY(chain)
MANY(fl_queue)

static int fl_shm_queue_puts_many(void *q, const void *items, size_t n, size_t *count)
{
	const int rc = fl_shm_queue_put_many_until(q, items, n, count, FL_NO_WAIT, FL_SHIELDED);
	return rc == -ETIMEDOUT ? -EAGAIN : rc; /* as the others, which have a try form */
}

static int fl_shm_queue_gets_many(void *q, void *items, size_t n, size_t *count)
{
	const int rc = fl_shm_queue_get_many_until(q, items, n, count, FL_NO_WAIT, FL_SHIELDED);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

FREE(fl_spsc)
FREE(fl_mpmc)
FREE(chain)
FREE(fl_queue)
CLOSE(fl_mpmc)
CLOSE(chain)
CLOSE(fl_queue)
CAPACITY(fl_spsc, fl_spsc, capacity_)
CAPACITY(fl_mpmc, fl_mpmc, capacity)

static size_t fl_queue_takes(void *q)
{
	return fl_queue_capacity(q);
}

static size_t fl_shm_queue_takes(void *q)
{
	return fl_shm_queue_capacity(q);
}

static int make_spsc(void **q, size_t item_size, size_t capacity)
{
	return fl_spsc_create((fl_spsc **)q, item_size, capacity);
}

static int make_mpmc(void **q, size_t item_size, size_t capacity)
{
	return fl_mpmc_create((fl_mpmc **)q, item_size, capacity);
}

/* The capacity of an unbounded queue is that of its segments. */
static int make_unbounded(void **q, size_t item_size, size_t segment)
{
	return chain_create((chain **)q, item_size, &(chain_config){.segment = segment});
}

static int make_mpsc(void **q, size_t item_size, size_t segment)
{
	return chain_create((chain **)q, item_size, &(chain_config){.segment = segment, .one_consumer = true});
}

/* Defines a function that makes a queue with these members of the config. */
#define MAKE_QUEUE(name, ...)                                                                                          \
	static int name(void **q, size_t item_size, size_t capacity)                                                   \
	{                                                                                                              \
		return fl_queue_create((fl_queue **)q, item_size, &(fl_queue_config){__VA_ARGS__});                    \
	}

MAKE_QUEUE(make_queue, .capacity = capacity)

MAKE_QUEUE(make_pair, .capacity = capacity, .one_producer = true, .one_consumer = true)

static int all_equal(const void *a, const void *b, void *arg)
{
	return a == b && arg;
}

MAKE_QUEUE(make_equal, .capacity = capacity, .order = FL_PRIORITY, .compare = all_equal)

MAKE_QUEUE(make_lifo, .capacity = capacity, .order = FL_LIFO)

static char a_thing;

/* An item begins with its number. */
static int by_key(const void *a, const void *b, void *arg)
{
	int32_t x, y;
	FL_CHECK(arg == &a_thing);
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (int)(FL_LIN_KEY(x) - FL_LIN_KEY(y));
}

MAKE_QUEUE(make_by_key, .capacity = capacity, .order = FL_PRIORITY, .compare = by_key, .compare_arg = &a_thing)

static int make_growing(void **q, size_t item_size, size_t capacity)
{
	return make_queue(q, item_size, FL_UNBOUNDED);
}

MAKE_QUEUE(make_growing_for_one, .capacity = FL_UNBOUNDED, .one_consumer = capacity > 0)

/* In a region of its own. */
static fl_shm *region;

static int make_shared(void **q, size_t item_size, size_t capacity)
{
	const fl_shm_queue_config config = {.item_size = item_size, .capacity = capacity};
	int rc = fl_shm_create(&region, 1 << 20);
	if (rc != 0)
		return rc;
	rc = fl_shm_queue_create((fl_shm_queue **)q, region, &config);
	if (rc != 0)
		fl_shm_free(region);
	return rc;
}

/* index_wrap_2_32: its counts pass `count` when it has been filled twice. */
static int make_shared_before(void **q, size_t item_size, size_t capacity, uint32_t count)
{
	const int rc = make_shared(q, item_size, capacity);
	if (rc == 0)
		(void)fl__shm_queue_make(ring_in(region, *q), item_size, (uint32_t)capacity,
		                         count - 2 * (uint32_t)capacity);
	return rc;
}

static int make_shared_before_2_32(void **q, size_t item_size, size_t capacity)
{
	return make_shared_before(q, item_size, capacity, 0);
}

static int make_shared_before_2_31(void **q, size_t item_size, size_t capacity)
{
	return make_shared_before(q, item_size, capacity, UINT32_C(1) << 31);
}

static void free_shared(void *q)
{
	if (q) {
		fl_shm_queue_destroy(q);
		fl_shm_free(region);
	}
}

static void close_shared(void *q)
{
	assert_int_equal(((fl_shm_queue *)q)->ring->closed, 0);
	FL_OK(fl_shm_queue_close(q));
	FL_OK(fl_shm_queue_close(q));
	assert_int_not_equal(((fl_shm_queue *)q)->ring->closed, 0);
}

typedef struct kind {
	const char *name;
	bool crowd;                  /* for many producers and consumers */
	size_t (*capacity)(void *q); /* NULL: unbounded */
	int (*make)(void **q, size_t item_size, size_t capacity);
	int (*put)(void *q, const void *item);
	int (*get)(void *q, void *item);
	int (*put_many)(void *q, const void *items, size_t n, size_t *count);
	int (*get_many)(void *q, void *items, size_t n, size_t *count);
	size_t (*length)(void *q);
	void (*free)(void *q);
	void (*close)(void *q);         /* NULL: it has no end */
	const struct fl_lin_spec *spec; /* NULL: FIFO */
} kind;

static const kind kinds[] = {
    {"spsc", false, fl_spsc_takes, make_spsc, ALL(fl_spsc), fl_spsc_frees, NULL},
    {"mpmc", true, fl_mpmc_takes, make_mpmc, ALL(fl_mpmc), fl_mpmc_frees, fl_mpmc_closes},
    {"mpmc_unbounded", true, NULL, make_unbounded, ALL(chain), chain_frees, chain_closes},
    {"mpmc_unbounded for one", false, NULL, make_mpsc, ALL(chain), chain_frees, chain_closes},
    {"queue", true, fl_queue_takes, make_queue, ALL(fl_queue), fl_queue_frees, fl_queue_closes},
    {"queue of a pair", false, fl_queue_takes, make_pair, ALL(fl_queue), fl_queue_frees, fl_queue_closes},
    {"queue by priority", true, fl_queue_takes, make_equal, ALL(fl_queue), fl_queue_frees, fl_queue_closes},
    {"queue, LIFO", true, fl_queue_takes, make_lifo, ALL(fl_queue), fl_queue_frees, fl_queue_closes, &fl_lin_lifo},
    {"queue by keys", true, fl_queue_takes, make_by_key, ALL(fl_queue), fl_queue_frees, fl_queue_closes,
     &fl_lin_priority},
    {"unbounded queue", true, NULL, make_growing, ALL(fl_queue), fl_queue_frees, fl_queue_closes},
    {"unbounded queue for one", false, NULL, make_growing_for_one, ALL(fl_queue), fl_queue_frees, fl_queue_closes},
    {"shared queue", true, fl_shm_queue_takes, make_shared, ALL(fl_shm_queue), free_shared, close_shared},
    {"shared queue before 2^31", true, fl_shm_queue_takes, make_shared_before_2_31, ALL(fl_shm_queue), free_shared,
     close_shared},
    {"shared queue before 2^32", true, fl_shm_queue_takes, make_shared_before_2_32, ALL(fl_shm_queue), free_shared,
     close_shared},
};

static void *made(const kind *k, size_t item_size, size_t capacity)
{
	void *q = NULL;
	FL_OK(k->make(&q, item_size, capacity));
	return q;
}

static const size_t capacities[] = {1, 2, 3, 4, 5, 7, 8, 16, 33, 100, 1000, 1024};

/* Calls `run` for each kind and capacity. */
static void for_each(void (*run)(const kind *k, size_t capacity))
{
	for (const kind *k = kinds; k < kinds + sizeof kinds / sizeof *kinds; k++) {
		print_message("%s\n", k->name);
		FL_EACH (i, capacities)
			run(k, capacities[i]);
	}
}

/* An item: a number, and bytes that depend on it. */
static void write_item(unsigned char *to, size_t size, int64_t number)
{
	const int32_t first = (int32_t)number;
	fl_test_seeded(to, size, (unsigned)number);
	memcpy(to, &first, sizeof first);
}

static int32_t read_item(const unsigned char *from, size_t size)
{
	unsigned char expected[64];
	int32_t number;
	memcpy(&number, from, sizeof number);
	write_item(expected, size, number);
	assert_memory_equal(from, expected, size);
	return number;
}

/* Makes that call; stores its result. */
static void make_call(const kind *k, void *q, size_t size, struct fl_lin_call *c)
{
	unsigned char items[5 * 64];
	int64_t numbers[5];
	const size_t n = (size_t)FL_LIN_KEY(c->arg) + 1;
	size_t moved;
	int rc;
	switch (c->kind) {
	case FL_LIN_PUT:
		write_item(items, size, c->arg);
		c->result = k->put(q, items);
		break;
	case FL_LIN_GET:
		c->result = k->get(q, items);
		c->result = c->result == 0 ? read_item(items, size) : c->result;
		break;
	case FL_LIN_PUT_MANY:
		for (size_t i = 0; i < n; i++)
			write_item(items + i * size, size, fl_lin_item(c->arg, (unsigned)i));
		rc = k->put_many(q, items, n, &moved);
		FL_CHECK((rc == 0) == (moved == n) && (rc == 0 || rc == -EAGAIN || rc == -EPIPE));
		c->result = (int64_t)moved;
		break;
	case FL_LIN_GET_MANY:
		rc = k->get_many(q, items, n, &moved);
		FL_CHECK((rc == 0) == (moved > 0) && (rc == 0 || rc == -EAGAIN || rc == -EPIPE));
		for (size_t i = 0; i < moved; i++)
			numbers[i] = read_item(items + i * size, size);
		c->result = fl_lin_items((unsigned)moved, numbers);
		c->overlaps = !k->capacity; /* an unbounded queue may give fewer: those of a segment */
		break;
	case FL_LIN_LENGTH:
		c->result = (int64_t)k->length(q);
		break;
	default:
		k->close(q);
	}
}

/*
 * Random calls: each has the result that the specification has for it. The calls fill the queue and
 * empty it in turn, and towards the end one closes it. FL_TEST_SEED repeats a run that has failed.
 */
static void obey(const kind *k, size_t capacity, size_t size, unsigned seed)
{
	enum { ROOM = 100 }; /* a specification has no more than 128 items */
	static const int puts[] = {FL_LIN_PUT, FL_LIN_PUT, FL_LIN_PUT_MANY},
			 gets[] = {FL_LIN_GET, FL_LIN_GET, FL_LIN_GET_MANY, FL_LIN_LENGTH};
	const struct fl_lin_spec *spec = k->spec ? k->spec : &fl_lin_fifo;
	const size_t turn = 2 * capacity + 10, calls = 16 * turn;
	void *q = made(k, size, capacity), *state = calloc(1, spec->size);
	unsigned random = seed;
	FL_CHECK(state != NULL);
	spec->init(state, k->capacity ? (int64_t)capacity : 0);
	for (size_t i = 0; i < calls; i++) {
		const bool fills = fl_test_random(&random) % 8 < (i / turn % 2 ? 2 : 6);
		const unsigned draw = fl_test_random(&random);
		struct fl_lin_call c = {.arg = (draw % 5) << 8 | (draw >> 8 & 255), .returned = true};
		c.kind = fills ? puts[draw % 3] : gets[draw % 4];
		if (fills && k->length(q) > ROOM)
			continue;
		if (k->close && i == calls - turn)
			c.kind = FL_LIN_CLOSE;
		make_call(k, q, size, &c);
		if (!spec->apply(state, &c))
			fail_msg("%s of %zu items of %zu bytes: call %zu of kind %d: %lld; FL_TEST_SEED=%u", k->name,
			         capacity, size, i, c.kind, (long long)c.result, seed);
	}
	if (k->capacity)
		assert_int_equal(k->capacity(q), capacity);
	k->free(q);
	free(state);
}

static void obey_with_each_size(const kind *k, size_t capacity)
{
	static const size_t sizes[] = {4, 8, 13, 64};
	const char *seed = getenv("FL_TEST_SEED");
	FL_EACH (i, sizes)
		if (capacity <= 100)
			obey(k, capacity, sizes[i], seed ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)fl_now().ns);
}

FL_TEST(queues_obey_their_specification)
{
	for_each(obey_with_each_size);
}

/* The mpmc ring begins three laps before its words reach this number. */
static uint64_t mpmc_end;

static int make_mpmc_before_the_end(void **q, size_t item_size, size_t capacity)
{
	uint64_t lap = FL__MPMC_STEP;
	FL_OK(make_mpmc(q, item_size, capacity));
	while (lap < capacity * FL__MPMC_STEP)
		lap *= 2;
	fl__mpmc_fini(*q); /* it is all that an fl_mpmc is */
	return fl__mpmc_init(*q, item_size, capacity, mpmc_end / lap - 3);
}

FL_TEST(queues_mpmc_index_wrap_2_32)
{
	static const uint64_t ends[] = {UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
	static const kind before_the_end = {
	    "mpmc before its end", true,          fl_mpmc_takes, make_mpmc_before_the_end,
	    ALL(fl_mpmc),          fl_mpmc_frees, fl_mpmc_closes};
	FL_EACH (i, ends)
		FL_EACH (c, capacities) {
			mpmc_end = ends[i];
			obey_with_each_size(&before_the_end, capacities[c]);
		}
}

/* Items come out as they went in, and not a byte beside them is touched. */
static void run_size(const kind *k, size_t size, unsigned capacity)
{
	enum { GUARD = 8 };
	unsigned char in[4096], out[4096 + 2 * GUARD], guard[GUARD];
	memset(guard, 0xa5, sizeof guard);
	void *q = made(k, size, capacity);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < capacity; i++) {
			fl_test_seeded(in, size, round + i);
			FL_OK(k->put(q, in));
			memset(in, 0, size); /* it was copied */
		}
		for (unsigned i = 0; i < capacity; i++) {
			memset(out, 0xa5, size + 2 * (size_t)GUARD);
			FL_OK(k->get(q, out + GUARD));
			fl_test_seeded(in, size, round + i);
			assert_memory_equal(out + GUARD, in, size);
			assert_memory_equal(out, guard, GUARD);
			assert_memory_equal(out + GUARD + size, guard, GUARD);
		}
		/* So that the next round starts elsewhere in the ring. */
		FL_OK(k->put(q, in));
		FL_OK(k->get(q, out));
	}
	k->free(q);
}

FL_TEST_WITH(queues_carry_items_of_any_size, for_each, const kind *k, size_t capacity)
{
	static const size_t sizes[] = {100, 127, 128, 255, 256, 257, 1000, 1024, 4095, 4096};
	if (k->spec) /* not FIFO */
		return;
	if (capacity == 3)
		FL_EACH (i, sizes)
			run_size(k, sizes[i], 3);
	if (capacity == 1 || capacity == 3 || capacity == 33)
		for (size_t size = 1; size <= 72; size++)
			run_size(k, size, (unsigned)(size > 30 ? 2 * capacity + 1 : capacity));
}

/*
 * batch_partial: as many as fit, as many as are there, across the end of the ring; more than the
 * capacity, too.
 */
static void run_many(const kind *k, size_t capacity, size_t size)
{
	enum { MOST = 2100, LARGEST = 72 };
	static unsigned char in[MOST * LARGEST], out[MOST * LARGEST + 1], item[LARGEST];
	void *q = made(k, size, capacity);
	unsigned next_in = 0, next_out = 0;
	FL_MANY(0, 0, k->put_many, q, NULL, 0);
	FL_MANY(0, 0, k->get_many, q, NULL, 0);
	for (unsigned burst = 0; burst < 40; burst++) {
		const size_t want = (burst * 7 + 3) % (2 * capacity + 2), space = capacity - k->length(q);
		for (size_t i = 0; i < want; i++)
			fl_test_seeded(in + i * size, size, next_in + (unsigned)i);
		size_t put, got;
		FL_RC(k->put_many(q, in, want, &put), k->capacity && space < want ? -EAGAIN : 0);
		assert_int_equal(put, k->capacity && space < want ? space : want);
		next_in += (unsigned)put;
		const size_t length = k->length(q), more = (burst * 5 + 1) % (2 * capacity + 2);
		memset(out, 0xa5, (more + 1) * size);
		const size_t least = more < length ? more : length;
		FL_RC(k->get_many(q, out, more, &got), least == 0 && more > 0 ? -EAGAIN : 0);
		/* An unbounded queue may give the items of a segment. */
		FL_IN_RANGE((int64_t)got, k->capacity ? (int64_t)least : least > 0, (int64_t)least);
		for (size_t i = 0; i < got; i++) {
			fl_test_seeded(item, size, next_out++);
			assert_memory_equal(out + i * size, item, size);
		}
		assert_int_equal(out[got * size], 0xa5);
	}
	assert_int_equal(k->length(q), next_in - next_out);
	k->free(q);
}

FL_TEST_WITH(queues_put_and_get_many, for_each, const kind *k, size_t capacity)
{
	for (size_t size = 1; size <= 72 && !k->spec; size += capacity == 3 || capacity == 33 ? 1 : 23)
		run_many(k, capacity, size);
}

struct member {
	const kind *k;
	void *q;
	uint64_t sum; /* of what it has put, less what it has got */
};

static int put_and_get(void *arg)
{
	struct member *m = arg;
	for (uint64_t i = fl_test_scaled(5000), item; i > 0; i--) {
		while (m->k->put(m->q, &i) != 0)
			fl__sys.yield();
		while (m->k->get(m->q, &item) != 0)
			fl__sys.yield();
		m->sum += i - item;
	}
	return 0;
}

FL_TEST_WITH(queues_lose_nothing_in_a_crowd, for_each, const kind *k, size_t capacity)
{
	enum { THREADS = 4 };
	if (!k->crowd || capacity != THREADS - 1)
		return;
	void *q = made(k, sizeof(uint64_t), capacity);
	struct member members[THREADS];
	fl_thread *threads[THREADS];
	uint64_t sum = 0;
	FL_EACH (i, members)
		members[i] = (struct member){k, q, 0};
	seam_start(threads, THREADS, put_and_get, members, sizeof *members);
	seam_join(threads, THREADS);
	FL_EACH (i, members)
		sum += members[i].sum;
	assert_true(sum == 0);
	assert_int_equal(k->length(q), 0);
	k->free(q);
}

/* Each allocation of a create fails in turn; nothing is left behind. */
FL_TEST_WITH(queues_say_when_there_is_no_memory, for_each, const kind *k, size_t capacity)
{
	const long before = seam_live_allocs();
	for (bool enough = false; !enough;) {
		static unsigned step;
		void *q = NULL;
		seam_fail_allocs(step++, 1);
		const int rc = k->make(&q, 24, capacity);
		enough = seam_heal() > 0; /* there was no such step */
		FL_RC(rc, enough ? 0 : -ENOMEM);
		assert_int_equal(q != NULL, enough);
		assert_int_equal(seam_live_allocs() > before, enough);
		k->free(q);
		assert_int_equal(seam_live_allocs(), before);
		step = enough ? 0 : step;
	}
}
