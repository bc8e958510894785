/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two sides of the network that test frames go over: RFC 2544 C.2.2, for IPv6 RFC 5180 8,
 * between locally administered MAC addresses; to the echo port (RFC 2544 C.2.6.4) from one that
 * nobody is assigned.
 */
#ifndef FT_GEN_TEST_NETWORK_H
#define FT_GEN_TEST_NETWORK_H

#define FT_NEAR_MAC	0x0200c6120001
#define FT_FAR_MAC	0x0200c6130001
#define FT_NEAR_IPV4	0xc6120001u /* 198.18.0.1 */
#define FT_FAR_IPV4	0xc6130001u /* 198.19.0.1 */
#define FT_NEAR_NETWORK 0x2001000200000000
#define FT_FAR_NETWORK	0x2001000200008000
#define FT_NEAR_PORT	49184
#define FT_ECHO_PORT	7

#endif
