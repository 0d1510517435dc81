/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena alone, on a map in ordinary memory. */
#include "fl_shm_child.h"

#include "process/shm/shm_arena.h"

enum { UNITS = 64 };

typedef struct heap {
	struct fl__shm_arena_head head;
	uint32_t map[UNITS];
} heap;

static struct fl__shm_arena open_heap(heap *h)
{
	struct fl__shm_arena a = {&h->head, h->map, UNITS};
	return a;
}

static struct fl__shm_arena new_heap(heap *h)
{
	memset(h, 0, sizeof *h);
	struct fl__shm_arena a = open_heap(h);
	fl__shm_arena_init(&a);
	return a;
}

static uint32_t take(const struct fl__shm_arena *a, uint32_t n)
{
	uint32_t first = UINT32_MAX;
	FL_OK(fl__shm_arena_alloc(a, n, FL_FOREVER, &first));
	return first;
}

/* The longest free run. `used` is set to the units in use. Fails unless all units are in a run. */
static uint32_t longest(const heap *h, uint32_t *used)
{
	uint32_t most = 0, before = 0, i = 0;
	*used = 0;
	while (i < UNITS) {
		const uint32_t n = h->map[i] & ~FL__SHM_ARENA_USED;
		const bool is_used = n != h->map[i];
		assert_true(n > 0 && n <= UNITS - i);
		*used += is_used ? n : 0;
		before = is_used ? 0 : before + n;
		most = FL__MAX(most, before);
		i += n;
	}
	return most;
}

FL_TEST(arena_takes_all_at_once)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	uint32_t first;
	FL_RC(fl__shm_arena_alloc(&a, UNITS + 1, FL_FOREVER, &first), -ENOMEM);
	FL_RC(fl__shm_arena_alloc(&a, UINT32_MAX, FL_FOREVER, &first), -ENOMEM);
	assert_int_equal(take(&a, UNITS), 0);
	FL_RC(fl__shm_arena_alloc(&a, 1, FL_FOREVER, &first), -ENOMEM);
	FL_OK(fl__shm_arena_free(&a, 0));
	assert_int_equal(take(&a, UNITS), 0);
}

FL_TEST(arena_joins_what_is_free)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	uint32_t first, runs[8];
	FL_EACH (i, runs)
		runs[i] = take(&a, UNITS / 8);
	for (int i = 0; i < 8; i += 2)
		FL_OK(fl__shm_arena_free(&a, runs[i]));
	FL_RC(fl__shm_arena_alloc(&a, UNITS / 8 + 1, FL_FOREVER, &first), -ENOMEM); /* fragmented */
	FL_OK(fl__shm_arena_free(&a, runs[3]));
	assert_int_equal(take(&a, 3 * UNITS / 8), runs[2]);
	for (int i = 1; i < 8; i += 2)
		if (i != 3)
			FL_OK(fl__shm_arena_free(&a, runs[i]));
	FL_OK(fl__shm_arena_free(&a, runs[2]));
	assert_int_equal(take(&a, UNITS), 0);
}

/* The search begins where the last one ended, and a join that removes that place moves it. */
FL_TEST(arena_next_stays_the_beginning_of_a_run)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	uint32_t one = take(&a, 8), two = take(&a, 8), three = take(&a, 8);
	assert_int_equal(h.head.next, 24);
	FL_OK(fl__shm_arena_free(&a, three));
	FL_OK(fl__shm_arena_free(&a, two));
	FL_OK(fl__shm_arena_free(&a, one));
	assert_int_equal(take(&a, UNITS - 24), 24); /* next wraps around to 0 */
	assert_int_equal(h.head.next, 0);
	FL_OK(fl__shm_arena_free(&a, 24));
	h.head.next = 8; /* as if the last search had ended there */
	assert_int_equal(take(&a, UNITS), 0);
	assert_int_equal(h.head.next, 0);
	FL_OK(fl__shm_arena_free(&a, 0));
	assert_int_equal(take(&a, UNITS), 0);
}

FL_TEST(arena_double_free)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	uint32_t one = take(&a, 3), two = take(&a, 3);
	FL_RC(fl__shm_arena_free(&a, one + 1), -EINVAL);
	FL_RC(fl__shm_arena_free(&a, UNITS), -EINVAL);
	FL_RC(fl__shm_arena_free(&a, UNITS - 1), -EINVAL);
	FL_OK(fl__shm_arena_free(&a, one));
	FL_RC(fl__shm_arena_free(&a, one), -EINVAL);
	FL_OK(fl__shm_arena_free(&a, two));
	FL_RC(fl__shm_arena_free(&a, two), -EINVAL);
	assert_int_equal(take(&a, UNITS), 0);
}

FL_TEST(arena_damaged_lengths)
{
	static const uint32_t wrong[] = {
	    0, UNITS + 1, 0x7fffffff, FL__SHM_ARENA_USED, FL__SHM_ARENA_USED | (UNITS + 1), UINT32_MAX};
	FL_EACH (i, wrong) {
		heap h;
		uint32_t first;
		struct fl__shm_arena a = new_heap(&h);
		h.map[0] = wrong[i];
		FL_RC(fl__shm_arena_alloc(&a, 1, FL_FOREVER, &first), -EBADMSG);
		h.map[0] = 8; /* what follows is wrong: met by a join, and by the walk */
		h.map[8] = wrong[i];
		FL_RC(fl__shm_arena_alloc(&a, 9, FL_FOREVER, &first), -EBADMSG);
		h.map[0] = FL__SHM_ARENA_USED | 8;
		FL_RC(fl__shm_arena_alloc(&a, 1, FL_FOREVER, &first), -EBADMSG);
		h.head.next = wrong[i];
		FL_RC(fl__shm_arena_alloc(&a, 2, FL_FOREVER, &first), -EBADMSG);
	}
}

/* A stopped owner of the monitor delays takes until their deadline, and does not delay gives. */
FL_TEST(arena_monitor_that_is_held)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	uint32_t first, one = take(&a, 1);
	*fl__shm_word(&h.head.lock) = 1; /* init's thread: alive, and not here */
	FL_RC(fl__shm_arena_alloc(&a, 1, FL_NO_WAIT, &first), -ETIMEDOUT);
	FL_OK(fl__shm_arena_free(&a, one));
	*fl__shm_word(&h.head.lock) = fl__sys.thread_id(); /* damage: this thread is not inside */
	FL_RC(fl__shm_arena_alloc(&a, 1, FL_FOREVER, &first), -EBADMSG);
	*fl__shm_word(&h.head.lock) = 0;
	assert_int_equal(take(&a, UNITS), 0);
}

/* Against a plain array of owners: no unit is ever in two runs. */
FL_TEST(arena_random_use)
{
	heap h;
	struct fl__shm_arena a = new_heap(&h);
	unsigned owner[UNITS] = {0}, length[UNITS] = {0}, random = 1, taken = 0;
	uint32_t used;
	for (unsigned i = 1; i <= fl_test_scaled(100000); i++) {
		uint32_t first = fl_test_random(&random) % UNITS, n = 1 + fl_test_random(&random) % 12;
		if (length[first] > 0) {
			FL_OK(fl__shm_arena_free(&a, first));
			taken -= length[first];
			for (unsigned u = 0; u < length[first]; u++)
				owner[first + u] = 0;
			length[first] = 0;
		} else if (fl__shm_arena_alloc(&a, n, FL_FOREVER, &first) == 0) {
			for (unsigned u = 0; u < n; u++) {
				assert_int_equal(owner[first + u], 0);
				owner[first + u] = i;
			}
			length[first] = n;
			taken += n;
		} else {
			assert_true(longest(&h, &used) < n);
		}
		if (i % 64 == 0) {
			(void)longest(&h, &used);
			assert_int_equal(used, taken);
		}
	}
}

/* Random words everywhere but in the lock: an error or a run inside the map, and an end. */
FL_TEST(arena_random_words)
{
	unsigned random = 7;
	for (unsigned round = 0; round < 1000; round++) {
		heap h = {0};
		struct fl__shm_arena a = open_heap(&h);
		for (int i = 0; i < UNITS; i++) {
			unsigned word = fl_test_random(&random);
			h.map[i] = round % 2 ? word * 256u : (word % 9) | (word & 16 ? FL__SHM_ARENA_USED : 0);
		}
		h.head.next = fl_test_random(&random) % (2 * UNITS);
		for (uint32_t i = 0; i < 2 * UNITS; i++) {
			uint32_t first = UINT32_MAX, n = 1 + fl_test_random(&random) % 6;
			int rc = fl__shm_arena_alloc(&a, n, FL_FOREVER, &first);
			assert_true(rc == -ENOMEM || rc == -EBADMSG ||
			            (rc == 0 && first < UNITS && n <= UNITS - first));
			rc = fl__shm_arena_free(&a, fl_test_random(&random) % (UNITS + 2));
			FL_OK_OR(rc, -EINVAL);
		}
	}
}
