/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base64: RFC 4648 §4 with padding, as Go's encoding/base64 StdEncoding has it. Appends; pure; any thread. */
#ifndef LARCH_COMMON_BASE64_H
#define LARCH_COMMON_BASE64_H

#include "common/buf.h"

void base64_encode(struct buf *b, struct str s);
/* Newlines are skipped. False: *bad is the offset that Go names in "illegal base64 data at input byte N"; b is as it
 * was. */
bool base64_decode(struct buf *b, struct str s, size_t *bad);

#endif
