/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chat: a line from one client goes to all other clients.
 *
 *   chat [PORT [PATIENCE]]
 *
 * The port is 7001, or PORT; with 0 the system chooses it. You can try `nc 127.0.0.1 7001`.
 *
 * Each client has two tasks, a reader and a writer, and a queue between all readers and its writer.
 * A reader waits while the queue of a listener is full, so memory is bounded. While it waits, it
 * does not read from its client, so TCP slows that client down. A full queue is no reason to
 * disconnect a listener: many lines that arrive at once fill it before its writer runs. The writer
 * decides: it disconnects a listener whose connection has not taken a line for PATIENCE
 * milliseconds (2000).
 */
#include <errno.h>
#include <fairlead.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 32
#define LINE_MAX_BYTES 1024
#define OUTBOX 16

/* One line for all its receivers. All tasks run on one thread, so a plain counter suffices. */
struct text {
	unsigned references;
	size_t size;
	char bytes[LINE_MAX_BYTES + NAME_MAX_BYTES];
};
FL_QUEUE_OF(struct text *, outbox)

struct room {
	struct client *first;
	size_t count;
	int64_t patience; /* for the write of a line */
};

struct client {
	struct room *room;
	struct client *next, **link;
	fl_stream *stream; /* NULL if the client is gone */
	outbox *outbox;
	unsigned references; /* held by its tasks, and by readers that put a line into its outbox */
	char name[NAME_MAX_BYTES];
};

static void text_release(struct text *t)
{
	if (--t->references == 0)
		free(t);
}

static void drop(void *item, void *unused)
{
	(void)unused;
	text_release(*(struct text **)item);
}

static void client_release(struct client *c)
{
	if (--c->references > 0)
		return;
	fl_stream_free(c->stream);
	outbox_free(c->outbox);
	free(c);
}

/* Takes ownership of the stream. Returns NULL if there is no memory. */
static struct client *client_create(struct room *room, fl_stream *stream)
{
	struct client *c = calloc(1, sizeof *c);
	if (c == NULL || outbox_create(&c->outbox, &(fl_queue_config){.capacity = OUTBOX, .drop = drop}) != 0) {
		free(c);
		fl_stream_free(stream);
		return NULL;
	}
	c->room = room;
	c->stream = stream;
	c->references = 1;
	return c;
}

static void enter(struct client *c)
{
	c->next = c->room->first;
	c->link = &c->room->first;
	if (c->next != NULL)
		c->next->link = &c->next;
	c->room->first = c;
	c->room->count++;
}

static void leave(struct client *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	c->room->count--;
}

static void throw_out(struct client *c)
{
	printf("%s does not read, and is thrown out\n", c->name);
	(void)fflush(stdout);
	fl_stream_abort(c->stream); /* ends the client's tasks */
	outbox_close(c->outbox);
}

/*
 * May wait for space in the outbox: the client's writer makes it, or closes the outbox. The client
 * may leave during the wait, so the caller holds a reference.
 */
static int deliver(struct client *c, struct text *t)
{
	t->references++;
	int rc = outbox_put(c->outbox, t);
	if (rc != 0)
		t->references--; /* the reader keeps another reference */
	return rc == -ECANCELED ? rc : 0;
}

/*
 * To all clients but one. The receivers are chosen before the first wait, since clients come and go
 * during each wait.
 */
static int deliver_to_others(struct client *speaker, struct text *t)
{
	struct room *room = speaker->room;
	struct client **others = malloc((room->count + 1) * sizeof(struct client *));
	size_t n = 0;
	int rc = 0;
	if (others == NULL)
		return -ENOMEM;
	for (struct client *c = room->first; c != NULL; c = c->next) {
		if (c == speaker)
			continue;
		c->references++;
		others[n++] = c;
	}
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = deliver(others[i], t);
		client_release(others[i]);
	}
	free(others);
	return rc;
}

static int say(struct client *speaker, const char *format, ...) FL_PRINTF(2, 3);

static int say(struct client *speaker, const char *format, ...)
{
	struct text *t = malloc(sizeof *t);
	if (t == NULL)
		return -ENOMEM;
	va_list args;
	va_start(args, format);
	int length = vsnprintf(t->bytes, sizeof t->bytes, format, args);
	va_end(args);
	t->references = 1;
	t->size = length < 0 ? 0 : (size_t)length < sizeof t->bytes ? (size_t)length : sizeof t->bytes - 1;
	int rc = deliver_to_others(speaker, t);
	text_release(t);
	return rc;
}

static int write_out(void *arg)
{
	struct client *c = arg;
	struct text *t;
	while (outbox_get(c->outbox, &t) == 0) { /* until it is closed and empty */
		int rc = fl_stream_write_until(c->stream, t->bytes, t->size, fl_after(c->room->patience), NULL);
		text_release(t);
		if (rc == -ETIMEDOUT && !outbox_is_closed(c->outbox)) {
			throw_out(c);
		} else if (rc != 0) { /* disconnected; the reader finds out by itself */
			fl_stream_abort(c->stream);
			outbox_close(c->outbox);
		}
	}
	return 0;
}

static void talk(struct client *c)
{
	static const char question[] = "Your name?\n";
	char line[LINE_MAX_BYTES];
	if (fl_stream_write(c->stream, question, sizeof question - 1) != 0 ||
	    fl_stream_read_line_until(c->stream, line, sizeof line, fl_after(FL_S(60)), NULL) <= 0)
		return;
	line[strcspn(line, "\r\n")] = '\0';
	(void)snprintf(c->name, sizeof c->name, "%.*s", NAME_MAX_BYTES - 1, line);
	enter(c);
	int rc = say(c, "* %s has come\n", c->name);
	while (rc == 0 && fl_stream_read_line(c->stream, line, sizeof line) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		rc = say(c, "%s: %s\n", c->name, line);
	}
	leave(c);
	rc = say(c, "* %s has gone\n", c->name);
	if (rc != 0)
		fprintf(stderr, "chat: %s leaves unheard: %s\n", c->name, fl_error_text(rc));
}

/* A client's task: it reads; its child task writes. */
static int attend(void *arg)
{
	struct client *c = arg;
	FL_SCOPED(fl_group) writer = FL_GROUP_INIT(NULL);
	if (fl_group_start(&writer, write_out, c) == 0)
		talk(c);
	outbox_close(c->outbox);           /* the writer still writes what is in it */
	FL_IGNORE(fl_group_join(&writer)); /* an error of one client does not stop the others */
	fl_stream_free(c->stream);
	c->stream = NULL;
	client_release(c);
	return 0;
}

static int server(void *arg)
{
	const int *numbers = arg;
	struct room room = {.patience = FL_MS(numbers[1])};
	FL_SCOPED(fl_listener) *l = NULL;
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", (uint16_t)numbers[0], NULL);
	if (rc != 0)
		return rc;
	printf("listening on 127.0.0.1:%u\n", (unsigned)fl_listener_port(l));
	(void)fflush(stdout);

	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	fl_stream *s;
	while ((rc = fl_listener_accept(l, &s)) == 0) {
		struct client *c = client_create(&room, s);
		if (c != NULL && fl_group_start(&clients, attend, c) != 0)
			client_release(c);
	}
	fl_group_cancel(&clients);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	return rc;
}

int main(int argc, char **argv)
{
	int numbers[] = {argc > 1 ? atoi(argv[1]) : 7001, argc > 2 ? atoi(argv[2]) : 2000};
	int rc = fl_loop_run(server, numbers);
	return rc == 0 ? 0 : fl_perror(rc, "chat");
}
