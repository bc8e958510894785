/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose stamps a port's frames get. The adapter's where its driver can stamp every received frame
 * and its clock was set by somebody; else the host's. Frames that are sent have the host's: most
 * adapters stamp none of them, and a driver would have to be asked frame by frame.
 */
#ifndef FT_PORT_STAMPS_H
#define FT_PORT_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/clock.h"
#include "ft/port.h"

struct ft_stamping {
	bool capable;	     /* the driver can stamp every received frame */
	bool adapter;	     /* and it does */
	int phc_index;	     /* -1: no clock of its own */
	uint32_t rx_filters; /* which it has, by HWTSTAMP_FILTER_ bits */
	uint64_t ahead_ns;   /* what to take off an adapter's stamp to get UTC */
	char clock[160];     /* for people: the adapter's clock, or why it is not the adapter's */

	char device[16];
};

/* Ask the driver. -EINVAL when the adapter's stamps are wanted and cannot be had. */
int ft_stamps_find(const char *device, const struct ft_port_options *options,
		   struct ft_stamping *stamping, struct ft_error *error);

/* Compare the clocks and switch stamping on; port/offload.h has written down what was on. */
int ft_stamps_start(const struct ft_port_options *options, struct ft_stamping *stamping,
		    struct ft_error *error);

/* Say of an interface where its frames' stamps come from. */
void ft_stamps_label(const struct ft_stamping *stamping, bool sent,
		     struct ft_port_interface *interface);

void ft_stamps_describe(const struct ft_stamping *stamping, json_t *object);

/*
 * Set a frame's stamp from what the kernel gave. For a frame that the adapter did not stamp it
 * silently gives the host's; `by_adapter` tells. A frame sent on may carry the stamp of the adapter
 * that received it: that is no stamp of ours, and hides the host's, so it gets the present time.
 */
static inline void ft_stamps_read(const struct ft_stamping *stamping, bool by_adapter, bool sent,
				  uint64_t stamp_ns, struct ft_frame *frame)
{
	frame->stamp_ns = stamp_ns;
	frame->unstamped = false;
	if (__builtin_expect(!stamping->adapter, 1))
		return;
	if (by_adapter && !sent)
		frame->stamp_ns = stamp_ns - stamping->ahead_ns;
	else if (by_adapter)
		frame->stamp_ns = ft_clock_utc_ns();
	frame->unstamped = by_adapter == sent;
}

#endif
