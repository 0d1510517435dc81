/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library that needs an event loop, on a Fairlead loop. libcurl's multi interface runs any number
 * of transfers on one thread. It asks its host to watch descriptors and to run a timer; the loop
 * does both, and its callbacks call libcurl, which never waits. Each transfer belongs to a fiber,
 * which sleeps on an event until the transfer is done. So the code of the fiber is straight-line
 * code.
 */
#include "fetch.h"
#include <stdlib.h>

#define CONNECTIONS_MAX 6L /* to one host, as in browsers */

struct multi {
	CURLM *curl;
	fl_loop *loop;
	fl_loop_timer timer;
	struct waiter *waiters;
	unsigned users;
};

/* What libcurl knows of the fiber that waits for a transfer. On the stack of that fiber. */
struct waiter {
	fl_event done;
	CURLcode code;
	struct waiter *next, **link;
};

/* A loop belongs to one thread, so this can be a thread-local. */
static _Thread_local struct multi *here;

static void wake_those_done(struct multi *m)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(m->curl, &left)) != NULL) {
		struct waiter *w = NULL;
		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&w) != CURLE_OK || w == NULL)
			continue;
		w->code = message->data.result;
		fl_event_set(&w->done);
	}
}

/*
 * After an error of the multi handle, which only want_socket() can cause, libcurl asks for nothing
 * any more.
 */
static void wake_all(struct multi *m)
{
	for (struct waiter *w = m->waiters; w != NULL; w = w->next) {
		w->code = CURLE_OUT_OF_MEMORY;
		fl_event_set(&w->done);
	}
}

static void go_on(struct multi *m, curl_socket_t fd, int events)
{
	int running;
	CURLMcode code = curl_multi_socket_action(m->curl, fd, events, &running);
	wake_those_done(m);
	if (code != CURLM_OK)
		wake_all(m);
}

static void ready(fl_loop_watch *w, int fd, unsigned events, void *multi)
{
	(void)w; /* may be gone when libcurl returns */
	go_on(multi, fd,
	      (events & FL_FD_IN ? CURL_CSELECT_IN : 0) | (events & FL_FD_OUT ? CURL_CSELECT_OUT : 0) |
	          (events & FL_FD_ERR ? CURL_CSELECT_ERR : 0));
}

static void due(void *multi)
{
	go_on(multi, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * libcurl wants a descriptor watched, watched for other events, or no longer watched. -1: not
 * possible.
 */
static int want_socket(CURL *curl, curl_socket_t fd, int what, void *multi, void *watch)
{
	struct multi *m = multi;
	fl_loop_watch *w = watch;
	unsigned events = (what & CURL_POLL_IN ? FL_FD_IN : 0u) | (what & CURL_POLL_OUT ? FL_FD_OUT : 0u);
	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			fl_loop_watch_cancel(w);
		free(w);
		return 0;
	}
	if (w != NULL)
		return fl_loop_watch_change(w, events) == 0 ? 0 : -1;
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return -1;
	if (fl_loop_watch_start(m->loop, w, fd, events, ready, m) == 0) {
		if (curl_multi_assign(m->curl, fd, w) == CURLM_OK)
			return 0;
		fl_loop_watch_cancel(w);
	}
	free(w);
	return -1;
}

static int want_timer(CURLM *curl, long milliseconds, void *multi)
{
	struct multi *m = multi;
	(void)curl;
	if (milliseconds < 0)
		fl_loop_timer_cancel(m->loop, &m->timer);
	else
		fl_loop_timer_start(m->loop, &m->timer, fl_after(FL_MS(milliseconds)), due, m);
	return 0;
}

static bool configure(struct multi *m)
{
	CURLM *c = m->curl;
	return curl_multi_setopt(c, CURLMOPT_SOCKETFUNCTION, want_socket) == CURLM_OK &&
	       curl_multi_setopt(c, CURLMOPT_SOCKETDATA, m) == CURLM_OK &&
	       curl_multi_setopt(c, CURLMOPT_TIMERFUNCTION, want_timer) == CURLM_OK &&
	       curl_multi_setopt(c, CURLMOPT_TIMERDATA, m) == CURLM_OK;
}

void multi_be_polite(struct multi *m)
{
	(void)curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS_MAX);
}

struct multi *multi_get(void)
{
	if (here == NULL) {
		struct multi *m = calloc(1, sizeof *m);
		if (m == NULL)
			return NULL;
		m->loop = fl_loop_current();
		m->curl = curl_multi_init();
		if (m->curl == NULL || !configure(m)) {
			(void)curl_multi_cleanup(m->curl);
			free(m);
			return NULL;
		}
		here = m;
	}
	here->users++;
	return here;
}

void multi_release(struct multi *m)
{
	if (--m->users > 0)
		return;
	/* Closes the kept connections, and removes their watches. */
	(void)curl_multi_cleanup(m->curl);
	fl_loop_timer_cancel(m->loop, &m->timer);
	free(m);
	here = NULL;
}

static void add(struct multi *m, struct waiter *w)
{
	w->next = m->waiters;
	w->link = &m->waiters;
	if (w->next != NULL)
		w->next->link = &w->next;
	m->waiters = w;
}

static void take_out(struct waiter *w)
{
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
}

CURLcode multi_perform(struct multi *m, CURL *curl)
{
	struct waiter w = {.done = FL_EVENT_INIT};
	CURLcode code = curl_easy_setopt(curl, CURLOPT_PRIVATE, &w);
	if (code != CURLE_OK)
		return code;
	if (curl_multi_add_handle(m->curl, curl) != CURLM_OK)
		return CURLE_FAILED_INIT;
	add(m, &w);
	int rc = fl_event_wait(&w.done); /* the other fibers run during this wait */
	take_out(&w);
	(void)curl_multi_remove_handle(m->curl, curl);
	/* After a cancel the transfer was given up. */
	return rc == 0 ? w.code : CURLE_ABORTED_BY_CALLBACK;
}
