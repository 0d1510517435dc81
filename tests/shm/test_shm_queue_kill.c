/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues in shared memory with users that are killed, and memory that is overwritten. stress/kill
 * has the campaign that kills at each step.
 */
#include "fl_shm_child.h"
#include "fl_shm_queue.h"

/* A process is killed in its sleep, or stopped anywhere: the others continue. */

struct work {
	fl_shm_queue *q;
	int *got;
};

static int get_and_report(void *arg)
{
	const struct work *w = arg;
	FL_CHECK(fl_shm_queue_get(w->q, w->got) == 0);
	return 0;
}

static int put_two(void *arg)
{
	const struct work *w = arg;
	for (int i = 0; i < 2; i++)
		FL_CHECK(fl_shm_queue_put(w->q, &(int){50 + i}) == 0);
	return 0;
}

/* tylertreat/chan #11: a wake for a process that is then killed must not be the only one. */
FL_TEST(shm_queue_wakeup_stranded)
{
	FL_TEST_NEEDS_DEATHS();
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 4);
	struct fl__shm_ring *r = ring_in(region, q);
	for (unsigned round = 0; round < fl_test_scaled(100); round++) {
		int *got = fl_shm_alloc(region, 2 * sizeof *got);
		struct work w[2] = {{q, got}, {q, got + 1}};
		pid_t first = process(get_and_report, &w[0]);
		FL_WAIT_FOR(is_awaited(&r->items));
		pid_t second = process(get_and_report, &w[1]);
		if (round % 2)
			FL_CHECK(kill(first, SIGKILL) == 0);
		FL_OK(fl_shm_queue_put(q, &(int){7}));
		if (round % 2 == 0)
			FL_CHECK(kill(first, SIGKILL) == 0);
		(void)end_of(first);
		FL_OK(fl_shm_queue_put(q, &(int){8})); /* the first may have got the 7 */
		ENDED_WELL(second);
		FL_IN_RANGE(got[1], 7, 8);
		int left;
		while (fl_shm_queue_try_get(q, &left) == 0)
			assert_int_equal(left, 8);
		fl_shm_dealloc(region, got);
	}
}

FL_TEST(shm_queue_kill_of_a_waiter_for_space)
{
	FL_TEST_NEEDS_DEATHS();
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 1);
	struct fl__shm_ring *r = ring_in(region, q);
	struct work w = {q, NULL};
	int got;
	pid_t first = process(put_two, &w);
	FL_WAIT_FOR(is_awaited(&r->space));
	pid_t second = process(put_two, &w);
	kill_off(first);
	for (int i = 0; i < 3; i++) {
		FL_OK(fl_shm_queue_get(q, &got));
		assert_int_equal(got, i == 0 ? 50 : 49 + i);
	}
	ENDED_WELL(second);
	FL_RC(fl_shm_queue_try_get(q, &got), -EAGAIN);
}

/*
 * kill9_mid_push: 500 processes, each killed somewhere among its puts or its gets, beside two that
 * continue. Accepted items are delivered once; the last operation of a dead process happened or did
 * not.
 */
enum { VICTIMS = 500, ITEMS = 64, KEPT = 1 << 20, FILLER = VICTIMS + 1 };

struct ledger {
	fl_shm_queue *q;
	uint32_t stop;
	uint32_t kept_put;                          /* by the producer that is not killed */
	uint32_t fillers;                           /* further puts, which are not told apart */
	uint8_t kept_seen[KEPT];                    /* how often each of its items was delivered */
	uint32_t begun[VICTIMS], returned[VICTIMS]; /* puts */
	uint8_t seen[VICTIMS][ITEMS];               /* how often delivered */
	struct hold {
		/* Of the victim's last get; owner: VICTIMS is the survivor, FILLER none. */
		uint32_t owner, number;
	} holds[VICTIMS];
};

static void deliver(struct ledger *l, const struct hold *item)
{
	if (item->owner == FILLER)
		return;
	FL_CHECK(item->owner <= VICTIMS && item->number < (item->owner < VICTIMS ? ITEMS : KEPT));
	fl__add_relaxed(item->owner < VICTIMS ? &l->seen[item->owner][item->number] : &l->kept_seen[item->number], 1);
}

static int survive_putting(void *arg)
{
	struct ledger *l = arg;
	while (!fl__load_relaxed(&l->stop)) {
		bool kept = l->kept_put < KEPT;
		struct hold item = {kept ? VICTIMS : FILLER, kept ? l->kept_put : 0};
		FL_CHECK(fl_shm_queue_put(l->q, &item) == 0);
		uint32_t *count = kept ? &l->kept_put : &l->fillers;
		fl__store_relaxed(count, *count + 1);
	}
	return 0;
}

static int survive_getting(void *arg)
{
	struct ledger *l = arg;
	struct hold item;
	int64_t last = -1;
	int rc;
	while ((rc = fl_shm_queue_get(l->q, &item)) == 0) {
		deliver(l, &item);
		if (item.owner != VICTIMS)
			continue;
		FL_CHECK((int64_t)item.number > last);
		last = item.number;
	}
	FL_CHECK(rc == -EPIPE);
	return 0;
}

static void die_putting(struct ledger *l, unsigned me)
{
	for (uint32_t i = 0; i < ITEMS; i++) {
		fl__store_relaxed(&l->begun[me], i + 1);
		FL_CHECK(fl_shm_queue_put(l->q, &(struct hold){me, i}) == 0);
		fl__store_relaxed(&l->returned[me], i + 1);
	}
}

static void die_getting(struct ledger *l, unsigned me)
{
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct hold item;
		FL_CHECK(fl_shm_queue_get(l->q, &l->holds[me]) == 0);
		item = l->holds[me];
		deliver(l, &item);
		fl__store_relaxed(&l->returned[me], i + 1);
	}
}

static pid_t victim(struct ledger *l, unsigned me)
{
	pid_t pid = fork();
	FL_CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(60);
		if (me % 2)
			die_putting(l, me);
		else
			die_getting(l, me);
		while (pause())
			;
	}
	return pid;
}

/* An item is delivered once, unless its put, or its get, was a victim's last operation. */
static unsigned count_delivered(const struct ledger *l)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < l->kept_put; i++) {
		FL_IN_RANGE(l->kept_seen[i], 0, 1);
		n += l->kept_seen[i];
	}
	for (unsigned v = 0; v < VICTIMS; v++)
		for (uint32_t i = 0; i < ITEMS; i++) {
			FL_IN_RANGE(l->seen[v][i], 0, v % 2 && i < l->begun[v]);
			n += l->seen[v][i];
		}
	return n;
}

static bool is_held(const struct ledger *l, uint32_t owner, uint32_t number)
{
	for (unsigned v = 0; v < VICTIMS; v += 2)
		if (l->holds[v].owner == owner && l->holds[v].number == number)
			return true;
	return false;
}

static void check_that_nothing_is_lost(const struct ledger *l, unsigned puts)
{
	unsigned delivered = count_delivered(l);
	for (uint32_t i = 0; i < l->kept_put; i++)
		if (!l->kept_seen[i]) {
			assert_true(is_held(l, VICTIMS, i));
			delivered++;
		}
	for (unsigned v = 1; v < VICTIMS; v += 2)
		for (uint32_t i = 0; i < l->begun[v]; i++)
			if (!l->seen[v][i] && (i < l->returned[v] || is_held(l, v, i))) {
				assert_true(is_held(l, v, i));
				delivered++;
			}
	assert_int_equal(delivered, puts);
}

FL_TEST(shm_queue_kill9_mid_push)
{
	FL_TEST_NEEDS_DEATHS();
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(struct hold), 7);
	struct ledger *l =
	    mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(l, MAP_FAILED);
	l->q = q;
	for (unsigned v = 0; v < VICTIMS; v++)
		l->holds[v].owner = UINT32_MAX;
	pid_t putter = process(survive_putting, l), getter = process(survive_getting, l);
	for (unsigned v = 0; v < fl_test_scaled(VICTIMS); v++) {
		pid_t pid = victim(l, v);
		uint32_t after = v * 2654435761u % ITEMS;
		FL_WAIT_FOR(fl__load_relaxed(&l->returned[v]) >= after);
		kill_off(pid);
	}
	fl__store_relaxed(&l->stop, 1);
	ENDED_WELL(putter);
	FL_OK(fl_shm_queue_close(q));
	ENDED_WELL(getter);
	struct fl__shm_ring *r = ring_in(region, q);
	assert_int_equal(fl_shm_queue_length(q), 0);
	assert_true(r->in == r->out);
	check_that_nothing_is_lost(l, (uint32_t)(r->in >> 32) - l->fillers);
	assert_int_equal(munmap(l, sizeof *l), 0);
}

/* Memory that was overwritten: an error, or wrong values, and no access outside of the queue. */

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Only tries, so that a lock that seems to be taken costs a millisecond. */
static void use_all(struct fl__shm_view *v)
{
	unsigned char buffer[64] = {0};
	size_t n;
	int rcs[] = {fl__shm_ring_put(v, buffer, 3, &n, FL__TRY, NULL),
	             fl__shm_ring_get(v, buffer, 4, &n, FL__TRY, NULL),
	             fl__shm_ring_put_frame(v, buffer, 5, FL__TRY, NULL),
	             fl__shm_ring_get_frame(v, buffer, 64, &n, FL__TRY, NULL), fl__shm_ring_join(v, FL__TRY, NULL)};
	for (size_t i = 0; i < sizeof rcs / sizeof *rcs; i++)
		assert_true(rcs[i] == 0 || rcs[i] == -EAGAIN || rcs[i] == -EBUSY || rcs[i] == -EPIPE ||
		            rcs[i] == -EBADMSG || rcs[i] == -EINVAL || rcs[i] == -EMSGSIZE);
	(void)fl__shm_ring_ready(v, false);
	(void)fl__shm_ring_ready(v, true);
	assert_true(fl__shm_ring_length(v) <= v->size);
	(void)fl__shm_ring_is_closed(v);
}

static void scribble(unsigned char *memory, size_t from, size_t to, uint64_t *seed)
{
	for (unsigned n = 1 + draw(seed) % 40; n > 0; n--)
		memory[from + draw(seed) % (to - from)] = (unsigned char)draw(seed);
}

FL_TEST(shm_queue_survives_scribbling)
{
	uint64_t seed = 1;
	for (unsigned trial = 0; trial < fl_test_scaled(20000); trial++) {
		size_t item_size = trial % 2 ? 8 : 0, bytes;
		uint32_t size = 1 + draw(&seed) % 40;
		FL_OK(fl__shm_ring_bytes(item_size, size, &bytes));
		/* The sanitizer guards its ends. */
		unsigned char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
		assert_non_null(memory);
		struct fl__shm_view v, again;
		fl__shm_ring_make(&v, memory, item_size, size, draw(&seed));
		use_all(&v);
		/* The lock's own word in one trial of 64: those take milliseconds. */
		scribble(memory, trial % 64 ? sizeof(struct fl__shm_lock) : 0, bytes, &seed);
		use_all(&v);
		use_all(&v);
		int rc = fl__shm_ring_check(&again, memory);
		assert_true(rc == 0 || rc == -EBADMSG || rc == -EPROTONOSUPPORT);
		free(memory);
	}
}

static void damage(struct fl__shm_ring *r)
{
	fl__store_relaxed(&r->in, UINT64_MAX);
}

FL_TEST(shm_queue_says_that_it_is_damaged)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 4), *frames = frames_in(region, 64);
	int item = 3;
	size_t n = 0;
	damage(ring_in(region, q));
	damage(ring_in(region, frames));
	FL_RC(fl_shm_queue_put(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_try_put(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_put_until(q, &item, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_try_get(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_get_until(q, &item, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_put_many_until(q, &item, 1, &n, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get_many_until(q, &item, 1, &n, FL_FOREVER, NULL), -EBADMSG);
	assert_int_equal(fl_shm_queue_put_many(q, &item, 1) + fl_shm_queue_get_many(q, &item, 1), 0);
	FL_RC(fl_shm_queue_put_frame(frames, &item, 4), -EBADMSG);
	FL_RC(fl_shm_queue_try_put_frame(frames, &item, 4), -EBADMSG);
	FL_RC(fl_shm_queue_put_frame_until(frames, &item, 4, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get_frame(frames, &item, 4, &n), -EBADMSG);
	FL_RC(fl_shm_queue_try_get_frame(frames, &item, 4, &n), -EBADMSG);
	FL_RC(fl_shm_queue_get_frame_until(frames, &item, 4, &n, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_close(q), -EBADMSG);
	FL_RC(fl_shm_queue_close_now(q, &n), -EBADMSG);
	FL_RC(fl_shm_queue_task_done(q), -EBADMSG);
	FL_RC(fl_shm_queue_join(q), -EBADMSG);
	FL_RC(fl_shm_queue_try_join(q), -EBADMSG);
	FL_RC(fl_shm_queue_join_until(q, FL_FOREVER, NULL), -EBADMSG);
	assert_int_equal(item, 3);
}

/*
 * boost.interprocess #163, #69: a queue whose maker was killed half-way is not usable yet; and a
 * damaged header, of a queue of frames, too.
 */
FL_TEST(shm_queue_torn_header)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *made = items_in(region, 8, 4), *frames = frames_in(region, 64), *q = NULL;
	struct fl__shm_ring *r = ring_in(region, made);
	fl__store_relaxed(&r->magic, 0); /* it is written last */
	FL_RC(fl_shm_queue_open(&q, region, fl_shm_queue_offset(made)), -EBADMSG);

	char buffer[64];
	size_t size;
	FL_OK(fl_shm_queue_put_frame(frames, "abc", 3));
	struct fl__shm_ring *f = ring_in(region, frames);
	memset(f + 1, 0xff, 4);
	FL_RC(fl_shm_queue_get_frame(frames, buffer, 64, &size), -EBADMSG);
	memcpy(f + 1, &(uint32_t){4}, 4); /* one more than there is */
	FL_RC(fl_shm_queue_try_get_frame(frames, buffer, 64, &size), -EBADMSG);
	memcpy(f + 1, &(uint32_t){3}, 4);
	FL_OK(fl_shm_queue_get_frame(frames, buffer, 64, &size));
}
