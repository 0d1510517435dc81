/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_NUMBER_H
#define FAIRLEAD_NUMBER_H

#include <fairlead/defs.h>

/*
 * FL__NUMBER(macro, n, least, most) is the argument `n` of the initializer FL_`macro`, as a
 * uint32_t. It must be from `least` to `most`. Another constant does not compile, and another
 * number panics.
 *
 * In C, 0 times a constant is a null pointer constant, so the type of FL__IS_CONSTANT()'s
 * conditional tells whether `n` is one. C++ evaluates the bound of an array in the compiler, where
 * __builtin_constant_p() is exact.
 */
#ifdef __cplusplus
#define FL__IF_CONSTANT(n, a, b) (__builtin_constant_p(n) ? (a) : (b))
#define FL__NUMBER_CHECK(n, least, most, text)                                                                         \
	sizeof(char[__builtin_constant_p(n) && !FL__IS_WITHIN(n, least, most) ? -1 : 1])
#else
#define FL__IS_CONSTANT(n) FL__SAME(__typeof__(1 ? (void *)((uintptr_t)(n)*0) : (int *)0), int *)
#define FL__IF_CONSTANT(n, a, b) __builtin_choose_expr(FL__IS_CONSTANT(n), a, b)
#define FL__NUMBER_CHECK(n, least, most, text)                                                                         \
	(__extension__ sizeof(struct {                                                                                 \
		_Static_assert(FL__IS_WITHIN(FL__IF_CONSTANT(n, n, least), least, most), text);                        \
		char _c;                                                                                               \
	}))
#endif
#define FL__IS_WITHIN(n, least, most)                                                                                  \
	(FL__CAST(int64_t, n) >= FL__CAST(int64_t, least) && FL__CAST(int64_t, n) <= FL__CAST(int64_t, most))
#define FL__NUMBER(macro, n, least, most)                                                                              \
	(FL__IF_CONSTANT(n, FL__CAST(uint32_t, n), fl__number(FL__CAST(int64_t, n), least, most, "FL_" #macro)) +      \
	 0 * FL__CAST(uint32_t,                                                                                        \
	              FL__NUMBER_CHECK(n, least, most,                                                                 \
	                               "FL_" #macro "(" #n "): the number must be from " #least " to " #most)))

FL_BEGIN_DECLS

/* Panics, because the number of the initializer `macro` is out of range. */
FL_API void fl__number_panic(const char *macro);

/* Returns a number that is not a constant. Panics if it is not from `least` to `most`. */
FL_INLINE uint32_t fl__number(int64_t _n, int64_t _least, int64_t _most, const char *_macro)
{
	if (_n < _least || _n > _most)
		fl__number_panic(_macro);
	return (uint32_t)_n;
}

FL_END_DECLS

#endif
