/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crawler: follows the links of a page, and of the pages that it finds, until it finds no new page.
 *
 * Each page is a task of a group, and submits a task for each link to a new page. The join of the
 * group waits for all of them.
 *
 * One page may lead to many, so the backlog would grow without a bound. The executor has a bound,
 * `backlog`. A thread from outside that submits to a full backlog waits. A task of the executor
 * must not wait, since only the executor itself makes space: its submit runs the new task at once.
 * So memory is bounded, and there is no deadlock.
 *
 * A page that cannot be fetched is reported, and the others continue. An error of the library or
 * Ctrl-C cancels the group: pending tasks end without running, and libcurl gives up because of the
 * cancel scope.
 */
#include "crawler.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 8 /* where the options do not say how many */

struct crawl {
	const struct options *o;
	const struct bytes *site; /* of the server */
	unsigned port;
	fl_executor *pool;
	fl_group *group;
	fl_mutex lock;    /* guards the fields below */
	bool *known;      /* by number: a task follows it, or has done so */
	uint64_t *digest; /* by number; 0: could not be fetched */
	char **failures;  /* by number: the reason for the failure */
	size_t found, fetched, links, bytes, bad;
	size_t at_once; /* tasks that were run by the submit of another task */
	size_t most_waiting;
};

struct visit {
	struct crawl *crawl;
	unsigned number;
};

/* Marks the page as known; returns whether it was new. */
static bool is_new(struct crawl *c, unsigned number)
{
	FL_LOCKED(&c->lock);
	bool fresh = number <= c->o->pages && !c->known[number];
	if (fresh) {
		c->known[number] = true;
		c->found++;
	}
	return fresh;
}

/* 0, or an error with the reason, and nothing to free. */
static int fetch_page(const struct crawl *c, unsigned number, struct bytes *page, char *why, size_t size)
{
	const struct bytes *original = &c->site[number - 1];
	struct file file = {.timeout = c->o->timeout, .own = true};
	(void)snprintf(file.url, sizeof file.url, "http://127.0.0.1:%u/page-%u.html", c->port, number);
	struct fetcher *mine = fetcher_get(); /* of this thread */
	int rc = mine != NULL ? fetch_to_memory(mine, &file, page, why, size) : -ENOMEM;
	if (mine == NULL) {
		(void)snprintf(why, size, "out of memory");
	} else if (rc == 0 && (page->size != original->size || memcmp(page->data, original->data, page->size) != 0)) {
		(void)snprintf(why, size, "came otherwise than it was sent");
		free(page->data);
		*page = (struct bytes){0};
		rc = -EIO;
	}
	return rc;
}

static void note_page(struct crawl *c, unsigned number, const struct bytes *page, const char *why, bool at_once)
{
	fl_stats_executor stats = {0};
	int rc = fl_executor_stats(c->pool, &stats);
	FL_LOCKED(&c->lock);
	c->fetched++;
	c->at_once += at_once;
	c->bytes += page->size;
	if (page->data != NULL) {
		c->digest[number] = digest_add(DIGEST_START, page->data, page->size);
	} else {
		c->bad++;
		c->failures[number] = strdup(why); /* it is NULL if there is no memory for it */
	}
	if (rc == 0 && stats.pending > c->most_waiting)
		c->most_waiting = stats.pending;
}

static int follow_links(struct crawl *c, const struct bytes *page);

FL_TASK_STATIC(visit_page, struct visit, void)
{
	static _Thread_local unsigned depth; /* above 0: a visit on this thread submits this task */
	struct crawl *c = arg->crawl;
	struct bytes page = {0};
	char why[FL_MESSAGE_MAX] = "";
	int rc = fetch_page(c, arg->number, &page, why, sizeof why);
	if (rc != 0 && fl_task_is_cancelled(ctx))
		return -ECANCELED;
	note_page(c, arg->number, &page, why, depth > 0);
	depth++;
	rc = rc == 0 ? follow_links(c, &page) : 0; /* a bad page does not stop the others */
	depth--;
	free(page.data);
	return rc;
}

/* Submits a task if the page is new. */
static int follow_links(struct crawl *c, const struct bytes *page)
{
	int rc = 0;
	size_t at = 0, links = 0;
	for (unsigned number; rc == 0 && (number = site_next_link(page, &at)) != 0; links++)
		if (is_new(c, number))
			rc = visit_page_group_submit(c->group, (struct visit){c, number});
	FL_LOCKED(&c->lock);
	c->links += links;
	return rc;
}

static void show(void *crawl)
{
	struct crawl *c = crawl;
	char line[160];
	{
		FL_LOCKED(&c->lock);
		(void)snprintf(line, sizeof line, "crawler  %zu pages of %zu that are known", c->fetched, c->found);
	}
	progress_line(line);
}

static int crawl(struct crawl *c, unsigned workers, fl_signals *signals)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	const fl_executor_config config = {
	    .workers = workers, .name = "crawler", .backlog = c->o->backlog, .when_full = FL_FULL_WAIT};
	int rc = fl_thread_executor_create(&pool, &config);
	if (rc == 0) {
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool);
		c->pool = pool;
		c->group = &g;
		c->known[1] = true;
		c->found = 1;
		rc = visit_page_group_submit(&g, (struct visit){c, 1});
		if (rc == 0)
			return watch_group("crawler", &g, signals, show, c); /* joins it */
	}
	complain("crawler: cannot begin: %s", fl_error_text(rc));
	return rc;
}

/* Prints the answer, a digest of the digests of all pages in the order of their numbers. */
static bool print_answer(const struct crawl *c, unsigned workers, double seconds)
{
	char bytes[32], links[32];
	group_digits(bytes, c->bytes);
	group_digits(links, c->links);
	printf("%zu pages with %s links, %s bytes, in %.2f s on %u worker%s\n", c->fetched - c->bad, links, bytes,
	       seconds, workers, workers == 1 ? "" : "s");
	printf("at most %zu waited, of %u that may; %zu were fetched at once, by the submitter\n", c->most_waiting,
	       c->o->backlog, c->at_once);
	uint64_t answer = DIGEST_START;
	for (unsigned i = 1; i <= c->o->pages; i++) {
		answer = digest_add(answer, &c->digest[i], sizeof c->digest[i]);
		if (c->known[i] && c->digest[i] == 0)
			complain("page %u: %s", i, c->failures[i] != NULL ? c->failures[i] : "out of memory");
	}
	printf("answer %016llx\n", (unsigned long long)answer);
	return c->bad == 0;
}

static bool with_tables(const struct options *o, const struct bytes *site, const struct server *server,
                        fl_signals *signals)
{
	const size_t n = (size_t)o->pages + 1;
	const unsigned workers = o->workers != 0 ? o->workers : WORKERS;
	struct crawl c = {.o = o, .site = site, .port = server_port(server)};
	c.known = calloc(n, sizeof *c.known);
	c.digest = calloc(n, sizeof *c.digest);
	c.failures = calloc(n, sizeof *c.failures);
	bool good = c.known != NULL && c.digest != NULL && c.failures != NULL;
	if (!good)
		complain("crawler: cannot begin: %s", fl_error_text(-ENOMEM));
	fl_time start = fl_now();
	good = good && crawl(&c, workers, signals) == 0 &&
	       print_answer(&c, workers, (double)fl_time_diff(fl_now(), start) / 1e9);
	for (size_t i = 0; c.failures != NULL && i < n; i++)
		free(c.failures[i]);
	free(c.failures);
	free(c.digest);
	free(c.known);
	return good;
}

static bool with_site(const struct options *o, fl_signals *signals)
{
	struct bytes *pages = calloc(o->pages, sizeof *pages);
	struct server *server = NULL;
	int rc = pages != NULL && site_write(pages, o->pages) ? 0 : -ENOMEM;
	if (rc == 0)
		rc = fetch_prepare();
	if (rc == 0)
		rc = server_start(&server, pages, o->pages, "text/html", o->fault);
	if (rc != 0)
		complain("crawler: cannot begin: %s", fl_error_text(rc));
	bool good = rc == 0 && with_tables(o, pages, server, signals);
	server_stop(server);
	for (size_t i = 0; pages != NULL && i < o->pages; i++)
		free(pages[i].data);
	free(pages);
	return good;
}

int crawler(const struct options *o)
{
	static const int ends[] = {SIGINT, SIGTERM};
	fl_signals *signals = NULL;
	int rc = fl_signals_create(&signals, ends, 2); /* before the first thread */
	if (rc != 0) {
		complain("crawler: cannot begin: %s", fl_error_text(rc));
		return EXIT_FAILURE;
	}
	const bool good = with_site(o, signals);
	end_signals(signals);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
