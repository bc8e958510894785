/* SPDX-License-Identifier: Apache-2.0 */
#include "port/listeners.h"

#include <linux/if_ether.h>
#include <stdio.h>

/* A heading, then a line a socket (net/packet/af_packet.c packet_seq_show). */
bool ft_port_has_listener(int ifindex)
{
	FILE *file = fopen("/proc/net/packet", "re");
	bool found = false;
	char line[256];

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		unsigned protocol, bound_to;

		found = sscanf(line, "%*s %*d %*d %x %u", &protocol, &bound_to) == 2 &&
			protocol == ETH_P_ALL && bound_to == (unsigned)ifindex;
	}
	fclose(file);
	return found;
}
