/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which back end a run sends by: the fastest that is known to deliver. Where its frames might
 * vanish without a word, a few with a signature of no run are sent, and counted at the port and,
 * where frames should come back, at that port too. It is done before the receiver's window opens,
 * and a frame that is later still counts as foreign there.
 */
#ifndef FT_GEN_PROBE_H
#define FT_GEN_PROBE_H

#include <stdbool.h>

#include "ft/error.h"
#include "gen/transmit.h"

struct ft_probe {
	bool floods;	   /* the run is nothing but one frame at top speed: live can do it */
	const char *input; /* where frames should come back; NULL: nobody looks */
};

/*
 * Open a back end of `transmit`: the one that its port names, or the fastest that is confirmed.
 * Fills `refused` with the others. -EOPNOTSUPP, or what opening says, where there is none;
 * -ECANCELED where `given_up` of `transmit` said so.
 */
int ft_probe_choose(struct ft_transmit *transmit, const struct ft_probe *probe,
		    struct ft_error *error);

#endif
