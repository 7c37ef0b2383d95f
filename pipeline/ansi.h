/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ansi: removes terminal control sequences from a line (ECMA-48 CSI and OSC, as the widely used ansi-regex expression
 * has them), for LogQL's decolorize and the agent's stage of that name. Pure; linear but for unended OSC. */
#ifndef LARCH_PIPELINE_ANSI_H
#define LARCH_PIPELINE_ANSI_H

#include "common/arena.h"

/* The line itself when there is nothing to remove, else a copy in the arena. */
struct str ansi_strip(struct arena *a, struct str line);

#endif
