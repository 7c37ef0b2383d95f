/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unicode: what Go's package unicode says of a rune, as far as answers depend on it. Unicode 15.0, the
 * version of Go 1.21 and later. Pure; any thread. O(log n) in a table of ranges. */
#ifndef LARCH_COMMON_UNICODE_H
#define LARCH_COMMON_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

/* unicode.IsPrint: letters, marks, numbers, punctuation, symbols, and the ASCII blank. */
bool unicode_is_print(uint32_t rune);

#endif
