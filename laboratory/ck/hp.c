/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of ck_hp.c that the library calls, for the model. The original is compiled into
 * libck, where the model sees nothing. This file has the same steps as version 0.7.1, in the same
 * order, with the ck_pr.h of this folder. It is linked before libck, and is therefore used instead
 * of the original.
 */
#include <ck_hp.h>
#include <string.h>

ck_hp_record_t *ck_hp_recycle(ck_hp_t *global)
{
	if (ck_pr_load_uint(&global->n_free) == 0)
		return NULL;
	ck_stack_entry_t *e = ck_pr_load_ptr(&global->subscribers.head);
	ck_pr_fence_load(); /* ck relies on a dependency here (depends.h) */
	for (; e; e = e->next) {
		ck_hp_record_t *record = (ck_hp_record_t *)(void *)((char *)e - offsetof(ck_hp_record_t, global_entry));
		if (ck_pr_load_int(&record->state) != CK_HP_FREE)
			continue;
		ck_pr_fence_load();
		if (ck_pr_fas_int(&record->state, CK_HP_USED) == CK_HP_FREE) {
			ck_pr_dec_uint(&global->n_free);
			return record;
		}
	}
	return NULL;
}

void ck_hp_unregister(ck_hp_record_t *record)
{
	record->n_pending = 0;
	record->n_peak = 0;
	record->n_reclamations = 0;
	ck_stack_init(&record->pending);
	ck_pr_fence_store();
	ck_pr_store_int(&record->state, CK_HP_FREE);
	ck_pr_inc_uint(&record->global->n_free);
}

void ck_hp_register(ck_hp_t *global, ck_hp_record_t *record, void **pointers)
{
	record->state = CK_HP_USED;
	record->global = global;
	record->pointers = pointers;
	record->n_pending = 0;
	record->n_peak = 0;
	record->n_reclamations = 0;
	memset(pointers, 0, global->degree * sizeof(void *));
	ck_stack_init(&record->pending);
	ck_pr_fence_store();
	ck_stack_push_upmc(&global->subscribers, &record->global_entry);
	ck_pr_inc_uint(&global->n_subscribers);
}
