/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the fibers of a loop as a tree. Each fiber unwinds its own stack (fl__fiber_visit()). */
#include "../backtrace.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "loop/loop.h"
#include <stdlib.h>

enum { LOOP_DUMP_INDENT = 2 };

struct loop_dump_report {
	struct fl_fiber **fibers; /* sorted; NULL if there is no memory */
	/* indices of the ancestors of the printed fiber; allocated with `fibers` */
	size_t *path;
	size_t n;
	FILE *out;
	struct fl__symbols symbols;
};

static void loop_dump_take_stack(void *stack)
{
	fl__backtrace_take(stack, 0);
}

static void loop_dump_print_fiber(struct loop_dump_report *r, struct fl_fiber *f, int depth)
{
	struct fl__backtrace stack;
	(void)fprintf(r->out, "%*s%s (%llu) %s%s\n", depth * LOOP_DUMP_INDENT, "", fl_fiber_name(f),
	              (unsigned long long)f->in.ctx.id, fl__fiber_state(&f->in),
	              fl_cancel_token_is_requested(&f->token.token) ? ", is cancelled" : "");
	if (!fl__fiber_visit(&f->in, loop_dump_take_stack, &stack))
		return;
	for (int i = 0; i < FL__BACKTRACE_FRAMES && stack.at[i] != 0; i++) {
		char text[160];
		const char *function;
		fl__backtrace_describe(&r->symbols, stack.at[i], text, sizeof text, &function);
		(void)fprintf(r->out, "%*s#%d %s\n", (depth + 1) * LOOP_DUMP_INDENT, "", i, text);
	}
}

/* Orders fibers by parent, and then by age. */
static int loop_dump_compare(const void *a, const void *b)
{
	struct fl_fiber *x = *(struct fl_fiber *const *)a, *y = *(struct fl_fiber *const *)b;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->in.ctx.id < y->in.ctx.id ? -1 : 1;
}

static size_t loop_dump_first_child(const struct loop_dump_report *r, uint64_t parent)
{
	size_t low = 0, high = r->n;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (r->fibers[middle]->parent < parent)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Works without recursion, because the tree may be as deep as there are fibers. */
static void loop_dump_print_below(struct loop_dump_report *r, uint64_t parent)
{
	size_t depth = 0, i = loop_dump_first_child(r, parent);
	for (;;) {
		if (i < r->n && r->fibers[i]->parent == parent) {
			loop_dump_print_fiber(r, r->fibers[i], (int)depth + 1);
			r->path[depth++] = i;
			parent = r->fibers[i]->in.ctx.id;
			i = loop_dump_first_child(r, parent);
		} else if (depth > 0) {
			i = r->path[--depth];
			parent = r->fibers[i++]->parent;
		} else {
			return;
		}
	}
}

static bool loop_dump_has_fiber(const fl_loop *l, uint64_t id)
{
	FL__EACH (struct fl_fiber, f, l->all)
		if (f->in.ctx.id == id)
			return true;
	return false;
}

static void loop_dump_print_tree(struct loop_dump_report *r, const fl_loop *l)
{
	uint64_t last = 0;
	for (size_t i = 0; i < r->n; i++) {
		const uint64_t parent = r->fibers[i]->parent;
		if (parent != last && !loop_dump_has_fiber(l, parent))
			loop_dump_print_below(r, parent);
		last = parent;
	}
}

void fl_loop_dump(fl_loop *l, FILE *out)
{
	struct loop_dump_report t = {.out = out};
	fl__loop_check(l, "fl_loop_dump");
	FL__UNCANCELLED();
	fl__backtrace_learn_modules();
	FL__EACH (struct fl_fiber, f, l->all)
		t.n++;
	(void)fprintf(out, "event loop %p: %zu fibers\n", (void *)l, t.n);
	t.fibers = fl__alloc(t.n + 1, sizeof(struct fl_fiber *) + sizeof(size_t));
	size_t i = 0;
	for (struct fl_fiber *f = l->all; f; f = f->next, i++) {
		if (t.fibers)
			t.fibers[i] = f;
		else
			/* without memory the fibers are printed as a list */
			loop_dump_print_fiber(&t, f, 1);
	}
	if (t.fibers) {
		t.path = (size_t *)(void *)(t.fibers + t.n);
		qsort(t.fibers, t.n, sizeof(struct fl_fiber *), loop_dump_compare);
		loop_dump_print_tree(&t, l);
		fl__free(t.fibers);
	}
	fl__symbols_end(&t.symbols);
}
