/* SPDX-License-Identifier: BSD-2-Clause */
/* Linked lists and queues whose links are inside their members. */
#pragma once

#include <stddef.h>

/* Returns the object of type `type` whose member `member` is at `address`. */
#define FL__CONTAINER_OF(address, type, member) ((type *)(void *)((char *)(address)-offsetof(type, member)))

/*
 * Only one thread at a time may use a list. The macros evaluate their arguments more than once.
 *
 * A list is a pointer to its first member. A member has two links: `next` points to the next
 * member, and `link` to the pointer that points to this member.
 */
#define FL__LIST_ADD(list, member) FL__LIST_ADD_BY(next, link, list, member)
#define FL__LIST_REMOVE(member) FL__LIST_REMOVE_BY(next, link, member)

/* Add and remove members whose two links have the names that `next` and `link` give. */
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

/* Visits `first` and the members after it. */
#define FL__EACH(type, member, first) for (type *member = (first); member; member = member->next)

/*
 * Visits `first` and the members after it. The body may free the member or add it to another list.
 */
#define FL__EACH_SAFE(type, member, first)                                                                             \
	for (type *member = (first), *member##_next; member && ({                                                      \
							     member##_next = member->next;                             \
							     true;                                                     \
						     });                                                               \
	     member = member##_next)

/*
 * Appends `member` to a list whose members have only the link `next`. `last` is valid only while
 * `first` is not NULL.
 */
#define FL__APPEND(first, last, member, next)                                                                          \
	do {                                                                                                           \
		(member)->next = NULL;                                                                                 \
		*((first) ? &(last)->next : &(first)) = (member);                                                      \
		(last) = (member);                                                                                     \
	} while (0)

/*
 * A queue consists of two pointers, to its first and last member. The links of a member are `next`
 * and `prev`.
 */
#define FL__QUEUE_ADD(first, last, member) FL__QUEUE_ADD_AT(first, last, member, next, prev)
#define FL__QUEUE_ADD_FIRST(first, last, member) FL__QUEUE_ADD_AT(last, first, member, prev, next)
#define FL__QUEUE_ADD_AT(other, end, member, next, prev)                                                               \
	do {                                                                                                           \
		(member)->next = NULL;                                                                                 \
		(member)->prev = (end);                                                                                \
		*((end) ? &(end)->next : &(other)) = (member);                                                         \
		(end) = (member);                                                                                      \
	} while (0)

#define FL__QUEUE_REMOVE(first, last, member) FL__QUEUE_REMOVE_AT(first, last, member, next, prev)
#define FL__QUEUE_REMOVE_AT(first, last, member, next, prev)                                                           \
	do {                                                                                                           \
		*((member)->prev ? &(member)->prev->next : &(first)) = (member)->next;                                 \
		*((member)->next ? &(member)->next->prev : &(last)) = (member)->prev;                                  \
	} while (0)
