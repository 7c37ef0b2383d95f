/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest: MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4) and SHA3-256 (FIPS 202) of a whole text, SHA-256 also in
 * pieces. For sharding, pseudonyms in log lines, and checksums of what is sent, not for secrets. Pure, but for a
 * digest under way, which has one owner; any thread; linear. */
#ifndef LARCH_COMMON_DIGEST_H
#define LARCH_COMMON_DIGEST_H

#include "common/str.h"

enum { DIGEST_MD5 = 16, DIGEST_SHA1 = 20, DIGEST_SHA256 = 32, DIGEST_SHA3_256 = 32 }; /* bytes */

void digest_md5(struct str s, unsigned char out[DIGEST_MD5]);
void digest_sha1(struct str s, unsigned char out[DIGEST_SHA1]);
void digest_sha256(struct str s, unsigned char out[DIGEST_SHA256]);
struct digest;
struct digest *digest_sha256_new(void);
void digest_add(struct digest *d, struct str piece);
void digest_end(struct digest *d, unsigned char *out); /* DIGEST_SHA256 bytes; NULL: given up. Frees. */

void digest_sha3_256(struct str s, unsigned char out[DIGEST_SHA3_256]);

#endif
