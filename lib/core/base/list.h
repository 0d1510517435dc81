/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>

/* The object of type `type` whose member `member` is at `address`. */
#define FL__CONTAINER_OF(address, type, member) ((type *)(void *)((char *)(address)-offsetof(type, member)))

/*
 * Lists with links in the members, for one thread at a time. Macros evaluate arguments repeatedly.
 *
 * A list points to its first member. A member has `next`, and `link`: where the pointer to it is.
 */
#define FL__LIST_ADD(list, member) FL__LIST_ADD_BY(next, link, list, member)
#define FL__LIST_REMOVE(member) FL__LIST_REMOVE_BY(next, link, member)

/* The same for members whose links have the names `next` and `link`. */
#define FL__LIST_ADD_BY(next, link, list, member)                                                                      \
	do {                                                                                                           \
		(member)->next = *(list);                                                                              \
		(member)->link = (list);                                                                               \
		if ((member)->next)                                                                                    \
			(member)->next->link = &(member)->next;                                                        \
		*(list) = (member);                                                                                    \
	} while (0)

#define FL__LIST_REMOVE_BY(next, link, member)                                                                         \
	do {                                                                                                           \
		*(member)->link = (member)->next;                                                                      \
		if ((member)->next)                                                                                    \
			(member)->next->link = (member)->link;                                                         \
	} while (0)

/* Visits the members from `first` on. */
#define FL__EACH(type, member, first) for (type *member = (first); member; member = member->next)

/* The same where the body may free the member or add it to another list. */
#define FL__EACH_SAFE(type, member, first)                                                                             \
	for (type *member = (first), *member##_next; member && ({                                                      \
							     member##_next = member->next;                             \
							     true;                                                     \
						     });                                                               \
	     member = member##_next)

/* Appends to a list with links `next` alone. `last` counts only while there is a `first`. */
#define FL__APPEND(first, last, member, next)                                                                          \
	do {                                                                                                           \
		(member)->next = NULL;                                                                                 \
		*((first) ? &(last)->next : &(first)) = (member);                                                      \
		(last) = (member);                                                                                     \
	} while (0)

/* A queue points to its first and last member; a member has `next` and `prev`. */
#define FL__QUEUE_ADD(first, last, member) FL__QUEUE_ADD_AT(first, last, member, next, prev)
#define FL__QUEUE_ADD_FIRST(first, last, member) FL__QUEUE_ADD_AT(last, first, member, prev, next)
#define FL__QUEUE_ADD_AT(other, end, member, next, prev)                                                               \
	do {                                                                                                           \
		(member)->next = NULL;                                                                                 \
		(member)->prev = (end);                                                                                \
		*((end) ? &(end)->next : &(other)) = (member);                                                         \
		(end) = (member);                                                                                      \
	} while (0)

#define FL__QUEUE_REMOVE(first, last, member)                                                                          \
	do {                                                                                                           \
		*((member)->prev ? &(member)->prev->next : &(first)) = (member)->next;                                 \
		*((member)->next ? &(member)->next->prev : &(last)) = (member)->prev;                                  \
	} while (0)
