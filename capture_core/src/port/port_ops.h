/* SPDX-License-Identifier: Apache-2.0 */
/* What a back end provides. port.c checks the order of calls; back ends need not. */
#ifndef FT_PORT_OPS_H
#define FT_PORT_OPS_H

#include "ft/port.h"

struct ft_port_ops {
	const char *name;

	/* Resolve `port->device`; may allocate `port->state`. */
	int (*create)(struct ft_port *port, struct ft_error *error);
	int (*open)(struct ft_port *port, struct ft_error *error);
	int (*start)(struct ft_port *port, struct ft_error *error);
	int (*receive)(struct ft_port *port, unsigned queue, struct ft_frame *frames,
		       int timeout_ms, struct ft_error *error);
	void (*release)(struct ft_port *port, unsigned queue);
	int (*close_input)(struct ft_port *port, struct ft_error *error);
	void (*read_counts)(struct ft_port *port, unsigned queue, struct ft_port_counts *counts);
	void (*read_wire)(struct ft_port *port, struct ft_port_wire *wire);
	json_t *(*describe)(const struct ft_port *port); /* NULL: nothing to say */
	void (*free)(struct ft_port *port);		 /* also after a failed open */
};

struct ft_port {
	const struct ft_port_ops *ops;
	struct ft_port_options options;
	char *device; /* interface or file, as the user wrote it */
	const char *mode;
	bool waits;	      /* the source can wait: nothing need ever be dropped */
	unsigned queue_count; /* 1 unless open() sets it */
	unsigned interface_count;
	struct ft_port_interface interfaces[FT_PORT_MAX_INTERFACES];
	void *state;
};

extern const struct ft_port_ops ft_port_afpacket;
extern const struct ft_port_ops ft_port_file;

#endif
