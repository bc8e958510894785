/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a generator run, shared by generate.c (its course) and generate_status.c (its
 * account). */
#ifndef FT_GEN_GENERATE_RUN_H
#define FT_GEN_GENERATE_RUN_H

#include "ctl/guardian.h"
#include "ft/generate.h"
#include "ft/manager.h"
#include "ft/port.h"
#include "ft/replay.h"
#include "gen/receiver.h"
#include "gen/sender.h"
#include "gen/stream.h"

#define FT_GENERATE_TX_BACKEND "afpacket"
#define FT_GENERATE_TX_MODE    "sendmmsg"
#define FT_GENERATE_TX_SOURCE  "tx_packets"

/* Owned by the main thread; sender and receiver say what their threads write. */
struct ft_generate_run {
	const struct ft_generate_settings *settings;
	struct ft_manager *manager;
	struct ft_transmit transmit;
	struct ft_signature_run signature;
	struct ft_stream stream;
	struct ft_replay replay;
	struct ft_pace pace;
	struct ft_sender sender;
	struct ft_guardian *guardian; /* NULL: nothing is switched off */
	struct ft_port *input;
	struct ft_receiver receiver;
	bool sending, receiving;
	uint64_t asked;			 /* frames; 0: as many as fit the duration */
	double requested_pps;		 /* 0: top speed, or a file's own timing */
	uint64_t tx_before;		 /* the port's counter at the start */
	uint64_t tx_frames;		 /* what it counted since: frames that did leave */
	uint64_t link_lost_ns;		 /* monotonic; 0: the port has its link */
	uint64_t started_ns, stopped_ns; /* UTC; 0: not yet */
	const char *stop_reason;
	bool failed; /* and an alarm has said why */
	struct ft_error failure;
};

/*
 * Frames that left the port and did not come back: those confirmed, less each one received once,
 * less what the kernel dropped at our own socket. A copy is in `frames` but not in `distinct`, so
 *
 *   tx.frames = rx.frames - duplicate - too late + lost + receiver_dropped
 */
uint64_t ft_generate_lost(const struct ft_generate_run *run);

/* Whether the frames asked for were all handed to the port before the time was up. */
bool ft_generate_submitted_all(const struct ft_generate_run *run);

/* Answer clients until the sender has ended or something stops the run; returns why. */
const char *ft_generate_wait(struct ft_generate_run *run);

/* The run in words, on stderr. */
void ft_generate_summarize(const struct ft_generate_run *run);

/* Write the report where --report asks for it. */
int ft_generate_report(const struct ft_generate_run *run, struct ft_error *error);

#endif
