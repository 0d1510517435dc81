/* SPDX-License-Identifier: BSD-2-Clause */
/* The free lists of task cells: Concurrency Kit's stack, and the one under a lock for machines without. */
#include "base/atomic.h"
#include "exec/cells.h"
#include "fl_seam.h"

enum { ENTRIES = 8, MANY = 4 };

struct entry {
	void *link;    /* the list's, while it is in it */
	uint64_t uses; /* the owner's, while it is not */
};

struct kind {
	void (*push)(struct fl__free_list *list, void *entry);
	void *(*pop)(struct fl__free_list *list);
};

static const struct kind kinds[] = {{fl__free_list_push, fl__free_list_pop},
                                    {fl__locked_list_push, fl__locked_list_pop}};

FL_TEST(cells_free_list_is_a_stack)
{
	for (int k = 0; k < 2; k++) {
		struct fl__free_list list = {{NULL, NULL}, NULL, 0};
		struct entry entries[3] = {{NULL, 0}};
		assert_null(kinds[k].pop(&list));
		for (int i = 0; i < 3; i++)
			kinds[k].push(&list, &entries[i]);
		assert_ptr_equal(kinds[k].pop(&list), &entries[2]);
		kinds[k].push(&list, &entries[2]);
		for (int i = 2; i >= 0; i--)
			assert_ptr_equal(kinds[k].pop(&list), &entries[i]);
		assert_null(kinds[k].pop(&list));
	}
}

struct user {
	const struct kind *kind;
	struct fl__free_list *list;
	unsigned rounds;
	uint64_t uses;
};

/* Takes one or two entries, writes to them without any lock, and gives them back in the other order. */
static int use_entries(void *arg)
{
	struct user *u = arg;
	for (unsigned i = 0; i < u->rounds; i++) {
		struct entry *taken[2];
		int n = 0;
		for (int wanted = 1 + (int)(i % 2); n < wanted; n++) {
			if (!(taken[n] = u->kind->pop(u->list)))
				break;
			fl__tsan_acquire(taken[n]);
		}
		for (int k = 0; k < n; k++, u->uses++) {
			taken[k]->uses++;
			fl__tsan_release(taken[k]);
			u->kind->push(u->list, taken[k]);
		}
	}
	return 0;
}

/* aba_recycle: few entries that go round fast. An entry with two owners would lose a count. */
FL_TEST(cells_aba_recycle)
{
	for (int k = 0; k < 2; k++) {
		struct fl__free_list list = {{NULL, NULL}, NULL, 0};
		struct entry entries[ENTRIES] = {{NULL, 0}};
		struct user users[MANY];
		fl_thread threads[MANY];
		uint64_t uses = 0;
		for (int i = 0; i < ENTRIES; i++) {
			fl__tsan_release(&entries[i]);
			kinds[k].push(&list, &entries[i]);
		}
		for (int i = 0; i < MANY; i++)
			users[i] = (struct user){&kinds[k], &list, fl_test_scaled(200000), 0};
		seam_start(threads, MANY, use_entries, users, sizeof *users);
		seam_join(threads, MANY);
		for (int i = 0; i < MANY; i++)
			uses += users[i].uses;
		for (int i = 0; i < ENTRIES; i++) {
			struct entry *entry = kinds[k].pop(&list);
			assert_non_null(entry);
			fl__tsan_acquire(entry);
			uses -= entry->uses;
		}
		assert_null(kinds[k].pop(&list));
		assert_int_equal(uses, 0);
	}
}
