/* SPDX-License-Identifier: Apache-2.0 */
/* What a back end provides. port.c checks the order of calls; back ends need not. */
#ifndef FT_PORT_OPS_H
#define FT_PORT_OPS_H

#include "ft/port.h"

/* A key that a back end takes: `,name=value` after the device. */
struct ft_port_key {
	const char *name;
	uint64_t min, max; /* of a number; both 0: a text that the back end reads itself */
};

#define FT_PORT_MAX_KEYS 16u

/* What the user gave for a key. */
struct ft_port_setting {
	const struct ft_port_key *key;
	const char *text;
	uint64_t number;
};

struct ft_port_ops {
	const char *name;
	bool is_interface; /* `device` is an interface of this machine */
	/* Ends with a NULL name, `blocks` is added to it. NULL: takes none; a device may then hold
	 * commas. */
	const struct ft_port_key *keys;
	bool stamps_by_adapter; /* it can; else asking for that is refused */
	bool nameless;		/* no device: what follows `name:` is keys alone */

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
	const char
		*device; /* interface or file, as the user wrote it; a nameless port's back end */
	char *text;	 /* holds `device` and `settings` */
	unsigned setting_count;
	struct ft_port_setting settings[FT_PORT_MAX_KEYS];
	const char *mode;
	bool waits;	      /* the source can wait: nothing need ever be dropped */
	unsigned queue_count; /* 1 unless open() sets it */
	unsigned interface_count;
	struct ft_port_interface interfaces[FT_PORT_MAX_INTERFACES];
	void *state;
};

/* Split `text` into the port's device and settings (keys.c). -EINVAL with a sentence. */
int ft_port_parse_keys(struct ft_port *port, const char *text, struct ft_error *error);

/* What the user gave for a key: as text or NULL, as a number or `otherwise`. */
const char *ft_port_key(const struct ft_port *port, const char *name);
uint64_t ft_port_key_number(const struct ft_port *port, const char *name, uint64_t otherwise);

extern const struct ft_port_ops ft_port_afpacket;
extern const struct ft_port_ops ft_port_afxdp;
extern const struct ft_port_ops ft_port_file;
extern const struct ft_port_ops ft_port_synth;

#endif
