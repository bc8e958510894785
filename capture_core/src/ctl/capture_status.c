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

static json_t *describe_port(const struct ft_capture_run *run, const struct ft_capture_port *port)
{
	json_t *object = json_object();

	json_object_set_new(object, "port", ft_report_text(ft_port_name(port->port)));
	json_object_set_new(object, "backend", json_string(ft_port_backend(port->port)));
	json_object_set_new(object, "mode", json_string(ft_port_mode(port->port)));
	json_object_set_new(object, "direction",
			    json_string(direction_word(run->settings->port_options.directions)));
	json_object_set_new(object, "timestamps",
			    json_string(ft_port_interface(port->port, 0)->timestamps));
	ft_ledger_report(&port->ledger, object);
	json_object_set_new(object, "derived", json_array());
	return object;
}

uint64_t ft_capture_lost(const struct ft_capture_run *run)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < run->port_count; i++)
		lost += ft_ledger_lost(&run->ports[i].ledger);
	return lost;
}

static uint64_t sum_stored(const struct ft_capture_run *run, bool bytes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < run->port_count; i++) {
		const struct ft_ledger *ledger = &run->ports[i].ledger;

		sum += ft_count_read(bytes ? &ledger->stored_bytes : &ledger->stored);
	}
	return sum;
}

/* One output a run, none for `null:`. */
static json_t *describe_files(const struct ft_capture_run *run)
{
	json_t *files = json_array();

	if (!ft_output_is_kept(run->output))
		return files;
	json_array_append_new(files, json_pack("{s:o, s:I, s:I}", "path",
					       ft_report_text(ft_output_path(run->output)),
					       "packets", (json_int_t)sum_stored(run, false),
					       "bytes", (json_int_t)sum_stored(run, true)));
	return files;
}

static json_t *status(void *engine)
{
	const struct ft_capture_run *run = engine;
	json_t *object = json_object(), *ports = json_array();

	for (unsigned i = 0; i < run->port_count; i++)
		json_array_append_new(ports, describe_port(run, &run->ports[i]));
	json_object_set_new(object, "ports", ports);
	json_object_set_new(object, "lost", json_integer((json_int_t)ft_capture_lost(run)));
	json_object_set_new(object, "files", describe_files(run));
	json_object_set_new(object, "output", ft_report_path(run->settings->output));
	json_object_set_new(object, "report", ft_report_path(run->settings->report));
	return object;
}

void ft_capture_tell_failures(struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		if (port->told || !atomic_load_explicit(&port->hot.ended, memory_order_acquire) ||
		    port->hot.result == 0)
			continue;
		ft_manager_alarm(run->manager, "%s", port->hot.error.text);
		port->told = run->failed = true;
	}
	if (!run->output_told && atomic_load_explicit(&run->writer.failed, memory_order_acquire)) {
		ft_manager_alarm(run->manager,
				 "%s; nothing more is written, frames are counted as dropped.disk",
				 run->writer.error.text);
		run->output_told = run->failed = true;
	}
}

static bool all_ended(const struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++)
		if (!atomic_load_explicit(&run->ports[i].hot.ended, memory_order_acquire))
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
	if (run->output_told && !ft_output_is_file(run->output))
		return "output closed"; /* a stream's reader does not come back */
	if (limit_ns != 0 && ft_clock_monotonic_ns() - run->waiting_since_ns >= limit_ns)
		return "duration";
	return NULL;
}

const char *ft_capture_wait(struct ft_capture_run *run)
{
	static const struct ft_manager_calls calls = {.status = status, .tick = tick};

	run->waiting_since_ns = ft_clock_monotonic_ns();
	return ft_manager_run(run->manager, &calls, run);
}

void ft_capture_statistics(const struct ft_capture_run *run, uint32_t interface,
			   struct ft_pcapng_statistics *statistics)
{
	const struct ft_capture_port *port = &run->ports[0];
	uint32_t index;

	while (interface >= port->first_interface + ft_port_interface_count(port->port))
		port++;
	index = interface - port->first_interface;
	ft_hot_tell(&port->hot, index, port->pool->stored[index], run->stopped_ns, statistics);
}

static void summarize_port(const struct ft_capture_port *port)
{
	const struct {
		const ft_count *count;
		const char *words;
	} causes[] = {
		{&port->ledger.dropped_adapter, "dropped by the adapter"},
		{&port->ledger.dropped_kernel,
		 "dropped by the kernel's ring (this machine was too slow; try a larger --buffer)"},
		{&port->ledger.dropped_ring, "dropped because the output was too slow"},
		{&port->ledger.dropped_disk, "dropped because the output failed"},
		{&port->ledger.filtered, "not wanted by the filter"},
		{&port->ledger.excess, "taken after the stop condition"},
		{&port->ledger.coalesced, "stored joined, above the MTU"},
	};

	fprintf(stderr, "ft-capture: %s: %" PRIu64 " frames offered, %" PRIu64 " stored\n",
		ft_port_name(port->port), ft_count_read(&port->ledger.offered),
		ft_count_read(&port->ledger.stored));
	for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (ft_count_read(causes[i].count) != 0)
			fprintf(stderr, "ft-capture: %s: %" PRIu64 " %s\n",
				ft_port_name(port->port), ft_count_read(causes[i].count),
				causes[i].words);
}

static bool all_balanced(const struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++)
		if (!ft_ledger_balanced(&run->ports[i].ledger))
			return false;
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
		json_object_set_new(object, "adapter", ft_port_describe(run->ports[i].port));
		json_array_append_new(ports, object);
	}
	return ports;
}

static json_t *report_files(const struct ft_capture_run *run)
{
	json_t *files = describe_files(run), *file;
	const char *sha256 = ft_output_sha256(run->output);
	size_t index;

	json_array_foreach(files, index, file)
	{
		bool any = run->writer.first_ns != 0;

		json_object_set_new(file, "first_ns",
				    any ? json_integer((json_int_t)run->writer.first_ns)
					: json_null());
		json_object_set_new(file, "last_ns",
				    any ? json_integer((json_int_t)run->writer.last_ns)
					: json_null());
		json_object_set_new(file, "size_bytes",
				    json_integer((json_int_t)ft_output_bytes(run->output)));
		json_object_set_new(file, "sha256",
				    sha256 != NULL ? json_string(sha256) : json_null());
	}
	return files;
}

int ft_capture_report(const struct ft_capture_run *run, struct ft_error *error)
{
	json_t *report;
	int rc;

	if (run->settings->report == NULL)
		return 0;
	report = json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:I, s:o, s:o, s:O, s:O}", "schema",
			   REPORT_SCHEMA, "name", ft_manager_name(run->manager), "started_ns",
			   (json_int_t)run->started_ns, "stopped_ns", (json_int_t)run->stopped_ns,
			   "stop_reason", run->stop_reason, "balanced", all_balanced(run), "lost",
			   (json_int_t)ft_capture_lost(run), "ports", report_ports(run), "files",
			   report_files(run), "alarms", ft_manager_alarms(run->manager), "marks",
			   ft_manager_marks(run->manager));
	rc = report != NULL ? ft_report_write(run->settings->report, report, error)
			    : ft_fail(error, -ENOMEM, "--report: out of memory");
	json_decref(report);
	return rc;
}
