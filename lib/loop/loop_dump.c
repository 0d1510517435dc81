/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fibers of a loop as a tree. Each fiber unwinds its own stack: the caller switches to the
 * fiber for that, and back (fl__fiber_visit()).
 */
#include "../base/sys.h"
#include "../debug/symbols.h"
#include "loop.h"
#include "loop_debug.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <unwind.h>

enum { FRAMES = 48, INDENT = 2 };

struct report {
	struct fl_fiber **fibers; /* sorted; NULL: no memory */
	size_t *path;             /* the ancestors of the printed fiber; allocated with `fibers` */
	size_t n;
	FILE *out;
	struct fl__symbols symbols;
};

struct stack {
	int n;
	uintptr_t at[FRAMES];
};

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *arg)
{
	struct stack *stack = arg;
	stack->at[stack->n++] = _Unwind_GetIP(context);
	return stack->n < FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void take_stack(void *stack)
{
	(void)_Unwind_Backtrace(take_frame, stack);
}

/* A return address lies behind the call. */
static void print_frame(struct report *r, int depth, int n, uintptr_t at)
{
	Dl_info info;
	uintptr_t into;
	const uintptr_t call = at - 1;
	(void)fprintf(r->out, "%*s#%d ", depth * INDENT, "", n);
	if (dladdr((void *)call, &info) == 0 || !info.dli_fname) { /* NOLINT(performance-no-int-to-ptr) */
		(void)fprintf(r->out, "%#lx\n", (unsigned long)at);
		return;
	}
	const uintptr_t base = (uintptr_t)info.dli_fbase;
	const char *name = fl__symbol_of(&r->symbols, info.dli_fname, base, call, &into);
	if (name)
		(void)fprintf(r->out, "%s+%#lx\n", name, (unsigned long)into);
	else
		(void)fprintf(r->out, "%s(+%#lx)\n", info.dli_fname, (unsigned long)(call - base));
}

static struct fl__fiber *inner(struct fl_fiber *f)
{
	return fl__fiber_of_extra(f);
}

static uint64_t id_of(struct fl_fiber *f)
{
	return fl__fiber_ctx(inner(f))->id;
}

static void print_fiber(struct report *r, struct fl_fiber *f, int depth)
{
	struct stack stack = {0};
	(void)fprintf(r->out, "%*s%s (%llu) %s%s\n", depth * INDENT, "", fl_fiber_name(f), (unsigned long long)id_of(f),
	              fl__fiber_state(inner(f)), fl_cancel_token_is_requested(&f->token.token) ? ", is cancelled" : "");
	if (!fl__fiber_visit(inner(f), take_stack, &stack))
		return;
	for (int i = 0; i < stack.n && stack.at[i] != 0; i++)
		print_frame(r, depth + 1, i, stack.at[i]);
}

/* By the id of the context that started the fiber, then by age. */
static int compare(const void *a, const void *b)
{
	struct fl_fiber *x = *(struct fl_fiber *const *)a, *y = *(struct fl_fiber *const *)b;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return id_of(x) < id_of(y) ? -1 : 1;
}

/* The index of the first fiber that `parent` started. */
static size_t first_of(const struct report *r, uint64_t parent)
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

/*
 * Prints the fibers that `parent` started, and all below them. It does not recurse: the tree may be
 * as deep as there are fibers, and the caller may have only a fiber's stack.
 */
static void print_below(struct report *r, uint64_t parent)
{
	size_t depth = 0, i = first_of(r, parent);
	for (;;) {
		if (i < r->n && r->fibers[i]->parent == parent) {
			print_fiber(r, r->fibers[i], (int)depth + 1);
			r->path[depth++] = i;
			parent = id_of(r->fibers[i]);
			i = first_of(r, parent);
		} else if (depth > 0) {
			i = r->path[--depth];
			parent = r->fibers[i++]->parent;
		} else {
			return;
		}
	}
}

static bool is_there(const fl_loop *l, uint64_t id)
{
	for (struct fl_fiber *f = l->all; f; f = f->next)
		if (id_of(f) == id)
			return true;
	return false;
}

/* Prints each fiber whose parent has ended, or was no fiber, with all fibers below it. */
static void print_tree(struct report *r, const fl_loop *l)
{
	uint64_t last = 0;
	for (size_t i = 0; i < r->n; i++) {
		const uint64_t parent = r->fibers[i]->parent;
		if (parent != last && !is_there(l, parent))
			print_below(r, parent);
		last = parent;
	}
}

void fl_loop_dump(fl_loop *l, FILE *out)
{
	struct report t = {.out = out};
	fl__loop_check(l, "fl_loop_dump");
	for (struct fl_fiber *f = l->all; f; f = f->next)
		t.n++;
	(void)fprintf(out, "event loop %p: %zu fibers\n", (void *)l, t.n);
	t.fibers = fl__alloc(t.n + 1, sizeof(struct fl_fiber *) + sizeof(size_t));
	size_t i = 0;
	for (struct fl_fiber *f = l->all; f; f = f->next, i++) {
		if (t.fibers)
			t.fibers[i] = f;
		else
			print_fiber(&t, f, 1); /* without memory: a list in place of the tree */
	}
	if (t.fibers) {
		t.path = (size_t *)(void *)(t.fibers + t.n);
		qsort(t.fibers, t.n, sizeof(struct fl_fiber *), compare);
		print_tree(&t, l);
		fl__free(t.fibers);
	}
	fl__symbols_end(&t.symbols);
}
