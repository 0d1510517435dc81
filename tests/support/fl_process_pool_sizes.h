/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_POOL_SIZES_H
#define FL_PROCESS_POOL_SIZES_H

/*
 * Task types with any size and alignment of arguments and results:
 *
 *     // the task type `kibi`: 1 KiB in, with alignment 8; 1 MiB out, with alignment 64
 *     PROCESS_POOL_SIZED(kibi, 1024, 8, 1 << 20, 64);
 *     unsigned char *arg = process_pool_bytes(1024, seed);
 *     FL_OK(fl_executor_submit(e, &kibi, arg, &f));
 *     ...
 *     assert_true(process_pool_is_right(fl_future_result(f), 1 << 20, seed));
 *
 * The result is right if it was generated from the seed in the argument, and the argument was
 * complete.
 */
#include "fl_process_pool.h"

PROCESS_POOL_FN uint64_t process_pool_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

enum { PROCESS_POOL_BLOCK = 64 };

/*
 * Sums the bytes from `at`. Not instrumented: they are on the stack, and TSan would take many
 * seconds for some MiB.
 */
__attribute__((no_sanitize("thread"))) PROCESS_POOL_FN void process_pool_grow_block(unsigned char *block, size_t at,
                                                                                    uint64_t *state, uint64_t seed)
{
	const uint64_t first = at > 0 ? process_pool_next(state) : seed, now = *state;
	for (size_t i = 0; i < PROCESS_POOL_BLOCK; i++)
		block[i] = (unsigned char)(now >> (i % 32) ^ i);
	memcpy(block, &first, at > 0 ? 1 : sizeof first);
}

PROCESS_POOL_FN size_t process_pool_block_size(size_t at, size_t size)
{
	return size - at < PROCESS_POOL_BLOCK ? size - at : PROCESS_POOL_BLOCK;
}

/*
 * Writes the bytes that follow from the seed, or checks them. The first bytes, up to 8, are the
 * seed.
 */
PROCESS_POOL_FN void process_pool_grow(unsigned char *bytes, size_t size, uint64_t seed)
{
	unsigned char block[PROCESS_POOL_BLOCK];
	uint64_t state = seed;
	for (size_t at = 0; at < size; at += PROCESS_POOL_BLOCK) {
		process_pool_grow_block(block, at, &state, seed);
		memcpy(bytes + at, block, process_pool_block_size(at, size));
	}
}

PROCESS_POOL_FN bool process_pool_is_right(const void *memory, size_t size, uint64_t seed)
{
	const unsigned char *bytes = memory;
	unsigned char block[PROCESS_POOL_BLOCK];
	uint64_t state = seed;
	bool right = bytes != NULL;
	for (size_t at = 0; right && at < size; at += PROCESS_POOL_BLOCK) {
		process_pool_grow_block(block, at, &state, seed);
		right = memcmp(bytes + at, block, process_pool_block_size(at, size)) == 0;
	}
	return right;
}

/* Returns an argument that the caller frees with free(). */
PROCESS_POOL_FN void *process_pool_bytes(size_t size, uint64_t seed)
{
	unsigned char *bytes = malloc(size);
	FL_CHECK(bytes != NULL);
	process_pool_grow(bytes, size, seed);
	return bytes;
}

PROCESS_POOL_FN int process_pool_sized_run(const fl_task_type *type, const void *arg, void *result)
{
	uint64_t seed = 0;
	const unsigned char *out = result;
	memcpy(&seed, arg, type->arg_size < sizeof seed ? type->arg_size : sizeof seed);
	if ((uintptr_t)arg % type->arg_align != 0 || (uintptr_t)result % type->result_align != 0)
		return -EFAULT;
	if (out[0] != 0 || out[type->result_size - 1] != 0)
		return -EDOM; /* it begins zeroed */
	if (!process_pool_is_right(arg, type->arg_size, seed))
		return -EILSEQ;
	process_pool_grow(result, type->result_size, seed);
	return 0;
}

#define PROCESS_POOL_SIZED(task, in, in_align, out, out_align)                                                         \
	static const fl_task_type task;                                                                                \
	static int task##_runs(fl_task_ctx *ctx, const void *arg, void *result)                                        \
	{                                                                                                              \
		(void)ctx;                                                                                             \
		return process_pool_sized_run(&task, arg, result);                                                     \
	}                                                                                                              \
	static const fl_task_type task = {.size = sizeof(fl_task_type),                                                \
	                                  .name = #task,                                                               \
	                                  .run = task##_runs,                                                          \
	                                  .arg_size = (in),                                                            \
	                                  .arg_align = (in_align),                                                     \
	                                  .result_size = (out),                                                        \
	                                  .result_align = (out_align)};                                                \
	static fl_task_entry task##_entry = {&task, 0};                                                                \
	__attribute__((constructor(FL__TASK_PRIORITY))) static void task##_register(void)                              \
	{                                                                                                              \
		fl_task_register(&task##_entry);                                                                       \
	}                                                                                                              \
	struct process_pool_sized_##task

/* Submits a task. The seed has as many bytes as the argument has room for. */
PROCESS_POOL_FN fl_future *process_pool_send(fl_executor *e, const fl_task_type *type, uint64_t seed)
{
	fl_future *f = NULL;
	void *arg = process_pool_bytes(type->arg_size, seed);
	FL_OK(fl_executor_submit(e, type, arg, &f));
	free(arg);
	return f;
}

/*
 * Waits until the task has ended in any way; its message must be a terminated string. Frees the
 * future.
 */
PROCESS_POOL_FN void process_pool_ends(fl_future *f)
{
	FL_OK(fl_future_wait(f));
	assert_true(strlen(fl_future_message(f)) < FL_MESSAGE_MAX);
	(void)fl_error_name(fl_future_error(f));
	fl_future_free(f);
}

/* Checks that the result comes back and is right. Frees the future. */
PROCESS_POOL_FN void process_pool_receive(fl_future *f, const fl_task_type *type, uint64_t seed)
{
	FL_OK(fl_future_wait(f));
	if (fl_future_error(f) != 0)
		print_error("%s: %s\n", type->name, fl_future_message(f));
	FL_OK(fl_future_error(f));
	assert_true((uintptr_t)fl_future_result(f) % type->result_align == 0);
	assert_true(process_pool_is_right(fl_future_result(f), type->result_size, seed));
	fl_future_free(f);
}

#endif
