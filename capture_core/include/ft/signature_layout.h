/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Where the fields of a signature lie, for the engine and for XDP programs alike: nothing here
 * needs a header.
 */
#ifndef FT_SIGNATURE_LAYOUT_H
#define FT_SIGNATURE_LAYOUT_H

/* Room at the end of the UDP payload: the complement and the signature. */
#define FT_SIGNATURE_ROOM_BYTES 18u

/* Where in that room. */
#define FT_SIGNATURE_MAGIC_AT	 2u
#define FT_SIGNATURE_VERSION_AT	 4u
#define FT_SIGNATURE_RUN_AT	 5u
#define FT_SIGNATURE_STREAM_AT	 6u
#define FT_SIGNATURE_SEQUENCE_AT 8u
#define FT_SIGNATURE_SENT_AT	 12u

/* The byte at FT_SIGNATURE_VERSION_AT: the version above, flags below. */
#define FT_SIGNATURE_VERSION   0x10u
#define FT_SIGNATURE_REFLECTED 0x01u /* sent back by a reflector, and never again */
#define FT_SIGNATURE_COVERED   0x02u /* the four bytes before the room are the payload's CRC32C */

#endif
