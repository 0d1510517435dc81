/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CRAWLER_H
#define CRAWLER_H

/* The parts of the crawler: the site, and the table of what was found there. */
#include "album.h"

/*
 * Writes the pages of a site for the caller to free: page 1 leads to all of them. Returns false
 * when out of memory.
 */
bool site_write(struct bytes *pages, size_t count);

/*
 * Returns the next link of a page from `*at` on, and moves `*at` behind it; 0: no more. Links are
 * numbers of pages.
 */
unsigned site_next_link(const struct bytes *page, size_t *at);

#endif
