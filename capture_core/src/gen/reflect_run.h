/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a reflector, shared by reflect.c (its course) and reflect_status.c (its account). */
#ifndef FT_GEN_REFLECT_RUN_H
#define FT_GEN_REFLECT_RUN_H

#include <net/if.h>

#include "ctl/guardian.h"
#include "ctl/privileges.h"
#include "ft/counters.h"
#include "ft/manager.h"
#include "ft/reflect.h"
#include "gen/reflect_program.h"
#include "port/offload.h"

/* Owned by the main thread; there is no other. */
struct ft_reflect_run {
	const struct ft_reflect_settings *settings;
	struct ft_manager *manager;
	struct ft_guardian *guardian;
	struct ft_xdp_device device;
	struct ft_offload offload;
	int membership_fd; /* keeps the port promiscuous; -1: none */
	int claim_fd;	   /* no other engine sends by the port; -1: it is not claimed */
	struct ft_reflect_program program;
	struct ft_privileges kept;
	uint64_t end_ns;		 /* monotonic */
	uint64_t started_ns, stopped_ns; /* UTC; 0: not yet */
	struct ft_counters before, now;	 /* of the port */
	struct ft_reflect_count counts[FT_REFLECT_OUTCOMES];
	bool told_capped, told_dropped;
	const char *stop_reason;
	bool failed; /* and an alarm has said why */
};

/* Read the counts of program and port. -ENODEV when the port has gone. */
int ft_reflect_look(struct ft_reflect_run *run, struct ft_error *error);

/* The manager's `status`. */
json_t *ft_reflect_status(void *run);

/* The run in words, on stderr. */
void ft_reflect_summarize(const struct ft_reflect_run *run);

/* Write the report where --report asks for it. */
int ft_reflect_report(const struct ft_reflect_run *run, struct ft_error *error);

#endif
