/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/port.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/arista.h"
#include "port/port_ops.h"

#define LINKTYPE_ETHERNET 1

static const struct ft_port_ops *const backends[] = {&ft_port_afpacket, &ft_port_afxdp,
						     &ft_port_file, &ft_port_synth};

/* `[backend:]device[,key=value...]`; a bare `-` is stdin, any other bare device an interface. */
static const struct ft_port_ops *choose_backend(const char *spec, const char **device)
{
	for (unsigned i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		size_t length = strlen(backends[i]->name);

		if (strncmp(spec, backends[i]->name, length) == 0 && spec[length] == ':') {
			*device = spec + length + 1;
			return backends[i];
		}
	}
	*device = spec;
	return strcmp(spec, "-") == 0 ? &ft_port_file : &ft_port_afpacket;
}

int ft_port_create(const char *spec, const struct ft_port_options *options, struct ft_port **port,
		   struct ft_error *error)
{
	struct ft_port *p = calloc(1, sizeof(*p));
	const char *device;
	int rc;

	if (p == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	p->ops = choose_backend(spec, &device);
	p->options = *options;
	p->queue_count = 1;
	rc = ft_port_parse_keys(p, device, error);
	if (rc == 0 && p->device[0] == '\0')
		rc = ft_fail(error, -EINVAL, "port '%s' names no device", spec);
	if (rc == 0 && options->stamps == FT_STAMPS_ADAPTER && !p->ops->stamps_by_adapter)
		rc = ft_fail(error, -EINVAL,
			     "port '%s': -t adapter: back end %s has no stamps of an adapter; "
			     "leave -t away",
			     p->device, p->ops->name);
	if (rc == 0)
		rc = p->ops->create(p, error);
	if (rc != 0) {
		ft_port_free(p);
		return rc;
	}
	*port = p;
	return 0;
}

/* Switches stamp Ethernet frames, whatever back end receives them. */
static int expect_arista_stamps(struct ft_port *port, struct ft_error *error)
{
	for (unsigned i = 0; i < port->interface_count; i++) {
		struct ft_port_interface *interface = &port->interfaces[i];

		if (interface->link_type != LINKTYPE_ETHERNET)
			return ft_fail(error, -EINVAL,
				       "port '%s': -t arista: link type %u is not Ethernet, so no "
				       "switch stamped its frames",
				       port->device, interface->link_type);
		interface->timestamps = "arista";
		snprintf(interface->clock, sizeof(interface->clock),
			 "as written by a switch (EtherType 0xd28b), TAI-UTC 37 s applied where "
			 "it says TAI");
	}
	return 0;
}

int ft_port_open(struct ft_port *port, struct ft_error *error)
{
	int rc = port->ops->open(port, error);

	if (rc == 0 && port->options.stamps == FT_STAMPS_ARISTA)
		rc = expect_arista_stamps(port, error);
	return rc;
}

int ft_port_start(struct ft_port *port, struct ft_error *error)
{
	return port->ops->start(port, error);
}

int ft_port_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames, int timeout_ms,
		    struct ft_error *error)
{
	int count = port->ops->receive(port, queue, frames, timeout_ms, error);

	if (port->options.stamps == FT_STAMPS_ARISTA)
		for (int i = 0; i < count; i++)
			ft_arista_stamp(&frames[i]);
	return count;
}

void ft_port_release(struct ft_port *port, unsigned queue)
{
	port->ops->release(port, queue);
}

int ft_port_close_input(struct ft_port *port, struct ft_error *error)
{
	return port->ops->close_input(port, error);
}

void ft_port_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts)
{
	port->ops->read_counts(port, queue, counts);
}

void ft_port_read_wire(struct ft_port *port, struct ft_port_wire *wire)
{
	*wire = (struct ft_port_wire){.agrees = -1};
	if (port->ops->read_wire != NULL)
		port->ops->read_wire(port, wire);
}

void ft_port_free(struct ft_port *port)
{
	if (port == NULL)
		return;
	if (port->state != NULL)
		port->ops->free(port);
	free(port->text);
	free(port);
}

const char *ft_port_name(const struct ft_port *port)
{
	return port->device;
}

const char *ft_port_backend(const struct ft_port *port)
{
	return port->ops->name;
}

const char *ft_port_mode(const struct ft_port *port)
{
	return port->mode;
}

int ft_port_ifindex(const struct ft_port *port)
{
	return port->ops->is_interface ? (int)if_nametoindex(port->device) : 0;
}

unsigned ft_port_queue_count(const struct ft_port *port)
{
	return port->queue_count;
}

unsigned ft_port_blocks(const struct ft_port *port)
{
	return (unsigned)ft_port_key_number(port, "blocks", 0);
}

bool ft_port_waits(const struct ft_port *port)
{
	return port->waits;
}

unsigned ft_port_interface_count(const struct ft_port *port)
{
	return port->interface_count;
}

const struct ft_port_interface *ft_port_interface(const struct ft_port *port, unsigned index)
{
	return &port->interfaces[index];
}

json_t *ft_port_describe(const struct ft_port *port)
{
	return port->ops->describe != NULL ? port->ops->describe(port) : json_null();
}
