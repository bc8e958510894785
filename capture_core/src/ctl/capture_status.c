/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture run says of itself: status, alarms, summary and report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/capture_run.h"
#include "ft/clock.h"
#include "ft/report.h"

#define REPORT_SCHEMA "fieldtap.capture-report/1"

static const char *direction_word(enum ft_direction directions)
{
	switch (directions) {
	case FT_DIRECTION_IN:
		return "in";
	case FT_DIRECTION_OUT:
		return "out";
	default:
		return "both";
	}
}

static const char *huge_pages_word(enum ft_huge_pages huge_pages)
{
	switch (huge_pages) {
	case FT_HUGE_RESERVED:
		return "reserved";
	case FT_HUGE_TRANSPARENT:
		return "transparent";
	default:
		return "none";
	}
}

static json_t *describe_port(const struct ft_capture_run *run, const struct ft_capture_port *port)
{
	const struct ft_port *of = port->shared.port;
	const struct ft_pool *pool = port->pools[0];
	json_t *object = json_object();
	struct ft_ledger sum;

	ft_ledger_sum(port->shared.ledgers, port->shared.queue_count, &sum);
	json_object_set_new(object, "port", ft_report_text(ft_port_name(of)));
	json_object_set_new(object, "backend", json_string(ft_port_backend(of)));
	json_object_set_new(object, "mode", json_string(ft_port_mode(of)));
	json_object_set_new(object, "queues", json_integer(port->shared.queue_count));
	json_object_set_new(object, "direction",
			    json_string(direction_word(run->settings->port_options.directions)));
	json_object_set_new(object, "timestamps",
			    json_string(ft_port_interface(of, 0)->timestamps));
	json_object_set_new(object, "clock", ft_report_text(ft_port_interface(of, 0)->clock));
	ft_ledger_report(&sum, object);
	json_object_set_new(object, "derived", json_array());
	json_object_set_new(object, "buffers",
			    json_pack("{s:i, s:i, s:s}", "blocks",
				      (int)(pool->chunk_count * port->shared.queue_count),
				      "block_bytes", (int)FT_CHUNK_BYTES, "huge_pages",
				      huge_pages_word(pool->huge_pages)));
	return object;
}

static void sum_port(const struct ft_capture_port *port, struct ft_ledger *sum)
{
	ft_ledger_sum(port->shared.ledgers, port->shared.queue_count, sum);
}

uint64_t ft_capture_lost(const struct ft_capture_run *run)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_ledger sum;

		sum_port(&run->ports[i], &sum);
		lost += ft_ledger_lost(&sum);
	}
	return lost;
}

static json_t *status(void *engine)
{
	struct ft_capture_run *run = engine;
	json_t *object = json_object(), *ports = json_array();

	for (unsigned i = 0; i < run->port_count; i++)
		json_array_append_new(ports, describe_port(run, &run->ports[i]));
	json_object_set_new(object, "ports", ports);
	json_object_set_new(object, "lost", json_integer((json_int_t)ft_capture_lost(run)));
	json_object_set_new(object, "files", ft_capture_list_files(run));
	json_object_set_new(object, "output", ft_report_path(run->settings->output));
	json_object_set_new(object, "report", ft_report_path(run->settings->report));
	return object;
}

static void tell_port(struct ft_capture_run *run, struct ft_capture_port *port)
{
	for (unsigned i = 0; !port->told && i < port->running; i++) {
		const struct ft_hot *hot = &port->hots[i];

		if (!atomic_load_explicit(&hot->ended, memory_order_acquire) || hot->result == 0)
			continue;
		ft_manager_alarm(run->manager, "%s", hot->error.text);
		port->told = run->failed = true;
	}
}

void ft_capture_tell_failures(struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++)
		tell_port(run, &run->ports[i]);
	if (!run->output_told && atomic_load_explicit(&run->writer.failed, memory_order_acquire)) {
		ft_manager_alarm(run->manager,
				 "%s; nothing more is written, frames are counted as dropped.disk",
				 run->writer.error.text);
		run->output_told = run->failed = true;
	}
	if (!run->files_told && atomic_load_explicit(&run->indexer.failed, memory_order_acquire)) {
		ft_manager_alarm(run->manager, "%s", run->indexer.error.text);
		run->files_told = run->failed = true;
	}
}

static bool all_ended(const struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++)
		for (unsigned j = 0; j < run->ports[i].shared.queue_count; j++)
			if (!atomic_load_explicit(&run->ports[i].hots[j].ended,
						  memory_order_acquire))
				return false;
	return true;
}

static const char *tick(void *engine)
{
	struct ft_capture_run *run = engine;
	uint64_t limit_ns = run->settings->stop_duration_ns;
	const char *reason = atomic_load(&run->stop.reason);

	ft_capture_tell_failures(run);
	if (reason != NULL)
		return reason;
	for (unsigned i = 0; i < run->port_count; i++)
		if (run->ports[i].told)
			return "port lost";
	if (all_ended(run))
		return "end of input";
	if (run->output_told && run->stream != NULL)
		return "output closed"; /* a stream's reader does not come back */
	ft_watch_look(&run->watch, run->manager);
	ft_capture_rotate_when_due(run);
	if (run->session != NULL)
		ft_session_sample_clock(run->session);
	if (limit_ns != 0 && ft_clock_monotonic_ns() - run->waiting_since_ns >= limit_ns)
		return "duration";
	return NULL;
}

static int rotate(void *engine, struct ft_error *error)
{
	struct ft_capture_run *run = engine;

	if (!run->writer.ring || run->stream != NULL)
		return ft_fail(error, -EINVAL, "this run writes one file; start it with -b");
	ft_rotation_end(&run->rotation, ft_rotation_file(&run->rotation));
	return 0;
}

const char *ft_capture_wait(struct ft_capture_run *run)
{
	static const struct ft_manager_calls calls = {
		.status = status, .tick = tick, .rotate = rotate};

	run->waiting_since_ns = ft_clock_monotonic_ns();
	return ft_manager_run(run->manager, &calls, run);
}

void ft_capture_statistics(const struct ft_capture_run *run, const struct ft_capture_port *port,
			   unsigned index, struct ft_pcapng_statistics *statistics)
{
	uint64_t stored = 0;

	for (unsigned i = 0; i < port->shared.queue_count; i++)
		stored += port->pools[i]->stored[index];
	ft_hot_tell(&port->shared, index, stored, run->stopped_ns, statistics);
}

static void summarize_port(const struct ft_capture_port *port)
{
	const char *name = ft_port_name(port->shared.port);
	struct ft_ledger sum;
	const struct {
		const ft_count *count;
		const char *words;
	} causes[] = {
		{&sum.dropped_adapter, "dropped by the adapter"},
		{&sum.dropped_kernel,
		 "dropped by the kernel's ring (this machine was too slow; try a larger --buffer)"},
		{&sum.dropped_ring, "dropped because the output was too slow"},
		{&sum.dropped_disk, "dropped because the output failed"},
		{&sum.filtered, "not wanted by the filter"},
		{&sum.excess, "taken after the stop condition"},
		{&sum.coalesced, "stored joined, above the MTU"},
		{&sum.unstamped, "stored with a host timestamp for want of the one asked for"},
	};

	sum_port(port, &sum);
	fprintf(stderr, "ft-capture: %s: %" PRIu64 " frames offered, %" PRIu64 " stored\n", name,
		ft_count_read(&sum.offered), ft_count_read(&sum.stored));
	for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (ft_count_read(causes[i].count) != 0)
			fprintf(stderr, "ft-capture: %s: %" PRIu64 " %s\n", name,
				ft_count_read(causes[i].count), causes[i].words);
}

static bool all_balanced(const struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_ledger sum;

		sum_port(&run->ports[i], &sum);
		if (!ft_ledger_balanced(&sum))
			return false;
	}
	return true;
}

void ft_capture_summarize(const struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++)
		summarize_port(&run->ports[i]);
	fprintf(stderr, "ft-capture: %s: %" PRIu64 " frames lost; the ledger %s\n",
		run->settings->output, ft_capture_lost(run),
		all_balanced(run) ? "balances" : "DOES NOT BALANCE");
}

static json_t *describe_wire(const struct ft_port_wire *wire)
{
	bool known = wire->source != NULL;
	json_t *object = json_object();

	json_object_set_new(object, "source", known ? json_string(wire->source) : json_null());
	json_object_set_new(object, "min",
			    known ? json_integer((json_int_t)wire->min) : json_null());
	json_object_set_new(object, "max",
			    known ? json_integer((json_int_t)wire->max) : json_null());
	json_object_set_new(object, "agrees",
			    wire->agrees >= 0 ? json_boolean(wire->agrees) : json_null());
	return object;
}

static json_t *report_ports(const struct ft_capture_run *run)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < run->port_count; i++) {
		json_t *object = describe_port(run, &run->ports[i]);

		json_object_set_new(object, "wire", describe_wire(&run->ports[i].wire));
		json_object_set_new(object, "adapter", ft_port_describe(run->ports[i].shared.port));
		json_array_append_new(ports, object);
	}
	return ports;
}

json_t *ft_capture_report(struct ft_capture_run *run)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:O, s:O}",
			 "schema", REPORT_SCHEMA, "name", ft_manager_name(run->manager),
			 "started_ns", (json_int_t)run->started_ns, "stopped_ns",
			 (json_int_t)run->stopped_ns, "stop_reason", run->stop_reason, "balanced",
			 all_balanced(run), "lost", (json_int_t)ft_capture_lost(run), "ports",
			 report_ports(run), "files", ft_capture_report_files(run), "expired",
			 ft_capture_report_expired(run), "durability",
			 ft_capture_report_durability(run), "privileges",
			 ft_privileges_describe(&run->privileges), "alarms",
			 ft_manager_alarms(run->manager), "marks", ft_manager_marks(run->manager));
}
