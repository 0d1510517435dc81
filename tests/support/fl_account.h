/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_ACCOUNT_H
#define FL_TEST_ACCOUNT_H

/*
 * An allocator that counts and can fail. Any thread may use it. ACCOUNT_OF_PROCESS() makes it the
 * allocator of the test program, before main().
 *
 *     ACCOUNT_OF_PROCESS(account);
 *     ...
 *     const long before = account_live(&account);
 *     account_fail_at(&account, 3);                  // the fourth allocation from now on fails
 *     ... an object is made, used, and freed ...
 *     assert_int_equal(account_live(&account), before);
 */
#include "fl_test.h"

struct account {
	long live, allocs; /* atomic */
	long fail_at;      /* atomic: the number of the allocation that fails; negative: none */
};

__attribute__((unused)) static void *account_alloc(size_t size, void *user)
{
	struct account *account = user;
	if (__atomic_fetch_add(&account->allocs, 1, __ATOMIC_RELAXED) ==
	    __atomic_load_n(&account->fail_at, __ATOMIC_RELAXED))
		return NULL;
	void *memory = malloc(size);
	FL_CHECK(memory);
	__atomic_fetch_add(&account->live, 1, __ATOMIC_RELAXED);
	return memset(memory, 0xa5, size); /* it is not zeroed */
}

/* The count is changed last, because a case may end when it is 0. */
__attribute__((unused)) static void account_free(void *memory, void *user)
{
	struct account *account = user;
	FL_CHECK(memory);
	free(memory);
	__atomic_fetch_sub(&account->live, 1, __ATOMIC_RELEASE);
}

__attribute__((unused)) static fl_allocator account_of(struct account *account)
{
	return (fl_allocator){account_alloc, account_free, account};
}

#define ACCOUNT_OF_PROCESS(account)                                                                                    \
	static struct account account = {.fail_at = -1};                                                               \
	__attribute__((constructor)) static void account_begin(void)                                                   \
	{                                                                                                              \
		static fl_allocator allocator;                                                                         \
		allocator = account_of(&account);                                                                      \
		fl_allocator_set(&allocator);                                                                          \
	}

/*
 * The next `n` allocations, of any thread, succeed, and the one after them fails. If `n` is
 * negative, none fails.
 */
__attribute__((unused)) static void account_fail_at(struct account *account, long n)
{
	__atomic_store_n(&account->fail_at, -1, __ATOMIC_RELAXED);
	__atomic_store_n(&account->allocs, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&account->fail_at, n, __ATOMIC_RELAXED);
}

__attribute__((unused)) static long account_live(const struct account *account)
{
	return __atomic_load_n(&account->live, __ATOMIC_ACQUIRE);
}

/* Whether the allocation that must fail has come. */
__attribute__((unused)) static bool account_has_failed(const struct account *account)
{
	return __atomic_load_n(&account->allocs, __ATOMIC_RELAXED) > account->fail_at;
}

#endif
