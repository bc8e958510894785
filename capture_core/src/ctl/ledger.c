/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/ledger.h"

static json_t *number(const ft_count *count)
{
	return json_integer((json_int_t)ft_count_read(count));
}

void ft_ledger_sum(const struct ft_ledger *ledgers, unsigned count, struct ft_ledger *sum)
{
	*sum = (struct ft_ledger){0};
	for (unsigned i = 0; i < count; i++) {
		const struct ft_ledger *one = &ledgers[i];

		ft_count_add(&sum->offered, ft_count_read(&one->offered));
		ft_count_add(&sum->dropped_kernel, ft_count_read(&one->dropped_kernel));
		ft_count_add(&sum->filtered, ft_count_read(&one->filtered));
		ft_count_add(&sum->excess, ft_count_read(&one->excess));
		ft_count_add(&sum->dropped_ring, ft_count_read(&one->dropped_ring));
		ft_count_add(&sum->coalesced, ft_count_read(&one->coalesced));
		ft_count_add(&sum->unstamped, ft_count_read(&one->unstamped));
		ft_count_add(&sum->stored, ft_count_read(&one->stored));
		ft_count_add(&sum->stored_bytes, ft_count_read(&one->stored_bytes));
		ft_count_add(&sum->dropped_disk, ft_count_read(&one->dropped_disk));
		ft_count_add(&sum->dropped_adapter, ft_count_read(&one->dropped_adapter));
	}
}

bool ft_ledger_balanced(const struct ft_ledger *ledger)
{
	return ft_count_read(&ledger->offered) ==
	       ft_count_read(&ledger->stored) + ft_count_read(&ledger->filtered) +
		       ft_count_read(&ledger->excess) + ft_count_read(&ledger->dropped_kernel) +
		       ft_count_read(&ledger->dropped_ring) + ft_count_read(&ledger->dropped_disk);
}

uint64_t ft_ledger_lost(const struct ft_ledger *ledger)
{
	return ft_count_read(&ledger->dropped_adapter) + ft_count_read(&ledger->dropped_kernel) +
	       ft_count_read(&ledger->dropped_ring) + ft_count_read(&ledger->dropped_disk);
}

void ft_ledger_report(const struct ft_ledger *ledger, json_t *object)
{
	json_object_set_new(object, "offered", number(&ledger->offered));
	json_object_set_new(object, "stored", number(&ledger->stored));
	json_object_set_new(object, "filtered", number(&ledger->filtered));
	json_object_set_new(object, "excess", number(&ledger->excess));
	json_object_set_new(object, "coalesced", number(&ledger->coalesced));
	json_object_set_new(object, "unstamped", number(&ledger->unstamped));
	json_object_set_new(
		object, "dropped",
		json_pack("{s:o, s:o, s:o, s:o}", "adapter", number(&ledger->dropped_adapter),
			  "kernel", number(&ledger->dropped_kernel), "ring",
			  number(&ledger->dropped_ring), "disk", number(&ledger->dropped_disk)));
	json_object_set_new(object, "bytes_stored", number(&ledger->stored_bytes));
}
