/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The site to crawl: a tree of pages, with links across it, so that most links lead to known pages.
 */
#include "crawler.h"
#include <stdlib.h>
#include <string.h>

/* Links down the tree: most pages are leaves, and one page has many new links. */
#define CHILDREN 12
#define ACROSS 4

static const char mark[] = "href=\"/page-";

static void write_link(FILE *out, size_t number)
{
	(void)fprintf(out, "<li><a %s%zu.html\">page %zu</a>\n", mark, number, number);
}

static bool write_page(struct bytes *page, size_t number, size_t count)
{
	char *data = NULL;
	FILE *out = open_memstream(&data, &page->size);
	if (out == NULL)
		return false;
	(void)fprintf(out, "<!DOCTYPE html>\n<title>page %zu</title>\n<ul>\n", number);
	for (size_t i = 0; i < CHILDREN; i++)
		if ((number - 1) * CHILDREN + 2 + i <= count)
			write_link(out, (number - 1) * CHILDREN + 2 + i);
	for (size_t i = 0; i < ACROSS; i++)
		write_link(out, (number * 7919 + i * i * 104729) % count + 1);
	bool good = fputs("</ul>\n", out) >= 0;
	good = fclose(out) == 0 && good;
	page->data = (unsigned char *)data;
	return good;
}

bool site_write(struct bytes *pages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!write_page(&pages[i], i + 1, count))
			return false;
	return true;
}

unsigned site_next_link(const struct bytes *page, size_t *at)
{
	const char *text = (const char *)page->data; /* open_memstream() has appended a 0 */
	const char *link = strstr(text + *at, mark);
	if (link == NULL)
		return 0;
	link += sizeof mark - 1;
	*at = (size_t)(link - text);
	return (unsigned)strtoul(link, NULL, 10);
}
