/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_COPY_H
#define FL_BASE_COPY_H

#include <stddef.h>
#include <string.h>

/* memcpy(), with the sizes of integers and pointers as single moves: the call costs more than the copy. */
static inline void fl__copy(void *to, const void *from, size_t size)
{
	switch (size) {
	case 4:
		memcpy(to, from, 4);
		break;
	case 8:
		memcpy(to, from, 8);
		break;
	case 16:
		memcpy(to, from, 16);
		break;
	default:
		memcpy(to, from, size);
	}
}

#endif
