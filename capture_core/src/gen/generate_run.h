/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a generator run, shared by generate.c (its course) and the files generate_*.c and
 * prepare_*.c (its parts). */
#ifndef FT_GEN_GENERATE_RUN_H
#define FT_GEN_GENERATE_RUN_H

#include "ctl/guardian.h"
#include "ctl/watch.h"
#include "ft/generate.h"
#include "ft/manager.h"
#include "ft/port.h"
#include "ft/replay.h"
#include "gen/receive_port.h"
#include "gen/receiver.h"
#include "gen/sender.h"
#include "gen/stream.h"

/* Owned by the main thread; sender and receiver say what their threads write. */
struct ft_generate_run {
	const struct ft_generate_settings *settings;
	struct ft_manager *manager;
	struct ft_transmit transmit;
	struct ft_signature_run signature;
	struct ft_stream_file stream_file;
	struct ft_stream_set streams;
	struct ft_replay_settings replay_settings;
	struct ft_replay replay;
	struct ft_pace pace;
	struct ft_sender sender;
	struct ft_guardian *guardian; /* NULL: nothing is switched off */
	struct ft_port *input;
	struct ft_receiver receiver;
	struct ft_receive_port receive_port;
	struct ft_watch watch; /* of both ports and the clock, from the first frame on */
	int claim_fd;	       /* no other engine sends by the port; -1: none is claimed */
	bool sending, receiving;
	uint64_t asked;			 /* frames; 0: as many as fit the duration */
	double requested_pps;		 /* 0: top speed, or a file's own timing */
	uint64_t tx_frames;		 /* what the port counted: frames that did leave */
	uint64_t started_ns, stopped_ns; /* UTC; 0: not yet */
	uint64_t end_ns;		 /* monotonic: when the sender ends; 0: not by the time */
	struct ft_sender_change tempo;	 /* as clients have it */
	const char *stop_reason;
	bool cut_short; /* by a signal or a client */
	bool overdue;	/* the sender was ended, for the port took no frames when time was up */
	bool trickling; /* frames still came back when they were waited for no longer */
	bool failed;	/* and an alarm has said why */
	struct ft_error failure;
};

/* Whether a signal has come in while there is something to wait for: once a signal. */
bool ft_generate_interrupted(void *run);

/* Read, check and make the streams, or the one stream of the command line. -EINVAL, -ENOMEM. */
int ft_generate_prepare_streams(struct ft_generate_run *run, struct ft_error *error);

/* Open the capture of a replay. -EINVAL, -ECANCELED; else as ft_replay_open. */
int ft_generate_prepare_replay(struct ft_generate_run *run, struct ft_error *error);

/* Read ahead far enough for a replay's first frames to leave in time. -ECANCELED. */
int ft_generate_start_reading(struct ft_generate_run *run, struct ft_error *error);

/* Whether a replay's capture was read to its end; -EBADMSG where only what came before was sent. */
int ft_generate_judge_reading(const struct ft_generate_run *run, struct ft_error *error);

/* Frames that this machine failed to receive: at the adapter, before the socket, at the socket. */
uint64_t ft_generate_receiver_dropped(const struct ft_generate_run *run);

/*
 * Frames that left the port and did not come back: those confirmed, less each one received once,
 * less what this machine dropped. A copy is in `frames` but not in `distinct`, so
 *
 *   tx.frames = rx.frames - duplicate - too late + lost + receiver_dropped
 *
 * Where the port counted more frames than it was handed, tx.submitted stands for tx.frames: the
 * others are another program's, which may hide as many of ours that did not leave.
 *
 * Where some streams are signed, the frames of all others count on neither side.
 */
uint64_t ft_generate_lost(const struct ft_generate_run *run);

/* Whether the turn of every frame asked for came before the time was up. */
bool ft_generate_had_all(const struct ft_generate_run *run);

/*
 * Wait a moment for links, and note what the ports have counted before the first frame; from then
 * on links and clock are watched. -ENETDOWN, -ENODEV, -ECANCELED.
 */
int ft_generate_begin_counts(struct ft_generate_run *run, struct ft_error *error);
/* Find out what has changed since. -ENODEV when a port has gone. */
int ft_generate_end_counts(struct ft_generate_run *run, struct ft_error *error);

/* Of -o and --tap, what can be judged without opening a port. -EINVAL. */
int ft_generate_check_output(const struct ft_generate_run *run, struct ft_error *error);

/* Open the tap and the fastest back end that delivers, and say which on stderr unless -q. */
int ft_generate_open_output(struct ft_generate_run *run, struct ft_error *error);

/* The run cannot go on: say so, once. */
void ft_generate_fail(struct ft_generate_run *run, const struct ft_error *error);

/* A signal or a client ends the run before its time: it shows nothing. */
void ft_generate_cut_short(struct ft_generate_run *run, const char *reason);

/*
 * Send all, answering clients, until the port has confirmed as many frames as were asked for or
 * does so no more. An error says that nothing could begin; what happens later fails the run.
 */
int ft_generate_send(struct ft_generate_run *run, struct ft_error *error);

/* What clients are told of the run. */
json_t *ft_generate_status(void *run);

/* The method `rate`: {"rate"}, {"speed"} or {"paused"}; the result tells speed and pause. */
json_t *ft_generate_rate(void *run, const json_t *params, struct ft_error *error);

/* Why the result does not show what it was meant to: each reason; an empty text where it does. */
void ft_generate_judge(const struct ft_generate_run *run, char *text, size_t bytes);

/*
 * What each stream came to: [{id, name, tx, rx, lost, duplicate, reordered, corrupt, latency_ns}],
 * with histograms for a report. None where frames carry no stream's number or nobody received them.
 */
json_t *ft_generate_streams(const struct ft_generate_run *run, bool for_report);

/* Of all streams: as ft_latency_describe, with `histogram` for a report; null where not known. */
json_t *ft_generate_latency(const struct ft_generate_run *run, bool for_report);

/* Why latencies are not known although frames came back, or NULL. */
const char *ft_generate_latency_unknown(const struct ft_generate_run *run);

/* A line a stream where there are several, on stderr. */
void ft_generate_summarize_streams(const struct ft_generate_run *run);

/* The run in words, on stderr. */
void ft_generate_summarize(const struct ft_generate_run *run);

/* Write the report where --report asks for it. */
int ft_generate_report(const struct ft_generate_run *run, struct ft_error *error);

#endif
