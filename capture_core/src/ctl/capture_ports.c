/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of a capture run, and their hot threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/capture_run.h"
#include "ctl/cpus.h"
#include "ft/clock.h"
#include "pipe/epb.h"

/* Blocks of a port: a second of its line rate in the smallest frames, in a quarter of what memory
 * there is, and never fewer than let writing and filling go on side by side. */
#define DEFAULT_SPEED_BPS 10000000000ull
#define SMALLEST_L1_BITS  672u /* 64 bytes, preamble and gap */
#define MIN_CHUNKS	  16u
#define WAITING_CHUNKS	  64u /* for a source that waits for us */

#define SEAL_FILE_NS   (FT_NS_PER_SECOND / 2)
#define SEAL_STREAM_NS (FT_NS_PER_SECOND / 10)

static bool interrupted(void *manager)
{
	return ft_manager_interrupted(manager) != 0;
}

int ft_capture_create_ports(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_capture_settings *settings = run->settings;
	struct ft_port_options options = settings->port_options;
	int rc = 0;

	options.cancelled = interrupted;
	options.cancel_context = run->manager;
	for (unsigned i = 0; rc == 0 && i < settings->port_count; i++) {
		rc = ft_port_create(settings->ports[i], &options, &run->ports[i].shared.port,
				    error);
		run->port_count += rc == 0;
	}
	return rc;
}

static uint64_t available_memory_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "MemAvailable: %llu kB", &kib);
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

static unsigned choose_chunk_count(const struct ft_capture_run *run,
				   const struct ft_capture_port *port)
{
	const struct ft_port *of = port->shared.port;
	uint64_t speed_bps = ft_port_interface(of, 0)->speed_bps;
	uint64_t bytes_per_s, chunks, affordable;

	if (ft_port_blocks(of) != 0)
		chunks = ft_port_blocks(of);
	else if (ft_port_waits(of))
		chunks = WAITING_CHUNKS;
	else {
		speed_bps = speed_bps != 0 ? speed_bps : DEFAULT_SPEED_BPS;
		bytes_per_s = speed_bps / SMALLEST_L1_BITS * ft_epb_bytes(60);
		chunks = bytes_per_s / FT_CHUNK_BYTES / port->shared.queue_count;
		affordable = available_memory_bytes() / 4 / FT_CHUNK_BYTES /
			     (run->port_count * port->shared.queue_count);
		chunks = chunks < affordable ? chunks : affordable;
		chunks = chunks > MIN_CHUNKS ? chunks : MIN_CHUNKS;
	}
	if (chunks < 2)
		chunks = 2;
	return (unsigned)(chunks < FT_POOL_MAX_CHUNKS ? chunks : FT_POOL_MAX_CHUNKS);
}

static int make_queues(struct ft_capture_run *run, struct ft_capture_port *port,
		       struct ft_error *error)
{
	unsigned count = port->shared.queue_count = ft_port_queue_count(port->shared.port);
	size_t hots_bytes = count * sizeof(struct ft_hot);
	size_t ledgers_bytes = count * sizeof(struct ft_ledger);
	unsigned chunks = choose_chunk_count(run, port);
	int rc = 0;

	port->hots = calloc(1, hots_bytes);
	port->shared.ledgers = aligned_alloc(64, ledgers_bytes);
	if (port->hots == NULL || port->shared.ledgers == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memset(port->shared.ledgers, 0, ledgers_bytes);
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		rc = ft_pool_create(chunks, run->settings->prefault, &port->pools[i], error);
		if (rc != 0)
			break;
		port->pools[i]->ledger = &port->shared.ledgers[i];
		port->pools[i]->first_interface = port->shared.first_interface;
		port->pools[i]->source = run->hot_count++;
	}
	if (rc == 0 && run->hot_count > FT_WRITER_MAX_POOLS)
		rc = ft_fail(error, -EINVAL, "-i: at most %u queues of ports in one run",
			     FT_WRITER_MAX_POOLS);
	return rc;
}

static int open_port(struct ft_capture_run *run, struct ft_capture_port *port,
		     struct ft_error *error)
{
	const struct ft_port_interface *first, *own;
	int rc = ft_port_open(port->shared.port, error);

	if (rc != 0)
		return rc;
	port->shared.first_interface = run->interface_count;
	run->interface_count += ft_port_interface_count(port->shared.port);
	first = ft_port_interface(run->ports[0].shared.port, 0);
	own = ft_port_interface(port->shared.port, 0);
	if (own->link_type != first->link_type)
		return ft_fail(error, -EINVAL,
			       "port '%s' has link type %u and '%s' has %u: a file holds one; "
			       "capture them into two files",
			       ft_port_name(port->shared.port), own->link_type,
			       ft_port_name(run->ports[0].shared.port), first->link_type);
	if (run->settings->filter != NULL)
		rc = ft_filter_compile(run->settings->filter, own->link_type, &port->filter, error);
	return rc == 0 ? make_queues(run, port, error) : rc;
}

int ft_capture_open_ports(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < run->port_count; i++)
		rc = open_port(run, &run->ports[i], error);
	return rc;
}

/* `--cpu`, else the cores that the administrator has set apart, else none. */
static int choose_cpu(const struct ft_capture_run *run, unsigned hot)
{
	const struct ft_capture_settings *settings = run->settings;

	if (settings->cpu_count > 0)
		return (int)settings->cpus[hot % settings->cpu_count];
	return ft_cpu_isolated(hot);
}

static void set_up_hot(struct ft_capture_run *run, struct ft_capture_port *port, unsigned queue)
{
	struct ft_hot *hot = &port->hots[queue];

	*hot = (struct ft_hot){
		.of = &port->shared,
		.port = port->shared.port,
		.queue = queue,
		.filter = port->filter,
		.stop = &run->stop,
		.rotation = &run->rotation,
		.pool = port->pools[queue],
		.ledger = &port->shared.ledgers[queue],
		.flow_key = run->flow_key,
		.format = run->settings->pcap ? FT_FORMAT_PCAP : FT_FORMAT_PCAPNG,
		.link_type = ft_port_interface(port->shared.port, 0)->link_type,
		.snap_bytes = run->settings->port_options.snap_bytes,
		.alignment = run->stream != NULL ? 4 : FT_CHUNK_ALIGNMENT,
		.seal_after_ns = run->stream != NULL ? SEAL_STREAM_NS : SEAL_FILE_NS,
		.wake_fd = run->writer.wake_fd,
		.cpu = choose_cpu(run, port->pools[queue]->source),
		.busy = run->settings->busy,
	};
}

int ft_capture_start_ports(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		port->shared.started_ns = ft_clock_utc_ns();
		rc = ft_port_start(port->shared.port, error);
		port->open = rc == 0;
	}
	return rc;
}

int ft_capture_start_threads(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		for (unsigned j = 0; rc == 0 && j < port->shared.queue_count; j++) {
			set_up_hot(run, port, j);
			rc = ft_hot_start(&port->hots[j], error);
			port->running += rc == 0;
		}
	}
	return rc;
}

static void drain_port(struct ft_capture_run *run, struct ft_capture_port *port)
{
	for (unsigned i = 0; i < port->running; i++) {
		while (!atomic_load_explicit(&port->hots[i].ended, memory_order_acquire))
			ft_capture_keep_serving(run);
		ft_hot_join(&port->hots[i]);
	}
	ft_port_read_wire(port->shared.port, &port->wire);
	/* The adapter's drops belong to the port, not to one of its queues. */
	ft_count_set(&port->shared.ledgers[0].dropped_adapter, port->wire.dropped_adapter);
}

void ft_capture_drain(struct ft_capture_run *run)
{
	struct ft_error error;

	for (unsigned i = 0; i < run->port_count; i++)
		if (run->ports[i].open &&
		    ft_port_close_input(run->ports[i].shared.port, &error) != 0)
			ft_manager_alarm(run->manager, "%s", error.text);
	for (unsigned i = 0; i < run->port_count; i++)
		if (run->ports[i].running > 0)
			drain_port(run, &run->ports[i]);
}

void ft_capture_close_ports(struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		ft_port_free(port->shared.port);
		ft_filter_free(port->filter);
		for (unsigned j = 0; j < FT_PORT_MAX_QUEUES; j++)
			ft_pool_free(port->pools[j]);
		free(port->shared.ledgers);
		free(port->hots);
	}
}
