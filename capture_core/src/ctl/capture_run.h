/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a capture run, shared by capture.c (its course) and capture_status.c (its account).
 */
#ifndef FT_CTL_CAPTURE_RUN_H
#define FT_CTL_CAPTURE_RUN_H

#include "ft/capture.h"
#include "ft/filter.h"
#include "ft/ledger.h"
#include "ft/manager.h"
#include "ft/pcapng.h"
#include "ft/port.h"
#include "pipe/hot.h"
#include "store/output.h"
#include "store/writer.h"

struct ft_capture_port {
	struct ft_ledger ledger;
	struct ft_port *port;
	struct ft_filter *filter;
	struct ft_pool *pool;
	struct ft_hot hot;
	struct ft_port_wire wire;
	uint32_t first_interface;
	bool running;
	bool told; /* its error has been said */
};

/* Owned by the main thread; see the parts for what other threads write. */
struct ft_capture_run {
	const struct ft_capture_settings *settings;
	struct ft_manager *manager;
	struct ft_stop stop;
	unsigned port_count;
	unsigned interface_count;
	struct ft_capture_port ports[FT_CAPTURE_MAX_PORTS];
	struct ft_output *output;
	struct ft_writer writer;
	uint64_t started_ns, stopped_ns; /* UTC; 0: not yet */
	uint64_t waiting_since_ns;	 /* monotonic */
	const char *stop_reason;
	bool abandoned;	  /* a second signal came: no more waiting for a reader */
	bool output_told; /* its error has been said */
	bool failed;
};

/* Serve until the run should stop; returns why. */
const char *ft_capture_wait(struct ft_capture_run *run);

/* Raise an alarm for every failure of a thread that has not been told yet. */
void ft_capture_tell_failures(struct ft_capture_run *run);

/* The final statistics of pcapng interface `interface`. */
void ft_capture_statistics(const struct ft_capture_run *run, uint32_t interface,
			   struct ft_pcapng_statistics *statistics);

uint64_t ft_capture_lost(const struct ft_capture_run *run);

/* The run in words, on stderr. */
void ft_capture_summarize(const struct ft_capture_run *run);

/* Write the report where --report asks for it. */
int ft_capture_report(const struct ft_capture_run *run, struct ft_error *error);

#endif
