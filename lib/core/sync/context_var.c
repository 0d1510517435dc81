/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Context variables. A context's values are a list of entries, newest first. The first entry of a
 * variable counts. An entry refers to a binding, which has the value; without one the variable has
 * its default.
 *
 *   word          meaning                                     written by
 *   entry.refs    references to the entry: of a context, a    fl__values_ref(): add;
 *                 copy, a token, a younger entry              values_drop(): subtract
 *   binding.refs  references to the binding, of entries       values_bind(): add;
 *                                                             values_unbind(): subtract
 *
 * Invariants
 *   1. An entry is immutable, but for its count, once a context or a token refers to it. So a copy
 *      of a list is one reference to its first entry.
 *   2. Only the context itself uses ctx->front.values. Other threads use their own references.
 *   3. A caller makes a new reference from one that it has, so the count is not 0. The subtraction
 *      that leaves 0 acquires what all others released: then no context reads the entry or has the
 *      value.
 *   4. Between a set with a token and its reset the token has three references: to the list
 *      `before` the set, to the list `after` it, and to a spare entry. So the reset needs no
 *      memory: it makes the context's list `before` if it is `after`; else it adds the spare entry,
 *      with the variable's binding in `before`.
 *   5. A set, and a reset that adds an entry, remove all older entries of the variable, by copying
 *      the entries before the last of them. A reset without memory leaves them. So a list has at
 *      most an entry for each variable and token.
 *   6. No list of the caller is half-changed when values are released: `release` may use context
 *      variables.
 *
 * Progress: wait-free, but for the allocator and `release`.
 */
#include "context_var.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "local.h"
#include <errno.h>
#include <fairlead/context_var.h>

struct values_binding {
	uint32_t refs;
	void (*release)(void *value);
	void *value;
};

struct fl__values {
	uint32_t refs;
	struct fl__values *next; /* older; NULL: the last */
	const fl_context_var *var;
	struct values_binding *binding; /* NULL: the default */
};

static struct values_binding *values_bind(struct values_binding *binding)
{
	if (binding)
		fl__add_relaxed(&binding->refs, 1); /* invariant 3 */
	return binding;
}

static void values_unbind(struct values_binding *binding, bool releases)
{
	/* all uses of the value; pairs with itself */
	if (!binding || fl__sub_acq_rel(&binding->refs, 1) != 1)
		return;
	if (releases && binding->release && binding->value)
		binding->release(binding->value);
	fl__free(binding);
}

struct fl__values *fl__values_ref(struct fl__values *values)
{
	fl__add_relaxed(&values->refs, 1); /* invariant 3 */
	return values;
}

static void values_drop(struct fl__values *values, bool releases)
{
	/* all reads of the entry; pairs with itself */
	while (values && fl__sub_acq_rel(&values->refs, 1) == 1) {
		struct fl__values *next = values->next;
		values_unbind(values->binding, releases);
		fl__free(values);
		values = next;
	}
}

void fl__values_unref(struct fl__values *values)
{
	values_drop(values, true);
}

void fl__values_clear(struct fl__ctx *ctx)
{
	fl__values_leave(ctx, NULL);
}

void fl__values_forget(struct fl__ctx *ctx)
{
	struct fl__values *values = ctx->front.values;
	ctx->front.values = NULL;
	values_drop(values, false);
}

/* The first entry of `var`; NULL: there is none. */
static struct fl__values *values_find(struct fl__values *values, const fl_context_var *var)
{
	while (values && values->var != var)
		values = values->next;
	return values;
}

/* Takes over both references. NULL: out of memory, nothing is taken over. */
static struct fl__values *values_add(struct fl__values *next, const fl_context_var *var, struct values_binding *binding)
{
	struct fl__values *entry = fl__alloc(1, sizeof *entry);
	if (entry)
		*entry = (struct fl__values){.refs = 1, .next = next, .var = var, .binding = binding};
	return entry;
}

/*
 * `*to`: `values` without entries of `var`; copies those before the last of them. False: out of
 * memory, and `*to` has a part.
 */
static bool values_without(struct fl__values *values, const fl_context_var *var, struct fl__values **to)
{
	struct fl__values *found;
	while ((found = values_find(values, var)) != NULL) {
		for (; values != found; values = values->next) {
			*to = values_add(NULL, values->var, values_bind(values->binding));
			if (!*to) {
				values_unbind(values->binding, true); /* not the last reference */
				return false;
			}
			to = &(*to)->next;
		}
		values = found->next;
	}
	*to = values ? fl__values_ref(values) : NULL;
	return true;
}

static int values_set_failed(struct fl__values *rest, struct values_binding *binding, struct fl__values *spare)
{
	fl__values_free(rest);
	fl__free(binding);
	fl__values_free(spare);
	return -ENOMEM;
}

void *fl_context_var_get(const fl_context_var *var)
{
	const struct fl__ctx *ctx = fl__ctx_current;
	const struct fl__values *entry = ctx ? values_find(ctx->front.values, var) : NULL;
	return entry && entry->binding ? entry->binding->value : var->default_;
}

int fl_context_var_set(fl_context_var *var, void *value, fl_context_token *token)
{
	struct fl__ctx *ctx = fl__ctx_get();
	struct fl__values *before = ctx->front.values, *rest = NULL;
	fl__local_watch_end();
	struct values_binding *binding = fl__alloc(1, sizeof *binding);
	struct fl__values *spare = token ? values_add(NULL, var, NULL) : NULL;
	const bool made = binding && (!token || spare) && values_without(before, var, &rest);
	struct fl__values *after = made ? values_add(rest, var, binding) : NULL;
	if (!after)
		return values_set_failed(rest, binding, spare);
	*binding = (struct values_binding){.refs = 1, .release = var->release_, .value = value};
	ctx->front.values = after;
	if (token)
		*token = (fl_context_token){before, fl__values_ref(after), spare, ctx->id};
	else
		fl__values_free(before);
	return 0;
}

/* Makes `spare`, which it takes over, the context's first entry, with the binding of `old`. */
static void values_restore(struct fl__ctx *ctx, struct fl__values *spare, const struct fl__values *old)
{
	struct fl__values *now = ctx->front.values, *rest = NULL;
	spare->binding = old ? values_bind(old->binding) : NULL;
	if (values_without(now, spare->var, &rest)) {
		spare->next = rest;
	} else { /* out of memory: the variable's entries stay, behind `spare` */
		fl__values_free(rest);
		spare->next = now;
		now = NULL;
	}
	ctx->front.values = spare;
	fl__values_free(now);
}

void fl_context_var_reset(fl_context_token *token)
{
	const fl_context_token t = *token;
	if (!t.spare_)
		return;
	struct fl__ctx *ctx = fl__ctx_get();
	if (t.context_ != ctx->id)
		fl__panic("fl_context_var_reset", token, "the token is of another context");
	*token = (fl_context_token){0};
	struct fl__values *now = ctx->front.values;
	if (now == t.after_) {
		ctx->front.values = t.before_;
		fl__values_free(now);
		fl__values_unref(t.spare_);
	} else {
		values_restore(ctx, t.spare_, values_find(t.before_, t.spare_->var));
		fl__values_free(t.before_);
	}
	fl__values_unref(t.after_);
}

static void values_check_not_running(const char *function, const fl_context_values *values)
{
	if (values->running_)
		fl__panic(function, values, "a context runs with these values");
}

void fl_context_values_copy(fl_context_values *values)
{
	values_check_not_running("fl_context_values_copy", values);
	struct fl__values *old = values->values_;
	values->values_ = fl__values_copy();
	fl__values_free(old);
}

int fl_context_values_run(fl_context_values *values, int (*function)(void *arg), void *arg)
{
	values_check_not_running("fl_context_values_run", values);
	struct fl__ctx *ctx = fl__ctx_get();
	values->running_ = 1;
	struct fl__values *outer = fl__values_enter(ctx, values->values_);
	const int rc = function(arg);
	values->values_ = fl__values_enter(ctx, outer);
	values->running_ = 0;
	return rc;
}

void fl_context_values_free(fl_context_values *values)
{
	values_check_not_running("fl_context_values_free", values);
	struct fl__values *old = values->values_;
	values->values_ = NULL;
	fl__values_free(old);
}
