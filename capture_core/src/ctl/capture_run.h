/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a capture run, shared by capture.c (its course), capture_ports.c (what frames come
 * from), capture_output.c (where they go) and capture_status.c (its account).
 */
#ifndef FT_CTL_CAPTURE_RUN_H
#define FT_CTL_CAPTURE_RUN_H

#include "ctl/guardian.h"
#include "ctl/privileges.h"
#include "ctl/session.h"
#include "ctl/watch.h"
#include "ft/capture.h"
#include "ft/filter.h"
#include "ft/ledger.h"
#include "ft/manager.h"
#include "ft/pcapng.h"
#include "ft/port.h"
#include "pipe/hot.h"
#include "store/indexer.h"
#include "store/output.h"
#include "store/writer.h"

#define FT_CAPTURE_PROGRAM "ft-capture"

struct ft_capture_port {
	struct ft_hot_port shared; /* the port, and its queues' ledgers */
	struct ft_filter *filter;
	struct ft_hot *hots; /* one a queue */
	struct ft_pool *pools[FT_PORT_MAX_QUEUES];
	struct ft_port_wire wire;
	bool open;	  /* its window */
	unsigned running; /* of its threads */
	bool told;	  /* its error has been said */
};

/* Owned by the main thread; see the parts for what other threads write. */
struct ft_capture_run {
	const struct ft_capture_settings *settings;
	struct ft_manager *manager;
	struct ft_stop stop;
	struct ft_rotation rotation;
	struct ft_flow_key flow_key;
	uint8_t session_id[16];
	unsigned port_count;
	unsigned interface_count;
	unsigned hot_count;
	struct ft_capture_port ports[FT_CAPTURE_MAX_PORTS];
	struct ft_session *session; /* NULL: not into a directory */
	struct ft_guardian *guardian;
	struct ft_privileges privileges;
	struct ft_watch watch;
	bool ring;		  /* files are named and numbered as a ring's */
	char path[FT_PATH_BYTES]; /* of the file, or what ring names are made from */
	struct ft_output *stream; /* NULL: capture files */
	uint8_t *header;	  /* what every file begins with */
	struct ft_writer writer;
	struct ft_indexer indexer;
	uint64_t started_ns, stopped_ns; /* UTC; 0: not yet */
	uint64_t waiting_since_ns;	 /* monotonic */
	uint64_t file_seen;		 /* number of the file at the last tick */
	uint64_t rotate_at_ns;		 /* monotonic, or UTC with an interval; 0: not yet known */
	const char *stop_reason;
	bool writing;	  /* writer (and indexer) run */
	bool abandoned;	  /* a second signal came: no more waiting for a reader */
	bool output_told; /* its error has been said */
	bool files_told;  /* the same of a file that could not be completed */
	bool failed;
};

/* --- capture_ports.c */

int ft_capture_create_ports(struct ft_capture_run *run, struct ft_error *error);
int ft_capture_open_ports(struct ft_capture_run *run, struct ft_error *error);
/* Open the windows, then start the threads. */
int ft_capture_start_ports(struct ft_capture_run *run, struct ft_error *error);
int ft_capture_start_threads(struct ft_capture_run *run, struct ft_error *error);
/* Close every window at once, then answer clients until the last frame is drained. */
void ft_capture_drain(struct ft_capture_run *run);
void ft_capture_close_ports(struct ft_capture_run *run);

/* --- capture_output.c */

int ft_capture_open_output(struct ft_capture_run *run, struct ft_error *error);
int ft_capture_start_output(struct ft_capture_run *run, struct ft_error *error);
/* Everything is drained: write what is left and the last statistics, complete the files. */
void ft_capture_finish_output(struct ft_capture_run *run);
void ft_capture_close_output(struct ft_capture_run *run);
/* Answer clients meanwhile; a second signal gives up a stream that nobody reads. */
void ft_capture_keep_serving(struct ft_capture_run *run);
/* End the file that is being filled when its time has come. */
void ft_capture_rotate_when_due(struct ft_capture_run *run);

/* --- capture_status.c */

/* Serve until the run should stop; returns why. */
const char *ft_capture_wait(struct ft_capture_run *run);

/* Raise an alarm for every failure of a thread that has not been told yet. */
void ft_capture_tell_failures(struct ft_capture_run *run);

/* The final statistics of interface `index` of a port. */
void ft_capture_statistics(const struct ft_capture_run *run, const struct ft_capture_port *port,
			   unsigned index, struct ft_pcapng_statistics *statistics);

uint64_t ft_capture_lost(const struct ft_capture_run *run);

/* The run in words, on stderr. */
void ft_capture_summarize(const struct ft_capture_run *run);

/* capture-report/1, owned by the caller; NULL without memory. */
json_t *ft_capture_report(struct ft_capture_run *run);

/* --- capture_files.c: the run's files in status and report, objects owned by the caller */

/* The latest files, the one that is being filled last. */
json_t *ft_capture_list_files(struct ft_capture_run *run);
json_t *ft_capture_report_files(struct ft_capture_run *run);
json_t *ft_capture_report_expired(struct ft_capture_run *run);
/* How often data reach stable storage, and when they last did. */
json_t *ft_capture_report_durability(struct ft_capture_run *run);

#endif
