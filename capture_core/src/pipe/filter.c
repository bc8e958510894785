/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#define SNAP_BYTES 262144

struct ft_filter {
	struct bpf_program program;
};

/* The few link types whose DLT_ number differs from their LINKTYPE_ (pcap-linktype(7)). */
static int dlt_of(uint16_t link_type)
{
	return link_type == 101 ? DLT_RAW : link_type;
}

int ft_filter_compile(const char *expression, uint16_t link_type, struct ft_filter **filter,
		      struct ft_error *error)
{
	struct ft_filter *f = calloc(1, sizeof(*f));
	pcap_t *dead = pcap_open_dead(dlt_of(link_type), SNAP_BYTES);
	int rc = 0;

	if (f == NULL || dead == NULL)
		rc = ft_fail(error, -ENOMEM, "out of memory");
	else if (pcap_compile(dead, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN) != 0)
		rc = ft_fail(error, -EINVAL, "-f '%s': %s; see pcap-filter(7)", expression,
			     pcap_geterr(dead));
	if (dead != NULL)
		pcap_close(dead);
	if (rc != 0) {
		free(f);
		return rc;
	}
	*filter = f;
	return 0;
}

bool ft_filter_match(const struct ft_filter *filter, const struct ft_frame *frame)
{
	return bpf_filter(filter->program.bf_insns, frame->data, frame->length_bytes,
			  frame->captured_bytes) != 0;
}

void ft_filter_free(struct ft_filter *filter)
{
	if (filter == NULL)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}
