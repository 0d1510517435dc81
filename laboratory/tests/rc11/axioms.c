/* SPDX-License-Identifier: BSD-2-Clause */
/* The relations and the axioms of RC11, one function each, as the paper defines them. */
#include "axioms.h"

bool rc11_cxx20;

/* Returns the events of the operations with that use. */
static event_set used(const execution *x, char use)
{
	event_set set = 0;
	FOR_EVENTS(e, x->all)
	if (x->event[e].op && x->event[e].op->use == use)
		set |= bit(e);
	return set;
}

/* r1 ; r2 ; r3 */
static relation seq3(relation r1, relation r2, relation r3)
{
	return rel_seq(rel_seq(r1, r2), r3);
}

/*
 * rs = [W] ; sb|loc? ; [W, at least rlx] ; (rf ; rmw)*. Each write of the program is at least rlx.
 * The initial writes are not; but nothing comes before them, and they release nothing.
 */
static relation release_sequence(const execution *x)
{
	relation same_thread = rel_between(x->writes, rc11_cxx20 ? rel_id(x->writes) : rel_maybe(x->sb_loc), x->writes);
	return rel_seq(same_thread, rel_maybe(rel_plus(rel_seq(x->rf, x->rmw))));
}

/*
 * sw = [E, at least rel] ; ([F] ; sb)? ; rs ; rf ; [R, at least rlx] ; (sb ; [F])? ; [E, at least
 * acq]. The fences of C11 are about accesses to atomic objects. So a fence has no part in what a
 * step on another object, or the kernel, writes or reads.
 */
static relation synchronizes_with(const execution *x)
{
	event_set readers = used(x, 'r'), atomics = x->all & ~(readers | used(x, 'o') | used(x, 'k'));
	relation from_fence = rel_maybe(rel_between(x->fences, x->sb, atomics));
	relation to_fence = rel_maybe(rel_between(atomics, x->sb, x->fences));
	relation carried = rel_seq(release_sequence(x), x->rf);
	relation sw = rel_between(x->at_least_rel, seq3(from_fence, carried, to_fence), x->at_least_acq);
	return rel_minus(sw, rel_between(readers, sw, readers));
}

/* hb = (sb | sw)+ */
relation rc11_hb(const execution *x)
{
	return rel_plus(rel_or(x->sb, synchronizes_with(x)));
}

/*
 * rb = rf^-1 ; mo. That no event is before itself needs no check, since an event reads or writes.
 */
static relation reads_before(const execution *x)
{
	return rel_seq(rel_inverse(x->rf), x->mo);
}

/* eco = (rf | mo | rb)+ */
static relation extended_coherence_order(const execution *x)
{
	return rel_plus(rel_or(x->rf, rel_or(x->mo, x->rb)));
}

/* scb = sb | sb|/=loc ; hb ; sb|/=loc | hb|loc | mo | rb */
static relation sc_before(const execution *x)
{
	relation sb_other = rel_minus(x->sb, x->sb_loc);
	relation across = seq3(sb_other, x->hb, sb_other);
	relation hb_loc = rel_and(x->hb, x->same_loc);
	return rel_or(rel_or(x->sb, across), rel_or(hb_loc, rel_or(x->mo, x->rb)));
}

/* psc_base = ([E sc] | [F sc] ; hb?) ; scb ; ([E sc] | hb? ; [F sc]) */
static relation psc_base(const execution *x)
{
	event_set sc_fences = x->sc & x->fences;
	relation from = rel_or(rel_id(x->sc), rel_between(sc_fences, rel_maybe(x->hb), x->all));
	relation to = rel_or(rel_id(x->sc), rel_between(x->all, rel_maybe(x->hb), sc_fences));
	return seq3(from, sc_before(x), to);
}

/* psc_F = [F sc] ; (hb | hb ; eco ; hb) ; [F sc] */
static relation psc_fence(const execution *x)
{
	event_set sc_fences = x->sc & x->fences;
	return rel_between(sc_fences, rel_or(x->hb, seq3(x->hb, x->eco, x->hb)), sc_fences);
}

void rc11_derive(execution *x)
{
	x->hb = rc11_hb(x);
	x->rb = reads_before(x);
	x->eco = extended_coherence_order(x);
	x->psc = x->sc ? rel_or(psc_base(x), psc_fence(x)) : (relation){{0}};
}

/* sb | rf is acyclic */
static bool no_thin_air(const execution *x)
{
	return rel_acyclic(rel_or(x->sb, x->rf));
}

/* hb ; eco? is irreflexive */
static bool coherence(const execution *x)
{
	return rel_irreflexive(rel_seq(x->hb, rel_maybe(x->eco)));
}

/* rmw & (rb ; mo) is empty */
static bool atomicity(const execution *x)
{
	return rel_empty(rel_and(x->rmw, rel_seq(x->rb, x->mo)));
}

/* psc = psc_base | psc_F is acyclic */
static bool sequential_consistency(const execution *x)
{
	return rel_acyclic(x->psc);
}

/*
 * The wait for a futex must find the newest store, in an order of sb, rf and the stores of the
 * word.
 */
static bool newest(const execution *x)
{
	event_set waits = used(x, 'k'), words = 0;
	FOR_EVENTS(e, waits)
	words |= x->at[x->event[e].location];
	relation known = rel_or(rel_between(words, x->mo, words), rel_between(waits, x->rb, x->all));
	return rel_acyclic(rel_or(rel_or(x->sb, x->rf), known));
}

bool rc11_races(const execution *x)
{
	event_set frees = used(x, 'f'), plain = used(x, 'p') | frees;
	relation writes = rel_between(x->writes, x->same_loc, x->all);
	relation conflicts = rel_or(rel_between(plain, writes, x->all), rel_between(x->all, writes, plain));
	relation unordered = rel_minus(rel_minus(conflicts, x->hb), rel_inverse(x->hb));
	relation after = rel_minus(rel_between(x->all, x->same_loc, frees), x->hb);
	return !rel_empty(rel_minus(rel_or(unordered, after), rel_id(x->all)));
}

bool rc11_consistent(const execution *x)
{
	return no_thin_air(x) && coherence(x) && atomicity(x) && sequential_consistency(x) && newest(x);
}

bool rc11_prompt(const execution *x)
{
	return rel_acyclic(rel_or(rel_or(x->sb, x->rf), rel_or(x->mo, x->psc)));
}
