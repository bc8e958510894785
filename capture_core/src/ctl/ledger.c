/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/ledger.h"

static json_t *number(const ft_count *count)
{
	return json_integer((json_int_t)ft_count_read(count));
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
	json_object_set_new(
		object, "dropped",
		json_pack("{s:o, s:o, s:o, s:o}", "adapter", number(&ledger->dropped_adapter),
			  "kernel", number(&ledger->dropped_kernel), "ring",
			  number(&ledger->dropped_ring), "disk", number(&ledger->dropped_disk)));
	json_object_set_new(object, "bytes_stored", number(&ledger->stored_bytes));
}
